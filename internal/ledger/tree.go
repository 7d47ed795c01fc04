package ledger

import (
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"tocsin/receipt"
)

// MaxEntry is the size of the largest entry in bytes (C2SP tlog-tiles).
const MaxEntry = 1<<16 - 1

// Append returns the tree hashes to store for entries that are added to a
// ledger of size entries. They belong at positions
// [tlog.StoredHashCount](size) and on. r reads what is stored already.
func Append(size int64, entries [][]byte, r tlog.HashReader) ([]tlog.Hash, error) {
	fresh := &grown{stored: r, first: tlog.StoredHashCount(size)}
	for i, e := range entries {
		if len(e) > MaxEntry {
			return nil, fmt.Errorf("entry of %d bytes, more than %d", len(e), MaxEntry)
		}
		h, err := tlog.StoredHashes(size+int64(i), e, fresh)
		if err != nil {
			return nil, fmt.Errorf("stored hashes: %w", err)
		}
		fresh.hashes = append(fresh.hashes, h...)
	}
	return fresh.hashes, nil
}

// grown reads hashes of a tree that is not stored in full yet.
type grown struct {
	stored tlog.HashReader
	first  int64       // position of hashes[0]
	hashes []tlog.Hash // not stored yet
}

func (g *grown) ReadHashes(positions []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(positions))
	var old, where []int64
	for i, p := range positions {
		switch at := p - g.first; {
		case at < 0:
			old, where = append(old, p), append(where, int64(i))
		case at < int64(len(g.hashes)):
			out[i] = g.hashes[at]
		default:
			return nil, fmt.Errorf("no hash at position %d", p)
		}
	}
	if len(old) == 0 {
		return out, nil
	}
	hashes, err := g.stored.ReadHashes(old)
	if err != nil {
		return nil, err
	}
	if len(hashes) != len(old) {
		return nil, fmt.Errorf("%d hashes for %d positions", len(hashes), len(old))
	}
	for i, h := range hashes {
		out[where[i]] = h
	}
	return out, nil
}

// Checkpoint signs for the ledger's first size entries. The caller makes sure
// that what it signs for only ever grows: two checkpoints that contradict each
// other are a crime that anybody can prove.
func (s *Signer) Checkpoint(size int64, r tlog.HashReader) ([]byte, error) {
	root, err := tlog.TreeHash(size, r)
	if err != nil {
		return nil, fmt.Errorf("tree hash: %w", err)
	}
	text := receipt.Checkpoint{Origin: s.Origin(), Size: size, Hash: root}.Text()
	signed, err := note.Sign(&note.Note{Text: text}, s.signer)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return signed, nil
}

// Inclusion returns the RFC 6962 §2.1.1 proof that the ledger of size entries
// holds entry index, from 0.
func Inclusion(size, index int64, r tlog.HashReader) ([]tlog.Hash, error) {
	p, err := tlog.ProveRecord(size, index, r)
	if err != nil {
		return nil, fmt.Errorf("inclusion proof: %w", err)
	}
	return p, nil
}

// Consistency returns the RFC 6962 §2.1.2 proof that the ledger of newer entries
// begins with the ledger of older ones. It is empty when older is 0.
func Consistency(older, newer int64, r tlog.HashReader) ([]tlog.Hash, error) {
	if older == 0 && newer >= 0 {
		return nil, nil
	}
	p, err := tlog.ProveTree(newer, older, r)
	if err != nil {
		return nil, fmt.Errorf("consistency proof: %w", err)
	}
	return p, nil
}

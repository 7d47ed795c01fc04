package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"

	"tocsin/internal/store"
	"tocsin/receipt"
)

// Verify reads everything and checks that it belongs together: the pages, the
// objects and their hashes, the ledger's records, entries, tree and signature,
// and that what submissions say of objects is so. It returns the first thing
// that is wrong. progress, which may be nil, is called from time to time with
// how many objects and records were checked, of how many.
//
// It works on one state of the store, while the hub goes on.
func (s *Store) Verify(ctx context.Context, progress func(done, total int64)) error {
	return s.readers.read(ctx, func(c *conn) error {
		v := &verification{c: c, vkey: s.signer.VerifierKey(), progress: progress}
		for _, step := range []func() error{v.pages, v.checkpoint, v.objects, v.records} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
}

type verification struct {
	c           *conn
	vkey        string
	progress    func(done, total int64)
	done, total int64
	size        int64    // entries in the ledger
	runs        []idRun  // of the index of ids, that of the object being checked first
	hashes      []uint64 // what that run says, by position; nil: not read
}

func (v *verification) tick() {
	const every = 4096
	if v.done++; v.progress != nil && (v.done%every == 0 || v.done == v.total) {
		v.progress(v.done, v.total)
	}
}

// pages lets SQLite check every page and index. Reading a page checks its
// checksum.
func (v *verification) pages() (err error) {
	for r := range v.c.rows(&err, "PRAGMA integrity_check(1)") {
		if text := r.ColumnText(0); text != "ok" {
			return fmt.Errorf("pages: %s", text)
		}
	}
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	v.total, err = v.c.number("SELECT (SELECT count(*) FROM objects) + (SELECT count(*) FROM records)")
	return err
}

func (v *verification) checkpoint() error {
	size, signed, err := v.c.checkpoint()
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	c, err := receipt.OpenCheckpoint(signed, v.vkey)
	if err != nil {
		return err
	}
	records, err := v.c.number("SELECT count(*) FROM records")
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	root, err := tlog.TreeHash(c.Size, v.c)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if c.Size != size || c.Size != records || root != c.Hash {
		return fmt.Errorf("checkpoint: it is not that of the %d records", records)
	}
	v.size = size
	return nil
}

func (v *verification) objects() (err error) {
	if v.runs, err = v.c.idRuns(); err != nil {
		return fmt.Errorf("index of ids: %w", err)
	}
	last := int64(-1 << 63)
	for r := range v.c.rows(&err, "SELECT seq, idhash, flags, added, id, sha256, raw FROM objects ORDER BY seq") {
		seq, added := r.ColumnInt64(0), r.ColumnInt64(3)
		if added <= last {
			return fmt.Errorf("object %d: its date_added is not later than that of the one before", seq)
		}
		last = added
		if r.ColumnInt64(1) != store.IDHash(r.ColumnText(4)) {
			return fmt.Errorf("object %d: its id is not the one that it is found by", seq)
		}
		if err := v.indexed(seq, uint64(r.ColumnInt64(1))); err != nil {
			return fmt.Errorf("object %d: %w", seq, err)
		}
		tombstone := r.ColumnInt64(2)&store.FlagTombstone != 0
		if sum := sha256.Sum256(r.ColumnRawBlob(6)); !tombstone && !bytes.Equal(sum[:], r.ColumnRawBlob(5)) {
			return fmt.Errorf("object %d: its content is not what was stored", seq)
		}
		v.tick()
	}
	if err != nil {
		return fmt.Errorf("objects: %w", err)
	}
	return nil
}

// indexed checks that an object is found by the hash of its id. Of what no run
// has, the hub makes the index anew when it starts.
func (v *verification) indexed(seq int64, hash uint64) error {
	for len(v.runs) > 0 && v.runs[0].last < seq {
		v.runs, v.hashes = v.runs[1:], nil
	}
	if len(v.runs) == 0 {
		return nil
	}
	run := v.runs[0]
	if v.hashes == nil {
		if seq < run.first {
			return errors.New("the index of ids passes over it")
		}
		v.hashes = make([]uint64, run.last-run.first+1)
		before := idEntry{}
		err := eachBlock(v.c, run.run, func(b idBlock) error {
			for i := range b.len() {
				e := b.at(i)
				if e.compare(before) <= 0 || e.seq < run.first || e.seq > run.last {
					return fmt.Errorf("the index of ids, run %d, is not in order", run.run)
				}
				v.hashes[e.seq-run.first], before = e.hash, e
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if v.hashes[seq-run.first] != hash {
		return errors.New("the index of ids does not find it")
	}
	return nil
}

func (v *verification) records() (err error) {
	next := int64(0)
	for r := range v.c.rows(&err, "SELECT leaf, kind, time, entry, salt, statement FROM records ORDER BY leaf") {
		leaf, entry := r.ColumnInt64(0), r.ColumnBlob(3, nil)
		record := receipt.Record{
			Kind: receipt.Kind(r.ColumnText(1)), Time: time.UnixMicro(r.ColumnInt64(2)).UTC(),
			Salt: r.ColumnBlob(4, nil), Statement: r.ColumnBlob(5, nil),
		}
		if leaf != next || !bytes.Equal(record.Entry(), entry) {
			return fmt.Errorf("record %d: its entry does not commit to it", leaf)
		}
		next++
		if err := v.leaf(leaf, entry); err != nil {
			return fmt.Errorf("record %d: %w", leaf, err)
		}
		if record.Kind == receipt.KindSubmission {
			if err := v.submission(record.Statement); err != nil {
				return fmt.Errorf("record %d: %w", leaf, err)
			}
		}
		v.tick()
	}
	if err != nil {
		return fmt.Errorf("records: %w", err)
	}
	return nil
}

// leaf checks every hash of the tree that came with a leaf.
func (v *verification) leaf(leaf int64, entry []byte) error {
	hashes, err := tlog.StoredHashes(leaf, entry, v.c)
	if err != nil {
		return err
	}
	positions := make([]int64, len(hashes))
	for i := range positions {
		positions[i] = tlog.StoredHashIndex(0, leaf) + int64(i)
	}
	stored, err := v.c.ReadHashes(positions)
	if err != nil {
		return err
	}
	for i, h := range hashes {
		if stored[i] != h {
			return errors.New("the ledger's tree does not hold it")
		}
	}
	return nil
}

// submission checks that the objects of a statement are stored, unless they were
// withdrawn.
func (v *verification) submission(statement []byte) error {
	var st receipt.Submission
	if err := json.Unmarshal(statement, &st); err != nil {
		return err
	}
	for _, ref := range st.Objects {
		sum, err := v.c.blob("SELECT sha256 FROM objects WHERE seq = ?", ref.Seq)
		if err != nil {
			return err
		}
		if sum != nil && hex.EncodeToString(sum) != ref.SHA256 {
			return fmt.Errorf("object %d is not the one that was shared", ref.Seq)
		}
	}
	return nil
}

// Backup copies the store into a new file, while the hub goes on: what was
// acknowledged before it began is in it. The signing key is not.
func (s *Store) Backup(ctx context.Context, file string) (err error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			_ = os.Remove(file)
		}
	}()
	err = s.readers.read(ctx, func(c *conn) error {
		// What the transaction has read pins the state that is copied.
		if _, err := c.number("SELECT size FROM checkpoint"); err != nil {
			return err
		}
		b, err := c.BackupInit("main", filePath(file))
		if err != nil {
			return err
		}
		const pages = 1024
		for done := false; !done && err == nil; {
			if err = ctx.Err(); err == nil {
				done, err = b.Step(pages)
			}
		}
		return errors.Join(err, b.Close())
	})
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return syncFolder(filepath.Dir(file))
}

package receipt

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

// MaxProofSize bounds the file form of a [Proof], in bytes. A statement with
// 50,000 objects fits.
const MaxProofSize = 16 << 20

// maxHashes is the depth of a tree of 2⁶³ leaves, the most that a size can say.
const maxHashes = 63

const proofHeader = "c2sp.org/tlog-proof@v1\n"

// A Proof says that an entry is in a ledger (C2SP tlog-proof). What it says is
// only claimed until [Verify] has checked it.
type Proof struct {
	Extra      []byte      // what the entry is computed from; may be empty
	Index      int64       // of the entry, from 0
	Hashes     []tlog.Hash // RFC 6962 §2.1.1 path, from the leaf's sibling up
	Checkpoint []byte      // signed checkpoint, verbatim
}

// Claimed returns the record that the proof says it is of. Nothing of it has been
// checked: see [Verify].
func (p Proof) Claimed() (Record, error) {
	r, err := recordOf(p.Extra)
	if err != nil {
		return Record{}, fmt.Errorf("statement: %w", err)
	}
	return r, nil
}

// Marshal returns the file form of p, named .tlog-proof by convention.
func (p Proof) Marshal() []byte {
	var b bytes.Buffer
	b.WriteString(proofHeader)
	if len(p.Extra) > 0 {
		b.WriteString("extra ")
		b.WriteString(base64.StdEncoding.EncodeToString(p.Extra))
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "index %d\n", p.Index)
	for _, h := range p.Hashes {
		b.WriteString(h.String())
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	b.Write(p.Checkpoint)
	return b.Bytes()
}

// ParseProof reads the file form of a proof, at most [MaxProofSize] bytes. It
// accepts exactly what [Proof.Marshal] writes: one proof, one spelling. It does
// not read the checkpoint.
func ParseProof(b []byte) (Proof, error) {
	if len(b) > MaxProofSize {
		return Proof{}, errors.New("proof: larger than 16 MiB")
	}
	rest, ok := bytes.CutPrefix(b, []byte(proofHeader))
	if !ok {
		return Proof{}, errors.New("proof: line 1 is not c2sp.org/tlog-proof@v1")
	}
	var p Proof
	line, rest, _ := bytes.Cut(rest, []byte("\n"))
	if e, ok := bytes.CutPrefix(line, []byte("extra ")); ok {
		p.Extra = make([]byte, base64.StdEncoding.DecodedLen(len(e)))
		n, err := base64.StdEncoding.Strict().Decode(p.Extra, e)
		if err != nil || n == 0 {
			return Proof{}, errors.New("proof: extra is not base64")
		}
		p.Extra = p.Extra[:n]
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
	}
	digits, ok := bytes.CutPrefix(line, []byte("index "))
	index, err := strconv.ParseInt(string(digits), 10, 64)
	if !ok || err != nil || index < 0 {
		return Proof{}, errors.New("proof: no index")
	}
	p.Index = index
	for {
		line, rest, ok = bytes.Cut(rest, []byte("\n"))
		if !ok {
			return Proof{}, errors.New("proof: no empty line before the checkpoint")
		}
		if len(line) == 0 {
			break
		}
		h, err := tlog.ParseHash(string(line))
		if err != nil || len(p.Hashes) == maxHashes {
			return Proof{}, errors.New("proof: malformed inclusion proof")
		}
		p.Hashes = append(p.Hashes, h)
	}
	if len(rest) == 0 {
		return Proof{}, errors.New("proof: no checkpoint")
	}
	p.Checkpoint = bytes.Clone(rest)
	// Decoders of numbers and base64 accept more than one spelling of a value;
	// a format has one.
	if !bytes.Equal(p.Marshal(), b) {
		return Proof{}, errors.New("proof: not in canonical form")
	}
	return p, nil
}

package receipt

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// maxCheckpoint bounds a signed checkpoint in bytes. It leaves room for the 16
// signatures that C2SP signed-note obliges a verifier to accept, post-quantum
// ones included.
const maxCheckpoint = 256 << 10

// A Checkpoint is the state of a ledger at one size (C2SP tlog-checkpoint).
type Checkpoint struct {
	Origin     string
	Size       int64     // number of entries
	Hash       tlog.Hash // RFC 6962 root of the tree of that size
	Extensions []string  // further lines; nobody vouches for them

	// Cosigners are the witnesses that vouch for the checkpoint, in the order in
	// which they signed; only [OpenCheckpoint] fills this in.
	Cosigners []Cosigner
}

// A Cosigner is a witness that saw a checkpoint and found it consistent with all
// that it had seen of that ledger before (C2SP tlog-cosignature).
type Cosigner struct {
	Name string
	Time time.Time // when it signed, seconds
}

// Text returns the note text of c: what is signed.
func (c Checkpoint) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%d\n%s\n", c.Origin, c.Size, c.Hash)
	for _, e := range c.Extensions {
		b.WriteString(e)
		b.WriteByte('\n')
	}
	return b.String()
}

// ParseCheckpoint reads the text of a checkpoint, without signatures.
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[len(lines)-1] != "" {
		return Checkpoint{}, errors.New("checkpoint: fewer than three lines")
	}
	lines = lines[:len(lines)-1]
	if slices.Contains(lines, "") {
		return Checkpoint{}, errors.New("checkpoint: empty line")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 {
		return Checkpoint{}, errors.New("checkpoint: malformed size")
	}
	hash, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, errors.New("checkpoint: malformed root hash")
	}
	c := Checkpoint{Origin: lines[0], Size: size, Hash: hash}
	if len(lines) > 3 {
		c.Extensions = lines[3:]
	}
	if c.Text() != text {
		return Checkpoint{}, errors.New("checkpoint: not in canonical form")
	}
	return c, nil
}

// OpenCheckpoint checks a signed checkpoint against verifier keys (signed-note
// vkeys; Ed25519, type 1, for ledgers, type 4 for witnesses). At least one key
// named like the checkpoint's origin must have signed it, and no signature of a
// given key may be wrong. Signatures of other keys are ignored.
func OpenCheckpoint(signed []byte, vkeys ...string) (Checkpoint, error) {
	if len(signed) > maxCheckpoint {
		return Checkpoint{}, errors.New("checkpoint: larger than 256 KiB")
	}
	verifiers := make([]note.Verifier, 0, len(vkeys))
	cosigners := map[string]bool{}
	for i, k := range vkeys {
		if slices.Contains(vkeys[:i], k) {
			continue
		}
		v, witness, err := newVerifier(k)
		if err != nil {
			return Checkpoint{}, fmt.Errorf("keys: verifier key %d of %d: %w", i+1, len(vkeys), err)
		}
		verifiers = append(verifiers, v)
		if witness {
			cosigners[keyID(v.Name(), v.KeyHash())] = true
		}
	}
	n, err := note.Open(signed, note.VerifierList(verifiers...))
	if unverified := (*note.UnverifiedNoteError)(nil); errors.As(err, &unverified) {
		return Checkpoint{}, errors.New("checkpoint: not signed by any of the given keys")
	}
	if invalid := (*note.InvalidSignatureError)(nil); errors.As(err, &invalid) {
		return Checkpoint{}, errors.New("checkpoint: a signature of a given key is wrong")
	}
	if err != nil {
		return Checkpoint{}, errors.New("checkpoint: not a signed note")
	}
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	signedByOrigin := false
	for _, s := range n.Sigs {
		if b, err := base64.StdEncoding.DecodeString(s.Base64); err != nil || base64.StdEncoding.EncodeToString(b) != s.Base64 {
			return Checkpoint{}, errors.New("checkpoint: signature not in canonical form")
		}
		switch {
		case cosigners[keyID(s.Name, s.Hash)]:
			c.Cosigners = append(c.Cosigners, Cosigner{Name: s.Name, Time: cosignedAt(s.Base64)})
		case s.Name == c.Origin:
			signedByOrigin = true
		}
	}
	if !signedByOrigin {
		return Checkpoint{}, errors.New("checkpoint: not signed by a key of its origin")
	}
	return c, nil
}

// VerifyConsistency checks that the ledger only grew from one checkpoint to the
// other, given the RFC 6962 §2.1.2 proof.
func VerifyConsistency(older, newer Checkpoint, proof []tlog.Hash) error {
	if older.Origin != newer.Origin {
		return errors.New("consistency: the checkpoints are of two ledgers")
	}
	if older.Size > newer.Size {
		return errors.New("consistency: the older checkpoint is the larger one")
	}
	if older.Size == 0 {
		// Every tree grows from the empty one; RFC 6962 has no proof for that.
		empty, err := tlog.TreeHash(0, nil)
		if err != nil || older.Hash != empty || len(proof) != 0 || newer.Size == 0 && newer.Hash != empty {
			return errors.New("consistency: the older checkpoint is not that of an empty ledger")
		}
		return nil
	}
	if err := tlog.CheckTree(proof, newer.Size, newer.Hash, older.Size, older.Hash); err != nil {
		return errors.New("consistency: the newer ledger does not contain the older one")
	}
	return nil
}

func keyID(name string, hash uint32) string { return name + "+" + strconv.FormatUint(uint64(hash), 16) }

// typeCosigned is the signature type of Ed25519 cosignatures (C2SP signed-note).
const typeCosigned = 4

// newVerifier reads a verifier key, and reports whether it is a witness's.
// golang.org/x/mod knows only type 1.
func newVerifier(vkey string) (v note.Verifier, witness bool, err error) {
	name, rest, _ := strings.Cut(vkey, "+")
	id, key64, _ := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.DecodeString(key64)
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != typeCosigned {
		v, err = note.NewVerifier(vkey)
		if err != nil {
			return nil, false, errors.New("not an Ed25519 verifier key")
		}
		return v, false, nil
	}
	want, err := note.NewEd25519VerifierKey(name, key[1:])
	if err != nil {
		return nil, false, errors.New("not an Ed25519 verifier key")
	}
	if _, err := note.NewVerifier(want); err != nil { // checks the name
		return nil, false, errors.New("malformed key name")
	}
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	hash := binary.BigEndian.Uint32(sum[:4])
	if id != fmt.Sprintf("%08x", hash) {
		return nil, false, errors.New("key id does not match the key")
	}
	return cosignerKey{name: name, hash: hash, key: key[1:]}, true, nil
}

// A cosignerKey verifies Ed25519 cosignatures (C2SP tlog-cosignature).
type cosignerKey struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (k cosignerKey) Name() string    { return k.name }
func (k cosignerKey) KeyHash() uint32 { return k.hash }

func (k cosignerKey) Verify(text, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(sig)
	if at > 1<<63-1 {
		return false
	}
	return ed25519.Verify(k.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text), sig[8:])
}

// cosignedAt returns the time in a cosignature that was verified.
func cosignedAt(sig64 string) time.Time {
	b, err := base64.StdEncoding.DecodeString(sig64)
	if err != nil || len(b) < 4+8 {
		return time.Time{}
	}
	return time.Unix(int64(binary.BigEndian.Uint64(b[4:])), 0).UTC()
}

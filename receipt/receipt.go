// Package receipt checks a hub's signed receipts without trusting the hub.
//
// A hub puts every fact on record as a [Statement]. Its ledger holds only a
// salted commitment to it, the entry ([Record.Entry]). Who is given the
// statement and the salt can check, with nothing but the hub's verifier key,
// that exactly this statement is in the ledger: that is a receipt, and its file
// form is a C2SP tlog-proof ([Proof]).
package receipt

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/tlog"
)

// saltSize is the length of a record's salt in bytes. It is fixed, so that
// salt and statement cannot be split in two ways.
const saltSize = 32

// A Record is a statement as the ledger commits to it.
type Record struct {
	Kind      Kind
	Time      time.Time // UTC, microseconds
	Salt      []byte    // 32 random bytes; whoever lacks them cannot test guesses
	Statement []byte    // RFC 8785 JSON
}

// NewRecord puts s into canonical form and draws a salt for it.
func NewRecord(s Statement) (Record, error) {
	s, kind, at := s.stamped()
	b, err := canonical(s)
	if err != nil {
		return Record{}, err
	}
	salt := make([]byte, saltSize)
	if _, err := rand.Read(salt); err != nil {
		return Record{}, fmt.Errorf("salt: %w", err)
	}
	return Record{Kind: kind, Time: at, Salt: salt, Statement: b}, nil
}

// Entry returns the bytes of the ledger's entry for r, about 100 of them: what
// kind of thing happened in which hour, and a commitment to what it was.
func (r Record) Entry() []byte {
	h := sha256.New()
	h.Write(r.Salt)
	h.Write(r.Statement)
	return fmt.Appendf(nil, "tocsin/v1\n%s\n%s\n%s\n",
		r.Kind, r.Time.UTC().Truncate(time.Hour).Format(time.RFC3339),
		base64.StdEncoding.EncodeToString(h.Sum(nil)))
}

// Receipt returns the proof that r is entry number index, from 0, of the ledger
// whose signed checkpoint is given.
func (r Record) Receipt(index int64, hashes []tlog.Hash, checkpoint []byte) (Proof, error) {
	b, err := canonical(extra{
		Salt:      base64.StdEncoding.EncodeToString(r.Salt),
		Statement: r.Statement,
	})
	if err != nil {
		return Proof{}, err
	}
	return Proof{Extra: b, Index: index, Hashes: hashes, Checkpoint: checkpoint}, nil
}

// An extra is what a receipt carries besides the proof. Nothing in it is
// trusted: the entry is computed from it, and the proof must fit that entry.
type extra struct {
	Salt      string         `json:"salt"`
	Statement jsontext.Value `json:"statement"`
}

// recordOf reads the record from a proof's extra data. It accepts one form of
// it only, so that two receipts for one record have the same bytes.
func recordOf(b []byte) (Record, error) {
	if len(b) == 0 {
		return Record{}, errors.New("no statement")
	}
	c := jsontext.Value(b).Clone()
	if err := c.Canonicalize(); err != nil {
		return Record{}, errors.New("not strict JSON")
	}
	if string(c) != string(b) {
		return Record{}, errors.New("not canonical JSON (RFC 8785)")
	}
	var e extra
	if err := json.Unmarshal(c, &e, json.RejectUnknownMembers(true)); err != nil {
		return Record{}, errors.New("not an object with salt and statement")
	}
	salt, err := base64.StdEncoding.Strict().DecodeString(e.Salt)
	if err != nil || len(salt) != saltSize || base64.StdEncoding.EncodeToString(salt) != e.Salt {
		return Record{}, fmt.Errorf("salt is not %d bytes of base64", saltSize)
	}
	var head struct {
		Kind Kind      `json:"kind"`
		Time time.Time `json:"time"`
	}
	if err := json.Unmarshal(e.Statement, &head); err != nil || !head.Kind.valid() || head.Time.IsZero() {
		return Record{}, errors.New("statement lacks a kind or a time")
	}
	return Record{Kind: head.Kind, Time: head.Time, Salt: salt, Statement: e.Statement}, nil
}

// valid reports whether k may stand in an entry, where it must not look like
// another line.
func (k Kind) valid() bool {
	for _, c := range k {
		if (c < 'a' || c > 'z') && c != '-' {
			return false
		}
	}
	return len(k) >= 1 && len(k) <= 32
}

// Verified is a receipt that [Verify] has checked.
type Verified struct {
	record     Record
	index      int64
	checkpoint Checkpoint
}

// Verify checks p against the verifier keys that the caller trusts, written as
// signed-note vkeys: at least one Ed25519 key of the hub, whose name is the
// ledger's origin, and any keys of witnesses. The steps are those of C2SP
// tlog-proof, and the error names the one that failed:
// "statement" (the extra data is not a statement and its salt), "keys" (the
// verifier keys are not usable), "checkpoint" (not signed by a key of its
// origin), "inclusion" (the statement is not the entry that the proof is for).
func Verify(p Proof, vkeys ...string) (Verified, error) {
	r, err := recordOf(p.Extra)
	if err != nil {
		return Verified{}, fmt.Errorf("statement: %w", err)
	}
	c, err := OpenCheckpoint(p.Checkpoint, vkeys...)
	if err != nil {
		return Verified{}, err
	}
	leaf := tlog.RecordHash(r.Entry())
	if err := tlog.CheckRecord(p.Hashes, c.Size, c.Hash, p.Index, leaf); err != nil {
		return Verified{}, errors.New("inclusion: the ledger at this checkpoint does not hold this statement at this index")
	}
	return Verified{record: r, index: p.Index, checkpoint: c}, nil
}

// Kind returns the kind of the statement.
func (v Verified) Kind() Kind { return v.record.Kind }

// Time returns when the hub says that the statement was recorded.
func (v Verified) Time() time.Time { return v.record.Time }

// Statement returns the statement as RFC 8785 JSON. The caller must not change it.
func (v Verified) Statement() []byte { return v.record.Statement }

// Index returns the number of the statement's entry in the ledger, from 0.
func (v Verified) Index() int64 { return v.index }

// Checkpoint returns the state of the ledger that the receipt was checked against.
func (v Verified) Checkpoint() Checkpoint { return v.checkpoint }

// Submission returns the statement, if it is a submission.
func (v Verified) Submission() (Submission, error) { return as[Submission](v, KindSubmission) }

// Disclosure returns the statement, if it is a disclosure.
func (v Verified) Disclosure() (Disclosure, error) { return as[Disclosure](v, KindDisclosure) }

// Withdrawal returns the statement, if it is a withdrawal.
func (v Verified) Withdrawal() (Withdrawal, error) { return as[Withdrawal](v, KindWithdrawal) }

// Directory returns the statement, if it is a change to the directory.
func (v Verified) Directory() (Directory, error) { return as[Directory](v, KindDirectory) }

func as[S Statement](v Verified, want Kind) (S, error) {
	var s S
	if v.record.Kind != want {
		return s, fmt.Errorf("statement: not a %s", want)
	}
	// Members that a newer hub added are not an error: the bytes were checked.
	if err := json.Unmarshal(v.record.Statement, &s); err != nil {
		return s, fmt.Errorf("statement: not a well-formed %s", want)
	}
	return s, nil
}

// VerifyObject checks that the receipt covers these very bytes of an object,
// and returns which one it is.
func (v Verified) VerifyObject(object []byte) (ObjectRef, error) {
	s, err := v.Submission()
	if err != nil {
		return ObjectRef{}, err
	}
	sum := sha256.Sum256(object)
	want := hex.EncodeToString(sum[:])
	for _, o := range s.Objects {
		if o.SHA256 == want {
			return o, nil
		}
	}
	return ObjectRef{}, errors.New("object: its bytes are not among those that the statement lists")
}

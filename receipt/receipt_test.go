package receipt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "hub.example.com/log"

// A testLog is a ledger in memory.
type testLog struct {
	skey, vkey string
	size       int64
	hashes     []tlog.Hash
}

func newTestLog(t testing.TB) *testLog {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	return &testLog{skey: skey, vkey: vkey}
}

func (l *testLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = l.hashes[x]
	}
	return out, nil
}

func (l *testLog) add(t testing.TB, entry []byte) int64 {
	t.Helper()
	h, err := tlog.StoredHashes(l.size, entry, l)
	if err != nil {
		t.Fatal(err)
	}
	l.hashes = append(l.hashes, h...)
	l.size++
	return l.size - 1
}

func (l *testLog) checkpoint(t testing.TB) []byte {
	t.Helper()
	root, err := tlog.TreeHash(l.size, l)
	if err != nil {
		t.Fatal(err)
	}
	return sign(t, l.skey, Checkpoint{Origin: origin, Size: l.size, Hash: root}.Text())
}

func sign(t testing.TB, skey, text string) []byte {
	t.Helper()
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	b, err := note.Sign(&note.Note{Text: text}, s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// receiptFor records s between other entries and returns its receipt.
func (l *testLog) receiptFor(t testing.TB, s Statement) (Record, Proof) {
	t.Helper()
	r, err := NewRecord(s)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		l.add(t, []byte("before"))
	}
	index := l.add(t, r.Entry())
	l.add(t, []byte("after"))
	hashes, err := tlog.ProveRecord(l.size, index, l)
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Receipt(index, hashes, l.checkpoint(t))
	if err != nil {
		t.Fatal(err)
	}
	return r, p
}

var object = []byte(`{"type":"indicator","id":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}`)

func submission() Submission {
	sum := sha256.Sum256(object)
	return Submission{
		Hub:          "hub.example.com",
		ID:           "0b0b9f52-5f0c-4c4d-8f53-0c3f6f6f6f6f",
		Time:         time.Date(2026, 11, 23, 10, 59, 59, 123456789, time.FixedZone("", 3600)),
		Organization: "org-1", User: "user-1", Community: "isao", Collection: "main",
		Purpose: "cybersecurity", RulesHash: strings.Repeat("ab", 32),
		Removed:    map[string]int{"email-recipient": 2, "a<b>": 1},
		Recipients: []string{"org-2"}, Restrictions: []string{},
		Objects: []ObjectRef{{
			ID: "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", Version: "2026-11-23T00:00:00.000Z",
			SHA256: hex.EncodeToString(sum[:]), Seq: 7,
		}},
	}
}

func TestReceiptVerifiesAfterAFileRoundTrip(t *testing.T) {
	log := newTestLog(t)
	_, p := log.receiptFor(t, submission())
	back, err := ParseProof(p.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	v, err := Verify(back, log.vkey)
	if err != nil {
		t.Fatal(err)
	}
	got, err := v.Submission()
	if err != nil {
		t.Fatal(err)
	}
	want := submission()
	want.Kind = KindSubmission
	want.Time = time.Date(2026, 11, 23, 9, 59, 59, 123456000, time.UTC)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Submission() differs (-want +got):\n%s", diff)
	}
	if v.Kind() != KindSubmission || v.Index() != 5 || v.Checkpoint().Size != 7 || v.Checkpoint().Origin != origin {
		t.Errorf("Verify = %s %d of %d in %s, want submission 5 of 7 in %s",
			v.Kind(), v.Index(), v.Checkpoint().Size, v.Checkpoint().Origin, origin)
	}
	if !v.Time().Equal(want.Time) {
		t.Errorf("Time() = %v, want %v", v.Time(), want.Time)
	}
	if _, err := v.Disclosure(); err == nil {
		t.Error("Disclosure() of a submission succeeded")
	}
}

func TestEveryKindOfStatementRoundTrips(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	log := newTestLog(t)
	for name, s := range map[string]Statement{
		"submission": Submission{Time: at},
		"disclosure": Disclosure{Time: at, From: 1, To: 1 << 52},
		"withdrawal": Withdrawal{Time: at, Versions: []ObjectRef{{ID: "x", Seq: 3}}},
		"directory":  Directory{Time: at, Summary: []string{"made"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, p := log.receiptFor(t, s)
			v, err := Verify(p, log.vkey)
			if err != nil {
				t.Fatal(err)
			}
			if string(v.Kind()) != name {
				t.Errorf("Kind() = %s, want %s", v.Kind(), name)
			}
			for kind, typed := range map[string]func() error{
				"submission": func() error { _, err := v.Submission(); return err },
				"disclosure": func() error { _, err := v.Disclosure(); return err },
				"withdrawal": func() error { _, err := v.Withdrawal(); return err },
				"directory":  func() error { _, err := v.Directory(); return err },
			} {
				if err := typed(); (err == nil) != (kind == name) {
					t.Errorf("reading a %s as a %s: %v", name, kind, err)
				}
			}
		})
	}
}

func TestEntrySaysNothingButKindAndHour(t *testing.T) {
	r, err := NewRecord(submission())
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.Sum256(append(bytes.Clone(r.Salt), r.Statement...))
	want := "tocsin/v1\nsubmission\n2026-11-23T09:00:00Z\n" + base64.StdEncoding.EncodeToString(h[:]) + "\n"
	if got := string(r.Entry()); got != want {
		t.Errorf("Entry() = %q, want %q", got, want)
	}
	again, err := NewRecord(submission())
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(r.Entry(), again.Entry()) {
		t.Error("two records of one statement have the same entry: the commitment is not salted")
	}
}

func TestVerifyNamesTheStepThatFailed(t *testing.T) {
	log, other := newTestLog(t), newTestLog(t)
	_, good := log.receiptFor(t, submission())
	_, second := log.receiptFor(t, submission())
	_, foreign := other.receiptFor(t, submission())
	swap := func(old, new string) func(Proof) Proof {
		return func(p Proof) Proof {
			if !bytes.Contains(p.Extra, []byte(old)) {
				t.Fatalf("the statement does not contain %q", old)
			}
			p.Extra = bytes.Replace(p.Extra, []byte(old), []byte(new), 1)
			return p
		}
	}
	text, _, _ := strings.Cut(string(good.Checkpoint), "\n\n")
	elsewhere := sign(t, log.skey, strings.Replace(text, origin, "elsewhere.example.com/log", 1)+"\n")
	for name, tt := range map[string]struct {
		edit func(Proof) Proof
		keys []string
		want string
	}{
		"organization changed":  {edit: swap("org-1", "org-2"), want: "inclusion: "},
		"hour changed":          {edit: swap("T09:59", "T08:59"), want: "inclusion: "},
		"minute changed":        {edit: swap("T09:59", "T09:58"), want: "inclusion: "},
		"kind changed":          {edit: swap(`"kind":"submission"`, `"kind":"withdrawal"`), want: "inclusion: "},
		"unknown kind":          {edit: swap(`"kind":"submission"`, `"kind":"sub\nmission"`), want: "statement: "},
		"no time":               {edit: swap(`"time"`, `"tine"`), want: "statement: "},
		"another member":        {edit: swap(`{"salt"`, `{"also":1,"salt"`), want: "statement: "},
		"space added":           {edit: swap(`,"statement"`, `, "statement"`), want: "statement: "},
		"duplicate member":      {edit: swap(`{"salt"`, `{"salt":"","salt"`), want: "statement: "},
		"short salt":            {edit: swap(`{"salt":"`, `{"salt":"AAAA","x":"`), want: "statement: "},
		"no extra":              {edit: func(p Proof) Proof { p.Extra = nil; return p }, want: "statement: "},
		"other index":           {edit: func(p Proof) Proof { p.Index++; return p }, want: "inclusion: "},
		"index beyond the size": {edit: func(p Proof) Proof { p.Index = 1 << 40; return p }, want: "inclusion: "},
		"a hash short":          {edit: func(p Proof) Proof { p.Hashes = p.Hashes[1:]; return p }, want: "inclusion: "},
		"a hash more":           {edit: func(p Proof) Proof { p.Hashes = append(p.Hashes, tlog.Hash{}); return p }, want: "inclusion: "},
		"another checkpoint":    {edit: func(p Proof) Proof { p.Checkpoint = second.Checkpoint; return p }, want: "inclusion: "},
		"another hub's receipt": {edit: func(Proof) Proof { return foreign }, want: "checkpoint: not signed by any"},
		"another hub's key":     {keys: []string{other.vkey}, want: "checkpoint: not signed by any"},
		"no key":                {keys: []string{}, want: "checkpoint: not signed by any"},
		"not a key":             {keys: []string{log.vkey, "hub.example.com+zzz"}, want: "keys: verifier key 2 of 2"},
		"root changed": {edit: func(p Proof) Proof {
			p.Checkpoint = bytes.Replace(p.Checkpoint, []byte("\n7\n"), []byte("\n8\n"), 1)
			return p
		}, want: "checkpoint: a signature of a given key is wrong"},
		"origin other than the key": {edit: func(p Proof) Proof { p.Checkpoint = elsewhere; return p }, want: "checkpoint: not signed by a key of its origin"},
		"not a note":                {edit: func(p Proof) Proof { p.Checkpoint = []byte("x\n"); return p }, want: "checkpoint: not a signed note"},
		"huge checkpoint":           {edit: func(p Proof) Proof { p.Checkpoint = make([]byte, maxCheckpoint+1); return p }, want: "checkpoint: larger"},
	} {
		t.Run(name, func(t *testing.T) {
			p, keys := good, []string{log.vkey}
			if tt.edit != nil {
				p = tt.edit(p)
			}
			if tt.keys != nil {
				keys = tt.keys
			}
			_, err := Verify(p, keys...)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("Verify = %v, want %q…", err, tt.want)
			}
		})
	}
	if _, err := Verify(good, log.vkey, log.vkey, other.vkey); err != nil {
		t.Errorf("Verify with a key given twice and one more = %v", err)
	}
}

// TestNoChangedByteVerifies flips every bit of a receipt's file: whatever still
// verifies must say the same.
func TestNoChangedByteVerifies(t *testing.T) {
	log := newTestLog(t)
	_, p := log.receiptFor(t, submission())
	good, err := Verify(p, log.vkey)
	if err != nil {
		t.Fatal(err)
	}
	file := p.Marshal()
	for i := range file {
		for bit := range 8 {
			file[i] ^= 1 << bit
			if q, err := ParseProof(file); err == nil {
				if v, err := Verify(q, log.vkey); err == nil && (!bytes.Equal(v.Statement(), good.Statement()) || v.Index() != good.Index()) {
					t.Fatalf("bit %d of byte %d flipped: verified as another statement", bit, i)
				} else if err == nil {
					t.Errorf("bit %d of byte %d flipped: still verifies", bit, i)
				}
			}
			file[i] ^= 1 << bit
		}
	}
}

func TestVerifyObjectWantsTheVeryBytes(t *testing.T) {
	log := newTestLog(t)
	_, p := log.receiptFor(t, submission())
	v, err := Verify(p, log.vkey)
	if err != nil {
		t.Fatal(err)
	}
	got, err := v.VerifyObject(object)
	if err != nil || got.Seq != 7 {
		t.Errorf("VerifyObject(object) = %+v, %v, want seq 7", got, err)
	}
	if _, err := v.VerifyObject(append(bytes.Clone(object), ' ')); err == nil {
		t.Error("VerifyObject accepted other bytes")
	}
	_, p = log.receiptFor(t, Directory{Time: time.Unix(1, 0)})
	if v, err = Verify(p, log.vkey); err != nil {
		t.Fatal(err)
	}
	if _, err := v.VerifyObject(object); err == nil {
		t.Error("VerifyObject succeeded for a change to the directory")
	}
}

func TestWitnessIsNamedIfItsKeyIsGiven(t *testing.T) {
	log := newTestLog(t)
	_, p := log.receiptFor(t, submission())
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const name = "witness.example.net"
	key := append([]byte{4}, pub...)
	id := sha256.Sum256(append([]byte(name+"\n"), key...))
	vkey := fmt.Sprintf("%s+%x+%s", name, id[:4], base64.StdEncoding.EncodeToString(key))
	text := p.Checkpoint[:bytes.Index(p.Checkpoint, []byte("\n\n"))+1]
	const at = 1795000000
	sig := binary.BigEndian.AppendUint64(bytes.Clone(id[:4]), at)
	sig = append(sig, ed25519.Sign(priv, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text))...)
	p.Checkpoint = fmt.Appendf(p.Checkpoint, "— %s %s\n", name, base64.StdEncoding.EncodeToString(sig))

	v, err := Verify(p, log.vkey)
	if err != nil || len(v.Checkpoint().Cosigners) != 0 {
		t.Errorf("without the witness's key: %v, %v; want it ignored", v.Checkpoint().Cosigners, err)
	}
	v, err = Verify(p, log.vkey, vkey)
	want := []Cosigner{{Name: name, Time: time.Unix(at, 0).UTC()}}
	if diff := cmp.Diff(want, v.Checkpoint().Cosigners); err != nil || diff != "" {
		t.Errorf("with the witness's key: %v, differs (-want +got):\n%s", err, diff)
	}
	if _, err := Verify(p, vkey); err == nil || !strings.Contains(err.Error(), "key of its origin") {
		t.Errorf("with only the witness's key: %v, want the hub's signature missed", err)
	}
	sig[20] ^= 1
	p.Checkpoint = fmt.Appendf(text, "\n— %s %s\n", name, base64.StdEncoding.EncodeToString(sig))
	if _, err := Verify(p, log.vkey, vkey); err == nil {
		t.Error("a wrong cosignature of a known witness was accepted")
	}
}

func TestSpecificationsSampleVerifies(t *testing.T) {
	// C2SP signed-note, "Example".
	const vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
	const signed = "This is an example message.\n\n" +
		"— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
	v, witness, err := newVerifier(vkey)
	if err != nil || witness {
		t.Fatalf("newVerifier = witness %v, %v", witness, err)
	}
	if _, err := note.Open([]byte(signed), note.VerifierList(v)); err != nil {
		t.Error(err)
	}
	// It is signed, but it is not a checkpoint.
	if _, err := OpenCheckpoint([]byte(signed), vkey); err == nil {
		t.Error("OpenCheckpoint accepted a note that is not a checkpoint")
	}
}

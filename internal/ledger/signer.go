// Package ledger is the hub's transparency log: it orders what was recorded and signs for it.
package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// keyFile is where the hub's signing key lies in its data folder.
const keyFile = "ledger.key"

// A Signer signs the ledger's checkpoints. It is safe for concurrent use.
type Signer struct {
	signer note.Signer
	vkey   string
}

// NewKey makes an Ed25519 key for a ledger. The origin should be the ledger's
// address without its scheme, such as "hub.example.com/log" (C2SP tlog-tiles),
// and has neither spaces nor plus signs.
func NewKey(origin string) (skey string, err error) {
	skey, _, err = note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return "", fmt.Errorf("generate key: %w", err)
	}
	if _, err := NewSigner(skey); err != nil {
		return "", errors.New("a ledger's origin has no spaces, no plus sign and at least one character")
	}
	return skey, nil
}

// NewSigner returns the signer for a key that [NewKey] made.
func NewSigner(skey string) (*Signer, error) {
	s, err := note.NewSigner(skey)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	vkey, err := verifierKey(skey)
	if err != nil {
		return nil, err
	}
	return &Signer{signer: s, vkey: vkey}, nil
}

// Origin returns the name of the ledger, the first line of its checkpoints.
func (s *Signer) Origin() string { return s.signer.Name() }

// VerifierKey returns what others need to check the hub's signatures, as a
// signed-note vkey.
func (s *Signer) VerifierKey() string { return s.vkey }

// verifierKey derives the verifier key from a signing key in the form that
// golang.org/x/mod gives it: PRIVATE+KEY+<name>+<id>+base64(type ‖ seed).
func verifierKey(skey string) (string, error) {
	fields := strings.SplitN(skey, "+", 5)
	if len(fields) != 5 {
		return "", errors.New("signing key: malformed")
	}
	key, err := base64.StdEncoding.DecodeString(fields[4])
	if err != nil || len(key) != 1+ed25519.SeedSize {
		return "", errors.New("signing key: malformed")
	}
	pub, ok := ed25519.NewKeyFromSeed(key[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("signing key: malformed")
	}
	return note.NewEd25519VerifierKey(fields[2], pub)
}

// LoadOrCreate returns the signer whose key lies in the hub's data folder, and
// makes the key when there is none. The file can be read by its owner only and
// is durable when LoadOrCreate returns. A key for another origin is an error:
// with it the hub would sign as somebody else.
func LoadOrCreate(data *os.Root, origin string) (*Signer, error) {
	skey, err := ReadKey(data)
	if errors.Is(err, fs.ErrNotExist) {
		skey, err = createKey(data, origin)
	}
	if err != nil {
		return nil, err
	}
	s, err := NewSigner(skey)
	if err != nil {
		return nil, err
	}
	if s.Origin() != origin {
		return nil, fmt.Errorf("the signing key in %s is for the ledger %q, and this hub's is %q", keyFile, s.Origin(), origin)
	}
	return s, nil
}

// ReadKey returns the key that lies in the hub's data folder, as [NewKey] made
// it. The error is [fs.ErrNotExist] when there is none.
func ReadKey(data *os.Root) (skey string, err error) {
	b, err := readKey(data)
	if err != nil {
		return "", fmt.Errorf("signing key: %w", err)
	}
	return strings.TrimSuffix(string(b), "\n"), nil
}

// KeepKey puts a key into a hub's data folder, where it is durable when KeepKey
// returns. A folder that has another one is an error.
func KeepKey(data *os.Root, skey string) error {
	kept, err := keepKey(data, skey)
	if err == nil && kept != skey {
		err = fmt.Errorf("signing key: %s holds another one", keyFile)
	}
	return err
}

// ForgetKey removes the key from a data folder, if there is one.
func ForgetKey(data *os.Root) error {
	err := data.Remove(keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncDir(data)
	}
	if err != nil {
		return fmt.Errorf("signing key: %w", err)
	}
	return nil
}

func readKey(data *os.Root) ([]byte, error) {
	f, err := data.Open(keyFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	// Windows has no such bits.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others than its owner may use %s: chmod 600 it, and think about who may have read it", keyFile)
	}
	const most = 4096
	return io.ReadAll(io.LimitReader(f, most))
}

// createKey makes a key, and returns the one that is kept.
func createKey(data *os.Root, origin string) (skey string, err error) {
	if skey, err = NewKey(origin); err != nil {
		return "", err
	}
	return keepKey(data, skey)
}

// keepKey makes a key file that is either not there or whole, even when the
// power goes: the content is on disk before the name is, and the name is on disk
// before keepKey returns. When two processes start at once, one key wins.
func keepKey(data *os.Root, skey string) (kept string, err error) {
	tmp := keyFile + "." + rand.Text()
	f, err := data.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("signing key: %w", err)
	}
	defer func() { _ = data.Remove(tmp) }()
	_, err = f.WriteString(skey + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", fmt.Errorf("signing key: %w", err)
	}
	// A link, unlike a rename, does not replace what is there.
	if err := data.Link(tmp, keyFile); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("signing key: %w", err)
	}
	if err := syncDir(data); err != nil {
		return "", fmt.Errorf("signing key: %w", err)
	}
	return ReadKey(data)
}

func syncDir(data *os.Root) error {
	if runtime.GOOS == "windows" { // where folders cannot be synced
		return nil
	}
	d, err := data.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

package hub

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"tocsin"
	"tocsin/internal/ledger"
	"tocsin/internal/store/postgres"
)

// Replicas of a hub on one database are one hub: one identity, one signing key.
// Both lie in the database, sealed (AES-256-GCM) under a key that every replica
// has in a file and that the database never sees: who gets at the database, or
// at a backup of it, can neither sign as the hub nor link minimized copies.

// KeyFile is where the key lies in the data folder of each replica.
const KeyFile = "hub.key"

// sealedAs is the additional data of the seal: what is in it, for which program.
const sealedAs = "tocsin hub identity 1"

// secrets are what is sealed.
type secrets struct {
	Identity identity `json:"identity"`
	Key      string   `json:"key"` // the ledger's signing key
}

// openDatabase opens the hub that lives in a database, or makes it there. The
// first replica makes hub.key; the others are given a copy of it.
func (h *hub) openDatabase(ctx context.Context, root *os.Root, o Options) (err error) {
	db, err := postgres.Connect(ctx, o.DB, 0)
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	s, err := loadSecrets(ctx, root, db, o.URL)
	if err != nil {
		return err
	}
	h.identity = s.Identity
	signer, err := ledger.NewSigner(s.Key)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	h.verifierKey = signer.VerifierKey()
	replica, err := db.Open(ctx, signer, postgres.Options{Covers: h.policy.Covers})
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	h.store, h.replica = replica, replica
	return nil
}

// loadSecrets reads what is sealed in the database, and makes it on the first
// start of the first replica.
func loadSecrets(ctx context.Context, root *os.Root, db *postgres.DB, url string) (secrets, error) {
	sealed, err := db.Sealed(ctx)
	if err != nil {
		return secrets{}, err
	}
	if sealed != nil {
		return unseal(root, sealed)
	}
	id := newIdentity(url)
	skey, err := ledger.NewKey(id.Origin)
	if err != nil {
		return secrets{}, err
	}
	return keepSecrets(ctx, root, db, secrets{id, skey})
}

// keepSecrets seals a hub's secrets into a database that has none. When another
// replica was faster, the answer is that one's.
func keepSecrets(ctx context.Context, root *os.Root, db *postgres.DB, s secrets) (secrets, error) {
	key, made, err := sealKey(root)
	if err != nil {
		return secrets{}, err
	}
	sealed, err := seal(key, s)
	if err != nil {
		return secrets{}, err
	}
	kept, err := db.Keep(ctx, sealed)
	if err != nil {
		return secrets{}, err
	}
	out, err := unseal(root, kept)
	if err != nil && made { // it opens nothing, and would be in the way of the right one
		err = errors.Join(err, root.Remove(KeyFile))
	}
	return out, err
}

// sealKey returns the key in the data folder, and makes one when there is none.
// It is on disk before anything is sealed under it.
func sealKey(root *os.Root) (key []byte, made bool, err error) {
	key, err = readSealKey(root)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	key = make([]byte, 32)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	if err := writeFile(root, KeyFile, []byte(base64.StdEncoding.EncodeToString(key)+"\n")); err != nil {
		return nil, false, fmt.Errorf("%s: %w", KeyFile, err)
	}
	return key, true, nil
}

func readSealKey(root *os.Root) ([]byte, error) {
	text, err := root.ReadFile(KeyFile)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != 32 {
		return nil, &tocsin.Error{Kind: tocsin.Invalid, Message: KeyFile + " in the data folder is damaged", Hint: "copy it again from another replica, or from where you keep it"}
	}
	return key, nil
}

func seal(key []byte, s secrets) ([]byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, text, []byte(sealedAs)), nil //nolint:gosec // newAEAD draws the nonce
}

// unseal opens what the database holds with the key in the data folder.
func unseal(root *os.Root, sealed []byte) (s secrets, err error) {
	key, err := readSealKey(root)
	if errors.Is(err, fs.ErrNotExist) {
		return secrets{}, &tocsin.Error{
			Kind: tocsin.Invalid, Message: "the database holds a hub already, and its key is not here",
			Hint: "copy " + KeyFile + " from the data folder of the replica that was started first into --data of this one, readable by its owner only",
		}
	}
	if err != nil {
		return secrets{}, err
	}
	aead, err := newAEAD(key)
	if err != nil {
		return secrets{}, err
	}
	text, err := aead.Open(nil, nil, sealed, []byte(sealedAs))
	if err != nil {
		return secrets{}, &tocsin.Error{
			Kind: tocsin.Invalid, Message: "the database holds another hub than the one that " + KeyFile + " in the data folder belongs to",
			Hint: "check the database's address, or copy " + KeyFile + " from a replica of the hub that lives there",
		}
	}
	if err := json.Unmarshal(text, &s); err != nil || s.Key == "" || len(s.Identity.Secret) != 32 {
		return secrets{}, &tocsin.Error{Kind: tocsin.Invalid, Message: "the hub's identity in the database is damaged", Hint: "restore a backup"}
	}
	return s, nil
}

// newAEAD draws nonces by itself and puts them before what it seals.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

package hub

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	"tocsin"
	"tocsin/stix"
)

const identityFile = "hub.json"

// identity is what makes a hub this hub, whatever its address: made on the
// first start, kept in the data folder, never changed. Whoever loses it loses
// the ledger's name and the links between minimized copies and originals.
type identity struct {
	Origin   string `json:"origin"`   // name of the ledger (C2SP tlog-checkpoint)
	Identity string `json:"identity"` // the STIX identity in whose name the hub makes changed copies
	Secret   []byte `json:"secret"`   // 32 random bytes: cursors and ids of changed copies come from it
}

// loadIdentity reads the hub's identity, and makes one on the first start. A
// public URL that is known by then names the ledger, as C2SP tlog-tiles advises.
func loadIdentity(root *os.Root, public string) (identity, error) {
	text, err := root.ReadFile(identityFile)
	if errors.Is(err, fs.ErrNotExist) {
		return makeIdentity(root, public)
	}
	if err != nil {
		return identity{}, fmt.Errorf("hub identity: %w", err)
	}
	var id identity
	if err := json.Unmarshal(text, &id); err != nil || id.Origin == "" || len(id.Secret) != 32 {
		return identity{}, &tocsin.Error{
			Kind: tocsin.Invalid, Message: identityFile + " in the data folder is damaged",
			Hint: "restore it from a backup: without it the hub would sign as somebody else",
		}
	}
	return id, nil
}

func makeIdentity(root *os.Root, public string) (identity, error) {
	id := newIdentity(public)
	return id, writeIdentity(root, id)
}

func newIdentity(public string) identity {
	id := identity{Secret: make([]byte, 32)}
	_, _ = rand.Read(id.Secret) // never fails (crypto/rand)
	uuid := stix.UUIDv4()
	id.Origin = "hub-" + uuid[:8] + ".tocsin.invalid/log"
	if p, err := url.Parse(public); err == nil && p.Host != "" {
		id.Origin = p.Host + "/log"
	}
	id.Identity = "identity--" + uuid
	return id
}

func writeIdentity(root *os.Root, id identity) error {
	text, err := json.MarshalIndent(id, //nolint:gosec // the file is 0600 and is where the secret lives
		"", "  ")
	if err != nil {
		return fmt.Errorf("hub identity: %w", err)
	}
	if err := writeFile(root, identityFile, append(text, '\n')); err != nil {
		return fmt.Errorf("hub identity: %w", err)
	}
	return nil
}

// writeFile makes a file that is either not there or whole, even when the power
// goes.
func writeFile(root *os.Root, name string, text []byte) error {
	f, err := root.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := root.Rename(name+".new", name); err != nil {
		return err
	}
	folder, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

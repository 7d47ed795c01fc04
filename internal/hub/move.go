package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tocsin"
	"tocsin/internal/ledger"
	"tocsin/internal/store"
	"tocsin/internal/store/postgres"
	"tocsin/internal/store/sqlite"
)

// MoveOptions say where a hub is moved from and to. Each end is a data folder, in
// which a SQLite file lies, or the address of a PostgreSQL database.
type MoveOptions struct {
	From, To string
	Keys     string // folder with hub.key, where an end is a database; it is made there when a hub moves from a folder
	Again    bool   // erase what a move that did not end has left in To, and begin anew
	// Progress, which may be nil, is told of each step how far it is.
	Progress func(step string, done, total int64)
}

// Moved says what was moved.
type Moved struct {
	store.Moved

	From, To    string // for people, without secrets
	VerifierKey string // of the ledger, as before
}

// An end is a store that a hub is moved from or to.
type end interface {
	store.Target
	Close() error
}

// IsDatabase reports whether where a hub lives is a PostgreSQL database.
func IsDatabase(where string) bool {
	return strings.HasPrefix(where, "postgres://") || strings.HasPrefix(where, "postgresql://")
}

// A move is what is known of the hub on its way.
type move struct {
	MoveOptions

	secrets  secrets
	sealed   []byte // as the database has it that the hub is moved from
	signer   *ledger.Signer
	from, to string // for people
	target   *os.Root
}

// MoveHub moves a hub from one store to another, ledger and all, and makes sure
// that it can run in only one of them ([store.Move]). No hub may run on either.
// When it fails, the same call can be made again.
func MoveHub(ctx context.Context, o MoveOptions) (_ Moved, err error) {
	m := &move{MoveOptions: o}
	from, err := m.openSource(ctx)
	if err != nil {
		return Moved{}, fmt.Errorf("source: %w", err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := m.openTarget(ctx)
	if err != nil {
		return Moved{}, fmt.Errorf("target: %w", err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if m.target != nil {
		defer func() { err = errors.Join(err, m.target.Close()) }()
	}
	if err := m.vacant(ctx, from, to); err != nil {
		return Moved{}, fmt.Errorf("target: %w", err)
	}
	do := store.Move{
		Hub: m.signer.VerifierKey(), From: m.from, To: m.to, Again: o.Again, Keep: m.keep, Forget: m.forget, Progress: o.Progress,
	}
	moved, err := do.Do(ctx, from, to)
	if err != nil {
		return Moved{}, fmt.Errorf("move: %w", err)
	}
	return Moved{moved, m.from, m.to, m.signer.VerifierKey()}, nil
}

func (m *move) openSource(ctx context.Context) (_ end, err error) {
	if IsDatabase(m.From) {
		return m.openSourceDatabase(ctx)
	}
	if m.from, err = place(m.From); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(m.From)
	if err != nil {
		return nil, noHub("the folder cannot be opened: " + cause(err))
	}
	defer func() { _ = root.Close() }() // it was only read
	for _, name := range []string{identityFile, ledgerKeyFile, sqlite.File} {
		if _, err := root.Stat(name); err != nil {
			return nil, noHub("no hub lives in the folder: " + name + " is not there")
		}
	}
	if m.secrets.Identity, err = loadIdentity(root, ""); err != nil {
		return nil, err
	}
	if m.secrets.Key, err = ledger.ReadKey(root); err != nil {
		return nil, err
	}
	if m.signer, err = ledger.NewSigner(m.secrets.Key); err != nil {
		return nil, err
	}
	return openFolderEnd(ctx, m.From, m.signer)
}

// ledgerKeyFile is where ledger keeps the signing key.
const ledgerKeyFile = "ledger.key"

func noHub(message string) error {
	return &tocsin.Error{Kind: tocsin.NotFound, Message: message, Hint: "give --from the data folder of a hub, or the address of its database"}
}

// place says where a folder is, for people on whichever machine.
func place(folder string) (string, error) {
	path, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	if host, err := os.Hostname(); err == nil {
		path += " on " + host
	}
	return path, nil
}

// openFolderEnd opens a data folder that no hub runs on.
func openFolderEnd(ctx context.Context, folder string, signer *ledger.Signer) (end, error) {
	e, err := sqlite.OpenEnd(ctx, folder, signer)
	if errors.Is(err, sqlite.ErrInUse) {
		return nil, &tocsin.Error{Kind: tocsin.Busy, Message: "a hub runs on the data folder", Hint: "stop it first, then move"}
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (m *move) openSourceDatabase(ctx context.Context) (_ end, err error) {
	db, err := postgres.ConnectToMove(ctx, m.From)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	m.from = db.Place()
	if m.sealed, err = db.Sealed(ctx); err != nil {
		return nil, err
	}
	if m.sealed == nil {
		return nil, noHub("no hub lives in the database")
	}
	keys, err := openKeys(m.Keys, false)
	if err != nil {
		return nil, err
	}
	defer func() { _ = keys.Close() }() // it was only read
	if m.secrets, err = unseal(keys, m.sealed); err != nil {
		return nil, err
	}
	if m.signer, err = ledger.NewSigner(m.secrets.Key); err != nil {
		return nil, err
	}
	return db.Source(ctx, m.signer)
}

// openKeys opens the folder with hub.key.
func openKeys(folder string, create bool) (*os.Root, error) {
	if create {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, &tocsin.Error{Kind: tocsin.Busy, Message: "the folder for " + KeyFile + " cannot be made: " + cause(err), Hint: "choose another with --data"}
		}
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, &tocsin.Error{Kind: tocsin.Invalid, Message: "the folder with " + KeyFile + " cannot be opened: " + cause(err), Hint: "say with --data where it is"}
	}
	return root, nil
}

func (m *move) openTarget(ctx context.Context) (_ end, err error) {
	if IsDatabase(m.To) {
		return m.openTargetDatabase(ctx)
	}
	if m.to, err = place(m.To); err != nil {
		return nil, err
	}
	if m.to == m.from {
		return nil, &tocsin.Error{Kind: tocsin.Invalid, Message: "both ends are the same folder", Hint: "choose another with --to"}
	}
	if err := os.MkdirAll(m.To, 0o700); err != nil {
		return nil, &tocsin.Error{Kind: tocsin.Busy, Message: "the folder cannot be made: " + cause(err), Hint: "choose another with --to"}
	}
	if m.target, err = os.OpenRoot(m.To); err != nil {
		return nil, &tocsin.Error{Kind: tocsin.Busy, Message: "the folder cannot be opened: " + cause(err), Hint: "choose another with --to"}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.target.Close())
		}
	}()
	if _, err := m.target.Stat(sqlite.File); errors.Is(err, fs.ErrNotExist) && m.keyed() {
		return nil, occupied() // and no file is made beside them
	}
	return openFolderEnd(ctx, m.To, m.signer)
}

// vacant makes sure that the folder that a move begins in has no keys of a hub.
func (m *move) vacant(ctx context.Context, from, to store.End) error {
	source, err := from.Mark(ctx)
	if err != nil {
		return err
	}
	target, err := to.Mark(ctx)
	if err == nil && source.Phase == store.Home && target.Phase == store.Home && m.keyed() {
		err = occupied()
	}
	return err
}

// keyed reports whether a target that is a folder has keys of a hub.
func (m *move) keyed() bool {
	if m.target == nil {
		return false
	}
	_, identity := m.target.Stat(identityFile)
	_, key := m.target.Stat(ledgerKeyFile)
	return identity == nil || key == nil
}

func occupied() error {
	return &tocsin.Error{Kind: tocsin.Conflict, Message: "the target is not empty: a hub lives there, or did", Hint: "choose an empty folder or database"}
}

func (m *move) openTargetDatabase(ctx context.Context) (_ end, err error) {
	db, err := postgres.ConnectToMove(ctx, m.To)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	m.to = db.Place()
	if m.sealed != nil { // from a database: the same hub.key opens it
		return db.Target(m.signer, m.sealed), nil
	}
	if used, err := used(ctx, db); err != nil || used {
		return db.Target(m.signer, nil), err // which the move refuses; no key is made beside the right one
	}
	keys, err := openKeys(m.Keys, true)
	if err != nil {
		return nil, err
	}
	defer func() { _ = keys.Close() }() // what was written is durable
	key, _, err := sealKey(keys)
	if err != nil {
		return nil, err
	}
	sealed, err := seal(key, m.secrets)
	if err != nil {
		return nil, err
	}
	return db.Target(m.signer, sealed), nil
}

// used reports whether a hub lives in a database, or did.
func used(ctx context.Context, db *postgres.DB) (bool, error) {
	sealed, err := db.Sealed(ctx)
	if err != nil || sealed == nil {
		return false, err
	}
	mark, err := db.Target(nil, nil).Mark(ctx)
	return mark.Phase == store.Home || mark.Phase == store.Gone, err
}

// keep puts the keys into a target that is a folder. A database has got them
// with its mark.
func (m *move) keep() error {
	if m.target == nil {
		return nil
	}
	if err := writeIdentity(m.target, m.secrets.Identity); err != nil {
		return err
	}
	return ledger.KeepKey(m.target, m.secrets.Key)
}

// forget removes the keys from a target that is a folder, so that no hub can
// run there while it has no mark.
func (m *move) forget() error {
	if m.target == nil {
		return nil
	}
	if err := ledger.ForgetKey(m.target); err != nil {
		return err
	}
	if err := m.target.Remove(identityFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

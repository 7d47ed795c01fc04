package sqlite

import (
	"context"
	"testing"

	"tocsin/internal/ledger"
	"tocsin/internal/store"
	"tocsin/internal/store/storetest"
)

// movable makes an empty folder for a hub.
func movable(t *testing.T, signer *ledger.Signer) storetest.Movable {
	dir := t.TempDir()
	return storetest.Movable{
		Open: func() (store.Store, error) {
			s, err := Open(context.Background(), dir, signer, Options{})
			if err != nil {
				return nil, err
			}
			return s, nil
		},
		End:         func() (storetest.End, error) { return OpenEnd(context.Background(), dir, signer) },
		VerifierKey: signer.VerifierKey(),
	}
}

func TestMoves(t *testing.T) {
	signer := newSigner(t)
	place := func(t *testing.T) storetest.Movable { return movable(t, signer) }
	storetest.Moves(t, place, place)
	storetest.MovesAfterCuts(t, place, place)
}

// TestMoveCarriesEveryColumn fails when the schema has a table or a column that
// a move neither carries nor makes anew.
func TestMoveCarriesEveryColumn(t *testing.T) {
	anew := map[string]bool{ // and why
		"ids.at": true, "ids.block": true, // the index of ids, made of the objects
		"idruns.run": true, "idruns.level": true, "idruns.first": true, "idruns.last": true,
		"moved.one": true, "moved.phase": true, "moved.move": true, "moved.hub": true, "moved.place": true, // of the move itself
		"checkpoint.one": true, // always 1
	}
	carried := map[string]bool{}
	for _, k := range store.Kinds() {
		more, _ := derived(k)
		for _, column := range append(k.Names(), more...) {
			carried[tableOf(k)+"."+column] = true
		}
	}
	s := openStore(t, t.TempDir(), newSigner(t), Options{})
	n := 0
	err := s.readers.read(t.Context(), func(c *conn) (err error) {
		for r := range c.rows(&err, "SELECT t.name || '.' || c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'") {
			n++
			column := r.ColumnText(0)
			if carried[column] == anew[column] {
				t.Errorf("%s: a move has to carry it (store.Kinds), or to make it anew", column)
			}
			delete(carried, column)
		}
		return err
	})
	if err != nil || n < 40 {
		t.Errorf("%d columns, %v", n, err)
	}
	delete(carried, "checkpoint.seq") // what objects say
	delete(carried, "checkpoint.added")
	for column := range carried {
		t.Errorf("%s: a move carries it, and no table has it", column)
	}
}

func TestMoveNeedsTheFolderForItself(t *testing.T) {
	dir, signer := t.TempDir(), newSigner(t)
	s := openStore(t, dir, signer, Options{})
	if _, err := OpenEnd(t.Context(), dir, signer); err == nil {
		t.Error("a move began while a hub runs")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	e, err := OpenEnd(t.Context(), dir, signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, signer, Options{}); err == nil {
		t.Error("a hub was started during a move")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

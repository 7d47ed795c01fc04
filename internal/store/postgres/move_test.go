package postgres

import (
	"context"
	"strings"
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/store"
	"tocsin/internal/store/postgres/pgtest"
	"tocsin/internal/store/sqlite"
	"tocsin/internal/store/storetest"
)

// movable makes an empty database for a hub.
func movable(t *testing.T, server *pgtest.Server, signer *ledger.Signer) storetest.Movable {
	url := server.Database(t)
	return storetest.Movable{
		Open: func() (store.Store, error) {
			db, err := Connect(context.Background(), url, 0)
			if err != nil {
				return nil, err
			}
			sealed, err := db.Keep(context.Background(), []byte("sealed")) // as a hub does
			if err == nil && string(sealed) != "sealed" {
				t.Errorf("the hub's identity is %q", sealed)
			}
			var s *Store
			if err == nil {
				s, err = db.Open(context.Background(), signer, Options{})
			}
			if err != nil {
				db.Close()
				return nil, err
			}
			return s, nil
		},
		End: func() (storetest.End, error) {
			db, err := ConnectToMove(context.Background(), url)
			if err != nil {
				return nil, err
			}
			if sealed, err := db.Sealed(context.Background()); err != nil || sealed == nil {
				return db.Target(signer, []byte("sealed")), err
			}
			if m, err := db.Target(nil, nil).Mark(context.Background()); err != nil || m.Phase == store.Coming || m.Phase == store.Whole {
				return db.Target(signer, []byte("sealed")), err
			}
			e, err := db.Source(context.Background(), signer)
			if err != nil {
				db.Close()
				return nil, err
			}
			return e, nil
		},
		VerifierKey: signer.VerifierKey(),
	}
}

func folder(t *testing.T, signer *ledger.Signer) storetest.Movable {
	dir := t.TempDir()
	return storetest.Movable{
		Open: func() (store.Store, error) {
			s, err := sqlite.Open(context.Background(), dir, signer, sqlite.Options{})
			if err != nil {
				return nil, err
			}
			return s, nil
		},
		End:         func() (storetest.End, error) { return sqlite.OpenEnd(context.Background(), dir, signer) },
		VerifierKey: signer.VerifierKey(),
	}
}

func TestMoves(t *testing.T) {
	server, signer := pgtest.Start(t), newSigner(t)
	database := func(t *testing.T) storetest.Movable { return movable(t, server, signer) }
	file := func(t *testing.T) storetest.Movable { return folder(t, signer) }
	t.Run("FromPostgreSQL", func(t *testing.T) { storetest.Moves(t, database, database) })
	t.Run("FromPostgreSQLToSQLite", func(t *testing.T) {
		storetest.Moves(t, database, file)
		storetest.MovesAfterCuts(t, database, file)
	})
	t.Run("FromSQLite", func(t *testing.T) {
		storetest.Moves(t, file, database)
		storetest.MovesAfterCuts(t, file, database)
	})
}

// TestMoveCarriesEveryColumn fails when the schema has a table or a column that
// a move neither carries nor makes anew.
func TestMoveCarriesEveryColumn(t *testing.T) {
	anew := map[string]bool{ // and why
		"objects.replaces": true,                     // for replicas that ran when the tombstone was made
		"hub.one":          true, "hub.sealed": true, // the keys, which internal/hub moves
		"schema_version.one": true, "schema_version.version": true,
		"moved.one": true, "moved.move": true, "moved.hub": true, "moved.place": true, // of the move itself
		"sequencer.one": true, "sequencer.commits": true, "sequencer.holder": true, "sequencer.directory": true, "sequencer.moved": true, // begin anew
		"sequencer.collections": true, "sequencer.labels": true, // the last numbers in those tables
	}
	carried := map[string]bool{}
	for _, k := range store.Kinds() {
		more, _ := derived(k)
		table := strings.Replace(k.Name, store.Standing, "sequencer", 1)
		for _, column := range append(k.Names(), more...) {
			carried[table+"."+column] = true
		}
	}
	s := openStore(t, pgtest.Start(t).Database(t), newSigner(t), Options{})
	rows, err := s.pool.Query(t.Context(), "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = current_schema()")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var column string
		if err := rows.Scan(&column); err != nil {
			t.Fatal(err)
		}
		if carried[column] == anew[column] {
			t.Errorf("%s: a move has to carry it (store.Kinds), or to make it anew", column)
		}
		delete(carried, column)
	}
	if err := rows.Err(); err != nil || n < 60 {
		t.Errorf("%d columns, %v", n, err)
	}
	for column := range carried {
		t.Errorf("%s: a move carries it, and no table has it", column)
	}
}

// TestMoveIsFenced: while a move has a database, no replica writes there.
func TestMoveIsFenced(t *testing.T) {
	server, signer := pgtest.Start(t), newSigner(t)
	url := server.Database(t)
	s := openStore(t, url+"&lock_timeout=500ms", signer, Options{Patience: time.Second})
	record(t, s, storetest.Indicator(1, 0))
	db, err := ConnectToMove(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Source(t.Context(), signer); err == nil || !strings.Contains(err.Error(), "replicas of the hub are connected") {
		t.Errorf("Source while a replica runs = %v", err)
	}
	// A replica that is not seen, as behind a pooler with another name.
	e := &End{db: db, signer: signer}
	if err := e.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Record(t.Context(), storetest.Admit(t, storetest.Member("bank"), storetest.Target(), storetest.Indicator(2, 0))); err == nil {
		t.Error("a replica wrote during a move")
	}
	confirmation := store.Confirmation{Agent: store.Agent{Organization: "bank", Token: "t", Instance: "i"}, Collection: storetest.Target().Collection, Position: 1, Seen: time.Now()}
	if err := s.Confirm(t.Context(), confirmation); err == nil {
		t.Error("a replica wrote beside the order during a move")
	}
	if err := e.SetMark(t.Context(), store.Mark{Phase: store.Gone, Move: "m", Hub: signer.VerifierKey(), Place: "elsewhere"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Confirm(t.Context(), confirmation); err == nil || !strings.Contains(err.Error(), "moved to elsewhere") {
		t.Errorf("Confirm after the move = %v", err)
	}
	select {
	case <-s.Failed():
	case <-time.After(10 * time.Second):
		t.Error("a replica goes on after the hub has moved")
	}
	if _, err := s.Record(t.Context(), storetest.Admit(t, storetest.Member("bank"), storetest.Target(), storetest.Indicator(3, 0))); err == nil || !strings.Contains(err.Error(), "moved to elsewhere") {
		t.Errorf("Record after the move = %v", err)
	}
}

func TestPlaceHasNoSecrets(t *testing.T) {
	server := pgtest.Start(t)
	db, err := ConnectToMove(t.Context(), strings.Replace(server.Database(t), "tocsin@", "tocsin:s3cret@", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if place := db.Place(); strings.Contains(place, "s3cret") || strings.Contains(place, "tocsin") || !strings.Contains(place, "127.0.0.1") {
		t.Errorf("Place = %q", place)
	}
}

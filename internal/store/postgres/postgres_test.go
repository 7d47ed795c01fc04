package postgres

import (
	"context"
	"testing"

	"tocsin/internal/ledger"
	"tocsin/internal/store"
	"tocsin/internal/store/postgres/pgtest"
	"tocsin/internal/store/storetest"
)

func newSigner(t testing.TB) *ledger.Signer {
	t.Helper()
	skey, err := ledger.NewKey("hub.example.com/log")
	if err != nil {
		t.Fatal(err)
	}
	s, err := ledger.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openStore(t testing.TB, url string, signer *ledger.Signer, o Options) *Store {
	t.Helper()
	db, err := Connect(context.Background(), url, o.Connections)
	if err != nil {
		t.Fatal(err)
	}
	s, err := db.Open(context.Background(), signer, o)
	if err != nil {
		db.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStoreConforms(t *testing.T) {
	server := pgtest.Start(t)
	storetest.Run(t, func(t *testing.T) storetest.Place {
		url, signer := server.Database(t), newSigner(t)
		return storetest.Place{
			Open:        func(t *testing.T) store.Store { return openStore(t, url, signer, Options{}) },
			VerifierKey: signer.VerifierKey(),
		}
	})
}

package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/store"
	"tocsin/internal/store/postgres/pgtest"
	"tocsin/internal/store/storetest"
	"tocsin/receipt"
)

// TestVerifyFindsWhatWasChanged edits the database as somebody with access to it
// could.
func TestVerifyFindsWhatWasChanged(t *testing.T) {
	s := openStore(t, pgtest.Start(t).Database(t), newSigner(t), Options{})
	ctx := t.Context()
	if err := s.Verify(ctx, nil); err != nil {
		t.Errorf("Verify of an empty store = %v", err)
	}
	for i := range 20 {
		record(t, s, storetest.Indicator(2*i, 0), storetest.Indicator(2*i+1, 0))
	}
	n, _, err := s.Withdraw(ctx, store.Withdrawal{
		Who: storetest.Member("bank"), Community: "finance", Collection: storetest.Target().Collection, Versions: store.VersionsOf(storetest.IndicatorID(5), 6),
	})
	if n != 1 || err != nil {
		t.Fatalf("Withdraw = %d, %v", n, err)
	}
	reads := make([]receipt.Disclosure, 2*pageRecords) // records of more than one page
	for i := range reads {
		reads[i] = receipt.Disclosure{Organization: "agency", Community: "finance", From: 1, To: 9}
	}
	if err := s.Disclose(ctx, reads); err != nil {
		t.Fatal(err)
	}
	record(t, s, storetest.Indicator(50, 0))
	var done, total int64
	if err := s.Verify(ctx, func(d, n int64) { done, total = d, n }); err != nil || done != total || total != 41+22+2*pageRecords {
		t.Errorf("Verify = %v after %d of %d", err, done, total)
	}
	for name, tt := range map[string]struct{ sql, want string }{
		"an object's content":     {"UPDATE objects SET raw = '{}' WHERE seq = 7", "object 7: its content"},
		"content and its hash":    {"UPDATE objects SET raw = '{}', sha256 = sha256('{}') WHERE seq = 7", "object 7 is not the one that was shared"},
		"that of the last page":   {"UPDATE objects SET raw = '{}', sha256 = sha256('{}') WHERE seq = 42", "object 42 is not the one that was shared"},
		"an object's id":          {"UPDATE objects SET id = 'indicator--0' WHERE seq = 7", "object 7: its id"},
		"date_added":              {"UPDATE objects SET added = 0 WHERE seq = 7", "object 7: its date_added"},
		"a statement":             {"UPDATE records SET statement = statement || ' ' WHERE leaf = 3", "record 3: its entry"},
		"a salt of a later page":  {"UPDATE records SET salt = '\\x00' WHERE leaf = 1500", "record 1500: its entry"},
		"an entry":                {"UPDATE records SET entry = '\\x00' WHERE leaf = 3", "record 3: its entry"},
		"a hash of the tree":      {"UPDATE hashes SET hash = sha256('') WHERE position = 1", "record 1: the ledger's tree"},
		"one of a later page":     {"UPDATE hashes SET hash = sha256('') WHERE position = 3001", "the ledger's tree"},
		"a hash removed":          {"DELETE FROM hashes WHERE position = 11", "hash 11 is not there"},
		"the last record removed": {"DELETE FROM records WHERE leaf = 2021", "checkpoint: it is not that of the 2021 records"},
		"a number left out":       {"UPDATE records SET leaf = 9999 WHERE leaf = 1200", "record 1201: its entry"},
		"the order's end":         {"UPDATE sequencer SET seq = 40", "the order ends at 40"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := errors.New("not to be kept")
			err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, tt.sql); err != nil {
					return err
				}
				v := &verification{s: s, tx: tx}
				for _, step := range []func(context.Context) error{v.checkpoint, v.objects, v.records} {
					if err := step(ctx); err != nil {
						return errors.Join(changed, err)
					}
				}
				return changed
			})
			if !errors.Is(err, changed) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Verify = %v, want %q", err, tt.want)
			}
		})
	}
}

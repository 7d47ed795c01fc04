package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tocsin"
	"tocsin/internal/store"
)

// ahead is indicator number n in a version of the year 2099.
func ahead(n int) string {
	return strings.Replace(Indicator(n, 0), `"modified":"2026`, `"modified":"2099`, 1)
}

func future(t *testing.T, p Place) {
	s := open(t, p)
	ctx := context.Background()
	r := share(t, s, "bank", ahead(1), Indicator(2, 0), ahead(3))
	if len(r.Pending) != 2 || len(r.Successes) != 1 || len(r.Failures) != 0 {
		t.Fatalf("recorded %+v, want two pending and one success", r)
	}
	if got := scan(t, s, collection, 10); len(got) != 1 {
		t.Errorf("Scan = %d objects, want the one of today", len(got))
	}
	if due, err := s.Due(ctx, time.Now(), 10); len(due) != 0 || err != nil {
		t.Errorf("Due now = %d holds, %v, want none", len(due), err)
	}
	s = reopen(t, s, p)
	expired := time.Now().Add(31 * 24 * time.Hour)
	due, err := s.Due(ctx, expired, 10)
	if err != nil || len(due) != 2 {
		t.Fatalf("Due in 31 days = %d holds, %v, want 2", len(due), err)
	}
	if one, err := s.Due(ctx, expired, 1); len(one) != 1 || err != nil {
		t.Errorf("Due in 31 days, one at most = %d holds, %v", len(one), err)
	}
	if held, err := s.Held(ctx, "bank"); len(held) != 2 || err != nil || held[0].ID != IndicatorID(1) || held[0].Raw != nil {
		t.Errorf("Held = %+v, %v, want both, without content", held, err)
	}
	if held, err := s.Held(ctx, "insurer"); len(held) != 0 || err != nil {
		t.Errorf("Held of another organization = %+v, %v", held, err)
	}
	h := due[0]
	want := store.Hold{
		Number: h.Number, Submission: r.ID, Who: store.Holder{Organization: "bank", User: "ada", Purpose: "cybersecurity"}, Target: Target(),
		ID: IndicatorID(1), Version: "2099-01-01T00:00:00.000Z", Due: time.Date(2098, 12, 31, 23, 0, 0, 0, time.UTC), Expires: h.Expires,
		Raw: []byte(ahead(1)),
	}
	if diff := cmp.Diff(want, h, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("hold differs (-want +got):\n%s", diff)
	}
	success := store.Success{ID: h.ID, Version: h.Version, Seq: 7, Known: true}
	refusal := &tocsin.Error{Kind: tocsin.Invalid, At: "/modified", Clause: "STIX 2.1 §3.6", Message: "too far", Hint: "look"}
	for range 2 { // what has ended stays as it is
		if err := s.Settle(ctx, due[0].Number, store.Settlement{Success: &success}); err != nil {
			t.Fatal(err)
		}
		if err := s.Settle(ctx, due[1].Number, store.Settlement{Err: refusal}); err != nil {
			t.Fatal(err)
		}
		success.Seq, refusal = 8, &tocsin.Error{Kind: tocsin.Conflict, Message: "another"}
	}
	s = reopen(t, s, p)
	if due, err := s.Due(ctx, expired, 10); len(due) != 0 || err != nil {
		t.Errorf("Due after all have ended = %d holds, %v", len(due), err)
	}
	got, err := s.Submission(ctx, r.ID)
	if err != nil || len(got.Pending) != 0 || len(got.Successes) != 2 || got.Successes[1].Seq != 7 || len(got.Failures) != 1 || got.Failures[0].Err.Message != "too far" {
		t.Errorf("Submission = %+v, %v, want what became of the holds", got, err)
	}
}

// crowd checks that nobody can fill the hub with versions that nobody sees.
func crowd(t *testing.T, p Place) {
	s := open(t, p)
	objects := make([]string, store.MaxHeld+1)
	for i := range objects {
		objects[i] = strings.Replace(ahead(i), `"2099-01-01T00:00:00.000Z"`, fmt.Sprintf(`"2099-01-01T00:00:00.%03dZ"`, i%1000), 1)
	}
	r := share(t, s, "bank", objects...)
	if len(r.Pending) != store.MaxHeld || len(r.Failures) != 1 {
		t.Errorf("%d pending, %d failures, want %d and 1", len(r.Pending), len(r.Failures), store.MaxHeld)
	}
	if again := share(t, s, "bank", ahead(5000)); len(again.Failures) != 1 {
		t.Errorf("one more = %+v, want it refused", again)
	}
	if other := share(t, s, "insurer", ahead(5000)); len(other.Pending) != 1 {
		t.Errorf("another organization's = %+v, want it pending", other)
	}
}

package storetest

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"tocsin/internal/store"
	"tocsin/receipt"
)

// find finds content wherever it is: in every collection, in quarantine and in
// review, but not in tombstones.
func find(t *testing.T, p Place) {
	s := open(t, p)
	ctx := context.Background()
	share(t, s, "bank", Indicator(1, 0), Indicator(2, 0))
	elsewhere := Target()
	elsewhere.Collection = "00000000-0000-4000-8000-00000000ffff"
	record(t, s, Admit(t, Member("insurer"), elsewhere, Indicator(1, 0)))
	share(t, s, "bank", Indicator(1, 1))
	share(t, s, "bank", ahead(1))
	if _, _, err := s.Withdraw(ctx, withdrawal("bank", 1, 1)); err != nil {
		t.Fatal(err)
	}
	to := Target()
	to.ReviewTime = time.Hour
	record(t, s, Admit(t, Member("bank"), to, unsure(7, 0)))
	s = reopen(t, s, p)
	all := func(wanted string) (found store.Found) {
		t.Helper()
		found.More = true
		for found.More {
			part, err := s.Find(ctx, func(content []byte) bool { return bytes.Contains(content, []byte(wanted)) }, found.Next)
			if err != nil {
				t.Fatalf("Find: %v", err)
			}
			found.Objects, found.Next, found.More = append(found.Objects, part.Objects...), part.Next, part.More
			found.Holds, found.Reviews = append(found.Holds, part.Holds...), append(found.Reviews, part.Reviews...)
		}
		return found
	}
	got := all(IndicatorID(1))
	if len(got.Objects) != 2 || len(got.Holds) != 1 || len(got.Reviews) != 0 {
		t.Fatalf("Find = %+v, want two versions and one that waits", got)
	}
	if o := got.Objects[0]; o.Seq != 3 || o.ID != IndicatorID(1) || o.Collection != elsewhere.Collection || o.Owner != "insurer" || o.Community != community || o.Name != versionOf(0) {
		t.Errorf("found %+v, want the one in the other collection", o)
	}
	if h := got.Holds[0]; h.ID != IndicatorID(1) || h.Raw != nil {
		t.Errorf("found %+v, want a hold without its content", h)
	}
	if got = all("Svetlana"); len(got.Objects) != 0 || len(got.Reviews) != 1 || got.Reviews[0].Original() != "" {
		t.Fatalf("Find = %+v, want one value in review, without it", got)
	}
	eraseReview(t, s, got.Reviews[0].ID)
	if got = all("Svetlana"); len(got.Reviews) != 0 {
		t.Errorf("an erased review is found: %+v", got.Reviews)
	}
}

func eraseReview(t *testing.T, s store.Store, review string) {
	t.Helper()
	ctx := context.Background()
	for range 2 { // one that has ended stays as it is
		if err := s.EraseReview(ctx, review, Member("hub"), "a request"); err != nil {
			t.Fatalf("EraseReview: %v", err)
		}
	}
	if err := s.EraseReview(ctx, "00000000-0000-4000-8000-000000000000", Member("hub"), ""); err != nil {
		t.Errorf("EraseReview of what is not there = %v", err)
	}
	leaves, err := s.List(ctx, string(receipt.KindReview), community, 0, 10)
	if err != nil || len(leaves) != 1 || !strings.Contains(string(leaves[0].Statement), `"action":"erase"`) {
		t.Errorf("List = %+v, %v, want one record of an erasure", leaves, err)
	}
}

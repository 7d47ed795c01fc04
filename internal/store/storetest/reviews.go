package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/review"
	"tocsin/internal/store"
	"tocsin/receipt"
)

// unsure is indicator number n in a version whose description has two names that
// the suite's gate is not sure of.
func unsure(n, version int) string {
	return Indicator(n, version, `,"description":"The mail that Svetlana opened. Then Ludmila did"`)
}

// queued returns what waits in the suite's community, with the values.
func queued(t *testing.T, s store.Store, ended bool) (out []store.Review) {
	t.Helper()
	found, _, err := s.Reviews(context.Background(), store.ReviewQuery{Community: community, Ended: ended, Most: 100})
	if err != nil {
		t.Fatalf("Reviews: %v", err)
	}
	for _, f := range found {
		if f.Original() != "" {
			t.Errorf("a list gives the value of %s", f.ID)
		}
		i, err := s.Review(context.Background(), f.ID)
		if err != nil {
			t.Fatalf("Review: %v", err)
		}
		out = append(out, i)
	}
	return out
}

func values(items []store.Review) string {
	var out []string
	for _, i := range items {
		out = append(out, string(i.State)+" "+i.Original())
	}
	return strings.Join(out, ", ")
}

// reviewed shares indicator 1 and returns what waits of it.
func reviewed(t *testing.T, s store.Store) (store.Recorded, []store.Review) {
	t.Helper()
	to := Target()
	to.ReviewTime = time.Hour
	made := record(t, s, Admit(t, Member("bank"), to, unsure(1, 0)))
	items := queued(t, s, false)
	if made.Reviews != 2 || len(made.Successes) != 1 || values(items) != "pending Svetlana, pending Ludmila" {
		t.Fatalf("recorded %d reviews of %v, queued %q, want both names", made.Reviews, made.Successes, values(items))
	}
	return made, items
}

// decided is what a curator wants to be done with an item.
func decided(t *testing.T, i store.Review, a review.Action, text string) (review.Item, *review.Approval) {
	t.Helper()
	next, approval, err := i.Decide(review.Opinion{
		Person: review.Person{Organization: "isac", User: "eve"}, Action: a, Text: text, Time: time.Now().UTC().Truncate(time.Microsecond), Reason: "so",
	}, 1)
	if err != nil {
		t.Fatalf("Decide: %v", err)
	}
	return next, approval
}

// carryOut admits the version in which decisions are carried out.
func carryOut(t *testing.T, i store.Review, published string, approvals ...review.Approval) authorize.Admitted {
	t.Helper()
	gate, err := newGate()
	if err != nil {
		t.Fatal(err)
	}
	b, err := gate.Restore([]byte(published), approvals, time.Now())
	if err != nil {
		t.Fatalf("Restore: %v", err)
	}
	who := tocsin.Member{Organization: tocsin.Organization{Name: "isac"}, User: "eve", Roles: map[string]tocsin.Role{community: tocsin.Curator}}
	a, err := authorize.NewPolicy().Restore(who, collection, i.Label, b, time.Now())
	if err != nil {
		t.Fatalf("Restore: %v", err)
	}
	return a
}

// newestOf returns the newest version of an object.
func newestOf(t *testing.T, s store.Store, id string) string {
	t.Helper()
	versions, err := s.Versions(context.Background(), collection, id)
	if err != nil || len(versions) == 0 {
		t.Fatalf("Versions = %d, %v", len(versions), err)
	}
	return raw(t, versions[len(versions)-1])
}

func reviewing(t *testing.T, p Place) {
	s := open(t, p)
	ctx := context.Background()
	made, items := reviewed(t, s)
	first := items[0]
	if first.Submission != made.ID || first.Owner != "bank" || first.At != "/description" || first.Label.Owner != "bank" || first.Collection != collection ||
		first.Object == IndicatorID(1) || !first.Expires.Equal(first.Made.Add(time.Hour)) {
		t.Errorf("item = %+v of %+v", first.Item, first.Label)
	}
	if again := record(t, s, Admit(t, Member("bank"), Target(), unsure(1, 0))); again.Reviews != 0 || len(queued(t, s, false)) != 2 {
		t.Errorf("the same again queued %d values, want none", again.Reviews)
	}
	_, approval := decided(t, first, review.Approve, "")
	published := newestOf(t, s, first.Object)
	r := record(t, s, carryOut(t, first, published, *approval))
	text := newestOf(t, s, first.Object)
	if len(r.Successes) != 1 || !strings.Contains(text, `"The mail that Svetlana opened. Then [person-name-2] did"`) {
		t.Errorf("after the approval = %+v, %s", r, text)
	}
	// The slower of two reviewers is told, and changes nothing.
	if _, err := s.Record(ctx, carryOut(t, first, published, *approval)); !isKind(err, tocsin.Conflict) {
		t.Errorf("the same approval again = %v, want a conflict", err)
	}
	s = reopen(t, s, p)
	if got := values(queued(t, s, true)); got != "approved " {
		t.Errorf("ended = %q, want one approved without its value", got)
	}
	if got, err := s.Submission(ctx, made.ID); err != nil || got.Reviews != 1 {
		t.Errorf("Submission = %d reviews, %v, want 1", got.Reviews, err)
	}
	next, _ := decided(t, items[1], review.Reject, "")
	if err := s.SaveReview(ctx, items[1].Item, next, receipt.Review{Organization: "isac", Action: "reject"}); err != nil {
		t.Errorf("SaveReview = %v", err)
	}
	if err := s.SaveReview(ctx, items[1].Item, next, receipt.Review{}); !isKind(err, tocsin.Conflict) {
		t.Errorf("SaveReview of what has ended = %v, want a conflict", err)
	}
	if got := values(queued(t, s, true)); got != "approved , rejected " || len(queued(t, s, false)) != 0 {
		t.Errorf("ended = %q", got)
	}
	if leaves, err := s.List(ctx, string(receipt.KindReview), community, 0, 10); err != nil || len(leaves) != 1 || !strings.Contains(string(leaves[0].Statement), `"rejected"`) {
		t.Errorf("List = %d records, %v, want the rejection", len(leaves), err)
	}
	if _, err := s.Review(ctx, "00000000-0000-4000-8000-000000000000"); !isKind(err, tocsin.NotFound) {
		t.Errorf("Review of none = %v, want not found", err)
	}
	if other, _, err := s.Reviews(ctx, store.ReviewQuery{Community: "energy", Most: 10}); len(other) != 0 || err != nil {
		t.Errorf("Reviews of another community = %d, %v", len(other), err)
	}
}

func isKind(err error, k tocsin.Kind) bool {
	e, ok := errors.AsType[*tocsin.Error](err)
	return ok && e.Kind == k
}

// superseded returns a test of what ends a review besides people.
func superseded(end func(t *testing.T, s store.Store, i store.Review)) func(*testing.T, Place) {
	return func(t *testing.T, p Place) {
		s := open(t, p)
		_, items := reviewed(t, s)
		end(t, s, items[0])
		if left, gone := queued(t, s, false), values(queued(t, s, true)); len(left) != 0 || gone != "superseded , superseded " {
			t.Errorf("%d wait, ended %q, want both superseded", len(left), gone)
		}
	}
}

// nextVersion shares a later version of indicator 1, which the gate changes as
// well, and so stores under the same id.
func nextVersion(more string) func(*testing.T, store.Store, store.Review) {
	return func(t *testing.T, s store.Store, _ store.Review) {
		t.Helper()
		share(t, s, "bank", Indicator(1, 1, more, `,"description":"jane.roe@corp-mail.com opened it"`))
	}
}

func withdrawn(t *testing.T, s store.Store, i store.Review) {
	t.Helper()
	w := withdrawal("bank", 1, 1)
	w.Versions[0].ID = i.Object
	if n, _, err := s.Withdraw(context.Background(), w); n != 1 || err != nil {
		t.Errorf("Withdraw = %d, %v, want 1", n, err)
	}
}

func expiredReviews(t *testing.T, p Place) {
	s := open(t, p)
	ctx := context.Background()
	reviewed(t, s)
	if n, err := s.ExpireReviews(ctx, time.Now(), 10); n != 0 || err != nil {
		t.Errorf("ExpireReviews now = %d, %v, want 0", n, err)
	}
	if n, err := s.ExpireReviews(ctx, time.Now().Add(2*time.Hour), 1); n != 1 || err != nil {
		t.Errorf("ExpireReviews, one at most = %d, %v, want 1", n, err)
	}
	if n, err := s.ExpireReviews(ctx, time.Now().Add(2*time.Hour), 10); n != 1 || err != nil {
		t.Errorf("ExpireReviews = %d, %v, want 1", n, err)
	}
	if got := values(queued(t, s, true)); got != "expired , expired " || len(queued(t, s, false)) != 0 {
		t.Errorf("ended = %q", got)
	}
	if leaves, err := s.List(ctx, string(receipt.KindReview), community, 0, 10); err != nil || len(leaves) != 2 {
		t.Errorf("List = %d records, %v, want 2", len(leaves), err)
	}
}

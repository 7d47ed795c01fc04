package quarantine_test

import (
	"testing"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/hub/hubtest"
	"tocsin/internal/member"
	"tocsin/internal/quarantine"
	"tocsin/internal/store"
)

// What is shared anonymously appears at the end of the community's window, with
// what others shared, and is not ordered by when it came.
func TestAnonymousSubmissionsAppearTogether(t *testing.T) {
	p := hubtest.Open(t)
	n, err := member.ParseNetwork([]byte("communities: [{name: finance, privacy: {window_minutes: 90}}]"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Directory.Apply(t.Context(), tocsin.Member{Operator: true}, n); err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 5, 4, 12, 10, 0, 0, time.UTC)
	end := p.Directory.Window("finance", day)
	if later := p.Directory.Window("finance", end.Add(-time.Nanosecond)); !end.After(day) || end.Sub(day) > 90*time.Minute || !later.Equal(end) || !p.Directory.Window("finance", end).Equal(end.Add(90*time.Minute)) {
		t.Errorf("windows end at %v, %v, want the same end within 90 minutes", end, later)
	}
	if other := p.Directory.Window("nowhere", day); !other.IsZero() {
		t.Errorf("a community without a window has one: %v", other)
	}
	due := time.Now().Add(time.Hour)
	const submissions = 12
	for i := range submissions {
		as := hubtest.Writer
		if i%2 > 0 {
			as = hubtest.Colleague
		}
		who, err := p.Directory.Authenticate(t.Context(), p.Tokens[as])
		if err != nil {
			t.Fatal(err)
		}
		c, err := p.Directory.Collection(who, "finance", "indicators")
		if err != nil {
			t.Fatal(err)
		}
		to := authorize.Target{Community: "finance", Collection: c.ID, NotBefore: due}
		made, err := p.Submit.Submit(t.Context(), who, to, []byte(hubtest.Envelope(hubtest.Indicator(2*i, 1), hubtest.Indicator(2*i+1, 1))))
		if err != nil || len(made.Pending) != 2 || len(made.Successes) != 0 || !made.Pending[0].Due.Equal(due.UTC()) {
			t.Fatalf("Submit = %+v, %v, want two pending until %v", made, err, due)
		}
	}
	q := quarantine.Service{Holds: p.Store, Submitter: p.Submit, Directory: p.Directory}
	if n, err := q.Release(t.Context(), due.Add(-time.Second)); n != 0 || err != nil {
		t.Errorf("Release before the end = %d, %v", n, err)
	}
	if n, err := q.Release(t.Context(), due); n != 2*submissions || err != nil {
		t.Fatalf("Release = %d, %v, want %d", n, err, 2*submissions)
	}
	who, err := p.Directory.Authenticate(t.Context(), p.Tokens[hubtest.Reader])
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Directory.Collection(who, "finance", "indicators")
	if err != nil {
		t.Fatal(err)
	}
	all, err := p.Store.Scan(t.Context(), store.Scan{Collection: c.ID, Most: 100, Meta: true})
	if err != nil || len(all.Rows) != 2*submissions {
		t.Fatalf("Scan = %d rows, %v", len(all.Rows), err)
	}
	inOrder := 0
	for i := range submissions {
		first, second := all.Rows[2*i].ID, all.Rows[2*i+1].ID
		if second <= first { // within a submission what explains others goes first
			t.Errorf("%s came before %s", first, second)
		}
		if first == hubtest.ID("indicator", 2*i) {
			inOrder++
		}
	}
	if inOrder == submissions {
		t.Error("they appear in the order in which they came")
	}
}

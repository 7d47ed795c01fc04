package withdraw_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin"
	"tocsin/internal/distribute"
	"tocsin/internal/hub/hubtest"
	"tocsin/internal/member"
	"tocsin/internal/store"
	"tocsin/internal/withdraw"
	"tocsin/receipt"
)

const retained = `
communities:
  - name: finance
    retention:
      - {types: [note], days: 30, why: "agreement §4"}
      - {types: [indicator], keep: true, why: "what attackers use is no personal data"}
      - {types: ["*"], days: 365, why: "board decision of 2026-03-01"}
`

func note(n int) string {
	return `{"type":"note","spec_version":"2.1","id":"` + hubtest.ID("note", n) + `","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",` +
		`"content":"seen again","object_refs":["` + hubtest.ID("indicator", n) + `"]}`
}

func TestWhatACommunityDoesNotKeepExpires(t *testing.T) {
	p := hubtest.Open(t)
	apply := func(text string) {
		t.Helper()
		n, err := member.ParseNetwork([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Directory.Apply(t.Context(), tocsin.Member{Operator: true}, n); err != nil {
			t.Fatal(err)
		}
	}
	const definition = `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--00000000-0000-4000-8000-000000000009",` +
		`"created":"2026-01-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":"terms of use"}}`
	const malware = `{"type":"malware","spec_version":"2.1","id":"malware--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z",` +
		`"modified":"2026-01-01T00:00:00.000Z","name":"Emotet","is_family":true}`
	p.Share(t, hubtest.Writer, nil, definition, hubtest.Indicator(1, 1), note(1), malware, note(2))
	r := &withdraw.Retention{Order: p.Store, Rules: p.Directory.Retention}
	left := func() (ids []string) {
		t.Helper()
		reader, err := p.Directory.Authenticate(t.Context(), p.Tokens[hubtest.Reader])
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{hubtest.ID("indicator", 1), hubtest.ID("malware", 1), hubtest.ID("note", 1), hubtest.ID("note", 2), hubtest.ID("note", 3)} {
			if o, _ := p.Feed.Object(t.Context(), reader, "finance", "indicators", id, distribute.Which{All: true}); len(o) > 0 {
				ids = append(ids, strings.Split(id, "--")[0])
			}
		}
		return ids
	}
	expire := func(days int, want int, stay ...string) {
		t.Helper()
		gone, err := r.Expire(t.Context(), time.Now().AddDate(0, 0, days).Add(time.Hour))
		if err != nil || gone != want {
			t.Errorf("Expire after %d days = %d, %v, want %d", days, gone, err, want)
		}
		if got := left(); !slices.Equal(got, stay) {
			t.Errorf("after %d days there are %v, want %v", days, got, stay)
		}
	}
	expire(1000, 0, "indicator", "malware", "note", "note") // unless a community says so, nothing expires
	apply(retained)
	expire(29, 0, "indicator", "malware", "note", "note")
	expire(30, 2, "indicator", "malware")
	expire(30, 0, "indicator", "malware")
	p.Share(t, hubtest.Writer, nil, note(3))
	expire(30, 1, "indicator", "malware")
	expire(365, 1, "indicator")
	expire(3650, 0, "indicator")
	apply("communities: [{name: finance, retention: [{types: ['*'], days: 1, why: x}]}]")
	expire(365, 1)
	leaves, err := p.Store.List(t.Context(), string(receipt.KindWithdrawal), "finance", 0, 10)
	if err != nil || len(leaves) != 4 {
		t.Fatalf("%d records, %v, want one for each batch, 4", len(leaves), err)
	}
	for _, want := range []string{`"cause":"expired"`, `"organization":""`, `"rule":"note is kept for 30 days: agreement §4"`, hubtest.ID("note", 1), hubtest.ID("note", 2)} {
		if !strings.Contains(string(leaves[0].Statement), want) {
			t.Errorf("the record lacks %s: %s", want, leaves[0].Statement)
		}
	}
	apply("communities: [{name: finance, retention: []}]")
	if rules := p.Directory.Retention(); len(rules) != 0 {
		t.Errorf("an empty list leaves %+v", rules)
	}
}

// More than fits into one batch, with other types and tombstones in between.
func TestExpiryGoesInBatches(t *testing.T) {
	p := hubtest.Open(t)
	n, err := member.ParseNetwork([]byte("communities: [{name: finance, retention: [{types: ['*'], days: 1, why: x}, {types: [note], days: 2, why: y}]}]"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Directory.Apply(t.Context(), tocsin.Member{Operator: true}, n); err != nil {
		t.Fatal(err)
	}
	const most = store.MostWithdrawn
	for i := 0; i < 2*most+10; i += 10 {
		var objects []string
		for k := i; k < i+10; k++ {
			objects = append(objects, hubtest.Indicator(k, 1), note(k))
		}
		p.Share(t, hubtest.Writer, nil, objects...)
	}
	r := &withdraw.Retention{Order: p.Store, Rules: p.Directory.Retention}
	if gone, err := r.Expire(t.Context(), time.Now().Add(25*time.Hour)); gone != 2*most+10 || err != nil {
		t.Fatalf("Expire = %d, %v, want %d", gone, err, 2*most+10)
	}
	again := &withdraw.Retention{Order: p.Store, Rules: p.Directory.Retention} // another replica, or after a start
	if gone, err := again.Expire(t.Context(), time.Now().Add(49*time.Hour)); gone != 2*most+10 || err != nil {
		t.Fatalf("Expire = %d, %v, want %d", gone, err, 2*most+10)
	}
}

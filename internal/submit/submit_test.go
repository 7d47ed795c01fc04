package submit_test

import (
	"strings"
	"testing"

	"tocsin/internal/hub/hubtest"
	"tocsin/internal/store"
)

// STIX 2.1 §3.5, §3.6: what the hub's gate has changed has an id of the hub's.
// Later versions of the original, and references to it, belong to that one.
func TestWhatFollowsAChangedObjectBelongsToItsCopy(t *testing.T) {
	p := hubtest.Open(t)
	sighting := func(n int) string {
		return strings.NewReplacer("#", string(rune('0'+n)), "$", hubtest.ID("indicator", 1)).Replace(
			`{"type":"sighting","spec_version":"2.1","id":"sighting--00000000-0000-4000-8000-00000000000#","created":"2026-01-02T00:00:00.000Z","modified":"2026-01-02T00:00:00.000Z","sighting_of_ref":"$"}`)
	}
	p.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1, `"description":"reported by victim jane.roe@corp.example"`))
	p.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 3, `"revoked":true`))
	p.Share(t, hubtest.Writer, nil, sighting(1))
	p.Share(t, hubtest.Colleague, nil, sighting(2))

	who, err := p.Directory.Authenticate(t.Context(), p.Tokens[hubtest.Writer])
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Directory.Collection(who, "finance", "indicators")
	if err != nil {
		t.Fatal(err)
	}
	found, err := p.Store.Scan(t.Context(), store.Scan{Collection: c.ID, Most: 100, Meta: true})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range found.Rows {
		got = append(got, r.ID)
	}
	original, copied := hubtest.ID("indicator", 1), p.Submit.Gate.CopyOf(hubtest.ID("indicator", 1))
	if len(got) != 4 || got[0] != copied || got[1] != copied || strings.Contains(strings.Join(got, " "), original) {
		t.Fatalf("the hub has %v, want two versions of %s first", got, copied)
	}
	// Whoever did not share the original learns nothing of the copy.
	if got[2] == hubtest.ID("sighting", 1) || got[3] != hubtest.ID("sighting", 2) {
		t.Errorf("the hub has %v, want a copy of the sharer's sighting and the other's as it was", got)
	}
}

package minimize

import (
	"strings"
	"testing"

	"tocsin/internal/validate"
)

// Promise 9: who revokes an object revokes what others know of it, which is the
// copy that an earlier submission left.
func TestLaterVersionsBelongToTheCopyThatOthersKnow(t *testing.T) {
	const id = "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
	object := func(modified, extra string) string {
		return `{"type":"indicator","spec_version":"2.1","id":"` + id + `","created":"2026-01-01T00:00:00.000Z","modified":"` + modified +
			`","pattern":"[ipv4-addr:value = '198.51.100.7']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"` + extra + `}`
	}
	const about = `{"type":"sighting","spec_version":"2.1","id":"sighting--ee20065d-2555-424f-ad9e-0f8428623c75","created":"2026-01-03T00:00:00.000Z",` +
		`"modified":"2026-01-03T00:00:00.000Z","sighting_of_ref":"` + id + `"}`
	changed := map[string]bool{}
	gate, err := New(Options{Secret: []byte("a secret that only tests know"), Changed: func(id string) bool { return changed[id] }})
	if err != nil {
		t.Fatal(err)
	}
	share := func(objects ...string) []Object {
		valid, err := validate.Parse([]byte(`{"objects":[`+strings.Join(objects, ",")+`]}`), validate.Options{})
		if err != nil || len(valid.Rejected()) > 0 {
			t.Fatal(err, valid.Rejected())
		}
		return gate.Apply(valid).Objects()
	}
	first := share(object("2026-01-01T00:00:00.000Z", `,"description":"reported by jane.doe@victim.example"`))
	if len(first) != 1 || first[0].Original() != id {
		t.Fatalf("the first version was not changed: %+v", first)
	}
	if plain := share(object("2026-01-02T00:00:00.000Z", `,"revoked":true`)); plain[0].ID() != id {
		t.Errorf("a revocation of an object that nothing is known of = %s, want it left alone", plain[0].ID())
	}
	changed[id] = true
	later := share(object("2026-01-02T00:00:00.000Z", `,"revoked":true`), about)
	if len(later) != 2 || later[0].ID() != first[0].ID() || !later[0].Value().Get("revoked").True() || later[0].Original() != id {
		t.Errorf("the revocation = %s, want it to be the copy's, %s", later[0].ID(), first[0].ID())
	}
	if got := later[1].Value().Get("sighting_of_ref").Text(); got != first[0].ID() {
		t.Errorf("a sighting of the object = of %s, want of the copy", got)
	}
	if alone := share(about); alone[0].Value().Get("sighting_of_ref").Text() != first[0].ID() {
		t.Error("a sighting that comes alone is not of the copy")
	}
}

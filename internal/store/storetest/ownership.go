package storetest

import (
	"slices"
	"testing"

	"tocsin"
	"tocsin/tlp"
)

// ownership checks that nobody supersedes or revokes what another organization
// shared, unless it moderates the community.
func ownership(t *testing.T, p Place) {
	s := open(t, p)
	share(t, s, "bank", Indicator(1, 0))
	for name, object := range map[string]string{"later": Indicator(1, 5), "revoking": Indicator(1, 6, `,"revoked":true`)} {
		r := share(t, s, "utility", object)
		if len(r.Successes) != 0 || len(r.Failures) != 1 || r.Failures[0].Err.Kind != tocsin.Forbidden {
			t.Errorf("a %s version by another = %+v, failures %+v, want it forbidden", name, r.Successes, r.Failures)
		}
	}
	wantOne(t, share(t, s, "bank", Indicator(1, 5)), 2, false)

	curator := Member("isac")
	curator.Roles[community] = tocsin.Curator
	wantOne(t, record(t, s, Admit(t, curator, Target(), Indicator(1, 6, `,"revoked":true`))), 3, false)

	// Who passes the same content on does not take the object over.
	narrow := Target()
	narrow.Recipients = []string{"bank"}
	wantOne(t, record(t, s, Admit(t, Member("bank"), narrow, Indicator(2, 0))), 4, false)
	wantOne(t, share(t, s, "utility", Indicator(2, 0)), 5, false)
	wantOne(t, share(t, s, "bank", Indicator(2, 5)), 6, false)

	// An observable has no versions: whoever saw it may say so.
	wantOne(t, share(t, s, "bank", file(1, "a.exe")), 7, false)
	wantOne(t, share(t, s, "utility", file(1, "b.exe")), 8, false)
}

// hiddenSightings checks that a sighting of what only some may see is for those
// only: its id alone would tell the others that it exists.
func hiddenSightings(t *testing.T, p Place) {
	s := open(t, p)
	to := Target()
	to.Recipients = []string{"utility"}
	record(t, s, Admit(t, Member("bank"), to, Indicator(1, 0, `,"object_marking_refs":["`+tlp.Red.Marking()+`"]`)))
	share(t, s, "bank", Indicator(2, 0))
	share(t, s, "utility", sighting(1, 1), sighting(2, 2))
	rows := scan(t, s, collection, 10)
	if len(rows) != 4 {
		t.Fatalf("%d rows, want 4", len(rows))
	}
	if l := rows[2].Label; !slices.Equal(l.Recipients, []string{"bank", "utility"}) || !slices.Contains(l.Markings, tlp.Red.Marking()) || l.Owner != "utility" {
		t.Errorf("the label of a sighting of a TLP:RED object = %+v, want its recipients and its owner only", l)
	}
	if l := rows[3].Label; len(l.Recipients) != 0 {
		t.Errorf("the label of a sighting of an open object = %+v, want it open", l)
	}
}

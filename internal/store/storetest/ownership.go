package storetest

import (
	"testing"

	"tocsin"
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

package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/store"
	"tocsin/internal/view"
	"tocsin/receipt"
)

// file returns a cyber observable, which has no version of its own.
func file(n int, name string) string {
	return fmt.Sprintf(`{"type":"file","spec_version":"2.1","id":%q,"name":%q}`, id("file", n), name)
}

func sighting(n, of int) string {
	return fmt.Sprintf(`{"type":"sighting","spec_version":"2.1","id":%q,"created":%q,"modified":%q,"sighting_of_ref":%q}`,
		id("sighting", n), versionOf(0), versionOf(0), IndicatorID(of))
}

func definition(n int) string {
	return fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":%q,"created":%q,"definition_type":"statement",`+
		`"definition":{"statement":"terms of use"}}`, id("marking-definition", n), versionOf(0))
}

func withdrawal(organization string, n int, seqs ...int64) store.Withdrawal {
	return store.Withdrawal{
		Who: Member(organization), Community: community, Collection: collection, Versions: store.VersionsOf(IndicatorID(n), seqs...),
	}
}

// wantOne checks that a submission has one success and no failure.
func wantOne(t *testing.T, r store.Recorded, seq int64, known bool) {
	t.Helper()
	if len(r.Successes) != 1 || len(r.Failures) != 0 || r.Successes[0].Seq != seq || r.Successes[0].Known != known {
		t.Errorf("recorded %+v, failures %+v, want position %d, known %v", r.Successes, r.Failures, seq, known)
	}
}

// wantRefused checks that a submission has one failure, which is a conflict.
func wantRefused(t *testing.T, r store.Recorded) {
	t.Helper()
	if len(r.Successes) != 0 || len(r.Failures) != 1 || r.Failures[0].Err.Kind != tocsin.Conflict || r.First != 0 || r.Last != 0 {
		t.Errorf("recorded %+v, failures %+v, want one conflict", r.Successes, r.Failures)
	}
}

func duplicates(t *testing.T, p Place) {
	s := open(t, p)
	wantOne(t, share(t, s, "bank", Indicator(1, 0)), 1, false)
	wantOne(t, share(t, s, "bank", Indicator(1, 0)), 1, true)
	s = reopen(t, s, p)
	wantOne(t, share(t, s, "bank", Indicator(1, 0)), 1, true)
	// The same JSON value, written by another tool.
	rewritten := fmt.Sprintf(`{ "id":%q, "type":"indicator", "spec_version":"2.1", "created":"2026-01-01T00:00:00.000Z", "modified":%q,`+
		`"pattern":"[ipv4-addr:value = '198.51.100.1']", "pattern_type":"\u0073tix", "valid_from":"2026-01-01T00:00:00Z"}`, IndicatorID(1), versionOf(0))
	wantOne(t, share(t, s, "bank", rewritten), 1, true)

	// Twice in one submission.
	r := share(t, s, "bank", Indicator(2, 0), Indicator(2, 0), Indicator(3, 0), Indicator(1, 0))
	want := []store.Success{
		{ID: IndicatorID(2), Version: versionOf(0), Seq: 2},
		{ID: IndicatorID(2), Version: versionOf(0), Seq: 2, Known: true},
		{ID: IndicatorID(3), Version: versionOf(0), Seq: 3},
		{ID: IndicatorID(1), Version: versionOf(0), Seq: 1, Known: true},
	}
	if diff := cmp.Diff(want, r.Successes); diff != "" || r.First != 2 || r.Last != 3 {
		t.Errorf("took %d to %d, successes differ (-want +got):\n%s", r.First, r.Last, diff)
	}
	again, err := s.Submission(context.Background(), r.ID)
	if diff := cmp.Diff(want, again.Successes); diff != "" || err != nil {
		t.Errorf("Submission: %v, successes differ (-want +got):\n%s", err, diff)
	}
	// The same object in another collection is another row.
	to := Target()
	to.Collection = other
	wantOne(t, record(t, s, Admit(t, Member("bank"), to, Indicator(1, 0))), 4, false)
	checkOrder(t, slices.Concat(scan(t, s, collection, 10), scan(t, s, other, 10)), 4)
}

func conflicts(t *testing.T, p Place) {
	s := open(t, p)
	first := Indicator(1, 0, `,"name":"first"`)
	share(t, s, "bank", first)
	r := share(t, s, "bank", Indicator(1, 0, `,"name":"second"`))
	wantRefused(t, r)
	if f := r.Failures[0]; f.ID != IndicatorID(1) || f.Version != versionOf(0) {
		t.Errorf("failure = %+v, want id and version of the object", f)
	}
	share(t, s, "bank", Indicator(2, 0, `,"x_n":1.0`))
	wantRefused(t, share(t, s, "bank", Indicator(2, 0, `,"x_n":1.1`)))
	wantOne(t, share(t, s, "bank", Indicator(2, 0, `,"x_n":1`)), 2, true) // the same number
	// The same moment, written with other decimals, is the same version.
	again := strings.Replace(first, versionOf(0), "2026-01-01T00:00:00.000000Z", 2)
	wantRefused(t, share(t, s, "bank", again))
	rows := scan(t, s, collection, 10)
	if len(rows) != 2 || raw(t, rows[0]) != first {
		t.Errorf("%d rows, the first is %q, want the first content kept", len(rows), raw(t, rows[0]))
	}
	// One bad object does not hold up the others.
	r = share(t, s, "bank", Indicator(3, 0), Indicator(1, 0, `,"name":"third"`), Indicator(4, 0))
	if len(r.Successes) != 2 || len(r.Failures) != 1 || r.First != 3 || r.Last != 4 {
		t.Errorf("recorded %+v, failures %+v", r.Successes, r.Failures)
	}
}

func versionless(t *testing.T, p Place) {
	s := open(t, p)
	a := share(t, s, "bank", file(1, "a.exe"))
	wantOne(t, a, 1, false)
	wantOne(t, share(t, s, "bank", file(1, "a.exe")), 1, true)
	b := share(t, s, "bank", file(1, "b.exe"))
	wantOne(t, b, 2, false)
	got, err := s.Versions(context.Background(), collection, id("file", 1))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{1, 2}, seqs(got)); diff != "" {
		t.Fatalf("versions differ (-want +got):\n%s", diff)
	}
	for i, r := range []store.Recorded{a, b} {
		want := got[i].Added.UTC().Format(view.Microseconds)
		if r.Successes[0].Version != want || got[i].Version != "" || !got[i].Modified.IsZero() {
			t.Errorf("version %q, %+v, want date_added %q", r.Successes[0].Version, got[i].Meta, want)
		}
	}
}

func revocation(t *testing.T, p Place) {
	s := open(t, p)
	share(t, s, "bank", Indicator(1, 5))
	wantOne(t, share(t, s, "bank", Indicator(1, 10, `,"revoked":true`)), 2, false)
	wantRefused(t, share(t, s, "bank", Indicator(1, 11)))
	s = reopen(t, s, p)
	wantRefused(t, share(t, s, "bank", Indicator(1, 12, `,"revoked":true`)))
	wantOne(t, share(t, s, "bank", Indicator(1, 10, `,"revoked":true`)), 2, true)
	// A version from before the revocation may still arrive.
	wantOne(t, share(t, s, "bank", Indicator(1, 7)), 3, false)
	// Withdrawing the revocation does not undo it.
	if n, _, err := s.Withdraw(context.Background(), withdrawal("bank", 1, 2)); n != 1 || err != nil {
		t.Fatalf("Withdraw = %d, %v", n, err)
	}
	wantRefused(t, share(t, s, "bank", Indicator(1, 13)))
}

func versions(t *testing.T, p Place) {
	s := open(t, p)
	for _, version := range []int{5, 1, 9, 3} {
		share(t, s, "bank", Indicator(1, version))
	}
	share(t, s, "bank", Indicator(2, 0))
	got, err := s.Versions(context.Background(), collection, IndicatorID(1))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{2, 4, 1, 3}, seqs(got)); diff != "" {
		t.Errorf("Versions differ (-want +got):\n%s", diff)
	}
	for _, r := range scan(t, s, collection, 10) {
		if r.Siblings != (r.ID == IndicatorID(1)) {
			t.Errorf("position %d has Siblings = %v", r.Seq, r.Siblings)
		}
	}
	if got, err := s.Versions(context.Background(), other, IndicatorID(1)); len(got) != 0 || err != nil {
		t.Errorf("Versions in another collection = %v, %v", got, err)
	}
	if got, err := s.Versions(context.Background(), collection, IndicatorID(3)); len(got) != 0 || err != nil {
		t.Errorf("Versions of nothing = %v, %v", got, err)
	}
}

// audiences: the same bytes for other recipients must reach them, although the
// hub holds the bytes already.
func audiences(t *testing.T, p Place) {
	s := open(t, p)
	to := Target()
	to.Recipients = []string{"utility"}
	wantOne(t, record(t, s, Admit(t, Member("bank"), to, Indicator(1, 0))), 1, false)
	wantOne(t, record(t, s, Admit(t, Member("bank"), to, Indicator(1, 0))), 1, true)
	wantOne(t, share(t, s, "bank", Indicator(1, 0)), 2, false)
	wantOne(t, share(t, s, "insurer", Indicator(1, 0)), 3, false)
	rows := scan(t, s, collection, 10)
	for i, r := range rows {
		if !r.Siblings || raw(t, r) != Indicator(1, 0) {
			t.Errorf("row %d: siblings %v, content %q", i, r.Siblings, raw(t, r))
		}
	}
	utility, err := authorize.NewPolicy().Reader(Member("utility"), community)
	if err != nil {
		t.Fatal(err)
	}
	sees := []bool{}
	for _, r := range rows {
		sees = append(sees, utility.MaySee(r.Label))
	}
	if diff := cmp.Diff([]bool{true, true, true}, sees); diff != "" {
		t.Errorf("what a recipient sees differs (-want +got):\n%s", diff)
	}
}

func labels(t *testing.T, p Place) {
	s := open(t, p)
	marked := `,"object_marking_refs":["marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"]`
	share(t, s, "bank", Indicator(1, 0), Indicator(2, 0, marked), Indicator(3, 0))
	share(t, s, "bank", Indicator(4, 0))
	share(t, s, "insurer", Indicator(5, 0))
	to := Target()
	to.Recipients = []string{"utility", "bank"}
	record(t, s, Admit(t, Member("bank"), to, Indicator(6, 0, marked)))
	for range 2 {
		rows := scan(t, s, collection, 2)
		if len(rows) != 6 {
			t.Fatalf("%d rows, want 6", len(rows))
		}
		if rows[0].Label != rows[2].Label || rows[0].Label != rows[3].Label || rows[0].Label == rows[1].Label || rows[0].Label == rows[4].Label {
			t.Error("rows that were shared alike do not carry one label, or others do")
		}
		want := &authorize.Label{
			Community: community, Owner: "bank", Default: Target().Default,
			Markings: []string{"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"}, Recipients: []string{"bank", "utility"},
		}
		if rows[5].Label.Key() != want.Key() {
			t.Errorf("label = %+v, want %+v", rows[5].Label, want)
		}
		s = reopen(t, s, p)
	}
}

// together withdraws versions of several objects in one transaction, with one
// record, as the hub does with what has expired.
func together(t *testing.T, p Place) {
	s := open(t, p)
	ctx := context.Background()
	share(t, s, "bank", Indicator(1, 0), Indicator(2, 0), Indicator(3, 0))
	share(t, s, "bank", Indicator(1, 1))
	w := store.Withdrawal{
		Community: community, Collection: collection, Cause: receipt.Expired, Rule: "a rule",
		Versions: []store.Version{{ID: IndicatorID(1), Seq: 1}, {ID: IndicatorID(3), Seq: 3}, {ID: IndicatorID(2), Seq: 3}, {ID: IndicatorID(1), Seq: 4}},
	}
	n, leaf, err := s.Withdraw(ctx, w)
	if n != 3 || err != nil {
		t.Fatalf("Withdraw = %d, %v, want 3: position 3 is not object 2's", n, err)
	}
	s = reopen(t, s, p)
	if diff := cmp.Diff([]int64{2, 5, 6, 7}, seqs(scan(t, s, collection, 10))); diff != "" {
		t.Errorf("positions differ (-want +got):\n%s", diff)
	}
	leaves, err := s.List(ctx, string(receipt.KindWithdrawal), community, 0, 10)
	if err != nil || len(leaves) != 1 || leaves[0].Index != leaf {
		t.Fatalf("List = %+v, %v, want one record, %d", leaves, err, leaf)
	}
	made, err := verify(t, s, p, leaf).Withdrawal()
	if err != nil || made.Organization != "" || made.ID != "" || made.Cause != receipt.Expired || made.Rule != "a rule" || len(made.Versions) != 3 {
		t.Errorf("the record says %+v, %v", made, err)
	}
}

func tombstones(t *testing.T, p Place) {
	s := open(t, p)
	ctx := context.Background()
	for version := range 3 {
		share(t, s, "bank", Indicator(1, version))
	}
	share(t, s, "bank", Indicator(2, 0))
	label := scan(t, s, collection, 10)[0].Label
	if n, _, err := s.Withdraw(ctx, withdrawal("bank", 1, 1, 3, 4, 99, 1)); n != 2 || err != nil {
		t.Fatalf("Withdraw = %d, %v, want 2: position 4 is another object's, and 1 was named twice", n, err)
	}
	if n, _, err := s.Withdraw(ctx, withdrawal("bank", 1, 1, 3, 5, 6)); n != 0 || err != nil {
		t.Fatalf("Withdraw of what is gone = %d, %v, want 0", n, err)
	}
	check := func() {
		t.Helper()
		rows := scan(t, s, collection, 10)
		if diff := cmp.Diff([]int64{2, 4, 5, 6}, seqs(rows)); diff != "" {
			t.Fatalf("positions differ (-want +got):\n%s", diff)
		}
		for i, r := range rows {
			if r.Withdrawn != (i > 1) {
				t.Errorf("position %d: Withdrawn = %v", r.Seq, r.Withdrawn)
			}
			if r.Withdrawn && (r.ID != IndicatorID(1) || r.Label.Key() != label.Key() || raw(t, r) != "") {
				t.Errorf("tombstone = %+v with content %q", r.Meta, raw(t, r))
			}
		}
		if rows[2].Version != versionOf(0) || rows[3].Version != versionOf(2) || !rows[3].Added.After(rows[2].Added) {
			t.Errorf("tombstones = %+v, %+v", rows[2].Meta, rows[3].Meta)
		}
		left, err := s.Versions(ctx, collection, IndicatorID(1))
		if err != nil || len(left) != 1 || left[0].Seq != 2 {
			t.Errorf("Versions = %v, %v, want position 2 alone", seqs(left), err)
		}
	}
	check()
	s = reopen(t, s, p)
	check()
	// It may come back.
	wantOne(t, share(t, s, "bank", Indicator(1, 0)), 7, false)
}

func sightings(t *testing.T, p Place) {
	s := open(t, p)
	ctx := context.Background()
	share(t, s, "bank", Indicator(1, 0), sighting(1, 1), sighting(2, 2))
	share(t, s, "insurer", sighting(3, 1))
	to := Target()
	to.Collection = other // another collection of the community
	record(t, s, Admit(t, Member("bank"), to, sighting(4, 1)))
	to.Community, to.Collection = "energy", id("x", 9)[3:]
	record(t, s, Admit(t, Member("bank"), to, sighting(5, 1)))
	if ids, err := s.Named(ctx, store.IDHash(IndicatorID(1))); err != nil || !slices.Equal(ids, []string{IndicatorID(1)}) {
		t.Errorf("Named = %v, %v, want the indicator", ids, err)
	}
	if ids, err := s.Named(ctx, store.IDHash("indicator--nobody")); err != nil || len(ids) > 0 {
		t.Errorf("Named of another hash = %v, %v, want none", ids, err)
	}
	got, err := s.Sightings(ctx, community, IndicatorID(1))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{2, 4, 5}, seqs(got)); diff != "" {
		t.Errorf("Sightings differ (-want +got):\n%s", diff)
	}
	w := withdrawal("bank", 0, 2)
	w.Versions[0].ID = id("sighting", 1)
	if n, _, err := s.Withdraw(ctx, w); n != 1 || err != nil {
		t.Fatalf("Withdraw = %d, %v", n, err)
	}
	got, err = s.Sightings(ctx, community, IndicatorID(1))
	if diff := cmp.Diff([]int64{4, 5}, seqs(got)); diff != "" || err != nil {
		t.Errorf("Sightings after a withdrawal: %v, differ (-want +got):\n%s", err, diff)
	}
}

func definitions(t *testing.T, p Place) {
	s := open(t, p)
	share(t, s, "bank", definition(1), Indicator(1, 0))
	share(t, s, "insurer", definition(2))
	s = reopen(t, s, p)
	got, err := s.Definitions(context.Background())
	want := []store.Definition{{Owner: "bank", Raw: []byte(definition(1))}, {Owner: "insurer", Raw: []byte(definition(2))}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Definitions: %v, differ (-want +got):\n%s", err, diff)
	}
}

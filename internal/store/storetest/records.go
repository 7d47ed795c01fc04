package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/mod/sumdb/tlog"

	"tocsin"
	"tocsin/internal/member"
	"tocsin/internal/store"
	"tocsin/receipt"
)

// wantNotFound checks that an error is what strangers are told.
func wantNotFound(t *testing.T, what string, err error) {
	t.Helper()
	var e *tocsin.Error
	if !errors.As(err, &e) || e.Kind != tocsin.NotFound {
		t.Errorf("%s = %v, want not found", what, err)
	}
}

func strangers(t *testing.T, p Place) {
	s := open(t, p)
	ctx := context.Background()
	r := share(t, s, "bank", Indicator(1, 0), sighting(1, 1))
	_, err := s.Submission(ctx, "3a6b9f4e-0c1d-4e2f-8a3b-5c6d7e8f9012")
	wantNotFound(t, "Submission", err)
	_, err = s.Submission(ctx, "")
	wantNotFound(t, "Submission", err)
	for _, leaf := range []int64{-1, r.Leaf + 1, 1 << 40} {
		_, err = s.Receipt(ctx, leaf)
		wantNotFound(t, "Receipt", err)
	}
	if got := scan(t, s, other, 10); len(got) != 0 {
		t.Errorf("Scan of another collection = %v", got)
	}
	if got, err := s.Sightings(ctx, "energy", IndicatorID(1)); len(got) != 0 || err != nil {
		t.Errorf("Sightings in another community = %v, %v", got, err)
	}
	for _, kind := range []string{"disclosure", "withdrawal", ""} {
		if got, err := s.List(ctx, kind, community, 0, 10); len(got) != 0 || err != nil {
			t.Errorf("List(%q) = %v, %v", kind, got, err)
		}
	}
	if got, err := s.List(ctx, "submission", "energy", 0, 10); len(got) != 0 || err != nil {
		t.Errorf("List of another community = %v, %v", got, err)
	}
	w := withdrawal("insurer", 1, 1)
	w.Collection = other
	if n, _, err := s.Withdraw(ctx, w); n != 0 || err != nil {
		t.Errorf("Withdraw from another collection = %d, %v", n, err)
	}
}

func submissions(t *testing.T, p Place) {
	s := open(t, p)
	share(t, s, "bank", Indicator(1, 0))
	var want []store.Recorded
	want = append(want,
		share(t, s, "insurer", Indicator(2, 0), file(1, "a"), Indicator(1, 0, `,"name":"another"`)),
		share(t, s, "insurer", Indicator(1, 0, `,"name":"another"`)))
	for range 2 {
		for _, w := range want {
			got, err := s.Submission(context.Background(), w.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(w, got, cmpopts.EquateApproxTime(0), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("Submission differs (-want +got):\n%s", diff)
			}
		}
		s = reopen(t, s, p)
	}
	if w := want[0]; w.Organization != "insurer" || w.Community != community || w.Collection != collection || w.Requested.IsZero() ||
		len(w.Failures) != 1 || w.First != 2 || w.Last != 3 {
		t.Errorf("recorded = %+v", w)
	}
}

func disclosure(from, to int64) receipt.Disclosure {
	return receipt.Disclosure{
		Time: time.Date(2026, 2, 1, 12, 30, 0, 0, time.UTC), Organization: "agency", OrganizationKind: "government", User: "bo",
		Purpose: "cybersecurity", Community: community, Collection: collection, From: from, To: to, Objects: int(to - from + 1),
	}
}

func disclose(t testing.TB, s store.Store, from, to int64) {
	t.Helper()
	if err := s.Disclose(context.Background(), []receipt.Disclosure{disclosure(from, to)}); err != nil {
		t.Fatalf("Disclose: %v", err)
	}
}

// verify returns the receipt of a leaf after checking it as a stranger would.
func verify(t testing.TB, s store.Store, p Place, leaf int64) receipt.Verified {
	t.Helper()
	proof, err := s.Receipt(context.Background(), leaf)
	if err != nil {
		t.Fatalf("Receipt(%d): %v", leaf, err)
	}
	parsed, err := receipt.ParseProof(proof.Marshal())
	if err != nil {
		t.Fatalf("Receipt(%d): %v", leaf, err)
	}
	v, err := receipt.Verify(parsed, p.VerifierKey)
	if err != nil {
		t.Fatalf("receipt of %d: %v", leaf, err)
	}
	if v.Index() != leaf {
		t.Fatalf("receipt of %d is for %d", leaf, v.Index())
	}
	return v
}

func receipts(t *testing.T, p Place) {
	s := open(t, p)
	ctx := context.Background()
	to := Target()
	to.Recipients = []string{"utility"}
	marked := `,"object_marking_refs":["marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"]`
	r := record(t, s, Admit(t, Member("bank"), to, Indicator(1, 0, marked), Indicator(2, 0)))
	v := verify(t, s, p, r.Leaf) // at once: there is no merge delay
	got, err := v.Submission()
	if err != nil {
		t.Fatal(err)
	}
	want := receipt.Submission{
		Kind: receipt.KindSubmission, Hub: v.Checkpoint().Origin, ID: r.ID, Organization: "bank", User: "ada",
		Community: community, Collection: collection, Purpose: "cybersecurity", Removed: map[string]int{},
		Recipients: []string{"utility"}, Restrictions: []string{"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"}, Default: "TLP:GREEN",
		Objects: []receipt.ObjectRef{
			{ID: IndicatorID(1), Version: versionOf(0), Seq: 1}, {ID: IndicatorID(2), Version: versionOf(0), Seq: 2},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(receipt.Submission{}, "Time", "RulesHash"),
		cmpopts.IgnoreFields(receipt.ObjectRef{}, "SHA256")); diff != "" {
		t.Errorf("statement differs (-want +got):\n%s", diff)
	}
	if got.RulesHash == "" || time.Since(got.Time) > time.Minute || time.Since(got.Time) < 0 {
		t.Errorf("rules %q, time %v", got.RulesHash, got.Time)
	}
	for n := range 2 {
		object := Indicator(n+1, 0, []string{marked, ""}[n])
		if ref, err := v.VerifyObject([]byte(object)); err != nil || ref.Seq != int64(n+1) {
			t.Errorf("VerifyObject = %+v, %v", ref, err)
		}
	}
	if _, err := v.VerifyObject([]byte(Indicator(3, 0))); err == nil {
		t.Error("VerifyObject accepted an object that was not shared")
	}
	disclose(t, s, 1, 2)
	if n, _, err := s.Withdraw(ctx, withdrawal("bank", 2, 2)); n != 1 || err != nil {
		t.Fatalf("Withdraw = %d, %v", n, err)
	}
	for range 2 {
		if d, err := verify(t, s, p, r.Leaf+1).Disclosure(); err != nil || d.To != 2 || d.Organization != "agency" || !d.Time.Equal(disclosure(1, 2).Time) {
			t.Errorf("disclosure = %+v, %v", d, err)
		}
		w, err := verify(t, s, p, r.Leaf+2).Withdrawal()
		if err != nil || len(w.Versions) != 1 || w.Versions[0].Seq != 2 || w.Versions[0].SHA256 != got.Objects[1].SHA256 || w.User != "ada" {
			t.Errorf("withdrawal = %+v, %v", w, err)
		}
		if again, err := verify(t, s, p, r.Leaf).Submission(); err != nil || again.ID != r.ID {
			t.Errorf("submission = %+v, %v", again, err)
		}
		s = reopen(t, s, p)
		for i := range 10 {
			share(t, s, "bank", Indicator(100+i, 0))
		}
	}
}

func ledgerGrows(t *testing.T, p Place) {
	s := open(t, p)
	ctx := context.Background()
	var all []receipt.Checkpoint
	take := func() {
		signed, err := s.Checkpoint(ctx)
		if err != nil {
			t.Fatal(err)
		}
		c, err := receipt.OpenCheckpoint(signed, p.VerifierKey)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	take()
	for i := range 12 {
		share(t, s, "bank", Indicator(i, 0))
		take()
		if i == 5 {
			s = reopen(t, s, p)
			take()
		}
	}
	disclose(t, s, 1, 3)
	take()
	last := all[len(all)-1]
	if last.Size != 13 || all[0].Size != 0 {
		t.Fatalf("from %d to %d entries, want 0 to 13", all[0].Size, last.Size)
	}
	r := tlog.HashReaderFunc(func(positions []int64) ([]tlog.Hash, error) {
		got, err := s.Hashes(ctx, positions)
		out := make([]tlog.Hash, len(got))
		for i := range got {
			out[i] = got[i]
		}
		return out, err
	})
	for _, c := range all {
		var proof []tlog.Hash
		if c.Size > 0 {
			var err error
			if proof, err = tlog.ProveTree(last.Size, c.Size, r); err != nil {
				t.Fatal(err)
			}
		}
		if err := receipt.VerifyConsistency(c, last, proof); err != nil {
			t.Errorf("from %d to %d entries: %v", c.Size, last.Size, err)
		}
	}
	entries, err := s.Entries(ctx, 0, last.Size)
	if err != nil || int64(len(entries)) != last.Size {
		t.Fatalf("Entries = %d, %v", len(entries), err)
	}
	for i, e := range entries {
		leaf, err := s.Hashes(ctx, []int64{tlog.StoredHashIndex(0, int64(i))})
		if err != nil || leaf[0] != [32]byte(tlog.RecordHash(e)) {
			t.Errorf("entry %d does not hash to its leaf: %v", i, err)
		}
	}
	if _, err := s.Entries(ctx, last.Size, last.Size+1); err == nil {
		t.Error("Entries beyond the end succeeded")
	}
	if _, err := s.Hashes(ctx, []int64{1 << 40}); err == nil {
		t.Error("Hashes beyond the end succeeded")
	}
}

func disclosures(t *testing.T, p Place) {
	s := open(t, p)
	ctx := context.Background()
	share(t, s, "bank", Indicator(1, 0))
	if err := s.Disclose(ctx, []receipt.Disclosure{disclosure(1, 1), disclosure(1, 2), disclosure(1, 3)}); err != nil {
		t.Fatal(err)
	}
	now := disclosure(1, 4)
	now.Time = time.Time{}
	if err := s.Disclose(ctx, []receipt.Disclosure{now}); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s, p)
	list := func(from int64, most int) (leaves []int64) {
		got, err := s.List(ctx, "disclosure", community, from, most)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range got {
			leaves = append(leaves, l.Index)
			if l.Kind != "disclosure" || string(verify(t, s, p, l.Index).Statement()) != string(l.Statement) {
				t.Errorf("leaf %d is not what its receipt says", l.Index)
			}
			if d, err := verify(t, s, p, l.Index).Disclosure(); err != nil || !d.Time.Equal(l.Time) || d.Hub == "" || d.To != l.Index {
				t.Errorf("leaf %d = %+v, %v", l.Index, d, err)
			}
		}
		return leaves
	}
	for name, tt := range map[string]struct {
		from int64
		most int
		want []int64
	}{
		"all": {0, 10, []int64{1, 2, 3, 4}}, "first two": {0, 2, []int64{1, 2}}, "rest": {3, 10, []int64{3, 4}}, "none": {5, 10, nil}, "nothing": {0, 0, nil},
	} {
		if got := list(tt.from, tt.most); !slices.Equal(got, tt.want) {
			t.Errorf("%s: leaves %v, want %v", name, got, tt.want)
		}
	}
	last, err := s.List(ctx, "disclosure", community, 4, 1)
	if err != nil || len(last) != 1 || time.Since(last[0].Time) > time.Minute {
		t.Errorf("a read without a time is recorded at %v, %v, want now", last, err)
	}
}

func directory(t *testing.T, p Place) {
	s := open(t, p)
	ctx := context.Background()
	change := member.Change{Organization: "isao", User: "ada", Summary: []string{"organization bank: made"}}
	save := func(changed ...member.Record) {
		t.Helper()
		if err := s.SaveDirectory(ctx, changed, change); err != nil {
			t.Fatal(err)
		}
	}
	save(
		member.Record{Kind: "organization", Key: "bank", Doc: []byte(`{"v":1}`)},
		member.Record{Kind: "organization", Key: "insurer", Doc: []byte(`{}`)},
		member.Record{Kind: "token", Key: "bank", Doc: []byte(`{"t":1}`)})
	save(
		member.Record{Kind: "organization", Key: "bank", Doc: []byte(`{"v":2}`)},
		member.Record{Kind: "organization", Key: "insurer", Deleted: true},
		member.Record{Kind: "organization", Key: "never-there", Deleted: true})
	s = reopen(t, s, p)
	got, err := s.Directory(ctx)
	want := []member.Record{
		{Kind: "organization", Key: "bank", Doc: []byte(`{"v":2}`)},
		{Kind: "token", Key: "bank", Doc: []byte(`{"t":1}`)},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Directory: %v, differs (-want +got):\n%s", err, diff)
	}
	d, err := verify(t, s, p, 1).Directory()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(change.Summary, d.Summary); diff != "" || d.User != "ada" || len(d.Changes) != 3 || !d.Changes[1].Deleted || d.Changes[0].SHA256 == "" {
		t.Errorf("statement = %+v", d)
	}
	if list, err := s.List(ctx, "directory", "", 0, 10); err != nil || len(list) != 2 {
		t.Errorf("List = %v, %v, want both changes", list, err)
	}
}

func closed(t *testing.T, p Place) {
	s := open(t, p)
	share(t, s, "bank", Indicator(1, 0))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Record(context.Background(), Admit(t, Member("bank"), Target(), Indicator(2, 0))); err == nil {
		t.Error("a closed store took a submission")
	}
	if _, err := s.Versions(context.Background(), collection, IndicatorID(1)); err == nil {
		t.Error("a closed store read")
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	checkOrder(t, scan(t, open(t, p), collection, 10), 1)
}

func canceled(t *testing.T, p Place) {
	s := open(t, p)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Record(ctx, Admit(t, Member("bank"), Target(), Indicator(1, 0))); !errors.Is(err, context.Canceled) {
		t.Errorf("Record = %v, want canceled", err)
	}
	share(t, s, "bank", Indicator(2, 0))
	if _, err := s.Versions(ctx, collection, IndicatorID(2)); !errors.Is(err, context.Canceled) {
		t.Errorf("Versions = %v, want canceled", err)
	}
	checkOrder(t, scan(t, s, collection, 10), 1)
}

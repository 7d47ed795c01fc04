package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/member"
	"tocsin/internal/review"
	"tocsin/internal/store"
	"tocsin/internal/view"
	"tocsin/receipt"
)

// A Movable is a place that a hub may be moved from, or to.
type Movable struct {
	// Open opens the store for a hub to run on.
	Open func() (store.Store, error)
	// End opens the store for a move.
	End         func() (End, error)
	VerifierKey string
}

// An End is an end of a move that can be closed.
type End interface {
	store.Target
	Close() error
}

// Moves tests that a hub moves from one store to another. Both functions make an
// empty place for the same hub.
func Moves(t *testing.T, from, to func(t *testing.T) Movable) {
	t.Helper()
	t.Run("AllIsAsItWas", func(t *testing.T) { movesWhole(t, from(t), to(t)) })
	t.Run("NothingYet", func(t *testing.T) { movesNothing(t, from(t), to(t)) })
	t.Run("NothingIsWrittenOver", func(t *testing.T) { movesIntoEmpty(t, from(t), to(t), to(t)) })
	t.Run("DamageIsNotMoved", func(t *testing.T) { movesDamage(t, from(t), to(t)) })
}

// MovesAfterCuts tests that a move that is cut off before one of its steps, of
// each sort one, is made again, and that the hub can run in one place at most.
// It takes longer than [Moves].
func MovesAfterCuts(t *testing.T, from, to func(t *testing.T) Movable) {
	t.Helper()
	for _, step := range []string{"coming", "copy collections", "copy hashes", "verify", "whole", "gone", "home"} {
		t.Run("CutOffBefore/"+step, func(t *testing.T) { movesAfterCut(t, from(t), to(t), step) })
	}
}

// run opens a store, does something with it and closes it.
func (p Movable) run(t *testing.T, do func(s store.Store)) {
	t.Helper()
	s, err := p.Open()
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	do(s)
}

// runs reports whether a hub can run on a store, or why not.
func (p Movable) runs() error {
	s, err := p.Open()
	if err != nil {
		return err
	}
	return s.Close()
}

// move moves the suite's hub.
func move(from, to Movable, m store.Move) (out store.Moved, err error) {
	source, err := from.End()
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := to.End()
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	m.Hub, m.From, m.To = from.VerifierKey, "the old place", "the new place"
	return m.Do(context.Background(), source, target)
}

// furnish records some of everything that a hub keeps.
func furnish(t *testing.T, s store.Store) {
	t.Helper()
	ctx := context.Background()
	share(t, s, "bank", definition(1), Indicator(1, 0), Indicator(2, 0, `,"name":"a\u0000b"`), sighting(1, 1), file(1, "a.exe"))
	share(t, s, "insurer", sighting(2, 1), Indicator(7, 0, `,"revoked":true`))
	share(t, s, "bank", Indicator(1, 1), Indicator(1, 2), ahead(9), ahead(8))
	share(t, s, "bank", Indicator(2, 0, `,"name":"a conflict"`), Indicator(1, 2))
	of := fmt.Sprintf(`{"type":"x-nul","spec_version":"2.1","id":%q,"created":%q,"modified":%[2]q,"sighting_of_ref":"a\u0000b"}`, id("x-nul", 1), versionOf(0))
	share(t, s, "bank", of)
	to := Target()
	to.Recipients, to.Collection = []string{"utility"}, other
	record(t, s, Admit(t, Member("bank"), to, Indicator(5, 0), Indicator(6, 0)))
	due, err := s.Due(ctx, time.Now().Add(31*24*time.Hour), 1)
	if err != nil || len(due) != 1 {
		t.Fatalf("Due = %d holds, %v", len(due), err)
	}
	if err := s.Settle(ctx, due[0].Number, store.Settlement{Success: &store.Success{ID: due[0].ID, Version: due[0].Version, Seq: 7, Known: true}}); err != nil {
		t.Fatal(err)
	}
	to = Target()
	to.ReviewTime = time.Hour
	record(t, s, Admit(t, Member("bank"), to, unsure(3, 0), unsure(4, 1)))
	items := queued(t, s, false)
	next, _ := decided(t, items[0], review.Reject, "")
	if err := s.SaveReview(ctx, items[0].Item, next, receipt.Review{Action: "reject"}); err != nil {
		t.Fatal(err)
	}
	if n, _, err := s.Withdraw(ctx, withdrawal("bank", 1, 2)); n != 1 || err != nil {
		t.Fatalf("Withdraw = %d, %v", n, err)
	}
	confirm(t, s, confirmation("a", 3, 10, func(c *store.Confirmation) { c.Idle = []string{IndicatorID(1)} }), confirmation("b", 2, 11, nil), confirmation("b", 4, 12, nil))
	disclose(t, s, 1, 4)
	records := []member.Record{{Kind: "organization", Key: "bank", Doc: []byte("{}")}, {Kind: "organization", Key: "Bank", Doc: []byte{}}, {Kind: "user", Key: "äda", Doc: []byte(`{"a":1}`)}}
	if err := s.SaveDirectory(ctx, records, member.Change{}); err != nil {
		t.Fatal(err)
	}
}

// inventory is all that a store says, in words.
func inventory(t *testing.T, s store.Store, vkey string) (out []string) {
	t.Helper()
	ctx := context.Background()
	say := func(what string, values ...any) { out = append(out, what+": "+fmt.Sprintf("%+v", values)) }
	rows := func(what string, got []view.Sealed, err error) {
		for _, r := range got {
			content := ""
			if !r.Withdrawn {
				content = raw(t, r)
			}
			say(what, r.Seq, r.ID, r.Type, r.Version, r.Modified, r.Added.UnixMicro(), r.Collection, r.Withdrawn, r.Siblings, *r.Label, content)
		}
		say(what+" end", err)
	}
	for _, c := range []string{collection, other, ""} {
		head, _ := s.Head(c)
		say("head of "+c, head)
	}
	var ids []string
	for _, c := range []string{collection, other} {
		all := scan(t, s, c, 3)
		rows("scan", all, nil)
		for _, r := range all {
			at, err := s.Seek(ctx, r.Added)
			say("seek", at, err)
			ids = append(ids, r.ID)
		}
		for _, id := range slices.Compact(ids) {
			found, err := s.Versions(ctx, c, id)
			rows("versions", found, err)
		}
	}
	for _, id := range []string{IndicatorID(1), "a\x00b"} {
		found, err := s.Sightings(ctx, community, id)
		rows("sightings", found, err)
	}
	for _, kind := range []receipt.Kind{receipt.KindSubmission, receipt.KindDisclosure, receipt.KindReview, receipt.KindWithdrawal, receipt.KindDirectory} {
		for _, c := range []string{community, ""} {
			leaves, err := s.List(ctx, string(kind), c, 0, 100)
			say("list", err)
			for _, l := range leaves {
				say("leaf", l.Index, l.Kind, l.Time, string(l.Statement))
				p, err := s.Receipt(ctx, l.Index)
				if err == nil {
					_, err = receipt.Verify(p, vkey)
				}
				say("receipt", err)
				var st receipt.Submission
				if v, err := receipt.Verify(p, vkey); err == nil {
					st, _ = v.Submission()
				}
				if st.ID != "" {
					r, err := s.Submission(ctx, st.ID)
					say("submission", r.ID, r.Requested, r.Successes, r.Pending, len(r.Failures), r.First, r.Last, r.Leaf, r.Reviews, err)
				}
			}
		}
	}
	say("followers", follow(t, s, IndicatorID(1), 1, 3, 4))
	due, err := s.Due(ctx, time.Now().Add(31*24*time.Hour), 100)
	for _, h := range due {
		say("hold", h.Number, h.Submission, h.Who, h.Target, h.ID, h.Version, h.Due, string(h.Raw))
	}
	say("holds", err)
	for _, ended := range []bool{false, true} {
		for _, i := range queued(t, s, ended) {
			say("review", i.ID, i.Object, i.Collection, i.State, i.Original(), i.Expires, *i.Label)
		}
	}
	definitions, err := s.Definitions(ctx)
	say("definitions", definitions, err)
	directory, err := s.Directory(ctx)
	say("directory", directory, err)
	checkpoint, err := s.Checkpoint(ctx)
	say("checkpoint", string(checkpoint), err)
	entries, err := s.Entries(ctx, 0, 5)
	say("entries", entries, err)
	return out
}

func movesWhole(t *testing.T, from, to Movable) {
	var before, after []string
	var head int64
	from.run(t, func(s store.Store) {
		furnish(t, s)
		before = inventory(t, s, from.VerifierKey)
		head, _ = s.Head("")
	})
	steps := map[string]int64{}
	moved, err := move(from, to, store.Move{Progress: func(step string, done, total int64) {
		if done > total || done < steps[step] {
			t.Errorf("%s %d of %d, after %d", step, done, total, steps[step])
		}
		steps[step] = done
	}})
	if err != nil || moved.Resumed {
		t.Fatalf("move = %+v, %v", moved, err)
	}
	for _, s := range moved.Sums {
		if s.Rows == 0 || len(s.SHA256) != 64 {
			t.Errorf("%d %s were moved: the test tests nothing", s.Rows, s.Kind)
		}
	}
	if steps["copying"] == 0 || steps["comparing"] != steps["copying"] || steps["verifying"] == 0 {
		t.Errorf("progress ended with %v", steps)
	}
	if err := from.runs(); err == nil || !strings.Contains(err.Error(), "moved to the new place") {
		t.Errorf("the source opens: %v", err)
	}
	to.run(t, func(s store.Store) {
		after = inventory(t, s, to.VerifierKey)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("the target differs (-source +target):\n%s", diff)
		}
		wantOne(t, share(t, s, "bank", Indicator(1, 2)), 9, true)
		for i := range 3 { // and the order, the ledger and the numbers go on
			wantOne(t, share(t, s, "newcomer", Indicator(100+i, 0)), head+int64(i)+1, false)
		}
		share(t, s, "bank", ahead(77), Indicator(1, 5))
		confirm(t, s, confirmation("b", 5, 13, nil), confirmation("c", 5, 13, nil))
		to := Target()
		to.Collection, to.ReviewTime = id("x", 9)[3:], time.Hour
		record(t, s, Admit(t, Member("bank"), to, unsure(30, 0)))
	})
	to.run(t, func(s store.Store) {
		if got, err := s.Versions(context.Background(), collection, IndicatorID(1)); err != nil || len(got) != 3 {
			t.Errorf("Versions = %d, %v, want the two that were moved and a new one", len(got), err)
		}
	})
	end, err := to.End()
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	if err := end.Verify(t.Context(), nil); err != nil {
		t.Errorf("Verify after more was written = %v", err)
	}
	if m, err := end.Mark(t.Context()); err != nil || m.Phase != store.Home || m.Place != "the old place" {
		t.Errorf("Mark = %+v, %v", m, err)
	}
}

func movesNothing(t *testing.T, from, to Movable) {
	from.run(t, func(store.Store) {})
	if _, err := move(from, to, store.Move{}); err != nil {
		t.Fatal(err)
	}
	to.run(t, func(s store.Store) { wantOne(t, share(t, s, "bank", Indicator(1, 0)), 1, false) })
}

func movesIntoEmpty(t *testing.T, from, used, to Movable) {
	from.run(t, func(s store.Store) { share(t, s, "bank", Indicator(1, 0)) })
	used.run(t, func(store.Store) {})
	for _, again := range []bool{false, true} {
		if _, err := move(from, used, store.Move{Again: again}); err == nil || !strings.Contains(err.Error(), "not empty") {
			t.Errorf("move to where a hub lives, again %v = %v", again, err)
		}
	}
	if err := errors.Join(from.runs(), used.runs()); err != nil {
		t.Errorf("after a move that was refused: %v", err)
	}
	if _, err := move(from, to, store.Move{}); err != nil {
		t.Fatal(err)
	}
	for _, again := range []bool{false, true} {
		if _, err := move(from, to, store.Move{Again: again}); err == nil || !strings.Contains(err.Error(), "moved to the new place") {
			t.Errorf("move of what was moved, again %v = %v", again, err)
		}
		if _, err := move(to, from, store.Move{Again: again}); err == nil || !strings.Contains(err.Error(), "not empty") {
			t.Errorf("move back to where the hub was, again %v = %v", again, err)
		}
	}
	if err := to.runs(); err != nil {
		t.Error(err)
	}
}

// movesDamage changes a row on the way: what is read back is not what was sent.
func movesDamage(t *testing.T, from, to Movable) {
	from.run(t, func(s store.Store) { furnish(t, s) })
	source, err := from.End()
	if err != nil {
		t.Fatal(err)
	}
	target, err := to.End()
	if err != nil {
		t.Fatal(err)
	}
	m := store.Move{Hub: from.VerifierKey, From: "the old place", To: "the new place"}
	_, err = m.Do(t.Context(), source, damaging{target})
	if err == nil || !strings.Contains(err.Error(), "compare objects") {
		t.Errorf("move = %v, want it to notice", err)
	}
	if err := errors.Join(source.Close(), target.Close()); err != nil {
		t.Fatal(err)
	}
	if err := from.runs(); err != nil {
		t.Errorf("the source after a move that failed: %v", err)
	}
	if to.runs() == nil {
		t.Error("a damaged target opens")
	}
}

// damaging is a target that stores another flag than it is given.
type damaging struct{ End }

func (d damaging) Add(ctx context.Context, k store.Kind, rows store.Rows) error {
	at := k.Find("flags")
	return d.End.Add(ctx, k, func(yield func(store.Values, error) bool) {
		for row, err := range rows {
			if at >= 0 && err == nil {
				row = slices.Clone(row)
				row[at] = int64(4)
			}
			if !yield(row, err) {
				return
			}
		}
	})
}

// cutBefore is a move that is cut off before a step.
func cutBefore(step string) store.Move {
	return store.Move{Again: true, Before: func(name string) error {
		if name == step {
			return errCut
		}
		return nil
	}}
}

var errCut = errors.New("cut off")

func movesAfterCut(t *testing.T, from, to Movable, step string) {
	var before []string
	from.run(t, func(s store.Store) {
		share(t, s, "bank", Indicator(1, 0), sighting(1, 1), ahead(2))
		disclose(t, s, 1, 2)
		before = inventory(t, s, from.VerifierKey)
	})
	if _, err := move(from, to, cutBefore(step)); !errors.Is(err, errCut) {
		t.Fatalf("move = %v, want it cut off", err)
	}
	gone := step == "home" // the step before it was the last one of the source
	if err := from.runs(); (err == nil) == gone {
		t.Errorf("the source opens: %v", err)
	}
	if step != "coming" && to.runs() == nil { // nothing was done before that: an empty place becomes another hub
		t.Error("the target opens")
	}
	if step != "coming" && !gone {
		if _, err := move(from, to, store.Move{}); err == nil || !strings.Contains(err.Error(), "earlier move") {
			t.Errorf("again = %v, want to be asked", err)
		}
		if _, err := move(from, to, cutBefore("clear")); !errors.Is(err, errCut) {
			t.Errorf("again = %v, want it cut off again", err)
		}
	}
	moved, err := move(from, to, store.Move{Again: !gone})
	if err != nil || moved.Resumed != gone {
		t.Fatalf("again = %+v, %v; only the end was to do: %v", moved, err, gone)
	}
	if from.runs() == nil {
		t.Error("the source opens after all")
	}
	to.run(t, func(s store.Store) {
		if diff := cmp.Diff(before, inventory(t, s, to.VerifierKey)); diff != "" {
			t.Errorf("the target differs (-source +target):\n%s", diff)
		}
	})
}

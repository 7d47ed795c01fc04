package restore_test

import (
	"errors"
	"strings"
	"testing"

	"tocsin"
	"tocsin/internal/distribute"
	"tocsin/internal/hub/hubtest"
	"tocsin/internal/member"
	"tocsin/internal/restore"
	"tocsin/internal/review"
	"tocsin/internal/store"
	"tocsin/receipt"
)

const red = `,"object_marking_refs":["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"]`

// unsure is indicator 1 with two names that the gate is not sure of.
func unsure(more string) string {
	return hubtest.Indicator(1, 1, `"description":"The mail that Svetlana opened. Then Ludmila did"`+more)
}

func who(t *testing.T, p *hubtest.Parts, name string) tocsin.Member {
	t.Helper()
	m, err := p.Directory.Authenticate(t.Context(), p.Tokens[name])
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func waiting(t *testing.T, p *hubtest.Parts) []store.Review {
	t.Helper()
	found, _, err := p.Store.Reviews(t.Context(), store.ReviewQuery{Community: "finance", Most: 10})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func isKind(err error, k tocsin.Kind) bool {
	e, ok := errors.AsType[*tocsin.Error](err)
	return ok && e.Kind == k
}

func TestWhoSeesTheQueue(t *testing.T) {
	for name, tt := range map[string]struct {
		as, object string
		see        bool
	}{
		"a curator":                            {hubtest.Curator, unsure(""), true},
		"an operator":                          {hubtest.Operator, unsure(""), true},
		"the submitter, who is none":           {hubtest.Writer, unsure(""), false},
		"a reader":                             {hubtest.Reader, unsure(""), false},
		"an agency":                            {hubtest.Agency, unsure(""), false},
		"a stranger":                           {hubtest.Stranger, unsure(""), false},
		"the hub's operator":                   {hubtest.Hub, unsure(""), false},
		"a curator whom the object is kept of": {hubtest.Curator, unsure(red), false},
	} {
		t.Run(name, func(t *testing.T) {
			p := hubtest.Open(t)
			if made := p.Share(t, hubtest.Writer, nil, tt.object); made.Reviews != 2 {
				t.Fatalf("%d values wait, want 2", made.Reviews)
			}
			m, id := who(t, p, tt.as), waiting(t, p)[0].ID
			found, _, err := p.Restore.List(t.Context(), m, store.ReviewQuery{Community: "finance", Most: 10})
			if (len(found) == 2) != tt.see || err != nil && !isKind(err, tocsin.NotFound) {
				t.Errorf("List = %d, %v", len(found), err)
			}
			shown, err := p.Restore.Show(t.Context(), m, "finance", id)
			if (shown.Original() == "Svetlana") != tt.see || (err == nil) != tt.see || err != nil && !isKind(err, tocsin.NotFound) {
				t.Errorf("Show = %q, %v", shown.Original(), err)
			}
			if tt.see && shown.Text != "The mail that [person-name-1] opened. Then [person-name-2] did" {
				t.Errorf("Show has the text %q", shown.Text)
			}
			looks, err := p.Store.List(t.Context(), string(receipt.KindReview), "finance", 0, 10)
			if err != nil || (len(looks) == 1) != tt.see {
				t.Errorf("%d looks are on record, %v", len(looks), err)
			}
			_, err = p.Restore.Decide(t.Context(), m, "finance", []restore.Decision{{ID: id, Action: review.Approve}})
			if (err == nil) != tt.see || err != nil && !isKind(err, tocsin.NotFound) {
				t.Errorf("Decide = %v", err)
			}
			// The queue of one community is not reached by way of another.
			if _, err := p.Restore.Show(t.Context(), m, "energy", id); !isKind(err, tocsin.NotFound) {
				t.Errorf("Show in another community = %v, want not found", err)
			}
		})
	}
}

func TestDecisionsOnOneObjectAreOneVersion(t *testing.T) {
	p := hubtest.Open(t)
	p.Share(t, hubtest.Writer, nil, unsure(""))
	items := waiting(t, p)
	made, err := p.Restore.Decide(t.Context(), who(t, p, hubtest.Curator), "finance", []restore.Decision{
		{ID: items[0].ID, Action: review.Approve}, {ID: items[1].ID, Action: review.Redact, Text: `a "clerk"`},
	})
	if err != nil || len(made) != 2 || made[0].State != review.Approved || made[1].State != review.Redacted || made[0].Submission.ID != made[1].Submission.ID {
		t.Fatalf("Decide = %+v, %v, want both in one submission", made, err)
	}
	versions, err := p.Feed.Object(t.Context(), who(t, p, hubtest.Reader), "finance", "indicators", items[0].Object, distribute.Which{All: true})
	if err != nil || len(versions) != 2 {
		t.Fatalf("%d versions, %v, want 2", len(versions), err)
	}
	before, after := string(versions[0].Raw()), string(versions[1].Raw())
	want := strings.Replace(before, "[person-name-1] opened. Then [person-name-2]", `Svetlana opened. Then a \"clerk\"`, 1)
	want = strings.Replace(want, `"modified":"2026-01-01T00:00:00.000Z"`, `"modified":"`+versions[1].Version()+`"`, 1)
	if after != want || versions[1].Owner() != "acme" {
		t.Errorf("the following version of %s is\n%s, want\n%s", versions[1].Owner(), after, want)
	}
	// Its own receipt says what was decided, and is the reviewer's.
	proof, err := p.Prover.SubmissionReceipt(t.Context(), who(t, p, hubtest.Curator), made[0].Submission.ID)
	if err != nil || !strings.Contains(string(proof.Marshal()), "tlog-proof") {
		t.Errorf("SubmissionReceipt = %v", err)
	}
	leaves, err := p.Store.List(t.Context(), string(receipt.KindSubmission), "finance", made[0].Submission.Leaf, 1)
	if err != nil || len(leaves) != 1 || !strings.Contains(string(leaves[0].Statement), `"by":["isac/u"]`) || strings.Contains(string(leaves[0].Statement), "Svetlana") {
		t.Errorf("the record is %s, %v", leaves[0].Statement, err)
	}
}

func TestADecisionThatCannotBeTakenTakesNoneWithIt(t *testing.T) {
	p := hubtest.Open(t)
	p.Share(t, hubtest.Writer, nil, unsure(""))
	items := waiting(t, p)
	curator := who(t, p, hubtest.Curator)
	approve := restore.Decision{ID: items[0].ID, Action: review.Approve}
	for name, decisions := range map[string][]restore.Decision{
		"none":                nil,
		"twice":               {approve, approve},
		"one that is not":     {approve, {ID: "00000000-0000-4000-8000-000000000000", Action: review.Approve}},
		"one that is no id":   {approve, {ID: "1", Action: review.Approve}},
		"one without a text":  {approve, {ID: items[1].ID, Action: review.Redact}},
		"one without a sense": {approve, {ID: items[1].ID}},
		"too many":            make([]restore.Decision, restore.MostDecisions+1),
	} {
		if made, err := p.Restore.Decide(t.Context(), curator, "finance", decisions); err == nil {
			t.Errorf("%s: Decide = %+v, want an error", name, made)
		}
	}
	if left := waiting(t, p); len(left) != 2 {
		t.Errorf("%d wait, want both", len(left))
	}
}

func TestACommunitySaysHowItIsDone(t *testing.T) {
	p := hubtest.Open(t)
	n, err := member.ParseNetwork([]byte("communities: [{name: finance, privacy: {path: strict, reviewers: 2, review_days: 7}}]"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Directory.Apply(t.Context(), tocsin.Member{Operator: true}, n); err != nil {
		t.Fatal(err)
	}
	made := p.Share(t, hubtest.Writer, nil, unsure(""))
	items := waiting(t, p)
	if made.Reviews != 1 || len(items) != 1 || items[0].Class != "free-text" || items[0].Expires.Sub(items[0].Made).Hours() != 7*24 {
		t.Fatalf("%+v wait, want the description as a whole for a week", items)
	}
	item := items[0]
	decide := func(as string) ([]restore.Decided, error) {
		return p.Restore.Decide(t.Context(), who(t, p, as), "finance", []restore.Decision{{ID: item.ID, Action: review.Redact, Text: "A mail was opened"}})
	}
	if first, err := decide(hubtest.Curator); err != nil || first[0].State != review.Pending {
		t.Fatalf("the first opinion = %+v, %v, want it pending", first, err)
	}
	if again, err := decide(hubtest.Curator); err != nil || again[0].State != review.Pending {
		t.Fatalf("the same person again = %+v, %v, want it pending", again, err)
	}
	second, err := decide(hubtest.Operator)
	if err != nil || second[0].State != review.Redacted {
		t.Fatalf("the second person = %+v, %v, want it redacted", second, err)
	}
	versions, err := p.Feed.Object(t.Context(), who(t, p, hubtest.Reader), "finance", "indicators", item.Object, distribute.Which{Last: true})
	if err != nil || len(versions) != 1 || !strings.Contains(string(versions[0].Raw()), `"description":"A mail was opened"`) {
		t.Errorf("the last version = %v, %v", versions, err)
	}
	// The receipts name the strict rules, not the others'.
	leaves, err := p.Store.List(t.Context(), string(receipt.KindSubmission), "finance", 0, 10)
	if err != nil || len(leaves) != 2 {
		t.Fatalf("%d records, %v", len(leaves), err)
	}
	for _, leaf := range leaves {
		if !strings.Contains(string(leaf.Statement), p.Submit.Strict.Rules()) || p.Submit.Strict.Rules() == p.Submit.Gate.Rules() {
			t.Errorf("record %s does not name %s", leaf.Statement, p.Submit.Strict.Rules())
		}
	}
}

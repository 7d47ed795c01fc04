package review

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"tocsin"
)

// pending is an item of acme's whose value is "Svetlana".
func pending() Item {
	return Item{ID: "1", Owner: "acme", State: Pending, Expires: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)}.With("Svetlana")
}

func says(organization, user string, a Action, text string) Opinion {
	return Opinion{Person: Person{organization, user}, Action: a, Text: text, Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func TestEnoughPeopleWhoWantTheSameDecide(t *testing.T) {
	for name, tt := range map[string]struct {
		reviewers int
		opinions  []Opinion
		want      State
		text      string // of the approval, "" for none
	}{
		"one approves":                {1, []Opinion{says("isac", "eve", Approve, "")}, Approved, "Svetlana"},
		"one redacts":                 {1, []Opinion{says("isac", "eve", Redact, "an employee")}, Redacted, "an employee"},
		"one rejects":                 {1, []Opinion{says("isac", "eve", Reject, "")}, Rejected, ""},
		"one of the owner's approves": {1, []Opinion{says("acme", "eve", Approve, "")}, Approved, "Svetlana"},
		"one of two":                  {2, []Opinion{says("isac", "eve", Approve, "")}, Pending, ""},
		"two alike":                   {2, []Opinion{says("isac", "eve", Approve, ""), says("isac", "bob", Approve, "")}, Approved, "Svetlana"},
		"two who differ":              {2, []Opinion{says("isac", "eve", Approve, ""), says("isac", "bob", Reject, "")}, Pending, ""},
		"two with other texts":        {2, []Opinion{says("isac", "eve", Redact, "a"), says("isac", "bob", Redact, "b")}, Pending, ""},
		"one twice":                   {2, []Opinion{says("isac", "eve", Approve, ""), says("isac", "eve", Approve, "")}, Pending, ""},
		"one comes round":             {2, []Opinion{says("isac", "eve", Approve, ""), says("isac", "bob", Reject, ""), says("isac", "eve", Reject, "")}, Rejected, ""},
		"same name, other house":      {2, []Opinion{says("isac", "eve", Reject, ""), says("cert", "eve", Reject, "")}, Rejected, ""},
	} {
		item, text := pending(), ""
		for _, o := range tt.opinions {
			next, approval, err := item.Decide(o, tt.reviewers)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if item = next; approval != nil {
				item, text = approval.Item(), approval.Text()
			}
		}
		if item.State != tt.want || text != tt.text || (item.State != Pending) != (item.Original() == "") {
			t.Errorf("%s: %s with %q, original %q, want %s with %q", name, item.State, text, item.Original(), tt.want, tt.text)
		}
	}
}

func TestOpinionsThatAreRefused(t *testing.T) {
	long := strings.Repeat("x", MostText+1)
	late := says("isac", "eve", Approve, "")
	late.Time = time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	reason := func(text string) Opinion {
		o := says("isac", "eve", Reject, "")
		o.Reason = text
		return o
	}
	for name, tt := range map[string]struct {
		item      Item
		opinion   Opinion
		reviewers int
		want      tocsin.Kind
	}{
		"no action":                  {pending(), says("isac", "eve", "delete", ""), 1, tocsin.Invalid},
		"a reason with the value":    {pending(), reason("SVETLANA is a person"), 1, tocsin.Invalid},
		"a long reason":              {pending(), reason(long[:MostReason+1]), 1, tocsin.Invalid},
		"a text to approve":          {pending(), says("isac", "eve", Approve, "x"), 1, tocsin.Invalid},
		"redact without a text":      {pending(), says("isac", "eve", Redact, ""), 1, tocsin.Invalid},
		"redact with a long one":     {pending(), says("isac", "eve", Redact, long), 1, tocsin.Invalid},
		"redact with bytes":          {pending(), says("isac", "eve", Redact, "\xff"), 1, tocsin.Invalid},
		"redact with the value":      {pending(), says("isac", "eve", Redact, "it was svetlana"), 1, tocsin.Invalid},
		"the owner's own, two asked": {pending(), says("acme", "eve", Approve, ""), 2, tocsin.Forbidden},
		"what has ended":             {pending().End(Rejected, time.Now()), says("isac", "eve", Approve, ""), 1, tocsin.Conflict},
		"too late":                   {pending(), late, 1, tocsin.Conflict},
	} {
		_, approval, err := tt.item.Decide(tt.opinion, tt.reviewers)
		if e, ok := errors.AsType[*tocsin.Error](err); !ok || e.Kind != tt.want || approval != nil || strings.Contains(strings.ToLower(e.Error()+e.Hint), "svetlana") {
			t.Errorf("%s: Decide = %v, %v, want kind %d without the value", name, approval, err, tt.want)
		}
	}
}

func TestTheValueIsNeitherInJSONNorInWhatIsKeptOfAnItem(t *testing.T) {
	item, _, err := pending().Decide(says("isac", "eve", Redact, "an employee"), 2)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := json.Marshal(item)
	if err != nil || strings.Contains(string(shown), "Svetlana") || strings.Contains(string(shown), "an employee") {
		t.Errorf("as JSON = %s, %v, want neither value nor text", shown, err)
	}
	kept, err := item.Encode()
	if err != nil || strings.Contains(string(kept), "Svetlana") {
		t.Errorf("Encode = %s, %v, want no value", kept, err)
	}
	back, err := Decode(kept)
	if err != nil || len(back.Opinions) != 1 || back.Opinions[0].Text != "an employee" {
		t.Errorf("Decode = %+v, %v, want the opinion with its text", back, err)
	}
	if kept, err = back.End(Expired, time.Now()).Encode(); err != nil || strings.Contains(string(kept), "an employee") {
		t.Errorf("what is kept of an ended item = %s, %v, want no text", kept, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":"1","state":"pending","opinions":[{"user":"eve"}],"texts":["a","b"]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		if i, err := Decode(doc); err == nil && i.Original() != "" {
			t.Errorf("a document has a value: %q", i.Original())
		}
	})
}

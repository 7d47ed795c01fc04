package deploy_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tocsin"
	"tocsin/internal/deploy"
	"tocsin/internal/distribute"
	"tocsin/internal/hub/hubtest"
)

const red = `"object_marking_refs":["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"]`

// A cast is a hub with agents.
type cast struct {
	*hubtest.Parts

	t *testing.T
}

func newCast(t *testing.T) *cast {
	t.Helper()
	return &cast{hubtest.Open(t), t}
}

func (c *cast) who(name string) tocsin.Member {
	c.t.Helper()
	who, err := c.Directory.Authenticate(c.t.Context(), c.Tokens[name])
	if err != nil {
		c.t.Fatal(err)
	}
	return who
}

// confirm has agent number n of somebody confirm all that there is.
func (c *cast) confirm(name string, n int, change func(*deploy.Report)) {
	c.t.Helper()
	head, _ := c.Store.Head("")
	r := deploy.Report{Community: "finance", Collection: "indicators", Instance: fmt.Sprintf("00000000-0000-4000-8000-%012d", n), Position: head}
	if change != nil {
		change(&r)
	}
	if err := c.Deploy.Confirm(c.t.Context(), c.who(name), r); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cast) funnel(name string) (deploy.Funnel, error) {
	c.t.Helper()
	return c.Deploy.Funnel(c.t.Context(), c.who(name), "finance", "indicators", hubtest.ID("indicator", 1))
}

// looks checks the funnel of indicator 1 as its producer sees it, times left
// out, and that those who came somewhere have a time.
func (c *cast) looks(what string, want deploy.Funnel) {
	c.t.Helper()
	got, err := c.funnel(hubtest.Writer)
	if err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(deploy.Funnel{}, "Shared", "Ended"), cmpopts.IgnoreFields(deploy.Stage{}, "P50", "P99")); diff != "" {
		c.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
	for name, s := range map[string]deploy.Stage{"fetched": got.Fetched, "deployed": got.Deployed, "hit": got.Hit, "retired": got.Retired} {
		if s.P50 < 0 || s.P99 < s.P50 || s.Organizations == 0 && s.P99 > 0 || s.P99 > time.Hour {
			c.t.Errorf("%s: %s has the times %v and %v", what, name, s.P50, s.P99)
		}
	}
}

func (c *cast) sighting(as string, n int, more string) {
	c.t.Helper()
	c.Share(c.t, as, nil, fmt.Sprintf(`{"type":"sighting","spec_version":"2.1","id":%q,"created":"2026-01-02T00:00:00.000Z","modified":"2026-01-02T00:00:00.000Z","sighting_of_ref":%q%s}`,
		hubtest.ID("sighting", n), hubtest.ID("indicator", 1), more))
}

func stage(n int) deploy.Stage { return deploy.Stage{Organizations: n} }

func TestAProducerSeesHowFarAnObjectCame(t *testing.T) {
	c := newCast(t)
	c.confirm(hubtest.Curator, 9, func(r *deploy.Report) { r.Position = 0 }) // follows, and has not come to anything
	c.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1))
	c.looks("shared", deploy.Funnel{Followers: 1})
	c.confirm(hubtest.Colleague, 1, func(r *deploy.Report) { r.Idle = []string{hubtest.ID("indicator", 1)} })
	c.looks("fetched, and held back there", deploy.Funnel{Followers: 2, Fetched: stage(1)})
	c.confirm(hubtest.Colleague, 2, nil)
	c.confirm(hubtest.Reader, 3, nil)
	c.looks("in force at one agent of two, and elsewhere", deploy.Funnel{Followers: 3, Fetched: stage(2), Deployed: stage(2)})
	c.sighting(hubtest.Colleague, 1, `,"count":3`)
	c.sighting(hubtest.Colleague, 2, "")
	c.sighting(hubtest.Curator, 3, `,"count":0`)
	c.looks("hit", deploy.Funnel{Followers: 3, Fetched: stage(2), Deployed: stage(2), Hit: stage(1)})

	c.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 2, `"revoked":true`))
	want := deploy.Funnel{Followers: 3, Fetched: stage(2), Deployed: stage(2), Hit: stage(1), Why: deploy.Revoked, Holding: 2}
	c.looks("revoked", want)
	c.confirm(hubtest.Colleague, 2, nil)
	want.Holding, want.Retired = 1, stage(1)
	c.looks("let go at one", want)
	c.confirm(hubtest.Curator, 9, nil) // gets both versions at once: nothing was in force there
	want.Fetched = stage(3)
	c.looks("one that came late", want)
	moderator, err := c.funnel(hubtest.Curator)
	if err != nil || len(moderator.Holders) != 1 || moderator.Holders[0].Organization != "bravo" || moderator.Holders[0].Agents != 1 || moderator.Holders[0].Seen.IsZero() {
		t.Errorf("those who moderate see the holders %+v, %v, want bravo", moderator.Holders, err)
	}
	c.confirm(hubtest.Reader, 3, nil)
	want.Holding, want.Retired = 0, stage(2)
	c.looks("let go everywhere", want)
}

func TestWhatIsWithdrawnOrOverIsStillHeldSomewhere(t *testing.T) {
	c := newCast(t)
	c.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1))
	c.confirm(hubtest.Colleague, 1, nil)
	c.confirm(hubtest.Reader, 2, nil)
	if _, err := c.Withdrawer.Withdraw(t.Context(), c.who(hubtest.Writer), "finance", "indicators", hubtest.ID("indicator", 1), distribute.Which{All: true}); err != nil {
		t.Fatal(err)
	}
	c.confirm(hubtest.Curator, 3, nil) // never had it
	c.looks("withdrawn", deploy.Funnel{Followers: 3, Why: deploy.Withdrawn, Holding: 2})
	c.confirm(hubtest.Colleague, 1, nil)
	c.looks("let go at one", deploy.Funnel{Followers: 3, Why: deploy.Withdrawn, Holding: 1, Retired: stage(1)})

	c = newCast(t)
	soon := time.Now().Add(300 * time.Millisecond)
	c.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1, `"valid_until":"`+soon.UTC().Format("2006-01-02T15:04:05.000Z")+`"`))
	c.confirm(hubtest.Colleague, 1, nil)
	c.confirm(hubtest.Reader, 2, nil)
	c.looks("valid", deploy.Funnel{Followers: 2, Fetched: stage(2), Deployed: stage(2)})
	time.Sleep(time.Until(soon.Add(10 * time.Millisecond)))
	want := deploy.Funnel{Followers: 2, Fetched: stage(2), Deployed: stage(2), Why: deploy.Expired, Holding: 2}
	c.looks("over", want)
	c.confirm(hubtest.Reader, 2, nil)
	want.Holding, want.Retired = 1, stage(1)
	c.looks("over, and one agent lives", want)
}

func TestOnlyThoseWhoGotAnObjectAreCounted(t *testing.T) {
	c := newCast(t)
	c.Share(t, hubtest.Writer, []string{"delta"}, hubtest.Indicator(1, 1, red))
	c.confirm(hubtest.Colleague, 1, nil) // delta
	c.confirm(hubtest.Reader, 2, nil)
	c.looks("for one only", deploy.Funnel{Followers: 1, Fetched: stage(1), Deployed: stage(1)})
}

func TestStrangersFindNoFunnel(t *testing.T) {
	c := newCast(t)
	c.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1))
	for name, want := range map[string]tocsin.Kind{
		hubtest.Writer: 0, hubtest.Curator: 0, hubtest.Operator: 0, hubtest.Reader: tocsin.NotFound, hubtest.Colleague: tocsin.NotFound,
		hubtest.Stranger: tocsin.NotFound, hubtest.Hub: tocsin.NotFound, hubtest.Agency: tocsin.NotFound,
	} {
		_, err := c.funnel(name)
		got := tocsin.Kind(0)
		if e, ok := errors.AsType[*tocsin.Error](err); ok {
			got = e.Kind
		}
		if got != want || (err != nil) != (want != 0) {
			t.Errorf("for %s: %v, want kind %d", name, err, want)
		}
	}
	if _, err := c.Deploy.Funnel(t.Context(), c.who(hubtest.Writer), "finance", "indicators", hubtest.ID("indicator", 2)); err == nil {
		t.Error("there is a funnel of what nobody shared")
	}
}

func TestReportsAreChecked(t *testing.T) {
	c := newCast(t)
	good := deploy.Report{Community: "finance", Collection: "indicators", Instance: "00000000-0000-4000-8000-000000000001"}
	for name, tt := range map[string]struct {
		as     string
		change func(*deploy.Report)
		want   tocsin.Kind
	}{
		"a good one":          {hubtest.Reader, func(*deploy.Report) {}, 0},
		"a stranger's":        {hubtest.Stranger, func(*deploy.Report) {}, tocsin.NotFound},
		"the hub's operator":  {hubtest.Hub, func(*deploy.Report) {}, tocsin.NotFound},
		"of nobody":           {hubtest.Reader, func(r *deploy.Report) { r.Instance = "x' OR 1" }, tocsin.Invalid},
		"of the future":       {hubtest.Reader, func(r *deploy.Report) { r.Deployed = -time.Second }, tocsin.Invalid},
		"in force before":     {hubtest.Reader, func(r *deploy.Report) { r.Deployed = time.Second }, tocsin.Invalid},
		"of long ago":         {hubtest.Reader, func(r *deploy.Report) { r.Fetched = 31 * 24 * time.Hour }, tocsin.Invalid},
		"of no objects":       {hubtest.Reader, func(r *deploy.Report) { r.Idle = []string{"evil.example"} }, tocsin.Invalid},
		"of too many objects": {hubtest.Reader, func(r *deploy.Report) { r.Busy = make([]string, 10_001) }, tocsin.TooLarge},
	} {
		r := good
		tt.change(&r)
		err := c.Deploy.Confirm(t.Context(), c.who(tt.as), r)
		got := tocsin.Kind(0)
		if e, ok := errors.AsType[*tocsin.Error](err); ok {
			got = e.Kind
		}
		if got != tt.want || (err != nil) != (tt.want != 0) {
			t.Errorf("%s: Confirm = %v, want kind %d", name, err, tt.want)
		}
	}
}

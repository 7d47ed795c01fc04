package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin"
	"tocsin/internal/store"
)

// confirmation is what an agent of a bank says at a second of 2026.
func confirmation(instance string, position int64, second int, more func(*store.Confirmation)) store.Confirmation {
	at := time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC)
	c := store.Confirmation{
		Agent: store.Agent{Organization: "bank", Token: "t1", Instance: instance}, Collection: collection, Position: position,
		Fetched: at.Add(-200 * time.Millisecond), Deployed: at, Seen: at,
	}
	if more != nil {
		more(&c)
	}
	return c
}

func confirm(t *testing.T, s store.Store, all ...store.Confirmation) {
	t.Helper()
	for _, c := range all {
		if err := s.Confirm(context.Background(), c); err != nil {
			t.Fatal(err)
		}
	}
}

// follow returns what is known of agents: organization/instance, then where
// they are and when they reached positions, in seconds of 2026.
func follow(t *testing.T, s store.Store, object string, positions ...int64) (all []string) {
	t.Helper()
	found, err := s.Followers(context.Background(), store.FollowerQuery{Collection: collection, Object: object, Positions: positions})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		var text strings.Builder
		fmt.Fprintf(&text, "%s/%s %d seen %d", f.Organization, f.Instance, f.Position, f.Seen.UTC().Second())
		if f.Idle {
			text.WriteString(" idle")
		}
		for _, r := range f.Reached {
			if r.Position == 0 {
				text.WriteString(", -")
				continue
			}
			fmt.Fprintf(&text, ", %d at %d after %v", r.Position, r.Deployed.UTC().Second(), r.Deployed.Sub(r.Fetched))
		}
		all = append(all, text.String())
	}
	return all
}

func deployments(t *testing.T, p Place) {
	s := open(t, p)
	same := func(what string, got []string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	one, two := IndicatorID(1), IndicatorID(2)
	same("nobody has said anything", follow(t, s, one, 1))
	confirm(t, s, confirmation("a", 5, 1, nil), confirmation("a", 9, 2, nil), confirmation("b", 7, 3, func(c *store.Confirmation) { c.Idle = []string{one, one, two} }))
	want := []string{"bank/a 9 seen 2, 5 at 1 after 200ms, 9 at 2 after 200ms, -", "bank/b 7 seen 3 idle, 7 at 3 after 200ms, 7 at 3 after 200ms, -"}
	same("two agents", follow(t, s, one, 1, 6, 10), want...)
	same("of another object", follow(t, s, IndicatorID(3), 8), "bank/a 9 seen 2, 9 at 2 after 200ms", "bank/b 7 seen 3, -")
	elsewhere, err := s.Followers(context.Background(), store.FollowerQuery{Collection: other, Object: one, Positions: []int64{1}})
	if err != nil || len(elsewhere) != 0 {
		t.Errorf("Followers of another collection = %v, %v, want none", elsewhere, err)
	}
	s = reopen(t, s, p)
	same("after a restart", follow(t, s, one, 1, 6, 10), want...)

	confirm(t, s, confirmation("a", 9, 8, nil), confirmation("a", 6, 9, nil), confirmation("b", 8, 4, func(c *store.Confirmation) { c.Busy = []string{one} }))
	same("the first time counts, and a late one moves nothing back", follow(t, s, one, 9), "bank/a 9 seen 9, 9 at 2 after 200ms", "bank/b 8 seen 4, -")
	same("the other is still idle", follow(t, s, two), "bank/a 9 seen 9", "bank/b 8 seen 4 idle")
	confirm(t, s, confirmation("b", 2, 5, func(c *store.Confirmation) { c.Anew, c.Idle = true, []string{one} }))
	same("one that begins anew", follow(t, s, two), "bank/a 9 seen 9", "bank/b 2 seen 5")
	same("says all that is idle", follow(t, s, one), "bank/a 9 seen 9", "bank/b 2 seen 5 idle")

	late := confirmation("c", 20, 0, nil)
	late.Seen = late.Seen.Add(store.KeepConfirmations + 7*time.Second)
	late.Deployed, late.Fetched = late.Seen, late.Seen
	confirm(t, s, late)
	same("what was not heard of for long is forgotten", follow(t, s, two, 1), "bank/a 9 seen 9, 5 at 1 after 200ms", "bank/c 20 seen 7, 20 at 7 after 0s")
	late.Instance, late.Position = "a", 30
	confirm(t, s, late)
	late.Position = 31
	confirm(t, s, late)
	same("and so is when it was long ago", follow(t, s, two, 1), "bank/a 31 seen 7, 30 at 7 after 0s", "bank/c 20 seen 7, 20 at 7 after 0s")
}

// manyAgents confirms as many agents at once, and as many as there may be.
func manyAgents(t *testing.T, p Place) {
	s := open(t, p)
	var running sync.WaitGroup
	for i := range store.MostAgents {
		running.Go(func() {
			for position := range int64(3) {
				if err := s.Confirm(context.Background(), confirmation(fmt.Sprint(i), position+1, i%60, nil)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	if got := len(follow(t, s, IndicatorID(1))); got != store.MostAgents {
		t.Errorf("%d agents, want %d", got, store.MostAgents)
	}
	err := s.Confirm(context.Background(), confirmation("one more", 1, 1, nil))
	if e, ok := errors.AsType[*tocsin.Error](err); !ok || e.Kind != tocsin.TooMany {
		t.Errorf("Confirm of one more = %v, want too many", err)
	}
	another := confirmation("one more", 1, 1, func(c *store.Confirmation) { c.Token = "t2" })
	if err := s.Confirm(context.Background(), another); err != nil {
		t.Errorf("Confirm with another token = %v", err)
	}
}

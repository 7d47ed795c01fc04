package member

import (
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin"
)

// two returns a hub with two operators, alice and bob, whose community finance
// holds objects. Whoever changes it meanwhile is the hub itself.
func two(t *testing.T) (s *Service, store *memory, alice, bob tocsin.Member) {
	t.Helper()
	s, store, _ = open(t)
	applied, err := s.Apply(t.Context(), hubOperator(), parse(t, `
two_people: true
organizations:
  - {name: hub, users: [{name: alice, tokens: [{name: desk, operator: true}]}, {name: bob, tokens: [{name: desk, operator: true}, {name: other, operator: true}]}]}
  - {name: bank-c, kind: company, handling: {nationality: USA, agreements: [PCII]}}
communities: [{name: finance, privacy: {path: strict}, charter: {member_list: nobody, ends: 2040-01-01}}]
`))
	if err != nil {
		t.Fatal(err)
	}
	if applied.Proposal != "" {
		// The first operator is there from the start, so alice and bob waited.
		t.Fatalf("founding a hub waits for a second person: %+v", applied)
	}
	store.head = 1
	made := secrets(applied)
	return s, store, login(t, s, made["hub/alice/desk"]), login(t, s, made["hub/bob/desk"])
}

func TestWideningTakesTwo(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"a new member":               {"communities: [{name: finance, members: [{organization: bank-c, role: reader}]}]", "membership finance/bank-c reader"},
		"a curator":                  {"communities: [{name: finance, members: [{organization: bank-a, role: curator}]}]", "membership finance/bank-a writer → curator"},
		"a lower default":            {"communities: [{name: finance, default_tlp: green}]", "community finance default_tlp amber → green"},
		"free text is shown":         {"communities: [{name: finance, privacy: {path: automatic}}]", "community finance privacy path strict → automatic"},
		"names of members are shown": {"communities: [{name: finance, charter: {ends: 2040-01-01}}]", "community finance charter"},
		"anybody may find it":        {"communities: [{name: finance, charter: {public: true, member_list: nobody, ends: 2040-01-01}}]", "community finance charter"},
		"it never ends":              {"communities: [{name: finance, charter: {member_list: nobody}}]", "community finance charter"},
		"one person is enough there": {"communities: [{name: finance, two_people: false}]", "community finance two_people false"},
		"one person is enough":       {"two_people: false", "hub hub widening takes one person"},
		"a clearance":                {"organizations: [{name: bank-c, handling: {clearances: [{level: S, sponsor: DHS, expires: 2040-01-01}]}}]", "organization bank-c handling"},
		"another operator":           {"organizations: [{name: hub, users: [{name: eve, tokens: [{name: desk, operator: true}]}]}]", "token hub/eve/desk operator"},
	} {
		t.Run(name, func(t *testing.T) {
			s, store, alice, bob := two(t)
			before := s.now.Load()
			applied, err := s.Apply(t.Context(), alice, parse(t, tt.text))
			if err != nil || applied.Proposal == "" {
				t.Fatalf("Apply = %+v, %v, want a proposal", applied, err)
			}
			var waiting []string
			for _, c := range applied.Changes {
				if c.Action == Waiting {
					waiting = append(waiting, c.Kind+" "+c.Name+" "+c.Detail)
				}
			}
			if len(waiting) != 1 || waiting[0] != tt.want {
				t.Errorf("waiting = %q, want %q", waiting, tt.want)
			}
			if got := strings.Join(store.changes[len(store.changes)-1].Summary, "\n"); !strings.Contains(got, tt.want) {
				t.Errorf("before it takes effect the ledger is told %q, want %q", got, tt.want)
			}
			if d := s.now.Load(); len(d.memberships) != len(before.memberships) || len(d.tokens) != len(before.tokens) || !reflect.DeepEqual(d.communities["finance"], before.communities["finance"]) || d.organizations["bank-c"].Handling != nil && before.organizations["bank-c"].Handling != nil && len(d.organizations["bank-c"].Handling.Clearances) != 0 {
				t.Error("the change is in effect before a second person confirms it")
			}
			if again, err := s.Apply(t.Context(), alice, parse(t, tt.text)); err != nil || again.Proposal != applied.Proposal {
				t.Errorf("applying it again = %+v, %v, want the same proposal", again, err)
			}
			other := alice
			other.Token = "other" // of the same person
			if _, err := s.Settle(t.Context(), other, applied.Proposal, true); kind(t, err) != tocsin.Forbidden {
				t.Errorf("confirming one's own proposal = %v, want forbidden", err)
			}
			done, err := s.Settle(t.Context(), bob, applied.Proposal, true)
			if err != nil {
				t.Fatal(err)
			}
			if len(actions(done, Made))+len(actions(done, Changed)) == 0 {
				t.Errorf("Settle = %+v, want the change", done)
			}
			if got := strings.Join(store.changes[len(store.changes)-1].Summary, "\n"); !strings.Contains(got, "proposed by hub/alice, confirmed by hub/bob") {
				t.Errorf("the ledger is told %q", got)
			}
			if _, err := s.Settle(t.Context(), bob, applied.Proposal, true); kind(t, err) != tocsin.NotFound {
				t.Errorf("confirming twice = %v, want not found", err)
			}
			if left := s.Proposals(bob); len(left) != 0 {
				t.Errorf("proposals that are left: %+v", left)
			}
		})
	}
}

func TestNarrowingTakesOne(t *testing.T) {
	for _, text := range []string{
		"communities: [{name: finance, default_tlp: red}]",
		"communities: [{name: finance, members: [{organization: bank-a, role: reader}]}]",
		"communities: [{name: finance, members: [{organization: bank-a, status: suspended, reason: a leak}]}]",
		"communities: [{name: finance, members: [{organization: bank-a, absent: true}]}]",
		"communities: [{name: finance, members: [{organization: bank-b, role: writer}]}]", // sees no more
		"communities: [{name: finance, title: Another, charter: {member_list: nobody, ends: 2039-01-01}}]",
		"organizations: [{name: bank-c, handling: {nationality: USA}}]",
		"organizations: [{name: hub, users: [{name: bob, absent: true}]}]",
	} {
		s, _, alice, _ := two(t)
		if applied, err := s.Apply(t.Context(), alice, parse(t, text)); err != nil || applied.Proposal != "" || len(actions(applied, Waiting)) != 0 {
			t.Errorf("%s = %+v, %v, want it done at once", text, applied, err)
		}
	}
}

func TestWhatDoesNotWidenIsNotHeldUp(t *testing.T) {
	s, _, alice, _ := two(t)
	applied, err := s.Apply(t.Context(), alice, parse(t, "communities: [{name: finance, title: Banks, default_tlp: green, members: [{organization: bank-c, role: reader}, {organization: bank-b, absent: true}]}]"))
	if err != nil || len(actions(applied, Waiting)) != 2 {
		t.Fatalf("Apply = %+v, %v", applied, err)
	}
	c := s.now.Load().communities["finance"]
	if _, still := s.now.Load().memberships["finance/bank-b"]; c.Title != "Banks" || c.Default != "amber" || still {
		t.Errorf("community = %+v, bank-b is a member: %v", c, still)
	}
	planned, err := s.Plan(alice, parse(t, "communities: [{name: finance, default_tlp: clear}]"))
	if err != nil || planned.Proposal != "" || len(actions(planned, Waiting)) != 1 || len(s.Proposals(alice)) != 1 {
		t.Errorf("Plan = %+v, %v, want it to say what waits and to propose nothing", planned, err)
	}
}

func TestTheFirstFiveMinutesTakeOnePerson(t *testing.T) {
	s, store, alice, _ := two(t)
	store.head = 0 // nothing was shared yet
	applied, err := s.Apply(t.Context(), alice, parse(t, "communities: [{name: finance, default_tlp: clear, members: [{organization: bank-c, role: operator}]}]"))
	if err != nil || applied.Proposal != "" {
		t.Errorf("in an empty community Apply = %+v, %v, want it done", applied, err)
	}
	single, one, _ := open(t)
	one.head = 1
	if _, err := single.Apply(t.Context(), hubOperator(), parse(t, "communities: [{name: finance, members: [{organization: isac, absent: true}]}]")); err != nil {
		t.Fatal(err)
	}
	applied, err = single.Apply(t.Context(), hubOperator(), parse(t, "communities: [{name: finance, default_tlp: clear}]"))
	if err != nil || applied.Proposal != "" {
		t.Errorf("with one operator Apply = %+v, %v, want it done", applied, err)
	}
}

func TestAProposalIsForThoseWhoOperate(t *testing.T) {
	s, _, alice, bob := two(t)
	applied, err := s.Apply(t.Context(), alice, parse(t, "communities: [{name: finance, default_tlp: green}]"))
	if err != nil {
		t.Fatal(err)
	}
	staff := tocsin.Member{Organization: tocsin.Organization{Name: "isac"}, User: "staff", Roles: map[string]tocsin.Role{"finance": tocsin.Operator}}
	writer := tocsin.Member{Organization: tocsin.Organization{Name: "bank-a"}, User: "soc", Roles: map[string]tocsin.Role{"finance": tocsin.Writer}}
	elsewhere := tocsin.Member{User: "x", Roles: map[string]tocsin.Role{"health": tocsin.Operator}}
	for _, who := range []tocsin.Member{writer, elsewhere} {
		_, there := s.Settle(t.Context(), who, applied.Proposal, true)
		_, nowhere := s.Settle(t.Context(), who, "00000000", true)
		if kind(t, there) != tocsin.NotFound || there.Error() != nowhere.Error() || len(s.Proposals(who)) != 0 {
			t.Errorf("%s finds a proposal: %v", who.User, there)
		}
	}
	if _, err := s.Apply(t.Context(), staff, parse(t, "communities: [{name: finance, default_tlp: clear}]")); kind(t, err) != tocsin.Forbidden {
		t.Errorf("who may not change a community proposes it: %v", err)
	}
	// Meanwhile another lowers it by one step, so what was proposed is not what it would be.
	if _, err := s.Apply(t.Context(), bob, parse(t, "communities: [{name: finance, default_tlp: red}]")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Settle(t.Context(), staff, applied.Proposal, true); kind(t, err) != tocsin.Conflict {
		t.Errorf("confirming what has changed = %v, want a conflict", err)
	}
	if _, err := s.Settle(t.Context(), staff, applied.Proposal, false); err != nil || len(s.Proposals(alice)) != 0 {
		t.Errorf("rejecting = %v, left %v", err, s.Proposals(alice))
	}
}

func TestAProposalEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store, alice, bob := two(t)
		lower := parse(t, "communities: [{name: finance, default_tlp: green}]")
		applied, err := s.Apply(t.Context(), alice, lower)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(proposalsFor)
		if _, err := s.Settle(t.Context(), bob, applied.Proposal, true); kind(t, err) != tocsin.NotFound || len(s.Proposals(bob)) != 0 {
			t.Errorf("an expired proposal = %v, want not found", err)
		}
		again, err := s.Apply(t.Context(), alice, lower)
		if err != nil || again.Proposal == applied.Proposal {
			t.Errorf("proposing again = %+v, %v, want a new proposal", again, err)
		}
		if !store.records[[2]string{kindProposal, applied.Proposal}].Deleted {
			t.Error("an expired proposal is kept for good")
		}
		if _, err := s.Apply(t.Context(), bob, parse(t, "organizations: [{name: hub, users: [{name: alice, absent: true}]}]")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Settle(t.Context(), bob, again.Proposal, true); kind(t, err) != tocsin.Conflict {
			t.Errorf("confirming what somebody proposed who is gone = %v, want a conflict", err)
		}
	})
}

package member

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin"
)

func TestDocumentsAreRefusedWithTheLine(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"empty":                 {"", "empty"},
		"a comment":             {"# nothing\n", "empty"},
		"not YAML":              {"organizations: [\n", "neither YAML nor JSON"},
		"two documents":         {"organizations: []\n---\ncommunities: []\n", "neither"},
		"an alias":              {"organizations: &a []\ncommunities: *a\n", "anchors"},
		"unknown key":           {"organizations:\n  - name: a\n    titel: x\n", "an unknown key stands here (line 3) at /organizations/0; known keys are name, title, kind"},
		"unknown key at top":    {"\norganization: []\n", "(line 2)"},
		"unknown key in a list": {"communities:\n- name: a\n  members:\n  - organization: b\n    rolle: reader\n    role: reader\n", "(line 5) at /communities/0/members/0"},
		"key twice":             {"organizations:\n- name: a\n  name: b\n", "twice (line 3)"},
		"text for a list":       {"organizations: all\n", "a list was expected (line 1) at /organizations"},
		"list for a text":       {"organizations:\n- name: [a]\n", "a text was expected (line 2) at /organizations/0/name"},
		"word for yes or no":    {"organizations:\n- name: a\n  absent: maybe\n", "true or false was expected (line 3)"},
		"bad name":              {"organizations:\n- name: Bank A\n", "this is no name for an organization (line 2) at /organizations/0/name"},
		"no name":               {"organizations:\n- title: Bank A\n", "this is no name for an organization (line 2) at /organizations/0/name"},
		"long name":             {"organizations:\n- name: " + strings.Repeat("a", 64) + "\n", "no name"},
		"bad kind":              {"organizations:\n- name: a\n  kind: firm\n", "no kind of organization (line 3)"},
		"same name twice":       {"organizations:\n- name: a\n- name: a\n", "twice (line 3)"},
		"bad role":              {"organizations: [{name: a, users: [{name: u, tokens: [{name: t, role: king}]}]}]", "no role"},
		"bad date":              {"organizations: [{name: a, users: [{name: u, tokens: [{name: t, expires: soon}]}]}]", "no date"},
		"reserved community":    {"communities: [{name: taxii2}]", "the hub's own pages"},
		"bad label":             {"communities: [{name: c, default_tlp: pink}]", "no TLP label"},
		"member without a role": {"communities: [{name: c, members: [{organization: a}]}]", "needs a role"},
		"alias like an id":      {"communities: [{name: c, collections: [{alias: 91a7b528-80eb-42ed-a74d-c6fbd5a26116}]}]", "look like a collection's id"},
		"escape sequence":       {`organizations: [{name: a, title: "\e[31m"}]`, "do not print"},
		"a secret in it":        {"organizations: [{name: a, users: [{name: u, tokens: [{name: t, token: tcs_x}]}]}]", "unknown key"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParseNetwork([]byte(tt.in))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParseNetwork(%q) = %v, want %q", tt.in, err, tt.want)
			}
			if err != nil {
				kind(t, err)
			}
		})
	}
}

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	_, err := ParseNetwork([]byte("organizations:\n- name: A\n- name: B\ncommunities:\n- name: api\n"))
	if got := strings.Count(err.Error(), "(line "); got != 3 {
		t.Errorf("ParseNetwork reports %d problems, want 3:\n%v", got, err)
	}
	if strings.Contains(err.Error(), "'A'") {
		t.Errorf("ParseNetwork quotes the document: %v", err)
	}
}

func TestJSONIsADocumentToo(t *testing.T) {
	n, err := ParseNetwork([]byte("{\n\t\"organizations\": [{\"name\": \"a\", \"title\": \"bell \\ud83d\\udd14\", \"kind\": \"company\"}]}"))
	if err != nil || len(n.Organizations) != 1 || n.Organizations[0].Title != "bell 🔔" {
		t.Errorf("ParseNetwork = %+v, %v", n, err)
	}
	if _, err := ParseNetwork([]byte("{\"organizations\": [\n{\"names\": \"a\"}]}")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("ParseNetwork = %v, want an unknown key in line 2", err)
	}
}

func TestChangesAreNamed(t *testing.T) {
	s, store, _ := open(t)
	applied, err := s.Apply(t.Context(), hubOperator(), parse(t, `
organizations:
  - {name: bank-a, title: The Bank, users: [{name: soc, tokens: [{name: siem, purpose: defense}, {name: desk, absent: true}]}]}
  - {name: bank-b, absent: true}
communities:
  - name: finance
    default_tlp: TLP:GREEN
    members: [{organization: agency, role: writer}, {organization: bank-a, absent: true}]
    collections: [{alias: indicators, description: All of them}, {alias: reports}, {alias: nothing, absent: true}]
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range applied.Changes {
		got = append(got, strings.TrimSpace(c.Kind+" "+c.Name+" "+c.Action+" "+c.Detail))
	}
	want := []string{
		"organization bank-a changed title",
		"user bank-a/soc unchanged",
		"token bank-a/soc/siem changed purpose",
		"token bank-a/soc/desk removed",
		"token bank-b/soc/desk removed",
		"user bank-b/soc removed",
		"membership finance/bank-b removed",
		"organization bank-b removed",
		"community finance changed default_tlp amber → green",
		"membership finance/agency changed reader → writer",
		"membership finance/bank-a removed",
		"collection finance/indicators changed description",
		"collection finance/reports made",
		"collection finance/nothing unchanged",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Apply changes (-want +got):\n%s", diff)
	}
	last := store.changes[len(store.changes)-1]
	if last.User != "operator" || len(last.Summary) != 12 || last.Summary[0] != "organization bank-a: changed" {
		t.Errorf("the ledger is told %+v", last)
	}
}

func TestNamesOfTheRemovedAreNotGivenAgain(t *testing.T) {
	s, _, secret := open(t)
	identity := login(t, s, secret["bank-b/soc/desk"]).Organization.Identity
	gone := parse(t, "organizations: [{name: bank-b, absent: true}]\ncommunities: [{name: health, absent: true}]")
	for range 2 { // removing twice is removing once
		if _, err := s.Apply(t.Context(), hubOperator(), gone); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Authenticate(t.Context(), secret["bank-b/soc/desk"]); kind(t, err) != tocsin.Unauthenticated {
		t.Errorf("Authenticate as the removed = %v, want unauthenticated", err)
	}
	for _, text := range []string{
		"organizations: [{name: bank-b, kind: company}]", "communities: [{name: health}]",
		"communities: [{name: finance, members: [{organization: bank-b, role: reader}]}]",
	} {
		if _, err := s.Apply(t.Context(), hubOperator(), parse(t, text)); err == nil {
			t.Errorf("Apply(%s) gave the name again", text)
		}
	}
	if got := s.Identities()[identity]; got != "bank-b" {
		t.Errorf("the identity of the removed belongs to %q, want bank-b: nobody may speak as it", got)
	}
}

func TestRemovedCollectionComesBackAsAnother(t *testing.T) {
	s, _, secret := open(t)
	who := login(t, s, secret["bank-b/soc/desk"])
	before, err := s.Collection(who, "finance", "indicators")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"communities: [{name: finance, collections: [{alias: indicators, absent: true}]}]",
		"communities: [{name: finance, collections: [{alias: indicators}]}]",
	} {
		if _, err := s.Apply(t.Context(), hubOperator(), parse(t, text)); err != nil {
			t.Fatal(err)
		}
	}
	if after, err := s.Collection(who, "finance", "indicators"); err != nil || after.ID == before.ID {
		t.Errorf("Collection = %+v, %v, want another id than %s", after, err, before.ID)
	}
}

func TestCommunityOperatorChangesOnlyWhatIsTheirs(t *testing.T) {
	tests := map[string]struct {
		who, in string
		want    tocsin.Kind
	}{
		"members of their community":     {"isac/staff/desk", "communities: [{name: finance, members: [{organization: bank-b, role: writer}]}]", 0},
		"collections of their community": {"isac/staff/desk", "communities: [{name: finance, collections: [{alias: reports}]}]", 0},
		"the community itself":           {"isac/staff/desk", "communities: [{name: finance, default_tlp: clear}]", tocsin.Forbidden},
		"its removal":                    {"isac/staff/desk", "communities: [{name: finance, absent: true}]", tocsin.Forbidden},
		"another community":              {"isac/staff/desk", "communities: [{name: health, collections: [{alias: reports}]}]", tocsin.NotFound},
		"a new community":                {"isac/staff/desk", "communities: [{name: energy}]", tocsin.NotFound},
		"a new organization":             {"isac/staff/desk", "organizations: [{name: bank-c, kind: company}]", tocsin.Forbidden},
		"another's tokens":               {"isac/staff/desk", "organizations: [{name: bank-a, users: [{name: soc, tokens: [{name: mine}]}]}]", tocsin.Forbidden},
		"their own tokens":               {"isac/staff/desk", "organizations: [{name: isac, users: [{name: bot, tokens: [{name: feed, role: writer}]}]}]", 0},
		"their own operator's token":     {"isac/staff/desk", "organizations: [{name: isac, users: [{name: bot, tokens: [{name: feed, operator: true}]}]}]", tocsin.Forbidden},
		"their own kind":                 {"isac/staff/desk", "organizations: [{name: isac, kind: company}]", tocsin.Forbidden},
		"a writer's own tokens":          {"bank-a/soc/desk", "organizations: [{name: bank-a, users: [{name: soc, tokens: [{name: mine}]}]}]", tocsin.Forbidden},
		"a writer's community":           {"bank-a/soc/desk", "communities: [{name: finance, members: [{organization: bank-b, role: writer}]}]", tocsin.NotFound},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, store, secret := open(t)
			saved := len(store.changes)
			_, err := s.Apply(t.Context(), login(t, s, secret[tt.who]), parse(t, tt.in))
			if got := kind(t, err); got != tt.want {
				t.Errorf("Apply(%s) = %v, want kind %d", tt.in, err, tt.want)
			}
			if err != nil && len(store.changes) != saved {
				t.Error("a refused document was saved in part")
			}
		})
	}
}

func TestTokenReachesNoFurtherThanTheOneThatMakesIt(t *testing.T) {
	s, _, _ := open(t)
	applied, err := s.Apply(t.Context(), hubOperator(), parse(t, `
organizations: [{name: isac, users: [{name: staff, tokens: [{name: brief, purpose: admission, expires: 2999-01-31}]}]}]`))
	if err != nil {
		t.Fatal(err)
	}
	who := login(t, s, applied.Tokens[0].Token)
	tests := map[string]struct {
		token string
		want  tocsin.Kind
	}{
		"less":            {"{name: x, role: reader, purpose: admission, expires: 2998-01-01}", 0},
		"another purpose": {"{name: x, purpose: curiosity, expires: 2998-01-01}", tocsin.Forbidden},
		"no purpose":      {"{name: x, expires: 2998-01-01}", tocsin.Forbidden},
		"longer":          {"{name: x, purpose: admission, expires: 3000-01-01}", tocsin.Forbidden},
		"for ever":        {"{name: x, purpose: admission}", tocsin.Forbidden},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := s.Plan(who, parse(t, "organizations: [{name: isac, users: [{name: bot, tokens: ["+tt.token+"]}]}]"))
			if got := kind(t, err); got != tt.want {
				t.Errorf("Plan(%s) = %v, want kind %d", tt.token, err, tt.want)
			}
		})
	}
}

func TestGovernmentTokenWithoutPurposeIsFlagged(t *testing.T) {
	s, _, _ := open(t)
	applied, err := s.Apply(t.Context(), hubOperator(), parse(t, network))
	if err != nil || len(applied.Warnings) != 1 || !strings.Contains(applied.Warnings[0], "agency/cert/desk") {
		t.Errorf("Apply warnings = %q, %v, want one about agency/cert/desk", applied.Warnings, err)
	}
}

func TestReferencesAreChecked(t *testing.T) {
	s, _, _ := open(t)
	for name, text := range map[string]string{
		"member that is not there": "communities:\n- name: finance\n  members: [{organization: nobody, role: reader}]",
		"kind left out":            "organizations: [{name: bank-c}]",
		"an identity of their own": "organizations: [{name: bank-a, identity: identity--00000000-0000-4000-8000-000000000000}]",
		"an id of their own":       "communities: [{name: finance, collections: [{alias: new, id: 00000000-0000-4000-8000-000000000000}]}]",
		"expired before it began":  "organizations: [{name: bank-a, users: [{name: soc, tokens: [{name: old, expires: 2001-01-01}]}]}]",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := s.Apply(t.Context(), hubOperator(), parse(t, text)); kind(t, err) != tocsin.Invalid || !strings.Contains(err.Error(), "(line ") {
				t.Errorf("Apply(%s) = %v, want invalid with a line", text, err)
			}
		})
	}
}

func FuzzParseNetwork(f *testing.F) {
	f.Add([]byte(network))
	f.Add([]byte(`{"organizations":[{"name":"a","title":"\ud83d\udd14"}]}`))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("? [a]\n: b"))
	f.Fuzz(func(t *testing.T, text []byte) {
		n, err := ParseNetwork(text)
		if err != nil {
			if _, ok := errors.AsType[*tocsin.Error](err); !ok {
				t.Errorf("ParseNetwork = %v, want a *tocsin.Error", err)
			}
			return
		}
		store := &memory{records: map[[2]string]Record{}}
		s, err := Open(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Apply(t.Context(), hubOperator(), n); err != nil {
			kind(t, err)
			return
		}
		again, err := s.Apply(t.Context(), hubOperator(), n)
		if err != nil || len(again.Tokens) > 0 || len(actions(again, Made)) > 0 {
			t.Errorf("applying it twice = %+v, %v", again, err)
		}
	})
}

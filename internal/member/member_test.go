package member

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin"
	"tocsin/stix"
	"tocsin/tlp"
)

// memory is a store that keeps its promises, and can be told to fail.
type memory struct {
	records map[[2]string]Record
	changes []Change
	fail    error
	head    int64
	lie     bool // save, then report the failure
}

func (m *memory) Directory(context.Context) ([]Record, error) {
	var all []Record
	for _, r := range m.records {
		all = append(all, r)
	}
	return all, nil
}

func (m *memory) Head(string) (int64, <-chan struct{}) { return m.head, nil }

func (m *memory) SaveDirectory(_ context.Context, changed []Record, change Change) error {
	if m.fail != nil && !m.lie {
		return m.fail
	}
	for _, r := range changed {
		m.records[[2]string{r.Kind, r.Key}] = r
	}
	m.changes = append(m.changes, change)
	return m.fail
}

const network = `
organizations:
  - name: bank-a
    title: Bank A
    kind: company
    users:
      - name: soc
        tokens:
          - {name: siem, role: reader}
          - {name: desk}
  - name: bank-b
    kind: company
    users: [{name: soc, tokens: [{name: desk}]}]
  - name: agency
    kind: government
    users: [{name: cert, tokens: [{name: desk}, {name: bound, purpose: defense}]}]
  - name: isac
    kind: nonprofit
    users: [{name: staff, tokens: [{name: desk}]}]
communities:
  - name: finance
    title: Finance
    members:
      - {organization: bank-a, role: writer}
      - {organization: bank-b, role: reader}
      - {organization: agency, role: reader}
      - {organization: isac, role: operator}
    collections:
      - {alias: indicators, title: Indicators}
  - name: health
    default_tlp: green
    collections: [{alias: indicators}]
`

func hubOperator() tocsin.Member { return tocsin.Member{Operator: true, User: "operator"} }

func parse(t *testing.T, text string) Network {
	t.Helper()
	n, err := ParseNetwork([]byte(text))
	if err != nil {
		t.Fatalf("ParseNetwork: %v", err)
	}
	return n
}

// open returns a directory that holds network, and the secrets of its tokens
// by name.
func open(t *testing.T) (*Service, *memory, map[string]string) {
	t.Helper()
	store := &memory{records: map[[2]string]Record{}}
	s, err := Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.OperatorToken(t.Context()); err != nil {
		t.Fatal(err)
	}
	applied, err := s.Apply(t.Context(), hubOperator(), parse(t, network))
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	return s, store, secrets(applied)
}

func secrets(a Applied) map[string]string {
	found := map[string]string{}
	for _, t := range a.Tokens {
		found[t.Organization+"/"+t.User+"/"+t.Name] = t.Token
	}
	return found
}

func login(t *testing.T, s *Service, secret string) tocsin.Member {
	t.Helper()
	who, err := s.Authenticate(t.Context(), secret)
	if err != nil {
		t.Fatalf("Authenticate: %v", err)
	}
	return who
}

// kind returns the kind of a refusal, 0 for none; any other error fails.
func kind(t *testing.T, err error) tocsin.Kind {
	t.Helper()
	if err == nil {
		return 0
	}
	var refusal *tocsin.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("got error %v, want a *tocsin.Error", err)
	}
	return refusal.Kind
}

func actions(a Applied, action string) (names []string) {
	for _, c := range a.Changes {
		if c.Action == action {
			names = append(names, c.Kind+" "+c.Name)
		}
	}
	return names
}

func TestApplyingTwiceChangesNothing(t *testing.T) {
	s, store, first := open(t)
	if len(first) != 6 {
		t.Errorf("made %d tokens, want 6", len(first))
	}
	saved := len(store.changes)
	again, err := s.Apply(t.Context(), hubOperator(), parse(t, network))
	if err != nil {
		t.Fatal(err)
	}
	if got := actions(again, Unchanged); len(got) != len(again.Changes) || len(again.Tokens) != 0 {
		t.Errorf("the second Apply = %+v, want all unchanged and no tokens", again)
	}
	if len(store.changes) != saved {
		t.Errorf("the second Apply saved %+v, want nothing saved", store.changes[saved:])
	}
	described, err := s.Apply(t.Context(), hubOperator(), s.Describe(hubOperator()))
	if err != nil || len(actions(described, Unchanged)) != len(described.Changes) {
		t.Errorf("applying what Describe returns = %+v, %v, want all unchanged", described, err)
	}
}

func TestPlanSaysWhatApplyDoesAndKeepsItsHandsOff(t *testing.T) {
	s, store, _ := open(t)
	doc := parse(t, "organizations: [{name: bank-c, kind: company, users: [{name: soc, tokens: [{name: desk}]}]}]")
	saved := len(store.changes)
	plan, err := s.Plan(hubOperator(), doc)
	if err != nil || len(store.changes) != saved {
		t.Fatalf("Plan saved %d changes, error %v, want none", len(store.changes)-saved, err)
	}
	if len(plan.Tokens) != 1 || plan.Tokens[0].Token != "" {
		t.Errorf("Plan tokens = %+v, want one without a secret", plan.Tokens)
	}
	applied, err := s.Apply(t.Context(), hubOperator(), doc)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(actions(plan, Made), actions(applied, Made)); diff != "" {
		t.Errorf("Plan and Apply differ (-plan +apply):\n%s", diff)
	}
}

func TestDirectoryIsTheSameAfterARestart(t *testing.T) {
	s, store, secret := open(t)
	if _, err := s.Apply(t.Context(), hubOperator(), parse(t, "organizations: [{name: bank-b, absent: true}]")); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	ignore := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".lines" }, cmp.Ignore())
	if diff := cmp.Diff(s.Describe(hubOperator()), again.Describe(hubOperator()), ignore); diff != "" {
		t.Errorf("Describe differs after a restart (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(s.Identities(), again.Identities()); diff != "" {
		t.Errorf("Identities differ after a restart:\n%s", diff)
	}
	if who := login(t, again, secret["bank-a/soc/desk"]); who.Role("finance") != tocsin.Writer {
		t.Errorf("role after a restart = %v, want writer", who.Role("finance"))
	}
}

func TestTokenSaysWhoAsksAndWhatTheyMay(t *testing.T) {
	s, _, secret := open(t)
	tests := map[string]struct {
		role    tocsin.Role
		purpose string
	}{
		"bank-a/soc/desk":   {role: tocsin.Writer},
		"bank-a/soc/siem":   {role: tocsin.Reader},
		"bank-b/soc/desk":   {role: tocsin.Reader},
		"agency/cert/bound": {role: tocsin.Reader, purpose: "defense"},
		"isac/staff/desk":   {role: tocsin.Operator},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			who := login(t, s, secret[name])
			if who.Role("finance") != tt.role || who.Role("health") != tocsin.Stranger || who.Purpose != tt.purpose || who.Operator {
				t.Errorf("Authenticate = %+v, want role %v, purpose %q", who, tt.role, tt.purpose)
			}
			if got := who.Organization.Name + "/" + who.User; !strings.HasPrefix(name, got) {
				t.Errorf("Authenticate is %s, want %s", got, name)
			}
		})
	}
}

func TestWrongTokensAreToldApart(t *testing.T) {
	s, _, secret := open(t)
	good := secret["bank-a/soc/desk"]
	_, other := newToken()
	id, _ := publicID(good)
	forged := tokenPrefix + id + other[len(tokenPrefix)+idLength:len(other)-sumLength]
	tests := map[string]struct{ in, want string }{
		"nothing":                    {"", "not a token"},
		"a password":                 {"hunter2", "not a token"},
		"cut off":                    {good[:len(good)-1], "not a token"},
		"mistyped":                   {good[:20] + flip(good[20]) + good[21:], "mistyped"},
		"mistyped checksum":          {good[:len(good)-1] + flip(good[len(good)-1]), "mistyped"},
		"another hub's":              {other, "not known"},
		"right id, wrong secret":     {forged + checksum(forged), "not known"},
		"twice as long":              {good + good, "not a token"},
		"upper case":                 {strings.ToUpper(good), "not a token"},
		"right but for the last key": {good[:len(good)-sumLength] + "aaaaaaa", "mistyped"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := s.Authenticate(t.Context(), tt.in)
			if kind(t, err) != tocsin.Unauthenticated || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Authenticate(%s) = %v, want unauthenticated, %q", name, err, tt.want)
			}
			if tt.in != "" && strings.Contains(err.Error(), tt.in) {
				t.Errorf("Authenticate quotes the secret: %v", err)
			}
		})
	}
	if got := len(good); got != 72 {
		t.Errorf("a token has %d characters, its refusal says 72", got)
	}
}

func flip(c byte) string {
	if c == 'a' {
		return "b"
	}
	return "a"
}

func TestStoreNeverHoldsASecret(t *testing.T) {
	_, store, secret := open(t)
	for name, s := range secret {
		for _, r := range store.records {
			if strings.Contains(string(r.Doc), s[len(tokenPrefix)+idLength+1:]) {
				t.Errorf("record %s %s holds the secret of %s", r.Kind, r.Key, name)
			}
		}
	}
}

func TestTokenEndsWhenItExpires(t *testing.T) {
	s, store, _ := open(t)
	applied, err := s.Apply(t.Context(), hubOperator(), parse(t, `
organizations: [{name: bank-a, users: [{name: soc, tokens: [{name: brief, expires: `+time.Now().Add(time.Hour).Format(time.RFC3339)+`}]}]}]`))
	if err != nil {
		t.Fatal(err)
	}
	brief := applied.Tokens[0]
	who := login(t, s, brief.Token)

	r := store.records[[2]string{kindToken, brief.ID}]
	r.Doc = []byte(strings.ReplaceAll(string(r.Doc), `"expires":"20`, `"expires":"19`)) // a century ago
	store.records[[2]string{kindToken, brief.ID}] = r
	if s, err = Open(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(t.Context(), brief.Token); kind(t, err) != tocsin.Unauthenticated || !strings.Contains(err.Error(), "expired") {
		t.Errorf("Authenticate = %v, want expired", err)
	}
	if _, err := s.Current(who); kind(t, err) != tocsin.Unauthenticated {
		t.Errorf("Current = %v, want unauthenticated", err)
	}
}

func TestRevokedTokenEndsAtOnce(t *testing.T) {
	s, _, secret := open(t)
	a, b := login(t, s, secret["bank-a/soc/desk"]), login(t, s, secret["bank-b/soc/desk"])
	if err := s.RevokeToken(t.Context(), b, a.Token); kind(t, err) != tocsin.NotFound {
		t.Errorf("RevokeToken of another's token = %v, want not found", err)
	}
	if err := s.RevokeToken(t.Context(), a, a.Token); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(t.Context(), secret["bank-a/soc/desk"]); kind(t, err) != tocsin.Unauthenticated {
		t.Errorf("Authenticate = %v, want unauthenticated", err)
	}
	if _, err := s.Current(a); kind(t, err) != tocsin.Unauthenticated {
		t.Errorf("Current = %v, want unauthenticated", err)
	}
	if err := s.RevokeToken(t.Context(), hubOperator(), b.Token); err != nil {
		t.Errorf("RevokeToken by the operator = %v", err)
	}
}

func TestCurrentFollowsTheDirectory(t *testing.T) {
	s, _, secret := open(t)
	who := login(t, s, secret["agency/cert/desk"])
	who.Purpose = "stated"
	bound := login(t, s, secret["agency/cert/bound"])
	bound.Purpose = "something else"
	if _, err := s.Apply(t.Context(), hubOperator(), parse(t, "communities: [{name: finance, members: [{organization: agency, role: curator}]}]")); err != nil {
		t.Fatal(err)
	}
	if now, err := s.Current(who); err != nil || now.Role("finance") != tocsin.Curator || now.Purpose != "stated" {
		t.Errorf("Current = %+v, %v, want a curator with the stated purpose", now, err)
	}
	if now, err := s.Current(bound); err != nil || now.Purpose != "defense" {
		t.Errorf("Current = %+v, %v, want the purpose that the token is bound to", now, err)
	}
	if _, err := s.Current(tocsin.Member{Organization: who.Organization}); kind(t, err) != tocsin.Unauthenticated {
		t.Errorf("Current without a token = %v, want unauthenticated", err)
	}
}

func TestStrangerFindsNothing(t *testing.T) {
	s, _, secret := open(t)
	isac := login(t, s, secret["isac/staff/desk"])
	id := s.Describe(hubOperator()).Communities[1].Collections[0].ID
	if _, err := s.Collection(isac, "health", "indicators"); kind(t, err) != tocsin.NotFound {
		t.Errorf("Collection of another community by alias = %v, want not found", err)
	}
	if _, err := s.Collection(isac, "health", id); kind(t, err) != tocsin.NotFound {
		t.Errorf("Collection of another community by id = %v, want not found", err)
	}
	if _, err := s.Collection(isac, "finance", id); kind(t, err) != tocsin.NotFound {
		t.Errorf("Collection of another community through one's own = %v, want not found", err)
	}
	if _, err := s.Collection(hubOperator(), "finance", "indicators"); kind(t, err) != tocsin.NotFound {
		t.Errorf("Collection for a hub operator without a membership = %v, want not found", err)
	}
	if _, err := s.Collections(isac, "health"); kind(t, err) != tocsin.NotFound {
		t.Errorf("Collections = %v, want not found", err)
	}
	if _, err := s.Community(isac, "health"); kind(t, err) != tocsin.NotFound {
		t.Errorf("Community = %v, want not found", err)
	}
	_, there := s.Community(isac, "health")
	_, nowhere := s.Community(isac, "nowhere")
	if there.Error() != nowhere.Error() {
		t.Errorf("a community that exists is refused with %q, one that does not with %q", there, nowhere)
	}
	if got := s.Communities(isac); len(got) != 1 || got[0].Name != "finance" || got[0].Default != tlp.Amber {
		t.Errorf("Communities = %+v, want finance only", got)
	}
	if got := s.Describe(login(t, s, secret["bank-b/soc/desk"])); len(got.Organizations) != 1 || got.Organizations[0].Name != "bank-b" ||
		len(got.Communities) != 1 || got.Communities[0].Members != nil {
		t.Errorf("Describe for a reader = %+v, want its own organization and no list of members", got)
	}
}

func TestMemberFindsItsCollections(t *testing.T) {
	s, _, secret := open(t)
	who := login(t, s, secret["bank-b/soc/desk"])
	c, err := s.Collection(who, "finance", "indicators")
	if err != nil || !stix.UUID(c.ID) || c.Title != "Indicators" || c.Community != "finance" {
		t.Errorf("Collection = %+v, %v", c, err)
	}
	if byID, err := s.Collection(who, "finance", c.ID); err != nil || byID != c {
		t.Errorf("Collection by id = %+v, %v, want %+v", byID, err, c)
	}
	if all, err := s.Collections(who, "finance"); err != nil || !slices.Equal(all, []Collection{c}) {
		t.Errorf("Collections = %+v, %v, want the one", all, err)
	}
	var names []string
	for _, m := range s.Members("finance") {
		names = append(names, m.Organization.Name+" "+m.Role.String())
	}
	if diff := cmp.Diff([]string{"agency reader", "bank-a writer", "bank-b reader", "isac operator"}, names); diff != "" {
		t.Errorf("Members (-want +got):\n%s", diff)
	}
	if got := s.Identities()[who.Organization.Identity]; got != "bank-b" {
		t.Errorf("Identities[%s] = %q, want bank-b", who.Organization.Identity, got)
	}
}

func TestOperatorTokenIsMadeOnceAndWhenNoneIsLeft(t *testing.T) {
	store := &memory{records: map[[2]string]Record{}}
	s, err := Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.OperatorToken(t.Context())
	if err != nil || first == "" {
		t.Fatalf("OperatorToken = %q, %v, want a token", first, err)
	}
	who := login(t, s, first)
	if !who.Operator || len(who.Roles) != 0 {
		t.Errorf("the operator is %+v, want an operator with no part in any community", who)
	}
	if again, err := s.OperatorToken(t.Context()); err != nil || again != "" {
		t.Errorf("OperatorToken again = %q, %v, want none", again, err)
	}
	gone := parse(t, "organizations: [{name: hub, users: [{name: operator, absent: true}]}]")
	if _, err := s.Apply(t.Context(), who, gone); kind(t, err) != tocsin.Conflict {
		t.Errorf("Apply that leaves no operator = %v, want a conflict", err)
	}
	if err := s.RevokeToken(t.Context(), who, who.Token); err != nil {
		t.Fatal(err)
	}
	if next, err := s.OperatorToken(t.Context()); err != nil || next == "" || next == first {
		t.Errorf("OperatorToken after the last was revoked = %q, %v, want a new one", next, err)
	}
}

func TestFailedSaveChangesNothingAndADoubtfulOneIsReadAgain(t *testing.T) {
	s, store, _ := open(t)
	doc := parse(t, "organizations: [{name: bank-c, kind: company}]")
	has := func() bool {
		for _, o := range s.Describe(hubOperator()).Organizations {
			if o.Name == "bank-c" {
				return true
			}
		}
		return false
	}
	store.fail = errors.New("disk full")
	if _, err := s.Apply(t.Context(), hubOperator(), doc); !errors.Is(err, store.fail) {
		t.Errorf("Apply = %v, want %v", err, store.fail)
	}
	if has() {
		t.Error("a change that was not saved is believed")
	}
	store.lie = true
	if _, err := s.Apply(t.Context(), hubOperator(), doc); !errors.Is(err, store.fail) {
		t.Errorf("Apply = %v, want %v", err, store.fail)
	}
	if !has() {
		t.Error("a change that was saved is not believed")
	}
}

func TestListenersHearOfIdentitiesBeforeApplyReturns(t *testing.T) {
	s, _, _ := open(t)
	var heard map[string]string
	s.OnChange(func(identities map[string]string) { heard = identities })
	before := len(heard)
	if before == 0 {
		t.Error("OnChange did not call at once")
	}
	if _, err := s.Apply(t.Context(), hubOperator(), parse(t, "organizations: [{name: bank-c, kind: company}]")); err != nil {
		t.Fatal(err)
	}
	if len(heard) != before+1 {
		t.Errorf("heard of %d identities, want %d", len(heard), before+1)
	}
}

func TestUnknownRecordsStopTheHub(t *testing.T) {
	store := &memory{records: map[[2]string]Record{{"embargo", "x"}: {Kind: "embargo", Key: "x", Doc: []byte("{}")}}}
	if _, err := Open(t.Context(), store); err == nil {
		t.Error("Open took a kind of record that it does not know")
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	store := &memory{records: map[[2]string]Record{}}
	s, err := Open(b.Context(), store)
	if err != nil {
		b.Fatal(err)
	}
	secret, err := s.OperatorToken(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Authenticate(b.Context(), secret); err != nil {
			b.Fatal(err)
		}
	}
}

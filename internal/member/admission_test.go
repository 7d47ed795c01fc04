package member

import (
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin"
)

const charter = `
communities:
  - name: finance
    charter: {public: true, basis: sector, probation_days: 30, agreement: {version: "1", text: Keep it secret.}}
organizations:
  - {name: bank-c, kind: company, users: [{name: soc, tokens: [{name: desk}, {name: siem, role: reader}]}]}
`

// applies returns a directory in which bank-c may apply to finance.
func applies(t *testing.T) (*Service, *memory, map[string]tocsin.Member) {
	t.Helper()
	s, store, secret := open(t)
	applied, err := s.Apply(t.Context(), hubOperator(), parse(t, charter))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(secret, secrets(applied))
	who := map[string]tocsin.Member{}
	for name, token := range secret {
		who[name] = login(t, s, token)
	}
	return s, store, who
}

func request() Request {
	return Request{Statement: "We are a bank.", Agreement: (&Agreement{Text: "Keep it secret."}).SHA256()}
}

func TestAnOrganizationIsAdmittedByTwoSponsorsAndAnother(t *testing.T) {
	s, store, who := applies(t)
	made, err := s.RequestMembership(t.Context(), who["bank-c/soc/desk"], "finance", request())
	if err != nil || len(made.Codes) != Sponsors {
		t.Fatalf("RequestMembership = %+v, %v", made, err)
	}
	for _, r := range store.records {
		for _, code := range made.Codes {
			if strings.Contains(string(r.Doc), code) {
				t.Errorf("the store keeps the code itself: %s", r.Doc)
			}
		}
	}
	decide := func(as string) error {
		_, err := s.Decide(t.Context(), who[as], "finance", "bank-c", Decision{Action: Admit, Role: "writer", Reason: "known"})
		return err
	}
	if err := decide("isac/staff/desk"); kind(t, err) != tocsin.Conflict {
		t.Errorf("Decide without sponsors = %v, want a conflict", err)
	}
	if _, err := s.Vouch(t.Context(), who["isac/staff/desk"], "finance", "bank-c", strings.ToUpper(made.Codes[0])); err != nil {
		t.Errorf("Vouch with a code in capitals = %v", err)
	}
	if _, err := s.Vouch(t.Context(), who["bank-b/soc/desk"], "finance", "bank-c", made.Codes[0]); kind(t, err) != tocsin.NotFound {
		t.Errorf("Vouch with a code that was used = %v, want not found", err)
	}
	if _, err := s.Vouch(t.Context(), who["bank-b/soc/desk"], "finance", "bank-c", made.Codes[1]); err != nil {
		t.Fatal(err)
	}
	if err := decide("isac/staff/desk"); kind(t, err) != tocsin.Forbidden {
		t.Errorf("Decide as a sponsor = %v, want forbidden", err)
	}
	if err := decide("bank-a/soc/desk"); kind(t, err) != tocsin.NotFound {
		t.Errorf("Decide as a writer = %v, want not found", err)
	}
	hub := hubOperator()
	hub.Organization.Name = "hub"
	if _, err := s.Decide(t.Context(), hub, "finance", "bank-c", Decision{Action: Admit, Role: "writer", Reason: "known"}); err != nil {
		t.Fatal(err)
	}
	now, err := s.Current(who["bank-c/soc/desk"])
	if err != nil || now.Role("finance") != tocsin.Reader {
		t.Errorf("on probation the role is %v, %v, want reader", now.Role("finance"), err)
	}
	last := store.changes[len(store.changes)-1].Summary
	if got := strings.Join(last, "\n"); !strings.Contains(got, "membership finance/bank-c: made, writer, sponsored by isac/staff and bank-b/soc, admitted, by hub/operator: known") {
		t.Errorf("the ledger is told %s", got)
	}
	if got := strings.Join(store.changes[len(store.changes)-5].Summary, "\n"); !strings.Contains(got, "accepts the agreement sha256:"+request().Agreement) {
		t.Errorf("of the application the ledger is told %s", got)
	}
}

func TestWhoGuessesCodesFindsNoApplication(t *testing.T) {
	s, _, who := applies(t)
	made, err := s.RequestMembership(t.Context(), who["bank-c/soc/desk"], "finance", request())
	if err != nil {
		t.Fatal(err)
	}
	for range mostTries {
		if _, err := s.Vouch(t.Context(), who["bank-b/soc/desk"], "finance", "bank-c", "aaaa-aaaa"); kind(t, err) != tocsin.NotFound {
			t.Fatalf("Vouch with a wrong code = %v", err)
		}
	}
	if _, err := s.Vouch(t.Context(), who["bank-b/soc/desk"], "finance", "bank-c", made.Codes[0]); kind(t, err) != tocsin.NotFound {
		t.Errorf("after %d guesses Vouch = %v, want not found", mostTries, err)
	}
	if _, err := s.Vouch(t.Context(), who["isac/staff/desk"], "finance", "bank-c", made.Codes[0]); err != nil {
		t.Errorf("another member's guesses keep this one from vouching: %v", err)
	}
}

func TestStrangersFindNothingOfAdmission(t *testing.T) {
	s, _, who := applies(t)
	if _, err := s.RequestMembership(t.Context(), who["bank-c/soc/desk"], "finance", request()); err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func(who tocsin.Member, community string) error{
		"Listing":      func(m tocsin.Member, c string) error { _, err := s.Listing(m, c); return err },
		"Agreement":    func(m tocsin.Member, c string) error { _, err := s.Agreement(m, c, request().Agreement); return err },
		"Roster":       func(m tocsin.Member, c string) error { _, err := s.Roster(m, c); return err },
		"Applications": func(m tocsin.Member, c string) error { _, err := s.Applications(m, c); return err },
		"Accept":       func(m tocsin.Member, c string) error { return s.Accept(t.Context(), m, c, request().Agreement) },
		"Leave":        func(m tocsin.Member, c string) error { return s.Leave(t.Context(), m, c) },
		"RequestMembership": func(m tocsin.Member, c string) error {
			_, err := s.RequestMembership(t.Context(), m, c, request())
			return err
		},
		"Vouch": func(m tocsin.Member, c string) error { _, err := s.Vouch(t.Context(), m, c, "bank-c", "x"); return err },
		"Decide": func(m tocsin.Member, c string) error {
			_, err := s.Decide(t.Context(), m, c, "bank-c", Decision{Action: Refuse, Reason: "no"})
			return err
		},
	} {
		hidden, nowhere := ask(who["bank-a/soc/desk"], "health"), ask(who["bank-a/soc/desk"], "nowhere")
		if kind(t, hidden) != tocsin.NotFound || hidden.Error() != nowhere.Error() {
			t.Errorf("%s of a hidden community = %v, of none %v; want the same, not found", name, hidden, nowhere)
		}
	}
	if found, err := s.Applications(who["bank-a/soc/desk"], "finance"); err != nil || len(found) != 0 {
		t.Errorf("a member who does not decide sees applications %v, %v", found, err)
	}
	if got := len(s.Listings(who["bank-a/soc/desk"])); got != 1 {
		t.Errorf("bank-a sees %d communities, want finance alone", got)
	}
	if err := s.Leave(t.Context(), who["bank-c/soc/siem"], "finance"); kind(t, err) != tocsin.Forbidden {
		t.Errorf("Leave with a limited token = %v, want forbidden", err)
	}
}

// What a community's charter says of time holds without anybody doing anything.
func TestACommunityEndsAndProbationToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, secret := open(t)
		at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
		text := "communities: [{name: finance, charter: {ends: \"" + at(2*time.Hour) + "\"}, members: [{organization: bank-a, role: writer, probation: \"" + at(time.Hour) + "\"}]}]"
		if _, err := s.Apply(t.Context(), hubOperator(), parse(t, text)); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			after   time.Duration
			role    tocsin.Role
			accepts bool
		}{
			{0, tocsin.Reader, true}, {time.Hour, tocsin.Writer, true}, {time.Hour, tocsin.Reader, false}, {closesAfter, tocsin.Stranger, false},
		} {
			time.Sleep(step.after)
			who := login(t, s, secret["bank-a/soc/desk"])
			if got := who.Role("finance"); got != step.role {
				t.Errorf("after %v the role is %v, want %v", step.after, got, step.role)
			}
			if err := s.Accepts("finance"); (err == nil) != step.accepts {
				t.Errorf("after %v Accepts = %v, want %v", step.after, err, step.accepts)
			}
		}
		if _, err := s.Community(login(t, s, secret["bank-a/soc/desk"]), "finance"); kind(t, err) != tocsin.NotFound {
			t.Errorf("a closed community = %v, want not found", err)
		}
		if got := len(s.Members("finance")); got != 0 {
			t.Errorf("a closed community has %d members who see it", got)
		}
	})
}

func TestAnApplicationExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store, who := applies(t)
		if _, err := s.RequestMembership(t.Context(), who["bank-c/soc/desk"], "finance", request()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Decide(t.Context(), hubOperator(), "finance", "bank-c", Decision{Action: Refuse, Reason: "Nobody knows you."}); err != nil {
			t.Fatal(err)
		}
		mine, err := s.Applications(who["bank-c/soc/desk"], "finance")
		if err != nil || len(mine) != 1 || mine[0].Reason != "Nobody knows you." || mine[0].Statement != "" || mine[0].Sponsors != nil {
			t.Errorf("the refused see %+v, %v, want the reason alone", mine, err)
		}
		time.Sleep(keptFor + time.Second)
		if mine, err = s.Applications(who["bank-c/soc/desk"], "finance"); err != nil || len(mine) != 0 {
			t.Errorf("after 30 days the refused see %+v, %v", mine, err)
		}
		if _, err := s.RequestMembership(t.Context(), who["bank-c/soc/desk"], "finance", request()); err != nil {
			t.Errorf("applying again = %v", err)
		}
		time.Sleep(opensFor + time.Second)
		if _, err := s.Decide(t.Context(), hubOperator(), "finance", "bank-c", Decision{Action: Admit, Reason: "late"}); kind(t, err) != tocsin.Conflict {
			t.Errorf("Decide on an expired application = %v, want a conflict", err)
		}
		time.Sleep(keptFor)
		if err := s.Leave(t.Context(), who["bank-b/soc/desk"], "finance"); err != nil {
			t.Fatal(err)
		}
		if r := store.records[[2]string{kindApplication, "finance/bank-c"}]; !r.Deleted {
			t.Error("an application that expired is kept for good")
		}
	})
}

func TestChartersAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		"basis: whim":                                   "not known",
		"member_list: all":                              "not known",
		"ends: soon":                                    "no date",
		"closes: 2030-01-01":                            "closes after it ends",
		"ends: 2030-01-01, closes: 2029-01-01":          "closes after it ends",
		"probation_days: 9999":                          "between 0 and 3650",
		"agreement: {version: a}":                       "a version and a text",
		"capabilities: [{name: magic, statement: a}]":   "not known",
		"capabilities: [{name: tlp}, {name: handling}]": "not known",
	} {
		_, err := ParseNetwork([]byte("communities: [{name: c, charter: {" + text + "}}]"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("charter %s = %v, want %q", text, err, want)
		}
	}
	s, _, _ := applies(t)
	_, err := s.Apply(t.Context(), hubOperator(), parse(t, `communities: [{name: finance, charter: {agreement: {version: "1", text: Something else.}}}]`))
	if kind(t, err) != tocsin.Conflict {
		t.Errorf("another text under the same version = %v, want a conflict", err)
	}
	n := s.Describe(hubOperator())
	if applied, err := s.Apply(t.Context(), hubOperator(), n); err != nil || len(actions(applied, Unchanged)) != len(applied.Changes) {
		t.Errorf("applying what is described changes %+v, %v", applied, err)
	}
}

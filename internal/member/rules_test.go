package member

import (
	"errors"
	"strings"
	"testing"
)

func TestCommunitiesHaveRulesOfTheirOwn(t *testing.T) {
	s, _, _ := open(t)
	s.CheckRules(func(rules []byte) error {
		if strings.Contains(string(rules), "wrong") {
			return errors.New(`rules: line 7: no detector is called "wrong"`)
		}
		return nil
	})
	apply := func(in, want string) {
		t.Helper()
		_, err := s.Apply(t.Context(), hubOperator(), parse(t, "communities: [{name: finance, "+in+"}]"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("Apply(%s) = %v, want %q", in, err, want)
		}
	}
	apply(`rules: "format: 1 # ours"`, "")
	if got := s.Rules("finance"); got != "format: 1 # ours" {
		t.Errorf("Rules = %q", got)
	}
	apply("title: Finance", "")
	apply("rules: wrong", "the rule file cannot be used: rules: line 7: no detector is called that (line 1) at /communities/0/rules")
	apply("privacy: {path: strict}", "says the path")
	if got := s.Rules("finance"); got != "format: 1 # ours" {
		t.Errorf("after refusals Rules = %q", got)
	}
	if applied, err := s.Plan(hubOperator(), s.Describe(hubOperator())); err != nil || changed(applied) {
		t.Errorf("applying what is described changes %+v, %v", applied.Changes, err)
	}
	apply(`rules: "", privacy: {path: strict}`, "")
	if got := s.Rules("finance") + s.Rules("nowhere"); got != "" {
		t.Errorf("after an empty text Rules = %q", got)
	}
}

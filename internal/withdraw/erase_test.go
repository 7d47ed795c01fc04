package withdraw_test

import (
	"errors"
	"strings"
	"testing"

	"tocsin"
	"tocsin/internal/hub/hubtest"
	"tocsin/internal/withdraw"
	"tocsin/receipt"
)

func TestWhatHoldsAValueIsErased(t *testing.T) {
	p := hubtest.Open(t)
	e := &withdraw.Eraser{Store: p.Store}
	with := func(n, day int, name string) string {
		return strings.Replace(hubtest.Indicator(n, day), `"name":"n`, `"name":"`+name+` n`, 1)
	}
	p.Share(t, hubtest.Writer, nil, with(1, 1, "Crimson Jackal"), with(2, 1, "nothing"), with(3, 1, `\u0043rimson\u00a0Jac\u200bkal`), with(4, 1, "ＣＲＩＭＳＯＮ ＪＡＣＫＡＬ"))
	p.Share(t, hubtest.Writer, nil, with(1, 2, "something else"))
	as := func(name string) tocsin.Member {
		who, err := p.Directory.Authenticate(t.Context(), p.Tokens[name])
		if err != nil {
			t.Fatal(err)
		}
		return who
	}
	for _, name := range []string{hubtest.Writer, hubtest.Curator, hubtest.Operator, hubtest.Stranger} {
		_, err := e.Search(t.Context(), as(name), "crimson jackal", 0)
		if k, ok := errors.AsType[*tocsin.Error](err); !ok || k.Kind != tocsin.Forbidden {
			t.Errorf("%s may search: %v", name, err)
		}
	}
	hub := as(hubtest.Hub)
	for value, reason := range map[string]string{"": "", "ab": "", " \u200b\u200b ": "", "Crimson Jackal": "asked by crimson jackal", strings.Repeat("x", 1001): ""} {
		_, err := e.Erase(t.Context(), hub, value, reason, 0)
		if k, ok := errors.AsType[*tocsin.Error](err); !ok || k.Kind != tocsin.Invalid || value != "" && strings.Contains(err.Error(), value) {
			t.Errorf("Erase(%q, %q) = %v, want a refusal that does not repeat it", value, reason, err)
		}
	}
	found, err := e.Search(t.Context(), hub, "crimson jackal", 0)
	if err != nil || len(found.Objects) != 3 || found.More {
		t.Fatalf("Search = %+v, %v, want three", found, err)
	}
	done, err := e.Erase(t.Context(), hub, "crimson jackal", "request 17", 0)
	if err != nil || len(done.Erased) != 3 || done.Erased[0].ID != hubtest.ID("indicator", 1) || done.Erased[0].Versions != 1 {
		t.Fatalf("Erase = %+v, %v, want three objects", done, err)
	}
	if found, err := e.Search(t.Context(), hub, "crimson jackal", 0); err != nil || len(found.Objects) != 0 {
		t.Errorf("afterwards Search = %+v, %v", found, err)
	}
	if left, err := p.Store.Versions(t.Context(), done.Erased[0].Collection, hubtest.ID("indicator", 1)); err != nil || len(left) != 1 {
		t.Errorf("%d versions are left, %v, want the one without the value", len(left), err)
	}
	proof, err := p.Prover.WithdrawalReceipt(t.Context(), hub, done.Erased[2].Leaf)
	if err != nil {
		t.Fatal(err)
	}
	v, err := receipt.Verify(proof, p.VerifierKey)
	if err != nil {
		t.Fatal(err)
	}
	if w, err := v.Withdrawal(); err != nil || w.Cause != receipt.Erased || w.Reason != "request 17" || w.Organization != hub.Organization.Name {
		t.Errorf("the receipt says %+v, %v", w, err)
	}
	for _, name := range []string{hubtest.Reader, hubtest.Stranger} {
		_, err := p.Prover.WithdrawalReceipt(t.Context(), as(name), done.Erased[2].Leaf)
		if k, ok := errors.AsType[*tocsin.Error](err); !ok || k.Kind != tocsin.NotFound {
			t.Errorf("%s gets the receipt: %v", name, err)
		}
	}
}

// No record of a search or an erasure holds the value.
func TestTheLedgerDoesNotKnowTheValue(t *testing.T) {
	p := hubtest.Open(t)
	e := &withdraw.Eraser{Store: p.Store}
	p.Share(t, hubtest.Writer, nil, strings.Replace(hubtest.Indicator(1, 1), `"name":"n`, `"name":"Crimson Jackal n`, 1))
	who, err := p.Directory.Authenticate(t.Context(), p.Tokens[hubtest.Hub])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Erase(t.Context(), who, "Crimson Jackal", "", 0); err != nil {
		t.Fatal(err)
	}
	records := 0
	for _, kind := range []receipt.Kind{receipt.KindSubmission, receipt.KindDisclosure, receipt.KindWithdrawal} {
		for _, community := range []string{"finance", ""} {
			leaves, err := p.Store.List(t.Context(), string(kind), community, 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, leaf := range leaves {
				records++
				if strings.Contains(string(leaf.Statement), "Jackal") {
					t.Errorf("a %s holds the value: %s", kind, leaf.Statement)
				}
			}
		}
	}
	if records != 3 {
		t.Errorf("%d records, want a submission, a search and an erasure", records)
	}
}

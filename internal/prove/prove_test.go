package prove_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"tocsin"
	"tocsin/internal/distribute"
	"tocsin/internal/hub/hubtest"
	"tocsin/receipt"
)

func who(t *testing.T, p *hubtest.Parts, name string) tocsin.Member {
	t.Helper()
	m, err := p.Directory.Authenticate(t.Context(), p.Tokens[name])
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func isNotFound(err error) bool {
	e, ok := errors.AsType[*tocsin.Error](err)
	return ok && e.Kind == tocsin.NotFound
}

func TestASubmissionIsItsSubmittersOnly(t *testing.T) {
	p := hubtest.Open(t)
	made := p.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1))
	for _, name := range []string{hubtest.Stranger, hubtest.Reader, hubtest.Colleague, hubtest.Curator, hubtest.Operator, hubtest.Agency, hubtest.Hub} {
		_, unreal := p.Prover.Submission(t.Context(), who(t, p, name), "00000000-0000-4000-8000-000000000000")
		if _, err := p.Prover.Submission(t.Context(), who(t, p, name), made.ID); !isNotFound(err) || err.Error() != unreal.Error() {
			t.Errorf("Submission as %s: %v, want not found, as of what is not there: %v", name, err, unreal)
		}
		if _, err := p.Prover.SubmissionReceipt(t.Context(), who(t, p, name), made.ID); !isNotFound(err) {
			t.Errorf("SubmissionReceipt as %s: %v, want not found", name, err)
		}
	}
	for _, id := range []string{"", "x", "00000000-0000-4000-8000-000000000000"} {
		if _, err := p.Prover.Submission(t.Context(), who(t, p, hubtest.Writer), id); !isNotFound(err) {
			t.Errorf("Submission(%q): %v, want not found", id, err)
		}
	}
	got, err := p.Prover.Submission(t.Context(), who(t, p, hubtest.Writer), made.ID)
	if err != nil || got.ID != made.ID || len(got.Successes) != 1 {
		t.Errorf("Submission = %+v, %v", got, err)
	}
	proof, err := p.Prover.SubmissionReceipt(t.Context(), who(t, p, hubtest.Writer), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := receipt.Verify(proof, p.VerifierKey); err != nil || v.Kind() != receipt.KindSubmission {
		t.Errorf("Verify = %v, %v", v, err)
	}
}

// DESIGN promise 7: members see what public power read, and nobody sees what
// companies read.
func TestReadsByInstitutionsAreShownToTheCommunity(t *testing.T) {
	p := hubtest.Open(t)
	p.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1), hubtest.Indicator(2, 1))
	q := distribute.Query{Community: "finance", Collection: "indicators", Limit: 1}
	const reads = 7
	for i := range reads {
		for _, name := range []string{hubtest.Reader, hubtest.Agency} {
			m := who(t, p, name)
			m.Token += string(rune('a' + i)) // else a company's reads become one record
			page, err := p.Feed.Page(t.Context(), m, q)
			if err != nil || len(page.Objects) != 1 {
				t.Fatalf("Page = %v, %v", page, err)
			}
		}
	}
	reader := who(t, p, hubtest.Reader)
	var leaves []int64
	var from int64
	for more := true; more; {
		found, next, m, err := p.Prover.Disclosures(t.Context(), reader, "finance", from, 3)
		if err != nil || len(found) > 3 {
			t.Fatalf("Disclosures = %d, %v", len(found), err)
		}
		for _, d := range found {
			if d.Organization != "bureau" || d.Purpose != "cybersecurity" || d.From != d.To || d.Objects != 1 {
				t.Errorf("disclosure = %+v", d)
			}
			leaves = append(leaves, d.Leaf)
		}
		from, more = next, m
	}
	if len(leaves) != reads || !slices.IsSorted(leaves) || len(slices.Compact(slices.Clone(leaves))) != reads {
		t.Errorf("leaves = %v, want %d, each once", leaves, reads)
	}
	proof, err := p.Prover.DisclosureReceipt(t.Context(), reader, leaves[0])
	if err != nil {
		t.Fatal(err)
	}
	if v, err := receipt.Verify(proof, p.VerifierKey); err != nil || v.Kind() != receipt.KindDisclosure {
		t.Errorf("Verify = %v, %v", v, err)
	}
	for _, name := range []string{hubtest.Stranger, hubtest.Hub} {
		if _, _, _, err := p.Prover.Disclosures(t.Context(), who(t, p, name), "finance", 0, 3); !isNotFound(err) {
			t.Errorf("Disclosures as %s: %v, want not found", name, err)
		}
		if _, err := p.Prover.DisclosureReceipt(t.Context(), who(t, p, name), leaves[0]); !isNotFound(err) {
			t.Errorf("DisclosureReceipt as %s: %v, want not found", name, err)
		}
	}
}

// A receipt by number must not open records of other kinds, nor the reads of
// companies.
func TestOnlyReadsByInstitutionsHaveReceiptsByNumber(t *testing.T) {
	p := hubtest.Open(t)
	made := p.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1))
	reader := who(t, p, hubtest.Reader)
	if _, err := p.Feed.Page(t.Context(), reader, distribute.Query{Community: "finance", Collection: "indicators", Limit: 1}); err != nil {
		t.Fatal(err)
	}
	logged := func() int64 { // a company's reads are logged within a second
		for range 100 {
			leaves, err := p.Store.List(t.Context(), string(receipt.KindDisclosure), "finance", 0, 1)
			if err != nil {
				t.Fatal(err)
			}
			if len(leaves) > 0 {
				return leaves[0].Index
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatal("the read was not logged")
		return 0
	}()
	for name, leaf := range map[string]int64{"a submission": made.Leaf, "a company's read": logged, "the directory": 0, "none": 1 << 40, "negative": -1} {
		if _, err := p.Prover.DisclosureReceipt(t.Context(), reader, leaf); !isNotFound(err) {
			t.Errorf("DisclosureReceipt of %s (%d): %v, want not found", name, leaf, err)
		}
	}
}

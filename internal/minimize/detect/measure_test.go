package detect

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// A tally counts what detectors did on labeled text.
type tally struct{ labeled, found, reported, right int }

func (t tally) recall() float64    { return float64(t.found) / float64(max(1, t.labeled)) }
func (t tally) precision() float64 { return float64(t.right) / float64(max(1, t.reported)) }

// A labeled text names what it contains, by code points.
type labeled struct {
	Text  string  `json:"text"`
	Spans [][]any `json:"spans"`
}

// entities says which labels of the corpus are right for a kind. A name inside
// of a street address, or an address in the name of a place, goes all the same.
func entities() map[Kind][]string {
	return map[Kind][]string{
		Name: {"PERSON"}, Email: {"EMAIL_ADDRESS"}, Phone: {"PHONE_NUMBER"}, Card: {"CREDIT_CARD"}, IBAN: {"IBAN_CODE"},
		SSN: {"US_SSN"}, Address: {"STREET_ADDRESS", "ZIP_CODE"}, NationalID: {"US_DRIVER_LICENSE"},
	}
}

// measure counts, for each kind, how many labeled values were masked by
// whatever kind, and how many reported ones lie on a labeled one; say has it
// print what was missed and what was wrong.
func measure(t *testing.T, d *Detector, cases []labeled, say bool) map[Kind]*tally {
	out := map[Kind]*tally{}
	for k := range entities() {
		out[k] = &tally{}
	}
	for _, c := range cases {
		at := make([]int, 0, len(c.Text)+1) // byte offset of each code point
		for i := range c.Text {
			at = append(at, i)
		}
		at = append(at, len(c.Text))
		spans := d.Find(nil, c.Text, All)
		for _, l := range c.Spans {
			start, end, label := at[int(l[0].(float64))], at[int(l[1].(float64))], l[2].(string)
			hit := slices.ContainsFunc(spans, func(s Span) bool { return s.Start < end && s.End > start })
			for k, names := range entities() {
				if !slices.Contains(names, label) {
					continue
				}
				out[k].labeled++
				if hit {
					out[k].found++
				} else if say {
					t.Logf("MISS %s %q in %.140q", k, c.Text[start:end], c.Text)
				}
			}
		}
		for _, s := range spans {
			n := out[s.Kind]
			if n == nil {
				continue
			}
			n.reported++
			if slices.ContainsFunc(c.Spans, func(l []any) bool {
				return slices.Contains(entities()[s.Kind], l[2].(string)) && s.Start < at[int(l[1].(float64))] && s.End > at[int(l[0].(float64))]
			}) {
				n.right++
			} else if say {
				t.Logf("WRONG %s %q in %.140q", s.Kind, c.Text[s.Start:s.End], c.Text)
			}
		}
	}
	return out
}

// misses reports whether to print what was missed and what was wrong in the
// half that is in view.
func misses() bool { return os.Getenv("TOCSIN_MISSES") != "" } //nolint:forbidigo // for who tunes the rules

// TestMeasureSentences prints the table of docs/privacy.md. The words and rules
// were written with the even sentences in view; the odd ones were not looked at.
func TestMeasureSentences(t *testing.T) {
	var c struct {
		Cases []labeled `json:"cases"`
	}
	corpus(t, "pii/labelled_sentences.json", &c) //nolint:misspell // the name of the file
	var halves [2][]labeled
	for i, one := range c.Cases {
		if !utf8.ValidString(one.Text) {
			t.Fatal("bad text")
		}
		halves[i%2] = append(halves[i%2], one)
	}
	d := New(words(t))
	var b strings.Builder
	var table [2]map[Kind]*tally
	b.WriteString("| Entity | Recall, tuned half | Recall, held-out half | Precision, tuned half | Precision, held-out half |\n| --- | --- | --- | --- | --- |\n")
	table[0] = measure(t, d, halves[0], misses())
	table[1] = measure(t, d, halves[1], false) // nobody looks at what is held out
	for _, k := range slices.Sorted(maps.Keys(entities())) {
		fmt.Fprintf(&b, "| %s |", k)
		for _, h := range table {
			fmt.Fprintf(&b, " %.3f (%d of %d) |", h[k].recall(), h[k].found, h[k].labeled)
		}
		for _, h := range table {
			fmt.Fprintf(&b, " %.3f (%d of %d) |", h[k].precision(), h[k].right, h[k].reported)
		}
		b.WriteByte('\n')
	}
	t.Log("\n" + b.String())
	for k, least := range map[Kind]float64{Card: 0.95, IBAN: 0.95, SSN: 0.95, Email: 0.95, Phone: 0.95, Name: 0.80, Address: 0.80} {
		all := tally{}
		for _, h := range table {
			all = tally{all.labeled + h[k].labeled, all.found + h[k].found, all.reported + h[k].reported, all.right + h[k].right}
		}
		if all.recall() < least || all.precision() < 0.90 {
			t.Errorf("%s: recall %.3f and precision %.3f, want %.2f and 0.90", k, all.recall(), all.precision(), least)
		}
	}
}

// TestMeasureRecognizers prints the second table of docs/privacy.md: single
// values as another detector's tests have them, and near misses that must not
// be found. A value that only words around it give away is found with a word
// only, so both are counted.
func TestMeasureRecognizers(t *testing.T) {
	var c struct {
		Cases []struct {
			Recognizer, Text string
			Count            int `json:"expected_count"`
		} `json:"cases"`
	}
	corpus(t, "pii/presidio_recognizer_cases.json", &c)
	recognizers := map[string]struct {
		kind Kind
		word string // that people put before such a value
	}{
		"credit_card": {Card, "card "}, "iban": {IBAN, "IBAN "}, "us_ssn": {SSN, "SSN "}, "us_itin": {SSN, "ITIN "}, "email": {Email, ""},
		"phone": {Phone, "phone "}, "uk_nino": {NationalID, "NINO "}, "es_nie": {NationalID, "NIE "}, "es_nif": {NationalID, "NIF "},
		"it_fiscal_code": {NationalID, "codice "}, "sg_fin": {NationalID, "NRIC "}, "in_aadhaar": {NationalID, "Aadhaar "},
		"kr_rrn": {NationalID, "RRN "}, "ca_sin": {NationalID, "SIN "}, "us_mbi": {MedicalID, "MBI "}, "us_passport": {NationalID, "passport "},
		"uk_passport": {NationalID, "passport "}, "in_passport": {NationalID, "passport "}, "de_passport": {NationalID, "passport "},
		"uk_nhs": {MedicalID, "NHS "}, "us_npi": {MedicalID, "NPI "}, "aba_routing": {BankAccount, "routing "}, "us_bank": {BankAccount, "account "},
		"us_driver_license": {NationalID, "license "}, "uk_driving_licence": {NationalID, "license "}, "pl_pesel": {NationalID, "PESEL "}, //nolint:misspell // as the corpus spells it
		"uk_vehicle_registration": {Vehicle, "plate "}, "tr_national_id": {NationalID, "kimlik "}, "se_personnummer": {NationalID, "personnummer "},
	}
	d := New(words(t))
	type count struct{ good, alone, said, bad, rejected int }
	counts := map[string]*count{}
	for _, one := range c.Cases {
		r, ok := recognizers[one.Recognizer]
		if !ok {
			continue
		}
		n := counts[one.Recognizer]
		if n == nil {
			n = &count{}
			counts[one.Recognizer] = n
		}
		is := func(s Span) bool { return s.Kind == r.kind }
		alone := slices.ContainsFunc(d.Find(nil, one.Text, All), is)
		switch {
		case one.Count > 0:
			n.good++
			if alone {
				n.alone++
			}
			if slices.ContainsFunc(d.Find(nil, r.word+one.Text, All), is) {
				n.said++
			} else if misses() {
				t.Logf("MISS %s %q", one.Recognizer, one.Text)
			}
		default:
			n.bad++
			if !alone {
				n.rejected++
			} else if misses() {
				t.Logf("NEAR MISS %s %q", one.Recognizer, one.Text)
			}
		}
	}
	var b strings.Builder
	b.WriteString("| Recognizer | Found, with a word before | Found, alone | Near misses left alone |\n| --- | --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		n := counts[name]
		fmt.Fprintf(&b, "| %s | %d of %d | %d of %d | %d of %d |\n", name, n.said, n.good, n.alone, n.good, n.rejected, n.bad)
	}
	t.Log("\n" + b.String())
	for _, name := range []string{"credit_card", "iban", "us_ssn", "email", "phone"} {
		if n := counts[name]; float64(n.said) < 0.95*float64(n.good) || n.rejected != n.bad {
			t.Errorf("%s: %+v, want 0.95 of the values and none of the near misses", name, *n)
		}
	}
}

package minimize

import (
	"bytes"
	"strings"
	"testing"

	"tocsin/internal/validate"
)

func anonymous(t *testing.T, g *Gate, objects ...string) (Bundle, string) {
	t.Helper()
	in := parse(t, bundle(objects...))
	if len(in.Rejected()) > 0 {
		t.Fatal(in.Rejected())
	}
	out := g.Anonymize(g.Apply(in))
	for _, o := range out.Objects() {
		if _, problems := validate.NewObject(o.Value()); len(problems) > 0 {
			t.Errorf("%s is not valid: %v", o.ID(), problems)
		}
	}
	return out, string(raw(out))
}

func TestAnonymousSubmissionSaysNothingOfTheSubmitter(t *testing.T) {
	me := id("identity", 1)
	by := `"created_by_ref":"` + me + `",`
	objects := []string{
		sdo("identity", 1, `"name":"Kestrel Freight","identity_class":"organization","sectors":["transportation"]`),
		`{"type":"marking-definition","spec_version":"2.1","id":"` + id("marking-definition", 2) + `","created":"2026-03-01T10:00:00.000Z",` + by +
			`"definition_type":"statement","definition":{"statement":"(c) Kestrel Freight"}}`,
		strings.ReplaceAll(sdo("malware", 3, by+`"name":"Bot","is_family":false,"description":"Seen in ticket KFS-20417 and INC0041777, beacons to 198.51.100.7; CVE-2024-3400, T1059.001","x_kestrel_score":7,`+
			`"external_references":[{"source_name":"kestrel-jira","external_id":"KFS-20417"},{"source_name":"cve","external_id":"CVE-2024-3400"}]`), "10:00:00.000Z", "10:42:17.123Z"),
		sdo("malware", 4, by+`"name":"Marked","is_family":false,"object_marking_refs":["`+id("marking-definition", 2)+`"]`),
		relationship(5, "targets", id("malware", 3), me),
		relationship(6, "uses", id("malware", 3), "attack-pattern--7385dfaf-6886-4229-9ecd-6fd678040830"),
		sdo("attack-pattern", 7, `"created_by_ref":"identity--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5","name":"Scripting"`),
		indicator(8, "[ipv4-addr:value = '198.51.100.7']", "C2"),
		relationship(9, "indicates", id("indicator", 8), id("malware", 3)),
		sco("ipv4-addr", 10, `"value":"198.51.100.7"`),
	}
	g := newGate(t)
	out, text := anonymous(t, g, objects...)
	for _, gone := range []string{"Kestrel", "kestrel", me, "KFS-20417", "INC0041777", "x_kestrel", "10:42", id("malware", 3), id("indicator", 8), id("ipv4-addr", 10), id("relationship", 9)} {
		if strings.Contains(text, gone) {
			t.Errorf("%q is in what would be shared:\n%s", gone, text)
		}
	}
	for _, kept := range []string{"198.51.100.7", "CVE-2024-3400", "T1059.001", `"source_name":"cve"`, id("attack-pattern", 7), "attack-pattern--7385dfaf", `"10:00:00.000Z`[1:]} {
		if !strings.Contains(text, kept) {
			t.Errorf("%q was lost:\n%s", kept, text)
		}
	}
	again, _ := anonymous(t, g, objects...)
	if !bytes.Equal(raw(again), raw(out)) {
		t.Error("the same submission is another one the second time")
	}
	other, err := New(Options{Secret: []byte("the secret of somebody else")})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, o := range out.Objects() {
		ids[o.ID()] = true
	}
	theirs, _ := anonymous(t, other, objects...)
	for _, o := range theirs.Objects() {
		if o.Type() == "indicator" && ids[o.ID()] {
			t.Error("an anonymous id can be made without the secret")
		}
	}
	// The hub's gate finds nothing left to change, so it puts its own name on nothing.
	if more := g.Apply(parse(t, append(append([]byte(`{"objects":[`), bytes.Join(bytes.Split(bytes.TrimSpace(raw(out)), []byte("\n")), []byte(","))...), "]}"...))); !bytes.Equal(raw(more), raw(out)) {
		t.Errorf("another gate changes it:\n%s\n%s", raw(more), raw(out))
	}
	if len(out.Objects()) != 6 {
		t.Errorf("%d objects are left, want 6:\n%s", len(out.Objects()), text)
	}
}

func TestAnonymousRevocationBelongsToTheAnonymousObject(t *testing.T) {
	g := newGate(t)
	first, _ := anonymous(t, g, indicator(1, "[domain-name:value = 'evil.example']", "C2"))
	later, _ := anonymous(t, g, strings.ReplaceAll(strings.Replace(indicator(1, "[domain-name:value = 'evil.example']", "C2"), `"modified":"2026-03-01`, `"modified":"2026-03-05`, 1), `"pattern_type"`, `"revoked":true,"pattern_type"`))
	if first.Objects()[0].ID() != later.Objects()[0].ID() || first.Objects()[0].Original() != id("indicator", 1) {
		t.Errorf("the revocation is of %s, want %s", later.Objects()[0].ID(), first.Objects()[0].ID())
	}
}

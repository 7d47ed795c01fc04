package minimize

import (
	"bytes"
	"strings"
	"testing"
)

const attackFlow = "extension-definition--fb9c968a-745b-4ade-9b25-c324172197f4"

func TestAnonymousSubmissionsKeepRegisteredExtensions(t *testing.T) {
	const other = "extension-definition--9c59fd79-4215-4ba2-920d-3e4f320e1e62"
	out, text := anonymous(t, newGate(t),
		`{"type":"attack-action","spec_version":"2.1","id":"`+id("attack-action", 1)+`","created":"2026-03-01T10:42:17.123Z","modified":"2026-03-01T10:42:17.123Z",`+
			`"name":"Run","technique_id":"T1059.001","extensions":{"`+attackFlow+`":{"extension_type":"new-sdo"}}}`,
		sdo("malware", 2, `"name":"Bot","is_family":false,"extensions":{"`+other+`":{"extension_type":"property-extension","desk":"Harlow"}}`),
		sco("file", 3, `"name":"a.pdf","extensions":{"pdf-ext":{"version":"1.7"},"`+other+`":{"extension_type":"property-extension","desk":"Harlow"}}`),
	)
	for _, kept := range []string{"T1059.001", attackFlow, "new-sdo", `"pdf-ext"`} {
		if !strings.Contains(text, kept) {
			t.Errorf("%q was lost:\n%s", kept, text)
		}
	}
	for _, gone := range []string{other, "Harlow", "10:42"} {
		if strings.Contains(text, gone) {
			t.Errorf("%q is in what would be shared:\n%s", gone, text)
		}
	}
	if len(out.Objects()) != 3 {
		t.Errorf("%d objects are left, want 3:\n%s", len(out.Objects()), text)
	}
}

func TestAnonymousSubmissionsGeneralizeTimesAndCounts(t *testing.T) {
	_, text := anonymous(t, newGate(t),
		strings.Replace(indicator(1, "[domain-name:value = 'evil.example']", "C2"), `"valid_from":"2026-03-01T00:00:00Z"`, `"valid_from":"2026-03-01T10:13:14Z","valid_until":"2026-03-01T10:15:16Z"`, 1),
		sdo("sighting", 2, `"sighting_of_ref":"`+id("indicator", 1)+`","first_seen":"2026-03-02T07:31:01Z","last_seen":"2026-03-02T07:59:59Z","count":3741`),
		sdo("observed-data", 3, `"first_observed":"2026-03-02T07:31:01Z","last_observed":"2026-03-02T08:01:00Z","number_observed":7,"object_refs":["`+id("domain-name", 4)+`"]`),
		sco("domain-name", 4, `"value":"evil.example"`),
	)
	for _, want := range []string{
		`"valid_from":"2026-03-01T10:00:00.000Z"`, `"valid_until":"2026-03-01T11:00:00.000Z"`, `"first_seen":"2026-03-02T07:00:00.000Z"`, `"last_seen":"2026-03-02T07:00:00.000Z"`,
		`"count":3000`, `"first_observed":"2026-03-02T07:00:00.000Z"`, `"last_observed":"2026-03-02T08:00:00.000Z"`, `"number_observed":7`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing:\n%s", want, text)
		}
	}
}

func TestKeysThatNameSomebodyGo(t *testing.T) {
	in := parse(t, bundle(
		sco("user-account", 1, `"account_login":"kfitz88"`),
		sdo("malware", 2, `"name":"Bot","is_family":false,"x_seen_by":{"Marguerite Fitzgerald":3,"kfitz88":4,"bots":5},"x_desks":{"HR-LAPTOP-11":1}`),
		sco("email-message", 3, `"is_multipart":false,"subject":"Invoice","additional_header_fields":{"X-Mailer":"bulk 1.2","X-For-kfitz88":"1"}`),
	))
	if len(in.Rejected()) > 0 {
		t.Fatal(in.Rejected())
	}
	out := newGate(t).Apply(in)
	checkProperties(t, in, out)
	text := raw(out)
	for _, gone := range []string{"Fitzgerald", "kfitz88", "HR-LAPTOP"} {
		if bytes.Contains(text, []byte(gone)) {
			t.Errorf("%q is in what would be shared:\n%s", gone, text)
		}
		for _, f := range out.Findings() {
			if strings.Contains(f.String(), gone) {
				t.Errorf("a finding says %q: %s", gone, f)
			}
		}
	}
	for _, kept := range []string{`"bots":5`, `"X-Mailer":"bulk 1.2"`} {
		if !bytes.Contains(text, []byte(kept)) {
			t.Errorf("%s was lost:\n%s", kept, text)
		}
	}
}

func TestRulesThatGeneralizeAreChecked(t *testing.T) {
	for name, test := range map[string]struct{ old, with, want string }{
		"what there is no word for": {"to: next-hour", "to: fortnight", "generalized to"},
		"a step of nothing":         {"    step: 0.1\n", "", "has a step above 0"},
		"no definition":             {"id: " + attackFlow, "id: identity--fb9c968a-745b-4ade-9b25-c324172197f4", "by the id of its definition"},
		"a path inside":             {`"malware-analysis:analysis_ended"]`, `"malware-analysis:analysis_ended.x"]`, "type:property"},
		"twice":                     {`"malware-analysis:analysis_ended"]`, `"*:created"]`, "listed twice"},
	} {
		t.Run(name, func(t *testing.T) {
			text := bytes.Replace(DefaultRules(), []byte(test.old), []byte(test.with), 1)
			if _, err := parseRules(text); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "line ") {
				t.Errorf("parseRules = %v, want an error with a line and %q", err, test.want)
			}
		})
	}
}

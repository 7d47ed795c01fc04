package minimize

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/validate"
	"tocsin/stix"
)

// bundle joins objects, given as the properties behind type, spec_version and
// id, into one submission.
func bundle(objects ...string) []byte {
	return []byte(`{"type":"bundle","id":"bundle--5d0092c5-5f74-4287-9642-33f4c354e56d","objects":[` + strings.Join(objects, ",") + `]}`)
}

// id makes a well-formed identifier that says who it is.
func id(kind string, n int) string {
	return fmt.Sprintf("%s--%08x-0000-4000-8000-000000000000", kind, n)
}

// sdo makes an object with versions.
func sdo(kind string, n int, rest string) string {
	return fmt.Sprintf(`{"type":%q,"spec_version":"2.1","id":%q,"created":"2026-03-01T10:00:00.000Z","modified":"2026-03-01T10:00:00.000Z",%s}`,
		kind, id(kind, n), rest)
}

// sco makes an observable.
func sco(kind string, n int, rest string) string {
	return fmt.Sprintf(`{"type":%q,"spec_version":"2.1","id":%q,%s}`, kind, id(kind, n), rest)
}

func indicator(n int, pattern, description string) string {
	return sdo("indicator", n, fmt.Sprintf(`"pattern":%s,"pattern_type":"stix","valid_from":"2026-03-01T00:00:00Z","indicator_types":["malicious-activity"],"description":%s`,
		quote(pattern), quote(description)))
}

func note(n int, content string) string {
	return sdo("note", n, fmt.Sprintf(`"content":%s,"object_refs":["malware--00000001-0000-4000-8000-000000000000"]`, quote(content)))
}

func relationship(n int, kind, source, target string) string {
	return sdo("relationship", n, fmt.Sprintf(`"relationship_type":%q,"source_ref":%q,"target_ref":%q`, kind, source, target))
}

func TestGateKnowsWhichSideAValueIsOn(t *testing.T) {
	tests := map[string]struct {
		objects []string
		gone    []string
		kept    []string
	}{
		"the sender of a message stays and its recipients go": {
			objects: []string{
				sco("email-addr", 1, `"value":"pay@evil.example"`),
				sco("email-addr", 2, `"value":"jane@corp.example","display_name":"Jane Roe"`),
				sco("email-message", 3, `"is_multipart":false,"from_ref":"`+id("email-addr", 1)+`","to_refs":["`+id("email-addr", 2)+`"],"subject":"Invoice","body":"Jane Roe, call JANE@corp.example or pay@evil.example"`),
			},
			gone: []string{"jane@corp", "JANE@corp", "Jane Roe", "to_refs"},
			kept: []string{"pay@evil.example", "Invoice"},
		},
		"a recipient whose address an indicator names stays": {
			objects: []string{
				sco("email-addr", 2, `"value":"drop@evil.example"`),
				sco("email-message", 3, `"is_multipart":false,"to_refs":["`+id("email-addr", 2)+`"],"subject":"logs"`),
				indicator(4, "[email-addr:value = 'drop@evil.example']", "exfiltration address"),
			},
			kept: []string{"drop@evil.example", "to_refs"},
		},
		"a sender that is the recipient is the victim": {
			objects: []string{
				sco("email-addr", 2, `"value":"jane@corp.example"`),
				sco("email-message", 3, `"is_multipart":false,"from_ref":"`+id("email-addr", 2)+`","to_refs":["`+id("email-addr", 2)+`"],"subject":"your password"`),
			},
			gone: []string{"jane@corp.example", "from_ref"},
			kept: []string{"your password"},
		},
		"a spoofed domain does not make its people attackers": {
			objects: []string{
				sco("email-addr", 1, `"value":"ceo@corp.example"`),
				sco("email-addr", 2, `"value":"jane@corp.example"`),
				sco("email-message", 3, `"is_multipart":false,"from_ref":"`+id("email-addr", 1)+`","to_refs":["`+id("email-addr", 2)+`"],"subject":"s"`),
				note(4, "reported to bob@corp.example"),
			},
			gone: []string{"jane@corp.example", "bob@corp.example"},
			kept: []string{"ceo@corp.example"},
		},
		"an address at an indicator's domain stays": {
			objects: []string{indicator(1, "[domain-name:value = 'evil.example']", "mails from help@evil.example reached bob@corp.example")},
			gone:    []string{"bob@corp.example"},
			kept:    []string{"help@evil.example"},
		},
		"an address at a free provider is the attacker's only by itself": {
			objects: []string{indicator(1, "[email-addr:value = 'bad@gmail.com']", "bad@gmail.com wrote to jane@gmail.com")},
			gone:    []string{"jane@gmail.com"},
			kept:    []string{"bad@gmail.com"},
		},
		"a word for the attacker keeps the address after it": {
			objects: []string{note(1, "The attacker used evil@mail.example. Phishing e-mails came from a.b@mail.example. The victim is jane@mail.example.")},
			gone:    []string{"jane@mail.example"},
			kept:    []string{"evil@mail.example", "a.b@mail.example"},
		},
		"an address in a file name of ransomware stays": {
			objects: []string{sdo("malware", 1, `"name":"Locker","is_family":true,"description":"renames files to a.{unlock@mail.example}.prt"`)},
			kept:    []string{"unlock@mail.example"},
		},
		"an e-mail account of nobody known goes": {
			objects: []string{sco("email-addr", 1, `"value":"jane@corp.example"`), sco("domain-name", 2, `"value":"evil.example"`)},
			gone:    []string{"jane@corp.example"},
			kept:    []string{"evil.example"},
		},
		"people of the organization that reports are no attackers": {
			objects: []string{
				sdo("identity", 1, `"name":"Corp","identity_class":"organization","contact_information":"soc@corp.example"`),
				sdo("malware", 2, `"name":"Bot","is_family":false,"created_by_ref":"`+id("identity", 1)+`","description":"The attacker used evil@mail.example and jane@corp.example on fs01.ad.corp.example; corp.example.evil.example is a fake"`),
			},
			gone: []string{"jane@corp.example", "fs01.ad.corp.example"},
			kept: []string{"evil@mail.example", "corp.example.evil.example"},
		},
		"people of an organization that was a target are no attackers": {
			objects: []string{
				sdo("identity", 1, `"name":"Corp","identity_class":"organization","contact_information":"soc@corp.example"`),
				sdo("threat-actor", 2, `"name":"Bear","description":"the attacker has bob@corp.example"`),
				relationship(3, "targets", id("threat-actor", 2), id("identity", 1)),
			},
			gone: []string{"bob@corp.example"},
			kept: []string{"Bear"},
		},
		"what is the attacker's and the victim's is for a person to decide": {
			objects: []string{
				indicator(1, "[user-account:account_login = 'svc_both7']", "svc_both7"),
				indicator(2, "[process:command_line = 'svc_both7']", "uses user=svc_both7"),
			},
			gone: []string{"uses user=svc_both7"},
			kept: []string{"process:command_line = 'svc_both7'"},
		},
		"internal addresses of objects go from texts too": {
			objects: []string{sco("ipv4-addr", 1, `"value":"192.168.1.77"`), note(2, "from 192.168.1.77 to 198.51.100.7 and 192.168.1.7, WIN-4Q2P1MXAB12")},
			gone:    []string{"192.168.1.77", "WIN-4Q2P"},
			kept:    []string{"198.51.100.7", "192.168.1.7,"},
		},
		"a part of somebody's name stands for the same person": {
			objects: []string{note(1, "Employee Marguerite Lindqvist called. Later Lindqvist and Marguerite's laptop were seen.")},
			gone:    []string{"Marguerite", "Lindqvist", "person-name-2"},
			kept:    []string{"[person-name-1]"},
		},
		"an account that malware uses stays": {
			objects: []string{
				sco("email-addr", 1, `"value":"c2@mail.example"`), sdo("malware", 2, `"name":"Bot","is_family":false`),
				relationship(3, "communicates-with", id("malware", 2), id("email-addr", 1)),
			},
			kept: []string{"c2@mail.example"},
		},
		"a name of a threat actor stays": {
			objects: []string{
				sdo("threat-actor", 1, `"name":"Ivan Petrov","aliases":["John Crook"]`),
				note(2, "victim: Jane Roe, contact John Crook"),
			},
			gone: []string{"Jane Roe"},
			kept: []string{"Ivan Petrov", "John Crook"},
		},
		"an individual that is targeted has no name": {
			objects: []string{
				sdo("identity", 1, `"name":"Jane Roe","identity_class":"individual","contact_information":"jane@corp.example"`),
				sdo("identity", 2, `"name":"Corp Inc","identity_class":"organization","sectors":["energy"]`),
				sdo("campaign", 3, `"name":"Storm"`),
				relationship(4, "targets", id("campaign", 3), id("identity", 1)),
			},
			gone: []string{"Jane Roe", "jane@corp"},
			kept: []string{"Corp Inc", "energy", "Storm", "targets"},
		},
		"an individual that a threat actor is attributed to keeps it": {
			objects: []string{
				sdo("identity", 1, `"name":"Ivan Petrov","identity_class":"individual","contact_information":"ivan@evil.example"`),
				sdo("threat-actor", 2, `"name":"Actor One"`),
				relationship(3, "attributed-to", id("threat-actor", 2), id("identity", 1)),
			},
			kept: []string{"Ivan Petrov", "ivan@evil.example"},
		},
		"a victim's account goes and one of every system stays": {
			objects: []string{
				sco("user-account", 1, `"account_login":"jroe","display_name":"Jane Roe","credential":"hunter22x","account_type":"windows-domain"`),
				sco("user-account", 2, `"account_login":"Administrator","account_type":"windows-local"`),
				note(3, "jroe opened it"),
			},
			gone: []string{"jroe", "Jane Roe", "hunter22x"},
			kept: []string{"windows-domain", "Administrator"},
		},
		"the shell of a victim's account is nobody's name": {
			objects: []string{
				sco("user-account", 1, `"account_login":"sales","user_id":"1004","extensions":{"unix-account-ext":{"home_dir":"/home/jroe","shell":"/bin/bash"}}`),
				note(2, "/bin/bash was run on a machine of sales"),
			},
			gone: []string{"jroe", "1004"},
			kept: []string{`"shell":"/bin/bash"`, "/bin/bash was run on a machine of sales"},
		},
		"a private address becomes its block unless an indicator names it": {
			objects: []string{
				sco("ipv4-addr", 1, `"value":"10.1.2.3"`), sco("ipv4-addr", 2, `"value":"192.168.7.7"`), sco("ipv4-addr", 3, `"value":"198.51.100.7"`),
				sco("network-traffic", 4, `"protocols":["tcp"],"src_ref":"`+id("ipv4-addr", 1)+`","dst_ref":"`+id("ipv4-addr", 3)+`"`),
				indicator(5, "[ipv4-addr:value = '192.168.7.7']", "lateral movement"),
			},
			gone: []string{"10.1.2.3"},
			kept: []string{"10.0.0.0/8", "192.168.7.7", "198.51.100.7"},
		},
		"credentials in traffic go and the user agent stays": {
			objects: []string{sco("network-traffic", 1, `"protocols":["tcp","http"],"dst_ref":"ipv4-addr--00000001-0000-4000-8000-000000000000","extensions":{"http-request-ext":{"request_method":"get","request_value":"/gate?user=jroe77&id=4","request_header":{"User-Agent":"EvilBot/1.0","AUTHORIZATION":"Basic c2VjcmV0","Cookie":"SID=31d4d96e407aad42"}}}`)},
			gone:    []string{"c2VjcmV0", "31d4d96e", "jroe77"},
			kept:    []string{"EvilBot/1.0", "/gate?user="},
		},
		"headers for recipients go and those of the sender stay": {
			objects: []string{sco("email-message", 1, `"is_multipart":false,"subject":"s","additional_header_fields":{"Delivered-To":"jane@corp.example","Reply-To":"evil@mail.example","X-Note":"for jane@corp.example"}`)},
			gone:    []string{"jane@corp.example"},
			kept:    []string{"evil@mail.example", "X-Note"},
		},
		"a URL of an indicator stays as a whole": {
			objects: []string{
				indicator(1, "[url:value = 'http://evil.example/r?token=a1b2c3d4e5f6']", "seen: http://evil.example/r?token=a1b2c3d4e5f6"),
				sco("url", 2, `"value":"http://evil.example/r?token=a1b2c3d4e5f6"`),
				sco("url", 3, `"value":"https://portal.corp.example/reset?token=a1b2c3d4e5f7"`),
			},
			gone: []string{"a1b2c3d4e5f7"},
			kept: []string{"seen: http://evil.example/r?token=a1b2c3d4e5f6", "https://portal.corp.example/reset?token="},
		},
		"user information of a URL goes": {
			objects: []string{sco("url", 1, `"value":"https://jane:Passw0rd@files.example/x.exe"`)},
			gone:    []string{"jane", "Passw0rd"},
			kept:    []string{`"https://files.example/x.exe"`},
		},
		"debug symbols of a malware's author stay": {
			objects: []string{note(1, `PDB path C:\Users\evilcoder\src\rat.pdb, dropped to C:\Users\jroe\rat.exe`)},
			gone:    []string{`jroe`},
			kept:    []string{`evilcoder`, "rat.exe"},
		},
		"a document's author goes": {
			objects: []string{sco("file", 1, `"name":"offer.pdf","extensions":{"pdf-ext":{"document_info_dict":{"Author":"Jane Roe","Producer":"EvilPDF"}}}`)},
			gone:    []string{"Jane Roe"},
			kept:    []string{"offer.pdf", "EvilPDF"},
		},
		"a message kept as an artifact goes with its recipients": {
			objects: []string{sco("artifact", 1, `"mime_type":"message/rfc822","payload_bin":"VG86IGphbmVAY29ycC5leGFtcGxlDQoNCmhlbGxv"`), sco("domain-name", 2, `"value":"evil.example"`)},
			gone:    []string{"VG86IGph"},
			kept:    []string{"evil.example"},
		},
		"unknown properties are free text": {
			objects: []string{sdo("malware", 1, `"name":"Bot","is_family":false,"x_note":{"seen_by":"employee Jane Roe","card":4111111111111111,"jane@corp.example":true}`)},
			gone:    []string{"Jane Roe", "4111111111111111", "jane@corp.example"},
			kept:    []string{"seen_by", "Bot"},
		},
		"older observed data is looked into": {
			objects: []string{sdo("observed-data", 1, `"first_observed":"2026-03-01T10:00:00Z","last_observed":"2026-03-01T10:00:00Z","number_observed":1,"objects":{"0":{"type":"email-addr","value":"evil@mail.example"},"1":{"type":"email-addr","value":"jane@corp.example"},"2":{"type":"email-message","is_multipart":false,"from_ref":"0","to_refs":["1"],"subject":"s"}}`)},
			gone:    []string{"jane@corp.example"},
			kept:    []string{"evil@mail.example", `"from_ref":"0"`},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := parse(t, bundle(test.objects...))
			if len(in.Rejected()) > 0 {
				t.Fatalf("the test's objects are not valid: %v", in.Rejected())
			}
			out := newGate(t).Apply(in)
			text := raw(out)
			for _, v := range test.gone {
				if bytes.Contains(text, []byte(v)) {
					t.Errorf("%q is still there:\n%s", v, text)
				}
			}
			for _, v := range test.kept {
				if !bytes.Contains(text, []byte(v)) {
					t.Errorf("%q is gone:\n%s", v, text)
				}
			}
			if len(test.gone) == 0 && len(out.Findings()) > 0 {
				t.Errorf("findings where all is the attacker's: %v", out.Findings())
			}
			checkProperties(t, in, out)
		})
	}
}

// checkProperties holds for every submission: what comes out is valid, a second
// gate changes nothing, nothing dangles, and no finding holds a value.
func checkProperties(t *testing.T, in validate.Bundle, out Bundle) {
	t.Helper()
	changed := map[string]string{}
	var objects []string
	for _, o := range out.Objects() {
		v, err := stix.Parse(o.Raw(), stix.Limits{})
		if err != nil {
			t.Fatalf("a result is not JSON: %v\n%s", err, o.Raw())
		}
		if made, problems := validate.NewObject(v); made.ID() == "" {
			t.Errorf("a result is not valid STIX: %v\n%s", problems, o.Raw())
		}
		if o.Original() != "" {
			changed[o.Original()] = o.ID()
		}
		objects = append(objects, string(o.Raw()))
	}
	for _, o := range out.Objects() {
		for was := range changed {
			if bytes.Contains(o.Raw(), []byte(was)) && !fixed(o.Type()) {
				t.Errorf("%s still refers to %s", o.ID(), was)
			}
		}
	}
	if len(objects) == 0 {
		return
	}
	again := newGate(t).Apply(parse(t, bundle(objects...)))
	if diff := cmp.Diff(strings.Join(objects, "\n")+"\n", string(raw(again))); diff != "" {
		t.Errorf("a second pass changed something (-first +second):\n%s", diff)
	}
	for _, f := range again.Findings() {
		if f.Action != actionLeft {
			t.Errorf("a second pass found something: %v", f)
		}
	}
}

func TestPrivacyBaitIsTaken(t *testing.T) {
	tests := map[string]struct{ text, value string }{
		"social security number":         {"row 078-05-1120 end", "078-05-1120"},
		"card and security code":         {"PAN 4111 1111 1111 1111 CVV 737", "4111 1111 1111 1111"},
		"security code":                  {"PAN 4111 1111 1111 1111 CVV 737", "737"},
		"e-mail address":                 {"write to jane.roe@corp.example now", "jane.roe@corp.example"},
		"telephone number":               {"call her at +1 202-555-0143.", "202-555-0143"},
		"date of birth":                  {"DOB: 03/14/1975", "03/14/1975"},
		"date of birth in words":         {"born on March 14, 1975 in", "March 14, 1975"},
		"JSON web token":                 {"got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqYW5lIn0.c2lnbmF0dXJlc2ln from", "eyJzdWIiOiJqYW5lIn0"},
		"AWS key":                        {"AKIAIOSFODNN7EXAMPLE was used", "AKIAIOSFODNN7EXAMPLE"},
		"private key":                    {"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----", "MIIEpAIBAAKCAQEA"},
		"encoded social security number": {"blob MDc4LTA1LTExMjA= end", "MDc4LTA1LTExMjA="},
		"number with zero-width spaces":  {"row 078\u200b-05-\u200b1120 end", "1120"},
		"number of full width":           {"row ０７８-０５-１１２０ end", "１１２０"},
		"reset link":                     {"https://portal.corp.example/reset?user=4&token=9f86d081884c7d65", "9f86d081884c7d65"},
		"encoded address in a link":      {"http://evil.example/#amFuZS5yb2VAY29ycC5leGFtcGxl", "amFuZS5yb2VAY29ycC5leGFtcGxl"},
		"escaped address in a link":      {"http://evil.example/?e=jane.roe%40corp.example", "jane.roe"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := parse(t, bundle(note(1, test.text)))
			out := newGate(t).Apply(in)
			if got := string(raw(out)); strings.Contains(got, test.value) {
				t.Errorf("Apply(%q) = %s, want no %q", test.text, got, test.value)
			}
			checkProperties(t, in, out)
		})
	}
}

func TestPatternsChangeOnlyWhereTheyNameTheVictim(t *testing.T) {
	tests := map[string]struct{ pattern, want string }{
		"recipient":           {`[email-message:to_refs[*].value = 'jane@corp.example' AND email-message:subject = 'pay']`, `[email-message:to_refs[*].value = '[email-1]' AND email-message:subject = 'pay']`},
		"sender":              {`[email-message:from_ref.value = 'jane@corp.example']`, ``},
		"victim's account":    {`[user-account:account_login = 'jroe']`, `[user-account:account_login = '[user-name-1]']`},
		"account of everyone": {`[user-account:account_login = 'root']`, ``},
		"path of a user":      {`[directory:path = 'C:\\Users\\jroe\\AppData\\x']`, `[directory:path LIKE 'C:\\Users\\%\\AppData\\x']`},
		"path without spaces": {`[file:name='/home/jroe/.x']`, `[file:name LIKE '/home/%/.x']`},
		"path of everyone":    {`[directory:path = 'C:\\Users\\Public\\x']`, ``},
		"path in a set":       {`[directory:path IN ('/home/jroe/x','/tmp/x')]`, ``},
		"path not there":      {`[directory:path != '/home/jroe/x']`, ``},
		"recipient in a URL":  {`[url:value = 'http://evil.example/?e=jane@corp.example']`, `[url:value LIKE 'http://evil.example/?e=%']`},
		"mailbox in a URL":    {`[url:value = 'http://evil.example/?to=box@evil.example']`, ``},
		"login of a URL":      {`[url:value = 'ftp://bot:Passw0rd77@evil.example/up']`, ``},
		"recipient's header":  {`[email-message:additional_header_fields.To = 'jane@corp.example']`, `[email-message:additional_header_fields.To = '[email-1]']`},
		"creator":             {`[process:creator_user_ref.account_login = 'jroe' AND process:command_line = 'x.exe']`, `[process:creator_user_ref.account_login = '[user-name-1]' AND process:command_line = 'x.exe']`},
		"variable":            {`[process:environment_variables.COMPUTERNAME = 'HR-LAPTOP-11' AND process:command_line = 'x.exe']`, `[process:environment_variables.COMPUTERNAME = '[host-name-1]' AND process:command_line = 'x.exe']`},
		"command line":        {`[process:command_line = 'net use \\\\fs01\\payroll /user:CORP\\jroe42 Winter2024!x']`, `[process:command_line LIKE 'net use % /user:% %']`},
		"internal machine":    {`[domain-name:value = 'dc01.corp.local']`, ``},
		"hardly anything":     {`[directory:path = '/home/jroe']`, `[directory:path LIKE '/home/%']`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := parse(t, bundle(indicator(1, test.pattern, "-")))
			if len(in.Objects()) != 1 {
				t.Fatalf("not valid: %v", in.Rejected())
			}
			out := newGate(t).Apply(in)
			want := test.want
			if want == "" {
				want = test.pattern
			}
			if got := out.Objects()[0].Value().Get("pattern").Text(); got != want {
				t.Errorf("pattern = %s, want %s", got, want)
			}
			if changed := out.Objects()[0].Original() != ""; changed != (test.want != "") {
				t.Errorf("changed = %t, want %t", changed, test.want != "")
			}
			checkProperties(t, in, out)
		})
	}
}

func TestChangedCopiesAreNewObjectsAndReferencesFollow(t *testing.T) {
	in := bundle(
		sdo("malware", 1, `"name":"Bot","is_family":false,"created_by_ref":"identity--00000009-0000-4000-8000-000000000000","x_bytes" : "kept  as-is \u00e9","description":"by victim Jane Roe"`),
		indicator(2, "[ipv4-addr:value = '198.51.100.1']", "C2"),
		relationship(3, "indicates", id("indicator", 2), id("malware", 1)),
		sdo("report", 4, `"name":"R","published":"2026-03-01T10:00:00Z","object_refs":["`+id("relationship", 3)+`","`+id("indicator", 2)+`"],"x_about":"`+id("malware", 1)+`"`),
		sdo("campaign", 5, `"name":"Storm"`),
	)
	out := newGate(t).Apply(parse(t, in))
	if len(out.Objects()) != 5 {
		t.Fatalf("%d objects, want 5", len(out.Objects()))
	}
	malware, indicator, rel, report, campaign := out.Objects()[0], out.Objects()[1], out.Objects()[2], out.Objects()[3], out.Objects()[4]
	for _, o := range []Object{indicator, campaign} {
		if o.Original() != "" || !bytes.Contains(in, o.Raw()) {
			t.Errorf("%s was changed without need", o.ID())
		}
	}
	for _, o := range []Object{malware, rel, report} {
		if o.Original() == "" || o.Original() == o.ID() || o.Value().Get("created_by_ref").Text() != "identity--6d3cbb4e-2f2a-4a8e-9df0-0f0d3d6a1c11" {
			t.Errorf("%s is no new object: %s", o.Original(), o.Raw())
		}
	}
	if got := rel.Value().Get("target_ref").Text(); got != malware.ID() {
		t.Errorf("target_ref = %s, want %s", got, malware.ID())
	}
	if got := report.Value().Get("object_refs").Text() + report.Value().Get("x_about").Text(); got != malware.ID() {
		t.Errorf("x_about = %s, want %s", got, malware.ID())
	}
	if !bytes.Contains(report.Raw(), []byte(`["`+rel.ID()+`","`+indicator.ID()+`"]`)) {
		t.Errorf("object_refs do not follow: %s", report.Raw())
	}
	if !bytes.Contains(malware.Raw(), []byte(`"kept  as-is \u00e9"`)) {
		t.Errorf("an untouched property lost its bytes: %s", malware.Raw())
	}
	if again := newGate(t).Apply(parse(t, in)); again.Objects()[0].ID() != malware.ID() {
		t.Errorf("the id of the copy is %s at first and %s later", malware.ID(), again.Objects()[0].ID())
	}
	other, err := New(Options{Secret: []byte("another secret, also long enough")})
	if err != nil {
		t.Fatal(err)
	}
	o := other.Apply(parse(t, in)).Objects()[0]
	if o.ID() == malware.ID() {
		t.Errorf("two secrets give one id, %s", o.ID())
	}
	if got := o.Value().Get("created_by_ref").Text(); got != "identity--00000009-0000-4000-8000-000000000000" {
		t.Errorf("created_by_ref = %s without a creator, want the submitted one", got)
	}
}

func TestWhatCannotBeWithoutADroppedObjectIsDropped(t *testing.T) {
	in := parse(t, bundle(
		sco("email-addr", 1, `"value":"jane@corp.example"`),
		sco("ipv4-addr", 2, `"value":"198.51.100.1"`),
		relationship(3, "related-to", id("email-addr", 1), id("ipv4-addr", 2)),
		sdo("report", 4, `"name":"R","published":"2026-03-01T10:00:00Z","object_refs":["`+id("relationship", 3)+`","`+id("ipv4-addr", 2)+`"]`),
		sdo("note", 5, `"content":"c","object_refs":["`+id("relationship", 3)+`"]`),
	))
	out := newGate(t).Apply(in)
	var left []string
	for _, o := range out.Objects() {
		left = append(left, o.Type())
	}
	if diff := cmp.Diff([]string{"ipv4-addr", "report"}, left); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	checkProperties(t, in, out)
}

func TestSelectorsFollowRemovals(t *testing.T) {
	in := parse(t, bundle(
		sco("email-addr", 1, `"value":"jane@corp.example"`), sco("email-addr", 2, `"value":"evil@mail.example"`), sco("email-addr", 3, `"value":"bob@corp.example"`),
		sco("email-message", 4, `"is_multipart":false,"subject":"s","to_refs":["`+id("email-addr", 1)+`","`+id("email-addr", 2)+`","`+id("email-addr", 3)+`"],"granular_markings":[{"marking_ref":"marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421","selectors":["to_refs.[1]","subject"]},{"marking_ref":"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1","selectors":["to_refs.[2]"]}]`),
		indicator(5, "[email-addr:value = 'evil@mail.example']", "-"),
	))
	if len(in.Rejected()) > 0 {
		t.Fatalf("not valid: %v", in.Rejected())
	}
	out := newGate(t).Apply(in)
	message := out.Objects()[1]
	want := `[{"marking_ref":"marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421","selectors":["to_refs.[0]","subject"]}]`
	if got := string(message.Value().Get("granular_markings").Raw()); got != want {
		t.Errorf("granular_markings = %s, want %s", got, want)
	}
	checkProperties(t, in, out)
}

func TestMarkingsAndExtensionsNeverChange(t *testing.T) {
	in := parse(t, bundle(
		`{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--00000001-0000-4000-8000-000000000000","created":"2026-03-01T10:00:00.000Z","definition_type":"statement","definition":{"statement":"Ask jane@corp.example"}}`,
		note(2, "bob@corp.example"),
	))
	out := newGate(t).Apply(in)
	if o := out.Objects()[0]; o.Original() != "" || !strings.Contains(string(o.Raw()), "jane@corp.example") {
		t.Errorf("a marking was changed: %s", o.Raw())
	}
	checkProperties(t, in, out)
}

func TestAllVersionsOfAnObjectKeepOneID(t *testing.T) {
	first := note(1, "by victim Jane Roe")
	second := strings.Replace(note(1, "resolved"), `"modified":"2026-03-01T10`, `"modified":"2026-03-02T10`, 1)
	out := newGate(t).Apply(parse(t, bundle(first, second)))
	if a, b := out.Objects()[0].ID(), out.Objects()[1].ID(); a != b || a == id("note", 1) {
		t.Errorf("the versions are %s and %s, want one new id", a, b)
	}
}

func TestTheSameValueHasTheSamePlaceholder(t *testing.T) {
	out := newGate(t).Apply(parse(t, bundle(note(1, "jane@corp.example, bob@corp.example, Jane@Corp.example"), note(2, "bob@corp.example and [email-7]"))))
	var got []string
	for _, o := range out.Objects() {
		got = append(got, o.Value().Get("content").Text())
	}
	want := []string{"[email-8], [email-9], [email-8]", "[email-9] and [email-7]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("contents (-want +got):\n%s", diff)
	}
}

func TestFindingsSayWhereAndNeverWhat(t *testing.T) {
	out := newGate(t).Apply(parse(t, bundle(sdo("malware", 1, `"name":"Bot","is_family":false,"description":"jane@corp.example and bob@corp.example","x_a":{"b/c":["078-05-1120"]}`))))
	var got []string
	for _, f := range out.Findings() {
		got = append(got, fmt.Sprintf("%s%s %s %s %s %d", f.Object, f.At, f.Class, f.Rule, f.Action, f.Count))
		if f.Why == "" || strings.Contains(f.String(), "jane") || strings.Contains(f.String(), "1120") {
			t.Errorf("a finding without a reason or with the value: %v", f)
		}
	}
	want := []string{
		"malware--00000001-0000-4000-8000-000000000000/description email email masked 2",
		"malware--00000001-0000-4000-8000-000000000000/x_a/b~1c/0 ssn ssn masked 1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(out.Rules(), "sha256:") || len(out.Rules()) != len("sha256:")+64 {
		t.Errorf("Rules() = %q", out.Rules())
	}
}

func TestGateIsSafeForConcurrentUse(t *testing.T) {
	g, in := newGate(t), parse(t, bundle(note(1, "jane@corp.example"), note(2, "victim Jane Roe")))
	want := string(raw(g.Apply(in)))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got := string(raw(g.Apply(in))); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	wg.Wait()
}

func TestNewRefusesWhatItCannotUse(t *testing.T) {
	secret := []byte("0123456789abcdef")
	tests := map[string]struct {
		options Options
		want    string
	}{
		"short secret":    {Options{Secret: secret[:15]}, "16 bytes"},
		"no identity":     {Options{Secret: secret, Creator: "malware--6d3cbb4e-2f2a-4a8e-9df0-0f0d3d6a1c11"}, "identity"},
		"unknown key":     {Options{Secret: secret, Rules: []byte("format: 1\nfoo: 2\n")}, "line 2"},
		"unknown format":  {Options{Secret: secret, Rules: []byte("format: 9\n")}, "line 1"},
		"unknown kind":    {Options{Secret: secret, Rules: []byte("format: 1\ndetectors:\n  - {kind: smell, action: masked, why: w}\n")}, "line 3"},
		"unknown action":  {Options{Secret: secret, Rules: []byte("format: 1\ndetectors:\n  - {kind: email, action: burned, why: w}\n")}, "line 3"},
		"unknown class":   {Options{Secret: secret, Rules: []byte("format: 1\ndetectors: [{kind: email, action: masked, why: w}]\nclasses: {text: [email]}\nfields:\n  - {class: c, why: w, on: ['a:b']}\n")}, "line 5"},
		"bad path":        {Options{Secret: secret, Rules: []byte("format: 1\ndetectors: [{kind: email, action: masked, why: w}]\nclasses: {text: [email]}\nfields:\n  - {class: pass, why: w, on: ['ab']}\n")}, "line 5"},
		"path twice":      {Options{Secret: secret, Rules: []byte("format: 1\ndetectors: [{kind: email, action: masked, why: w}]\nclasses: {text: [email]}\nfields:\n  - {class: pass, why: w, on: ['a:b']}\n  - {class: text, why: w, on: ['a:b']}\n")}, "line 6"},
		"no reason":       {Options{Secret: secret, Rules: []byte("format: 1\ndetectors: [{kind: email, action: masked, why: w}]\nclasses: {text: [email]}\nfields:\n  - {class: pass, on: ['a:b']}\n")}, "line 5"},
		"second document": {Options{Secret: secret, Rules: []byte("format: 1\n---\nformat: 1\n")}, "second document"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := New(test.options)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("New() = %v, want an error with %q", err, test.want)
			}
		})
	}
}

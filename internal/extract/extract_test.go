package extract

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tocsin/stix"
)

func values(list []Indicator) string {
	var all []string
	for _, i := range list {
		all = append(all, string(i.Kind)+" "+i.Value)
	}
	return strings.Join(all, ", ")
}

func TestReadTellsIndicatorsFromContext(t *testing.T) {
	tests := map[string]struct{ name, text, proposed, context string }{
		"defanged beside a reference": {"r.txt", "Loader\nsee https://vendor.com/blog\nC2 hxxps://evil[.]com/a and 198.51.100[.]7", "url https://evil.com/a, ipv4 198.51.100.7", "url https://vendor.com/blog"},
		"nothing defanged":            {"r.md", "# Loader\nbeacons to evil.com at 198.51.100.7:443", "ipv4 198.51.100.7, domain evil.com", ""},
		"an address of somebody":      {"r.txt", "ask jane.doe@corp.com about evil.com", "domain evil.com", "email jane.doe@corp.com"},
		"private addresses":           {"r.txt", "10.0.0.5 spoke to 198.51.100.7", "ipv4 198.51.100.7", "ipv4 10.0.0.5"},
		"table":                       {"t.csv", "type,value\ndomain,evil.com\nmail,phish@evil.com\n", "email phish@evil.com, domain evil.com", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d, err := Read(test.name, []byte(test.text))
			if err != nil || values(d.Indicators) != test.proposed || values(d.Context) != test.context {
				t.Errorf("Read(%q) = %s; context %s; %v, want %s; %s", test.text, values(d.Indicators), values(d.Context), err, test.proposed, test.context)
			}
			for _, raw := range d.Objects(time.Unix(1_800_000_000, 0)) {
				v, err := stix.Parse(raw, stix.Limits{})
				if err != nil {
					t.Fatal(err)
				}
				if problems := stix.Validate(v, stix.Options{ErrorsOnly: true}); len(problems) > 0 {
					t.Errorf("%s: %v", raw, problems)
				}
			}
		})
	}
}

const phish = "From: \"Payroll\" <payroll@evil-mail.com>\r\nTo: Jane Doe <jane.doe@corp.com>\r\nReply-To: box@evil-box.com\r\n" +
	"Received: from mx.corp.com by inner.corp.com\r\nReceived: from host (host [198.51.100.7]) by mx.corp.com\r\nSubject: Invoice\r\n" +
	"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nDear Jane, open https://evil-link.com/x " +
	"or https://evil-link.com/u?m=jane.doe@corp.com\r\n--b\r\nContent-Type: application/zip\r\nContent-Disposition: attachment; filename=i.zip\r\n" +
	"Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n"

func TestMessagesKeepTheSenderAndLoseTheRecipient(t *testing.T) {
	d, err := Read("m.eml", []byte(phish))
	if err != nil {
		t.Fatal(err)
	}
	const want = "email payroll@evil-mail.com, email box@evil-box.com, ipv4 198.51.100.7, url https://evil-link.com/x, " +
		"sha256 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	if values(d.Indicators) != want {
		t.Errorf("proposed %s, want %s", values(d.Indicators), want)
	}
	for _, raw := range d.Objects(time.Unix(1_800_000_000, 0)) {
		if strings.Contains(strings.ToLower(string(raw)), "jane") {
			t.Errorf("the recipient is in %s", raw)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"a.txt": "nothing here", "b.eml": "no message", "c.txt": "\xff\xfe",
		"d.eml": "From: a@evil.com\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nbroken",
	} {
		_, err := Read(name, []byte(text))
		if err == nil {
			t.Errorf("Read(%s) took %q", name, text)
		}
		if name == "a.txt" && !errors.Is(err, ErrEmpty) {
			t.Errorf("Read(%s) = %v, want ErrEmpty", name, err)
		}
	}
}

// FuzzRead keeps its texts short: each is run through twenty regular
// expressions, and what is wrong is wrong in a kilobyte too. Every other input
// is a message, the others are the kinds of files there are.
func FuzzRead(f *testing.F) {
	const most = 1 << 10
	names := [...]string{"a.eml", "a.txt", "a.eml", "a.csv", "a.eml", "a.md"}
	for _, text := range []string{
		phish[:min(len(phish), most)],
		"hxxps[://]evil[.]com HKLM\\Software\\x C:\\a\\b 1:2:3::4",
		"type,value\ndomain,evil[.]com\nmail,phish@evil.com\n",
		"# L\nCVE-2024-3400 T1059.001 AS64496 00:11:22:33:44:55 ~/x/y.sh a.exe",
		"From: a@evil.com\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\naHR0cA==\n--b--\n",
		"From: =?utf-8?q?a?= <a@evil.com>\nContent-Transfer-Encoding: quoted-printable\n\nhttp=3A//evil.com",
		"[::ffff:1.2.3.4] 1.2.3.4/8 d41d8cd98f00b204e9800998ecf8427e",
	} {
		for kind := range names {
			f.Add(uint8(kind), text)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, text string) {
		if len(text) > most {
			return
		}
		name := names[int(kind)%len(names)]
		d, err := Read(name, []byte(text))
		if err != nil {
			return
		}
		for _, raw := range d.Objects(time.Unix(1_800_000_000, 0)) {
			if v, err := stix.Parse(raw, stix.Limits{}); err == nil && len(stix.Validate(v, stix.Options{ErrorsOnly: true})) > 0 {
				t.Errorf("Read(%q, %q) proposes %s", name, text, raw)
			} else if err != nil {
				t.Errorf("Read(%q, %q) proposes what does not parse: %v", name, text, err)
			}
		}
	})
}

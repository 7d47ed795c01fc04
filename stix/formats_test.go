package stix

import (
	"strings"
	"testing"
)

func TestFormatsAreThoseOfTheirStandards(t *testing.T) {
	label := strings.Repeat("a", 63)
	for name, c := range map[string]struct {
		fits     func([]byte) bool
		yes, not []string
	}{
		"domain (RFC 1034, RFC 5890)": {
			isDomain,
			[]string{
				"example.com", "WWW.Example.COM", "com", "example.com.", "_dmarc.example.com", "xn--bcher-kva.example", "bücher.example",
				"例え.テスト", "1.2.3.4.in-addr.arpa", "a-b.example", label + ".example", strings.Repeat(label[:60]+".", 4) + "example",
			},
			[]string{
				"", ".", "..", ".com", "a..b", "a b.example", "example.com\n", "example.com/path", "user@example.com", "example[.]com",
				"*.example.com", "http://example.com", label + "a.example", strings.Repeat(label+".", 4) + "example", "exa\u202emple.com",
				"exa\u200bmple.com", "example.com;drop", "example.com\x00", "a\xff.example", "2001:db8::1",
			},
		},
		"mailbox (RFC 5322)": {
			isMailbox,
			[]string{
				"jane.smith@example.com", "a+b=c@example.com", `"a b@c"@example.com`, "a@[192.0.2.1]", "a@[IPv6:2001:db8::1]", "ж@пример.example",
			},
			[]string{
				"", "@", "a@", "@example.com", "a", "Jane <jane@example.com>", "<jane@example.com>", "a b@example.com", "a@b@example.com",
				"a@exa mple.com", "a@[nope]", "a\n@example.com", "\"a\n\"@example.com", "a@example.com>", "mailto:a@example.com",
			},
		},
		"URL (RFC 3986)": {
			isURL,
			[]string{"https://www.example.com/a?b#c", "http://198.51.100.7:8080/x.php", "ftp://h", "urn:isbn:0451450523", "javascript:alert(1)", "http://h/{a}|é"},
			[]string{"", "foo", "www.example.com", ":", "http:", "://h", "1http://h", "ht tp://h", "http://h/a b", "http://h/\n", "http://h/\x7f", "ht_tp://h"},
		},
		"escaped URL (RFC 3986 §2)": {
			isEscaped,
			[]string{"https://www.example.com/a?b=%20#c", "http://[2001:db8::1]/"},
			[]string{"http://h/{a}", "http://h/é", "http://h/%", "http://h/%2", "http://h/%zz", `http://h/"`, `http://h\a`},
		},
		"MAC (§6.10.1)": {
			isMAC,
			[]string{"d2:fb:49:24:37:18", "00:00:00:00:00:00"},
			[]string{"", "D2:FB:49:24:37:18", "d2-fb-49-24-37-18", "d2:fb:49:24:37", "d2:fb:49:24:37:18:00", "d2fb49243718", "2:fb:49:24:37:18:0"},
		},
		"CPE 2.3 (NISTIR 7695)": {
			isCPE,
			[]string{"cpe:2.3:a:microsoft:word:2000:*:*:*:*:*:*:*", `cpe:2.3:a:foo\:bar:x\\y:-:*:*:*:*:*:*:*`, "cpe:2.3:*:*:*:*:*:*:*:*:*:*:*"},
			[]string{
				"", "invalid", "cpe:/a:microsoft:word:2000", "cpe:2.3:a:microsoft:word", "cpe:2.3:x:microsoft:word:2000:*:*:*:*:*:*:*",
				"cpe:2.3:a:microsoft:word:2000:*:*:*:*:*:*:*:*", "cpe:2.3:a::word:2000:*:*:*:*:*:*:*", "cpe:2.3:a:m s:word:2000:*:*:*:*:*:*:*",
				"cpe:2.3:ao:microsoft:word:2000:*:*:*:*:*:*:*", "cpe:2.3:a:b:c:d:e:f:g:h:i:j:", `cpe:2.3:a:b:c:d:e:f:g:h:i:j\:k`,
			},
		},
		"language (RFC 5646)": {
			isLanguage,
			[]string{"en", "EN", "de-CH-1996", "zh-Hant", "sr-Latn-RS", "x-private", "i-klingon", "mul", "bbb"},
			[]string{"", "foo", "en_US", "español", "e", "en-", "-en", strings.Repeat("en-", 50) + "en", "en US"},
		},
		"character set (IANA)": {
			isCharset,
			[]string{"UTF-8", "windows-1252", "ISO-8859-1", "US-ASCII", "Shift_JIS", "KOI8-R"},
			[]string{"", "utf8", "latin1", "bla.bla.bla", "UTF-8\n", "U"},
		},
		"media type (IANA)": {
			isMediaType,
			[]string{"application/zip", "text/plain; charset=UTF-8", "image/svg+xml"},
			[]string{"", "bla/blabla", "zip", "application/", "/zip"},
		},
		"registry key (§6.17.1)": {
			isRegistryKey,
			[]string{`HKEY_LOCAL_MACHINE\Software`, `hkey_local_machine\system`, "HKEY_USERS"},
			[]string{`HKLM\Software`, `hkcu\Software`, "HKU", `HKCR\.exe`, `HKCC\a`},
		},
		"base64 (RFC 4648 §4)": {
			isBase64,
			[]string{"", "aaaa", "aaa=", "aa==", "ab+/ABCD"},
			[]string{"a", "aa", "aaa", "aaaaa", "a===", "aa=a", "====", "aa\n=", "ab-_", "aaaa\naaaa"},
		},
		"hexadecimal (§2.8)": {isHex, []string{"", "00", "deadbeef"}, []string{"0", "DEADBEEF", "zz", "0x00"}},
		"ssdeep (§10.7)": {
			isSSDEEP,
			[]string{"3:AXGBicFlgVNhBGcL6wCrFQEv:AXGHsNhxLsr2C", "96:s4Ud1Lj96tHHlZDrwciQmA+4uy1I0G4HYuL8N3TzS8QsO/wqWXLcMSx:sF1LjEtHHlZDrJzrhuyZvHYm8tKp/RWO"},
			[]string{"", "3:abc", "3:a:b:c", "3:a b:c", "d41d8cd98f00b204e9800998ecf8427e"},
		},
		"TLSH (§10.7)": {
			isTLSH,
			[]string{"6FF02BEF718027B0160B4391212923ED7F1A463D563B1549B86CF62973B197AD2731F8", "T16FF02BEF718027B0160B4391212923ED7F1A463D563B1549B86CF62973B197AD2731F8"},
			[]string{"", "T1", "6FF0", "X16FF02BEF718027B0160B4391212923ED7F1A463D563B1549B86CF62973B197AD2731F8"},
		},
		"CVE (§4.19.1)":  {isCVE, []string{"CVE-2026-1234", "CVE-2026-1234567"}, []string{"", "CVE-2026-123", "cve-2026-1234", "CVE-20261234", "CVE-2026-", "CVE-26-1234", "2026-1234", "CVE-2026-12a4"}},
		"CAPEC (§4.1.1)": {isCAPEC, []string{"CAPEC-1", "CAPEC-163"}, []string{"", "CAPEC-", "CAPEC-abc", "capec-1", "163"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range c.yes {
				if !c.fits([]byte(s)) {
					t.Errorf("fits(%q) = false, want true", s)
				}
			}
			for _, s := range c.not {
				if c.fits([]byte(s)) {
					t.Errorf("fits(%q) = true, want false", s)
				}
			}
		})
	}
}

func TestAddressesAreUnambiguous(t *testing.T) {
	for value, want := range map[string]string{
		"198.51.100.3": "ipv4-addr", "0.0.0.0": "ipv4-addr", "10.2.4.5/24": "ipv4-addr", "0.0.0.0/0": "ipv4-addr",
		"2001:db8::1": "ipv6-addr", "::/0": "ipv6-addr", "::ffff:198.51.100.3": "ipv6-addr", "2001:0DB8:0000::/64": "ipv6-addr",
		"": "", "foo": "", "999.999.999.999": "", "198.51.100": "", "198.51.100.3/": "", "198.51.100.3/33": "", "198.51.100.3/a": "",
		"198.51.100.3/01": "", "010.8.8.8": "", "0x7f.1": "", "127.1": "", "198.51.100.3 ": "", "fe80::1%eth0": "", "fe80::1%eth0/64": "",
		"fe80::/03": "", "fe80::/129": "", "::1::": "", "198.51.100.3:80": "", "[::1]": "",
	} {
		for objectType, clause := range map[string]string{"ipv4-addr": "§6.8.1", "ipv6-addr": "§6.9.1"} {
			text := `{"type":"` + objectType + `","id":"` + objectType + `--28bb3599-77cd-4a82-a950-b5bc3caf07c4","value":"` + value + `"}`
			v, err := Parse([]byte(text), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got := Validate(v, Options{ErrorsOnly: true})
			if fits := len(got) == 0; fits != (want == objectType) {
				t.Errorf("Validate(%s) = %v, want valid %v by %s", text, got, want == objectType, clause)
			}
		}
	}
}

func TestNothingIsDemandedOfDefangedData(t *testing.T) {
	for text, want := range map[string]int{
		`{"type":"url","id":"url--28bb3599-77cd-4a82-a950-b5bc3caf07c4","value":"hxxp[:]//example[.]com /","defanged":true}`:                                                                                                                                                              0,
		`{"type":"url","id":"url--28bb3599-77cd-4a82-a950-b5bc3caf07c4","value":"hxxp[:]//example[.]com /","defanged":false}`:                                                                                                                                                             1,
		`{"type":"ipv4-addr","id":"ipv4-addr--28bb3599-77cd-4a82-a950-b5bc3caf07c4","value":"198[.]51[.]100[.]3","defanged":true}`:                                                                                                                                                        0,
		`{"type":"ipv4-addr","id":"ipv4-addr--28bb3599-77cd-4a82-a950-b5bc3caf07c4","value":3,"defanged":true}`:                                                                                                                                                                           1,
		`{"type":"indicator","id":"indicator--28bb3599-77cd-4a82-a950-b5bc3caf07c4","spec_version":"2.1","lang":"??","defanged":true,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","pattern":"x","pattern_type":"yara","valid_from":"2026-01-01T00:00:00Z"}`: 2,
	} {
		v, err := Parse([]byte(text), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got := Validate(v, Options{ErrorsOnly: true}); len(got) != want {
			t.Errorf("Validate(%s) = %v, want %d errors", text, got, want)
		}
	}
}

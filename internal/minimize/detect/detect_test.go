package detect

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// show writes what was found as kind:text.
func show(text string, spans []Span) []string {
	var out []string
	for _, sp := range spans {
		s := sp.Kind.String() + ":" + text[sp.Start:sp.End]
		if sp.Attacker {
			s += " (attacker's)"
		}
		out = append(out, s)
	}
	return out
}

func TestFindFindsWhatIsPersonal(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string
	}{
		"row of a dump":            {"Jane Roe, SSN 078-05-1120, DOB 1968-05-16, card 4111111111111111;", []string{"person-name:Jane Roe", "ssn:078-05-1120", "birth-date:1968-05-16", "card:4111111111111111"}},
		"social security number":   {"SSN: 078051120", []string{"ssn:078051120"}},
		"spaced with a word":       {"SSN 078 05 1120", []string{"ssn:078 05 1120"}},
		"taxpayer number":          {"ITIN 912-70-1234", []string{"ssn:912-70-1234"}},
		"American Express":         {"3782-822463-10005", []string{"card:3782-822463-10005"}},
		"nineteen digits":          {"6222 0000 0000 0000 006?", nil},
		"other scheme with a word": {"card 3516 7629 8039 2126", []string{"card:3516 7629 8039 2126"}},
		"IBAN":                     {"IBAN NL61ABNA9053473898.", []string{"iban:NL61ABNA9053473898"}},
		"IBAN in groups":           {"to DE89 3704 0044 0532 0130 00 AND", []string{"iban:DE89 3704 0044 0532 0130 00"}},
		"name before an address":   {"Olga Thompson (olga@corp.example, tel +1 293 555 0119)", []string{"person-name:Olga Thompson", "email:olga@corp.example", "phone:+1 293 555 0119"}},
		"particles and marks":      {"Dear Jennifer van der Berg, employee Nguyễn O'Brien and victim: Jean-Luc Müller", []string{"person-name:Jennifer van der Berg", "person-name:Nguyễn O'Brien", "person-name:Jean-Luc Müller"}},
		"title":                    {"asked Mr. Roe and Dr. Jane Q. Roe", []string{"person-name:Roe", "person-name:Jane Q. Roe"}},
		"header":                   {"To: Jane Roe <jane@corp.example>\nCc: x", []string{"person-name:Jane Roe", "email:jane@corp.example"}},
		"street address":           {"contact Jane Roe, 4598 Oak St, Springfield, IL 90346, wired", []string{"person-name:Jane Roe", "address:4598 Oak St, Springfield, IL 90346"}},
		"defanged address":         {"jane[@]corp[.]example, jane[at]corp(dot)example, jane at corp dot example", []string{"email:jane[@]corp[.]example", "email:jane[at]corp(dot)example", "email:jane at corp dot example"}},
		"address in a query":       {"/p?u=jane@corp.example&x=1 /p?u%3Djane%40corp.example", []string{"email:jane@corp.example", "email:jane%40corp.example"}},
		"Windows path":             {`C:\Users\jroe\x C:\\Users\\Jane Roe\\y \Documents and Settings\jroe\z`, []string{"user-name:jroe", "user-name:Jane Roe", "user-name:jroe"}},
		"Unix path":                {"/home/jroe/.x file:///Users/jroe", []string{"user-name:jroe", "user-name:jroe"}},
		"authentication log":       {"Failed password for invalid user jroe from 192.0.2.1 port 5", []string{"user-name:jroe"}},
		"parameters":               {"user=jroe77&pass=P@ss855#&id=1", []string{"user-name:jroe77", "secret:P@ss855#"}},
		"JSON":                     {`{"username":"jroe","password":"x y z"}`, []string{"user-name:jroe", "secret:x y z"}},
		"prose":                    {"The password: Summer2024 was used by user jroe42.", []string{"secret:Summer2024", "user-name:jroe42"}},
		"headers of requests":      {"Authorization: Bearer abcdef0123456789abcdef\nCookie: SID=0123456789ab; b=c\n", []string{"secret:abcdef0123456789abcdef", "secret:SID=0123456789ab; b=c"}},
		"security identifier":      {`HKU\S-1-5-21-1004336348-1177238915-682003330-1001\Run`, []string{"sid:S-1-5-21-1004336348-1177238915-682003330-1001"}},
		"user information":         {"ftp://jane:secret1@files.example/x", []string{"secret:jane:secret1"}},
		"attacker's telephone":     {"victims call the vishing line +1 888 555 0123", []string{"phone:+1 888 555 0123 (attacker's)"}},
		"exfiltration":             {"the data is exfiltrated to box@mail.example", []string{"email:box@mail.example (attacker's)"}},
		"header of a sender":       {"From: evil@mail.example\nTo: jane@corp.example", []string{"email:evil@mail.example (attacker's)", "email:jane@corp.example"}},
		"zero width":               {"0\u200b78-05-11\u200d20", []string{"ssn:0\u200b78-05-11\u200d20"}},
		"names in a sentence":      {"We spoke to Tomáš Dvořák and Priya R. Natarajan, then Ravil G Yefimov called.", []string{"person-name:Tomáš Dvořák", "person-name:Priya R. Natarajan", "person-name:Ravil G Yefimov"}},
		"a given name alone":       {"The mail that Svetlana opened was old.", []string{"person-name:Svetlana"}},
		"names without capitals":   {"follow up with patricia olsen in a week", []string{"person-name:patricia olsen"}},
		"name after a label":       {"Name: Anneliese Krüger\nmy name is Tobias", []string{"person-name:Anneliese Krüger", "person-name:Tobias"}},
		"telephones of countries":  {"call me on 01.84.17.61.18, 0699 868 88 55 or call (64) 3591-3246; 781 1704 office", []string{"phone:01.84.17.61.18", "phone:0699 868 88 55", "phone:(64) 3591-3246", "phone:781 1704"}},
		"streets of countries":     {"lives at 17 rue de la Paix or 90 Whitchurch Road or 3369 Hauptstraße", []string{"address:17 rue de la Paix", "address:90 Whitchurch Road", "address:3369 Hauptstraße"}},
		"identity documents":       {"passport no. X1234567, driver's license number is F1628-2354, NINO AB 12 34 56 C; DNI: 12345678Z", []string{"national-id:X1234567", "national-id:F1628-2354", "national-id:AB 12 34 56 C", "national-id:12345678Z"}},
		"identity by checksum":     {"X9613851N and S2740116C and RSSMRA85T10A562S and 3123 4567 8909", []string{"national-id:X9613851N", "national-id:S2740116C", "national-id:RSSMRA85T10A562S", "national-id:3123 4567 8909"}},
		"patients":                 {"MRN 00482913 and 1EG4-TE5-MK73", []string{"medical-id:00482913", "medical-id:1EG4-TE5-MK73"}},
		"bank account":             {"routing number 021000021, account number: 1234 5678 90", []string{"bank-account:021000021", "bank-account:1234 5678 90"}},
		"vehicle":                  {"license plate BD62 XYZ", []string{"vehicle:BD62 XYZ"}},
		"position":                 {"seen at 40.712776, -74.005974.", []string{"coordinates:40.712776, -74.005974"}},
		"passwords of commands":    {`curl -u bob.jones:Hunter2! http://h/; mysql -uroot -pW1nter2024 x; net user jroe S3cret!99 /add; x --password "t0p secret"`, []string{"secret:bob.jones:Hunter2!", "secret:W1nter2024", "user-name:jroe", "secret:S3cret!99", "secret:t0p secret"}},
		"the armed forces":         {"mail to PSC 6293, Box 8158\nAPO AP 04336.", []string{"address:PSC 6293, Box 8158\nAPO AP 04336"}},
		"postal code":              {"My zip code is 62701-1234.", []string{"address:62701-1234"}},
		"town below the house":     {"12 Oak St\nSuite 712\nRiisa\nEstonia 62488", []string{"address:12 Oak St", "address:Suite 712\nRiisa\nEstonia 62488"}},
		"house with a letter":      {"lives at 221B Baker Street, London", []string{"address:221B Baker Street, London"}},
		"somebody's machine":       {"Kowalski's laptop was wiped", []string{"person-name:Kowalski"}},
		"other digits":             {"٠٧٨-٠٥-١١٢٠", []string{"ssn:٠٧٨-٠٥-١١٢٠"}},
	}
	d := New(words(t))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, show(test.text, d.Find(nil, test.text, All))); diff != "" {
				t.Errorf("Find(%q) (-want +got):\n%s", test.text, diff)
			}
		})
	}
}

func TestFindLeavesWhatIsNot(t *testing.T) {
	tests := map[string]string{
		"numbers of programs":     "PID 123456789, version 4.5.6.7, build 10.0.19045.3803, at 1709251200, GUID {6F9619FF-8B86-D011-B42D-00CF4FC964FF}",
		"hashes":                  "165940940a02a187e4463ff467090930038c5af8fc26107bf301e714f599a1da 4c:0b:1d:19:74:86:a7:66:b4:1a:bf:40",
		"addresses of networks":   "198.51.100.7:443, 2001:db8::1, 203.0.113.0/24",
		"cryptocurrency":          "bc1qxy2kgdygjrsqtzq2n0yrf2493p83kkfjhx0wlh",
		"wrong check digits":      "4111111111111112 and NL62ABNA9053473898",
		"no number was issued":    "000-12-3456 666-12-3456 123-00-4567 123-45-0000 912-70-1234",
		"paths of everybody":      `C:\Users\Public\x C:\Users\<user>\x C:\Users\%USERNAME%\x /home/$USER/x /home/root C:\Users\All Users\x`,
		"pages":                   "http://evil.example/home/login https://evil.example/Users/list",
		"words with at":           "looking at corp, pkg@1.2.3, @eaDir, logo@2x.png, root@localhost",
		"message id":              "Message-ID: <a1b2@mail.evil.example>",
		"role":                    "abuse@isp.example",
		"disguise of a host":      "http://login.bank.example@evil.example/x",
		"placeholders":            "password=<password> pass=%s token=$TOKEN user=admin PASSWORD=******** [email-1] [user-name-2]",
		"code":                    "password = getPassword() if password == '' { pwd: os.Getenv }",
		"letters to nobody":       "Dear Customer, Dear Sir or Madam, Hello World",
		"products":                "contact Microsoft Support, the victim Windows Server, Victim Machine, employee Active Directory account",
		"sentences with password": "Adversaries use password spraying; passwords: the list of Password Managers",
		"commands":                "powershell -enc SQBFAFgA; net user guest /active:yes",
		"dates that are no birth": "released 2024-03-01, born in the cloud",
		"authors of publications": "(Citation: Dr. Jane Roe December 2010)",
		"a mutex":                 "MsWinZonesCacheCounterMutexA Global\\AB12CD34EF",
	}
	d := New(words(t))
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			if got := show(text, d.Find(nil, text, All)); len(got) > 0 {
				t.Errorf("Find(%q) = %q, want nothing", text, got)
			}
		})
	}
}

// Each recognizer case is a text and how many values are in it; those with
// none are near misses, such as wrong check digits.
func TestChecksumsDecide(t *testing.T) {
	var c struct {
		Cases []struct {
			Entity   string `json:"entity"`
			Text     string `json:"text"`
			Expected int    `json:"expected_count"`
			Weak     bool   `json:"weak"`
		} `json:"cases"`
	}
	corpus(t, "pii/presidio_recognizer_cases.json", &c)
	kinds := map[string]Kind{"CREDIT_CARD": Card, "IBAN_CODE": IBAN, "EMAIL_ADDRESS": Email, "US_SSN": SSN}
	hits, wants, wrong := map[Kind]int{}, map[Kind]int{}, 0
	d := New(words(t))
	for _, one := range c.Cases {
		kind, ok := kinds[one.Entity]
		if !ok || one.Weak {
			continue
		}
		n := 0
		for _, sp := range d.Find(nil, one.Text, Of(kind)) {
			if sp.Kind == kind {
				n++
			}
		}
		wants[kind] += one.Expected
		hits[kind] += min(n, one.Expected)
		if n < one.Expected {
			t.Logf("%s: %d of %d in %q", kind, n, one.Expected, one.Text)
		}
		if n > one.Expected {
			wrong++
			t.Logf("%s: %d instead of %d in %q", kind, n, one.Expected, one.Text)
		}
	}
	t.Logf("found %v of %v, %d too many", hits, wants, wrong)
	// Cards of small schemes and social security numbers without hyphens count
	// only after a word for them.
	if wrong > 0 || hits[IBAN] < wants[IBAN] || hits[Email] < wants[Email] || hits[Card] < 7 {
		t.Errorf("found %v of %v, %d too many; want all IBANs and addresses, 7 cards, none too many", hits, wants, wrong)
	}
}

func TestSpansDoNotOverlapAndStayInTheText(t *testing.T) {
	d := New(words(t))
	for _, text := range []string{
		"victim Jane Roe jane@corp.example password=jane@corp.example C:\\Users\\jane@corp.example\\x",
		strings.Repeat("Dear Jane Roe, jane@corp.example ", 50), "\u200b\u200b", "", "a@b.example\u200b",
	} {
		end := 0
		for _, sp := range d.Find(nil, text, All) {
			if sp.Start < end || sp.End <= sp.Start || sp.End > len(text) {
				t.Errorf("Find(%q) has a span %d-%d after %d", text, sp.Start, sp.End, end)
			}
			end = sp.End
		}
	}
}

func BenchmarkFind(b *testing.B) {
	text := strings.Repeat("Once a user opens the document, a macro writes C:\\Users\\Public\\Libraries\\collab.bin and registers a scheduled task. "+
		"It sends the list of processes with HTTP POST to hxxps://198.51.100.7:8443/api/v2/upload every 300 seconds. ", 500)
	d := New(words(b))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		d.Find(nil, text, All)
	}
}

func TestFindReadsUTF16(t *testing.T) {
	wide := func(text string) string {
		var b strings.Builder
		for _, r := range text {
			b.WriteRune(r)
			b.WriteByte(0)
		}
		return b.String()
	}
	d := New(words(t))
	command := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(wide(text))) }
	for name, test := range map[string]struct{ text, want string }{
		"in a string":       {"value " + wide("jane.roe@corp.example") + " end", "email:" + wide("jane.roe@corp.example")},
		"a list of strings": {"jane.roe@corp.example\x00and some text\x00", "email:jane.roe@corp.example"},
		"a command":         {"powershell -enc " + command(`type C:\Users\jroe42\a.txt`), "user-name:" + command(`type C:\Users\jroe42\a.txt`)},
		"an address":        {"powershell -enc " + command(`send jane.roe@corp.example`), "email:" + command(`send jane.roe@corp.example`)},
		"a harmless one":    {"powershell -enc " + command(`IEX (New-Object Net.WebClient)`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(show(test.text, d.Find(nil, test.text, All)), " "); got != test.want {
				t.Errorf("Find(%q) = %q, want %q", test.text, got, test.want)
			}
		})
	}
}

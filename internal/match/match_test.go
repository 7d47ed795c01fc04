package match

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// value parses what a table writes as "kind text".
func value(t testing.TB, s string) Value {
	t.Helper()
	name, text, _ := strings.Cut(s, " ")
	for k := Address; k <= UserAgent; k++ {
		if k.String() == name {
			v, ok := Parse(k, text)
			if !ok {
				t.Fatalf("Parse(%s) failed", s)
			}
			return v
		}
	}
	t.Fatalf("no kind in %q", s)
	return Value{}
}

func TestValuesHaveOneSpelling(t *testing.T) {
	for in, want := range map[string]string{
		"address 192.0.2.1":                     "address 192.0.2.1",
		"address ::ffff:192.0.2.1":              "address 192.0.2.1",
		"address 2001:DB8:0:0::0001":            "address 2001:db8::1",
		"address 192.0.2.1/32":                  "address 192.0.2.1",
		"address 192.0.2.77/24":                 "network 192.0.2.0/24",
		"network 2001:db8::1/32":                "network 2001:db8::/32",
		"network ::ffff:192.0.2.1/120":          "network 192.0.2.0/24",
		"network 2001:db8::1/128":               "address 2001:db8::1",
		"domain Evil.Example.":                  "domain evil.example",
		"domain _dmarc.evil.example":            "domain _dmarc.evil.example",
		"domain bücher.example":                 "domain xn--bcher-kva.example",
		"domain BÜCHER.example":                 "domain xn--bcher-kva.example",
		"domain 0-0-0.info":                     "domain 0-0-0.info",
		"domain com":                            "domain com",
		"hash D41D8CD98F00B204E9800998ECF8427E": "hash d41d8cd98f00b204e9800998ecf8427e",
		"email Bob.Smith+x@Evil.Example":        "email bob.smith+x@evil.example",
		"url HTTP://Evil.Example":               "url http://evil.example/",
		"url http://evil.example:80/a#frag":     "url http://evil.example/a",
		"url https://evil.example:443":          "url https://evil.example/",
		"url https://evil.example:80/":          "url https://evil.example:80/",
		"url http://user:pw@evil.example/%2fx":  "url http://evil.example/%2Fx",
		"url http://evil.example?q=ü":           "url http://evil.example/?q=%C3%BC",
		"url http://bücher.example/":            "url http://xn--bcher-kva.example/",
		"url http://evil.example./a":            "url http://evil.example/a",
		"url http://[2001:DB8::1]:8080/":        "url http://[2001:db8::1]:8080/",
		"url http://192.0.2.1:34567/Mozi.m":     "url http://192.0.2.1:34567/Mozi.m",
		"url ftp://evil.example:21/A":           "url ftp://evil.example/A",
	} {
		got := value(t, in)
		if text := got.Kind().String() + " " + got.Text(); text != want {
			t.Errorf("Parse(%s) = %s, want %s", in, text, want)
		}
	}
}

func TestWhatIsNoValueIsRefused(t *testing.T) {
	for kind, texts := range map[Kind][]string{
		Address: {"", "192.0.2", "192.0.2.256", "010.8.8.8", "192.0.2.1 ", "fe80::1%eth0", "192.0.2.1/33", "192.0.2.0/024", "evil.example", "0x7f.1", "192.0.2.1\n192.0.2.2"},
		Domain: {
			"", ".", "a..b", ".a.b", "-a.example", "a-.example", "1.2.3.4", "evil.example/", "evil example", "evil.example\nx", "evil.example;", "*.evil.example",
			"e\u200dvil.\u202eexample", strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 127) + "example", `x"; drop`, "$INCLUDE", "{{.}}.example", "a\x00.example",
		},
		URL: {
			"", "evil.example", "//evil.example/", "http://", "http:///a", "javascript:alert(1)", "mailto:a@evil.example", "http://evil.example/a b", "http://evil.example/\n",
			`http://evil.example/"; sid:1;)`, "http://evil.example/<img>", "http://a..b/", "http://1.2.3/", "http://[::1/", "http://2001:db8::1/", "1ttp://evil.example/",
			"http://evil.example/" + strings.Repeat("a", 2000), "http://evil.example/`id`", "http://evil.example/\\", "http://[192.0.2.1]/",
		},
		Hash:  {"", "d41d8cd98f00b204e9800998ecf8427", "g41d8cd98f00b204e9800998ecf8427e", strings.Repeat("a", 33)},
		Email: {"", "@evil.example", "bob@", "bob", "bob smith@evil.example", `"bob"@evil.example`, "bob@192.0.2.1", "bob@evil.example\r\nBcc: x", strings.Repeat("a", 250) + "@evil.example"},
		0:     {"evil.example"},
	} {
		for _, text := range texts {
			if v, ok := Parse(kind, text); ok {
				t.Errorf("Parse(%s, %q) = %q, want it refused", kind, text, v.Text())
			}
		}
	}
}

func TestLinesAreSearchedForWholeValues(t *testing.T) {
	for name, test := range map[string]struct {
		known []string
		line  string
		want  []string // value@text found
	}{
		"address in Zeek JSON":             {[]string{"address 192.0.2.1"}, `{"id.orig_h":"192.0.2.1","id.orig_p":49727}`, []string{"192.0.2.1@192.0.2.1"}},
		"address with a port":              {[]string{"address 192.0.2.1"}, "SRC=192.0.2.1:80 x", []string{"192.0.2.1@192.0.2.1"}},
		"address at the end of a line":     {[]string{"address 192.0.2.1"}, "from 192.0.2.1", []string{"192.0.2.1@192.0.2.1"}},
		"address at the end of a sentence": {[]string{"address 192.0.2.1"}, "dropped 192.0.2.1.", []string{"192.0.2.1@192.0.2.1"}},
		"address mapped into IPv6":         {[]string{"address 192.0.2.1"}, "peer ::ffff:192.0.2.1", []string{"192.0.2.1@192.0.2.1"}},
		"twice in a line":                  {[]string{"address 192.0.2.1"}, "192.0.2.1 192.0.2.1", []string{"192.0.2.1@192.0.2.1", "192.0.2.1@192.0.2.1"}},
		"not in a longer address":          {[]string{"address 1.2.3.4"}, "11.2.3.4 1.2.3.45 1.2.3.4.5 01.2.3.4 a1.2.3.4 1.2.3.4a 1.2.3.4.example 5.1.2.3.4", nil},
		"not in a range":                   {[]string{"address 1.2.3.4"}, "1.2.3.4-5", nil},
		"address after an escape":          {[]string{"address 192.0.2.1"}, `ip%3A%20192.0.2.1&a "\n192.0.2.1" "\t192.0.2.1\t"`, []string{"192.0.2.1@192.0.2.1", "192.0.2.1@192.0.2.1", "192.0.2.1@192.0.2.1"}},
		"IPv6": {[]string{"address 2001:db8::1"}, "[2001:DB8::1]:443\\n2001:db8::1 2001:db8:0:0:0:0:0:1 addr:2001:db8::1, 2001:db8::1: refused", []string{
			"2001:db8::1@2001:DB8::1", "2001:db8::1@2001:db8::1", "2001:db8::1@2001:db8:0:0:0:0:0:1", "2001:db8::1@2001:db8::1", "2001:db8::1@2001:db8::1",
		}},
		"not in a longer IPv6":         {[]string{"address 2001:db8::1"}, "2001:db8::11 x2001:db8::1 2001:db8::1x from::1 12001:db8::1 2001:db8::1:2 12:34:56 aa:bb:cc:dd:ee:ff 1:2:3:4:5:6:7 ::", nil},
		"network":                      {[]string{"network 192.0.2.0/24", "network 2001:db8::/32"}, "192.0.2.200 192.0.3.1 2001:db8:1::2 2001:db9::1", []string{"192.0.2.0/24@192.0.2.200", "2001:db8::/32@2001:db8:1::2"}},
		"the most specific network":    {[]string{"network 192.0.2.0/24", "network 192.0.2.0/28", "address 192.0.2.1"}, "192.0.2.1 192.0.2.2 192.0.2.99", []string{"192.0.2.1@192.0.2.1", "192.0.2.0/28@192.0.2.2", "192.0.2.0/24@192.0.2.99"}},
		"domain":                       {[]string{"domain evil.example"}, `"query":"evil.example" EVIL.example. (evil.example)`, []string{"evil.example@evil.example", "evil.example@EVIL.example", "evil.example@evil.example"}},
		"what is below a domain":       {[]string{"domain evil.example"}, "a.b.evil.example", []string{"evil.example@evil.example"}},
		"the longest parent":           {[]string{"domain evil.example", "domain b.evil.example"}, "a.b.evil.example c.evil.example", []string{"b.evil.example@b.evil.example", "evil.example@evil.example"}},
		"not in another domain":        {[]string{"domain evil.example"}, "notevil.example evil.example.com evil-example evil.examples x-evil.example", nil},
		"domain in a URL":              {[]string{"domain evil.example"}, "http://evil.example:8080/x http:%2F%2Fevil.example%2F u=http%3A%2F%2Fa.evil.example", []string{"evil.example@evil.example", "evil.example@evil.example", "evil.example@evil.example"}},
		"domain of a mailbox":          {[]string{"domain evil.example"}, "<bob@evil.example>", []string{"evil.example@evil.example"}},
		"domain after an escape":       {[]string{"domain evil.example"}, `"\nevil.example" \x22evil.example\x22 "\u0022evil.example"`, []string{"evil.example@evil.example", "evil.example@evil.example", "evil.example@evil.example"}},
		"domain that begins like one":  {[]string{"domain nevil.example"}, `C:\nevil.example`, []string{"nevil.example@nevil.example"}},
		"domain of another script":     {[]string{"domain bücher.example"}, "www.bücher.example xn--bcher-kva.example", []string{"xn--bcher-kva.example@www.bücher.example", "xn--bcher-kva.example@xn--bcher-kva.example"}},
		"domain in typographic quotes": {[]string{"domain evil.example", "domain cher.example"}, "“evil.example” bücher.example \xe9evil.example", []string{"evil.example@evil.example", "evil.example@evil.example"}},
		"hash":                         {[]string{"hash d41d8cd98f00b204e9800998ecf8427e"}, "MD5=D41D8CD98F00B204E9800998ECF8427E,x d41d8cd98f00b204e9800998ecf8427e0 d41d8cd98f00b204e9800998ecf8427e.exe", []string{"d41d8cd98f00b204e9800998ecf8427e@D41D8CD98F00B204E9800998ECF8427E"}},
		"e-mail address": {[]string{"email bob@evil.example"}, "from=<Bob@evil.example> user=bob@evil.example 'bob@evil.example' mailto:bob@evil.example.", []string{
			"bob@evil.example@Bob@evil.example", "bob@evil.example@bob@evil.example", "bob@evil.example@bob@evil.example", "bob@evil.example@bob@evil.example",
		}},
		"e-mail address with marks":      {[]string{"email a=b/c+d@evil.example"}, "<a=b/c+d@evil.example>", []string{"a=b/c+d@evil.example@a=b/c+d@evil.example"}},
		"not in a longer e-mail address": {[]string{"email bob@evil.example"}, "rob.bob@evil.example bob@evil.example.com bobo@evil.example b+bob@evil.example bob@a.evil.example", nil},
		"URL": {[]string{"url http://evil.example/a?b=1"}, `"http://EVIL.example:80/a?b=1" (http://evil.example/a?b=1), http:\/\/evil.example\/a?b=1`, []string{
			"http://evil.example/a?b=1@http://EVIL.example:80/a?b=1", "http://evil.example/a?b=1@http://evil.example/a?b=1),", `http://evil.example/a?b=1@http:\/\/evil.example\/a?b=1`,
		}},
		"URL with more of a query": {[]string{"url http://evil.example/a"}, "http://evil.example/a?x=1 http://evil.example/a#f 'http://evil.example/a' http://evil.example/a/ http://evil.example/ab https://evil.example/a", []string{
			"http://evil.example/a@http://evil.example/a?x=1", "http://evil.example/a@http://evil.example/a#f", "http://evil.example/a@http://evil.example/a'",
		}},
		"URL with escapes of JSON": {[]string{"url http://evil.example/?a=1&b=2"}, `{"u":"http://evil.example/?a=1\u0026b=2"}`, []string{`http://evil.example/?a=1&b=2@http://evil.example/?a=1\u0026b=2`}},
		"host and path apart": {[]string{"url http://evil.example/gate.php", "url http://192.0.2.1:8080/x"}, `{"id.resp_h":"192.0.2.1","id.resp_p":8080,"host":"evil.example","uri":"/gate.php?id=7"}` + "\t/x\t", []string{
			"http://192.0.2.1:8080/x@/x", "http://evil.example/gate.php@/gate.php?id=7",
		}},
		"host and another path":     {[]string{"url http://evil.example/gate.php", "url http://192.0.2.1:8080/x"}, `{"id.resp_h":"192.0.2.1","id.resp_p":18080,"host":"evil.example","uri":"/gate.php5"} /x http://evil.example/ /a/gate.php`, nil},
		"the path of somebody else": {[]string{"url http://evil.example/login"}, `"GET /login HTTP/1.1" 200 "http://evil.example/phish"`, nil},
		"URL of an IPv6 host":       {[]string{"url http://[2001:db8::1]:8080/x"}, "GET http://[2001:DB8::1]:8080/x", []string{"http://[2001:db8::1]:8080/x@http://[2001:DB8::1]:8080/x"}},
		"URL and its host":          {[]string{"url http://evil.example/a", "domain evil.example"}, "http://evil.example/a", []string{"evil.example@evil.example", "http://evil.example/a@http://evil.example/a"}},
		"nothing":                   {[]string{"domain evil.example"}, "", nil},
		"colons only":               {[]string{"address 2001:db8::1", "url http://evil.example/a", "email bob@evil.example"}, ":::: :// @ a@ ://: :\\/\\/ http:// @@ 1::2::3", nil},
	} {
		s := NewSet()
		for _, k := range test.known {
			if !s.Add("indicator", value(t, k)) {
				t.Fatalf("%s: %s was not added", name, k)
			}
		}
		var got []string
		for _, h := range s.Append(nil, []byte(test.line)) {
			got = append(got, h.Value.Text()+"@"+test.line[h.Offset:h.End])
		}
		slices.Sort(got)
		want := slices.Sorted(slices.Values(test.want))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: hits in %q (-want +got):\n%s", name, test.line, diff)
		}
	}
}

func TestEveryIndicatorOfAValueIsHit(t *testing.T) {
	s := NewSet()
	v := value(t, "domain evil.example")
	for _, id := range []string{"a", "b", "c", "b"} {
		s.Add(id, v)
	}
	ids := func() (all []string) {
		for _, h := range s.Append(nil, []byte("evil.example")) {
			all = append(all, h.ID)
		}
		slices.Sort(all)
		return all
	}
	if got := ids(); !slices.Equal(got, []string{"a", "b", "c"}) || s.Len() != 1 {
		t.Errorf("hits of %v in %d values, want a, b and c in one", got, s.Len())
	}
	for i, gone := range []string{"a", "x", "c", "b"} {
		s.Remove(gone, v)
		if got, want := ids(), [][]string{{"b", "c"}, {"b", "c"}, {"b"}, nil}[i]; !slices.Equal(got, want) {
			t.Errorf("without %s the hits are of %v, want %v", gone, got, want)
		}
	}
	s.Remove("b", v)
	if s.Len() != 0 {
		t.Errorf("%d values are left, want none", s.Len())
	}
}

func TestATopLevelDomainIsNotLookedFor(t *testing.T) {
	s := NewSet()
	if s.Add("x", value(t, "domain com")) || s.Add("x", Value{}) || s.Len() != 0 {
		t.Error("a top-level domain was added, or nothing at all was")
	}
}

func TestValuesComeAndGo(t *testing.T) {
	s := NewSet()
	all := []string{
		"address 192.0.2.1", "address 2001:db8::1", "network 198.51.100.0/24", "network 2001:db8:1::/48", "domain evil.example",
		"url http://evil.example/a", "url http://evil.example/b", "url https://evil.example:8443/b", "url http://192.0.2.9/x",
		"hash d41d8cd98f00b204e9800998ecf8427e", "email bob@evil.example",
	}
	line := []byte("192.0.2.1 2001:db8::1 198.51.100.7 2001:db8:1::7 evil.example http://evil.example/a http://evil.example/b " +
		"https://evil.example:8443/b http://192.0.2.9/x d41d8cd98f00b204e9800998ecf8427e bob@evil.example")
	for range 3 {
		for i, text := range all {
			s.Add(text, value(t, text))
			found := map[string]bool{}
			for _, h := range s.Append(nil, line) {
				found[h.ID] = true
			}
			if len(found) != i+1 {
				t.Errorf("with %d values %d are found: %v", i+1, len(found), found)
			}
		}
		for n := range 20_000 { // the filter grows, and what has gone stays in it until it does
			v := value(t, "domain "+strconv.Itoa(n)+".test.example")
			s.Add("many", v)
			if n%2 == 0 {
				s.Remove("many", v)
			}
		}
		for i, text := range all {
			s.Remove(text, value(t, text))
			for _, h := range s.Append(nil, line) {
				if slices.Contains(all[:i+1], h.ID) {
					t.Errorf("%s is found after it was removed", h.ID)
				}
			}
		}
		if live := s.Len(); s.filter.room > 8*live {
			t.Errorf("the filter has room for %d hashes of %d values", s.filter.room, live)
		}
		if len(s.hosts) != 0 {
			t.Errorf("hosts of URLs are left: %v", s.hosts)
		}
	}
}

func TestACleanLineAllocatesNothing(t *testing.T) {
	s := thousands(t, 1000)
	lines := sampleLines(1000)
	var r reader // of its own: under the race detector a sync.Pool loses some on purpose
	if n := testing.AllocsPerRun(10, func() {
		for _, line := range lines {
			if hits := r.search(s, nil, line, false); len(hits) > 0 {
				t.Fatalf("%s has hits %v", line, hits)
			}
		}
	}); n != 0 {
		t.Errorf("1000 clean lines take %v allocations, want none", n)
	}
}

// thousands returns a set of n made-up values of all kinds, in the proportions
// of real feeds, of which sampleLines has none.
func thousands(t testing.TB, n int) *Set {
	s := NewSet()
	for i := range n {
		id := "indicator--" + strconv.Itoa(i)
		switch i % 10 {
		case 0, 1, 2:
			s.Add(id, value(t, fmt.Sprintf("address 203.%d.%d.%d", i>>16&255, i>>8&255, i&255)))
		case 3:
			s.Add(id, value(t, fmt.Sprintf("url http://bad-%d.example/p/%x.php", i, i*7919)))
		case 4:
			s.Add(id, value(t, fmt.Sprintf("hash %032x", i*7919)))
		default:
			s.Add(id, value(t, fmt.Sprintf("domain w%x.bad-%d.example", i*7919, i)))
		}
		if i%1000 == 9 {
			s.Add(id, value(t, fmt.Sprintf("network 198.%d.%d.0/24", i>>8&63, i&255)))
			s.Add(id, value(t, fmt.Sprintf("email user%d@bad-%d.example", i, i)))
			s.Add(id, value(t, fmt.Sprintf("address 2001:db8::%x", i&0xffff)))
		}
	}
	return s
}

// sampleLines returns n lines like those of Zeek and of a web server.
func sampleLines(n int) (lines [][]byte) {
	for i := range n {
		switch i % 4 {
		case 0:
			lines = append(lines, fmt.Appendf(nil, `{"ts":1600963320.%06d,"uid":"C%xQ","id.orig_h":"10.9.%d.%d","id.orig_p":%d,"id.resp_h":"192.0.2.%d","id.resp_p":443,"proto":"tcp","duration":0.%06d,"orig_bytes":%d,"conn_state":"SF"}`,
				i*7919%1000000, i*104729, i>>8&255, i&255, 1024+i%60000, i&255, i*31%1000000, i))
		case 1:
			lines = append(lines, fmt.Appendf(nil, `{"ts":1600963320.%06d,"uid":"C%xQ","id.orig_h":"10.9.%d.%d","id.resp_h":"10.9.0.1","query":"www%d.shop-%d.test","qtype_name":"A","rcode_name":"NOERROR","answers":["198.18.%d.%d"],"rejected":false}`,
				i*7919%1000000, i*104729, i>>8&255, i&255, i%100, i, i>>8&255, i&255))
		case 2:
			lines = append(lines, fmt.Appendf(nil, `192.0.2.%d - - [17/May/2015:10:05:%02d +0000] "GET /images/%d.png?x=%x HTTP/1.1" 200 %d "http://shop-%d.test/a/b.html" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"`,
				i&255, i%60, i, i*7919, i*31, i%500))
		case 3:
			lines = append(lines, fmt.Appendf(nil, `Nov 23 10:%02d:%02d host%d sshd[%d]: Failed password for invalid user admin from 192.0.2.%d port %d ssh2`, i/60%60, i%60, i%7, i, i&255, 1024+i%60000))
		}
	}
	return lines
}

func BenchmarkCleanLines(b *testing.B) {
	lines := sampleLines(20_000)
	size := 0
	for _, l := range lines {
		size += len(l) + 1
	}
	for _, n := range []int{1000, 100_000, 1_000_000} {
		s := thousands(b, n)
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			var hits []Hit
			for b.Loop() {
				for _, l := range lines {
					hits = s.Append(hits[:0], l)
				}
			}
		})
	}
}

func FuzzIPv6IsReadAsNetipDoes(f *testing.F) {
	for _, s := range []string{"::", "::1", "2001:db8::1", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.1", "1.2.3.4", "10.20.99.255", "192.168.100.256", "1.02.3.4", "1..3.4", "1.2.3.", ".1.2.3", "1.2.3.1000", "1.2.3.0", "1.2.3./", "1.2.3.:", "00.1.1.1", "0.700.0.0", "a.1.1.1", "1::2::3", "1:2:3:4:5:6:7::", "::1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "01:2", ":1", "1:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "%") {
			return
		}
		want, err := netip.ParseAddr(text)
		isIPv6 := err == nil && want.Is6()
		got, ok := parseIPv6([]byte(text))
		if ok != isIPv6 || ok && got != want.As16() {
			t.Errorf("parseIPv6(%q) = %v, %v, want %v, %v", text, got, ok, want, isIPv6)
		}
		if dots := dotsOf([]byte(text)); dots != 0 {
			a, ok := parseIPv4([]byte(text), dots)
			b, ok2 := parseIPv4Of([]byte("1."+text+" 192"), 2, 2+len(text), dots)
			if ok != ok2 || ok && a != b {
				t.Errorf("parseIPv4Of(%q) = %v, %v, want %v, %v", text, b, ok2, a, ok)
			}
		}
		if a, ok := parseIPv4([]byte(text), dotsOf([]byte(text))); ok != (err == nil && want.Is4()) || ok && netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}) != want {
			t.Errorf("parseIPv4(%q) = %v, %v, want %v, %v", text, a, ok, want, err)
		}
	})
}

func FuzzParseIsStable(f *testing.F) {
	f.Add(byte(URL), "http://user@Evil.Example:80/%2f?q#f")
	f.Add(byte(Domain), "Bücher.example.")
	f.Add(byte(Email), "a+b@evil.example")
	f.Add(byte(Network), "::ffff:192.0.2.1/120")
	f.Fuzz(func(t *testing.T, kind byte, text string) {
		v, ok := Parse(Kind(kind), text)
		if !ok {
			return
		}
		if again, ok := Parse(v.Kind(), v.Text()); !ok || again != v {
			t.Errorf("Parse(%q) = %q, but that is read as %q, %v", text, v.Text(), again.Text(), ok)
		}
		for _, c := range []byte(v.Text()) {
			if !isText(v.Kind()) && (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '`' || c == '<' || c == '>') {
				t.Errorf("Parse(%q) = %q, which has the byte %q", text, v.Text(), c)
			}
		}
		s := NewSet()
		if !s.Add("x", v) {
			return
		}
		line := v.Text()
		if v.Kind() == Network {
			line = netip.MustParsePrefix(line).Addr().String()
		}
		for _, around := range []string{"%s", `"%s"`, "a %s b", "\t%s\t"} {
			if len(s.Append(nil, fmt.Appendf(nil, around, line))) == 0 {
				t.Errorf("%q is not found in %q", v.Text(), fmt.Sprintf(around, line))
			}
		}
		s.Remove("x", v)
		if len(s.Append(nil, []byte(line))) != 0 || s.Len() != 0 || len(s.hosts) != 0 {
			t.Errorf("%q is still there after it was removed", v.Text())
		}
	})
}

func FuzzHitsAreWhereTheySay(f *testing.F) {
	s := NewSet()
	for _, k := range []string{
		"address 1.2.3.4", "address ::1", "network 10.0.0.0/8", "network fe80::/10", "domain a.bc", "url http://a.bc/d", "url http://1.2.3.4:5/e",
		"hash d41d8cd98f00b204e9800998ecf8427e", "email x@a.bc",
	} {
		s.Add(k, value(f, k))
	}
	f.Add([]byte(`1.2.3.4 ::1 10.9.8.7 [fe80::1] A.BC %2Fa.bc \na.bc http:\/\/a.bc\/d <x@a.bc> a.bc /d 5 /e d41d8cd98f00b204e9800998ecf8427e`))
	f.Fuzz(func(t *testing.T, line []byte) {
		for _, h := range s.Append(nil, line) {
			if h.Offset < 0 || h.Offset >= h.End || h.End > len(line) {
				t.Fatalf("the hit %+v is outside of %q", h, line)
			}
			found := string(line[h.Offset:h.End])
			switch h.Value.Kind() {
			case Address, Network:
				a, err := netip.ParseAddr(found)
				if err != nil || !netip.MustParsePrefix(cidr(h.Value.Text())).Contains(a) {
					t.Errorf("%q is taken for %s in %q", found, h.Value.Text(), line)
				}
			case Domain, Hash, Email:
				ascii := !slices.ContainsFunc([]byte(found), func(c byte) bool { return c >= 0x80 })
				if ascii && !strings.EqualFold(found, h.Value.Text()) {
					t.Errorf("%q is taken for %s in %q", found, h.Value.Text(), line)
				}
			case URL, Endpoint, JA3, JA4, ASN, FileName, RegistryKey, Mutex, UserAgent:
			}
			if h.Value.Kind() == URL || h.Value.Kind() == Email {
				continue
			}
			if before := h.Offset - 1; before >= 0 && class[line[before]]&word != 0 && h.Value.Kind() != Domain && line[before] != '.' && line[before] != '-' && !escapeBefore(line[:h.Offset]) {
				t.Errorf("%q at %d is a part of a longer word in %q", found, h.Offset, line)
			}
		}
	})
}

func cidr(text string) string {
	if strings.Contains(text, "/") {
		return text
	}
	return netip.PrefixFrom(netip.MustParseAddr(text), netip.MustParseAddr(text).BitLen()).String()
}

// escapeBefore reports whether a text ends with an escape.
func escapeBefore(text []byte) bool {
	for n := 1; n <= 6 && n <= len(text); n++ {
		if c := text[len(text)-n]; c == '\\' || c == '%' {
			return true
		}
	}
	return false
}

package match

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAssemblySeesWhatTheTableSays(t *testing.T) {
	text := make([]byte, 100*blockBytes)
	for i := range text {
		text[i] = byte(i*7 + i/256)
	}
	fast, slow := make([]block, 100), make([]block, 100)
	classifyWhole(text, fast)
	classifyBytes(text, slow)
	if !slices.Equal(fast, slow) {
		t.Error("classifyWhole and classifyBytes differ")
	}
}

func TestEndpointsAndFreeTextAreFoundWhole(t *testing.T) {
	for name, test := range map[string]struct {
		known, line string
		want        string // what is found, "" for nothing
	}{
		"endpoint":                      {"endpoint 192.0.2.1:443", "to 192.0.2.1:443, ok", "192.0.2.1:443"},
		"endpoint of IPv6":              {"endpoint [2001:db8::1]:443", "to [2001:DB8::1]:443", "2001:DB8::1]:443"},
		"another port":                  {"endpoint 192.0.2.1:443", "192.0.2.1:4431 192.0.2.1:44 192.0.2.1 192.0.2.1:443a", ""},
		"JA3":                           {"ja3 d41d8cd98f00b204e9800998ecf8427e", `"ja3":"d41d8cd98f00b204e9800998ecf8427e"`, "d41d8cd98f00b204e9800998ecf8427e"},
		"JA4":                           {"ja4 t13d1516h2_8daaf6152771_02713d6af862", `"ja4":"t13d1516h2_8daaf6152771_02713d6af862"`, "t13d1516h2_8daaf6152771_02713d6af862"},
		"another JA4":                   {"ja4 t13d1516h2_8daaf6152771_02713d6af862", "t13d1516h2_8daaf6152771_02713d6af863 xt13d1516h2_8daaf6152771_02713d6af862", ""},
		"autonomous system":             {"asn 64496", "AS64496 x", "AS64496"},
		"not in a longer number":        {"asn AS64496", "AS644961 XAS64496 64496", ""},
		"file name":                     {"file-name Evil Tool.exe", `C:\Temp\evil tool.EXE" -x`, "evil tool.EXE"},
		"not in a longer file name":     {"file-name Evil Tool.exe", "devil tool.exe evil tool.exe2", ""},
		"registry key":                  {`registry-key HKLM\Software\Evil Run`, `key=hklm\software\evil run;`, `hklm\software\evil run`},
		"registry key as JSON has it":   {`registry-key HKLM\Software\Evil`, `{"k":"HKLM\\Software\\Evil"}`, `HKLM\\Software\\Evil`},
		"mutex":                         {`mutex Global\{A-1} x9Z`, `created Global\{A-1} x9Z.`, `Global\{A-1} x9Z`},
		"mutex in another case":         {"mutex AbcMutex", "abcmutex", ""},
		"user agent":                    {`user-agent Mozilla/4.0 (Evil "q")`, `"Mozilla/4.0 (Evil \"q\")"`, `Mozilla/4.0 (Evil \"q\")`},
		"the word stands there twice":   {"mutex aaa bbb aaa ccc", "aaa bbb aaa bbb aaa ccc", "aaa bbb aaa ccc"},
		"user agent with a longer name": {"user-agent EvilBot/1.0", "EvilBot/1.01 NotEvilBot/1.0", ""},
	} {
		s := NewSet()
		if !s.Add("i", value(t, test.known)) {
			t.Fatalf("%s was not added", name)
		}
		var got strings.Builder
		for _, h := range s.Append(nil, []byte(test.line)) {
			got.WriteString(test.line[h.Offset:h.End])
		}
		if got.String() != test.want {
			t.Errorf("%s: found %q in %q, want %q", name, got.String(), test.line, test.want)
		}
		s.Remove("i", value(t, test.known))
		if len(s.Append(nil, []byte(test.line))) > 0 || s.Len() != 0 {
			t.Errorf("%s: it is found after it was removed", name)
		}
	}
}

func TestPartsOfEndpointsAreToldOnlyWhenAskedFor(t *testing.T) {
	s := NewSet()
	s.Add("i", value(t, "endpoint 192.0.2.1:443"))
	line := []byte("192.0.2.1\t443")
	if hits := s.Append(nil, line); len(hits) > 0 {
		t.Errorf("Append found %v, want nothing", hits)
	}
	if hits := s.AppendParts(nil, line); len(hits) != 1 || !hits[0].Part || hits[0].End != len("192.0.2.1") {
		t.Errorf("AppendParts found %v, want the address", hits)
	}
}

func TestManyLinesAreSearchedAsOneByOne(t *testing.T) {
	s := thousands(t, 2000)
	s.Add("x", value(t, "address 192.0.2.76"))
	s.Add("y", value(t, "url http://shop-7.test/a/b.html"))
	lines := sampleLines(5000)
	var want []Hit
	at := 0
	for _, l := range lines {
		for _, h := range inOrder(s.Append(nil, l)) {
			h.Offset, h.End = h.Offset+at, h.End+at
			want = append(want, h)
		}
		at += len(l) + 1
	}
	got := s.Append(nil, bytes.Join(lines, []byte("\n")))
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("%d hits in all lines at once, %d one by one", len(got), len(want))
	}
}

// TestASetIsWhatAMapWouldBe adds and removes at random, and compares with maps.
func TestASetIsWhatAMapWouldBe(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s, model := NewSet(), map[Value]map[string]bool{}
	make1 := func(n int) Value {
		switch n % 6 {
		case 0:
			return value(t, fmt.Sprintf("address 10.%d.%d.%d", n>>16&255, n>>8&255, n&255))
		case 1:
			return value(t, fmt.Sprintf("url http://h%d.example/%d", n%97, n))
		case 2:
			return value(t, fmt.Sprintf("hash %064x", n))
		case 3:
			return value(t, fmt.Sprintf("endpoint 10.0.0.%d:%d", n%7, n%50000+1))
		case 4:
			return value(t, fmt.Sprintf("mutex common word%d of-%d", n%11, n))
		default:
			return value(t, fmt.Sprintf("domain a%d.b%d.example", n, n%13))
		}
	}
	for step := range 200_000 {
		v := make1(random.IntN(20_000))
		id := fmt.Sprintf("indicator--%08x-0000-4000-8000-%012x", random.IntN(3), 7)
		if step > 150_000 || random.IntN(100) < 45 {
			s.Remove(id, v)
			if delete(model[v], id); len(model[v]) == 0 {
				delete(model, v)
			}
			continue
		}
		s.Add(id, v)
		if model[v] == nil {
			model[v] = map[string]bool{}
		}
		model[v][id] = true
	}
	if s.Len() != len(model) {
		t.Fatalf("the set has %d values, want %d", s.Len(), len(model))
	}
	for n := range 20_000 {
		v := make1(n)
		var got []string
		for _, h := range s.Append(nil, []byte(v.Text())) {
			if h.Value == v {
				got = append(got, h.ID)
			}
		}
		if len(got) != len(model[v]) {
			t.Fatalf("%q is found for %v, want %v", v.Text(), got, model[v])
		}
		for _, id := range got {
			if !model[v][id] {
				t.Fatalf("%q is found for %s, want %v", v.Text(), id, model[v])
			}
		}
	}
	for v, ids := range model {
		for id := range ids {
			s.Remove(id, v)
		}
	}
	if free := len(s.store.free); s.Len() != 0 || len(s.more)+len(s.hosts)+len(s.anchors) > 0 || len(s.store.pages)-free > 2 {
		t.Errorf("of an empty set %d values, %d more, %d hosts, %d words and %d of %d pages are left", s.Len(), len(s.more), len(s.hosts), len(s.anchors), len(s.store.pages)-free, len(s.store.pages))
	}
}

// TestAMillionIndicatorsFit measures what the set of a million made-up
// indicators with STIX ids takes, in the proportions of real feeds.
func TestAMillionIndicatorsFit(t *testing.T) {
	const n = 1_000_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := million(t, n)
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(after.HeapAlloc-before.HeapAlloc) / float64(s.Len())
	t.Logf("%d values take %.1f bytes each", s.Len(), each)
	if each > 64 {
		t.Errorf("a value takes %.1f bytes, want at most 64", each)
	}
}

// million returns n values: six of ten are domains, one of thirty is a URL.
func million(t testing.TB, n int) *Set {
	s := NewSet()
	for i := range n {
		id := fmt.Sprintf("indicator--%08x-1111-4222-8333-%012x", i, i*7919)
		var text string
		switch i % 30 {
		case 0:
			text = fmt.Sprintf("url http://bad-%d.example/p/%x.php", i, i*7919)
		case 1, 2, 3, 4, 5, 6, 7:
			text = fmt.Sprintf("address 203.%d.%d.%d", i>>16&255, i>>8&255, i&255)
		case 8, 9, 10:
			text = fmt.Sprintf("endpoint 203.%d.%d.%d:%d", i>>16&255, i>>8&255, i&255, i%60000+1)
		case 11:
			text = fmt.Sprintf("hash %064x", i*7919)
		default:
			text = fmt.Sprintf("domain w%x.bad-%d.example", i, i%100_000)
		}
		if !s.Add(id, value(t, text)) {
			t.Fatalf("%s was not added", text)
		}
	}
	return s
}

func FuzzTextIsComparedAsStringsAre(f *testing.F) {
	f.Add("evil tool.exe", "an Evil Tool.exe here")
	f.Add("aaa bbb", "aaa aaa bbb")
	f.Fuzz(func(t *testing.T, known, line string) {
		v, ok := Parse(FileName, known)
		if !ok || strings.ContainsAny(line, "\n\\\"") || strings.ContainsAny(known, "\"") {
			return
		}
		s := NewSet()
		s.Add("i", v)
		for _, h := range s.Append(nil, []byte(line)) {
			if !strings.EqualFold(line[h.Offset:h.End], known) {
				t.Errorf("%q is taken for %q", line[h.Offset:h.End], known)
			}
		}
	})
}

// cpuTime is what the process has computed: on a machine that others use as
// well, wall time says little.
func cpuTime(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkText(b *testing.B) {
	text := bytes.Join(sampleLines(20_000), []byte("\n"))
	for _, n := range []int{10_000, 1_000_000} {
		s := million(b, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			var hits []Hit
			began, n := cpuTime(b), 0
			for b.Loop() {
				hits = s.Append(hits[:0], text)
				n++
			}
			b.ReportMetric(float64(n*len(text))/1e6/(cpuTime(b)-began).Seconds(), "MB/cpu-s")
		})
	}
	b.Run("classify", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		blocks := make([]block, pieceBytes/64)
		for b.Loop() {
			for i := 0; i+pieceBytes <= len(text); i += pieceBytes {
				classify(text[i:i+pieceBytes], blocks)
			}
		}
	})
	b.Run("lines", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			bytes.Count(text, []byte{'\n'})
		}
	})
}

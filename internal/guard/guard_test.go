package guard

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/publicsuffix"

	"tocsin/internal/match"
)

var update = flag.Bool("update", false, "make the embedded lists anew, of $TOCSIN_DATA/intel/warninglists")

// selected are the lists that are embedded, by what is said of their values.
// Left out are those that name whole clouds, VPNs and scanners: threats come from there as
// well, and one address of a cloud is one customer's.
func selected() map[string][]string {
	return map[string][]string{
		Site: {
			"alexa", "captive-portals", "cisco_top1000", "cisco_top5k", "cloudflare-top10k", "crl-hostname", "google", "microsoft", "microsoft-office365", "microsoft-win10-connection-endpoints",
			"moz-top500", "tranco10k", "majestic_million", "bank-website", "dax30", "security-provider-blogpost", "whats-my-ip", "university_domains", "automated-malware-analysis",
		},
		Shared:        {"dynamic-dns", "url-shortener", "link-in-bio", "lots-project", "public-ipfs-gateways", "akamai", "cloudflare", "fastly", "stackpath", "bunny-net", "apple", "google-gmail-sending-ips", "microsoft-office365-ip", "smtp-receiving-ips", "smtp-sending-ips", "crl-ip", "wikimedia", "parking-domain", "zscaler", "telegram-ips", "umbrella-blockpage-v4", "umbrella-blockpage-v6", "umbrella-blockpage-hostname"},
		Resolver:      {"public-dns-v4", "public-dns-v6", "parking-domain-ns"},
		Sinkhole:      {"sinkholes"},
		FalsePositive: {"empty-hashes", "eicar.com", "common-ioc-false-positive", "ti-falsepositives"},
	}
}

// compact makes one text of the lists.
func compact(t *testing.T, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	seen := map[string]bool{}
	for _, reason := range []string{Sinkhole, Resolver, Site, Shared, FalsePositive} {
		var values []string
		for _, name := range selected()[reason] {
			file, err := os.ReadFile(filepath.Join(dir, name+".json.gz"))
			if err != nil {
				t.Fatal(err)
			}
			z, err := gzip.NewReader(bytes.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			var list struct{ List []string }
			if err := json.NewDecoder(z).Decode(&list); err != nil {
				t.Fatal(err)
			}
			for _, text := range list.List {
				if v, ok := fitting(reason, text); ok && !seen[v] {
					seen[v] = true
					values = append(values, v)
				}
			}
		}
		slices.Sort(values)
		b.WriteString("# " + reason + "\n" + strings.Join(values, "\n") + "\n")
	}
	return b.Bytes()
}

// fitting returns a value as the embedded lists have it, false for what is
// protected anyway, or none.
func fitting(reason, text string) (string, bool) {
	if reason == FalsePositive {
		v, ok := match.Parse(match.Hash, text)
		return v.Text(), ok
	}
	if p, ok := prefixOfAny(text); ok {
		if p.IsSingleIP() {
			return p.Addr().String(), true
		}
		return p.String(), true
	}
	v, ok := match.Parse(match.Domain, strings.TrimPrefix(strings.TrimPrefix(text, "*"), "."))
	if suffix, _ := publicsuffix.PublicSuffix(v.Text()); suffix == v.Text() {
		return "", false
	}
	return v.Text(), ok
}

func TestTheEmbeddedListsAreThoseOfTheirSource(t *testing.T) {
	dir := os.Getenv("TOCSIN_DATA") //nolint:forbidigo // where the data is, is the environment's business
	if dir == "" {
		t.Skip("TOCSIN_DATA does not name the shared test data")
	}
	want := compact(t, filepath.Join(dir, "intel", "warninglists"))
	if *update {
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
		_, _ = z.Write(want)
		_ = z.Close()
		if err := os.WriteFile("warninglists.txt.gz", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	z, err := gzip.NewReader(bytes.NewReader(warningLists))
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := got.ReadFrom(z); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("they differ; make them anew with -update")
	}
}

// TestEverySpellingIsHeldBack tries what would cut off the Internet, in all the
// ways to write it.
func TestEverySpellingIsHeldBack(t *testing.T) {
	g, err := New([]string{"198.51.100.0/24", "ours.example"}, "hub.example.org")
	if err != nil {
		t.Fatal(err)
	}
	for reason, values := range map[string][]string{
		Resolver:      {"address 8.8.8.8", "address ::ffff:8.8.8.8", "network 8.8.8.0/24", "endpoint 8.8.8.8:53", "endpoint [::ffff:8.8.8.8]:53"},
		Site:          {"domain www.Google.com", "domain GOOGLE.COM.", "domain www.wikipedia.org", "url https://google.com/", "url HTTPS://WWW.Google.com:443"},
		Suffix:        {"domain com", "domain co.uk", "domain github.io"},
		Wide:          {"network 0.0.0.0/0", "network ::/0", "network 128.0.0.0/8"},
		Private:       {"address 10.0.0.1", "address 127.0.0.1", "address ::1", "network fe80::/64"},
		Sinkhole:      {"address 104.244.12.1", "address 106.187.96.49"},
		Shared:        {"address 104.16.1.1", "network 2606:4700::/48"},
		Allowed:       {"address 198.51.100.7", "domain a.ours.example", "url http://ours.example/x", "domain hub.example.org"},
		FalsePositive: {"hash D41D8CD98F00B204E9800998ECF8427E"},
		"":            {"domain evil.duckdns.org", "domain notgoogle.example", "domain xn--ggle-55da.com", "address 203.0.113.7", "url https://bit.ly/3evil", "hash 00000000000000000000000000000001"},
	} {
		for _, text := range values {
			name, value, _ := strings.Cut(text, " ")
			for k := match.Address; k <= match.UserAgent; k++ {
				if k.String() != name {
					continue
				}
				v, ok := match.Parse(k, value)
				if !ok {
					t.Fatalf("%s was not read", text)
				}
				if got := g.Why(v); got != reason {
					t.Errorf("%s is held back for %q, want %q", text, got, reason)
				}
			}
		}
	}
}

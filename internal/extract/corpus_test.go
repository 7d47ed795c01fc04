package extract

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func corpus(t testing.TB, name string, into any) {
	t.Helper()
	dir := os.Getenv("TOCSIN_DATA") //nolint:forbidigo // only tests ask where the corpora are
	if dir == "" {
		t.Skip("TOCSIN_DATA is not set")
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

func TestMeasureRefang(t *testing.T) {
	var c struct {
		Cases []struct{ Op, Text, Expected string }
	}
	corpus(t, "ioc/defang_cases.json", &c)
	n, ok := 0, 0
	for _, one := range c.Cases {
		if one.Op != "fang" {
			continue
		}
		n++
		if got := Refang(one.Text); got == one.Expected {
			ok++
		} else {
			t.Logf("%q -> %q, theirs is %q", one.Text, got, one.Expected)
		}
	}
	t.Logf("%d of %d as ioc_fanger", ok, n)
	if ok < 85 {
		t.Errorf("%d of %d, want 85", ok, n)
	}
}

func TestMeasureTypes(t *testing.T) {
	var c struct {
		Types []struct {
			Type      string
			Good, Bad []string
		}
	}
	corpus(t, "ioc/extraction_types_good_bad.json", &c)
	kinds := map[string]Kind{
		"autonomous_system_number": ASN, "cryptocurrency_btc_wallet": Bitcoin, "cryptocurrency_eth_wallet": Ethereum, "cve_id": CVE,
		"domain_name_only": Domain, "domain_name_subdomain": Domain, "email_address": Email, "file_hash_md5": MD5, "file_hash_sha_1": SHA1,
		"file_hash_sha_224": SHA224, "file_hash_sha_256": SHA256, "file_hash_sha_384": SHA384, "file_hash_sha_512": SHA512, "file_name": File,
		"ipv4_address_only": IPv4, "ipv4_address_cidr": IPv4, "ipv4_address_port": IPv4, "ipv6_address_only": IPv6, "ipv6_address_cidr": IPv6,
		"ipv6_address_port": IPv6, "mac_address": MAC, "mitre_attack_enterprise": Attack, "url": URL, "url_file": URL, "url_path": URL,
		"windows_registry_key": Registry, "directory_unix": Path, "directory_unix_file": Path, "directory_windows": Path, "directory_windows_with_file": Path,
	}
	good, all := 0, 0
	for _, one := range c.Types {
		kind, ok := kinds[one.Type]
		if !ok {
			continue
		}
		for _, text := range one.Good {
			all++
			if slices.ContainsFunc(Find(text), func(i Indicator) bool { return i.Kind == kind }) {
				good++
			} else {
				t.Logf("%s: not found in %q: %v", one.Type, text, Find(text))
			}
		}
		for _, text := range one.Bad {
			for _, i := range Find(text) {
				if i.Kind == kind {
					t.Logf("%s: found in %q: %v", one.Type, text, i)
				}
			}
		}
	}
	t.Logf("%d of %d good ones found", good, all)
	if good*100 < all*90 {
		t.Errorf("%d of %d good ones found, want 0.9", good, all)
	}
}

// normal takes out what two programs may write differently.
func normal(v string) string {
	if a, err := netip.ParseAddr(v); err == nil {
		return a.String()
	}
	v = strings.ToLower(v)
	v = strings.ReplaceAll(strings.TrimPrefix(v, "asn"), "as", "")
	return strings.NewReplacer("-", "", ":", "", ".", "", " ", "").Replace(v)
}

func TestMeasureFinder(t *testing.T) {
	var c struct {
		Cases []struct {
			Text     string
			Expected map[string]json.RawMessage
		}
	}
	corpus(t, "ioc/ioc_finder_cases.json", &c)
	kinds := map[string]Kind{
		"domains": Domain, "urls_complete": URL, "ipv4s": IPv4, "ipv6s": IPv6, "email_addresses": Email, "md5s": MD5, "sha1s": SHA1, "sha256s": SHA256,
		"cves": CVE, "registry_key_paths": Registry, "mac_addresses": MAC, "bitcoin_addresses": Bitcoin, "ipv4_cidrs": IPv4, "asns": ASN,
	}
	found, all := map[Kind]int{}, map[Kind]int{}
	for _, one := range c.Cases {
		got := Find(one.Text)
		for name, raw := range one.Expected {
			kind, ok := kinds[name]
			var values []string
			if !ok || json.Unmarshal(raw, &values) != nil {
				continue
			}
			for _, v := range values {
				all[kind]++
				// A part of a URL or an address is in it.
				if slices.ContainsFunc(got, func(i Indicator) bool {
					return i.Kind == kind && normal(i.Value) == normal(v) || (i.Kind == kind || i.Kind == URL || i.Kind == Email) && (strings.Contains(normal(i.Value), normal(v)) || strings.Contains(strings.ToLower(i.Value), strings.ToLower(v)))
				}) {
					found[kind]++
				} else if len(one.Text) < 300 {
					t.Logf("%s %q not in %v of %q", name, v, got, one.Text)
				} else {
					t.Logf("%s %q", name, v)
				}
			}
		}
	}
	sum, total := 0, 0
	for kind, n := range all {
		t.Logf("%s: %d of %d", kind, found[kind], n)
		sum, total = sum+found[kind], total+n
	}
	t.Logf("%d of %d (%.3f)", sum, total, float64(sum)/float64(total))
	if sum*100 < total*85 {
		t.Error("want 0.85")
	}
}

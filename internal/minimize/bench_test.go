package minimize

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/internal/validate"
)

// indicators makes one indicator of each line of the public feeds, as most
// members share them.
func indicators(t testing.TB, most int) []byte {
	t.Helper()
	var out bytes.Buffer
	out.WriteString(`{"type":"bundle","id":"bundle--5d0092c5-5f74-4287-9642-33f4c354e56d","objects":[`)
	n := 0
	for sc := bufio.NewScanner(bytes.NewReader(dataFile(t, "intel/indicators.tsv.xz"))); sc.Scan() && n < most; {
		f := strings.Split(sc.Text(), "\t")
		var pattern string
		switch f[0] {
		case "domain":
			pattern = "domain-name:value = '" + f[1] + "'"
		case "url":
			pattern = "url:value = '" + f[1] + "'"
		case "ipv4", "cidr":
			pattern = "ipv4-addr:value = '" + f[1] + "'"
		case "ipv4-port":
			address, port, _ := strings.Cut(f[1], ":")
			pattern = "network-traffic:dst_ref.value = '" + address + "' AND network-traffic:dst_port = " + port
		case "md5":
			pattern = "file:hashes.MD5 = '" + f[1] + "'"
		case "sha1":
			pattern = "file:hashes.'SHA-1' = '" + f[1] + "'"
		default:
			continue
		}
		if strings.ContainsAny(pattern, "\"\\") {
			continue
		}
		if n > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, `{"type":"indicator","spec_version":"2.1","id":"indicator--%08x-0000-4000-8000-000000000000","created":"2026-03-01T10:00:00.000Z","modified":"2026-03-01T10:00:00.000Z","name":"%s","description":"%s","pattern":"[%s]","pattern_type":"stix","valid_from":"2026-03-01T00:00:00Z","indicator_types":["malicious-activity"]}`,
			n, f[1], f[3], pattern)
		n++
	}
	out.WriteString("]}")
	return out.Bytes()
}

// prose makes malware objects with descriptions as reports have them.
func prose(n int) []byte {
	var out bytes.Buffer
	out.WriteString(`{"type":"bundle","id":"bundle--5d0092c5-5f74-4287-9642-33f4c354e56d","objects":[`)
	for i := range n {
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, `{"type":"malware","spec_version":"2.1","id":"malware--%08x-0000-4000-8000-000000000000","created":"2026-03-01T10:00:00.000Z","modified":"2026-03-01T10:00:00.000Z","name":"Loader %d","is_family":true,"malware_types":["trojan"],"description":"The loader is delivered as an attachment to spear-phishing e-mails that carry invoices. Once a user opens the document, a macro writes C:\\Users\\Public\\Libraries\\collab.bin and registers a scheduled task under HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Run. It collects the host name, the list of processes and the version of the operating system, encrypts them with AES-256 in CBC mode and sends them with HTTP POST to hxxps://198.51.100.%d:8443/api/v2/upload every 300 seconds. The SHA-256 of the sample is 3dd9c0995d54c0abd51a90f1d57b1ce77bc885fc8a7cea52dcad3c2540dda5ee; it was compiled on 2026-02-11 and related to CVE-2024-3400."}`, i, i, i%250)
	}
	out.WriteString("]}")
	return out.Bytes()
}

func TestPublicIndicatorsNeverChange(t *testing.T) {
	if testing.Short() {
		t.Skip("reads hundreds of thousands of indicators")
	}
	b, err := validate.Parse(indicators(t, 1<<30), validate.Options{Bytes: 1 << 30, Objects: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	out := newGate(t).Apply(b)
	if len(out.Findings()) > 0 || len(out.Objects()) != len(b.Objects()) {
		t.Errorf("%d findings, %d of %d objects, want none and all", len(out.Findings()), len(out.Objects()), len(b.Objects()))
		for _, f := range out.Findings()[:min(20, len(out.Findings()))] {
			t.Log(f)
		}
	}
	t.Logf("%d indicators, %d rejected", len(b.Objects()), len(b.Rejected()))
}

// processorTime returns how long the process has computed.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkApply(b *testing.B) {
	for name, text := range map[string]func(testing.TB) []byte{
		"sample":     func(testing.TB) []byte { return prose(2_000) },
		"attack":     func(b testing.TB) []byte { return dataFile(b, "stix/bundles/attack-enterprise.json.xz") },
		"indicators": func(b testing.TB) []byte { return indicators(b, 20_000) },
	} {
		b.Run(name, func(b *testing.B) {
			data := text(b)
			bundle := parse(b, data)
			g := newGate(b)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			began, n := processorTime(), 0
			for b.Loop() {
				g.Apply(bundle)
				n++
			}
			// What others do on the machine does not count.
			spent := processorTime() - began
			b.ReportMetric(float64(len(data)*n)/1e6/spent.Seconds(), "MB/cpu-s")
			b.ReportMetric(float64(spent.Nanoseconds())/float64(n*len(bundle.Objects())), "cpu-ns/object")
		})
	}
}

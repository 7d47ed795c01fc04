package hub

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// world is a running hub with one community, a writer and a reader.
type world struct {
	Started

	writer, reader string // tokens
}

const testNetwork = `{
 "organizations": [
  {"name": "acme", "kind": "company", "users": [{"name": "u", "tokens": [{"name": "t", "role": "writer"}]}]},
  {"name": "bravo", "kind": "company", "users": [{"name": "u", "tokens": [{"name": "t", "role": "reader"}]}]}],
 "communities": [{"name": "finance", "members": [{"organization": "acme", "role": "writer"}, {"organization": "bravo", "role": "reader"}],
  "collections": [{"alias": "alerts"}]}]}`

func begin(b *testing.B) world {
	b.Helper()
	w := world{Started: start(b, b.TempDir())}
	status, answer := call(b, http.MethodPost, w.URL+"/api/v1/network", w.OperatorToken, []byte(testNetwork))
	if status != http.StatusOK {
		b.Fatalf("POST network = %d %s", status, answer)
	}
	for i, part := range strings.Split(answer, `"tcs_`)[1:] {
		token := "tcs_" + part[:strings.IndexByte(part, '"')]
		if i == 0 {
			w.writer = token
		} else {
			w.reader = token
		}
	}
	return w
}

func call(b *testing.B, method, url, token string, body []byte) (int, string) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/taxii+json;version=2.1")
	if strings.Contains(url, "/api/v1/") {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultTransport.RoundTrip(r) //nolint:forbidigo // a test that talks to its own hub
	if err != nil {
		b.Error(err)
		return 0, ""
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.Error(err)
	}
	return answer.StatusCode, string(text)
}

// envelope makes count indicators of 1.3 kB, never the same twice.
func envelope(serial *atomic.Int64, count int) []byte {
	var out bytes.Buffer
	out.WriteString(`{"objects":[`)
	for i := range count {
		n := serial.Add(1)
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, `{"type":"indicator","spec_version":"2.1","id":"indicator--%08x-0000-4000-8000-%012x","created":"2026-03-11T00:00:00.000Z",`+
			`"modified":"2026-03-11T00:00:00.000Z","name":"Loader %d","description":"%s","indicator_types":["malicious-activity"],`+
			`"pattern":"[domain-name:value = 'host-%d.example.net']","pattern_type":"stix","valid_from":"2026-03-11T00:00:00Z","labels":["loader"]}`,
			uint32(n*2654435761), n, n, strings.Repeat("The loader fetches its second stage and waits. ", 18), n)
	}
	out.WriteString(`]}`)
	return out.Bytes()
}

// BenchmarkSubmit measures the whole durable journey over HTTP: four clients
// at once, each waiting for its acknowledgement.
func BenchmarkSubmit(b *testing.B) {
	for _, size := range []int{100, 1000} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			w := begin(b)
			var serial, done atomic.Int64
			b.SetParallelism(2)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					status, answer := call(b, http.MethodPost, w.URL+"/finance/collections/alerts/objects/", w.writer, envelope(&serial, size))
					if status != http.StatusAccepted {
						b.Errorf("POST = %d %.200s", status, answer)
					}
					done.Add(int64(size))
				}
			})
			b.ReportMetric(float64(done.Load())/b.Elapsed().Seconds(), "objects/s")
		})
	}
}

// BenchmarkRead measures pages over HTTP, with authentication and policy, and
// the poll that finds nothing new.
func BenchmarkRead(b *testing.B) {
	w := begin(b)
	var serial atomic.Int64
	for range 20 {
		if status, answer := call(b, http.MethodPost, w.URL+"/finance/collections/alerts/objects/", w.writer, envelope(&serial, 1000)); status != http.StatusAccepted {
			b.Fatalf("POST = %d %s", status, answer)
		}
	}
	for name, query := range map[string]string{"page=100": "?limit=100", "page=1000": "?limit=1000", "empty": "?added_after=2999-01-01T00:00:00.000000Z"} {
		b.Run(name, func(b *testing.B) {
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					status, answer := call(b, http.MethodGet, w.URL+"/finance/collections/alerts/objects/"+query, w.reader, nil)
					if status != http.StatusOK {
						b.Errorf("GET = %d %.200s", status, answer)
					}
					b.SetBytes(int64(len(answer)))
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
		})
	}
}

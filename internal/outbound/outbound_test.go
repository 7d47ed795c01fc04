package outbound

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tocsin"
)

func client(t *testing.T, o Options) *http.Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func get(t *testing.T, c *http.Client, address string, header ...string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return c.Do(r)
}

func parse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// A canary counts who connects to it.
func canary(t *testing.T) (port string, connections *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connections = &atomic.Int32{}
	s := &http.Server{ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}}
	done := make(chan struct{})
	go func() { _ = s.Serve(l); close(done) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), connections
}

func TestNobodyMakesUsCallInside(t *testing.T) {
	port, connections := canary(t)
	c := client(t, Options{Plaintext: true})
	for _, host := range []string{
		"127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "localhost", "0.0.0.0", "[::]", "127.1", "0x7f000001", "2130706433", "0177.0.0.1",
		"169.254.169.254", "[fd00:ec2::254]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "10.0.0.1", "100.64.0.1", "[fe80::1%25lo]",
	} {
		res, err := get(t, c, "http://"+host+":"+port+"/")
		if err == nil {
			_ = res.Body.Close()
			t.Errorf("a call to %s was answered, want it refused", host)
		}
	}
	for _, address := range []string{"file:///etc/passwd", "gopher://127.0.0.1:" + port, "unix:///run/x.sock"} {
		if res, err := get(t, c, address); err == nil {
			_ = res.Body.Close()
			t.Errorf("a call to %s was answered, want it refused", address)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("the canary saw %d connections, want 0", n)
	}
}

func TestAddressesArePublicOrNot(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "93.184.215.14": true, "2606:4700:4700::1111": true, "2001:4860:4860::8888": true, "172.32.0.1": true,
		"0.0.0.0": false, "127.0.0.1": false, "127.255.255.254": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "192.0.2.1": false, "198.18.0.1": false, "224.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "fe80::1": false, "fc00::1": false, "fd00:ec2::254": false, "fec0::1": false, "ff02::1": false,
		"64:ff9b::808:808": false, "2002:0808:0808::": false, "2001:0:1::": false, "2001:db8::1": false, "100::1": false, "5f00::1": false,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("public(%s) = %v, want %v", text, got, want)
		}
	}
}

func TestWhatIsAllowedIsCalled(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	for name, o := range map[string]Options{
		"named":    {Only: parse(t, s.URL)},
		"loopback": {Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	} {
		res, err := get(t, client(t, o), s.URL)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = res.Body.Close()
	}
}

func TestOnlyTheNamedServerIsCalled(t *testing.T) {
	port, connections := canary(t)
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	_, err := get(t, client(t, Options{Only: parse(t, s.URL)}), "http://127.0.0.1:"+port) //nolint:bodyclose // get closes it
	if e, ok := errors.AsType[*tocsin.Error](err); !ok || e.Kind != tocsin.Forbidden || connections.Load() != 0 {
		t.Errorf("a call to another server: %v and %d connections, want forbidden and 0", err, connections.Load())
	}
}

func TestARedirectLeadsNowhereElseAndTakesNoCredentials(t *testing.T) {
	port, connections := canary(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:"+port+"/", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/near", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/here", http.StatusFound) })
	mux.HandleFunc("/circle", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/circle", http.StatusFound) })
	var seen atomic.Value
	mux.HandleFunc("/here", func(_ http.ResponseWriter, r *http.Request) {
		seen.Store(r.Header.Get("Authorization") + r.Header.Get("Cookie"))
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	c := client(t, Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})

	for _, path := range []string{"/away", "/circle"} {
		if res, err := get(t, c, s.URL+path, "Authorization", "Bearer secret"); err == nil {
			_ = res.Body.Close()
			t.Errorf("the redirect at %s was followed to an answer, want it refused", path)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("the other server saw %d connections, want 0", n)
	}
	res, err := get(t, c, s.URL+"/near", "Authorization", "Bearer secret", "Cookie", "a=b")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if got := seen.Load(); got != "" {
		t.Errorf("after a redirect the server was sent %q, want no credentials", got)
	}
}

func TestTLSIsRequiredBeyondThisMachine(t *testing.T) {
	d := &door{Options: Options{Only: parse(t, "http://hub.example.com")}}
	if err := d.mayDial("192.0.2.1:80", false); err == nil {
		t.Error("plain HTTP to another machine was allowed")
	}
	if err := d.mayDial("127.0.0.1:80", false); err != nil {
		t.Errorf("plain HTTP to this machine: %v", err)
	}
	if err := d.mayDial("192.0.2.1:443", true); err != nil {
		t.Errorf("TLS to the named server: %v", err)
	}
}

func TestOldTLSAndUnknownAuthoritiesAreRefused(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	s.StartTLS()
	defer s.Close()
	_, err := get(t, client(t, Options{Only: parse(t, s.URL)}), s.URL) //nolint:bodyclose // get closes it
	if e := Explain(err); e.Kind != tocsin.Invalid || !strings.Contains(e.Message, "certificate") {
		t.Errorf("an unknown authority: %v, want an error about the certificate", err)
	}

	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	res, err := get(t, client(t, Options{Only: parse(t, s.URL), CAFile: file}), s.URL)
	if err != nil {
		t.Fatalf("with the authority's file: %v", err)
	}
	_ = res.Body.Close()

	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.Config.ErrorLog = s.Config.ErrorLog
	old.StartTLS()
	defer old.Close()
	if res, err := get(t, client(t, Options{Only: parse(t, old.URL), CAFile: file}), old.URL); err == nil {
		_ = res.Body.Close()
		t.Error("TLS 1.1 was spoken")
	}
	if _, err := New(Options{CAFile: os.DevNull}); err == nil {
		t.Error("an empty file of authorities was taken")
	}
}

func TestAnswersAreBounded(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, 1000))
	}))
	defer s.Close()
	for most, want := range map[int64]bool{999: false, 1000: true} {
		res, err := get(t, client(t, Options{Only: parse(t, s.URL), MaxBytes: most}), s.URL)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
		if (err == nil) != want {
			t.Errorf("reading 1000 bytes with a limit of %d: %v", most, err)
		}
	}
}

func TestTimeIsBoundedAndAStreamMayLast(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 6 {
			_, _ = io.WriteString(w, ":\n")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
		if r.URL.Path == "/dies" {
			<-r.Context().Done()
		}
	}))
	defer s.Close()
	c := client(t, Options{Only: parse(t, s.URL), Timeout: 400 * time.Millisecond})
	for name, test := range map[string]struct {
		path, accept string
		fails        bool
	}{
		"a call that takes too long":  {"/", "application/json", true},
		"a stream that goes on":       {"/", "text/event-stream", false},
		"a stream that has gone dead": {"/dies", "text/event-stream", true},
	} {
		res, err := get(t, c, s.URL+test.path, "Accept", test.accept)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
		if (err != nil) != test.fails {
			t.Errorf("%s: %v, want an error: %v", name, err, test.fails)
		}
		if err != nil && Explain(err).Kind != tocsin.Busy {
			t.Errorf("%s: %v, want an error that says it was too slow", name, err)
		}
	}
}

func TestCallsAreWrittenDownWithoutSecrets(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	var text bytes.Buffer
	c := client(t, Options{Only: parse(t, s.URL), Log: slog.New(slog.NewJSONHandler(&text, nil))})
	res, err := get(t, c, s.URL+"/path-secret?q=query-secret", "Authorization", "Bearer header-secret")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	log := text.String()
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, `"status":404`) || !strings.Contains(log, parse(t, s.URL).Host) || strings.Contains(log, "secret") {
		t.Errorf("the record of a call is %s, want one event with host and status and no secret", log)
	}
}

// A script answers with one status after another, and stays with the last.
type script struct {
	statuses []int
	after    string
	bodies   []string
	times    []time.Time
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	text, _ := io.ReadAll(r.Body)
	s.bodies, s.times = append(s.bodies, string(text)), append(s.times, time.Now())
	status := s.statuses[min(len(s.times), len(s.statuses))-1]
	return &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {s.after}}, Body: http.NoBody, Request: r}, nil
}

func TestABusyServerIsAskedAgain(t *testing.T) {
	for name, test := range map[string]struct {
		statuses    []int
		after       string
		calls, last int
		least, most time.Duration // of the first wait
	}{
		"no need":                {statuses: []int{200}, calls: 1, last: 200},
		"busy, then not":         {statuses: []int{503, 429, 202}, calls: 3, last: 202, least: 250 * time.Millisecond, most: 500 * time.Millisecond},
		"says when":              {statuses: []int{429, 200}, after: "7", calls: 2, last: 200, least: 7 * time.Second, most: 8 * time.Second},
		"says a date":            {statuses: []int{503, 200}, after: "Sat, 01 Jan 2000 00:00:09 GMT", calls: 2, last: 200, least: 9 * time.Second, most: 10 * time.Second},
		"never again":            {statuses: []int{503}, calls: 4, last: 503, least: 250 * time.Millisecond, most: 500 * time.Millisecond},
		"much later":             {statuses: []int{503, 200}, after: "3600", calls: 1, last: 503},
		"its answer is no":       {statuses: []int{422, 200}, calls: 1, last: 422},
		"nonsense in the header": {statuses: []int{503, 200}, after: "soon", calls: 2, last: 200, least: 250 * time.Millisecond, most: 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{statuses: test.statuses, after: test.after}
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://hub.example.com/", strings.NewReader("body"))
				if err != nil {
					t.Fatal(err)
				}
				res, err := Do(&http.Client{Transport: s}, r, 4)
				if err != nil || res.StatusCode != test.last || len(s.times) != test.calls {
					t.Fatalf("Do = %v, %v after %d calls, want status %d after %d", res, err, len(s.times), test.last, test.calls)
				}
				_ = res.Body.Close()
				for i, body := range s.bodies {
					if body != "body" {
						t.Errorf("call %d had the body %q, want all of it", i, body)
					}
				}
				if test.calls > 1 {
					if wait := s.times[1].Sub(s.times[0]); wait < test.least || wait > test.most {
						t.Errorf("the first wait was %v, want %v to %v", wait, test.least, test.most)
					}
				}
			})
		})
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://hub.example.com/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Do(&http.Client{Transport: &script{statuses: []int{503}, after: "60"}}, r, 4) //nolint:bodyclose // there is no answer
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Do = %v, want the context's error", err)
		}
	})
}

func TestBackoffGrowsToItsLimit(t *testing.T) {
	b := Backoff{Least: time.Second, Most: 10 * time.Second}
	for try, seconds := range []int{1, 2, 4, 8, 10, 10, 10} {
		step := time.Duration(seconds) * time.Second
		if wait := b.Next(); wait < step/2 || wait > step {
			t.Errorf("wait %d is %v, want %v to %v", try, wait, step/2, step)
		}
	}
	b.Reset()
	if wait := b.Next(); wait > time.Second {
		t.Errorf("after Reset the wait is %v, want at most 1s", wait)
	}
}

func TestErrorsSayWhatToDoAndHoldNoURL(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	u := parse(t, "http://"+l.Addr().String()+"/?token=query-secret")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Do(client(t, Options{Only: u}), r, 1) //nolint:bodyclose // there is no answer
	e, ok := errors.AsType[*tocsin.Error](err)
	if !ok || e.Kind != tocsin.Busy || e.Hint == "" || !strings.Contains(e.Message, "refused") || strings.Contains(err.Error(), "secret") {
		t.Errorf("Do = %v, want that the connection was refused, a hint and no URL", err)
	}
}

package hub

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin"
)

// start runs a hub on a free port until the test ends.
func start(t testing.TB, data string) Started {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan Started, 1), make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{Data: data, Listen: "127.0.0.1:0", Ready: func(s Started) { ready <- s }})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v, want an orderly end", err)
		}
	})
	select {
	case s := <-ready:
		return s
	case err := <-ended:
		t.Fatalf("Run = %v before it answered", err)
	case <-time.After(time.Minute):
		t.Fatal("the hub does not answer")
	}
	return Started{}
}

func get(t *testing.T, url, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultTransport.RoundTrip(r) //nolint:forbidigo // a test that talks to its own hub
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func TestAHubNeedsNoConfiguration(t *testing.T) {
	data := t.TempDir() + "/new"
	s := start(t, data)
	if s.OperatorToken == "" || s.VerifierKey == "" {
		t.Fatalf("Started = %+v, want a token and a key on the first start", s)
	}
	for path, want := range map[string]int{"/": 200, "/healthz": 200, "/readyz": 200, "/log/checkpoint": 200, "/log/key": 200, "/taxii2/": 401, "/api/v1/me": 401, "/nothing": 401} {
		if got, body := get(t, s.URL+path, ""); got != want {
			t.Errorf("GET %s without a token = %d %s, want %d", path, got, body, want)
		}
	}
	for path, want := range map[string]int{"/taxii2/": 200, "/api/v1/me": 200, "/nothing": 404, "/nothing/collections/": 404} {
		if got, body := get(t, s.URL+path, s.OperatorToken); got != want {
			t.Errorf("GET %s as operator = %d %s, want %d", path, got, body, want)
		}
	}
}

func TestTheTokenIsShownOnce(t *testing.T) {
	data := t.TempDir()
	var first Started
	t.Run("first start", func(t *testing.T) { first = start(t, data) })
	t.Run("second start", func(t *testing.T) {
		second := start(t, data)
		if second.OperatorToken != "" {
			t.Error("the second start made another operator token")
		}
		if second.VerifierKey != first.VerifierKey {
			t.Error("the ledger's key changed")
		}
		if got, _ := get(t, second.URL+"/api/v1/me", first.OperatorToken); got != 200 {
			t.Errorf("GET /api/v1/me with the first token = %d, want 200", got)
		}
	})
}

func TestTwoHubsDoNotShareAFolder(t *testing.T) {
	data := t.TempDir()
	start(t, data)
	if err := Run(t.Context(), Options{Data: data, Listen: "127.0.0.1:0"}); err == nil {
		t.Error("a second hub started on the same data folder")
	}
}

// TestAKeyBeginsNoSecondLedger loses the database of a hub.
func TestAKeyBeginsNoSecondLedger(t *testing.T) {
	data := t.TempDir()
	t.Run("first start", func(t *testing.T) { start(t, data) })
	files, err := filepath.Glob(filepath.Join(data, "hub.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, f := range files {
		if err := os.Rename(f, filepath.Join(t.TempDir(), "lost")); err != nil {
			t.Fatal(err)
		}
	}
	err = Run(t.Context(), Options{Data: data, Listen: "127.0.0.1:0"})
	if refused, ok := errors.AsType[*tocsin.Error](err); !ok || refused.Kind != tocsin.Busy || !strings.Contains(refused.Hint, "backup") {
		t.Errorf("Run = %v, want a refusal that says what to do", err)
	}
	if left, err := filepath.Glob(filepath.Join(data, "hub.db*")); err != nil || len(left) > 0 {
		t.Errorf("it has made %v, %v", left, err)
	}
}

func TestOthersAreNotSpokenToInTheClear(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.org:0"} {
		err := Run(t.Context(), Options{Data: t.TempDir(), Listen: address})
		if err == nil {
			t.Errorf("Run on %s without TLS = nil, want a refusal", address)
		}
	}
}

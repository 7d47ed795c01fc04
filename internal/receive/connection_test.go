package receive

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tocsin"
	"tocsin/internal/coding"
)

// sizes of answers: below, at and above every length from which they are sent
// in another way.
var sizes = []int{0, 1, 2047, 2048, 3000, 16<<10 - 1, 16 << 10, 130_000, 512 << 10, 1_300_000}

// answers serves texts of all sizes, by number, on connections as the hub has.
func answers(t *testing.T) (address string, texts [][]byte) {
	t.Helper()
	var compressor coding.Compressor
	random := rand.NewChaCha8([32]byte{})
	shared := make([]*coding.Text, len(sizes))
	for i, size := range sizes {
		text := make([]byte, size)
		_, _ = random.Read(text)
		texts, shared[i] = append(texts, text), compressor.Text(text, nil)
	}
	h := desk(io.Discard).Handler([]Route{{Method: "GET", Path: "/{n}/", May: Anyone, Do: func(w http.ResponseWriter, r *http.Request, _ tocsin.Member) error {
		var n int
		if _, err := fmt.Sscan(r.PathValue("n"), &n); err != nil {
			return notFound()
		}
		return Answer(w, http.StatusOK, "application/octet-stream", shared[n])
	}}})
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h, ConnContext: ConnContext, ReadHeaderTimeout: time.Minute}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(Whole(l)) }()
	t.Cleanup(func() { _ = server.Close(); <-ended })
	return l.Addr().String(), texts
}

func TestAnswersAreWholeOnAConnectionThatIsKept(t *testing.T) {
	address, texts := answers(t)
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	type asked struct {
		n      int
		method string
	}
	var all []asked
	var requests bytes.Buffer
	for range 7 { // often enough that texts are served from a file
		for n := range texts {
			for _, method := range []string{"GET", "HEAD"} {
				all = append(all, asked{n, method})
				fmt.Fprintf(&requests, "%s /%d/ HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer letmein\r\n\r\n", method, n)
			}
		}
	}
	written := make(chan error, 1)
	go func() { _, err := c.Write(requests.Bytes()); written <- err }() // all at once: they are pipelined
	r := bufio.NewReader(c)
	for i, a := range all {
		answer, err := http.ReadResponse(r, &http.Request{Method: a.method})
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if want := texts[a.n]; err != nil || answer.StatusCode != http.StatusOK || answer.ContentLength != int64(len(want)) {
			t.Fatalf("answer %d, %s: %d, length %d of %d, %v", i, a.method, answer.StatusCode, answer.ContentLength, len(want), err)
		} else if a.method == "GET" && !bytes.Equal(body, want) || a.method == "HEAD" && len(body) > 0 {
			t.Fatalf("answer %d, %s of %d bytes: other bytes came, %d of them", i, a.method, len(want), len(body))
		}
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}

func TestASlowReaderGetsTheWholeAnswer(t *testing.T) {
	address, texts := answers(t)
	for range 6 {
		for n, want := range texts {
			c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(c, "GET /%d/ HTTP/1.0\r\nAuthorization: Bearer letmein\r\n\r\n", n)
			if n == len(texts)-1 || len(want) == 512<<10 {
				time.Sleep(5 * time.Millisecond) // what the system takes is full by then: the hub has to wait
			}
			all, err := io.ReadAll(c)
			_ = c.Close()
			if _, body, _ := strings.Cut(string(all), "\r\n\r\n"); err != nil || body != string(want) {
				t.Fatalf("of %d bytes %d came, %v", len(want), len(body), err)
			}
		}
	}
}

func TestAReaderThatGoesAwayHarmsNobody(t *testing.T) {
	address, texts := answers(t)
	largest := len(texts) - 1
	for i := range 40 {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET /%d/ HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer letmein\r\n\r\n", largest-i%3)
		_, _ = io.ReadFull(c, make([]byte, 100))
		_ = c.Close()
	}
	for n, want := range texts {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://%s/%d/", address, n), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer letmein")
		answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || !bytes.Equal(body, want) {
			t.Fatalf("of %d bytes %d came, %v", len(want), len(body), err)
		}
	}
}

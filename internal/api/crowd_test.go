package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin"
	"tocsin/internal/distribute"
	"tocsin/internal/hub/hubtest"
	"tocsin/internal/view"
)

func TestStreamsAreLimited(t *testing.T) {
	c := newCrowd(3, 2)
	who := func(token string) tocsin.Member { return tocsin.Member{Token: token} }
	enter := func(token string, want tocsin.Kind) func() {
		t.Helper()
		leave, err := c.enter(who(token))
		if got := kindOf(err); got != want {
			t.Fatalf("enter(%s) = %v, want kind %d", token, err, want)
		}
		return leave
	}
	first := enter("a", 0)
	enter("a", 0)
	enter("a", tocsin.TooMany)
	other := enter("b", 0)
	enter("c", tocsin.Busy)
	first()
	enter("c", 0)
	enter("a", tocsin.Busy)
	other()
	enter("a", 0)
	if len(c.each) != 2 {
		t.Errorf("tokens without a stream are remembered: %v", c.each)
	}
}

func kindOf(err error) tocsin.Kind {
	if e, ok := err.(*tocsin.Error); ok { //nolint:errorlint // it is made there
		return e.Kind
	}
	return 0
}

func TestAStreamTooManyIsToldWhenToComeBack(t *testing.T) {
	s := serve(t)
	s.server.crowd = newCrowd(2, 1)
	server := s.listen(t)
	ask := func(as string) (status int, retryAfter string, end func()) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+indicators+"stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("", s.Tokens[as])
		res, err := server.Client().Do(r) //nolint:bodyclose // end closes it
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, res.Header.Get("Retry-After"), func() { cancel(); _ = res.Body.Close() }
	}
	status, _, end := ask(hubtest.Reader)
	if status != http.StatusOK {
		t.Fatalf("GET = %d", status)
	}
	status, retry, done := ask(hubtest.Reader)
	done()
	if status != http.StatusTooManyRequests || retry == "" {
		t.Errorf("the second of a token = %d with Retry-After %q, want 429", status, retry)
	}
	_, _, endOther := ask(hubtest.Writer)
	status, retry, done = ask(hubtest.Curator)
	done()
	if status != http.StatusServiceUnavailable || retry == "" {
		t.Errorf("one too many = %d with Retry-After %q, want 503", status, retry)
	}
	end()
	endOther()
	for {
		status, _, done := ask(hubtest.Curator)
		done()
		if status == http.StatusOK { // as soon as the hub has seen that the others went
			break
		}
	}
}

// On HTTP/2 a write deadline that passes resets the stream, also when nothing
// is being written.
func TestAQuietStreamLastsOnHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := fake(t, feed{follow: func(ctx context.Context, yield func(distribute.News, error) bool) {
			for seq := int64(1); seq <= 3; seq++ {
				select {
				case <-time.After(time.Hour):
				case <-ctx.Done():
					return
				}
				if !yield(distribute.News{Objects: []view.Object{rendered(t, seq, fmt.Sprint(seq))}, Position: seq}, nil) {
					return
				}
			}
		}}, io.Discard)
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		client, server := net.Pipe()
		listener := &once{conn: server, closed: make(chan struct{})}
		hub := &http.Server{Handler: h, WriteTimeout: time.Minute, Protocols: &protocols}
		var running sync.WaitGroup
		running.Go(func() { _ = hub.Serve(listener) })
		transport := &http.Transport{
			Protocols: &protocols,
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				return client, nil
			},
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://hub"+indicators+"stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("", "x")
		res, err := transport.RoundTrip(r)
		if err != nil || res.ProtoMajor != 2 {
			t.Fatalf("answer = %+v, %v, want one on HTTP/2", res, err)
		}
		var got []string
		for e := range readEvents(res.Body) {
			got = append(got, e.data)
		}
		_ = res.Body.Close()
		if !slices.Equal(got, []string{"1", "2", "3"}) {
			t.Errorf("stream = %v, want all three", got)
		}
		transport.CloseIdleConnections()
		_ = hub.Close()
		_ = client.Close()
		running.Wait()
	})
}

// readCut reads whole events of a stream out of its first bytes, as if the
// connection broke there, or up to the event that has end in it.
func (s *served) readCut(ctx context.Context, url, as, last, end string, bytes int64) ([]event, int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+indicators+"stream", nil)
	if err != nil {
		return nil, 0, err
	}
	r.SetBasicAuth("", s.Tokens[as])
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := transport.RoundTrip(r)
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close()
	var events []event
	for e := range readEvents(bufio.NewReader(io.LimitReader(res.Body, bytes))) {
		events = append(events, e)
		if strings.Contains(e.data, end) {
			break
		}
	}
	return events, res.StatusCode, nil
}

// RELIABILITY R10, on sockets: connections break at any byte, objects are for
// one reader or all, some are withdrawn. Each reader has what it may see, once
// and in order.
func TestStreamsThatBreakAtAnyByteLoseNothing(t *testing.T) {
	s := serve(t)
	server := s.listen(t)
	const total = 80
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	type seen struct {
		numbers   []string
		withdrawn map[string]bool
	}
	readers := map[string]*seen{hubtest.Reader: {}, hubtest.Colleague: {}, hubtest.Agency: {}}
	end := fmt.Sprintf("%q", hubtest.ID("indicator", total))
	var reading sync.WaitGroup
	for as, got := range readers {
		got.withdrawn = map[string]bool{}
		reading.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(len(as)), 2))
			last := ""
			for ctx.Err() == nil {
				events, status, err := s.readCut(ctx, server.URL, as, last, end, 100+rng.Int64N(5000))
				if err != nil || status != http.StatusOK {
					if ctx.Err() == nil {
						t.Errorf("%s: %d, %v", as, status, err)
					}
					return
				}
				for _, e := range events {
					last = e.id
					if strings.Contains(e.data, end) {
						return
					}
					id := e.data[strings.Index(e.data, "indicator--"):]
					id = id[:strings.IndexByte(id, '"')]
					if e.kind == "withdrawn" {
						got.withdrawn[id] = true
					} else {
						got.numbers = append(got.numbers, id)
					}
				}
			}
		})
	}
	who, err := s.Directory.Authenticate(ctx, s.Tokens[hubtest.Writer])
	if err != nil {
		t.Fatal(err)
	}
	gone := map[string]bool{}
	for n := range total {
		var to []string
		if n%4 == 1 {
			to = []string{"delta"}
		}
		s.Share(t, hubtest.Writer, to, hubtest.Indicator(n, 1))
		if n%10 == 9 {
			id := hubtest.ID("indicator", n-3)
			gone[id] = true
			if _, err := s.Withdrawer.Withdraw(ctx, who, "finance", "indicators", id, distribute.Which{All: true}); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(total, 1))
	reading.Wait()
	if ctx.Err() != nil {
		t.Fatal("the streams did not come to an end")
	}
	for as, got := range readers {
		var want, have []string
		for n := range total {
			if id := hubtest.ID("indicator", n); !gone[id] && (n%4 != 1 || as == hubtest.Colleague) {
				want = append(want, id)
			}
		}
		for _, id := range got.numbers {
			if gone[id] && !got.withdrawn[id] {
				t.Errorf("%s was given %s and never told that it was withdrawn", as, id)
			}
			if !gone[id] {
				have = append(have, id)
			}
		}
		if !slices.Equal(have, want) {
			t.Errorf("%s has %d objects, want %d, each once and in order:\n%v", as, len(have), len(want), have)
		}
	}
}

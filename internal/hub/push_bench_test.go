package hub

import (
	"bytes"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// subscribers is the size of the crowd that the promise speaks of.
const subscribers = 5000

// A crowd is many subscribers that count events, with as little of their own as
// can be: what is measured is the hub.
type crowd struct {
	conns   []net.Conn
	reading sync.WaitGroup
	opened  sync.WaitGroup

	mu    sync.Mutex
	times []time.Time // of the events of the round, over all subscribers
	want  int
	full  chan struct{}
}

// gather opens count streams with a request; marker is what every event
// has once, and opening what the answer has once.
func gather(b *testing.B, address, request, opening, marker string, count int) *crowd {
	b.Helper()
	c := &crowd{}
	for range count {
		conn, err := net.Dial("tcp", address) //nolint:forbidigo // a test that talks to its own hub
		if err != nil {
			b.Fatal(err)
		}
		c.conns = append(c.conns, conn)
		c.opened.Add(1)
		c.reading.Go(func() { c.listen(conn, []byte(opening), []byte(marker)) })
		if _, err := conn.Write([]byte(request)); err != nil {
			b.Fatal(err)
		}
	}
	c.opened.Wait()
	b.Cleanup(func() {
		for _, conn := range c.conns {
			_ = conn.Close()
		}
		c.reading.Wait()
	})
	return c
}

func (c *crowd) listen(conn net.Conn, opening, marker []byte) {
	waiting := true
	var buffer [2048]byte
	kept := 0
	for {
		n, err := conn.Read(buffer[kept:])
		if err != nil {
			if waiting {
				c.opened.Done()
			}
			return
		}
		text := buffer[:kept+n]
		if waiting {
			at := bytes.Index(text, opening)
			if at < 0 {
				kept = copy(buffer[:], text[max(0, len(text)-len(opening)):])
				continue
			}
			waiting = false
			c.opened.Done()
			text = text[at+len(opening):]
		}
		for {
			at := bytes.Index(text, marker)
			if at < 0 {
				break
			}
			c.got()
			text = text[at+len(marker):]
		}
		kept = copy(buffer[:], text[max(0, len(text)-len(marker)+1):])
	}
}

func (c *crowd) got() {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times = append(c.times, now)
	if len(c.times) == c.want {
		close(c.full)
	}
}

// expect begins a round that ends when so many events came.
func (c *crowd) expect(events int) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times, c.want, c.full = c.times[:0], events, make(chan struct{})
	return c.full
}

// inUse is how much memory the process has in use, in bytes.
func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// bare is what a subscriber costs its own side: connected to nobody who keeps
// anything.
func bare(b *testing.B, count int) uint64 {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var held []net.Conn
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("ready"))
			held = append(held, conn)
		}
	})
	before := inUse()
	c := gather(b, listener.Addr().String(), "x", "ready", "event: object", count)
	after := inUse()
	for _, conn := range append(c.conns, held...) {
		_ = conn.Close()
	}
	c.reading.Wait()
	_ = listener.Close()
	serving.Wait()
	return (after - before) / uint64(count)
}

func streamRequest(w world, token string) string {
	return "GET /api/v1/communities/finance/collections/alerts/stream?from=now HTTP/1.1\r\nHost: " + w.Addr.String() +
		"\r\nAuthorization: Bearer " + token + "\r\nAccept: text/event-stream\r\n\r\n"
}

// BenchmarkPush measures how long after the acknowledgement of one object the
// last of 5,000 subscribers has it, and what a subscriber costs while nothing
// happens.
func BenchmarkPush(b *testing.B) {
	own := bare(b, subscribers)
	w := begin(b)
	before := inUse()
	c := gather(b, w.Addr.String(), streamRequest(w, w.reader), ": tocsin", "event: object", subscribers)
	idle := (inUse()-before)/subscribers - own
	var serial atomic.Int64
	var last, all []time.Duration
	for b.Loop() {
		full := c.expect(subscribers)
		status, answer := call(b, http.MethodPost, w.URL+"/finance/collections/alerts/objects/", w.writer, envelope(&serial, 1))
		acknowledged := time.Now()
		if status != http.StatusAccepted {
			b.Fatalf("POST = %d %.200s", status, answer)
		}
		<-full
		worst := time.Duration(0)
		for _, at := range c.times {
			took := max(0, at.Sub(acknowledged)) // some have it before the writer has its answer
			all = append(all, took)
			worst = max(worst, took)
		}
		last = append(last, worst)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(milliseconds(last, 50), "p50-last-ms")
	b.ReportMetric(milliseconds(last, 99), "p99-last-ms")
	b.ReportMetric(milliseconds(all, 50), "p50-ms")
	b.ReportMetric(milliseconds(all, 99), "p99-ms")
	b.ReportMetric(float64(idle), "B/idle-subscriber")
}

// milliseconds returns a percentile of durations.
func milliseconds(d []time.Duration, percent int) float64 {
	slices.Sort(d)
	return d[min(len(d)-1, len(d)*percent/100)].Seconds() * 1000
}

// BenchmarkPushToAnInstitution has every subscriber read for a government, so
// that every delivery is on the ledger first.
func BenchmarkPushToAnInstitution(b *testing.B) {
	w := begin(b)
	document := `{"organizations":[{"name":"bureau","kind":"government","users":[{"name":"u","tokens":[{"name":"watch","purpose":"cybersecurity"}]}]}],` +
		`"communities":[{"name":"finance","members":[{"organization":"bureau","role":"reader"}]}]}`
	status, answer := call(b, http.MethodPost, w.URL+"/api/v1/network", w.OperatorToken, []byte(document))
	if status != http.StatusOK {
		b.Fatalf("POST network = %d %s", status, answer)
	}
	token := answer[strings.Index(answer, "tcs_"):]
	token = token[:strings.IndexByte(token, '"')]
	c := gather(b, w.Addr.String(), streamRequest(w, token), ": tocsin", "event: object", subscribers)
	var serial atomic.Int64
	var last []time.Duration
	for b.Loop() {
		full := c.expect(subscribers)
		status, answer := call(b, http.MethodPost, w.URL+"/finance/collections/alerts/objects/", w.writer, envelope(&serial, 1))
		acknowledged := time.Now()
		if status != http.StatusAccepted {
			b.Fatalf("POST = %d %.200s", status, answer)
		}
		select {
		case <-full:
		case <-time.After(30 * time.Second):
			b.Fatalf("%d of %d had the object after 30 s", len(c.times), subscribers)
		}
		last = append(last, slices.MaxFunc(c.times, time.Time.Compare).Sub(acknowledged))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(milliseconds(last, 50), "p50-last-ms")
	b.ReportMetric(milliseconds(last, 99), "p99-last-ms")
}

// BenchmarkPushUnderLoad has 5,000 subscribers while a writer sends batch after
// batch of 100: what the crowd is given in all.
func BenchmarkPushUnderLoad(b *testing.B) {
	w := begin(b)
	c := gather(b, w.Addr.String(), streamRequest(w, w.reader), ": tocsin", "event: object", subscribers/5)
	var serial atomic.Int64
	given := 0
	for b.Loop() {
		full := c.expect(subscribers / 5 * 100)
		if status, answer := call(b, http.MethodPost, w.URL+"/finance/collections/alerts/objects/", w.writer, envelope(&serial, 100)); status != http.StatusAccepted {
			b.Fatalf("POST = %d %.200s", status, answer)
		}
		<-full
		given += subscribers / 5 * 100
	}
	b.ReportMetric(float64(given)/b.Elapsed().Seconds(), "deliveries/s")
}

// BenchmarkPushBesideTheDeaf has 1,000 subscribers that never read beside 1,000
// that do: what one of them costs while it is not cut off yet, all it has
// included, and how long the last of the others waits.
func BenchmarkPushBesideTheDeaf(b *testing.B) {
	const deaf = 1000
	for b.Loop() {
		w := begin(b)
		before := inUse()
		for range deaf {
			conn, err := net.Dial("tcp", w.Addr.String()) //nolint:forbidigo // a test that talks to its own hub
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = conn.Close() })
			_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
			if _, err := conn.Write([]byte(streamRequest(w, w.reader))); err != nil {
				b.Fatal(err)
			}
		}
		time.Sleep(time.Second) // they are subscribed
		var serial atomic.Int64
		share := func(count int) {
			if status, answer := call(b, http.MethodPost, w.URL+"/finance/collections/alerts/objects/", w.writer, envelope(&serial, count)); status != http.StatusAccepted {
				b.Fatalf("POST = %d %.200s", status, answer)
			}
		}
		share(300) // 400 kB: more than the system takes for them
		time.Sleep(2 * time.Second)
		b.ReportMetric(float64(inUse()-before)/deaf, "B/deaf-subscriber")
		c := gather(b, w.Addr.String(), streamRequest(w, w.reader), ": tocsin", "event: object", deaf)
		full := c.expect(deaf)
		share(1)
		acknowledged := time.Now()
		<-full
		b.ReportMetric(float64(time.Since(acknowledged).Microseconds())/1000, "last-ms")
	}
	b.ReportMetric(0, "ns/op")
}

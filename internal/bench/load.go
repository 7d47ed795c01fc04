package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A call is one HTTP/1.1 request, written out whole, and the status that its
// answer must have.
type call struct {
	text []byte
	want int
}

// newCall writes a request down. Headers come in pairs of name and value.
func newCall(method, host, target string, body []byte, want int, headers ...string) call {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, host)
	for i := 0; i+1 < len(headers); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", headers[i], headers[i+1])
	}
	if body != nil {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	return call{b.Bytes(), want}
}

// An answer is what the generator reads of a response: the body is counted and
// thrown away, unless it was asked for.
type answer struct {
	status int
	bytes  int64  // of the body
	zipped bool   // Content-Encoding: gzip
	etag   string // as it came
	body   []byte // only if it was asked for
}

// A wire is one connection that is kept alive. It does as little as it can, as
// wrk does: on two cores, what the generator spends the server lacks.
type wire struct {
	conn net.Conn
	r    *bufio.Reader
}

// answerTime is how long an answer may take.
const answerTime = 30 * time.Second

func dial(ctx context.Context, address string) (*wire, error) {
	conn, err := (&net.Dialer{Timeout: answerTime}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	return &wire{conn, bufio.NewReaderSize(conn, 64<<10)}, nil
}

// do makes a call and reads the answer to its end.
func (w *wire) do(c call, keep, details bool) (answer, error) {
	if _, err := w.conn.Write(c.text); err != nil {
		return answer{}, fmt.Errorf("write: %w", err)
	}
	a, length, err := w.head(details || keep)
	if err != nil {
		return answer{}, err
	}
	if a.status == 304 || a.status == 204 {
		return a, nil
	}
	to := io.Discard
	var kept bytes.Buffer
	if keep {
		to = &kept
	}
	if a.bytes, err = w.body(to, length); err != nil {
		return answer{}, err
	}
	a.body = kept.Bytes()
	return a, nil
}

// chunked stands for a body of which no length is known.
const chunked = -1

// head reads a response's head. Names are compared only as far as needed.
func (w *wire) head(details bool) (a answer, length int64, err error) {
	line, err := w.r.ReadSlice('\n')
	if err != nil {
		return a, 0, fmt.Errorf("read: %w", err)
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return a, 0, errors.New("the answer is not HTTP/1.1")
	}
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return a, 0, fmt.Errorf("status: %w", err)
	}
	for {
		line, err = w.r.ReadSlice('\n')
		if err != nil {
			return a, 0, fmt.Errorf("read: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return a, length, nil
		}
		switch {
		case named(line, "content-length:"):
			if length, err = strconv.ParseInt(value(line), 10, 63); err != nil {
				return a, 0, fmt.Errorf("content length: %w", err)
			}
		case named(line, "transfer-encoding:"):
			length = chunked
		case details && named(line, "content-encoding:"):
			a.zipped = value(line) == "gzip"
		case details && named(line, "etag:"):
			a.etag = value(line)
		}
	}
}

func named(line []byte, name string) bool {
	return len(line) >= len(name) && line[len(name)-1] == ':' && bytes.EqualFold(line[:len(name)], []byte(name))
}

func value(line []byte) string {
	_, v, _ := bytes.Cut(line, []byte{':'})
	return string(bytes.TrimSpace(v))
}

// body reads a body of a known length, or in chunks (RFC 9112 §7.1).
func (w *wire) body(to io.Writer, length int64) (int64, error) {
	if length != chunked {
		return w.copy(to, length)
	}
	var total int64
	for {
		line, err := w.r.ReadSlice('\n')
		if err != nil {
			return total, fmt.Errorf("read: %w", err)
		}
		size, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 63)
		if err != nil {
			return total, fmt.Errorf("chunk: %w", err)
		}
		if size > 0 {
			n, err := w.copy(to, size)
			if err != nil {
				return total, err
			}
			total += n
		}
		if _, err := w.r.Discard(2); err != nil {
			return total, fmt.Errorf("read: %w", err)
		}
		if size == 0 {
			return total, nil
		}
	}
}

func (w *wire) copy(to io.Writer, length int64) (int64, error) {
	if to == io.Discard {
		n, err := w.r.Discard(int(length))
		if err != nil {
			return int64(n), fmt.Errorf("read: %w", err)
		}
		return int64(n), nil
	}
	n, err := io.CopyN(to, w.r, length)
	if err != nil {
		return n, fmt.Errorf("read: %w", err)
	}
	return n, nil
}

// A Measure is what a stretch of load showed.
type Measure struct {
	Requests int           // answered as they should be
	Errors   int           // answered otherwise, or not at all
	Bytes    int64         // of bodies
	Took     time.Duration // of the whole stretch
	times    []time.Duration
	failure  string // the first thing that went wrong
}

// perSecond returns requests a second.
func (m Measure) perSecond() float64 { return float64(m.Requests) / max(m.Took.Seconds(), 1e-9) }

// quantile returns the latency that a part q of the requests kept below; times
// must be sorted.
func (m Measure) quantile(q float64) time.Duration {
	if len(m.times) == 0 {
		return 0
	}
	return m.times[min(len(m.times)-1, int(q*float64(len(m.times))))]
}

// drive sends calls from so many connections, each one after the other, for a
// time or until next has no more. next is told the connection and how many
// calls it made, and is not shared between connections.
func drive(ctx context.Context, address string, connections int, d time.Duration, next func(connection, n int) (call, bool)) Measure {
	results := make([]Measure, connections)
	began := time.Now()
	var running sync.WaitGroup
	for i := range connections {
		running.Go(func() { results[i] = one(ctx, address, began.Add(d), func(n int) (call, bool) { return next(i, n) }) })
	}
	running.Wait()
	total := Measure{Took: time.Since(began)}
	for _, r := range results {
		total.Requests, total.Errors, total.Bytes = total.Requests+r.Requests, total.Errors+r.Errors, total.Bytes+r.Bytes
		total.times = append(total.times, r.times...)
		if total.failure == "" {
			total.failure = r.failure
		}
	}
	slices.Sort(total.times)
	return total
}

// one drives one connection. After the first error it stops: a benchmark with
// errors measures nothing.
func one(ctx context.Context, address string, until time.Time, next func(n int) (call, bool)) (m Measure) {
	w, err := dial(ctx, address)
	if err != nil {
		return Measure{Errors: 1, failure: err.Error()}
	}
	defer func() { _ = w.conn.Close() }() // every answer was read
	_ = w.conn.SetDeadline(until.Add(answerTime))
	m.times = make([]time.Duration, 0, 1<<14)
	for n := 0; ctx.Err() == nil; n++ {
		began := time.Now()
		if !began.Before(until) {
			break
		}
		c, ok := next(n)
		if !ok {
			break
		}
		a, err := w.do(c, false, false)
		if err == nil && a.status != c.want {
			err = fmt.Errorf("the answer was %d, not %d", a.status, c.want)
		}
		if err != nil {
			m.Errors++
			m.failure = err.Error()
			break
		}
		m.Requests++
		m.Bytes += a.bytes
		m.times = append(m.times, time.Since(began))
	}
	return m
}

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// subscribeAtOnce is how many subscribers connect at the same time.
const subscribeAtOnce = 16

// A delivery is one object at one subscriber.
type delivery struct {
	subscriber int
	at         time.Time
}

// push subscribes many readers to the collection, posts one object after the
// other, and measures from each acknowledgement to every subscriber.
func (s *session) push(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	arrived := make(chan delivery, s.Subscribers)
	if err := s.subscribe(ctx, &running, arrived); err != nil {
		return err
	}
	w, err := dial(ctx, s.hub.address)
	if err != nil {
		return err
	}
	defer func() { _ = w.conn.Close() }() // every answer was read
	var each, last []time.Duration
	for began := time.Now(); time.Since(began) < s.Duration || len(last) == 0; {
		c := s.envelopeCall(1)
		a, err := w.do(c, false, false)
		acknowledged := time.Now()
		if err != nil || a.status != c.want {
			return errors.Join(err, fmt.Errorf("the answer was %d", a.status))
		}
		latest := time.Duration(0)
		timeout := time.NewTimer(answerTime)
		for n := range s.Subscribers {
			select {
			case d := <-arrived:
				took := max(0, d.at.Sub(acknowledged)) // it may overtake the acknowledgement
				each = append(each, took)
				latest = max(latest, took)
			case <-timeout.C:
				return fmt.Errorf("%d of %d subscribers did not get an object in %s", s.Subscribers-n, s.Subscribers, answerTime)
			case <-ctx.Done():
				return ctx.Err() //nolint:wrapcheck // callers compare it
			}
		}
		timeout.Stop()
		last = append(last, latest)
	}
	slices.Sort(each)
	slices.Sort(last)
	every, final := Measure{times: each}, Measure{times: last}
	s.report(Row{
		Workload: "push", Unit: "ms (p99)", Value: ms(every.quantile(0.99)), P50: ms(every.quantile(0.5)), P99: ms(every.quantile(0.99)),
		Note: fmt.Sprintf("%d subscribers, %d objects; to the last of them p50 %.1f ms, p99 %.1f ms", s.Subscribers, len(last), ms(final.quantile(0.5)), ms(final.quantile(0.99))),
	})
	return nil
}

// subscribe opens the streams and returns when each has begun. Every
// subscriber reports each object.
func (s *session) subscribe(ctx context.Context, running *sync.WaitGroup, arrived chan<- delivery) error {
	request := newCall("GET", s.hub.address, "/api/v1/communities/bench/collections/indicators/stream/?from=now", nil, 200,
		"Authorization", "Bearer "+s.reader, "Accept", "text/event-stream").text
	slots := make(chan struct{}, subscribeAtOnce)
	begun := make(chan error, s.Subscribers)
	for i := range s.Subscribers {
		slots <- struct{}{}
		running.Go(func() {
			conn, err := (&net.Dialer{Timeout: answerTime}).DialContext(ctx, "tcp", s.hub.address)
			if err == nil {
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // ends the read
				_, err = conn.Write(request)
			}
			if err != nil {
				<-slots
				begun <- fmt.Errorf("subscribe: %w", err)
				return
			}
			watch(conn, func(err error) { <-slots; begun <- err }, func() {
				select {
				case arrived <- delivery{i, time.Now()}:
				case <-ctx.Done():
				}
			})
		})
	}
	for range s.Subscribers {
		select {
		case err := <-begun:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // callers compare it
		}
	}
	return nil
}

// watch reads a stream and reports its beginning once and each object in it.
// It looks for the events' names only: a subscriber of the benchmark must cost
// less than one that the hub serves.
func watch(conn net.Conn, begun func(error), object func()) {
	marker := []byte("event: object\n")
	buffer := make([]byte, 4<<10)
	started, kept := false, 0
	for {
		n, err := conn.Read(buffer[kept:])
		if err != nil {
			if !started {
				begun(fmt.Errorf("subscribe: %w", err))
			}
			return
		}
		seen := buffer[:kept+n]
		if !started {
			if bytes.HasPrefix(seen, []byte("HTTP/1.1 ")) && !bytes.HasPrefix(seen, []byte("HTTP/1.1 200")) {
				begun(fmt.Errorf("subscribe: the answer was %.12s", seen))
				return
			}
			started = true
			begun(nil)
		}
		for range bytes.Count(seen, marker) {
			object()
		}
		kept = copy(buffer, tail(seen, marker))
	}
}

// tail returns what of the end of text may be the beginning of a marker.
func tail(text, marker []byte) []byte {
	for n := min(len(marker)-1, len(text)); n > 0; n-- {
		if bytes.HasPrefix(marker, text[len(text)-n:]) {
			return text[len(text)-n:]
		}
	}
	return nil
}

// Package scan looks through logs for indicators, with all processors, and says where each stands.
package scan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"tocsin/internal/logs"
	"tocsin/internal/match"
)

// A Hit is a place in a log where an indicator's value stands.
type Hit struct {
	Indicator string // its id, or its value when it has none
	Value     match.Value
	Found     string    // what stands in the log; it is anybody's text
	Line      int64     // from 1
	Offset    int64     // of Found in the log, decompressed, in bytes
	Time      time.Time // when the event happened; zero when the log does not say
	Field     string    // of the event; "text" when it has none
}

// Stats are about a whole log.
type Stats struct {
	Format logs.Format
	Bytes  int64 // decompressed
	Lines  int64
	Hits   int64
}

// A piece is a chunk on its way through a searcher.
type piece struct {
	logs.Chunk

	hits  []Hit
	lines int64
	done  chan struct{}
}

// Run looks through a log to its end and calls found for every hit, in order.
// What a damaged log has before the damage is looked through; then Run returns
// the error.
func Run(ctx context.Context, set *match.Set, r io.Reader, found func(Hit) error) (Stats, error) {
	source, err := logs.NewSource(r)
	if err != nil {
		return Stats{}, err //nolint:wrapcheck // it says what is wrong with the log
	}
	defer source.Close()
	ctx, cancel := context.WithCancel(ctx)
	stats := Stats{Format: source.Format}
	workers := runtime.GOMAXPROCS(0)
	work, order := make(chan *piece, workers), make(chan *piece, 2*workers)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for range workers {
		running.Go(func() {
			for p := range work {
				p.hits, p.lines = Search(set, source.Format, p.Chunk)
				close(p.done)
			}
		})
	}
	var readError error
	running.Go(func() {
		defer close(order)
		defer close(work)
		for {
			c, err := source.Next()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					readError = err
				}
				return
			}
			p := &piece{Chunk: c, done: make(chan struct{})}
			select {
			case <-ctx.Done():
				return
			case order <- p:
			}
			work <- p
		}
	})
	for p := range order {
		select {
		case <-p.done:
		case <-ctx.Done():
			return stats, ctx.Err() //nolint:wrapcheck // told apart by the caller
		}
		for _, h := range p.hits {
			h.Line += stats.Lines
			if err := found(h); err != nil {
				return stats, fmt.Errorf("hit: %w", err)
			}
			stats.Hits++
		}
		stats.Bytes += int64(len(p.Text))
		stats.Lines += p.lines
	}
	if err := ctx.Err(); err != nil {
		return stats, err //nolint:wrapcheck // told apart by the caller
	}
	return stats, readError
}

// Search looks through some whole lines of a log and returns the hits and how
// many lines there are; the hits count lines from the chunk's first. Only lines
// with hits are taken apart. Nothing may change the set meanwhile.
func Search(set *match.Set, format logs.Format, c logs.Chunk) (hits []Hit, total int64) {
	text := c.Text
	total = int64(bytes.Count(text, []byte{'\n'}))
	if n := len(text); n > 0 && text[n-1] != '\n' {
		total++
	}
	counted, lines := 0, int64(1)
	start, end := 0, -1 // of the line that is taken apart
	var event logs.Event
	for _, h := range set.AppendParts(nil, text) {
		if h.Offset >= end {
			lines += int64(bytes.Count(text[counted:h.Offset], []byte{'\n'}))
			counted = h.Offset
			start = bytes.LastIndexByte(text[:h.Offset], '\n') + 1
			if end = bytes.IndexByte(text[h.Offset:], '\n') + h.Offset; end < h.Offset {
				end = len(text)
			}
			header := logs.Header(format, text[:start], c.Header)
			event = logs.Parse(format, bytes.TrimSuffix(text[start:end], []byte{'\r'}), header)
		}
		line := text[start:end]
		field := event.At(h.Offset - start)
		if h.Part {
			port := event.Port(line, field)
			if _, want, ok := cutPort(h.Value.Text()); !ok || port != want {
				continue
			}
			field += ":port"
		}
		hits = append(hits, Hit{
			Indicator: h.ID, Value: h.Value, Found: string(text[h.Offset:h.End]), Line: lines, Offset: c.Offset + int64(h.Offset), Time: event.Time, Field: field,
		})
	}
	return hits, total
}

// cutPort takes an endpoint apart.
func cutPort(text string) (address, port string, ok bool) {
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] == ':' {
			return text[:i], text[i+1:], true
		}
	}
	return text, "", false
}

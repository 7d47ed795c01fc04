// Package scan looks through logs for indicators, with all processors, and says where each stands.
package scan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"

	"tocsin/internal/logs"
	"tocsin/internal/match"
	"tocsin/internal/observe"
)

// Sought is what to look for. Patterns may be nil, and so may be Events; then
// patterns that may take more than one event are not compared.
type Sought struct {
	Values   *match.Set
	Patterns *observe.Patterns
	Events   *observe.Window
}

// A Hit is a place in a log where an indicator's value stands.
type Hit struct {
	Indicator string // its id, or its value when it has none
	Value     match.Value
	Found     string    // what stands in the log; it is anybody's text
	Line      int64     // from 1
	Offset    int64     // of Found in the log, decompressed, in bytes
	Time      time.Time // when the event happened; zero when the log does not say
	Field     string    // of the event; "text" when it has none
	// Events is of how many events a pattern was matched, whose anchor Value is and
	// of which this is the last; 0 for a value by itself.
	Events int

	part *observe.Part // it is a match only if others were seen before
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
func Run(ctx context.Context, sought Sought, r io.Reader, found func(Hit) error) (Stats, error) {
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
				p.hits, p.lines = sought.Search(source.Format, p.Chunk)
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
		for _, h := range sought.Settle(p.hits) {
			h.Line += stats.Lines
			if err := found(h); err != nil {
				return stats, fmt.Errorf("hit: %w", err)
			}
			stats.Hits++
		}
		stats.Bytes += int64(len(p.Text))
		stats.Lines += p.lines
		source.Release(p.Chunk)
	}
	if err := ctx.Err(); err != nil {
		return stats, err //nolint:wrapcheck // told apart by the caller
	}
	return stats, readError
}

// Search looks through some whole lines of a log and returns the hits and how
// many lines there are; the hits count lines from the chunk's first. Only lines
// with hits are taken apart. [Sought.Settle] says which of the hits are any.
// Nothing may change what is sought meanwhile.
func (s Sought) Search(format logs.Format, c logs.Chunk) (hits []Hit, total int64) {
	text := c.Text
	total = int64(bytes.Count(text, []byte{'\n'}))
	if n := len(text); n > 0 && text[n-1] != '\n' {
		total++
	}
	l := line{sought: s, format: format, chunk: c, header: c.Header, number: 1, end: -1}
	for _, h := range s.Values.AppendParts(nil, text) {
		if h.Offset >= l.end {
			l.next(h.Offset)
		}
		if pattern, id, ok := s.Patterns.Anchored(h.ID); ok {
			hits = l.compare(hits, pattern, id, h)
			continue
		}
		field := l.parsed.At(h.Offset - l.start)
		if h.Part {
			port := l.parsed.Port(text[l.start:l.end], field)
			if _, want, ok := cutPort(h.Value.Text()); !ok || port != want {
				continue
			}
			field += ":port"
		}
		hits = append(hits, l.hit(h, h.ID, field))
	}
	return hits, total
}

// Settle returns the hits that are any, in their order: of an event that a
// pattern asks for beside others, whether those were seen. It has to be called
// with the hits of each piece of a log in turn.
func (s Sought) Settle(hits []Hit) []Hit {
	kept := hits[:0]
	for _, h := range hits {
		if h.part != nil {
			if s.Events == nil {
				continue
			}
			if h.Events = s.Events.Add(*h.part); h.Events == 0 {
				continue
			}
			h.part = nil
		}
		kept = append(kept, h)
	}
	clear(hits[len(kept):])
	return kept
}

// A line is the one that is taken apart.
type line struct {
	sought     Sought
	format     logs.Format
	chunk      logs.Chunk
	start, end int // in the chunk's text
	number     int64
	counted    int    // up to where lines were counted
	header     []byte // names the fields of what begins at headed
	headed     int
	parsed     logs.Event
	event      *observe.Event // nil until a pattern asks
	asked      []string       // the indicators whose patterns were compared with it
}

// next takes the line apart that has a place.
func (l *line) next(offset int) {
	text := l.chunk.Text
	l.number += int64(bytes.Count(text[l.counted:offset], []byte{'\n'}))
	l.counted = offset
	l.start = bytes.LastIndexByte(text[:offset], '\n') + 1
	if l.end = bytes.IndexByte(text[offset:], '\n') + offset; l.end < offset {
		l.end = len(text)
	}
	l.header, l.headed = logs.Header(l.format, text[l.headed:l.start], l.header), l.start
	l.parsed = logs.Parse(l.format, bytes.TrimSuffix(text[l.start:l.end], []byte{'\r'}), l.header)
	l.event, l.asked = nil, l.asked[:0]
}

func (l *line) hit(h match.Hit, id, field string) Hit {
	return Hit{
		Indicator: id, Value: h.Value, Found: string(l.chunk.Text[h.Offset:h.End]), Line: l.number,
		Offset: l.chunk.Offset + int64(h.Offset), Time: l.parsed.Time, Field: field,
	}
}

// compare compares a pattern with the line that an anchor of it stands in,
// once.
func (l *line) compare(hits []Hit, p *observe.Pattern, id string, h match.Hit) []Hit {
	if p == nil || p.Events() && l.sought.Events == nil || slices.Contains(l.asked, id) {
		return hits
	}
	l.asked = append(l.asked, id)
	if l.event == nil {
		e := l.sought.Patterns.Event(l.format, bytes.TrimSuffix(l.chunk.Text[l.start:l.end], []byte{'\r'}), &l.parsed)
		l.event = &e
	}
	found := l.hit(h, id, l.parsed.At(h.Offset-l.start))
	var matched bool
	var err error
	if p.Events() {
		var part observe.Part
		part, matched, err = p.Part(l.event)
		found.part = &part
	} else {
		matched, err = p.Match(l.event)
		found.Events = 1
	}
	if err != nil && l.sought.Events != nil {
		l.sought.Events.Note(err)
	}
	if !matched {
		return hits
	}
	return append(hits, found)
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

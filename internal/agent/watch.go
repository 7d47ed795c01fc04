package agent

import (
	"context"
	"time"

	"tocsin/internal/logs"
	"tocsin/internal/scan"
)

// watch looks through a log until the context ends.
func (a *agent) watch(ctx context.Context, path string) {
	f := &follower{path: path, at: a.reports.place(path)}
	f.take = func(c logs.Chunk, format logs.Format, at place) { a.search(ctx, path, c, format, at) }
	defer f.close()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var said string
	for ctx.Err() == nil {
		more, err := f.look()
		switch {
		case err == nil:
			if !f.dull {
				said = ""
			}
		case err.Error() != said: // once, not ten times a second
			said = err.Error()
			a.failed(ctx, "log", Event{File: path, Err: err})
		}
		if more {
			continue
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// search looks through lines of a log and counts what it finds. The lines stay
// here: only the number of those that an indicator's value is in goes further,
// and when they say that they were written.
func (a *agent) search(ctx context.Context, path string, c logs.Chunk, format logs.Format, at place) {
	now := time.Now()
	var seen []sight
	a.mu.RLock()
	sought := scan.Sought{Values: a.book.set, Patterns: a.book.patterns, Events: a.book.events}
	hits, _ := sought.Search(format, c)
	hits = sought.Settle(hits)
	for len(hits) > 0 { // line by line: what stands in one twice was seen once
		same := 1
		for same < len(hits) && hits[same].Line == hits[0].Line {
			same++
		}
		keys := make([]string, 0, same)
		for _, h := range hits[:same] {
			keys = append(keys, h.Indicator)
		}
		for _, in := range a.book.find(keys) {
			h := hitOf(hits[:same], in)
			seen = append(seen, sight{in: in, secret: a.book.secret(in), value: h.Value.Text(), field: h.Field, when: h.Time})
		}
		hits = hits[same:]
	}
	a.mu.RUnlock()
	for _, s := range a.reports.count(path, at, seen, now.Add(a.First), now) {
		a.Log.InfoContext(ctx, "hit", "indicator", s.in.ID, "file", path)
		a.tell(Event{Kind: Hit, Collection: s.in.collection(), Indicator: s.in.ID, Value: s.value, File: path, Field: s.field})
	}
}

func hitOf(hits []scan.Hit, in *indicator) scan.Hit {
	key := in.key()
	for _, h := range hits {
		if h.Indicator == key {
			return h
		}
	}
	return scan.Hit{}
}

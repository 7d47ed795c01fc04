package agent

import (
	"context"
	"time"

	"tocsin/internal/observe"
)

// seek looks for an indicator's pattern, if it may and can be.
func (b *book) seek(in *indicator) {
	if in.Pattern == "" || !in.sought {
		return
	}
	p, err := observe.Compile(in.Pattern, in.Values)
	if err != nil || p.Events() && b.events == nil || b.patterns.Add(in.key(), p, b.set) == len(p.Anchors) {
		b.patterns.Remove(in.key(), b.set)
		b.unsought++
		return
	}
	in.whole = p
}

// abandon takes an indicator's pattern back.
func (b *book) abandon(in *indicator) {
	switch {
	case in.Pattern == "" || !in.sought:
	case in.whole == nil:
		b.unsought--
	default:
		b.patterns.Remove(in.key(), b.set)
		if b.events != nil {
			b.events.Forget(in.whole)
		}
		in.whole = nil
	}
}

// tellEvery is how often it is looked for patterns that are not compared.
const tellEvery = time.Minute

// tellPatterns tells the operator's log of patterns that are not looked for,
// and of events that were not compared, until the context ends.
func (a *agent) tellPatterns(ctx context.Context) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	var said observe.Lost
	unsought := 0
	for {
		a.mu.RLock()
		now, events := a.book.unsought, a.book.events
		a.mu.RUnlock()
		if now > unsought {
			a.Log.WarnContext(ctx, "patterns are not looked for: no exact value has to stand in a line, or they are of several events and there is no window", "count", now)
		}
		unsought = now
		if events != nil {
			if lost := events.Lost(); lost != said {
				a.Log.WarnContext(ctx, "events were not compared with patterns", "dropped", lost.Dropped, "untimed", lost.Untimed, "complex", lost.Complex)
				said = lost
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

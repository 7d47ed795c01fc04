package agent

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tocsin"
	"tocsin/internal/export"
	"tocsin/internal/guard"
	parsed "tocsin/internal/indicator"
	"tocsin/internal/match"
)

// The pace of enforcement. A change after a quiet time is enforced at once;
// after that, changes wait as long as the last took to write, within bounds.
const (
	clockEvery = time.Second
	leastPause = 20 * time.Millisecond
	mostPause  = 200 * time.Millisecond
	beatEvery  = time.Minute
	firstWait  = 5 * time.Second // for what was shared before, when nothing of it is known
)

// mostTold is how many changes at once are told one by one.
const mostTold = 100

// The lists in the folder.
const (
	domainsName = "domains.txt"
	ipsName     = "ips.txt"
	urlsName    = "urls.txt"
)

// A batch is changes that were not told yet, because not all is in place.
type batch struct {
	added   map[match.Value]change
	removed map[match.Value]bool
	began   time.Time // when the oldest of them was taken up
	wrote   bool      // something was written
	report  report    // what the hub is told of it
}

func newBatch() *batch {
	return &batch{added: map[match.Value]change{}, removed: map[match.Value]bool{}}
}

// note takes in what a gate lets through, or no longer.
func (b *batch) note(p passage) {
	for v, by := range p.added {
		b.added[v] = by
		delete(b.removed, v)
	}
	for _, v := range p.removed {
		delete(b.added, v)
		b.removed[v] = true
	}
}

// join takes in a later batch.
func (b *batch) join(later *batch) {
	for v, by := range later.added {
		b.added[v] = by
		delete(b.removed, v)
	}
	for v := range later.removed {
		delete(b.added, v)
		b.removed[v] = true
	}
	if b.began.IsZero() {
		b.began = later.began
	}
	b.wrote = b.wrote || later.wrote
	b.report.join(later.report)
}

// An enforcer is what was written, and what still has to be.
type enforcer struct {
	*agent

	gates    []*gate
	targets  []*target
	firewall *firewall // nil when there is none to write to
	fireGate *gate
	sids     *sidFile
	batch    *batch
	told     map[string]int  // of the values that are not blocked, by reason
	beaten   time.Time       // when everything was looked at last
	taken    time.Time       // when changes of the book were taken up last
	idle     map[string]bool // indicators of collections that are not in force, by key

	count   atomic.Int64   // values in force, at the gate that lets most through
	loading sync.Mutex     // guards what follows
	held    map[string]int // values that are not in force, by reason
	load    *batch         // what is told when the defenses have read it
	loads   []*target      // whose defenses have to
	kick    chan struct{}  // holds something when there is such
	running bool           // commands are being run
	began   bool           // everything was in place once
}

// newEnforcer checks what indicators are written to.
func newEnforcer(a *agent) (*enforcer, error) {
	e := &enforcer{agent: a, batch: newBatch(), kick: make(chan struct{}, 1), idle: map[string]bool{}}
	add := func(t *target, err error) error {
		if err != nil {
			return err
		}
		if slices.ContainsFunc(e.targets, func(other *target) bool { return filepath.Clean(other.File) == filepath.Clean(t.File) }) {
			return &tocsin.Error{Kind: tocsin.Invalid, Message: "two exports have the same file: " + guard.Printable(t.File)}
		}
		t.gate = e.gate(t.terms())
		for _, k := range t.format.Kinds {
			t.gate.kinds[k] = true
		}
		if t.format.Carries != "" {
			t.gate.carries[t.format.Carries] = true
		}
		e.targets = append(e.targets, t)
		return nil
	}
	if a.Lists != "" {
		for name, kinds := range map[string][]match.Kind{domainsName: {match.Domain}, ipsName: {match.Address, match.Network}, urlsName: {match.URL}} {
			if err := add(listTarget(filepath.Join(a.Lists, name), kinds...)); err != nil {
				return nil, err
			}
		}
	}
	if a.Blocklist != "" {
		if err := add(listTarget(a.Blocklist)); err != nil {
			return nil, err
		}
	}
	for _, x := range a.Exports {
		if err := add(newTarget(x)); err != nil {
			return nil, err
		}
	}
	if a.Nft {
		e.firewall = &firewall{nft: a.nft}
		e.fireGate = e.gate(terms{parsed.Block, 1})
		e.fireGate.kinds[match.Address], e.fireGate.kinds[match.Network] = true, true
	}
	var err error
	e.sids, err = openSIDs(a.State)
	return e, err
}

// gate returns the gate of some terms.
func (e *enforcer) gate(t terms) *gate {
	for _, g := range e.gates {
		if g.terms == t {
			return g
		}
	}
	e.gates = append(e.gates, newGate(t))
	return e.gates[len(e.gates)-1]
}

// enforce writes what the gates let through whenever the book changes, and looks
// at the clock: what expires leaves by itself.
func (e *enforcer) enforce(ctx context.Context) {
	var loading sync.WaitGroup
	defer loading.Wait()
	loading.Go(func() { e.reloads(ctx) })
	if e.hasEarlier(ctx) { // it stays until it is known what to write
		select {
		case <-ctx.Done():
			return
		case <-e.settled:
		case <-time.After(firstWait):
		}
	}
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	var ended time.Time
	var took time.Duration
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.changed:
		case <-tick.C:
			e.mu.Lock()
			due := e.book.tick(time.Now())
			e.mu.Unlock()
			if e.isStale() || e.beat(ctx) || time.Since(e.taken) >= beatEvery {
				due = true
			}
			if !due {
				continue
			}
		}
		pause := min(max(took, leastPause), mostPause)
		if rest := pause - time.Since(ended); !ended.IsZero() && rest > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(rest):
			}
		}
		began := time.Now()
		e.write(ctx, began)
		ended = time.Now()
		took = ended.Sub(began)
	}
}

// hasEarlier reports whether an earlier agent, or somebody else, wrote what the
// agent is to write.
func (e *enforcer) hasEarlier(ctx context.Context) bool {
	if slices.ContainsFunc(e.targets, func(t *target) bool { return t.sum != [sha256.Size]byte{} }) {
		return true
	}
	if e.firewall == nil {
		return false
	}
	_, err := e.firewall.nft(ctx, "", "list", "table", "inet", "tocsin")
	return err == nil
}

// isStale reports whether something could not be written.
func (e *enforcer) isStale() bool {
	return e.firewall != nil && e.firewall.stale || slices.ContainsFunc(e.targets, func(t *target) bool { return t.stale })
}

// write enforces what the book wants now.
func (e *enforcer) write(ctx context.Context, began time.Time) {
	e.mu.Lock()
	dirty, touched := e.book.changes()
	e.batch.report.note(e.book, touched, e.taken, began)
	e.mu.Unlock()
	e.taken = began
	e.mu.RLock()
	passages := make([]passage, len(e.gates))
	for i, g := range e.gates {
		passages[i] = g.update(e.book, dirty, touched)
	}
	e.settleIdle(dirty, touched)
	held := map[string]int{}
	if e.book.unread > 0 {
		held[guard.NotAValue] = e.book.unread
	}
	e.mu.RUnlock()
	for i, g := range e.gates {
		p := passages[i]
		if g.guards() {
			e.batch.note(p)
			e.tellHeld(p.held)
		}
		for _, t := range e.targets {
			t.stale = t.stale || t.gate == g && t.concerns(p)
		}
		if g == e.fireGate {
			e.firewall.change(p.added, p.removed)
		}
		for reason, n := range g.reasons() { // of gates that hold back the same, once
			held[reason] = max(held[reason], n)
		}
	}
	if e.batch.began.IsZero() {
		e.batch.began = began
	}
	if !e.isStale() && maps.Equal(held, e.told) {
		clear(e.batch.added)
		clear(e.batch.removed)
		e.pass(ctx)
		return
	}
	e.batch.wrote = true
	if err := errors.Join(e.toFirewall(ctx), e.toFiles()); err != nil {
		e.failed(ctx, "enforce", Event{Err: err})
		return
	}
	e.told = held
	most := 0
	for _, g := range e.gates {
		most = max(most, g.count())
	}
	e.count.Store(int64(most))
	e.loading.Lock()
	e.held = maps.Clone(held)
	e.loading.Unlock()
	e.pass(ctx)
}

// tellHeld tells of what came and is not blocked.
func (e *enforcer) tellHeld(held []verdict) {
	few := mostTold
	for _, d := range held {
		if d.by.came.IsZero() {
			continue
		}
		if few--; few < 0 {
			return
		}
		e.tell(Event{Kind: HeldBack, Collection: d.by.by.collection(), Indicator: d.by.by.name(d.item.Value), Value: d.item.Value.Text(), Reason: d.reason})
	}
}

func (e *enforcer) toFirewall(ctx context.Context) error {
	if e.firewall == nil || !e.firewall.stale {
		return nil
	}
	if err := e.firewall.apply(ctx); err != nil {
		return fmt.Errorf("nft: %w", err)
	}
	return nil
}

// toFiles writes the files that are not up to date. One that cannot be written
// does not keep the others from it.
func (e *enforcer) toFiles() error {
	var failed error
	for _, t := range e.targets {
		if !t.stale {
			continue
		}
		var sids *export.SIDs
		if t.format.Name == "suricata" || t.format.Name == "snort3" {
			sids = &e.sids.SIDs
		}
		err := t.write(sids)
		t.trouble = ""
		if err != nil {
			t.trouble = err.Error()
		}
		failed = errors.Join(failed, err)
	}
	return errors.Join(failed, e.sids.save())
}

// pass hands what was written to the defenses that have to be told, or tells of
// it at once.
func (e *enforcer) pass(ctx context.Context) {
	done := e.batch
	e.batch = newBatch()
	e.loading.Lock()
	for _, t := range e.targets {
		if t.unloaded && len(t.command) > 0 && !slices.Contains(e.loads, t) {
			e.loads = append(e.loads, t)
		}
		t.unloaded = false
	}
	wait := len(e.loads) > 0 || e.running || e.load != nil
	if wait {
		if e.load == nil {
			e.load = newBatch()
		}
		e.load.join(done)
	}
	e.loading.Unlock()
	if !wait {
		e.announce(ctx, done)
		return
	}
	e.wakeReloads()
}

// reloads runs the commands of defenses, one at a time. What changes while one
// runs is told with the next: each command runs at most once more, however much
// changed. One that fails is tried again, and what waits for it is not told.
func (e *enforcer) reloads(ctx context.Context) {
	retry := time.NewTicker(5 * clockEvery)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.kick:
		case <-retry.C:
		}
		e.loading.Lock()
		targets, done := e.loads, e.load
		e.loads, e.load, e.running = nil, nil, done != nil
		e.loading.Unlock()
		if done == nil {
			continue
		}
		var again []*target
		said := map[string]error{} // of what two exports share, one run is enough
		for _, t := range targets {
			err, ran := said[t.Reload]
			if !ran {
				err = reload(ctx, t.command, t.Wait)
				said[t.Reload] = err
				if err != nil {
					e.failed(ctx, "reload", Event{File: t.File, Err: err})
				}
			}
			if err != nil {
				again = append(again, t)
			}
		}
		if len(again) == 0 {
			e.announce(ctx, done)
		}
		e.loading.Lock()
		e.running = false
		if len(again) > 0 {
			for _, t := range again {
				if !slices.Contains(e.loads, t) {
					e.loads = append(e.loads, t)
				}
			}
			if e.load != nil {
				done.join(e.load)
			}
			e.load = done
		} else if e.load != nil { // it came meanwhile
			e.wakeReloads()
		}
		e.loading.Unlock()
	}
}

// wakeReloads has the defenses told.
func (e *enforcer) wakeReloads() {
	select {
	case e.kick <- struct{}{}:
	default: // it will look anyway
	}
}

// announce tells what is enforced now.
func (e *enforcer) announce(ctx context.Context, done *batch) {
	now := time.Now()
	e.confirm(done.report, now)
	if !done.wrote {
		return
	}
	e.loading.Lock()
	first := !e.began
	e.began = true
	e.loading.Unlock()
	few := len(done.added)+len(done.removed) <= mostTold
	for v, by := range done.added {
		if few && !by.came.IsZero() {
			e.tell(Event{Kind: Blocked, Collection: by.by.collection(), Indicator: by.by.name(v), Value: v.Text(), Took: now.Sub(by.came)})
		}
	}
	for v := range done.removed {
		if few && !first {
			e.tell(Event{Kind: Unblocked, Value: v.Text()})
		}
	}
	count := e.count.Load()
	kept := 0
	e.loading.Lock()
	held := e.held
	e.loading.Unlock()
	for _, n := range held {
		kept += n
	}
	e.Log.InfoContext(ctx, "enforced", "blocked", count, "added", len(done.added), "removed", len(done.removed), "held_back", kept, "ms", now.Sub(done.began).Milliseconds())
	e.tell(Event{Kind: Enforced, Count: count, Held: held, Took: now.Sub(done.began)})
}

// beat looks, once a minute, whether everything is still as it was written, and
// reports whether something is to be written anew. Somebody may have changed a
// file, or flushed the firewall.
func (e *enforcer) beat(ctx context.Context) bool {
	if time.Since(e.beaten) < beatEvery {
		return false
	}
	first := e.beaten.IsZero()
	e.beaten = time.Now()
	if first {
		return false
	}
	lost := false
	for _, t := range e.targets {
		if !t.stale && !t.isIntact() {
			t.stale, t.sum, lost = true, sumOf(t.File), true
			e.Log.WarnContext(ctx, "export changed by somebody else", "file", t.File)
		}
	}
	if e.firewall != nil && !e.firewall.stale && !e.firewall.isIntact(ctx) {
		e.firewall.stale, e.firewall.known, lost = true, false, true
		e.Log.WarnContext(ctx, "firewall changed by somebody else")
	}
	e.loading.Lock()
	held := e.held
	e.loading.Unlock()
	e.tell(Event{Kind: Alive, Count: e.count.Load(), Held: held})
	return lost
}

// networksIn returns the addresses and networks among values.
func networksIn(values []match.Value) (all []netip.Prefix) {
	for _, v := range values {
		if v.Kind() == match.Address || v.Kind() == match.Network {
			all = append(all, guard.PrefixOf(v.Text()))
		}
	}
	return all
}

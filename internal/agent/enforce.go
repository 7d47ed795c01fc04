package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"tocsin/internal/guard"
	"tocsin/internal/match"
)

// The pace of enforcement. A change after a quiet time is enforced at once;
// after that, changes wait as long as the last took to write, within bounds.
const (
	clockEvery = time.Second
	leastPause = 20 * time.Millisecond
	mostPause  = 200 * time.Millisecond
)

// mostTold is how many changes at once are told one by one.
const mostTold = 100

// The lists in the folder.
const (
	domainsName = "domains.txt"
	ipsName     = "ips.txt"
	urlsName    = "urls.txt"
)

// A listed value is one that is enforced.
type listed struct {
	match.Value

	prefix netip.Prefix // of an address or a network
}

func list(v match.Value) listed {
	if v.Kind() == match.Address || v.Kind() == match.Network {
		return listed{v, guard.PrefixOf(v.Text())}
	}
	return listed{Value: v}
}

// compare orders networks by address, and other values by text.
func (l listed) compare(other listed) int {
	return cmp.Or(l.prefix.Compare(other.prefix), cmp.Compare(l.Text(), other.Text()))
}

// file returns the name of the list that a value is on.
func (l listed) file() string {
	switch l.Kind() {
	case match.Domain:
		return domainsName
	case match.URL:
		return urlsName
	case match.Address, match.Network, match.Hash, match.Email, match.Endpoint, match.JA3, match.JA4, match.ASN, match.FileName, match.RegistryKey, match.Mutex, match.UserAgent:
	}
	return ipsName
}

// An enforcer is what was written, and what still has to be.
type enforcer struct {
	*agent

	lists    map[string][]listed    // by file, in order
	firewall *firewall              // nil when there is none to write to
	stale    map[string]bool        // files that do not say what the lists say
	added    map[match.Value]change // blocked, but not yet told, because not all is written
	removed  map[match.Value]bool   // the same
	held     map[string]int         // what was told of the values that are not blocked
	began    bool                   // everything was written once
}

// enforce writes lists and firewall whenever the book changes, and looks at the
// clock: what expires leaves them by itself.
func (a *agent) enforce(ctx context.Context) {
	e := &enforcer{
		agent: a, lists: map[string][]listed{}, added: map[match.Value]change{}, removed: map[match.Value]bool{},
		stale: map[string]bool{ipsName: true, domainsName: true, urlsName: true},
	}
	if a.Nft {
		e.firewall = &firewall{run: runNft}
	}
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	var ended time.Time
	var took time.Duration
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.changed:
		case <-tick.C:
			a.mu.Lock()
			due := a.book.tick(time.Now())
			a.mu.Unlock()
			if !due && len(e.stale) == 0 {
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

// write enforces what the book wants now.
func (e *enforcer) write(ctx context.Context, began time.Time) {
	e.mu.Lock()
	wanted, by, news := e.book.changes()
	held := maps.Clone(e.book.held)
	e.mu.Unlock()
	for _, n := range news[:min(len(news), mostTold)] {
		e.tell(n)
	}
	for _, l := range e.update(wanted) {
		e.stale[l.file()] = true
		if delete(e.added, l.Value); wanted[l.Value] {
			e.added[l.Value] = by[l.Value]
			delete(e.removed, l.Value)
		} else {
			e.removed[l.Value] = true
		}
	}
	if len(e.stale) == 0 && maps.Equal(held, e.held) {
		return
	}
	if err := errors.Join(e.toFirewall(ctx), e.toFiles()); err != nil {
		e.failed(ctx, "enforce", Event{Err: err})
		return
	}
	clear(e.stale)
	e.announce(ctx, held, began)
	e.began, e.held = true, held
}

// announce tells what is enforced now.
func (e *enforcer) announce(ctx context.Context, held map[string]int, began time.Time) {
	now := time.Now()
	few := len(e.added)+len(e.removed) <= mostTold
	for v, by := range e.added {
		if few && !by.came.IsZero() {
			e.tell(Event{Kind: Blocked, Collection: by.collection, Indicator: by.indicator, Value: v.Text(), Took: now.Sub(by.came)})
		}
	}
	for v := range e.removed {
		if few && e.began {
			e.tell(Event{Kind: Unblocked, Value: v.Text()})
		}
	}
	blocked, kept := 0, 0
	for _, l := range e.lists {
		blocked += len(l)
	}
	for _, n := range held {
		kept += n
	}
	e.Log.InfoContext(ctx, "enforced", "blocked", blocked, "added", len(e.added), "removed", len(e.removed),
		"held_back", kept, "ms", now.Sub(began).Milliseconds())
	e.tell(Event{Kind: Enforced, Count: int64(blocked), Held: held, Took: now.Sub(began)})
	clear(e.added)
	clear(e.removed)
}

// update makes the lists hold what is wanted, and returns what came and went.
func (e *enforcer) update(wanted map[match.Value]bool) (changed []listed) {
	byFile := map[string][]listed{}
	for v := range wanted {
		l := list(v)
		byFile[l.file()] = append(byFile[l.file()], l)
	}
	for file, some := range byFile {
		slices.SortFunc(some, listed.compare)
		var moved []listed
		e.lists[file], moved = merge(e.lists[file], some, wanted)
		changed = append(changed, moved...)
	}
	return changed
}

// merge makes a list in order hold those of some values that are wanted, and
// not hold those that are not, in one pass. It returns which that changed.
func merge(old, some []listed, wanted map[match.Value]bool) (merged, changed []listed) {
	merged = make([]listed, 0, len(old)+len(some))
	for len(old) > 0 || len(some) > 0 {
		order := -1
		if len(some) > 0 {
			if order = 1; len(old) > 0 {
				order = old[0].compare(some[0])
			}
		}
		switch {
		case order < 0: // nothing new about this one
			merged = append(merged, old[0])
			old = old[1:]
			continue
		case order == 0 && wanted[some[0].Value]:
			merged = append(merged, old[0])
			old = old[1:]
		case order == 0:
			changed = append(changed, old[0])
			old = old[1:]
		case wanted[some[0].Value]:
			merged = append(merged, some[0])
			changed = append(changed, some[0])
		}
		some = some[1:]
	}
	return merged, changed
}

func (e *enforcer) toFirewall(ctx context.Context) error {
	if e.firewall == nil || !e.stale[ipsName] {
		return nil
	}
	networks := make([]netip.Prefix, 0, len(e.lists[ipsName]))
	for _, l := range e.lists[ipsName] {
		networks = append(networks, l.prefix)
	}
	if err := e.firewall.apply(ctx, networks); err != nil {
		return fmt.Errorf("nft: %w", err)
	}
	return nil
}

// toFiles writes the files that are not up to date. Whoever reads one sees it
// as it was, or as it is, and nothing but values.
func (e *enforcer) toFiles() error {
	put := func(path string, names ...string) error {
		return writeFile(path, 0o644, func(w io.Writer) error {
			for _, name := range names {
				for _, l := range e.lists[name] {
					if _, err := io.WriteString(w, l.Text()+"\n"); err != nil {
						return err //nolint:wrapcheck // it names the file
					}
				}
			}
			return nil
		})
	}
	var failed error
	if e.Lists != "" {
		for name := range e.stale {
			failed = errors.Join(failed, put(filepath.Join(e.Lists, name), name))
		}
	}
	if e.Blocklist != "" && len(e.stale) > 0 {
		failed = errors.Join(failed, put(e.Blocklist, ipsName, domainsName, urlsName))
	}
	if failed != nil {
		return fmt.Errorf("lists: %w", failed)
	}
	return nil
}

// Package lists keeps exports of what readers may see, for defenses that fetch them.
package lists

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"tocsin"
	"tocsin/internal/coding"
	"tocsin/internal/distribute"
	"tocsin/internal/export"
	"tocsin/internal/guard"
	"tocsin/internal/indicator"
)

// A Request says which list is wanted, and of what.
type Request struct {
	Community, Collection string

	Format string
	Drop   bool // Suricata and Snort rules drop, and do not only alert
	// Sources is how many organizations have to name a value, each by itself; 0
	// and 1: one.
	Sources int
	// Confidence is the least that producers have to put in what they say, from 1
	// to 100 (STIX 2.1 Appendix A); 0: any, stated or not.
	Confidence int
	Decay      string // how fast values lose their worth, see [export.ParseDecay]; divided by spaces
}

// A List is a text as some readers see it, shared and not to be changed. Of the
// texts before it some are kept, so that what changed can be told.
type List struct {
	Text   *coding.Text
	before []*earlier // the newest last
}

// An earlier text of a list, and what makes the present one of it.
type earlier struct {
	text   *coding.Text
	once   sync.Once
	script []byte // nil: none, or none that is shorter
}

// Since returns what turns the text that a client has into this one, as an ed
// script ("diffe", RFC 3229 §10.5); false when that one is not kept any more or
// the script would be longer than the text.
func (l *List) Since(known func(tag string) bool) ([]byte, bool) {
	for _, b := range l.before {
		if !known(b.text.Tag(coding.Identity)) {
			continue
		}
		b.once.Do(func() {
			from, _ := b.text.In(coding.Identity)
			to, _ := l.Text.In(coding.Identity)
			if script, ok := diff(from, to); ok && len(script) < len(to) {
				b.script = script
			}
		})
		return b.script, b.script != nil
	}
	return nil, false
}

// How much is kept: texts before the newest one of a list, and memory for all.
const (
	mostBefore = 4
	mostBytes  = 256 << 20
	mostLists  = 64 // of one collection as some readers see it: formats and their thresholds
)

// restFactor is how much longer than a list takes to make it is good at least,
// although there is news: fetching lists must not keep a processor busy.
const restFactor = 4

// A Service makes lists. It is safe for concurrent use.
type Service struct {
	collector  *distribute.Collector[*shelf]
	guard      func() (*guard.Guard, error)
	compressor coding.Compressor
}

// New returns a service that reads from a feed. host is the hub's own: nobody is
// made to block it.
func New(f *distribute.Feed, host string) *Service {
	// Made when it is needed: what it knows takes some MiB.
	g := sync.OnceValues(func() (*guard.Guard, error) { return guard.New(nil, host) })
	return &Service{guard: g, collector: &distribute.Collector[*shelf]{
		Feed: f, Types: []string{"indicator", "marking-definition"}, Most: mostBytes,
		New: newShelf, Take: (*shelf).take, Size: (*shelf).size,
	}}
}

// Get returns a list as who asks may see it now. Whoever has no part in the
// community gets not found.
func (s *Service) Get(ctx context.Context, who tocsin.Member, r Request) (list *List, err error) {
	format, err := export.Find(r.Format)
	if err != nil {
		return nil, &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such list", Hint: "'tocsin export --help' names the formats"}
	}
	if r.Drop {
		format.Needs = max(format.Needs, indicator.Block)
	}
	g, err := s.guard()
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	decay, err := export.ParseDecay(strings.Fields(r.Decay))
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what is wrong
	}
	err = s.collector.Use(ctx, who, r.Community, r.Collection, func(on *shelf) error {
		now := time.Now()
		list, err = on.list(r, now, &s.compressor, func() ([]byte, export.Set, error) {
			set := export.Select(on.all(), format, export.Terms{Now: now, Guard: g, Sources: r.Sources, Confidence: r.Confidence, Decay: decay})
			var text bytes.Buffer
			if err := format.Write(&text, set, export.Options{Drop: r.Drop}); err != nil {
				return nil, set, fmt.Errorf("write: %w", err)
			}
			return text.Bytes(), set, nil
		})
		return err
	})
	return list, err
}

// MediaType returns what the lists of a format are.
func MediaType(format string) string {
	switch format {
	case "stix":
		return "application/stix+json;version=2.1"
	case "misp":
		return "application/json"
	case "json", "elastic":
		return "application/x-ndjson"
	case "csv", "splunk", "sentinel":
		return "text/csv; charset=utf-8"
	}
	return "text/plain; charset=utf-8" // nothing that a browser would run (nosniff)
}

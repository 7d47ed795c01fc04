// Package submit carries a submission from the wire to a receipt: validate, minimize, authorize, record.
package submit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/behind"
	"tocsin/internal/minimize"
	"tocsin/internal/store"
	"tocsin/internal/validate"
)

// A Recorder stores objects and logs that it did, in one transaction.
type Recorder interface {
	Record(ctx context.Context, a authorize.Admitted) (store.Recorded, error)
}

// A Finder finds what is stored.
type Finder interface {
	Scan(ctx context.Context, s store.Scan) (store.Scanned, error)
}

// A Directory knows whether communities take submissions, and how they deal with
// what may be personal.
type Directory interface {
	// Privacy returns whether free text waits for a person in a community, and how
	// long what waits does so.
	Privacy(community string) (strict bool, reviewTime time.Duration)
	// Accepts returns a refusal when a community has ended and takes nothing more.
	Accepts(community string) error
	// Rules returns the text of a community's own rule file, "" when it has none.
	Rules(community string) string
	// Window returns when what is shared anonymously becomes visible; zero: at once.
	Window(community string, now time.Time) time.Time
}

// A Service takes submissions. It is safe for concurrent use.
type Service struct {
	Limits    validate.Options
	Gate      *minimize.Gate
	Strict    *minimize.Gate // for communities in which free text waits for a person
	Own       Gates          // for communities with rules of their own
	Directory Directory
	Policy    *authorize.Policy
	Recorder  Recorder
	Finder    Finder
	Crew      *behind.Crew // does what computes; may be nil
}

// GateOf returns the privacy gate of a community.
func (s *Service) GateOf(community string) *minimize.Gate {
	if rules := s.Directory.Rules(community); rules != "" {
		if gate := s.Own.of(rules); gate != nil {
			return gate
		}
		// They were checked when they were set, by another version of the program.
		// To share by laxer rules than theirs would be wrong, so nothing that is free
		// text is shared unseen. Receipts name the rules that ran.
		return s.Strict
	}
	if strict, _ := s.Directory.Privacy(community); strict {
		return s.Strict
	}
	return s.Gate
}

// Window returns when what is shared anonymously at a time becomes visible in a
// community; zero: at once.
func (s *Service) Window(community string, now time.Time) time.Time {
	return s.Directory.Window(community, now)
}

// Rules returns the rule file that applies in a community, as its gate reads it,
// and its hash as receipts name it.
func (s *Service) Rules(community string) (text []byte, hash string) {
	gate := s.GateOf(community)
	switch gate {
	case s.Gate:
		text = minimize.DefaultRules()
	case s.Strict:
		text = minimize.StrictRules()
	default:
		text = []byte(s.Directory.Rules(community))
	}
	return text, gate.Rules()
}

// Gates are made of rule files as they are needed, and kept. They are safe for
// concurrent use.
type Gates struct {
	Make func(rules []byte) (*minimize.Gate, error)

	mu   sync.Mutex
	made map[string]*minimize.Gate // by the text
}

// mostGates bounds the gates that are kept; they are then made anew.
const mostGates = 64

// of returns the gate of a rule file, nil when it cannot be used.
func (g *Gates) of(rules string) *minimize.Gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	if gate, ok := g.made[rules]; ok {
		return gate
	}
	if g.Make == nil {
		return nil
	}
	gate, err := g.Make([]byte(rules))
	if err != nil {
		gate = nil // said again each time would be said too often: the receipts say which rules ran
	}
	if g.made == nil || len(g.made) >= mostGates {
		g.made = map[string]*minimize.Gate{}
	}
	g.made[rules] = gate
	return gate
}

// Submit takes one submission through the whole journey. When it returns
// without an error, what it reports as stored is durable and in the ledger.
func (s *Service) Submit(ctx context.Context, who tocsin.Member, to authorize.Target, text []byte) (Outcome, error) {
	admitted, err := s.admit(ctx, who, to, text)
	if err != nil {
		return Outcome{}, err
	}
	recorded, err := s.Recorder.Record(ctx, admitted)
	if err != nil {
		return Outcome{}, fmt.Errorf("record: %w", err)
	}
	for _, o := range admitted.Objects() {
		if o.Type == "marking-definition" {
			s.Policy.Define(who.Organization.Name, o.Value)
		}
	}
	return Outcome{Recorded: recorded, Findings: admitted.Findings()}, nil
}

// admit does all of the journey that only computes, behind those who read.
func (s *Service) admit(ctx context.Context, who tocsin.Member, to authorize.Target, text []byte) (admitted authorize.Admitted, err error) {
	if err := s.Directory.Accepts(to.Community); err != nil {
		return admitted, fmt.Errorf("community: %w", err)
	}
	_, to.ReviewTime = s.Directory.Privacy(to.Community)
	waited := s.Crew.Do(ctx, func() {
		var valid validate.Bundle
		if valid, err = validate.Parse(text, s.Limits); err != nil {
			err = fmt.Errorf("validate: %w", err)
			return
		}
		gate := s.GateOf(to.Community)
		var changed func(id string) bool
		if changed, err = s.changedBefore(ctx, who, to, gate.Copies(valid)); err != nil {
			err = fmt.Errorf("changed before: %w", err)
			return
		}
		if admitted, err = s.Policy.Admit(who, to, gate.ApplyAfter(valid, changed), time.Now()); err != nil {
			err = fmt.Errorf("authorize: %w", err)
		}
	})
	if waited != nil {
		return admitted, waited
	}
	return admitted, err
}

// changedBefore returns which ids stand for a copy that the gate made in an earlier
// submission of the same organization to the same collection, nil when none does. The id of a copy
// follows from the original's and the hub's secret, so what is stored tells, and
// no table has to. Copies of others' are nobody's business: a reference that
// suddenly led to one would say that it exists.
func (s *Service) changedBefore(ctx context.Context, who tocsin.Member, to authorize.Target, copies map[string]string) (func(id string) bool, error) {
	const most = 1000
	changed := map[string]bool{}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(copies)), most) {
		for after, more := int64(0), true; more; {
			found, err := s.Finder.Scan(ctx, store.Scan{Collection: to.Collection, IDs: ids, After: after, Most: most, Meta: true})
			if err != nil {
				return nil, err
			}
			for _, row := range found.Rows {
				if row.Label.Owner == who.Organization.Name {
					changed[copies[row.ID]] = true
				}
			}
			after, more = found.Next, found.More
		}
	}
	if len(changed) == 0 {
		return nil, nil //nolint:nilnil // as [minimize.Options] has it: nothing was changed before
	}
	return func(id string) bool { return changed[id] }, nil
}

// An Outcome is what became of a submission, and what the privacy gate did.
type Outcome struct {
	store.Recorded

	Findings []minimize.Finding
}

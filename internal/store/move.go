package store

import (
	"context"
	"crypto/rand"
	"fmt"

	"tocsin"
)

// A hub moves from one store to another in steps, each durable before the next:
//
//  1. the target, which is empty, is marked as one that a hub is coming into
//  2. the rows are copied, read back, compared, and verified
//  3. the target is marked as whole
//  4. the source is marked as one that the hub is gone from
//  5. the target is marked as one where the hub is at home
//
// Nobody opens a store that is marked in any other way than the last. So at no
// moment can a hub run on both, which would sign two histories under one key;
// and wherever a move is cut off, the hub can run on the source until step 4 and
// needs step 5 after it, which is what the same move does when it is made again.

// A Phase is how far a move is at one of its ends.
type Phase int64

// The phases. Stores keep these numbers.
const (
	Home   Phase = iota // a hub lives here, or none does
	Gone                // the hub that was here lives elsewhere
	Coming              // a copy is being made here
	Whole               // the copy is whole, and the source may be gone or not
)

// A Mark is what an end of a move keeps of it.
type Mark struct {
	Phase Phase
	Move  string // the move, by a random name that is the same at both ends
	Hub   string // the verifier key of the hub that is moved
	Place string // where the other end is, for people, without secrets
}

// Refusal is what whoever opens a store to run a hub on it is told, nil when
// one may run there.
func (m Mark) Refusal() error {
	switch m.Phase {
	case Home:
		return nil
	case Gone:
		return &tocsin.Error{
			Kind: tocsin.Conflict, Message: "this hub was moved to " + m.Place + ", and its ledger goes on there",
			Hint: "run it there; what is here takes no more writes and can be deleted once the hub there has a backup",
		}
	case Whole:
		return &tocsin.Error{
			Kind: tocsin.Conflict, Message: "a hub was copied here from " + m.Place + ", but the move did not end",
			Hint: "run the same 'tocsin move' again to end it",
		}
	case Coming:
	}
	return &tocsin.Error{
		Kind: tocsin.Conflict, Message: "a hub is being moved here from " + m.Place + ", and not all of it is here",
		Hint: "run the same 'tocsin move' again, with --again to begin anew",
	}
}

// An End is a store that a hub is moved from or to. Whoever has it has the store
// for itself: no hub can write there meanwhile, and what is read is one state.
type End interface {
	Mark(ctx context.Context) (Mark, error)
	// SetMark puts a mark in the place of the other one, durably.
	SetMark(ctx context.Context, m Mark) error
	// Count returns how many rows of a kind there are.
	Count(ctx context.Context, k Kind) (int64, error)
	// Rows reads the rows of a kind.
	Rows(ctx context.Context, k Kind) Rows
}

// A Target is an end that can be written to.
type Target interface {
	End
	// Clear erases what a move that did not end has left.
	Clear(ctx context.Context) error
	// Add writes rows of a kind of which there are none.
	Add(ctx context.Context, k Kind, rows Rows) error
	// Verify checks that all belongs together, as the method of stores does.
	Verify(ctx context.Context, progress func(done, total int64)) error
}

// A Move says which hub is moved, and how.
type Move struct {
	Hub      string // its verifier key
	From, To string // where the ends are, for people, without secrets
	// Again erases what a move that did not end has left, and begins anew.
	Again bool
	// Keep puts the hub's keys where the target needs them, and Forget removes
	// them, before anything else is erased: without its keys no hub runs on a
	// target whose mark is not there. Either may be nil.
	Keep, Forget func() error
	// Progress, which may be nil, is told of each step how far it is.
	Progress func(step string, done, total int64)

	// Before, which may be nil, is called before each step; the move ends there
	// when it returns an error. It is for tests.
	Before func(step string) error
}

// Moved says what was moved.
type Moved struct {
	Resumed bool // only the end of a move that was cut off was left to do
	Sums    []Sum
}

// Do moves a hub. What it has begun when it fails can be done again; see above.
func (m Move) Do(ctx context.Context, from End, to Target) (Moved, error) {
	source, err := from.Mark(ctx)
	if err != nil {
		return Moved{}, fmt.Errorf("source: %w", err)
	}
	target, err := to.Mark(ctx)
	if err != nil {
		return Moved{}, fmt.Errorf("target: %w", err)
	}
	switch {
	case source.Phase == Gone && target.Phase == Whole && target.Move == source.Move:
		return m.end(ctx, to, target)
	case source.Phase != Home:
		return Moved{}, source.Refusal()
	}
	if err := m.prepare(ctx, to, target); err != nil {
		return Moved{}, err
	}
	mark := Mark{Phase: Coming, Move: rand.Text(), Hub: m.Hub, Place: m.From}
	if err := m.mark(ctx, "coming", to, mark); err != nil {
		return Moved{}, fmt.Errorf("target: %w", err)
	}
	if m.Keep != nil {
		if err := m.Keep(); err != nil {
			return Moved{}, fmt.Errorf("keys: %w", err)
		}
	}
	sums, err := m.copy(ctx, from, to)
	if err != nil {
		return Moved{}, err
	}
	mark.Phase = Whole
	if err := m.mark(ctx, "whole", to, mark); err != nil {
		return Moved{}, fmt.Errorf("target: %w", err)
	}
	if err := m.mark(ctx, "gone", from, Mark{Phase: Gone, Move: mark.Move, Hub: m.Hub, Place: m.To}); err != nil {
		return Moved{}, fmt.Errorf("source: %w", err)
	}
	out, err := m.end(ctx, to, mark)
	return Moved{Sums: append(out.Sums, sums...)}, err
}

// end lets the hub run on the target.
func (m Move) end(ctx context.Context, to Target, mark Mark) (Moved, error) {
	mark.Phase = Home
	if err := m.mark(ctx, "home", to, mark); err != nil {
		return Moved{}, fmt.Errorf("target: %w", err)
	}
	return Moved{Resumed: true}, nil
}

func (m Move) mark(ctx context.Context, step string, end End, mark Mark) error {
	if err := m.before(step); err != nil {
		return err
	}
	return end.SetMark(ctx, mark)
}

func (m Move) before(step string) error {
	if m.Before == nil {
		return nil
	}
	return m.Before(step)
}

// prepare makes sure that the target is empty.
func (m Move) prepare(ctx context.Context, to Target, mark Mark) error {
	unfinished := mark.Phase == Coming || mark.Phase == Whole
	switch {
	case unfinished && mark.Hub != m.Hub:
		return &tocsin.Error{
			Kind: tocsin.Conflict, Message: "the target holds a part of another hub, of a move that did not end", Hint: "end that move, or choose an empty folder or database",
		}
	case unfinished && !m.Again:
		return &tocsin.Error{
			Kind: tocsin.Conflict, Message: "the target holds what an earlier move of this hub left, which did not end",
			Hint: "add --again to erase that and begin anew; nothing has run on it",
		}
	case unfinished:
		if m.Forget != nil {
			if err := m.Forget(); err != nil {
				return fmt.Errorf("keys: %w", err)
			}
		}
		if err := m.before("clear"); err != nil {
			return err
		}
		if err := to.Clear(ctx); err != nil {
			return fmt.Errorf("target: %w", err)
		}
	}
	for _, k := range Kinds() {
		n, err := to.Count(ctx, k)
		if err != nil {
			return fmt.Errorf("target: %w", err)
		}
		if n > 0 || mark.Phase == Gone {
			return &tocsin.Error{Kind: tocsin.Conflict, Message: "the target is not empty: a hub lives there, or did", Hint: "choose an empty folder or database"}
		}
	}
	return nil
}

// copy copies all rows, and checks that the target has them.
func (m Move) copy(ctx context.Context, from End, to Target) (sums []Sum, err error) {
	p := &passing{progress: m.Progress}
	for _, k := range Kinds() {
		n, err := from.Count(ctx, k)
		if err != nil {
			return nil, fmt.Errorf("source: %w", err)
		}
		p.total += n
	}
	p.step = "copying"
	for _, k := range Kinds() {
		if err := m.before("copy " + k.Name); err != nil {
			return nil, err
		}
		sum := newSumming(k)
		if err := to.Add(ctx, k, p.through(from.Rows(ctx, k), sum)); err != nil {
			return nil, fmt.Errorf("copy %s: %w", k.Name, err)
		}
		sums = append(sums, sum.sum())
	}
	p.step, p.done = "comparing", 0
	for i, k := range Kinds() {
		sum := newSumming(k)
		for _, err := range p.through(to.Rows(ctx, k), sum) {
			if err != nil {
				return nil, fmt.Errorf("compare %s: %w", k.Name, err)
			}
		}
		if got := sum.sum(); got != sums[i] {
			return nil, fmt.Errorf("compare %s: the target has %d rows that are not the %d of the source: nothing was given up, the hub is where it was", k.Name, got.Rows, sums[i].Rows)
		}
	}
	if err := m.before("verify"); err != nil {
		return nil, err
	}
	err = to.Verify(ctx, func(done, total int64) {
		if m.Progress != nil {
			m.Progress("verifying", done, total)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("the hub is damaged, in the source as well, where it stays: %w", err)
	}
	return sums, nil
}

// passing counts rows that pass by.
type passing struct {
	progress    func(step string, done, total int64)
	step        string
	done, total int64
}

func (p *passing) through(rows Rows, sum *summing) Rows {
	const every = 1024
	return func(yield func(Values, error) bool) {
		for row, err := range rows {
			if err == nil {
				sum.add(row)
				if p.done++; p.progress != nil && (p.done%every == 0 || p.done == p.total) {
					p.progress(p.step, p.done, p.total)
				}
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// Package quarantine holds versions of the future until their time has come.
package quarantine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/store"
	"tocsin/internal/submit"
)

// A Submitter takes submissions.
type Submitter interface {
	Submit(ctx context.Context, who tocsin.Member, to authorize.Target, text []byte) (submit.Outcome, error)
}

// A Directory knows what a member may do now.
type Directory interface {
	Current(who tocsin.Member) (tocsin.Member, error)
}

// A Service looks after what waits.
type Service struct {
	Holds     store.Holds
	Submitter Submitter
	Directory Directory
}

// every is how often the service looks.
const every = 15 * time.Second

// atOnce is how many holds it takes up at a time, each with its content: at
// most 10 MiB, as the largest submission has.
const atOnce = 4

// Run releases what has become due until the context ends. Several hubs on one
// database may do so at once: what is submitted twice is stored once.
func (s *Service) Run(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if _, err := s.Release(ctx, time.Now()); err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, "quarantine", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Release takes up what has become due by a time, and returns how many holds
// have ended. What the hub has no room for now stays for the next time, and all
// that came due later with it; what can never be stored ends, so that nothing
// waits behind it for ever.
func (s *Service) Release(ctx context.Context, now time.Time) (int, error) {
	ended := 0
	for {
		due, err := s.Holds.Due(ctx, now, atOnce)
		if err != nil {
			return ended, fmt.Errorf("due: %w", err)
		}
		for _, h := range due {
			how, err := s.settle(ctx, h, now)
			if err != nil {
				return ended, err
			}
			if err := s.Holds.Settle(ctx, h.Number, how); err != nil {
				return ended, fmt.Errorf("settle: %w", err)
			}
			ended++
		}
		if len(due) < atOnce {
			return ended, nil
		}
	}
}

// settle submits what waited, as the member that shared it and with the rights
// that it has now.
func (s *Service) settle(ctx context.Context, h store.Hold, now time.Time) (store.Settlement, error) {
	if h.Due.After(now) { // so it has expired
		return store.Settlement{Err: &tocsin.Error{
			Kind: tocsin.Invalid, At: "/modified", Clause: "STIX 2.1 §3.6", Message: "the version lies too far in the future",
			Hint: "check the clock of the machine that made the object",
		}}, nil
	}
	who, err := s.Directory.Current(tocsin.Member{Token: h.Who.Token, Purpose: h.Who.Purpose})
	if err == nil && (who.Organization.Name != h.Who.Organization || who.User != h.Who.User) {
		err = &tocsin.Error{Kind: tocsin.Unauthenticated, Message: "the token belongs to somebody else by now"}
	}
	var made submit.Outcome
	if err == nil {
		text := make([]byte, 0, len(h.Raw)+16)
		text = append(append(append(text, `{"objects":[`...), h.Raw...), "]}"...)
		made, err = s.Submitter.Submit(ctx, who, h.Target, text)
	}
	if known, ok := errors.AsType[*tocsin.Error](err); ok && known.Kind != tocsin.Busy {
		return store.Settlement{Err: known}, nil
	}
	switch {
	case err != nil:
		return store.Settlement{}, fmt.Errorf("release: %w", err)
	case len(made.Successes) == 1:
		return store.Settlement{Success: &made.Successes[0]}, nil
	case len(made.Failures) == 1:
		return store.Settlement{Err: made.Failures[0].Err}, nil
	}
	// Nothing of it was left, or the clock went back and it waits anew.
	return store.Settlement{Err: &tocsin.Error{
		Kind: tocsin.Conflict, Message: "the version was neither stored nor refused when its time came", Hint: "share it again",
	}}, nil
}

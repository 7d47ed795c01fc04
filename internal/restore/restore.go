// Package restore carries reviewers' decisions on masked values to a following version of the object.
package restore

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/minimize"
	"tocsin/internal/review"
	"tocsin/internal/store"
	"tocsin/internal/view"
	"tocsin/receipt"
	"tocsin/stix"
)

// A Queue keeps what is to be reviewed.
type Queue interface {
	Reviews(ctx context.Context, q store.ReviewQuery) (found []store.Review, next int64, err error)
	Review(ctx context.Context, id string) (store.Review, error)
	SaveReview(ctx context.Context, read, now review.Item, why receipt.Review) error
	ExpireReviews(ctx context.Context, now time.Time, most int) (int, error)
}

// A Store has the published objects, and takes the versions that follow.
type Store interface {
	Versions(ctx context.Context, collection, id string) ([]view.Sealed, error)
	Record(ctx context.Context, a authorize.Admitted) (store.Recorded, error)
}

// A Directory says how many people decide in a community.
type Directory interface {
	Reviewers(community string) int
}

// Gates are the privacy gates of communities.
type Gates interface {
	GateOf(community string) *minimize.Gate
}

// A Service lets curators decide on what the privacy gate masked because it was
// not sure. It is safe for concurrent use.
type Service struct {
	Queue     Queue
	Store     Store
	Directory Directory
	Policy    *authorize.Policy
	Gates     Gates
}

// A Query asks for items of a community, and a Queued item is one with its
// audience.
type (
	Query  = store.ReviewQuery
	Queued = store.Review
)

// MostDecisions is how many decisions are taken at once.
const MostDecisions = 100

// curator returns the reader that who is in a community that it moderates. To
// everybody else there is no queue.
func (s *Service) curator(who tocsin.Member, community string) (*authorize.Reader, error) {
	if who.Role(community) < tocsin.Curator {
		return nil, store.NoReview()
	}
	if who.Organization.Institutional() && who.Purpose == "" {
		return nil, &tocsin.Error{
			Kind: tocsin.Forbidden, Message: "a government reviewer must say for what purpose it reads", Hint: "state it in the header Tocsin-Purpose, or have the token bound to one",
		}
	}
	reader, err := s.Policy.Reader(who, community)
	if err != nil {
		return nil, store.NoReview()
	}
	return reader, nil
}

// List returns items of a community that who may decide on, without their
// values, those that wait longest first, and the number to go on after.
func (s *Service) List(ctx context.Context, who tocsin.Member, q store.ReviewQuery) (found []store.Review, next int64, err error) {
	reader, err := s.curator(who, q.Community)
	if err != nil {
		return nil, 0, err
	}
	all, next, err := s.Queue.Reviews(ctx, q)
	if err != nil {
		return nil, 0, fmt.Errorf("queue: %w", err)
	}
	for _, i := range all {
		if reader.MaySee(i.Label) {
			found = append(found, i)
		}
	}
	return found, next, nil
}

// read returns one item of a community that who may decide on.
func (s *Service) read(ctx context.Context, who tocsin.Member, community, id string) (store.Review, *authorize.Reader, error) {
	reader, err := s.curator(who, community)
	if err != nil {
		return store.Review{}, nil, err
	}
	if !stix.UUID(id) {
		return store.Review{}, nil, store.NoReview()
	}
	i, err := s.Queue.Review(ctx, id)
	if err != nil {
		return store.Review{}, nil, fmt.Errorf("queue: %w", err)
	}
	if i.Community != community || !reader.MaySee(i.Label) {
		return store.Review{}, nil, store.NoReview()
	}
	return i, reader, nil
}

// Shown is an item with what a person needs to decide.
type Shown struct {
	store.Review

	Text string // the text around the placeholder, as it is published; "" when the object is gone
}

// Show returns an item with its value. That somebody looks at it is on record
// before they see it.
func (s *Service) Show(ctx context.Context, who tocsin.Member, community, id string) (Shown, error) {
	i, reader, err := s.read(ctx, who, community, id)
	if err != nil || i.State != review.Pending {
		return Shown{Review: i}, err
	}
	why := statement(who, "shown", "")
	if err := s.Queue.SaveReview(ctx, i.Item, i.Item, why); err != nil {
		return Shown{}, fmt.Errorf("record: %w", err)
	}
	newest, _, err := s.newest(ctx, reader, i)
	if err != nil {
		return Shown{}, err
	}
	return Shown{i, minimize.Around(newest, i.Item)}, nil
}

func statement(who tocsin.Member, action, reason string) receipt.Review {
	return receipt.Review{Organization: who.Organization.Name, User: who.User, Purpose: who.Purpose, Action: action, Reason: reason}
}

// newest returns the newest version of an item's object among those that have
// its audience, nil when there is none.
func (s *Service) newest(ctx context.Context, reader *authorize.Reader, i store.Review) ([]byte, *authorize.Label, error) {
	versions, err := s.Store.Versions(ctx, i.Collection, i.Object)
	if err != nil {
		return nil, nil, fmt.Errorf("versions: %w", err)
	}
	for _, v := range slices.Backward(versions) {
		if v.Label == nil || v.Label.Key() != i.Label.Key() {
			continue
		}
		if o, ok := v.Render(reader); ok && !o.Partial() {
			return o.Raw(), v.Label, nil
		}
	}
	return nil, nil, nil
}

// A Decision is what a reviewer wants to be done with one item.
type Decision struct {
	ID     string
	Action review.Action
	Text   string // for [review.Redact]
	Reason string
}

// A Decided item is one after a decision, and the submission that carried it
// out, if it was.
type Decided struct {
	review.Item

	Submission *store.Recorded
}

// A change is what the decisions on one object come to.
type change struct {
	of        store.Review // one of its items
	reader    *authorize.Reader
	approvals []review.Approval
	items     []int // indexes of the decided items
}

// Decide takes decisions of one reviewer: what they lead to on one object is
// one following version of it. When one of them cannot be taken none is; when
// the hub fails on the way, those before it are done.
func (s *Service) Decide(ctx context.Context, who tocsin.Member, community string, decisions []Decision) ([]Decided, error) {
	if len(decisions) == 0 || len(decisions) > MostDecisions {
		return nil, &tocsin.Error{Kind: tocsin.Invalid, At: "/decisions", Message: "between 1 and 100 decisions are taken at once", Hint: "send them in several requests"}
	}
	out := make([]Decided, len(decisions))
	read := make([]review.Item, len(decisions))
	changes := map[string]*change{}
	var order []string
	seen := map[string]bool{}
	now := time.Now().UTC().Truncate(time.Microsecond)
	for n, d := range decisions {
		i, reader, err := s.read(ctx, who, community, d.ID)
		if err != nil {
			return nil, err
		}
		if seen[d.ID] {
			return nil, &tocsin.Error{Kind: tocsin.Invalid, At: "/decisions", Message: "a review is decided on twice in this request", Hint: "name it once"}
		}
		seen[d.ID] = true
		opinion := review.Opinion{Person: review.Person{Organization: who.Organization.Name, User: who.User}, Action: d.Action, Reason: d.Reason, Time: now, Text: d.Text}
		next, approval, err := i.Decide(opinion, s.Directory.Reviewers(community))
		if err != nil {
			return nil, fmt.Errorf("decide: %w", err)
		}
		read[n], out[n].Item = i.Item, next
		if approval == nil {
			continue
		}
		out[n].Item = approval.Item()
		key := i.Collection + " " + i.Object + " " + i.Label.Key()
		if changes[key] == nil {
			changes[key] = &change{of: i, reader: reader}
			order = append(order, key)
		}
		changes[key].approvals = append(changes[key].approvals, *approval)
		changes[key].items = append(changes[key].items, n)
	}
	admitted := make([]authorize.Admitted, len(order))
	for k, key := range order {
		var err error
		if admitted[k], err = s.admit(ctx, who, changes[key], now); err != nil {
			return nil, err
		}
	}
	for n := range out {
		if state := out[n].State; state == review.Approved || state == review.Redacted {
			continue
		}
		if err := s.Queue.SaveReview(ctx, read[n], out[n].Item, statement(who, string(decisions[n].Action), decisions[n].Reason)); err != nil {
			return nil, fmt.Errorf("save: %w", err)
		}
	}
	for k, key := range order {
		made, err := s.Store.Record(ctx, admitted[k])
		if err != nil {
			return nil, fmt.Errorf("record: %w", err)
		}
		for _, n := range changes[key].items {
			out[n].Submission = &made
		}
	}
	return out, nil
}

// admit makes the following version of an object.
func (s *Service) admit(ctx context.Context, who tocsin.Member, c *change, now time.Time) (authorize.Admitted, error) {
	newest, label, err := s.newest(ctx, c.reader, c.of)
	if err != nil {
		return authorize.Admitted{}, err
	}
	if newest == nil {
		return authorize.Admitted{}, &tocsin.Error{Kind: tocsin.Conflict, Message: "the object is not there any more"}
	}
	restored, err := s.Gates.GateOf(c.of.Community).Restore(newest, c.approvals, now)
	if err != nil {
		return authorize.Admitted{}, fmt.Errorf("restore: %w", err)
	}
	admitted, err := s.Policy.Restore(who, c.of.Collection, label, restored, now)
	if err != nil {
		return authorize.Admitted{}, fmt.Errorf("authorize: %w", err)
	}
	return admitted, nil
}

// How often the queue is looked through for items whose time is over, and how
// many of them end in one transaction.
const (
	every  = time.Minute
	atOnce = 500
)

// Run ends items whose time is over until the context ends.
func (s *Service) Run(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		n := atOnce
		for n == atOnce {
			var err error
			if n, err = s.Queue.ExpireReviews(ctx, time.Now(), atOnce); err != nil && ctx.Err() == nil {
				log.ErrorContext(ctx, "reviews", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

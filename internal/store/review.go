package store

import (
	"context"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/review"
	"tocsin/receipt"
	"tocsin/stix"
)

// MostReviews is how many values of one organization wait for review at most;
// what comes beyond stays masked.
const MostReviews = 10_000

// A Review is an item of the queue and who may see its object. Databases keep it
// as the hash of its id, the community, the owner, the collection, the hashes of the
// ids of its object and its submission, the time at which it expires while it is
// pending, a document and, while it is pending, the value.
type Review struct {
	review.Item

	Label *authorize.Label
}

// A ReviewQuery asks for items of a community, those that wait longest first,
// without their values.
type ReviewQuery struct {
	Community string
	Ended     bool   // those that have ended, instead of those that are pending
	Object    string // only those of this object; "": of all
	After     int64  // items after this number
	Most      int
}

// Reviews are the values that the privacy gate masked and people look at.
// [Recorder] makes them, and ends those that a submission carries out.
type Reviews interface {
	// Reviews lists items with the number to go on after.
	Reviews(ctx context.Context, q ReviewQuery) (found []Review, next int64, err error)
	// Review returns an item with its value, if it has one still; not found when
	// there is none.
	Review(ctx context.Context, id string) (Review, error)
	// SaveReview puts an item in the place of what was read, with a record in the ledger.
	// What has ended loses its value, from the write-ahead log too. It is a
	// conflict when somebody else was faster.
	SaveReview(ctx context.Context, read, now review.Item, why receipt.Review) error
	// ExpireReviews ends up to so many pending items whose time is over, and
	// returns how many.
	ExpireReviews(ctx context.Context, now time.Time, most int) (int, error)
}

// reviews makes the items of an object that was stored: one for each
// placeholder at a place, however often it stands there.
func (r *Recording) reviews(o *Incoming, version string) (out []Review) {
	a := r.Admitted
	for _, m := range o.Reviews {
		if slices.ContainsFunc(out, func(i Review) bool { return i.At == m.At && i.Placeholder == m.Placeholder }) {
			continue
		}
		made := a.At().UTC().Truncate(time.Microsecond)
		i := review.Item{
			ID: stix.UUIDv4(), Community: a.Target().Community, Collection: a.Target().Collection, Submission: a.ID(), Owner: a.Who().Organization.Name,
			Object: o.ID, Version: version, At: m.At, Class: m.Class, Rule: m.Rule, Placeholder: m.Placeholder, Why: m.Why,
			Made: made, Expires: made.Add(a.Target().ReviewTime), State: review.Pending,
		}
		out = append(out, Review{i.With(m.Original()), o.Label})
	}
	return out
}

// queue puts what people are to look at in the queue. A new version of its
// owner's, or a revocation, ends what waited: the placeholders of another version
// may stand for other values.
func (r *Recording) queue(w Writing, o *Incoming, siblings []Sibling, version string, out *Recorded) error {
	newest := !slices.ContainsFunc(siblings, func(s Sibling) bool { return s.Modified.After(o.Modified) })
	if len(siblings) > 0 && newest && len(r.Admitted.Restored()) == 0 {
		if err := w.SupersedeReviews(o.ID); err != nil {
			return err
		}
	}
	items := r.reviews(o, version)
	if len(items) == 0 {
		return nil
	}
	waiting, err := w.Reviewing(out.Organization)
	if err != nil {
		return err
	}
	for _, i := range items[:min(len(items), max(0, MostReviews-waiting))] {
		if err := w.Review(i); err != nil {
			return err
		}
		out.Reviews++
	}
	return nil
}

// end ends the items that a submission carries out.
func (r *Recording) end(w Writing) error {
	for _, a := range r.Admitted.Restored() {
		if ok, err := w.EndReview(a.Item()); err != nil || !ok {
			return errOr(err, ReviewConflict())
		}
	}
	return nil
}

func errOr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// ReviewConflict is what the slower one of two reviewers is told.
func ReviewConflict() error {
	return &tocsin.Error{Kind: tocsin.Conflict, Message: "somebody else decided on this review at the same time", Hint: "look at it again"}
}

// reviewed says in a statement what was decided, and by whom.
func (r *Recording) reviewed() (out []receipt.Reviewed) {
	for _, a := range r.Admitted.Restored() {
		i := a.Item()
		made := receipt.Reviewed{Review: i.ID, Object: i.Object, At: i.At, Class: i.Class, State: string(i.State), By: []string{}}
		for _, o := range i.Opinions {
			made.By = append(made.By, o.Organization+"/"+o.User)
		}
		out = append(out, made)
	}
	return out
}

// NoReview is what strangers are told.
func NoReview() error {
	return &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such review"}
}

// ReviewRecord returns what the ledger says of a look at an item or an opinion.
func ReviewRecord(hub string, i review.Item, why receipt.Review) (receipt.Record, error) {
	why.Hub, why.Time = hub, time.Now()
	why.Community, why.Review, why.Object, why.At, why.Class, why.State = i.Community, i.ID, i.Object, i.At, i.Class, string(i.State)
	return receipt.NewRecord(why)
}

// A reviewDoc is an item with its label, as databases keep it.
type reviewDoc struct {
	Item  jsontext.Value `json:"item"`
	Label jsontext.Value `json:"label"`
}

// Encode returns an item as databases keep it, without its value.
func (r Review) Encode() ([]byte, error) {
	item, err := r.Item.Encode()
	if err != nil {
		return nil, err
	}
	label, err := EncodeLabel(r.Label)
	if err != nil {
		return nil, err
	}
	return json.Marshal(reviewDoc{item, jsontext.Value(label)})
}

// DecodeReview reads what [Review.Encode] wrote.
func DecodeReview(doc, original []byte) (Review, error) {
	var d reviewDoc
	if err := json.Unmarshal(doc, &d); err != nil {
		return Review{}, err
	}
	item, err := review.Decode(d.Item)
	if err != nil {
		return Review{}, err
	}
	label, err := DecodeLabel(d.Label)
	return Review{item.With(string(original)), label}, err
}

// Precedes reports whether the item is pending, and has no opinion that the one
// that ends it does not know of.
func (r Review) Precedes(end review.Item) bool {
	if r.State != review.Pending || len(end.Opinions) == 0 {
		return false
	}
	last := end.Opinions[len(end.Opinions)-1]
	return !slices.ContainsFunc(r.Opinions, func(o review.Opinion) bool {
		return o.Person != last.Person && !slices.ContainsFunc(end.Opinions, func(p review.Opinion) bool {
			return p.Person == o.Person && p.Time.Equal(o.Time)
		})
	})
}

// Replace returns the item as it is to be kept in the place of what is stored,
// false when that has ended or has other opinions than when it was read.
func (r Review) Replace(read, now review.Item) (Review, bool) {
	if r.State != review.Pending || !slices.EqualFunc(r.Opinions, read.Opinions, func(a, b review.Opinion) bool {
		return a.Person == b.Person && a.Time.Equal(b.Time)
	}) {
		return Review{}, false
	}
	r.Item = now
	return r, true
}

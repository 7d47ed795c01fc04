package withdraw

import (
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"tocsin"
	"tocsin/internal/store"
	"tocsin/receipt"
	"tocsin/stix"
)

// What a value to be erased may be, in bytes: shorter ones are in every other
// object, and nobody types longer ones.
const (
	leastValue = 4
	MostValue  = 1000
)

// An Eraser erases what holds a value, on request of the person whose it is or
// of an authority. Only the hub's operator may ask it to: it looks into all that
// the hub keeps, whoever may see it. It gives out where the value is, never what
// stands there. It is safe for concurrent use.
type Eraser struct{ Store EraserStore }

// An EraserStore finds contents and deletes them.
type EraserStore interface {
	store.Contents
	Withdraw(ctx context.Context, w store.Withdrawal) (gone int, leaf int64, err error)
	Settle(ctx context.Context, number int64, s store.Settlement) error
	// Disclose logs that ranges of the order were looked at.
	Disclose(ctx context.Context, reads []receipt.Disclosure) error
	Head(collection string) (int64, <-chan struct{})
}

// A Search is how far one has come, and what it found on the way.
type Search struct {
	store.Found

	Of int64 // the last position there is
}

// Search looks for a value in the next part of what the hub keeps, after a
// position of the one order, 0 at first. That somebody searched is in the ledger,
// without the value: when a search begins, and whenever it finds something.
func (e *Eraser) Search(ctx context.Context, who tocsin.Member, value string, after int64) (Search, error) {
	match, err := e.matcher(who, value)
	if err != nil {
		return Search{}, err
	}
	found, err := e.Store.Find(ctx, match, after)
	if err != nil {
		return Search{}, fmt.Errorf("find: %w", err)
	}
	head, _ := e.Store.Head("")
	s := Search{Found: found, Of: head}
	if after > 0 && len(found.Objects) == 0 {
		return s, nil
	}
	d := receipt.Disclosure{
		Organization: who.Organization.Name, OrganizationKind: who.Organization.Kind, User: who.User, Purpose: erasurePurpose,
		From: after + 1, To: max(found.Next, after+1), Objects: len(found.Objects),
	}
	if err := e.Store.Disclose(ctx, []receipt.Disclosure{d}); err != nil {
		return Search{}, fmt.Errorf("disclose: %w", err)
	}
	return s, nil
}

const erasurePurpose = "erasure of a value: which objects hold it, not what they say"

// Erased is what was erased of one object, or of what waits.
type Erased struct {
	Community  string
	Collection string // its id
	ID         string
	Versions   int
	Leaf       int64 // the number of the record in the ledger
}

// An Erasure is what one part of [Eraser.Erase] did.
type Erasure struct {
	Erased  []Erased
	Holds   int   // versions that waited in quarantine
	Reviews int   // values that waited for review
	Next    int64 // to go on after
	Of      int64
	More    bool
}

// Erase searches like [Eraser.Search], and erases what it finds: versions that
// hold the value, each object with a record of its own. Versions without it stay.
// The reason, if any, is in the ledger, and may not repeat the value.
func (e *Eraser) Erase(ctx context.Context, who tocsin.Member, value, reason string, after int64) (Erasure, error) {
	switch {
	case len(reason) > MostReason || !utf8.ValidString(reason):
		return Erasure{}, &tocsin.Error{Kind: tocsin.Invalid, At: "/reason", Message: "the reason is longer than 1,000 bytes, or no text", Hint: "shorten it"}
	case strings.Contains(fold(reason), fold(value)):
		return Erasure{}, &tocsin.Error{Kind: tocsin.Invalid, At: "/reason", Message: "the reason repeats the value, and reasons are kept", Hint: "say why without it"}
	}
	s, err := e.Search(ctx, who, value, after)
	if err != nil {
		return Erasure{}, err
	}
	out := Erasure{Next: s.Next, Of: s.Of, More: s.More}
	for _, h := range s.Holds {
		if err := e.Store.Settle(ctx, h.Number, store.Erasing()); err != nil {
			return Erasure{}, fmt.Errorf("settle: %w", err)
		}
		out.Holds++
	}
	for _, r := range s.Reviews {
		if err := e.Store.EraseReview(ctx, r.ID, who, reason); err != nil {
			return Erasure{}, fmt.Errorf("review: %w", err)
		}
		out.Reviews++
	}
	for _, w := range withdrawals(s.Objects) {
		w.Who, w.Reason, w.Cause = who, reason, receipt.Erased
		gone, leaf, err := e.Store.Withdraw(ctx, w)
		if err != nil {
			return Erasure{}, fmt.Errorf("withdraw: %w", err)
		}
		if gone > 0 {
			out.Erased = append(out.Erased, Erased{w.Community, w.Collection, w.Versions[0].ID, gone, leaf})
		}
	}
	return out, nil
}

// withdrawals puts the versions of one object in one collection together.
func withdrawals(found []store.Placed) (out []store.Withdrawal) {
	at := map[[2]string]int{}
	for _, p := range found {
		key := [2]string{p.Collection, p.ID}
		n, ok := at[key]
		if !ok {
			n = len(out)
			at[key] = n
			out = append(out, store.Withdrawal{Community: p.Community, Collection: p.Collection})
		}
		out[n].Versions = append(out[n].Versions, p.Version)
	}
	return out
}

// matcher refuses those who may not search and values that cannot be searched
// for, and returns what recognizes a value in a content.
func (e *Eraser) matcher(who tocsin.Member, value string) (func(content []byte) bool, error) {
	wanted := fold(strings.TrimSpace(value))
	switch {
	case !who.Operator:
		return nil, &tocsin.Error{Kind: tocsin.Forbidden, Message: "only the hub's operator may erase by value", Hint: "take back what you shared with 'tocsin recall', or ask the hub's operator"}
	case len(wanted) < leastValue || len(value) > MostValue || !utf8.ValidString(value):
		return nil, &tocsin.Error{Kind: tocsin.Invalid, At: "/value", Message: "a value to be erased has between 4 and 1,000 bytes", Hint: "a shorter one is in every other object: give more of it"}
	}
	return func(content []byte) bool {
		v, err := stix.Parse(content, stix.Limits{})
		if err != nil { // a masked value of a review is no JSON
			return strings.Contains(fold(string(content)), wanted)
		}
		return holds(v, wanted)
	}, nil
}

// holds reports whether a value, the name of a property or a number is or has
// in it what is wanted.
func holds(v stix.Value, wanted string) bool {
	switch v.Kind() {
	case stix.Object:
		for name, member := range v.Members() {
			if strings.Contains(fold(name), wanted) || holds(member, wanted) {
				return true
			}
		}
	case stix.Array:
		for _, element := range v.Elements() {
			if holds(element, wanted) {
				return true
			}
		}
	case stix.String:
		return strings.Contains(fold(v.Text()), wanted)
	case stix.Number:
		return strings.Contains(string(v.Raw()), wanted)
	case stix.Absent, stix.Null, stix.Bool:
	}
	return false
}

// fold makes texts equal that read the same: case, width and invisible
// characters make no difference, and any space is one space.
func fold(s string) string {
	ascii := true
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf || s[i] < ' ' {
			ascii = false
			break
		}
	}
	if ascii {
		return strings.ToLower(s)
	}
	return strings.ToLower(strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Cf, r):
			return -1
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, norm.NFKC.String(s)))
}

// Package view makes the copy of an object that one recipient may see.
package view

import (
	"crypto/sha256"
	"log/slog"
	"strings"
	"sync"
	"time"

	"tocsin/internal/authorize"
	"tocsin/internal/tearline"
	"tocsin/stix"
)

// A Sealed object is one that was read from the store. Its content cannot be
// reached except through [Sealed.Render], which asks who wants to see it.
type Sealed struct {
	Meta

	raw  []byte
	sum  [sha256.Size]byte // of raw, unless it is zero
	made *made
}

// Meta is what the store knows of an object version besides its content. It
// tells what exists, so it is not for readers either.
type Meta struct {
	Seq        int64     // position in the one order, from 1
	ID         string    // STIX identifier
	Type       string    // STIX type
	Version    string    // as written; "" when the object has no version
	Modified   time.Time // the version as a time; zero when there is none
	Added      time.Time // date_added, unique and increasing, at microseconds
	Collection string    // the collection's id
	Withdrawn  bool      // a tombstone: the object was withdrawn at this position
	Siblings   bool      // the collection holds, or held, other versions of it
	Label      *authorize.Label
}

// Seal wraps what a store has read. raw is nil when only metadata was asked for.
func Seal(m Meta, raw []byte) Sealed { return Sealed{Meta: m, raw: raw} }

// SealSummed is [Seal] of content whose SHA-256 the store has kept.
func SealSummed(m Meta, raw []byte, sum [sha256.Size]byte) Sealed {
	return Sealed{Meta: m, raw: raw, sum: sum}
}

// made is what was made of an object that many readers are given.
type made struct {
	once sync.Once
	text []byte

	copies sync.Map // what is hidden, as text → func() copied
}

// A copied is the copy of an object for those from whom something is hidden.
type copied struct {
	raw  []byte
	id   string
	ok   bool
	made *made
}

// Shared returns the same object, to be rendered for many readers: what
// [Object.Once] makes of it is made once for all of them.
func (s Sealed) Shared() Sealed {
	s.made = &made{}
	return s
}

// Size returns about how much memory the object takes, in bytes, without what
// is made of it.
func (s Sealed) Size() int { return len(s.raw) + sizeOfMeta + len(s.ID) + len(s.Version) }

const sizeOfMeta = 256

// LogValue keeps submitted content out of logs.
func (s Sealed) LogValue() slog.Value { return slog.Int64Value(s.Seq) }

// Render returns the object as the reader may see it, and false when for this
// reader it does not exist.
func (s Sealed) Render(r *authorize.Reader) (Object, bool) {
	o, _, ok := s.See(r)
	return o, ok
}

// See is [Sealed.Render], and says what was decided: readers of whom the same is
// decided are given the same.
//
// Who may see a part of the object is given a copy. It has an id of its own, so
// that nobody ever meets two contents under one id and version (STIX 2.1 §3.6),
// and what asks for the object by the original's id does not find it.
func (s Sealed) See(r *authorize.Reader) (Object, authorize.Sight, bool) {
	if r == nil {
		return Object{}, authorize.Sight{}, false
	}
	sight := r.See(s.Label)
	switch sight.Extent {
	case authorize.Whole:
		return Object{meta: s.Meta, raw: s.raw, sum: s.sum, made: s.made}, sight, true
	case authorize.Part:
		if maker := r.Copies(); maker != nil {
			o, ok := s.part(maker, sight.Hidden)
			return o, sight, ok
		}
	case authorize.None:
	}
	return Object{}, sight, false
}

// part returns the copy without what some markings mark. Of content that is not
// at hand only the copy's id is known: labels tell whether there can be a copy.
func (s Sealed) part(maker *tearline.Maker, hidden []string) (Object, bool) {
	o := Object{meta: s.Meta, partial: true}
	if s.raw == nil {
		o.meta.ID = maker.ID(s.ID, hidden, s.Label.Digest)
		return o, true
	}
	cut := func() (c copied) {
		v, err := stix.Parse(s.raw, stix.Limits{})
		if err != nil { // it was parsed before it was stored
			return c
		}
		c.made = &made{}
		c.raw, c.id, c.ok = maker.Copy(v, &s.Label.Recipe, hidden)
		return c
	}
	if s.made == nil {
		c := cut()
		o.raw, o.meta.ID = c.raw, c.id
		return o, c.ok
	}
	// s.made and s.sum are of the producer's bytes; each copy has its own.
	once, _ := s.made.copies.LoadOrStore(strings.Join(hidden, " "), sync.OnceValue(cut))
	c := once.(func() copied)() //nolint:errcheck,forcetypeassert // nothing else is stored
	o.raw, o.meta.ID, o.made = c.raw, c.id, c.made
	return o, c.ok
}

// An Object is what one reader may see of an object. Only Render makes one.
type Object struct {
	meta Meta
	raw  []byte
	sum  [sha256.Size]byte
	made *made

	partial bool
}

// Raw returns the bytes to hand out: those that the producer sent, or those of
// the reader's copy.
func (o Object) Raw() []byte { return o.raw }

// Sum returns the SHA-256 of what [Object.Raw] returns, and false when nobody
// has it at hand.
func (o Object) Sum() (sum [sha256.Size]byte, ok bool) {
	return o.sum, o.sum != [sha256.Size]byte{}
}

// Once returns what f makes of the object. Of an object that is shared
// ([Sealed.Shared]) it is made once, for all readers who are given the same
// copy, so f must depend on nothing else, and the result must not be changed.
func (o Object) Once(f func(Object) []byte) []byte {
	if o.made == nil {
		return f(o)
	}
	o.made.once.Do(func() { o.made.text = f(o) })
	return o.made.text
}

// Seq returns the position in the one order.
func (o Object) Seq() int64 { return o.meta.Seq }

// Partial reports whether this is a copy for a reader who may not see all of the
// object.
func (o Object) Partial() bool { return o.partial }

// ID returns the STIX identifier, of a copy its own.
func (o Object) ID() string { return o.meta.ID }

// Type returns the STIX type.
func (o Object) Type() string { return o.meta.Type }

// Version returns the version as TAXII names it: the modified or created
// property, else the date on which the hub added the object.
func (o Object) Version() string {
	if o.meta.Version != "" {
		return o.meta.Version
	}
	return o.meta.Added.UTC().Format(Microseconds)
}

// VersionTime returns the version as a time, to compare by.
func (o Object) VersionTime() time.Time {
	if o.meta.Version != "" {
		return o.meta.Modified
	}
	return o.meta.Added
}

// Added returns date_added.
func (o Object) Added() time.Time { return o.meta.Added }

// Withdrawn reports whether this is the news that the object is no more.
func (o Object) Withdrawn() bool { return o.meta.Withdrawn }

// Owner returns the organization that shared the object.
func (o Object) Owner() string { return o.meta.Label.Owner }

// LogValue keeps content out of logs.
func (o Object) LogValue() slog.Value { return slog.Int64Value(o.meta.Seq) }

// Microseconds is the one form in which the hub writes times (TAXII 2.1 §3.3).
const Microseconds = "2006-01-02T15:04:05.000000Z"

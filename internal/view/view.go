// Package view makes the copy of an object that one recipient may see.
package view

import (
	"crypto/sha256"
	"log/slog"
	"sync"
	"time"

	"tocsin/internal/authorize"
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

// made is what was made of a copy that many readers are given.
type made struct {
	once sync.Once
	text []byte
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
	if r == nil || !r.MaySee(s.Label) {
		return Object{}, false
	}
	// A copy that differs from what is stored must not take over s.made and s.sum:
	// they are for those who are given these bytes.
	return Object{meta: s.Meta, raw: s.raw, sum: s.sum, made: s.made}, true
}

// An Object is what one reader may see of an object. Only Render makes one.
type Object struct {
	meta Meta
	raw  []byte
	sum  [sha256.Size]byte
	made *made
}

// Raw returns the bytes to hand out: those that the producer sent.
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

// ID returns the STIX identifier.
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

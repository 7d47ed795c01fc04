// Package validate turns untrusted bytes into well-formed STIX, or says where they are wrong.
package validate

import (
	"errors"
	"strconv"
	"time"

	"tocsin"
	"tocsin/stix"
	"tocsin/stix/pattern"
)

// A Bundle is what was submitted at once: the objects that are well-formed
// STIX 2.1, and what was wrong with the rest. Only [Parse] makes one.
type Bundle struct {
	objects  []Object
	rejected []Rejection
}

// Objects returns the well-formed objects in the order in which they came.
func (b Bundle) Objects() []Object { return b.objects }

// Rejected returns what was refused, in the order in which it came.
func (b Bundle) Rejected() []Rejection { return b.rejected }

// An Object is one well-formed STIX object inside the text that it came in.
type Object struct {
	value    stix.Value
	id       string
	kind     string
	version  string
	modified time.Time
}

// Value returns the object's parse: its bytes are those that were submitted.
func (o Object) Value() stix.Value { return o.value }

// ID returns the object's identifier (STIX 2.1 §2.9).
func (o Object) ID() string { return o.id }

// Type returns the object's type.
func (o Object) Type() string { return o.kind }

// Version returns the modified property as it was written, or created for
// objects that have no versions, or "" for objects that have neither.
func (o Object) Version() string { return o.version }

// Modified returns the version as a time, the zero time when there is none.
func (o Object) Modified() time.Time { return o.modified }

// A Rejection is one object that was refused, and why.
type Rejection struct {
	At       string // JSON Pointer of the object in what was submitted
	ID       string // the object's id when it is a well-formed one, else ""
	Version  string // its modified or created property when that is a timestamp, else ""
	Problems []stix.Problem
}

// Error returns the first problem as an error for the submitter, with the
// pointer from the root of what was submitted.
func (r Rejection) Error() *tocsin.Error {
	for _, p := range r.Problems {
		if p.Class != stix.ClassWarning {
			return refusal(&p, r.At)
		}
	}
	return &tocsin.Error{Kind: tocsin.Invalid, At: r.At, Message: "the object is not valid STIX 2.1"}
}

// Options bound what [Parse] takes. Zero fields mean the defaults.
type Options struct {
	Bytes   int // of the whole text; [stix.DefaultBytes]
	Objects int // in one text; 50,000
}

const defaultObjects = 50_000

// Parse reads a STIX bundle (STIX 2.1 §8), a TAXII envelope (TAXII 2.1 §3.7) or
// a single object. What cannot be read at all, or holds no object, is an error;
// objects that are not valid STIX are rejected one by one, so that one bad
// object does not hold up an alarm.
func Parse(text []byte, options Options) (Bundle, error) {
	if options.Objects == 0 {
		options.Objects = defaultObjects
	}
	root, err := stix.Parse(text, stix.Limits{Bytes: options.Bytes, Members: 0})
	if err != nil {
		return Bundle{}, parseError(err)
	}
	if root.Kind() != stix.Object {
		return Bundle{}, &tocsin.Error{
			Kind: tocsin.Invalid, Clause: "TAXII 2.1 §3.7", Message: "the body is not a JSON object",
			Hint: "send an envelope {\"objects\": [...]} or a STIX bundle",
		}
	}
	objects := root.Get("objects")
	bundle := root.Get("type").Is("bundle")
	// What has another type is an object, whatever is in it.
	if objects.Kind() != stix.Array || root.Get("type").Exists() && !bundle {
		if root.Get("id").Exists() && !bundle {
			var b Bundle
			b.add(root, "")
			return b.orError()
		}
		return Bundle{}, &tocsin.Error{
			Kind: tocsin.Invalid, At: "/objects", Clause: "TAXII 2.1 §3.7", Message: "a list of objects was expected",
			Hint: "send an envelope {\"objects\": [...]} or a STIX bundle",
		}
	}
	count := objects.Len()
	if count == 0 {
		return Bundle{}, &tocsin.Error{Kind: tocsin.Invalid, At: "/objects", Clause: "STIX 2.1 §2.12", Message: "the list of objects is empty"}
	}
	if count > options.Objects {
		return Bundle{}, &tocsin.Error{
			Kind: tocsin.TooLarge, At: "/objects", Message: "more than " + strconv.Itoa(options.Objects) + " objects at once",
			Hint: "send them in several requests",
		}
	}
	b := Bundle{objects: make([]Object, 0, count)}
	for i, v := range objects.Elements() {
		b.add(v, "/objects/"+strconv.Itoa(i))
	}
	return b.orError()
}

// orError refuses a submission of which nothing can be used (TAXII 2.1 §5.5:
// 422 when the objects could not be processed).
func (b Bundle) orError() (Bundle, error) {
	if len(b.objects) == 0 && len(b.rejected) > 0 {
		err := b.rejected[0].Error()
		if n := len(b.rejected) - 1; n > 0 {
			err.Hint = "and " + strconv.Itoa(n) + " more objects were refused; run 'tocsin validate' on the file for all of them"
		}
		return Bundle{}, err
	}
	return b, nil
}

// object checks one parsed value as a STIX object.
func object(v stix.Value) (Object, []stix.Problem) {
	problems := stix.Validate(v, stix.Options{Pattern: pattern.Check, ErrorsOnly: true})
	if len(problems) > 0 {
		return Object{}, problems
	}
	o := Object{value: v, id: v.Get("id").Text(), kind: v.Get("type").Text()}
	o.version = version(v)
	o.modified, _ = stix.ParseTime(o.version)
	return o, nil
}

// version returns a value's version. A marking-definition has none but the one
// it was created with (STIX 2.1 §7.2.1): what it means never changes, whatever
// else it says.
func version(v stix.Value) string {
	names := [...]string{"modified", "created"}
	from := 0
	if v.Get("type").Is("marking-definition") {
		from = 1
	}
	for _, name := range names[from:] {
		if s := v.Get(name).Text(); s != "" {
			return s
		}
	}
	return ""
}

func (b *Bundle) add(v stix.Value, at string) {
	o, problems := object(v)
	if problems == nil {
		b.objects = append(b.objects, o)
		return
	}
	r := Rejection{At: at, Problems: problems}
	if id := v.Get("id").Text(); id != "" {
		if _, _, ok := stix.SplitID(id); ok {
			r.ID = id
		}
	}
	if s := version(v); s != "" {
		if _, ok := stix.ParseTime(s); ok {
			r.Version = s
		}
	}
	b.rejected = append(b.rejected, r)
}

// Check reports everything that is wrong with one parsed object, warnings
// included, by the standard and by a profile.
func Check(v stix.Value, profile stix.Profile) []stix.Problem {
	return stix.Validate(v, stix.Options{Pattern: pattern.Check, DoubtfulPattern: doubtful, Profile: profile})
}

// CheckBundle does so for a bundle and all objects in it.
func CheckBundle(v stix.Value, profile stix.Profile) []stix.Problem {
	return stix.ValidateBundle(v, stix.Options{Pattern: pattern.Check, DoubtfulPattern: doubtful, Profile: profile})
}

// doubtful returns what the standard forbids in a pattern and its reference
// implementation takes.
func doubtful(text string) []error {
	p, err := pattern.Parse(text)
	if err != nil {
		return nil
	}
	var found []error
	for _, problem := range p.Problems() {
		found = append(found, problem)
	}
	return found
}

// parseError turns a problem of the JSON parser into an error for the
// submitter.
func parseError(err error) error {
	var p *stix.Problem
	if !errors.As(err, &p) {
		return err
	}
	return refusal(p, "")
}

func refusal(p *stix.Problem, at string) *tocsin.Error {
	e := &tocsin.Error{Kind: tocsin.Invalid, At: at + p.At, Clause: p.Clause, Message: p.Message}
	switch p.Class {
	case stix.ClassSyntax:
		e.Kind = tocsin.Malformed
		e.Message += " (byte " + strconv.Itoa(p.Offset) + ")"
	case stix.ClassTooLarge:
		e.Kind = tocsin.TooLarge
		e.Hint = "send less at once"
	case stix.ClassInvalid, stix.ClassWarning:
	}
	return e
}

// NewObject checks one parsed object by itself; the problems are nil when it is
// well-formed. The privacy gate uses it on its changed copies: a copy that is
// not valid STIX any more does not leave.
func NewObject(v stix.Value) (Object, []stix.Problem) { return object(v) }

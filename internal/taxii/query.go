package taxii

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tocsin"
	"tocsin/internal/distribute"
	"tocsin/stix"
)

// A filter is what the URL's query asks for (TAXII 2.1 §3.4).
type filter struct {
	addedAfter time.Time // zero: from the beginning
	limit      int       // at least 1, at most the largest page
	next       string    // cursor; "": none
	ids        []string
	types      []string
	which      distribute.Which
	nothing    bool     // no version of STIX that is kept here was asked for
	scope      []string // what a cursor is bound to
}

// Bounds of a query: values in one filter, and bytes of one value (a type of
// 250 characters, two hyphens and a UUID).
const (
	mostValues   = 500
	longestValue = 288
)

// parseFilter reads a query. Each parameter may stand there once. A match
// field that is not known is refused, because an answer that leaves it out of
// account would hold what the client did not want; any other unknown parameter
// is ignored.
func parseFilter(raw string, maxPage int) (filter, error) {
	f := filter{limit: maxPage}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return filter{}, malformed("the query", "escape it as a URL requires")
	}
	for name, texts := range values {
		if len(texts) != 1 {
			return filter{}, malformed("a parameter that stands in the query twice", "give it once; join values with commas")
		}
		if err := f.set(name, texts[0], maxPage); err != nil {
			return filter{}, err
		}
	}
	slices.Sort(f.scope) // the order of the parameters has no meaning
	return f, nil
}

// set reads one parameter. What a cursor is bound to is what selects objects:
// not the limit, which a client may change between pages, nor added_after,
// which some clients leave out or move on while they follow a cursor.
func (f *filter) set(name, text string, maxPage int) error {
	switch name {
	case "added_after":
		at, ok := stix.ParseTime(text)
		if !ok {
			return malformed("added_after", "write it like 2026-01-31T12:00:00.000000Z")
		}
		f.addedAfter = at
		return nil
	case "limit":
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil || n == 0 {
			return malformed("limit", "give a whole number greater than 0")
		}
		f.limit = min(int(n), maxPage)
		return nil
	case "next":
		if text == "" {
			return malformed("next", "leave it out to begin")
		}
		f.next = text
		return nil
	}
	field, ok := strings.CutPrefix(name, "match[")
	if !ok {
		return nil
	}
	values := strings.Split(text, ",")
	slices.Sort(values)
	values = slices.Compact(values)
	if len(values) > mostValues || slices.ContainsFunc(values, unreadable) {
		return malformed("a match filter", "give 1 to 500 values, joined with commas")
	}
	f.scope = append(f.scope, name+"="+strings.Join(values, ","))
	switch field {
	case "id]":
		f.ids = values
	case "type]":
		f.types = values
	case "version]":
		return f.versions(values)
	case "spec_version]":
		if slices.ContainsFunc(values, func(v string) bool { return !specVersion(v) }) {
			return malformed("match[spec_version]", "give versions of STIX, such as 2.1")
		}
		f.nothing = !slices.Contains(values, "2.1")
	default:
		return malformed("a match field that TAXII 2.1 does not know", "use id, type, version or spec_version")
	}
	return nil
}

// unreadable reports whether a value can match nothing and is not text.
func unreadable(value string) bool {
	return value == "" || len(value) > longestValue || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl)
}

// versions reads match[version] (TAXII 2.1 §3.4.1): first, last and exact
// times together, or all.
func (f *filter) versions(values []string) error {
	for _, v := range values {
		switch v {
		case "first":
			f.which.First = true
		case "last":
			f.which.Last = true
		case "all":
			f.which.All = true
		default:
			at, ok := stix.ParseTime(v)
			if !ok {
				return malformed("match[version]", "give first, last, all or the version as it is written in the object")
			}
			f.which.At = append(f.which.At, at)
		}
	}
	if f.which.All && len(values) > 1 {
		return malformed("match[version]", "all stands alone")
	}
	return nil
}

// specVersion reports whether s looks like the version of a specification.
func specVersion(s string) bool {
	major, minor, ok := strings.Cut(s, ".")
	_, err1 := strconv.ParseUint(major, 10, 8)
	_, err2 := strconv.ParseUint(minor, 10, 8)
	return ok && err1 == nil && err2 == nil
}

func malformed(what, hint string) *tocsin.Error {
	return &tocsin.Error{Kind: tocsin.Malformed, Clause: "TAXII 2.1 §3.4", Message: what + " cannot be understood", Hint: hint}
}

// query turns a filter on one collection into a question to the feed.
func (s *Server) query(community, collection string, f filter, object string) (distribute.Query, time.Time, error) {
	q := distribute.Query{
		Community: community, Collection: collection,
		AddedAfter: f.addedAfter, Limit: f.limit, IDs: f.ids, Types: f.types, Versions: f.which,
	}
	if object != "" {
		q.IDs, q.Types = []string{object}, nil
	}
	seen := f.addedAfter
	if f.next != "" {
		p, err := s.Cursors.Open(f.next, scope(collection, object, f)...)
		if err != nil {
			return distribute.Query{}, time.Time{}, err
		}
		q.After = p.Seq
		if p.Added.After(seen) {
			seen = p.Added
		}
	}
	return q, seen, nil
}

// scope is what a cursor for a page is bound to.
func scope(collection, object string, f filter) []string {
	return append([]string{"taxii page", collection, object}, f.scope...)
}

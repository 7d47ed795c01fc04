package taxii

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tocsin"
	"tocsin/internal/cursor"
	"tocsin/internal/distribute"
	"tocsin/internal/receive"
	"tocsin/internal/view"
)

// A kind is what a list is of.
type kind string

// The kinds of lists.
const (
	envelopes    kind = "envelope" // TAXII 2.1 §3.7
	manifests    kind = "manifest" // §5.3.1
	versionLists kind = "versions" // §5.8.1
)

// A listing is a request for a list, understood once for all who ask the same.
// It depends on the URL alone and says nothing of who may see what.
type listing struct {
	request *distribute.Request
	exists  *distribute.Request // whether there is the one object that is asked for; nil for lists of many
	nothing bool                // no version of STIX that is kept here was asked for
	none    *distribute.Cut     // then
}

// dates are the two headers of TAXII 2.1 §3.3 that every list has.
type dates struct{ first, last []string }

// list answers a request for a list, of one object or, when object is "", of
// the collection.
func (s *Server) list(w http.ResponseWriter, r *http.Request, who tocsin.Member, k kind, object string) error {
	if err := receive.Accepts(r, spoken(), plain()); err != nil {
		return err
	}
	c, err := s.find(r, who)
	if err != nil {
		return err
	}
	l, err := s.listings.of(listingKey{c.ID, object, r.URL.RawQuery, k}, func() (*listing, error) {
		return s.understand(c.Community, c.ID, object, r.URL.RawQuery, k)
	})
	if err != nil {
		return err
	}
	cut := l.none
	if !l.nothing {
		if cut, err = s.Feed.Cut(r.Context(), who, l.request); err != nil {
			return fmt.Errorf("page: %w", err)
		}
	}
	if l.exists != nil && cut.Objects == 0 && !cut.More {
		// This tells an object of which the filters left nothing from one that
		// is not there for this reader. That it exists is something that the
		// reader learns, so this too goes on record as a read.
		known, err := s.Feed.Cut(r.Context(), who, l.exists)
		if err != nil {
			return fmt.Errorf("page: %w", err)
		}
		if known.Objects == 0 {
			return noObject()
		}
	}
	if d, ok := cut.Beside.(dates); ok {
		header := w.Header()
		header["X-Taxii-Date-Added-First"], header["X-Taxii-Date-Added-Last"] = d.first, d.last
	}
	return receive.Answer(w, http.StatusOK, mediaType, cut.Text)
}

// understand reads a request for a list.
func (s *Server) understand(community, collection, object, rawQuery string, k kind) (*listing, error) {
	f, err := parseFilter(rawQuery, s.MaxPage)
	if err != nil {
		return nil, err
	}
	q, seen, err := s.query(community, collection, f, object)
	if err != nil {
		return nil, err
	}
	switch k {
	case manifests:
		q.Meta = true
	case versionLists:
		q.Meta = true
		if !q.Versions.Chosen() {
			q.Versions.All = true
		}
	case envelopes:
	}
	sealed := scope(collection, object, f)
	form := distribute.Form{
		// What Write depends on besides the page. No part of the scope has
		// control characters (see parseFilter).
		Name: string(k) + "\n" + strconv.FormatInt(seen.UnixMicro(), 10) + "\n" + strings.Join(sealed, "\n"),
		Write: func(p distribute.Page) ([]byte, any) {
			// On an empty page both dates say where the client is already, so
			// that one that pages by them stays there.
			first, last := seen, seen
			if n := len(p.Objects); n > 0 {
				first, last = p.Objects[0].Added(), p.Objects[n-1].Added()
			}
			next := ""
			if p.More {
				next = s.Cursors.Seal(cursor.Position{Seq: p.Next, Added: last}, sealed...)
			}
			return write(k, p, next), dates{[]string{dateAdded(first)}, []string{dateAdded(last)}}
		},
	}
	l := &listing{request: s.Feed.Prepare(q, form), nothing: f.nothing}
	if f.nothing {
		l.none = l.request.None()
	}
	if object != "" {
		l.exists = s.Feed.Prepare(distribute.Query{
			Community: q.Community, Collection: q.Collection, IDs: q.IDs, Limit: 1, Versions: distribute.Which{Last: true}, Meta: true,
		}, distribute.Form{Name: "exists", Write: func(distribute.Page) ([]byte, any) { return nil, nil }})
	}
	return l, nil
}

// dateAdded writes a date_added; before the first one lies the epoch.
func dateAdded(t time.Time) string {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.UTC().Format(view.Microseconds)
}

// write returns the text of a list. Lists that are empty are left out (TAXII
// 2.1 §3.7, §5.3.1, §5.8.1).
func write(k kind, p distribute.Page, next string) []byte {
	if len(p.Objects) == 0 && !p.More {
		return []byte("{}")
	}
	var list any
	switch k {
	case envelopes:
		return writeEnvelope(p, next)
	case manifests:
		m := manifestResource{More: p.More, Next: next}
		for _, o := range p.Objects {
			m.Objects = append(m.Objects, manifestRecord{
				ID: o.ID(), DateAdded: dateAdded(o.Added()), Version: o.Version(), MediaType: contentType,
			})
		}
		list = m
	case versionLists:
		v := versionsResource{More: p.More, Next: next}
		for _, o := range p.Objects {
			v.Versions = append(v.Versions, o.Version())
		}
		list = v
	}
	text, _ := json.Marshal(list) // strings and booleans always marshal
	return text
}

// writeEnvelope returns an envelope (TAXII 2.1 §3.7) around the very bytes that were
// submitted.
func writeEnvelope(p distribute.Page, next string) []byte {
	begin := `{"more":false`
	if p.More {
		begin = `{"more":true,"next":"` + next + `"` // base64url: nothing to escape
	}
	if len(p.Objects) == 0 {
		return []byte(begin + "}")
	}
	parts := make([][]byte, 0, 2*len(p.Objects)+1)
	between, comma := []byte(begin+`,"objects":[`), []byte{','}
	for _, o := range p.Objects {
		parts = append(parts, between, o.Raw())
		between = comma
	}
	return bytes.Join(append(parts, []byte("]}")), nil) // its memory is not cleared first
}

// manifestResource is TAXII 2.1 §5.3.1.
type manifestResource struct {
	More    bool             `json:"more"`
	Next    string           `json:"next,omitempty"`
	Objects []manifestRecord `json:"objects,omitempty"`
}

type manifestRecord struct {
	ID        string `json:"id"`
	DateAdded string `json:"date_added"`
	Version   string `json:"version"`
	MediaType string `json:"media_type"`
}

// versionsResource is TAXII 2.1 §5.8.1.
type versionsResource struct {
	More     bool     `json:"more"`
	Next     string   `json:"next,omitempty"`
	Versions []string `json:"versions,omitempty"`
}

// Bounds of the listings that are remembered: some 10 MB.
const (
	mostListings = 4096
	longestQuery = 512 // bytes
)

type listingKey struct {
	collection, object, query string
	kind                      kind
}

// listings remembers what URLs mean, because clients ask the same again and
// again. It is safe for concurrent use; the zero value is empty.
type listings struct {
	known sync.Map // listingKey → *listing
	count atomic.Int64
}

func (l *listings) of(key listingKey, make func() (*listing, error)) (*listing, error) {
	if found, ok := l.known.Load(key); ok {
		known, _ := found.(*listing)
		return known, nil
	}
	made, err := make()
	if err != nil || len(key.query) > longestQuery {
		return made, err
	}
	if l.count.Add(1) > mostListings {
		l.known.Clear()
		l.count.Store(1)
	}
	l.known.Store(key, made)
	return made, nil
}

package taxii

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/cursor"
	"tocsin/internal/distribute"
	"tocsin/internal/receive"
	"tocsin/internal/view"
	"tocsin/stix"
)

// A page is what one request for objects, manifests or versions gets.
type page struct {
	objects []view.Object
	more    bool
	next    string // cursor for what follows; "" when nothing does
}

func (p page) empty() bool { return len(p.objects) == 0 && !p.more }

// writeEmpty writes a list resource without anything in it: lists that are
// empty are left out (TAXII 2.1 §3.7, §5.3.1, §5.8.1).
func writeEmpty(w http.ResponseWriter) { write(w, http.StatusOK, []byte("{}")) }

// page reads what a request asks for, of one object or, when object is "", of
// the collection, and writes the headers that every answer of this kind has.
func (s *Server) page(w http.ResponseWriter, r *http.Request, who tocsin.Member, object string, adapt func(*distribute.Query)) (page, error) {
	if err := receive.Accepts(r, spoken(), plain()); err != nil {
		return page{}, err
	}
	c, err := s.find(r, who)
	if err != nil {
		return page{}, err
	}
	f, err := parseFilter(r.URL.RawQuery, s.MaxPage)
	if err != nil {
		return page{}, err
	}
	q, seen, err := s.query(r, c.ID, f, object)
	if err != nil {
		return page{}, err
	}
	adapt(&q)
	var found distribute.Page
	if !f.nothing {
		if found, err = s.Feed.Page(r.Context(), who, q); err != nil {
			return page{}, fmt.Errorf("page: %w", err)
		}
	}
	if object != "" && len(found.Objects) == 0 && !found.More {
		if err := s.exists(r, who, q); err != nil {
			return page{}, err
		}
	}
	// TAXII 2.1 §3.3: on every answer of this kind. On an empty page both say
	// where the client is already, so that one that pages by them stays there.
	first := seen
	if n := len(found.Objects); n > 0 {
		first, seen = found.Objects[0].Added(), found.Objects[n-1].Added()
	}
	w.Header().Set("X-TAXII-Date-Added-First", dateAdded(first))
	w.Header().Set("X-TAXII-Date-Added-Last", dateAdded(seen))
	p := page{objects: found.Objects, more: found.More}
	if p.more {
		p.next = s.Cursors.Seal(cursor.Position{Seq: found.Next, Added: seen}, scope(c.ID, object, f)...)
	}
	return p, nil
}

// dateAdded writes a date_added; before the first one lies the epoch.
func dateAdded(t time.Time) string {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.UTC().Format(view.Microseconds)
}

// exists tells an object of which the filters left nothing from one that is
// not there for this reader. That it exists is something that the reader
// learns, so this too goes on record as a read.
func (s *Server) exists(r *http.Request, who tocsin.Member, q distribute.Query) error {
	known, err := s.Feed.Page(r.Context(), who, distribute.Query{
		Community: q.Community, Collection: q.Collection, IDs: q.IDs, Limit: 1, Versions: distribute.Which{Last: true}, Meta: true,
	})
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	if len(known.Objects) == 0 {
		return noObject()
	}
	return nil
}

func noObject() *tocsin.Error {
	return &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such object"}
}

// objectID returns the object that the path names. What is no identifier names
// nothing.
func objectID(r *http.Request) (string, error) {
	id := r.PathValue("object")
	if _, _, ok := stix.SplitID(id); !ok {
		return "", noObject()
	}
	return id, nil
}

func (s *Server) objects(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	p, err := s.page(w, r, who, "", func(*distribute.Query) {})
	if err != nil {
		return err
	}
	s.writeEnvelope(w, p)
	return nil
}

func (s *Server) object(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	id, err := objectID(r)
	if err != nil {
		return err
	}
	p, err := s.page(w, r, who, id, func(*distribute.Query) {})
	if err != nil {
		return err
	}
	s.writeEnvelope(w, p)
	return nil
}

// keptBuffer is the largest buffer that is kept for the next page, in bytes.
const keptBuffer = 4 << 20

// writeEnvelope writes an envelope (TAXII 2.1 §3.7) around the very bytes that
// were submitted.
func (s *Server) writeEnvelope(w http.ResponseWriter, p page) {
	if p.empty() {
		writeEmpty(w)
		return
	}
	b, _ := s.buffers.Get().(*bytes.Buffer)
	b.Reset()
	defer func() {
		if b.Cap() <= keptBuffer {
			s.buffers.Put(b)
		}
	}()
	if p.more {
		b.WriteString(`{"more":true,"next":"` + p.next + `"`) // base64url: nothing to escape
	} else {
		b.WriteString(`{"more":false`)
	}
	if len(p.objects) > 0 {
		b.WriteString(`,"objects":[`)
		for i, o := range p.objects {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(o.Raw())
		}
		b.WriteByte(']')
	}
	b.WriteByte('}')
	write(w, http.StatusOK, b.Bytes())
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

func (s *Server) manifest(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	p, err := s.page(w, r, who, "", func(q *distribute.Query) { q.Meta = true })
	if err != nil {
		return err
	}
	if p.empty() {
		writeEmpty(w)
		return nil
	}
	m := manifestResource{More: p.more, Next: p.next}
	for _, o := range p.objects {
		m.Objects = append(m.Objects, manifestRecord{
			ID: o.ID(), DateAdded: dateAdded(o.Added()), Version: o.Version(), MediaType: contentType,
		})
	}
	return answer(w, http.StatusOK, m)
}

// versionsResource is TAXII 2.1 §5.8.1.
type versionsResource struct {
	More     bool     `json:"more"`
	Next     string   `json:"next,omitempty"`
	Versions []string `json:"versions,omitempty"`
}

func (s *Server) versions(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	id, err := objectID(r)
	if err != nil {
		return err
	}
	p, err := s.page(w, r, who, id, func(q *distribute.Query) {
		q.Meta = true
		if !q.Versions.Chosen() {
			q.Versions.All = true
		}
	})
	if err != nil {
		return err
	}
	if p.empty() {
		writeEmpty(w)
		return nil
	}
	v := versionsResource{More: p.more, Next: p.next}
	for _, o := range p.objects {
		v.Versions = append(v.Versions, o.Version())
	}
	return answer(w, http.StatusOK, v)
}

// addObjects takes a submission. When the answer is written, what it reports as
// stored is durable.
func (s *Server) addObjects(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, spoken(), plain()); err != nil {
		return err
	}
	c, err := s.find(r, who)
	if err != nil {
		return err
	}
	community, err := s.Directory.Community(who, c.Community)
	if err != nil {
		return fmt.Errorf("community: %w", err)
	}
	if err := receive.ContentType(r, spoken(), plain()); err != nil {
		return err
	}
	text, release, err := s.Intake.Read(w, r, who)
	defer release()
	if err != nil {
		return err
	}
	to := authorize.Target{Community: c.Community, Collection: c.ID, Default: community.Default}
	made, err := s.Submitter.Submit(r.Context(), who, to, text)
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	return answer(w, http.StatusAccepted, statusFor(made.Recorded))
}

// deleteObject withdraws an object: all its versions unless match[version]
// chooses some (TAXII 2.1 §5.7).
func (s *Server) deleteObject(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, spoken(), plain()); err != nil {
		return err
	}
	c, err := s.find(r, who)
	if err != nil {
		return err
	}
	id, err := objectID(r)
	if err != nil {
		return err
	}
	f, err := parseFilter(r.URL.RawQuery, s.MaxPage)
	if err != nil {
		return err
	}
	if f.nothing {
		return noObject()
	}
	which := f.which
	if !which.Chosen() {
		which.All = true
	}
	if _, err := s.Withdrawer.Withdraw(r.Context(), who, c.Community, c.ID, id, which); err != nil {
		return fmt.Errorf("withdraw: %w", err)
	}
	write(w, http.StatusOK, nil)
	return nil
}

package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"tocsin"
	"tocsin/internal/cursor"
	"tocsin/internal/distribute"
	"tocsin/internal/receive"
	"tocsin/internal/view"
)

// The pace of a stream. A connection that is quiet for longer than keepAlive
// could be dead; a subscriber that does not take a piece within writeTime is
// cut off, and loses nothing: it comes back with its cursor.
const (
	keepAlive = 15 * time.Second
	writeTime = 10 * time.Second
)

// A subscriber that is cut off comes back after comeBack and up to as much
// again, so that not all come at once when a hub has started anew.
const comeBack = 2 * time.Second

// pieceBytes is about how much of a stream is written at once. Between pieces
// nothing is held for a subscriber but its position.
const pieceBytes = 16 << 10

// stream sends what the caller may see of a collection as server-sent events
// (WHATWG HTML §9.2): "object" with the object as it was submitted, "withdrawn"
// with id and version, and "error" with a problem when the caller's rights end.
// Each event's id is a cursor: Last-Event-ID, or after in the query, resumes
// behind it. Without one the stream begins with the first object, or with
// from=now behind the last.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, receive.MediaType{Name: "text/event-stream"}); err != nil {
		return err
	}
	c, err := s.find(r, who)
	if err != nil {
		return err
	}
	head, err := s.Feed.Head(who, c.Community, c.ID) // refuses, while there still is a status to say so
	if err != nil {
		return fmt.Errorf("head: %w", err)
	}
	after, err := s.begin(r, c.ID, head)
	if err != nil {
		return err
	}
	leave, err := s.crowd.enter(who)
	if err != nil {
		return err
	}
	defer leave()
	e := &events{w: w, control: http.NewResponseController(w), pieces: &s.pieces, seal: func(seq int64) string {
		return s.Cursors.Seal(cursor.Position{Seq: seq}, streamScope(c.ID)...)
	}}
	e.encode = func(o view.Object) []byte { return encode(o, e.seal(o.Seq())) } // the same for every reader
	_ = e.control.SetReadDeadline(time.Time{})                                  // one that ran out would end the request's context
	receive.Unbuffered(r)
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead { // it would last for ever and say nothing
		return nil
	}
	greeting := fmt.Appendf(nil, ": tocsin\nretry: %d\n\n", (comeBack + rand.N(comeBack)).Milliseconds())
	if err := e.write(greeting); err != nil {
		return err
	}
	return e.follow(r.Context(), s.Feed.Follow(r.Context(), who, c.Community, c.ID, after, keepAlive))
}

// streamScope is what the cursors of a stream are bound to.
func streamScope(collection string) []string { return []string{"stream", collection} }

// begin returns the position after which a stream begins.
func (s *Server) begin(r *http.Request, collection string, head int64) (int64, error) {
	query, err := parseQuery(r)
	if err != nil {
		return 0, err
	}
	text := r.Header.Get("Last-Event-ID") // what a browser sends when it comes back; newer than the URL
	if text == "" {
		if text, err = only(query, "after"); err != nil {
			return 0, err
		}
	}
	if text != "" {
		p, err := s.Cursors.Open(text, streamScope(collection)...)
		if err != nil {
			return 0, err
		}
		return p.Seq, nil
	}
	from, err := only(query, "from")
	if err != nil {
		return 0, err
	}
	switch from {
	case "", "start":
		return 0, nil
	case "now":
		return head, nil
	}
	return 0, &tocsin.Error{Kind: tocsin.Malformed, Message: "the parameter from cannot be understood", Hint: "use start or now"}
}

// events writes server-sent events in pieces. It has no buffer while nothing is
// written.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
	pieces  *sync.Pool // of *[]byte, pieceBytes each
	seal    func(seq int64) string
	encode  func(view.Object) []byte
	told    int64 // the position of which the subscriber has the cursor
}

// follow writes what a feed yields, until it ends.
func (e *events) follow(ctx context.Context, feed func(yield func(distribute.News, error) bool)) error {
	for news, err := range feed {
		switch {
		case err != nil && ctx.Err() != nil: // the subscriber went, or the hub stops
			return nil
		case err != nil:
			return e.failed(err)
		case len(news.Objects) == 0:
			err = e.quiet(news.Position)
		case len(news.Objects) == 1:
			err = e.write(e.next(news.Objects, 0))
		default:
			err = e.objects(news.Objects)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// next returns an object's event. The object itself is let go of, so that it is
// not held while a subscriber takes its time.
func (e *events) next(objects []view.Object, i int) []byte {
	event := objects[i].Once(e.encode)
	e.told = objects[i].Seq()
	objects[i] = view.Object{}
	return event
}

// objects writes objects in pieces.
func (e *events) objects(objects []view.Object) error {
	piece, ok := e.pieces.Get().(*[]byte)
	if !ok {
		piece = new(make([]byte, 0, pieceBytes))
	}
	defer func() { e.pieces.Put(piece) }()
	full := (*piece)[:0]
	for i := range objects {
		event := e.next(objects, i)
		if len(full)+len(event) > cap(full) && len(full) > 0 {
			if err := e.write(full); err != nil {
				return err
			}
			full = full[:0]
		}
		if len(event) > cap(full) {
			if err := e.write(event); err != nil {
				return err
			}
			continue
		}
		full = append(full, event...)
	}
	if len(full) == 0 {
		return nil
	}
	return e.write(full)
}

// encode makes the event of an object, or of the news that it was withdrawn.
func encode(o view.Object, id string) []byte {
	event := make([]byte, 0, len(o.Raw())+128)
	event = field(event, "id", []byte(id))
	if o.Withdrawn() {
		gone, _ := json.Marshal(map[string]string{"id": o.ID(), "version": o.Version()}) // texts always marshal
		event = field(event, "event", []byte("withdrawn"))
		event = field(event, "data", gone)
	} else {
		event = field(event, "event", []byte("object"))
		event = data(event, o.Raw())
	}
	return append(event, '\n')
}

// quiet writes that there is no news, so that both sides know that the other
// is there, and how far the reader has come, so that it need not be walked
// again past what it may not see.
func (e *events) quiet(position int64) error {
	text := []byte(": \n")
	if position > e.told {
		text = append(field(text, "id", []byte(e.seal(position))), '\n')
		e.told = position
	}
	return e.write(text)
}

// failed writes why the stream ends.
func (e *events) failed(err error) error {
	refused, err := receive.Tell(err)
	problem, _ := json.Marshal(problemOf(refused)) // texts and numbers always marshal
	text := field(nil, "event", []byte("error"))
	text = field(text, "data", problem)
	_ = e.write(append(text, '\n')) // whoever is gone needs no reason
	return err
}

// data appends a text of several lines: a field ends with its line. JSON allows
// line breaks between tokens only, so the text means the same when the
// subscriber has put the lines together again with line feeds.
func data(to, text []byte) []byte {
	for len(text) > 0 {
		end := bytes.IndexAny(text, "\r\n")
		if end < 0 {
			break
		}
		to = field(to, "data", text[:end])
		if bytes.HasPrefix(text[end:], []byte("\r\n")) {
			end++
		}
		text = text[end+1:]
	}
	return field(to, "data", text)
}

func field(to []byte, name string, value []byte) []byte {
	to = append(to, name...)
	to = append(to, ": "...)
	to = append(to, value...)
	return append(to, '\n')
}

// write sends a piece. It gives up on a subscriber that does not read. The
// deadline is taken back, because on HTTP/2 one that passes while nothing is
// written ends the stream.
func (e *events) write(piece []byte) error {
	_ = e.control.SetWriteDeadline(time.Now().Add(writeTime)) // not every transport has deadlines
	if _, err := e.w.Write(piece); err != nil {
		return fmt.Errorf("%w: %w", receive.ErrGone, err)
	}
	if err := e.control.Flush(); err != nil {
		return fmt.Errorf("%w: %w", receive.ErrGone, err)
	}
	_ = e.control.SetWriteDeadline(time.Time{})
	return nil
}

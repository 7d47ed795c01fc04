package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
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

// pieceBytes is about how much of a stream is written at once. Between pieces
// nothing is held for a subscriber but its position.
const pieceBytes = 64 << 10

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
	e := &events{w: w, control: http.NewResponseController(w), seal: func(seq int64) string {
		return s.Cursors.Seal(cursor.Position{Seq: seq}, streamScope(c.ID)...)
	}}
	_ = e.control.SetReadDeadline(time.Time{}) // one that ran out would end the request's context
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead { // it would last for ever and say nothing
		return nil
	}
	e.comment("tocsin")
	if err := e.flush(); err != nil {
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

// events writes server-sent events in pieces.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
	seal    func(seq int64) string
	piece   bytes.Buffer
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
			e.quiet(news.Position)
		}
		for _, o := range news.Objects {
			e.object(o)
			if e.piece.Len() >= pieceBytes {
				if err := e.flush(); err != nil {
					return err
				}
			}
		}
		if err := e.flush(); err != nil {
			return err
		}
	}
	return nil
}

// object writes an object, or the news that it was withdrawn.
func (e *events) object(o view.Object) {
	e.field("id", []byte(e.seal(o.Seq())))
	e.told = o.Seq()
	if o.Withdrawn() {
		gone, _ := json.Marshal(map[string]string{"id": o.ID(), "version": o.Version()}) // texts always marshal
		e.field("event", []byte("withdrawn"))
		e.field("data", gone)
	} else {
		e.field("event", []byte("object"))
		e.data(o.Raw())
	}
	e.piece.WriteByte('\n')
}

// quiet writes that there is no news, so that both sides know that the other
// is there, and how far the reader has come, so that it need not be walked
// again past what it may not see.
func (e *events) quiet(position int64) {
	e.comment("")
	if position > e.told {
		e.field("id", []byte(e.seal(position)))
		e.piece.WriteByte('\n')
		e.told = position
	}
}

// failed writes why the stream ends.
func (e *events) failed(err error) error {
	refused, err := receive.Tell(err)
	text, _ := json.Marshal(problemOf(refused)) // texts and numbers always marshal
	e.field("event", []byte("error"))
	e.field("data", text)
	e.piece.WriteByte('\n')
	_ = e.flush() // whoever is gone needs no reason
	return err
}

func (e *events) comment(text string) {
	e.piece.WriteString(": " + text + "\n")
}

// data writes a text of several lines: a field ends with its line. JSON allows
// line breaks between tokens only, so the text means the same when the
// subscriber has put the lines together again with line feeds.
func (e *events) data(text []byte) {
	for len(text) > 0 {
		end := bytes.IndexAny(text, "\r\n")
		if end < 0 {
			break
		}
		e.field("data", text[:end])
		if bytes.HasPrefix(text[end:], []byte("\r\n")) {
			end++
		}
		text = text[end+1:]
	}
	e.field("data", text)
}

func (e *events) field(name string, value []byte) {
	e.piece.WriteString(name)
	e.piece.WriteString(": ")
	e.piece.Write(value)
	e.piece.WriteByte('\n')
}

// flush sends what was written. It gives up on a subscriber that does not read.
func (e *events) flush() error {
	defer func() {
		if e.piece.Cap() > 2*pieceBytes { // one large object must not cost its size for good
			e.piece = bytes.Buffer{}
		}
		e.piece.Reset()
	}()
	_ = e.control.SetWriteDeadline(time.Now().Add(writeTime)) // not every transport has deadlines
	if _, err := e.w.Write(e.piece.Bytes()); err != nil {
		return fmt.Errorf("%w: %w", receive.ErrGone, err)
	}
	if err := e.control.Flush(); err != nil {
		return fmt.Errorf("%w: %w", receive.ErrGone, err)
	}
	return nil
}

package hubclient

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"tocsin"
)

// The kinds of events of a stream. Others may come from a newer hub.
const (
	Opened    = "opened"    // the hub answered: what follows is news. The hub does not send it.
	Object    = "object"    // Data is a STIX object
	Withdrawn = "withdrawn" // Data names a version that was withdrawn, see [Event.Withdrawal]
	Moved     = ""          // no news: the hub is there, and Cursor may have moved
)

// An Event is one event of a collection's stream.
type Event struct {
	Kind   string
	Cursor string // resumes the stream after this event
	Data   []byte // the lines of the event; line breaks between JSON tokens may be others than were submitted
}

// A Withdrawal names the version of an object that was withdrawn.
type Withdrawal struct {
	ID      string `json:"id"`
	Version string `json:"version"`
}

// Withdrawal returns what a [Withdrawn] event names.
func (e Event) Withdrawal() (w Withdrawal, ok bool) {
	err := json.Unmarshal(e.Data, &w)
	return w, err == nil && e.Kind == Withdrawn && w.ID != ""
}

// Stream yields what the caller may see of a collection, from a cursor on, as
// it comes; "" begins with the first object. It yields one error, and then
// ends: when the connection breaks, when nothing comes for longer than the
// client's time limit, or when the hub says that the caller's rights end.
// Coming back with the last cursor is up to the caller.
func (c *Client) Stream(ctx context.Context, community, collection, cursor string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		r := request{
			method: http.MethodGet, path: []string{"communities", community, "collections", collection, "stream"}, accept: "text/event-stream", once: true,
		}
		if cursor != "" {
			r.header = http.Header{"Last-Event-Id": {cursor}}
		}
		res, err := c.send(ctx, r)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer func() { _ = res.Body.Close() }() // given up
		if kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), "text/event-stream") {
			yield(Event{}, notAHub())
			return
		}
		if !yield(Event{Kind: Opened, Cursor: cursor}, nil) {
			return
		}
		events := newEvents(res.Body, cursor)
		for {
			e, err := events.next()
			if err != nil {
				yield(Event{}, ended(ctx, err))
				return
			}
			if e.Kind == "error" {
				yield(Event{}, refusal(http.StatusInternalServerError, e.Data))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// ended says for people why a stream broke off.
func ended(ctx context.Context, err error) error {
	if errors.Is(err, io.EOF) && ctx.Err() == nil {
		return &tocsin.Error{Kind: tocsin.Busy, Message: "the hub ended the stream", Hint: "come back with the last cursor"}
	}
	return broken(ctx, err)
}

// mostEvent is the size of the largest event that is taken, in bytes: the
// largest object that a hub takes is 10 MiB.
const mostEvent = 16 << 20

// events reads server-sent events (WHATWG HTML §9.2.6).
type events struct {
	r      *bufio.Reader
	begun  bool   // the first line has been read: no byte order mark can follow
	cr     bool   // the line before ended with CR
	cursor string // the last id, which holds until the next one
}

func newEvents(r io.Reader, cursor string) *events {
	return &events{r: bufio.NewReaderSize(r, 64<<10), cursor: cursor}
}

// next returns the next event that has data or moves the cursor. A comment
// between events is one without news: it shows that nothing on the way waits for
// the end of the stream.
func (s *events) next() (Event, error) {
	before := s.cursor
	var e Event
	var data bytes.Buffer
	hasData := false
	for {
		line, err := s.line(mostEvent - data.Len())
		if err != nil {
			return Event{}, err
		}
		if len(line) == 0 {
			if !hasData && s.cursor == before {
				e.Kind = "" // an event without data is none
				continue
			}
			e.Cursor = s.cursor
			if hasData {
				e.Data = data.Bytes()
				if e.Kind == "" {
					e.Kind = "message"
				}
			} else {
				e.Kind = Moved
			}
			return e, nil
		}
		if line[0] == ':' {
			if !hasData && e.Kind == "" && s.cursor == before {
				return Event{Kind: Moved, Cursor: s.cursor}, nil
			}
			continue
		}
		name, value, _ := bytes.Cut(line, []byte{':'})
		value = bytes.TrimPrefix(value, []byte{' '})
		switch string(name) {
		case "data":
			if hasData {
				data.WriteByte('\n')
			}
			hasData = true
			data.Write(value)
		case "event":
			e.Kind = string(value)
		case "id":
			if bytes.IndexByte(value, 0) < 0 {
				s.cursor = string(value)
			}
		} // "retry" is for readers that come back by themselves
	}
}

// line returns the next line without its end: LF, CR LF or CR. What the stream
// ends with is not a line, since it may have been cut. The line is good until
// the next call.
func (s *events) line(most int) ([]byte, error) {
	var long []byte // the line so far, when it does not fit the reader's buffer
	for {
		first, err := s.r.Peek(1)
		if err != nil {
			return nil, err //nolint:wrapcheck // the reader's own error
		}
		if s.cr && first[0] == '\n' { // the second half of a CR LF, for which the line before did not wait
			_, _ = s.r.Discard(1)
			s.cr = false
			continue
		}
		s.cr = false
		part, _ := s.r.Peek(s.r.Buffered())
		end := bytes.IndexAny(part, "\r\n")
		if len(long)+max(end, 0) > most || end < 0 && len(long)+len(part) > most {
			return nil, &tocsin.Error{Kind: tocsin.TooLarge, Message: "an event of the stream is larger than any object can be", Hint: "tell the hub's operator"}
		}
		if end < 0 {
			long = append(long, part...)
			_, _ = s.r.Discard(len(part)) // it is buffered
			continue
		}
		line := part[:end]
		if long != nil {
			line = append(long, line...)
		}
		s.cr = part[end] == '\r'
		_, _ = s.r.Discard(end + 1)
		if !s.begun {
			s.begun = true
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		return line, nil
	}
}

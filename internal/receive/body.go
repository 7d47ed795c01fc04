package receive

import (
	"bytes"
	"errors"
	"mime"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"tocsin"
	"tocsin/internal/coding"
)

// DefaultMaxBytes is the largest body that is taken unless configured
// otherwise, decoded: 10 MiB.
const DefaultMaxBytes = 10 << 20

// How much of the hub's memory bodies may take at once, in all and from one
// organization, as multiples of the largest body.
const (
	bodiesInAll           = 32
	bodiesPerOrganization = 8
)

// An Intake reads bodies, and bounds how many bytes of them the hub holds at
// once: one member that sends a lot does not keep the others out. It is safe
// for concurrent use.
type Intake struct {
	max int64

	mu     sync.Mutex // guards what follows
	held   int64
	heldBy map[string]int64 // by organization
}

// NewIntake returns an intake for bodies of at most max bytes, decoded.
func NewIntake(max int64) *Intake { return &Intake{max: max, heldBy: map[string]int64{}} }

// MaxBytes returns the size of the largest body that is taken, decoded.
func (in *Intake) MaxBytes() int64 { return in.max }

// Read returns the body of a member's request, decoded. The bytes count as
// held until release is called, which the caller does when it needs them no
// more, and also after an error.
func (in *Intake) Read(w http.ResponseWriter, r *http.Request, who tocsin.Member) (text []byte, release func(), err error) {
	release = func() {}
	coded, err := encoding(r)
	if err != nil {
		return nil, release, err
	}
	if r.ContentLength > in.max {
		return nil, release, in.tooLarge()
	}
	size := in.max // of a chunked or compressed body, only the limit is known
	if r.ContentLength >= 0 && coded == coding.Identity {
		size = r.ContentLength
	}
	if err := in.take(who.Organization.Name, size); err != nil {
		return nil, release, err
	}
	release = sync.OnceFunc(func() { in.give(who.Organization.Name, size) })

	body, err := coding.Reader(coded, http.MaxBytesReader(w, r.Body, in.max), in.max)
	if err != nil {
		return nil, release, in.unreadable(err)
	}
	defer func() { _ = body.Close() }() // it holds memory only
	buffer := bytes.NewBuffer(make([]byte, 0, max(r.ContentLength, 0)+bytes.MinRead))
	if _, err := buffer.ReadFrom(body); err != nil {
		return nil, release, in.unreadable(err)
	}
	text = buffer.Bytes()
	if coded != coding.Identity && coding.Compressed(text) {
		return nil, release, &tocsin.Error{Kind: tocsin.Unsupported, Message: "the body is compressed more than once", Hint: "compress it once"}
	}
	return text, release, nil
}

// encoding returns how the body is compressed. One layer is enough for anybody.
func encoding(r *http.Request) (coding.Coding, error) {
	switch values := r.Header["Content-Encoding"]; len(values) {
	case 0:
		return coding.Identity, nil
	case 1:
		if c, ok := coding.Parse(values[0]); ok {
			return c, nil
		}
	}
	return coding.Identity, &tocsin.Error{
		Kind: tocsin.Unsupported, Message: "the body's Content-Encoding is not known here", Hint: "send it as it is, or compressed once with gzip or zstd",
	}
}

func (in *Intake) tooLarge() *tocsin.Error {
	return &tocsin.Error{
		Kind: tocsin.TooLarge, Message: "the body is larger than " + strconv.FormatInt(in.max, 10) + " bytes", Hint: "send it in several requests",
	}
}

func (in *Intake) unreadable(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok || errors.Is(err, coding.ErrTooLarge) {
		return in.tooLarge()
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return &tocsin.Error{Kind: tocsin.Malformed, Message: "the body came too slowly"}
	}
	return &tocsin.Error{Kind: tocsin.Malformed, Message: "the body is cut off or damaged, or is not what Content-Encoding says"}
}

// take reserves memory for a body. An organization that has none of it may
// always have one body, if there is any left at all.
func (in *Intake) take(organization string, size int64) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch mine := in.heldBy[organization]; {
	case mine > 0 && mine+size > bodiesPerOrganization*in.max:
		return &tocsin.Error{Kind: tocsin.TooMany, Message: "too much is being sent by this organization at once", Hint: "wait for the answers before sending more"}
	case in.held+size > bodiesInAll*in.max:
		return &tocsin.Error{Kind: tocsin.Busy, Message: "too much is being sent to the hub at once", Hint: "send it again in a moment"}
	}
	in.held += size
	in.heldBy[organization] += size
	return nil
}

func (in *Intake) give(organization string, size int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.held -= size
	if in.heldBy[organization] -= size; in.heldBy[organization] == 0 {
		delete(in.heldBy, organization)
	}
}

// ContentType refuses a body whose media type is none of those given. A
// version parameter must be the one given for the type, a charset UTF-8.
func ContentType(r *http.Request, takes ...MediaType) error {
	var names []string
	values := r.Header.Values("Content-Type")
	for _, t := range takes {
		if len(values) == 1 && t.is(values[0]) {
			return nil
		}
		names = append(names, t.Name)
	}
	return &tocsin.Error{Kind: tocsin.Unsupported, Message: "the body's Content-Type is not one that is taken here", Hint: "send " + strings.Join(names, " or ")}
}

// A MediaType is a media type and the version of it that is spoken here.
type MediaType struct {
	Name    string // such as "application/taxii+json"
	Version string // such as "2.1"; "" for types without versions
}

// String returns the type as headers have it.
func (t MediaType) String() string {
	if t.Version == "" {
		return t.Name
	}
	return t.Name + ";version=" + t.Version
}

func (t MediaType) is(value string) bool {
	name, parameters, err := mime.ParseMediaType(value)
	if err != nil || name != t.Name {
		return false
	}
	version, versioned := parameters["version"]
	charset, encoded := parameters["charset"]
	return (!versioned || version == t.Version) && (!encoded || strings.EqualFold(charset, "utf-8"))
}

// Accepts refuses a request that takes no answer of any of the given types.
// Clients that name no type, or JSON, or anything, are served (RFC 9110
// §12.5.1; TAXII 2.1 §1.6.8 asks for that of its own two types).
func Accepts(r *http.Request, gives ...MediaType) error {
	values := r.Header["Accept"]
	if len(values) == 0 || len(values) == 1 && (values[0] == "*/*" || values[0] == gives[0].String()) { // what most clients send
		return nil
	}
	accept := strings.Join(values, ",")
	if strings.TrimSpace(accept) == "" {
		return nil
	}
	var names []string
	for _, t := range gives {
		names = append(names, t.Name)
		if slices.ContainsFunc(strings.Split(accept, ","), t.accepted) {
			return nil
		}
	}
	return &tocsin.Error{Kind: tocsin.NotAcceptable, Message: "the answer has none of the media types that were asked for", Hint: "accept " + strings.Join(names, " or ")}
}

// accepted reports whether one media range of an Accept header takes t.
func (t MediaType) accepted(mediaRange string) bool {
	name, parameters, err := mime.ParseMediaType(mediaRange)
	if err != nil {
		return false
	}
	if q, weighted := parameters["q"]; weighted {
		if weight, err := strconv.ParseFloat(q, 64); err != nil || weight <= 0 {
			return false
		}
	}
	kind, _, _ := strings.Cut(t.Name, "/")
	if name == "*/*" || name == kind+"/*" {
		return true
	}
	version, versioned := parameters["version"]
	return name == t.Name && (!versioned || version == t.Version)
}

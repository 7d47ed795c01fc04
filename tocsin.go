// Package tocsin is the hub's vocabulary: members, roles, and the errors a caller may see.
package tocsin

import "strings"

// A Kind says what sort of refusal an [Error] is. Each API turns kinds into
// its own statuses in one place.
type Kind uint8

// The kinds of refusal, with the HTTP status that fits each.
const (
	Malformed       Kind = iota + 1 // 400: the request cannot be read at all
	Unauthenticated                 // 401: who asks is not known
	Forbidden                       // 403: known, but may not; only where the caller may know that the thing exists
	NotFound                        // 404: not there, or not there for this caller
	NotAcceptable                   // 406: no representation that the caller accepts
	Conflict                        // 409: contradicts what is stored
	TooLarge                        // 413: over a published limit
	Unsupported                     // 415: a media type or encoding that is not spoken here
	Invalid                         // 422: readable, but breaks a rule of the standard
	TooMany                         // 429: come back later, you ask too often
	Busy                            // 503: come back later, the hub is full or stopping
)

// An Error is a refusal whose text a caller may read: it says what failed,
// where, and what to do next, and never quotes what was submitted. Every other
// error is the hub's own business.
type Error struct {
	Kind    Kind
	At      string // where, as a JSON Pointer (RFC 6901); "" is the whole document
	Clause  string // the rule that was broken, such as "STIX 2.1 §3.2"
	Message string // what failed
	Hint    string // what to do next
}

// Error returns the text for people: message, place, clause and hint.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	if e.At != "" {
		b.WriteString(" at ")
		b.WriteString(e.At)
	}
	if e.Clause != "" {
		b.WriteString(" (")
		b.WriteString(e.Clause)
		b.WriteString(")")
	}
	if e.Hint != "" {
		b.WriteString("; ")
		b.WriteString(e.Hint)
	}
	return b.String()
}

// A Role says what an organization may do in a community. Each role includes
// the ones before it; the zero role is a stranger.
type Role uint8

// The roles, from least to most.
const (
	Stranger Role = iota
	Reader        // reads what is shared with it
	Writer        // shares
	Curator       // moderates: withdraws what others shared, keeps collections
	Operator      // admits members
)

// roleNames are the roles as files and the API spell them, by value.
func roleNames() [5]string {
	return [5]string{"", "reader", "writer", "curator", "operator"}
}

// String returns the role as configuration files and the API spell it.
func (r Role) String() string {
	if all := roleNames(); int(r) < len(all) {
		return all[r]
	}
	return ""
}

// ParseRole reads a role's name; anything unknown is a [Stranger] and false.
func ParseRole(name string) (Role, bool) {
	for r, n := range roleNames() {
		if n == name && n != "" {
			return Role(r), true
		}
	}
	return Stranger, false
}

// An Organization is somebody who may join communities.
type Organization struct {
	Name     string // unique in the hub, [a-z0-9-]
	Title    string // for people
	Kind     string // "company", "government", "nonprofit" or "other"
	Identity string // the id of its STIX identity object
}

// Institutional reports whether reads by this organization need a stated
// purpose: the organization wields public power.
func (o Organization) Institutional() bool { return o.Kind == "government" }

// A Member is who is asking: an organization, the user who acts for it and
// what the token in hand lets them do. It is made by authentication only and
// passed as a parameter, never in a context.
type Member struct {
	Organization Organization
	User         string          // the user's name within the organization
	Token        string          // the token's public id, for the record; never the secret
	Purpose      string          // why this token reads: bound to the token, or stated with the request
	Operator     bool            // may administer the hub itself
	Roles        map[string]Role // community name → role, already limited to what the token allows
}

// Role returns what the member may do in a community: [Stranger] when it has
// no part in it.
func (m Member) Role(community string) Role { return m.Roles[community] }

package stix

// A Class says how bad a [Problem] is.
type Class uint8

// The classes of problems. A warning is a SHOULD of the standard; everything
// else refuses the object.
const (
	ClassInvalid  Class = iota // breaks a MUST of STIX 2.1
	ClassWarning               // breaks a SHOULD
	ClassSyntax                // is not JSON that can be trusted
	ClassTooLarge              // is over a limit
)

// A Problem is one thing that is wrong with a text: where, by which clause,
// and what was expected. Message never quotes the text, At may: it names
// properties.
type Problem struct {
	Class   Class
	Offset  int    // byte offset in the text, for syntax problems
	At      string // JSON Pointer (RFC 6901)
	Clause  string // such as "STIX 2.1 §3.2"
	Message string
}

// Error returns the problem as one line.
func (p *Problem) Error() string {
	s := p.Message
	if p.At != "" {
		s += " at " + p.At
	}
	if p.Clause != "" {
		s += " (" + p.Clause + ")"
	}
	return s
}

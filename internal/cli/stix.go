package cli

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tocsin/stix"
	"tocsin/stix/pattern"
)

// stix is the parent of what the standard defines how to compute.
func (a *app) stix() *cobra.Command {
	c := a.parent("stix", "Compute observables' ids and patterns' normal forms", a.stixID(), a.stixNormalize())
	c.GroupID = groupCheck
	return c
}

// An identified says which id an object ought to have, as programs read it.
type identified struct {
	File string  `json:"file,omitempty"`
	Line int     `json:"line,omitempty"` // from 1
	Type string  `json:"type,omitempty"`
	ID   *string `json:"id"`            // nil: the standard defines none, and Error says why
	Has  string  `json:"has,omitempty"` // the id that it has, when that is another one
	// Random says that no property of the object contributes to an id, so that
	// it has a new UUIDv4, another one each time.
	Random bool   `json:"random,omitempty"`
	Error  string `json:"error,omitempty"`
}

func (a *app) stixID() *cobra.Command {
	var jsonl bool
	c := &cobra.Command{
		Use:   "id [FILE…]",
		Short: "Compute the deterministic ids of observables",
		Long: `Computes the UUIDv5 identifier that the contributing properties of a cyber-observable
object give it (STIX 2.1 §2.9), whether the object has an id or not. An observable of
which no property contributes, such as a process, gets a random UUIDv4 instead, another
one each time. Files are bundles, envelopes, single objects or JSON lines; objects that
are no observables are passed over. Without a file, standard input is read.

Exit code 0: every observable has an id. 1: there is no observable. With --jsonl every
line of standard input, an object, gets a line of output: {"id":"…"}, with "random":true
when it is a UUIDv4, or {"id":null,"error":"…"} when it is no observable; the exit code
is 0 when all lines were answered.`,
		Example: `  tocsin stix id observables.json
  echo '{"type":"domain-name","value":"example.com"}' | tocsin stix id
  tocsin stix id --jsonl < observables.jsonl > ids.jsonl`,
		RunE: func(cmd *cobra.Command, names []string) error {
			if jsonl {
				if len(names) > 0 {
					return usage("--jsonl reads standard input and takes no files", "tocsin stix id --jsonl < FILE")
				}
				return a.lines(cmd.Context(), func(line []byte) any { return identifyLine(line) })
			}
			if len(names) == 0 {
				if a.StdinTerminal {
					return usage("name at least one file", `"-" is standard input`)
				}
				names = []string{"-"}
			}
			return a.identifyFiles(cmd.Context(), names)
		},
	}
	c.Flags().BoolVar(&jsonl, "jsonl", false, "answer every line of standard input, one line of result for each")
	return c
}

func identifyLine(line []byte) identified {
	v, err := stix.Parse(line, stix.Limits{Bytes: maxLine})
	if err != nil {
		return identified{Error: "line: " + syntaxFault(err).Message}
	}
	return identify(v)
}

// identify computes an object's id.
func identify(v stix.Value) identified {
	if v.Get("type").Kind() != stix.String {
		return identified{Error: "an object with a type was expected"}
	}
	id, ok := stix.DeterministicID(v)
	switch {
	case ok:
		return identified{ID: &id}
	case observable(v.Get("type").Text()):
		id = v.Get("type").Text() + "--" + stix.UUIDv4()
		return identified{ID: &id, Random: true}
	default:
		return identified{Error: "the standard defines ids for its cyber-observable objects only: a random UUIDv4 is right (STIX 2.1 §2.9)"}
	}
}

// observable reports whether the standard defines the type in its chapter 6.
func observable(kind string) bool {
	switch kind {
	case "artifact", "autonomous-system", "directory", "domain-name", "email-addr", "email-message", "file", "ipv4-addr", "ipv6-addr",
		"mac-addr", "mutex", "network-traffic", "process", "software", "url", "user-account", "windows-registry-key", "x509-certificate":
		return true
	}
	return false
}

func (a *app) identifyFiles(ctx context.Context, names []string) error {
	results := []identified{}
	found := 0
	err := a.pieces(ctx, "reading", names, func(in *input, p piece) error {
		v, err := stix.Parse(p.raw, stix.Limits{})
		if err != nil {
			return unreadable(err, fmt.Sprintf("%s:%d", in.name, p.line))
		}
		kind := v.Get("type").Text()
		if p.shell || !observable(kind) {
			return nil
		}
		r := identify(v)
		r.File, r.Line, r.Type = in.name, p.line, kind
		if has := v.Get("id").Text(); !r.Random && has != *r.ID {
			r.Has = has
		}
		found++
		if a.json {
			results = append(results, r)
		} else {
			a.showIdentified(r)
		}
		return nil
	}, func(*input) {})
	if err != nil {
		return err
	}
	if a.json {
		if err := a.writeJSON(map[string]any{"objects": results}); err != nil {
			return err
		}
	}
	if found == 0 {
		return &failure{code: ExitNo, what: "there is no cyber-observable object of the standard in it", next: "other objects have random ids (STIX 2.1 §2.9)"}
	}
	return nil
}

// showIdentified prints an id, and on standard error what is to say about it.
func (a *app) showIdentified(r identified) {
	place := a.paint(a.StderrTerminal, bold, fmt.Sprintf("%s:%d", safe(r.File), r.Line))
	switch {
	case r.Random:
		a.note("%s: %s: no property of it contributes to an id, so this one is random", place, r.Type)
	case r.Has != "":
		a.note("%s: the object has another id: %s", place, safe(r.Has))
	}
	a.say("%s", *r.ID)
}

// A normalized is a pattern taken apart, as programs read it.
type normalized struct {
	Normal *string       `json:"normal"` // nil: the pattern cannot be read, and Error says why
	Atoms  []atom        `json:"atoms,omitempty"`
	Error  *patternFault `json:"error,omitempty"`
}

// An atom is one comparison of a pattern, as programs read it.
type atom struct {
	Type     string `json:"type"`     // of the object
	Property string `json:"property"` // the path to it
	Operator string `json:"operator"`
	Value    any    `json:"value,omitempty"` // a list for IN, none for EXISTS
	// Kind tells a value that JSON has no type for from a string: "timestamp"
	// for RFC 3339, "hex" for hexadecimal digits, "binary" for base64.
	Kind    string `json:"kind,omitempty"`
	Negated bool   `json:"negated,omitempty"`
}

// A patternFault says why a pattern cannot be read, as programs read it.
type patternFault struct {
	Message string `json:"message"`
	Line    int    `json:"line,omitempty"`   // of the pattern, from 1
	Column  int    `json:"column,omitempty"` // code points, from 1
	Clause  string `json:"clause,omitempty"` // of the standard
}

func (a *app) stixNormalize() *cobra.Command {
	var jsonl bool
	c := &cobra.Command{
		Use:   "normalize PATTERN…",
		Short: "Write patterns so that those that mean the same are the same",
		Long: `Writes the normal form of each STIX pattern (STIX 2.1 §9): order, repetition, grouping,
spacing and spelling make no difference any more, nor do = against IN, OR inside
brackets against OR between them, and REPEATS against AND. AND over OR is multiplied
out, and choices that another one includes are left out. An address has one spelling,
and registry keys one letter case. --json lists the comparisons of each pattern as well,
in the order of its text.

Exit code 0: all patterns were read. With --jsonl every line of standard input,
{"pattern":"…"}, gets a line of output, {"normal":"…","atoms":[…]}, or
{"normal":null,"error":{"message":"…","line":1,"column":1,"clause":"…"}} when it cannot
be read; the exit code is 0 when all lines were answered.`,
		Example: `  tocsin stix normalize "[ipv4-addr:value = '198.51.100.1' OR ipv4-addr:value = '192.0.2.1']"
  tocsin stix normalize --json "[domain-name:value LIKE '%.example.com']" | jq '.patterns[].atoms'
  tocsin stix normalize --jsonl < patterns.jsonl`,
		RunE: func(cmd *cobra.Command, patterns []string) error {
			if jsonl {
				if len(patterns) > 0 {
					return usage("--jsonl reads patterns from standard input", "tocsin stix normalize --jsonl < FILE")
				}
				return a.lines(cmd.Context(), func(line []byte) any { return normalizeLine(line) })
			}
			if len(patterns) == 0 {
				return usage("name at least one pattern", "tocsin stix normalize \"[ipv4-addr:value = '198.51.100.1']\"")
			}
			return a.normalizePatterns(patterns)
		},
	}
	c.Flags().BoolVar(&jsonl, "jsonl", false, "answer every line of standard input, one line of result for each")
	return c
}

func (a *app) normalizePatterns(patterns []string) error {
	results := make([]normalized, 0, len(patterns))
	var failed error // the first
	for _, text := range patterns {
		r, err := normalize(text)
		if err != nil && failed == nil {
			failed = a.badPattern(text, "", err)
		}
		switch {
		case a.json:
			results = append(results, r)
		case err != nil:
			return failed
		default:
			a.say("%s", safe(*r.Normal))
		}
	}
	if a.json {
		if err := a.writeJSON(map[string]any{"patterns": results}); err != nil {
			return err
		}
	}
	return failed
}

func normalizeLine(line []byte) normalized {
	v, err := stix.Parse(line, stix.Limits{Bytes: maxLine})
	if err != nil {
		f := syntaxFault(err)
		return normalized{Error: &patternFault{Message: "line: " + f.Message, Clause: f.Clause}}
	}
	text := v.Get("pattern")
	if text.Kind() != stix.String {
		return normalized{Error: &patternFault{Message: "pattern: a string was expected"}}
	}
	r, _ := normalize(text.Text()) // the error is in it
	return r
}

// normalize takes a pattern apart. The error is a [pattern.SyntaxError] and in
// the answer as well.
func normalize(text string) (normalized, error) {
	p, err := pattern.Parse(text)
	if err != nil {
		f := patternFault{Message: err.Error()}
		if s, ok := errors.AsType[*pattern.SyntaxError](err); ok {
			f = patternFault{Message: s.Message, Line: s.Line, Column: s.Column, Clause: s.Clause}
			if s.Found != "" {
				f.Message += ", found " + s.Found
			}
		}
		return normalized{Error: &f}, err //nolint:wrapcheck // shown with the place it names
	}
	normal := p.Normal()
	r := normalized{Normal: &normal, Atoms: make([]atom, 0, len(p.Atoms()))}
	for _, from := range p.Atoms() {
		to := atom{Type: from.ObjectType, Property: from.Path, Operator: from.Op.String(), Negated: from.Negated}
		values := make([]any, 0, len(from.Values))
		for _, l := range from.Values {
			var v any
			v, to.Kind = constant(l)
			values = append(values, v)
		}
		switch {
		case from.Op == pattern.In:
			to.Value = values
		case len(values) > 0:
			to.Value = values[0]
		}
		r.Atoms = append(r.Atoms, to)
	}
	return r, nil
}

// constant returns a constant as JSON has it, and its kind where that is none
// of JSON's.
func constant(l pattern.Literal) (value any, kind string) {
	switch l.Kind {
	case pattern.Integer, pattern.Float:
		return l.Number(), ""
	case pattern.Boolean:
		return l.Bool(), ""
	case pattern.Timestamp:
		return l.Value, "timestamp"
	case pattern.Hex:
		return hex.EncodeToString([]byte(l.Value)), "hex"
	case pattern.Binary:
		return base64.StdEncoding.EncodeToString([]byte(l.Value)), "binary"
	case pattern.String:
	}
	return l.Value, ""
}

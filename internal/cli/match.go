package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tocsin/stix"
	"tocsin/stix/pattern"
)

// A matching is what became of one pattern, as programs read it.
type matching struct {
	Match       *bool    `json:"match"`        // nil: it cannot be told, and Error says why
	ObservedIDs []string `json:"observed_ids"` // of the observed-data that make the match; never nil
	Error       string   `json:"error,omitempty"`
	Warnings    []string `json:"warnings,omitempty"` // why there may be no match
}

func (a *app) match() *cobra.Command {
	var file string
	var jsonl bool
	c := &cobra.Command{
		Use:   "match PATTERN FILE…",
		Short: "Say whether a STIX pattern matches what was observed",
		Long: `Evaluates a STIX pattern (STIX 2.1 §9) on the observed-data objects in files, all of
them together, and names those that make a match. Files are bundles, envelopes, single
objects or JSON lines, also compressed with gzip; "-" is standard input. The objects
that an observed-data refers to may stand in any of the files. Of an object that is
there more than once, the newest version counts. All of the language is there (Level 3
of STIX 2.1 §12.7), but for regular expressions that take more than linear time.

Exit code 0: it matches. 1: it does not. 2: the pattern or a file cannot be read, or
the pattern not be evaluated: MATCHES takes regular expressions without look-around and
back-references.

With --jsonl every line of standard input, {"pattern":"…","observations":[…]} with
observed-data objects, what they refer to, or bundles of both, gets a line of output:
{"match":true,"observed_ids":["…"]}. The match is null, and an error says why, where
there is no answer. Each bundle is read by itself. The exit code is 0 when all lines
were answered.`,
		Example: `  tocsin match "[ipv4-addr:value ISSUBSET '198.51.100.0/24']" sightings.json
  tocsin match --pattern-file beacon.stix monday.json tuesday.json.gz
  tocsin match --json --pattern-file beacon.stix sightings.json | jq .observed_ids
  tocsin match --jsonl < cases.jsonl > verdicts.jsonl`,
		GroupID: groupCheck,
		RunE: func(cmd *cobra.Command, args []string) error {
			if jsonl {
				if len(args) > 0 || file != "" {
					return usage("--jsonl reads patterns and observations from standard input", "tocsin match --jsonl < FILE")
				}
				var last compiler
				return a.lines(cmd.Context(), func(line []byte) any { return matchLine(&last, line) })
			}
			text := ""
			if file == "" && len(args) > 0 {
				text, args = args[0], args[1:]
			}
			if len(args) == 0 {
				return usage("name a pattern and at least one file", `"-" is standard input`)
			}
			if file != "" {
				var err error
				if text, err = a.readPattern(file); err != nil {
					return err
				}
			}
			return a.matchFiles(cmd.Context(), text, file, args)
		},
	}
	c.Flags().StringVar(&file, "pattern-file", "", "a file with the pattern, in place of the first argument")
	c.Flags().BoolVar(&jsonl, "jsonl", false, "answer every line of standard input, one line of result for each")
	return c
}

// A compiler keeps the last pattern: programs ask for one pattern with one set
// of observations after the other.
type compiler struct {
	text    string
	matcher *pattern.Matcher
	err     error
}

func (c *compiler) compile(text string) (*pattern.Matcher, error) {
	if text != c.text || c.matcher == nil && c.err == nil {
		p, err := pattern.Parse(text)
		c.text, c.matcher, c.err = text, nil, err
		if err == nil {
			c.matcher, c.err = p.Compile()
		}
	}
	return c.matcher, c.err
}

// matchLine answers one line of --jsonl.
func matchLine(c *compiler, line []byte) matching {
	unclear := func(what, why string) matching { return matching{ObservedIDs: []string{}, Error: what + ": " + why} }
	v, err := stix.Parse(line, stix.Limits{Bytes: maxLine})
	if err != nil {
		return unclear("line", syntaxFault(err).Message)
	}
	text := v.Get("pattern")
	if text.Kind() != stix.String {
		return unclear("pattern", "a string was expected")
	}
	m, err := c.compile(text.Text())
	if err != nil {
		return unclear("pattern", err.Error())
	}
	seen, err := observations(v.Get("observations"))
	if err != nil {
		return unclear("observations", err.Error())
	}
	r, err := m.Match(seen)
	if err != nil {
		return unclear("pattern", err.Error())
	}
	return verdict(r, seen)
}

func verdict(r pattern.Result, seen []pattern.Observation) matching {
	m := matching{Match: &r.Matched, ObservedIDs: make([]string, 0, len(r.Observations))}
	for _, i := range r.Observations {
		if id := seen[i].ID; id != "" && !slices.Contains(m.ObservedIDs, id) {
			m.ObservedIDs = append(m.ObservedIDs, id)
		}
	}
	return m
}

// observations reads a list of bundles, of observed-data objects with what they
// refer to, or of both. Each bundle is read by itself, as are all objects
// outside of bundles.
func observations(list stix.Value) ([]pattern.Observation, error) {
	if list.Kind() != stix.Array {
		return nil, errors.New("a list of observed-data objects or bundles was expected")
	}
	var seen []pattern.Observation
	loose := make([]any, list.Len()) // in their places, which errors name
	for i, v := range list.Elements() {
		if v.Get("type").Kind() != stix.String {
			return nil, fmt.Errorf("element %d: an object with a type was expected", i)
		}
		if !v.Get("type").Is("bundle") {
			loose[i] = decoded(v)
			continue
		}
		if members := v.Get("objects"); members.Exists() && members.Kind() != stix.Array {
			return nil, fmt.Errorf("element %d: a list of objects was expected in the bundle", i)
		}
		o, err := pattern.FromBundle(properties(v))
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		seen = append(seen, o...)
	}
	o, err := pattern.FromBundle(map[string]any{"objects": loose})
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the place in the list already
	}
	return append(seen, o...), nil
}

// properties returns an object in the form that patterns are matched with.
func properties(v stix.Value) map[string]any {
	m := make(map[string]any, v.Len())
	for name, member := range v.Members() {
		m[name] = decoded(member)
	}
	return m
}

// decoded returns any value in that form.
func decoded(v stix.Value) any {
	switch v.Kind() {
	case stix.Object:
		return properties(v)
	case stix.Array:
		list := make([]any, 0, v.Len())
		for _, e := range v.Elements() {
			list = append(list, decoded(e))
		}
		return list
	case stix.String:
		return v.Text()
	case stix.Number:
		f, _ := v.Float() // what is out of range was not parsed
		return f
	case stix.Bool:
		return v.True()
	case stix.Null, stix.Absent:
	}
	return nil
}

// readPattern reads a file with one pattern.
func (a *app) readPattern(name string) (string, error) {
	in, err := a.open(name)
	if err != nil {
		return "", err
	}
	defer in.close()
	text, err := io.ReadAll(io.LimitReader(in.r, pattern.MaxBytes+1)) // one byte more is refused as too long
	if err != nil {
		return "", &failure{code: ExitFault, what: "the file cannot be read", where: in.name, err: err}
	}
	return string(text), nil
}

// badPattern shows where a pattern cannot be read; file is where it came from,
// "" for the command line.
func (a *app) badPattern(text, file string, err error) error {
	f := &failure{code: ExitUsage, what: "the pattern cannot be read: " + err.Error(), where: file, next: "STIX 2.1 §9 says how patterns are written"}
	if file == "" {
		f.next = "in a shell, put a pattern in double quotes: its own strings have single ones"
	}
	if s, ok := errors.AsType[*pattern.SyntaxError](err); ok {
		const indent = "         " // as wide as what is before the place
		line, caret := excerpt([]byte(text), s.Offset, a.Width-len(indent)-1)
		if file != "" {
			f.where += fmt.Sprintf(":%d:%d\n", s.Line, s.Column) + indent
		}
		f.where += line + "\n" + indent + strings.Repeat(" ", caret) + "^"
	}
	return f
}

// matchFiles answers for one pattern, which came from a file or, when file is
// "", from the command line.
func (a *app) matchFiles(ctx context.Context, text, file string, names []string) error {
	r, err := a.matchSightings(ctx, text, file, names)
	if f, ok := errors.AsType[*failure](err); ok {
		r = matching{ObservedIDs: []string{}, Error: f.what}
	} else if err != nil {
		return err
	}
	if a.json {
		if err := a.writeJSON(r); err != nil {
			return err
		}
	}
	if err == nil && !*r.Match {
		return errNo
	}
	return err
}

func (a *app) matchSightings(ctx context.Context, text, file string, names []string) (matching, error) {
	p, err := pattern.Parse(text)
	if err != nil {
		return matching{}, a.badPattern(text, file, err)
	}
	m, err := p.Compile()
	if err != nil {
		return matching{}, &failure{code: ExitUsage, what: err.Error(), where: file, next: "MATCHES takes what RE2 does: no look-around, no back-references"}
	}
	s, err := a.gatherSightings(ctx, names)
	if err != nil {
		return matching{}, err
	}
	found, err := m.Match(s.seen)
	if err != nil {
		return matching{}, &failure{code: ExitUsage, what: err.Error(), where: file, next: "match fewer observations at a time"}
	}
	r := verdict(found, s.seen)
	if !found.Matched {
		r.Warnings = s.doubts(p)
	}
	if !a.json {
		a.showMatching(r, found, &s)
	}
	return r, nil
}

func (a *app) showMatching(r matching, found pattern.Result, s *sightings) {
	if !found.Matched {
		a.say("%s it does not match %s", a.out(red, "✗"), count(len(s.seen), "observed-data object"))
		for _, w := range r.Warnings {
			a.say("    %s %s", a.out(yellow, "!"), w)
		}
		return
	}
	a.say("%s it matches, by %s of %s", a.out(green, "✓"), grouped(len(found.Observations)), count(len(s.seen), "observed-data object"))
	for _, i := range found.Observations {
		a.say("    %s  %s", safe(orElse(s.seen[i].ID, "(without an id)")), a.out(faint, safe(s.places[i])))
	}
}

// sightings are what was observed, out of files.
type sightings struct {
	seen    []pattern.Observation
	places  []string // where each of them stands: FILE:LINE
	missing int      // objects that they refer to and that are in none of the files
}

// doubts say why a pattern may match less than it was meant to.
func (s *sightings) doubts(p *pattern.Pattern) []string {
	var list []string
	for _, problem := range p.Problems() {
		list = append(list, "this can match nothing: "+problem.Error())
	}
	if s.missing > 0 {
		list = append(list, "not in the files: "+count(s.missing, "object")+" that the observed-data refer to")
	}
	return list
}

// A source is one object of the files. What nothing refers to costs its text
// only: in a bundle of intelligence that is nearly everything.
type source struct {
	raw   []byte
	place string
	props map[string]any // once it was looked at
}

func (s *source) properties() map[string]any {
	if s.props == nil {
		if v, err := stix.Parse(s.raw, stix.Limits{}); err == nil { // it did before
			s.props = properties(v)
		}
	}
	return s.props
}

// gatherSightings reads all observed-data in files and what they refer to.
func (a *app) gatherSightings(ctx context.Context, names []string) (sightings, error) {
	var observed []*source
	observedByID, known := map[string]*source{}, map[string]*source{}
	size := 0
	err := a.pieces(ctx, "reading", names, func(in *input, p piece) error {
		place := fmt.Sprintf("%s:%d", in.name, p.line)
		v, err := stix.Parse(p.raw, stix.Limits{})
		if err != nil {
			return unreadable(err, place)
		}
		id, byID := v.Get("id").Text(), known
		isObserved := v.Get("type").Is("observed-data")
		if isObserved {
			byID = observedByID
		}
		if p.shell || id == "" && !isObserved {
			return nil // nothing can refer to it
		}
		if size += len(p.raw); size > mostBytes {
			return usage("this is too much to match together: more than 1 GiB", "match it in parts")
		}
		if before := byID[id]; before != nil && id != "" {
			if newer(v, before) {
				*before = source{raw: bytes.Clone(p.raw), place: place}
			}
			return nil
		}
		o := &source{raw: bytes.Clone(p.raw), place: place}
		byID[id] = o
		if isObserved {
			observed = append(observed, o)
		}
		return nil
	}, func(*input) {})
	if err != nil {
		return sightings{}, err
	}
	if len(observed) == 0 {
		return sightings{}, &failure{code: ExitUsage, what: "there is no observed-data object in " + strings.Join(names, ", "), next: "a pattern is matched with observed-data (STIX 2.1 §4.14) and what it refers to"}
	}
	return see(observed, known)
}

// unreadable explains that a piece of a file is no JSON.
func unreadable(err error, place string) error {
	return &failure{code: ExitUsage, what: "this cannot be read: " + syntaxFault(err).Message, where: place, next: "'tocsin validate' shows what is wrong"}
}

// newer reports whether an object is a later version of one that was read
// (STIX 2.1 §3.6).
func newer(v stix.Value, before *source) bool {
	old, err := stix.Parse(before.raw, stix.Limits{})
	if err != nil {
		return true
	}
	was, _ := stix.ParseTime(old.Get("modified").Text())
	is, _ := stix.ParseTime(v.Get("modified").Text())
	return is.After(was)
}

// see makes observations of observed-data and the objects, by id, that they may
// refer to.
func see(observed []*source, known map[string]*source) (sightings, error) {
	var s sightings
	missing := map[string]bool{}
	for _, o := range observed {
		bundle := []any{o.properties()}
		refs, _ := o.properties()["object_refs"].([]any)
		for _, ref := range refs {
			id, _ := ref.(string)
			if k := known[id]; k != nil {
				bundle = append(bundle, k.properties())
			} else {
				missing[id] = true
			}
		}
		seen, err := pattern.FromBundle(map[string]any{"objects": bundle})
		if err != nil {
			return sightings{}, &failure{
				code: ExitUsage, what: "an observed-data object needs a valid first_observed, last_observed and number_observed to be matched",
				where: o.place, next: "'tocsin validate' shows what is wrong",
			}
		}
		s.seen, s.places = append(s.seen, seen...), append(s.places, o.place)
	}
	s.missing = len(missing)
	return s, nil
}

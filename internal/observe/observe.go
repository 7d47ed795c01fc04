// Package observe compares STIX patterns that join several comparisons with the events that lines of logs are.
package observe

import (
	"slices"
	"strings"
	"time"

	"tocsin"
	"tocsin/internal/logs"
	"tocsin/internal/match"
	"tocsin/stix/pattern"
)

// A Pattern is compared with whole events. Lines to compare it with are those
// that one of its anchors stands in; no other line can be a part of a match.
type Pattern struct {
	Anchors []match.Value
	Missing int // operands of OR that have no anchor, and so are not found

	matcher *pattern.Matcher
	events  bool // a match may take more than one event
	timed   bool // a match depends on when events were
	copies  int  // how many objects of one event it takes apart, see unmix
}

// MostEvents is the largest number of events that a match may take at least.
const MostEvents = 1000

// Compile reads a pattern. The values in alone make it match by themselves and
// are looked for anyway. It fails, and says why, for what is no pattern, and
// for one that no line could be found for.
func Compile(text string, alone []match.Value) (*Pattern, error) {
	refuse := func(message, hint string) (*Pattern, error) {
		return nil, &tocsin.Error{Kind: tocsin.Unsupported, Message: message, Hint: hint}
	}
	parsed, err := pattern.Parse(text)
	if err != nil {
		return nil, &tocsin.Error{Kind: tocsin.Malformed, Message: "this is no STIX pattern", Hint: "try 'tocsin stix normalize'"}
	}
	p := &Pattern{copies: 1}
	p.anchor(parsed, alone)
	if len(p.Anchors) == 0 {
		return refuse("no exact value has to stand in a line that the pattern matches", "add a comparison with = or IN: an address, a name, a hash, a URL, a file name")
	}
	spelled, err := pattern.Parse(respell(parsed))
	if err != nil { // a constant grew too long
		return refuse("the pattern is too long", "split it")
	}
	var clear bool
	if spelled, p.copies, clear = unmix(spelled); !clear {
		p.Missing++
	}
	if p.matcher, err = spelled.Compile(); err != nil {
		return refuse("the pattern has a regular expression that cannot be evaluated", "leave out look-around and back-references")
	}
	p.events = p.copies == 1 && !p.matcher.Single()
	p.timed = p.matcher.Timed()
	if p.matcher.Least() > MostEvents {
		return refuse("the pattern asks for more than 1,000 events", "ask for fewer with REPEATS")
	}
	return p, nil
}

// Events reports whether a match may take more than one event.
func (p *Pattern) Events() bool { return p.events }

// anchor chooses what lines are found by.
func (p *Pattern) anchor(parsed *pattern.Pattern, alone []match.Value) {
	atoms, missing := parsed.Anchors(func(a pattern.Atom) int {
		_, cost := anchorsOf(a)
		return cost
	})
	p.Missing = missing
	for _, a := range atoms {
		values, _ := anchorsOf(a)
		for _, v := range values {
			if !slices.Contains(alone, v) && !slices.Contains(p.Anchors, v) {
				p.Anchors = append(p.Anchors, v)
			}
		}
	}
}

// How common values are, from the rarest: of several that must all be there,
// lines are found by the rarest.
const (
	costHash = iota
	costURL  // and addresses of e-mail, which are as rare
	costName
	costText
	costFile
	costNumber
)

// anchorsOf returns the values of which one stands in each line that a
// comparison is true of, and how common they are; -1 when the engine cannot
// find all of them.
func anchorsOf(a pattern.Atom) (values []match.Value, cost int) {
	kinds, cost := anchorKinds(a)
	for _, l := range a.Values {
		text := l.Value
		if l.Kind == pattern.String && lastKey(a) == "key" {
			text = afterHive(text)
		}
		found := false
		for _, k := range kinds {
			v, ok := match.Parse(k, text)
			if ok && v.Kind() != match.Network && (l.Kind == pattern.String || k == match.ASN && l.Kind == pattern.Integer) {
				values, found = append(values, v), true
				break
			}
		}
		if !found {
			return nil, -1
		}
	}
	return values, cost
}

// anchorKinds returns what a property's values are to the engine, nothing for
// what stands in too many lines or never as the pattern has it.
func anchorKinds(a pattern.Atom) (kinds []match.Kind, cost int) {
	key := lastKey(a)
	switch key {
	case "MD5", "SHA-1", "SHA-256", "SHA-512":
		return []match.Kind{match.Hash}, costHash
	case "value":
		switch {
		case len(a.Steps) > 1:
			return []match.Kind{match.Address, match.Domain, match.Email}, costName
		case a.ObjectType == "url":
			return []match.Kind{match.URL}, costURL
		case a.ObjectType == "email-addr":
			return []match.Kind{match.Email}, costURL
		case a.ObjectType == "domain-name":
			return []match.Kind{match.Domain}, costName
		case a.ObjectType == "ipv4-addr" || a.ObjectType == "ipv6-addr":
			return []match.Kind{match.Address}, costName
		}
	case "Host":
		return []match.Kind{match.Domain, match.Address}, costName
	case "name":
		if a.ObjectType == "file" || a.ObjectType == "process" {
			return []match.Kind{match.FileName}, costFile
		}
	case "key":
		return []match.Kind{match.RegistryKey}, costText
	case "path":
		return []match.Kind{match.RegistryKey, match.Mutex}, costFile
	case "User-Agent":
		return []match.Kind{match.UserAgent}, costFile
	case "command_line", "account_login", "subject", "issuer", "serial_number", "request_value", "cwd", "data":
		return []match.Kind{match.Mutex}, costText
	case "number":
		if a.ObjectType == "autonomous-system" {
			return []match.Kind{match.ASN}, costNumber
		}
	}
	return nil, -1
}

// lastKey returns the name of the property that is compared, without the [*] of
// a list.
func lastKey(a pattern.Atom) string {
	for _, s := range slices.Backward(a.Steps) {
		if s.Kind == pattern.KeyStep {
			return s.Key
		}
	}
	return ""
}

// afterHive leaves out the first part of a registry key, which logs write in
// several ways.
func afterHive(key string) string {
	if strings.HasPrefix(spellKey(key), "hkey_") {
		if _, rest, ok := strings.Cut(strings.TrimPrefix(key, `\`), `\`); ok {
			return strings.TrimRight(rest, `\`)
		}
	}
	return key
}

// respell puts a pattern's constants into the spelling that the objects of
// lines have.
func respell(p *pattern.Pattern) string {
	text := p.Text()
	for _, a := range slices.Backward(p.Atoms()) {
		kind, key := "", lastKey(a)
		if len(a.Steps) == 1 || key != "value" {
			kind = a.ObjectType
		}
		for _, l := range slices.Backward(a.Values) {
			if l.Kind != pattern.String {
				continue
			}
			said := l.Value
			switch a.Op {
			case pattern.Equal, pattern.NotEqual, pattern.In, pattern.Less, pattern.LessOrEqual, pattern.Greater, pattern.GreaterOrEqual:
				said = spell(kind, key, said)
			case pattern.Like:
				if folds(kind, key) {
					said = strings.ToLower(said)
				}
				if key == "key" {
					said = spellKey(said)
				}
			case pattern.Matches:
				if folds(kind, key) {
					said = "(?i)" + said
				}
			case pattern.IsSubset, pattern.IsSuperset, pattern.Exists:
			}
			if said != l.Value {
				text = text[:l.Start] + pattern.Quote(said) + text[l.End:]
			}
		}
	}
	return text
}

// unmix rewrites [ipv4-addr:value = 'x' AND network-traffic:dst_port = 443],
// which is no valid pattern and yet often published. What it means is that one
// event has both, and so it becomes an AND of observations, all of which the
// same event may be: copies says how many. Inside a larger pattern it stays as
// it is, matches nothing (STIX 2.1 §9.5), and clear is false.
func unmix(p *pattern.Pattern) (apart *pattern.Pattern, copies int, clear bool) {
	if !slices.ContainsFunc(p.Problems(), func(e *pattern.SyntaxError) bool { return e.Kind == pattern.MixedTypes }) {
		return p, 1, true
	}
	text, atoms := p.Text(), p.Atoms()
	var kinds []string
	said := map[string][]string{}
	end := 0
	for i, a := range atoms {
		before := "AND"
		if i == 0 {
			before = "["
		}
		if strings.TrimSpace(text[end:a.Start]) != before {
			return p, 1, false
		}
		end = a.End
		if !slices.Contains(kinds, a.ObjectType) {
			kinds = append(kinds, a.ObjectType)
		}
		said[a.ObjectType] = append(said[a.ObjectType], text[a.Start:a.End])
	}
	if strings.TrimSpace(text[end:]) != "]" {
		return p, 1, false
	}
	parts := make([]string, 0, len(kinds))
	for _, k := range kinds {
		parts = append(parts, "["+strings.Join(said[k], " AND ")+"]")
	}
	apart, err := pattern.Parse(strings.Join(parts, " AND "))
	if err != nil {
		return p, 1, false
	}
	return apart, len(parts), true
}

// Patterns are what events are compared with. Looking is safe for concurrent
// use; [Patterns.Add] and [Patterns.Remove] are not, and nobody may look
// meanwhile.
type Patterns struct {
	fields table
	byID   map[string]*Pattern
}

// NewPatterns returns no patterns.
func NewPatterns() *Patterns { return &Patterns{fields: newTable(), byID: map[string]*Pattern{}} }

// mark begins the ids that the engine has for anchors. No other id does.
const mark = "\x01"

// Add adds a pattern with the id of its indicator, and its anchors to the
// values that are looked for. It returns how many of them cannot be.
func (s *Patterns) Add(id string, p *Pattern, values *match.Set) (refused int) {
	s.byID[mark+id] = p
	for _, v := range p.Anchors {
		if !values.Add(mark+id, v) {
			refused++
		}
	}
	return refused
}

// Remove takes a pattern back.
func (s *Patterns) Remove(id string, values *match.Set) {
	if p := s.byID[mark+id]; p != nil {
		for _, v := range p.Anchors {
			values.Remove(mark+id, v)
		}
		delete(s.byID, mark+id)
	}
}

// Len returns how many patterns there are.
func (s *Patterns) Len() int {
	if s == nil {
		return 0
	}
	return len(s.byID)
}

// Anchored returns the pattern that a hit's id stands for, and its indicator;
// ok is false for the id of an indicator whose value stands there. The pattern
// is nil when it was removed.
func (s *Patterns) Anchored(id string) (p *Pattern, indicator string, ok bool) {
	if !strings.HasPrefix(id, mark) {
		return nil, "", false
	}
	if s != nil {
		p = s.byID[id]
	}
	return p, id[len(mark):], true
}

// Event returns what a line is in STIX: an observation of the objects that its
// fields tell of. A line from the future does not say when it was written: one
// such would make a [Window] forget all that came before.
func (s *Patterns) Event(format logs.Format, line []byte, e *logs.Event) Event {
	when := e.Time
	if when.After(time.Now().AddDate(0, 0, 1)) {
		when = time.Time{}
	}
	return Event{line: len(line), when: when, objects: s.fields.read(format, line, e).objects()}
}

// An Event is what one line of a log tells.
type Event struct {
	line    int // its length
	when    time.Time
	objects map[string]map[string]any
}

// Objects returns what the event is in STIX, by names that their references
// have. Nobody may change them.
func (e *Event) Objects() map[string]map[string]any { return e.objects }

func (e *Event) observation(copies int) pattern.Observation {
	return pattern.NewObservation("", e.when, e.when, copies, e.objects)
}

// Match reports whether one event is a match. Of a pattern that may take more
// than one, [Window.Add] knows.
func (p *Pattern) Match(e *Event) (bool, error) {
	if p.timed && e.when.IsZero() {
		return false, errUntimed
	}
	o := e.observation(p.copies)
	return p.matcher.MatchOne(&o) //nolint:wrapcheck // told apart by the caller
}

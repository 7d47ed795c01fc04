package minimize

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"tocsin/internal/minimize/detect"
	"tocsin/stix"
)

// What a generalized value becomes.
const (
	toHour     = "hour"      // the hour that a time lies in
	toNextHour = "next-hour" // the hour after it, for what must be later than another time
	toDigit    = "digit"     // a count with its first digit only
)

// A coarser says how an anonymous submission generalizes a property.
type coarser struct{ to, rule, as, why string }

// generalize reads what anonymous submissions generalize.
func (r *rules) generalize(f *ruleFile) error {
	r.coarser = map[string]*coarser{}
	for _, a := range f.Anonymous {
		switch a.To.text {
		case toHour, toNextHour, toDigit:
		default:
			return fmt.Errorf("rules: line %d: a value is generalized to %s, %s or %s", a.To.line, toHour, toNextHour, toDigit)
		}
		if a.Why == "" {
			return fmt.Errorf("rules: line %d: the properties have no reason", a.To.line)
		}
		for _, path := range a.On {
			kind, name, ok := strings.Cut(path.text, ":")
			if !ok || kind == "" || name == "" || strings.Contains(name, ".") {
				return fmt.Errorf("rules: line %d: what is generalized is type:property", path.line)
			}
			if r.coarser[path.text] != nil {
				return fmt.Errorf("rules: line %d: the path is listed twice", path.line)
			}
			r.coarser[path.text] = &coarser{a.To.text, a.Rule, a.As, a.Why}
		}
	}
	return nil
}

// coarse returns how a property of a type is generalized, nil when it is not.
func (r *rules) coarse(kind, name string) *coarser {
	if c := r.coarser[kind+":"+name]; c != nil {
		return c
	}
	return r.coarser["*:"+name]
}

// of returns what a value becomes as JSON, false when it stays.
func (c *coarser) of(v stix.Value) ([]byte, bool) {
	if c.to == toDigit {
		n, err := strconv.ParseUint(string(v.Raw()), 10, 63)
		if v.Kind() != stix.Number || err != nil || n < 10 {
			return nil, false
		}
		unit := uint64(1)
		for n/unit >= 10 {
			unit *= 10
		}
		return strconv.AppendUint(nil, n/unit*unit, 10), n%unit != 0
	}
	t, err := time.Parse(time.RFC3339Nano, v.Text())
	if err != nil {
		return nil, false
	}
	hour := t.UTC().Truncate(time.Hour)
	if hour.Equal(t) {
		return nil, false
	}
	if c.to == toNextHour {
		hour = hour.Add(time.Hour)
	}
	return quote(hour.Format("2006-01-02T15:04:05.000Z")), true
}

// register reads the extensions that are registered. Their properties are
// known, so that nothing in them waits for a person; values of a fixed form are
// looked for all the same.
func (r *rules) register(f *ruleFile, classes map[string]detect.Set) error {
	const kept = "machine"
	r.extensions = map[string]bool{}
	for _, e := range f.Extensions {
		if kind, _, ok := stix.SplitID(e.ID.text); !ok || kind != "extension-definition" {
			return fmt.Errorf("rules: line %d: an extension is registered by the id of its definition", e.ID.line)
		}
		if r.extensions[e.ID.text] {
			return fmt.Errorf("rules: line %d: the extension is registered twice", e.ID.line)
		}
		r.extensions[e.ID.text] = true
		for path, fd := range map[string]*field{
			"*:extensions." + e.ID.text:                     {class: kept, rule: "registered-extensions", why: "a property of a registered extension", kinds: classes[kept]},
			"*:extensions." + e.ID.text + ".extension_type": {class: classPass},
		} {
			n, err := r.at(scalar{path, e.ID.line})
			if err != nil {
				return err
			}
			n.field = fd
		}
	}
	return nil
}

// extended reports whether an object has properties of its own by a registered
// extension (STIX 2.1 §7.3.2: new objects and top-level properties).
func (r *rules) extended(v stix.Value) bool {
	for id, e := range v.Get("extensions").Members() {
		if kind := e.Get("extension_type").Text(); r.extensions[id] && (strings.HasPrefix(kind, "new-") || kind == "toplevel-property-extension") {
			return true
		}
	}
	return false
}

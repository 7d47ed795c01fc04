package minimize

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tocsin/internal/minimize/detect"
	"tocsin/internal/validate"
	"tocsin/stix"
)

// Options set up a [Gate].
type Options struct {
	// Secret keys the ids of changed copies: at least 16 bytes, kept by the hub
	// or by the submitter. Without it nobody can tell which object a copy is of.
	Secret []byte
	// Creator is the id of the STIX identity in whose name changed copies are
	// made (STIX 2.1 §3.5); "" leaves created_by_ref as it was submitted.
	Creator string
	// Rules is a rule file; nil means the one that comes with the program.
	Rules []byte
	// Changed reports whether an object was changed in an earlier submission.
	// Then its copy is what others know: later versions of the object, its
	// revocation above all, and references to it belong to the copy's id, also
	// when nothing in them has to go. nil: none was.
	Changed func(id string) bool
}

// A Gate removes from submissions what a defender does not need and a person
// would mind sharing. It knows which side a value is on: what is the
// attacker's stays, wherever it stands. It is safe for concurrent use.
type Gate struct {
	rules     *rules
	secret    []byte
	namespace [16]byte
	creator   string
	changed   func(id string) bool // nil: no object was changed before
}

const leastSecret = 16

// New returns a gate. It fails when the secret is too short, the creator is not
// the id of an identity, or the rule file is wrong, in which case the error
// names the line.
func New(o Options) (*Gate, error) {
	if len(o.Secret) < leastSecret {
		return nil, errors.New("minimize: the secret is shorter than 16 bytes")
	}
	if kind, _, ok := stix.SplitID(o.Creator); o.Creator != "" && (!ok || kind != "identity") {
		return nil, errors.New("minimize: the creator is not the id of a STIX identity")
	}
	text := o.Rules
	if text == nil {
		text = DefaultRules()
	}
	r, err := parseRules(text)
	if err != nil {
		return nil, err
	}
	g := &Gate{rules: r, secret: append([]byte(nil), o.Secret...), creator: o.Creator, changed: o.Changed}
	copy(g.namespace[:], g.mac("tocsin minimize: namespace"))
	return g, nil
}

// Rules returns the hash of the rules in force: "sha256:" and 64 hexadecimal
// digits. It covers the rule file and the version of the detectors.
func (g *Gate) Rules() string { return g.rules.hash }

func (g *Gate) mac(text string) []byte {
	m := hmac.New(sha256.New, g.secret)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// rename returns the id of the changed copy of an object: always the same one
// under one secret, and not to be linked with the original without it. STIX
// 2.1 §3.5 asks for a new id; §2.9 forbids the namespace of its own
// deterministic ids, and wants a random form for observables whose id is not
// computed from their content, which here would give the content away.
func (g *Gate) rename(id string) string {
	kind, _, _ := strings.Cut(id, "--")
	uuid := []byte(stix.UUIDv5(g.namespace, g.mac(id+"\x00minimized")))
	if observable(kind) {
		uuid[14] = '4'
	}
	return kind + "--" + string(uuid)
}

// CopyOf returns the id under which the gate publishes the changed copy of an
// object.
func (g *Gate) CopyOf(id string) string { return g.rename(id) }

// Copies returns the ids that a submission has, of objects and in references, by
// the ids of the copies that the gate would make of them. Who keeps what gates
// made can tell from it what was changed before.
func (g *Gate) Copies(b validate.Bundle) map[string]string {
	ids := map[string]bool{}
	for _, o := range b.Objects() {
		if fixed(o.Type()) {
			continue
		}
		references(o.Value(), func(id string, _ stix.Value) {
			if kind, _, _ := strings.Cut(id, "--"); !fixed(kind) {
				ids[id] = true
			}
		})
	}
	copies := make(map[string]string, len(ids))
	for id := range ids {
		copies[g.rename(id)] = id
	}
	return copies
}

// observable reports whether a type is one of the cyber-observable objects,
// which have neither creators nor versions (STIX 2.1 §6).
func observable(kind string) bool {
	switch kind {
	case "artifact", "autonomous-system", "directory", "domain-name", "email-addr", "email-message", "file", "ipv4-addr",
		"ipv6-addr", "mac-addr", "mutex", "network-traffic", "process", "software", "url", "user-account",
		"windows-registry-key", "x509-certificate":
		return true
	}
	return false
}

// fixed reports whether objects of a type cannot be changed: they have no
// versions, and what they mean depends on their id (STIX 2.1 §7.2, §7.3).
func fixed(kind string) bool { return kind == "marking-definition" || kind == "extension-definition" }

// Apply minimizes one submission. What nothing matches is passed on as it is;
// what is changed becomes a new object with its own id (STIX 2.1 §3.5), and the
// references to it follow. A copy that would not be valid STIX any more is
// left out. Every removal is a [Finding].
func (g *Gate) Apply(b validate.Bundle) Bundle { return g.ApplyAfter(b, g.changed) }

// ApplyAfter is [Gate.Apply] for a submitter of whom is known what was changed in
// earlier submissions, as by [Options].
func (g *Gate) ApplyAfter(b validate.Bundle, changed func(id string) bool) Bundle {
	r := &run{gate: g, changed: changed, objects: b.Objects(), states: make([]state, len(b.Objects()))}
	r.look()
	if len(r.places) > 0 {
		r.takeSides()
		r.decide()
	}
	before := r.changedBefore()
	if r.any() || len(before) > 0 {
		r.spread()
		r.follow(before)
	}
	out := Bundle{rejected: b.Rejected(), rules: g.rules.hash}
	out.objects, out.findings, out.reviews = r.result()
	return out
}

// changedBefore returns the ids in the submission, of objects and in
// references, that stand for a copy since an earlier submission.
func (r *run) changedBefore() []string {
	if r.changed == nil {
		return nil
	}
	var ids []string
	for i := range r.objects {
		if fixed(r.objects[i].Type()) {
			continue
		}
		references(r.objects[i].Value(), func(id string, _ stix.Value) {
			if kind, _, _ := strings.Cut(id, "--"); !fixed(kind) && r.changed(id) {
				ids = append(ids, id)
			}
		})
	}
	return ids
}

// The actions of findings.
const (
	actionMasked      = "masked"
	actionDropped     = "dropped"
	actionGeneralized = "generalized"
	actionLeft        = "left"
	actionWithheld    = "withheld"
)

// run is the work on one submission.
type run struct {
	gate    *Gate
	changed func(id string) bool // nil: nothing was changed before
	objects []validate.Object
	places  []place // what may have to go, in the order of the objects
	sides   sides
	labels  labels
	states  []state
	found   map[found]int          // findings of detectors, by place and kind: the index among the object's
	parts   map[string]string      // parts of victims' names: the whole
	victims map[string]detect.Kind // values that are surely the victim's, to be found elsewhere too
}

// found says which finding of a detector it is.
type found struct {
	object int
	at     string
	kind   detect.Kind
}

// A place is a value that a rule or a detector noticed.
type place struct {
	object int // index
	value  stix.Value
	field  *field
	text   string
	spans  []detect.Span
	whole  bool // the text waits for a person as a whole
	inKey  bool // the personal data is in the name of the property
}

// state is what has been decided about an object.
type state struct {
	edits    []edit
	findings []Finding
	reviews  []Review
	dropped  bool
	made     *validate.Object // the copy, when changed
}

// An edit replaces a value's text or removes the value.
type edit struct {
	value  stix.Value
	remove bool
	text   string
	number string // in JSON, in the place of a text
}

// look finds the places that a rule may act upon. It reads every text once;
// nearly all submissions end here.
func (r *run) look() {
	for i := range r.objects {
		o := &r.objects[i]
		if fixed(o.Type()) {
			continue
		}
		before := len(r.places)
		r.walk(i, o.Value(), r.gate.rules.of(o.Type()), r.gate.rules.text)
		if len(r.places)-before > mostPlaces {
			clear(r.places[before:])
			r.places = r.places[:before]
			r.drop(i, "", "crowd", "crowds", "an object with personal data in so many places is a list of people, not of a threat")
		}
	}
}

// mostPlaces is how many places of one object are worth cleaning. It bounds the
// work as well: an edit costs time in proportion to the list that it is in.
const mostPlaces = 1000

// any reports whether anything has been decided to go.
func (r *run) any() bool {
	return slices.ContainsFunc(r.states, func(s state) bool { return s.dropped || len(s.edits) > 0 })
}

// walk looks at a value and what is inside. The field is the rule of the
// closest listed property, n the node of this one when it is listed.
func (r *run) walk(i int, v stix.Value, n *node, f *field) {
	switch v.Kind() {
	case stix.String:
		r.lookAt(i, v, f)
	case stix.Number:
		if f.class == classCoarse || f.class == classContact {
			r.places = append(r.places, place{object: i, value: v, field: f})
			return
		}
		if n == nil && f.kinds.Has(detect.Card) && len(v.Raw()) >= 13 {
			r.find(i, v, f, string(v.Raw()), "")
		}
	case stix.Array:
		if f.class == classRecipient {
			r.places = append(r.places, place{object: i, value: v, field: f})
			return
		}
		for _, e := range v.Elements() {
			r.walk(i, e, n, f)
		}
	case stix.Object:
		for name, m := range v.Members() {
			child, inherited := n.child(name), f
			if child != nil && child.field != nil {
				inherited = child.field
			}
			switch {
			case inherited.class == classPass && (child == nil || child.kids == nil && child.any == nil):
				continue
			case inherited.class == classDrop:
				r.places = append(r.places, place{object: i, value: m, field: inherited})
				continue
			case child == nil && inherited.kinds != 0 && r.named(i, name, m, inherited):
				continue
			case name == "objects" && r.objects[i].Type() == "observed-data" && m.Kind() == stix.Object:
				r.contained(i, m)
				continue
			case child == nil && inherited == r.gate.rules.text && m.Kind() == stix.String && !r.gate.rules.strict:
				r.find(i, m, inherited, m.Text(), name)
				continue
			}
			r.walk(i, m, child, inherited)
		}
	case stix.Absent, stix.Null, stix.Bool:
	}
}

// contained looks at the observables that older observed data holds inside
// itself (STIX 2.1 §4.14, deprecated).
func (r *run) contained(i int, objects stix.Value) {
	for _, o := range objects.Members() {
		r.walk(i, o, r.gate.rules.of(o.Get("type").Text()), r.gate.rules.text)
	}
}

// named looks for personal data in the name of an unknown property.
func (r *run) named(i int, name string, v stix.Value, f *field) bool {
	telling := "@0123456789 \\"
	if len(name) > 0 && name[0] >= 'A' && name[0] <= 'Z' {
		telling = "@0123456789 \\-" // HR-LAPTOP
	}
	if len(name) < 6 || !strings.ContainsAny(name, telling) {
		return false
	}
	spans := r.gate.rules.detector.Find(nil, name, f.kinds)
	if len(spans) == 0 {
		return false
	}
	r.places = append(r.places, place{object: i, value: v, field: f, text: name, spans: spans, inKey: true})
	return true
}

// lookAt looks at one text by the class of its property.
func (r *run) lookAt(i int, v stix.Value, f *field) {
	o := &r.objects[i]
	switch f.class {
	case classPass, classAttacker, classRecipient:
		return
	case classNetwork:
		if block(v.Text()) == "" {
			return
		}
	case classPerson:
		if o.Type() == "identity" && !o.Value().Get("identity_class").Is("individual") {
			r.find(i, v, r.gate.rules.text, v.Text(), "")
			return
		}
		if masked(v.Text()) {
			return
		}
	case classPattern:
		if !r.suspicious(o.Value().Get("pattern_type"), v.Text()) {
			return
		}
	case classPayload:
		r.lookInside(i, v, f)
		return
	case classMailbox, classContact, classCoarse:
	case classAccount:
		if masked(v.Text()) || r.everybodys(v.Text()) {
			return
		}
	default:
		if r.gate.rules.strict && f.class == classText {
			r.withhold(i, v, f)
			return
		}
		r.find(i, v, f, v.Text(), "")
		return
	}
	r.places = append(r.places, place{object: i, value: v, field: f, text: v.Text()})
}

// withhold has a free text wait for a person, behind a title that is made, as
// the strict path has it (AIS profile, review fields). What is exactly an id is
// a reference, whatever the property is called, and a short text without a
// space is a term.
func (r *run) withhold(i int, v stix.Value, f *field) {
	text := v.Text()
	if _, _, id := stix.SplitID(text); id || withheld(text) || !strings.ContainsAny(text, " @\n\\/") && len(text) < 32 {
		r.find(i, v, f, text, "")
		return
	}
	r.places = append(r.places, place{object: i, value: v, field: f, text: text, whole: true})
}

// title is what stands in the place of a text that waits.
const title = "[withheld for review]"

func withheld(text string) bool { return text == title || strings.HasSuffix(text, " "+title) }

// find runs the detectors. The name of a property that no specification knows
// says what its value is, as a word before it does in a sentence.
func (r *run) find(i int, v stix.Value, f *field, text, name string) {
	if len(text) < 4 || len(text) < 6 && name == "" {
		return
	}
	spans := r.gate.rules.detector.Find(nil, text, f.kinds)
	if len(spans) == 0 && name != "" && len(text) <= longestVictim && !masked(text) {
		spans = r.gate.rules.detector.FindNamed(name, text, f.kinds)
	}
	if len(spans) > 0 {
		r.places = append(r.places, place{object: i, value: v, field: f, text: text, spans: spans})
	}
}

// pointer returns where a value stands within its object.
func (r *run) pointer(i int, v stix.Value) string {
	return strings.TrimPrefix(v.Pointer(), r.objects[i].Value().Pointer())
}

// review leaves a value to a person.
func (r *run) review(i int, at, class, rule, placeholder, why, original string) {
	r.states[i].reviews = append(r.states[i].reviews, Review{
		Object: r.objects[i].ID(), At: at, Class: class, Rule: rule, Placeholder: placeholder, Why: why, original: original,
	})
}

// report records what was done at a place.
func (r *run) report(i int, at, class, rule, action, why string, count int) {
	r.states[i].findings = append(r.states[i].findings, Finding{
		Object: r.objects[i].ID(), At: at, Class: class, Rule: rule, Action: action, Why: why, Count: count,
	})
}

func (r *run) drop(i int, at, class, rule, why string) {
	r.states[i].dropped = true
	r.report(i, at, class, rule, actionDropped, why, 1)
}

func (r *run) remove(i int, v stix.Value, class, rule, why string) {
	r.states[i].edits = append(r.states[i].edits, edit{value: v, remove: true})
	r.report(i, r.pointer(i, v), class, rule, actionDropped, why, 1)
}

func (r *run) replace(i int, v stix.Value, text string) {
	r.states[i].edits = append(r.states[i].edits, edit{value: v, text: text})
}

// String says what the finding is, for people.
func (f Finding) String() string {
	return fmt.Sprintf("%s%s: %s %s (%d): %s", f.Object, f.At, f.Class, f.Action, f.Count, f.Why)
}

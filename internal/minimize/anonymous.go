package minimize

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
	"strings"

	"tocsin/internal/validate"
	"tocsin/stix"
)

// The rules of an anonymous submission, as findings name them.
const (
	ruleIdentity = "anonymous-identity"
	ruleStyle    = "anonymous-style"
	ruleOutside  = "anonymous-reference"
)

const (
	whyIdentity = "an anonymous submission names no submitter (AIS: consent to disclose the submitter's identity, NONE)"
	whyStyle    = "it is of the submitter's own systems, and would tell who submitted"
	whyOutside  = "it names an object that is not in the submission: when that is yours, whoever knows it can guess who submitted"
)

// ticket is a number of somebody's own tracking system, as texts refer to it.
var ticket = regexp.MustCompile(`(?i)\b(?:(?:ticket|case|jira|tracking|request)(?: id| no\.?| number)?[ :#]{1,3}#?[A-Z]{0,8}-?[0-9]{3,10}|(?:INC|CHG|RITM|SIR|SCTASK)[0-9]{5,10})\b`)

// anonymizer makes one submission anonymous.
type anonymizer struct {
	gate     *Gate
	self     map[string]bool // identities of the submitter's
	inside   map[string]bool // ids in the submission
	renamed  map[string]string
	gone     map[string]bool
	findings []Finding
}

// Anonymize takes out of a minimized submission what tells who submitted it.
// Objects that the submitter made, which are all but those of public creators
// (the rules' list), get new ids and no creator, times and counts that the rules
// generalize, and lose references to and properties of systems of their own; the submitter's
// identities and markings go, with what cannot be without them; the objects come
// in another order. Under one secret an object has one anonymous id, so that a
// later version or a revocation, submitted anonymously too, belongs to it;
// without the secret nobody can link it with the original. Self are identities
// known to be the submitter's. Who authenticates at the hub is not hidden from
// the hub.
func (g *Gate) Anonymize(b Bundle, self ...string) Bundle {
	a := &anonymizer{gate: g, self: map[string]bool{}, inside: map[string]bool{}, renamed: map[string]string{}, gone: map[string]bool{}}
	for _, id := range self {
		a.self[id] = true
	}
	for _, o := range b.objects {
		a.inside[o.ID()] = true
		if ref := o.Value().Get("created_by_ref").Text(); ref != "" && !g.rules.public[ref] {
			a.self[ref] = true
		}
	}
	for _, o := range b.objects {
		switch {
		case a.self[o.ID()], o.Type() == "marking-definition" && a.self[o.Value().Get("created_by_ref").Text()]:
			a.drop(o, ruleIdentity, whyIdentity)
		case a.mine(o):
			a.renamed[o.ID()] = a.rename(cmp.Or(o.original, o.ID()))
		}
	}
	made := make([]Object, 0, len(b.objects))
	for _, o := range b.objects {
		if !a.gone[o.ID()] {
			made = append(made, o)
		}
	}
	// What is no valid STIX without a dropped object goes, and so on.
	for again := true; again; {
		again = false
		for _, o := range made {
			if _, ok := a.made(o, false); !ok && !a.gone[o.ID()] {
				a.drop(o, ruleIdentity, "what is left of the object is not valid STIX without what tells the submitter")
				again = true
			}
		}
		made = slices.DeleteFunc(made, func(o Object) bool { return a.gone[o.ID()] })
	}
	for i, o := range made {
		made[i], _ = a.made(o, true)
	}
	a.shuffle(made)
	out := b
	out.objects, out.findings = made, append(slices.Clone(b.findings), a.findings...)
	out.reviews = nil
	for _, r := range b.reviews {
		if !a.gone[r.Object] {
			out.reviews = append(out.reviews, r)
		}
	}
	return out
}

// mine reports whether an object is one that the submitter made. Observables
// with an id that their content gives are everybody's (STIX 2.1 §2.9).
func (a *anonymizer) mine(o Object) bool {
	if fixed(o.Type()) {
		return false
	}
	if observable(o.Type()) {
		_, uuid, ok := stix.SplitID(o.ID())
		return !ok || len(uuid) != 36 || uuid[14] != '5'
	}
	return !a.gate.rules.public[o.Value().Get("created_by_ref").Text()]
}

// rename returns the anonymous id of an object.
func (a *anonymizer) rename(id string) string { return a.gate.AnonymousOf(id) }

// AnonymousOf returns the id under which [Gate.Anonymize] publishes an object of
// the submitter's.
func (g *Gate) AnonymousOf(id string) string {
	kind, _, _ := strings.Cut(id, "--")
	var namespace [16]byte
	copy(namespace[:], g.mac("tocsin minimize: anonymous namespace"))
	uuid := []byte(stix.UUIDv5(namespace, g.mac(id+"\x00anonymous")))
	uuid[14] = '4' // the form that others' ids have as well: nothing marks it as made here
	return kind + "--" + string(uuid)
}

func (a *anonymizer) drop(o Object, rule, why string) {
	a.gone[o.ID()] = true
	a.report(o, "", "submitter", rule, actionDropped, why)
}

func (a *anonymizer) report(o Object, at, class, rule, action, why string) {
	id := o.ID()
	if o.original != "" {
		id = o.original
	}
	a.findings = append(a.findings, Finding{Object: id, At: at, Class: class, Rule: rule, Action: action, Why: why, Count: 1})
}

// made returns the anonymous form of an object, false when there is none that
// is valid.
func (a *anonymizer) made(o Object, say bool) (Object, bool) {
	ed := stix.Edit(o.Value())
	report := func(v stix.Value, class, rule, action, why string) {
		if say {
			a.report(o, strings.TrimPrefix(v.Pointer(), o.Value().Pointer()), class, rule, action, why)
		}
	}
	var removed []stix.Value
	remove := func(v stix.Value, class, rule, why string) {
		ed.Remove(v)
		removed = append(removed, v)
		report(v, class, rule, actionDropped, why)
	}
	if _, mine := a.renamed[o.ID()]; mine {
		extended := a.gate.rules.extended(o.Value())
		for name, v := range o.Value().Members() {
			if c := a.gate.rules.coarse(o.Type(), name); c != nil {
				if with, ok := c.of(v); ok {
					ed.Replace(v, with)
					report(v, c.as, c.rule, actionGeneralized, c.why)
				}
				continue
			}
			known := a.gate.rules.of(o.Type()).child(name) != nil && !strings.HasPrefix(name, "x_")
			switch {
			case name == "external_references", name == "extensions":
				class, own := a.own(name, v)
				for _, e := range own {
					remove(e, class, ruleStyle, whyStyle)
				}
			case !known && !extended:
				remove(v, "custom-property", ruleStyle, whyStyle)
			case v.Kind() == stix.String && (!known || a.prose(name)):
				if text := ticket.ReplaceAllString(v.Text(), "[reference]"); text != v.Text() {
					ed.Replace(v, quote(text))
					report(v, "tracking-number", ruleStyle, actionMasked, whyStyle)
				}
			}
		}
	}
	self, unmarked := o.Value().Get("id"), false
	references(o.Value(), func(id string, at stix.Value) {
		switch to, renamed := a.renamed[id]; {
		case a.gone[id] && strings.HasPrefix(id, "marking-definition--"):
			unmarked = true // without its conditions nothing is shared
		case a.self[id] || a.gone[id]:
			if !slices.Contains(removed, at) {
				remove(at, "submitter", ruleIdentity, whyIdentity)
			}
		case renamed:
			ed.Replace(at, quote(to))
		case at != self && !a.inside[id] && !strings.HasPrefix(id, "marking-definition--") && !a.gate.rules.public[id]:
			report(at, "reference", ruleOutside, actionLeft, whyOutside)
		}
	})
	if unmarked || !ed.Changed() {
		return o, !unmarked
	}
	v, err := stix.Parse(ed.Bytes(), stix.Limits{})
	if err != nil {
		return o, false
	}
	if len(removed) > 0 && o.Value().Get("granular_markings").Exists() {
		if v, err = mend(o.Value(), v, removed); err != nil {
			return o, false
		}
	}
	made, problems := validate.NewObject(v)
	if made.ID() == "" && len(problems) > 0 {
		return o, false
	}
	original := o.original
	if original == "" {
		original = o.ID()
	}
	return Object{Object: made, original: original}, true
}

// own returns the references to, or the extensions of, systems of the submitter's
// own, and what they are.
func (a *anonymizer) own(name string, v stix.Value) (class string, own []stix.Value) {
	if name == "external_references" {
		for _, e := range v.Elements() {
			if !a.gate.rules.publicSources[strings.ToLower(e.Get("source_name").Text())] {
				own = append(own, e)
			}
		}
		return "reference", own
	}
	for id, e := range v.Members() {
		if !a.gate.rules.extensions[id] && !predefined(id) {
			own = append(own, e)
		}
	}
	return "custom-property", own
}

// predefined reports whether the key of an extension is one of the standard's
// own (STIX 2.1 §6: archive-ext, ntfs-ext, …).
func predefined(key string) bool {
	return strings.HasSuffix(key, "-ext") && !strings.HasPrefix(key, "x-")
}

func (a *anonymizer) prose(name string) bool {
	switch name {
	case "name", "description", "abstract", "content", "explanation", "opinion":
		return true
	}
	return false
}

// shuffle puts the objects into an order that says nothing of the one in which
// they were made: those that explain others first, then by what the secret makes
// of their ids.
func (a *anonymizer) shuffle(objects []Object) {
	first := func(o Object) int {
		if fixed(o.Type()) || o.Type() == "identity" {
			return 0
		}
		return 1
	}
	keys := make(map[string][]byte, len(objects))
	for _, o := range objects {
		keys[o.ID()] = a.gate.mac(o.ID() + "\x00order")
	}
	slices.SortStableFunc(objects, func(x, y Object) int {
		if n := first(x) - first(y); n != 0 {
			return n
		}
		return bytes.Compare(keys[x.ID()], keys[y.ID()])
	})
}

// Package authorize decides who may submit what, and who may see what.
package authorize

import (
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin"
	"tocsin/internal/marking"
	"tocsin/internal/minimize"
	"tocsin/internal/review"
	"tocsin/internal/tearline"
	"tocsin/stix"
	"tocsin/tlp"
)

// A Target is where a submission goes and to whom.
type Target struct {
	Community  string        // the community's name
	Collection string        // the collection's id
	Default    tlp.Label     // what the community takes an unmarked object for
	Recipients []string      // names of organizations; empty means the whole community, as far as the markings allow
	ReviewTime time.Duration // how long what the privacy gate masked waits for a person
	NotBefore  time.Time     // when it becomes visible at the earliest; zero: at once
}

// Raw returns the bytes to store.
func (o Object) Raw() []byte { return o.Value.Raw() }

// A Label is everything that decides who may see an object. Objects that were
// shared alike share one label, so that a decision is made once per label and
// not once per object.
type Label struct {
	Community  string
	Owner      string    // the organization that submitted it
	Default    tlp.Label // stands in when no marking says anything about the audience
	Markings   []string  // of the whole object: ids of marking-definitions, sorted, unique; see [Markings]
	Parts      []string  // of parts of it only: ids of marking-definitions that are not in Markings, sorted, unique
	Closed     []string  // of Parts and of what Links ask, those that, hidden, leave nothing to be seen; several in one text do so together
	Recipients []string  // named recipients, sorted, unique; empty: the community

	tearline.Recipe // how to make copies for those who may not see all of it
}

// hideable returns the markings that decide about less than the whole object.
func (l *Label) hideable() []string {
	if len(l.Links) == 0 {
		return l.Parts
	}
	return without(union(l.Parts, l.Hideable()), l.Markings)
}

// Key returns a text that two labels share only when they decide alike.
func (l *Label) Key() string {
	return strings.Join([]string{
		l.Community, l.Owner, l.Default.String(), strings.Join(l.Markings, " "), strings.Join(l.Recipients, " "), strings.Join(l.Parts, " "), l.linksKey(),
	}, "\n")
}

// An Object is one admitted object version.
type Object struct {
	ID       string
	Type     string
	Version  string    // as written; "" for objects that have no version of their own
	Modified time.Time // the version as a time; zero when there is none
	Revoked  bool
	About    string     // what a sighting is a sighting of: an object's id, else ""
	Original string     // the id before the privacy gate changed it, else ""
	Value    stix.Value // the object's parse; its Raw is what is stored
	Label    *Label
	Reviews  []minimize.Review // what in it is for a person to look at
}

// A Failure is one object that was not admitted, and why.
type Failure struct {
	ID      string
	Version string
	Err     *tocsin.Error
}

// Held is an object version that was taken and waits in quarantine: it lies in
// the future, and would hide every later one (STIX 2.1 §3.6), or when it was
// shared is not to be told ([Target.NotBefore]).
type Held struct {
	Object

	Due time.Time // when it may be seen
}

// Admitted is a submission that may be recorded. Only [Policy.Admit] makes one.
type Admitted struct {
	id       string
	who      tocsin.Member
	target   Target
	objects  []Object
	held     []Held
	failures []Failure
	findings []minimize.Finding
	rules    string
	at       time.Time
	restored []review.Approval
}

// ID returns the submission's UUID, which is also its TAXII status id.
func (a Admitted) ID() string { return a.id }

// Who returns the submitter.
func (a Admitted) Who() tocsin.Member { return a.who }

// Target returns where the submission goes.
func (a Admitted) Target() Target { return a.target }

// Objects returns what is to be recorded, in order.
func (a Admitted) Objects() []Object { return a.objects }

// Held returns what is to wait, in order.
func (a Admitted) Held() []Held { return a.held }

// Failures returns what was refused on the way, object by object.
func (a Admitted) Failures() []Failure { return a.failures }

// Findings returns what the privacy gate did.
func (a Admitted) Findings() []minimize.Finding { return a.findings }

// Rules returns the hash of the privacy gate's rules.
func (a Admitted) Rules() string { return a.rules }

// Restored returns the reviewers' decisions that the submission carries out.
func (a Admitted) Restored() []review.Approval { return a.restored }

// At returns when the submission was admitted.
func (a Admitted) At() time.Time { return a.at }

// A Policy decides. It is safe for concurrent use.
type Policy struct {
	decider *marking.Decider
	copies  *tearline.Maker // nil: no copies are made

	mu          sync.RWMutex
	definitions map[definition]marking.Marking
	attributes  map[string]marking.Attributes // organization → what is known of it
	ceiling     marking.Level
	high        map[definition]bool // definitions that classify above the ceiling
	readers     map[readerKey]*Reader
	creators    map[string]string // STIX identity id → organization that owns it
}

// definition is a marking-definition that an organization has given: a
// definition explains the markings of its own organization's objects only.
// Otherwise a stranger could open another's objects by defining their unknown
// marking as a harmless statement.
type definition struct{ owner, id string }

type readerKey struct{ community, organization string }

// NewPolicy returns a policy that knows no definitions and no organizations yet,
// and stores nothing that is classified.
func NewPolicy() *Policy {
	return &Policy{
		decider: marking.NewDecider(), definitions: map[definition]marking.Marking{}, attributes: map[string]marking.Attributes{},
		high: map[definition]bool{}, readers: map[readerKey]*Reader{}, creators: map[string]string{},
	}
}

// SetCopies has copies made for readers who may not see all of an object; without
// it they see nothing of it. It is called before the policy is used.
func (p *Policy) SetCopies(m *tearline.Maker) { p.copies = m }

// SetCeiling says up to which classification the hub may store. It is called
// before the policy is used.
func (p *Policy) SetCeiling(l marking.Level) { p.ceiling = l }

// Identities tells the policy which STIX identity belongs to which
// organization: nobody else may speak as one of them.
func (p *Policy) Identities(creators map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.creators = creators
}

// Admit decides what of a submission may be recorded. Who may not read the
// community learns nothing of it; who may read but not write is told so.
func (p *Policy) Admit(who tocsin.Member, to Target, b minimize.Bundle, now time.Time) (Admitted, error) {
	switch role := who.Role(to.Community); {
	case role == tocsin.Stranger:
		return Admitted{}, &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such collection"}
	case role < tocsin.Writer:
		return Admitted{}, &tocsin.Error{
			Kind: tocsin.Forbidden, Message: "this token may read the collection but not write to it", Hint: "ask the community's operator for the writer role",
		}
	}
	a := Admitted{id: stix.UUIDv4(), who: who, target: to, findings: b.Findings(), rules: b.Rules(), at: now}
	a.target.Recipients = sortedSet(to.Recipients)
	for _, r := range b.Rejected() {
		a.failures = append(a.failures, Failure{r.ID, r.Version, r.Error()})
	}
	labels := map[string]*Label{}
	a.objects = make([]Object, 0, len(b.Objects()))
	too := p.above(who.Organization.Name, b)
	for _, o := range b.Objects() {
		err := p.refuse(who, o)
		if err == nil && too(o.Value()) {
			err = tooHigh()
		}
		if err != nil {
			a.failures = append(a.failures, Failure{o.ID(), o.Version(), err})
			continue
		}
		object := Object{
			ID: o.ID(), Type: o.Type(), Version: o.Version(), Modified: o.Modified(),
			Revoked: o.Value().Get("revoked").True(), About: o.Value().Get("sighting_of_ref").Text(),
			Original: o.Original(), Value: o.Value(), Label: a.label(o.Value(), labels), Reviews: o.Reviews(),
		}
		due := o.Modified().Add(-stix.MostSkew)
		if to.NotBefore.After(due) {
			due = to.NotBefore
		}
		if due.After(now) {
			a.held = append(a.held, Held{object, due})
			continue
		}
		a.objects = append(a.objects, object)
	}
	p.link(&a, b.Objects(), labels)
	return a, nil
}

// Restore admits the version of a published object in which reviewers'
// decisions are carried out: it has the owner and the audience of the version
// before. Who does not moderate the community, or may not see the object, learns
// nothing of it.
func (p *Policy) Restore(who tocsin.Member, collection string, before *Label, b minimize.Bundle, now time.Time) (Admitted, error) {
	reader, err := p.Reader(who, before.Community)
	if err != nil {
		return Admitted{}, err
	}
	if who.Role(before.Community) < tocsin.Curator || !reader.MaySee(before) || len(b.Restored()) == 0 {
		return Admitted{}, &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such review"}
	}
	label := *before
	a := Admitted{
		id: stix.UUIDv4(), who: who, rules: b.Rules(), at: now, restored: b.Restored(),
		target: Target{Community: before.Community, Collection: collection, Default: before.Default, Recipients: before.Recipients},
	}
	for _, o := range b.Objects() {
		a.objects = append(a.objects, Object{
			ID: o.ID(), Type: o.Type(), Version: o.Version(), Modified: o.Modified(), About: o.Value().Get("sighting_of_ref").Text(), Value: o.Value(), Label: &label,
		})
	}
	return a, nil
}

// refuse says why an object of this submitter may not be recorded, or nil.
func (p *Policy) refuse(who tocsin.Member, o minimize.Object) *tocsin.Error {
	p.mu.RLock()
	owner, known := p.creators[o.Value().Get("created_by_ref").Text()]
	if !known && o.Type() == "identity" {
		owner, known = p.creators[o.ID()]
	}
	p.mu.RUnlock()
	if known && owner != who.Organization.Name {
		return &tocsin.Error{
			Kind: tocsin.Forbidden, At: "/created_by_ref", Clause: "STIX 2.1 §3.6", Message: "only the creator may share a version of this object here",
			Hint: "to add to it, share an object of your own with a derived-from relationship",
		}
	}
	return nil
}

// label interns the label of an object within this submission.
func (a *Admitted) label(v stix.Value, labels map[string]*Label) *Label {
	l := &Label{
		Community: a.target.Community, Owner: a.who.Organization.Name, Default: a.target.Default, Recipients: a.target.Recipients,
	}
	l.Markings, l.Parts = Markings(v)
	key := l.Key()
	if known, ok := labels[key]; ok {
		return known
	}
	labels[key] = l
	return l
}

// Markings returns the ids of every marking on a whole object and of those that
// are on parts of it only (STIX 2.1 §7.2.2, §7.2.3), sorted. The labels by which
// an identity consents to being named (CISA AIS) are markings of it.
func Markings(v stix.Value) (whole, parts []string) {
	for _, ref := range v.Get("object_marking_refs").Elements() {
		whole = append(whole, ref.Text())
	}
	if v.Get("type").Is("identity") {
		for _, label := range v.Get("labels").Elements() {
			if m, ok := marking.Consent(label.Text()); ok {
				whole = append(whole, m.ID())
			}
		}
	}
	for _, granular := range v.Get("granular_markings").Elements() {
		if ref := granular.Get("marking_ref"); ref.Exists() && !slices.Contains(whole, ref.Text()) {
			parts = append(parts, ref.Text())
		}
	}
	return sortedSet(whole), sortedSet(parts)
}

func sortedSet(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}

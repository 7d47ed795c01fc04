package authorize

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"tocsin/internal/marking"
	"tocsin/internal/minimize"
	"tocsin/internal/tearline"
	"tocsin/stix"
	"tocsin/tlp"
)

// This file finds out, when objects are admitted, which references of an object
// lead to what not everybody may see who may see the object. A reference to a
// marked object counts as marked like it, so that whoever may not see the other
// is served a copy without the reference. It is decided once, from what was
// submitted together: no read has to look up what a reference leads to, and what
// a reader is given depends on nothing but the object and its label.

// Bounds of what is kept of an object's references. Beyond them the object is as
// closed as the most closed of its parts.
const (
	mostHideable = 16   // markings that can be hidden from some
	mostLinks    = 1000 // references of which something has to be known
	mostRounds   = 32   // how far what is hidden spreads along references
)

// unmarked stands for the marking that is missing where a community gives none.
// It is no id, and so is never known.
const unmarked = "unmarked"

// linker knows one submission.
type linker struct {
	restricts func(id string) bool
	nodes     map[string]*node // by object id
	all       []*version
	trial     *tearline.Maker
}

// A node is one object with all its versions in the submission.
type node struct {
	markings []string // that restrict who may see any of its versions
	hideable []string // that restrict who may see all of them
	closed   []string // of those, the ones that leave nothing to be seen; several in one text do so together
	versions []*version
	digest   string
}

// A version is one object version as a source of references.
type version struct {
	object *Object
	node   *node
	own    []string // markings of the whole that restrict
	parts  []string // markings of parts that restrict
	refs   []string // what its references lead to, by number
	links  []tearline.Link
	known  string // links and parts of the last trial
	shut   bool   // too much could be hidden: it is closed as a whole
}

// link completes the labels of a submission.
func (p *Policy) link(a *Admitted, submitted []minimize.Object, labels map[string]*Label) {
	here := map[string]marking.Marking{}
	for _, o := range submitted {
		if o.Type() == "marking-definition" {
			here[o.ID()], _ = marking.Parse(o.Value())
		}
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	remembered := map[string]bool{}
	l := &linker{nodes: map[string]*node{}, trial: tearline.NewMaker(nil, "identity--00000000-0000-4000-8000-000000000000")}
	l.restricts = func(id string) bool {
		yes, ok := remembered[id]
		if !ok {
			m := p.marking(a.who.Organization.Name, id)
			if defined, ok := here[id]; ok && m.Kind == "" {
				m = defined
			}
			yes = p.decider.Restricts(&m, marking.See)
			remembered[id] = yes
		}
		return yes
	}
	if !l.apart(labels) {
		return // all have one audience, and no parts
	}
	for i := range a.objects {
		l.add(&a.objects[i])
	}
	l.settle()
	l.digest()
	for _, v := range l.all {
		l.label(v, labels)
	}
}

// apart reports whether the labels could tell readers apart.
func (l *linker) apart(labels map[string]*Label) bool {
	var first []string
	started := false
	for _, label := range labels {
		own := l.effective(label)
		if len(label.Parts) > 0 || started && !slices.Equal(own, first) {
			return true
		}
		first, started = own, true
	}
	return false
}

// effective returns the markings of a whole object that restrict who may see it,
// the one that stands in for a missing level included.
func (l *linker) effective(label *Label) []string {
	var all []string
	leveled := false
	for _, id := range label.Markings {
		_, isTLP := tlp.FromMarking(id)
		leveled = leveled || isTLP
		if l.restricts(id) {
			all = append(all, id)
		}
	}
	switch standing := label.Default.Marking(); {
	case leveled:
	case standing == "":
		all = append(all, unmarked)
	case l.restricts(standing):
		all = append(all, standing)
	}
	return sortedSet(all)
}

func (l *linker) add(o *Object) {
	n := l.nodes[o.ID]
	if n == nil {
		n = &node{}
		l.nodes[o.ID] = n
	}
	v := &version{object: o, node: n, own: l.effective(o.Label)}
	for _, id := range o.Label.Parts {
		if l.restricts(id) {
			v.parts = append(v.parts, id)
		}
	}
	for ref := range stix.References(o.Value) {
		v.refs = append(v.refs, ref.Text())
	}
	n.versions = append(n.versions, v)
	n.markings = union(n.markings, v.own)
	l.all = append(l.all, v)
}

// settle finds what can be hidden of each object, along all references, cycles
// included. Everything that it notes only grows, so it ends; what has not settled
// by then is closed.
func (l *linker) settle() {
	for round := range mostRounds + 1 {
		changed := false
		for _, v := range l.all {
			if l.update(v, round == mostRounds) {
				changed = true
			}
		}
		if !changed {
			return
		}
	}
}

// update computes an object's links anew, and reports whether its node changed.
func (l *linker) update(v *version, last bool) (changed bool) {
	hideable := v.look(l)
	if v.shut {
		return false
	}
	n := v.node
	if len(hideable) > mostHideable || len(v.links) > mostLinks || last && !slices.Equal(hideable, n.hideable) {
		v.shut, v.links = true, nil
		v.own = union(v.own, hideable)
		n.markings = union(n.markings, v.own)
		return true
	}
	closed := n.closed
	if known := v.state(); len(hideable) > 0 && known != v.known {
		v.known = known
		closed = union(closed, l.impossible(v, hideable))
	}
	changed = !subset(hideable, n.hideable) || len(closed) != len(n.closed)
	n.hideable, n.closed = union(n.hideable, hideable), closed
	return changed
}

// look computes the links of a version, and what they and its parts can hide.
func (v *version) look(l *linker) (hideable []string) {
	if v.shut {
		return nil
	}
	v.links = v.links[:0]
	hideable = v.parts
	for at, id := range v.refs {
		target := l.nodes[id]
		if target == nil {
			v.links = append(v.links, tearline.Link{At: at, Out: true})
			continue
		}
		link := tearline.Link{At: at, Markings: reach(union(target.markings, target.closed), v.own), Parts: target.hideable}
		if v.object.Type == "language-content" { // it repeats what may be hidden in the other (STIX 2.1 §7.1)
			link.Markings = union(link.Markings, without(target.hideable, v.own))
		}
		if len(link.Markings)+len(link.Parts) > 0 {
			v.links = append(v.links, link)
			hideable = union(hideable, (&tearline.Recipe{Links: []tearline.Link{link}}).Hideable())
		}
	}
	if len(hideable) == 0 {
		v.links = v.links[:0]
	}
	return without(hideable, v.own)
}

func (v *version) state() string {
	b, _ := json.Marshal(v.links) // numbers and texts: nothing that can fail
	return string(b)
}

// reach returns those of the markings that can be hidden from somebody who may see
// what is marked by own; of several in one text each has to be.
func reach(markings, own []string) []string {
	return slices.DeleteFunc(slices.Clone(markings), func(m string) bool {
		return slices.ContainsFunc(strings.Fields(m), func(id string) bool { return slices.Contains(own, id) })
	})
}

// mostTogether bounds how many markings are tried together, for each other set
// of them.
const mostTogether = 5

// impossible returns those of the markings that, hidden, leave no copy that could
// be served, and those sets of them that only together leave none.
func (l *linker) impossible(v *version, hideable []string) (closed []string) {
	recipe := &tearline.Recipe{Links: v.links}
	fails := func(hidden ...string) bool {
		_, _, ok := l.trial.Copy(v.object.Value, recipe, hidden)
		return !ok
	}
	var rest []string
	for _, id := range hideable {
		if fails(id) {
			closed = append(closed, id)
		} else {
			rest = append(rest, id)
		}
	}
	if len(rest) < 2 || !fails(rest...) {
		return closed
	}
	if len(rest) > mostTogether {
		return hideable
	}
	var sets [][]string
	for bits := range 1 << len(rest) {
		var set []string
		for i, id := range rest {
			if bits>>i&1 == 1 {
				set = append(set, id)
			}
		}
		if len(set) > 1 {
			sets = append(sets, set)
		}
	}
	slices.SortStableFunc(sets, func(a, b []string) int { return len(a) - len(b) })
	for _, set := range sets {
		if !tearline.AnyHidden(closed, set) && fails(set...) {
			closed = append(closed, strings.Join(set, " "))
		}
	}
	return closed
}

// digest gives every object a digest of all that its copies depend on beside its
// own text: which of its references are hidden by what, and so on from there.
func (l *linker) digest() {
	local := map[string]string{}
	for id, n := range l.nodes {
		for _, v := range n.versions {
			if len(v.links) > 0 && !v.shut {
				local[id] += v.state() + "\n"
			}
		}
	}
	for id := range local {
		reached := map[string]bool{id: true}
		next := []string{id}
		for len(next) > 0 {
			from := next[0]
			next = next[1:]
			for _, v := range l.nodes[from].versions {
				for _, link := range v.links {
					to := v.refs[link.At]
					if !reached[to] && len(link.Parts) > 0 {
						reached[to] = true
						next = append(next, to)
					}
				}
			}
		}
		h := sha256.New()
		for _, id := range slices.Sorted(maps.Keys(reached)) {
			h.Write([]byte(id + "\n" + local[id] + "\n"))
		}
		l.nodes[id].digest = hex.EncodeToString(h.Sum(nil)[:12])
	}
}

// label gives the object the label that says all this.
func (l *linker) label(v *version, labels map[string]*Label) {
	hideable := without(v.node.hideable, v.own)
	if !v.shut && len(hideable) == 0 {
		return
	}
	label := *v.object.Label
	if v.shut {
		label.Markings, label.Parts = union(label.Markings, v.own), nil
	} else {
		label.Digest = v.node.digest
		label.Closed = reach(v.node.closed, v.own)
		for _, link := range v.links {
			if !link.Out && len(link.Parts) > 0 {
				link.Digest = l.nodes[v.refs[link.At]].digest
			}
			label.Links = append(label.Links, link)
		}
	}
	key := label.Key()
	if known, ok := labels[key]; ok {
		v.object.Label = known
		return
	}
	labels[key] = &label
	v.object.Label = &label
}

func union(a, b []string) []string { return sortedSet(slices.Concat(a, b)) }

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(some, s) })
}

func subset(some, of []string) bool { return len(without(some, of)) == 0 }

func (l *Label) linksKey() string {
	if len(l.Links) == 0 {
		return ""
	}
	b, _ := json.Marshal(l.Links) // numbers and texts: nothing that can fail
	return l.Digest + " " + strings.Join(l.Closed, " ") + string(b)
}

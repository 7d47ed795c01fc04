package minimize

import (
	"slices"
	"strconv"
	"strings"

	"tocsin/internal/validate"
	"tocsin/stix"
)

// rounds bounds how often the loss of an object may cost another one that
// refers to it; whatever still depends on something lost after that goes too.
const rounds = 32

// graph is who refers to whom in a submission.
type graph struct {
	own       []string         // the id of each object
	byID      map[string][]int // the versions of an object
	referrers map[string][]int // the objects that refer to an id
	renamed   map[string]bool  // ids of changed objects
	gone      map[string]bool  // ids of dropped objects
}

func (r *run) graph() *graph {
	g := &graph{byID: map[string][]int{}, referrers: map[string][]int{}, renamed: map[string]bool{}, gone: map[string]bool{}}
	g.own = make([]string, len(r.objects))
	for i := range r.objects {
		o := &r.objects[i]
		g.own[i] = o.ID()
		g.byID[o.ID()] = append(g.byID[o.ID()], i)
		if fixed(o.Type()) {
			continue
		}
		references(o.Value(), func(id string, _ stix.Value) {
			if list := g.referrers[id]; len(list) == 0 || list[len(list)-1] != i {
				g.referrers[id] = append(list, i)
			}
		})
	}
	return g
}

// rename adds an object and all that refer to it, however far away, to the
// changed ones: a reference to a new id is a change (STIX 2.1 §3.5). It
// returns those that were not changed before.
func (g *graph) rename(ids []string) []int {
	var changed []int
	for len(ids) > 0 {
		id := ids[len(ids)-1]
		ids = ids[:len(ids)-1]
		if g.renamed[id] {
			continue
		}
		g.renamed[id] = true
		// All versions of an object have one id (STIX 2.1 §3.6).
		changed = append(changed, g.byID[id]...)
		ids = append(ids, g.owners(id)...)
	}
	return changed
}

// owners returns the ids of the objects that refer to an id.
func (g *graph) owners(id string) []string {
	var ids []string
	for _, i := range g.referrers[id] {
		ids = append(ids, g.own[i])
	}
	return ids
}

// follow makes the changed copies and carries the changes along the
// references: what refers to a changed object is changed itself, and what
// cannot be without a dropped object is dropped. The ids that were changed
// before are changed again.
func (r *run) follow(before []string) {
	g := r.graph()
	var lost []string
	var edited []string
	for i := range r.states {
		switch id := r.objects[i].ID(); {
		case r.states[i].dropped:
			lost = append(lost, id)
		case len(r.states[i].edits) > 0:
			edited = append(edited, id)
		}
	}
	todo := g.rename(append(edited, before...))
	for round := 0; ; round++ {
		todo = append(todo, r.lose(g, lost)...)
		slices.Sort(todo)
		todo = slices.Compact(todo)
		if len(todo) == 0 {
			return
		}
		lost = lost[:0]
		for _, i := range todo {
			if !r.states[i].dropped && (round >= rounds || !r.copy(i, g)) {
				r.drop(i, "", "reference", "valid-copies", "what is left of the object is not valid STIX without what was removed")
				lost = append(lost, r.objects[i].ID())
			}
		}
		todo = nil
	}
}

// lose takes dropped objects out of the graph and returns those that are to be
// copied because of it.
func (r *run) lose(g *graph, ids []string) []int {
	var todo []int
	for _, id := range ids {
		// Another version of the object may be left under the id.
		if g.gone[id] || slices.ContainsFunc(g.byID[id], func(k int) bool { return !r.states[k].dropped }) {
			continue
		}
		g.gone[id] = true
		todo = append(todo, g.referrers[id]...)
		todo = append(todo, g.rename(g.owners(id))...)
	}
	return slices.DeleteFunc(todo, func(i int) bool { return r.states[i].dropped })
}

// references yields the references of an object to others and the values that
// are exactly an id, wherever they stand: a custom property may be a reference
// whatever its name.
func references(v stix.Value, yield func(id string, at stix.Value)) {
	switch v.Kind() {
	case stix.String:
		if raw := v.Raw(); len(raw) >= len(`"a--00000000-0000-0000-0000-000000000000"`) && len(raw) < 300 {
			if id := v.Text(); strings.Contains(id, "--") {
				if _, _, ok := stix.SplitID(id); ok {
					yield(id, v)
				}
			}
		}
	case stix.Array:
		for _, e := range v.Elements() {
			references(e, yield)
		}
	case stix.Object:
		for _, m := range v.Members() {
			references(m, yield)
		}
	case stix.Absent, stix.Null, stix.Bool, stix.Number:
	}
}

// copy makes the changed copy of an object, anew when more has changed. It
// reports false when the copy is not valid.
func (r *run) copy(i int, g *graph) bool {
	o, s := &r.objects[i], &r.states[i]
	ed := stix.Edit(o.Value())
	var removed []stix.Value
	remove := func(v stix.Value) {
		ed.Remove(v)
		removed = append(removed, v)
	}
	for _, e := range s.edits {
		switch {
		case e.remove:
			remove(e.value)
		case e.number != "":
			ed.Replace(e.value, []byte(e.number))
		default:
			ed.Replace(e.value, quote(e.text))
		}
	}
	self := o.Value().Get("id")
	id := r.gate.rename(o.ID())
	creator := o.Value().Get("created_by_ref")
	mine := r.gate.creator != "" && o.Value().Get("created").Exists() && !observable(o.Type())
	references(o.Value(), func(ref string, at stix.Value) {
		switch {
		case at == self, at == creator && mine:
		case g.gone[ref]:
			remove(at)
		case g.renamed[ref]:
			ed.Replace(at, quote(r.gate.rename(ref)))
		}
	})
	head := quote(id)
	switch {
	case mine && creator.Exists():
		ed.Replace(creator, quote(r.gate.creator))
	case mine:
		// The editor replaces values; a new member goes in behind the id's.
		head = append(append(head, `,"created_by_ref":`...), quote(r.gate.creator)...)
	}
	ed.Replace(self, head)
	v, err := stix.Parse(ed.Bytes(), stix.Limits{})
	if err != nil {
		return false
	}
	if len(removed) > 0 && o.Value().Get("granular_markings").Exists() {
		if v, err = mend(o.Value(), v, removed); err != nil {
			return false
		}
	}
	made, problems := validate.NewObject(v)
	if made.ID() == "" && len(problems) > 0 {
		return false
	}
	s.made = &made
	return true
}

// mend corrects the selectors of granular markings after removals: those of
// removed values go, those of the elements behind a removed one move up.
// Otherwise a marking would apply to its neighbor (STIX 2.1 §7.2.3).
func mend(before, after stix.Value, removed []stix.Value) (stix.Value, error) {
	base := before.Pointer()
	gone := map[string]bool{}
	lists := map[string][]int{} // pointer of a list: the indexes that are gone
	for _, v := range removed {
		p := strings.TrimPrefix(v.Pointer(), base)
		if gone[p] {
			continue
		}
		gone[p] = true
		cut := strings.LastIndexByte(p, '/')
		if n, err := strconv.Atoi(p[cut+1:]); err == nil {
			lists[p[:cut]] = append(lists[p[:cut]], n)
		}
	}
	ed := stix.Edit(after)
	for _, m := range after.Get("granular_markings").Elements() {
		left := 0
		for _, s := range m.Get("selectors").Elements() {
			text, ok := moved(s.Text(), gone, lists)
			if !ok || !resolve(after, text).Exists() {
				ed.Remove(s)
				continue
			}
			left++
			if text != s.Text() {
				ed.Replace(s, quote(text))
			}
		}
		if left == 0 {
			ed.Remove(m)
		}
	}
	if !ed.Changed() {
		return after, nil
	}
	return stix.Parse(ed.Bytes(), stix.Limits{})
}

// moved returns what a selector is called after removals, false when what it
// selects is gone.
func moved(selector string, gone map[string]bool, lists map[string][]int) (string, bool) {
	path, out := "", ""
	for n, step := range strings.Split(selector, ".") {
		if index, ok := index(step); ok {
			shift := 0
			for _, k := range lists[path] {
				if k < index {
					shift++
				}
			}
			path += "/" + strconv.Itoa(index)
			step = "[" + strconv.Itoa(index-shift) + "]"
		} else {
			path += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(step)
		}
		if gone[path] {
			return "", false
		}
		if n > 0 {
			out += "."
		}
		out += step
	}
	return out, true
}

func index(step string) (int, bool) {
	if len(step) < 3 || step[0] != '[' || step[len(step)-1] != ']' {
		return 0, false
	}
	n, err := strconv.Atoi(step[1 : len(step)-1])
	return n, err == nil && n >= 0
}

// resolve returns what a selector selects (STIX 2.1 §7.2.3.1).
func resolve(v stix.Value, selector string) stix.Value {
	for step := range strings.SplitSeq(selector, ".") {
		n, ok := index(step)
		if !ok {
			v = v.Get(step)
			continue
		}
		var element stix.Value
		for k, e := range v.Elements() {
			if k == n {
				element = e
				break
			}
		}
		v = element
	}
	return v
}

// quote writes a text as a JSON string with no more escapes than RFC 8259 §7
// asks for.
func quote(s string) []byte {
	const hex = "0123456789abcdef"
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"', c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// result collects the objects, the findings and what is to be reviewed in the order of submission.
func (r *run) result() ([]Object, []Finding, []Review) {
	objects := make([]Object, 0, len(r.objects))
	var findings []Finding
	var reviews []Review
	for i := range r.objects {
		s := &r.states[i]
		findings = append(findings, s.findings...)
		switch {
		case s.dropped:
			continue
		case s.made != nil:
			objects = append(objects, Object{Object: *s.made, original: r.objects[i].ID(), reviews: s.reviews})
		default:
			objects = append(objects, Object{Object: r.objects[i]})
		}
		reviews = append(reviews, s.reviews...)
	}
	return objects, findings, reviews
}

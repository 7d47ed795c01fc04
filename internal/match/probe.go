package match

// A probe is a question that the filter answers. Where a set is larger than the
// processor's caches each answer comes from memory; asked one after the other
// without waiting, many come in the time of one.
type probe struct {
	h          uint64
	start, end int // the word
	from       int // where the name begins that the hash is of; -1: the word is an address
}

// How many probes there is room for, and how many are asked at once: a name has
// at most 127 labels.
const (
	mostProbes = 256
	settleAt   = 64
)

func (r *reader) ask(p probe) {
	r.probes[r.asked] = p
	r.asked++
}

// settle asks the filter what waits, and looks up what may be known.
func (r *reader) settle() {
	f, n := &r.set.filter, 0
	for i := range r.probes[:r.asked] {
		if f.has(r.probes[i].h) {
			r.probes[n] = r.probes[i]
			n++
		}
	}
	r.asked = 0
	for i := 0; i < n; {
		p := r.probes[i]
		if p.from >= 0 {
			i += r.knownName(r.probes[i:n])
			continue
		}
		i++
		text := r.line[p.start:p.end]
		a, _ := parseIPv4(text, dotsOf(text))
		r.knownAddress(p.h, a, p.start, p.end)
	}
}

// knownName looks up the first word of some probes, which may be a name or
// below one, and returns how many probes are of it. The longest name that is
// known counts.
func (r *reader) knownName(probes []probe) (n int) {
	start, end := probes[0].start, probes[0].end
	found, at := ref(0), 0
	for ; n < len(probes) && probes[n].start == start; n++ {
		p := &probes[n]
		if e := r.domain(p.h, p.from, end); e != 0 {
			found, at = e, p.from
		}
		if p.from == start && len(r.set.hosts) > 0 {
			r.found = r.apart(lowered(r.line[start:end]), start) || r.found
		}
	}
	if found != 0 {
		r.hit(found, at, end)
		r.found = true
	}
	return n
}

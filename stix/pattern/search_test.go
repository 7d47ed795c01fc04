package pattern_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/stix/pattern"
)

// A tree is an observation expression that the test made up. Its meaning is
// computed here the simple way, as the standard tells it: by listing every
// way to bind observations.
type tree struct {
	op   string // "leaf", "AND", "OR", "FOLLOWEDBY", "REPEATS", "WITHIN", "START"
	kids []tree
	n    int // of a leaf the value, else the number of the qualifier
}

func (e tree) String() string {
	switch e.op {
	case "leaf":
		return fmt.Sprintf("[a:b[*] = %d]", e.n)
	case "REPEATS":
		return fmt.Sprintf("(%v) REPEATS %d TIMES", e.kids[0], e.n)
	case "WITHIN":
		return fmt.Sprintf("(%v) WITHIN %d SECONDS", e.kids[0], e.n)
	case "START":
		return fmt.Sprintf("(%v) START t'2024-05-01T12:00:%02dZ' STOP t'2024-05-01T12:00:%02dZ'", e.kids[0], e.n, e.n+4)
	}
	var kids []string
	for _, k := range e.kids {
		kids = append(kids, "("+k.String()+")")
	}
	return strings.Join(kids, " "+e.op+" ")
}

// A sight is one observation: values seen by one sensor between two seconds.
type sight struct {
	first, last, count, values int

	// The window of every START … STOP around; until 0 is for ever. One moment
	// has to be in all of them.
	from, until int
}

// seen reports whether the sight can have been made in its window.
func (s sight) seen() bool {
	return s.until == 0 || s.from < s.until && s.first < s.until && s.last >= s.from
}

// bindings returns the ways to bind observations, each counted out one by one
// in instances, to the leaves of e.
func (e tree) bindings(instances []sight) [][]int {
	var all [][]int
	join := func(left, right [][]int, fine func(l, r []int) bool) [][]int {
		var joined [][]int
		for _, l := range left {
			for _, r := range right {
				if !slices.ContainsFunc(l, func(i int) bool { return slices.Contains(r, i) }) && fine(l, r) {
					joined = append(joined, slices.Concat(l, r))
				}
			}
		}
		return joined
	}
	always := func(_, _ []int) bool { return true }
	switch e.op {
	case "leaf":
		for i, s := range instances {
			if s.values&(1<<e.n) != 0 && s.seen() {
				all = append(all, []int{i})
			}
		}
	case "OR":
		for _, k := range e.kids {
			all = append(all, k.bindings(instances)...)
		}
	case "AND", "FOLLOWEDBY":
		all = e.kids[0].bindings(instances)
		for _, k := range e.kids[1:] {
			all = join(all, k.bindings(instances), func(l, r []int) bool {
				for _, i := range l {
					for _, j := range r {
						if e.op == "FOLLOWEDBY" && instances[i].first > instances[j].last {
							return false
						}
					}
				}
				return true
			})
		}
	case "REPEATS":
		one := e.kids[0].bindings(instances)
		all = one
		for range e.n - 1 {
			all = join(all, one, always)
		}
	case "START":
		narrowed := slices.Clone(instances)
		for i := range narrowed {
			s := &narrowed[i]
			if s.from = max(s.from, e.n); s.until == 0 || s.until > e.n+4 {
				s.until = e.n + 4
			}
		}
		all = e.kids[0].bindings(narrowed)
	case "WITHIN":
		for _, b := range e.kids[0].bindings(instances) {
			latest, earliest := -1, 1<<30
			for _, i := range b {
				latest, earliest = max(latest, instances[i].first), min(earliest, instances[i].last)
			}
			if latest-earliest < e.n {
				all = append(all, b)
			}
		}
	}
	return distinct(all)
}

// distinct keeps one binding of each set of observations.
func distinct(bindings [][]int) [][]int {
	for _, b := range bindings {
		slices.Sort(b)
	}
	slices.SortFunc(bindings, slices.Compare)
	return slices.CompactFunc(bindings, slices.Equal)
}

func randomTree(r *rand.Rand, depth int) tree {
	if depth == 0 || r.IntN(3) == 0 {
		return tree{op: "leaf", n: r.IntN(3)}
	}
	switch op := []string{"AND", "OR", "FOLLOWEDBY", "AND", "FOLLOWEDBY", "REPEATS", "WITHIN", "START"}[r.IntN(8)]; op {
	case "REPEATS":
		return tree{op: op, n: 1 + r.IntN(3), kids: []tree{randomTree(r, depth-1)}}
	case "WITHIN":
		return tree{op: op, n: 1 + r.IntN(5), kids: []tree{randomTree(r, depth-1)}}
	case "START":
		return tree{op: op, n: r.IntN(6), kids: []tree{randomTree(r, depth-1)}}
	default:
		return tree{op: op, kids: []tree{randomTree(r, depth-1), randomTree(r, depth-1)}}
	}
}

func TestSearchFindsWhatListingAllBindingsFinds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	found := map[bool]int{}
	for range 4000 {
		e := randomTree(r, 3)
		var instances []sight
		var observations []pattern.Observation
		for len(instances) < 1+r.IntN(6) {
			s := sight{first: r.IntN(10), count: 1 + r.IntN(2), values: 1 + r.IntN(7)}
			s.last = s.first + r.IntN(3)*r.IntN(2)
			for range s.count {
				instances = append(instances, s)
			}
			observations = append(observations, s.observation())
		}
		p := mustParse(t, e.String())
		want := len(e.bindings(instances)) > 0
		for _, text := range []string{e.String(), p.Normal()} {
			m, err := mustParse(t, text).Compile()
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Match(observations)
			if err != nil || got.Matched != want {
				t.Fatalf("Match(%q) of %v = %v, %v, want %t", text, instances, got, err, want)
			}
			if want {
				var only []pattern.Observation
				for _, i := range got.Observations {
					only = append(only, observations[i])
				}
				if again, err := m.Match(only); err != nil || !again.Matched {
					t.Fatalf("Match(%q) of %v = %v, which do not match by themselves", text, instances, got)
				}
			}
		}
		found[want]++
	}
	if found[true] < 1000 || found[false] < 1000 {
		t.Errorf("%v of the random patterns match, want at least 1,000 of each", found)
	}
}

func (s sight) observation() pattern.Observation {
	second := func(n int) time.Time { return time.Date(2024, 5, 1, 12, 0, n, 0, time.UTC) }
	var values []any
	for v := range 3 {
		if s.values&(1<<v) != 0 {
			values = append(values, float64(v))
		}
	}
	return pattern.NewObservation("", second(s.first), second(s.last), s.count, map[string]map[string]any{"0": {"type": "a", "b": values}})
}

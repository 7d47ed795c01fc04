package lists

import (
	"bytes"
	"slices"
	"sort"
	"strconv"
)

// diff returns what turns one text into another as a script for ed, the
// commands from the end to the beginning, so that line numbers stay good (POSIX
// diff -e). It returns false where a script cannot say it: a line that is a dot
// ends what is put in, and ed ends every line.
func diff(from, to []byte) ([]byte, bool) {
	a, ok := lines(from)
	if !ok {
		return nil, false
	}
	b, ok := lines(to)
	if !ok {
		return nil, false
	}
	same := common(a, b)
	script := []byte{}
	endA, endB := len(a), len(b)
	for i := len(same) - 1; i >= -1; i-- {
		at := [2]int{-1, -1}
		if i >= 0 {
			at = same[i]
		}
		if removed, added := endA-at[0]-1, b[at[1]+1:endB]; removed > 0 || len(added) > 0 {
			script = command(script, at[0]+1, removed, added)
		}
		endA, endB = at[0], at[1]
	}
	return script, true
}

// command appends one: lines after the first `after` are removed, and others put
// in their place.
func command(script []byte, after, removed int, added [][]byte) []byte {
	first := after + min(removed, 1) // what is put in without anything going is put in after a line
	script = strconv.AppendInt(script, int64(first), 10)
	if removed > 1 {
		script = append(script, ',')
		script = strconv.AppendInt(script, int64(after+removed), 10)
	}
	switch {
	case len(added) == 0:
		return append(script, "d\n"...)
	case removed == 0:
		script = append(script, "a\n"...)
	default:
		script = append(script, "c\n"...)
	}
	for _, l := range added {
		script = append(append(script, l...), '\n')
	}
	return append(script, ".\n"...)
}

// lines divides a text that ends with a line's end.
func lines(text []byte) ([][]byte, bool) {
	if len(text) == 0 {
		return nil, true
	}
	if text[len(text)-1] != '\n' {
		return nil, false
	}
	all := bytes.Split(text[:len(text)-1], []byte{'\n'})
	return all, !slices.ContainsFunc(all, func(l []byte) bool { return len(l) == 1 && l[0] == '.' })
}

// common returns places of lines that both have in the same order, in O(n log n)
// steps: of the lines that are there once in each as many as can be.
func common(a, b [][]byte) (pairs [][2]int) {
	at := make(map[string]int, len(a))
	for i, l := range a {
		if _, twice := at[string(l)]; twice {
			at[string(l)] = -1
			continue
		}
		at[string(l)] = i
	}
	used := map[string]bool{}
	for _, l := range b {
		if i, ok := at[string(l)]; ok && i >= 0 {
			if used[string(l)] {
				at[string(l)] = -1
			}
			used[string(l)] = true
		}
	}
	// The longest increasing run of places: ends[n] is the smallest place that a
	// run of n+1 can end with.
	type link struct{ a, b, before int }
	var links []link
	var ends []int // index into links
	for j, l := range b {
		i, ok := at[string(l)]
		if !ok || i < 0 {
			continue
		}
		n := sort.Search(len(ends), func(k int) bool { return links[ends[k]].a >= i })
		before := -1
		if n > 0 {
			before = ends[n-1]
		}
		links = append(links, link{i, j, before})
		if n == len(ends) {
			ends = append(ends, len(links)-1)
		} else {
			ends[n] = len(links) - 1
		}
	}
	if len(ends) == 0 {
		return nil
	}
	for k := ends[len(ends)-1]; k >= 0; k = links[k].before {
		pairs = append(pairs, [2]int{links[k].a, links[k].b})
	}
	slices.Reverse(pairs)
	return pairs
}

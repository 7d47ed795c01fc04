package stix

import "iter"

// An Effect is the markings that count for a value in an object: its own and,
// in Outer, those of what it is in. Values without markings of their own share
// the Effect of what they are in, so what was decided of one pointer need not be
// decided again.
type Effect struct {
	// Outer are the markings of what the value is in, up to the whole object;
	// nil for the whole object.
	Outer *Effect
	// Markings are the ids of the marking-definitions that mark the value
	// itself, each once: for the whole object its object_marking_refs.
	Markings []string
	// Languages are what the value itself is said to be written in (STIX 2.1
	// §7.2.3). They say nothing about who may see it, and those of an inner part
	// take the place of those of an outer one.
	Languages []string
}

// All yields the ids of all marking-definitions that count, the innermost
// first; one that marks several parts around the value comes as often.
func (e *Effect) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		for ; e != nil; e = e.Outer {
			for _, m := range e.Markings {
				if !yield(m) {
					return
				}
			}
		}
	}
}

// Language returns the languages of the innermost part that has any.
func (e *Effect) Language() []string {
	for ; e != nil; e = e.Outer {
		if len(e.Languages) > 0 {
			return e.Languages
		}
	}
	return nil
}

// Effects yields an object and every property and list item in it, in the order
// of the text, with the markings that count for each (STIX 2.1 §7.2). The most
// restrictive wins, since the standard does not say how several combine: whoever
// may see a value has to satisfy every one of [Effect.All]. So a part is never
// less protected than what it is in; what is inside of it may be protected more.
//
// Like [EffectiveMarkings], with which it agrees, it has no errors, and takes
// what it does not understand for a marking of the whole object that nobody
// knows. Time and memory grow with the size of the object.
func Effects(v Value) iter.Seq2[Value, *Effect] {
	return func(yield func(Value, *Effect) bool) {
		if v.Kind() == Absent {
			return
		}
		own := ownEffects(v)
		type open struct {
			end    uint32
			effect *Effect
		}
		var around []open
		nodes := v.d.nodes
		for i := v.i; i < nodes[v.i].next; i++ {
			for len(around) > 0 && around[len(around)-1].end <= i {
				around = around[:len(around)-1]
			}
			var effect *Effect
			if len(around) > 0 {
				effect = around[len(around)-1].effect
			}
			if e := own[i]; e != nil {
				e.Outer, effect = effect, e
			}
			if !yield(Value{v.d, i}, effect) {
				return
			}
			if nodes[i].next > i+1 {
				around = append(around, open{nodes[i].next, effect})
			}
		}
	}
}

// ownEffects returns the markings of the values that have some of their own,
// among them always the whole object.
func ownEffects(v Value) map[uint32]*Effect {
	type marked struct{ refs, languages marks }
	found := map[uint32]*marked{}
	of := func(i uint32) *marked {
		if found[i] == nil {
			found[i] = &marked{}
		}
		return found[i]
	}
	for ref := range items(v.Get("object_marking_refs")) {
		of(v.i).refs.add(nameOf(ref))
	}
	var index selectorIndex
	for entry := range items(v.Get("granular_markings")) {
		mark := func(i uint32) {
			m := of(i)
			m.refs.addEntry(entry, MarkingOptions{WithoutLanguages: true})
			m.languages.addEntry(entry, MarkingOptions{WithoutRefs: true})
		}
		readable := false
		for s := range items(entry.Get("selectors")) {
			var steps []Step
			if steps, readable = ParseSelector(s.Text()); !readable {
				break
			}
			if part := index.find(v, steps); part.Exists() {
				mark(part.i)
			}
		}
		if !readable { // without a readable selector it counts for every part
			mark(v.i)
		}
	}
	effects := map[uint32]*Effect{v.i: {}}
	for i, m := range found {
		effects[i] = &Effect{Markings: m.refs.names, Languages: m.languages.names}
	}
	return effects
}

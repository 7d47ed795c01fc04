package stix

// A container is the deprecated objects property of observed data: observables
// by key, which refer to each other by key (STIX 2.1 §2.13).
type container struct {
	kinds map[string]string // the type of the object under each key
}

func observableContainer(c *checker, v Value) {
	if !c.isDictionary(v, "STIX 2.1 §2.13", "a dictionary of cyber-observable objects was expected") {
		return
	}
	held := &container{kinds: map[string]string{}}
	for key, o := range v.Members() {
		held.kinds[key] = o.Get("type").Text()
	}
	whole := c.part
	for i := v.i + 1; i < v.node().next && !c.full(); i = v.d.nodes[i].next {
		o := Value{v.d, i}
		if !isDigits(v.d.name(i), 1) {
			c.warn(o, "STIX 2.1 §2.9", "a number should be the key")
		}
		if k := c.catalog.named(o.Get("type").inside()).kind; k != sco && k != custom {
			c.fail(o, "STIX 2.1 §2.13", "a cyber-observable object was expected")
			continue
		}
		c.container = held
		c.object(o)
	}
	c.part = whole
}

// ref checks a reference from one object of the container to another.
func (h *container) ref(c *checker, to *target, v Value) {
	name, ok := h.kinds[v.Text()]
	switch {
	case v.Kind() != String || !ok:
		c.fail(v, "STIX 2.1 §2.13", "the key of another object beside this one was expected")
	case !to.allows(c.catalog, []byte(name)):
		c.fail(v, "STIX 2.1 §2.13", "the key of "+to.what[len("the identifier of "):]+" was expected")
	}
}

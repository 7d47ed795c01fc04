package stix

// This file is what the property tables of the standard are made of. The tables
// themselves stand in sdo.go (chapter 4), sro.go (5), sco.go and predefined.go
// (6), meta.go and marking.go (7), common.go (3.2) and types.go (2): a row per
// property, in the standard's order, beside its name the type of its value and
// what its description demands of other properties.

// A check looks at one value and reports what is wrong with it.
type check func(c *checker, v Value)

// A rule compares the value v with other properties of the object o. A rule
// about a whole object gets the object as both.
type rule func(c *checker, o, v Value)

// A row is one property of a table.
type row struct {
	name     string
	required bool
	check    check
	rules    []rule
}

func required(name string, is check, rules ...rule) row { return row{name, true, is, rules} }

func optional(name string, is check, rules ...rule) row { return row{name, false, is, rules} }

// A table is one property table, of at most 64 rows.
type table struct {
	clause string // where the table stands, such as "STIX 2.1 §4.7.1"
	rows   []row
	rules  []rule // what the text around the table demands of the whole

	slots [256]uint8 // rows by name: their number from 1, at the hash of the name or the next free slot
	must  uint64     // the bits of the required rows
}

// indexed makes a table ready for use. Of two rows with one name the later
// counts: an object's own table refines the common properties.
func (t table) indexed() table {
	for i, r := range t.rows {
		slot := t.slot([]byte(r.name))
		if earlier := t.slots[slot]; earlier > 0 {
			t.must &^= 1 << (earlier - 1)
		}
		t.slots[slot] = uint8(i + 1)
		if r.required {
			t.must |= 1 << i
		}
	}
	return t
}

// row returns the number of the row for a property, -1 when there is none.
func (t *table) row(name []byte) int { return int(t.slots[t.slot(name)]) - 1 }

// slot returns the slot of the row with that name, or the free one where it
// would be. A table fills a quarter of its slots at most.
func (t *table) slot(name []byte) uint8 {
	hash := uint8(0)
	if n := len(name); n > 0 {
		hash = uint8(n)*41 + name[0]*13 + name[n/2]*5 + name[n-1]
	}
	for {
		at := t.slots[hash]
		if at == 0 || t.rows[at-1].name == string(name) {
			return hash
		}
		hash++
	}
}

// structure is the check for values that have a table of their own.
func structure(t table) check {
	indexed := t.indexed()
	return func(c *checker, v Value) {
		if v.Kind() != Object {
			c.fail(v, indexed.clause, "an object was expected")
			return
		}
		c.rows(&indexed, v)
	}
}

// A kind says which chapter defines an object type.
type kind uint8

const (
	custom   kind = iota // none does
	sdo                  // chapter 4
	sro                  // chapter 5
	sco                  // chapter 6
	metaType             // chapter 7
)

// An objectType is a type of STIX object.
type objectType struct {
	table
	name         string
	kind         kind
	extensions   map[string]check // predefined extensions by name (STIX 2.1 §3.10)
	contributing []string         // ID contributing properties (STIX 2.1 §3.4)
}

// A catalog has all object types by name. The checks get it from the checker:
// a table cannot refer to the variable that is made of it.
type catalog struct {
	types  map[string]*objectType
	custom *objectType // what an object of any other type is checked against
	bundle objectType  // which is not a STIX object (STIX 2.1 §8)
}

// standard are the object types of STIX 2.1.
var standard = newCatalog() //nolint:gochecknoglobals // immutable table: built once, read by every Validate

func newCatalog() *catalog {
	all := &catalog{types: map[string]*objectType{}, custom: &objectType{table: customTable().indexed()}, bundle: bundleType()}
	for _, chapter := range [][]objectType{sdos(), sros(), scos(), metas()} {
		for _, t := range chapter {
			t.rows = append(commonProperties(t.kind), t.rows...)
			t.table = t.indexed()
			all.types[t.name] = &t
		}
	}
	return all
}

// named returns the type of that name, custom when the standard has none.
func (a *catalog) named(name []byte) *objectType {
	if t, ok := a.types[string(name)]; ok {
		return t
	}
	return a.custom
}

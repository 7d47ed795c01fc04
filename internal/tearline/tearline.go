// Package tearline makes the copy of an object that leaves out what a reader may not see.
package tearline

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"tocsin/stix"
)

// A Link is what is known of one reference of an object.
type Link struct {
	At       int      // which reference, counted from 0 in the order of [stix.References]
	Out      bool     // it leads to what was not shared together with the object: no copy has it
	Markings []string // whoever may not see one of these, or all in one that names several, may not know of what it leads to
	Parts    []string // whoever may not see some of these sees a copy of what it leads to
	Digest   string   // of what it leads to, for that copy's id
}

// A Recipe says how an object is copied for those who may not see all of it.
type Recipe struct {
	Links  []Link
	Digest string // of all that the copy depends on beside the object's own text and what is hidden
}

// Hideable returns the markings that the links ask about, sorted and unique.
func (r *Recipe) Hideable() []string {
	var all []string
	for _, l := range r.Links {
		all = append(all, l.Parts...)
		for _, m := range l.Markings {
			all = append(all, strings.Fields(m)...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// AnyHidden reports whether one of some markings is hidden, where several in one
// text count when all of them are.
func AnyHidden(markings, hidden []string) bool {
	return slices.ContainsFunc(markings, func(m string) bool {
		all := strings.Fields(m)
		return len(both(all, hidden)) == len(all)
	})
}

// A Maker makes copies. It is safe for concurrent use.
type Maker struct {
	secret  []byte
	creator string
}

// NewMaker returns a maker. The creator is the id of the hub's identity, in whose
// name copies are made (STIX 2.1 §3.5); nobody without the secret can tell which
// object a copy is of.
func NewMaker(secret []byte, creator string) *Maker {
	return &Maker{secret: slices.Clone(secret), creator: creator}
}

// ID returns the id of the copy of an object from which what some markings mark
// is hidden. All versions of the object have the same; two that differ in
// anything but their version have not (STIX 2.1 §3.6).
func (m *Maker) ID(id string, hidden []string, digest string) string {
	kind, _, _ := strings.Cut(id, "--")
	sum := m.mac("recipe", []byte(id+"\n"+digest+"\n"+strings.Join(hidden, "\n")))
	n := number{hashOf(id), binary.BigEndian.Uint64(sum) >> 6}
	return kind + "--" + m.shuffle(n).uuid()
}

// Original returns the hash of the id of the object that a copy is of, as stores
// find it by; false when the id cannot be a copy's. A made-up id has a made-up
// hash: whoever looks up what it leads to has to see that its copy has this id.
func (m *Maker) Original(copyID string) (hash int64, ok bool) {
	_, uuid, ok := stix.SplitID(copyID)
	if !ok {
		return 0, false
	}
	n, ok := parse(uuid)
	return int64(m.unshuffle(n).hash), ok
}

// Copy returns the copy of an object from which what some markings mark is
// hidden, and its id; false when there can be none. Hidden is sorted.
func (m *Maker) Copy(v stix.Value, r *Recipe, hidden []string) (raw []byte, id string, ok bool) {
	hide := func(marking string) bool { return contains(hidden, marking) }
	edit := stix.Edit(v)
	id = m.ID(v.Get("id").Text(), hidden, r.Digest)
	head := quote(id)
	creator := v.Get("created_by_ref")
	switch {
	case m.creator == "":
	case creator.Exists():
		edit.Replace(creator, quote(m.creator))
	case v.Get("created").Exists(): // observables have no creator (STIX 2.1 §3.2)
		head = append(append(head, `,"created_by_ref":`...), quote(m.creator)...)
	}
	edit.Replace(v.Get("id"), head)
	m.links(edit, v, r, hidden)
	stand(edit, v, hide)
	raw, ok = stix.WithholdFrom(edit, hide)
	return raw, id, ok
}

// links removes and rewrites references.
func (m *Maker) links(edit *stix.Editor, v stix.Value, r *Recipe, hidden []string) {
	at, next := 0, 0
	creator := v.Get("created_by_ref")
	for ref := range stix.References(v) {
		if next < len(r.Links) && r.Links[next].At == at {
			l := &r.Links[next]
			next++
			theirs := both(l.Parts, hidden)
			switch {
			case m.creator != "" && ref == creator:
			case l.Out, AnyHidden(l.Markings, hidden):
				edit.Remove(ref)
			case len(theirs) > 0:
				edit.Replace(ref, quote(m.ID(ref.Text(), theirs, l.Digest)))
			}
		}
		at++
	}
}

// stand puts neutral words where a hidden text has to stand: the object's type
// says it already. They tell that something was withheld to nobody who has not
// seen it.
func stand(edit *stix.Editor, v stix.Value, hide func(string) bool) {
	kind := v.Get("type").Text()
	name, ok := required(kind)
	if !ok {
		return
	}
	text := v.Get(name)
	for part, effect := range stix.Effects(v) {
		if part == text && slices.ContainsFunc(effect.Markings, hide) {
			edit.Replace(text, quote(strings.ReplaceAll(kind, "-", " ")))
			return
		}
	}
}

// required returns the property that a type must have and that may be any text
// (STIX 2.1 §4, §3.1).
func required(kind string) (property string, ok bool) {
	switch kind {
	case "attack-pattern", "campaign", "course-of-action", "identity", "incident", "infrastructure", "intrusion-set", "report", "threat-actor",
		"tool", "vulnerability":
		return "name", true
	case "note":
		return "content", true
	case "malware-analysis":
		return "product", true
	}
	return "", false
}

// both returns what is in both lists, in the order of the first.
func both(list, hidden []string) (common []string) {
	for _, s := range list {
		if contains(hidden, s) {
			common = append(common, s)
		}
	}
	return common
}

func contains(sorted []string, s string) bool {
	_, ok := slices.BinarySearch(sorted, s)
	return ok
}

func quote(s string) []byte {
	b, _ := json.Marshal(s) // a text: nothing that can fail
	return b
}

func (m *Maker) mac(use string, text []byte) []byte {
	h := hmac.New(sha256.New, m.secret)
	h.Write([]byte("tearline " + use + "\n"))
	h.Write(text)
	return h.Sum(nil)
}

// hashOf is the hash by which stores find an id.
func hashOf(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return binary.BigEndian.Uint64(sum[:])
}

// A number is the 122 bits that a UUIDv8 is free to have (RFC 9562 §5.8): the 64
// of the original's hash and 58 of the recipe's.
type number struct{ hash, recipe uint64 }

const (
	half   = 61
	mask61 = 1<<half - 1
	mask58 = 1<<58 - 1
)

// shuffle is a secret permutation of numbers: a Feistel network of four rounds
// (Luby and Rackoff, 1988). So the hub finds the original of a copy again, and to
// all others the ids of copies are random.
func (m *Maker) shuffle(n number) number {
	l, r := n.halves()
	for round := range 4 {
		l, r = r, l^m.round(round, r)
	}
	return whole(l, r)
}

func (m *Maker) unshuffle(n number) number {
	l, r := n.halves()
	for round := 3; round >= 0; round-- {
		l, r = r^m.round(round, l), l
	}
	return whole(l, r)
}

func (m *Maker) round(i int, r uint64) uint64 {
	text := binary.BigEndian.AppendUint64([]byte{byte(i)}, r)
	return binary.BigEndian.Uint64(m.mac("id", text)) & mask61
}

func (n number) halves() (l, r uint64) {
	return n.hash >> 3, (n.hash&7)<<58 | n.recipe&mask58
}

func whole(l, r uint64) number { return number{l<<3 | r>>58, r & mask58} }

// uuid writes the number as a UUIDv8.
func (n number) uuid() string {
	var b [16]byte
	// 48 bits, the version, 12 bits, the variant, 62 bits.
	binary.BigEndian.PutUint64(b[:], n.hash>>16<<16|8<<12|n.hash>>4&0xfff)
	binary.BigEndian.PutUint64(b[8:], 1<<63|(n.hash&0xf)<<58|n.recipe)
	text := hex.EncodeToString(b[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// parse reads what uuid writes, and reports false for any other UUID.
func parse(uuid string) (number, bool) {
	raw, err := hex.DecodeString(strings.ReplaceAll(uuid, "-", ""))
	if err != nil || len(raw) != 16 {
		return number{}, false
	}
	high, low := binary.BigEndian.Uint64(raw), binary.BigEndian.Uint64(raw[8:])
	n := number{high>>16<<16 | high&0xfff<<4 | low>>58&0xf, low & mask58}
	return n, bytes.Equal([]byte(n.uuid()), []byte(uuid))
}

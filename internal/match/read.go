package match

import (
	"bytes"
	"cmp"
	hexa "encoding/hex"
	"math/bits"
	"net/netip"
	"slices"
	"strings"
)

// A reader looks through a text, a piece of some lines at a time.
type reader struct {
	set    *Set
	blocks []block
	hits   []Hit
	parts  bool   // Part hits are wanted
	base   int    // where the piece begins in the text
	line   []byte // the piece
	seen   int    // up to where IPv6 addresses and URLs were looked for
	probes [mostProbes]probe
	asked  int  // how many of them wait
	found  bool // something was, see dotted
}

// pieceBytes is about how much is looked through at a time: what is known of it
// stays in the processor's nearest cache.
const pieceBytes = 16 << 10

func (s *Set) search(hits []Hit, text []byte, parts bool) []Hit {
	r, _ := s.readers.Get().(*reader)
	defer s.readers.Put(r)
	return r.search(s, hits, text, parts)
}

// search is [Set.search] with the memory of this reader.
func (r *reader) search(s *Set, hits []Hit, text []byte, parts bool) []Hit {
	r.set, r.hits, r.parts, r.base = s, hits, parts, 0
	for len(text) > 0 {
		n := len(text)
		if n > pieceBytes {
			if end := bytes.LastIndexByte(text[:pieceBytes], '\n'); end >= 0 {
				n = end + 1
			} else if end := bytes.IndexByte(text[pieceBytes:], '\n'); end >= 0 {
				n = pieceBytes + end + 1
			}
		}
		before := len(r.hits)
		r.line, r.seen = text[:n], 0
		r.read()
		if found := r.hits[before:]; len(found) > 1 {
			r.hits = r.hits[:before+len(inOrder(found))]
		}
		r.base += n
		text = text[n:]
	}
	hits = r.hits
	r.hits, r.line = nil, nil
	if cap(r.blocks) > 1<<14 { // a line of a megabyte is no reason to keep that
		r.blocks = nil
	}
	return hits
}

// inOrder sorts hits as they stand in the text, and leaves out what was found
// in two ways.
func inOrder(hits []Hit) []Hit {
	slices.SortStableFunc(hits, func(x, y Hit) int {
		return cmp.Or(cmp.Compare(x.Offset, y.Offset), cmp.Compare(x.Value.kind, y.Value.kind), cmp.Compare(x.Value.text, y.Value.text), cmp.Compare(x.ID, y.ID))
	})
	return slices.CompactFunc(hits, func(x, y Hit) bool {
		return x.Offset == y.Offset && x.Value == y.Value && x.ID == y.ID && x.Part == y.Part
	})
}

// read looks at the words that a dot is in, at those that are as long as a
// hash, and around the marks. What is between is passed over: most of a text is
// never looked at byte by byte.
func (r *reader) read() {
	n := (len(r.line) + blockBytes - 1) / blockBytes
	if cap(r.blocks) < n {
		r.blocks = make([]block, n)
	}
	r.blocks = r.blocks[:n]
	classify(r.line, r.blocks)
	s := r.set
	c := &s.counts
	if c[Address]+c[Network]+c[Domain]+c[URL]+c[Endpoint] > 0 {
		r.dotted()
	}
	if c[Hash]+c[JA3]+c[JA4] > 0 {
		r.sums()
	}
	if c[Email] > 0 {
		for k := range r.blocks {
			for m := r.blocks[k].at; m != 0; m &= m - 1 {
				r.email(k*blockBytes + bits.TrailingZeros64(m))
			}
		}
	}
	if len(s.anchors) > 0 {
		r.texts()
	}
	if urls, v6 := c[URL] > 0, s.v6 > 0; urls || v6 {
		r.colons(urls, v6)
	}
}

// dotted looks up the words that a dot is in. A dot added to the word that it is
// in carries to where that word ends, and so does a letter: an addition says of
// all words of a block at once where they end and what they have.
func (r *reader) dotted() {
	open, dotted, lettered := 0, uint64(0), uint64(0) // of the word that goes on in the next block
	for k := range r.blocks {
		b := &r.blocks[k]
		var ends, named uint64
		ends, dotted = bits.Add64(b.word, b.dot, dotted)
		named, lettered = bits.Add64(b.word, b.letter, lettered)
		for ends &^= b.word; ends != 0; ends &= ends - 1 {
			at := bits.TrailingZeros64(ends)
			start := open
			if gaps := ^b.word & (1<<at - 1); gaps != 0 {
				start = k*blockBytes + bits.Len64(gaps)
			}
			r.dottedWord(start, k*blockBytes+at, named>>at&1 != 0)
		}
		if gaps := ^b.word; gaps != 0 {
			open = k*blockBytes + bits.Len64(gaps)
		}
	}
	if dotted != 0 {
		r.dottedWord(open, len(r.line), lettered != 0)
	}
	r.settle()
}

// dottedWord looks up a word that a dot is in, and maybe a letter. Numbers with a
// fraction are passed over.
func (r *reader) dottedWord(start, end int, named bool) {
	if n := end - start; n < shortest || !named && n < len("1.1.1.1") {
		return
	}
	if start > 0 && (r.line[start-1] == '\\' || r.line[start-1] == '%') {
		r.afterEscape(start, end)
	} else {
		r.word(start, end)
	}
	if r.asked > settleAt {
		r.settle()
	}
}

// sums looks up the words without dots that have the length of a hash. The
// shortest covers every 32nd byte.
func (r *reader) sums() {
	for k := range r.blocks {
		b := &r.blocks[k]
		for i := shortestHash - 1; i < blockBytes; i += shortestHash {
			if b.word>>i&1 == 0 {
				continue
			}
			at := k*blockBytes + i
			start := wordStart(r.blocks, at, 0)
			if at-start >= shortestHash { // it was looked at before
				continue
			}
			switch end := min(wordEnd(r.blocks, at), len(r.line)); end - start {
			case 32, ja4Length, 40, 64, 128:
				r.sum(start, end)
			}
		}
	}
}

// colons looks around each colon, as far as the set has anything that they
// stand in.
func (r *reader) colons(urls, v6 bool) {
	for k := range r.blocks {
		for m := r.blocks[k].colon; m != 0; m &= m - 1 {
			i := k*blockBytes + bits.TrailingZeros64(m)
			if i < r.seen || i+1 >= len(r.line) {
				continue
			}
			switch next := r.line[i+1]; {
			case urls && (next == '/' && hasPrefix(r.line[i+1:], "//") || next == '\\' && hasPrefix(r.line[i+1:], `\/\/`)):
				r.url(i)
			case v6 && (next == ':' || i > 0 && class[r.line[i-1]]&(digit|hex) != 0):
				r.address6(i)
			}
		}
	}
}

// texts looks up every word that free text is found by.
func (r *reader) texts() {
	carry := uint64(0)
	for k := range r.blocks {
		w := r.blocks[k].word
		starts := w &^ (w<<1 | carry)
		for carry = w >> 63; starts != 0; starts &= starts - 1 {
			start := k*blockBytes + bits.TrailingZeros64(starts)
			end := min(wordEnd(r.blocks, start), len(r.line))
			if end > start && r.line[end-1] == '.' { // the end of a sentence
				end--
			}
			if end-start < shortestAnchor || !r.set.filter.has(finish(hashPart(seed, r.line, start, end))) {
				continue
			}
			word := string(lowered(r.line[start:end]))
			for _, at := range r.set.anchors[word] {
				r.text(at, word, start)
			}
		}
	}
}

// text compares free text with what stands around a word of it.
func (r *reader) text(at ref, word string, i int) {
	record := r.set.store.record(at)
	k, value := kindOf(record), valueOf(record)
	exact := k == Mutex || k == UserAgent
	before := 0
	for ; ; before++ { // the word may be in the text more than once
		next := bytes.Index(lowered(value[before:]), []byte(word))
		if next < 0 {
			return
		}
		before += next
		start, ok := stepBack(r.line, i, value[:before], exact)
		if !ok {
			continue
		}
		end, ok := stepOn(r.line, i, value[before:], exact)
		if ok && (start == 0 || class[r.line[start-1]]&word1(value[0]) == 0) && r.ends(end, value[len(value)-1]) {
			r.hit(at, start, end)
			return
		}
	}
}

// ends reports whether free text whose last character is c may end at a place:
// where a word, or the sentence, does.
func (r *reader) ends(i int, c byte) bool {
	return i == len(r.line) || class[r.line[i]]&word1(c) == 0 || r.line[i] == '.' && (i+1 == len(r.line) || class[r.line[i+1]]&word == 0)
}

// word1 is what may not stand beside a character: beside a word's, no word.
func word1(c byte) uint8 { return class[c] & word }

// stepOn compares a text with what begins at a place, and returns where it
// ends. A backslash or a quote may be written as JSON writes it.
func stepOn(line []byte, i int, text []byte, exact bool) (int, bool) {
	for _, c := range text {
		if (c == '\\' || c == '"') && i+1 < len(line) && line[i] == '\\' && line[i+1] == c {
			i++
		}
		if i >= len(line) || line[i] != c && (exact || lower[line[i]] != lower[c]) {
			return 0, false
		}
		i++
	}
	return i, true
}

// stepBack compares a text with what ends at a place.
func stepBack(line []byte, i int, text []byte, exact bool) (int, bool) {
	for _, c := range slices.Backward(text) {
		if i--; i < 0 || line[i] != c && (exact || lower[line[i]] != lower[c]) {
			return 0, false
		}
		if (c == '\\' || c == '"') && i > 0 && line[i-1] == '\\' {
			i--
		}
	}
	return i, true
}

func lowered(text []byte) []byte {
	b := make([]byte, len(text))
	for i, c := range text {
		b[i] = lower[c]
	}
	return b
}

// The shortest words that are looked up: "t.co", and an MD5 sum.
const (
	shortest     = 4
	shortestHash = 32
)

// word looks up line[start:end], in which there is a dot. What becomes of it,
// settle says.
func (r *reader) word(start, end int) {
	for start < end && (r.line[start] == '.' || r.line[start] == '-') {
		start++
	}
	for start < end && (r.line[end-1] == '.' || r.line[end-1] == '-') { // the end of a sentence, or of a name from the DNS
		end--
	}
	n := end - start
	if n < shortest || n > longestDomain {
		return
	}
	if n > blockBytes {
		r.name(start, end)
		return
	}
	k := start / blockBytes
	low, high := &r.blocks[k], &r.blocks[min(k+1, len(r.blocks)-1)]
	if window(low.letter, high.letter, start, n) != 0 {
		r.name(start, end)
		return
	}
	if dots := window(low.dot, high.dot, start, n); n <= len("255.255.255.255") && bits.OnesCount64(dots) == 3 {
		r.address(start, end, dots)
	}
}

// sum looks up a word that has the length of a hash, or of a JA4.
func (r *reader) sum(start, end int) {
	for _, c := range r.line[start:end] {
		if class[c]&(digit|hex) == 0 {
			if end-start != ja4Length {
				return
			}
			break
		}
	}
	h := finish(hashPart(seed, r.line, start, end))
	if !r.set.filter.has(h) {
		return
	}
	text := lowered(r.line[start:end])
	for _, k := range [...]Kind{Hash, JA3, JA4} {
		key := text
		if k != JA4 {
			if end-start == ja4Length {
				continue
			}
			key, _ = hexa.DecodeString(string(text))
		}
		if at := r.set.store.find(h, k, key); at != 0 {
			r.hit(at, start, end)
		}
	}
}

// name asks for a domain name and its parents, from the shortest to the longest.
func (r *reader) name(start, end int) {
	s, line := r.set, r.line
	if isForeign(line[start:end]) {
		r.foreign(start, end)
		return
	}
	var dots uint64
	if end-start <= blockBytes {
		k := start / blockBytes
		dots = window(r.blocks[k].dot, r.blocks[min(k+1, len(r.blocks)-1)].dot, start, end-start)
	}
	h, last := seed, end
	for first := true; ; first = false {
		i := start - 1
		if dots != 0 {
			i = start + 63 - bits.LeadingZeros64(dots)
			dots &^= 1 << (i - start)
		} else if end-start > blockBytes {
			i = start + bytes.LastIndexByte(line[start:last], '.')
		}
		h = hashPart(h, line, i+1, last)
		if first {
			if w, bit := topLevel(h); s.tops[w]&bit == 0 {
				return
			}
		} else {
			r.ask(probe{finish(h), start, end, i + 1})
		}
		if i < start {
			return
		}
		last = i
	}
}

func (r *reader) domain(h uint64, start, end int) ref {
	var b [longestDomain]byte
	text := b[:end-start]
	for i := range text {
		text[i] = lower[r.line[start+i]]
	}
	return r.set.store.find(h, Domain, text)
}

// isForeign reports whether a text has anything beyond ASCII.
func isForeign(text []byte) bool {
	all := uint64(0)
	for i := 0; i < len(text); i += 8 {
		all |= load(text, i, len(text)-i)
	}
	return all&0x8080808080808080 != 0
}

// foreign looks up a name with letters beyond ASCII, by its ASCII form. It may
// allocate: such names are rare in logs. What is no name is text around one,
// such as typographic quotes.
func (r *reader) foreign(start, end int) {
	name, ok := parseDomain(string(r.line[start:end]))
	if !ok {
		r.inside(start, end)
		return
	}
	for strings.Contains(name, ".") {
		if at := r.set.store.find(hashName([]byte(name)), Domain, []byte(name)); at != 0 {
			r.hit(at, start, end)
			r.found = true
			return
		}
		_, name, _ = strings.Cut(name, ".")
	}
}

// inside looks up the words of ASCII in a word.
func (r *reader) inside(start, end int) {
	for from := start; from < end; {
		to, has := from, uint8(0)
		for ; to < end && class[r.line[to]]&far == 0; to++ {
			has |= class[r.line[to]]
		}
		if has&dot != 0 {
			r.word(from, to)
		}
		from = to + 1
	}
}

// address asks for a word of digits with three dots.
func (r *reader) address(start, end int, dots uint64) {
	a, ok := parseIPv4Of(r.line, start, end, dots)
	if !ok {
		return
	}
	s := r.set
	if s.wide[a>>22]>>(a>>16&63)&1 == 0 {
		return
	}
	h := hashAddress(a)
	if s.counts[Network] > 0 {
		if at, ok := s.networks.Lookup(netip.AddrFrom4(octets(a))); ok {
			if !s.filter.has(h) || !r.knownAddress(h, a, start, end) {
				r.hit(at, start, end)
			}
			r.found = true
			return
		}
	}
	r.ask(probe{h, start, end, -1})
}

// knownAddress looks up an address, with its port and as the host of URLs, and
// reports whether the address itself is known.
func (r *reader) knownAddress(h uint64, a uint32, start, end int) bool {
	s, key := r.set, octets(a)
	if len(s.hosts) > 0 {
		r.found = r.apart(r.line[start:end], start) || r.found
	}
	r.found = r.endpoints(h, key[:], start, end, end) || r.found
	at := s.store.find(h, Address, key[:])
	if at != 0 {
		r.hit(at, start, end)
		r.found = true
	}
	return at != 0
}

// endpoints looks up an address with the port behind it.
func (r *reader) endpoints(h uint64, address []byte, start, end, colon int) (found bool) {
	if r.set.counts[Endpoint] == 0 {
		return false
	}
	port, to := 0, colon
	if colon < len(r.line) && r.line[colon] == ':' {
		for to = colon + 1; to < len(r.line) && class[r.line[to]]&digit != 0 && to-colon <= 5; to++ {
			port = port*10 + int(r.line[to]-'0')
		}
		if to < len(r.line) && class[r.line[to]]&(letter|digit|far) != 0 || port > 0xffff {
			port = 0
		}
	}
	r.set.store.each(h, Endpoint, func(at ref, key []byte) {
		if n := len(key) - 2; !bytes.Equal(key[:n], address) {
			return
		} else if int(key[n])<<8|int(key[n+1]) == port {
			r.hit(at, start, to)
			found = true
		} else if r.parts {
			r.hitPart(at, start, end, true)
		}
	})
	return found
}

// afterEscape looks up a word as it is, and if it is not known, without what an
// escape left at its start.
func (r *reader) afterEscape(start, end int) {
	r.settle()
	r.found = false
	r.word(start, end)
	if r.settle(); !r.found {
		r.escaped(start, end)
	}
}

// escaped looks at a word without what an escape left at its start: "%2Fhost",
// "\thost", "\x22host", "\u0022host".
func (r *reader) escaped(start, end int) {
	skip := 0
	switch c := r.line[start]; {
	case r.line[start-1] == '%':
		skip = 2
	case c == 'x':
		skip = 3
	case c == 'u':
		skip = 5
	case strings.IndexByte("nrtbf", c) >= 0:
		skip = 1
	}
	if skip == 0 || end-start-skip < shortest {
		return
	}
	r.word(start+skip, end)
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

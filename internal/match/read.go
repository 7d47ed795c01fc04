package match

import (
	"bytes"
	"net/netip"
	"strings"
)

// A reader looks through one line.
type reader struct {
	set    *Set
	line   []byte
	hits   []Hit
	before int // how many hits there were before this line
	seen   int // up to where IPv6 addresses and URLs were looked for
}

// read looks at the words that a dot is in, at those that are as long as a
// hash, and around the marks. What is between is passed over: most of a line is
// never looked at byte by byte.
func (r *reader) read() {
	r.before = len(r.hits)
	line, from := r.line, 0
	for from < len(line) {
		at := bytes.IndexByte(line[from:], '.')
		if at < 0 {
			break
		}
		start, end, has := from+at, from+at+1, dot
		for start > from {
			c := class[line[start-1]]
			if c&word == 0 {
				break
			}
			has |= c
			start--
		}
		for end < len(line) {
			c := class[line[end]]
			if c&word == 0 {
				break
			}
			has |= c
			end++
		}
		r.sums(from, start)
		if end-start >= shortest && !r.word(start, end, has) && start > 0 && (line[start-1] == '\\' || line[start-1] == '%') {
			r.escaped(start, end)
		}
		from = end
	}
	r.sums(from, len(line))
	r.marks()
}

// sums looks up the words of line[from:to], in which there are no dots, that
// have the length of a hash. The shortest covers every 32nd byte.
func (r *reader) sums(from, to int) {
	if r.set.counts[Hash] == 0 {
		return
	}
	for i := from + shortestHash - 1; i < to; i += shortestHash {
		if class[r.line[i]]&(digit|hex) == 0 {
			continue
		}
		start := i
		for start > from && class[r.line[start-1]]&word != 0 {
			start--
		}
		for i++; i < to && class[r.line[i]]&word != 0; {
			i++
		}
		switch i - start {
		case shortestHash, 40, 64, 128:
			r.sum(start, i)
		}
		i--
	}
}

// marks looks around each @ and each colon, as far as the set has anything that
// they stand in.
func (r *reader) marks() {
	if r.set.counts[Email] > 0 {
		for i := next(r.line, 0, '@'); i >= 0; i = next(r.line, i+1, '@') {
			r.email(i)
		}
	}
	urls, v6 := r.set.counts[URL] > 0, len(r.set.v6) > 0 || r.set.networks.Size6() > 0
	if !urls && !v6 {
		return
	}
	for i := next(r.line, 0, ':'); i >= 0; i = next(r.line, i+1, ':') {
		switch {
		case i < r.seen || i+1 == len(r.line):
		case urls && (hasPrefix(r.line[i+1:], "//") || hasPrefix(r.line[i+1:], `\/\/`)):
			r.url(i)
		case v6 && (r.line[i+1] == ':' || i > 0 && class[r.line[i-1]]&(digit|hex) != 0):
			r.address6(i)
		}
	}
}

// next returns where a byte stands next, from a place on, or -1.
func next(line []byte, from int, c byte) int {
	at := bytes.IndexByte(line[from:], c)
	if at < 0 {
		return -1
	}
	return from + at
}

// The shortest words that are looked up: "t.co", and an MD5 sum.
const (
	shortest     = 4
	shortestHash = 32
)

// word looks up line[start:end], in which there is a dot, and reports whether it
// was found.
func (r *reader) word(start, end int, has uint8) bool {
	for start < end && (r.line[start] == '.' || r.line[start] == '-') {
		start++
	}
	for start < end && (r.line[end-1] == '.' || r.line[end-1] == '-') { // the end of a sentence, or of a name from the DNS
		end--
	}
	switch {
	case end-start < shortest:
		return false
	case has&(letter|far) != 0:
		return r.name(start, end, has)
	default:
		return r.address(start, end)
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
	var has uint8
	for _, c := range r.line[start+skip : end] {
		has |= class[c]
	}
	r.word(start+skip, end, has)
}

// sum looks up a word that has the length of a hash.
func (r *reader) sum(start, end int) {
	var b [128]byte
	text := b[:0]
	h := seed
	for i := end - 1; i >= start; i-- {
		c := lower[r.line[i]]
		if class[c]&(digit|hex) == 0 {
			return
		}
		h = step(h, c)
	}
	if !r.set.filter.has(finish(h)) {
		return
	}
	for _, c := range r.line[start:end] {
		text = append(text, lower[c])
	}
	if at, ok := r.set.texts[string(text)]; ok {
		r.hit(at, start, end)
	}
}

// name looks up a domain name and its parents, from the shortest to the
// longest. The longest that is known counts.
func (r *reader) name(start, end int, has uint8) bool {
	if end-start > longestDomain {
		return false
	}
	if has&far != 0 {
		return r.foreign(start, end)
	}
	var b [longestDomain]byte
	text, from := b[:end-start], end
	found, at, dots := int32(-1), 0, 0
	h := seed
	for i := end - 1; i >= start; i-- {
		c := lower[r.line[i]]
		if c == '.' {
			if dots++; dots > 1 && r.set.filter.has(finish(h)) {
				from = r.lowered(text, start, from, i+1)
				if e, ok := r.set.texts[string(text[i+1-start:])]; ok {
					found, at = e, i+1
				}
			}
		}
		if c == '_' && dots == 0 { // "id.orig_h": no top-level domain has one
			return false
		}
		h = step(h, c)
	}
	hosts := false
	if r.set.filter.has(finish(h)) {
		r.lowered(text, start, from, start)
		if e, ok := r.set.texts[string(text)]; ok {
			found, at = e, start
		}
		hosts = r.apart(text, start)
	}
	if found >= 0 {
		r.hit(found, at, end)
	}
	return found >= 0 || hosts
}

// lowered puts line[to:from] into text in lower case; what is behind it is
// there already.
func (r *reader) lowered(text []byte, start, from, to int) int {
	for i := to; i < from; i++ {
		text[i-start] = lower[r.line[i]]
	}
	return min(from, to)
}

// foreign looks up a name with letters beyond ASCII, by its ASCII form. It may
// allocate: such names are rare in logs. What is no name is text around one,
// such as typographic quotes.
func (r *reader) foreign(start, end int) bool {
	name, ok := parseDomain(string(r.line[start:end]))
	if !ok {
		return r.inside(start, end)
	}
	for strings.Contains(name, ".") {
		if at, known := r.set.texts[name]; known {
			r.hit(at, start, end)
			return true
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return false
}

// inside looks up the words of ASCII in a word.
func (r *reader) inside(start, end int) (found bool) {
	for from := start; from < end; {
		to, has := from, uint8(0)
		for ; to < end && class[r.line[to]]&far == 0; to++ {
			has |= class[r.line[to]]
		}
		if has&dot != 0 {
			found = r.word(from, to, has) || found
		}
		from = to + 1
	}
	return found
}

// address looks up a word of digits and dots.
func (r *reader) address(start, end int) bool {
	a, ok := parseIPv4(r.line[start:end])
	if !ok {
		return false
	}
	if r.set.filter.has(hashAddress(a)) {
		found := r.apart(r.line[start:end], start)
		if at, known := r.set.v4[a]; known {
			r.hit(at, start, end)
			return true
		}
		if found {
			return true
		}
	}
	if r.set.networks.Size4() == 0 {
		return false
	}
	at, ok := r.set.networks.Lookup(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}))
	if ok {
		r.hit(at, start, end)
	}
	return ok
}

// parseIPv4 reads four numbers up to 255 without leading zeros.
func parseIPv4(text []byte) (a uint32, ok bool) {
	if len(text) < len("0.0.0.0") || len(text) > len("255.255.255.255") {
		return 0, false
	}
	n, digits, dots := uint32(0), 0, 0
	for _, c := range text {
		if c == '.' {
			if digits == 0 {
				return 0, false
			}
			a, n, digits = a<<8|n, 0, 0
			dots++
			continue
		}
		c -= '0'
		if c > 9 || digits > 0 && n == 0 {
			return 0, false
		}
		n = n*10 + uint32(c)
		if digits++; n > 255 {
			return 0, false
		}
	}
	return a<<8 | n, dots == 3 && digits > 0
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

// email looks up the address around an @: with all that its local part can
// have, and with what is left when that is taken for punctuation, as in
// "from=<a@example.com>" and "user=a@example.com".
func (r *reader) email(i int) {
	end := i + 1
	for end < len(r.line) && class[r.line[end]]&word != 0 {
		end++
	}
	for end > i && (r.line[end-1] == '.' || r.line[end-1] == '-') {
		end--
	}
	wide := i
	for wide > 0 && class[r.line[wide-1]]&local != 0 {
		wide--
	}
	narrow := i
	for narrow > wide && (class[r.line[narrow-1]]&word != 0 || r.line[narrow-1] == '+') {
		narrow--
	}
	var b [longestEmail]byte
	for _, start := range [...]int{wide, narrow} {
		if end-start > longestEmail || start == i {
			continue
		}
		text := b[:0]
		for _, c := range r.line[start:end] {
			text = append(text, lower[c])
		}
		if !r.set.filter.has(hashText(text)) {
			continue
		}
		if at, ok := r.set.texts[string(text)]; ok {
			r.hit(at, start, end)
			return
		}
	}
}

// longestScheme bounds how far before a "://" a URL is taken to begin.
const longestScheme = 16

// url looks up the URL around a "://".
func (r *reader) url(i int) {
	start := i
	for start > 0 && i-start < longestScheme && inScheme(r.line[start-1], 1) {
		start--
	}
	for start < i && class[r.line[start]]&letter == 0 {
		start++
	}
	if r.isStrange(i) {
		return
	}
	var b [longestURL + 16]byte
	u, ok := normalizeURL(b[:0], r.line[start:], true)
	if !ok {
		return
	}
	r.seen = start + u.end
	text, end := u.text, start+u.end
	if start > 0 && r.line[start-1] == '\'' { // a quoted text ends with the next quote
		if cut := bytes.IndexByte(text[u.path:], '\''); cut >= 0 {
			text = text[:u.path+cut]
		}
	}
	for range 4 { // what follows a URL in a sentence belongs to it or not
		if r.known(text, u.path, start, end) || len(text) <= u.path+1 || bytes.IndexByte([]byte(".,;:!?)]}'"), text[len(text)-1]) < 0 {
			return
		}
		text = text[:len(text)-1]
	}
}

// isStrange reports whether no URL of the host after a "://" is in the set. It
// says so of most, and only of plain ones.
func (r *reader) isStrange(i int) bool {
	for i++; i < len(r.line) && (r.line[i] == '/' || r.line[i] == '\\'); {
		i++
	}
	start := i
	for i < len(r.line) && class[r.line[i]]&(word|far) == word {
		i++
	}
	end := i
	if i < len(r.line) && r.line[i] == ':' { // a port, or a user's password
		for i++; i < len(r.line) && class[r.line[i]]&digit != 0; {
			i++
		}
	}
	if start == end || i < len(r.line) && r.line[i] != '/' && r.line[i] != '?' && r.line[i] != '#' && !endsURL(r.line[i]) {
		return false
	}
	if r.line[end-1] == '.' {
		end--
	}
	h := seed
	for k := end - 1; k >= start; k-- {
		h = step(h, lower[r.line[k]])
	}
	return !r.set.filter.has(finish(h))
}

// known looks up a URL as it is, and without its query.
func (r *reader) known(text []byte, path, start, end int) bool {
	if r.lookup(text, start, end) {
		return true
	}
	query := bytes.IndexByte(text[path:], '?')
	return query > 0 && r.lookup(text[:path+query], start, end)
}

func (r *reader) lookup(text []byte, start, end int) bool {
	if !r.set.filter.has(hashText(text)) {
		return false
	}
	at, ok := r.set.texts[string(text)]
	if ok {
		r.hit(at, start, end)
	}
	return ok
}

// apart looks for URLs of a host whose path stands elsewhere in the line, as
// web servers and Zeek write it. The host that stands in a URL is that URL's.
func (r *reader) apart(host []byte, start int) bool {
	origins := r.set.hosts[string(host)]
	if len(origins) == 0 || start > 0 && (r.line[start-1] == '/' || r.line[start-1] == '@') {
		return false
	}
	found := false
	for i := 0; i < len(r.line); i++ {
		if r.line[i] != '/' || i > 0 && class[r.line[i-1]]&local != 0 && r.line[i-1] != '=' && r.line[i-1] != '\'' {
			continue
		}
		for _, o := range origins {
			found = r.joined(o.text, i) || found
		}
		for i < len(r.line) && !endsURL(r.line[i]) {
			i++
		}
	}
	return found
}

// joined looks up the URL that an origin and the path at an offset make.
func (r *reader) joined(origin string, i int) bool {
	if port := portOf(origin); port != "" && !r.hasWord(port) {
		return false
	}
	var b [longestURL + 16]byte
	text := append(b[:0], origin...)
	path := len(text)
	for u := (urlReader{text: r.line[i:], inLog: true}); len(text)+3 <= longestURL; {
		c, ok := u.next()
		if !ok || c == '#' {
			return r.known(text, path, i, i+u.at)
		}
		text = appendEscaped(text, c)
	}
	return false
}

// hasWord reports whether a text stands in the line as a whole number.
func (r *reader) hasWord(text string) bool {
	for rest, at := r.line, 0; ; {
		i := bytes.Index(rest[at:], []byte(text))
		if i < 0 {
			return false
		}
		i += at
		end := i + len(text)
		if (i == 0 || class[rest[i-1]]&(word|local) == 0 || rest[i-1] == '=') && (end == len(rest) || class[rest[end]]&(word|local) == 0) {
			return true
		}
		at = i + 1
	}
}

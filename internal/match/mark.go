package match

import (
	"bytes"
	"math/bits"
)

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
		if at := r.set.store.find(hashText(text), Email, text); at != 0 {
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
	host := r.line[start:end]
	if dots := dotsOf(host); dots != 0 {
		if a, ok := parseIPv4(host, dots); ok {
			return !r.set.filter.has(hashAddress(a))
		}
	}
	return !r.set.filter.has(hashName(host))
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
	h := hashText(text)
	if !r.set.filter.has(h) {
		return false
	}
	at := r.set.store.find(h, URL, text)
	if at != 0 {
		r.hit(at, start, end)
	}
	return at != 0
}

// apart looks for URLs of a host whose path stands elsewhere in the line, as
// web servers and Zeek write it. The host that stands in a URL is that URL's.
func (r *reader) apart(host []byte, start int) bool {
	origins := r.set.hosts[string(host)]
	if len(origins) == 0 || start > 0 && (r.line[start-1] == '/' || r.line[start-1] == '@') {
		return false
	}
	found := false
	from := bytes.LastIndexByte(r.line[:start], '\n') + 1
	to := len(r.line)
	if end := bytes.IndexByte(r.line[start:], '\n'); end >= 0 {
		to = start + end
	}
	for i := from; i < to; i++ {
		if r.line[i] != '/' || i > from && class[r.line[i-1]]&local != 0 && r.line[i-1] != '=' && r.line[i-1] != '\'' {
			continue
		}
		for _, o := range origins {
			found = r.joined(o.text, i, r.line[from:to]) || found
		}
		for i < to && !endsURL(r.line[i]) {
			i++
		}
	}
	return found
}

// joined looks up the URL that an origin and the path at an offset make.
func (r *reader) joined(origin string, i int, line []byte) bool {
	if port := portOf(origin); port != "" && !hasWord(line, port) {
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

// hasWord reports whether a text stands in a line as a whole number.
func hasWord(line []byte, text string) bool {
	for rest, at := line, 0; ; {
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

// dotsOf returns where the dots of an IPv4 address are, 0 for what is none.
func dotsOf(text []byte) (dots uint64) {
	if len(text) > len("255.255.255.255") {
		return 0
	}
	for i, c := range text {
		if c == '.' {
			dots |= 1 << i
		}
	}
	if bits.OnesCount64(dots) != 3 {
		return 0
	}
	return dots
}

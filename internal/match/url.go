package match

import "bytes"

// A urlText is a URL in its one spelling, and where its parts are.
type urlText struct {
	text          []byte
	host, hostEnd int // of the host in text, with the brackets of an IPv6 address
	path          int // of the path in text: what is before it is scheme, host and port
	end           int // where the URL ends in what was read
}

// normalizeURL reads the URL that text begins with (RFC 3986 §6.2.2, §6.2.3):
// scheme and host are put in lower case, user, default port and fragment are
// left out, an empty path becomes "/", %-escapes get upper case digits and what
// is beyond ASCII becomes escapes. A URL in a log ends where no URL goes on,
// and may be written as JSON writes it: "\/", "\u0026". The result is appended
// to b. It reports false when there is no scheme and host, or no room in b.
func normalizeURL(b, text []byte, inLog bool) (urlText, bool) {
	r := urlReader{text: text, inLog: inLog}
	for {
		c, ok := r.next()
		if !ok || !inScheme(c, len(b)) && c != ':' {
			return urlText{}, false
		}
		b = append(b, lower[c])
		if c == ':' {
			break
		}
	}
	for range 2 {
		if c, ok := r.next(); !ok || c != '/' {
			return urlText{}, false
		}
	}
	b = append(b, "//"...)
	u := urlText{host: len(b)}
	c, more := r.next()
	for ; more && c != '/' && c != '?' && c != '#'; c, more = r.next() {
		if len(b) == cap(b) {
			return urlText{}, false
		}
		b = append(b, lower[c])
	}
	if b = u.authority(b); u.hostEnd == u.host {
		return urlText{}, false
	}
	u.path = len(b)
	if !more || c != '/' {
		b = append(b, '/')
	}
	for ; more && c != '#'; c, more = r.next() {
		if len(b)+3 > cap(b) {
			return urlText{}, false
		}
		b = appendEscaped(b, c)
	}
	for more { // the fragment never leaves the client, but belongs to what was read
		_, more = r.next()
	}
	u.text, u.end = b, r.at
	return u, true
}

// inScheme reports whether a byte may stand at a place of a URL's scheme
// (RFC 3986 §3.1).
func inScheme(c byte, at int) bool {
	return class[c]&letter != 0 || at > 0 && (class[c]&digit != 0 || c == '+' || c == '-' || c == '.')
}

// appendEscaped appends a byte of a path or a query.
func appendEscaped(b []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	if c >= 0x80 {
		return append(b, '%', digits[c>>4], digits[c&15])
	}
	n := len(b)
	if class[c]&hex != 0 && (n >= 1 && b[n-1] == '%' || n >= 2 && b[n-2] == '%' && class[b[n-1]]&(digit|hex) != 0) {
		c &^= 'a' - 'A'
	}
	return append(b, c)
}

// authority takes user and default port away from what was read behind "//"
// (RFC 3986 §3.2).
func (u *urlText) authority(b []byte) []byte {
	if at := bytes.LastIndexByte(b[u.host:], '@'); at >= 0 {
		b = append(b[:u.host], b[u.host+at+1:]...)
	}
	host := b[u.host:]
	port := bytes.LastIndexByte(host, ':')
	if port >= 0 && bytes.IndexByte(host[port:], ']') >= 0 { // a colon of an IPv6 address
		port = -1
	}
	u.hostEnd = len(b)
	if port >= 0 {
		u.hostEnd = u.host + port
		switch scheme, number := string(b[:u.host]), string(host[port+1:]); {
		case number == "", scheme == "http://" && number == "80", scheme == "https://" && number == "443", scheme == "ftp://" && number == "21":
			b = b[:u.hostEnd]
		}
	}
	if u.hostEnd > u.host && b[u.hostEnd-1] == '.' {
		b = append(b[:u.hostEnd-1], b[u.hostEnd:]...)
		u.hostEnd--
	}
	return b
}

// A urlReader reads the bytes of a URL one by one.
type urlReader struct {
	text  []byte
	at    int
	inLog bool
}

// next returns the next byte, false where the URL ends.
func (r *urlReader) next() (byte, bool) {
	if r.at >= len(r.text) {
		return 0, false
	}
	c := r.text[r.at]
	if c == '\\' && r.inLog {
		return r.escape()
	}
	if endsURL(c) {
		return 0, false
	}
	r.at++
	return c, true
}

// escape reads what JSON writes with a backslash.
func (r *urlReader) escape() (byte, bool) {
	rest := r.text[r.at:]
	if len(rest) >= 2 && rest[1] == '/' {
		r.at += 2
		return '/', true
	}
	if len(rest) >= 6 && string(rest[1:4]) == "u00" && class[rest[4]]&(digit|hex) != 0 && class[rest[5]]&(digit|hex) != 0 {
		c := nibble(rest[4])<<4 | nibble(rest[5])
		if c < 0x80 && !endsURL(c) && c != '\\' {
			r.at += 6
			return c, true
		}
	}
	return 0, false
}

func nibble(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// endsURL reports whether a byte is one that no URL has and that programs put
// around URLs.
func endsURL(c byte) bool {
	switch c {
	case '"', '<', '>', '`', '{', '|', '}', '^', '\\', 0x7f:
		return true
	}
	return c <= ' '
}

// originOf returns what stands before the path of a URL in its one spelling.
func originOf(url string) string {
	from := len(url) - len(afterScheme(url))
	for i := from; i < len(url); i++ {
		if url[i] == '/' {
			return url[:i]
		}
	}
	return url
}

// hostOf returns the host of a URL in its one spelling.
func hostOf(url string) string {
	origin := originOf(url)
	host := afterScheme(origin)
	return host[:len(host)-portLength(host)]
}

// portOf returns the port of an origin, "" for the scheme's own.
func portOf(origin string) string {
	host := afterScheme(origin)
	if n := portLength(host); n > 0 {
		return host[len(host)-n+1:]
	}
	return ""
}

func afterScheme(url string) string {
	for i := range len(url) - 2 {
		if url[i:i+3] == "://" {
			return url[i+3:]
		}
	}
	return ""
}

// portLength returns how long the port of a host is, with its colon.
func portLength(host string) int {
	for i := len(host) - 1; i >= 0 && class[host[i]]&digit != 0 || i >= 0 && host[i] == ':'; i-- {
		if host[i] == ':' {
			return len(host) - i
		}
	}
	return 0
}

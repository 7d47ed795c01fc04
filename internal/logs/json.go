package logs

import "strconv"

// deepest bounds how far objects may be inside each other.
const deepest = 32

// jsonFields finds the values of an object and their paths: "dns.answers.0".
// What is no JSON ends it.
func jsonFields(line []byte) []Field {
	p := jsonParser{text: line}
	p.space()
	p.value("", 0)
	return p.fields
}

type jsonParser struct {
	text   []byte
	at     int
	fields []Field
}

func (p *jsonParser) space() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t' || p.text[p.at] == '\r') {
		p.at++
	}
}

// value reads a value, and reports whether there was one.
func (p *jsonParser) value(path string, depth int) bool {
	if p.at >= len(p.text) || depth > deepest {
		return false
	}
	switch c := p.text[p.at]; c {
	case '{', '[':
		return p.members(path, depth, c)
	case '"':
		start, end, ok := p.quoted()
		p.fields = append(p.fields, Field{path, start, end})
		return ok
	default:
		start := p.at
		for p.at < len(p.text) && p.text[p.at] > ' ' && p.text[p.at] != ',' && p.text[p.at] != '}' && p.text[p.at] != ']' {
			p.at++
		}
		p.fields = append(p.fields, Field{path, start, p.at})
		return p.at > start
	}
}

func (p *jsonParser) members(path string, depth int, open byte) bool {
	end := open + 2 // '{' and '}', '[' and ']' are two apart
	p.at++
	for n := 0; ; n++ {
		p.space()
		if p.at < len(p.text) && p.text[p.at] == end {
			p.at++
			return true
		}
		inner := path
		if open == '{' {
			if p.at >= len(p.text) || p.text[p.at] != '"' {
				return false
			}
			start, stop, ok := p.quoted()
			p.space()
			if !ok || p.at >= len(p.text) || p.text[p.at] != ':' {
				return false
			}
			p.at++
			p.space()
			inner = join(path, string(p.text[start:stop]))
		} else if path != "" && n > 0 {
			inner = path + "." + strconv.Itoa(n)
		}
		if !p.value(inner, depth+1) {
			return false
		}
		p.space()
		if p.at >= len(p.text) {
			return false
		}
		switch p.text[p.at] {
		case ',':
			p.at++
		case end:
		default:
			return false
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// quoted reads a string, and returns what is between its quotes.
func (p *jsonParser) quoted() (start, end int, ok bool) {
	start = p.at + 1
	for i := start; i < len(p.text); i++ {
		switch p.text[i] {
		case '\\':
			i++
		case '"':
			p.at = i + 1
			return start, i, true
		}
	}
	p.at = len(p.text)
	return start, len(p.text), false
}

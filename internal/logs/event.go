package logs

import (
	"bytes"
	"strings"
	"time"
)

// An Event is one line of a log, taken apart. It shares the line's memory.
type Event struct {
	Fields []Field
	Time   time.Time // when it happened; zero when the line does not say
}

// A Field is a value of an event, and where it stands in the line.
type Field struct {
	Name       string
	Start, End int
}

// Parse takes a line apart; header is the line that names the fields, for the
// formats that have one. A line that is not as its format wants it has no
// fields, but whoever looks for something in it finds it.
func Parse(f Format, line, header []byte) Event {
	var e Event
	switch f {
	case JSON, Capture:
		e.Fields = jsonFields(line)
	case ZeekTSV:
		e.Fields = columns(line, '\t', fieldNames(header, '\t'))
	case W3C:
		e.Fields = columns(line, ' ', fieldNames(header, ' '))
	case CSV:
		e.Fields = csvFields(line, header)
	case Access:
		e.Fields = accessFields(line)
	case WindowsXML:
		e.Fields = xmlFields(line)
	case CEF:
		e.Fields = pairs(line, after1(line, "CEF:"), ' ')
	case LEEF:
		e.Fields = pairs(line, after1(line, "LEEF:"), '\t')
	case Syslog, Text:
		e.Fields = pairs(line, 0, ' ')
	}
	e.Time = e.when(f, line)
	return e
}

// At returns the name of the field that a place is in, "text" for none: of two
// such, of the inner one.
func (e *Event) At(offset int) string {
	name, size := "text", int(^uint(0)>>1)
	for _, f := range e.Fields {
		if f.Start <= offset && offset < f.End && f.End-f.Start < size {
			name, size = f.Name, f.End-f.Start
		}
	}
	return name
}

// Value returns a field's value as it stands in the line.
func (e *Event) Value(line []byte, name string) []byte {
	for _, f := range e.Fields {
		if strings.EqualFold(f.Name, name) {
			return bytes.Trim(line[f.Start:f.End], `"`)
		}
	}
	return nil
}

// portNames are the fields for an address, and those for its port.
func portNames() [][2]string {
	return [][2]string{
		{"id.orig_h", "id.orig_p"}, {"id.resp_h", "id.resp_p"}, // Zeek
		{"src_ip", "src_port"}, {"dest_ip", "dest_port"}, {"dst_ip", "dst_port"}, // Suricata, and many others
		{"src", "spt"}, {"dst", "dpt"}, {"src", "srcPort"}, {"dst", "dstPort"}, // CEF, LEEF
		{"s-ip", "s-port"}, {"c-ip", "c-port"}, // W3C
		{"SourceIp", "SourcePort"}, {"DestinationIp", "DestinationPort"}, {"SourceAddress", "SourcePort"}, {"DestAddress", "DestPort"}, // Sysmon, Windows
		{"SRC", "SPT"}, {"DST", "DPT"}, // netfilter
		{"source.ip", "source.port"}, {"destination.ip", "destination.port"}, // ECS
		{"srcip", "srcport"}, {"dstip", "dstport"}, // FortiOS
		{"src_addr", "src_port"}, {"dst_addr", "dst_port"}, {"saddr", "sport"}, {"daddr", "dport"},
	}
}

// Port returns the port that belongs to the address in a field, "" when the
// event does not say.
func (e *Event) Port(line []byte, field string) string {
	last := field[strings.LastIndexByte(field, '.')+1:]
	for _, p := range portNames() {
		prefix := ""
		switch {
		case strings.EqualFold(p[0], field):
		case strings.EqualFold(p[0], last):
			prefix = field[:len(field)-len(last)]
		default:
			continue
		}
		if port := e.Value(line, prefix+p[1]); len(port) > 0 {
			return string(port)
		}
	}
	return ""
}

func after1(line []byte, mark string) int {
	if i := bytes.Index(line, []byte(mark)); i >= 0 {
		return i
	}
	return 0
}

// fieldNames reads a line that names fields.
func fieldNames(header []byte, separator byte) []string {
	_, rest, ok := bytes.Cut(header, []byte{separator})
	if !ok {
		return nil
	}
	return strings.Split(strings.TrimRight(string(rest), "\r\n "), string(separator))
}

// columns takes a line apart at a separator.
func columns(line []byte, separator byte, names []string) (fields []Field) {
	if bytes.HasPrefix(line, []byte("#")) {
		return nil
	}
	at := 0
	for _, name := range names {
		end := len(line)
		if i := bytes.IndexByte(line[at:], separator); i >= 0 {
			end = at + i
		}
		fields = append(fields, Field{name, at, end})
		if at = end + 1; at > len(line) {
			break
		}
	}
	return fields
}

// csvFields takes a line of comma-separated values apart (RFC 4180).
func csvFields(line, header []byte) (fields []Field) {
	at := 0
	for i, name := range strings.Split(strings.TrimRight(string(header), "\r\n"), ",") {
		start, end := at, at
		if at < len(line) && line[at] == '"' {
			start++
			for end = start; end < len(line) && (line[end] != '"' || end+1 < len(line) && line[end+1] == '"'); end++ {
				if line[end] == '"' {
					end++
				}
			}
			at = min(end+1, len(line))
		}
		next := bytes.IndexByte(line[min(at, len(line)):], ',')
		if start == end {
			if end = len(line); next >= 0 {
				end = at + next
			}
		}
		if name = strings.Trim(name, `" `); i == 0 {
			name = strings.TrimPrefix(name, "\ufeff")
		}
		fields = append(fields, Field{name, start, min(end, len(line))})
		if next < 0 {
			break
		}
		at += next + 1
	}
	return fields
}

// accessFields takes a line of the common or combined log format apart.
func accessFields(line []byte) (fields []Field) {
	names := [...]string{"client", "ident", "user", "time", "request", "status", "bytes", "referer", "user_agent"}
	at := 0
	for _, name := range names {
		for at < len(line) && line[at] == ' ' {
			at++
		}
		if at >= len(line) {
			break
		}
		start, stop := at, byte(' ')
		switch line[at] {
		case '[':
			start, stop = at+1, ']'
		case '"':
			start, stop = at+1, '"'
		}
		end := start
		for end < len(line) && line[end] != stop {
			if line[end] == '\\' {
				end++
			}
			end++
		}
		end = min(end, len(line))
		fields = append(fields, Field{name, start, end})
		at = end + 1
	}
	return fields
}

// pairs finds name=value. A value that no quotes are around ends at a space, or
// where the next name begins.
func pairs(line []byte, from int, separator byte) (fields []Field) {
	for i := from; i < len(line); i++ {
		if line[i] != '=' {
			continue
		}
		start := i
		for start > from && isName(line[start-1]) {
			start--
		}
		if start == i || i+1 == len(line) {
			continue
		}
		f := Field{Name: string(line[start:i]), Start: i + 1, End: len(line)}
		if line[i+1] == '"' {
			f.Start++
			if end := bytes.IndexByte(line[f.Start:], '"'); end >= 0 {
				f.End = f.Start + end
			}
		} else if end := bytes.IndexByte(line[i+1:], separator); end >= 0 {
			f.End = i + 1 + end
		}
		fields = append(fields, f)
	}
	return fields
}

func isName(c byte) bool {
	return c == '_' || c == '.' || c == '-' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// xmlFields finds what stands in elements and attributes of a Windows event
// (one element a field): <Data Name="DestinationIp">192.0.2.1</Data>.
func xmlFields(line []byte) (fields []Field) {
	for i := 0; i < len(line); {
		open := bytes.IndexByte(line[i:], '<')
		if open < 0 {
			break
		}
		open += i
		end := bytes.IndexByte(line[open:], '>')
		if end < 0 {
			break
		}
		end += open
		tag := line[open+1 : end]
		i = end + 1
		if len(tag) == 0 || tag[0] == '/' || tag[0] == '?' {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimSuffix(string(tag), "/"), " ")
		for _, quote := range []string{`Name="`, `Name='`} {
			if at := bytes.Index(tag, []byte(quote)); at >= 0 {
				rest := string(tag[at+len(quote):])
				name, _, _ = strings.Cut(rest, quote[len(quote)-1:])
			}
		}
		if name == "TimeCreated" {
			if at := bytes.Index(tag, []byte(`SystemTime=`)); at >= 0 && at+12 < len(tag) {
				start := open + 1 + at + 12
				if n := bytes.IndexAny(line[start:end], `"'`); n >= 0 {
					fields = append(fields, Field{name, start, start + n})
				}
			}
		}
		if next := bytes.IndexByte(line[i:], '<'); next > 0 {
			fields = append(fields, Field{name, i, i + next})
		}
	}
	return fields
}

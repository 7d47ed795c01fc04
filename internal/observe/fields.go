package observe

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html"
	"regexp"
	"strconv"
	"strings"

	"tocsin/internal/logs"
)

//go:embed fields.txt
var fieldTable string

// A table says for the fields of each format what they tell: section → field →
// where STIX has it.
type table map[string]map[string]string

// What fields tell that STIX has in no one place.
const (
	requestLine = "request line" // of HTTP: method, target and version (RFC 9112 §3)
	queryString = "query string" // what follows a ? in the request's target
)

func newTable() table {
	t, section := table{}, ""
	for line := range strings.Lines(fieldTable) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
			t[section] = map[string]string{}
		} else if field, path, ok := strings.Cut(line, "\t"); ok {
			t[section][field] = path
		}
	}
	return t
}

// facts are what an event says: place in STIX → values, as they are meant and
// not as the log escapes them.
type facts map[string][]string

func (f facts) add(path, value string) {
	if value != "" && value != "-" && value != "(empty)" {
		f[path] = append(f[path], value)
	}
}

func (f facts) first(path string) string {
	if all := f[path]; len(all) > 0 {
		return all[0]
	}
	return ""
}

// read returns what a line says.
func (t table) read(format logs.Format, line []byte, e *logs.Event) facts {
	f := facts{}
	section := sectionOf(format, e)
	rows := t[section]
	for i, field := range e.Fields {
		if format == logs.CEF || format == logs.LEEF {
			if field = attribute(format, line, e.Fields, i); field.End == 0 {
				continue
			}
		}
		if field.Start > field.End || field.End > len(line) {
			continue
		}
		if path, ok := rows[plainName(section, field.Name)]; ok {
			for _, value := range valuesOf(format, section, line, field) {
				f.add(path, value)
			}
		}
	}
	if format == logs.Text || format == logs.Syslog {
		f.addQuery(line, t["dns"])
	}
	return f
}

// sectionOf returns which names an event's fields have. JSON is written by many.
func sectionOf(format logs.Format, e *logs.Event) string {
	switch format {
	case logs.ZeekTSV:
		return "zeek"
	case logs.CEF:
		return "cef"
	case logs.LEEF:
		return "leef"
	case logs.W3C:
		return "w3c"
	case logs.Access:
		return "access"
	case logs.WindowsXML:
		return "windows"
	case logs.Capture: // in the words of EVE
		return "suricata"
	case logs.JSON:
		for _, field := range e.Fields {
			switch name := field.Name; {
			case name == "id.orig_h", name == "_path", name == "fuid", name == "certificate.subject":
				return "zeek"
			case name == "event_type":
				return "suricata"
			case name == "EventID", strings.HasPrefix(name, "Event.System."), strings.HasPrefix(name, "EventData."), strings.HasPrefix(name, "winlog."):
				return "windows"
			}
		}
	case logs.Text, logs.Syslog, logs.CSV:
	}
	return "pairs"
}

// plainName returns a field's name as the table has it: without the numbers of
// a list's elements, and for Windows without what is around the event's data.
func plainName(section, name string) string {
	if strings.ContainsAny(name, "0123456789") && strings.Contains(name, ".") {
		kept := strings.Split(name, ".")
		n := 0
		for _, part := range kept {
			if strings.Trim(part, "0123456789") != "" {
				kept[n] = part
				n++
			}
		}
		name = strings.Join(kept[:n], ".")
	}
	if section == "windows" {
		for _, around := range [...]string{"Event.EventData.", "EventData.", "winlog.event_data.", "event_data."} {
			if rest, ok := strings.CutPrefix(name, around); ok {
				return rest
			}
		}
	}
	return name
}

// attribute returns the i-th attribute of a line of CEF or LEEF, whose values
// may have spaces and equal signs; End is 0 for what only looks like one.
func attribute(format logs.Format, line []byte, all []logs.Field, i int) logs.Field {
	separator := byte(' ')
	if format == logs.LEEF {
		separator = '\t'
	}
	start := func(f logs.Field) int { return f.Start - len(f.Name) - 1 }
	begins := func(f logs.Field) bool {
		at := start(f)
		return at > 0 && at <= len(line) && (line[at-1] == separator || line[at-1] == '|')
	}
	field := all[i]
	if !begins(field) {
		return logs.Field{}
	}
	field.End = len(line)
	for _, next := range all[i+1:] {
		if begins(next) && start(next) > field.Start {
			field.End = start(next) - 1
			break
		}
	}
	for field.End > field.Start && (line[field.End-1] == separator || line[field.End-1] == '\r' || line[field.End-1] == '\n') {
		field.End--
	}
	return field
}

// valuesOf returns what a field says.
func valuesOf(format logs.Format, section string, line []byte, field logs.Field) []string {
	raw := bytes.TrimRight(line[field.Start:field.End], "\r\n")
	text := string(raw)
	switch format {
	case logs.JSON, logs.Capture:
		text = unquote(line, field, text)
		if text == "null" {
			return nil
		}
	case logs.WindowsXML:
		text = html.UnescapeString(text)
	case logs.CEF:
		text = strings.NewReplacer(`\\`, `\`, `\=`, "=", `\|`, "|", `\n`, "\n", `\r`, "\r").Replace(text)
	case logs.W3C:
		if strings.HasPrefix(field.Name, "cs(") {
			text = strings.ReplaceAll(text, "+", " ")
		}
	case logs.ZeekTSV, logs.Access:
		text = unhex(text)
		if section == "zeek" && (field.Name == "answers" || field.Name == "tx_hosts" || field.Name == "rx_hosts" || field.Name == "rcptto" || field.Name == "service") {
			return strings.Split(text, ",")
		}
	case logs.CSV:
		text = strings.ReplaceAll(text, `""`, `"`)
	case logs.Text, logs.Syslog, logs.LEEF:
	}
	if section == "windows" && field.Name[strings.LastIndexByte(field.Name, '.')+1:] == "QueryResults" { // "type:  5 a.example;::ffff:192.0.2.1;"
		return strings.FieldsFunc(text, func(r rune) bool { return r == ';' || r == ' ' })
	}
	return []string{text}
}

// unquote reads what JSON writes between quotes.
func unquote(line []byte, field logs.Field, text string) string {
	if !strings.Contains(text, `\`) || field.Start == 0 || field.End >= len(line) || line[field.Start-1] != '"' {
		return text
	}
	var plain string
	if json.Unmarshal(line[field.Start-1:field.End+1], &plain) != nil {
		return text
	}
	return plain
}

// unhex reads \x22 as Zeek, Apache and nginx write it, and \" and \\.
func unhex(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			if i+3 < len(text) && text[i+1] == 'x' {
				if n, err := strconv.ParseUint(text[i+2:i+4], 16, 8); err == nil {
					b.WriteByte(byte(n))
					i += 3
					continue
				}
			}
			if text[i+1] == '"' || text[i+1] == '\\' {
				i++
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// Lines of DNS servers' query logs; client, name and answer are what the groups
// are called.
var (
	bindQuery    = regexp.MustCompile(`client (?:@0x[0-9a-f]+ )?(?P<client>[0-9A-Fa-f.:]+)#\d+ .*?query: (?P<name>\S+) [A-Z]+ `)
	dnsmasqQuery = regexp.MustCompile(`query\[[A-Z0-9]+\] (?P<name>\S+) from (?P<client>[0-9A-Fa-f.:]+)`)
	dnsmasqReply = regexp.MustCompile(`(?:reply|cached) (?P<name>\S+) is (?P<answer>[0-9A-Fa-f.:]+)$`)
	unboundQuery = regexp.MustCompile(`info: (?P<client>[0-9A-Fa-f.:]+) (?P<name>\S+) [A-Z0-9]+ (?:IN|CH|HS)\b`)
)

// addQuery adds what a line of a DNS server's query log says.
func (f facts) addQuery(line []byte, rows map[string]string) {
	line = bytes.TrimRight(line, "\r\n")
	for _, shape := range [...]*regexp.Regexp{bindQuery, dnsmasqQuery, dnsmasqReply, unboundQuery} {
		m := shape.FindSubmatch(line)
		if m == nil {
			continue
		}
		for i, name := range shape.SubexpNames() {
			if path, ok := rows[name]; ok {
				f.add(path, string(m[i]))
			}
		}
		return
	}
}

package indicator

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"tocsin"
	"tocsin/internal/match"
	"tocsin/stix"
	"tocsin/tlp"
)

// Limits of what is read.
const (
	longestLine = 1 << 20   // of a list, in bytes
	longestFile = 512 << 20 // of a JSON file, in bytes
)

// A Result is what a source has.
type Result struct {
	Indicators []Indicator
	Unread     int // entries that are no value that could be looked for
}

// Read reads a source of any format: a STIX bundle or object, STIX objects a
// line, MISP events (one, a list, or a feed's), CSV with a line of names, or a
// list of values a line, with what follows a # as a comment. Of several
// versions of a STIX object the newest counts.
func Read(r io.Reader) (Result, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(4096)
	if err != nil && len(head) == 0 && err != io.EOF { //nolint:errorlint // Peek returns it bare
		return Result{}, fmt.Errorf("read: %w", err)
	}
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	if len(head) == 0 {
		return Result{}, nil
	}
	if head[0] != '{' && head[0] != '[' {
		return readLines(b)
	}
	text, err := io.ReadAll(io.LimitReader(b, longestFile+1))
	if err != nil {
		return Result{}, fmt.Errorf("read: %w", err)
	}
	if len(text) > longestFile {
		return Result{}, &tocsin.Error{Kind: tocsin.TooLarge, Message: "the file is larger than 512 MiB", Hint: "split it"}
	}
	var result Result
	c := collector{result: &result, known: map[string]int{}, policies: Policies{}}
	for object, err := range objects(bytes.TrimPrefix(text, []byte("\ufeff"))) {
		if err != nil {
			return Result{}, err
		}
		if err := c.take(object); err != nil {
			return Result{}, err
		}
	}
	c.finish()
	return result, nil
}

// objects yields the JSON values of a text, one after the other.
func objects(text []byte) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		d := json.NewDecoder(bytes.NewReader(text))
		for {
			var raw json.RawMessage
			err := d.Decode(&raw)
			if err == io.EOF {
				return
			}
			if err != nil {
				line := 1 + bytes.Count(text[:min(int(d.InputOffset()), len(text))], []byte{'\n'})
				yield(nil, &tocsin.Error{Kind: tocsin.Malformed, Message: "this is no JSON", At: fmt.Sprintf("line %d", line), Hint: "was the file cut off?"})
				return
			}
			if !yield(raw, nil) {
				return
			}
		}
	}
}

// A collector takes JSON objects.
type collector struct {
	result   *Result
	known    map[string]int // STIX id → place in result
	policies Policies
	waiting  []json.RawMessage // STIX indicators: the policies that they name may come later
}

func (c *collector) take(raw json.RawMessage) error {
	if raw[0] == '[' {
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return fmt.Errorf("list: %w", err)
		}
		for _, one := range list {
			if err := c.take(one); err != nil {
				return err
			}
		}
		return nil
	}
	var shape struct {
		Type     string
		Objects  []json.RawMessage
		Event    *mispEvent
		Response json.RawMessage
		Info     string
		Attr     []mispAttribute `json:"Attribute"`
	}
	if err := json.Unmarshal(raw, &shape); err != nil {
		return &tocsin.Error{Kind: tocsin.Malformed, Message: "this is neither STIX nor a MISP event", Hint: "give a STIX bundle, a MISP event, CSV or a plain list"}
	}
	switch {
	case shape.Event != nil:
		shape.Event.addTo(c.result)
	case len(shape.Response) > 0:
		return c.take(bytes.TrimSpace(shape.Response))
	case shape.Type == "bundle" || shape.Type == "" && len(shape.Objects) > 0:
		for _, one := range shape.Objects {
			if err := c.take(one); err != nil {
				return err
			}
		}
	case shape.Type == "indicator":
		c.waiting = append(c.waiting, raw)
	case shape.Type == "marking-definition":
		if v, err := stix.Parse(raw, stix.Limits{Bytes: len(raw)}); err == nil {
			if id, allowed, ok := Policy(v); ok {
				c.policies[id] = allowed
			}
		}
	case len(shape.Attr) > 0:
		(&mispEvent{Attribute: shape.Attr}).addTo(c.result)
	}
	return nil
}

// finish reads the indicators, when all policies are known.
func (c *collector) finish() {
	for _, raw := range c.waiting {
		v, err := stix.Parse(raw, stix.Limits{Bytes: len(raw)})
		if err != nil {
			c.result.Unread++
			continue
		}
		in, ok := FromSTIX(v)
		if !ok {
			c.result.Unread++
			continue
		}
		in.Action = c.policies.Allowed(&in)
		at, known := c.known[in.ID]
		switch {
		case !known:
			c.known[in.ID] = len(c.result.Indicators)
			c.result.Indicators = append(c.result.Indicators, in)
		case in.Version.After(c.result.Indicators[at].Version):
			c.result.Indicators[at] = in
		}
	}
}

// mispEvent is an event as MISP exports it.
type mispEvent struct {
	Info      string
	Attribute []mispAttribute
	Object    []struct{ Attribute []mispAttribute }
	Tag       []mispTag
}

type mispAttribute struct {
	UUID    string
	Type    string
	Value   string
	ToIDS   bool `json:"to_ids"`
	Deleted bool
	Tag     []mispTag
}

type mispTag struct{ Name string }

// addTo adds the attributes that are for detection (to_ids).
func (e *mispEvent) addTo(result *Result) {
	all := e.Attribute
	for _, o := range e.Object {
		all = append(all, o.Attribute...)
	}
	for _, a := range all {
		if a.Deleted || !a.ToIDS {
			continue
		}
		in := Indicator{ID: a.UUID, Name: e.Info, Action: Any, Kind: "stix"}
		for _, tag := range append(e.Tag, a.Tag...) {
			if action, ok := pap(tag.Name); ok {
				in.Action = min(in.Action, action)
			}
			if label, ok := tlpTag(tag.Name); ok {
				in.TLP = max(in.TLP, label)
			}
		}
		switch a.Type {
		case "yara", "sigma", "snort", "suricata":
			in.Kind, in.Rule = a.Type, a.Value
		default:
			in.Values = mispValues(a.Type, a.Value)
		}
		if len(in.Values) == 0 && in.Rule == "" {
			result.Unread++
			continue
		}
		result.Indicators = append(result.Indicators, in)
	}
}

// mispValues reads a value of a MISP attribute type. Of composites each part
// decides alone, but an address and its port.
func mispValues(kind, text string) []match.Value {
	one := func(k match.Kind, text string) []match.Value {
		if v, ok := match.Parse(k, text); ok {
			return []match.Value{v}
		}
		return nil
	}
	left, right, composite := strings.Cut(text, "|")
	switch kind {
	case "ip-src", "ip-dst":
		return one(match.Address, text)
	case "ip-src|port", "ip-dst|port":
		if strings.Contains(left, ":") {
			left = "[" + left + "]"
		}
		return one(match.Endpoint, left+":"+right)
	case "domain", "hostname":
		return one(match.Domain, text)
	case "domain|ip":
		return append(one(match.Domain, left), one(match.Address, right)...)
	case "hostname|port":
		return one(match.Domain, left)
	case "url", "uri", "link":
		return one(match.URL, text)
	case "email", "email-src", "email-dst":
		return one(match.Email, text)
	case "ja3-fingerprint-md5":
		return one(match.JA3, text)
	case "ja4-plus":
		return one(match.JA4, text)
	case "filename":
		return one(match.FileName, text)
	case "regkey":
		return one(match.RegistryKey, text)
	case "mutex":
		return one(match.Mutex, text)
	case "user-agent":
		return one(match.UserAgent, text)
	case "AS":
		return one(match.ASN, text)
	case "md5", "sha1", "sha256", "sha512":
		return one(match.Hash, text)
	case "filename|md5", "filename|sha1", "filename|sha256", "filename|sha512":
		if composite {
			return one(match.Hash, right)
		}
	}
	return nil
}

// readLines reads CSV or a plain list.
func readLines(b *bufio.Reader) (Result, error) {
	var result Result
	s := bufio.NewScanner(b)
	s.Buffer(nil, longestLine)
	var columns *columns
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(strings.TrimPrefix(s.Text(), "\ufeff"))
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if n == 1 {
			if columns = header(line); columns != nil {
				continue
			}
		}
		in, ok := columns.read(line)
		if !ok {
			result.Unread++
			continue
		}
		result.Indicators = append(result.Indicators, in)
	}
	if err := s.Err(); err != nil {
		return result, &tocsin.Error{Kind: tocsin.Malformed, Message: "a line is longer than 1 MiB or cannot be read", Hint: "is this a list of indicators?"}
	}
	return result, nil
}

// columns are where a table has what is needed; nil for a plain list.
type columns struct {
	separator          string
	value, kind, until int // -1: none
}

// header reads a line of names, nil when it is none.
func header(line string) *columns {
	c := columns{separator: ",", value: -1, kind: -1, until: -1}
	if strings.Contains(line, "\t") {
		c.separator = "\t"
	}
	for i, name := range split(line, c.separator) {
		switch strings.ToLower(name) {
		case "value", "indicator", "ioc", "ioc_value", "observable":
			c.value = i
		case "type", "kind", "ioc_type", "indicator_type":
			c.kind = i
		case "valid_until", "expires", "until":
			c.until = i
		}
	}
	if c.value < 0 {
		return nil
	}
	return &c
}

// split takes a line of a table apart (RFC 4180).
func split(line, separator string) (cells []string) {
	for {
		if rest, ok := strings.CutPrefix(line, `"`); ok {
			var cell strings.Builder
			for {
				part, after, closed := strings.Cut(rest, `"`)
				cell.WriteString(part)
				rest = after
				if !closed || !strings.HasPrefix(rest, `"`) {
					break
				}
				cell.WriteByte('"')
				rest = rest[1:]
			}
			cells = append(cells, cell.String())
			_, after, more := strings.Cut(rest, separator)
			if line = after; !more {
				return cells
			}
			continue
		}
		cell, after, more := strings.Cut(line, separator)
		cells = append(cells, strings.TrimSpace(cell))
		if line = after; !more {
			return cells
		}
	}
}

// read reads a line of a table or a list.
func (c *columns) read(line string) (Indicator, bool) {
	in := Indicator{Action: Any, Kind: "stix"}
	kind := ""
	if c != nil {
		cells := split(line, c.separator)
		if c.value >= len(cells) {
			return in, false
		}
		line = cells[c.value]
		if c.kind >= 0 && c.kind < len(cells) {
			kind = strings.ToLower(cells[c.kind])
		}
		if c.until >= 0 && c.until < len(cells) {
			in.Until, _ = time.Parse(time.RFC3339, cells[c.until])
		}
	} else if before, _, ok := strings.Cut(line, " #"); ok {
		line = strings.TrimSpace(before)
	}
	v, ok := parse(kind, line)
	in.Values = []match.Value{v}
	return in, ok
}

// parse reads a value of a kind that a table names, "" for any.
func parse(kind, text string) (match.Value, bool) {
	if kind != "" {
		if values := mispValues(kind, text); len(values) > 0 {
			return values[0], true
		}
		for k := match.Address; k <= match.UserAgent; k++ {
			if k.String() == kind {
				return match.Parse(k, text)
			}
		}
	}
	return Guess(text)
}

// Guess reads a value of which nothing is known but its text.
func Guess(text string) (match.Value, bool) {
	kinds := []match.Kind{match.Hash, match.JA4, match.Domain, match.URL, match.Email}
	if strings.Trim(text, "0123456789abcdefABCDEF.:/[]") == "" { // what no address has is not tried as one: a million refusals take a second
		kinds = []match.Kind{match.Network, match.Endpoint, match.Hash, match.Domain}
	}
	for _, k := range kinds {
		if v, ok := match.Parse(k, text); ok {
			return v, true
		}
	}
	if strings.HasPrefix(strings.ToUpper(text), "HK") {
		return match.Parse(match.RegistryKey, text)
	}
	return match.Value{}, false
}

// tlpTag reads a MISP tag of the tlp taxonomy.
func tlpTag(tag string) (tlp.Label, bool) {
	if !strings.HasPrefix(strings.ToLower(tag), "tlp:") {
		return 0, false
	}
	return tlp.Parse(tag)
}

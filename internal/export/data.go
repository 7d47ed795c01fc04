package export

import (
	"encoding/csv"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/internal/match"
	"tocsin/stix"
	"tocsin/stix/pattern"
)

// jsonText writes a text as JSON and YAML both read it.
func jsonText(text string) string {
	b, _ := json.Marshal(strings.ToValidUTF8(text, "\ufffd"))
	return string(b)
}

// table writes CSV (RFC 4180). What a spreadsheet would take for a formula has
// an apostrophe before it, as has what begins with one.
func table(w *writer, s *Set) {
	c := csv.NewWriter(w)
	_ = c.Write([]string{"indicator", "type", "id", "valid_until"})
	for _, i := range s.Items {
		until := ""
		if !i.Until.IsZero() {
			until = i.Until.UTC().Format(time.RFC3339)
		}
		_ = c.Write([]string{inert(i.Value.Text()), i.Value.Kind().String(), inert(i.ID), until})
	}
	c.Flush()
	if err := c.Error(); w.err == nil {
		w.err = err
	}
}

func inert(text string) string {
	if text != "" && strings.IndexByte("=+-@'\t\r", text[0]) >= 0 {
		return "'" + text
	}
	return text
}

// An entry is a value as programs read it.
type entry struct {
	Indicator string    `json:"indicator"`
	Type      string    `json:"type"`
	ID        string    `json:"id"`
	Until     time.Time `json:"valid_until,omitzero"`
}

func (w *writer) json(v any) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); w.err == nil {
		w.err = err
	}
}

func jsonLines(w *writer, s *Set) {
	for _, i := range s.Items {
		w.json(entry{i.Value.Text(), i.Value.Kind().String(), i.ID, i.Until})
	}
}

// elastic writes threat-indicator documents (ECS 8 threat.indicator), each
// with the line that the bulk API wants before it.
func elastic(w *writer, s *Set) {
	for _, i := range s.Items {
		text := i.Value.Text()
		indicator := map[string]any{"type": i.Value.Kind().String(), "name": text, "provider": "tocsin"}
		switch i.Value.Kind() {
		case match.Address:
			indicator["ip"] = text
		case match.URL:
			indicator["url"] = map[string]any{"full": text}
		case match.Domain:
			indicator["url"] = map[string]any{"domain": text}
		case match.Email:
			indicator["email"] = map[string]any{"address": text}
		case match.Hash:
			indicator["file"] = map[string]any{"hash": map[string]any{hashName(text): text}}
		case match.RegistryKey:
			indicator["registry"] = map[string]any{"key": text}
		case match.Network, match.Endpoint, match.JA3, match.JA4, match.ASN, match.FileName, match.Mutex, match.UserAgent:
		}
		// An _id is 512 bytes at most, and a URL may be longer.
		w.json(map[string]any{"index": map[string]any{"_id": uuidOf(i.ID + " " + i.Value.Kind().String() + " " + text)}})
		w.json(map[string]any{"@timestamp": s.Made.UTC().Format(time.RFC3339), "event": map[string]any{"kind": "enrichment", "category": "threat", "type": "indicator"}, "threat": map[string]any{"indicator": indicator}})
	}
}

func hashName(text string) string {
	return map[int]string{32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}[len(text)]
}

// osquery writes a pack whose queries have the values as constants of SQL.
func osquery(w *writer, s *Set) {
	queries := map[string]any{}
	add := func(name, query string, kinds ...match.Kind) {
		n := 0
		for some := range slices.Chunk(s.of(kinds...), 500) {
			quoted := make([]string, len(some))
			for i, t := range some {
				quoted[i] = "'" + strings.ReplaceAll(t, "'", "''") + "'"
			}
			n++
			queries[name+"_"+strconv.Itoa(n)] = map[string]any{"query": strings.Replace(query, "?", strings.Join(quoted, ","), 1), "interval": 3600, "description": "values that Tocsin shares"}
		}
	}
	add("tocsin_addresses", "SELECT pid, remote_address, remote_port FROM process_open_sockets WHERE remote_address IN (?);", match.Address)
	add("tocsin_domains", "SELECT hostnames, address FROM etc_hosts WHERE hostnames IN (?);", match.Domain)
	sums := map[string][]string{}
	for _, t := range s.of(match.Hash) {
		sums[hashName(t)] = append(sums[hashName(t)], t)
	}
	for _, name := range [...]string{"md5", "sha1", "sha256"} { // the table hash has no SHA-512
		for i, some := range slices.Collect(slices.Chunk(sums[name], 500)) {
			queries["tocsin_"+name+"_"+strconv.Itoa(i+1)] = map[string]any{
				"query":    "SELECT p.pid, p.path, h." + name + " FROM processes p JOIN hash h ON h.path = p.path WHERE h." + name + " IN ('" + strings.Join(some, "','") + "');",
				"interval": 3600, "description": "values that Tocsin shares",
			}
		}
	}
	w.json(map[string]any{"queries": queries})
}

// sigma writes a rule for each kind of value (Sigma 2.0), and those that are
// carried, each as a document of its own.
func sigma(w *writer, s *Set) {
	rule := func(name, category, field string, texts []string) {
		if len(texts) == 0 {
			return
		}
		w.printf("---\ntitle: %s\nid: %s\nstatus: experimental\nlogsource:\n    category: %s\ndetection:\n    selection:\n        %s:\n", name, sigmaID(name), category, field)
		for _, t := range texts {
			w.printf("            - %s\n", jsonText(sigmaText(t)))
		}
		w.printf("    condition: selection\nlevel: high\n")
	}
	rule("Tocsin addresses", "firewall", "dst_ip", s.of(match.Address))
	rule("Tocsin networks", "firewall", "dst_ip|cidr", s.of(match.Network))
	rule("Tocsin domains", "dns", "query", s.of(match.Domain))
	var below []string
	for _, d := range s.of(match.Domain) {
		below = append(below, "."+d)
	}
	rule("Tocsin domains and what is below", "dns", "query|endswith", below)
	rule("Tocsin URLs", "proxy", "c-uri", s.of(match.URL))
	rule("Tocsin files", "process_creation", "Hashes|contains", s.of(match.Hash))
	carried(w, s, "---\n")
}

// sigmaText escapes what stands for any text in Sigma.
func sigmaText(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`).Replace(text)
}

func sigmaID(name string) string {
	return map[string]string{
		"Tocsin addresses": "6f1d2c7e-0b0e-4c38-9a55-3d8b1f7f2a01", "Tocsin networks": "6f1d2c7e-0b0e-4c38-9a55-3d8b1f7f2a02", "Tocsin domains": "6f1d2c7e-0b0e-4c38-9a55-3d8b1f7f2a03",
		"Tocsin domains and what is below": "6f1d2c7e-0b0e-4c38-9a55-3d8b1f7f2a04", "Tocsin URLs": "6f1d2c7e-0b0e-4c38-9a55-3d8b1f7f2a05", "Tocsin files": "6f1d2c7e-0b0e-4c38-9a55-3d8b1f7f2a06",
	}[name]
}

// carried writes the rules that indicators carry, as they are: the target reads
// them as rules, which is what their producer wants.
func carried(w *writer, s *Set, before string) {
	for _, r := range s.Rules {
		w.printf("%s%s\n", before, strings.TrimRight(r.Text, "\n"))
	}
}

// yara writes a rule for the sums of files, and those that are carried.
func yara(w *writer, s *Set) {
	var sums [4][]string
	for _, t := range s.of(match.Hash) {
		switch len(t) {
		case 32:
			sums[0] = append(sums[0], t)
		case 40:
			sums[1] = append(sums[1], t)
		case 64:
			sums[2] = append(sums[2], t)
		}
	}
	if len(sums[0])+len(sums[1])+len(sums[2]) > 0 {
		w.printf("import \"hash\"\n\n")
	}
	for i, name := range [...]string{"md5", "sha1", "sha256"} {
		n := 0
		for some := range slices.Chunk(sums[i], 200) { // YARA's stack takes no more
			n++
			w.printf("rule tocsin_%s_%d {\n    condition:\n", name, n)
			for k, t := range some {
				or := ""
				if k > 0 {
					or = "or "
				}
				w.printf("        %shash.%s(0, filesize) == \"%s\"\n", or, name, t)
			}
			w.printf("}\n\n")
		}
	}
	carried(w, s, "")
}

// misp writes an event with an attribute for each value.
func misp(w *writer, s *Set) {
	attributes := []map[string]any{}
	for _, i := range s.Items {
		text := i.Value.Text()
		kind, category := "", "Network activity"
		switch i.Value.Kind() {
		case match.Address, match.Network:
			kind = "ip-dst"
		case match.Domain:
			kind = "domain"
		case match.URL:
			kind = "url"
		case match.Email:
			kind, category = "email-src", "Payload delivery"
		case match.Hash:
			kind, category = hashName(text), "Payload delivery"
		case match.Endpoint:
			at := strings.LastIndexByte(text, ':')
			kind, text = "ip-dst|port", strings.Trim(text[:at], "[]")+"|"+text[at+1:]
		case match.JA3:
			kind = "ja3-fingerprint-md5"
		case match.JA4:
			kind = "ja4-plus"
		case match.ASN:
			kind = "AS"
		case match.FileName:
			kind, category = "filename", "Payload delivery"
		case match.RegistryKey:
			kind, category = "regkey", "Persistence mechanism"
		case match.Mutex:
			kind, category = "mutex", "Artifacts dropped"
		case match.UserAgent:
			kind = "user-agent"
		}
		attributes = append(attributes, map[string]any{"uuid": uuidOf(kind + " " + text), "type": kind, "category": category, "value": text, "to_ids": true})
	}
	w.json(map[string]any{"Event": map[string]any{
		"uuid": stix.UUIDv4(), "info": "Tocsin export", "date": s.Made.UTC().Format(time.DateOnly), "published": false, "analysis": "2", "threat_level_id": "4", "distribution": "0",
		"Attribute": attributes,
	}})
}

// stixBundle writes an indicator for each value (STIX 2.1 §4.7). They are new
// objects of whoever exports: what the producers signed for stays with the hub.
func stixBundle(w *writer, s *Set) {
	w.printf(`{"type":"bundle","id":"bundle--%s","objects":[`, stix.UUIDv4())
	for n, i := range s.Items {
		if n > 0 {
			w.printf(",\n")
		}
		at := s.Made.UTC().Format("2006-01-02T15:04:05.000Z")
		until := ""
		if !i.Until.IsZero() {
			until = `,"valid_until":` + jsonText(i.Until.UTC().Format("2006-01-02T15:04:05.000Z"))
		}
		w.printf(`{"type":"indicator","spec_version":"2.1","id":"indicator--%s","created":"%s","modified":"%s","name":%s,"indicator_types":["malicious-activity"],"pattern":%s,"pattern_type":"stix","valid_from":"%s"%s}`,
			uuidOf(i.Value.Kind().String()+" "+i.Value.Text()), at, at, jsonText(i.Value.Text()), jsonText(patternOf(i.Value)), at, until)
	}
	w.printf("]}\n")
}

// patternOf returns the pattern of a value.
func patternOf(v match.Value) string {
	text := v.Text()
	q := pattern.Quote(text)
	family := "ipv4-addr"
	if strings.Count(text, ":") > 1 {
		family = "ipv6-addr"
	}
	switch v.Kind() {
	case match.Address:
		return "[" + family + ":value = " + q + "]"
	case match.Network:
		return "[" + family + ":value ISSUBSET " + q + "]"
	case match.Domain:
		return "[domain-name:value = " + q + "]"
	case match.URL:
		return "[url:value = " + q + "]"
	case match.Email:
		return "[email-addr:value = " + q + "]"
	case match.Hash:
		return "[file:hashes." + map[int]string{32: "MD5", 40: "'SHA-1'", 64: "'SHA-256'", 128: "'SHA-512'"}[len(text)] + " = " + q + "]"
	case match.Endpoint:
		at := strings.LastIndexByte(text, ':')
		return "[network-traffic:dst_ref.value = " + pattern.Quote(strings.Trim(text[:at], "[]")) + " AND network-traffic:dst_port = " + text[at+1:] + "]"
	case match.ASN:
		return "[autonomous-system:number = " + text[2:] + "]"
	case match.FileName:
		return "[file:name = " + q + "]"
	case match.RegistryKey:
		return "[windows-registry-key:key = " + q + "]"
	case match.Mutex:
		return "[mutex:name = " + q + "]"
	case match.UserAgent:
		return "[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = " + q + "]"
	case match.JA3, match.JA4:
	}
	return "[network-traffic:x_" + v.Kind().String() + " = " + q + "]"
}

// uuidOf returns the UUID of a value: the same in each export.
func uuidOf(name string) string {
	namespace := [16]byte{0x7c, 0x1e, 0x5b, 0x0a, 0x36, 0x2d, 0x4f, 0x0e, 0x9b, 0x5e, 0x41, 0xd2, 0x6c, 0x88, 0x13, 0xf7}
	return stix.UUIDv5(namespace, []byte(name))
}

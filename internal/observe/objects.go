package observe

import (
	"slices"
	"strconv"
	"strings"

	"tocsin/internal/match"
)

// mostObjects bounds how many objects one line is taken for: the answers of a
// resolver can be many.
const mostObjects = 64

// A builder makes the objects of one line. Their keys are numbers, as in the
// dictionary form of observed-data (STIX 2.0 part 2 §2.9).
type builder struct {
	facts   facts
	objects map[string]map[string]any
	known   map[string]string // type and value → key
}

// objects returns what a line's facts are in STIX.
func (f facts) objects() map[string]map[string]any {
	b := &builder{facts: f, objects: map[string]map[string]any{}, known: map[string]string{}}
	b.names()
	b.urls()
	b.traffic()
	b.files()
	b.processes()
	b.others()
	return b.objects
}

// put adds an object and returns its key, "" when there is no room.
func (b *builder) put(kind string, props map[string]any) string {
	if len(b.objects) >= mostObjects {
		return ""
	}
	key := strconv.Itoa(len(b.objects))
	props["type"] = kind
	b.objects[key] = props
	return key
}

// value adds an object that is nothing but a value, once.
func (b *builder) value(kind, text string) string {
	text = spell(kind, "value", text)
	if key, ok := b.known[kind+" "+text]; ok {
		return key
	}
	key := b.put(kind, map[string]any{"value": text})
	b.known[kind+" "+text] = key
	return key
}

// endpoint adds an address or a name.
func (b *builder) endpoint(text string) string {
	kind := typeOf(text)
	if kind == "domain-name" {
		if _, ok := match.Parse(match.Domain, text); !ok {
			return ""
		}
	}
	return b.value(kind, text)
}

func (b *builder) endpoints(path string) (keys []string) {
	for _, text := range b.facts[path] {
		if key := b.endpoint(text); key != "" && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// names makes the names that were asked for, and what they resolve to.
func (b *builder) names() {
	answers := b.endpoints("domain-name:resolves_to_refs.value")
	for _, text := range b.facts["domain-name:value"] {
		key := b.endpoint(text)
		if key == "" || b.objects[key]["type"] != "domain-name" {
			continue
		}
		var refs []any
		for _, answer := range answers {
			if answer != key {
				refs = append(refs, answer)
			}
		}
		if len(refs) > 0 {
			b.objects[key]["resolves_to_refs"] = refs
		}
	}
}

const httpRequest = "network-traffic:extensions.'http-request-ext'."

// urls reads the request line, and makes the URL that a request is for.
func (b *builder) urls() {
	f := b.facts
	if method, rest, ok := strings.Cut(f.first(requestLine), " "); ok {
		target, _, _ := strings.Cut(rest, " ")
		f.add(httpRequest+"request_method", method)
		f.add(httpRequest+"request_value", target)
	}
	target, host := f.first(httpRequest+"request_value"), f.first(httpRequest+"request_header.Host")
	if query := f.first(queryString); query != "" && target != "" {
		target += "?" + query
		f[httpRequest+"request_value"] = []string{target}
	}
	switch {
	case strings.Contains(target, "://"):
		f.add("url:value", target)
	case host != "" && strings.HasPrefix(target, "/"):
		scheme, port := "http", f.first("network-traffic:dst_port")
		switch {
		case port == "443":
			scheme = "https"
		case port != "" && port != "80" && !strings.Contains(strings.TrimPrefix(host, "["), ":"):
			host += ":" + port
		}
		f.add("url:value", scheme+"://"+host+target)
	}
	for _, text := range f["url:value"] {
		if strings.Contains(text, "://") {
			b.value("url", text)
		}
	}
	if host != "" { // what was asked for by name is where the traffic goes
		name, _, _ := strings.Cut(host, ":")
		b.facts.add("network-traffic:dst_ref.value", name)
	}
}

// request returns the extension of an HTTP request, nil when there is none
// (STIX 2.1 §6.12.3).
func (b *builder) request() map[string]any {
	f, header := b.facts, map[string]any{}
	for _, name := range [...]string{"Host", "User-Agent", "Referer"} {
		path := httpRequest + "request_header." + name
		if name == "User-Agent" {
			path = httpRequest + "request_header.'User-Agent'"
		}
		if v := f.first(path); v != "" {
			header[name] = spell("", name, v)
		}
	}
	request := map[string]any{}
	if v := f.first(httpRequest + "request_method"); v != "" {
		request["request_method"] = v
	}
	if v := f.first(httpRequest + "request_value"); v != "" {
		request["request_value"] = v
	}
	if len(header) > 0 {
		request["request_header"] = header
	}
	if len(request) == 0 {
		return nil
	}
	return map[string]any{"http-request-ext": request}
}

// traffic makes the connection: one for each of the names and addresses that it
// goes to, since a reference leads to one only.
func (b *builder) traffic() {
	f := b.facts
	sources, targets := b.endpoints("network-traffic:src_ref.value"), b.endpoints("network-traffic:dst_ref.value")
	extensions := b.request()
	if len(sources)+len(targets) == 0 && extensions == nil {
		return
	}
	sources, targets = append(sources, "")[:max(1, len(sources))], append(targets, "")[:max(1, len(targets))]
	var protocols []any
	for _, path := range [...]string{sources[0], targets[0]} {
		if kind, _ := b.objects[path]["type"].(string); kind == "ipv4-addr" || kind == "ipv6-addr" {
			protocols = append(protocols, strings.TrimSuffix(kind, "-addr"))
			break
		}
	}
	for _, text := range f["network-traffic:protocols"] {
		protocols = append(protocols, protocol(text))
	}
	if extensions != nil && !slices.Contains(protocols, any("http")) {
		protocols = append(protocols, "http")
	}
	for _, source := range sources {
		for _, target := range targets {
			t := map[string]any{}
			if len(protocols) > 0 {
				t["protocols"] = protocols
			}
			setText(t, "src_ref", source)
			setText(t, "dst_ref", target)
			for _, name := range [...]string{"src_port", "dst_port", "src_byte_count", "dst_byte_count", "src_packets", "dst_packets"} {
				setNumber(t, name, f.first("network-traffic:"+name))
			}
			if extensions != nil {
				t["extensions"] = extensions
			}
			b.put("network-traffic", t)
		}
	}
}

// protocol returns a protocol's name in lower case, for those that Windows
// numbers as well (IANA protocol numbers).
func protocol(text string) string {
	switch text {
	case "1":
		return "icmp"
	case "6":
		return "tcp"
	case "17":
		return "udp"
	case "58":
		return "ipv6-icmp"
	}
	return strings.ToLower(text)
}

// file makes a file of a name or a path, with the folder that it is in.
func (b *builder) file(path string) map[string]any {
	props := map[string]any{}
	if cut := strings.LastIndexAny(path, `\/`); cut >= 0 {
		folder := path[:cut]
		if folder == "" || strings.HasSuffix(folder, ":") {
			folder = path[:cut+1]
		}
		setText(props, "parent_directory_ref", b.put("directory", map[string]any{"path": spell("directory", "path", folder)}))
		path = path[cut+1:]
	}
	setText(props, "name", spell("file", "name", path))
	return props
}

// files makes the file that an event is about. Its hashes are those of the
// process's image when no other is named, as Sysmon has it.
func (b *builder) files() {
	f := b.facts
	hashes := hashesOf(f["file:hashes"])
	var props map[string]any
	switch name := f.first("file:name"); {
	case name != "":
		props = b.file(name)
	case len(hashes) > 0 && f.first("process:image_ref.name") == "", f.first("file:size") != "", f.first("file:mime_type") != "":
		props = map[string]any{}
	default:
		return
	}
	if len(hashes) > 0 {
		props["hashes"] = hashes
	}
	setNumber(props, "size", f.first("file:size"))
	setText(props, "mime_type", f.first("file:mime_type"))
	b.put("file", props)
}

// hashesOf reads "MD5=…,SHA256=…", and hashes whose length tells what they are.
func hashesOf(texts []string) map[string]any {
	hashes := map[string]any{}
	for _, text := range texts {
		for part := range strings.SplitSeq(text, ",") {
			_, sum, named := strings.Cut(part, "=")
			if !named {
				sum = part
			}
			if strings.HasPrefix(part, "IMPHASH=") { // as long as an MD5, and none
				continue
			}
			v, ok := match.Parse(match.Hash, sum)
			if !ok {
				continue
			}
			name := map[int]string{32: "MD5", 40: "SHA-1", 64: "SHA-256", 128: "SHA-512"}[len(sum)]
			hashes[name] = v.Text()
		}
	}
	return hashes
}

// image makes the file that a process runs, if it is known.
func (b *builder) image(path string, hashes map[string]any) string {
	if path == "" {
		return ""
	}
	props := b.file(path)
	if len(hashes) > 0 {
		props["hashes"] = hashes
	}
	return b.put("file", props)
}

// processes makes the process of an event, and the one that started it.
func (b *builder) processes() {
	f := b.facts
	make1 := func(prefix string, hashes map[string]any) map[string]any {
		props := map[string]any{}
		image := b.image(f.first(prefix+"image_ref.name"), hashes)
		setText(props, "image_ref", image)
		if name, ok := b.objects[image]["name"].(string); ok { // STIX 2.0 part 4 §2.13 has it, and so have many patterns
			props["name"] = name
		}
		setText(props, "command_line", f.first(prefix+"command_line"))
		setNumber(props, "pid", f.first(prefix+"pid"))
		return props
	}
	var hashes map[string]any
	if f.first("file:name") == "" {
		hashes = hashesOf(f["file:hashes"])
	}
	process, parent := make1("process:", hashes), make1("process:parent_ref.", nil)
	if len(process) == 0 && len(parent) == 0 {
		return
	}
	setText(process, "cwd", f.first("process:cwd"))
	if len(parent) > 0 {
		setText(process, "parent_ref", b.put("process", parent))
	}
	if account := f.first("user-account:account_login"); account != "" {
		setText(process, "creator_user_ref", b.put("user-account", map[string]any{"account_login": account}))
	}
	b.put("process", process)
}

func (b *builder) others() {
	f := b.facts
	if account := f.first("user-account:account_login"); account != "" && f.first("process:image_ref.name") == "" {
		b.put("user-account", map[string]any{"account_login": account})
	}
	b.registry()
	certificate := map[string]any{}
	if f.first("email-message:from_ref.value") == "" { // a message's subject is none of a certificate
		setText(certificate, "subject", f.first("x509-certificate:subject"))
	}
	setText(certificate, "issuer", f.first("x509-certificate:issuer"))
	setText(certificate, "serial_number", spell("x509-certificate", "serial_number", f.first("x509-certificate:serial_number")))
	if hashes := hashesOf(f["x509-certificate:hashes"]); len(hashes) > 0 {
		certificate["hashes"] = hashes
	}
	if len(certificate) > 0 {
		b.put("x509-certificate", certificate)
	}
	b.message()
	if n, err := strconv.ParseInt(strings.TrimPrefix(f.first("autonomous-system:number"), "AS"), 10, 64); err == nil {
		b.put("autonomous-system", map[string]any{"number": n})
	}
}

// registry makes the key of an event. Where a value was set, Sysmon has its
// name behind the key.
func (b *builder) registry() {
	f := b.facts
	key := f.first("windows-registry-key:key")
	name, data := f.first("windows-registry-key:values.name"), f.first("windows-registry-key:values.data")
	if key == "" {
		return
	}
	if cut := strings.LastIndexByte(key, '\\'); cut > 0 && name == "" && data != "" {
		key, name = key[:cut], key[cut+1:]
	}
	props := map[string]any{"key": spellKey(key)}
	if name != "" || data != "" {
		value := map[string]any{}
		setText(value, "name", spell("windows-registry-key", "name", name))
		setText(value, "data", data)
		props["values"] = []any{value}
	}
	b.put("windows-registry-key", props)
}

// message makes an e-mail message of who sent it and to whom.
func (b *builder) message() {
	address := func(text string) string {
		if v, ok := match.Parse(match.Email, strings.Trim(text, "<> ")); ok {
			return b.value("email-addr", v.Text())
		}
		return ""
	}
	props := map[string]any{}
	setText(props, "from_ref", address(b.facts.first("email-message:from_ref.value")))
	var to []any
	for _, text := range b.facts["email-message:to_refs.value"] {
		if key := address(text); key != "" {
			to = append(to, key)
		}
	}
	if len(to) > 0 {
		props["to_refs"] = to
	}
	if len(props) > 0 {
		props["is_multipart"] = false
		b.put("email-message", props)
	}
}

func setText(props map[string]any, name, text string) {
	if text != "" {
		props[name] = text
	}
}

// setNumber sets a number, written in decimal or as Windows does: 0x1f4.
func setNumber(props map[string]any, name, text string) {
	base := 10
	if rest, ok := strings.CutPrefix(text, "0x"); ok {
		text, base = rest, 16
	}
	if n, err := strconv.ParseInt(text, base, 64); err == nil && n >= 0 {
		props[name] = n
	}
}

package minimize

import (
	"net/netip"
	"strings"

	"tocsin/internal/minimize/detect"
	"tocsin/stix"
	"tocsin/stix/pattern"
)

// sides says which values and objects of a submission are whose.
type sides struct {
	threat     map[string]bool // values that are the attacker's, in lower case
	hosts      map[string]bool // domains that are the attacker's
	victims    map[string]bool // values that are the victim's, in lower case
	recipients map[string]bool // ids of those who received a message
	senders    map[string]bool // ids of those who sent one
	attackers  map[string]bool // ids that a relationship ties to a threat
	addresses  map[string]string
	contents   map[string]string   // by id of a file: the artifact that holds its content
	hurt       map[string]bool     // ids of those whom a threat reached, and of those who report it
	domains    map[string][]string // by id of an identity: the domains that it can be reached at
	own        map[string]bool     // domains of those who were hurt or report it
	words      map[string]bool     // the words of threats' names
}

// takeSides reads the whole submission for what is the attacker's and what is
// the victim's, before anything is decided: the description of an indicator may
// come before the object that says whose the address in it is.
func (r *run) takeSides() {
	s := &r.sides
	s.threat, s.hosts, s.victims = map[string]bool{}, map[string]bool{}, map[string]bool{}
	s.recipients, s.senders, s.attackers = map[string]bool{}, map[string]bool{}, map[string]bool{}
	s.addresses, s.hurt, s.domains = map[string]string{}, map[string]bool{}, map[string][]string{}
	s.own, s.words, s.contents = map[string]bool{}, map[string]bool{}, map[string]string{}
	for i := range r.objects {
		o := &r.objects[i]
		v := o.Value()
		if ref := v.Get("created_by_ref"); ref.Exists() {
			s.hurt[ref.Text()] = true
		}
		switch o.Type() {
		case "sighting":
			for _, ref := range v.Get("where_sighted_refs").Elements() {
				s.hurt[ref.Text()] = true
			}
		case "indicator":
			r.learnPattern(v)
		case "relationship":
			s.learnRelationship(v)
		case "threat-actor", "intrusion-set", "campaign", "malware", "tool", "infrastructure", "attack-pattern":
			s.learnNames(v)
		case "malware-analysis":
			if v.Get("result").Is("malicious") {
				s.attackers[v.Get("sample_ref").Text()] = true
			}
		case "observed-data":
			for key, inner := range v.Get("objects").Members() {
				r.learnObservable(inner, o.ID()+"#"+key, o.ID()+"#")
			}
		default:
			r.learnObservable(v, o.ID(), "")
		}
	}
	r.settle()
}

// settle draws the conclusions: recipients that nothing makes the attacker's
// are victims, senders' domains are the attacker's.
func (r *run) settle() {
	s := &r.sides
	for file, content := range s.contents {
		if s.attackers[file] {
			s.attackers[content] = true
		}
	}
	victimDomains := map[string]bool{}
	for id := range s.recipients {
		address := s.addresses[id]
		if address != "" && !s.attackers[id] && !s.threat[address] {
			s.victims[address] = true
			victimDomains[domainOf(address)] = true
		}
	}
	for id := range s.senders {
		if address := s.addresses[id]; address != "" && !s.victims[address] {
			s.mailbox(address, r.gate.rules.freeMail)
		}
	}
	for id := range s.attackers {
		if address := s.addresses[id]; address != "" {
			s.mailbox(address, r.gate.rules.freeMail)
		}
	}
	// A message that pretends to come from the victim's own domain does not
	// make the domain the attacker's.
	for domain := range victimDomains {
		delete(s.hosts, domain)
	}
	for id := range s.hurt {
		for _, domain := range s.domains[id] {
			if domain != "" && !s.attackers[id] && !r.gate.rules.freeMail[domain] {
				s.own[domain] = true
				delete(s.hosts, domain)
			}
		}
	}
}

// ours reports whether a domain, in lower case, is one of those who were hurt
// or report it, or lies below one.
func (s *sides) ours(domain string) bool {
	for len(s.own) > 0 && domain != "" {
		if s.own[domain] {
			return true
		}
		_, domain, _ = strings.Cut(domain, ".")
	}
	return false
}

// contradictory reports whether one thing says that a value is the attacker's
// and another that it is the victim's: then a person has to decide.
func (r *run) contradictory(sp detect.Span) bool {
	s := &r.sides
	if s.threat[sp.Value] {
		return s.victims[sp.Value]
	}
	return sp.Kind == detect.Email && sp.Attacker && s.ours(domainOf(sp.Value))
}

// mailbox learns an address of the attacker's.
func (s *sides) mailbox(address string, free map[string]bool) {
	s.threat[address] = true
	if d := domainOf(address); d != "" && !free[d] {
		s.hosts[d] = true
	}
}

func domainOf(address string) string {
	_, domain, _ := strings.Cut(address, "@")
	return domain
}

// learnPattern takes the literals of a pattern as the attacker's, but for those
// of paths that stand for the victim.
func (r *run) learnPattern(v stix.Value) {
	s := &r.sides
	text := v.Get("pattern").Text()
	if !v.Get("pattern_type").Is("stix") {
		for _, sp := range r.gate.rules.detector.Find(nil, text, detect.Of(detect.Email)) {
			s.threat[sp.Value] = true
		}
		return
	}
	p, err := pattern.Parse(text)
	if err != nil {
		return
	}
	for _, a := range p.Atoms() {
		for _, l := range a.Values {
			low := strings.ToLower(l.Value)
			if low == "" || a.Negated {
				continue
			}
			if r.victimPath(a) {
				s.victims[low] = true
				continue
			}
			s.threat[low] = true
			switch {
			case a.ObjectType == "domain-name":
				s.hosts[low] = true
			case a.ObjectType == "url":
				s.hosts[hostOf(low)] = true
			case strings.Contains(low, "@"):
				s.mailbox(low, r.gate.rules.freeMail)
			}
		}
	}
}

// victimPath reports whether the values that a comparison names are the
// victim's.
func (r *run) victimPath(a pattern.Atom) bool {
	path := a.ObjectType + ":" + a.Path
	for _, p := range r.gate.rules.victims {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return false
}

func hostOf(url string) string {
	if _, rest, ok := strings.Cut(url, "://"); ok {
		url = rest
	}
	if n := strings.IndexAny(url, "/?#"); n >= 0 {
		url = url[:n]
	}
	if n := strings.LastIndexByte(url, '@'); n >= 0 {
		url = url[n+1:]
	}
	host, _, _ := strings.Cut(url, ":")
	return host
}

// learnRelationship takes what a relationship ties to a threat as the
// attacker's, unless the relationship says that it was the threat's target.
func (s *sides) learnRelationship(v stix.Value) {
	kind := v.Get("relationship_type").Text()
	switch kind {
	case "located-at":
		if kind, _, _ := strings.Cut(v.Get("source_ref").Text(), "--"); kind == "threat-actor" || kind == "infrastructure" {
			s.attackers[v.Get("target_ref").Text()] = true
		}
		return
	case "targets", "compromises":
		s.hurt[v.Get("target_ref").Text()] = true
		return
	case "impersonates", "exploits", "related-to":
		return
	}
	source, target := v.Get("source_ref").Text(), v.Get("target_ref").Text()
	for _, pair := range [2][2]string{{source, target}, {target, source}} {
		threat, _, _ := strings.Cut(pair[0], "--")
		other, _, _ := strings.Cut(pair[1], "--")
		switch threat {
		case "threat-actor", "intrusion-set", "campaign", "malware", "infrastructure", "tool", "indicator":
		default:
			continue
		}
		if observable(other) || other == "identity" && kind == "attributed-to" {
			s.attackers[pair[1]] = true
		}
	}
}

func (s *sides) learnNames(v stix.Value) {
	learn := func(name string) {
		name = strings.ToLower(name)
		s.threat[name] = true
		for word := range strings.FieldsSeq(name) {
			s.words[word] = true
		}
	}
	learn(v.Get("name").Text())
	for _, alias := range v.Get("aliases").Elements() {
		learn(alias.Text())
	}
	for _, ref := range v.Get("sample_refs").Elements() {
		s.attackers[ref.Text()] = true
	}
}

// learnObservable reads who sent and who received messages. The prefix makes
// the names inside older observed data unique.
func (r *run) learnObservable(v stix.Value, id, prefix string) {
	s := &r.sides
	name := func(ref stix.Value) string {
		if t := ref.Text(); prefix == "" || strings.Contains(t, "--") {
			return t
		}
		return prefix + ref.Text()
	}
	switch kind := v.Get("type"); {
	case kind.Is("email-addr"):
		s.addresses[id] = strings.ToLower(v.Get("value").Text())
	case kind.Is("identity"):
		for one := range strings.FieldsFuncSeq(strings.ToLower(v.Get("contact_information").Text()), func(c rune) bool { return strings.ContainsRune(" \t\r\n,;<>()\"", c) }) {
			switch {
			case strings.Contains(one, "@"):
				one = strings.TrimPrefix(one, "mailto:")
				if s.addresses[id] == "" {
					s.addresses[id] = one
				}
				s.domains[id] = append(s.domains[id], strings.TrimRight(domainOf(one), "."))
			case strings.Contains(one, "://"):
				s.domains[id] = append(s.domains[id], strings.TrimPrefix(hostOf(one), "www."))
			}
		}
	case kind.Is("file"):
		if ref := v.Get("content_ref"); ref.Exists() {
			s.contents[id] = name(ref)
		}
	case kind.Is("domain-name"):
		s.hosts[strings.ToLower(v.Get("value").Text())] = true
	case kind.Is("email-message"):
		for _, list := range [...]string{"to_refs", "cc_refs", "bcc_refs"} {
			for _, ref := range v.Get(list).Elements() {
				s.recipients[name(ref)] = true
			}
		}
		for _, one := range [...]string{"from_ref", "sender_ref"} {
			if ref := v.Get(one); ref.Exists() {
				s.senders[name(ref)] = true
			}
		}
		r.learnHeaders(v.Get("additional_header_fields"))
	}
}

// learnHeaders takes the addresses in headers that only the sender sets.
func (r *run) learnHeaders(headers stix.Value) {
	for name, v := range headers.Members() {
		switch strings.ToLower(name) {
		case "from", "sender", "reply-to", "return-path":
			for _, sp := range r.gate.rules.detector.Find(nil, v.Text(), detect.Of(detect.Email)) {
				r.sides.mailbox(sp.Value, r.gate.rules.freeMail)
			}
		}
	}
}

// attackersOwn reports whether a value that a detector found is the attacker's.
func (r *run) attackersOwn(text string, sp detect.Span) bool {
	s := &r.sides
	if r.contradictory(sp) {
		return false
	}
	if s.threat[sp.Value] {
		return true
	}
	if s.victims[sp.Value] {
		return false
	}
	if sp.Attacker {
		return true
	}
	switch sp.Kind {
	case detect.Email:
		local, domain, _ := strings.Cut(sp.Value, "@")
		if s.ours(domain) {
			return false
		}
		if s.hosts[domain] || len(local) >= 4 && s.threat[local] {
			return true // the second: an address that bears the threat's name
		}
	case detect.Token:
		if url := word(text, sp.Start, sp.End); strings.Contains(url, "://") && s.hosts[hostOf(url)] {
			return true
		}
	case detect.Secret, detect.Card, detect.IBAN, detect.SSN, detect.SID, detect.Phone, detect.BirthDate, detect.Address,
		detect.UserName, detect.Name, detect.NationalID, detect.BankAccount, detect.MedicalID, detect.Vehicle, detect.Coordinates,
		detect.Host, detect.Internal:
	}
	// A part of an indicator's literal, such as the query of its URL.
	return len(s.threat) > 0 && s.threat[word(text, sp.Start, sp.End)]
}

// word returns the text around start and end up to white space and quotes, at
// most 512 bytes to each side, in lower case and without closing punctuation.
func word(text string, start, end int) string {
	const most = 512
	least := max(0, start-most)
	for start > least && !strings.ContainsRune(" \t\r\n\"'<>", rune(text[start-1])) {
		start--
	}
	limit := min(len(text), end+most)
	for end < limit && !strings.ContainsRune(" \t\r\n\"'<>", rune(text[end])) {
		end++
	}
	return strings.ToLower(strings.TrimRight(text[start:end], ".,;:)"))
}

// block returns the private block that an address lies in, "" for an address
// that may be on the internet, and for a block itself.
func block(text string) string {
	a, err := netip.ParseAddr(text)
	if err != nil {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return ""
		}
		a = p.Addr()
	}
	for _, b := range [...]string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"} {
		if p := netip.MustParsePrefix(b); p.Contains(a) && b != text {
			return b
		}
	}
	return ""
}

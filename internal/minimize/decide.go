package minimize

import (
	"math"
	"strconv"
	"strings"

	"tocsin/internal/minimize/detect"
	"tocsin/stix"
)

// labels gives out placeholders: the same for the same value of a submission.
type labels struct {
	given map[string]string
	next  map[string]int
}

// masked reports whether a text is a placeholder.
func masked(text string) bool {
	kind, number, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"), "-")
	for ok && strings.Contains(number, "-") {
		var more string
		more, number, ok = strings.Cut(number, "-")
		kind += "-" + more
	}
	_, known := detect.ParseKind(kind)
	_, err := strconv.Atoi(number)
	return ok && known && err == nil && len(text) == len(kind)+len(number)+len("[-]")
}

// label returns the placeholder of a value.
func (r *run) label(k detect.Kind, value string) string {
	if r.labels.given == nil {
		r.labels = labels{given: map[string]string{}, next: r.taken()}
	}
	kind := k.String()
	key := kind + "\x00" + r.same(k, value)
	if l, ok := r.labels.given[key]; ok {
		return l
	}
	r.labels.next[kind]++
	l := "[" + kind + "-" + strconv.Itoa(r.labels.next[kind]) + "]"
	r.labels.given[key] = l
	return l
}

// same returns under which value a name is known: a part of one person's name
// stands for that person.
func (r *run) same(k detect.Kind, value string) string {
	if k != detect.Name {
		return value
	}
	value = strings.ReplaceAll(value, "’", "'")
	if strings.Contains(value, " ") {
		return value
	}
	if whole := r.parts[value]; whole != "" && whole != severalPeople {
		return whole
	}
	return value
}

// severalPeople stands in the place of a name whose part is that of another
// one too.
const severalPeople = "\x00"

// person remembers somebody's name, and its parts, which stand alone later: only
// parts that are hardly anything else.
func (r *run) person(name string) {
	r.victims[name] = detect.Name
	words := strings.Fields(name)
	if len(words) < 2 || len(words) > 4 {
		return
	}
	for _, w := range []string{words[0], words[len(words)-1]} {
		if len(w) < 4 || r.sides.words[w] || !r.gate.rules.detector.OnlyName(w) {
			continue
		}
		if whole := r.parts[w]; whole != "" && whole != name {
			r.parts[w] = severalPeople
		} else {
			r.parts[w] = name
		}
		r.victims[w] = detect.Name
	}
}

// taken returns the highest number of each kind of placeholder that the
// submission has already, because it went through a gate before: a new value
// must not look like one of those.
func (r *run) taken() map[string]int {
	next := map[string]int{}
	for i := range r.objects {
		text := string(r.objects[i].Value().Raw())
		for {
			var ok bool
			if _, text, ok = strings.Cut(text, "["); !ok {
				break
			}
			end := strings.IndexByte(text[:min(len(text), 24)], ']')
			if end < 0 || !masked("["+text[:end+1]) {
				continue
			}
			dash := strings.LastIndexByte(text[:end], '-')
			n, err := strconv.Atoi(text[dash+1 : end])
			if err == nil && n < 1<<30 {
				next[text[:dash]] = max(next[text[:dash]], n)
			}
		}
	}
	return next
}

// decide turns places into edits, now that it is known whose everything is.
func (r *run) decide() {
	r.victims, r.found, r.parts = map[string]detect.Kind{}, map[found]int{}, map[string]string{}
	for _, p := range r.places {
		f, i := p.field, p.object
		if r.states[i].dropped {
			continue
		}
		switch f.class {
		case classDrop:
			r.remove(i, p.value, f.as, f.rule, f.why)
		case classContact:
			if !r.sides.attackers[r.objects[i].ID()] {
				r.remove(i, p.value, f.as, f.rule, f.why)
			}
		case classCoarse:
			r.decideCoarse(p)
		case classRecipient:
			r.decideRecipient(p)
		case classMailbox:
			r.decideMailbox(p)
		case classAccount:
			r.decideAccount(p)
		case classNetwork:
			if !r.sides.threat[strings.ToLower(p.text)] && !r.sides.attackers[r.objects[i].ID()] {
				r.replace(i, p.value, block(p.text))
				r.victims[strings.ToLower(p.text)] = detect.Internal
				r.report(i, r.pointer(i, p.value), "internal-address", f.rule, actionGeneralized, f.why, 1)
			}
		case classPerson:
			if !r.sides.attackers[r.objects[i].ID()] && !r.sides.threat[strings.ToLower(p.text)] {
				r.replace(i, p.value, r.label(detect.Name, strings.ToLower(p.text)))
				r.report(i, r.pointer(i, p.value), detect.Name.String(), f.rule, actionMasked, f.why, 1)
				r.person(strings.ToLower(p.text))
			}
		case classPattern:
			r.decidePattern(p)
		case classPayload:
			r.decidePayload(p)
		default:
			r.decideText(p)
		}
	}
}

// decideCoarse rounds a coordinate to a multiple of the rule's step.
func (r *run) decideCoarse(p place) {
	degrees, err := strconv.ParseFloat(string(p.value.Raw()), 64)
	if err != nil || r.sides.attackers[r.objects[p.object].ID()] {
		return
	}
	const most = 6 // decimals, a tenth of a meter
	cut := strconv.FormatFloat(math.Round(degrees/p.field.step)*p.field.step, 'f', most, 64)
	cut = strings.TrimSuffix(strings.TrimRight(cut, "0"), ".")
	if cut == "-0" {
		cut = "0"
	}
	if len(cut) >= len(p.value.Raw()) {
		return
	}
	r.states[p.object].edits = append(r.states[p.object].edits, edit{value: p.value, number: cut})
	r.report(p.object, r.pointer(p.object, p.value), p.field.as, p.field.rule, actionGeneralized, p.field.why, 1)
}

// decideAccount takes out what identifies an account, and remembers it: what an
// object says is an account is one wherever it stands, unless it is a word.
func (r *run) decideAccount(p place) {
	low := strings.ToLower(p.text)
	if r.sides.attackers[r.objects[p.object].ID()] || r.sides.threat[low] {
		return
	}
	r.remove(p.object, p.value, detect.UserName.String(), p.field.rule, p.field.why)
	switch {
	case strings.Contains(low, " "):
		r.person(low)
	case len(low) >= 4 && !r.gate.rules.detector.Common(low):
		r.victims[low] = detect.UserName
	}
}

// composite returns the id of the observable around a value: the object's own,
// or within older observed data the object's and the key.
func (r *run) composite(i int, v stix.Value) (id, prefix string) {
	id = r.objects[i].ID()
	if r.objects[i].Type() != "observed-data" {
		return id, ""
	}
	parts := strings.SplitN(r.pointer(i, v), "/", 4)
	if len(parts) < 3 || parts[1] != "objects" {
		return id, ""
	}
	return id + "#" + parts[2], id + "#"
}

// decideRecipient takes the recipients out of a list of references. Those that
// are the attacker's, such as a mailbox that stolen data is sent to, stay.
func (r *run) decideRecipient(p place) {
	_, prefix := r.composite(p.object, p.value)
	var victims []stix.Value
	for _, e := range p.value.Elements() {
		id := e.Text()
		if prefix != "" && !strings.Contains(id, "--") {
			id = prefix + id
		}
		if !r.sides.attackers[id] && !r.sides.threat[r.sides.addresses[id]] {
			victims = append(victims, e)
		}
	}
	count := len(victims)
	if count == 0 {
		return
	}
	if count == p.value.Len() || count > mostPlaces {
		victims = []stix.Value{p.value}
	}
	for _, v := range victims {
		r.states[p.object].edits = append(r.states[p.object].edits, edit{value: v, remove: true})
	}
	r.report(p.object, r.pointer(p.object, p.value), detect.Email.String(), p.field.rule, actionDropped, p.field.why, count)
}

func (r *run) decideMailbox(p place) {
	s := &r.sides
	low := strings.ToLower(p.text)
	id, prefix := r.composite(p.object, p.value)
	if s.threat[low] || s.attackers[id] || !s.victims[low] && (s.senders[id] || s.hosts[domainOf(low)]) {
		return
	}
	r.victims[low] = detect.Email
	r.rememberMailbox(low)
	if prefix == "" {
		if name := r.objects[p.object].Value().Get("display_name").Text(); strings.Contains(name, " ") {
			r.person(strings.ToLower(name))
		}
		r.drop(p.object, r.pointer(p.object, p.value), detect.Email.String(), p.field.rule, p.field.why)
		return
	}
	inner := r.objects[p.object].Value().Get("objects").Get(strings.TrimPrefix(id, prefix))
	r.remove(p.object, inner, detect.Email.String(), p.field.rule, p.field.why)
	for _, o := range r.objects[p.object].Value().Get("objects").Members() {
		r.unlink(p.object, o, strings.TrimPrefix(id, prefix))
	}
}

// unlink takes out the references to an observable inside older observed data.
func (r *run) unlink(i int, v stix.Value, key string) {
	for name, m := range v.Members() {
		switch {
		case strings.HasSuffix(name, "_ref") && m.Is(key):
			r.states[i].edits = append(r.states[i].edits, edit{value: m, remove: true})
		case strings.HasSuffix(name, "_refs"):
			for _, e := range m.Elements() {
				if e.Is(key) {
					r.states[i].edits = append(r.states[i].edits, edit{value: e, remove: true})
				}
			}
		}
	}
}

// decideText masks what was found in a text and is not the attacker's.
func (r *run) decideText(p place) {
	if p.whole {
		r.decideWhole(p)
		return
	}
	p.spans = r.victimsOwn(p.text, p.spans)
	if len(p.spans) == 0 {
		return
	}
	if p.inKey || p.value.Kind() != stix.String {
		r.reportSpans(p, actionDropped)
		r.states[p.object].edits = append(r.states[p.object].edits, edit{value: p.value, remove: true})
		return
	}
	r.states[p.object].edits = append(r.states[p.object].edits, edit{value: p.value, text: r.clean(p)})
}

// decideWhole puts a title in the place of a text that waits for a person,
// unless the text is what the threat is called.
func (r *run) decideWhole(p place) {
	if r.sides.threat[strings.ToLower(p.text)] {
		return
	}
	with, at := title, r.pointer(p.object, p.value)
	if at == "/name" { // a list of objects needs names that differ
		kind := r.objects[p.object].Type()
		with = strings.ToUpper(kind[:1]) + strings.ReplaceAll(kind[1:], "-", " ") + " " + r.gate.rename(r.objects[p.object].ID())[len(kind)+2:][:8] + " " + title
	}
	for _, sp := range r.gate.rules.detector.Find(nil, p.text, p.field.kinds) {
		if !r.attackersOwn(p.text, sp) {
			r.remember(sp)
		}
	}
	r.replace(p.object, p.value, with)
	r.report(p.object, at, "free-text", "strict", actionWithheld, strictWhy, 1)
	r.review(p.object, at, "free-text", "strict", with, strictWhy, p.text)
}

const strictWhy = "the community has a person read every free text before it is shared (AIS profile, review fields)"

// clean masks and reports a text's spans, and looks at the result again: a
// placeholder is shorter or longer than the value, so a word may now be close
// enough to the next number to say what it is. Another gate further on would
// find that too, and make yet another object.
func (r *run) clean(p place) string {
	const rounds = 8
	for range rounds {
		r.reportSpans(p, actionMasked)
		p.text = r.mask(p)
		p.spans = r.victimsOwn(p.text, r.gate.rules.detector.Find(nil, p.text, p.field.kinds))
		if len(p.spans) == 0 {
			break
		}
	}
	return p.text
}

// victimsOwn returns the spans that are not the attacker's, and remembers them.
func (r *run) victimsOwn(text string, spans []detect.Span) []detect.Span {
	own := make([]detect.Span, 0, len(spans))
	for _, sp := range spans {
		if !r.attackersOwn(text, sp) {
			sp.Unsure = sp.Unsure || r.contradictory(sp)
			r.remember(sp)
			own = append(own, sp)
		}
	}
	return own
}

// remember keeps what is surely the victim's, to find it where nothing but its
// being the same gives it away. Words that could mean something else stay out.
func (r *run) remember(sp detect.Span) {
	switch sp.Kind {
	case detect.Name:
		if strings.Contains(sp.Value, " ") && !sp.Unsure {
			r.person(sp.Value)
		}
	case detect.Host, detect.Internal:
		if len(sp.Value) >= 5 && (!sp.Unsure || strings.ContainsAny(sp.Value, "0123456789")) {
			r.victims[sp.Value] = sp.Kind
		}
	case detect.UserName:
		if r.gate.rules.detector.Personal(sp.Value) || len(sp.Value) >= 6 && !sp.Unsure && !r.gate.rules.detector.Common(sp.Value) {
			r.victims[sp.Value] = sp.Kind
		}
		if len(sp.Value) >= 5 && strings.ContainsAny(sp.Value, "0123456789") && strings.Trim(sp.Value, "0123456789") != "" {
			r.victims[sp.Value] = sp.Kind
		}
	case detect.Secret:
		if len(sp.Value) >= 8 && !strings.Contains(sp.Value, "\n") && len(sp.Value) < 256 {
			r.victims[strings.ToLower(sp.Value)] = sp.Kind
		}
	case detect.Email:
		if !sp.Unsure {
			r.rememberMailbox(sp.Value)
		}
	case detect.Phone, detect.Card, detect.IBAN, detect.SSN, detect.SID, detect.BirthDate, detect.Address, detect.Token,
		detect.NationalID, detect.BankAccount, detect.MedicalID, detect.Vehicle, detect.Coordinates:
	}
}

// rememberMailbox keeps what stands before the @ of a victim's address, which is
// the victim's account as well, unless it is a word.
func (r *run) rememberMailbox(address string) {
	const least = 6
	local, _, _ := strings.Cut(address, "@")
	if len(local) >= least && len(local) <= longestVictim && strings.ContainsAny(local, "._-0123456789") && !r.everybodys(local) && !r.sides.threat[local] {
		r.victims[local] = detect.UserName
	}
}

// mask returns the text with placeholders.
func (r *run) mask(p place) string {
	var b strings.Builder
	b.Grow(len(p.text))
	at := 0
	for _, sp := range p.spans {
		b.WriteString(p.text[at:sp.Start])
		at = sp.End
		label := r.label(sp.Kind, sp.Value)
		if p.field.class == classURL {
			if strings.HasPrefix(p.text[at:], "@") && strings.HasSuffix(p.text[:sp.Start], "://") {
				at++ // the user information goes as a whole (RFC 3986 §3.2.1)
				continue
			}
			// RFC 3986 §3.4 allows no brackets.
			label = "%5B" + label[1:len(label)-1] + "%5D"
		}
		b.WriteString(label)
	}
	b.WriteString(p.text[at:])
	return b.String()
}

// reportSpans records what was found at a place, one finding for each kind.
func (r *run) reportSpans(p place, action string) {
	v := p.value
	at := r.pointer(p.object, v)
	if p.inKey { // the pointer would give the name away
		at = at[:max(0, strings.LastIndexByte(at, '/'))]
	}
	for _, sp := range p.spans {
		if sp.Unsure && !p.inKey {
			r.review(p.object, at, sp.Kind.String(), sp.Kind.String(), r.label(sp.Kind, sp.Value), r.gate.rules.kinds[sp.Kind].why, p.text[sp.Start:sp.End])
		}
	}
	for k := range detect.Kinds() {
		count := 0
		for _, sp := range p.spans {
			if int(sp.Kind) == k {
				count++
			}
		}
		if count > 0 {
			kind := detect.Kind(k)
			key := found{p.object, at, kind}
			if n, ok := r.found[key]; ok {
				r.states[p.object].findings[n].Count += count
				continue
			}
			r.found[key] = len(r.states[p.object].findings)
			r.report(p.object, at, kind.String(), kind.String(), action, r.gate.rules.kinds[k].why, count)
		}
	}
}

// everybodys reports whether an account name is one that every system has.
func (r *run) everybodys(name string) bool {
	return r.gate.rules.detector.Everybodys(name)
}

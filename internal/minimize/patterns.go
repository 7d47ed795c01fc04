package minimize

import (
	"cmp"
	"slices"
	"strings"

	"tocsin/internal/minimize/detect"
	"tocsin/stix"
	"tocsin/stix/pattern"
)

// suspicious reports whether a pattern may hold something of the victim's; it
// is quick to say no.
func (r *run) suspicious(kind stix.Value, text string) bool {
	if !kind.Is("stix") {
		return false
	}
	for _, p := range r.gate.rules.victims {
		// The path may be written with spaces and quotes: one half will do.
		kind, path, _ := strings.Cut(p, ":")
		if strings.Contains(text, cmp.Or(path, kind)) {
			return true
		}
	}
	return len(r.gate.rules.detector.Find(nil, text, r.gate.rules.literal)) > 0
}

// decidePattern masks literals that stand for the victim, and widens those that
// hold something of a victim's: the folder of the next victim has another name,
// so that LIKE 'C:\\Users\\%\\x.exe' finds what = 'C:\\Users\\jane\\x.exe'
// never would, and everything that it found. What cannot be widened without a
// change of meaning is left and reported.
func (r *run) decidePattern(p place) {
	parsed, err := pattern.Parse(p.text)
	if err != nil {
		return
	}
	w := patternWork{run: r, text: p.text}
	for _, a := range parsed.Atoms() {
		for _, l := range a.Values {
			if l.Kind != pattern.String || l.Value == "" {
				continue
			}
			if r.victimPath(a) {
				w.maskLiteral(a, l)
			} else {
				w.cleanLiteral(a, l)
			}
		}
	}
	text, at, i := p.text, r.pointer(p.object, p.value), p.object
	slices.SortFunc(w.cuts, func(a, b cut) int { return b.start - a.start })
	for _, c := range w.cuts {
		text = text[:c.start] + c.with + text[c.end:]
	}
	if len(w.cuts) > 0 {
		r.replace(i, p.value, text)
	}
	if w.masks > 0 {
		r.report(i, at, "pattern-literal", p.field.rule, actionMasked, p.field.why, w.masks)
	}
	for k := range detect.Kinds() {
		kind, why := detect.Kind(k).String(), r.gate.rules.kinds[k].why
		if n := w.widened[k]; n > 0 {
			r.report(i, at, kind, kind, actionGeneralized, why, n)
		}
		if n := w.left[k]; n > 0 {
			r.report(i, at, kind, kind, actionLeft, why, n)
		}
	}
}

// A cut is a part of a pattern to be written anew.
type cut struct {
	start, end int
	with       string
}

// patternWork is the work on one pattern.
type patternWork struct {
	*run
	text          string
	cuts          []cut
	masks         int
	widened, left [32]int // by kind
}

// maskLiteral puts a placeholder in the place of a literal that stands for the
// victim as a whole.
func (w *patternWork) maskLiteral(a pattern.Atom, l pattern.Literal) {
	low, kind := strings.ToLower(l.Value), patternKind(a)
	if w.sides.threat[low] && w.sides.victims[low] { // an indicator without it is none
		w.left[kind]++
	}
	if w.sides.threat[low] || masked(l.Value) || w.everybodys(l.Value) {
		return
	}
	w.cuts = append(w.cuts, cut{l.Start, l.End, pattern.Quote(w.label(kind, low))})
	w.victims[low] = kind
	w.masks++
}

// cleanLiteral widens a literal over what it holds of the victim's.
func (w *patternWork) cleanLiteral(a pattern.Atom, l pattern.Literal) {
	spans := w.gate.rules.detector.Find(nil, l.Value, w.gate.rules.literal)
	kept := spans[:0]
	for _, sp := range spans {
		switch w.literalSide(l.Value, sp) {
		case sideVictims:
			kept = append(kept, sp)
		case sideUnclear:
			w.left[sp.Kind]++
		case sideAttackers:
		}
	}
	if len(kept) == 0 {
		return
	}
	wide := widen(l.Value, kept)
	switch {
	case !telling(wide):
	case a.Op == pattern.Equal && !a.Negated:
		w.cuts = append(w.cuts, wider(w.text, a, l, wide))
		w.learn(kept)
		return
	case a.Op == pattern.Like && !a.Negated:
		w.cuts = append(w.cuts, cut{l.Start, l.End, pattern.Quote(wide)})
		w.learn(kept)
		return
	}
	for _, sp := range kept {
		w.left[sp.Kind]++
	}
}

// learn remembers what was the victim's, to find it in the texts.
func (w *patternWork) learn(spans []detect.Span) {
	for _, sp := range spans {
		w.widened[sp.Kind]++
		if sp.Kind == detect.Email {
			w.victims[sp.Value] = sp.Kind
			continue
		}
		w.remember(sp)
	}
}

// The sides of a part of a literal.
const (
	sideAttackers = iota
	sideVictims
	sideUnclear
)

// literalSide says whose a part of a literal is that no victim's path compares.
// A literal is what the indicator is about; what stands in the middle of one
// may be what the attack met with at the victim's.
func (r *run) literalSide(literal string, sp detect.Span) int {
	s := &r.sides
	whole := strings.Trim(literal[:sp.Start]+literal[sp.End:], "%") == ""
	switch {
	case sp.Attacker, s.threat[sp.Value] && (!whole || !s.victims[sp.Value]):
		if whole && (sp.Kind == detect.Host || sp.Kind == detect.Email && s.ours(domainOf(sp.Value))) {
			return sideUnclear // a machine of an internal network: an indicator without it is none
		}
		return sideAttackers
	case whole && sp.Kind != detect.UserName:
		return sideUnclear
	}
	switch sp.Kind {
	case detect.Email:
		domain := domainOf(sp.Value)
		if s.victims[sp.Value] || s.ours(domain) {
			return sideVictims
		}
		// The recipient's address in the link that the recipient got.
		if url := word(literal, sp.Start, sp.End); strings.Contains(url, "://") && strings.ContainsAny(literal[:sp.Start], "?#") &&
			!r.gate.rules.freeMail[domain] && !s.hosts[domain] && !strings.HasSuffix(hostOf(url), domain) {
			return sideVictims
		}
		return sideAttackers
	case detect.Secret, detect.Token:
		// Who has the server gives out the passwords that stand in its addresses.
		if url := word(literal, sp.Start, sp.End); strings.Contains(url, "://") && !s.ours(hostOf(url)) {
			return sideAttackers
		}
		return sideVictims
	case detect.UserName, detect.SID, detect.Host, detect.Card, detect.SSN, detect.IBAN, detect.Phone, detect.BirthDate, detect.Address,
		detect.Name, detect.NationalID, detect.BankAccount, detect.MedicalID, detect.Vehicle, detect.Coordinates, detect.Internal:
	}
	return sideVictims
}

// telling reports whether a widened literal still says something: a wildcard
// with hardly anything around it would match what it should not.
func telling(like string) bool {
	const least = 4
	n := 0
	for _, c := range like {
		if c != '%' && c != '_' && c != '\\' && c != '/' && c != ' ' {
			n++
		}
	}
	return n >= least
}

// wider turns = and its literal into LIKE and a wider one.
func wider(text string, a pattern.Atom, l pattern.Literal, with string) cut {
	start := a.Start + len(strings.TrimRight(text[a.Start:l.Start], " \t\r\n="))
	return cut{start, l.End, " LIKE " + pattern.Quote(with)}
}

// patternKind returns what the literals of a victim's path are.
func patternKind(a pattern.Atom) detect.Kind {
	path := strings.ToLower(a.Path)
	switch {
	case strings.HasPrefix(path, "environment_variables.") && (strings.Contains(path, "computer") || strings.Contains(path, "domain") || strings.Contains(path, "server") || strings.Contains(path, "host")):
		return detect.Host
	case a.ObjectType == "user-account", strings.HasPrefix(path, "environment_variables."), strings.HasPrefix(path, "creator_user_ref."), strings.HasPrefix(path, "belongs_to_ref."):
		return detect.UserName
	}
	return detect.Email
}

// widen puts LIKE's wildcard (STIX 2.1 §9.6.1) in the place of what was found.
func widen(text string, spans []detect.Span) string {
	var b strings.Builder
	at := 0
	for _, sp := range spans {
		b.WriteString(text[at:sp.Start])
		b.WriteByte('%')
		at = sp.End
	}
	b.WriteString(text[at:])
	return b.String()
}

package minimize

import (
	"encoding/base64"

	"tocsin/internal/minimize/detect"
	"tocsin/stix"
)

// lookInside looks at the content of an artifact, when that is a text. Programs
// are not: what looks like a number in one is chance.
func (r *run) lookInside(i int, v stix.Value, f *field) {
	if r.objects[i].Value().Get("encryption_algorithm").Exists() {
		return
	}
	content, err := base64.StdEncoding.DecodeString(v.Text())
	if err != nil {
		return
	}
	text, ok := detect.Text(content)
	if !ok {
		return
	}
	if spans := r.gate.rules.detector.Find(nil, text, f.kinds); len(spans) > 0 {
		r.places = append(r.places, place{object: i, value: v, field: f, text: text, spans: spans})
	}
}

// decidePayload drops an artifact whose text holds somebody's personal data. In
// a file of the attacker's, the addresses, names and passwords are the
// attacker's too, unless something says that they are the victim's; what
// identifies a person and nothing else, such as a card or a patient's number,
// was stolen.
func (r *run) decidePayload(p place) {
	i := p.object
	theirs := r.sides.attackers[r.objects[i].ID()]
	personal, left := 0, 0
	for _, sp := range p.spans {
		switch {
		case r.attackersOwn(p.text, sp):
		case theirs && !r.surelyVictims(sp):
			left++
		default:
			personal++
		}
	}
	switch {
	case personal > 0:
		r.drop(i, r.pointer(i, p.value), "payload", p.field.rule, p.field.why)
	case left > 0:
		r.report(i, r.pointer(i, p.value), "payload", p.field.rule, actionLeft, "the file is the attacker's: "+p.field.why, left)
	}
}

// surelyVictims reports whether a value in a file of the attacker's is a victim's.
func (r *run) surelyVictims(sp detect.Span) bool {
	s := &r.sides
	if s.victims[sp.Value] {
		return true
	}
	switch sp.Kind {
	case detect.Card, detect.SSN, detect.BirthDate, detect.NationalID, detect.MedicalID:
		return true
	case detect.Email:
		return s.ours(domainOf(sp.Value))
	case detect.Host:
		return s.ours(sp.Value)
	case detect.Secret, detect.Token, detect.IBAN, detect.SID, detect.Phone, detect.Address, detect.UserName, detect.Name, detect.BankAccount,
		detect.Vehicle, detect.Coordinates, detect.Internal:
	}
	return false
}

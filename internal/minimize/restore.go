package minimize

import (
	"regexp"
	"strings"
	"time"

	"tocsin"
	"tocsin/internal/review"
	"tocsin/internal/validate"
	"tocsin/stix"
)

// Restore makes the following version of a published object: what people
// decided stands where the placeholders stood, and everything else is as it was,
// byte for byte, but for its modified property (STIX 2.1 §3.6). What people have
// decided is not looked at by rules again. A conflict is the answer when a
// placeholder does not stand there any more.
func (g *Gate) Restore(published []byte, approvals []review.Approval, now time.Time) (Bundle, error) {
	v, err := stix.Parse(published, stix.Limits{})
	if err != nil {
		return Bundle{}, err
	}
	texts := map[stix.Value]string{} // the texts as they become
	for _, a := range approvals {
		i := a.Item()
		at, ok := placeOf(v, i, texts)
		if !ok {
			return Bundle{}, &tocsin.Error{
				Kind: tocsin.Conflict, Message: "the object has changed since, and the placeholder does not stand there any more", Hint: "reject the review, which leaves the object as it is",
			}
		}
		text, edited := texts[at]
		if !edited {
			text = at.Text()
		}
		texts[at] = strings.ReplaceAll(text, written(text, i.Placeholder), a.Text())
	}
	ed := stix.Edit(v)
	for at, text := range texts {
		ed.Replace(at, quote(text))
	}
	if m := v.Get("modified"); m.Exists() {
		before, ok := stix.ParseTime(m.Text())
		if next := before.Truncate(time.Millisecond).Add(time.Millisecond); ok && now.Before(next) {
			now = next // the clock that it was made by is ahead of this one
		}
		ed.Replace(m, quote(now.UTC().Format("2006-01-02T15:04:05.000Z")))
	}
	v, err = stix.Parse(ed.Bytes(), stix.Limits{})
	if err != nil {
		return Bundle{}, err
	}
	o, problems := validate.NewObject(v)
	if o.ID() == "" && len(problems) > 0 {
		return Bundle{}, &tocsin.Error{
			Kind: tocsin.Invalid, Clause: problems[0].Clause, Message: "with this text the object would not be valid STIX", Hint: "redact with another text",
		}
	}
	return Bundle{objects: []Object{{Object: o}}, rules: g.rules.hash, restored: approvals}, nil
}

// Around returns the text in which an item's placeholder stands in a published
// object, "" when it does not stand there any more.
func Around(published []byte, i review.Item) string {
	v, err := stix.Parse(published, stix.Limits{})
	if err != nil {
		return ""
	}
	at, _ := placeOf(v, i, nil)
	return at.Text()
}

// written returns a placeholder as it is written in a text: in URLs its
// brackets are percent-encoded (RFC 3986 §3.4). It is "" when it is not there.
func written(text, placeholder string) string {
	if strings.Contains(text, placeholder) {
		return placeholder
	}
	if in := "%5B" + strings.Trim(placeholder, "[]") + "%5D"; strings.Contains(text, in) {
		return in
	}
	return ""
}

var indexes = regexp.MustCompile(`/[0-9]+(/|$)`)

// placeOf finds the text in which an item's placeholder stands: at its pointer,
// or at the only place in the same lists when elements before it have gone.
func placeOf(v stix.Value, i review.Item, texts map[stix.Value]string) (at stix.Value, ok bool) {
	shape := indexes.ReplaceAllString(i.At, "/*$1")
	var near []stix.Value
	var walk func(m stix.Value)
	walk = func(m stix.Value) {
		switch m.Kind() {
		case stix.Array:
			for _, e := range m.Elements() {
				walk(e)
			}
		case stix.Object:
			for _, e := range m.Members() {
				walk(e)
			}
		case stix.String:
			text, edited := texts[m]
			if !edited {
				text = m.Text()
			}
			pointer := m.Pointer()
			switch {
			case written(text, i.Placeholder) == "":
			case pointer == i.At:
				at, ok = m, true
			case indexes.ReplaceAllString(pointer, "/*$1") == shape:
				near = append(near, m)
			}
		case stix.Absent, stix.Null, stix.Bool, stix.Number:
		}
	}
	walk(v)
	if !ok && len(near) == 1 {
		return near[0], true
	}
	return at, ok
}

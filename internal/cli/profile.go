package cli

import (
	"context"
	"io"
	"strconv"
	"strings"

	"tocsin/internal/validate"
	"tocsin/stix"
)

// profileFlag reads the name of a profile.
func profileFlag(name string) (stix.Profile, error) {
	p, ok := stix.ParseProfile(name)
	if !ok {
		return "", usage("there is no such profile", "--profile takes ais, interop, or interop: and a persona: aim, lim, mas, siem, sxc, sxp, tds, tip, tms")
	}
	return p, nil
}

// mostWhole bounds a file that is checked against a profile, in bytes.
const mostWhole = 512 << 20

// wholes hands every file on as one piece: the rules of a profile are about
// bundles, not about objects alone.
func (a *app) wholes(ctx context.Context, verb string, names []string, f func(in *input, p piece) error, done func(in *input)) error {
	bar := a.progress(verb, 0)
	defer bar.end()
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err //nolint:wrapcheck // the context's own error
		}
		in, err := a.open(name)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(io.LimitReader(in.r, mostWhole+1))
		in.close()
		switch {
		case err != nil:
			return &failure{code: ExitFault, what: "the file cannot be read to its end", where: in.name, err: err}
		case len(text) > mostWhole:
			return &failure{code: ExitNo, what: "the file is larger than " + strconv.Itoa(mostWhole>>20) + " MiB", where: in.name, next: "a profile is checked on whole bundles; split it"}
		}
		if err := f(in, piece{place: place{line: 1, column: 1}, raw: text}); err != nil {
			return err
		}
		bar.at(in.read.n, 1)
		bar.end()
		done(in)
	}
	return nil
}

// addWhole checks a whole file against a profile.
func (r *validated) addWhole(text []byte, profile stix.Profile) (wrong, should []fault) {
	root, err := stix.Parse(text, stix.Limits{Bytes: mostWhole})
	if err != nil {
		r.Objects, r.Invalid = r.Objects+1, r.Invalid+1
		return []fault{syntaxFault(err)}, nil
	}
	wrong, should = checkParsed(root, profile)
	if objects := root.Get("objects"); objects.Kind() == stix.Array {
		r.bundles++
		r.Objects += objects.Len()
	} else {
		r.Objects++
	}
	bad := map[string]bool{}
	for _, f := range wrong {
		// The object, or "" for the bundle around it.
		if rest, ok := strings.CutPrefix(f.At, "/objects/"); ok {
			index, _, _ := strings.Cut(rest, "/")
			bad[index] = true
		} else if r.bundles == 0 {
			bad[""] = true
		}
	}
	r.Invalid += len(bad)
	return wrong, should
}

// checkParsed checks an object, a bundle or an envelope.
func checkParsed(root stix.Value, profile stix.Profile) (wrong, should []fault) {
	objects := root.Get("objects")
	switch {
	case root.Get("type").Is("bundle"):
		var ids []string
		for _, o := range objects.Elements() {
			ids = append(ids, ownID(o))
		}
		return sorted(validate.CheckBundle(root, profile), "", func(at string) string {
			rest, _ := strings.CutPrefix(at, "/objects/")
			index, _, _ := strings.Cut(rest, "/")
			if i, err := strconv.Atoi(index); err == nil && i < len(ids) {
				return ids[i]
			}
			return ""
		})
	case objects.Kind() == stix.Array && !root.Get("type").Exists(): // an envelope (TAXII 2.1 §3.7)
		for i, v := range objects.Elements() {
			w, s := checkValue(v, "/objects/"+strconv.Itoa(i), profile)
			wrong, should = append(wrong, w...), append(should, s...)
		}
		return wrong, should
	}
	return checkValue(root, "", profile)
}

// checkValue checks one object, which stands at a place.
func checkValue(v stix.Value, at string, profile stix.Profile) (wrong, should []fault) {
	id := ownID(v)
	return sorted(validate.Check(v, profile), at, func(string) string { return id })
}

// ownID returns an object's identifier, "" when it is none.
func ownID(o stix.Value) string {
	id := o.Get("id").Text()
	if _, _, ok := stix.SplitID(id); !ok {
		return ""
	}
	return id
}

// sorted makes faults of problems, errors apart from warnings.
func sorted(problems []stix.Problem, at string, object func(at string) string) (wrong, should []fault) {
	for _, p := range problems {
		f := fault{At: at + p.At, Clause: p.Clause, Message: p.Message, Object: object(p.At)}
		if p.Class == stix.ClassWarning {
			should = append(should, f)
		} else {
			wrong = append(wrong, f)
		}
	}
	return wrong, should
}

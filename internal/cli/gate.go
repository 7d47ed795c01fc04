package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tocsin/internal/minimize"
	"tocsin/internal/validate"
	"tocsin/stix"
)

// secretSize is the length in bytes of the secret that keys the ids of
// changed copies.
const secretSize = 32

// gate returns the privacy gate that runs here, before anything leaves this
// machine. Its secret stays in the configuration folder: the same object gets
// the same new id every time, and nobody else can tell which one it was.
func (a *app) gate(configDir, creator, rules string) (*minimize.Gate, error) {
	dir, err := a.configDir(configDir)
	if err != nil {
		return nil, err
	}
	secret, err := loadSecret(secretFile(dir))
	if err != nil {
		return nil, err
	}
	changed, err := loadChanged(filepath.Join(dir, changedFile))
	if err != nil {
		return nil, err
	}
	var policy []byte
	if rules != "" {
		if policy, err = os.ReadFile(rules); err != nil {
			return nil, fileError(rules, err)
		}
	}
	g, err := minimize.New(minimize.Options{Secret: secret, Creator: creator, Changed: changed, Rules: policy})
	if rules != "" && err != nil {
		return nil, &failure{code: ExitUsage, what: err.Error(), where: rules, next: "'tocsin minimize --print-rules' writes the file that comes with the program"}
	}
	if err != nil {
		return nil, fmt.Errorf("privacy gate: %w", err)
	}
	return g, nil
}

// changedFile lists the objects that the gate here has changed, one id a line:
// their later versions and revocations go to the copies that others know.
const changedFile = "minimize.changed"

// loadChanged reads that list; nil when there is none.
func loadChanged(name string) (func(id string) bool, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileError(name, err)
	}
	ids := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		ids[strings.TrimSpace(line)] = true
	}
	return func(id string) bool { return ids[id] }, nil
}

// keepChanged adds to the list, before anything is shared: what is on it without
// having been shared does no harm, what is missing could never be revoked.
func (a *app) keepChanged(configDir string, objects []minimize.Object) (err error) {
	dir, err := a.configDir(configDir)
	if err != nil {
		return err
	}
	name := filepath.Join(dir, changedFile)
	known, err := loadChanged(name)
	if err != nil {
		return err
	}
	var text []byte
	for _, o := range objects {
		if id := o.Original(); id != "" && (known == nil || !known(id)) {
			text = append(append(text, id...), '\n')
		}
	}
	if len(text) == 0 {
		return nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fileError(name, err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fileError(name, err)
	}
	return nil
}

func secretFile(dir string) string { return filepath.Join(dir, "minimize.secret") }

// loadSecret reads a secret, and makes it when it is not there. Of two
// processes that make it at once, one wins and both use what it made.
func loadSecret(name string) ([]byte, error) {
	secret, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		if err := makeSecret(name); err != nil {
			return nil, &failure{code: ExitFault, what: "the privacy gate's secret cannot be kept", where: name, err: err, next: "name a folder for it with --config-dir"}
		}
		secret, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, fileError(name, err)
	}
	if len(secret) != secretSize {
		return nil, &failure{code: ExitFault, what: "the privacy gate's secret is damaged", where: name, next: "restore it from a backup; with a new one, objects that you share again get other ids"}
	}
	return secret, nil
}

// makeSecret writes a new secret beside its place and links it there whole, so
// that nobody reads half of one.
func makeSecret(name string) error {
	secret := make([]byte, secretSize)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("folder: %w", err)
	}
	f, err := os.CreateTemp(dir, ".secret-*") // only its owner can read it
	if err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // its other name stays
	_, err = f.Write(secret)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	if err := os.Link(f.Name(), name); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("secret: %w", err)
	}
	return nil
}

// A gated is a set of objects before and after the privacy gate, which looks
// at all of them together: what is the victim's is often said by another
// object.
type gated struct {
	objects  []minimize.Object
	findings []minimize.Finding
	reviews  []minimize.Review
	rejected []validate.Rejection
	before   map[string]stix.Value // by id and version
	rules    string
	valid    validate.Bundle // what went in
	out      minimize.Bundle
}

// Limits of what one run of the program shares at once: it holds all of it.
const (
	mostBytes   = 1 << 30
	mostObjects = 5_000_000
)

// pass runs objects through validation and the privacy gate.
func pass(g *minimize.Gate, raw [][]byte) (gated, error) {
	text := make([]byte, 0, 64)
	text = append(text, `{"objects":[`...)
	text = append(text, bytes.Join(raw, []byte(","))...)
	text = append(text, "]}"...)
	valid, err := validate.Parse(text, validate.Options{Bytes: mostBytes, Objects: mostObjects})
	if err != nil {
		return gated{}, fmt.Errorf("validate: %w", err)
	}
	r := gated{valid: valid}
	r.take(g.Apply(valid))
	return r, nil
}

// take keeps what came out of the gate, and the originals of what was found
// something in.
func (g *gated) take(out minimize.Bundle) {
	g.out, g.objects, g.findings, g.reviews = out, out.Objects(), out.Findings(), out.Reviews()
	g.rejected, g.rules, g.before = out.Rejected(), out.Rules(), map[string]stix.Value{}
	if len(g.findings) == 0 {
		return
	}
	changed := map[string]bool{}
	for _, f := range g.findings {
		changed[f.Object] = true
	}
	for _, o := range g.valid.Objects() {
		if changed[o.ID()] {
			g.before[o.ID()+" "+o.Version()] = o.Value()
			g.before[o.ID()] = o.Value()
		}
	}
}

// anonymize takes out what tells who submits.
func (g *gated) anonymize(gate *minimize.Gate, self string) {
	if self == "" {
		g.take(gate.Anonymize(g.out))
		return
	}
	g.take(gate.Anonymize(g.out, self))
}

// original returns an object as it was before the gate; absent when the gate
// found nothing in it.
func (g *gated) original(o minimize.Object) stix.Value {
	if v, ok := g.before[o.Original()+" "+o.Version()]; ok {
		return v
	}
	return g.before[o.Original()]
}

// at follows a JSON Pointer (RFC 6901) into a value; absent when it leads
// nowhere.
func at(v stix.Value, pointer string) stix.Value {
	if pointer == "" {
		return v
	}
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for _, token := range strings.Split(pointer, "/")[1:] {
		next := v.Get(unescape.Replace(token))
		for i, e := range v.Elements() {
			if fmt.Sprint(i) == token {
				next = e
			}
		}
		v = next
	}
	return v
}

// A difference is one place that the gate changed, for people to see.
type difference struct {
	at, before, after string // after is "" for what was removed
}

// differences compares an object with its copy: every value that is no longer
// there or not the same. Ids and references change with the copy and are left
// out.
func differences(before, after stix.Value, pointer string) (found []difference) {
	switch {
	case !after.Exists():
		return []difference{{pointer, string(before.Raw()), ""}}
	case before.Kind() == stix.Object && after.Kind() == stix.Object:
		for name, v := range before.Members() {
			if name == "id" || name == "created_by_ref" || strings.HasSuffix(name, "_ref") || strings.HasSuffix(name, "_refs") {
				continue
			}
			token := strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
			found = append(found, differences(v, after.Get(name), pointer+"/"+token)...)
		}
		return found
	case before.Kind() == stix.Array && after.Kind() == stix.Array && before.Len() == after.Len():
		i := 0
		for _, v := range before.Elements() {
			found = append(found, differences(v, at(after, fmt.Sprintf("/%d", i)), fmt.Sprintf("%s/%d", pointer, i))...)
			i++
		}
		return found
	case bytes.Equal(before.Raw(), after.Raw()):
		return nil
	}
	return []difference{{pointer, string(before.Raw()), string(after.Raw())}}
}

// showChanged prints how the gate changed objects, at most so many of them, and
// returns how many it changed and how many changed with them, because they
// refer to one that has a new id.
func (a *app) showChanged(g *gated, most int) (changed, followed int) {
	for _, o := range g.objects {
		if o.Original() == "" {
			continue
		}
		before := g.original(o)
		var places []difference
		if before.Exists() {
			places = differences(before, o.Value(), "")
		}
		if len(places) == 0 {
			followed++
			continue
		}
		if changed++; changed > most {
			continue
		}
		a.say("  %s", a.out(bold, safe(o.Original())))
		for _, d := range places {
			old, masked := around(d.before, d.after, a.Width-8)
			a.say("    %s", a.out(faint, safe(d.at)))
			a.say("    %s", a.out(red, "- "+old))
			if d.after != "" {
				a.say("    %s", a.out(green, "+ "+masked))
			}
			for _, why := range g.reasons(o.Original(), d.at) {
				a.say("      %s", a.out(faint, why))
			}
		}
	}
	return changed, followed
}

// reasons says by which rules, and by whose authority, the gate changed a place
// or something inside of it.
func (g *gated) reasons(object, at string) (list []string) {
	for _, f := range g.findings {
		if f.Object == object && (f.At == at || strings.HasPrefix(f.At, at+"/")) {
			list = append(list, f.Class+" "+f.Action+": "+f.Why)
		}
	}
	for _, r := range g.reviews {
		if r.Object == object && r.At == at {
			list = append(list, r.Placeholder+" is unsure: a person can restore it")
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// around shortens two texts for one line each, so that the place where they
// begin to differ can be seen.
func around(before, after string, width int) (string, string) {
	width = max(width, 40)
	b, c := []rune(printable([]byte(before))), []rune(printable([]byte(after)))
	same := 0
	for same < min(len(b), len(c)) && b[same] == c[same] {
		same++
	}
	from := 0
	if after != "" && max(len(b), len(c)) > width {
		from = max(0, same-width/3)
	}
	cut := func(r []rune) string {
		lead, trail := "", ""
		if from > 0 {
			lead = "…"
		}
		r = r[min(from, len(r)):]
		if len(r) > width-2 {
			r, trail = r[:width-2], "…"
		}
		return lead + string(r) + trail
	}
	return cut(b), cut(c)
}

// gathered is what files hold.
type gathered struct {
	raw    [][]byte // objects that are JSON, definitions and identities first
	broken []fault  // the rest
}

// gather reads all objects of files. What explains others goes before them: a
// hub that does not know a marking closes what carries it.
func (a *app) gather(ctx context.Context, names []string) (gathered, error) {
	var g gathered
	var rest [][]byte
	size := 0
	files, err := a.readDocuments(ctx, names, &g)
	if err != nil {
		return gathered{}, err
	}
	g.raw, rest = nil, g.raw
	err = a.pieces(ctx, "reading", files, func(in *input, p piece) error {
		if p.shell {
			for _, f := range checkShell(p.raw) {
				g.broken = append(g.broken, fault{At: fmt.Sprintf("%s:%d", in.name, p.line), Clause: f.Clause, Message: f.Message})
			}
			return nil
		}
		v, err := stix.Parse(p.raw, stix.Limits{})
		if err != nil {
			f := syntaxFault(err)
			f.At = fmt.Sprintf("%s:%d", in.name, p.line)
			g.broken = append(g.broken, f)
			return nil
		}
		if size += len(p.raw) + 1; size > mostBytes-64 || len(rest)+len(g.raw) == mostObjects {
			return usage("this is too much to look at together: more than 1 GiB or 5,000,000 objects", "share it in parts")
		}
		switch kind := v.Get("type").Text(); {
		case kind == "bundle": // an empty one: one with objects was taken apart
		case explains(kind):
			g.raw = append(g.raw, bytes.Clone(p.raw))
		default:
			rest = append(rest, bytes.Clone(p.raw))
		}
		return nil
	}, func(*input) {})
	g.raw = append(g.raw, rest...)
	if err == nil && len(g.raw) == 0 {
		return gathered{}, &failure{code: ExitUsage, what: "there is no STIX object in " + strings.Join(names, ", "), next: "tocsin validate says what is wrong"}
	}
	return g, err
}

// explains reports whether other objects mean less without those of this type.
func explains(kind string) bool {
	return kind == "marking-definition" || kind == "extension-definition" || kind == "identity"
}

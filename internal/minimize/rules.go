package minimize

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"go.yaml.in/yaml/v3"

	"tocsin/internal/minimize/detect"
)

//go:embed rules.yaml
var defaultRules string

// DefaultRules returns the rule file that applies when [Options] has none, for
// those who want to read it or to begin their own with it.
func DefaultRules() []byte { return []byte(defaultRules) }

// StrictRules returns the same rules with the strict path, on which free text
// waits for a person.
func StrictRules() []byte {
	return []byte(strings.Replace(defaultRules, "\npath: automatic", "\npath: strict", 1))
}

// CheckRules returns why a rule file cannot be used, with the line, nil when it can.
func CheckRules(text []byte) error {
	_, err := parseRules(text)
	return err
}

// format is the version of the rule file's format and of what the classes and
// detectors mean. It goes into the rules' hash: other detectors are other rules.
const format = 1

// The classes of properties that have a meaning of their own. All others name
// a set of detectors.
const (
	classPass      = "pass"
	classText      = "text"
	classURL       = "url"
	classAttacker  = "attacker"
	classDrop      = "drop"
	classRecipient = "recipient"
	classMailbox   = "mailbox"
	classAccount   = "account"
	classNetwork   = "network"
	classPerson    = "person"
	classContact   = "contact"
	classCoarse    = "coarse"
	classPattern   = "pattern"
	classPayload   = "payload"
)

// A scalar is a text of the rule file and the line that it stands on.
type scalar struct {
	text string
	line int
}

// UnmarshalYAML keeps the line for errors.
func (s *scalar) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: a text was expected", n.Line)
	}
	s.text, s.line = n.Value, n.Line
	return nil
}

// ruleFile is a rule file as it is written.
type ruleFile struct {
	Format    int    `yaml:"format"`
	Name      string `yaml:"name"`
	Version   int    `yaml:"version"`
	Verified  string `yaml:"verified"`
	Basis     string `yaml:"basis"`
	Path      scalar `yaml:"path"`
	Detectors []struct {
		Kind   scalar `yaml:"kind"`
		Action scalar `yaml:"action"`
		Why    string `yaml:"why"`
	} `yaml:"detectors"`
	Classes map[string][]scalar `yaml:"classes"`
	Fields  []struct {
		Class scalar   `yaml:"class"`
		Rule  string   `yaml:"rule"`
		As    string   `yaml:"as"`
		Why   string   `yaml:"why"`
		Step  float64  `yaml:"step"`
		On    []scalar `yaml:"on"`
	} `yaml:"fields"`
	Extensions []struct {
		ID   scalar `yaml:"id"`
		Name string `yaml:"name"`
	} `yaml:"extensions"`
	Anonymous []struct {
		To   scalar   `yaml:"to"`
		Rule string   `yaml:"rule"`
		As   string   `yaml:"as"`
		Why  string   `yaml:"why"`
		On   []scalar `yaml:"on"`
	} `yaml:"anonymous"`
	FoldCase    []scalar `yaml:"fold_case"`
	VictimPaths []string `yaml:"victim_paths"`
	FreeMail    []string `yaml:"free_mail"`
	Public      struct {
		Creators []string `yaml:"creators"`
		Sources  []string `yaml:"sources"`
	} `yaml:"public"`
	Words detect.Words `yaml:"words"`
}

// A field says how the values of some properties are treated.
type field struct {
	class string
	rule  string     // the name of the rule, for findings
	as    string     // what kind of value it is, for findings
	why   string     // with the citation
	kinds detect.Set // what is looked for in its texts
	step  float64    // of a coordinate: the degrees that it is rounded to
}

// A node is a property of a type, and what is known of the properties below.
type node struct {
	field *field // nil: as the property above
	kids  map[string]*node
	any   *node // for every other name
	fold  bool  // the names below are compared without case
}

func (n *node) child(name string) *node {
	if n == nil {
		return nil
	}
	if k := n.kids[name]; k != nil {
		return k
	}
	if n.fold {
		if k := n.kids[strings.ToLower(name)]; k != nil {
			return k
		}
	}
	return n.any
}

// rules are a rule file, ready for use.
type rules struct {
	hash                  string
	kinds                 [32]struct{ action, why string }
	text                  *field     // for what is not listed
	literal               detect.Set // what is looked for in literals of patterns
	strict                bool       // free text waits for a person
	types                 map[string]*node
	common                *node // for types that are not named
	victims               []string
	extensions            map[string]bool     // ids of extension definitions that are registered
	coarser               map[string]*coarser // what anonymous submissions generalize, by type:property
	freeMail              map[string]bool
	public, publicSources map[string]bool // creators and catalogs that are everybody's
	detector              *detect.Detector
}

// parseRules reads a rule file. Its errors name the line.
func parseRules(text []byte) (*rules, error) {
	var f ruleFile
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("rules: there is a second document in the file")
	}
	if f.Format != format {
		return nil, fmt.Errorf("rules: line 1: format %d is not known, only %d", f.Format, format)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "tocsin minimize %d\n%s", format, text))
	r := &rules{
		hash: "sha256:" + hex.EncodeToString(sum[:]), types: map[string]*node{}, common: &node{},
		victims: f.VictimPaths, freeMail: map[string]bool{}, detector: detect.New(f.Words),
	}
	switch f.Path.text {
	case "", "automatic":
	case "strict":
		r.strict = true
	default:
		return nil, fmt.Errorf("rules: line %d: a path is automatic or strict", f.Path.line)
	}
	r.public, r.publicSources = map[string]bool{}, map[string]bool{}
	for _, id := range f.Public.Creators {
		r.public[id] = true
	}
	for _, name := range f.Public.Sources {
		r.publicSources[name] = true
	}
	for _, domain := range f.FreeMail {
		r.freeMail[domain] = true
	}
	classes, err := r.detectors(&f)
	if err != nil {
		return nil, err
	}
	r.text = &field{class: classText, kinds: classes[classText]}
	if r.literal = classes[classPattern]; r.literal == 0 {
		r.literal = detect.Of(detect.UserName)
	}
	return r, r.fields(&f, classes)
}

// detectors reads what happens to each kind of value and which kinds each class
// looks for.
func (r *rules) detectors(f *ruleFile) (map[string]detect.Set, error) {
	for _, d := range f.Detectors {
		kind, ok := detect.ParseKind(d.Kind.text)
		if !ok {
			return nil, fmt.Errorf("rules: line %d: no detector is called %q", d.Kind.line, d.Kind.text)
		}
		if d.Action.text != actionMasked {
			return nil, fmt.Errorf("rules: line %d: a detector's action can only be %q", d.Action.line, actionMasked)
		}
		if d.Why == "" {
			return nil, fmt.Errorf("rules: line %d: the detector has no reason", d.Kind.line)
		}
		r.kinds[kind].action, r.kinds[kind].why = d.Action.text, d.Why
	}
	classes := map[string]detect.Set{}
	for name, list := range f.Classes {
		for _, s := range list {
			kind, ok := detect.ParseKind(s.text)
			if !ok || r.kinds[kind].action == "" {
				return nil, fmt.Errorf("rules: line %d: no detector is called %q", s.line, s.text)
			}
			classes[name] |= detect.Of(kind)
		}
	}
	if classes[classText] == 0 {
		return nil, fmt.Errorf("rules: there is no class %q", classText)
	}
	return classes, nil
}

// fields reads the properties by class.
func (r *rules) fields(f *ruleFile, classes map[string]detect.Set) error {
	own := map[string]detect.Set{
		classPass: 0, classAttacker: 0, classDrop: 0, classRecipient: 0, classMailbox: 0, classAccount: 0, classNetwork: 0,
		classPerson: 0, classContact: 0, classCoarse: 0, classPattern: 0, classPayload: classes[classText],
	}
	for _, p := range f.Fields {
		kinds, known := classes[p.Class.text]
		if set, special := own[p.Class.text]; special {
			kinds, known = set, true
		}
		if !known {
			return fmt.Errorf("rules: line %d: there is no class %q", p.Class.line, p.Class.text)
		}
		if p.Why == "" {
			return fmt.Errorf("rules: line %d: the properties have no reason", p.Class.line)
		}
		if coarse := p.Class.text == classCoarse; coarse != (p.Step > 0) {
			return fmt.Errorf("rules: line %d: the class %s has a step above 0, and no other class has one", p.Class.line, classCoarse)
		}
		fd := &field{class: p.Class.text, rule: p.Rule, as: p.As, why: p.Why, kinds: kinds, step: p.Step}
		for _, path := range p.On {
			n, err := r.at(path)
			if err != nil {
				return err
			}
			if n.field != nil {
				return fmt.Errorf("rules: line %d: the path is listed twice", path.line)
			}
			n.field = fd
		}
	}
	for _, path := range f.FoldCase {
		n, err := r.at(path)
		if err != nil {
			return err
		}
		n.fold = true
	}
	if err := r.register(f, classes); err != nil {
		return err
	}
	for name, n := range r.types {
		r.types[name] = merge(n, r.common)
	}
	return r.generalize(f)
}

// at returns the node of a path, which it makes.
func (r *rules) at(path scalar) (*node, error) {
	kind, rest, ok := strings.Cut(path.text, ":")
	if !ok || kind == "" || rest == "" {
		return nil, fmt.Errorf("rules: line %d: a path is type:property.property", path.line)
	}
	n := r.common
	if kind != "*" {
		if r.types[kind] == nil {
			r.types[kind] = &node{}
		}
		n = r.types[kind]
	}
	for name := range strings.SplitSeq(rest, ".") {
		switch name {
		case "":
			return nil, fmt.Errorf("rules: line %d: a path has an empty name in it", path.line)
		case "*":
			if n.any == nil {
				n.any = &node{}
			}
			n = n.any
		default:
			if n.kids == nil {
				n.kids = map[string]*node{}
			}
			if n.kids[name] == nil {
				n.kids[name] = &node{}
			}
			n = n.kids[name]
		}
	}
	return n, nil
}

// merge lays a type's own rules over those of all types.
func merge(own, common *node) *node {
	if own == nil || common == nil {
		if own == nil {
			return common
		}
		return own
	}
	m := &node{field: own.field, fold: own.fold || common.fold, kids: map[string]*node{}}
	if m.field == nil {
		m.field = common.field
	}
	maps.Copy(m.kids, common.kids)
	for name, k := range own.kids {
		m.kids[name] = merge(k, common.kids[name])
	}
	m.any = merge(own.any, common.any)
	return m
}

// of returns the node of a type.
func (r *rules) of(kind string) *node {
	if n := r.types[kind]; n != nil {
		return n
	}
	return r.common
}

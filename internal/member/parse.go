package member

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"

	"tocsin"
)

// NetworkBytes is the size of the longest network document, 8 MiB.
const NetworkBytes = 8 << 20

// ParseNetwork reads a network document in YAML or JSON. It refuses keys that
// it does not know, because a mistyped "absent" or "expires" would otherwise
// pass for its opposite, and anchors and aliases, with which a short text can
// become a huge one. The error joins a [*tocsin.Error] for every problem; each
// names the place and the line.
func ParseNetwork(text []byte) (Network, error) {
	if len(text) > NetworkBytes {
		return Network{}, &tocsin.Error{Kind: tocsin.TooLarge, Message: "the document is larger than 8 MiB", Hint: "split it; what a document does not name stays as it is"}
	}
	root, err := parseYAML(text)
	if err != nil {
		// JSON is YAML but for escaped surrogate pairs, which JSON writers love.
		plain, notJSON := jsontext.AppendFormat(nil, text, jsontext.PreserveRawStrings(false))
		if notJSON != nil {
			return Network{}, unreadable(err)
		}
		if root, err = parseYAML(plain); err != nil {
			return Network{}, unreadable(err)
		}
	}
	n := Network{lines: map[string]int{}}
	if len(root.Content) == 0 || root.Content[0].ShortTag() == "!!null" {
		return Network{}, &tocsin.Error{Kind: tocsin.Invalid, Message: "the document is empty", Hint: "it needs organizations, communities or both"}
	}
	c := &checker{n: &n}
	c.walk(root.Content[0], reflect.TypeFor[Network](), "")
	if err := root.Decode(&n); err != nil && len(c.wrong) == 0 {
		return Network{}, unreadable(err)
	} else if err == nil {
		c.document()
	}
	return n, errors.Join(c.wrong...)
}

// parseYAML reads one document; a second one would be ignored in silence.
func parseYAML(text []byte) (root yaml.Node, err error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&root); err != nil && !errors.Is(err, io.EOF) {
		return root, err
	}
	var more yaml.Node
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return root, fmt.Errorf("line %d: a second document", more.Line)
	}
	return root, nil
}

var lineNumber = regexp.MustCompile(`line (\d+)`)

// unreadable keeps of the YAML reader's words only the line: the rest may
// quote the document.
func unreadable(err error) *tocsin.Error {
	e := &tocsin.Error{Kind: tocsin.Malformed, Message: "the document is neither YAML nor JSON", Hint: "look at the indentation, the colons and the quotes there"}
	if m := lineNumber.FindStringSubmatch(err.Error()); m != nil {
		e.Message += " (line " + m[1] + ")"
	}
	return e
}

// walk checks a part of the document against the type that it will become, and
// notes the lines.
func (c *checker) walk(node *yaml.Node, t reflect.Type, at string) {
	c.n.lines[at] = node.Line
	if node.Kind == yaml.AliasNode || node.Anchor != "" {
		c.add(at, "anchors and aliases are not taken", "write it out")
		return
	}
	if node.ShortTag() == "!!null" {
		return
	}
	switch t.Kind() { //nolint:exhaustive // a Network holds no other kinds
	case reflect.Pointer:
		c.walk(node, t.Elem(), at)
	case reflect.Struct:
		c.walkStruct(node, t, at)
	case reflect.Slice:
		if node.Kind != yaml.SequenceNode {
			c.add(at, "a list was expected", "begin each entry with a hyphen")
			return
		}
		for i, element := range node.Content {
			c.walk(element, t.Elem(), at+"/"+strconv.Itoa(i))
		}
	case reflect.Bool:
		if node.Kind != yaml.ScalarNode || node.ShortTag() != "!!bool" {
			c.add(at, "true or false was expected", "")
		}
	default:
		if node.Kind != yaml.ScalarNode {
			c.add(at, "a text was expected", "")
		}
	}
}

func (c *checker) walkStruct(node *yaml.Node, t reflect.Type, at string) {
	if node.Kind != yaml.MappingNode {
		c.add(at, "keys and values were expected", "write them like name: example")
		return
	}
	fields := map[string]reflect.Type{}
	var known []string
	for f := range t.Fields() {
		if key := f.Tag.Get("yaml"); key != "" {
			fields[key] = f.Type
			known = append(known, key)
		}
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		field, ok := fields[key.Value]
		switch {
		case !ok: // its name is not repeated: it is the document's
			c.addLine(key.Line, at, "an unknown key stands here", "known keys are "+strings.Join(known, ", "))
		case seen[key.Value]:
			c.addLine(key.Line, at+"/"+key.Value, "the same key stands here twice", "remove one")
		default:
			seen[key.Value] = true
			c.walk(node.Content[i+1], field, at+"/"+key.Value)
		}
	}
}

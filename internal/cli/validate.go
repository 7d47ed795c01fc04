package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/stix"
)

// A fault is one thing that is wrong with a text, as programs read it.
type fault struct {
	At      string `json:"at"`     // JSON Pointer from the root of the text
	Clause  string `json:"clause"` // of the standard
	Message string `json:"message"`
	Object  string `json:"object,omitempty"` // its id, when it has one
	Line    int    `json:"line,omitempty"`   // from 1
	Column  int    `json:"column,omitempty"` // bytes, from 1
}

// A validated is what is to say about one file.
type validated struct {
	File         string  `json:"file"`
	Valid        bool    `json:"valid"`
	Objects      int     `json:"objects"`
	Invalid      int     `json:"invalid"` // objects with errors
	Errors       []fault `json:"errors"`  // the first 10,000
	Warnings     []fault `json:"warnings"`
	ErrorCount   int     `json:"error_count"`
	WarningCount int     `json:"warning_count"`

	bundles int // and envelopes
	shown   int // problems that were counted for being shown to a person
	bytes   int64
	began   time.Time
}

// mostFaults bounds the report of one file.
const mostFaults = 10_000

func (a *app) validate() *cobra.Command {
	var o validateFlags
	c := &cobra.Command{
		Use:   "validate FILE…",
		Short: "Check whether files are valid STIX 2.1, and show where they are not",
		Long: `Checks bundles, TAXII envelopes, single objects and JSON lines against every MUST
and SHOULD of STIX 2.1, indicator patterns included, as a hub does before it takes
them. Files may be of any size and compressed with gzip; "-" is standard input.

Files are checked object by object. With --profile, and with --jsonl, a bundle is
checked as a whole too: one content for each version, nothing after a revocation,
translations that fit what they translate, and what the profile demands.

Exit code 0: everything is valid. 1: something is not. With --jsonl every line of
standard input gets a line of output, {"valid":…,"errors":[…],"warnings":[…]}, and
the exit code is 0 when all lines were answered.`,
		Example: `  tocsin validate threats.json
  tocsin validate --warnings *.json
  tocsin validate --profile interop:tip threats.json
  tocsin validate --json threats.json | jq '.files[].errors'
  tocsin validate --jsonl < objects.jsonl > results.jsonl`,
		GroupID: groupCheck,
		RunE: func(cmd *cobra.Command, names []string) error {
			var err error
			if o.profile, err = profileFlag(o.profileName); err != nil {
				return err
			}
			if o.jsonl {
				if len(names) > 0 {
					return usage("--jsonl reads standard input and takes no files", "tocsin validate --jsonl < FILE")
				}
				return a.lines(cmd.Context(), func(line []byte) any { return checkLine(line, o.profile) })
			}
			if len(names) == 0 {
				return usage("name at least one file", `"-" is standard input`)
			}
			return a.validateFiles(cmd.Context(), names, o)
		},
	}
	c.Flags().BoolVar(&o.jsonl, "jsonl", false, "check every line of standard input, one line of result for each")
	c.Flags().BoolVar(&o.warnings, "warnings", false, "show what SHOULD be otherwise too")
	c.Flags().BoolVar(&o.all, "all", false, "show every problem, not only the first 20 of a file")
	c.Flags().StringVar(&o.profileName, "profile", "", "check the rules of a community too: interop, interop:PERSONA or ais")
	return c
}

type validateFlags struct {
	jsonl, warnings, all bool
	profileName          string
	profile              stix.Profile
}

func (a *app) validateFiles(ctx context.Context, names []string, o validateFlags) error {
	var results []*validated
	newResult := func() *validated {
		return &validated{Valid: true, Errors: []fault{}, Warnings: []fault{}, began: time.Now()}
	}
	valid, r := true, newResult()
	pieces := a.pieces
	if o.profile != "" {
		pieces = a.wholes
	}
	err := pieces(ctx, "checking", names, func(in *input, p piece) error {
		r.File, r.bytes = in.name, max(r.bytes, p.offset+int64(len(p.raw)))
		wrong, should := r.add(p, o.profile)
		if a.json {
			r.keep(&r.Errors, p, wrong)
			r.keep(&r.Warnings, p, should)
			return nil
		}
		if o.warnings {
			wrong = append(wrong, should...)
		}
		for _, f := range wrong {
			if r.shown++; o.all || r.shown <= mostShown {
				f.place(p)
				a.showFault(r.File, p, f)
			}
		}
		return nil
	}, func(in *input) {
		r.File = in.name
		if r.Objects+r.bundles == 0 {
			r.Valid = false
			r.ErrorCount++
			r.Errors = append(r.Errors, fault{Clause: "STIX 2.1 §8", Message: "there is nothing in it"})
		}
		if valid = valid && r.Valid; !a.json {
			a.summarize(r, o)
		}
		results = append(results, r)
		r = newResult()
	})
	if err != nil {
		return err
	}
	if a.json {
		if err := a.writeJSON(map[string]any{"valid": valid, "files": results}); err != nil {
			return err
		}
	}
	if !valid {
		return errNo
	}
	return nil
}

// mostShown is how many problems of a file are shown to a person who did not
// ask for all.
const mostShown = 20

// add checks a piece of the file, counts, and returns what is wrong with it.
func (r *validated) add(p piece, profile stix.Profile) (wrong, should []fault) {
	var root stix.Value
	var err error
	if profile == "" {
		root, err = stix.Parse(p.raw, stix.Limits{})
	}
	switch {
	case profile != "":
		wrong, should = r.addWhole(p.raw, profile)
	case err != nil && p.shell:
		wrong = []fault{syntaxFault(err)}
		r.bundles++
	case err != nil:
		wrong = []fault{syntaxFault(err)}
		r.Objects++
		r.Invalid++
	case p.shell || root.Get("type").Is("bundle"):
		wrong = checkContainer(root)
		r.bundles++
	default:
		wrong, should = checkValue(root, "", "")
		r.Objects++
		if len(wrong) > 0 {
			r.Invalid++
		}
	}
	r.Valid = r.Valid && len(wrong) == 0
	r.ErrorCount += len(wrong)
	r.WarningCount += len(should)
	return wrong, should
}

// keep adds faults of a piece to a list, as long as there is room.
func (r *validated) keep(list *[]fault, p piece, more []fault) {
	for _, f := range more {
		if len(*list) == mostFaults {
			return
		}
		f.place(p)
		*list = append(*list, f)
	}
}

// place says where in the file the fault is: it was found in a piece of it.
func (f *fault) place(p piece) {
	at := locate(p.raw, f.At)
	f.Line, f.Column = p.line, p.column+at
	if line := bytes.Count(p.raw[:at], []byte("\n")); line > 0 {
		f.Line, f.Column = p.line+line, at-bytes.LastIndexByte(p.raw[:at], '\n')
	}
	f.At = p.pointer + f.At
}

// checkLine checks one text: an object, a bundle or an envelope.
func checkLine(text []byte, profile stix.Profile) map[string]any {
	wrong, should := checkText(text, profile)
	return map[string]any{"valid": len(wrong) == 0, "errors": notNil(wrong), "warnings": notNil(should)}
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func checkText(text []byte, profile stix.Profile) (wrong, should []fault) {
	root, err := stix.Parse(text, stix.Limits{Bytes: maxLine})
	if err != nil {
		return []fault{syntaxFault(err)}, nil
	}
	return checkParsed(root, profile)
}

// checkShell checks what is around a list of objects.
func checkShell(text []byte) []fault {
	root, err := stix.Parse(text, stix.Limits{})
	if err != nil {
		return []fault{syntaxFault(err)}
	}
	return checkContainer(root)
}

// checkContainer checks a bundle (STIX 2.1 §8); an envelope (TAXII 2.1 §3.7)
// has nothing that could be wrong here. Of anything else a list of objects is
// no part, the deprecated objects of observed data included (STIX 2.1 §4.14).
func checkContainer(v stix.Value) (wrong []fault) {
	switch {
	case !v.Get("type").Exists():
		return nil
	case !v.Get("type").Is("bundle"):
		return []fault{{At: "/objects", Clause: "STIX 2.1 §8", Message: "a list of objects stands in a bundle or an envelope only"}}
	}
	if kind, _, ok := stix.SplitID(v.Get("id").Text()); !ok || kind != "bundle" {
		wrong = append(wrong, fault{At: "/id", Clause: "STIX 2.1 §8", Message: "a bundle's identifier was expected: bundle-- and a UUID"})
	}
	if objects := v.Get("objects"); objects.Exists() && objects.Kind() != stix.Array {
		wrong = append(wrong, fault{At: "/objects", Clause: "STIX 2.1 §8", Message: "a list of objects was expected"})
	}
	return wrong
}

func syntaxFault(err error) fault {
	if p, ok := errors.AsType[*stix.Problem](err); ok {
		return fault{At: p.At, Clause: "RFC 8259", Message: p.Message + " (byte " + strconv.Itoa(p.Offset) + ")"}
	}
	return fault{Message: "the text cannot be read"}
}

// showFault prints where a problem is, and the place itself.
func (a *app) showFault(file string, p piece, f fault) {
	a.say("%s: %s", a.out(bold, fmt.Sprintf("%s:%d:%d", safe(file), f.Line, f.Column)), safe(f.Message))
	details := slices.DeleteFunc([]string{f.At, f.Clause, f.Object}, func(s string) bool { return s == "" })
	a.say("    %s", a.out(faint, safe(strings.Join(details, "  "))))
	line, caret := excerpt(p.raw, locate(p.raw, strings.TrimPrefix(f.At, p.pointer)), a.Width-14)
	a.say("    %6d │ %s", f.Line, line)
	a.say("           │ %s%s", strings.Repeat(" ", caret), a.out(red, "^"))
}

func (a *app) summarize(r *validated, o validateFlags) {
	if left := r.shown - mostShown; left > 0 && !o.all {
		a.say("… and %s more in %s; --all shows them", count(left, "problem"), safe(r.File))
	}
	warnings := ""
	if r.WarningCount > 0 {
		warnings = ", " + count(r.WarningCount, "warning")
		if !o.warnings {
			warnings += " (--warnings shows them)"
		}
	}
	warnings += a.speed(r)
	switch {
	case r.Objects+r.bundles == 0:
		a.say("%s %s: there is nothing in it", a.out(red, "✗"), safe(r.File))
	case r.Objects == 0 && r.Valid:
		a.say("%s %s: an empty bundle, valid STIX 2.1", a.out(green, "✓"), safe(r.File))
	case r.Valid:
		a.say("%s %s: %s, valid STIX 2.1%s", a.out(green, "✓"), safe(r.File), count(r.Objects, "object"), warnings)
	case r.Invalid == 0:
		a.say("%s %s: %s, but the bundle around them is not valid%s", a.out(red, "✗"), safe(r.File), count(r.Objects, "valid object"), warnings)
	default:
		a.say("%s %s: %s of %s not valid STIX 2.1%s", a.out(red, "✗"), safe(r.File), grouped(r.Invalid), count(r.Objects, "object"), warnings)
	}
}

// speed says how fast a file was checked, if it was large enough to tell.
func (a *app) speed(r *validated) string {
	const large = 4 << 20
	took := time.Since(r.began).Seconds()
	if r.bytes < large || took <= 0 {
		return ""
	}
	return a.out(faint, fmt.Sprintf(" (%.1f MB in %.2f s: %s objects/s, %.0f MB/s)",
		float64(r.bytes)/1e6, took, grouped(int(float64(r.Objects)/took)), float64(r.bytes)/1e6/took))
}

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"tocsin/internal/minimize"
	"tocsin/internal/validate"
	"tocsin/stix"
)

func (a *app) minimize() *cobra.Command {
	var configDir, creator, rules string
	var jsonl, printRules bool
	c := &cobra.Command{
		Use:   "minimize FILE…",
		Short: "Show what the privacy gate would remove before sharing, as a diff",
		Long: `Runs the privacy gate that runs before every submission, here and at the hub: it
keeps what is the attacker's and removes what is the victim's or personal. The files
are not changed; --json writes the bundle as it would be shared.

A changed object becomes a new one with an id of its own (STIX 2.1 §3.5), made with a
secret that stays in your configuration folder. With --jsonl every line of standard
input, an object or a bundle, gets a line of output: {"result":…,"findings":[…],
"review":[…]}, or with "result":null and "errors":[…] when it is not valid STIX. What is
in review is masked because the gate is not sure of it: a person can restore it.

Reports, messages and tables (.txt, .md, .eml, .csv) are read for indicators first, as
'tocsin extract' does.`,
		Example: `  tocsin minimize incident.json
  tocsin minimize --json incident.json > shareable.json
  tocsin minimize --jsonl < objects.jsonl`,
		GroupID: groupCheck,
		RunE: func(cmd *cobra.Command, names []string) error {
			if printRules {
				_, err := a.Stdout.Write(minimize.DefaultRules())
				return err //nolint:wrapcheck // nothing to add
			}
			g, err := a.gate(configDir, creator, rules)
			if err != nil {
				return err
			}
			if jsonl {
				if len(names) > 0 {
					return usage("--jsonl reads standard input and takes no files", "tocsin minimize --jsonl < FILE")
				}
				return a.lines(cmd.Context(), func(line []byte) any { return minimizeLine(g, line) })
			}
			if len(names) == 0 {
				return usage("name at least one file", `"-" is standard input`)
			}
			return a.minimizeFiles(cmd.Context(), g, names)
		},
	}
	c.Flags().StringVar(&configDir, "config-dir", "", "folder of your configuration, with the gate's secret")
	c.Flags().StringVar(&creator, "creator", "", "id of the STIX identity in whose name changed copies are made")
	c.Flags().StringVar(&rules, "rules", "", "rule file of your community; without it the one that comes with the program")
	c.Flags().BoolVar(&printRules, "print-rules", false, "write the rule file that comes with the program, to begin your own with")
	c.Flags().BoolVar(&jsonl, "jsonl", false, "minimize every line of standard input, one line of result for each")
	return c
}

// A minimized answers one line of --jsonl.
type minimized struct {
	Result   json.RawMessage    `json:"result"`
	Findings []minimize.Finding `json:"findings"`
	Review   []minimize.Review  `json:"review"`
	Errors   []fault            `json:"errors,omitempty"`
}

// minimizeLine answers a line in its own form: an object with an object, a
// bundle with a bundle. Of a bundle, what is not valid is left out and named.
func minimizeLine(g *minimize.Gate, line []byte) minimized {
	none := minimized{Result: json.RawMessage("null"), Findings: []minimize.Finding{}, Review: []minimize.Review{}}
	root, err := stix.Parse(line, stix.Limits{Bytes: maxLine})
	if err != nil {
		none.Errors = []fault{syntaxFault(err)}
		return none
	}
	valid, err := validate.Parse(line, validate.Options{Bytes: maxLine, Objects: mostObjects})
	if err != nil {
		none.Errors, _ = checkText(line, "")
		return none
	}
	out := g.Apply(valid)
	m := minimized{Result: none.Result, Findings: notNil(out.Findings()), Review: notNil(out.Reviews())}
	for _, r := range out.Rejected() {
		e := r.Error()
		m.Errors = append(m.Errors, fault{At: e.At, Clause: e.Clause, Message: e.Message, Object: r.ID})
	}
	objects := root.Get("objects")
	if objects.Kind() != stix.Array {
		if o := out.Objects(); len(o) > 0 {
			m.Result = o[0].Raw()
		}
		return m
	}
	edit := stix.Edit(root)
	edit.Replace(objects, list(out.Objects()))
	if len(out.Objects()) == 0 {
		edit = stix.Edit(root)
		edit.Remove(objects)
	}
	m.Result = edit.Bytes()
	return m
}

// list writes objects as a JSON array, byte for byte.
func list(objects []minimize.Object) []byte {
	var b bytes.Buffer
	b.WriteByte('[')
	for i, o := range objects {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(o.Raw())
	}
	b.WriteByte(']')
	return b.Bytes()
}

func (a *app) minimizeFiles(ctx context.Context, g *minimize.Gate, names []string) error {
	in, err := a.gather(ctx, names)
	if err != nil {
		return err
	}
	out, err := pass(g, in.raw)
	if err != nil {
		return err
	}
	if a.json {
		return a.writeJSON(map[string]any{
			"result":   json.RawMessage(`{"type":"bundle","id":"bundle--` + stix.UUIDv4() + `","objects":` + string(list(out.objects)) + `}`),
			"findings": notNil(out.findings), "review": notNil(out.reviews), "rules": out.rules, "errors": append(in.broken, rejections(out.rejected)...),
		})
	}
	changed, followed := a.showChanged(&out, mostObjects)
	dropped := a.showDropped(&out)
	a.showRejected(append(in.broken, rejections(out.rejected)...), 5)
	if changed+dropped == 0 {
		a.say("%s nothing has to be removed from %s", a.out(green, "✓"), count(len(out.objects), "object"))
		return nil
	}
	a.say("%s of %s would be changed, %s left out; %s more follow because they refer to those", grouped(changed), count(len(in.raw), "object"), grouped(dropped), grouped(followed))
	if n := len(out.reviews); n > 0 {
		a.say("%s masked because it is unsure, for a person to look at", count(n, "value"))
	}
	a.say("by the rules %s\n", out.rules)
	a.table([]string{"REMOVED", "HOW", "RULE", "WHY"}, summarizeFindings(out.findings))
	return nil
}

// showDropped names the objects of which nothing may be shared.
func (a *app) showDropped(g *gated) (dropped int) {
	kept := map[string]bool{}
	for _, o := range g.objects {
		kept[orElse(o.Original(), o.ID())] = true
	}
	seen := map[string]bool{}
	for _, f := range g.findings {
		if kept[f.Object] || seen[f.Object] {
			continue
		}
		seen[f.Object] = true
		dropped++
		if dropped <= 5 {
			a.say("  %s\n    %s", a.out(bold, safe(f.Object)), a.out(red, "- left out: "+safe(f.Why)))
		}
	}
	return dropped
}

// summarizeFindings counts findings by what they are, for a table.
func summarizeFindings(findings []minimize.Finding) [][]string {
	type kind struct{ class, action, rule, why string }
	counts := map[kind]int{}
	for _, f := range findings {
		counts[kind{f.Class, f.Action, f.Rule, f.Why}] += max(f.Count, 1)
	}
	rows := make([][]string, 0, len(counts))
	for k, n := range counts {
		rows = append(rows, []string{fmt.Sprintf("%s × %s", grouped(n), k.class), k.action, k.rule, k.why})
	}
	slices.SortFunc(rows, slices.Compare)
	return rows
}

func rejections(rejected []validate.Rejection) []fault {
	list := []fault{}
	for _, r := range rejected {
		e := r.Error()
		list = append(list, fault{At: e.At, Clause: e.Clause, Message: e.Message, Object: r.ID})
	}
	return list
}

// showRejected names the first objects that are not valid STIX.
func (a *app) showRejected(rejected []fault, most int) {
	for i, f := range rejected {
		if i == most {
			a.say("    … and %s more; 'tocsin validate' shows all", grouped(len(rejected)-most))
			break
		}
		a.say("%s not valid, so it stays here: %s: %s (%s)", a.out(yellow, "!"), safe(orElse(f.Object, f.At)), safe(f.Message), f.Clause)
	}
}

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/internal/extract"
	"tocsin/stix"
)

func (a *app) extract() *cobra.Command {
	var jsonl bool
	c := &cobra.Command{
		Use:   "extract FILE…",
		Short: "Read indicators out of reports, messages and tables",
		Long: `Reads indicators out of text: reports (.txt, .md), e-mail messages (.eml) and tables
(.csv). Values that people have written so that nobody follows them are understood:
hxxps[://]evil[.]example. When a text has any of those, links that work are taken for
references and left out; so are e-mail addresses that nothing says are the attacker's,
private addresses, and who received a message.

What is proposed is what 'tocsin submit' would share of the file: indicators and a
report. With --jsonl every line of standard input is a text, plain or as a JSON string,
and gets a line of output with all that is in it: {"indicators":[{"type","value",…}]}.`,
		Example: `  tocsin extract report.md
  tocsin extract phish.eml --json > bundle.json
  tocsin extract --jsonl < posts.txt`,
		GroupID: groupCheck,
		RunE: func(cmd *cobra.Command, names []string) error {
			if jsonl {
				if len(names) > 0 {
					return usage("--jsonl reads standard input and takes no files", "tocsin extract --jsonl < FILE")
				}
				return a.lines(cmd.Context(), func(line []byte) any { return extractLine(line) })
			}
			if len(names) == 0 {
				return usage("name at least one file", "its ending says what it is: .txt, .md, .eml or .csv")
			}
			return a.extractFiles(names)
		},
	}
	c.Flags().BoolVar(&jsonl, "jsonl", false, "read a text of every line of standard input, one line of result for each")
	return c
}

// An extracted answers one line of --jsonl.
type extracted struct {
	Indicators []extract.Indicator `json:"indicators"`
}

func extractLine(line []byte) extracted {
	text := string(line)
	if v, err := stix.Parse(line, stix.Limits{Bytes: maxLine}); err == nil && v.Kind() == stix.String {
		text = v.Text()
	}
	return extracted{notNil(extract.Find(text))}
}

func (a *app) extractFiles(names []string) error {
	var raw [][]byte
	for _, name := range names {
		d, err := a.document(name)
		if err != nil {
			return err
		}
		if a.json {
			raw = append(raw, d.Objects(time.Now())...)
			continue
		}
		a.showDocument(name, d)
		var rows [][]string
		for _, i := range d.Indicators {
			rows = append(rows, []string{string(i.Kind), safe(i.Value)})
		}
		a.table([]string{"TYPE", "VALUE"}, rows)
	}
	if !a.json {
		return nil
	}
	parts := make([]string, 0, len(raw))
	for _, o := range raw {
		parts = append(parts, string(o))
	}
	return a.writeJSON(json.RawMessage(`{"type":"bundle","id":"bundle--` + stix.UUIDv4() + `","objects":[` + strings.Join(parts, ",") + `]}`))
}

// document reads one file.
func (a *app) document(name string) (extract.Document, error) {
	f, err := os.Open(name)
	if err != nil {
		return extract.Document{}, fileError(name, err)
	}
	defer func() { _ = f.Close() }() // only read from
	text, err := io.ReadAll(io.LimitReader(f, extract.MostBytes+1))
	if err != nil {
		return extract.Document{}, &failure{code: ExitFault, what: "the file cannot be read to its end", where: name, err: err}
	}
	if len(text) > extract.MostBytes {
		return extract.Document{}, &failure{code: ExitNo, what: "the file is larger than 16 MiB", where: name, next: "share the part that names the indicators"}
	}
	d, err := extract.Read(name, text)
	if errors.Is(err, extract.ErrEmpty) {
		return d, &failure{code: ExitNo, what: "no indicator was found in the file", where: name, next: "'tocsin extract --jsonl' shows all that is in a text, references included"}
	}
	if err != nil {
		return d, &failure{code: ExitNo, what: err.Error(), where: name, next: ".txt, .md and .csv are UTF-8 text, .eml is a message as it was received"}
	}
	return d, nil
}

// readDocuments takes the files that are text out of names and reads them;
// what they propose goes through the same gate as any other object.
func (a *app) readDocuments(_ context.Context, names []string, g *gathered) (rest []string, err error) {
	for _, name := range names {
		if !extract.Reads(name) {
			rest = append(rest, name)
			continue
		}
		d, err := a.document(name)
		if err != nil {
			return nil, err
		}
		if !a.json {
			a.showDocument(name, d)
		}
		g.raw = append(g.raw, d.Objects(time.Now())...)
	}
	return rest, nil
}

// showDocument says what was read out of a file.
func (a *app) showDocument(name string, d extract.Document) {
	a.say("%s %s", a.out(bold, "Read out of "+safe(name)+":"), byKind(d.Indicators))
	if len(d.Context) > 0 {
		a.say("  %s", a.out(faint, "left out, as references or because they may be somebody's: "+byKind(d.Context)))
	}
}

func byKind(list []extract.Indicator) string {
	counts := map[extract.Kind]int{}
	for _, i := range list {
		counts[i.Kind]++
	}
	parts := make([]string, 0, len(counts))
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s × %s", grouped(counts[kind]), kind))
	}
	return strings.Join(parts, ", ")
}

package cli

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/internal/hubclient"
	"tocsin/internal/member"
)

//go:embed example.yaml
var exampleNetwork string

func (a *app) apply() *cobra.Command {
	var h hubFlags
	var files []string
	var o applyFlags
	var example, pending bool
	c := &cobra.Command{
		Use:   "apply -f network.yaml",
		Short: "Make the hub's organizations and communities what a file says",
		Long: `Reads a document in YAML or JSON that names organizations, users, tokens,
communities, members and collections, and makes the hub match it: all of it, or
nothing. What the document does not name stays; an entry goes when it says
"absent: true". Applying it again changes nothing and makes no token twice.

What lets somebody see more than before waits for a second person where a hub has
two operators, and the rest is done at once: see "tocsin confirm --help".

The secrets of new tokens are shown once, now. --tokens DIR writes each to a file of
its own instead, that only you can read.`,
		Example: `  tocsin apply --example > network.yaml     a document to begin with
  tocsin apply -f network.yaml --dry-run
  tocsin apply -f network.yaml
  tocsin apply -f network.yaml --tokens ./tokens
  tocsin apply -f - --json < network.json
  tocsin apply --pending                    what waits for a second person`,
		GroupID: groupRun,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if example {
				a.say("%s", strings.TrimRight(exampleNetwork, "\n"))
				return nil
			}
			if pending {
				hub, err := a.connect(h)
				if err != nil {
					return err
				}
				return a.pending(cmd.Context(), hub)
			}
			if len(files) == 0 {
				return usage("name the document with -f", `"-" is standard input`)
			}
			hub, err := a.connect(h)
			if err != nil {
				return err
			}
			for _, name := range files {
				text, err := a.readDocument(name)
				if err != nil {
					return err
				}
				if err := a.applyDocument(cmd.Context(), hub, text, o); err != nil {
					return err
				}
			}
			return nil
		},
	}
	h.add(c)
	c.Flags().StringArrayVarP(&files, "file", "f", nil, `the document, "-" for standard input; more of them are applied one after another`)
	o.add(c)
	c.Flags().BoolVar(&o.all, "all", false, "list what is unchanged, too")
	c.Flags().BoolVar(&pending, "pending", false, "list what waits for a second person")
	c.Flags().BoolVar(&example, "example", false, "write a document to begin with")
	return c
}

// applyFlags say what to do with what an application did.
type applyFlags struct {
	dryRun bool
	all    bool
	tokens string
}

func (o *applyFlags) add(c *cobra.Command) {
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be done, and do nothing")
	c.Flags().StringVar(&o.tokens, "tokens", "", "folder to write new tokens to, one file each, instead of showing them")
}

// readDocument reads a document and checks all that can be checked without the
// hub, so that every problem is told at once, with its line.
func (a *app) readDocument(name string) ([]byte, error) {
	in, err := a.open(name)
	if err != nil {
		return nil, err
	}
	defer in.close()
	text, err := io.ReadAll(io.LimitReader(in.r, member.NetworkBytes+1))
	if err != nil {
		return nil, &failure{code: ExitFault, what: "the file cannot be read", where: in.name, err: err}
	}
	if _, err := member.ParseNetwork(text); err != nil {
		return nil, fmt.Errorf("document: %w", err)
	}
	return text, nil
}

func (a *app) applyNetwork(ctx context.Context, h *hubclient.Client, n member.Network, o applyFlags) error {
	text, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("document: %w", err)
	}
	return a.applyDocument(ctx, h, text, o)
}

func (a *app) applyDocument(ctx context.Context, h *hubclient.Client, text []byte, o applyFlags) error {
	applied, err := h.ApplyNetwork(ctx, text, o.dryRun) // JSON is YAML
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	return a.reportApplied(applied, o)
}

// reportApplied says what was done, and what waits.
func (a *app) reportApplied(applied hubclient.Applied, o applyFlags) error {
	applied.Changes, applied.Tokens, applied.Warnings = notNil(applied.Changes), notNil(applied.Tokens), notNil(applied.Warnings)
	if err := a.keepTokens(applied.Tokens, o.tokens); err != nil {
		return err
	}
	if a.json {
		return a.writeJSON(applied)
	}
	a.showApplied(applied, o)
	return nil
}

// keepTokens writes new tokens to files, and takes their secrets out of what
// is shown.
func (a *app) keepTokens(tokens []hubclient.NewToken, dir string) error {
	if dir == "" {
		return nil
	}
	for i, t := range tokens {
		if t.Token == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return &failure{code: ExitFault, what: "the folder for tokens cannot be made", where: dir, err: err}
		}
		name := filepath.Join(dir, t.Organization+"."+t.User+"."+t.Name+".token")
		if err := os.WriteFile(name, []byte(t.Token+"\n"), 0o600); err != nil {
			a.say("%s %s/%s/%s  %s", a.out(red, "not written, keep it:"), t.Organization, t.User, t.Name, t.Token)
			return &failure{code: ExitFault, what: "the token cannot be written", where: name, err: err, next: "the token is made and was shown here; it is never shown again"}
		}
		tokens[i].Token = ""
		a.note("token %s/%s/%s is in %s", t.Organization, t.User, t.Name, name)
	}
	return nil
}

func (a *app) showApplied(applied hubclient.Applied, o applyFlags) {
	counts := map[string]int{}
	var rows [][]string
	for _, c := range applied.Changes {
		counts[c.Action]++
		if c.Action != member.Unchanged || o.all {
			rows = append(rows, []string{c.Kind, c.Name, c.Action, c.Detail, c.ID})
		}
	}
	if len(rows) > 0 {
		a.table([]string{"KIND", "NAME", "ACTION", "DETAIL", "ID"}, rows)
		a.say("")
	}
	for _, w := range applied.Warnings {
		a.note("%s %s", a.paint(a.StderrTerminal, yellow, "careful:"), safe(w))
	}
	made := ""
	if o.dryRun {
		made = "Nothing was done yet; this would be: "
	}
	a.say("%s%d made, %d changed, %d removed, %d unchanged.", made,
		counts[member.Made], counts[member.Changed], counts[member.Removed], counts[member.Unchanged])
	if n := counts[member.Waiting]; n > 0 {
		a.say("%s %s for a second person, because more would be seen than before.", a.out(yellow, "…"), count(n, "change")+map[bool]string{true: " waits", false: " wait"}[n == 1])
		if applied.Proposal != "" {
			a.say("  Another operator confirms with:  tocsin confirm %s", safe(applied.Proposal))
		}
	}
	shown := false
	for _, t := range applied.Tokens {
		if t.Token == "" {
			continue
		}
		if !shown {
			shown = true
			a.say("\nNew tokens. They are shown only now; hand each to its user over a safe channel:\n")
		}
		a.say("  %s/%s/%s\n  %s\n", t.Organization, t.User, t.Name, a.out(bold, t.Token))
	}
}

// describe asks the hub for its directory, as far as the caller may know it.
func describe(ctx context.Context, h *hubclient.Client) (member.Network, error) {
	var n member.Network
	text, err := h.Network(ctx)
	if err != nil {
		return n, fmt.Errorf("network: %w", err)
	}
	if err := json.Unmarshal(text, &n); err != nil {
		return n, &failure{code: ExitFault, what: "this does not answer like a hub", next: "check the address"}
	}
	return n, nil
}

// confirm asks a question whose answer is yes or no. Without a terminal there
// is nobody to ask, so the answer has to be on the command line.
func (a *app) confirm(question string, yes bool) error {
	if yes {
		return nil
	}
	if !a.StdinTerminal {
		return usage("nobody is there to answer: "+question, "add --yes")
	}
	fmt.Fprintf(a.Stderr, "%s [y/N] ", question)
	var answer string
	_, _ = fmt.Fscanln(a.Stdin, &answer) // no answer is no
	if s := strings.ToLower(answer); s != "y" && s != "yes" {
		a.note("Nothing was done.")
		return errNo
	}
	return nil
}

// when reads how long a token is to last: a date, or days from now.
func when(text string) (string, error) {
	var days int
	if n, err := fmt.Sscanf(text, "%dd", &days); err == nil && n == 1 && fmt.Sprintf("%dd", days) == text && days > 0 && days < 100*366 {
		return time.Now().UTC().AddDate(0, 0, days).Format(time.DateOnly), nil
	}
	if strings.HasSuffix(text, "d") {
		return "", usage("this is no number of days: "+text, "write it like 90d, or give a date like 2027-12-31")
	}
	return text, nil
}

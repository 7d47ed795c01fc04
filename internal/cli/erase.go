package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tocsin/internal/hubclient"
)

type eraseFlags struct {
	hubFlags

	reason   string
	receipts string
	dryRun   bool
	yes      bool
}

func (a *app) erase() *cobra.Command {
	var o eraseFlags
	c := &cobra.Command{
		Use:   "erase",
		Short: "Erase what holds a value, such as somebody's name, everywhere on the hub",
		Long: `Looks for a value in all that the hub keeps, whoever may see it: objects of every
community and collection, versions that wait for their time, values that wait for
review. It lists what holds it and, when you agree, erases that: for hub operators, to
answer a person or an authority that asks for erasure. Who shared an object takes it
back with 'tocsin recall'.

The value is read from standard input, never from the command line, which others on
this machine can see and the shell remembers. Case, width, invisible characters and kinds of spaces make no
difference; a value that is written in code, such as base64, is not found: give that form too.

The versions that hold it are erased, others of the same object stay. Members' tools are
told to drop them. The ledger says who erased what and why, without the value, and each
object gives a receipt that proves it. What the database and backups keep for how long
is in docs/privacy.md.

Exit code 0: it is erased, or with --dry-run there is something to erase. 1: nothing holds
it, or you said no.`,
		Example: `  tocsin erase
  tocsin erase --dry-run < value.txt
  printf %s "$NAME" | tocsin erase --reason "request 2026-17" --yes`,
		GroupID: groupRun,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			value, err := a.readValue()
			if err != nil {
				return err
			}
			return a.eraseValue(cmd.Context(), value, o)
		},
	}
	o.add(c)
	f := c.Flags()
	f.StringVar(&o.reason, "reason", "", "why, for the record; without the value")
	f.StringVar(&o.receipts, "receipts", "./receipts", "folder for receipts")
	f.BoolVar(&o.dryRun, "dry-run", false, "only list what holds it")
	f.BoolVar(&o.yes, "yes", false, "erase without asking")
	return c
}

// mostValue is how long a value may be for the hub, in bytes.
const mostValue = 1000

// readValue reads one line.
func (a *app) readValue() (string, error) {
	if a.StdinTerminal {
		fmt.Fprint(a.Stderr, "The value to be erased: ")
	}
	r := bufio.NewReader(io.LimitReader(a.Stdin, mostValue+2))
	line, err := r.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("standard input: %w", err)
	}
	if line = strings.TrimSpace(line); line == "" {
		return "", usage("there is no value on standard input", `printf %s "$NAME" | tocsin erase`)
	}
	if rest, _ := io.ReadAll(r); !a.StdinTerminal && strings.TrimSpace(string(rest)) != "" {
		return "", usage("standard input has more than one line, or one of more than 1,000 bytes", "erase one value at a time")
	}
	return line, nil
}

func (a *app) eraseValue(ctx context.Context, value string, o eraseFlags) error {
	h, err := a.connect(o.hubFlags)
	if err != nil {
		return err
	}
	found, err := a.sweep(ctx, h, value, o.reason, false)
	if err != nil {
		return err
	}
	if len(found.Found) == 0 {
		if a.json {
			_ = a.writeJSON(map[string]any{"found": []any{}})
		} else {
			a.say("nothing on the hub holds it")
		}
		return errNo
	}
	if !a.json {
		rows := [][]string{}
		for _, l := range found.Found {
			rows = append(rows, []string{l.Community, l.ID, orElse(l.Version, "—"), l.Owner, orElse(l.Waits, "shared")})
		}
		a.table([]string{"COMMUNITY", "OBJECT", "VERSION", "SHARED BY", "STATE"}, rows)
	}
	if o.dryRun {
		if a.json {
			return a.writeJSON(map[string]any{"found": found.Found})
		}
		return nil
	}
	if err := a.confirm(fmt.Sprintf("Erase %s for good?", count(len(found.Found), "version")), o.yes); err != nil {
		return err
	}
	done, err := a.sweep(ctx, h, value, o.reason, true)
	if err != nil {
		return err
	}
	saved := []string{}
	for _, l := range done.Found {
		name, err := saveWithdrawal(ctx, h, l.Record, o.receipts)
		if err != nil {
			return err
		}
		saved = append(saved, name)
	}
	if a.json {
		return a.writeJSON(map[string]any{"erased": done.Found, "holds": done.Holds, "reviews": done.Reviews, "receipts": saved})
	}
	for n, l := range done.Found {
		a.say("%s %s is erased: %s in %s, receipt in %s", a.out(green, "✓"), safe(l.ID), count(l.Versions, "version"), safe(l.Community), safe(saved[n]))
	}
	if done.Holds+done.Reviews > 0 {
		a.say("%s %s in quarantine, %s in review are erased", a.out(green, "✓"), count(done.Holds, "version"), count(done.Reviews, "value"))
	}
	return nil
}

// sweep goes through all that the hub keeps, a part at a time.
func (a *app) sweep(ctx context.Context, h *hubclient.Client, value, reason string, erase bool) (all hubclient.Erasure, err error) {
	verb := "searching"
	if erase {
		verb = "erasing"
	}
	var bar *progress
	for after := int64(0); ; {
		part, err := h.Erase(ctx, value, reason, after, erase)
		if err != nil {
			return all, fmt.Errorf("erase: %w", err)
		}
		all.Found = append(all.Found, part.Found...)
		all.Holds, all.Reviews = all.Holds+part.Holds, all.Reviews+part.Reviews
		if bar == nil {
			bar = a.progress(verb, part.Of)
			defer bar.end()
		}
		bar.at(part.Next, part.Next)
		if !part.More || part.Next <= after {
			return all, nil
		}
		after = part.Next
	}
}

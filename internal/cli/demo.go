package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"tocsin/internal/demo"
)

func (a *app) demo() *cobra.Command {
	var once bool
	var dir, listen string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Play the whole loop on this machine, on real data",
		Long: `Starts a hub and three members, and plays a story: one finds a threat and shares it,
another blocks it a moment later and sees it in its own logs, an agency reads it and
leaves a trace, and a receipt proves it all. Everything really happens, over HTTP.

Then the hub stays, with commands to try, until Ctrl-C. With --once the demo ends after
the story and writes what it measured as JSON; exit code 1 says that something did not
work as promised.`,
		Example: `  tocsin demo
  tocsin demo --once`,
		GroupID: groupRun,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.play(cmd.Context(), dir, listen, once || a.json)
		},
	}
	c.Flags().BoolVar(&once, "once", false, "play the story, write a summary as JSON, and end")
	c.Flags().StringVar(&dir, "dir", "", "empty folder to keep everything in; a temporary one without it")
	c.Flags().StringVar(&listen, "listen", "", "address of the hub; any free port of this machine without it")
	return c
}

func (a *app) play(ctx context.Context, dir, listen string, once bool) error {
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "tocsin-demo-"); err != nil {
			return &failure{code: ExitFault, what: "there is no room for the demo", err: err}
		}
		defer func() { _ = os.RemoveAll(dir) }()
	} else if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return &failure{code: ExitUsage, what: "the folder is not empty", where: dir, next: "name another one"}
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return &failure{code: ExitUsage, what: "the folder cannot be made", where: dir, err: err}
	}
	o := demo.Options{Dir: dir, Listen: listen}
	stay := a.stay
	if once {
		stay = nil
	} else {
		o.Tell = a.tellMoment
	}
	result, err := demo.Run(ctx, o, stay)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if !once {
		return nil
	}
	if err := a.writeJSON(result); err != nil {
		return err
	}
	if !result.OK() {
		return errNo
	}
	return nil
}

// tellMoment shows a line of the story.
func (a *app) tellMoment(m demo.Moment) {
	at := "         "
	if m.At >= 0 {
		at = fmt.Sprintf("%+7.0f ms", float64(m.At)/float64(time.Millisecond))
	}
	a.say("%s  %s %s", a.out(faint, at), a.out(bold, safe(m.Who)), safe(m.Text))
	for _, d := range m.Detail {
		a.say("             %s", a.out(faint, safe(d)))
	}
}

// stay says what to try while the hub runs, and waits until somebody ends it.
func (a *app) stay(ctx context.Context, s *demo.Stage) error {
	a.say("\nThe hub stays at %s until Ctrl-C. Try:\n", a.out(bold, s.Hub.URL))
	for _, line := range []string{
		fmt.Sprintf("tocsin pull --hub %s --token-file %s --match-type indicator", s.Hub.URL, s.TokenFile("bravo-power")),
		fmt.Sprintf("tocsin verify %s --key %s", s.ReceiptFile(), s.Hub.VerifierKey),
		fmt.Sprintf("tocsin community list --hub %s --token-file %s", s.Hub.URL, s.TokenFile("alpha-bank")),
		fmt.Sprintf(`curl -H "Authorization: Bearer $(cat %s)" %s/taxii2/`, s.TokenFile("bravo-power"), s.Hub.URL),
	} {
		a.say("  %s", safe(line))
	}
	<-ctx.Done()
	return nil
}

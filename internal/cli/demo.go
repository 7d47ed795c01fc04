package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/internal/demo"
)

func (a *app) demo() *cobra.Command {
	var once bool
	var listen, keep string
	c := &cobra.Command{
		Use:   "demo",
		Short: "See the whole loop on this machine, on real threat data",
		Long: `Starts a hub in a temporary folder with three members: two companies and a
government agency. One company finds a phishing site; the privacy gate takes a
colleague's mailbox and name out of her report; the other company's agent blocks the
site and sees it in a log; the sighting comes back; the agency reads for a stated
purpose, which is on record; the receipt verifies.

Everything happens over HTTP between parts that know of each other only what the hub
tells them. Afterwards the hub stays up and there are commands to try, until you press
Ctrl-C; with --once it ends.`,
		Example: `  tocsin demo
  tocsin demo --once --json        play it, print what happened, and exit`,
		GroupID: groupRun,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			folder, remove, err := stageFolder(keep)
			if err != nil {
				return err
			}
			defer remove()
			return a.playDemo(cmd.Context(), demo.Options{Dir: folder, Listen: listen}, once)
		},
	}
	c.Flags().BoolVar(&once, "once", false, "end when the story is told")
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "address for the hub; 0 is any free port")
	c.Flags().StringVar(&keep, "dir", "", "keep everything in this empty folder instead of a temporary one")
	return c
}

// stageFolder makes the demo's folder. A temporary one is gone afterwards, one
// that the user named stays.
func stageFolder(named string) (folder string, remove func(), err error) {
	if named == "" {
		made, err := os.MkdirTemp("", "tocsin-demo-")
		if err != nil {
			return "", nil, &failure{code: ExitFault, what: "no temporary folder can be made", err: err}
		}
		return made, func() { _ = os.RemoveAll(made) }, nil // what stays, the system clears away
	}
	if entries, err := os.ReadDir(named); err == nil && len(entries) > 0 {
		return "", nil, &failure{code: ExitUsage, what: "the folder is not empty", where: named, next: "name another one"}
	}
	if err := os.MkdirAll(named, 0o700); err != nil {
		return "", nil, &failure{code: ExitUsage, what: "the folder cannot be made", where: named, err: err}
	}
	return named, func() {}, nil
}

func (a *app) playDemo(ctx context.Context, o demo.Options, once bool) error {
	if !a.json {
		o.Tell = a.tellMoment
		a.say("%s  one hub, three members, real threat data\n", a.out(bold, "Tocsin"))
	}
	var stay func(context.Context, *demo.Stage) error
	if !once {
		stay = func(ctx context.Context, s *demo.Stage) error {
			a.outcome(s.Result())
			a.suggest(s)
			<-ctx.Done()
			return nil
		}
	}
	result, err := demo.Run(ctx, o, stay)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if once {
		a.outcome(result)
	}
	if !result.OK() {
		return errNo
	}
	return nil
}

// tellMoment shows one line of the story: when, who, what.
func (a *app) tellMoment(m demo.Moment) {
	at := strings.Repeat(" ", 11)
	if m.At >= 0 {
		at = fmt.Sprintf("%8.1f ms", float64(m.At)/float64(time.Millisecond))
	}
	a.say("%s  %s %s", a.out(faint, at), a.out(bold, fmt.Sprintf("%-12s", safe(m.Who))), safe(m.Text))
	for _, d := range m.Detail {
		a.say("%s  %-12s %s", strings.Repeat(" ", 11), "", a.out(faint, "· "+safe(d)))
	}
}

func (a *app) outcome(r demo.Result) {
	if a.json {
		_ = a.writeJSON(r) // standard output is gone: there is nobody to tell
		return
	}
	mark := func(ok bool) string {
		if ok {
			return a.out(green, "✓")
		}
		return a.out(red, "✗")
	}
	a.say("")
	a.say("%s %.1f ms from the submission to the block at the other company, %.1f ms to the sighting back at the finder", mark(r.ProtectMS > 0), r.ProtectMS, r.SightingMS)
	a.say("%s nothing of the victim left: not with any member, not in any file of the hub", mark(r.VictimDataRemoved))
	a.say("%s the agency's reading is in the ledger, with its purpose", mark(r.AgencyReadLogged))
	a.say("%s the finder's receipt verifies with the hub's public key alone", mark(r.ReceiptVerified))
}

// suggest prints what to try while the demo's hub is up.
func (a *app) suggest(s *demo.Stage) {
	if a.json {
		return
	}
	self := "tocsin"
	if path, err := os.Executable(); err == nil && !strings.Contains(filepath.ToSlash(path), "/go-build") {
		self = path
	} else if err == nil {
		self = "go run ./cmd/tocsin"
	}
	bank, power := s.TokenFile("alpha-bank"), s.TokenFile("bravo-power")
	a.say("\nThe hub stays up at %s until you press Ctrl-C. Try, in another terminal:\n", a.out(bold, s.Hub.URL))
	a.say("  export TOCSIN_HUB=%s", s.Hub.URL)
	for _, line := range [][2]string{
		{"what Bravo Power may read", fmt.Sprintf("%s pull --token-file %s --out shared.json", self, power)},
		{"the same by TAXII", fmt.Sprintf("curl -s -u any:$(cat %s) $TOCSIN_HUB/taxii2/", power)},
		{"the news as they come", fmt.Sprintf("curl -sN -H \"Authorization: Bearer $(cat %s)\" $TOCSIN_HUB/api/v1/communities/%s/collections/%s/stream?from=now", power, demo.Community, demo.Collection)},
		{"share something as Alpha Bank", fmt.Sprintf("%s submit --token-file %s shared.json", self, bank)},
		{"check the receipt", fmt.Sprintf("%s verify %s --key '%s'", self, s.ReceiptFile(), s.Hub.VerifierKey)},
	} {
		a.say("  %s\n  %s", a.out(faint, "# "+line[0]), line[1])
	}
	a.say("\nor open %s in a browser.", s.Hub.URL)
}

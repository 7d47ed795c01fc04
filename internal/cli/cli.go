// Package cli is the command line: flags in, exit code out.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tocsin"
)

// Exit codes, the same for every command.
const (
	ExitDone  = 0 // it was done, or the answer is yes
	ExitNo    = 1 // the answer is no: not valid, not proven, not allowed, not there
	ExitUsage = 2 // the call was wrong: flags, files, tokens, documents
	ExitFault = 3 // something else failed: the disk, the network, the hub
)

// An Env is the process as the command line sees it.
type Env struct {
	Args   []string // without the program's own name
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(name string) string
	// Which of the three are terminals: somebody can answer, colors can be
	// seen, progress can be shown.
	StdinTerminal, StdoutTerminal, StderrTerminal bool
	Width                                         int                    // of the terminal, in columns; 80 when zero
	ConfigDir                                     func() (string, error) // folder for the user's own configuration
	Version                                       string                 // of the program; "" when it was not built from a release
}

// Main runs one command and returns the process's exit code. It ends early when
// the context does.
func Main(ctx context.Context, env Env) int {
	if env.Width <= 0 {
		env.Width = 80
	}
	a := &app{Env: env}
	root := a.root()
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitDone
	}
	return a.report(err)
}

// An app is one run of the program.
type app struct {
	Env

	running bool   // the command's own work has begun: errors before it are usage errors
	json    bool   // --json was given
	hub     string // the address of the hub that the command calls
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tocsin",
		Short: "Share cyber threats quickly, privately and provably",
		Long: `Tocsin is a hub with which companies and government share cyber threats, and
everything that its members need: checks before sharing, a privacy gate, an agent
that looks for what others found, and receipts that prove offline what was shared.

Exit codes: 0 done; 1 the answer is no; 2 the call was wrong; 3 a fault.`,
		Example: `  tocsin demo                     see the whole loop on this machine
  tocsin serve                    run a hub
  tocsin validate threats.json    check STIX before sharing it
  tocsin submit threats.json      share it, after a preview`,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRun: func(*cobra.Command, []string) {
			a.running = true
		},
	}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "write the result as JSON, for programs")
	root.AddGroup(
		&cobra.Group{ID: groupShare, Title: "Share and defend:"},
		&cobra.Group{ID: groupCheck, Title: "Check, without a hub:"},
		&cobra.Group{ID: groupRun, Title: "Run a hub:"},
	)
	root.AddCommand(
		a.submit(), a.audience(), a.review(), a.recall(), a.erase(), a.deployment(), a.pull(), a.scan(), a.export(), a.agent(),
		a.validate(), a.match(), a.stix(), a.minimize(), a.extract(), a.verify(),
		a.demo(), a.serve(), a.move(), a.bench(), a.apply(), a.confirmation(), a.organization(), a.user(), a.token(), a.community(), a.collection(),
		a.version(),
	)
	return root
}

const (
	groupShare = "share"
	groupCheck = "check"
	groupRun   = "run"
)

// A failure is an error that the program explains in its own words.
type failure struct {
	code  int    // the exit code
	what  string // what failed
	where string // a file, a line, an address
	next  string // what to do
	err   error  // the cause, whose text is shown when there is one
}

func (f *failure) Error() string {
	s := f.what
	if f.where != "" {
		s += ": " + f.where
	}
	if f.err != nil {
		s += ": " + f.err.Error()
	}
	return s
}

func (f *failure) Unwrap() error { return f.err }

// usage returns an error that says that the call was wrong.
func usage(what, next string) error { return &failure{code: ExitUsage, what: what, next: next} }

// errNo ends a command whose answer is no and that has said so already.
var errNo = errors.New("the answer is no")

// report explains an error on standard error and returns its exit code.
func (a *app) report(err error) int {
	if errors.Is(err, errNo) {
		return ExitNo
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(a.Stderr, "tocsin: stopped")
		return ExitFault
	}
	failures := explain(err)
	if len(failures) == 0 {
		f := failure{code: ExitFault, what: err.Error()}
		if !a.running { // cobra found the call wrong
			f.code, f.next = ExitUsage, "see tocsin --help"
		}
		failures = []failure{f}
	}
	code := ExitDone
	for _, f := range failures {
		code = max(code, f.code)
		if f.where == "" && f.code == ExitFault {
			f.where = a.hub
		}
		fmt.Fprintf(a.Stderr, "%s %s\n", a.paint(a.StderrTerminal, red, "tocsin:"), safe(f.what))
		if f.where != "" {
			fmt.Fprintf(a.Stderr, "  where: %s\n", safe(f.where))
		}
		if f.next != "" {
			fmt.Fprintf(a.Stderr, "  next:  %s\n", safe(f.next))
		}
	}
	return code
}

// explain turns an error into what to tell: itself when it is a failure, else
// every [tocsin.Error] in it.
func explain(err error) []failure {
	if f, ok := errors.AsType[*failure](err); ok {
		shown := *f
		if f.err != nil {
			shown.what += ": " + f.err.Error()
		}
		return []failure{shown}
	}
	if e, ok := err.(*tocsin.Error); ok { //nolint:errorlint // the tree is walked here
		return []failure{refused(e)}
	}
	switch e := err.(type) { //nolint:errorlint // the tree is walked here
	case interface{ Unwrap() error }:
		return explain(e.Unwrap())
	case interface{ Unwrap() []error }:
		var all []failure
		for _, inner := range e.Unwrap() {
			all = append(all, explain(inner)...)
		}
		return all
	}
	return nil
}

// refused puts a refusal into the program's words.
func refused(e *tocsin.Error) failure {
	f := failure{code: ExitNo, what: e.Message, where: e.At, next: e.Hint}
	if e.Clause != "" {
		f.what += " (" + e.Clause + ")"
	}
	switch e.Kind {
	case tocsin.Unauthenticated, tocsin.Malformed, tocsin.Unsupported, tocsin.NotAcceptable, tocsin.Invalid:
		f.code = ExitUsage
	case tocsin.TooMany, tocsin.Busy:
		f.code = ExitFault
	case tocsin.Forbidden, tocsin.NotFound, tocsin.Conflict, tocsin.TooLarge:
	}
	return f
}

// safe makes text from elsewhere fit to print: a control character could
// rewrite the terminal that shows it.
func safe(text string) string {
	if !strings.ContainsFunc(text, unprintable) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if unprintable(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// unprintable holds for control characters and for those that turn the
// direction of what follows (Trojan Source).
func unprintable(r rune) bool {
	return r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 ||
		r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"tocsin/internal/bench"
)

func (a *app) bench() *cobra.Command {
	var o bench.Options
	var bare bool
	var folder string
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure a hub on this machine, beside nginx",
		Long: `Starts a hub of its own in a temporary folder, loads objects into it and measures it
over HTTP on loopback, as its clients would use it. What it is compared to is measured
in turns with it, in the same run: nginx, where it is installed, serving the same bytes
as a static file, and a net/http handler that does nothing. Figures depend on the
machine; the ratios tell more.

Workloads, and what each row means:
` + benchHelp() + `
"rate" is requests or objects a second; p50 and p99 are the latencies, in ms, that half
and 99 in 100 requests stayed below. Keep the folder on the kind of disk that the hub
will have: what is posted is durable before it is acknowledged.`,
		Example: `  tocsin bench
  tocsin bench --workload post100,post1000 --duration 10s --dir /var/tmp
  tocsin bench --objects 1000000 --subscribers 5000 --json > bench.json
  tocsin bench scan`,
		GroupID: groupRun,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if bare {
				return bench.Bare(cmd.Context(), a.Stdout) //nolint:wrapcheck // the benchmark reads it
			}
			return a.measure(cmd.Context(), o, folder)
		},
	}
	f := c.Flags()
	f.IntVar(&o.Objects, "objects", 20_000, "indicators of about 1.3 kB to load first")
	f.DurationVar(&o.Duration, "duration", 0, "how long each workload runs on each server (3s)")
	f.StringSliceVar(&o.Workloads, "workload", nil, "only these workloads, with commas between them")
	f.IntVar(&o.Connections, "connections", 8, "connections that read at once")
	f.IntVar(&o.Subscribers, "subscribers", 200, "subscribers of the push workload")
	f.StringVar(&folder, "dir", "", "make the temporary folder in this one, on the disk to measure")
	f.StringVar(&o.DB, "db", "", "where the hub keeps its state, as 'tocsin serve --db' takes it")
	f.BoolVar(&bare, "bare", false, "be the handler that the hub is compared to")
	_ = f.MarkHidden("bare") // it is there
	c.AddCommand(a.benchScan())
	return c
}

// benchHelp lists the workloads for people.
func benchHelp() string {
	names, help := bench.Workloads()
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "  %-10s %s\n", name, help[name])
	}
	return b.String()
}

func (a *app) measure(ctx context.Context, o bench.Options, parent string) (err error) {
	if o.Program, err = os.Executable(); err != nil {
		return &failure{code: ExitFault, what: "this program cannot be found", err: err}
	}
	if o.Dir, err = os.MkdirTemp(parent, "tocsin-bench-"); err != nil {
		return &failure{code: ExitUsage, what: "no temporary folder can be made", where: parent, err: err, next: "name another with --dir"}
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	bar := a.progress("loading", int64(o.Objects))
	o.Progress = func(_ string, done, _ int) { bar.at(int64(done), int64(done)) }
	if a.StderrTerminal {
		o.Tell = func(r bench.Row) {
			bar.end()
			a.note("%s", a.paint(a.StderrTerminal, faint, "measured "+r.Workload))
		}
	}
	result, err := bench.Run(ctx, o)
	bar.end()
	if len(result.Rows) > 0 && !a.json {
		a.benchTable(result)
	}
	if a.json && err == nil {
		return a.writeJSON(result)
	}
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

// benchTable shows what was measured.
func (a *app) benchTable(r bench.Result) {
	var rows [][]string
	for _, m := range r.Rows {
		row := []string{m.Workload, amount(m.Value), m.Unit, amount(m.P50), amount(m.P99), amount(m.Ratio), "", m.Note}
		if m.Beside != "" {
			row[6] = m.Beside + " (" + amount(m.Other) + ")"
		}
		rows = append(rows, row)
	}
	a.table([]string{"workload", "rate", "unit", "p50 ms", "p99 ms", "ratio", "beside", "note"}, rows)
	beside := "nginx beside it"
	if !r.Nginx {
		beside = "no nginx is installed to compare to"
	}
	a.say("\n%s of about 1.3 kB, %d connections, %d cores shared with the load; store: %s; %s",
		count(r.Objects, "object"), r.Connections, r.Cores, r.Store, beside)
}

// amount writes a figure with as many digits as mean something.
func amount(v float64) string {
	switch {
	case v == 0:
		return ""
	case v >= 100:
		return grouped(int(v + 0.5))
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

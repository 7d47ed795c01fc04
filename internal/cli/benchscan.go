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

func (a *app) benchScan() *cobra.Command {
	var o bench.ScanOptions
	var megabytes int64
	var folder string
	c := &cobra.Command{
		Use:   "scan",
		Short: "Measure 'tocsin scan' on this machine, beside grep and ripgrep",
		Long: `Makes logs (text, Zeek's own format, JSON) in which one line in a thousand has an
indicator, and looks through them for more and more indicators: on one core, on all
cores, and in turns with cat and wc, which only read. It fails when anything is missed
or found that is not there. Names and addresses of the log are such that none is passed
over by its end or its network alone; a log repeats itself every 64 MB.

grep -F -f and rg -F -f, where they are installed, get the same list and 16 MB of the
same log, and at most --limit and 4 GiB; their figure for the whole log follows from
these. They find the text wherever it stands, also inside of longer words.

"MB/cpu-s" is the log's size by processor time, which others on the machine change
little; compare that. Memory is that of the indicators with ids as STIX has them, and
of other programs the most that they held.`,
		Example: `  tocsin bench scan
  tocsin bench scan --size 200 --indicators 10000,1000000 --json
  tocsin bench scan --dir /dev/shm --rounds 5`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Bytes = megabytes * 1_000_000
			return a.measureScan(cmd.Context(), o, folder)
		},
	}
	f := c.Flags()
	f.Int64Var(&megabytes, "size", 1000, "of each log, in MB; there are three")
	f.IntSliceVar(&o.Indicators, "indicators", []int{10_000, 100_000, 1_000_000, 10_000_000}, "how many to look for, with commas between them")
	f.IntVar(&o.Rounds, "rounds", 3, "how often each thing is measured; the median counts")
	f.DurationVar(&o.Limit, "limit", 0, "of each run of another program (20s)")
	f.StringVar(&folder, "dir", "", "make the temporary folder in this one")
	return c
}

func (a *app) measureScan(ctx context.Context, o bench.ScanOptions, parent string) (err error) {
	if o.Dir, err = os.MkdirTemp(parent, "tocsin-bench-"); err != nil {
		return &failure{code: ExitUsage, what: "no temporary folder can be made", where: parent, err: err, next: "name another with --dir"}
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	if a.StderrTerminal {
		a.note("%s", a.paint(a.StderrTerminal, faint, "making the logs"))
		o.Tell = func(r bench.ScanRow) {
			a.note("%s", a.paint(a.StderrTerminal, faint, fmt.Sprintf("measured %s on %s with %s", r.Program, r.Format, count(r.Indicators, "indicator"))))
		}
	}
	result, err := bench.Scan(ctx, o)
	if err != nil {
		err = fmt.Errorf("bench: %w", err)
	}
	if a.json {
		return errors.Join(err, a.writeJSON(result)) // also what was measured before it failed
	}
	if len(result.Rows) > 0 {
		a.scanTable(result)
	}
	return err
}

// scanTable shows what was measured.
func (a *app) scanTable(r bench.ScanResult) {
	var rows [][]string
	for _, m := range r.Rows {
		indicators, memory := "", ""
		if m.Indicators > 0 {
			indicators = grouped(m.Indicators)
		}
		if m.Memory > 0 {
			memory = fmt.Sprintf("%.1f MB", float64(m.Memory)/1e6)
		}
		note := m.Note
		if m.Each > 0 {
			note = fmt.Sprintf("%.1f bytes an indicator", m.Each)
		}
		if m.Hits > 0 {
			note = strings.TrimPrefix(note+"; "+count(int(m.Hits), "hit")+", all that are there", "; ")
		}
		rows = append(rows, []string{indicators, m.Program, m.Format, amount(m.PerCPU), amount(m.OneCore), amount(m.Cores), amount(m.Load), memory, amount(m.Ratio), note})
	}
	a.table([]string{"indicators", "program", "log", "MB/cpu-s", "MB/s, 1 core", fmt.Sprintf("MB/s, %d cores", r.Cores), "load cpu-s", "memory", "tocsin/it", "note"}, rows)
	a.say("\nlogs of %.0f MB; medians of %s, in turns; load average of the machine: %s", float64(r.Bytes)/1e6, count(r.Rounds, "round"), orElse(r.Load, "unknown"))
}

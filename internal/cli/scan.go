package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin"
	"tocsin/internal/indicator"
	"tocsin/internal/match"
	"tocsin/internal/observe"
	"tocsin/internal/scan"
)

type scanFlags struct {
	indicators []string
	all        bool
	window     time.Duration
}

func (a *app) scan() *cobra.Command {
	var o scanFlags
	c := &cobra.Command{
		Use:   "scan FILE...",
		Short: "Look for indicators in log files, once",
		Long: `Looks through log files for indicators and says where each stands. Files may be text,
JSON lines, Zeek's and Suricata's logs, CEF, LEEF, syslog, W3C and IIS, Apache and nginx,
CSV and Windows events as XML or JSON, and may be compressed with gzip, zstd or xz; "-"
is standard input. The format is found out by itself.

Indicators come from STIX bundles, MISP events, CSV and plain lists: --indicators FILE.
'tocsin pull --out FILE' brings those of a hub. Values are compared whole: 192.0.2.1 is
not in 192.0.2.10, but evil.example is in www.evil.example. Expired and revoked
indicators, and those that may not be acted upon, are left out.

STIX patterns that join comparisons are compared with the fields of one event, and those
of several events (AND, FOLLOWEDBY, REPEATS, WITHIN) with the events of --window, by the
times that the logs tell. Lines are found by an exact value that has to be in them; a
pattern without one is told as not sought. docs/patterns.md says what is compared.

With --json it writes a line for each hit: file, line, offset, time, indicator, field.
Exit code: 0 when nothing was found, 1 when something was.`,
		Example: `  tocsin scan --indicators threats.json conn.log dns.log.gz
  tocsin pull --out threats.json && tocsin scan -i threats.json /var/log/*.log
  zcat access.log.*.gz | tocsin scan -i list.txt --json -`,
		GroupID: groupShare,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runScan(cmd.Context(), o, args)
		},
	}
	f := c.Flags()
	f.StringArrayVarP(&o.indicators, "indicators", "i", nil, "file with indicators: STIX, MISP, CSV or a list; may be given more than once")
	f.BoolVar(&o.all, "all", false, "also look for what is expired or revoked")
	f.DurationVar(&o.window, "window", 24*time.Hour, "how long events are kept for patterns of several; 0: such patterns are not sought")
	return c
}

// A hitLine is a hit as programs read it.
type hitLine struct {
	File      string    `json:"file"`
	Line      int64     `json:"line"`
	Offset    int64     `json:"offset"`
	Time      time.Time `json:"time,omitzero"`
	Indicator string    `json:"indicator"`
	Kind      string    `json:"kind"`
	Value     string    `json:"value"`
	Field     string    `json:"field"`
	Found     string    `json:"found"`
	Events    int       `json:"events,omitempty"` // of how many a pattern was matched
}

// A tally is what was found of one indicator's value.
type tally struct {
	value, indicator string
	kind             string
	count            int
	first            string // where it was found first
	when             time.Time
}

func (a *app) runScan(ctx context.Context, o scanFlags, files []string) error {
	if len(o.indicators) == 0 {
		return usage("what should be looked for?", "give a file that has indicators: --indicators FILE")
	}
	sought, looked, err := a.loadSet(o)
	if err != nil {
		return err
	}
	var total int64
	for _, name := range files {
		if info, err := os.Stat(name); err == nil {
			total += info.Size()
		}
	}
	bar := a.progress("scanning", total)
	bar.noun = "MB"
	tallies := map[string]*tally{}
	var failed []error
	var before, scanned, lines, hits int64
	began := time.Now()
	for _, name := range files {
		in, err := a.openRaw(name)
		if err != nil {
			return err
		}
		in.read.r = &watched{in.read.r, func() { bar.at(before+in.read.n, (before+in.read.n)/1_000_000) }}
		stats, err := scan.Run(ctx, sought, in.read, func(h scan.Hit) error { return a.found(in.name, h, tallies) })
		before += in.read.n
		in.close()
		scanned, lines, hits = scanned+stats.Bytes, lines+stats.Lines, hits+stats.Hits
		if ctx.Err() != nil {
			return ctx.Err() //nolint:wrapcheck // report tells it apart
		}
		if err != nil {
			failed = append(failed, &failure{code: ExitFault, what: "the log cannot be read to its end", where: in.name, err: err, next: "what stands before that place was looked through"})
		}
	}
	bar.end()
	if !a.json {
		a.showTallies(tallies)
	}
	seconds := max(time.Since(began).Seconds(), 1e-6)
	a.tellLost(sought)
	a.note("%s in %s and %.1f MB, %.0f MB/s; %s looked for", count(int(hits), "hit"), count(int(lines), "line"), float64(scanned)/1e6,
		float64(scanned)/1e6/seconds, looked)
	if len(failed) > 0 {
		return failed[0]
	}
	if hits > 0 {
		return errNo
	}
	return nil
}

// loadSet reads what to look for, and says how much that is.
func (a *app) loadSet(o scanFlags) (scan.Sought, string, error) {
	sought, now := scan.Sought{Values: match.NewSet(), Patterns: observe.NewPatterns()}, time.Now()
	if o.window > 0 {
		sought.Events = observe.NewWindow(o.window)
	}
	out := map[string]int{}
	var patterns []*indicator.Indicator
	for _, name := range o.indicators {
		result, err := a.readIndicators(name)
		if err != nil {
			return sought, "", err
		}
		out["cannot be looked for"] += result.Unread
		for i := range result.Indicators {
			in := &result.Indicators[i]
			switch {
			case in.Benign || !o.all && !in.Valid(now):
				out["not valid now"]++
				continue
			case in.Action < indicator.Detect:
				out["may not be acted upon (PAP, IEP)"]++
				continue
			case in.Pattern != "":
				patterns = append(patterns, in)
			}
			for _, v := range in.Values {
				if !sought.Values.Add(orElse(in.ID, v.Text()), v) {
					out["cannot be looked for"]++
				}
			}
		}
	}
	for _, what := range slices.Sorted(maps.Keys(out)) {
		if n := out[what]; n > 0 {
			a.note("%s left out: %s", count(n, "indicator"), what)
		}
	}
	looked, alone := count(sought.Values.Len(), "value"), sought.Values.Len()
	a.loadPatterns(sought, patterns)
	switch n := sought.Patterns.Len(); {
	case n > 0 && alone > 0:
		looked += " and " + count(n, "pattern")
	case n > 0:
		looked = count(n, "pattern")
	}
	if sought.Values.Len() == 0 {
		return sought, "", usage("there is nothing to look for", "give a file that has indicators: --indicators FILE")
	}
	return sought, looked, nil
}

// loadPatterns adds patterns, and says which of them are not sought.
func (a *app) loadPatterns(sought scan.Sought, from []*indicator.Indicator) {
	unsought, missing := map[string]int{}, 0
	for _, in := range from {
		p, err := observe.Compile(in.Pattern, in.Values)
		switch e, ok := errors.AsType[*tocsin.Error](err); {
		case ok:
			unsought[e.Message]++
		case p.Events() && sought.Events == nil:
			unsought["it may take several events, and --window is 0"]++
		default:
			missing += p.Missing + sought.Patterns.Add(in.ID, p, sought.Values)
		}
	}
	for _, why := range slices.Sorted(maps.Keys(unsought)) {
		a.note("%s not sought: %s", count(unsought[why], "pattern"), why)
	}
	if missing > 0 {
		a.note("%s of patterns not sought: no exact value has to stand in the line", count(missing, "alternative"))
	}
}

// tellLost says what patterns were not compared with.
func (a *app) tellLost(sought scan.Sought) {
	if sought.Events == nil {
		return
	}
	lost := sought.Events.Lost()
	for _, l := range []struct {
		n   int64
		why string
	}{
		{lost.Dropped, "forgotten before a pattern of several was complete: there were too many"},
		{lost.Untimed, "not compared with patterns that ask when: the line does not say"},
		{lost.Complex, "not compared: the pattern is too complex for them"},
	} {
		if l.n > 0 {
			a.note("%s %s", count(int(l.n), "event"), l.why)
		}
	}
}

// readIndicators reads a file of any of the formats.
func (a *app) readIndicators(name string) (indicator.Result, error) {
	in, err := a.open(name)
	if err != nil {
		return indicator.Result{}, err
	}
	defer in.close()
	result, err := indicator.Read(in.r)
	if err != nil {
		return result, &failure{code: ExitUsage, what: "the indicators cannot be read", where: in.name, err: err}
	}
	return result, nil
}

// watched calls a function on every read.
type watched struct {
	r    io.Reader
	then func()
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.r.Read(b)
	w.then()
	return n, err //nolint:wrapcheck // a reader's own error
}

// found tells of a hit, or counts it for the table.
func (a *app) found(file string, h scan.Hit, tallies map[string]*tally) error {
	kind := h.Value.Kind().String()
	if h.Events > 0 {
		kind = "pattern"
	}
	if a.json {
		return writeLine(a.Stdout, hitLine{
			File: file, Line: h.Line, Offset: h.Offset, Time: h.Time, Indicator: h.Indicator, Kind: kind, Events: h.Events, Value: h.Value.Text(), Field: h.Field,
			Found: strings.ToValidUTF8(h.Found, "\ufffd"),
		})
	}
	key := h.Indicator + "\x00" + kind + "\x00" + h.Value.Text()
	t := tallies[key]
	if t == nil {
		t = &tally{value: h.Value.Text(), indicator: h.Indicator, kind: kind, first: fmt.Sprintf("%s:%d %s", file, h.Line, h.Field), when: h.Time}
		tallies[key] = t
	}
	t.count++
	return nil
}

// mostTallied bounds the table; --json has all.
const mostTallied = 50

func (a *app) showTallies(tallies map[string]*tally) {
	if len(tallies) == 0 {
		return
	}
	all := slices.SortedFunc(maps.Values(tallies), func(x, y *tally) int {
		return cmp.Or(y.count-x.count, strings.Compare(x.value, y.value))
	})
	var rows [][]string
	for _, t := range all[:min(len(all), mostTallied)] {
		when := ""
		if !t.when.IsZero() {
			when = t.when.UTC().Format(time.DateTime)
		}
		id := t.indicator
		if id == t.value {
			id = ""
		}
		rows = append(rows, []string{grouped(t.count), t.kind, t.value, when, t.first, id})
	}
	a.table([]string{"HITS", "KIND", "VALUE", "FIRST", "WHERE", "INDICATOR"}, rows)
	if n := len(all) - mostTallied; n > 0 {
		a.say("… and %s more; --json has all", grouped(n))
	}
}

// openRaw opens a file, without decompressing it; "-" is standard input.
func (a *app) openRaw(name string) (*input, error) {
	in := &input{name: name}
	if name == "-" {
		in.name, in.read = "standard input", &counter{r: a.Stdin}
		return in, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fileError(name, err)
	}
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		return nil, errors.Join(&failure{code: ExitUsage, what: "this is a folder, not a file", where: name, next: "name the files in it: " + name + "/*"}, f.Close())
	}
	in.file, in.read, in.size = f, &counter{r: f}, info.Size()
	return in, nil
}

package bench

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin"
	"tocsin/internal/indicator"
	"tocsin/internal/match"
	"tocsin/internal/scan"
)

// ScanOptions say what to measure of scanning. Zero values are replaced by the
// defaults that the comments give.
type ScanOptions struct {
	Dir        string        // folder for the logs and lists; required, and removed by whoever made it
	Bytes      int64         // of each log; 1,000,000,000
	Indicators []int         // how many to look for; 10,000, 100,000, 1,000,000 and 10,000,000
	Rounds     int           // how often each thing is measured, in turns; the median counts; 3
	Limit      time.Duration // of each run of another scanner; 20 seconds
	Tell       func(ScanRow) // called for each row as it is measured; may be nil
}

// Bounds of the options, and of what other scanners may take.
const (
	mostScanBytes  = 100_000_000_000
	mostLookedFor  = 100_000_000
	mostRounds     = 100
	listValues     = 1_000_000 // in one list: what is read at a time
	otherPiece     = 16 << 20  // bytes that other scanners look through
	otherMemoryMiB = 4096      // that they may take
)

// A ScanRow is one line of the result. Rates are in MB (10^6 bytes) a second, of
// the log as it lies there, and are medians.
type ScanRow struct {
	Program    string  `json:"program"` // tocsin, or what it is compared to
	Indicators int     `json:"indicators,omitempty"`
	Format     string  `json:"format"`
	PerCPU     float64 `json:"mb_per_cpu_s,omitempty"`    // of processor time, on one core: others on the machine change it little
	OneCore    float64 `json:"mb_per_s_1_core,omitempty"` // of wall time
	Cores      float64 `json:"mb_per_s_cores,omitempty"`  // of wall time, on all cores
	Load       float64 `json:"load_cpu_s,omitempty"`      // processor seconds until the first byte is looked at
	LoadWall   float64 `json:"load_s,omitempty"`
	Memory     int64   `json:"memory_bytes,omitempty"` // of the set; of another program, the most that it held
	Each       float64 `json:"bytes_per_indicator,omitempty"`
	Hits       int64   `json:"hits,omitempty"`
	Ratio      float64 `json:"ratio,omitempty"` // of another program: how many times as fast tocsin is with the same list, per processor second
	Note       string  `json:"note,omitempty"`
}

// A ScanResult is what a run showed.
type ScanResult struct {
	Bytes  int64     `json:"bytes"` // of each log
	Rounds int       `json:"rounds"`
	Cores  int       `json:"cores"`
	Load   string    `json:"load_average,omitempty"` // of the machine, at the beginning and at the end
	Rows   []ScanRow `json:"rows"`
}

// A scanSession is a run.
type scanSession struct {
	ScanOptions

	set     *match.Set
	base    int64    // what the program kept before anything was in it
	known   int      // how many indicators are in it
	lists   []string // they are in these
	planted map[string]int64
	load    [2]time.Duration // processor and wall time until now
	rows    []ScanRow
}

func (o *ScanOptions) complete() error {
	o.Bytes, o.Rounds, o.Limit = cmp.Or(o.Bytes, 1_000_000_000), cmp.Or(o.Rounds, 3), cmp.Or(o.Limit, 20*time.Second)
	if len(o.Indicators) == 0 {
		o.Indicators = []int{10_000, 100_000, 1_000_000, 10_000_000}
	}
	o.Indicators = slices.Compact(slices.Sorted(slices.Values(o.Indicators)))
	if o.Indicators[0] < 100 || o.Indicators[len(o.Indicators)-1] > mostLookedFor {
		return &tocsin.Error{Kind: tocsin.Invalid, Message: "the number of indicators is out of range", Hint: "give 100 to " + strconv.Itoa(mostLookedFor)}
	}
	if o.Bytes < 1_000_000 || o.Bytes > mostScanBytes {
		return &tocsin.Error{Kind: tocsin.Invalid, Message: "the size of the log is out of range", Hint: "give 1 to 100000 MB"}
	}
	if o.Rounds < 1 || o.Rounds > mostRounds || o.Limit < 10*time.Millisecond || o.Limit > mostDuration {
		return &tocsin.Error{Kind: tocsin.Invalid, Message: "the rounds or the limit are out of range", Hint: "give 1 to 100 rounds, and up to " + mostDuration.String()}
	}
	return nil
}

// Scan measures how fast logs are looked through, beside cat, wc, grep and
// ripgrep where they are installed, and returns what it saw also when it fails
// on the way. It fails when anything is missed or found that is not there.
func Scan(ctx context.Context, o ScanOptions) (ScanResult, error) {
	if err := o.complete(); err != nil {
		return ScanResult{}, err
	}
	s := &scanSession{ScanOptions: o, set: match.NewSet(), planted: map[string]int64{}}
	result := ScanResult{Bytes: o.Bytes, Rounds: o.Rounds, Cores: runtime.NumCPU(), Load: loadAverage()}
	err := s.run(ctx)
	result.Rows = s.rows
	if result.Load != "" {
		result.Load += " → " + loadAverage()
	}
	return result, err
}

func (s *scanSession) run(ctx context.Context) error {
	for format, line := range makers {
		segment, planted := makeSegment(line, int(min(segmentBytes, s.Bytes)), uint64(s.Indicators[0]))
		times, err := writeRepeated(s.path(format), segment, s.Bytes)
		if err != nil {
			return err
		}
		s.planted[format] = planted * times
		if format != "text" {
			continue
		}
		if _, err := writeRepeated(s.path("piece"), segment[:min(otherPiece, len(segment))], 1); err != nil {
			return err
		}
	}
	if err := os.WriteFile(s.path("empty"), nil, 0o600); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	s.base = heapBytes()
	fields := s.Indicators[0]
	for _, n := range s.Indicators {
		if n <= listValues {
			fields = n // the largest of the usual ones is tried on the other formats as well
		}
	}
	for _, n := range s.Indicators {
		if err := s.grow(n); err != nil {
			return err
		}
		if err := s.measureText(ctx, n); err != nil {
			return err
		}
		if n != fields {
			continue
		}
		for _, format := range []string{"zeek", "json"} {
			if err := s.measureFormat(ctx, format); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *scanSession) path(name string) string { return filepath.Join(s.Dir, name) }

// grow adds to what is looked for until there are n, from lists as "tocsin scan"
// reads them, with an id as long as those of STIX.
func (s *scanSession) grow(n int) error {
	for s.known < n {
		to := min(n, s.known+listValues)
		list := s.path("list-" + strconv.Itoa(len(s.lists)))
		if err := writeList(list, uint64(s.known), uint64(to)); err != nil {
			return err
		}
		s.lists = append(s.lists, list)
		runtime.GC()
		began, used := time.Now(), processorTime()
		f, err := os.Open(list)
		if err != nil {
			return fmt.Errorf("list: %w", err)
		}
		result, err := indicator.Read(f)
		_ = f.Close() // it was read
		if err != nil {
			return err //nolint:wrapcheck // it says what is wrong
		}
		if len(result.Indicators) != to-s.known {
			return fmt.Errorf("list: %d of %d values were read", len(result.Indicators), to-s.known)
		}
		var id []byte
		for i := range result.Indicators {
			h := mix(uint64(s.known + i))
			id = fmt.Appendf(id[:0], "indicator--%08x-%04x-4000-8000-%012x", h>>32, h&0xffff, s.known+i)
			s.set.Add(string(id), result.Indicators[i].Values[0])
		}
		s.load[0] += processorTime() - used
		s.load[1] += time.Since(began)
		s.known = to
	}
	return nil
}

// heapBytes returns what the program keeps.
func heapBytes() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A timing is what one run took.
type timing struct{ wall, cpu time.Duration }

// look looks through a log on so many cores.
func (s *scanSession) look(ctx context.Context, format string, cores int) (timing, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
	f, err := os.Open(s.path(format))
	if err != nil {
		return timing{}, fmt.Errorf("log: %w", err)
	}
	defer func() { _ = f.Close() }() // it was read
	runtime.GC()
	began, used := time.Now(), processorTime()
	places, last := int64(0), int64(-1)
	_, err = scan.Run(ctx, scan.Sought{Values: s.set}, f, func(h scan.Hit) error {
		if h.Offset != last { // of ten million made-up values some are the same
			places, last = places+1, h.Offset
		}
		return nil
	})
	took := timing{time.Since(began), processorTime() - used}
	if err == nil && places != s.planted[format] {
		err = fmt.Errorf("%s, %d indicators: found in %d places, %d are there", format, s.known, places, s.planted[format])
	}
	return took, err //nolint:wrapcheck // it says what is wrong
}

// measureText measures one list on text, in turns with what only reads it, and
// other scanners after that.
func (s *scanSession) measureText(ctx context.Context, n int) error {
	heap := heapBytes() - s.base
	row, readers, err := s.rounds(ctx, "text", [][]string{{"cat", s.path("text")}, {"wc", "-l", s.path("text")}})
	if err != nil {
		return err
	}
	row.Memory, row.Each = heap, float64(heap)/float64(s.set.Len())
	row.Load, row.LoadWall = s.load[0].Seconds(), s.load[1].Seconds()
	s.tell(row)
	for _, r := range readers {
		r.Ratio = row.PerCPU / r.PerCPU
		s.tell(r)
	}
	lists := []string{}
	for _, l := range s.lists {
		lists = append(lists, "-f", l)
	}
	for _, other := range [][]string{{"grep", "-c", "-F"}, {"rg", "-c", "-F", "-j1"}} {
		if _, err := exec.LookPath(other[0]); err != nil {
			continue
		}
		s.tell(s.other(ctx, append(slices.Clone(other), lists...), n, row.PerCPU))
		if ctx.Err() != nil {
			return ctx.Err() //nolint:wrapcheck // callers compare it
		}
	}
	return nil
}

func (s *scanSession) measureFormat(ctx context.Context, format string) error {
	row, _, err := s.rounds(ctx, format, nil)
	if err == nil {
		s.tell(row)
	}
	return err
}

func (s *scanSession) tell(r ScanRow) {
	s.rows = append(s.rows, r)
	if s.Tell != nil {
		s.Tell(r)
	}
}

// rounds looks through a log on one core and on all of them, in turns with other
// programs that read the same file.
func (s *scanSession) rounds(ctx context.Context, format string, others [][]string) (ScanRow, []ScanRow, error) {
	one, all := make([]timing, s.Rounds), make([]timing, s.Rounds)
	beside := make([][]timing, len(others))
	for i := range s.Rounds {
		var err error
		if one[i], err = s.look(ctx, format, 1); err != nil {
			return ScanRow{}, nil, err
		}
		if all[i], err = s.look(ctx, format, runtime.NumCPU()); err != nil {
			return ScanRow{}, nil, err
		}
		for k, command := range others {
			took, _, err := runOther(ctx, command, s.Limit)
			if err != nil {
				return ScanRow{}, nil, fmt.Errorf("%s: %w", command[0], err)
			}
			beside[k] = append(beside[k], took)
		}
	}
	row := s.rateOf(one, format)
	row.Program, row.Indicators, row.Hits = "tocsin", s.known, s.planted[format]
	row.Cores = s.rateOf(all, format).OneCore
	var rows []ScanRow
	for k, command := range others {
		r := s.rateOf(beside[k], format)
		r.Program = strings.Join(command[:len(command)-1], " ")
		rows = append(rows, r)
	}
	return row, rows, nil
}

// rateOf returns the medians of some runs.
func (s *scanSession) rateOf(runs []timing, format string) ScanRow {
	var wall, cpu []time.Duration
	for _, r := range runs {
		wall, cpu = append(wall, r.wall), append(cpu, r.cpu)
	}
	slices.Sort(wall)
	slices.Sort(cpu)
	info, err := os.Stat(s.path(format))
	if err != nil {
		return ScanRow{Format: format}
	}
	return ScanRow{Format: format, OneCore: rate(info.Size(), wall[len(wall)/2]), PerCPU: rate(info.Size(), cpu[len(cpu)/2])}
}

// rate is in MB a second.
func rate(size int64, d time.Duration) float64 { return float64(size) / 1e6 / max(d.Seconds(), 1e-3) }

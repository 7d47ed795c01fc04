package bench

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"tocsin/internal/indicator"
	"tocsin/internal/match"
	"tocsin/internal/scan"
)

func TestScanIsMeasuredAndNothingIsMissed(t *testing.T) {
	var told []ScanRow
	result, err := Scan(context.Background(), ScanOptions{
		Dir: t.TempDir(), Bytes: 2_000_000, Indicators: []int{300, 100}, Rounds: 1, Limit: 20 * time.Second, Tell: func(r ScanRow) { told = append(told, r) },
	})
	if err != nil {
		t.Fatal(err)
	}
	var formats []string
	for _, r := range result.Rows {
		if r.Program != "tocsin" {
			continue
		}
		formats = append(formats, r.Format)
		if r.Hits == 0 || r.OneCore <= 0 || r.Cores <= 0 {
			t.Errorf("%+v says nothing", r)
		}
	}
	if want := []string{"text", "text", "zeek", "json"}; !slices.Equal(formats, want) {
		t.Errorf("tocsin was measured on %v, want %v", formats, want)
	}
	if !slices.Equal(told, result.Rows) {
		t.Errorf("%d rows were told of, %d returned", len(told), len(result.Rows))
	}
}

func TestScanRefusesWhatIsOutOfRange(t *testing.T) {
	for name, o := range map[string]ScanOptions{
		"few indicators":  {Indicators: []int{1}},
		"many indicators": {Indicators: []int{100, mostLookedFor + 1}},
		"a small log":     {Bytes: 1},
		"no rounds":       {Rounds: -1},
		"no time":         {Limit: -1},
	} {
		o.Dir = t.TempDir()
		if _, err := Scan(context.Background(), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// lookedFor returns a set of the first n values.
func lookedFor(b *testing.B, n uint64) *match.Set {
	set := match.NewSet()
	for i := range n {
		v, ok := indicator.Guess(string(appendLookedFor(nil, i)))
		if !ok {
			b.Fatalf("value %d is none", i)
		}
		set.Add(v.Text(), v)
	}
	return set
}

// BenchmarkScan looks through a log that lies in memory.
func BenchmarkScan(b *testing.B) {
	set := lookedFor(b, 1_000_000)
	for _, format := range []string{"text", "zeek", "json"} {
		text, planted := makeSegment(makers[format], segmentBytes, 10_000)
		b.Run(format, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			began, n := processorTime(), 0
			for b.Loop() {
				stats, err := scan.Run(context.Background(), scan.Sought{Values: set}, bytes.NewReader(text), func(scan.Hit) error { return nil })
				if err != nil || stats.Hits != planted {
					b.Fatalf("%d hits of %d, %v", stats.Hits, planted, err)
				}
				n++
			}
			if took := (processorTime() - began).Seconds(); took > 0 {
				b.ReportMetric(float64(n*len(text))/1e6/took, "MB/cpu-s")
			}
		})
	}
}

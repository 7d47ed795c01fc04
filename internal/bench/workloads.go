package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// turns is how often the two servers of a pair are measured, one after the
// other, so that what else the machine does meets both.
const turns = 3

// pair measures the hub and what stands beside it in turns, and reports the
// turn with the median rate of each, and the median of the turns' ratios.
func (s *session) pair(ctx context.Context, row Row, ours func(time.Duration) Measure, beside string, theirs func(time.Duration) Measure) error {
	var mine, others []Measure
	var ratios []float64
	for range turns {
		m := ours(s.Duration / turns)
		mine = append(mine, m)
		if m.Errors > 0 {
			return errors.New(m.failure)
		}
		if theirs == nil {
			continue
		}
		o := theirs(s.Duration / turns)
		if o.Errors > 0 {
			return fmt.Errorf("%s: %s", beside, o.failure)
		}
		others = append(others, o)
		ratios = append(ratios, m.perSecond()/max(o.perSecond(), 1e-9))
	}
	if err := ctx.Err(); err != nil {
		return err //nolint:wrapcheck // callers compare it
	}
	m := median(mine)
	row.Unit, row.Value = "requests/s", m.perSecond()
	row.P50, row.P99 = ms(m.quantile(0.5)), ms(m.quantile(0.99))
	row.Megabits = float64(m.Bytes) * 8 / 1e6 / max(m.Took.Seconds(), 1e-9)
	if theirs != nil {
		slices.Sort(ratios)
		row.Beside, row.Other, row.Ratio = beside, median(others).perSecond(), ratios[len(ratios)/2]
	}
	s.report(row)
	return nil
}

func median(turns []Measure) Measure {
	sorted := slices.Clone(turns)
	slices.SortFunc(sorted, func(a, b Measure) int { return int(a.perSecond() - b.perSecond()) })
	return sorted[len(sorted)/2]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// always drives one call over and over.
func (s *session) always(ctx context.Context, address string, c call) func(time.Duration) Measure {
	return func(d time.Duration) Measure {
		return drive(ctx, address, s.Connections, d, func(int, int) (call, bool) { return c, true })
	}
}

// file is nginx serving a file, nil when there is no nginx.
func (s *session) file(ctx context.Context, name string, want int, headers ...string) func(time.Duration) Measure {
	if s.nginx == nil {
		return nil
	}
	headers = append([]string{"Authorization", "Bearer " + s.reader, "Accept", mediaType}, headers...)
	return s.always(ctx, s.nginx.address, newCall("GET", s.nginx.address, "/"+name, nil, want, headers...))
}

// page reads the first page over and over.
func (s *session) page(ctx context.Context, limit int) error {
	name := fmt.Sprintf("page%d", limit)
	c := s.get(fmt.Sprintf("%s?limit=%d", objectsPath, limit))
	return s.pair(ctx, Row{Workload: name}, s.always(ctx, s.hub.address, c), "nginx, static file", s.file(ctx, name+".json", 200))
}

// ask makes one call on a connection of its own.
func (s *session) ask(ctx context.Context, address string, c call) (answer, error) {
	w, err := dial(ctx, address)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = w.conn.Close() }() // the answer was read
	a, err := w.do(c, true, true)
	if err == nil && a.status != c.want {
		err = fmt.Errorf("the answer was %d, not %d", a.status, c.want)
	}
	return a, err
}

// cold reads pages that begin behind an object chosen at random, each once, so
// that no page was cut before. When all have been read, they are read with
// another limit.
func (s *session) cold(ctx context.Context) error {
	places, err := s.places(ctx)
	if err != nil {
		return err
	}
	var calls []call
	step := len(places)/2 + 1 // visits all of them, far apart
	for gcd(step, len(places)) != 1 {
		step++
	}
	for i := range places {
		calls = append(calls, s.get(objectsPath+"?limit=100&added_after="+places[i*step%len(places)]))
	}
	used := make([]int, s.Connections) // calls made in earlier turns
	share := len(calls) / s.Connections
	exhausted := false
	ours := func(d time.Duration) Measure {
		return drive(ctx, s.hub.address, s.Connections, d, func(connection, n int) (call, bool) {
			i := used[connection]
			if i >= share {
				exhausted = exhausted || connection == 0
				return call{}, false
			}
			used[connection]++
			return calls[connection*share+i], true
		})
	}
	if share == 0 {
		return errors.New("too few objects for so many connections")
	}
	row := Row{Workload: "cold100"}
	if err := s.pair(ctx, row, ours, "nginx, static file", s.file(ctx, "page100.json", 200)); err != nil {
		return err
	}
	if exhausted {
		last := &s.rows[len(s.rows)-1]
		last.Note = "every place was read once before the time was over: load more objects"
	}
	return nil
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// mostPlaces bounds the places at which pages begin.
const mostPlaces = 100_000

// places returns the date_added of up to 100,000 objects: of all, or of runs of
// 1,000 that are spread over the time in which the objects were loaded.
func (s *session) places(ctx context.Context) ([]string, error) {
	const run = 1000
	var places []string
	if s.Objects <= mostPlaces {
		for next := "limit=1000"; next != "" && len(places) < mostPlaces; {
			m, err := s.manifest(ctx, next)
			if err != nil {
				return nil, err
			}
			places = append(places, m.dates()...)
			if next = ""; m.More && m.Next != "" {
				next = "limit=1000&next=" + m.Next
			}
		}
	} else {
		seen := map[string]bool{}
		for i := range mostPlaces / run {
			at := s.began.Add(s.loaded.Sub(s.began) * time.Duration(i) / (mostPlaces / run))
			m, err := s.manifest(ctx, "limit=1000&added_after="+at.UTC().Format("2006-01-02T15:04:05.000000Z"))
			if err != nil {
				return nil, err
			}
			for _, date := range m.dates() {
				if !seen[date] {
					seen[date] = true
					places = append(places, date)
				}
			}
		}
	}
	if len(places) > 200 {
		places = places[:len(places)-100] // a full page follows each of them
	}
	return places, nil
}

// A manifest is TAXII 2.1 §5.3.1, as far as it is read here.
type manifest struct {
	More    bool   `json:"more"`
	Next    string `json:"next"`
	Objects []struct {
		DateAdded string `json:"date_added"`
	} `json:"objects"`
}

func (m manifest) dates() []string {
	dates := make([]string, len(m.Objects))
	for i, o := range m.Objects {
		dates[i] = o.DateAdded
	}
	return dates
}

func (s *session) manifest(ctx context.Context, query string) (m manifest, err error) {
	a, err := s.ask(ctx, s.hub.address, s.get("/bench/collections/indicators/manifest/?"+query))
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(a.body, &m); err != nil {
		return m, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}

func (s *session) zipped(ctx context.Context) error {
	c := s.get(objectsPath+"?limit=100", "Accept-Encoding", "gzip")
	a, err := s.ask(ctx, s.hub.address, c)
	if err != nil {
		return err
	}
	row := Row{Workload: "gzip100"}
	if !a.zipped {
		row.Note = "the hub does not compress"
		s.report(row)
		return nil
	}
	return s.pair(ctx, row, s.always(ctx, s.hub.address, c), "nginx, compressed file", s.file(ctx, "zipped.json", 200))
}

func (s *session) unchanged(ctx context.Context) error {
	target := objectsPath + "?limit=100"
	a, err := s.ask(ctx, s.hub.address, s.get(target))
	if err != nil {
		return err
	}
	row := Row{Workload: "unchanged"}
	if a.etag == "" {
		row.Note = "the hub sends no ETag"
		s.report(row)
		return nil
	}
	c := s.get(target, "If-None-Match", a.etag)
	c.want = 304
	var theirs func(time.Duration) Measure
	if s.nginx != nil {
		file, err := s.ask(ctx, s.nginx.address, newCall("GET", s.nginx.address, "/page100.json", nil, 200))
		if err != nil {
			return err
		}
		theirs = s.file(ctx, "page100.json", 304, "If-None-Match", file.etag)
	}
	return s.pair(ctx, row, s.always(ctx, s.hub.address, c), "nginx, 304", theirs)
}

func (s *session) empty(ctx context.Context) error {
	target := objectsPath + "?added_after=2999-01-01T00:00:00.000000Z"
	bare := newCall("GET", s.bare.address, target, nil, 200, "Authorization", "Bearer "+s.reader, "Accept", mediaType)
	return s.pair(ctx, Row{Workload: "empty"}, s.always(ctx, s.hub.address, s.get(target)), "net/http answering {}", s.always(ctx, s.bare.address, bare))
}

// writers is how many connections submit at once.
const writers = 4

// post submits new indicators. Envelopes are written before the clock starts:
// what is measured is the hub.
func (s *session) post(ctx context.Context, size int) error {
	m := s.submit(ctx, size, writers, s.Duration)
	if m.Errors > 0 {
		return errors.New(m.failure)
	}
	s.report(Row{
		Workload: fmt.Sprintf("post%d", size), Unit: "objects/s", Value: m.perSecond() * float64(size),
		P50: ms(m.quantile(0.5)), P99: ms(m.quantile(0.99)),
	})
	return nil
}

// prepared bounds the envelopes that are written before a stretch, in objects:
// about 40 MB. A hub that is faster than that ends its stretch early.
const prepared = 30_000

// submit posts envelopes of new indicators. In each stretch it sends what was
// prepared, and prepares more between stretches, until the time that sending
// took adds up.
func (s *session) submit(ctx context.Context, size, connections int, d time.Duration) (total Measure) {
	for total.Took < d && total.Errors == 0 && ctx.Err() == nil {
		each := max(1, prepared/size/connections)
		batches := make([][]call, connections)
		var running sync.WaitGroup
		for i := range batches {
			running.Go(func() {
				for range each {
					batches[i] = append(batches[i], s.envelopeCall(size))
				}
			})
		}
		running.Wait()
		m := drive(ctx, s.hub.address, connections, d-total.Took, func(connection, n int) (call, bool) {
			if n >= each {
				return call{}, false
			}
			return batches[connection][n], true
		})
		total.Requests, total.Errors, total.Took = total.Requests+m.Requests, total.Errors+m.Errors, total.Took+m.Took
		total.times = append(total.times, m.times...)
		total.failure = m.failure
	}
	slices.Sort(total.times)
	return total
}

// mixed measures one reader alone and while writers post, in turns.
func (s *session) mixed(ctx context.Context) error {
	c := s.get(objectsPath + "?limit=100")
	read := func(d time.Duration) Measure {
		return drive(ctx, s.hub.address, 1, d, func(int, int) (call, bool) { return c, true })
	}
	var alone, beside, wrote Measure
	join := func(to *Measure, m Measure) {
		to.Requests, to.Errors, to.Took = to.Requests+m.Requests, to.Errors+m.Errors, to.Took+m.Took
		to.times = append(to.times, m.times...)
		if to.failure == "" {
			to.failure = m.failure
		}
	}
	for range turns {
		d := s.Duration / turns
		join(&alone, read(d))
		// Envelopes are made before the reader starts, more than can be taken.
		batches := make([][]call, 2)
		for i := range batches {
			for range prepared / 1000 {
				batches[i] = append(batches[i], s.envelopeCall(1000))
			}
		}
		var running sync.WaitGroup
		stop, cancel := context.WithCancel(ctx)
		var m Measure
		running.Go(func() {
			m = drive(stop, s.hub.address, len(batches), d, func(connection, n int) (call, bool) {
				if n >= len(batches[connection]) {
					return call{}, false
				}
				return batches[connection][n], true
			})
		})
		join(&beside, read(d))
		cancel()
		running.Wait()
		join(&wrote, m)
	}
	for _, m := range []Measure{alone, beside, wrote} {
		if m.Errors > 0 {
			return errors.New(m.failure)
		}
	}
	slices.Sort(alone.times)
	slices.Sort(beside.times)
	row := Row{
		Workload: "mixed", Unit: "ms (p99)", Value: ms(beside.quantile(0.99)), P50: ms(beside.quantile(0.5)), P99: ms(beside.quantile(0.99)),
		Beside: "without writers", Other: ms(alone.quantile(0.99)),
		Note: fmt.Sprintf("%.0f reads/s beside %.0f objects/s written; without writers p50 %.2f ms", beside.perSecond(), wrote.perSecond()*1000, ms(alone.quantile(0.5))),
	}
	row.Ratio = row.Value / max(row.Other, 1e-9)
	s.report(row)
	return nil
}

func (s *session) memory() {
	now, most := memory(s.hub.pid)
	if most == 0 {
		s.report(Row{Workload: "memory", Unit: "MiB", Note: "this system does not tell"})
		return
	}
	s.report(Row{Workload: "memory", Unit: "MiB", Value: float64(now) / (1 << 20), Note: fmt.Sprintf("%.0f MiB at most", float64(most)/(1<<20))})
}

package logs

import (
	"bytes"
	"math"
	"regexp"
	"strconv"
	"time"
)

// timeNames are the fields that say when something happened, the best first.
func timeNames() []string {
	return []string{
		"ts", "timestamp", "@timestamp", "time", "TimeCreated", "SystemTime", "UtcTime", "EventTime", "event_time", "eventtime", "rt", "devTime", "start", "datetime",
		"Event.System.TimeCreated.#attributes.SystemTime", "date",
	}
}

var (
	isoTime    = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?`)
	bsdTime    = regexp.MustCompile(`^(?:<\d{1,3}>)?([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)`)
	accessTime = regexp.MustCompile(`\d{2}/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}`)
)

// when finds out when an event happened. What has no zone is taken for UTC, and
// what has no year for the newest that is not in the future.
func (e *Event) when(f Format, line []byte) time.Time {
	if f == W3C {
		if t, err := time.Parse("2006-01-02 15:04:05", string(e.Value(line, "date"))+" "+string(e.Value(line, "time"))); err == nil {
			return t
		}
	}
	for _, name := range timeNames() {
		if v := e.Value(line, name); len(v) > 0 {
			if t, ok := parseTime(v); ok {
				return t
			}
		}
	}
	head := line[:min(len(line), 256)]
	if m := bsdTime.FindSubmatch(head); m != nil {
		if t, err := time.Parse(time.Stamp, string(m[1])); err == nil {
			now := time.Now().UTC()
			if t = t.AddDate(now.Year(), 0, 0); t.After(now.AddDate(0, 0, 1)) {
				t = t.AddDate(-1, 0, 0)
			}
			return t
		}
	}
	if m := accessTime.Find(head); m != nil {
		t, _ := parseTime(m)
		return t
	}
	if m := isoTime.Find(head); m != nil {
		t, _ := parseTime(m)
		return t
	}
	return time.Time{}
}

// parseTime reads a moment as logs write it, seconds or milliseconds since 1970
// among them.
func parseTime(v []byte) (time.Time, bool) {
	if n, err := strconv.ParseFloat(string(v), 64); err == nil {
		if n > 1e11 {
			n /= 1000
		}
		if n < 1e6 || n > 1e11 || math.IsNaN(n) {
			return time.Time{}, false
		}
		whole, part := math.Modf(n)
		return time.Unix(int64(whole), int64(part*1e6)*1000).UTC(), true
	}
	text := string(bytes.Replace(v, []byte(" "), []byte("T"), 1))
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), true
		}
	}
	if t, err := time.Parse("02/Jan/2006:15:04:05 -0700", string(v)); err == nil {
		return t.UTC(), true
	}
	if t, err := time.Parse("Jan 02 2006 15:04:05", string(v)); err == nil { // CEF
		return t.UTC(), true
	}
	return time.Time{}, false
}

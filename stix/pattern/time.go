package pattern

import (
	"strings"
	"time"
)

// parseTime reads a STIX timestamp (STIX 2.1 §2.16) of the years 0000 to 9999
// with at most nine decimals. The shape is right when every field is within
// its own range; the date is real when the calendar has it: 30 February has
// the shape and is not real. The 60th second of a minute is the first of the
// next.
func parseTime(s string) (t time.Time, shape, real bool) {
	const layout = "0000-00-00T00:00:00"
	if len(s) <= len(layout) || s[len(s)-1] != 'Z' {
		return time.Time{}, false, false
	}
	for i := range len(layout) {
		digit := s[i] >= '0' && s[i] <= '9'
		if layout[i] == '0' && !digit || layout[i] != '0' && s[i] != layout[i] {
			return time.Time{}, false, false
		}
	}
	nanos := 0
	if fraction := s[len(layout) : len(s)-1]; fraction != "" {
		if fraction[0] != '.' || len(fraction) < 2 || len(fraction) > 10 {
			return time.Time{}, false, false
		}
		scale := 100_000_000
		for _, c := range []byte(fraction[1:]) {
			if c < '0' || c > '9' {
				return time.Time{}, false, false
			}
			nanos += int(c-'0') * scale
			scale /= 10
		}
	}
	two := func(at int) int { return int(s[at]-'0')*10 + int(s[at+1]-'0') }
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	if month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60 {
		return time.Time{}, false, false
	}
	t = time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	lastDay := time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return t, true, day <= lastDay
}

// canonicalTime drops the zeros at the end of a timestamp's decimals.
func canonicalTime(s string) string {
	whole, fraction, found := strings.Cut(strings.TrimSuffix(s, "Z"), ".")
	if fraction = strings.TrimRight(fraction, "0"); found && fraction != "" {
		return whole + "." + fraction + "Z"
	}
	return whole + "Z"
}

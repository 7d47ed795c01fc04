package cli

import (
	"fmt"
	"strings"
	"time"
)

// A progress bar shows how far long work has come, on standard error and only
// when that is a terminal. It is for one goroutine.
type progress struct {
	a     *app
	verb  string
	total int64 // 0 when it is not known
	began time.Time
	shown time.Time
	drawn bool
	done  int64
	count int64  // things done, when done counts bytes
	noun  string // what is counted; objects when empty
}

// progressEvery keeps drawing cheap beside the work that it shows; work that
// is done before the first one shows none.
const progressEvery = 100 * time.Millisecond

func (a *app) progress(verb string, total int64) *progress {
	now := time.Now()
	return &progress{a: a, verb: verb, total: total, began: now, shown: now}
}

// at says how far the work is, and how many things that are.
func (p *progress) at(done, count int64) {
	p.done, p.count = done, count
	if now := time.Now(); p.a.StderrTerminal && now.Sub(p.shown) >= progressEvery {
		p.shown, p.drawn = now, true
		fmt.Fprint(p.a.Stderr, "\r\x1b[K"+p.line(now))
	}
}

func (p *progress) line(now time.Time) string {
	amount := grouped(int(p.count)) + " " + orElse(p.noun, "objects")
	rate := ""
	if s := now.Sub(p.began).Seconds(); s > 0 {
		rate = ", " + grouped(int(float64(p.count)/s)) + strings.TrimRight(" "+p.noun, " ") + "/s"
	}
	if p.total <= 0 {
		return p.verb + " " + amount + rate
	}
	const width = 24
	part := min(1, float64(p.done)/float64(p.total))
	full := int(part * width)
	left := ""
	if s := now.Sub(p.began); part > 0.01 {
		left = ", " + time.Duration(float64(s)*(1-part)/part).Round(time.Second).String() + " left"
	}
	line := fmt.Sprintf("%s %s%s %3.0f %%  %s%s%s", p.verb, strings.Repeat("█", full), strings.Repeat("░", width-full), part*100, amount, rate, left)
	if r := []rune(line); len(r) >= p.a.Width {
		line = string(r[:p.a.Width-1])
	}
	return line
}

// end takes the bar away.
func (p *progress) end() {
	if p.a.StderrTerminal && p.drawn {
		p.drawn = false
		fmt.Fprint(p.a.Stderr, "\r\x1b[K")
	}
}

// rate returns how many things were done a second.
func (p *progress) rate() int {
	return int(float64(p.count) / max(time.Since(p.began).Seconds(), 1e-3))
}

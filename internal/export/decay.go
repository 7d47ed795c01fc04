package export

import (
	"math"
	"strconv"
	"strings"
	"time"

	"tocsin"
	"tocsin/internal/indicator"
	"tocsin/internal/match"
)

// Decay says how fast values of a kind lose their worth. A kind without a curve
// keeps it, and so does what its producer says an end of itself (valid_until).
type Decay map[match.Kind]Curve

// A Curve is the polynomial one of Mokaddem et al., "Taxonomy driven indicator
// scoring in MISP threat intelligence platforms" (arXiv 1902.03914, equation 4):
// after t of a lifetime T there is 1 - (t/T)^(1/Speed) left.
type Curve struct {
	Lifetime time.Duration
	Speed    float64 // 1: evenly; below: late; above: early
}

// left returns how much of an indicator's worth is left at a moment, from 0 to
// 1, and when it has none any more; zero when that is never. It ages from its
// last version, or from when it becomes valid if that is later.
func (d Decay) left(in *indicator.Indicator, k match.Kind, now time.Time) (left float64, ends time.Time) {
	c, ok := d[k]
	begins := in.Version
	if in.From.After(begins) {
		begins = in.From
	}
	if !ok || !in.Until.IsZero() || begins.IsZero() {
		return 1, time.Time{}
	}
	ends = begins.Add(c.Lifetime)
	switch age := now.Sub(begins); {
	case age <= 0:
		return 1, ends
	case age >= c.Lifetime:
		return 0, ends
	default:
		return 1 - math.Pow(float64(age)/float64(c.Lifetime), 1/c.Speed), ends
	}
}

// ParseDecay reads a curve as people write it: a kind, the lifetime, and the
// speed if it is not 1: address=30d or domain=180d:0.3.
func ParseDecay(texts []string) (Decay, error) {
	d := Decay{}
	for _, text := range texts {
		name, rest, _ := strings.Cut(text, "=")
		days, speed, stated := strings.Cut(rest, ":")
		kind := kindOf(name)
		n, err := strconv.Atoi(strings.TrimSuffix(days, "d"))
		c := Curve{time.Duration(n) * 24 * time.Hour, 1}
		if stated && err == nil {
			c.Speed, err = strconv.ParseFloat(speed, 64)
		}
		if err != nil || kind == 0 || !strings.HasSuffix(days, "d") || n < 1 || n > 36500 || !(c.Speed >= 0.01 && c.Speed <= 100) {
			return nil, &tocsin.Error{
				Kind: tocsin.Invalid, Message: "this is no kind with its lifetime", Hint: "write a kind, from 1 to 36500 days and perhaps a speed from 0.01 to 100: address=30d or domain=180d:0.3",
			}
		}
		d[kind] = c
	}
	return d, nil
}

func kindOf(name string) match.Kind {
	for k := match.Address; k <= match.UserAgent; k++ {
		if k.String() == name {
			return k
		}
	}
	return 0
}

package api

import (
	"sync"

	"tocsin"
)

// A crowd counts who is subscribed: each open stream costs the hub about 40 KiB
// and a connection, so neither all of them nor those of one token are without
// bound.
type crowd struct {
	most, mostEach int

	mu   sync.Mutex // guards what follows
	all  int
	each map[string]int // by token
}

// How many streams may be open at the same time unless the operator says
// otherwise.
const (
	defaultStreams         = 10_000
	defaultStreamsPerToken = 5_000
)

func newCrowd(most, mostEach int) *crowd {
	if most <= 0 {
		most = defaultStreams
	}
	if mostEach <= 0 {
		mostEach = min(most, defaultStreamsPerToken)
	}
	return &crowd{most: most, mostEach: mostEach, each: map[string]int{}}
}

// enter takes a place for a stream of a member, which leave gives back.
func (c *crowd) enter(who tocsin.Member) (leave func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.each[who.Token] >= c.mostEach:
		return nil, &tocsin.Error{
			Kind: tocsin.TooMany, Message: "this token has as many streams open as it may", Hint: "close some of them, or share one between your tools",
		}
	case c.all >= c.most:
		return nil, &tocsin.Error{
			Kind: tocsin.Busy, Message: "the hub has as many streams open as it can", Hint: "come back later, or poll the collection meanwhile",
		}
	}
	c.all++
	c.each[who.Token]++
	return func() { c.leave(who.Token) }, nil
}

func (c *crowd) leave(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.each[token]--; c.each[token] == 0 {
		delete(c.each, token)
	}
}

// Package behind does heavy work on threads that let others go first.
package behind

import (
	"context"
	"runtime"
	"sync"
)

// Whoever reads waits for a processor when submissions are taken at full speed:
// for a turn of the scheduler of Go, ten milliseconds, or of the system, three.
// So what computes for long does it on threads of a lower priority, which the
// system takes off the processor at once when somebody else has something to do.
// When nobody has, they are as fast as any.

// niceness is that of the threads (setpriority(2)). A thread at 10 gets about a
// tenth of a processor that an ordinary one wants whole.
const niceness = 10

// room is how many processors of Go's a process has besides the machine's.
const room = 2

// Stay puts the calling goroutine on a thread of its own, behind others, until it
// ends. Where the system knows no priority of a thread it stays where it is.
func Stay() {
	runtime.LockOSThread() // never undone: the thread ends with the goroutine
	lower()
}

// A Crew is some threads that stay behind others. A nil Crew does its work on
// the caller's thread.
type Crew struct {
	work    chan *task
	running sync.WaitGroup
}

type task struct {
	do       func()
	done     chan struct{}
	panicked any
}

// New starts a crew of one thread or more, which [Crew.Close] ends.
//
// While it is there the process has more processors of Go's (GOMAXPROCS): a
// thread that the system lets wait holds one, and nobody else could run on it.
// From then on Go does not follow changes of the system's limit.
func New(threads int) *Crew {
	c := &Crew{work: make(chan *task)}
	for range max(1, threads) {
		c.running.Go(func() {
			Stay()
			for t := range c.work {
				t.run()
			}
		})
	}
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + room)
	return c
}

func (t *task) run() {
	defer close(t.done)
	defer func() { t.panicked = recover() }()
	t.do()
}

// Do does f on a thread of the crew and returns when it is done. It returns the
// context's error when f was not begun before the context ended. What f panics
// with, Do panics with.
func (c *Crew) Do(ctx context.Context, f func()) error {
	if c == nil {
		f()
		return nil
	}
	t := &task{do: f, done: make(chan struct{})}
	select {
	case c.work <- t:
	case <-ctx.Done():
		return ctx.Err() //nolint:wrapcheck // it is the caller's own
	}
	<-t.done
	if t.panicked != nil {
		panic(t.panicked)
	}
	return nil
}

// Close ends the threads. Nobody may call Do any more.
func (c *Crew) Close() {
	close(c.work)
	c.running.Wait()
	runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)-room))
}

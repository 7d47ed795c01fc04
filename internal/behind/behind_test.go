package behind

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

func TestWorkIsDoneBeforeDoReturns(t *testing.T) {
	c := New(2)
	defer c.Close()
	var running sync.WaitGroup
	var total atomic.Int64
	for range 8 {
		running.Go(func() {
			for range 100 {
				done := false
				if err := c.Do(t.Context(), func() { done = true; total.Add(1) }); err != nil || !done {
					t.Errorf("Do = %v, done: %v", err, done)
				}
			}
		})
	}
	running.Wait()
	if total.Load() != 800 {
		t.Errorf("%d pieces of work were done, want 800", total.Load())
	}
}

func TestNobodyWaitsForACrewLongerThanTheirContext(t *testing.T) {
	c := New(1)
	defer c.Close()
	began, end := make(chan struct{}), make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() { _ = c.Do(context.Background(), func() { close(began); <-end }) })
	<-began
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Do(ctx, func() { t.Error("it was done after its context ended") }); !errors.Is(err, context.Canceled) {
		t.Errorf("Do = %v, want canceled", err)
	}
	close(end)
	busy.Wait()
}

func TestAPanicIsTheCallers(t *testing.T) {
	c := New(1)
	defer c.Close()
	func() {
		defer func() {
			if r := recover(); r != "mine" {
				t.Errorf("recovered %v, want what was panicked with", r)
			}
		}()
		_ = c.Do(t.Context(), func() { panic("mine") })
	}()
	if err := c.Do(t.Context(), func() {}); err != nil {
		t.Errorf("Do after a panic = %v", err)
	}
}

func TestNoCrewIsTheCallersThread(t *testing.T) {
	done := false
	if err := (*Crew)(nil).Do(t.Context(), func() { done = true }); err != nil || !done {
		t.Errorf("Do = %v, done: %v", err, done)
	}
}

func TestOthersCanRunWhileTheCrewIsBusy(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	c := New(before)
	if got := runtime.GOMAXPROCS(0); got <= before {
		t.Errorf("%d processors of Go's, want more than the %d that the crew can hold", got, before)
	}
	c.Close()
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("%d processors of Go's in the end, want %d", got, before)
	}
}

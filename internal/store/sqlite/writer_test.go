package sqlite

import (
	"context"
	"sync"
	"testing"
	"time"
)

// What comes while a transaction is being made joins it, up to the size of a
// batch: the disk is synced once for all.
func TestSubmissionsThatComeTogetherShareACommit(t *testing.T) {
	s := openStore(t, t.TempDir(), newSigner(t), Options{Batch: 700})
	work := bulk(t, 8, 100)
	var shared *batch
	var others sync.WaitGroup
	err := s.submit(t.Context(), &job{weight: 1, do: func(b *batch) error {
		shared = b
		for _, a := range work {
			others.Go(func() {
				if _, err := s.Record(context.Background(), a); err != nil {
					t.Error(err)
				}
			})
		}
		for len(s.jobs) < len(work) { // they queue up behind this one
			time.Sleep(time.Millisecond)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	// 1 + 6·101 is still less than a batch, so a seventh is taken; the eighth is
	// one too many.
	if len(shared.jobs) != 8 || len(shared.entries) != 7 {
		t.Errorf("%d jobs with %d entries shared the commit, want 8 with 7", len(shared.jobs), len(shared.entries))
	}
	others.Wait()
	if head, _ := s.Head(""); head != 800 {
		t.Errorf("head = %d, want 800", head)
	}
}

// Whoever waits for one collection is not woken by another.
func TestOnlyWhoeverHasNewsIsWoken(t *testing.T) {
	s := openStore(t, t.TempDir(), newSigner(t), Options{})
	work := bulk(t, 1, 1)
	_, own := s.Head(work[0].Target().Collection)
	_, other := s.Head("another")
	_, all := s.Head("")
	if _, err := s.Record(t.Context(), work[0]); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		later <-chan struct{}
		want  bool
	}{"its collection": {own, true}, "another": {other, false}, "the hub": {all, true}} {
		select {
		case <-c.later:
			if !c.want {
				t.Errorf("%s was woken", name)
			}
		default:
			if c.want {
				t.Errorf("%s was not woken", name)
			}
		}
	}
}

package sqlite

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// BenchmarkIngestAsItGrows records submissions of 1,000 objects with random ids
// into one store, and says how fast it is in each tenth: run it with
// -benchtime=5000x for 5,000,000 objects.
func BenchmarkIngestAsItGrows(b *testing.B) {
	s := openStore(b, b.TempDir(), newSigner(b), Options{})
	var took [10]time.Duration
	var count [10]int
	slowest := time.Duration(0)
	b.ResetTimer()
	for n := range b.N {
		b.StopTimer()
		a := bulk(b, 1, 1000)[0]
		b.StartTimer()
		began := time.Now()
		if _, err := s.Record(context.Background(), a); err != nil {
			b.Fatal(err)
		}
		tenth := n * 10 / b.N
		took[tenth] += time.Since(began)
		count[tenth] += 1000
		slowest = max(slowest, time.Since(began))
	}
	for i := range took {
		if count[i] > 0 {
			b.ReportMetric(float64(count[i])/took[i].Seconds(), fmt.Sprintf("objects/s-tenth-%d", i+1))
		}
	}
	b.ReportMetric(float64(slowest.Milliseconds()), "ms-slowest")
}

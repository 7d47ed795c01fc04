package sqlite

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// BenchmarkIngestAsItGrows records submissions of 1,000 objects with random ids,
// in turns into stores that differ in their page cache, and says how fast each
// is in the first and in the last tenth: run it with -benchtime=5000x for
// 5,000,000 objects in each.
func BenchmarkIngestAsItGrows(b *testing.B) {
	caches := []int{4 << 10, 16 << 10, 64 << 10} // KiB
	stores := make([]*Store, len(caches))
	for i, cache := range caches {
		stores[i] = openStore(b, b.TempDir(), newSigner(b), Options{CacheKB: cache})
	}
	tenth := max(1, b.N/10)
	first, last := make([]time.Duration, len(caches)), make([]time.Duration, len(caches))
	b.ResetTimer()
	for n := range b.N {
		a := bulk(b, 1, 1000)[0]
		for i, s := range stores {
			began := time.Now()
			if _, err := s.Record(context.Background(), a); err != nil {
				b.Fatal(err)
			}
			took := time.Since(began)
			if n < tenth {
				first[i] += took
			}
			if n >= b.N-tenth {
				last[i] += took
			}
		}
	}
	for i, cache := range caches {
		b.ReportMetric(float64(tenth*1000)/first[i].Seconds(), fmt.Sprintf("first-objects/s-%dMiB", cache>>10))
		b.ReportMetric(float64(tenth*1000)/last[i].Seconds(), fmt.Sprintf("last-objects/s-%dMiB", cache>>10))
	}
}

package sqlite

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// BenchmarkIngestAsItGrows records submissions of 1,000 objects with random ids
// and says how fast that is at the beginning and at the end: run it with
// -benchtime=5000x for 5,000,000 objects.
func BenchmarkIngestAsItGrows(b *testing.B) {
	for _, cache := range []int{16 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("cache=%dMiB", cache>>10), func(b *testing.B) {
			s := openStore(b, b.TempDir(), newSigner(b), Options{CacheKB: cache})
			tenth := max(1, b.N/10)
			var first, last time.Duration
			for i := range b.N {
				a := bulk(b, 1, 1000)[0]
				began := time.Now()
				if _, err := s.Record(context.Background(), a); err != nil {
					b.Fatal(err)
				}
				switch took := time.Since(began); {
				case i < tenth:
					first += took
				case i >= b.N-tenth:
					last += took
				}
			}
			b.ReportMetric(float64(tenth*1000)/first.Seconds(), "first-objects/s")
			b.ReportMetric(float64(tenth*1000)/last.Seconds(), "last-objects/s")
		})
	}
}

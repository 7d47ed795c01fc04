package sqlite

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/internal/authorize"
	"tocsin/internal/store"
	"tocsin/internal/store/storetest"
)

// bulk returns submissions of objects of 1.3 kB each with random ids, as real
// feeds have them.
func bulk(t testing.TB, submissions, each int) []authorize.Admitted {
	t.Helper()
	out := make([]authorize.Admitted, submissions)
	objects := make([]string, each)
	for i := range out {
		for j := range objects {
			var u [16]byte
			_, _ = rand.Read(u[:])
			u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
			h := hex.EncodeToString(u[:])
			object := storetest.Indicator(j, 0, `,"name":"an indicator of some length"`)
			object = strings.Replace(object, storetest.IndicatorID(j), fmt.Sprintf("indicator--%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:]), 1)
			pad := max(0, 1300-len(object)-len(`,"description":""`))
			objects[j] = object[:len(object)-1] + `,"description":"` + strings.Repeat("It was seen. ", pad/13+1)[:pad] + `"}`
		}
		out[i] = storetest.Admit(t, storetest.Member("bank"), storetest.Target(), objects...)
	}
	return out
}

// BenchmarkIngest records submissions one after the other; each is durable
// before the next begins.
func BenchmarkIngest(b *testing.B) {
	for _, each := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("batch=%d", each), func(b *testing.B) {
			s := openStore(b, b.TempDir(), newSigner(b), Options{})
			n := 0
			for b.Loop() {
				b.StopTimer()
				a := bulk(b, 1, each)[0]
				b.StartTimer()
				if _, err := s.Record(context.Background(), a); err != nil {
					b.Fatal(err)
				}
				n += each
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "objects/s")
		})
	}
}

// BenchmarkIngestConcurrently has 64 members who share one object each, all the
// time: what group commit is for.
func BenchmarkIngestConcurrently(b *testing.B) {
	s := openStore(b, b.TempDir(), newSigner(b), Options{})
	work := bulk(b, b.N, 1)
	b.ResetTimer()
	var next atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(work) {
					return
				}
				if _, err := s.Record(context.Background(), work[i]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "objects/s")
}

// BenchmarkScan reads pages of 1,000 objects of a store of 100,000.
func BenchmarkScan(b *testing.B) {
	s := openStore(b, b.TempDir(), newSigner(b), Options{})
	for range 20 {
		if _, err := s.Record(context.Background(), bulk(b, 1, 5000)[0]); err != nil {
			b.Fatal(err)
		}
	}
	for _, meta := range []bool{false, true} {
		b.Run(fmt.Sprintf("meta=%v", meta), func(b *testing.B) {
			after := int64(0)
			for b.Loop() {
				got, err := s.Scan(context.Background(), store.Scan{Collection: storetest.Target().Collection, After: after, Most: 1000, Meta: meta})
				if err != nil || len(got.Rows) != 1000 {
					b.Fatalf("%d rows, %v", len(got.Rows), err)
				}
				after = (after + 7919) % 99_000
			}
		})
	}
}

// BenchmarkConfirm has a hundred agents confirm at once what came to all of
// them, as after each alarm.
func BenchmarkConfirm(b *testing.B) {
	s := openStore(b, b.TempDir(), newSigner(b), Options{})
	const agents = 100
	position := int64(0)
	for b.Loop() {
		position++
		var running sync.WaitGroup
		for i := range agents {
			running.Go(func() {
				now := time.Now()
				if err := s.Confirm(b.Context(), store.Confirmation{
					Agent: store.Agent{Organization: "bank", Token: strconv.Itoa(i), Instance: "a"}, Collection: storetest.Target().Collection,
					Position: position, Fetched: now, Deployed: now, Seen: now,
				}); err != nil {
					b.Error(err)
				}
			})
		}
		running.Wait()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*agents), "µs/confirmation")
}

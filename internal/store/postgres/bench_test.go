package postgres

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"tocsin/internal/authorize"
	"tocsin/internal/store/postgres/pgtest"
	"tocsin/internal/store/storetest"
)

// bulk returns a submission of objects of 1.3 kB each with random ids, as real
// feeds have them.
func bulk(t testing.TB, each int) authorize.Admitted {
	t.Helper()
	objects := make([]string, each)
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
	return storetest.Admit(t, storetest.Member("bank"), storetest.Target(), objects...)
}

// BenchmarkIngest records submissions one after the other; each is durable
// before the next begins.
func BenchmarkIngest(b *testing.B) {
	server := pgtest.Start(b)
	for _, each := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("batch=%d", each), func(b *testing.B) {
			s := openStore(b, server.Database(b), newSigner(b), Options{})
			n := 0
			for b.Loop() {
				b.StopTimer()
				a := bulk(b, each)
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

package match
import ("testing";"time")
func TestTmpSpeed(t *testing.T) {
	lines := sampleLines(4_000)
	for _, n := range []int{0, 1000, 100_000, 1_000_000} {
		s := thousands(t, n)
		var hits []Hit
		for kind := range 5 {
		sel := [][]byte{}
		size := 0
		for i, l := range lines { if kind==4 || i%4==kind { sel = append(sel,l); size += len(l)+1 } }
		best := time.Hour
		for range 200 {
		c := time.Now()
		for _, l := range sel { hits = s.Append(hits[:0], l) }
		if d := time.Since(c); d < best { best = d }
		}
		t.Logf("%d kind %d: %.0f MB/s", n, kind, float64(size)/best.Seconds()/1e6)
		}
	}
}

package ledger

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"tocsin/receipt"
)

const origin = "hub.example.com/log"

// A memory is a ledger in memory, which can be told to fail.
type memory struct {
	signer     *Signer
	entries    [][]byte
	hashes     []tlog.Hash
	checkpoint []byte
	fail       error
}

func newMemory(t testing.TB, entries int) *memory {
	t.Helper()
	skey, err := NewKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{signer: s}
	m.grow(t, entries)
	return m
}

func (m *memory) grow(t testing.TB, n int) {
	t.Helper()
	var fresh [][]byte
	for i := range n {
		fresh = append(fresh, fmt.Appendf(nil, "entry %d\n", len(m.entries)+i))
	}
	h, err := Append(int64(len(m.entries)), fresh, m)
	if err != nil {
		t.Fatal(err)
	}
	m.entries, m.hashes = append(m.entries, fresh...), append(m.hashes, h...)
	if m.checkpoint, err = m.signer.Checkpoint(int64(len(m.entries)), m); err != nil {
		t.Fatal(err)
	}
}

func (m *memory) ReadHashes(positions []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, p := range positions {
		if p >= int64(len(m.hashes)) {
			return nil, errors.New("no such hash")
		}
		out = append(out, m.hashes[p])
	}
	return out, nil
}

func (m *memory) Checkpoint(context.Context) ([]byte, error) { return m.checkpoint, m.fail }

func (m *memory) Hashes(_ context.Context, positions []int64) ([][32]byte, error) {
	h, err := m.ReadHashes(positions)
	var out [][32]byte
	for _, x := range h {
		out = append(out, x)
	}
	return out, err
}

func (m *memory) Entries(_ context.Context, from, to int64) ([][]byte, error) {
	return m.entries[from:to], nil
}

func get(t testing.TB, h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func (m *memory) handler() http.Handler { return Tiles(m, slog.New(slog.DiscardHandler)) }

// A remote reads tiles as any client of the specification does.
type remote struct {
	t *testing.T
	h http.Handler
}

func (r remote) Height() int                     { return 8 }
func (r remote) SaveTiles([]tlog.Tile, [][]byte) {}

func (r remote) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "/tile/", 1)
		w := get(r.t, r.h, "GET", path)
		if w.Code != http.StatusOK {
			return nil, fmt.Errorf("GET %s = %d", path, w.Code)
		}
		out = append(out, w.Body.Bytes())
	}
	return out, nil
}

// TestStrangersVerifyTheLedgerFromItsTiles uses golang.org/x/mod's client, which
// knows nothing of this package, on every entry.
func TestStrangersVerifyTheLedgerFromItsTiles(t *testing.T) {
	for _, size := range []int{1, 2, 255, 256, 257, 513, 65_536 + 300} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			m := newMemory(t, size)
			h := m.handler()
			c, err := receipt.OpenCheckpoint(get(t, h, "GET", "/checkpoint").Body.Bytes(), m.signer.VerifierKey())
			if err != nil {
				t.Fatal(err)
			}
			if c.Size != int64(size) || c.Origin != origin {
				t.Fatalf("checkpoint = %+v", c)
			}
			r := tlog.TileHashReader(tlog.Tree{N: c.Size, Hash: c.Hash}, remote{t, h})
			step := max(1, size/40)
			for i := 0; i < size; i += step {
				p, err := tlog.ProveRecord(c.Size, int64(i), r)
				if err != nil {
					t.Fatal(err)
				}
				if err := tlog.CheckRecord(p, c.Size, c.Hash, int64(i), tlog.RecordHash(m.entries[i])); err != nil {
					t.Errorf("entry %d: %v", i, err)
				}
			}
		})
	}
}

func TestBatchesMakeTheSameTree(t *testing.T) {
	const n = 700
	one := newMemory(t, n)
	for _, step := range []int{1, 2, 7, 256, 699} {
		m := newMemory(t, 0)
		for len(m.entries) < n {
			m.grow(t, min(step, n-len(m.entries)))
		}
		if len(m.hashes) != len(one.hashes) || int64(len(m.hashes)) != tlog.StoredHashCount(n) {
			t.Fatalf("in steps of %d: %d hashes, want %d", step, len(m.hashes), len(one.hashes))
		}
		for i := range m.hashes {
			if m.hashes[i] != one.hashes[i] {
				t.Fatalf("in steps of %d: hash %d differs", step, i)
			}
		}
	}
}

func TestAppendRefusesAnEntryThatNoTileCanHold(t *testing.T) {
	m := newMemory(t, 0)
	if _, err := Append(0, [][]byte{make([]byte, MaxEntry)}, m); err != nil {
		t.Errorf("Append(%d bytes) = %v", MaxEntry, err)
	}
	if _, err := Append(0, [][]byte{make([]byte, MaxEntry+1)}, m); err == nil {
		t.Errorf("Append(%d bytes) succeeded", MaxEntry+1)
	}
}

func TestProofsVerify(t *testing.T) {
	m := newMemory(t, 0)
	var checkpoints []receipt.Checkpoint
	for range 20 {
		c, err := receipt.OpenCheckpoint(m.checkpoint, m.signer.VerifierKey())
		if err != nil {
			t.Fatal(err)
		}
		checkpoints = append(checkpoints, c)
		m.grow(t, 1)
	}
	for _, older := range checkpoints {
		for _, newer := range checkpoints {
			p, err := Consistency(older.Size, newer.Size, m)
			if older.Size > newer.Size {
				if err == nil && older.Size != 0 {
					t.Errorf("Consistency(%d, %d) succeeded", older.Size, newer.Size)
				}
				continue
			}
			if err != nil {
				t.Fatalf("Consistency(%d, %d) = %v", older.Size, newer.Size, err)
			}
			if err := receipt.VerifyConsistency(older, newer, p); err != nil {
				t.Errorf("from %d to %d: %v", older.Size, newer.Size, err)
			}
		}
		for i := range older.Size {
			p, err := Inclusion(older.Size, i, m)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckRecord(p, older.Size, older.Hash, i, tlog.RecordHash(m.entries[i])); err != nil {
				t.Errorf("entry %d of %d: %v", i, older.Size, err)
			}
		}
		if _, err := Inclusion(older.Size, older.Size, m); err == nil {
			t.Errorf("Inclusion(%d, %d) succeeded", older.Size, older.Size)
		}
	}
}

func TestTilePaths(t *testing.T) {
	// The example of C2SP tlog-tiles: 70,000 entries are 273 full tiles and one
	// of 112, one full tile above and one of 17, and one of 1.
	m := newMemory(t, 70_000)
	h := m.handler()
	for path, want := range map[string]int{
		"/tile/0/000":       8192,
		"/tile/0/272":       8192,
		"/tile/0/273.p/112": 112 * 32,
		"/tile/0/273.p/1":   32,
		"/tile/0/000.p/255": 255 * 32, // once was partial
		"/tile/1/000":       8192,
		"/tile/1/001.p/17":  17 * 32,
		"/tile/2/000.p/1":   32,
		"/tile/0/273":       0,
		"/tile/0/273.p/113": 0,
		"/tile/0/274.p/1":   0,
		"/tile/1/001.p/18":  0,
		"/tile/2/000":       0,
		"/tile/2/000.p/2":   0,
		"/tile/3/000.p/1":   0,
		"/tile/8/000.p/1":   0,
		"/tile/63/000.p/1":  0,
		"/tile/64/000.p/1":  0,
		"/tile/00/000":      0,
		"/tile/-1/000":      0,
		"/tile/0/0":         0,
		"/tile/0/x000/000":  0,
		"/tile/0/000.p/0":   0,
		"/tile/0/000.p/256": 0,
		"/tile/0/000.p/01":  0,
		"/tile/0/273.p/":    0,
		"/tile/data/000":    0,
		"/tile/8/0/000":     0,
		"/tile/0/x999/x999/x999/x999/x999/x999/x999/999": 0,
		"/tile/entries/274.p/1":                          0,
		"/tile/entries/":                                 0,
		"/tile/":                                         0,
		"/":                                              0,
	} {
		w := get(t, h, "GET", path)
		if want == 0 {
			if w.Code != http.StatusNotFound {
				t.Errorf("GET %s = %d, want 404", path, w.Code)
			}
			continue
		}
		if w.Code != http.StatusOK || w.Body.Len() != want || w.Header().Get("Content-Type") != "application/octet-stream" ||
			!strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("GET %s = %d, %d bytes, %v, want %d bytes", path, w.Code, w.Body.Len(), w.Header(), want)
		}
	}
}

func TestEntryBundlesHashToTheirTile(t *testing.T) {
	m := newMemory(t, 300)
	h := m.handler()
	for path, want := range map[string]struct{ from, n int }{"000": {0, 256}, "001.p/44": {256, 44}, "001.p/3": {256, 3}} {
		for _, accept := range []string{"", "gzip", "br;q=1, GZIP ; q=0.5", "gzip;q=0"} {
			w := get(t, h, "GET", "/tile/entries/"+path, "Accept-Encoding", accept)
			body := io.Reader(w.Body)
			zipped := w.Header().Get("Content-Encoding") == "gzip"
			if zipped != (accept != "" && accept != "gzip;q=0") || w.Code != http.StatusOK {
				t.Errorf("GET %s accepting %q = %d, %v", path, accept, w.Code, w.Header())
			}
			if zipped {
				z, err := gzip.NewReader(body)
				if err != nil {
					t.Fatal(err)
				}
				body = z
			}
			b, err := io.ReadAll(body)
			if err != nil {
				t.Fatal(err)
			}
			tile := get(t, h, "GET", "/tile/0/"+path).Body.Bytes()
			n := 0
			for ; len(b) >= 2; n++ {
				size := int(binary.BigEndian.Uint16(b))
				leaf := tlog.RecordHash(b[2 : 2+size])
				if !bytes.Equal(leaf[:], tile[n*32:n*32+32]) {
					t.Fatalf("%s: entry %d does not hash to its place in the tile", path, n)
				}
				b = b[2+size:]
			}
			if n != want.n || len(b) != 0 {
				t.Errorf("%s: %d entries, %d bytes left, want %d, 0", path, n, len(b), want.n)
			}
		}
	}
}

func TestTilesAreOnlyRead(t *testing.T) {
	m := newMemory(t, 3)
	h := m.handler()
	for _, path := range []string{"/checkpoint", "/tile/0/000.p/3"} {
		if w := get(t, h, "HEAD", path); w.Code != http.StatusOK || w.Header().Get("Content-Length") == "" {
			t.Errorf("HEAD %s = %d, %v", path, w.Code, w.Header())
		}
		for _, method := range []string{"POST", "PUT", "DELETE"} {
			if w := get(t, h, method, path); w.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s = %d, want 405", method, path, w.Code)
			}
		}
	}
	w := get(t, h, "GET", "/checkpoint")
	if got := w.Header().Get("Content-Type"); got != "text/plain; charset=utf-8" {
		t.Errorf("Content-Type of the checkpoint = %q", got)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-cache" {
		t.Errorf("Cache-Control of the checkpoint = %q", got)
	}
	if w := get(t, newMemory(t, 0).handler(), "GET", "/tile/0/000.p/1"); w.Code != http.StatusNotFound {
		t.Errorf("a tile of an empty ledger = %d, want 404", w.Code)
	}
}

func TestFaultsAreNotToldToStrangers(t *testing.T) {
	m := newMemory(t, 3)
	m.fail = errors.New("disk on fire at /var/lib")
	var logged bytes.Buffer
	h := Tiles(m, slog.New(slog.NewTextHandler(&logged, nil)))
	for _, path := range []string{"/checkpoint", "/tile/0/000.p/3"} {
		w := get(t, h, "GET", path)
		if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "fire") {
			t.Errorf("GET %s = %d %q, want 500 without the cause", path, w.Code, w.Body)
		}
	}
	if strings.Count(logged.String(), "fire") != 2 {
		t.Errorf("logged %q, want the cause twice", &logged)
	}
}

func TestKeyIsMadeOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	first, err := LoadOrCreate(root, origin)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadOrCreate(root, origin)
	if err != nil || again.VerifierKey() != first.VerifierKey() || first.Origin() != origin {
		t.Errorf("LoadOrCreate again = %v, %v, want %v", again, err, first)
	}
	if _, err := LoadOrCreate(root, "other.example.com/log"); err == nil || !strings.Contains(err.Error(), "this hub's is") {
		t.Errorf("LoadOrCreate for another origin = %v", err)
	}
	file := filepath.Join(dir, keyFile)
	info, err := os.Stat(file)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v, want mode 0600", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, keyFile+".*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(file, 0o640); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadOrCreate(root, origin); err == nil {
			t.Error("LoadOrCreate used a key that others can read")
		}
		if err := os.Chmod(file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, []byte("PRIVATE+KEY+x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreate(root, origin); err == nil {
		t.Error("LoadOrCreate accepted half a key: it must not make a new one either")
	}
}

func TestOneKeyWinsWhenManyStart(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	keys := make([]string, 8)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			s, err := LoadOrCreate(root, origin)
			if err != nil {
				t.Error(err)
				return
			}
			keys[i] = s.VerifierKey()
		})
	}
	all.Wait()
	if k := slices.Compact(keys); len(k) != 1 {
		t.Errorf("%d keys are in use, want 1", len(k))
	}
}

func TestOriginsThatCannotSignAreRefused(t *testing.T) {
	for _, o := range []string{"", "a b", "a+b", "a\nb"} {
		if _, err := NewKey(o); err == nil {
			t.Errorf("NewKey(%q) succeeded", o)
		}
	}
}

func FuzzTilePath(f *testing.F) {
	for _, p := range []string{"0/000", "1/001.p/17", "entries/x001/234.p/9", "0/x999/x999/x999/999"} {
		f.Add(p, int64(70_000))
	}
	f.Fuzz(func(t *testing.T, path string, size int64) {
		tile, err := parseTile(path)
		if err != nil || size < 0 || !exists(tile, size) {
			return
		}
		level := max(tile.L, 0)
		if end := tile.N<<8 + int64(tile.W); tile.W < 1 || tile.W > 256 || tile.N < 0 || end > size>>(8*level) {
			t.Errorf("%s exists in a ledger of %d", path, size)
		}
	})
}

func BenchmarkAppendAndSign(b *testing.B) {
	m := newMemory(b, 100_000)
	entry := [][]byte{make([]byte, 100)}
	for b.Loop() {
		size := int64(len(m.entries))
		h, err := Append(size, entry, m)
		if err != nil {
			b.Fatal(err)
		}
		m.hashes, m.entries = append(m.hashes, h...), append(m.entries, entry[0])
		if _, err := m.signer.Checkpoint(size+1, m); err != nil {
			b.Fatal(err)
		}
	}
}

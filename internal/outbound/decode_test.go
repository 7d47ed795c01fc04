package outbound

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"tocsin"
)

func gzipped(t testing.TB, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(text)
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstdded(t testing.TB, text []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return z.EncodeAll(text, nil)
}

func TestCompressedAnswersAreReadAndBounded(t *testing.T) {
	text := bytes.Repeat([]byte("threats "), 1000)
	bomb := bytes.Repeat([]byte{' '}, 64<<20)
	for name, tt := range map[string]struct {
		encoding string
		body     []byte
		want     string
		kind     tocsin.Kind // of the error; 0: none
	}{
		"plain":          {"", text, string(text), 0},
		"gzip":           {"gzip", gzipped(t, text), string(text), 0},
		"x-gzip":         {"X-GZIP", gzipped(t, text), string(text), 0},
		"zstd":           {"zstd", zstdded(t, text), string(text), 0},
		"empty":          {"gzip", gzipped(t, nil), "", 0},
		"gzip bomb":      {"gzip", gzipped(t, bomb), "", tocsin.TooLarge},
		"zstd bomb":      {"zstd", zstdded(t, bomb), "", tocsin.TooLarge},
		"cut gzip":       {"gzip", gzipped(t, text)[:20], "", tocsin.Invalid},
		"cut zstd":       {"zstd", zstdded(t, text)[:20], "", tocsin.Invalid},
		"not gzip":       {"gzip", text, "", tocsin.Invalid},
		"not zstd":       {"zstd", text, "", tocsin.Invalid},
		"nothing at all": {"gzip", nil, "", tocsin.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Accept-Encoding") != encodings {
					t.Errorf("Accept-Encoding = %q", r.Header.Get("Accept-Encoding"))
				}
				if tt.encoding != "" {
					w.Header().Set("Content-Encoding", tt.encoding)
				}
				_, _ = w.Write(tt.body)
			}))
			defer s.Close()
			c := client(t, Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, MaxBytes: 1 << 20})
			res, err := get(t, c, s.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			got, err := io.ReadAll(res.Body)
			if tt.kind == 0 && (err != nil || string(got) != tt.want || res.Header.Get("Content-Encoding") != "") {
				t.Errorf("%d bytes, %v, want %d", len(got), err, len(tt.want))
			}
			if e, ok := errors.AsType[*tocsin.Error](err); tt.kind != 0 && (!ok || e.Kind != tt.kind || len(got) > 1<<20) {
				t.Errorf("%d bytes, %v, want an error of kind %d", len(got), err, tt.kind)
			}
		})
	}
}

func TestWhoAsksForAnEncodingGetsIt(t *testing.T) {
	for name, header := range map[string][]string{
		"its own": {"Accept-Encoding", "br"}, "a range": {"Range", "items 0-9"}, "a stream": {"Accept", "text/event-stream"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.Header.Get("Accept-Encoding"), "zstd") {
				t.Errorf("%s: Accept-Encoding = %q", name, r.Header.Get("Accept-Encoding"))
			}
		}))
		res, err := get(t, client(t, Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}), s.URL, header...)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		s.Close()
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("gzip", gzipped(f, []byte("a")))
	f.Add("zstd", zstdded(f, []byte("a")))
	f.Fuzz(func(t *testing.T, encoding string, body []byte) {
		res := &http.Response{Header: http.Header{"Content-Encoding": {encoding}}, Body: io.NopCloser(bytes.NewReader(body))}
		decode(res)
		n, _ := io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
		if n > 1<<20 {
			t.Error(n)
		}
		_ = res.Body.Close()
	})
}

package coding

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestTheCodingThatAClientLikesBestIsChosen(t *testing.T) {
	for header, want := range map[string]struct {
		coding Coding
		ok     bool
	}{
		"":                                   {Identity, true},
		"identity":                           {Identity, true},
		"gzip":                               {Gzip, true},
		"x-gzip":                             {Gzip, true},
		"GZIP":                               {Gzip, true},
		"gzip, deflate, br":                  {Gzip, true},
		"gzip, deflate, br, zstd":            {Zstd, true},
		"br":                                 {Identity, true},
		"*":                                  {Zstd, true},
		"gzip;q=1, zstd;q=0.5":               {Gzip, true},
		"gzip;q=0.5, zstd;q=0.5":             {Zstd, true},
		"zstd;q=0, gzip":                     {Gzip, true},
		"zstd;q=0, *":                        {Gzip, true},
		"gzip;q=0":                           {Identity, true},
		"identity;q=1, gzip;q=0.5":           {Identity, true},
		"identity;q=0":                       {Identity, false},
		"*;q=0":                              {Identity, false},
		"identity;q=0, gzip":                 {Gzip, true},
		"*;q=0, gzip;q=0.001":                {Gzip, true},
		"*;q=0.5, identity;q=1":              {Identity, true},
		" gzip ; q=0.8 , ,":                  {Gzip, true},
		"gzip;q=nonsense":                    {Identity, true},
		"gzip;q=2":                           {Identity, true},
		"gzip;q=NaN":                         {Identity, true},
		"gzip;level=9":                       {Identity, true},
		strings.Repeat("x,", 1000) + "zstd ": {Zstd, true},
	} {
		if got, ok := Negotiate(header); got != want.coding || ok != want.ok {
			t.Errorf("Negotiate(%.40q) = %v, %v, want %v, %v", header, got, ok, want.coding, want.ok)
		}
	}
}

func TestATextIsTheSameInEveryCoding(t *testing.T) {
	var c Compressor
	content := []byte(strings.Repeat(`{"type":"indicator"},`, 1000))
	var grown int
	text := c.Text(content, func(n int) { grown += n })
	tags := map[string]bool{}
	total := 0
	for _, coding := range []Coding{Identity, Gzip, Zstd} {
		b, as := text.In(coding)
		if as != coding {
			t.Errorf("In(%v) = %v", coding, as)
		}
		if coding != Identity {
			total += len(b)
			if len(b) > len(content)/2 {
				t.Errorf("%v takes %d bytes of %d", coding, len(b), len(content))
			}
		}
		r, err := Reader(coding, bytes.NewReader(b), int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%v: %d bytes, %v, want the content", coding, len(got), err)
		}
		tags[text.Tag(as)] = true
	}
	if len(tags) != 3 {
		t.Errorf("tags %v, want one for each coding", tags)
	}
	if grown != total {
		t.Errorf("grown by %d, want %d", grown, total)
	}
	if other := c.Text(append(content, ' '), nil); tags[other.Tag(Identity)] {
		t.Error("another content has the same tag")
	}
}

func TestATextIsCompressedOnce(t *testing.T) {
	var c Compressor
	grown := 0
	text := c.Text(bytes.Repeat([]byte("once "), 1000), func(int) { grown++ }) // the race detector sees a second one
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, as := text.In(Zstd); as != Zstd {
				t.Errorf("In(Zstd) = %v", as)
			}
		})
	}
	all.Wait()
	if grown != 1 {
		t.Errorf("compressed %d times, want once", grown)
	}
}

func TestWhatDoesNotShrinkStaysAsItIs(t *testing.T) {
	var c Compressor
	noise := make([]byte, 4096)
	for i := range noise { // a generator is enough: it has no pattern that a compressor knows
		noise[i] = byte((i*i*2654435761 + i*40503) >> 7)
	}
	packed := c.compress(Zstd, c.compress(Gzip, bytes.Repeat(noise, 1)))
	for name, content := range map[string][]byte{"small": []byte("{}"), "packed": packed} {
		if b, as := c.Text(content, nil).In(Gzip); as != Identity || !bytes.Equal(b, content) {
			t.Errorf("%s: In(Gzip) = %d bytes of %v, want it as it is", name, len(b), as)
		}
	}
}

func TestBombsCostNoMoreThanHonestBodies(t *testing.T) {
	var c Compressor
	bomb := bytes.Repeat([]byte{0}, 8<<20)
	var small bytes.Buffer // a frame that does not say how large it is
	z, err := zstd.NewWriter(&small)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = z.Write(bomb)
	_ = z.Close()
	wide, err := zstd.NewWriter(nil, zstd.WithWindowSize(64<<20), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]struct {
		coding Coding
		bytes  []byte
	}{
		"gzip":          {Gzip, c.compress(Gzip, bomb)},
		"zstd":          {Zstd, c.compress(Zstd, bomb)},
		"silent zstd":   {Zstd, small.Bytes()},
		"as it is":      {Identity, bomb},
		"zstd, frames":  {Zstd, bytes.Repeat(c.compress(Zstd, bomb[:1<<20]), 8)},
		"gzip, members": {Gzip, bytes.Repeat(c.compress(Gzip, bomb[:1<<20]), 8)},
	} {
		r, err := Reader(body.coding, bytes.NewReader(body.bytes), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, r)
		if n > 1<<20 || !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %d bytes, %v, want at most 1 MiB and ErrTooLarge", name, n, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	huge := wide.EncodeAll(bytes.Repeat([]byte("0123456789abcdef"), 8<<20), nil)
	r, err := Reader(Zstd, bytes.NewReader(huge), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); err == nil {
		t.Error("a window of 64 MiB was granted")
	}
}

func FuzzReader(f *testing.F) {
	var c Compressor
	for _, coding := range []Coding{Identity, Gzip, Zstd} {
		if coding == Identity {
			f.Add(uint8(coding), []byte("{}"))
			continue
		}
		f.Add(uint8(coding), c.compress(coding, bytes.Repeat([]byte("{}"), 4096)))
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		const most = 4096
		r, err := Reader(Coding(which%uint8(codings)), bytes.NewReader(body), most)
		if err != nil {
			return
		}
		defer r.Close()
		if n, _ := io.Copy(io.Discard, r); n > most {
			t.Errorf("%d bytes came out, want at most %d", n, most)
		}
	})
}

func FuzzNegotiate(f *testing.F) {
	f.Add("gzip;q=0.5, *;q=0")
	f.Fuzz(func(t *testing.T, header string) {
		if c, ok := Negotiate(header); c >= codings || !ok && c != Identity {
			t.Errorf("Negotiate = %v, %v", c, ok)
		}
	})
}

package cursor

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"tocsin"
)

func sealer(b byte) *Sealer { return New(bytes.Repeat([]byte{b}, 32)) }

func TestACursorBringsBackItsPosition(t *testing.T) {
	for name, want := range map[string]Position{
		"nothing read": {},
		"first":        {Seq: 1, Added: time.UnixMicro(1).UTC()},
		"far":          {Seq: 1<<63 - 1, Added: time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)},
		"before 1970":  {Seq: 7, Added: time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)},
		"no date":      {Seq: 7},
	} {
		t.Run(name, func(t *testing.T) {
			text := sealer(1).Seal(want, "collection", "filter")
			got, err := sealer(1).Open(text, "collection", "filter") // a replica with the same secret
			if err != nil || got.Seq != want.Seq || !got.Added.Equal(want.Added) {
				t.Errorf("Open(Seal(%v)) = %v, %v", want, got, err)
			}
			if len(text) != textSize {
				t.Errorf("len(Seal(%v)) = %d, want %d", want, len(text), textSize)
			}
		})
	}
}

func TestAForgedOrForeignCursorIsMalformed(t *testing.T) {
	good := sealer(1).Seal(Position{Seq: 42}, "a", "b")
	flip := func(i int) string {
		b, err := base64.RawURLEncoding.DecodeString(good)
		if err != nil {
			t.Fatal(err)
		}
		b[i] ^= 1
		return base64.RawURLEncoding.EncodeToString(b)
	}
	for name, tt := range map[string]struct {
		text  string
		scope []string
	}{
		"empty":             {"", []string{"a", "b"}},
		"a number":          {"42", []string{"a", "b"}},
		"negative":          {"-1", []string{"a", "b"}},
		"7 kB":              {strings.Repeat("A", 7000), []string{"a", "b"}},
		"zeros":             {strings.Repeat("A", textSize), []string{"a", "b"}},
		"tag changed":       {flip(0), []string{"a", "b"}},
		"position changed":  {flip(tagSize + 7), []string{"a", "b"}},
		"date changed":      {flip(tagSize + 15), []string{"a", "b"}},
		"another filter":    {good, []string{"a", "c"}},
		"less scope":        {good, []string{"a"}},
		"moved border":      {good, []string{"ab", ""}},
		"another secret":    {sealer(2).Seal(Position{Seq: 42}, "a", "b"), []string{"a", "b"}},
		"line break":        {good[:20] + "\n" + good[20:], []string{"a", "b"}},
		"line break inside": {good[:20] + "\n" + good[21:], []string{"a", "b"}},
		"standard alphabet": {strings.Repeat("+", textSize), []string{"a", "b"}},
		"cut":               {good[:textSize-1], []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := sealer(1).Open(tt.text, tt.scope...)
			if e, ok := errors.AsType[*tocsin.Error](err); !ok || e.Kind != tocsin.Malformed {
				t.Errorf("Open(%q) = %v, %v, want malformed", tt.text, p, err)
			}
		})
	}
}

// DESIGN promise 5: how much is hidden between two objects is not to be read
// off a cursor.
func TestCursorsOfNeighborsLookUnrelated(t *testing.T) {
	one, err := base64.RawURLEncoding.DecodeString(sealer(1).Seal(Position{Seq: 1}, "a"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := base64.RawURLEncoding.DecodeString(sealer(1).Seal(Position{Seq: 2}, "a"))
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for i := range one {
		if one[i] == two[i] {
			same++
		}
	}
	if same > 4 { // chance makes more than four of 32 equal once in 10^7
		t.Errorf("%d of %d bytes are the same in cursors of positions 1 and 2", same, len(one))
	}
}

func FuzzOpen(f *testing.F) {
	s := sealer(1)
	f.Add(s.Seal(Position{Seq: 1}, "a"), "a")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, text, scope string) {
		p, err := s.Open(text, scope)
		if err == nil && s.Seal(p, scope) != text {
			t.Errorf("Open(%q) = %v, which is sealed as %q", text, p, s.Seal(p, scope))
		}
	})
}

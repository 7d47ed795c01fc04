package agent

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/internal/logs"
)

// A logFile is a log that somebody writes, and what a follower read of it.
type logFile struct {
	t      *testing.T
	path   string
	f      *follower
	got    []string
	at     place      // as it is saved
	chunk  logs.Chunk // the last
	format logs.Format
}

func newLog(t *testing.T) *logFile {
	l := &logFile{t: t, path: filepath.Join(t.TempDir(), "access.log")}
	l.restart()
	t.Cleanup(func() { l.f.close() })
	return l
}

// restart loses all but what is saved.
func (l *logFile) restart() {
	if l.f != nil {
		l.f.close()
	}
	l.f = &follower{path: l.path, at: l.at, size: 4096}
	l.f.take = func(c logs.Chunk, f logs.Format, at place) {
		for line := range strings.Lines(string(c.Text)) {
			l.got = append(l.got, strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"))
		}
		l.at, l.chunk, l.format = at, c, f
	}
}

func (l *logFile) write(text string) {
	l.t.Helper()
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		l.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		l.t.Fatal(err)
	}
}

func (l *logFile) rename() {
	l.t.Helper()
	if err := os.Rename(l.path, l.path+".1"); err != nil {
		l.t.Fatal(err)
	}
}

// read has the follower read all there is, and checks what it got.
func (l *logFile) read(want ...string) {
	l.t.Helper()
	for range 1000 {
		more, err := l.f.look()
		if err != nil {
			l.t.Fatal(err)
		}
		if !more {
			break
		}
	}
	if !slices.Equal(l.got, want) {
		l.t.Errorf("read %.200q, want %.200q", l.got, want)
	}
	l.got = nil
}

func TestALogIsFollowedAsItGrows(t *testing.T) {
	l := newLog(t)
	l.read()
	l.write("a\nb\r\n")
	l.read("a", "b")
	l.read()
	l.write("c")
	l.read()
	l.write("d\ne\n\n")
	l.read("cd", "e", "")
	l.write(strings.Repeat("x", 10_000) + "\nf\n")
	l.read(strings.Repeat("x", 10_000), "f")
}

func TestALogIsFollowedIntoItsNewFile(t *testing.T) {
	l := newLog(t)
	l.write("a\nb\n")
	l.read("a", "b")
	old, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = old.Close() }()
	l.rename()
	l.read()
	_, _ = old.WriteString("c\nd") // whoever writes was not told yet
	l.read("c")
	l.write("e\n")
	l.read("d", "e")
	l.write("f\n")
	l.read("f")
	l.rename()
	l.write("g\n") // both at once
	l.read("g")
}

func TestALogThatIsCutIsReadAnew(t *testing.T) {
	l := newLog(t)
	l.write("a\nb\nc\n")
	l.read("a", "b", "c")
	if err := os.Truncate(l.path, 0); err != nil {
		t.Fatal(err)
	}
	l.write("d\n")
	l.read("d")
	if err := os.Truncate(l.path, 0); err != nil {
		t.Fatal(err)
	}
	l.write("longer than it was\n") // it has grown past the place before anybody looked
	l.read("longer than it was")
}

func TestALogIsReadOnWhereItWasLeft(t *testing.T) {
	l := newLog(t)
	l.write("a\nb\nc")
	l.read("a", "b")
	l.restart()
	l.write("c\nd\n")
	l.read("cc", "d")
	l.restart()
	l.read()

	l.write("e\n") // then it is renamed while nobody looks
	l.rename()
	l.write("f\n")
	l.restart()
	l.read("e", "f")

	if err := os.WriteFile(l.path, []byte("another\nfile\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(l.path + ".1"); err != nil {
		t.Fatal(err)
	}
	l.restart()
	l.read("another", "file")
	if err := os.Remove(l.path); err != nil {
		t.Fatal(err)
	}
	l.restart()
	l.read()
	l.write("new\n")
	l.read("new")
}

func TestALineWithoutAnEndIsReadInPieces(t *testing.T) {
	l := newLog(t)
	l.write(strings.Repeat("x", longestLine+10_000))
	l.f.size = chunkBytes
	for range 100 {
		if more, err := l.f.look(); err != nil || !more {
			break
		}
	}
	if total := len(strings.Join(l.got, "")); len(l.got) == 0 || total < longestLine || cap(l.f.text) > 3*longestLine {
		t.Errorf("of a line without an end %d bytes were taken in %d pieces, and %d are held", total, len(l.got), cap(l.f.text))
	}
}

func TestWhateverHappensToALogEveryLineIsReadOnce(t *testing.T) {
	l := newLog(t)
	var want []string
	n := 0
	for round := range 300 {
		for range round % 7 {
			line := fmt.Sprintf("line %d %s", n, strings.Repeat("x", n%200))
			want = append(want, line)
			l.write(line + "\n")
			n++
		}
		switch {
		case round%11 == 0:
			l.restart()
		case round%17 == 0:
			if _, err := os.Stat(l.path); err == nil {
				l.all(&want)
				l.rename()
			}
		case round%3 == 0:
			l.all(&want)
		}
	}
	l.all(&want)
	if len(want) != 0 {
		t.Errorf("%d lines were not read: %.200q", len(want), want)
	}
}

// all reads all there is, and takes it from what is wanted.
func (l *logFile) all(want *[]string) {
	l.t.Helper()
	for {
		more, err := l.f.look()
		if err != nil {
			l.t.Fatal(err)
		}
		if !more {
			break
		}
	}
	if len(l.got) > len(*want) || !slices.Equal(l.got, (*want)[:len(l.got)]) {
		l.t.Fatalf("read %.300q, want %.300q", l.got, *want)
	}
	*want = (*want)[len(l.got):]
	l.got = nil
}

func FuzzLinesAreTheSameHoweverTheyCome(f *testing.F) {
	f.Add([]byte("a\nb\r\n\nc\n"), byte(3))
	f.Fuzz(func(t *testing.T, text []byte, size byte) {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		var got [][]byte
		fo := &follower{path: path, size: int(size)%9 + 1}
		defer fo.close()
		var last place
		fo.take = func(c logs.Chunk, _ logs.Format, at place) {
			for l := range bytes.Lines(c.Text) {
				got = append(got, bytes.Clone(bytes.TrimSuffix(bytes.TrimSuffix(l, []byte{'\n'}), []byte{'\r'})))
			}
			last = at
		}
		for more := true; more; {
			var err error
			if more, err = fo.look(); err != nil {
				if logs.IsPacked(text) {
					return
				}
				t.Fatal(err)
			}
		}
		var want [][]byte
		whole := 0
		for line := range bytes.Lines(text) {
			if cut, ok := bytes.CutSuffix(line, []byte{'\n'}); ok {
				want = append(want, bytes.TrimSuffix(cut, []byte{'\r'}))
				whole += len(line)
			}
		}
		if !slices.EqualFunc(got, want, bytes.Equal) || last.Offset != int64(whole) {
			t.Errorf("%q was read as %q up to %d, want %q up to %d", text, got, last.Offset, want, whole)
		}
	})
}

func TestLogsThatWereRotatedTwiceAreReadInTheirOrder(t *testing.T) {
	l := newLog(t)
	l.write("a\nb\n")
	l.read("a", "b")
	l.write("c\n") // nobody looks while it is rotated three times
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(l.path+from, l.path+to); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // file systems tell no shorter time
	}
	move("", ".1")
	l.write("d\ne\n")
	move(".1", ".2")
	move("", ".1")
	l.write("f\n")
	move(".2", "-20260301")
	move(".1", ".2")
	move("", ".1")
	l.write("g\n")
	if err := os.WriteFile(l.path+".3.gz", []byte("old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.restart()
	l.read("c", "d", "e", "f", "g")
	l.restart()
	l.read()

	move(".1", "-20260302") // what was read is compressed while nobody looks
	move("", ".1")
	l.write("h\n")
	if err := os.Remove(l.path + ".1"); err != nil {
		t.Fatal(err)
	}
	l.restart()
	l.read("h")
}

func TestALogThatIsCopiedAndCutLosesNothing(t *testing.T) {
	l := newLog(t)
	l.write("a\nb\n")
	l.read("a", "b")
	l.write("c\n")
	text, err := os.ReadFile(l.path) // as 'copytruncate' does
	if err == nil {
		err = os.WriteFile(l.path+".1", text, 0o600)
	}
	if err == nil {
		err = os.Truncate(l.path, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	l.write("d\n")
	l.read("c", "d")
}

func TestTheFieldsOfALogAreKnownAfterARestart(t *testing.T) {
	l := newLog(t)
	l.write("#separator \\x09\n#fields\tts\tid.orig_h\n1\t192.0.2.1\n")
	l.read("#separator \\x09", "#fields\tts\tid.orig_h", "1\t192.0.2.1")
	l.restart()
	l.write("2\t192.0.2.2\n")
	l.read("2\t192.0.2.2")
	if l.format != logs.ZeekTSV || string(l.chunk.Header) != "#fields\tts\tid.orig_h" {
		t.Errorf("after a restart the format is %v, and the fields are %q", l.format, l.chunk.Header)
	}
}

func TestACompressedLogIsLeftAlone(t *testing.T) {
	l := newLog(t)
	l.write("\x1f\x8b\x08 and so on\n")
	if _, err := l.f.look(); err == nil {
		t.Error("a compressed log was read without a word")
	}
	l.read()
	l.rename()
	l.write("a\n")
	l.read("a")
}

func TestPatternsNameLogsAndNothingThatWasRenamed(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"a.log", "a.log.1", "a.log-20260101", "b.log", "b.log.gz", "c.txt", "d.log"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, path := range expand(filepath.Join(folder, "*.log*")) {
		got = append(got, filepath.Base(path))
	}
	if want := []string{"a.log", "b.log", "d.log"}; !slices.Equal(got, want) {
		t.Errorf("the pattern names %v, want %v", got, want)
	}
}

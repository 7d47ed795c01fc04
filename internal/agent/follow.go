package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"tocsin/internal/match"
)

// The pace and the bounds of reading a log.
const (
	lookEvery   = 100 * time.Millisecond
	chunkBytes  = 256 << 10
	longestLine = 1 << 20 // a longer one is looked through in pieces
)

// A place is how far a log was read. It knows the file by how it begins, not by
// its name: logs are renamed when they are full.
type place struct {
	Offset int64  `json:"offset"` // of the first byte that was not looked through
	Head   int    `json:"head"`   // how many bytes Sum is of, at most headBytes
	Sum    []byte `json:"sum,omitempty"`
}

// headBytes is how much of a file tells it from others.
const headBytes = 1024

// A follower reads a log as it grows, as 'tail -F' does: it goes on in the new
// file when the log is renamed, begins anew when it is cut, and waits for one
// that is not there.
type follower struct {
	path  string
	file  *os.File // nil: none is open
	at    place
	rest  []byte                         // what was read behind the last end of a line
	chunk []byte                         // buffer for reading
	batch [][]byte                       // buffer for lines
	lines func(lines [][]byte, at place) // takes whole lines; at is behind them
}

// watch looks through a log until the context ends. It begins when the agent
// knows what to look for.
func (a *agent) watch(ctx context.Context, path string) {
	select {
	case <-ctx.Done():
		return
	case <-a.settled:
	}
	f := &follower{path: path, at: a.reports.place(path), chunk: make([]byte, chunkBytes)}
	f.lines = func(lines [][]byte, at place) { a.search(ctx, path, lines, at) }
	defer f.close()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var said string
	for ctx.Err() == nil {
		more, err := f.look()
		switch {
		case err == nil:
			said = ""
		case err.Error() != said: // once, not ten times a second
			said = err.Error()
			a.failed(ctx, "log", Event{File: path, Err: err})
		}
		if more {
			continue
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (f *follower) close() {
	if f.file != nil {
		_ = f.file.Close() // it was only read
		f.file = nil
	}
	f.rest = f.rest[:0]
}

// look reads a chunk, and reports whether there may be more to read at once.
func (f *follower) look() (more bool, err error) {
	if f.file == nil {
		if err := f.open(); err != nil || f.file == nil {
			return false, err
		}
	}
	n, err := f.file.ReadAt(f.chunk, f.at.Offset+int64(len(f.rest)))
	if n > 0 && !f.at.in(f.file) { // it was cut and has grown again
		f.close()
		f.at = place{}
		return true, nil
	}
	if n > 0 {
		return true, f.take(f.chunk[:n])
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err //nolint:wrapcheck // it names the file
	}
	return f.turn()
}

// open opens the log where it was left. When it was renamed meanwhile, what is
// left of the old file is read first, if it is where logrotate puts it.
func (f *follower) open() error {
	for _, path := range []string{f.path, f.path + ".1"} {
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err //nolint:wrapcheck // it names the file
		}
		if f.at.Offset == 0 && path == f.path || f.at.Offset > 0 && f.at.in(file) {
			f.file = file
			return nil
		}
		_ = file.Close() // it was only read
	}
	if f.at.Offset == 0 { // it is not there yet
		return nil
	}
	f.at = place{} // what was read is gone: begin with what is there
	return f.open()
}

// in reports whether a file is the one that the place is in.
func (p place) in(file *os.File) bool {
	info, err := file.Stat()
	if err != nil || info.Size() < p.Offset || p.Head > headBytes {
		return false
	}
	if p.Head == 0 { // nothing of it was read yet
		return true
	}
	sum, err := head(file, p.Head)
	return err == nil && bytes.Equal(sum, p.Sum)
}

func head(file *os.File, n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := file.ReadAt(b, 0); err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	sum := sha256.Sum256(b)
	return sum[:], nil
}

// take looks through what was read, line by line, and keeps what has no end yet.
func (f *follower) take(b []byte) error {
	f.batch = f.batch[:0]
	used := int64(0)
	for {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			break
		}
		line := b[:end]
		if len(f.rest) > 0 {
			f.rest = append(f.rest, line...)
			line = bytes.Clone(f.rest)
			used += int64(len(f.rest)) + 1
			f.rest = f.rest[:0]
		} else {
			used += int64(end) + 1
		}
		f.batch = append(f.batch, bytes.TrimSuffix(line, []byte{'\r'}))
		b = b[end+1:]
	}
	f.rest = append(f.rest, b...)
	if len(f.rest) > longestLine {
		return f.flush(used)
	}
	return f.deliver(used)
}

// flush takes what has no end as a line.
func (f *follower) flush(used int64) error {
	f.batch = append(f.batch, bytes.Clone(f.rest))
	used += int64(len(f.rest))
	f.rest = f.rest[:0]
	return f.deliver(used)
}

// deliver hands on the lines of a batch, and where the log was read to.
func (f *follower) deliver(used int64) error {
	if used == 0 {
		return nil
	}
	f.at.Offset += used
	if n := int(min(f.at.Offset, headBytes)); n != f.at.Head {
		sum, err := head(f.file, n)
		if err != nil {
			return err
		}
		f.at.Head, f.at.Sum = n, sum
	}
	f.lines(f.batch, f.at)
	return nil
}

// turn looks, at the end of the file, whether the log goes on elsewhere.
func (f *follower) turn() (more bool, err error) {
	have, err := f.file.Stat()
	if err != nil {
		return false, err //nolint:wrapcheck // it names the file
	}
	if have.Size() < f.at.Offset+int64(len(f.rest)) { // it was cut
		f.close()
		f.at = place{}
		return true, nil
	}
	now, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) { // renamed, and there is no new one yet: whoever writes may still have the old one
		return false, nil
	}
	if err != nil || os.SameFile(have, now) {
		return false, err //nolint:wrapcheck // it names the file
	}
	if have, err = f.file.Stat(); err == nil && have.Size() > f.at.Offset+int64(len(f.rest)) {
		return true, nil // written between the two looks
	}
	f.batch = f.batch[:0]
	if len(f.rest) > 0 { // the last line will not get an end any more
		if err := f.flush(0); err != nil {
			return false, err
		}
	}
	f.close()
	f.at = place{}
	f.lines(nil, f.at)
	return true, nil
}

// search looks through lines of a log and counts what it finds. The lines stay
// here: only the number of those that an indicator's value is in goes further.
func (a *agent) search(ctx context.Context, path string, lines [][]byte, at place) {
	now := time.Now()
	var hits []match.Hit
	var seen []sight
	a.mu.RLock()
	for _, line := range lines {
		if hits = a.book.set.Append(hits[:0], line); len(hits) == 0 {
			continue
		}
		for _, in := range a.book.find(hits) {
			seen = append(seen, sight{in: in, value: valueOf(hits, in)})
		}
	}
	a.mu.RUnlock()
	for _, s := range a.reports.count(path, at, seen, now.Add(a.First), now) {
		a.Log.InfoContext(ctx, "hit", "indicator", s.in.ID, "file", path)
		a.tell(Event{Kind: Hit, Collection: s.in.collection(), Indicator: s.in.ID, Value: s.value, File: path})
	}
}

func valueOf(hits []match.Hit, in *indicator) string {
	for _, h := range hits {
		if h.ID == in.key {
			return h.Value.Text()
		}
	}
	return ""
}

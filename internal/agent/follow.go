package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tocsin"
	"tocsin/internal/logs"
)

// The pace and the bounds of reading a log.
const (
	lookEvery   = 100 * time.Millisecond
	chunkBytes  = 256 << 10
	longestLine = 1 << 20  // a longer one is looked through in pieces
	longestHead = 64 << 10 // of a line that names fields; a longer one names none
)

// A place is how far a log was read. It knows the file by how it begins, not by
// its name: logs are renamed when they are full.
type place struct {
	Offset int64       `json:"offset"` // of the first byte that was not looked through
	Head   int         `json:"head"`   // how many bytes Sum is of, at most headBytes
	Sum    []byte      `json:"sum,omitempty"`
	Format logs.Format `json:"format,omitempty"`
	Fields string      `json:"fields,omitempty"` // the line before it that names the fields, if the format has one
	After  time.Time   `json:"after,omitzero"`   // when what was read was written last: what is older was read, or is no log
}

// headBytes is how much of a file tells it from others.
const headBytes = 1024

// A follower reads a log as it grows, as 'tail -F' does: it goes on in the new
// file when the log is renamed, begins anew when it is cut, and waits for one
// that is not there. Files that the log was renamed to meanwhile are read in
// their order; those that were compressed were read before, and are left alone.
type follower struct {
	path string
	file *os.File // nil: none is open
	dull bool     // the open file is compressed: there is nothing to read in it
	at   place
	text []byte                                      // what was read and not taken: the begin of a line
	size int                                         // how much is read at once; chunkBytes when zero
	take func(c logs.Chunk, f logs.Format, at place) // takes whole lines; at is behind them
}

func (f *follower) close() {
	if f.file != nil {
		_ = f.file.Close() // it was only read
		f.file = nil
	}
	f.text, f.dull = f.text[:0], false
}

// look reads a chunk, and reports whether there may be more to read at once.
func (f *follower) look() (more bool, err error) {
	if f.file == nil {
		if err := f.open(); err != nil || f.file == nil {
			return false, err
		}
	}
	if f.dull {
		return f.turn()
	}
	size := f.size
	if size == 0 {
		size = chunkBytes
	}
	have := len(f.text)
	f.text = slices.Grow(f.text, size)[:have+size]
	n, err := f.file.ReadAt(f.text[have:], f.at.Offset+int64(have))
	f.text = f.text[:have+n]
	if n > 0 && !f.at.in(f.file) { // it was cut and has grown again
		f.close()
		return true, nil
	}
	if n > 0 {
		if f.at.Offset == 0 && have == 0 {
			if logs.IsPacked(f.text) {
				f.dull, f.text = true, f.text[:0]
				return false, &tocsin.Error{Kind: tocsin.Unsupported, Message: "this log is compressed, or a capture of packets", Hint: "name the one that is written to; 'tocsin scan' reads those"}
			}
		}
		return true, f.deliver(have)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err //nolint:wrapcheck // it names the file
	}
	return f.turn()
}

// siblings returns the files that the log was renamed to, the oldest first, and
// the log itself.
func (f *follower) siblings() []string {
	folder, base := filepath.Split(f.path)
	entries, err := os.ReadDir(filepath.Clean(folder + "."))
	if err != nil {
		return []string{f.path}
	}
	type sibling struct {
		path string
		at   time.Time
	}
	var all []sibling
	for _, e := range entries {
		if !isRotated(base, e.Name()) {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			all = append(all, sibling{folder + e.Name(), info.ModTime()})
		}
	}
	slices.SortFunc(all, func(x, y sibling) int { return x.at.Compare(y.at) })
	var paths []string
	for _, s := range all {
		if s.at.After(f.at.After) || f.at.Offset > 0 {
			paths = append(paths, s.path)
		}
	}
	return append(paths, f.path)
}

// isRotated reports whether a name is what a log of another is renamed to:
// "access.log.1", "access.log-20260301".
func isRotated(base, name string) bool {
	rest, ok := strings.CutPrefix(name, base)
	if !ok || len(rest) < 2 || !strings.ContainsRune(".-_", rune(rest[0])) || rest[1] < '0' || rest[1] > '9' {
		return false
	}
	switch filepath.Ext(rest) {
	case ".gz", ".xz", ".zst", ".bz2", ".lz4", ".Z", ".zip", ".new", ".tmp":
		return false
	}
	return true
}

// open opens the log where it was left: in the file that it was in, whatever
// that is called now. When that is gone, in the first that was written later.
func (f *follower) open() error {
	all := f.siblings()
	if f.at.Offset > 0 {
		for _, path := range slices.Backward(all) {
			file, err := os.Open(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err //nolint:wrapcheck // it names the file
			}
			if f.at.in(file) {
				f.file = file
				return nil
			}
			_ = file.Close() // it was only read
		}
		f.at = place{After: f.at.After} // what was read is gone: begin with what came after it
		all = f.siblings()
	}
	if f.at.After.IsZero() { // nothing was read yet: what is old stays so
		all = []string{f.path}
	}
	for _, path := range all {
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		f.file = file
		return err //nolint:wrapcheck // it names the file
	}
	return nil // it is not there yet
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
	sum, err := head1(file, p.Head)
	return err == nil && bytes.Equal(sum, p.Sum)
}

func head1(file *os.File, n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := file.ReadAt(b, 0); err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	sum := sha256.Sum256(b)
	return sum[:], nil
}

// deliver hands on whole lines, and keeps what has no end yet. Behind what was
// there before is what is new.
func (f *follower) deliver(before int) error {
	end := bytes.LastIndexByte(f.text[before:], '\n') + 1
	if end > 0 {
		return f.hand(before + end)
	}
	if len(f.text) < longestLine {
		return nil
	}
	return f.hand(logs.Cut(f.text)) // where no word is
}

// hand hands on the first bytes of what was read.
func (f *follower) hand(n int) error {
	if n == 0 {
		return nil
	}
	text := f.text[:n]
	next := f.at
	if next.Offset == 0 {
		next.Format = logs.Detect(text)
	}
	chunk := logs.Chunk{Text: text, Offset: next.Offset}
	if next.Fields != "" {
		chunk.Header = []byte(next.Fields)
	}
	if fields := logs.Header(next.Format, text, chunk.Header); len(fields) <= longestHead {
		next.Fields = string(fields)
	}
	next.Offset += int64(n)
	if size := int(min(next.Offset, headBytes)); size != next.Head {
		sum, err := head1(f.file, size)
		if err != nil {
			return err
		}
		next.Head, next.Sum = size, sum
	}
	if info, err := f.file.Stat(); err == nil {
		next.After = info.ModTime()
	}
	f.at = next
	f.take(chunk, next.Format, next)
	f.text = append(f.text[:0], f.text[n:]...)
	if cap(f.text) > 2*chunkBytes && len(f.text) < chunkBytes { // a line was long: the next is not
		f.text = slices.Clone(f.text)
	}
	return nil
}

// turn looks, at the end of the file, whether the log goes on elsewhere.
func (f *follower) turn() (more bool, err error) {
	have, err := f.file.Stat()
	if err != nil {
		return false, err //nolint:wrapcheck // it names the file
	}
	if have.Size() < f.at.Offset+int64(len(f.text)) { // it was cut; what it had may have been copied before
		f.close()
		return true, nil
	}
	now, err := os.Stat(f.path)
	gone := errors.Is(err, fs.ErrNotExist)
	if err != nil && !gone {
		return false, err //nolint:wrapcheck // it names the file
	}
	if !gone && os.SameFile(have, now) {
		return false, nil
	}
	next := f.next(have)
	if next == "" || next == f.path && gone { // renamed, and there is no new one yet: whoever writes may still have the old one
		return false, nil
	}
	file, err := os.Open(next)
	if err != nil {
		return false, err //nolint:wrapcheck // it names the file
	}
	if !f.dull {
		if have, err = f.file.Stat(); err == nil && have.Size() > f.at.Offset+int64(len(f.text)) {
			_ = file.Close()
			return true, nil // written between the two looks
		}
		if err := f.hand(len(f.text)); err != nil { // the last line will not get an end any more
			return false, errors.Join(err, file.Close())
		}
	}
	f.close()
	f.file, f.at = file, place{After: have.ModTime()}
	f.take(logs.Chunk{}, logs.Text, f.at)
	return true, nil
}

// next returns the file that the log went on in after the open one, "" when
// that cannot be said.
func (f *follower) next(have fs.FileInfo) string {
	all := f.siblings()
	for i, path := range all {
		if info, err := os.Stat(path); err == nil && os.SameFile(info, have) {
			if i+1 < len(all) {
				return all[i+1]
			}
			return ""
		}
	}
	for _, path := range all { // it was compressed, or thrown away
		if info, err := os.Stat(path); err == nil && info.ModTime().After(have.ModTime()) {
			return path
		}
	}
	return f.path
}

// watchEvery is how often it is looked for files that a pattern names.
const watchEvery = 2 * time.Second

// mostLogs bounds how many logs are followed at once.
const mostLogs = 1000

// watchAll follows the logs, when the agent knows what to look for, until the
// context ends.
func (a *agent) watchAll(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-a.settled:
	}
	followed := map[string]bool{}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var done []func()
	defer func() {
		for _, wait := range done {
			wait()
		}
	}()
	patterns := false
	for {
		for _, name := range a.Logs {
			paths := []string{name}
			if strings.ContainsAny(name, "*?[") {
				patterns = true
				paths = expand(name)
			}
			for _, path := range paths {
				if followed[path] {
					continue
				}
				if len(followed) == mostLogs {
					a.failed(ctx, "log", Event{File: path, Err: &tocsin.Error{Kind: tocsin.TooMany, Message: "there are more than 1,000 logs", Hint: "name fewer, or run another agent"}})
					patterns = false
					break
				}
				followed[path] = true
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					a.watch(ctx, path)
				}()
				done = append(done, func() { <-ended })
			}
		}
		if !patterns {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// expand returns the files that a pattern names, without those that logs are
// renamed to and those that are compressed.
func expand(pattern string) []string {
	all, _ := filepath.Glob(pattern) // a bad pattern names nothing
	return slices.DeleteFunc(all, func(path string) bool {
		switch filepath.Ext(path) {
		case ".gz", ".xz", ".zst", ".bz2", ".lz4", ".Z", ".zip":
			return true
		}
		info, err := os.Stat(path)
		return err != nil || !info.Mode().IsRegular() || slices.ContainsFunc(all, func(other string) bool {
			return filepath.Dir(other) == filepath.Dir(path) && isRotated(filepath.Base(other), filepath.Base(path))
		})
	})
}

package agent

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	parsed "tocsin/internal/indicator"
)

// A journal keeps the book on disk: every change is one line, appended. A line
// holds the cursor together with what came before it, so whatever is lost of the
// end by a crash is asked for again. Only what would not be is synced.
type journal struct {
	path  string
	file  *os.File
	book  *book
	size  int64 // of the file, in bytes
	clean int64 // its size when it was last written anew

	marked time.Time // when a cursor alone was last written
	torn   bool      // a line is missing: the next one would put a cursor behind it
}

// journalName is the file's name in the state folder. The number is that of its
// form: one of an earlier form is not read, since the hub has all of it.
const journalName = "indicators.2.journal"

// leastGarbage is how much a journal grows before it is written anew, in bytes.
const leastGarbage = 4 << 20

// longestEntry bounds a line of the journal, in bytes: an object is 10 MiB at
// most, and what is kept of it is less.
const longestEntry = 32 << 20

// A journalEntry is one line.
type journalEntry struct {
	Collection string        `json:"c"`
	Indicator  *indicator    `json:"i,omitempty"`    // came
	Policy     *storedPolicy `json:"p,omitempty"`    // what explains a marking
	Gone       string        `json:"gone,omitempty"` // id of an indicator or a marking that went
	Cursors    *cursors      `json:"at,omitempty"`   // how far the collection was read with it
}

// A storedPolicy is what a marking allows.
type storedPolicy struct {
	Marking string        `json:"id"`
	Allowed parsed.Action `json:"a"`
}

// openJournal reads the journal of a state folder into the book. Lines after
// one that is damaged are left out: the cursor before it leads to them again.
func openJournal(folder string, b *book) (*journal, error) {
	j := &journal{path: filepath.Join(folder, journalName), book: b}
	var err error
	if j.file, err = os.OpenFile(j.path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if err := j.replay(time.Now()); err != nil {
		return nil, errors.Join(fmt.Errorf("journal: %w", err), j.file.Close())
	}
	j.clean = j.size / 2 // what came before is written anew soon if it is mostly garbage
	return j, nil
}

func (j *journal) replay(now time.Time) error {
	r := bufio.NewReaderSize(j.file, 256<<10)
	for {
		line, err := readLine(r, longestEntry)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		var e journalEntry
		text, ok := unseal(line)
		if !ok || json.Unmarshal(text, &e) != nil {
			break // the end, or what a crash left of it
		}
		j.size += int64(len(line)) + 1
		switch {
		case e.Indicator != nil:
			j.book.take(e.Collection, e.Indicator, now)
		case e.Policy != nil:
			j.book.explain(e.Collection, e.Policy.Marking, e.Policy.Allowed)
		case e.Gone != "":
			j.book.drop(e.Collection, e.Gone)
			j.book.forget(e.Collection, e.Gone)
		}
		if e.Cursors != nil {
			j.book.cursors[e.Collection] = *e.Cursors
		}
	}
	if err := j.file.Truncate(j.size); err != nil {
		return err //nolint:wrapcheck // it names the file
	}
	_, err := j.file.Seek(j.size, io.SeekStart)
	return err //nolint:wrapcheck // it names the file
}

// readLine returns the next line without its end. What has no end is no line.
func readLine(r *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err //nolint:wrapcheck // the reader's own error
		case len(line) > most:
			return nil, io.EOF // nothing that was written here
		}
	}
}

// seal puts a checksum before a text: eight hexadecimal digits and a space.
func seal(text []byte) []byte {
	line := fmt.Appendf(make([]byte, 0, len(text)+10), "%08x ", crc32.ChecksumIEEE(text))
	return append(append(line, text...), '\n')
}

// unseal returns a text whose checksum is right.
func unseal(line []byte) ([]byte, bool) {
	sum, text, ok := bytes.Cut(line, []byte{' '})
	n, err := strconv.ParseUint(string(sum), 16, 32)
	return text, ok && err == nil && uint32(n) == crc32.ChecksumIEEE(text)
}

// markEvery is how often a cursor is written that nothing came with. What is
// read again after a crash is known already.
const markEvery = time.Second

// add appends a line, unless it is a cursor that need not be written yet.
func (j *journal) add(e journalEntry) error {
	if j.torn {
		return j.rewrite()
	}
	if e.Indicator == nil && e.Gone == "" && e.Policy == nil {
		now := time.Now()
		if now.Sub(j.marked) < markEvery {
			return nil
		}
		j.marked = now
	}
	if at, ok := j.book.cursors[e.Collection]; ok {
		e.Cursors = &at
	}
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	n, err := j.file.Write(seal(text))
	if err != nil {
		j.torn = true
		return fmt.Errorf("journal: %w", err)
	}
	j.size += int64(n)
	if j.size-j.clean > max(leastGarbage, j.clean) {
		return j.rewrite()
	}
	return nil
}

// rewrite writes the journal anew: what the book has, and nothing else.
func (j *journal) rewrite() error {
	var size int64
	err := writeFile(j.path, 0o600, func(w io.Writer) error {
		put := func(e journalEntry) error {
			text, err := json.Marshal(e)
			if err != nil {
				return err //nolint:wrapcheck // the caller says where
			}
			n, err := w.Write(seal(text))
			size += int64(n)
			return err //nolint:wrapcheck // the caller says where
		}
		for collection, shelf := range j.book.shelves {
			if isFile(collection) { // it is read anew
				continue
			}
			for marking := range shelf.policies {
				if err := put(journalEntry{Collection: collection, Policy: &storedPolicy{marking, j.book.policies[marking]}}); err != nil {
					return err
				}
			}
			for _, in := range shelf.indicators {
				if err := put(journalEntry{Collection: collection, Indicator: in}); err != nil {
					return err
				}
			}
		}
		for collection, at := range j.book.cursors {
			if err := put(journalEntry{Collection: collection, Cursors: &at}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	anew, err := os.OpenFile(j.path, os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	err = j.file.Close()
	j.file, j.size, j.clean, j.torn = anew, size, size, false
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// close writes the cursors, and makes all that was written last.
func (j *journal) close() error {
	var failed error
	for collection := range j.book.cursors {
		j.marked = time.Time{}
		failed = errors.Join(failed, j.add(journalEntry{Collection: collection}))
	}
	if err := errors.Join(failed, j.file.Sync(), j.file.Close()); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

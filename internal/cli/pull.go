package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"tocsin/internal/taxii/client"
	"tocsin/stix"
)

type pullFlags struct {
	hubFlags
	target
	foreignFlags

	out        string
	jsonl      bool
	since      string
	cursorFile string
	types, ids []string
	versions   string
}

func (a *app) pull() *cobra.Command {
	var o pullFlags
	c := &cobra.Command{
		Use:   "pull",
		Short: "Read a collection into a file",
		Long: `Reads all that you may see of a collection, oldest first, and writes it as a STIX
bundle or, with --jsonl, as one object a line. In a bundle every object has the bytes
that its producer sent; on a line of its own, line breaks in it become spaces.

With --cursor-file the next run goes on where this one ended: everything comes at
least once, and nothing is left out. The file is written after the objects are.

With --taxii it reads any other TAXII 2.1 or 2.0 server. Give the address of its
discovery or of an API root, and the collection by id, alias or title; who you are
comes from --user and --password-file or from TOCSIN_TAXII_USER and
TOCSIN_TAXII_PASSWORD, never from the command line. Your token for the hub is not
sent there.`,
		Example: `  tocsin pull --community finance --collection indicators --out indicators.json
  tocsin pull --match-type indicator --since 2027-01-01 --jsonl
  tocsin pull --cursor-file indicators.cursor --jsonl >> indicators.jsonl
  tocsin pull --purpose "network defense" --out all.json      as a government reader
  tocsin pull --taxii https://cti.example.com/taxii2/ --user me --password-file key \
    --collection "High Value Indicators" --cursor-file cti.cursor --jsonl`,
		GroupID: groupShare,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.pullObjects(cmd.Context(), o)
		},
	}
	o.hubFlags.add(c)
	o.addPurpose(c)
	o.target.add(c)
	o.foreignFlags.add(c)
	f := c.Flags()
	f.StringVarP(&o.out, "out", "o", "-", `file to write, "-" for standard output`)
	f.BoolVar(&o.jsonl, "jsonl", false, "write one object a line, not a bundle")
	f.StringVar(&o.since, "since", "", "only what the hub added after this date or time")
	f.StringVar(&o.cursorFile, "cursor-file", "", "file that keeps how far you have read")
	f.StringSliceVar(&o.types, "match-type", nil, "only objects of these types, with commas between them")
	f.StringSliceVar(&o.ids, "match-id", nil, "only objects with these ids")
	f.StringVar(&o.versions, "versions", "", "first, last (what is read without it), all, or an exact version")
	return c
}

func (a *app) pullObjects(ctx context.Context, o pullFlags) error {
	from, err := o.from()
	if err != nil {
		return err
	}
	read, err := a.source(ctx, &o)
	if err != nil {
		return err
	}
	sink, err := a.newSink(o)
	if err != nil {
		return err
	}
	defer sink.abandon() // does nothing once it is finished
	bar := a.progress("reading", 0)
	var done int64
	q := client.Query{From: from, IDs: o.ids, Types: o.types, Version: o.versions, Limit: o.pageSize}
	for page, err := range read(q) {
		if err != nil {
			bar.end()
			return fmt.Errorf("read: %w", err)
		}
		for _, object := range page.Objects {
			if err := sink.write(object.Raw); err != nil {
				return err
			}
		}
		done += int64(len(page.Objects))
		bar.at(0, done)
		if err := sink.reached(page.Cursor, page.More); err != nil {
			return err
		}
	}
	bar.end()
	if err := sink.finish(); err != nil {
		return err
	}
	if a.StderrTerminal || o.out != "-" {
		a.note("%s read (%s/s)", count(int(done), "object"), grouped(bar.rate()))
	}
	return nil
}

// A reading reads a collection page by page.
type reading func(q client.Query) iter.Seq2[client.Page, error]

// source returns what is to be read: a collection of the hub, or of another
// TAXII server.
func (a *app) source(ctx context.Context, o *pullFlags) (reading, error) {
	if o.taxii != "" {
		return a.foreign(ctx, o)
	}
	h, err := a.connect(o.hubFlags)
	if err != nil {
		return nil, err
	}
	if o.community == "" || o.collection == "" {
		who, err := h.Me(ctx)
		if err != nil {
			return nil, fmt.Errorf("me: %w", err)
		}
		if err := o.complete(ctx, h, who); err != nil {
			return nil, err
		}
	}
	return func(q client.Query) iter.Seq2[client.Page, error] {
		return h.Objects(ctx, o.community, o.collection, q)
	}, nil
}

// from returns where to begin: where the last run ended, or at --since.
func (o *pullFlags) from() (client.Cursor, error) {
	var at client.Cursor
	if o.since != "" {
		t, err := time.Parse(time.DateOnly, o.since)
		if err != nil {
			var ok bool
			if t, ok = stix.ParseTime(o.since); !ok {
				return at, usage("this is no date: "+o.since, "write it like 2027-01-31 or 2027-01-31T12:00:00Z")
			}
		}
		at.AddedAfter = t.UTC().Format("2006-01-02T15:04:05.000000Z")
	}
	if o.cursorFile == "" {
		return at, nil
	}
	text, err := os.ReadFile(o.cursorFile)
	if errors.Is(err, os.ErrNotExist) {
		return at, nil
	}
	if err != nil {
		return at, fileError(o.cursorFile, err)
	}
	if err := json.Unmarshal(text, &at); err != nil {
		return at, &failure{code: ExitUsage, what: "this file does not keep a place in a collection", where: o.cursorFile, next: "name another, or remove it to begin anew"}
	}
	return at, nil
}

// A sink takes objects. What goes to a file is written beside it and put in its
// place when it is complete.
type sink struct {
	o      pullFlags
	w      *bufio.Writer
	file   *os.File // nil for standard output
	count  int
	cursor client.Cursor
	done   bool
}

func (a *app) newSink(o pullFlags) (*sink, error) {
	s, to := &sink{o: o}, a.Stdout
	if o.out != "-" {
		f, err := os.CreateTemp(filepath.Dir(o.out), ".tocsin-*")
		if err != nil {
			return nil, &failure{code: ExitUsage, what: "the file cannot be written", where: o.out, err: err}
		}
		s.file, to = f, f
	}
	s.w = bufio.NewWriterSize(to, 256<<10)
	return s, nil
}

// write takes one object. The writer remembers its first fault for finish.
func (s *sink) write(raw []byte) error {
	s.count++
	if s.o.jsonl {
		_, _ = s.w.Write(oneLine(raw))
		return s.fault(s.w.WriteByte('\n'))
	}
	before := ","
	if s.count == 1 {
		before = s.head() + `,"objects":[`
	}
	_, _ = s.w.WriteString(before)
	_, err := s.w.Write(raw)
	return s.fault(err)
}

func (s *sink) head() string { return `{"type":"bundle","id":"bundle--` + stix.UUIDv4() + `"` }

// oneLine puts an object on one line: line breaks stand only between its parts.
func oneLine(raw []byte) []byte {
	if !bytes.ContainsAny(raw, "\r\n") {
		return raw
	}
	return bytes.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, raw)
}

// reached notes how far the reading is. Lines on standard output are good as
// soon as they are written, so the place is kept after every page; a file is
// good when it is complete.
func (s *sink) reached(at client.Cursor, more bool) error {
	s.cursor = at
	if !s.o.jsonl || s.file != nil || !more {
		return nil
	}
	if err := s.fault(s.w.Flush()); err != nil {
		return err
	}
	return s.keep()
}

// finish completes the output, then keeps the place.
func (s *sink) finish() error {
	if !s.o.jsonl {
		end := "]}\n"
		if s.count == 0 { // STIX has no empty lists
			end = s.head() + "}\n"
		}
		_, _ = s.w.WriteString(end)
	}
	if err := s.fault(s.w.Flush()); err != nil {
		return err
	}
	if s.file != nil {
		if err := s.fault(errors.Join(s.file.Chmod(0o644), s.file.Sync(), s.file.Close(), os.Rename(s.file.Name(), s.o.out))); err != nil {
			return err
		}
	}
	s.done = true
	return s.keep()
}

// abandon removes what is not complete.
func (s *sink) abandon() {
	if s.file != nil && !s.done {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name())
	}
}

func (s *sink) fault(err error) error {
	if err == nil {
		return nil
	}
	return &failure{code: ExitFault, what: "the objects cannot be written", where: s.o.out, err: err, next: "is the disk full?"}
}

// keep writes the place to the cursor file, whole or not at all.
func (s *sink) keep() error {
	if s.o.cursorFile == "" || s.cursor == (client.Cursor{}) {
		return nil
	}
	text, err := json.Marshal(s.cursor)
	if err != nil {
		return fmt.Errorf("cursor: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(s.o.cursorFile), ".cursor-*")
	if err == nil {
		_, err = f.Write(append(text, '\n'))
		err = errors.Join(err, f.Sync(), f.Close())
		if err == nil {
			err = os.Rename(f.Name(), s.o.cursorFile)
		}
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}
	if err != nil {
		return &failure{code: ExitFault, what: "the place that was reached cannot be kept", where: s.o.cursorFile, err: err, next: "the objects are written; the next run reads them again"}
	}
	return nil
}

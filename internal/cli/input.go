package cli

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
)

// An input is one file to read, or standard input.
type input struct {
	name string
	size int64 // of the file as it lies on the disk; 0 when it is not known
	r    io.Reader
	read *counter // how much of the file was read, for progress
	file io.Closer
}

// counter counts bytes on their way, before they are decompressed.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err //nolint:wrapcheck // a reader's own error
}

// open opens a file; "-" is standard input. A gzip file is decompressed,
// whatever its name.
func (a *app) open(name string) (*input, error) {
	in := &input{name: name}
	if name == "-" {
		in.name, in.read = "standard input", &counter{r: a.Stdin}
	} else {
		f, err := os.Open(name)
		if err != nil {
			return nil, fileError(name, err)
		}
		in.file, in.read = f, &counter{r: f}
		if info, err := f.Stat(); err == nil {
			if info.IsDir() {
				_ = f.Close()
				return nil, &failure{code: ExitUsage, what: "this is a folder, not a file", where: name, next: "name the files in it: " + name + "/*.json"}
			}
			in.size = info.Size()
		}
	}
	buffered := bufio.NewReaderSize(in.read, 256<<10)
	in.r = buffered
	if magic, err := buffered.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			in.close()
			return nil, &failure{code: ExitUsage, what: "the gzip file cannot be read", where: in.name, next: "it may have been cut off; copy it again"}
		}
		in.r = z
	}
	return in, nil
}

func (in *input) close() {
	if in.file != nil {
		_ = in.file.Close() // only read from
	}
}

// broken explains why an input ended early.
func (in *input) broken(err error, p *splitter) error {
	if errors.Is(err, errPieceTooLarge) {
		return &failure{code: ExitNo, what: err.Error(), where: fmt.Sprintf("%s:%d", in.name, p.line), next: "a hub would refuse it; split it"}
	}
	return &failure{code: ExitFault, what: "the file cannot be read to its end", where: in.name, err: err}
}

func fileError(name string, err error) error {
	f := &failure{code: ExitUsage, what: "the file cannot be opened", where: name, next: "check its name and its permissions"}
	if errors.Is(err, os.ErrNotExist) {
		f.what, f.next = "there is no such file", "check its name; this folder's files are meant unless a path says otherwise"
	}
	return f
}

// pieces calls f with every object of the named files, in order, then done with
// the file, and shows progress. The shell of a bundle comes after its objects.
func (a *app) pieces(ctx context.Context, verb string, names []string, f func(in *input, p piece) error, done func(in *input)) error {
	var total int64
	for _, name := range names {
		if info, err := os.Stat(name); err == nil {
			total += info.Size()
		}
	}
	bar := a.progress(verb, total)
	defer bar.end()
	var before, objects int64
	for _, name := range names {
		in, err := a.open(name)
		if err != nil {
			return err
		}
		for p, err := range in.pieces(ctx) {
			if err == nil {
				err = f(in, p)
			}
			if err != nil {
				in.close()
				return err
			}
			if !p.shell {
				objects++
			}
			bar.at(before+in.read.n, objects)
		}
		before += in.read.n
		in.close()
		bar.end()
		done(in)
	}
	return nil
}

// pieces yields what is in the input, until its end, a fault, or the end of the
// context.
func (in *input) pieces(ctx context.Context) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		for s := newSplitter(in.r); ; {
			p, err := s.next()
			switch {
			case errors.Is(err, io.EOF):
				return
			case ctx.Err() != nil:
				yield(piece{}, ctx.Err())
				return
			case err != nil:
				yield(piece{}, in.broken(err, s))
				return
			case !yield(p, nil):
				return
			}
		}
	}
}

// maxLine bounds one line of --jsonl input, in bytes.
const maxLine = 64 << 20

// lines answers every line of standard input with one line of standard output,
// in order, for --jsonl: empty, broken and overlong lines as well, so that the
// answers can be counted off against the questions.
func (a *app) lines(ctx context.Context, answer func(line []byte) any) (err error) {
	out := bufio.NewWriterSize(a.Stdout, 64<<10)
	defer func() {
		if lost := out.Flush(); lost != nil && err == nil {
			err = fmt.Errorf("write: %w", lost)
		}
	}()
	in := bufio.NewReaderSize(&flushing{a.Stdin, out}, 1<<20)
	for {
		line, err := readLine(in)
		if ctx.Err() != nil {
			return ctx.Err() //nolint:wrapcheck // told apart by the caller
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return &failure{code: ExitFault, what: "standard input cannot be read", err: err}
		}
		if err != nil && len(line) == 0 {
			return nil
		}
		if err := writeLine(out, answer(bytes.TrimRight(line, "\r\n"))); err != nil {
			return err
		}
	}
}

// readLine returns the next line with its end, good until the next call; the
// last may have none, and then comes [io.EOF]. Of a line that is too long, as
// much is returned as it takes for [stix.Parse] to say so.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err //nolint:wrapcheck // a reader's errors are its own
	}
	var long []byte
	for errors.Is(err, bufio.ErrBufferFull) {
		long = append(long, line[:min(len(line), maxLine+1-len(long))]...)
		line, err = in.ReadSlice('\n')
	}
	return append(long, line[:min(len(line), maxLine+1-len(long))]...), err //nolint:wrapcheck // a reader's errors are its own
}

// flushing writes out what was answered before it reads on: whoever asks may
// wait for an answer before asking the next, and whoever sends a million lines
// at once need not pay for a write each.
type flushing struct {
	r io.Reader
	w *bufio.Writer
}

func (f *flushing) Read(b []byte) (int, error) {
	if err := f.w.Flush(); err != nil {
		return 0, err //nolint:wrapcheck // lines wraps what the writer says
	}
	return f.r.Read(b) //nolint:wrapcheck // a reader's errors are its own
}

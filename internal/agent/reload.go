package agent

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"time"

	"tocsin"
	"tocsin/internal/guard"
)

// Bounds of a reload command.
const (
	reloadTime = 30 * time.Second
	mostOutput = 4 << 10 // bytes that are kept of what it says
)

// words takes a command line apart as a shell does, and does nothing else that
// a shell does: no variables, no patterns, no second command.
func words(line string) (all []string, err error) {
	var word strings.Builder
	begun := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case ' ', '\t', '\n', '\r':
			if begun {
				all = append(all, word.String())
				word.Reset()
				begun = false
			}
		case '\'', '"':
			begun = true
			end := i + 1
			for end < len(line) && line[end] != c {
				if c == '"' && line[end] == '\\' && end+1 < len(line) && (line[end+1] == '"' || line[end+1] == '\\') {
					end++
				}
				word.WriteByte(line[end])
				end++
			}
			if end >= len(line) {
				return nil, &tocsin.Error{Kind: tocsin.Invalid, Message: "a quote in a reload command has no end", Hint: "close it"}
			}
			i = end
		case '\\':
			if begun = true; i+1 < len(line) {
				i++
				word.WriteByte(line[i])
			}
		default:
			begun = true
			word.WriteByte(c)
		}
	}
	if begun {
		all = append(all, word.String())
	}
	return all, nil
}

// plainEnvironment is what reload commands get: nothing of the agent's, which
// may hold its token.
func plainEnvironment() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C"}
}

// reload runs a command to its end or for as long as it may take.
func reload(ctx context.Context, words []string, most time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	command := exec.CommandContext(ctx, words[0], words[1:]...) //nolint:gosec // whoever runs the agent names it
	command.Env, command.Dir = plainEnvironment(), "/"
	said := &head{most: mostOutput}
	command.Stdout, command.Stderr = said, said
	command.WaitDelay = 2 * time.Second // what it leaves running does not hold us up
	err := command.Run()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exec.ErrNotFound):
		return &tocsin.Error{Kind: tocsin.Invalid, Message: "the program of a reload command is not there: " + guard.Printable(words[0]), Hint: "give its whole path"}
	case ctx.Err() != nil:
		return &tocsin.Error{Kind: tocsin.Busy, Message: "a reload command did not end in " + most.String() + " and was ended: " + guard.Printable(words[0])}
	}
	line, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n")
	return &tocsin.Error{
		Kind: tocsin.Busy, Message: guard.Printable(words[0]) + ": " + err.Error() + ": " + guard.Printable(line),
		Hint: "run it by hand; it is tried again",
	}
}

// A head keeps the first bytes that are written to it.
type head struct {
	bytes.Buffer

	most int
}

// Write keeps what there is room for.
func (h *head) Write(b []byte) (int, error) {
	if room := h.most - h.Len(); room > 0 {
		_, _ = h.Buffer.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

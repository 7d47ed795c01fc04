package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A color is an ANSI escape sequence's parameter.
type color string

const (
	red    color = "31"
	green  color = "32"
	yellow color = "33"
	faint  color = "2"
	bold   color = "1"
)

// paint colors text that goes to a terminal, unless the user wants none
// (https://no-color.org).
func (a *app) paint(terminal bool, c color, text string) string {
	if !terminal || a.Getenv("NO_COLOR") != "" || a.Getenv("TERM") == "dumb" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// out colors text for standard output.
func (a *app) out(c color, text string) string { return a.paint(a.StdoutTerminal, c, text) }

// say writes a line to standard output.
func (a *app) say(format string, arguments ...any) {
	fmt.Fprintf(a.Stdout, format+"\n", arguments...)
}

// note writes a line to standard error: what a person wants to know and a pipe
// does not.
func (a *app) note(format string, arguments ...any) {
	fmt.Fprintf(a.Stderr, format+"\n", arguments...)
}

// writeJSON writes one JSON value and a line end.
func (a *app) writeJSON(v any) error {
	e := json.NewEncoder(a.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// writeLine writes one JSON value on one line, for --jsonl.
func writeLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// table writes rows in columns that are as wide as they need to be. Rows
// without cells are left out.
func (a *app) table(header []string, rows [][]string) {
	widths := make([]int, len(header))
	for _, row := range append([][]string{header}, rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	line := func(row []string, c color) {
		var b strings.Builder
		for i, cell := range row {
			cell = safe(cell)
			if i < len(row)-1 {
				cell += strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(cell))+2)
			}
			b.WriteString(cell)
		}
		text := strings.TrimRight(b.String(), " ")
		if c != "" {
			text = a.out(c, text)
		}
		a.say("%s", text)
	}
	line(header, bold)
	for _, row := range rows {
		line(row, "")
	}
}

// count writes a number with its noun: "1 object", "12,000 objects".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return grouped(n) + " " + noun + "s"
}

// grouped writes a number with commas between thousands.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

package agent

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tocsin"
	"tocsin/internal/export"
	"tocsin/internal/guard"
	parsed "tocsin/internal/indicator"
	"tocsin/internal/match"
)

// An Export is a file that the agent keeps as a defense reads it.
type Export struct {
	Format string // see 'tocsin export --help'
	File   string // its folder has to be there; whoever reads it sees it as it was, or as it is
	// Reload is a command that is run after the file has changed: a program and
	// its arguments, divided by spaces, with '…' and "…" around what has spaces.
	// No shell reads it.
	Reload string
	// Wait bounds the command; 30 seconds when zero.
	Wait time.Duration
	Drop bool // Suricata and Snort rules drop, and do not only alert

	// Sources is how many organizations have to name a value, each by itself.
	// 0 and 1: one.
	Sources int
}

// A target is an export on its way.
type target struct {
	Export

	format   export.Format
	gate     *gate
	command  []string // empty: none
	stale    bool     // the file does not say what the gate says
	unloaded bool     // the defense has not read the file since it changed
	made     time.Time
	sum      [sha256.Size]byte // of the file's content
	size     int64             // and how it looked when it was written
	changed  time.Time
	count    int    // values in it
	trouble  string // what went wrong last; "" when nothing did
}

// newTarget checks an export.
func newTarget(x Export) (*target, error) {
	f, err := export.Find(x.Format)
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what is wrong
	}
	t := &target{Export: x, format: f, stale: true}
	if x.File == "" {
		return nil, &tocsin.Error{Kind: tocsin.Invalid, Message: "an export needs a file", Hint: "write it as " + f.Name + "=/path/to/file"}
	}
	if info, err := os.Stat(filepath.Dir(x.File)); err != nil || !info.IsDir() {
		return nil, &tocsin.Error{Kind: tocsin.Invalid, Message: "there is no folder for an export: " + guard.Printable(filepath.Dir(x.File)), Hint: "make it, or name another"}
	}
	if x.Sources < 0 || x.Wait < 0 {
		return nil, &tocsin.Error{Kind: tocsin.Invalid, Message: "an export's threshold or time limit is negative"}
	}
	if t.command, err = words(x.Reload); err != nil {
		return nil, err
	}
	if t.Wait == 0 {
		t.Wait = reloadTime
	}
	// What a producer lets us keep only is nothing for a defense; what drops blocks.
	t.format.Needs = max(f.Needs, parsed.Detect)
	if x.Drop {
		t.format.Needs = max(t.format.Needs, parsed.Block)
	}
	t.sum = sumOf(x.File)
	return t, nil
}

// listTarget is one of the lists that hold values and nothing else.
func listTarget(file string, kinds ...match.Kind) (*target, error) {
	t, err := newTarget(Export{Format: "blocklist", File: file})
	if err != nil {
		return nil, err
	}
	if len(kinds) > 0 {
		t.format.Kinds = kinds
	}
	return t, nil
}

func (t *target) terms() terms { return terms{t.format.Needs, max(1, t.Sources)} }

// concerns reports whether the file changes with a passage of its gate.
func (t *target) concerns(p passage) bool {
	return p.rules && t.format.Carries != "" || slices.ContainsFunc(t.format.Kinds, func(k match.Kind) bool { return p.kinds[k] })
}

// write makes the file say what the gate says. The moment that it is made at
// rises by a second at least: a zone's serial is made of it.
func (t *target) write(sids *export.SIDs) error {
	now := time.Now()
	if least := t.made.Add(time.Second); now.Before(least) && !t.made.IsZero() {
		now = least
	}
	set := t.gate.set(t.format, now)
	sum, changed, err := replaceFile(t.File, 0o644, t.sum, func(w io.Writer) error {
		return t.format.Write(w, set, export.Options{SIDs: sids, Drop: t.Drop})
	})
	if err != nil {
		return fmt.Errorf("export %s: %w", t.format.Name, err)
	}
	if changed {
		t.made, t.unloaded = now, true
	}
	t.sum, t.count, t.stale = sum, len(set.Items)+len(set.Rules), false
	if info, err := os.Stat(t.File); err == nil {
		t.size, t.changed = info.Size(), info.ModTime()
	}
	return nil
}

// isIntact reports whether the file is as it was written.
func (t *target) isIntact() bool {
	info, err := os.Stat(t.File)
	return err == nil && info.Size() == t.size && info.ModTime().Equal(t.changed)
}

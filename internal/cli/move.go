package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tocsin/internal/hub"
)

func (a *app) move() *cobra.Command {
	var o hub.MoveOptions
	c := &cobra.Command{
		Use:   "move --from WHERE --to WHERE",
		Short: "Move a hub to another store: SQLite or PostgreSQL",
		Long: `Copies a hub from one store to another, ledger and all: from its data folder to a
PostgreSQL database, back, or to another one of the same kind. All that clients
hold goes on: positions, cursors, tokens, receipts; the ledger keeps its key.

WHERE is a data folder, or a database: postgres://user@host/database, or
env:NAME for an address that is in the environment variable NAME. Use that when
it has a password: command lines can be read by others.

Stop the hub first, all replicas of it. The target has to be empty. What was
copied is read back, compared row by row, and verified as a whole; only then is
the source closed for good, and only then can the hub run on the target. At no
moment can it run on both. A move that was cut off is made again by the same
command, with --again if it had not come to its end.

A hub in a database has its keys there, sealed under hub.key, which lies in the
folder --data: it is made there by a move from a folder, and needed there by a
move from a database. Keep a copy of it somewhere safe.`,
		Example: `  tocsin move --from /var/lib/tocsin --to env:TOCSIN_DB     then: tocsin serve --data /var/lib/tocsin
  tocsin move --from env:TOCSIN_DB --data /var/lib/tocsin --to /srv/tocsin
  tocsin move --from ./tocsin-data --to /mnt/bigger/tocsin`,
		GroupID: groupRun,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.From, err = a.where("--from", o.From); err != nil {
				return err
			}
			if o.To, err = a.where("--to", o.To); err != nil {
				return err
			}
			if o.Keys == "" {
				o.Keys = keysFolder(o.From, o.To)
			}
			return a.moveHub(cmd, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.From, "from", "", "where the hub is: a data folder, postgres://…, or env:NAME")
	f.StringVar(&o.To, "to", "", "where it goes, which is empty: a folder, postgres://…, or env:NAME")
	f.StringVar(&o.Keys, "data", "", "folder with hub.key, where an end is a database (the other end's folder, or ./tocsin-data)")
	f.BoolVar(&o.Again, "again", false, "erase what a move of this hub that did not end has left in the target, and begin anew")
	return c
}

// where reads one end of a move.
func (a *app) where(flag, value string) (string, error) {
	if name, ok := strings.CutPrefix(value, "env:"); ok {
		if value = a.Getenv(name); value == "" {
			return "", usage("the environment variable that "+flag+" names is empty", "put the address of the database into it: postgres://user:password@host/database")
		}
		if !hub.IsDatabase(value) {
			return "", usage("the environment variable that "+flag+" names holds no address of a database", "it begins with postgres://")
		}
		return value, nil
	}
	switch {
	case value == "":
		return "", usage(flag+" is missing", "give a data folder, or postgres://user@host/database")
	case strings.Contains(value, "://") && !hub.IsDatabase(value):
		return "", usage(flag+" is neither a folder nor the address of a PostgreSQL database", "write addresses like postgres://user@host/database")
	}
	return value, nil
}

// keysFolder is where hub.key is unless somebody says otherwise.
func keysFolder(from, to string) string {
	switch {
	case !hub.IsDatabase(from):
		return from
	case !hub.IsDatabase(to):
		return to
	}
	return "./tocsin-data"
}

func (a *app) moveHub(cmd *cobra.Command, o hub.MoveOptions) error {
	var bar *progress
	step := ""
	o.Progress = func(now string, done, total int64) {
		if now != step {
			if bar != nil {
				bar.end()
			}
			step, bar = now, a.progress(now, total)
			bar.noun = "rows"
		}
		bar.at(done, done)
	}
	moved, err := hub.MoveHub(cmd.Context(), o)
	if bar != nil {
		bar.end()
	}
	if err != nil {
		return fmt.Errorf("move: %w", err)
	}
	if a.json {
		return a.writeJSON(map[string]any{
			"from": moved.From, "to": moved.To, "resumed": moved.Resumed, "verifier_key": moved.VerifierKey, "kinds": moved.Sums,
		})
	}
	a.moved(o, moved)
	return nil
}

// moved says what was moved, and what to do next.
func (a *app) moved(o hub.MoveOptions, m hub.Moved) {
	if m.Resumed {
		a.say("The move that was cut off has ended: all had been copied and verified.")
	} else {
		var rows [][]string
		for _, s := range m.Sums {
			if s.Rows > 0 {
				rows = append(rows, []string{s.Kind, grouped(int(s.Rows)), s.SHA256[:16]})
			}
		}
		a.table([]string{"copied", "rows", "the same at both ends (SHA-256)"}, rows)
	}
	a.say("\nThe hub lives at   %s", a.out(bold, safe(m.To)))
	a.say("and no more at     %s, which takes no more writes", safe(m.From))
	a.say("receipts verify with %s, as before", m.VerifierKey)
	a.say("\nNext:\n")
	key := filepath.Join(o.Keys, hub.KeyFile)
	if hub.IsDatabase(o.To) {
		a.say("  TOCSIN_DB=… tocsin serve --data %s", safe(o.Keys))
		a.say("\nKeep a copy of %s somewhere safe: without it nobody can open the database.", safe(key))
	} else {
		a.say("  tocsin serve --data %s", safe(o.To))
	}
	if !hub.IsDatabase(o.From) {
		a.say("Once the hub has a backup, delete hub.db, hub.json and ledger.key in %s: they hold the signing key and all content.", safe(o.From))
	}
}

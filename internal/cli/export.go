package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/internal/export"
	"tocsin/internal/guard"
	"tocsin/internal/indicator"
)

type exportFlags struct {
	indicators []string
	out        string
	allow      []string
	allowFile  string
	sids       string
	drop       bool
	sources    int
	confidence int
	decay      []string
}

func (a *app) export() *cobra.Command {
	var o exportFlags
	var list strings.Builder
	for _, f := range export.Formats() {
		fmt.Fprintf(&list, "  %-17s %s\n", f.Name, f.Title)
	}
	c := &cobra.Command{
		Use:   "export FORMAT",
		Short: "Write rules and lists for a defense",
		Long: `Writes indicators as rules or lists for a defense. Each value is written in the one
spelling that it has, and escaped for its target: text of others is never a rule.

What its producer does not allow is left out (PAP, FIRST IEP), as is what is expired or
revoked. What blocks passes the false-positive guard: private and special addresses, too
wide networks, public suffixes, well-known sites, resolvers, sinkholes, content networks
and what --allow names are not blocked, whoever says so. How many and why is told.

Formats:
` + list.String(),
		Example: `  tocsin pull --out threats.json && tocsin export rpz -i threats.json -o /etc/bind/rpz.db
  tocsin export nftables -i threats.json --allow 198.51.100.0/24 | nft -f -
  tocsin export suricata -i threats.json --sids sids.json -o tocsin.rules`,
		GroupID: groupShare,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runExport(cmd.Context(), o, args[0])
		},
	}
	for _, f := range export.Formats() {
		c.ValidArgs = append(c.ValidArgs, f.Name)
	}
	f := c.Flags()
	f.StringArrayVarP(&o.indicators, "indicators", "i", nil, `file with indicators: STIX, MISP, CSV or a list, "-" for standard input; may be given more than once`)
	f.StringVarP(&o.out, "out", "o", "-", `file to write, replaced as a whole, "-" for standard output`)
	f.StringArrayVar(&o.allow, "allow", nil, "address, network or domain that is never blocked; may be given more than once")
	f.StringVar(&o.allowFile, "allow-file", "", "file with such entries, one a line")
	f.StringVar(&o.sids, "sids", "", "file that keeps the numbers of Suricata and Snort rules, so that they stay the same")
	f.BoolVar(&o.drop, "drop", false, "have Suricata and Snort rules drop, and not only alert; asks for what blocking asks for")
	f.IntVar(&o.sources, "sources", 1, "how many organizations have to name a value, each by itself")
	f.IntVar(&o.confidence, "confidence", 0, "the least confidence that counts, from 1 to 100; what states none is left out then")
	f.StringArrayVar(&o.decay, "decay", nil, "how many days values of a kind are good for when their producer does not say, and perhaps how fast they fade: address=30d, domain=180d:0.3")
	return c
}

func (a *app) runExport(ctx context.Context, o exportFlags, name string) error {
	format, err := export.Find(name)
	if err != nil {
		return err //nolint:wrapcheck // it says what is wrong
	}
	if len(o.indicators) == 0 {
		return usage("what should be exported?", "give a file that has indicators: --indicators FILE")
	}
	if o.drop { // what drops is a block
		format.Needs = max(format.Needs, indicator.Block)
	}
	allow := o.allow
	if o.allowFile != "" {
		text, err := os.ReadFile(o.allowFile)
		if err != nil {
			return fileError(o.allowFile, err)
		}
		allow = append(allow, guard.AllowList(string(text))...)
	}
	g, err := guard.New(allow, "")
	if err != nil {
		return err //nolint:wrapcheck // it says what is wrong
	}
	terms := export.Terms{Now: time.Now(), Guard: g, Sources: o.sources, Confidence: o.confidence}
	if terms.Decay, err = export.ParseDecay(o.decay); err != nil {
		return err //nolint:wrapcheck // it says what is wrong
	}
	var all []indicator.Indicator
	unread := 0
	for _, name := range o.indicators {
		result, err := a.readIndicators(name)
		if err != nil {
			return err
		}
		all, unread = append(all, result.Indicators...), unread+result.Unread
		if ctx.Err() != nil {
			return ctx.Err() //nolint:wrapcheck // report tells it apart
		}
	}
	set := export.Select(slices.Values(all), format, terms)
	options := export.Options{Drop: o.drop}
	if options.SIDs, err = readSIDs(o.sids); err != nil {
		return err
	}
	write := func(w io.Writer) error { return format.Write(w, set, options) }
	if err := a.writeWhole(o.out, write); err != nil {
		return err
	}
	if o.sids != "" { // after the rules: a number that nobody has is no harm
		text, err := json.Marshal(options.SIDs)
		if err == nil {
			err = a.writeWhole(o.sids, func(w io.Writer) error { return writeAll(w, text) })
		}
		if err != nil {
			return err
		}
	}
	a.note("%s written%s", count(len(set.Items)+len(set.Rules), "value"), strings.Replace(heldBack(set.Held), "not blocked", "left out", 1))
	if unread > 0 {
		a.note("%s could not be read as a value", count(unread, "entry"))
	}
	return nil
}

func writeAll(w io.Writer, text []byte) error {
	_, err := w.Write(text)
	return err //nolint:wrapcheck // writeWhole names the file
}

func readSIDs(name string) (*export.SIDs, error) {
	sids := &export.SIDs{}
	if name == "" {
		return sids, nil
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return sids, nil
	}
	if err != nil {
		return nil, fileError(name, err)
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(sids); err != nil {
		return nil, &failure{code: ExitUsage, what: "this file does not keep the numbers of rules", where: name, next: "name another, or remove it to count anew"}
	}
	return sids, nil
}

// writeWhole writes a file beside its place and puts it there when it is
// complete: whoever reads it sees it as it was, or as it is.
func (a *app) writeWhole(name string, write func(io.Writer) error) error {
	if name == "-" {
		return write(a.Stdout)
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".tocsin-*")
	if err == nil {
		err = write(f)
		err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
		if err == nil {
			err = os.Rename(f.Name(), name)
		}
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}
	if err != nil {
		return &failure{code: ExitFault, what: "the file cannot be written", where: name, err: err, next: "what was there before is still there"}
	}
	return nil
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/internal/agent"
	"tocsin/internal/guard"
	"tocsin/internal/hubclient"
)

type agentFlags struct {
	hubFlags

	collections []string
	allowFile   string
	config      string
	offline     bool
	logFormat   string
	logLevel    string
	options     agent.Options
}

func (a *app) agent() *cobra.Command {
	var o agentFlags
	c := &cobra.Command{
		Use:   "agent",
		Short: "Block what others found, and look for it in your logs, for good",
		Long: `Follows collections of a hub, keeps the blocklists of your defenses up to date within
a second, watches log files for the same indicators, and reports sightings back: that
and how often something was seen, never a line of a log.

What an indicator must not block is never blocked: private and special addresses, the
hub itself, well-known resolvers and sites, sinkholes, and what --allow names; nor what
its producer does not allow (PAP, FIRST IEP). An indicator that is revoked, expired or
withdrawn leaves the lists again.

--export keeps a file in any format of 'tocsin export', replaced as a whole; --reload
after it is the command that has the defense read it: a program and its arguments, not
a shell. What changes while it runs is done with the next.

Logs are read in all formats of 'tocsin scan', as they grow and through rotation; a
pattern ('/var/log/zeek/*.log', in quotes) follows what is there and what comes.

Without --collection it follows all collections that your token may read. It goes on
where it ended, also when the hub is away.`,
		Example: `  tocsin agent --log /var/log/dns.log --lists /etc/tocsin
  tocsin agent --collection finance/indicators --nft --allow 198.51.100.0/24
  tocsin agent --export rpz=/etc/bind/rpz.db --reload 'rndc reload rpz.tocsin' --export zeek=/opt/zeek/intel.dat
  tocsin agent --config /etc/tocsin/agent.yaml     the same words as the flags, see docs/agent.md
  tocsin agent --log access.log --quiet --json     look only; one line of JSON per event`,
		GroupID: groupShare,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.readConfig(cmd.Flags().Changed); err != nil {
				return err
			}
			return a.runAgent(cmd.Context(), o)
		},
	}
	o.add(c)
	o.addPurpose(c)
	f := c.Flags()
	f.StringArrayVar(&o.collections, "collection", nil, "COMMUNITY/COLLECTION to follow; may be given more than once, the preferred one first")
	f.StringVar(&o.options.State, "state", "./tocsin-agent", "folder for what the agent remembers")
	f.StringVar(&o.options.Blocklist, "blocklist", "", "file to keep with everything that is to be blocked, one value a line")
	f.StringVar(&o.options.Lists, "lists", "", "folder to keep domains.txt, ips.txt and urls.txt in")
	f.BoolVar(&o.options.Nft, "nft", false, `keep the nftables table "inet tocsin", which drops packets from and to blocked addresses`)
	f.StringVar(&o.config, "config", "", "YAML file that says what flags say; a flag that is given counts more")
	f.Var(exportFlag{&o.options.Exports}, "export", "FORMAT=FILE to keep, see 'tocsin export --help'; may be given more than once")
	f.Var(reloadFlag{&o.options.Exports}, "reload", "command to run after the --export before it has changed")
	f.StringArrayVar(&o.options.Files, "indicators", nil, "file with more indicators, read again when it changes: STIX, MISP, CSV or a list; may be given more than once")
	f.BoolVar(&o.offline, "offline", false, "ask no hub: all indicators come from --indicators")
	f.StringArrayVar(&o.options.Logs, "log", nil, "log file to watch, or a pattern; may be given more than once")
	f.StringArrayVar(&o.options.Allow, "allow", nil, "address, network or domain that is never blocked; may be given more than once")
	f.StringVar(&o.allowFile, "allow-file", "", "file with such entries, one a line")
	f.BoolVar(&o.options.Quiet, "quiet", false, "look, but report no sightings")
	f.DurationVar(&o.options.First, "first", time.Second, "how long after its first hit an indicator is reported")
	f.DurationVar(&o.options.Summary, "summary", time.Hour, "how often further hits are summed up and reported")
	f.DurationVar(&o.options.Window, "window", 0, "how long events are kept for STIX patterns of several (FOLLOWEDBY, WITHIN, REPEATS); 0: such patterns are not looked for")
	f.StringVar(&o.logFormat, "log-format", "text", "text or json, for what goes wrong, on standard error")
	f.StringVar(&o.logLevel, "log-level", "warn", "debug, info, warn or error")
	return c
}

func (a *app) runAgent(ctx context.Context, o agentFlags) error {
	log, err := a.logger(o.logFormat, o.logLevel)
	if err != nil {
		return err
	}
	if o.offline && len(o.collections) > 0 {
		return usage("--offline asks no hub, and --collection names one's", "leave one of them out")
	}
	if o.allowFile != "" {
		text, err := os.ReadFile(o.allowFile)
		if err != nil {
			return fileError(o.allowFile, err)
		}
		o.options.Allow = append(o.options.Allow, guard.AllowList(string(text))...)
	}
	if !o.offline {
		h, err := a.connect(o.hubFlags)
		if err != nil {
			return err
		}
		if o.options.Collections, err = followed(ctx, h, o.collections); err != nil {
			return err
		}
		o.options.Hub = h
	}
	o.options.Log, o.options.Observer = log, a.tellEvent
	if !a.json {
		if o.offline {
			a.note("Asking no hub. Ctrl-C ends.")
		}
		for _, c := range o.options.Collections {
			a.note("Following %s/%s. Ctrl-C ends.", safe(c.Community), safe(c.Collection))
		}
	}
	if err := agent.Run(ctx, o.options); err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	return nil
}

// followed returns the collections that were named, or all that the token may
// read.
func followed(ctx context.Context, h *hubclient.Client, names []string) ([]agent.Collection, error) {
	var all []agent.Collection
	for _, name := range names {
		at, err := path(name, "COMMUNITY/COLLECTION", 2)
		if err != nil {
			return nil, err
		}
		all = append(all, agent.Collection{Community: at[0], Collection: at[1]})
	}
	if len(all) > 0 {
		return all, nil
	}
	n, err := describe(ctx, h)
	if err != nil {
		return nil, err
	}
	who, err := h.Me(ctx)
	if err != nil {
		return nil, fmt.Errorf("me: %w", err)
	}
	for _, c := range n.Communities {
		if !slices.ContainsFunc(who.Communities, func(mine hubclient.Community) bool { return mine.Name == c.Name }) {
			continue // an operator of the hub knows of communities that it has no part in
		}
		for _, l := range c.Collections {
			all = append(all, agent.Collection{Community: c.Name, Collection: l.ID})
		}
	}
	if len(all) == 0 {
		return nil, usage("there is no collection that this token may read", "ask a community's operator to admit "+who.Organization.Name)
	}
	return all, nil
}

// An eventLine is an event as programs read it.
type eventLine struct {
	Event      string         `json:"event"`
	Time       time.Time      `json:"time"`
	Collection string         `json:"collection,omitempty"`
	Indicator  string         `json:"indicator,omitempty"`
	Value      string         `json:"value,omitempty"`
	Reason     string         `json:"reason,omitempty"`
	File       string         `json:"file,omitempty"`
	Field      string         `json:"field,omitempty"`
	Sighting   string         `json:"sighting,omitempty"`
	Count      int64          `json:"count,omitempty"`
	Held       map[string]int `json:"held,omitempty"`
	TookMS     float64        `json:"took_ms,omitempty"`
	Error      string         `json:"error,omitempty"`
}

// tellEvent shows what the agent did. It is called for one event at a time.
func (a *app) tellEvent(e agent.Event) {
	collection := ""
	if e.Collection.Community != "" {
		collection = e.Collection.Community + "/" + e.Collection.Collection
	}
	name, text := a.eventText(e, collection)
	if !a.json {
		if text != "" {
			a.say("%s  %s", a.out(faint, e.Time.Format(time.TimeOnly)), text)
		}
		return
	}
	line := eventLine{
		Event: name, Time: e.Time.UTC(), Collection: collection, Indicator: e.Indicator, Value: e.Value, Reason: e.Reason, File: e.File, Field: e.Field,
		Sighting: e.Sighting, Count: e.Count, Held: e.Held, TookMS: float64(e.Took.Microseconds()) / 1000,
	}
	if e.Err != nil {
		line.Error = e.Err.Error()
	}
	_ = writeLine(a.Stdout, line) // the agent's work goes on when nobody reads of it
}

// eventText returns an event's name and a line about it.
func (a *app) eventText(e agent.Event, collection string) (name, text string) {
	trouble := ""
	if e.Err != nil {
		trouble = explained(e.Err)
	}
	value, indicator := safe(e.Value), safe(e.Indicator)
	switch e.Kind {
	case agent.Connected:
		return "connected", a.out(green, "connected") + " to " + safe(collection)
	case agent.Disconnected:
		return "disconnected", a.out(yellow, "away") + " from " + safe(collection) + ", asking now and then: " + trouble
	case agent.Blocked:
		return "blocked", a.out(red, "blocked") + fmt.Sprintf(" %s (%s) after %s", value, indicator, e.Took.Round(time.Millisecond))
	case agent.Unblocked:
		return "unblocked", a.out(green, "unblocked") + " " + value
	case agent.HeldBack:
		return "held_back", a.out(yellow, "not blocked") + fmt.Sprintf(" %s (%s): %s", value, indicator, safe(e.Reason))
	case agent.Enforced:
		return "enforced", fmt.Sprintf("%s in force%s", count(int(e.Count), "value"), heldBack(e.Held))
	case agent.Hit:
		return "hit", a.out(red, "seen") + fmt.Sprintf(" %s in %s (%s)", value, safe(e.File), indicator)
	case agent.Reported:
		return "reported", a.out(green, "reported") + fmt.Sprintf(" %s (%s)", count(int(e.Count), "sighting"), indicator)
	case agent.Alive:
		return "alive", ""
	case agent.Failed:
		return "failed", a.out(yellow, "will try again") + ": " + strings.TrimSpace(safe(orElse(e.File, collection))+" "+trouble)
	}
	return "unknown", ""
}

func heldBack(held map[string]int) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(held)) {
		parts = append(parts, grouped(held[reason])+" "+reason)
	}
	if len(parts) == 0 {
		return ""
	}
	return "; not blocked: " + safe(strings.Join(parts, ", "))
}

// explained is an error on one line.
func explained(err error) string {
	var parts []string
	for _, f := range explain(err) {
		parts = append(parts, f.what)
	}
	if len(parts) == 0 || errors.Is(err, context.Canceled) {
		return safe(err.Error())
	}
	return safe(strings.Join(parts, "; "))
}

package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"tocsin/internal/hubclient"
	"tocsin/internal/minimize"
)

// How a large submission is cut: a batch is one submission to the hub, with
// one receipt.
const (
	batchObjects = 1000
	batchBytes   = 8 << 20
	inFlight     = 4
)

type submitFlags struct {
	sharing

	receipts  string
	dryRun    bool
	yes       bool
	anonymous bool
	consent   string // of AIS: who may learn who submitted
}

// sharing says what passes which gate on its way to which hub.
type sharing struct {
	hubFlags
	target

	configDir string
	rules     string
}

// prepared are files that have passed the privacy gate here, and the hub that
// they are for.
type prepared struct {
	hub  *hubclient.Client
	who  hubclient.Me
	in   gathered
	gate *minimize.Gate
	out  gated
}

// prepare does what comes before anything is shared, and completes the target.
// Nothing of the files leaves.
func (a *app) prepare(ctx context.Context, names []string, o *sharing) (p prepared, err error) {
	if p.hub, err = a.connect(o.hubFlags); err != nil {
		return p, err
	}
	if p.who, err = p.hub.Me(ctx); err != nil {
		return p, fmt.Errorf("me: %w", err)
	}
	if err = o.complete(ctx, p.hub, p.who); err != nil {
		return p, err
	}
	if p.in, err = a.gather(ctx, names); err != nil {
		return p, err
	}
	if p.gate, err = a.gate(o.configDir, p.who.Organization.Identity, o.rules); err != nil {
		return p, err
	}
	p.out, err = pass(p.gate, p.in.raw)
	return p, err
}

// A target is where objects go.
type target struct {
	community  string
	collection string
	to         []string // organizations; empty: the community, as far as the markings allow
}

func (t *target) add(c *cobra.Command) {
	c.Flags().StringVar(&t.community, "community", "", "the community; may be left out when you are in one only")
	c.Flags().StringVar(&t.collection, "collection", "", "the collection, by alias or id; may be left out when there is one only")
}

func (a *app) submit() *cobra.Command {
	var o submitFlags
	c := &cobra.Command{
		Use:   "submit FILE…",
		Short: "Share threats, after a preview of what leaves and who sees it",
		Long: `Checks the objects in the files, removes what is personal or about the victim,
shows what would leave this machine and which organizations would see it, and asks.
Then it shares them and saves the hub's receipts, which prove later and offline what
was shared, how it was minimized, with whom and under which conditions.

Reports, messages and tables (.txt, .md, .eml, .csv) may be given as well: indicators
are read out of them, and shared as STIX with a report when you say yes.

--consent says who may learn that it was you, in the words of CISA's AIS: everyone (as
without it), usg (the government's organizations in the community only: what leaves is
anonymous, and a note to them alone names you) or none (which is --anonymous).

With --anonymous what leaves does not say who submitted it: objects get new ids and no
creator, times are cut to the hour, your identity, your own markings, tracking numbers
and custom properties go. The hub still knows whose token it was. A later version or a
revocation, submitted with --anonymous from the same configuration, belongs to it.

Nothing leaves before you say yes. What is submitted twice is stored once. Objects
marked TLP:RED are seen by those only that --to names.

Exit code 0: everything is shared. 1: something was refused, or you said no.`,
		Example: `  tocsin submit incident.json --dry-run
  tocsin submit incident.json
  tocsin submit report.md phish.eml
  tocsin submit red.json --to example-cert
  tocsin submit incident.json --anonymous --dry-run
  tocsin submit feed/*.json.gz --yes --json`,
		GroupID: groupShare,
		RunE: func(cmd *cobra.Command, names []string) error {
			if len(names) == 0 {
				return usage("name at least one file", `"-" is standard input`)
			}
			if err := o.settleConsent(); err != nil {
				return err
			}
			if !o.dryRun && !o.yes && !a.StdinTerminal {
				return usage("nobody is there to say yes", "add --yes to share without being asked, or --dry-run to look only")
			}
			return a.submitFiles(cmd.Context(), names, o)
		},
	}
	o.hubFlags.add(c)
	o.target.add(c)
	f := c.Flags()
	f.StringArrayVar(&o.to, "to", nil, "share with this organization only; may be given more than once")
	f.StringVar(&o.receipts, "receipts", "./receipts", "folder for receipts")
	f.StringVar(&o.configDir, "config-dir", "", "folder of your configuration, with the privacy gate's secret")
	f.StringVar(&o.rules, "rules", "", "rule file of the privacy gate here; the hub's own applies as well")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would leave and who would see it, and share nothing")
	f.BoolVar(&o.anonymous, "anonymous", false, "take out of the objects what tells who submitted them; the hub still knows")
	f.StringVar(&o.consent, "consent", "", "who may learn that it was you: everyone, usg or none")
	choices(c, "consent", consentEveryone, consentUSG, consentNone)
	f.BoolVar(&o.yes, "yes", false, "share without asking")
	return c
}

// A shared is the outcome of the command, as programs read it.
type shared struct {
	DryRun      bool                `json:"dry_run,omitempty"`
	Anonymous   bool                `json:"anonymous,omitempty"`
	Consent     string              `json:"consent,omitempty"`
	NamedTo     []string            `json:"named_to,omitempty"` // who alone learns who submitted
	Community   string              `json:"community"`
	Collection  string              `json:"collection"`
	Objects     int                 `json:"objects"` // that leave, or would
	Types       map[string]int      `json:"types"`
	Invalid     []fault             `json:"invalid"`       // that stay here
	Findings    []minimize.Finding  `json:"findings"`      // of the privacy gate here
	Review      []minimize.Review   `json:"review"`        // masked because the gate is not sure of it
	Rules       string              `json:"rules"`         // hash of the gate's rules
	Hub         *hubGate            `json:"hub,omitempty"` // what the hub's gate would do after; absent when the hub does not tell its rules
	Audience    []audience          `json:"audience"`
	Reviews     int                 `json:"reviews"` // values that the hub masked and a person there will look at
	New         int                 `json:"new"`
	Known       int                 `json:"known"` // were there before
	Pending     []hubclient.Pending `json:"pending"`
	Failures    []hubclient.Failure `json:"failures"`
	Submissions []submission        `json:"submissions"`
}

// A submission is what a hub answers to a batch.
type submission struct {
	ID      string `json:"id"`
	First   int64  `json:"first"` // the range of the one order that it took; zeros when nothing was new
	Last    int64  `json:"last"`
	Objects int    `json:"objects"` // that the hub holds because of it, or held already
	Receipt string `json:"receipt"` // file
}

func (a *app) submitFiles(ctx context.Context, names []string, o submitFlags) error {
	p, err := a.prepare(ctx, names, &o.sharing)
	if err != nil {
		return err
	}
	h, who, out := p.hub, p.who, p.out
	if o.anonymous {
		out.anonymize(p.gate, who.Organization.Identity)
	}
	seen, err := audiences(ctx, h, o.target, who, out.objects)
	if err != nil {
		return err
	}
	r := shared{
		DryRun: o.dryRun, Anonymous: o.anonymous, Community: o.community, Collection: o.collection, Objects: len(out.objects), Types: map[string]int{},
		Invalid: append(notNil(p.in.broken), rejections(out.rejected)...), Findings: notNil(out.findings), Review: notNil(out.reviews), Rules: out.rules, Audience: seen,
		Pending: []hubclient.Pending{}, Failures: []hubclient.Failure{}, Submissions: []submission{},
	}
	for _, object := range out.objects {
		r.Types[object.Type()]++
	}
	if r.Hub, err = a.hubGate(ctx, h, o, who.Organization.Identity, out); err != nil {
		return err
	}
	r.Consent = o.consent
	if o.consent == consentUSG {
		if r.NamedTo, err = government(ctx, h, o.target, who); err != nil {
			return err
		}
	}
	if !a.json {
		a.preview(&r, &out)
	}
	if o.dryRun {
		return a.finishDry(&r)
	}
	if len(out.objects) == 0 {
		return &failure{code: ExitNo, what: "nothing is left to share", next: "tocsin validate and tocsin minimize say why"}
	}
	if err := a.confirm(fmt.Sprintf("Share %s?", count(len(out.objects), "object")), o.yes); err != nil {
		return err
	}
	if !o.anonymous { // the list would tie what is shared in one's own name later to what was not
		if err := a.keepChanged(o.configDir, out.objects); err != nil {
			return err
		}
	}
	if err := a.share(ctx, h, o, out.objects, &r); err != nil || len(r.NamedTo) == 0 {
		return err
	}
	return a.nameTo(ctx, h, o, who, out.objects, r.NamedTo)
}

func (a *app) finishDry(r *shared) error {
	if a.json {
		return a.writeJSON(r)
	}
	a.say("Nothing was shared: this was a dry run.")
	return nil
}

// complete finds the community and the collection where there is only one
// choice, and says what the choices are where there are more.
func (t *target) complete(ctx context.Context, h *hubclient.Client, who hubclient.Me) error {
	if t.community == "" {
		var names []string
		for _, c := range who.Communities {
			names = append(names, c.Name)
		}
		if len(names) != 1 {
			return usage("name the community with --community", "yours are: "+orElse(joined(names), "none; ask a community's operator to admit "+who.Organization.Name))
		}
		t.community = names[0]
	}
	if t.collection == "" {
		n, err := describe(ctx, h)
		if err != nil {
			return err
		}
		var names []string
		for _, c := range n.Communities {
			for _, l := range c.Collections {
				if c.Name == t.community {
					names = append(names, l.Alias)
				}
			}
		}
		if len(names) != 1 {
			return usage("name the collection with --collection", "those of "+t.community+" are: "+orElse(joined(names), "none that this token may know of"))
		}
		t.collection = names[0]
	}
	return nil
}

// share sends the objects in batches: those that explain others one after
// another, then the rest, a few at a time.
func (a *app) share(ctx context.Context, h *hubclient.Client, o submitFlags, objects []minimize.Object, r *shared) error {
	if err := os.MkdirAll(o.receipts, 0o700); err != nil {
		return &failure{code: ExitFault, what: "the folder for receipts cannot be made", where: o.receipts, err: err}
	}
	explain := slices.IndexFunc(objects, func(m minimize.Object) bool { return !explains(m.Type()) })
	if explain < 0 {
		explain = len(objects)
	}
	bar := a.progress("sharing", int64(len(objects)))
	s := &sender{h: h, o: o, bar: bar, r: r}
	err := s.all(ctx, batches(objects[:explain]), 1)
	if err == nil {
		err = s.all(ctx, batches(objects[explain:]), inFlight)
	}
	bar.end()
	slices.SortFunc(r.Submissions, func(a, b submission) int { return cmp.Compare(a.First, b.First) })
	if a.json {
		err = errors.Join(err, a.writeJSON(r))
	} else {
		a.summarizeShared(r, o.receipts, bar)
	}
	if err != nil {
		return err
	}
	if len(r.Failures) > 0 || len(r.Invalid) > 0 {
		return errNo
	}
	return nil
}

// batches cuts objects into bodies of requests, each with the number of its
// objects.
func batches(objects []minimize.Object) (cut []batch) {
	for from := 0; from < len(objects); {
		size, to := 0, from
		for to < len(objects) && to-from < batchObjects && (to == from || size+len(objects[to].Raw())+1 <= batchBytes) {
			size += len(objects[to].Raw()) + 1
			to++
		}
		cut = append(cut, batch{objects: objects[from:to]})
		from = to
	}
	return cut
}

type batch struct{ objects []minimize.Object }

// body writes the batch as an envelope.
func (b batch) body() []byte {
	var body bytes.Buffer
	body.WriteString(`{"objects":`)
	body.Write(list(b.objects))
	body.WriteByte('}')
	return body.Bytes()
}

// A sender sends batches and gathers what became of them.
type sender struct {
	h *hubclient.Client
	o submitFlags

	mu   sync.Mutex // guards what follows
	bar  *progress
	r    *shared
	done int64
}

// all sends batches, some at a time, and stops at the first that fails.
func (s *sender) all(ctx context.Context, cut []batch, some int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan batch)
	var workers sync.WaitGroup
	for range min(some, len(cut)) {
		workers.Go(func() {
			for b := range next {
				if err := s.send(ctx, b); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, b := range cut {
		select {
		case next <- b:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}

// send submits one batch and saves its receipt.
func (s *sender) send(ctx context.Context, b batch) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	submit := s.h.Submit
	if s.o.anonymous {
		submit = s.h.SubmitAnonymous
	}
	made, err := submit(ctx, s.o.community, s.o.collection, b.body(), s.o.to)
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	saved, err := s.keep(ctx, made.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ok := range made.Successes {
		if ok.Known {
			s.r.Known++
		} else {
			s.r.New++
		}
	}
	s.r.Reviews += made.Reviews
	s.r.Pending = append(s.r.Pending, made.Pending...)
	s.r.Failures = append(s.r.Failures, made.Failures...)
	s.r.Submissions = append(s.r.Submissions, submission{made.ID, made.First, made.Last, len(made.Successes), saved})
	s.done += int64(len(b.objects))
	s.bar.at(s.done, s.done)
	return err
}

// keep saves the receipt of a submission and returns its file's name.
func (s *sender) keep(ctx context.Context, id string) (string, error) {
	return saveReceipt(ctx, s.h, id, s.o.receipts)
}

func (a *app) summarizeShared(r *shared, receipts string, bar *progress) {
	for i, f := range r.Failures {
		if i == 10 {
			a.say("  … and %s more", grouped(len(r.Failures)-i))
			break
		}
		a.say("%s refused: %s: %s", a.out(red, "✗"), safe(f.ID), safe(f.Detail))
		if f.Hint != "" {
			a.say("    %s", safe(f.Hint))
		}
	}
	if n := len(r.Pending); n > 0 && r.Anonymous {
		a.say("%s %s unseen until %s: those of all members appear together, so that the time does not tell whose they are", a.out(yellow, "…"), count(n, "version"), safe(r.Pending[0].Due))
	} else if n > 0 {
		a.say("%s %s of the future: unseen until %s or later; check the clock of the machine that made them", a.out(yellow, "…"), count(n, "version"), safe(r.Pending[0].Due))
	}
	if r.Reviews > 0 {
		a.say("%s %s masked by the hub, which is not sure of them: a curator of %s will look", a.out(yellow, "…"), count(r.Reviews, "value"), safe(r.Community))
	}
	took := time.Since(bar.began).Round(time.Millisecond)
	a.say("%s %s shared in %s (%s/s): %s new, %s there before", a.out(green, "✓"),
		count(r.New+r.Known, "object"), took, grouped(bar.rate()), grouped(r.New), grouped(r.Known))
	if n := len(r.Submissions); n > 0 {
		a.say("  %s in %s; 'tocsin verify' checks them offline", count(n, "receipt"), safe(receipts))
	}
}

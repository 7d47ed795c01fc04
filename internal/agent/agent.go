// Package agent watches a member's logs for shared indicators, keeps its block list, and reports what it sees.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"tocsin"
	"tocsin/internal/guard"
	"tocsin/internal/hubclient"
	"tocsin/internal/observe"
)

// Options say what an agent does. Hub, Collections and State are required.
type Options struct {
	Hub         *hubclient.Client
	Collections []Collection // where indicators come from and sightings go, in order of preference
	State       string       // folder for what survives the process; made when it is not there

	// What the indicators are written to. What is empty or false is not.
	Blocklist string // file with everything that is blocked, one value a line
	Lists     string // folder for domains.txt, ips.txt and urls.txt, made when it is not there
	Nft       bool   // the nftables table "inet tocsin", which drops packets from and to blocked addresses
	Exports   []Export

	Files   []string      // indicators that come from no hub: STIX, MISP, CSV or lists; read again when they change
	Logs    []string      // log files to watch, each from its beginning; of patterns (*, ?, […]), what is there and comes
	Allow   []string      // addresses, networks and domains that are never blocked, see [guard.AllowList]
	Window  time.Duration // how long events are kept for patterns of several; 0: those are not looked for
	Quiet   bool          // look, but send no sightings and do not confirm what is in force
	First   time.Duration // how long after its first hit an indicator is reported; one second when zero
	Summary time.Duration // how often the hits after that are summed up and reported; one hour when zero

	Log      *slog.Logger // nil: none
	Observer func(Event)  // told what happens, one event at a time; it must not wait. nil: nobody

	nft runNft // nil: the program of this machine
}

// A Collection is one of a hub's.
type Collection struct {
	Community  string
	Collection string // id or alias
}

func (c Collection) key() string { return c.Community + "/" + c.Collection }

// An EventKind says what happened.
type EventKind uint8

// The kinds of events, and which fields they set besides Kind and Time. When
// more than 100 values change at once, as at the first start, they are not told
// one by one.
const (
	Connected    EventKind = iota + 1 // the stream is open: Collection
	Disconnected                      // the stream broke, the agent polls: Collection, Err
	Blocked                           // a value is enforced: Collection, Indicator, Value, Took since it came
	Unblocked                         // a value is enforced no more: Value
	HeldBack                          // a value of an indicator will not be blocked: Collection, Indicator, Value, Reason
	Enforced                          // lists and firewall are up to date: Count values, Held by reason, Took
	Hit                               // an indicator's value stands in a log, for the first time since its last report: Collection, Indicator, Value, File, Field
	Reported                          // the hub has a sighting: Collection, Indicator, Sighting, Count
	Failed                            // something did not work and will be tried again: Err, and Collection or File
	Alive                             // once a minute: all is as it was written, or is written anew now: Count, Held
)

// An Event is something that happened. It never holds a line of a log.
type Event struct {
	Kind       EventKind
	Time       time.Time
	Collection Collection
	Indicator  string
	Value      string
	Reason     string
	File       string
	Field      string // of the event that a log's line is; "text" when it has none
	Sighting   string
	Count      int64
	Held       map[string]int // how many values of valid indicators are not blocked, by reason
	Took       time.Duration
	Err        error
}

// An agent is one run.
type agent struct {
	Options

	fail    context.CancelCauseFunc // ends the run
	told    sync.Mutex              // guards calls of Observer
	changed chan struct{}           // holds something when the book has changed since it was enforced

	mu        sync.RWMutex // guards what follows
	book      *book
	journal   *journal
	unsettled map[string]bool // collections of which not all that was shared before has come
	settled   chan struct{}   // closed when there are none: what logs hold already can be looked through

	reports  *reports
	confirms confirms
}

// Run runs an agent until the context ends, which is no error. It begins with
// what it knew when it last ended, so it needs the hub for news only. It fails
// when an option cannot be used, when the state cannot be read or written, and
// when a hub refuses a collection that the agent never got anything from.
func Run(ctx context.Context, o Options) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.First <= 0 {
		o.First = time.Second
	}
	if o.Summary <= 0 {
		o.Summary = time.Hour
	}
	if o.nft == nil {
		o.nft = nftProgram
	}
	a, err := open(o)
	if err != nil {
		return err
	}
	enforcer, err := newEnforcer(a)
	if err != nil {
		return errors.Join(err, a.journal.close())
	}
	parent := ctx
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	a.fail = cancel
	looks := map[string]fileLook{}
	a.lookAtFiles(ctx, looks) // before anything is written: a restart leaves no gap
	var running sync.WaitGroup
	running.Go(func() { enforcer.enforce(ctx) })
	for _, c := range o.Collections {
		running.Go(func() { a.subscribe(ctx, c) })
	}
	if len(o.Files) > 0 {
		running.Go(func() { a.readFiles(ctx, looks) })
	}
	if len(o.Logs) > 0 {
		running.Go(func() { a.watchAll(ctx) })
		running.Go(func() { a.report(ctx) })
		running.Go(func() { a.tellPatterns(ctx) })
	}
	if len(o.Collections) > 0 && !o.Quiet {
		running.Go(func() { a.confirmAll(ctx) })
	}
	<-ctx.Done()
	running.Wait()
	err = errors.Join(a.journal.close(), a.reports.save())
	if parent.Err() == nil { // it ended by itself
		err = errors.Join(context.Cause(ctx), err)
	}
	return err
}

// open checks the options and reads the state.
func open(o Options) (*agent, error) {
	if o.State == "" || len(o.Files) == 0 && len(o.Collections) == 0 || len(o.Collections) > 0 && o.Hub == nil {
		return nil, &tocsin.Error{Kind: tocsin.Invalid, Message: "an agent needs a hub and a collection, or files with indicators, and a folder for its state"}
	}
	for _, c := range o.Collections {
		if c.Community == "" || c.Collection == "" || strings.ContainsAny(c.key(), " \n") || strings.Count(c.key(), "/") != 1 {
			return nil, &tocsin.Error{Kind: tocsin.Invalid, Message: "this is no collection: " + guard.Printable(c.key()), Hint: "name one as community/collection"}
		}
	}
	host := ""
	if o.Hub != nil {
		host = o.Hub.Host()
	}
	protected, err := guard.New(o.Allow, host)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.State, 0o700); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	if o.Lists != "" {
		if err := os.MkdirAll(o.Lists, 0o755); err != nil { //nolint:gosec // other programs read the lists
			return nil, fmt.Errorf("lists: %w", err)
		}
	}
	a := &agent{
		Options: o, changed: make(chan struct{}, 1), book: newBook(protected), unsettled: map[string]bool{}, settled: make(chan struct{}),
		confirms: newConfirms(),
	}
	if o.Window > 0 {
		a.book.events = observe.NewWindow(o.Window)
	}
	for _, c := range o.Collections {
		a.book.order = append(a.book.order, c.key())
		a.unsettled[c.key()] = true
	}
	for _, path := range o.Files {
		a.book.order = append(a.book.order, fileKey(path))
		a.unsettled[fileKey(path)] = true
	}
	if a.journal, err = openJournal(o.State, a.book); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	if a.reports, err = openReports(o.State); err != nil {
		return nil, errors.Join(fmt.Errorf("state: %w", err), a.journal.close())
	}
	for _, c := range o.Collections {
		if _, known := a.book.cursors[c.key()]; known {
			a.settle(c.key())
		}
	}
	a.wake()
	return a, nil
}

// settle notes that a source was read to where it ended.
func (a *agent) settle(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.unsettled[key] {
		return
	}
	if delete(a.unsettled, key); len(a.unsettled) == 0 {
		close(a.settled)
	}
}

// wake has the lists written.
func (a *agent) wake() {
	select {
	case a.changed <- struct{}{}:
	default: // it will be anyway
	}
}

// tell tells the observer.
func (a *agent) tell(e Event) {
	if a.Observer == nil {
		return
	}
	e.Time = time.Now()
	a.told.Lock()
	defer a.told.Unlock()
	a.Observer(e)
}

// failed tells of something that will be tried again.
func (a *agent) failed(ctx context.Context, what string, e Event) {
	if ctx.Err() != nil { // it failed because the agent stops
		return
	}
	attrs := []slog.Attr{slog.String("what", what), slog.String("cause", e.Err.Error())}
	if e.File != "" {
		attrs = append(attrs, slog.String("file", e.File))
	}
	if e.Collection != (Collection{}) {
		attrs = append(attrs, slog.String("collection", e.Collection.key()))
	}
	a.Log.LogAttrs(ctx, slog.LevelWarn, "will try again", attrs...)
	e.Kind = Failed
	a.tell(e)
}

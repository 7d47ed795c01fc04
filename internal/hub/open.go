package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"

	"tocsin"
	"tocsin/internal/api"
	"tocsin/internal/authorize"
	"tocsin/internal/cursor"
	"tocsin/internal/deploy"
	"tocsin/internal/distribute"
	"tocsin/internal/ledger"
	"tocsin/internal/lists"
	"tocsin/internal/member"
	"tocsin/internal/minimize"
	"tocsin/internal/prove"
	"tocsin/internal/quarantine"
	"tocsin/internal/receive"
	"tocsin/internal/restore"
	"tocsin/internal/store"
	"tocsin/internal/store/postgres"
	"tocsin/internal/store/sqlite"
	"tocsin/internal/submit"
	"tocsin/internal/taxii"
	"tocsin/internal/tearline"
	"tocsin/internal/withdraw"
	"tocsin/stix"
)

// maxBytes is the largest body that the hub takes, decompressed, as discovery
// publishes it (TAXII 2.1 §4.2.1, max_content_length).
const maxBytes = 10 << 20

// A hubStore is a store that says when it has failed for good.
type hubStore interface {
	store.Store

	// Failed is closed when the process should end and be started anew; Err
	// says why.
	Failed() <-chan struct{}
	Err() error
}

// A replica shares its store with other replicas of the hub.
type replica interface {
	// Follow tells of what others did.
	Follow(h postgres.Hooks)
	// Fresh returns an error when what others did may not be known.
	Fresh() error
}

// hub is one hub's parts.
type hub struct {
	identity      identity
	store         hubStore
	replica       replica // nil when the hub has its store for itself
	directory     *member.Service
	policy        *authorize.Policy
	feed          *distribute.Feed
	submit        *submit.Service
	quarantine    *quarantine.Service
	restore       *restore.Service
	retention     *withdraw.Retention
	operatorToken string
	verifierKey   string
}

// open opens or makes the hub in a data folder.
func open(ctx context.Context, o Options) (_ *hub, err error) {
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return nil, &tocsin.Error{Kind: tocsin.Busy, Message: "the data folder cannot be made: " + cause(err), Hint: "choose another with --data"}
	}
	root, err := os.OpenRoot(o.Data)
	if err != nil {
		return nil, &tocsin.Error{Kind: tocsin.Busy, Message: "the data folder cannot be opened: " + cause(err), Hint: "choose another with --data"}
	}
	defer func() { _ = root.Close() }() // it was read only to open
	h := &hub{policy: authorize.NewPolicy()}
	h.policy.SetCeiling(o.Ceiling)
	if o.DB != "" {
		err = h.openDatabase(ctx, root, o)
	} else {
		err = h.openFolder(ctx, root, o)
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.store.Close())
		}
	}()
	if err := h.wire(ctx); err != nil {
		return nil, err
	}
	if o.Pages != 0 {
		h.feed.KeepPages(max(o.Pages, 0))
	}
	return h, nil
}

// openFolder opens the hub that lives in the data folder, or makes it there.
func (h *hub) openFolder(ctx context.Context, root *os.Root, o Options) (err error) {
	if err := keyHasLedger(root); err != nil {
		return err
	}
	if h.identity, err = loadIdentity(root, o.URL); err != nil {
		return err
	}
	signer, err := ledger.LoadOrCreate(root, h.identity.Origin)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	h.verifierKey = signer.VerifierKey()
	s, err := sqlite.Open(ctx, o.Data, signer, sqlite.Options{Covers: h.policy.Covers})
	if errors.Is(err, sqlite.ErrInUse) {
		return &tocsin.Error{Kind: tocsin.Busy, Message: "another hub runs on this data folder", Hint: "stop it, or choose another folder with --data"}
	}
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	h.store = s
	return nil
}

// keyHasLedger returns an error when a data folder has a ledger's key and not the
// ledger: a new one under the same key would be a second history, which whoever
// holds a receipt of the first must take for fraud.
func keyHasLedger(root *os.Root) error {
	if _, err := root.Stat(sqlite.File); !errors.Is(err, fs.ErrNotExist) {
		return nil // there is one, or opening it says why not
	}
	if _, err := root.Stat(ledgerKeyFile); err != nil {
		return nil //nolint:nilerr // a first start, or opening the key says why not
	}
	return &tocsin.Error{
		Kind: tocsin.Busy, Message: "the data folder has a signing key (" + ledgerKeyFile + ") and not its ledger (" + sqlite.File + ")",
		Hint: "restore " + sqlite.File + " from a backup; to begin another hub, choose an empty folder with --data",
	}
}

// wire makes the parts that work on the open store.
func (h *hub) wire(ctx context.Context) error {
	gate, err := minimize.New(minimize.Options{Secret: h.identity.Secret, Creator: h.identity.Identity})
	if err != nil {
		return fmt.Errorf("privacy gate: %w", err)
	}
	strict, err := minimize.New(minimize.Options{Secret: h.identity.Secret, Creator: h.identity.Identity, Rules: minimize.StrictRules()})
	if err != nil {
		return fmt.Errorf("strict privacy gate: %w", err)
	}
	h.policy.SetCopies(tearline.NewMaker(h.identity.Secret, h.identity.Identity))
	definitions, err := h.store.Definitions(ctx)
	if err != nil {
		return fmt.Errorf("definitions: %w", err)
	}
	for _, d := range definitions {
		h.define(d)
	}
	if h.directory, err = member.Open(ctx, h.store); err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	h.directory.CheckRules(minimize.CheckRules)
	h.directory.OnChange(func(identities map[string]string) {
		h.policy.Identities(identities)
		h.policy.Attributes(h.directory.Attributes())
	})
	if h.replica != nil {
		h.replica.Follow(postgres.Hooks{Directory: h.directory.Reload, Define: h.define})
		h.directory.Confirm(h.replica.Fresh)
	}
	if h.operatorToken, err = h.directory.OperatorToken(ctx); err != nil {
		return fmt.Errorf("operator token: %w", err)
	}
	h.feed = distribute.New(h.store, h.store, h.policy, h.directory)
	h.submit = &submit.Service{Gate: gate, Strict: strict, Directory: h.directory, Policy: h.policy, Recorder: h.store, Finder: h.store}
	h.submit.Own.Make = func(rules []byte) (*minimize.Gate, error) {
		return minimize.New(minimize.Options{Secret: h.identity.Secret, Creator: h.identity.Identity, Rules: rules})
	}
	h.quarantine = &quarantine.Service{Holds: h.store, Submitter: h.submit, Directory: h.directory}
	h.retention = &withdraw.Retention{Order: h.store, Rules: h.directory.Retention}
	h.restore = &restore.Service{Queue: h.store, Store: h.store, Directory: h.directory, Policy: h.policy, Gates: h.submit}
	return nil
}

// define teaches the policy a marking-definition that was recorded.
func (h *hub) define(d store.Definition) {
	if v, err := stix.Parse(d.Raw, stix.Limits{}); err == nil {
		h.policy.Define(d.Owner, v)
	}
}

// routes puts the hub's APIs side by side. A community's TAXII API root is at
// the top, so its names are checked against the other paths (internal/member).
func (h *hub) routes(o Options, base *url.URL) http.Handler {
	cursors := cursor.New(h.identity.Secret)
	intake := receive.NewIntake(maxBytes)
	prover := &prove.Service{Records: h.store}
	withdrawer := &withdraw.Service{Directory: h.directory, Policy: h.policy, Store: h.store, Copies: h.submit.Gate}
	deployer := &deploy.Service{Directory: h.directory, Policy: h.policy, Store: h.store}
	served := taxii.New(taxii.Options{
		Authenticator: h.directory, Directory: h.directory, Feed: h.feed, Submitter: h.submit, Prover: prover, Withdrawer: withdrawer,
		Cursors: cursors, Intake: intake, URL: base, Title: "Tocsin", MaxPage: o.MaxPage, Log: o.Log,
	})
	mux := http.NewServeMux()
	mux.Handle("/", served)
	mux.Handle("/api/v1/", api.New(api.Options{
		Authenticator: h.directory, Directory: h.directory, Administrator: h.directory, Registry: h.directory, Admissions: h.directory, Confirmer: h.directory, Feed: h.feed, Policy: h.policy, Submitter: h.submit, Prover: prover,
		Reviewer: h.restore, Withdrawer: withdrawer, Eraser: &withdraw.Eraser{Store: h.store}, Deployer: deployer, Lists: lists.New(h.feed, base.Hostname()), Cursors: cursors, Intake: intake, URL: base, Log: o.Log, Streams: o.Streams, StreamsPerToken: o.StreamsPerToken,
	}))
	mux.Handle("/log/", http.StripPrefix("/log", ledger.Tiles(h.store, o.Log)))
	mux.HandleFunc("GET /log/key", func(w http.ResponseWriter, _ *http.Request) { h.text(w, h.verifierKey+"\n") })
	mux.HandleFunc("GET /{$}", h.page(base))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { h.text(w, "ok\n") })
	mux.HandleFunc("GET /readyz", h.ready)
	return secure(mux)
}

// ready says whether the hub can take submissions: not after its disk failed,
// and not while its database cannot be reached.
func (h *hub) ready(w http.ResponseWriter, _ *http.Request) {
	if h.store.Err() != nil || h.replica != nil && h.replica.Fresh() != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	h.text(w, "ready\n")
}

func (h *hub) text(w http.ResponseWriter, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, s) // the client went away
}

// secure sets what every answer carries: nothing here is a page that may run
// or frame anything, and nothing is to be guessed as another type.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

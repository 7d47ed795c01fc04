// Package hubtest puts the parts of a hub together on a real store, with a small cast, for the tests of its APIs.
package hubtest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/cursor"
	"tocsin/internal/deploy"
	"tocsin/internal/distribute"
	"tocsin/internal/ledger"
	"tocsin/internal/member"
	"tocsin/internal/minimize"
	"tocsin/internal/prove"
	"tocsin/internal/receive"
	"tocsin/internal/restore"
	"tocsin/internal/store/sqlite"
	"tocsin/internal/submit"
	"tocsin/internal/tearline"
	"tocsin/internal/withdraw"
)

// The cast: who is what in the community "finance", which has the collections
// "indicators" and "reports". The community "energy" is another one.
const (
	Stranger  = "stranger"  // a writer in energy, nobody in finance
	Reader    = "reader"    // organization bravo
	Writer    = "writer"    // organization acme
	Colleague = "colleague" // organization delta, also a writer
	Curator   = "curator"   // organization isac
	Operator  = "operator"  // organization staff
	Agency    = "agency"    // a government's reader; its token has a purpose
	Silent    = "silent"    // the same government; its token has none
	Hub       = "hub"       // operates the hub and is in no community
)

// network is the cast as a document.
const network = `
organizations:
  - {name: outsider, title: Outsider, kind: company, users: [{name: u, tokens: [{name: stranger}]}]}
  - {name: bravo, title: Bravo, kind: company, users: [{name: u, tokens: [{name: reader}]}]}
  - {name: acme, title: Acme, kind: company, users: [{name: u, tokens: [{name: writer}]}]}
  - {name: delta, title: Delta, kind: company, users: [{name: u, tokens: [{name: colleague}]}]}
  - {name: isac, title: ISAC, kind: nonprofit, users: [{name: u, tokens: [{name: curator}]}]}
  - {name: staff, title: Staff, kind: nonprofit, users: [{name: u, tokens: [{name: operator}]}]}
  - name: bureau
    title: Bureau
    kind: government
    users: [{name: u, tokens: [{name: agency, purpose: cybersecurity}, {name: silent}]}]
communities:
  - name: finance
    title: Finance
    default_tlp: amber
    collections: [{alias: indicators, title: Indicators}, {alias: reports, title: Reports}]
    members:
      - {organization: bravo, role: reader}
      - {organization: bureau, role: reader}
      - {organization: acme, role: writer}
      - {organization: delta, role: writer}
      - {organization: isac, role: curator}
      - {organization: staff, role: operator}
  - name: energy
    title: Energy
    collections: [{alias: indicators, title: Indicators}]
    members: [{organization: outsider, role: writer}]
`

// Identity is in whose name the hub makes copies.
const Identity = "identity--5a6d2b9c-7a55-4b6f-8f0e-1a2b3c4d5e6f"

// Parts are a hub's parts, wired.
type Parts struct {
	Store       *sqlite.Store
	Directory   *member.Service
	Policy      *authorize.Policy
	Feed        *distribute.Feed
	Submit      *submit.Service
	Prover      *prove.Service
	Withdrawer  *withdraw.Service
	Restore     *restore.Service
	Deploy      *deploy.Service
	Cursors     *cursor.Sealer
	Intake      *receive.Intake
	VerifierKey string
	Tokens      map[string]string // secrets, by name in the cast
}

// Open makes a hub's parts in a folder that goes with the test.
func Open(t testing.TB) *Parts {
	t.Helper()
	ctx := t.Context()
	secret := bytes.Repeat([]byte{7}, 32)
	key, err := ledger.NewKey("hub.example.com/log")
	fatal(t, err)
	signer, err := ledger.NewSigner(key)
	fatal(t, err)
	p := &Parts{
		Policy: authorize.NewPolicy(), Cursors: cursor.New(secret), Intake: receive.NewIntake(receive.DefaultMaxBytes),
		VerifierKey: signer.VerifierKey(), Tokens: map[string]string{},
	}
	p.Policy.SetCopies(tearline.NewMaker(secret, Identity))
	p.Store, err = sqlite.Open(ctx, t.TempDir(), signer, sqlite.Options{Covers: p.Policy.Covers})
	fatal(t, err)
	t.Cleanup(func() { fatal(t, p.Store.Close()) })
	p.Directory, err = member.Open(ctx, p.Store)
	fatal(t, err)
	p.Directory.OnChange(func(identities map[string]string) {
		p.Policy.Identities(identities)
		p.Policy.Attributes(p.Directory.Attributes())
	})
	p.cast(t)
	gate, err := minimize.New(minimize.Options{Secret: secret})
	fatal(t, err)
	strict, err := minimize.New(minimize.Options{Secret: secret, Rules: minimize.StrictRules()})
	fatal(t, err)
	p.Submit = &submit.Service{Gate: gate, Strict: strict, Directory: p.Directory, Policy: p.Policy, Recorder: p.Store, Finder: p.Store}
	p.Directory.CheckRules(minimize.CheckRules)
	p.Submit.Own.Make = func(rules []byte) (*minimize.Gate, error) {
		return minimize.New(minimize.Options{Secret: secret, Rules: rules})
	}
	p.Prover = &prove.Service{Records: p.Store}
	p.Withdrawer = &withdraw.Service{Directory: p.Directory, Policy: p.Policy, Store: p.Store, Copies: gate}
	p.Restore = &restore.Service{Queue: p.Store, Store: p.Store, Directory: p.Directory, Policy: p.Policy, Gates: p.Submit}
	p.Deploy = &deploy.Service{Directory: p.Directory, Policy: p.Policy, Store: p.Store}
	p.Feed = distribute.New(p.Store, p.Store, p.Policy, p.Directory)
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { p.Feed.Run(background, slog.New(slog.DiscardHandler)) })
	t.Cleanup(func() { // before the store is closed
		stop()
		running.Wait()
	})
	return p
}

func (p *Parts) cast(t testing.TB) {
	t.Helper()
	var err error
	p.Tokens[Hub], err = p.Directory.OperatorToken(t.Context())
	fatal(t, err)
	n, err := member.ParseNetwork([]byte(network))
	fatal(t, err)
	made, err := p.Directory.Apply(t.Context(), tocsin.Member{Operator: true}, n)
	fatal(t, err)
	for _, token := range made.Tokens {
		p.Tokens[token.Name] = token.Token
	}
}

// Share submits objects to finance's collection "indicators" as one of the cast.
func (p *Parts) Share(t testing.TB, as string, recipients []string, objects ...string) submit.Outcome {
	t.Helper()
	who, err := p.Directory.Authenticate(t.Context(), p.Tokens[as])
	fatal(t, err)
	c, err := p.Directory.Collection(who, "finance", "indicators")
	fatal(t, err)
	community, err := p.Directory.Community(who, "finance")
	fatal(t, err)
	to := authorize.Target{Community: "finance", Collection: c.ID, Default: community.Default, Recipients: recipients}
	made, err := p.Submit.Submit(t.Context(), who, to, []byte(Envelope(objects...)))
	fatal(t, err)
	return made
}

// Envelope puts objects into a TAXII envelope.
func Envelope(objects ...string) string { return `{"objects":[` + strings.Join(objects, ",") + `]}` }

// ID returns the id of object number n of a type.
func ID(kind string, n int) string {
	return fmt.Sprintf("%s--00000000-0000-4000-8000-%012d", kind, n)
}

// Indicator returns indicator number n as of a day in 2026 (1 to 28), with
// further properties.
func Indicator(n, day int, more ...string) string {
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-%02dT00:00:00.000Z",`+
		`"indicator_types":["malicious-activity"],"name":"n%d","pattern":"[ipv4-addr:value = '192.0.2.%d']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"%s}`,
		ID("indicator", n), day, n, n%250+1, strings.Join(append([]string{""}, more...), ","))
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

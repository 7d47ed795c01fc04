package demo

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tocsin"
	"tocsin/internal/agent"
	"tocsin/internal/hub"
	"tocsin/internal/hubclient"
	"tocsin/internal/minimize"
	"tocsin/internal/outbound"
	"tocsin/internal/taxii/client"
	"tocsin/internal/validate"
	"tocsin/receipt"
	"tocsin/stix"
)

// patience is how long each step may take on a slow machine before the demo
// says that it failed.
const patience = 30 * time.Second

// firstReport is how long the demo's agent gathers hits before it reports the
// first ones: shorter than in life, where a second costs nothing.
const firstReport = 20 * time.Millisecond

// A Stage is the running demo: the hub, and who plays. The parts know of each
// other only what the hub tells them over HTTP.
type Stage struct {
	Hub    hub.Started
	Tokens map[string]string // organization → its token

	options Options
	running *sync.WaitGroup
	result  Result

	alpha, bravo, agency *hubclient.Client
	findings             []minimize.Finding
	started              time.Time
	submission           hubclient.Submission
	news                 chan agent.Event
	indicators           int // of the sample
}

// Files of Bravo Power's agent.
func (s *Stage) logFile() string { return filepath.Join(s.options.Dir, "bravo-power", "dns.log") }

func (s *Stage) blockDir() string { return filepath.Join(s.options.Dir, "bravo-power", "blocklists") }

// ReceiptFile is where Alpha Bank keeps its receipt.
func (s *Stage) ReceiptFile() string {
	return filepath.Join(s.options.Dir, "alpha-bank", "report.tlog-proof")
}

// TokenFile is where a member keeps its token.
func (s *Stage) TokenFile(organization string) string {
	return filepath.Join(s.options.Dir, organization, "token")
}

// Result returns what has happened so far.
func (s *Stage) Result() Result { return s.result }

func (s *Stage) tell(who, text string, detail ...string) {
	if s.options.Tell == nil {
		return
	}
	at := time.Duration(-1)
	if !s.started.IsZero() {
		at = time.Since(s.started)
	}
	s.options.Tell(Moment{At: at, Who: who, Text: text, Detail: detail})
}

func (s *Stage) connect(token string) (*hubclient.Client, error) {
	base, err := url.Parse(s.Hub.URL)
	if err != nil {
		return nil, fmt.Errorf("hub address: %w", err)
	}
	door, err := outbound.New(outbound.Options{Only: base, Timeout: patience, Log: s.options.Log})
	if err != nil {
		return nil, err
	}
	return hubclient.New(hubclient.Options{URL: s.Hub.URL, Token: token, HTTP: door})
}

// invite makes the members, the community and the collection from one file.
func (s *Stage) invite(ctx context.Context) error {
	operator, err := s.connect(s.Hub.OperatorToken)
	if err != nil {
		return err
	}
	applied, err := operator.ApplyNetwork(ctx, []byte(network), false)
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	s.Tokens = map[string]string{}
	for _, t := range applied.Tokens {
		s.Tokens[t.Organization] = t.Token
		if err := os.MkdirAll(filepath.Dir(s.TokenFile(t.Organization)), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(s.TokenFile(t.Organization), []byte(t.Token+"\n"), 0o600); err != nil {
			return err
		}
	}
	for organization, c := range map[string]**hubclient.Client{"alpha-bank": &s.alpha, "bravo-power": &s.bravo, "cyber-agency": &s.agency} {
		if *c, err = s.connect(s.Tokens[organization]); err != nil {
			return err
		}
	}
	s.tell("the hub", "is up, with Alpha Bank, Bravo Power and a National Cyber Agency in one community")
	return nil
}

// load shares the sample, so that the alarm has to be heard among others.
func (s *Stage) load(ctx context.Context) error {
	bundles, err := samples()
	if err != nil {
		return err
	}
	begin := time.Now()
	for _, bundle := range bundles {
		done, err := s.alpha.Submit(ctx, Community, Collection, bundle, nil)
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		if len(done.Failures) > 0 {
			return fmt.Errorf("load: %d objects of the sample were refused", len(done.Failures))
		}
		s.result.ObjectsLoaded += len(done.Successes)
		for _, o := range done.Successes {
			if strings.HasPrefix(o.ID, "indicator--") {
				s.indicators++
			}
		}
	}
	s.result.LoadPerSecond = float64(s.result.ObjectsLoaded) / time.Since(begin).Seconds()
	s.tell("Alpha Bank", fmt.Sprintf("has shared %d objects before: ATT&CK and indicators from the field", s.result.ObjectsLoaded))
	return nil
}

// watch starts Bravo Power's agent and waits until it has caught up.
func (s *Stage) watch(ctx context.Context) error {
	if err := os.WriteFile(s.logFile(), []byte("Nov 10 09:00:01 resolver query: intranet.bravo-power.example A from 10.20.0.7\n"), 0o600); err != nil {
		return err
	}
	s.news = make(chan agent.Event, 4096)
	options := agent.Options{
		Hub: s.bravo, Collections: []agent.Collection{{Community: Community, Collection: Collection}},
		State: filepath.Join(s.options.Dir, "bravo-power", "agent"), Lists: s.blockDir(), Logs: []string{s.logFile()},
		First: firstReport,
		Log:   s.options.Log, Observer: func(e agent.Event) {
			select {
			case s.news <- e:
			default: // an observer never holds up the agent
			}
		},
	}
	s.running.Go(func() {
		if err := agent.Run(ctx, options); err != nil && ctx.Err() == nil {
			s.options.Log.ErrorContext(ctx, "the agent ended", "error", err)
		}
	})
	var blocked int64
	caughtUp := func(e agent.Event) bool {
		held := 0
		for _, n := range e.Held {
			held += n
		}
		blocked = e.Count
		return e.Kind == agent.Enforced && int(e.Count)+held >= s.indicators
	}
	if err := s.await(ctx, "the agent to catch up", caughtUp); err != nil {
		return err
	}
	s.tell("Bravo Power", fmt.Sprintf("runs an agent: it follows a DNS log, and blocks %d addresses and sites by now", blocked))
	return nil
}

// await waits for an event of the agent.
func (s *Stage) await(ctx context.Context, what string, is func(agent.Event) bool) error {
	late := time.After(patience)
	for {
		select {
		case e := <-s.news:
			if is(e) {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			return fmt.Errorf("waited %v for %s", patience, what)
		}
	}
}

// find is the submission: what Alpha Bank's analyst wrote goes through the
// privacy gate on her own machine, and what is left is shared.
func (s *Stage) find(ctx context.Context) error {
	me, err := s.alpha.Me(ctx)
	if err != nil {
		return fmt.Errorf("me: %w", err)
	}
	s.started = time.Now()
	valid, err := validate.Parse(finding(me.Organization.Identity, s.started.UTC().Format("2006-01-02T15:04:05.000Z")), validate.Options{})
	if err != nil {
		return fmt.Errorf("validate: %w", err)
	}
	gate, err := minimize.New(minimize.Options{Secret: []byte("a secret of this demo's only: 32+"), Creator: me.Organization.Identity})
	if err != nil {
		return err
	}
	left := gate.Apply(valid)
	s.findings = left.Findings()
	s.result.FindingsCount = len(s.findings)
	raw := make([]string, 0, len(left.Objects()))
	for _, o := range left.Objects() {
		raw = append(raw, string(o.Raw()))
	}
	var removed []string
	for _, f := range s.findings {
		removed = append(removed, fmt.Sprintf("%s: %s in %s%s", f.Action, f.Class, strings.SplitN(f.Object, "--", 2)[0], f.At))
	}
	s.tell("Alpha Bank", "finds a phishing site, and writes down more than anybody needs; the privacy gate takes it out", removed...)
	if s.submission, err = s.alpha.Submit(ctx, Community, Collection, []byte(`{"objects":[`+strings.Join(raw, ",")+`]}`), nil); err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	if len(s.submission.Failures) > 0 {
		return fmt.Errorf("submit: refused: %s", s.submission.Failures[0].Detail)
	}
	s.result.SharedMS = ms(s.started)
	s.tell("the hub", fmt.Sprintf("has it on disk and in its ledger: %d objects, acknowledged", len(s.submission.Successes)))
	return nil
}

// protect waits for the block at Bravo Power, and looks for itself.
func (s *Stage) protect(ctx context.Context) error {
	err := s.await(ctx, "the block", func(e agent.Event) bool { return e.Kind == agent.Blocked && e.Value == phishingSite })
	if err != nil {
		return err
	}
	s.result.ProtectMS = ms(s.started)
	list, err := os.ReadFile(filepath.Join(s.blockDir(), "domains.txt"))
	if err != nil {
		return err
	}
	if !strings.Contains("\n"+string(list), "\n"+phishingSite+"\n") {
		return errors.New("the agent says that the site is blocked, but it is not in the file")
	}
	s.tell("Bravo Power", "blocks "+phishingSite)
	return nil
}

// see writes the log line that somebody's click leaves, and waits until the
// sighting is back at Alpha Bank.
func (s *Stage) see(ctx context.Context) error {
	line := "Nov 10 09:14:22 resolver query: " + phishingSite + " A from 10.20.0.31\n"
	f, err := os.OpenFile(s.logFile(), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	s.tell("Bravo Power", "sees the site in its DNS log; the line stays, the count goes out")
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		seen, err := s.alpha.Sightings(ctx, Community, Collection, indicatorID)
		if err != nil {
			return fmt.Errorf("sightings: %w", err)
		}
		if seen.Count > 0 {
			s.result.SightingReturned = true
			s.result.SightingMS = ms(s.started)
			s.tell("Alpha Bank", "learns that somebody else was attacked, too")
			return nil
		}
		if err := outbound.Wait(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("waited %v for the sighting", patience)
}

// oversee lets the agency read, and Alpha Bank find that reading in the ledger.
func (s *Stage) oversee(ctx context.Context) error {
	read := 0
	for page, err := range s.agency.Objects(ctx, Community, Collection, client.Query{Types: []string{"indicator", "report"}}) {
		if err != nil {
			return fmt.Errorf("agency: %w", err)
		}
		read += len(page.Objects)
	}
	list, err := s.alpha.Disclosures(ctx, Community, 0)
	if err != nil {
		return fmt.Errorf("disclosures: %w", err)
	}
	recorded := 0
	for _, d := range list.Disclosures {
		if d.Organization != "cyber-agency" {
			continue
		}
		proof, err := s.alpha.RecordReceipt(ctx, d.Leaf)
		if err != nil {
			return fmt.Errorf("record: %w", err)
		}
		if _, err := verify(proof, s.Hub.VerifierKey); err != nil {
			return fmt.Errorf("the proof of the agency's reading: %w", err)
		}
		recorded += d.Objects
		s.result.AgencyPurpose = d.Purpose
	}
	s.result.AgencyReadLogged = read > 0 && recorded == read && s.result.AgencyPurpose != ""
	s.tell("the agency", fmt.Sprintf("reads %d objects, for a stated purpose", read), "purpose: "+s.result.AgencyPurpose)
	s.tell("Alpha Bank", fmt.Sprintf("finds that reading in the ledger: %d objects, and the proof verifies", recorded))
	return nil
}

// prove checks Alpha Bank's receipt with the hub's public key alone.
func (s *Stage) prove(ctx context.Context) error {
	proof, err := s.alpha.Receipt(ctx, s.submission.ID)
	if err != nil {
		return fmt.Errorf("receipt: %w", err)
	}
	if err := os.WriteFile(s.ReceiptFile(), proof, 0o600); err != nil {
		return err
	}
	verified, err := verify(proof, s.Hub.VerifierKey)
	if err != nil {
		return fmt.Errorf("the receipt: %w", err)
	}
	stated, err := verified.Submission()
	if err != nil {
		return fmt.Errorf("the receipt: %w", err)
	}
	s.result.ReceiptVerified = stated.ID == s.submission.ID && len(stated.Objects) == len(s.submission.Successes)
	s.tell("Alpha Bank", fmt.Sprintf("verifies its receipt offline: what was shared, with whom, under which rules (entry %d of the ledger)", verified.Index()))
	return nil
}

func verify(proof []byte, key string) (receipt.Verified, error) {
	p, err := receipt.ParseProof(proof)
	if err != nil {
		return receipt.Verified{}, err
	}
	return receipt.Verify(p, key)
}

// search looks for the victim everywhere: in what Bravo Power can read and in
// every file that the hub has written; and asks as a stranger.
func (s *Stage) search(ctx context.Context) error {
	removed, held := true, 0
	for page, err := range s.bravo.Objects(ctx, Community, Collection, client.Query{Version: "all"}) {
		if err != nil {
			return fmt.Errorf("search: %w", err)
		}
		for _, o := range page.Objects {
			held++
			removed = removed && !strings.Contains(string(o.Raw), victimMailbox) && !strings.Contains(string(o.Raw), victimUser)
		}
	}
	clean, err := absent(filepath.Join(s.options.Dir, "hub"), victimMailbox, victimUser)
	if err != nil {
		return fmt.Errorf("search: %w", err)
	}
	kept := false // what the threat needs is still there
	for page, err := range s.bravo.Objects(ctx, Community, Collection, client.Query{Types: []string{"report"}}) {
		if err != nil {
			return fmt.Errorf("search: %w", err)
		}
		for _, o := range page.Objects {
			v, err := stix.Parse(o.Raw, stix.Limits{})
			kept = kept || err == nil && strings.Contains(v.Get("description").Text(), attackerMail)
		}
	}
	s.result.VictimDataRemoved = removed && clean && kept && held > 0 && len(s.findings) > 0
	s.tell("everybody", fmt.Sprintf("can look: the victim is in none of %d objects and in no file of the hub; the attacker's address is", held))

	stranger, err := s.connect(s.Hub.OperatorToken)
	if err != nil {
		return err
	}
	var refused *tocsin.Error
	if _, err := stranger.Sightings(ctx, Community, Collection, indicatorID); errors.As(err, &refused) && refused.Kind == tocsin.NotFound {
		s.result.StrangerSees = "not found"
		s.tell("a stranger", "asks, even the hub's operator, who is no member: not found")
	}
	return nil
}

func ms(since time.Time) float64 { return float64(time.Since(since).Microseconds()) / 1000 }

package quarantine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/hub/hubtest"
	"tocsin/internal/prove"
	"tocsin/internal/quarantine"
	"tocsin/internal/store"
	"tocsin/internal/submit"
)

// A hub is a hub whose indicator 1 lies in the future, as shared by the writer.
type hub struct {
	*hubtest.Parts

	quarantine.Service
	who  tocsin.Member
	to   authorize.Target
	made store.Recorded
}

// begin shares a version that lies so far ahead.
func begin(t *testing.T, ahead time.Duration) *hub {
	t.Helper()
	p := hubtest.Open(t)
	who, err := p.Directory.Authenticate(t.Context(), p.Tokens[hubtest.Writer])
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Directory.Collection(who, "finance", "indicators")
	if err != nil {
		t.Fatal(err)
	}
	h := &hub{Parts: p, who: who, to: authorize.Target{Community: "finance", Collection: c.ID, Recipients: []string{"bravo"}}}
	h.Service = quarantine.Service{Holds: p.Store, Submitter: p.Submit, Directory: p.Directory}
	modified := time.Now().Add(ahead).UTC().Format("2006-01-02T15:04:05.000Z")
	object := hubtest.Indicator(1, 1)
	at := strings.Index(object, `"modified":"`) + len(`"modified":"`)
	end := at + strings.IndexByte(object[at:], '"')
	out, err := p.Submit.Submit(t.Context(), who, h.to, []byte(hubtest.Envelope(object[:at]+modified+object[end:])))
	if err != nil || len(out.Pending) != 1 {
		t.Fatalf("Submit = %+v, %v, want one pending", out, err)
	}
	h.made = out.Recorded
	return h
}

// now returns what has become of the submission.
func (h *hub) now(t *testing.T) prove.Submission {
	t.Helper()
	made, err := h.Prover.Submission(t.Context(), h.who, h.made.ID)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (h *hub) release(t *testing.T, at time.Time, want int) {
	t.Helper()
	if n, err := h.Release(t.Context(), at); n != want || err != nil {
		t.Fatalf("Release = %d, %v, want %d", n, err, want)
	}
}

func TestAVersionIsReleasedWhenItsTimeHasCome(t *testing.T) {
	h := begin(t, time.Hour+2*time.Second)
	h.release(t, time.Now(), 0)
	if made := h.now(t); len(made.Pending) != 1 {
		t.Fatalf("before its time = %+v, want it pending", made)
	}
	time.Sleep(time.Until(h.made.Pending[0].Due))
	h.release(t, time.Now(), 1)
	h.release(t, time.Now(), 0)
	made := h.now(t)
	if len(made.Pending) != 0 || len(made.Successes) != 1 || made.Successes[0].Seq == 0 {
		t.Fatalf("after its time = %+v, want a success with a position", made)
	}
	// It has the audience that it was shared with.
	head, _ := h.Store.Head(h.to.Collection)
	if head != made.Successes[0].Seq {
		t.Errorf("head = %d, want %d", head, made.Successes[0].Seq)
	}
	found, err := h.Store.Versions(t.Context(), h.to.Collection, made.Successes[0].ID)
	if err != nil || len(found) != 1 || len(found[0].Label.Recipients) != 1 || found[0].Label.Owner != "acme" {
		t.Errorf("Versions = %+v, %v, want one of acme for bravo", found, err)
	}
}

func TestAVersionTooFarAheadIsRefusedInTheEnd(t *testing.T) {
	h := begin(t, 70*365*24*time.Hour)
	h.release(t, time.Now().Add(29*24*time.Hour), 0)
	h.release(t, time.Now().Add(31*24*time.Hour), 1)
	if made := h.now(t); len(made.Pending) != 0 || len(made.Failures) != 1 || made.Failures[0].Err.Kind != tocsin.Invalid {
		t.Errorf("after 31 days = %+v, want a failure", made)
	}
}

func TestWhatARevokedTokenLeftIsNotReleased(t *testing.T) {
	h := begin(t, 2*time.Hour)
	operator, err := h.Parts.Directory.Authenticate(t.Context(), h.Tokens[hubtest.Hub])
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Parts.Directory.RevokeToken(t.Context(), operator, h.who.Token); err != nil {
		t.Fatal(err)
	}
	h.release(t, time.Now().Add(2*time.Hour), 1)
	if made := h.now(t); len(made.Failures) != 1 || made.Failures[0].Err.Kind != tocsin.Unauthenticated {
		t.Errorf("after its token was revoked = %+v, want a failure", made)
	}
}

// A nobody is a submitter that stores nothing and refuses nothing.
type nobody struct{}

func (nobody) Submit(context.Context, tocsin.Member, authorize.Target, []byte) (submit.Outcome, error) {
	return submit.Outcome{}, nil
}

func TestWhatCanNeverBeStoredHoldsUpNothing(t *testing.T) {
	h := begin(t, 2*time.Hour)
	h.Submitter = nobody{}
	h.release(t, time.Now().Add(2*time.Hour), 1)
	h.release(t, time.Now().Add(2*time.Hour), 0)
	if made := h.now(t); len(made.Pending) != 0 || len(made.Failures) != 1 || made.Failures[0].Err.Kind != tocsin.Conflict {
		t.Errorf("what was neither stored nor refused = %+v, want a failure", made)
	}
}

func TestAHubThatIsBusyTriesAgain(t *testing.T) {
	h := begin(t, 2*time.Hour)
	if err := h.Store.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := h.Release(t.Context(), time.Now().Add(2*time.Hour)); n != 0 || err == nil {
		t.Errorf("Release on a closed store = %d, %v, want an error", n, err)
	}
	var e *tocsin.Error
	if _, err := h.Prover.Submission(t.Context(), h.who, "no id"); !errors.As(err, &e) || e.Kind != tocsin.NotFound {
		t.Errorf("Submission of no id = %v, want not found", err)
	}
}

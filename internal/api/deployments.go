package api

import (
	"fmt"
	"math"
	"net/http"
	"time"

	"tocsin"
	"tocsin/internal/deploy"
	"tocsin/internal/receive"
	"tocsin/internal/view"
	"tocsin/stix"
)

// A confirmationResource is what an agent sends: all up to its cursor of the
// stream is in force, but for some objects.
type confirmationResource struct {
	Agent         string   `json:"agent"`  // a UUID that the agent made for itself
	Cursor        string   `json:"cursor"` // id of the last event of the stream that was taken
	FetchedMSAgo  float64  `json:"fetched_ms_ago"`
	DeployedMSAgo float64  `json:"deployed_ms_ago"`
	Anew          bool     `json:"anew"` // idle is all that is not in force
	Idle          []string `json:"idle"` // ids of objects that are not in force
	Busy          []string `json:"busy"` // ids of objects that were not, and are
}

// confirmDeployment takes an agent's confirmation. It answers when it is stored.
func (s *Server) confirmDeployment(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.ContentType(r, jsonType()); err != nil {
		return err
	}
	c, err := s.find(r, who)
	if err != nil {
		return err
	}
	var said confirmationResource
	unreadable := &tocsin.Error{Kind: tocsin.Malformed, Message: "the body is no confirmation", Hint: `write {"agent":"UUID","cursor":"…","fetched_ms_ago":120,"deployed_ms_ago":20}`}
	if err := s.decode(w, r, who, &said, unreadable); err != nil {
		return err
	}
	position, err := s.Cursors.Open(said.Cursor, streamScope(c.ID)...)
	if err != nil {
		return fmt.Errorf("cursor: %w", err)
	}
	report := deploy.Report{
		Community: c.Community, Collection: c.ID, Instance: said.Agent, Position: position.Seq,
		Fetched: milliseconds(said.FetchedMSAgo), Deployed: milliseconds(said.DeployedMSAgo), Anew: said.Anew, Idle: said.Idle, Busy: said.Busy,
	}
	if err := s.Deployer.Confirm(r.Context(), who, report); err != nil {
		return fmt.Errorf("confirm: %w", err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// milliseconds returns a number of them as a duration; what is none, or longer
// than a duration can be, as one that nobody takes.
func milliseconds(ms float64) time.Duration {
	const most = float64(math.MaxInt64) / float64(time.Millisecond)
	if !(ms >= 0 && ms < most) {
		return -1
	}
	return time.Duration(ms * float64(time.Millisecond))
}

// A funnelResource says how far an object has come.
type funnelResource struct {
	Shared    string           `json:"shared,omitempty"` // the version that counts; left out when it was withdrawn
	Followers int              `json:"followers"`        // organizations that may see it and whose agents confirm
	Fetched   stageResource    `json:"fetched"`
	Deployed  stageResource    `json:"deployed"`
	Hit       stageResource    `json:"hit"`
	Ended     string           `json:"ended,omitempty"`
	Why       string           `json:"why,omitempty"` // "revoked", "withdrawn" or "expired"
	Retired   stageResource    `json:"retired"`       // since it ended
	Holding   int              `json:"holding"`       // organizations that may have it in force still
	Holders   []holderResource `json:"holders,omitempty"`
}

type stageResource struct {
	Organizations int     `json:"organizations"`
	P50           float64 `json:"p50_ms"`
	P99           float64 `json:"p99_ms"`
}

type holderResource struct {
	Organization string `json:"organization"`
	Agents       int    `json:"agents"`
	Seen         string `json:"seen"`
}

func stageOf(s deploy.Stage) stageResource {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return stageResource{s.Organizations, ms(s.P50), ms(s.P99)}
}

// deployment tells those who shared an object how far it has come.
func (s *Server) deployment(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	id := r.PathValue("object")
	if _, _, ok := stix.SplitID(id); !ok {
		return &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such object"}
	}
	f, err := s.Deployer.Funnel(r.Context(), who, r.PathValue("community"), r.PathValue("collection"), id)
	if err != nil {
		return fmt.Errorf("deployment: %w", err)
	}
	made := funnelResource{
		Followers: f.Followers, Fetched: stageOf(f.Fetched), Deployed: stageOf(f.Deployed), Hit: stageOf(f.Hit), Why: string(f.Why), Retired: stageOf(f.Retired), Holding: f.Holding,
	}
	if !f.Shared.IsZero() {
		made.Shared = f.Shared.UTC().Format(view.Microseconds)
	}
	if !f.Ended.IsZero() {
		made.Ended = f.Ended.UTC().Format(view.Microseconds)
	}
	for _, h := range f.Holders {
		made.Holders = append(made.Holders, holderResource{h.Organization, h.Agents, h.Seen.UTC().Format(view.Microseconds)})
	}
	return answer(w, http.StatusOK, made)
}

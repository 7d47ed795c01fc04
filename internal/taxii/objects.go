package taxii

import (
	"fmt"
	"net/http"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/receive"
	"tocsin/stix"
)

func noObject() *tocsin.Error {
	return &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such object"}
}

// objectID returns the object that the path names. What is no identifier names
// nothing.
func objectID(r *http.Request) (string, error) {
	id := r.PathValue("object")
	if _, _, ok := stix.SplitID(id); !ok {
		return "", noObject()
	}
	return id, nil
}

func (s *Server) objects(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	return s.list(w, r, who, envelopes, "")
}

func (s *Server) object(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	id, err := objectID(r)
	if err != nil {
		return err
	}
	return s.list(w, r, who, envelopes, id)
}

func (s *Server) manifest(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	return s.list(w, r, who, manifests, "")
}

func (s *Server) versions(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	id, err := objectID(r)
	if err != nil {
		return err
	}
	return s.list(w, r, who, versionLists, id)
}

// addObjects takes a submission. When the answer is written, what it reports as
// stored is durable.
func (s *Server) addObjects(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, spoken(), plain()); err != nil {
		return err
	}
	c, err := s.find(r, who)
	if err != nil {
		return err
	}
	community, err := s.Directory.Community(who, c.Community)
	if err != nil {
		return fmt.Errorf("community: %w", err)
	}
	if err := receive.ContentType(r, spoken(), plain()); err != nil {
		return err
	}
	text, release, err := s.Intake.Read(w, r, who)
	defer release()
	if err != nil {
		return err
	}
	to := authorize.Target{Community: c.Community, Collection: c.ID, Default: community.Default}
	made, err := s.Submitter.Submit(r.Context(), who, to, text)
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	return answer(w, http.StatusAccepted, statusFor(made.Recorded))
}

// deleteObject withdraws an object: all its versions unless match[version]
// chooses some (TAXII 2.1 §5.7).
func (s *Server) deleteObject(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, spoken(), plain()); err != nil {
		return err
	}
	c, err := s.find(r, who)
	if err != nil {
		return err
	}
	id, err := objectID(r)
	if err != nil {
		return err
	}
	f, err := parseFilter(r.URL.RawQuery, s.MaxPage)
	if err != nil {
		return err
	}
	if f.nothing {
		return noObject()
	}
	which := f.which
	if !which.Chosen() {
		which.All = true
	}
	if _, err := s.Withdrawer.Withdraw(r.Context(), who, c.Community, c.ID, id, which); err != nil {
		return fmt.Errorf("withdraw: %w", err)
	}
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(http.StatusOK)
	return nil
}

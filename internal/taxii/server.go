package taxii

import (
	"fmt"
	"net/http"

	"tocsin"
	"tocsin/internal/member"
	"tocsin/internal/prove"
	"tocsin/internal/receive"
	"tocsin/internal/view"
	"tocsin/stix"
)

// discoveryResource is TAXII 2.1 §4.1.1.
type discoveryResource struct {
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Default     string   `json:"default,omitempty"`
	APIRoots    []string `json:"api_roots,omitempty"`
}

// discovery lists the API roots of the communities in which the caller has a
// part. The URLs are the public ones, not those that a proxy uses.
func (s *Server) discovery(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, spoken(), plain()); err != nil {
		return err
	}
	d := discoveryResource{Title: s.Title, Description: "A Tocsin hub. Each community is an API root."}
	for _, c := range s.Directory.Communities(who) {
		d.APIRoots = append(d.APIRoots, s.URL.JoinPath(c.Name, "/").String())
	}
	if len(d.APIRoots) > 0 {
		d.Default = d.APIRoots[0]
	}
	return answer(w, http.StatusOK, d)
}

// apiRootResource is TAXII 2.1 §4.2.1.
type apiRootResource struct {
	Title            string   `json:"title"`
	Description      string   `json:"description,omitempty"`
	Versions         []string `json:"versions"`
	MaxContentLength int64    `json:"max_content_length"`
}

func (s *Server) apiRoot(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, spoken(), plain()); err != nil {
		return err
	}
	c, err := s.Directory.Community(who, r.PathValue("community"))
	if err != nil {
		return fmt.Errorf("community: %w", err)
	}
	return answer(w, http.StatusOK, apiRootResource{
		Title: c.Title, Description: c.Description, Versions: []string{mediaType}, MaxContentLength: s.Intake.MaxBytes(),
	})
}

// collectionResource is TAXII 2.1 §5.2.1.
type collectionResource struct {
	ID          string   `json:"id"`
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Alias       string   `json:"alias,omitempty"`
	CanRead     bool     `json:"can_read"`
	CanWrite    bool     `json:"can_write"`
	MediaTypes  []string `json:"media_types"`
}

// contentType is what collections hold.
const contentType = "application/stix+json;version=2.1"

func describe(c member.Collection, who tocsin.Member) collectionResource {
	role := who.Role(c.Community)
	return collectionResource{
		ID: c.ID, Title: c.Title, Description: c.Description, Alias: c.Alias,
		CanRead: role >= tocsin.Reader, CanWrite: role >= tocsin.Writer, MediaTypes: []string{contentType},
	}
}

// collectionsResource is TAXII 2.1 §5.1.1: an empty list is left out.
type collectionsResource struct {
	Collections []collectionResource `json:"collections,omitempty"`
}

func (s *Server) collections(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, spoken(), plain()); err != nil {
		return err
	}
	all, err := s.Directory.Collections(who, r.PathValue("community"))
	if err != nil {
		return fmt.Errorf("collections: %w", err)
	}
	var list collectionsResource
	for _, c := range all {
		list.Collections = append(list.Collections, describe(c, who))
	}
	return answer(w, http.StatusOK, list)
}

func (s *Server) collection(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, spoken(), plain()); err != nil {
		return err
	}
	c, err := s.find(r, who)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, describe(c, who))
}

// find returns the collection that the path names.
func (s *Server) find(r *http.Request, who tocsin.Member) (member.Collection, error) {
	c, err := s.Directory.Collection(who, r.PathValue("community"), r.PathValue("collection"))
	if err != nil {
		return member.Collection{}, fmt.Errorf("collection: %w", err)
	}
	return c, nil
}

// statusResource is TAXII 2.1 §4.3.1. The journey of a submission ends before it
// is answered, but for versions that lie in the future: those are pending until
// their time has come.
type statusResource struct {
	ID               string         `json:"id"`
	Status           string         `json:"status"`
	RequestTimestamp string         `json:"request_timestamp"`
	TotalCount       int            `json:"total_count"`
	SuccessCount     int            `json:"success_count"`
	Successes        []statusDetail `json:"successes,omitempty"`
	FailureCount     int            `json:"failure_count"`
	Failures         []statusDetail `json:"failures,omitempty"`
	PendingCount     int            `json:"pending_count"`
	Pendings         []statusDetail `json:"pendings,omitempty"`
}

// statusDetail is TAXII 2.1 §4.3.1: one object of a submission. The id of an
// object that had none is empty; the message says where it stood.
type statusDetail struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	Message string `json:"message,omitempty"`
}

func statusFor(made prove.Submission) statusResource {
	status := statusResource{
		ID: made.ID, Status: "complete", RequestTimestamp: made.Requested.UTC().Format(view.Microseconds),
		TotalCount:   len(made.Successes) + len(made.Failures) + len(made.Pending),
		SuccessCount: len(made.Successes), FailureCount: len(made.Failures), PendingCount: len(made.Pending),
	}
	if len(made.Pending) > 0 {
		status.Status = "pending"
	}
	for _, ok := range made.Successes {
		detail := statusDetail{ID: ok.ID, Version: ok.Version}
		if ok.Known {
			detail.Message = "was here before, with the same content"
		}
		status.Successes = append(status.Successes, detail)
	}
	for _, failed := range made.Failures {
		status.Failures = append(status.Failures, statusDetail{ID: failed.ID, Version: failed.Version, Message: failed.Err.Error()})
	}
	for _, held := range made.Pending {
		status.Pendings = append(status.Pendings, statusDetail{
			ID: held.ID, Version: held.Version, Message: "the version lies in the future; it waits until " + dateAdded(held.Due),
		})
	}
	return status
}

// status answers to the organization that submitted; for others it does not
// exist, nor does a submission to another community.
func (s *Server) status(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, spoken(), plain()); err != nil {
		return err
	}
	id := r.PathValue("id")
	missing := &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such status"}
	if !stix.UUID(id) {
		return missing
	}
	made, err := s.Prover.Submission(r.Context(), who, id)
	if err != nil {
		return fmt.Errorf("submission: %w", err)
	}
	if made.Community != r.PathValue("community") {
		return missing
	}
	return answer(w, http.StatusOK, statusFor(made))
}

package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"tocsin"
	"tocsin/internal/receive"
	"tocsin/internal/view"
	"tocsin/stix"
)

// A sightingsResource says who saw an object, as far as the reader may know.
type sightingsResource struct {
	Count     int64  `json:"count"`                // how often it was seen
	FirstSeen string `json:"first_seen,omitempty"` // as it is written in the sighting that has the earliest
	LastSeen  string `json:"last_seen,omitempty"`
	// and "sightings": the objects themselves, as they were submitted
}

func (s *Server) sightings(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	id := r.PathValue("object")
	if _, _, ok := stix.SplitID(id); !ok {
		return &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such object"}
	}
	seen, err := s.Feed.Sightings(r.Context(), who, r.PathValue("community"), r.PathValue("collection"), id)
	if err != nil {
		return fmt.Errorf("sightings: %w", err)
	}
	sum, counted, err := count(seen)
	if err != nil {
		return err
	}
	text, err := json.Marshal(sum)
	if err != nil {
		return fmt.Errorf("marshal: %w", err)
	}
	// json.Marshal would write the objects anew.
	text = append(text[:len(text)-1], `,"sightings":[`...)
	for i, o := range counted {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, o.Raw()...)
	}
	write(w, http.StatusOK, "application/json", append(text, `]}`...))
	return nil
}

// count sums sightings up and returns those that count. A sighting without a count is one (STIX 2.1 §5.2);
// a count of 0 says that it was looked for and not seen. Of a sighting that was
// updated only the newest version counts, and none that was revoked.
func count(seen []view.Object) (sum sightingsResource, counted []view.Object, err error) {
	newest := map[string]view.Object{}
	for _, o := range seen {
		if known, ok := newest[o.ID()]; !ok || o.VersionTime().After(known.VersionTime()) {
			newest[o.ID()] = o
		}
	}
	var first, last time.Time
	for _, o := range seen {
		if newest[o.ID()].Seq() != o.Seq() {
			continue
		}
		v, err := stix.Parse(o.Raw(), stix.Limits{})
		if err != nil {
			return sightingsResource{}, nil, fmt.Errorf("stored sighting: %w", err)
		}
		if v.Get("revoked").True() {
			continue
		}
		counted = append(counted, o)
		times, ok := v.Get("count").Int()
		if !ok {
			times = 1
		}
		sum.Count += times
		if text := v.Get("first_seen").Text(); text != "" {
			if at, ok := stix.ParseTime(text); ok && (first.IsZero() || at.Before(first)) {
				first, sum.FirstSeen = at, text
			}
		}
		if text := v.Get("last_seen").Text(); text != "" {
			if at, ok := stix.ParseTime(text); ok && at.After(last) {
				last, sum.LastSeen = at, text
			}
		}
	}
	return sum, counted, nil
}

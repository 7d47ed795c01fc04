package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tocsin"
	"tocsin/internal/coding"
	"tocsin/internal/lists"
	"tocsin/internal/receive"
)

// Lists makes exports of what members may see.
type Lists interface {
	Get(ctx context.Context, who tocsin.Member, r lists.Request) (*lists.List, error)
}

// list sends indicators of a collection in the format of a defense, which
// fetches them every few minutes. It answers what has not changed with 304, and
// tells what has in an ed script whoever asks for that (A-IM: diffe, RFC 3229).
func (s *Server) list(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	query, err := parseQuery(r)
	if err != nil {
		return err
	}
	q := lists.Request{Community: r.PathValue("community"), Collection: r.PathValue("collection"), Format: r.PathValue("format"), Decay: strings.Join(query["decay"], " ")}
	if err := limits(query, &q); err != nil {
		return err
	}
	mediaType := lists.MediaType(q.Format)
	name, _, _ := strings.Cut(mediaType, ";")
	if err := receive.Accepts(r, receive.MediaType{Name: name}); err != nil {
		return err
	}
	list, err := s.Lists.Get(r.Context(), who, q)
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	if !wantsScript(r) {
		return receive.Answer(w, http.StatusOK, mediaType, list.Text)
	}
	var base string
	script, ok := list.Since(func(tag string) bool {
		base = tag
		return has(r.Header["If-None-Match"], tag)
	})
	if !ok {
		return receive.Answer(w, http.StatusOK, mediaType, list.Text)
	}
	w.Header().Set("ETag", list.Text.Tag(coding.Identity))
	w.Header().Set("IM", "diffe")
	w.Header().Set("Delta-Base", base)
	return receive.AnswerOnce(w, http.StatusIMUsed, mediaType, script)
}

// limits reads what a value has to meet to be on the list.
func limits(query url.Values, q *lists.Request) error {
	for _, l := range []struct {
		name string
		most int
		to   *int
	}{{"sources", 1000, &q.Sources}, {"confidence", 100, &q.Confidence}} {
		text, err := only(query, l.name)
		if err != nil {
			return err
		}
		if text == "" {
			continue
		}
		if *l.to, err = strconv.Atoi(text); err != nil || *l.to < 0 || *l.to > l.most {
			return &tocsin.Error{Kind: tocsin.Malformed, Message: "the parameter " + l.name + " cannot be understood", Hint: fmt.Sprintf("use a number from 0 to %d", l.most)}
		}
	}
	drop, err := only(query, "drop")
	if err != nil {
		return err
	}
	switch drop {
	case "", "false":
	case "true":
		q.Drop = true
	default:
		return &tocsin.Error{Kind: tocsin.Malformed, Message: "the parameter drop cannot be understood", Hint: "use true or false"}
	}
	return nil
}

// wantsScript reports whether a request takes a list as what has changed since
// the one that it has.
func wantsScript(r *http.Request) bool {
	if r.Method != http.MethodGet { // RFC 3229 §10.5.3
		return false
	}
	for one := range strings.SplitSeq(strings.Join(r.Header["A-Im"], ","), ",") {
		name, parameters, _ := strings.Cut(one, ";")
		if strings.EqualFold(strings.TrimSpace(name), "diffe") && !strings.HasPrefix(strings.ReplaceAll(parameters, " ", ""), "q=0") {
			return true
		}
	}
	return false
}

// has reports whether an If-None-Match header names the text of a tag, in any
// of its codings.
func has(header []string, tag string) bool {
	stem := strings.TrimSuffix(tag, `"`)
	for one := range strings.SplitSeq(strings.Join(header, ","), ",") {
		one, isTag := strings.CutPrefix(strings.TrimPrefix(strings.TrimSpace(one), "W/"), stem)
		if isTag && (one == `"` || one == `-gzip"` || one == `-zstd"`) {
			return true
		}
	}
	return false
}

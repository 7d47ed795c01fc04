package receive

import (
	"net/http"
	"strconv"
	"strings"

	"tocsin"
	"tocsin/internal/coding"
)

// Answer sends a whole answer in the coding that its request likes best, with
// an entity tag. To a request that has it already it says only that (RFC 9110
// §13.1.2). w is the one that the handler was given.
//
// A client may keep the answer, but asks again before each use, so that what is
// withdrawn and who is no member any more takes effect at once; nobody between
// the hub and the client may keep it (RFC 9111 §5.2.2).
func Answer(w http.ResponseWriter, status int, mediaType string, text *coding.Text) error {
	header := w.Header()
	likes, mayHave := coding.Identity, ""
	if of, ok := w.(*response); ok && of.reads {
		header["Vary"] = []string{"Accept-Encoding, Authorization"}
		if accepted := of.request.Header["Accept-Encoding"]; len(accepted) > 0 {
			if likes, ok = coding.Negotiate(strings.Join(accepted, ",")); !ok {
				return &tocsin.Error{
					Kind: tocsin.NotAcceptable, Message: "the answer has none of the content codings that were asked for",
					Hint: "accept gzip, zstd or identity",
				}
			}
		}
		if status == http.StatusOK {
			header["Cache-Control"] = []string{"private, no-cache"}
			mayHave = strings.Join(of.request.Header["If-None-Match"], ",")
		}
	}
	body, as := text.In(likes)
	tag := text.Tag(as)
	if status == http.StatusOK {
		header["Etag"] = []string{tag}
	}
	if mayHave != "" && matches(mayHave, tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if as != coding.Identity {
		header["Content-Encoding"] = []string{as.String()}
	}
	header["Content-Type"] = []string{mediaType}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	if of, ok := w.(*response); ok {
		of.send(text, body, as)
		return nil
	}
	_, _ = w.Write(body) // a client that is gone by now needs none
	return nil
}

// AnswerOnce is [Answer] with content that is made for this request alone.
func AnswerOnce(w http.ResponseWriter, status int, mediaType string, content []byte) error {
	compressor := &coding.Compressor{}
	if of, ok := w.(*response); ok {
		compressor = &of.desk.compressor
	}
	return Answer(w, status, mediaType, compressor.Text(content, nil))
}

// matches reports whether an If-None-Match header names a tag. It compares
// weakly, as it must (RFC 9110 §13.1.2).
func matches(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") { // tags of ours hold no comma
		one = strings.TrimSpace(one)
		if one == "*" || strings.TrimPrefix(one, "W/") == tag {
			return true
		}
	}
	return false
}

package hub

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
)

//go:embed page.html
var pageText string

// page tells a person who opens the hub's address in a browser what this is. It
// shows nothing that a stranger may not know.
func (h *hub) page(base *url.URL) http.HandlerFunc {
	var text bytes.Buffer
	// The template and its data are the program's own: it cannot fail but by a
	// bug, which the tests show.
	err := template.Must(template.New("page").Parse(pageText)).Execute(&text, map[string]string{"URL": base.String(), "Key": h.verifierKey})
	policy := "default-src 'none'; style-src '" + styleHash(text.Bytes()) + "'; frame-ancestors 'none'"
	return func(w http.ResponseWriter, _ *http.Request) {
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		_, _ = w.Write(text.Bytes()) // the client went away
	}
}

// styleHash is the source expression for the page's one style element (CSP
// Level 3 §2.3.1): no other style runs, and no script.
func styleHash(page []byte) string {
	_, rest, _ := bytes.Cut(page, []byte("<style>"))
	style, _, _ := bytes.Cut(rest, []byte("</style>"))
	sum := sha256.Sum256(style)
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

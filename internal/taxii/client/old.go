package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tocsin"
	"tocsin/stix"
)

// This file is what is left of TAXII 2.0 (OASIS Committee Specification 01, 19
// July 2017): servers that speak nothing newer are read, never written to.

// The media types of TAXII 2.0 (§1.6.8): objects came as bundles of STIX 2.0.
const (
	oldMediaType = "application/vnd.oasis.taxii+json; version=2.0"
	oldSTIXType  = "application/vnd.oasis.stix+json; version=2.0"
)

// oldPage is how many objects are asked for at once, unless the caller says:
// a server of TAXII 2.0 may send everything when no range is given.
const oldPage = 100

// speaksOld reports whether a server that refused TAXII 2.1 may speak 2.0: that
// is what a refusal of the media type says (TAXII 2.1 §1.6.8, 406 and 415).
func speaksOld(err error) bool {
	e, ok := isError(err)
	return ok && (e.Kind == tocsin.NotAcceptable || e.Kind == tocsin.Unsupported)
}

// older makes the client speak TAXII 2.0 from now on, and reports whether it
// spoke 2.1 before.
func (c *Client) older() bool { return c.old.CompareAndSwap(false, true) }

// Version returns the version of TAXII that the server was found to speak, as
// far as it has been called: "2.1" or "2.0".
func (c *Client) Version() string {
	if c.old.Load() {
		return "2.0"
	}
	return "2.1"
}

// notWritten explains why nothing is submitted to an old server.
func notWritten() *tocsin.Error {
	return &tocsin.Error{
		Kind: tocsin.Unsupported, Message: "the server speaks TAXII 2.0, which is read but not written to",
		Hint: "submit to a server of TAXII 2.1",
	}
}

// oldRange asks for a page by the number of its first item (TAXII 2.0 §3.4).
// The mark of the cursor is that number.
func oldRange(next string, limit int) (from int, header string) {
	if limit <= 0 {
		limit = oldPage
	}
	from, err := strconv.Atoi(strings.TrimPrefix(next, "items "))
	if err != nil || from < 0 {
		from = 0
	}
	return from, "items " + strconv.Itoa(from) + "-" + strconv.Itoa(from+limit-1)
}

// oldMark is the mark for the item that comes after a page: what Content-Range
// says, whichever way it is spelled ("items 0-99/250", "items 0-99/*"), or "".
// more is false when the range is the last.
func oldMark(header string, from, count int) (next string, more bool) {
	if count == 0 || header == "" { // a server without ranges sends all there is
		return "", false
	}
	_, text, _ := strings.Cut(strings.TrimSpace(header), " ")
	span, total, _ := strings.Cut(text, "/")
	_, end, _ := strings.Cut(span, "-")
	last, err := strconv.Atoi(end)
	if err != nil || last < from || last-from > 1<<30 { // it sent objects, so it moved on behind them
		last = from + count - 1
	}
	if all, err := strconv.Atoi(total); err == nil && last+1 >= all {
		return "", false
	}
	return "items " + strconv.Itoa(last+1), true
}

// oldObjects asks an old server for one page.
func (c *Client) oldObjects(ctx context.Context, address *url.URL, at Cursor, q Query) (rawPage, error) {
	to := *address
	to.RawQuery = parameters(Cursor{AddedAfter: at.AddedAfter}, q).Encode()
	kind := oldSTIXType
	if strings.HasSuffix(to.Path, "/manifest/") {
		kind = oldMediaType
	}
	from, items := oldRange(at.Next, q.Limit)
	res, err := c.call(ctx, request{method: http.MethodGet, at: &to, accept: kind, items: items})
	if err != nil {
		return rawPage{}, err
	}
	if res.status == http.StatusRequestedRangeNotSatisfiable { // it began behind the last item
		return rawPage{}, nil
	}
	bundle, err := stix.Parse(res.text, stix.Limits{Bytes: len(res.text)})
	if err != nil || bundle.Kind() != stix.Object {
		return rawPage{}, notTAXII()
	}
	page := rawPage{last: dateAdded(res.header.Get("X-TAXII-Date-Added-Last"))}
	count := 0
	for _, o := range bundle.Get("objects").Elements() {
		count++
		whole := true
		for _, v := range o.Get("versions").Elements() { // of a manifest (TAXII 2.0 §5.6.1)
			whole = false
			page.objects = append(page.objects, Object{ID: o.Get("id").Text(), Version: v.Text(), Raw: o.Raw()})
		}
		if whole {
			page.objects = append(page.objects, Object{ID: o.Get("id").Text(), Version: version(o), Raw: o.Raw()})
		}
	}
	page.next, page.more = oldMark(res.header.Get("Content-Range"), from, count)
	return page, nil
}

package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"tocsin"
)

// An old server speaks TAXII 2.0 (CS 01), as medallion 1 and the ATT&CK server
// did: discovery at /taxii/, bundles, ranges of items.
type old struct {
	objects  int
	page     int    // the most items at once
	total    string // how it writes the total; "" leaves ranges out altogether
	newStyle bool   // it answers 404, rather than 406, where TAXII 2.1 has its discovery
	ranges   []string
}

func (o *old) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	accept := r.Header.Get("Accept")
	if o.newStyle && r.URL.Path == "/taxii2/" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	isObjects := strings.HasSuffix(r.URL.Path, "/objects/")
	if want := map[bool]string{true: oldSTIXType, false: oldMediaType}[isObjects]; accept != want {
		w.WriteHeader(http.StatusNotAcceptable)
		return
	}
	w.Header().Set("Content-Type", accept)
	switch r.URL.Path {
	case "/taxii/":
		_, _ = w.Write([]byte(`{"title":"Old","default":"/root/","api_roots":["/root/"]}`))
	case "/root/collections/":
		_, _ = w.Write([]byte(`{"collections":[{"id":"c","title":"C","can_read":true,"can_write":true}]}`))
	case "/root/collections/c/objects/", "/root/collections/c/manifest/":
		o.items(w, r, isObjects)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (o *old) items(w http.ResponseWriter, r *http.Request, objects bool) {
	first := after(r.URL.Query(), &odd{objects: o.objects, date: day})
	from, to := first, o.objects
	o.ranges = append(o.ranges, r.Header.Get("Range"))
	if o.total != "" {
		var a, b int
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "items %d-%d", &a, &b); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		from, to = first+a, min(first+b+1, first+a+o.page, o.objects)
		if from >= o.objects {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
	}
	var list []string
	for n := from; n < to; n++ {
		id := fmt.Sprintf("tool--00000000-0000-4000-8000-%012d", n)
		if objects {
			list = append(list, `{"type":"tool","id":"`+id+`","modified":"2016-01-01T00:00:00.000Z"}`)
		} else {
			list = append(list, `{"id":"`+id+`","date_added":"2016-01-01T00:00:00.000Z","versions":["2016-01-01T00:00:00.000Z","2016-01-02T00:00:00.000Z"]}`)
		}
	}
	if len(list) == 0 {
		_, _ = w.Write([]byte(`{"type":"bundle","id":"bundle--00000000-0000-4000-8000-000000000000","spec_version":"2.0"}`))
		return
	}
	w.Header().Set("X-TAXII-Date-Added-Last", micros(day(to-1)))
	if o.total != "" {
		total := strings.Replace(o.total, "N", strconv.Itoa(o.objects-first), 1)
		w.Header().Set("Content-Range", fmt.Sprintf("items %d-%d/%s", from-first, to-first-1, total))
		w.WriteHeader(http.StatusPartialContent)
	}
	_, _ = w.Write([]byte(`{"type":"bundle","id":"bundle--00000000-0000-4000-8000-000000000000","spec_version":"2.0","objects":[` + strings.Join(list, ",") + `]}`))
}

func TestServersOfTAXII20AreRead(t *testing.T) {
	for name, o := range map[string]*old{
		"total known":            {objects: 95, page: 1000, total: "N"},
		"total not known":        {objects: 95, page: 1000, total: "*"},
		"smaller pages":          {objects: 95, page: 7, total: "N"},
		"smaller, not known":     {objects: 95, page: 7, total: "*"},
		"a whole number of them": {objects: 100, page: 10, total: "*"},
		"no ranges":              {objects: 95},
		"one":                    {objects: 1, page: 10, total: "N"},
		"none":                   {objects: 0, page: 10},
		"404 at /taxii2/":        {objects: 95, page: 10, total: "N", newStyle: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(o)
			defer s.Close()
			c := dial(t, s.URL, Credentials{User: "u", Password: "p"})
			d, err := c.Discover(t.Context())
			if err != nil || d.Title != "Old" || c.Version() != "2.0" {
				t.Fatalf("Discover = %+v, %v, TAXII %s", d, err, c.Version())
			}
			if list, err := c.Collections(t.Context(), d.Default); err != nil || len(list) != 1 {
				t.Fatalf("Collections = %+v, %v", list, err)
			}
			got, last := all(t, c.Objects(t.Context(), "/root/", "c", Query{}))
			seen := map[string]bool{}
			for _, id := range got {
				seen[id] = true
			}
			if len(got) != o.objects || len(seen) != o.objects {
				t.Errorf("%d objects came, %d of them different, want %d; asked for %q", len(got), len(seen), o.objects, o.ranges)
			}
			if last.Next != "" {
				t.Errorf("the last cursor is %+v", last)
			}
			o.objects += 3
			if more, _ := all(t, c.Objects(t.Context(), "/root/", "c", Query{From: last})); len(more) != 3 {
				t.Errorf("afterwards %d came, want the 3 that were added", len(more))
			}
			if entries, _ := all(t, c.Manifest(t.Context(), "/root/", "c", Query{})); len(entries) != 2*o.objects {
				t.Errorf("the manifest has %d versions, want %d", len(entries), 2*o.objects)
			}
		})
	}
}

// An interruption between two pages loses nothing and repeats nothing.
func TestReadingAServerOfTAXII20GoesOn(t *testing.T) {
	o := &old{objects: 50, page: 10, total: "N"}
	s := httptest.NewServer(o)
	defer s.Close()
	var got []string
	var at Cursor
	for range 20 {
		c := dial(t, s.URL, Credentials{}) // a new process each time: it knows the cursor only
		for page, err := range c.Objects(t.Context(), "/root/", "c", Query{From: at, Limit: 10}) {
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range page.Objects {
				got = append(got, o.ID)
			}
			text, _ := json.Marshal(page.Cursor)
			at = Cursor{}
			if err := json.Unmarshal(text, &at); err != nil {
				t.Fatal(err)
			}
			break
		}
		if at.Next == "" {
			break
		}
	}
	if len(got) != 50 {
		t.Errorf("%d objects came, want 50", len(got))
	}
}

func TestServersOfTAXII20AreNotWrittenTo(t *testing.T) {
	s := httptest.NewServer(&old{objects: 1, page: 1, total: "N"})
	defer s.Close()
	c := dial(t, s.URL, Credentials{})
	if _, err := c.Discover(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := c.Add(t.Context(), "/root/", "c", [][]byte{[]byte(`{}`)})
	if e, ok := errors.AsType[*tocsin.Error](err); !ok || e.Kind != tocsin.Unsupported || e.Hint == "" {
		t.Errorf("Add = %v, want an error that says why not", err)
	}
}

func TestAServerThatRefusesBothVersionsIsAnError(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.WriteHeader(http.StatusNotAcceptable)
	}))
	defer s.Close()
	_, err := dial(t, s.URL, Credentials{}).Discover(t.Context())
	if e, ok := errors.AsType[*tocsin.Error](err); !ok || e.Kind != tocsin.NotAcceptable || asked > 4 {
		t.Errorf("Discover = %v after %d requests", err, asked)
	}
}

func FuzzOldMark(f *testing.F) {
	f.Add("items 0-99/250", 0, 100)
	f.Add("items 0-9/*", 0, 10)
	f.Fuzz(func(t *testing.T, header string, from, count int) {
		from, count = max(0, from%1000), max(0, count%1000)
		next, more := oldMark(header, from, count)
		if more != (next != "") {
			t.Errorf("oldMark(%q) = %q, %v", header, next, more)
		}
		if n, _ := oldRange(next, 10); more && n <= from {
			t.Errorf("oldMark(%q, %d, %d) leads back to %d", header, from, count, n)
		}
	})
}

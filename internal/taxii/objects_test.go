package taxii

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tocsin"
	"tocsin/internal/hub/hubtest"
	"tocsin/internal/prove"
	"tocsin/internal/receive"
)

type broken struct{}

func (broken) Submission(context.Context, tocsin.Member, string) (prove.Submission, error) {
	return prove.Submission{}, errors.New("disk on fire")
}

func refusalOf(kind tocsin.Kind) receive.Refusal {
	if kind == 0 {
		return receive.Refusal{ID: "x"}
	}
	return receive.Refusal{Errors: []*tocsin.Error{{Kind: kind, Message: "m"}}}
}

// DESIGN promise 3.
func TestObjectsAreServedByteForByte(t *testing.T) {
	s := serve(t, 0)
	odd := strings.Replace(hubtest.Indicator(1, 1), `{"type"`, "{ \"x_unknown\" : [ 1.0,1e2 , \"\\u00e9\\/\" ] ,\r\n\t\"type\"", 1)
	plain := hubtest.Indicator(2, 1)
	w := s.do(t, hubtest.Writer, "POST", objectsPath, `{"objects":[`+odd+",\n "+plain+`]}`)
	if status := read[statusResource](t, w); w.Code != 202 || status.SuccessCount != 2 {
		t.Fatalf("POST = %d %+v", w.Code, status)
	}
	for name, tt := range map[string]struct{ target, want string }{
		"page":   {objectsPath, `{"more":false,"objects":[` + odd + "," + plain + `]}`},
		"object": {objectsPath + hubtest.ID("indicator", 1) + "/", `{"more":false,"objects":[` + odd + `]}`},
	} {
		got := s.do(t, hubtest.Reader, "GET", tt.target, "")
		if got.Body.String() != tt.want {
			t.Errorf("%s = %s, want %s", name, got.Body, tt.want)
		}
		if length := got.Header().Get("Content-Length"); length != fmt.Sprint(len(tt.want)) {
			t.Errorf("%s: Content-Length = %s, want %d", name, length, len(tt.want))
		}
	}
}

func TestAStatusTellsWhatBecameOfEachObject(t *testing.T) {
	s := serve(t, 0)
	post := func(as string, objects ...string) statusResource {
		t.Helper()
		w := s.do(t, as, "POST", objectsPath, hubtest.Envelope(objects...))
		if w.Code != http.StatusAccepted {
			t.Fatalf("POST = %d %s, want 202", w.Code, w.Body)
		}
		return read[statusResource](t, w)
	}
	bad := strings.Replace(hubtest.Indicator(2, 1), `"pattern_type":"stix",`, "", 1)
	mixed := post(hubtest.Writer, hubtest.Indicator(1, 1), bad)
	if mixed.Status != "complete" || mixed.TotalCount != 2 || mixed.SuccessCount != 1 || mixed.FailureCount != 1 || mixed.PendingCount != 0 {
		t.Errorf("status = %+v", mixed)
	}
	if f := mixed.Failures[0]; f.ID != hubtest.ID("indicator", 2) || f.Version != "2026-01-01T00:00:00.000Z" || f.Message == "" {
		t.Errorf("failure = %+v", f)
	}
	if ok := mixed.Successes[0]; ok.ID != hubtest.ID("indicator", 1) || ok.Version != "2026-01-01T00:00:00.000Z" {
		t.Errorf("success = %+v", ok)
	}
	// TAXII 2.1 §5.5: what is there already is no error.
	if again := post(hubtest.Writer, hubtest.Indicator(1, 1)); again.SuccessCount != 1 || again.FailureCount != 0 {
		t.Errorf("status of a duplicate = %+v", again)
	}
	// One (id, modified) has one content: the first.
	other := post(hubtest.Writer, strings.Replace(hubtest.Indicator(1, 1), `"name":"n1"`, `"name":"changed"`, 1))
	if other.FailureCount != 1 || other.SuccessCount != 0 {
		t.Errorf("status of a conflict = %+v", other)
	}
	if got := get[envelope](t, s, hubtest.Reader, objectsPath); len(got.Objects) != 1 || string(got.Objects[0]) != hubtest.Indicator(1, 1) {
		t.Errorf("objects = %s", got.Objects)
	}
	later := get[statusResource](t, s, hubtest.Writer, "/finance/status/"+mixed.ID+"/")
	if a, b := fmt.Sprintf("%+v", later), fmt.Sprintf("%+v", mixed); a != b {
		t.Errorf("status later = %s, want %s", a, b)
	}
	if w := s.do(t, hubtest.Writer, "GET", "/energy/status/"+mixed.ID+"/", ""); w.Code != 404 {
		t.Errorf("GET status in another community = %d, want 404", w.Code)
	}
}

// DOMAIN §4.6: three versions that came out of order.
func TestVersionsOfAnObject(t *testing.T) {
	s := serve(t, 0)
	for _, day := range []int{2, 3, 1} {
		s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, day))
	}
	one := objectsPath + hubtest.ID("indicator", 1) + "/"
	version := func(day int) string { return fmt.Sprintf("2026-01-%02dT00:00:00.000Z", day) }
	days := func(e envelope) string {
		var out []string
		for _, raw := range e.Objects {
			var o struct{ Modified string }
			if err := json.Unmarshal(raw, &o); err != nil {
				t.Fatal(err)
			}
			out = append(out, o.Modified[8:10])
		}
		return strings.Join(out, " ")
	}
	for name, tt := range map[string]struct{ query, want string }{
		"default":       {"", "03"},
		"last":          {"?match[version]=last", "03"},
		"first":         {"?match[version]=first", "01"},
		"all":           {"?match[version]=all", "02 03 01"}, // by date_added
		"first, last":   {"?match[version]=first,last", "03 01"},
		"a time":        {"?match[version]=" + version(2), "02"},
		"time and last": {"?match[version]=last," + version(2), "02 03"},
		"another time":  {"?match[version]=" + version(9), ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{one, objectsPath} {
				if got := days(get[envelope](t, s, hubtest.Reader, path+tt.query)); got != tt.want {
					t.Errorf("GET %s%s = %q, want %q", path, tt.query, got, tt.want)
				}
			}
		})
	}
	v := get[versionsResource](t, s, hubtest.Reader, one+"versions/")
	if got, want := strings.Join(v.Versions, " "), version(2)+" "+version(3)+" "+version(1); got != want || v.More {
		t.Errorf("versions = %q, want %q", got, want)
	}
	page := get[versionsResource](t, s, hubtest.Reader, one+"versions/?limit=2")
	rest := get[versionsResource](t, s, hubtest.Reader, one+"versions/?limit=2&next="+page.Next)
	if got := append(page.Versions, rest.Versions...); !page.More || rest.More || len(got) != 3 {
		t.Errorf("versions in pages = %q", got)
	}
	if m := get[manifestResource](t, s, hubtest.Reader, "/finance/collections/indicators/manifest/?match[version]=all"); len(m.Objects) != 3 || m.Objects[0].MediaType != contentType {
		t.Errorf("manifest = %+v", m)
	}
	if w := s.do(t, hubtest.Reader, "GET", one+"?added_after=2099-01-01T00:00:00Z", ""); w.Code != 200 || w.Body.String() != "{}" {
		t.Errorf("GET of an object that is there, later = %d %s, want {}", w.Code, w.Body)
	}
	if w := s.do(t, hubtest.Reader, "GET", one+"?match[spec_version]=2.0", ""); w.Code != 200 || w.Body.String() != "{}" {
		t.Errorf("GET of an object that is there, STIX 2.0 = %d %s, want {}", w.Code, w.Body)
	}
}

// TAXII 2.1 §5.7.
func TestDeleting(t *testing.T) {
	one := objectsPath + hubtest.ID("indicator", 1) + "/"
	for name, tt := range map[string]struct {
		as, query string
		want      int
		left      string
	}{
		"owner":            {hubtest.Writer, "", 200, ""},
		"curator":          {hubtest.Curator, "", 200, ""},
		"operator":         {hubtest.Operator, "", 200, ""},
		"another writer":   {hubtest.Colleague, "", 403, "01 02 03"},
		"reader":           {hubtest.Reader, "", 403, "01 02 03"},
		"first":            {hubtest.Writer, "?match[version]=first", 200, "02 03"},
		"last":             {hubtest.Writer, "?match[version]=last", 200, "01 02"},
		"all":              {hubtest.Writer, "?match[version]=all", 200, ""},
		"a time":           {hubtest.Writer, "?match[version]=2026-01-02T00:00:00Z", 200, "01 03"},
		"no such version":  {hubtest.Writer, "?match[version]=2026-02-02T00:00:00Z", 404, "01 02 03"},
		"STIX 2.0":         {hubtest.Writer, "?match[spec_version]=2.0", 404, "01 02 03"},
		"STIX 2.1":         {hubtest.Writer, "?match[spec_version]=2.1", 200, ""},
		"malformed filter": {hubtest.Writer, "?match[version]=some", 400, "01 02 03"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, 0)
			for day := 1; day <= 3; day++ {
				s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, day))
			}
			w := s.do(t, tt.as, "DELETE", one+tt.query, "")
			if w.Code != tt.want {
				t.Fatalf("DELETE as %s = %d %s, want %d", tt.as, w.Code, w.Body, tt.want)
			}
			got := s.do(t, hubtest.Reader, "GET", one+"versions/", "")
			manifest := get[manifestResource](t, s, hubtest.Reader, "/finance/collections/indicators/manifest/?match[version]=all")
			if tt.left == "" {
				if got.Code != 404 || len(manifest.Objects) != 0 {
					t.Errorf("after DELETE: GET = %d, manifest %+v, want 404 and none", got.Code, manifest)
				}
				return
			}
			var left []string
			for _, v := range read[versionsResource](t, got).Versions {
				left = append(left, v[8:10])
			}
			if strings.Join(left, " ") != tt.left || len(manifest.Objects) != len(left) {
				t.Errorf("left = %q, manifest %d, want %q", left, len(manifest.Objects), tt.left)
			}
		})
	}
}

// DOMAIN §4.3, PEERS §1.2: what clients send.
func TestMediaTypes(t *testing.T) {
	s := serve(t, 0)
	for accept, want := range map[string]int{
		"":                                    200,
		"*/*":                                 200,
		"application/*":                       200,
		"application/json":                    200,
		"application/taxii+json":              200,
		"application/taxii+json;version=2.1":  200,
		"application/taxii+json; version=2.1": 200,
		"application/taxii+json ; version=\"2.1\"":                               200,
		"Application/TAXII+JSON;Version=2.1":                                     200,
		"application/taxii+json;version=2.1;charset=utf-8":                       200,
		"text/html, application/taxii+json;q=0.5":                                200,
		"text/html,application/xhtml+xml,*/*;q=0.8":                              200,
		"application/taxii+json;version=2.0, application/taxii+json;version=2.1": 200,
		"application/taxii+json;version=2.0":                                     406,
		"application/vnd.oasis.taxii+json; version=2.0":                          406,
		"text/html":                  406,
		"application/taxii+json;q=0": 406,
		"application/xml, image/*":   406,
		"nonsense":                   406,
		"application/taxii+json;version=2.1;version=2.0": 406,
	} {
		w := s.do(t, hubtest.Reader, "GET", "/finance/", "", "Accept", accept)
		if w.Code != want {
			t.Errorf("GET with Accept %q = %d, want %d", accept, w.Code, want)
		}
		if got := w.Header().Get("Content-Type"); got != mediaType {
			t.Errorf("GET with Accept %q answers %q", accept, got)
		}
	}
	for sent, want := range map[string]int{
		"application/taxii+json;version=2.1":                202,
		"application/taxii+json; version=2.1":               202,
		"application/taxii+json;version=2.1; charset=UTF-8": 202,
		"application/taxii+json":                            202,
		"application/json":                                  202,
		"application/json; charset=utf-8":                   202,
		"":                                                  415,
		"text/html":                                         415,
		"application/x-www-form-urlencoded":                 415,
		"multipart/form-data; boundary=x":                   415,
		"application/vnd.oasis.stix+json; version=2.0":      415,
		"application/vnd.oasis.taxii+json; version=2.0":     415,
		"application/taxii+json;version=2.0":                415,
		"application/taxii+json;charset=utf-16":             415,
		"nonsense":                                          415,
	} {
		w := s.do(t, hubtest.Writer, "POST", objectsPath, hubtest.Envelope(hubtest.Indicator(1, 1)), "Content-Type", sent)
		if w.Code != want {
			t.Errorf("POST with Content-Type %q = %d %s, want %d", sent, w.Code, w.Body, want)
		}
	}
}

func zip(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// RELIABILITY §5, Transport.
func TestTransport(t *testing.T) {
	s := serve(t, 0)
	body := hubtest.Envelope(hubtest.Indicator(1, 1))
	bomb := strings.Repeat(zip(t, strings.Repeat(" ", 1<<20)), 1<<10) // 1 GiB of spaces in 1 MiB
	zipped := zip(t, body)
	for name, tt := range map[string]struct {
		body, encoding string
		want           int
	}{
		"honest gzip":         {zipped, "gzip", 202},
		"x-gzip":              {zipped, "x-gzip", 202},
		"identity":            {body, "identity", 202},
		"gzip of 1 GiB":       {bomb, "gzip", 413},
		"double gzip":         {zip(t, zipped), "gzip", 415},
		"double, and says so": {zip(t, zipped), "gzip, gzip", 415},
		"truncated gzip":      {zipped[:len(zipped)/2], "gzip", 400},
		"gzip without sum":    {zipped[:len(zipped)-4], "gzip", 400},
		"garbage after gzip":  {zipped + "x", "gzip", 400},
		"false gzip":          {body, "gzip", 400},
		"empty gzip":          {"", "gzip", 400},
		"gzip and silent":     {zipped, "", 400},
		"brotli":              {body, "br", 415},
		"deflate":             {body, "deflate", 415},
		"unknown":             {body, "secret-sauce", 415},
		"too large":           {strings.Repeat(" ", 10<<20) + body, "", 413},
		"as large as can be":  {strings.Repeat(" ", 10<<20-len(body)) + body, "", 202},
	} {
		t.Run(name, func(t *testing.T) {
			w := s.do(t, hubtest.Writer, "POST", objectsPath, tt.body, "Content-Encoding", tt.encoding)
			if w.Code != tt.want {
				t.Errorf("POST = %d %s, want %d", w.Code, w.Body, tt.want)
			}
			if w.Code >= 400 {
				read[errorResource](t, w)
			}
		})
	}
}

// corpusCase is one bad input: what may be answered, and whether an indicator
// may be found afterwards.
type corpusCase struct {
	body string
	want []int
}

func edit(old, with string) string {
	s := strings.Replace(hubtest.Indicator(1, 1), old, with, 1)
	if s == hubtest.Indicator(1, 1) {
		panic("the sample has no " + old)
	}
	return hubtest.Envelope(s)
}

// RELIABILITY §5, JSON.
func jsonCorpus() map[string]corpusCase {
	good := hubtest.Indicator(1, 1)
	add := func(more string) string { return hubtest.Envelope(hubtest.Indicator(1, 1, more)) }
	var keys, colliding strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&keys, `,"x_%d":1`, i)
	}
	for i := range 20_000 {
		fmt.Fprintf(&colliding, `,"x_%016x":1`, i<<20)
	}
	utf16 := []byte{0xff, 0xfe}
	for _, c := range hubtest.Envelope(good) {
		utf16 = append(utf16, byte(c), 0)
	}
	return map[string]corpusCase{
		"empty body":               {"", []int{400}},
		"not JSON":                 {"hello", []int{400}},
		"top-level list":           {"[]", []int{422}},
		"null":                     {"null", []int{422}},
		"number":                   {"1", []int{422}},
		"empty object":             {"{}", []int{422}},
		"no objects":               {`{"objects":[]}`, []int{422}},
		"objects is no list":       {`{"objects":{}}`, []int{422}},
		"truncated":                {hubtest.Envelope(good)[:200], []int{400}},
		"second document":          {hubtest.Envelope(good) + "{}", []int{400}},
		"byte order mark":          {"\xef\xbb\xbf" + hubtest.Envelope(good), []int{400}},
		"UTF-16":                   {string(utf16), []int{400}},
		"invalid UTF-8":            {edit(`"n1"`, "\"a\xffb\""), []int{400}},
		"lone surrogate":           {edit(`"n1"`, `"\ud800"`), []int{400}},
		"escaped NUL":              {edit(`"n1"`, `"a\u0000b"`), []int{202, 400, 422}},
		"duplicate objects":        {`{"objects":[],"objects":[` + good + `]}`, []int{400}},
		"duplicate id":             {add(`"id":"` + hubtest.ID("indicator", 2) + `"`), []int{400}},
		"duplicate marking":        {add(`"object_marking_refs":["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"],"object_marking_refs":[]`), []int{400}},
		"escaped name":             {add(`"na\u006de":"x"`), []int{400}}, // is "name", twice
		"9,000 deep":               {add(`"x_a":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000)), []int{400}},
		"100,000 deep":             {add(`"x_a":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)), []int{400}},
		"50,000 deep objects":      {add(`"x_a":` + strings.Repeat(`{"a":`, 50_000) + "1" + strings.Repeat("}", 50_000)), []int{400}},
		"1e400":                    {add(`"x_a":1e400`), []int{400, 422}},
		"2^53+1":                   {add(`"confidence":9007199254740993`), []int{422}},
		"1.5 for an integer":       {add(`"confidence":1.5`), []int{422}},
		"1 MB property name":       {add(`"` + strings.Repeat("x", 1<<20) + `":1`), []int{413, 422}},
		"100,000 properties":       {add(strings.TrimPrefix(keys.String(), ",")), []int{413, 422}},
		"20,000 colliding names":   {add(strings.TrimPrefix(colliding.String(), ",")), []int{202, 413, 422}},
		"16 MB string":             {edit(`"n1"`, `"`+strings.Repeat("x", 16<<20)+`"`), []int{413}},
		"NaN":                      {add(`"x_a":NaN`), []int{400}},
		"comment":                  {"/* x */" + hubtest.Envelope(good), []int{400}},
		"single quotes":            {"{'objects':[]}", []int{400}},
		"trailing comma":           {`{"objects":[` + good + `,]}`, []int{400}},
		"20,001 in 10 MiB or more": {hubtest.Envelope(strings.Repeat(good+",", 40_000) + good), []int{413}},
	}
}

// RELIABILITY §5, STIX and patterns.
func stixCorpus() map[string]corpusCase {
	refused := []int{422}
	add := func(more string) string { return hubtest.Envelope(hubtest.Indicator(1, 1, more)) }
	pattern := func(p string) string {
		text, _ := json.Marshal(p)
		return edit(`"[ipv4-addr:value = '192.0.2.2']"`, string(text))
	}
	address := func(id, value string) string {
		return hubtest.Envelope(`{"type":"ipv4-addr","spec_version":"2.1","id":"ipv4-addr--` + id + `","value":"` + value + `"}`)
	}
	return map[string]corpusCase{
		"no type":                   {edit(`"type":"indicator",`, ""), refused},
		"type and id differ":        {edit(`"type":"indicator"`, `"type":"malware"`), refused},
		"id is no UUID":             {edit("indicator--00000000-0000-4000-8000-000000000001", "indicator--1"), refused},
		"id is a path":              {edit("indicator--00000000-0000-4000-8000-000000000001", "indicator--../../../../etc/passwd"), refused},
		"modified before created":   {edit(`"modified":"2026-01-01`, `"modified":"2025-01-01`), refused},
		"time zone":                 {edit(`"valid_from":"2026-01-01T00:00:00Z"`, `"valid_from":"2026-01-01T00:00:00+01:00"`), refused},
		"30 February":               {edit(`"valid_from":"2026-01-01`, `"valid_from":"2026-02-30`), refused},
		"leap second":               {edit(`"valid_from":"2026-01-01T00:00:00Z"`, `"valid_from":"2016-12-31T23:59:60Z"`), []int{202, 422}},
		"year 0":                    {edit(`"valid_from":"2026`, `"valid_from":"0000`), refused},
		"valid_until is valid_from": {add(`"valid_until":"2026-01-01T00:00:00Z"`), refused},
		"selector names nothing":    {add(`"granular_markings":[{"marking_ref":"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1","selectors":["nothing"]}]`), refused},
		"another's id for a value":  {address("28bb3599-77cd-5a82-a950-b5bc3caf07c4", "203.0.113.66"), []int{202, 422}},
		"TLP:RED made clear":        {hubtest.Envelope(`{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed","created":"2017-01-20T00:00:00.000Z","definition_type":"tlp","name":"TLP:RED","definition":{"tlp":"white"}}`), refused},
		"empty pattern":             {pattern(""), refused},
		"unterminated pattern":      {pattern("[ipv4-addr:value = '192.0.2.1'"), refused},
		"5,000 parentheses":         {pattern(strings.Repeat("(", 5000) + "[ipv4-addr:value = '192.0.2.1']" + strings.Repeat(")", 5000)), refused},
		"1 MB string in a pattern":  {pattern("[url:value = '" + strings.Repeat("x", 1<<20) + "']"), []int{202, 413, 422}},
		"relationship to itself":    {hubtest.Envelope(`{"type":"relationship","spec_version":"2.1","id":"relationship--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","relationship_type":"related-to","source_ref":"relationship--00000000-0000-4000-8000-000000000001","target_ref":"relationship--00000000-0000-4000-8000-000000000001"}`), refused},
	}
}

func TestBadInputIsRefusedAndNotStored(t *testing.T) {
	s := serve(t, 0)
	for corpus, cases := range map[string]map[string]corpusCase{"JSON": jsonCorpus(), "STIX": stixCorpus()} {
		for name, tt := range cases {
			t.Run(corpus+"/"+name, func(t *testing.T) {
				w := s.do(t, hubtest.Writer, "POST", objectsPath, tt.body)
				ok := false
				for _, want := range tt.want {
					ok = ok || w.Code == want
				}
				if !ok {
					t.Fatalf("POST = %d %.300s, want %v", w.Code, w.Body, tt.want)
				}
				if w.Code == http.StatusAccepted { // accepted, exact and inert: gone before the next case
					for _, stored := range read[statusResource](t, w).Successes {
						s.do(t, hubtest.Writer, "DELETE", objectsPath+stored.ID+"/", "")
					}
					return
				}
				read[errorResource](t, w)
				if got := get[envelope](t, s, hubtest.Writer, objectsPath); len(got.Objects) != 0 {
					t.Errorf("%d objects are stored, want none", len(got.Objects))
				}
			})
		}
	}
}

// RELIABILITY §5, STIX: what is well-formed, but not for this submitter.
func TestWhatIsNotTheSubmittersIsAFailureInTheStatus(t *testing.T) {
	s := serve(t, 0)
	who, err := s.Directory.Authenticate(t.Context(), s.Tokens[hubtest.Colleague])
	if err != nil {
		t.Fatal(err)
	}
	for name, object := range map[string]string{
		"another's name": hubtest.Indicator(1, 1, `"created_by_ref":"`+who.Organization.Identity+`"`),
	} {
		t.Run(name, func(t *testing.T) {
			w := s.do(t, hubtest.Writer, "POST", objectsPath, hubtest.Envelope(object))
			if status := read[statusResource](t, w); w.Code != 202 || status.FailureCount != 1 || status.SuccessCount != 0 {
				t.Errorf("POST = %d %+v, want 202 with a failure", w.Code, status)
			}
			if got := get[envelope](t, s, hubtest.Writer, objectsPath); len(got.Objects) != 0 {
				t.Errorf("%d objects are stored, want none", len(got.Objects))
			}
		})
	}
}

// STIX 2.1 §3.6: a version of the year 2099 would hide every later one, so it
// waits, and nobody can tell that it is there.
func TestAVersionOfTheFutureIsPending(t *testing.T) {
	s := serve(t, 0)
	late := strings.Replace(hubtest.Indicator(1, 1), `"modified":"2026`, `"modified":"2099`, 1)
	w := s.do(t, hubtest.Writer, "POST", objectsPath, hubtest.Envelope(late, hubtest.Indicator(2, 1)))
	status := read[statusResource](t, w)
	if w.Code != 202 || status.Status != "pending" || status.TotalCount != 2 || status.SuccessCount != 1 || status.PendingCount != 1 ||
		len(status.Pendings) != 1 || !strings.Contains(late, status.Pendings[0].ID) {
		t.Fatalf("POST = %d %+v, want one pending", w.Code, status)
	}
	if again := get[statusResource](t, s, hubtest.Writer, "/finance/status/"+status.ID+"/"); again.Status != "pending" || again.PendingCount != 1 {
		t.Errorf("status = %+v, want one pending", again)
	}
	for _, who := range []string{hubtest.Writer, hubtest.Curator, hubtest.Reader} {
		if got := get[envelope](t, s, who, objectsPath); len(got.Objects) != 1 {
			t.Errorf("%s sees %d objects, want 1", who, len(got.Objects))
		}
		if w := s.do(t, who, "GET", objectsPath+status.Pendings[0].ID+"/", ""); w.Code != 404 {
			t.Errorf("GET of the object that waits as %s = %d, want 404", who, w.Code)
		}
	}
	// The right version is not in its way.
	if now := read[statusResource](t, s.do(t, hubtest.Writer, "POST", objectsPath, hubtest.Envelope(hubtest.Indicator(1, 1)))); now.SuccessCount != 1 {
		t.Errorf("the version of today = %+v, want a success", now)
	}
}

func BenchmarkPage(b *testing.B) {
	s := serve(b, 0)
	var objects []string
	for i := range 1000 {
		objects = append(objects, hubtest.Indicator(i, 1))
	}
	s.Share(b, hubtest.Writer, nil, objects...)
	for name, target := range map[string]string{"objects": objectsPath, "manifest": "/finance/collections/indicators/manifest/", "nothing new": objectsPath + "?added_after=2099-01-01T00:00:00Z"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if w := s.do(b, hubtest.Reader, "GET", target, ""); w.Code != 200 {
					b.Fatal(w.Code)
				}
			}
		})
	}
}

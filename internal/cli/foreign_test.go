package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// someServer is a TAXII server of somebody else: 2.1, or 2.0 when it is old.
type someServer struct {
	objects int
	old     bool
	broken  int // it fails when it is asked for objects from this one on; 0: never
	secrets []string
}

func (s *someServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.secrets = append(s.secrets, r.Header.Get("Authorization"))
	user, password, _ := r.BasicAuth()
	if user != "me" || password != "p&ss word" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "vnd.oasis") != s.old {
		w.WriteHeader(http.StatusNotAcceptable)
		return
	}
	switch path := r.URL.Path; {
	case path == "/taxii2/" && !s.old, path == "/taxii/" && s.old:
		_, _ = w.Write([]byte(`{"title":"Some","default":"/b/","api_roots":["/a/","/b/"]}`))
	case path == "/b/":
		_, _ = w.Write([]byte(`{"title":"B","versions":["application/taxii+json;version=2.1"],"max_content_length":1}`))
	case path == "/a/collections/":
		w.WriteHeader(http.StatusForbidden)
	case path == "/b/collections/":
		_, _ = w.Write([]byte(`{"collections":[{"id":"c1","title":"High Value\u001b[2J","can_read":true},{"id":"c2","title":"Low","alias":"low","can_read":true},{"id":"c3","title":"Drop","can_read":false}]}`))
	case path == "/b/collections/c1/objects/":
		s.page(w, r)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (s *someServer) page(w http.ResponseWriter, r *http.Request) {
	from, _ := strconv.Atoi(r.URL.Query().Get("next"))
	if at := r.URL.Query().Get("added_after"); at != "" && from == 0 {
		_, _ = fmt.Sscanf(at, "2026-01-01T00:00:%d", &from)
		from++
	}
	if s.old {
		_, _ = fmt.Sscanf(r.Header.Get("Range"), "items %d-", &from)
	}
	if s.broken > 0 && from >= s.broken {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	to := min(from+10, s.objects)
	var list []string
	for n := from; n < to; n++ {
		list = append(list, fmt.Sprintf(`{"type":"tool","id":"tool--00000000-0000-4000-8000-%012d","modified":"2026-01-01T00:00:00.000Z"}`, n))
	}
	if len(list) == 0 {
		_, _ = w.Write([]byte("{}"))
		return
	}
	w.Header().Set("X-TAXII-Date-Added-Last", fmt.Sprintf("2026-01-01T00:00:%02d.000000Z", to-1))
	if s.old {
		w.Header().Set("Content-Range", fmt.Sprintf("items %d-%d/%d", from, to-1, s.objects))
		w.WriteHeader(http.StatusPartialContent)
	}
	_, _ = fmt.Fprintf(w, `{"more":%v,"next":"%d","objects":[%s]}`, to < s.objects, to, strings.Join(list, ","))
}

// foreignCall is a user with a password in a file, and a token that is none of
// that server's business.
func foreignCall(t *testing.T) (call, string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte("p&ss word\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return call{dir: dir, env: map[string]string{"TOCSIN_TOKEN": "tcs_secret"}}, file
}

func TestPullReadsAnyTAXIIServer(t *testing.T) {
	for name, old := range map[string]bool{"TAXII 2.1": false, "TAXII 2.0": true} {
		t.Run(name, func(t *testing.T) {
			s := &someServer{objects: 35, old: old}
			web := httptest.NewServer(s)
			defer web.Close()
			c, password := foreignCall(t)
			for _, address := range []string{"", "/taxii2/", "/b/"} {
				if old && address != "" {
					continue
				}
				code, out, errs := c.run(t, "pull", "--taxii", web.URL+address, "--user", "me", "--password-file", password, "--collection", "c1", "--jsonl")
				if code != ExitDone || strings.Count(out, "\n") != 35 {
					t.Errorf("pull --taxii …%s = %d, %d objects, %s", address, code, strings.Count(out, "\n"), errs)
				}
			}
			c.env["TOCSIN_TAXII_USER"], c.env["TOCSIN_TAXII_PASSWORD"] = "me", "p&ss word"
			if code, out, errs := c.run(t, "pull", "--taxii", web.URL, "--api-root", "/b/", "--collection", "c1"); code != ExitDone || strings.Count(out, `"type":"tool"`) != 35 {
				t.Errorf("pull with the environment = %d %.300s %s", code, out, errs)
			}
			for _, secret := range s.secrets {
				if strings.Contains(secret, "tcs_") || strings.HasPrefix(secret, "Bearer") {
					t.Errorf("the hub's token went to another server: %s", secret)
				}
			}
		})
	}
}

// An interrupted run goes on where the last page ended.
func TestPullFromAnyServerResumes(t *testing.T) {
	for name, old := range map[string]bool{"TAXII 2.1": false, "TAXII 2.0": true} {
		t.Run(name, func(t *testing.T) {
			s := &someServer{objects: 35, old: old, broken: 20}
			web := httptest.NewServer(s)
			defer web.Close()
			c, password := foreignCall(t)
			args := []string{
				"pull", "--taxii", web.URL, "--user", "me", "--password-file", password, "--collection", "c1", "--jsonl",
				"--cursor-file", filepath.Join(c.dir, "cursor"), "--page-size", "10",
			}
			code, first, _ := c.run(t, args...)
			if code != ExitFault || strings.Count(first, "\n") != 20 {
				t.Fatalf("the interrupted run = %d, %d objects", code, strings.Count(first, "\n"))
			}
			s.broken = 0
			code, second, errs := c.run(t, args...)
			if code != ExitDone || strings.Count(second, "\n") != 15 {
				t.Fatalf("the next run = %d, %d objects, %s", code, strings.Count(second, "\n"), errs)
			}
		})
	}
}

func TestPullFromAnyServerExplainsItself(t *testing.T) {
	web := httptest.NewServer(&someServer{objects: 1})
	defer web.Close()
	c, password := foreignCall(t)
	for name, tt := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no collection":       {[]string{"--user", "me", "--password-file", password}, ExitUsage, "which collection?"},
		"another collection":  {[]string{"--user", "me", "--password-file", password, "--collection", "c9"}, ExitUsage, `"Low" (c2)`},
		"unreadable":          {[]string{"--user", "me", "--password-file", password, "--collection", "c3"}, ExitUsage, "no such collection"},
		"wrong password":      {[]string{"--user", "you", "--password-file", password, "--collection", "c1"}, ExitUsage, "user and the password"},
		"no password file":    {[]string{"--user", "me", "--password-file", password + "x"}, ExitUsage, "password"},
		"negative page":       {[]string{"--page-size", "-1"}, ExitUsage, "page size"},
		"password in the URL": {[]string{"--taxii", "https://me:secret@127.0.0.1/"}, ExitUsage, "--password-file"},
		"without TLS":         {[]string{"--taxii", "http://taxii.example.com/"}, ExitUsage, "https"},
		"no address":          {[]string{"--taxii", "taxii"}, ExitUsage, "address of a TAXII server"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := c.run(t, append([]string{"pull", "--taxii", web.URL}, tt.args...)...)
			if code != tt.code || !strings.Contains(errs, tt.says) || out != "" || strings.Contains(errs, "\x1b") {
				t.Errorf("pull = %d %q, want %d and %q", code, errs, tt.code, tt.says)
			}
		})
	}
}

package e2e

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tocsin/internal/store/postgres/pgtest"
)

var update = flag.Bool("update", false, "rewrite what scripts and docs expect")

// folder holds the program under test.
var folder string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m)) //nolint:forbidigo // a failed build must not pass for a passed test
}

// run builds the program as it ships and runs the tests against it.
func run(m *testing.M) int {
	if runtime.GOOS == "windows" {
		fmt.Fprintln(os.Stderr, "e2e: skipped: the scripts use signals and sh")
		return 0
	}
	dir, err := os.MkdirTemp("", "tocsin-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	folder = dir
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "tocsin"), "../cmd/tocsin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: build:", err)
		return 1
	}
	path := os.Getenv("PATH") //nolint:forbidigo // the tests start other programs
	if err := os.Setenv("PATH", dir+string(os.PathListSeparator)+path); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return m.Run()
}

func TestJourneys(t *testing.T) {
	testscript.Run(t, params("testdata", setup))
}

// TestJourneysOnPostgreSQL runs the scripts that need a database, whose address
// is in FIRST_DB and, of another one, OTHER_DB.
func TestJourneysOnPostgreSQL(t *testing.T) {
	server := pgtest.Start(t)
	testscript.Run(t, params("testdata/postgres", func(env *testscript.Env) error {
		env.Setenv("FIRST_DB", server.Database(t))
		env.Setenv("OTHER_DB", server.Database(t))
		return setup(env)
	}))
}

func params(dir string, setup func(env *testscript.Env) error) testscript.Params {
	return testscript.Params{
		Dir:                dir,
		UpdateScripts:      *update,
		RequireUniqueNames: true,
		Setup:              setup,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"tocsin":      tocsin,
			"hub":         hub,
			"jq":          jq,
			"remember":    remember,
			"await":       await,
			"flip":        flip,
			"certificate": certificate,
			"post":        post,
			"get":         get,
		},
	}
}

// setup puts everything that a user has into the script's own folder.
func setup(env *testscript.Env) error {
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
	env.Setenv("WORK", env.WorkDir)
	env.Values[hubsKey{}] = map[string]*server{}
	return nil
}

// tocsin runs the program: "tocsin [CODE] ARGUMENTS" wants that exit code, 0
// when none is given.
func tocsin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: tocsin [CODE] ARGUMENTS")
	}
	want := 0
	if code, err := strconv.Atoi(args[0]); err == nil {
		want, args = code, args[1:]
	}
	got := 0
	err := ts.Exec("tocsin", args...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("tocsin %s: %v", strings.Join(args, " "), err)
	}
	if got != want {
		ts.Fatalf("tocsin %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// hub runs "tocsin serve" on the folder NAME, with more ARGUMENTS, until the
// script ends or says "hub NAME stop", which has to be an orderly end. It sets
// TOCSIN_HUB and KEY, and writes the operator's token to NAME.token on the first
// start.
func hub(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: hub NAME [stop | ARGUMENTS]")
	}
	name := args[0]
	hubs, _ := ts.Value(hubsKey{}).(map[string]*server)
	if len(args) == 2 && args[1] == "stop" {
		ts.Check(stop(hubs[name]))
		return
	}
	env := []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME")}
	r, err := start(ts.Getenv("WORK"), name, env, args[1:]...)
	ts.Check(err)
	hubs[name] = r
	ts.Defer(func() { ts.Check(stop(r)) })
	ts.Setenv("TOCSIN_HUB", r.URL)
	ts.Setenv("KEY", r.Key)
}

// hubsKey finds the hubs that a script has started, by name.
type hubsKey struct{}

// A server is a hub that runs.
type server struct {
	URL string `json:"url"`
	Key string `json:"verifier_key"`

	process *exec.Cmd
	errors  *os.File
	stopped bool
}

// start starts a hub and waits until it answers.
func start(dir, name string, env []string, more ...string) (*server, error) {
	r := &server{process: exec.Command(filepath.Join(folder, "tocsin"), append([]string{
		"serve", "--json", "--listen", "127.0.0.1:0",
		"--data", filepath.Join(dir, name), "--operator-token-file", filepath.Join(dir, name+".token"), "--log-format", "json",
	}, more...)...)}
	r.process.Env, r.process.Dir = env, dir
	var err error
	if r.errors, err = os.Create(filepath.Join(dir, name+".log")); err != nil {
		return nil, err
	}
	r.process.Stderr = r.errors
	stdout, err := r.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := r.process.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, r)
	}
	if err != nil {
		_ = r.process.Process.Kill()
		_ = r.process.Wait()
		log, _ := os.ReadFile(r.errors.Name())
		return nil, fmt.Errorf("the hub did not start: %w\n%s", err, log)
	}
	return r, nil
}

// stop ends a hub as an operator does.
func stop(r *server) error {
	if r == nil || r.stopped {
		return nil
	}
	r.stopped = true
	defer func() { _ = r.errors.Close() }()
	if err := r.process.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	late := time.AfterFunc(20*time.Second, func() { _ = r.process.Process.Kill() })
	defer late.Stop()
	if err := r.process.Wait(); err != nil {
		log, _ := os.ReadFile(r.errors.Name())
		return fmt.Errorf("the hub did not end in order: %w\n%s", err, log)
	}
	return nil
}

// jq replaces standard output, or a FILE, by one value in it: "jq PATH [FILE]",
// where a path is like .files.0.valid.
func jq(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: jq PATH [FILE]")
	}
	file := "stdout"
	if len(args) == 2 {
		file = args[1]
	}
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(file)), &v))
	for name := range strings.SplitSeq(strings.Trim(args[0], "."), ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[name]
		case []any:
			if name == "length" {
				v = len(at)
				continue
			}
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(at) {
				ts.Fatalf("jq %s: there is no element %s", args[0], name)
			}
			v = at[i]
		default:
			v = nil
		}
	}
	_, _ = fmt.Fprintln(ts.Stdout(), v)
}

// flip changes one byte of a file: "flip FILE OFFSET", from the end when the
// offset is negative.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip FILE OFFSET")
	}
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	text := []byte(ts.ReadFile(args[0]))
	if at < 0 {
		at += len(text)
	}
	text[at] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}

// certificate writes a certificate for 127.0.0.1 that vouches for itself, and
// its key: "certificate CERT KEY".
func certificate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: certificate CERT KEY")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

// post sends a file to a path of the hub as any TAXII client would: "post STATUS
// PATH FILE TOKENFILE". The answer is its standard output.
func post(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: post STATUS PATH FILE TOKENFILE")
	}
	r, err := http.NewRequest(http.MethodPost, ts.Getenv("TOCSIN_HUB")+args[1], strings.NewReader(ts.ReadFile(args[2])))
	ts.Check(err)
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(ts.ReadFile(args[3])))
	r.Header.Set("Content-Type", "application/taxii+json;version=2.1")
	r.Header.Set("Accept", "application/taxii+json;version=2.1")
	answer, err := http.DefaultTransport.RoundTrip(r) //nolint:forbidigo // a test that talks to its own hub
	ts.Check(err)
	text, err := io.ReadAll(answer.Body)
	ts.Check(errors.Join(err, answer.Body.Close()))
	if strconv.Itoa(answer.StatusCode) != args[0] {
		ts.Fatalf("post %s: status %d, want %s\n%s", args[1], answer.StatusCode, args[0], text)
	}
	_, _ = fmt.Fprintln(ts.Stdout(), string(text))
}

// get asks the hub as any TAXII client would: "get STATUS PATH TOKENFILE". The
// answer is its standard output, and what its X-TAXII headers say its standard
// error.
func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: get STATUS PATH TOKENFILE")
	}
	r, err := http.NewRequest(http.MethodGet, ts.Getenv("TOCSIN_HUB")+args[1], http.NoBody)
	ts.Check(err)
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(ts.ReadFile(args[2])))
	r.Header.Set("Accept", "application/taxii+json;version=2.1")
	answer, err := http.DefaultTransport.RoundTrip(r) //nolint:forbidigo // a test that talks to its own hub
	ts.Check(err)
	text, err := io.ReadAll(answer.Body)
	ts.Check(errors.Join(err, answer.Body.Close()))
	if strconv.Itoa(answer.StatusCode) != args[0] {
		ts.Fatalf("get %s: status %d, want %s\n%s", args[1], answer.StatusCode, args[0], text)
	}
	_, _ = fmt.Fprintln(ts.Stdout(), string(text))
	_, _ = fmt.Fprintln(ts.Stderr(), answer.Header.Get("X-Taxii-Date-Added-First"), answer.Header.Get("X-Taxii-Date-Added-Last"))
}

// remember puts the first line of standard output into a variable: "remember
// NAME".
func remember(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: remember NAME")
	}
	line, _, _ := strings.Cut(ts.ReadFile("stdout"), "\n")
	ts.Setenv(args[0], line)
}

// await waits until a file has a line that a regular expression matches:
// "await FILE REGEXP".
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE REGEXP")
	}
	wanted, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	var text []byte
	for range 1000 {
		if text, err = os.ReadFile(ts.MkAbs(args[0])); err == nil && wanted.Match(text) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	ts.Fatalf("%s never had a line like %s\n%s", args[0], args[1], text)
}

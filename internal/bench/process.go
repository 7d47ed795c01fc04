package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A child is a server that the benchmark runs beside itself, so that it has a
// heap and a scheduler of its own.
type child struct {
	address string // host and port
	stop    func() error
	pid     int
}

// stopTime is how long a child may take to end before it is killed.
const stopTime = 20 * time.Second

// begin starts a program and returns what it says on standard output.
func begin(ctx context.Context, program string, arguments ...string) (*exec.Cmd, *bufio.Reader, *bytes.Buffer, error) {
	cmd := exec.CommandContext(ctx, program, arguments...) //nolint:gosec // this program itself, or the nginx that the user has
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopTime
	said := &bytes.Buffer{}
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, nil, fmt.Errorf("pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, nil, fmt.Errorf("start: %w", err)
	}
	return cmd, bufio.NewReader(out), said, nil
}

// ends returns how to stop a child in order.
func ends(cmd *exec.Cmd, cancel context.CancelFunc) func() error {
	return func() error {
		cancel()
		err := cmd.Wait()
		if _, ok := errors.AsType[*exec.ExitError](err); ok || errors.Is(err, context.Canceled) { // it was interrupted, as it should be
			return nil
		}
		return err //nolint:wrapcheck // the caller says which child
	}
}

// A servedHub is a hub in a process of its own.
type servedHub struct {
	child

	url      string
	operator string // token
}

// startHub runs the hub in a folder.
func startHub(ctx context.Context, program, folder, db string) (*servedHub, error) {
	ctx, cancel := context.WithCancel(ctx)
	token := filepath.Join(folder, "operator.token")
	arguments := []string{
		"serve", "--json", "--data", filepath.Join(folder, "hub"), "--listen", "127.0.0.1:0", "--log-level", "error", "--operator-token-file", token,
	}
	if db != "" {
		arguments = append(arguments, "--db", db)
	}
	cmd, out, said, err := begin(ctx, program, arguments...)
	if err != nil {
		cancel()
		return nil, err
	}
	h := &servedHub{child: child{stop: ends(cmd, cancel), pid: cmd.Process.Pid}}
	var started struct {
		URL     string `json:"url"`
		Address string `json:"address"`
	}
	line, err := out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &started)
	}
	var secret []byte
	if err == nil {
		secret, err = os.ReadFile(token)
	}
	if err != nil {
		return nil, fmt.Errorf("the hub did not start: %w: %s", errors.Join(err, h.stop()), strings.TrimSpace(said.String()))
	}
	h.url, h.address, h.operator = started.URL, started.Address, strings.TrimSpace(string(secret))
	return h, nil
}

// startBare runs the handler to which the hub's empty poll is compared.
func startBare(ctx context.Context, program string) (*child, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd, out, said, err := begin(ctx, program, "bench", "--bare")
	if err != nil {
		cancel()
		return nil, err
	}
	c := &child{stop: ends(cmd, cancel), pid: cmd.Process.Pid}
	line, err := out.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the bare handler did not start: %w: %s", errors.Join(err, c.stop()), said.String())
	}
	c.address = strings.TrimSpace(line)
	return c, nil
}

// Bare serves what an empty poll answers, with net/http and nothing else, until
// the context ends. It writes its address to out: the benchmark starts it as a
// process beside the hub.
func Bare(ctx context.Context, out io.Writer) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/taxii+json;version=2.1")
		w.Header().Set("Content-Length", "2")
		_, _ = io.WriteString(w, "{}") // whoever is gone needs none
	})}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if _, err := fmt.Fprintln(out, listener.Addr()); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// findNginx returns the nginx that is installed, "" when there is none.
func findNginx() string {
	for _, name := range []string{"nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// startNginx runs an nginx of its own that serves files from a folder below
// which it also keeps all that it writes: it shares nothing with one that the
// system may run.
func startNginx(ctx context.Context, program, folder string) (*child, error) {
	reserved, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	address := reserved.Addr().String()
	_ = reserved.Close() // nginx takes it a moment later
	config := filepath.Join(folder, "nginx.conf")
	text := strings.NewReplacer("FOLDER", folder, "ADDRESS", address).Replace(nginxConfig)
	if os.Getuid() == 0 { // its workers would become somebody who may not read the folder
		text = "user root;\n" + text
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd, _, said, err := begin(ctx, program, "-p", folder, "-c", config, "-e", filepath.Join(folder, "error.log"))
	if err != nil {
		cancel()
		return nil, err
	}
	c := &child{address: address, stop: ends(cmd, cancel), pid: cmd.Process.Pid}
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		if w, err := dial(ctx, address); err == nil {
			_ = w.conn.Close()
			return c, nil
		}
	}
	log, _ := os.ReadFile(filepath.Join(folder, "error.log")) // what there is of it
	return nil, fmt.Errorf("nginx did not start: %w: %s%s", errors.Join(errors.New("no answer"), c.stop()), said, log)
}

const nginxConfig = `daemon off;
worker_processes 2;
pid FOLDER/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  etag on;
  keepalive_requests 1000000000;
  types { application/taxii+json json; }
  client_body_temp_path FOLDER/body;
  proxy_temp_path FOLDER/proxy;
  fastcgi_temp_path FOLDER/fastcgi;
  uwsgi_temp_path FOLDER/uwsgi;
  scgi_temp_path FOLDER/scgi;
  server {
    listen ADDRESS;
    root FOLDER/static;
    location = /zipped.json { default_type application/taxii+json; add_header Content-Encoding gzip; }
  }
}
`

// memory returns how much memory a process holds, and held at most, in bytes;
// zeros where the system does not tell (it does on Linux).
func memory(pid int) (now, most int64) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kB, _ := strconv.ParseInt(fields[1], 10, 63)
		switch fields[0] {
		case "VmRSS:":
			now = kB << 10
		case "VmHWM:":
			most = kB << 10
		}
	}
	return now, most
}

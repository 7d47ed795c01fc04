// Package pgtest runs a real PostgreSQL server for tests.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Server is a PostgreSQL server of a test's own, on a loopback port, with
// fsync on: what it acknowledges is durable.
type Server struct {
	bin, data string
	port      int
	as        *syscall.SysProcAttr
	process   *exec.Cmd
	release   func() // the thread that has started it
	schemas   atomic.Int64
}

// errAbsent is why there is no server.
var errAbsent = errors.New("no PostgreSQL: apt-get install postgresql")

// Start runs a server in a folder of its own. It skips the test, with the
// reason, where there is no PostgreSQL. The server ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := newServer()
	if errors.Is(err, errAbsent) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		_ = os.RemoveAll(s.data)
	})
	if err := s.Run(); err != nil {
		t.Fatal(err)
	}
	return s
}

// newServer makes an empty cluster.
func newServer() (*Server, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, lookErr := exec.LookPath("initdb"); lookErr == nil {
		found = append(found, path)
	}
	if err != nil || len(found) == 0 {
		return nil, errAbsent
	}
	s := &Server{bin: filepath.Dir(slices.Max(found)), as: &syscall.SysProcAttr{}}
	if s.data, err = os.MkdirTemp("", "tocsin-pg"); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 { // the server refuses to run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			return nil, fmt.Errorf("%w: and a user postgres to run it as", errAbsent)
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err := errors.Join(err1, err2, os.Chown(s.data, uid, gid)); err != nil {
			return nil, err
		}
		s.as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	//nolint:gosec // the program is PostgreSQL's, found in its own folder
	c := exec.CommandContext(context.Background(), filepath.Join(s.bin, "initdb"), "-D", s.cluster(), "-U", "tocsin", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
	c.SysProcAttr, c.Dir = s.as, s.data
	if out, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	return s, nil
}

// Folder is where the server keeps everything.
func (s *Server) Folder() string { return s.cluster() }

func (s *Server) cluster() string { return filepath.Join(s.data, "cluster") }

// Run starts the server, also after [Server.Crash], and waits until it answers.
// It keeps its port.
func (s *Server) Run() error {
	if s.port == 0 {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		address, ok := l.Addr().(*net.TCPAddr)
		if err := l.Close(); err != nil || !ok {
			return fmt.Errorf("no port: %w", err)
		}
		s.port = address.Port
	}
	//nolint:gosec // the program is PostgreSQL's, found in its own folder
	s.process = exec.CommandContext(context.Background(), filepath.Join(s.bin, "postgres"), "-D", s.cluster(), "-p", strconv.Itoa(s.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=on", "-c", "max_connections=60",
		"-c", "shared_buffers=64MB", "-c", "logging_collector=off")
	// The server must not outlive the test, however that ends.
	attr := *s.as
	attr.Pdeathsig = syscall.SIGQUIT
	s.process.SysProcAttr, s.process.Dir = &attr, s.data
	log, err := os.OpenFile(filepath.Join(s.data, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.process.Stdout, s.process.Stderr = log, log
	// Linux sends that signal when the thread ends that has started the server,
	// so that one stays (go.dev/issue/27505).
	started, ended := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		started <- s.process.Start()
		<-ended
	}()
	s.release = func() { close(ended) }
	if err := <-started; err != nil {
		s.release()
		return err
	}
	const patience = 30 * time.Second
	for began := time.Now(); ; {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		c, err := pgx.Connect(ctx, s.url())
		cancel()
		if err == nil {
			return c.Close(context.Background())
		}
		if time.Since(began) > patience {
			text, _ := os.ReadFile(filepath.Join(s.data, "log"))
			return fmt.Errorf("the server does not answer: %w: %s", err, text)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Stop ends the server in order, cutting connections off.
func (s *Server) Stop() { s.end(syscall.SIGINT) }

// Crash ends the server at once, as a power cut would (immediate shutdown).
func (s *Server) Crash() { s.end(syscall.SIGQUIT) }

func (s *Server) end(signal syscall.Signal) {
	if s.process == nil || s.process.Process == nil {
		return
	}
	_ = s.process.Process.Signal(signal)
	_ = s.process.Wait()
	s.process = nil
	s.release()
}

func (s *Server) url() string {
	return fmt.Sprintf("postgres://tocsin@127.0.0.1:%d/postgres?sslmode=disable", s.port)
}

// Database makes an empty place for a hub and returns its URL: a schema of its
// own, because a database takes PostgreSQL much longer to make.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, s.url())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	name := fmt.Sprintf("test%d", s.schemas.Add(1))
	if _, err := c.Exec(ctx, "CREATE SCHEMA "+name); err != nil {
		t.Fatal(err)
	}
	return s.url() + "&search_path=" + name
}

// Package hub wires one hub together; it is the only package that knows every part.
package hub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"time"

	"tocsin"
	"tocsin/internal/behind"
	"tocsin/internal/marking"
	"tocsin/internal/receive"
)

// Options say how to run a hub. Everything but Data may be left zero.
type Options struct {
	Data            string // folder for everything the hub keeps; made when it is not there
	DB              string // address of a PostgreSQL database (postgres://…) that replicas share; a SQLite file in Data when empty
	Listen          string // address to listen on; 127.0.0.1:8080
	TLSCert         string // PEM file; required, with TLSKey, on any address but loopback
	TLSKey          string
	URL             string        // how others reach the hub; from the address when empty
	MaxPage         int           // the most objects in a page; 1,000, at most 5,000
	Pages           int64         // memory for pages that are shared between readers, in bytes; 48 MiB, none when negative
	Streams         int           // the most streams that are open at the same time; 10,000
	StreamsPerToken int           // of those, the most of one token; 5,000
	Ceiling         marking.Level // the highest classification that the hub may hold; what is above is refused
	Log             *slog.Logger  // where events go; nowhere when nil
	Ready           func(Started) // called once, when the hub answers
}

// Started tells what a hub is when it answers.
type Started struct {
	URL           string   // how to reach it
	Addr          net.Addr // what it listens on
	OperatorToken string   // made on the first start and never shown again; else ""
	VerifierKey   string   // the ledger's public key, for 'tocsin verify --key'
}

// How long a connection may take: a slow client holds a file, never a worker.
const (
	headerTimeout = 10 * time.Second
	writeTimeout  = 2 * time.Minute
	idleTimeout   = 2 * time.Minute
	drainTime     = 5 * time.Second
	headerBytes   = 32 << 10
	// concurrentStreams is how many requests one HTTP/2 connection may have open,
	// event streams included.
	concurrentStreams = 100
)

// Run runs a hub until the context ends, then lets requests finish, writes
// what is pending and closes the store. It returns nil after an orderly end.
func Run(ctx context.Context, o Options) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:8080"
	}
	config, err := tlsConfig(o)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return &tocsin.Error{Kind: tocsin.Busy, Message: "cannot listen on that address: " + cause(err), Hint: "is another hub running there? choose another with --listen"}
	}
	defer func() { _ = listener.Close() }() // the server closes it first
	base, err := baseURL(o, listener.Addr(), config != nil)
	if err != nil {
		return err
	}
	h, err := open(ctx, o)
	if err != nil {
		return err
	}
	crew := behind.New(runtime.GOMAXPROCS(0))
	defer crew.Close()
	h.submit.Crew = crew
	err = h.serve(ctx, o, listener, config, base)
	return errors.Join(err, h.store.Close())
}

func (h *hub) serve(ctx context.Context, o Options, listener net.Listener, config *tls.Config, base *url.URL) error {
	// Streams and disclosures end before the store closes.
	background, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	running.Go(func() { h.feed.Run(background, o.Log) })
	running.Go(func() { h.quarantine.Run(background, o.Log) })
	running.Go(func() { h.restore.Run(background, o.Log) })
	running.Go(func() { h.retention.Run(background, o.Log) })

	server := &http.Server{
		Handler:           h.routes(o, base),
		TLSConfig:         config,
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      writeTimeout, // streams set their own, piece by piece
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: concurrentStreams},
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return background },
		ConnContext:       receive.ConnContext,
	}
	listener = receive.Whole(listener)
	ended := make(chan error, 1)
	running.Go(func() {
		if config != nil {
			ended <- server.ServeTLS(listener, "", "")
		} else {
			ended <- server.Serve(listener)
		}
	})
	if o.Ready != nil {
		o.Ready(Started{URL: base.String(), Addr: listener.Addr(), OperatorToken: h.operatorToken, VerifierKey: h.verifierKey})
	}

	var failed error
	select {
	case <-ctx.Done():
	case failed = <-ended:
		failed = fmt.Errorf("serve: %w", failed)
	case <-h.store.Failed():
		// After a failed fsync nobody knows what is on disk but the disk: the
		// next start reads it (PostgreSQL does the same, since 2018).
		failed = fmt.Errorf("store: %w", h.store.Err())
	}
	stop() // ends the streams, which would wait for ever
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		_ = server.Close() // what did not end in time is cut off; nothing acknowledged is lost
	}
	running.Wait()
	return failed
}

// tlsConfig loads the certificate, and refuses to speak in the clear to anybody
// but this machine (TAXII 2.1 §8.3 requires HTTPS).
func tlsConfig(o Options) (*tls.Config, error) {
	if o.TLSCert == "" && o.TLSKey == "" {
		if !loopback(o.Listen) {
			return nil, &tocsin.Error{
				Kind: tocsin.Invalid, Clause: "TAXII 2.1 §8.3", Message: "TLS is required on any address that other machines can reach",
				Hint: "give --tls-cert and --tls-key, or listen on 127.0.0.1",
			}
		}
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(o.TLSCert, o.TLSKey)
	if err != nil {
		return nil, &tocsin.Error{Kind: tocsin.Invalid, Message: "the TLS certificate or key cannot be used: " + cause(err), Hint: "both must be PEM files that belong together"}
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}, nil
}

// loopback reports whether an address can be reached from this machine only. A
// name other than localhost can resolve to anything, so it is not.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func baseURL(o Options, address net.Addr, secure bool) (*url.URL, error) {
	if o.URL != "" {
		u, err := url.Parse(o.URL)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" {
			return nil, &tocsin.Error{Kind: tocsin.Invalid, Message: "the public URL is not an absolute http or https URL", Hint: "write it like https://hub.example.org"}
		}
		u.Path = ""
		return u, nil
	}
	u := &url.URL{Scheme: "http", Host: address.String()}
	if secure {
		u.Scheme = "https"
	}
	return u, nil
}

// cause returns the innermost reason of a system error, without paths or
// addresses that its wrappers add.
func cause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

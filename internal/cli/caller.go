package cli

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/internal/hubclient"
	"tocsin/internal/outbound"
)

// hubFlags say which hub a command talks to, and as whom. A token is never a
// flag: other users of the machine can read those.
type hubFlags struct {
	hub       string
	tokenFile string
	purpose   string
	caFile    string
}

const defaultHub = "http://127.0.0.1:8080"

func (h *hubFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&h.hub, "hub", "", "address of the hub (TOCSIN_HUB; "+defaultHub+" without it)")
	c.Flags().StringVar(&h.tokenFile, "token-file", "", "file that holds your token (TOCSIN_TOKEN holds the token itself; else 'token' in the configuration folder)")
	c.Flags().StringVar(&h.caFile, "ca-file", "", "PEM file with a private authority that vouches for the hub")
}

// addPurpose is for commands that read: looking leaves a trace.
func (h *hubFlags) addPurpose(c *cobra.Command) {
	c.Flags().StringVar(&h.purpose, "purpose", "", "why you read: government readers must say so, unless their token does")
}

// callTime bounds one call: 8 MiB over a slow line take a while.
const callTime = 5 * time.Minute

// connect finds out which hub is meant and with which token. It sends nothing.
func (a *app) connect(h hubFlags) (*hubclient.Client, error) {
	address := h.hub
	if address == "" {
		address = orElse(a.Getenv("TOCSIN_HUB"), defaultHub)
	}
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, &failure{code: ExitUsage, what: "this is no address of a hub", where: address, next: "write it like https://hub.example.org"}
	}
	if base.Scheme == "http" && !loopback(base.Hostname()) {
		return nil, &failure{code: ExitUsage, what: "a token is not sent over a connection that others can read", where: address, next: "use https"}
	}
	token, err := a.findToken(h.tokenFile)
	if err != nil {
		return nil, err
	}
	door, err := outbound.New(outbound.Options{Only: base, CAFile: h.caFile, Timeout: callTime})
	if err != nil {
		return nil, fmt.Errorf("outbound: %w", err)
	}
	c, err := hubclient.New(hubclient.Options{URL: address, Token: token, Purpose: h.purpose, HTTP: door})
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	a.hub = address
	return c, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// findToken returns the token of --token-file, of the environment, or of the
// file in the configuration folder.
func (a *app) findToken(file string) (string, error) {
	if file == "" {
		if token := a.Getenv("TOCSIN_TOKEN"); token != "" {
			return strings.TrimSpace(token), nil
		}
		dir, err := a.configDir("")
		if err != nil {
			return "", err
		}
		file = filepath.Join(dir, "token")
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			return "", usage("a token is needed", "put it into a file and name that with --token-file, or set TOCSIN_TOKEN; the hub's operator makes tokens")
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fileError(file, err)
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o077 != 0 {
		a.note("%s others on this machine can read %s; chmod 600 it", a.paint(a.StderrTerminal, yellow, "careful:"), safe(file))
	}
	return strings.TrimSpace(string(text)), nil
}

// configDir returns the folder of the user's own configuration.
func (a *app) configDir(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	dir, err := a.ConfigDir()
	if err != nil {
		return "", &failure{code: ExitUsage, what: "there is no folder for your configuration", next: "name one with --config-dir", err: err}
	}
	return filepath.Join(dir, "tocsin"), nil
}

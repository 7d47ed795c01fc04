package hub

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// certificate makes a certificate for this machine, and the pool that trusts it.
func certificate(t *testing.T) (certFile, keyFile string, trusted *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for file, text := range map[string][]byte{certFile: certPEM, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trusted = x509.NewCertPool()
	trusted.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, trusted
}

func TestHTTP2(t *testing.T) {
	certFile, keyFile, trusted := certificate(t)
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan Started, 1), make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{
			Data: t.TempDir(), Listen: "127.0.0.1:0", TLSCert: certFile, TLSKey: keyFile, Ready: func(s Started) { ready <- s },
		})
	}()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	}()
	var hub Started
	select {
	case hub = <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	var dialed sync.Map
	transport := &http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, address)
			dialed.Store(c, true)
			return c, err
		},
	}
	defer transport.CloseIdleConnections()
	get := func(path string, headers ...string) (int, int, string) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, hub.URL+path, nil)
		if err != nil {
			t.Error(err)
			return 0, 0, ""
		}
		r.Header.Set("Authorization", "Bearer "+hub.OperatorToken)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		answer, err := transport.RoundTrip(r)
		if err != nil {
			return 0, 0, err.Error()
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Error(err)
		}
		return answer.StatusCode, answer.ProtoMajor, string(text)
	}
	if status, version, text := get("/taxii2/"); status != http.StatusOK || version != 2 || !strings.Contains(text, `"title"`) {
		t.Fatalf("GET = %d over HTTP/%d: %s", status, version, text)
	}
	// More at once than one connection may have streams: the others wait.
	var all sync.WaitGroup
	for range 3 * concurrentStreams {
		all.Go(func() {
			if status, version, text := get("/taxii2/"); status != http.StatusOK || version != 2 {
				t.Errorf("GET = %d over HTTP/%d: %s", status, version, text)
			}
		})
	}
	all.Wait()
	// A header that is too large is refused, and the next request is not.
	if status, _, _ := get("/taxii2/", "X-Large", strings.Repeat("x", 4*headerBytes)); status == http.StatusOK {
		t.Error("a header of 128 KiB was taken")
	}
	if status, _, text := get("/taxii2/"); status != http.StatusOK {
		t.Errorf("GET after a refused one = %d %s", status, text)
	}
}

package capture

import (
	"context"
	"crypto/md5" //nolint:gosec // JA3 is defined by it; nothing is protected
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// hello is a ClientHello (RFC 8446 §4.1.2).
type hello struct {
	SNI  string `json:"sni,omitempty"`
	JA3  *ja3   `json:"ja3,omitempty"`
	JA4  string `json:"ja4,omitempty"`
	ALPN string `json:"client_alpns,omitempty"`
}

type ja3 struct {
	Hash string `json:"hash"`
	Text string `json:"string"`
}

var errRead = errors.New("the hello has been read")

// readHello reads a handshake message with the parser of crypto/tls, which
// stops where it would answer.
func readHello(message []byte) (hello, bool) {
	if len(message) < 6 || message[0] != 1 {
		return hello{}, false
	}
	version := binary.BigEndian.Uint16(message[4:6])
	var records []byte
	for part := range slices.Chunk(message, 16<<10) { // RFC 8446 §5.1
		records = append(records, 0x16, 3, 1)
		records = append(binary.BigEndian.AppendUint16(records, uint16(len(part))), part...)
	}
	var found hello
	ok := false
	server := tls.Server(&conversation{text: records}, &tls.Config{
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			fingerprint := fingerprintJA3(version, h)
			sum := md5.Sum([]byte(fingerprint)) //nolint:gosec // see above
			found = hello{
				SNI: h.ServerName, JA3: &ja3{hex.EncodeToString(sum[:]), fingerprint}, JA4: fingerprintJA4(version, h), ALPN: strings.Join(h.SupportedProtos, ","),
			}
			ok = true
			return nil, errRead
		},
	})
	_ = server.HandshakeContext(context.Background()) // it never succeeds
	return found, ok
}

// A conversation has been captured: what is said to it goes nowhere.
type conversation struct {
	net.Conn

	text []byte
}

// Read, Write, Close and the deadlines are for crypto/tls.
func (c *conversation) Read(p []byte) (int, error) {
	if len(c.text) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.text)
	c.text = c.text[n:]
	return n, nil
}

func (*conversation) Write(p []byte) (int, error)      { return len(p), nil }
func (*conversation) Close() error                     { return nil }
func (*conversation) SetDeadline(time.Time) error      { return nil }
func (*conversation) SetReadDeadline(time.Time) error  { return nil }
func (*conversation) SetWriteDeadline(time.Time) error { return nil }

// isGREASE reports whether a number is one that clients send so that servers
// take what they do not know (RFC 8701).
func isGREASE(n uint16) bool { return n&0x0f0f == 0x0a0a && n>>8 == n&0xff }

func known[N ~uint16](all []N) []N {
	return slices.DeleteFunc(slices.Clone(all), func(n N) bool { return isGREASE(uint16(n)) })
}

// fingerprintJA3 writes down what salesforce/ja3 (BSD-3-Clause) hashes: version,
// ciphers, extensions, curves, point formats.
func fingerprintJA3(version uint16, h *tls.ClientHelloInfo) string {
	var points []uint16
	for _, p := range h.SupportedPoints {
		points = append(points, uint16(p))
	}
	return strings.Join([]string{
		strconv.Itoa(int(version)), decimal(known(h.CipherSuites)), decimal(known(h.Extensions)), decimal(known(h.SupportedCurves)), decimal(points),
	}, ",")
}

func decimal[N ~uint16](all []N) string {
	texts := make([]string, len(all))
	for i, n := range all {
		texts[i] = strconv.Itoa(int(n))
	}
	return strings.Join(texts, "-")
}

// Extensions that JA4 leaves out of its sum: they differ with who is called.
const (
	extensionSNI  = 0
	extensionALPN = 16
)

// fingerprintJA4 is the TLS client fingerprint of FoxIO-LLC/ja4
// (BSD-3-Clause, technical_details/JA4.md).
func fingerprintJA4(version uint16, h *tls.ClientHelloInfo) string {
	ciphers, extensions := known(h.CipherSuites), known(h.Extensions)
	if versions := known(h.SupportedVersions); len(versions) > 0 && slices.Contains(extensions, 43) {
		version = slices.Max(versions)
	}
	to := "i"
	if slices.Contains(extensions, extensionSNI) {
		to = "d"
	}
	head := fmt.Sprintf("t%s%s%02d%02d%s", versionName(version), to, min(len(ciphers), 99), min(len(extensions), 99), protocolName(h.SupportedProtos))
	rest := slices.DeleteFunc(slices.Clone(extensions), func(n uint16) bool { return n == extensionSNI || n == extensionALPN })
	slices.Sort(ciphers)
	slices.Sort(rest)
	tail := hexadecimal(rest)
	if schemes := known(h.SignatureSchemes); len(schemes) > 0 {
		tail += "_" + hexadecimal(schemes)
	}
	if len(extensions) == 0 {
		tail = ""
	}
	return head + "_" + short(hexadecimal(ciphers)) + "_" + short(tail)
}

func versionName(v uint16) string {
	switch v {
	case tls.VersionTLS13:
		return "13"
	case tls.VersionTLS12:
		return "12"
	case tls.VersionTLS11:
		return "11"
	case tls.VersionTLS10:
		return "10"
	case 0x0300:
		return "s3"
	case 0x0002:
		return "s2"
	}
	return "00"
}

// protocolName is the first and the last character of the first protocol, of
// its hexadecimal form when either is no letter or digit.
func protocolName(protocols []string) string {
	if len(protocols) == 0 || protocols[0] == "" {
		return "00"
	}
	p := protocols[0]
	if !isAlphanumeric(p[0]) || !isAlphanumeric(p[len(p)-1]) {
		p = hex.EncodeToString([]byte(p))
	}
	return string([]byte{p[0], p[len(p)-1]})
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func hexadecimal[N ~uint16](all []N) string {
	texts := make([]string, len(all))
	for i, n := range all {
		texts[i] = fmt.Sprintf("%04x", uint16(n))
	}
	return strings.Join(texts, ",")
}

func short(text string) string {
	if text == "" {
		return "000000000000"
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

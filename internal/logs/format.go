package logs

import (
	"bytes"
	"regexp"

	"tocsin/internal/capture"
)

// A Format is how a log is written.
type Format uint8

// The formats. Suricata's EVE, Zeek's JSON and Windows events as JSON are all
// [JSON]; their fields have the names that those give them.
const (
	Text       Format = iota // anything, with name=value here and there
	JSON                     // an object a line
	ZeekTSV                  // Zeek's own format
	CEF                      // ArcSight's Common Event Format, with or without syslog around it
	LEEF                     // QRadar's Log Event Extended Format
	Syslog                   // RFC 3164 or RFC 5424
	W3C                      // extended log files, as IIS writes them
	Access                   // what Apache and nginx write
	CSV                      // comma-separated, with a line of names first
	WindowsXML               // Windows events
	Capture                  // packets: pcap or pcapng
)

// String returns the format's name.
func (f Format) String() string {
	return [...]string{"text", "json", "zeek", "cef", "leef", "syslog", "w3c", "access", "csv", "windows-xml", "pcap"}[f]
}

var (
	accessLine = regexp.MustCompile(`^\S+ \S+ \S+ \[\d{2}/[A-Z][a-z]{2}/\d{4}:`)
	syslogLine = regexp.MustCompile(`^(<\d{1,3}>(1 \d{4}-|[A-Z][a-z]{2} [ \d]\d )|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ |<\d{1,3}>)`)
	csvLine    = regexp.MustCompile(`^"?[A-Za-z_][\w .:@-]*"?(,"?[A-Za-z_][\w .:@-]*"?)+\r?$`)
)

// IsPacked reports whether a file begins as what gzip, zstd, xz, bzip2 or lz4
// write, or as a capture of packets.
func IsPacked(text []byte) bool {
	for _, magic := range []string{"\x1f\x8b", "\x28\xb5\x2f\xfd", "\xfd7zXZ\x00", "BZh91AY&SY", "\x04\x22\x4d\x18"} {
		if bytes.HasPrefix(text, []byte(magic)) {
			return true
		}
	}
	return capture.Is(text)
}

// Detect guesses a log's format from its beginning.
func Detect(text []byte) Format {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	line, _, _ := bytes.Cut(bytes.TrimLeft(text, "\r\n"), []byte{'\n'})
	switch {
	case bytes.HasPrefix(line, []byte("#separator")), bytes.HasPrefix(line, []byte("#fields")):
		return ZeekTSV
	case bytes.HasPrefix(line, []byte("#Software:")), bytes.HasPrefix(line, []byte("#Version:")), bytes.HasPrefix(line, []byte("#Fields:")):
		return W3C
	case bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("{")):
		return JSON
	case bytes.HasPrefix(line, []byte("<Event")), bytes.HasPrefix(line, []byte("<?xml")) && bytes.Contains(text[:min(len(text), 4096)], []byte("<Event")):
		return WindowsXML
	case bytes.Contains(line, []byte("CEF:0|")), bytes.Contains(line, []byte("CEF:1|")):
		return CEF
	case bytes.Contains(line, []byte("LEEF:1.0|")), bytes.Contains(line, []byte("LEEF:2.0|")):
		return LEEF
	case accessLine.Match(line):
		return Access
	case syslogLine.Match(line):
		return Syslog
	case csvLine.Match(line):
		return CSV
	}
	return Text
}

package capture

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"net/http"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/reassembly"
)

// Limits of one direction of a stream, in bytes.
const (
	longestHello = 64 << 10
	longestHead  = 64 << 10
	longestLine  = 17 << 10 // of a request

	longestMethod = 24
)

// request is the head of an HTTP/1 request, or of an answer to one.
type request struct {
	Host      string `json:"hostname,omitempty"`
	URL       string `json:"url,omitempty"`
	Method    string `json:"http_method,omitempty"`
	UserAgent string `json:"http_user_agent,omitempty"`
	Referer   string `json:"http_refer,omitempty"`
	Location  string `json:"redirect,omitempty"`
	Status    int    `json:"status,omitempty"`
}

// New is for the assembler: it begins a stream.
func (c *Reader) New(network, transport gopacket.Flow, _ *layers.TCP, _ reassembly.AssemblerContext) reassembly.Stream {
	return &stream{reader: c, network: network, transport: transport}
}

// A stream is a TCP connection. Its two directions are read alike: a capture may
// begin in the middle, and then nobody knows who called whom.
type stream struct {
	reader             *Reader
	network, transport gopacket.Flow
	halves             [2]half
}

// A half is one direction.
type half struct {
	text []byte
	is   protocol

	within bool // of webHeads: what comes is the rest of a line that is no head
}

type protocol uint8

const (
	unknown protocol = iota
	tlsHello
	webHeads
	dnsMessages
	nothing // that is read, or not any more
)

// Accept is for the assembler: any packet counts, also when the beginning of the
// connection was not captured.
func (s *stream) Accept(_ *layers.TCP, _ gopacket.CaptureInfo, _ reassembly.TCPFlowDirection, _ reassembly.Sequence, start *bool, _ reassembly.AssemblerContext) bool {
	*start = true
	return true
}

// ReassemblyComplete is for the assembler.
func (s *stream) ReassemblyComplete(reassembly.AssemblerContext) bool { return true }

// ReassembledSG takes the next bytes of one direction, in order.
func (s *stream) ReassembledSG(sg reassembly.ScatterGather, _ reassembly.AssemblerContext) {
	n, _ := sg.Lengths()
	dir, _, _, skipped := sg.Info()
	h, network, transport := &s.halves[0], s.network, s.transport
	if dir == reassembly.TCPDirServerToClient {
		h, network, transport = &s.halves[1], network.Reverse(), transport.Reverse()
	}
	if n == 0 || h.is == nothing {
		return
	}
	if skipped > 0 { // bytes are missing: what was begun is of no use
		h.text = nil
		if h.within = true; h.is != webHeads {
			h.is, h.within = unknown, false
		}
	}
	h.text = append(h.text, sg.Fetch(n)...)
	if h.is == unknown {
		h.guess(transport)
	}
	switch h.is {
	case tlsHello:
		s.hello(h, network, transport)
	case webHeads:
		s.heads(h, network, transport)
	case dnsMessages:
		s.messages(h, network, transport)
	case unknown, nothing:
	}
	if h.is == nothing {
		h.text = nil
	}
}

// guess says what a stream is by its first bytes.
func (h *half) guess(transport gopacket.Flow) {
	from, to := transport.Endpoints()
	if len(h.text) < longestMethod && !bytes.ContainsAny(h.text, " /") && (couldBeHead(h.text) || string(h.text) == "\x16") {
		return // more will tell
	}
	switch {
	case port(from) == 53 || port(to) == 53:
		h.is = dnsMessages
	case h.text[0] == 0x16 && h.text[1] == 3: // RFC 8446 §5.1: a handshake
		h.is = tlsHello
	case couldBeHead(h.text):
		h.is = webHeads
	default:
		h.is = nothing
	}
}

// hello reads the ClientHello when it is whole.
func (s *stream) hello(h *half, network, transport gopacket.Flow) {
	message, whole := handshake(h.text)
	if !whole && len(h.text) < longestHello {
		return
	}
	h.is = nothing
	if !whole {
		return
	}
	if found, ok := readHello(message); ok {
		s.reader.also(network, transport)
		s.reader.now.TLS = append(s.reader.now.TLS, found)
	}
}

// handshake returns the first handshake message of TLS records, and false when
// it is not whole yet. What is no handshake is whole and empty.
func handshake(records []byte) (message []byte, whole bool) {
	for len(records) >= 5 {
		if records[0] != 0x16 || records[1] != 3 {
			return nil, true
		}
		n := int(binary.BigEndian.Uint16(records[3:5]))
		if n == 0 {
			return nil, true
		}
		message = append(message, records[5:min(5+n, len(records))]...)
		if len(message) >= 4 && message[0] != 1 { // no ClientHello
			return nil, true
		}
		if len(message) >= 4 {
			if want := 4 + int(message[1])<<16 + int(message[2])<<8 + int(message[3]); len(message) >= want {
				return message[:want], true
			}
		}
		records = records[min(5+n, len(records)):]
	}
	return nil, false
}

// heads reads the heads of requests and answers. Bodies are not understood: the
// next head is where a line looks like the first of one. Each byte is looked at
// a few times, however the stream is cut.
func (s *stream) heads(h *half, network, transport gopacket.Flow) {
	text := h.text
	for len(text) > 0 {
		if h.within || !couldBeHead(text) { // the rest of the line is nothing
			end := bytes.IndexByte(text, '\n')
			if h.within = end < 0; h.within {
				text = nil
				break
			}
			text = text[end+1:]
			continue
		}
		first := bytes.IndexByte(text, '\n')
		if first < 0 && len(text) < longestLine {
			break // it may become one
		}
		if first < 0 || !isHead(text[:first]) {
			h.within = true
			continue
		}
		end := bytes.Index(text, []byte("\r\n\r\n"))
		if end < 0 && len(text) < longestHead {
			break
		}
		if end < 0 {
			h.within = true
			continue
		}
		if found, ok := readHead(text[:end+4]); ok {
			s.reader.also(network, transport)
			s.reader.now.HTTP = append(s.reader.now.HTTP, found)
		}
		text = text[end+4:]
	}
	h.text = append(h.text[:0], text...)
}

// couldBeHead reports whether a line that begins so could be the first of a
// head: a method, or HTTP/ (RFC 9112 §3, §4). Methods that anybody uses are in
// capital letters.
func couldBeHead(text []byte) bool {
	for i, c := range text[:min(len(text), longestMethod)] {
		switch {
		case c >= 'A' && c <= 'Z' || (c == '-' || c == '_') && i > 0:
		case c == ' ':
			return i > 1
		case c == '/':
			return string(text[:i]) == "HTTP"
		default:
			return false
		}
	}
	return len(text) < longestMethod
}

// isHead reports whether a whole line is the first of a head.
func isHead(line []byte) bool {
	line = bytes.TrimSuffix(line, []byte{'\r'})
	if status, ok := bytes.CutPrefix(line, []byte("HTTP/1.")); ok {
		return len(status) >= 5 && status[1] == ' '
	}
	words := bytes.Split(line, []byte{' '})
	return len(words) == 3 && len(words[1]) > 0 && (string(words[2]) == "HTTP/1.1" || string(words[2]) == "HTTP/1.0")
}

func readHead(text []byte) (request, bool) {
	if bytes.HasPrefix(text, []byte("HTTP/")) {
		a, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), nil)
		if err != nil {
			return request{}, false
		}
		_ = a.Body.Close()
		return request{Status: a.StatusCode, Location: a.Header.Get("Location")}, true
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
	if err != nil {
		return request{}, false
	}
	return request{Host: r.Host, URL: r.RequestURI, Method: r.Method, UserAgent: r.UserAgent(), Referer: r.Referer()}, true
}

// messages reads DNS over TCP: each message after its length (RFC 1035 §4.2.2).
func (s *stream) messages(h *half, network, transport gopacket.Flow) {
	for len(h.text) >= 2 {
		n := int(binary.BigEndian.Uint16(h.text))
		if len(h.text) < 2+n {
			return
		}
		s.reader.answers(network, transport, h.text[2:2+n])
		h.text = h.text[2+n:]
	}
}

// also names the sides of a stream on a line that does not yet.
func (c *Reader) also(network, transport gopacket.Flow) {
	if c.now.Proto == "" {
		c.sides(network, transport, layers.IPProtocolTCP)
	}
}

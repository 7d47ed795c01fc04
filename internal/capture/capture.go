// Package capture reads captures of packets as a log: one line for each packet, with what it says in JSON.
package capture

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/gopacket/gopacket/reassembly"
)

// Is reports whether a file begins as a capture: pcap in either order of bytes
// and either resolution, or pcapng.
func Is(text []byte) bool {
	if len(text) < 4 {
		return false
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(text) {
		case 0xa1b2c3d4, 0xa1b23c4d, 0x0a0d0d0a:
			return true
		}
	}
	return false
}

// A line is what a packet says that those before it did not, in the words of
// Suricata's EVE. Line n is packet n; a packet that says nothing new is an empty
// line.
type line struct {
	Timestamp string    `json:"timestamp"`
	Proto     string    `json:"proto,omitempty"`
	SrcIP     string    `json:"src_ip,omitempty"`
	SrcPort   uint16    `json:"src_port,omitempty"`
	DestIP    string    `json:"dest_ip,omitempty"`
	DestPort  uint16    `json:"dest_port,omitempty"`
	DNS       []dns     `json:"dns,omitempty"`
	TLS       []hello   `json:"tls,omitempty"`
	HTTP      []request `json:"http,omitempty"`
}

// linkRawBSD is what OpenBSD writes for packets without a header of a link
// (LINKTYPE_RAW in its DLT number).
const linkRawBSD layers.LinkType = 14

// Limits of what is remembered. What is beyond them is said again, or not seen:
// memory does not grow with the capture.
const (
	mostFlows     = 1 << 18         // that were said
	flowIdle      = 5 * time.Minute // after which a flow is said again
	mostPages     = 16 << 10        // of about 2 kB, of streams that wait for a packet
	pagesOfStream = 32
	streamIdle    = 30 * time.Second // after which what is missing does not come any more
)

// A Reader is a capture as text.
type Reader struct {
	next      func() ([]byte, gopacket.CaptureInfo, layers.LinkType, error)
	text      bytes.Buffer
	encoder   *json.Encoder
	end       error
	flows     map[flow]time.Time
	swept     time.Time
	assembler *reassembly.Assembler
	now       *line // the packet that is being read
}

// flow is who talks to whom; the other direction is the same one.
type flow struct {
	network, transport gopacket.Flow
	protocol           layers.IPProtocol
}

func flowOf(network, transport gopacket.Flow, protocol layers.IPProtocol) flow {
	src, dst := network.Endpoints()
	from, to := transport.Endpoints()
	if dst.LessThan(src) || src == dst && to.LessThan(from) {
		network, transport = network.Reverse(), transport.Reverse()
	}
	return flow{network, transport, protocol}
}

// NewReader reads a capture. It fails when its beginning cannot be read.
func NewReader(r io.Reader) (*Reader, error) {
	c := &Reader{flows: map[flow]time.Time{}}
	c.encoder = json.NewEncoder(&c.text)
	c.encoder.SetEscapeHTML(false) // what is looked for stands there as it is
	pool := reassembly.NewStreamPool(c)
	c.assembler = reassembly.NewAssembler(pool)
	c.assembler.MaxBufferedPagesTotal, c.assembler.MaxBufferedPagesPerConnection = mostPages, pagesOfStream
	var magic [4]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	r = io.MultiReader(bytes.NewReader(magic[:]), r)
	if binary.BigEndian.Uint32(magic[:]) == 0x0a0d0d0a {
		ng, err := pcapgo.NewNgReader(r, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
		if err != nil {
			return nil, fmt.Errorf("pcapng: %w", err)
		}
		c.next = func() ([]byte, gopacket.CaptureInfo, layers.LinkType, error) {
			data, ci, err := ng.ReadPacketData()
			link := ng.LinkType()
			if len(ci.AncillaryData) > 0 {
				if of, ok := ci.AncillaryData[0].(layers.LinkType); ok {
					link = of
				}
			}
			return data, ci, link, err //nolint:wrapcheck // Read says what it means
		}
		return c, nil
	}
	plain, err := pcapgo.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("pcap: %w", err)
	}
	c.next = func() ([]byte, gopacket.CaptureInfo, layers.LinkType, error) {
		data, ci, err := plain.ReadPacketData()
		return data, ci, plain.LinkType(), err //nolint:wrapcheck // Read says what it means
	}
	return c, nil
}

// Read returns the next bytes of the text.
func (c *Reader) Read(p []byte) (int, error) {
	for c.text.Len() == 0 {
		if c.end != nil {
			return 0, c.end
		}
		data, ci, link, err := c.next()
		if err != nil {
			c.end = err
			if errors.Is(err, io.EOF) {
				c.end = io.EOF
			}
			continue
		}
		c.packet(data, ci, link)
	}
	return c.text.Read(p) //nolint:wrapcheck // a buffer has only io.EOF, and is not empty
}

// packet writes one line.
func (c *Reader) packet(data []byte, ci gopacket.CaptureInfo, link layers.LinkType) {
	c.now = &line{}
	c.decode(data, ci, link)
	if c.now.Proto == "" && len(c.now.DNS)+len(c.now.TLS)+len(c.now.HTTP) == 0 {
		c.text.WriteByte('\n')
		return
	}
	c.now.Timestamp = ci.Timestamp.UTC().Format("2006-01-02T15:04:05.000000Z")
	if err := c.encoder.Encode(c.now); err != nil { // it has nothing that could not be written
		c.text.WriteByte('\n')
	}
}

// decode takes a packet apart, tunnels included: the innermost addresses count.
// What is damaged says nothing.
func (c *Reader) decode(data []byte, ci gopacket.CaptureInfo, link layers.LinkType) {
	if link == layers.LinkTypeIPv4 || link == layers.LinkTypeIPv6 || link == linkRawBSD { // the library knows one of the four
		link = layers.LinkTypeRaw
	}
	p := gopacket.NewPacket(data, link, gopacket.DecodeOptions{NoCopy: true})
	var network gopacket.NetworkLayer
	var protocol layers.IPProtocol
	for _, l := range p.Layers() {
		switch l := l.(type) {
		case *layers.IPv4:
			network, protocol = l, l.Protocol
			if l.FragOffset != 0 || l.Flags&layers.IPv4MoreFragments != 0 {
				c.say(l.NetworkFlow(), gopacket.Flow{}, protocol, ci.Timestamp, false)
				return
			}
		case *layers.IPv6:
			network, protocol = l, l.NextHeader
		case *layers.TCP:
			if network == nil {
				return
			}
			flow := l.TransportFlow()
			c.say(network.NetworkFlow(), flow, layers.IPProtocolTCP, ci.Timestamp, l.SYN && !l.ACK)
			c.assembler.AssembleWithContext(network.NetworkFlow(), l, &moment{ci})
			c.sweep(ci.Timestamp)
			return
		case *layers.UDP:
			if network == nil {
				return
			}
			c.say(network.NetworkFlow(), l.TransportFlow(), layers.IPProtocolUDP, ci.Timestamp, false)
			if isDNS(l.SrcPort) || isDNS(l.DstPort) {
				c.answers(network.NetworkFlow(), l.TransportFlow(), l.Payload)
			}
		}
	}
	if network != nil && c.now.Proto == "" && protocol != layers.IPProtocolUDP {
		c.say(network.NetworkFlow(), gopacket.Flow{}, protocol, ci.Timestamp, false)
	}
}

// say names both sides, unless that was said lately.
func (c *Reader) say(network, transport gopacket.Flow, protocol layers.IPProtocol, at time.Time, begins bool) {
	key := flowOf(network, transport, protocol)
	last, known := c.flows[key]
	if known && at.Sub(last) < flowIdle && !begins {
		c.flows[key] = at
		return
	}
	if len(c.flows) >= mostFlows {
		clear(c.flows)
	}
	c.flows[key] = at
	c.sides(network, transport, protocol)
}

func (c *Reader) sides(network, transport gopacket.Flow, protocol layers.IPProtocol) {
	src, dst := network.Endpoints()
	c.now.SrcIP, c.now.DestIP, c.now.Proto = src.String(), dst.String(), strings.ToUpper(protocol.String())
	from, to := transport.Endpoints()
	c.now.SrcPort, c.now.DestPort = port(from), port(to)
}

func port(e gopacket.Endpoint) uint16 {
	if raw := e.Raw(); len(raw) == 2 {
		return binary.BigEndian.Uint16(raw)
	}
	return 0
}

// sweep has streams that miss a packet for too long go on without it.
func (c *Reader) sweep(now time.Time) {
	if c.swept.IsZero() || now.Before(c.swept) {
		c.swept = now
	}
	if now.Sub(c.swept) > streamIdle/2 {
		c.swept = now
		c.assembler.FlushCloseOlderThan(now.Add(-streamIdle))
	}
}

// moment is what the assembler knows of a packet.
type moment struct{ ci gopacket.CaptureInfo }

// GetCaptureInfo is for the assembler.
func (c *moment) GetCaptureInfo() gopacket.CaptureInfo { return c.ci }

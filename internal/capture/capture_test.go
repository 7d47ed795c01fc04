package capture

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// A wire makes packets.
type wire struct {
	t       testing.TB
	packets [][]byte
	at      []time.Time
	now     time.Time
	v6      bool
	vlan    bool
}

func newWire(t testing.TB) *wire {
	return &wire{t: t, now: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)}
}

func (w *wire) addresses() (client, server net.IP) {
	if w.v6 {
		return net.ParseIP("2001:db8::1"), net.ParseIP("2001:db8:ffff::7")
	}
	return net.IPv4(10, 0, 0, 5).To4(), net.IPv4(198, 51, 100, 7).To4()
}

// send adds one packet.
func (w *wire) send(fromClient bool, transport gopacket.SerializableLayer, payload []byte) {
	w.t.Helper()
	src, dst := w.addresses()
	if !fromClient {
		src, dst = dst, src
	}
	var all []gopacket.SerializableLayer
	ether := &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}
	next := &ether.EthernetType
	all = append(all, ether)
	if w.vlan {
		tag := &layers.Dot1Q{VLANIdentifier: 7}
		*next, next = layers.EthernetTypeDot1Q, &tag.Type
		all = append(all, tag)
	}
	protocol := layers.IPProtocolTCP
	if _, ok := transport.(*layers.UDP); ok {
		protocol = layers.IPProtocolUDP
	}
	var network gopacket.NetworkLayer
	if w.v6 {
		*next = layers.EthernetTypeIPv6
		ip := &layers.IPv6{Version: 6, NextHeader: protocol, HopLimit: 9, SrcIP: src, DstIP: dst}
		network, all = ip, append(all, ip)
	} else {
		*next = layers.EthernetTypeIPv4
		ip := &layers.IPv4{Version: 4, Protocol: protocol, TTL: 9, SrcIP: src, DstIP: dst}
		network, all = ip, append(all, ip)
	}
	var err error
	switch l := transport.(type) {
	case *layers.TCP:
		err = l.SetNetworkLayerForChecksum(network)
	case *layers.UDP:
		err = l.SetNetworkLayerForChecksum(network)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, append(all, transport, gopacket.Payload(payload))...); err != nil {
		w.t.Fatal(err)
	}
	w.packets = append(w.packets, bytes.Clone(b.Bytes()))
	w.at = append(w.at, w.now)
	w.now = w.now.Add(time.Millisecond)
}

func (w *wire) udp(fromClient bool, client, server int, payload []byte) {
	from, to := client, server
	if !fromClient {
		from, to = to, from
	}
	w.send(fromClient, &layers.UDP{SrcPort: layers.UDPPort(from), DstPort: layers.UDPPort(to)}, payload)
}

// tcp sends a handshake and what the client says, in segments of a size; order
// changes the order in which they are captured.
func (w *wire) tcp(client, server int, says []byte, size int, order func(segments []int)) {
	w.send(true, &layers.TCP{SrcPort: layers.TCPPort(client), DstPort: layers.TCPPort(server), SYN: true, Seq: 999}, nil)
	w.send(false, &layers.TCP{SrcPort: layers.TCPPort(server), DstPort: layers.TCPPort(client), SYN: true, ACK: true, Seq: 4999, Ack: 1000}, nil)
	var starts []int
	for at := 0; at < len(says); at += size {
		starts = append(starts, at)
	}
	if order != nil {
		order(starts)
	}
	for _, at := range starts {
		w.send(true, &layers.TCP{SrcPort: layers.TCPPort(client), DstPort: layers.TCPPort(server), ACK: true, Seq: uint32(1000 + at), Ack: 5000}, says[at:min(at+size, len(says))])
	}
}

func (w *wire) pcap() []byte {
	var b bytes.Buffer
	p := pcapgo.NewWriter(&b)
	err := p.WriteFileHeader(65536, layers.LinkTypeEthernet)
	for i, packet := range w.packets {
		if err == nil {
			err = p.WritePacket(gopacket.CaptureInfo{Timestamp: w.at[i], CaptureLength: len(packet), Length: len(packet)}, packet)
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return b.Bytes()
}

func (w *wire) pcapng() []byte {
	var b bytes.Buffer
	p, err := pcapgo.NewNgWriter(&b, layers.LinkTypeEthernet)
	if err != nil {
		w.t.Fatal(err)
	}
	for i, packet := range w.packets {
		if err := p.WritePacket(gopacket.CaptureInfo{Timestamp: w.at[i], CaptureLength: len(packet), Length: len(packet)}, packet); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := p.Flush(); err != nil {
		w.t.Fatal(err)
	}
	return b.Bytes()
}

// text reads a capture to its end.
func text(t testing.TB, capture []byte) string {
	t.Helper()
	r, err := NewReader(bytes.NewReader(capture))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// said returns the lines, of which each is one packet's.
func said(t testing.TB, text string) (lines []line) {
	t.Helper()
	for one := range strings.Lines(text) {
		var l line
		if one != "\n" {
			if err := json.Unmarshal([]byte(one), &l); err != nil {
				t.Fatalf("%q: %v", one, err)
			}
		}
		lines = append(lines, l)
	}
	return lines
}

// clientHello returns what crypto/tls says first.
func clientHello(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	here, there := net.Pipe()
	done := make(chan []byte)
	go func() {
		var all []byte
		buffer := make([]byte, 64<<10)
		for {
			n, err := there.Read(buffer)
			all = append(all, buffer[:n]...)
			if _, whole := handshake(all); whole || err != nil {
				_ = there.Close()
				done <- all
				return
			}
		}
	}()
	_ = tls.Client(here, config).HandshakeContext(context.Background())
	return <-done
}

func TestCapturesSayWhoTalkedOfWhat(t *testing.T) {
	hello := clientHello(t, &tls.Config{ServerName: "c2.evil.example", NextProtos: []string{"h2", "http/1.1"}})
	get := []byte("POST /gate.php?id=1&k=2 HTTP/1.1\r\nHost: www.evil.example\r\nUser-Agent: Evil/1.0 (x)\r\nContent-Length: 11\r\n\r\nHTTP/1.1 20GET /next HTTP/1.1\r\nhost: second.example\r\n\r\n")
	query := []byte("\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04evil\x07example\x00\x00\x01\x00\x01")
	reply := append([]byte("\x00\x07\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"), append(bytes.Clone(query[12:]), "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc6\x33\x64\x07"...)...)
	random := rand.New(rand.NewPCG(1, 1))
	for name, set := range map[string]func(*wire){"IPv4": func(*wire) {}, "IPv6": func(w *wire) { w.v6 = true }, "VLAN": func(w *wire) { w.vlan = true }} {
		for size, order := range map[int]func([]int){1400: nil, 100: func(s []int) { random.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] }) }, 7: slices.Reverse[[]int]} {
			w := newWire(t)
			set(w)
			if size == 7 && len(hello)/size > 30 { // more than waits for one packet
				size = len(hello)/30 + 1
			}
			w.udp(true, 40000, 53, query)
			w.udp(false, 40000, 53, reply)
			w.tcp(40001, 443, hello, size, order)
			w.tcp(40002, 80, get, size, order)
			w.tcp(40003, 53, append([]byte{0, byte(len(reply))}, reply...), size, order)
			for format, capture := range map[string][]byte{"pcap": w.pcap(), "pcapng": w.pcapng()} {
				all := said(t, text(t, capture))
				if len(all) != len(w.packets) {
					t.Fatalf("%s %s: %d lines of %d packets", name, format, len(all), len(w.packets))
				}
				client, server := w.addresses()
				if l := all[0]; l.SrcIP != client.String() || l.DestIP != server.String() || l.SrcPort != 40000 || l.DestPort != 53 || l.Proto != "UDP" || l.Timestamp != "2026-03-01T10:00:00.000000Z" {
					t.Errorf("the first packet says %+v", l)
				}
				var names, hosts []string
				var answers []answer
				for i, l := range all {
					for _, d := range l.DNS {
						names = append(names, d.Type+" "+d.Name)
						answers = append(answers, d.Answers...)
					}
					for _, h := range l.TLS {
						names = append(names, h.SNI+" "+h.ALPN)
						if !strings.HasPrefix(h.JA4, "t13d") || !strings.Contains(h.JA4, "h2_") || len(h.JA4) != 36 || len(h.JA3.Hash) != 32 || l.SrcIP != client.String() || l.DestPort != 443 {
							t.Errorf("packet %d says %+v", i, l)
						}
					}
					for _, h := range l.HTTP {
						hosts = append(hosts, h.Method+" "+h.Host+h.URL+" "+h.UserAgent)
					}
				}
				if want := []string{"query evil.example", "answer evil.example", "c2.evil.example h2,http/1.1", "answer evil.example"}; !slices.Equal(names, want) {
					t.Errorf("%s %s, %d bytes at a time: %q, want %q", name, format, size, names, want)
				}
				if len(answers) != 2 || answers[0].Data != "198.51.100.7" {
					t.Errorf("answers %+v", answers)
				}
				if want := []string{"POST www.evil.example/gate.php?id=1&k=2 Evil/1.0 (x)"}; !slices.Equal(hosts[:min(1, len(hosts))], want) {
					t.Errorf("%s %s, %d bytes at a time: %q, want %q", name, format, size, hosts, want)
				}
			}
		}
	}
}

// TestRequestsAreFoundWhereverTheyAre in a stream whose beginning and middle are
// missing.
func TestRequestsAreFoundWhereverTheyAre(t *testing.T) {
	body := "\r\n" + strings.Repeat("no line\r\n", 4000) + strings.Repeat("x", 40_000) + "\r\n"
	says := "GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n" + body + "GET http://b.example/b HTTP/1.1\r\nHost: b.example\r\n\r\n" + body + "PROPFIND /c HTTP/1.0\r\nHost: c.example\r\n\r\n"
	w := newWire(t)
	w.tcp(40002, 80, []byte(says), 1000, nil)
	w.tcp(40003, 80, []byte("HTTP/1.1 302 Found\r\nLocation: http://evil.example/x\r\n\r\n"), 1000, nil)
	w.packets, w.at = w.packets[2:], w.at[2:] // without the handshake
	var got []string
	for _, l := range said(t, text(t, w.pcap())) {
		for _, h := range l.HTTP {
			got = append(got, h.Method+h.Host+h.URL+h.Location)
		}
	}
	if want := []string{"GETa.example/a", "GETb.examplehttp://b.example/b", "PROPFINDc.example/c", "http://evil.example/x"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFlowsAreSaidOnceAWhile(t *testing.T) {
	w := newWire(t)
	for range 10 {
		w.udp(true, 1000, 2000, nil)
		w.udp(false, 1000, 2000, nil)
	}
	w.now = w.now.Add(flowIdle)
	w.udp(false, 1000, 2000, nil)
	n := 0
	for _, l := range said(t, text(t, w.pcap())) {
		if l.Proto != "" {
			n++
		}
	}
	if n != 2 {
		t.Errorf("the flow is said %d times, want 2", n)
	}
}

// hexHello makes a ClientHello out of what fingerprints are made of.
func hexHello(version uint16, ciphers, extensions []uint16, content map[uint16][]byte) []byte {
	var list, exts []byte
	for _, c := range ciphers {
		list = binary.BigEndian.AppendUint16(list, c)
	}
	for _, e := range extensions {
		exts = binary.BigEndian.AppendUint16(exts, e)
		exts = binary.BigEndian.AppendUint16(exts, uint16(len(content[e])))
		exts = append(exts, content[e]...)
	}
	body := binary.BigEndian.AppendUint16(nil, version)
	body = append(body, make([]byte, 32)...)
	body = append(body, 0)
	body = binary.BigEndian.AppendUint16(body, uint16(len(list)))
	body = append(body, list...)
	body = append(body, 1, 0)
	if len(exts) > 0 {
		body = binary.BigEndian.AppendUint16(body, uint16(len(exts)))
		body = append(body, exts...)
	}
	return append([]byte{1, 0, byte(len(body) >> 8), byte(len(body))}, body...)
}

// Examples that the inventors of the fingerprints publish: README.md of
// salesforce/ja3, technical_details/JA4.md of FoxIO-LLC/ja4.
func TestFingerprintsAreThoseOfTheirInventors(t *testing.T) {
	sni := append([]byte{0, 14, 0, 0, 11}, "evil.exampl"...)
	curves := []byte{0, 6, 0, 23, 0, 24, 0, 25}
	message := hexHello(769, []uint16{47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4}, []uint16{0, 10, 11}, map[uint16][]byte{0: sni, 10: curves, 11: {1, 0}})
	h, ok := readHello(message)
	if !ok || h.JA3.Hash != "ada70206e40642a3e4461f35503241d5" || h.JA3.Text != "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0" {
		t.Errorf("JA3 = %+v, %v", h.JA3, ok)
	}
	if h, ok = readHello(hexHello(769, []uint16{4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99}, nil, nil)); !ok || h.JA3.Hash != "de350869b8c85de67a350c8d186f11e6" {
		t.Errorf("JA3 without extensions = %+v, %v", h.JA3, ok)
	}
	schemes := []uint16{0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601}
	list := []byte{0, byte(2 * len(schemes))}
	for _, s := range schemes {
		list = binary.BigEndian.AppendUint16(list, s)
	}
	message = hexHello(0x0303,
		[]uint16{0x1a1a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035},
		[]uint16{0x2a2a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0x0015},
		map[uint16][]byte{
			0: sni, 0x10: append([]byte{0, 12, 2}, "h2\x08http/1.1"...), 0x0d: list, 0x0b: {1, 0}, 0x0a: {0, 4, 0x3a, 0x3a, 0, 29}, 0x2b: {6, 0x4a, 0x4a, 3, 4, 3, 3},
			0x33: {0, 5, 0x3a, 0x3a, 0, 1, 0}, 0x2d: {1, 1}, 5: {1, 0, 0, 0, 0}, 0xff01: {0}, 0x1b: {2, 0, 2}, 0x2a2a: nil, 0x4469: {0, 3, 2, 'h', '2'}, 0x15: make([]byte, 20),
		})
	if h, ok = readHello(message); !ok || h.JA4 != "t13d1516h2_8daaf6152771_e5627efa2ab1" {
		t.Errorf("JA4 = %q, %v", h.JA4, ok)
	}
}

func TestWhatIsNoCapture(t *testing.T) {
	for _, text := range []string{"", "x", "\xa1\xb2\xc3\xd4", "\x0a\x0d\x0d\x0a\x00\x00\x00\x1c", "\xd4\xc3\xb2\xa1\x09\x00"} {
		if r, err := NewReader(strings.NewReader(text)); err == nil {
			if _, err := io.ReadAll(r); err == nil && len(text) > 0 {
				t.Errorf("%q is read as a capture", text)
			}
		}
	}
	whole := newWire(t)
	whole.udp(true, 1, 2, []byte("x"))
	whole.udp(true, 3, 4, []byte("x"))
	b := whole.pcap()
	r, err := NewReader(bytes.NewReader(b[:len(b)-3]))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); err == nil || strings.Count(string(text), "\n") != 1 {
		t.Errorf("of a capture that was cut off: %q, %v", text, err)
	}
}

func FuzzReader(f *testing.F) {
	w := newWire(f)
	w.udp(true, 40000, 53, []byte("\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04evil\x07example\x00\x00\x01\x00\x01"))
	w.tcp(40001, 443, clientHello(f, &tls.Config{ServerName: "a.example"}), 700, nil)
	w.tcp(40002, 80, []byte("GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n"), 10, nil)
	f.Add(w.pcap())
	f.Add(w.pcapng())
	f.Fuzz(func(t *testing.T, capture []byte) {
		r, err := NewReader(bytes.NewReader(capture))
		if err != nil {
			return
		}
		text, _ := io.ReadAll(io.LimitReader(r, 1<<20))
		for one := range strings.Lines(string(text)) {
			if one != "\n" && strings.HasSuffix(one, "\n") && !json.Valid([]byte(one)) {
				t.Errorf("%q is no JSON", one)
			}
		}
	})
}

func FuzzStream(f *testing.F) {
	f.Add(clientHello(f, &tls.Config{ServerName: "a.example"}), uint16(100))
	f.Add([]byte("GET /a HTTP/1.1\r\nHost: a.example\r\n\r\nGET /b HTTP/1.1\r\n\r\n"), uint16(3))
	f.Fuzz(func(t *testing.T, says []byte, size uint16) {
		if len(says) > 20_000 || int(size)*200 < len(says) {
			return
		}
		w := newWire(t)
		w.tcp(40001, 443, says, int(size), nil)
		split := said(t, text(t, w.pcap()))
		w = newWire(t)
		w.tcp(40001, 443, says, 20_001, nil)
		whole := said(t, text(t, w.pcap()))
		count := func(lines []line) (n [2]int) {
			for _, l := range lines {
				n[0], n[1] = n[0]+len(l.TLS), n[1]+len(l.HTTP)
			}
			return n
		}
		if count(split) != count(whole) {
			t.Errorf("in pieces of %d bytes it says %v, in one %v", size, count(split), count(whole))
		}
	})
}

// BenchmarkReader reads a capture of web requests in packets of 1,400 bytes.
func BenchmarkReader(b *testing.B) {
	w := newWire(b)
	says := []byte("GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n" + strings.Repeat("x", 100_000))
	for i := range 100 {
		w.tcp(40_000+i, 80, says, 1400, nil)
	}
	capture := w.pcap()
	b.SetBytes(int64(len(capture)))
	for b.Loop() {
		text(b, capture)
	}
}

package scan

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"tocsin/internal/indicator"
	"tocsin/internal/logs"
	"tocsin/internal/match"
)

// TestCapturesAreLogs finds what a packet names, and says in which packet.
func TestCapturesAreLogs(t *testing.T) {
	at := time.Date(2026, 3, 1, 10, 5, 3, 0, time.UTC)
	var capture bytes.Buffer
	w := pcapgo.NewWriter(&capture)
	if err := w.WriteFileHeader(65536, layers.LinkTypeIPv4); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"good.example", "www.evil.example"} {
		ip := &layers.IPv4{Version: 4, TTL: 9, Protocol: layers.IPProtocolUDP, SrcIP: []byte{10, 0, 0, 1}, DstIP: []byte{192, 0, 2, byte(8 + i)}}
		udp := &layers.UDP{SrcPort: 4000, DstPort: 53}
		dns := &layers.DNS{ID: 7, Questions: []layers.DNSQuestion{{Name: []byte(name), Type: layers.DNSTypeA, Class: layers.DNSClassIN}}}
		b := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, ip, udp, dns); err != nil {
			t.Fatal(err)
		}
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(b.Bytes()), Length: len(b.Bytes())}, b.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(capture.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	set := match.NewSet()
	for _, text := range []string{"192.0.2.9:53", "evil.example"} {
		v, _ := indicator.Guess(text)
		set.Add(text, v)
	}
	for _, log := range [][]byte{capture.Bytes(), packed.Bytes()} {
		var got []string
		stats, err := Run(context.Background(), Sought{Values: set}, bytes.NewReader(log), func(h Hit) error {
			got = append(got, fmt.Sprintf("%d %s %s %v", h.Line, h.Field, h.Value.Text(), h.Time.Equal(at)))
			return nil
		})
		if err != nil || stats.Format != logs.Capture || stats.Lines != 2 {
			t.Fatalf("%+v, %v", stats, err)
		}
		if want := []string{"2 dest_ip:port 192.0.2.9:53 true", "2 dns.rrname evil.example true"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

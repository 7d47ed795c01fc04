package capture

import (
	"slices"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// dns is one message (RFC 1035).
type dns struct {
	Type    string   `json:"type"` // query or answer
	Name    string   `json:"rrname,omitempty"`
	RRType  string   `json:"rrtype,omitempty"`
	Code    string   `json:"rcode,omitempty"`
	Answers []answer `json:"answers,omitempty"`
}

type answer struct {
	Name string `json:"rrname"`
	Type string `json:"rrtype"`
	Data string `json:"rdata,omitempty"`
}

func isDNS(p layers.UDPPort) bool {
	return slices.Contains([]layers.UDPPort{53, 5353, 5355}, p) // DNS, mDNS, LLMNR
}

// answers reads a message. What is none says nothing.
func (c *Reader) answers(network, transport gopacket.Flow, payload []byte) {
	var m layers.DNS
	if len(payload) < 12 || m.DecodeFromBytes(payload, gopacket.NilDecodeFeedback) != nil {
		return
	}
	out := dns{Type: "query"}
	if m.QR {
		out.Type, out.Code = "answer", m.ResponseCode.String()
	}
	if len(m.Questions) > 0 {
		out.Name, out.RRType = string(m.Questions[0].Name), m.Questions[0].Type.String()
	}
	for _, rr := range slices.Concat(m.Answers, m.Additionals) {
		a := answer{Name: string(rr.Name), Type: rr.Type.String()}
		switch rr.Type { //nolint:exhaustive // see default
		case layers.DNSTypeA, layers.DNSTypeAAAA:
			a.Data = rr.IP.String()
		case layers.DNSTypeCNAME:
			a.Data = string(rr.CNAME)
		case layers.DNSTypeNS:
			a.Data = string(rr.NS)
		case layers.DNSTypePTR:
			a.Data = string(rr.PTR)
		case layers.DNSTypeMX:
			a.Data = string(rr.MX.Name)
		case layers.DNSTypeSRV:
			a.Data = string(rr.SRV.Name)
		case layers.DNSTypeTXT:
			a.Data = string(rr.TXT)
		default: // OPT, signatures and the like name nobody
			continue
		}
		out.Answers = append(out.Answers, a)
	}
	if c.now.Proto == "" {
		protocol := layers.IPProtocolUDP
		if transport.EndpointType() == layers.EndpointTCPPort {
			protocol = layers.IPProtocolTCP
		}
		c.sides(network, transport, protocol)
	}
	c.now.DNS = append(c.now.DNS, out)
}

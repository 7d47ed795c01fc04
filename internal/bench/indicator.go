package bench

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
)

// indicatorBytes is about how long an indicator is.
const indicatorBytes = 1300

// appendIndicator writes indicator number n, the same for everybody who asks
// for it: about 1.3 kB, as those of real feeds are with a pattern, a
// description, a kill chain and references. run tells one run of the benchmark
// on the same hub from another.
func appendIndicator(b []byte, run, n uint64) []byte {
	var seed [16]byte
	binary.BigEndian.PutUint64(seed[:], run)
	binary.BigEndian.PutUint64(seed[8:], n)
	h := sha256.Sum256(seed[:])
	minute, second := n/60%60, n%60
	at := fmt.Sprintf("2026-%02d-%02dT%02d:%02d:%02d.%03dZ", h[17]%9+1, h[18]%28+1, h[19]%24, minute, second, n%1000)
	b = append(b, `{"type":"indicator","spec_version":"2.1","id":"`...)
	b = append(b, indicatorID(h)...)
	b = append(b, `","created":"`+at+`","modified":"`+at+`","name":"`...)
	b = append(b, families[h[20]%uint8(len(families))]+" infrastructure "+strconv.FormatUint(n, 10)+`","description":"`...)
	b = append(b, describe(h)...)
	b = append(b, `","indicator_types":["malicious-activity"],"pattern":"`+pattern(h)+`","pattern_type":"stix","pattern_version":"2.1","valid_from":"`+at+`"`...)
	b = append(b, `,"kill_chain_phases":[{"kill_chain_name":"lockheed-martin-cyber-kill-chain","phase_name":"command-and-control"},`+
		`{"kill_chain_name":"mitre-attack","phase_name":"command-and-control"}],"confidence":`+strconv.Itoa(int(h[21]%70)+30)...)
	b = append(b, `,"labels":["botnet","feed"],"external_references":[{"source_name":"analysis","url":"https://reports.example.com/`...)
	b = hex.AppendEncode(b, h[22:30])
	b = append(b, `","hashes":{"SHA-256":"`...)
	b = hex.AppendEncode(b, h[:])
	return append(b, `"}}],"object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"]}`...) // TLP:GREEN
}

// indicatorID makes a UUIDv4 of a hash.
func indicatorID(h [sha256.Size]byte) string {
	u := h
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return fmt.Sprintf("indicator--%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// pattern mixes what real feeds hold: addresses, names, URLs, hashes.
func pattern(h [sha256.Size]byte) string {
	host := hex.EncodeToString(h[8:13]) + ".bench.example"
	switch h[16] % 8 {
	case 0, 1:
		return fmt.Sprintf("[ipv4-addr:value = '198.%d.%d.%d']", 18+h[9]%2, h[10], h[11]) // RFC 2544
	case 2:
		return "[url:value = 'http://" + host + "/gate.php']"
	case 3:
		return "[file:hashes.'SHA-256' = '" + hex.EncodeToString(h[:]) + "']"
	default:
		return "[domain-name:value = '" + host + "']"
	}
}

// describe fills an indicator up to its size with plain sentences.
func describe(h [sha256.Size]byte) string {
	text := ""
	for i := 0; len(text) < 330; i++ {
		if i > 0 {
			text += " "
		}
		text += sentences[int(h[i%len(h)])%len(sentences)]
	}
	return text
}

//nolint:gochecknoglobals // constants that Go has no word for
var (
	families  = [...]string{"Emotet", "QakBot", "IcedID", "Dridex", "TrickBot", "Remcos", "AgentTesla", "RedLine"}
	sentences = [...]string{
		"The host answers the beacon of the loader on port 443 with a self-signed certificate.",
		"Payloads are staged for a few hours and then replaced.",
		"The path is the same in every sample that was seen this month.",
		"Traffic to it was blocked at the proxy before anything was fetched.",
		"The name was registered the day before the campaign began.",
		"It resolves to a provider that several other families use as well.",
		"Requests carry a user agent that no browser has sent for years.",
		"The archive holds a script that starts the second stage from memory.",
	}
)

// appendEnvelope writes an envelope with indicators [from, from+count).
func appendEnvelope(b []byte, run, from uint64, count int) []byte {
	b = append(b, `{"objects":[`...)
	for i := range count {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendIndicator(b, run, from+uint64(i))
	}
	return append(b, `]}`...)
}

package minimize

import (
	"encoding/base64"
	"encoding/binary"
	"testing"
	"unicode/utf16"
)

// wideText is a text as Windows writes it: UTF-16, little-endian.
func wideText(text string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func TestPayloadsAreDroppedForVictimsOnly(t *testing.T) {
	artifact := func(content []byte) string {
		return sco("artifact", 1, `"mime_type":"text/plain","payload_bin":"`+base64.StdEncoding.EncodeToString(content)+`"`)
	}
	malware := sdo("malware", 2, `"name":"Bot","is_family":false,"sample_refs":["`+id("artifact", 1)+`"]`)
	const mail, card = "Write to box@evil.example and pay.", "Card 4111 1111 1111 1111 of the holder"
	tests := map[string]struct {
		objects []string
		drops   bool
	}{
		"a message":                      {[]string{artifact([]byte("Dear jane.roe@corp.example, the report"))}, true},
		"a message in UTF-16":            {[]string{artifact(wideText("Dear jane.roe@corp.example, the report"))}, true},
		"a program":                      {[]string{artifact([]byte("MZ\x90\x00\x03 jane.roe@corp.example \xff\xfe"))}, false},
		"a ransom note of the malware's": {[]string{artifact([]byte(mail)), malware}, false},
		"stolen cards":                   {[]string{artifact([]byte(card)), malware}, true},
		"an indicator's address":         {[]string{artifact([]byte(mail)), indicator(3, "[email-addr:value = 'box@evil.example']", "-")}, false},
		"the malware's with our address": {[]string{
			artifact([]byte("to jane.roe@corp.example")), malware,
			sco("email-addr", 4, `"value":"jane.roe@corp.example"`),
			sco("email-message", 5, `"is_multipart":false,"to_refs":["`+id("email-addr", 4)+`"]`),
		}, true},
		"content of the malware's file": {[]string{
			artifact([]byte(mail)), sco("file", 6, `"name":"readme.txt","content_ref":"`+id("artifact", 1)+`"`),
			sdo("malware", 2, `"name":"Bot","is_family":false,"sample_refs":["`+id("file", 6)+`"]`),
		}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := parse(t, bundle(test.objects...))
			if len(in.Rejected()) > 0 {
				t.Fatal(in.Rejected())
			}
			out := newGate(t).Apply(in)
			drops := true
			for _, o := range out.Objects() {
				drops = drops && o.Type() != "artifact"
			}
			if drops != test.drops {
				t.Errorf("dropped = %t, want %t: %v", drops, test.drops, out.Findings())
			}
			checkProperties(t, in, out)
		})
	}
}

package extract

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
)

// Bounds of what a message may make us do.
const (
	mostParts = 200
	mostDepth = 8
)

// message reads an e-mail message (RFC 5322): who sent it, through which
// machines, what its text links to, and the hashes of what is attached. Who
// received it is left out, and so are the text and the attachments themselves.
func message(text []byte) (Document, error) {
	m, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		return Document{}, errors.New("the file is not an e-mail message (RFC 5322)")
	}
	var d Document
	words := new(mime.WordDecoder)
	if subject, err := words.DecodeHeader(m.Header.Get("Subject")); err == nil && strings.TrimSpace(subject) != "" {
		d.Title = "Message: " + headline(strings.ToValidUTF8(subject, ""))
	} else {
		d.Title = "Message without a subject"
	}
	received := map[string]bool{} // addresses of those who received it
	for _, name := range []string{"To", "Cc", "Bcc", "Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To"} {
		for _, v := range m.Header[name] {
			for _, i := range Find(v) {
				received[strings.ToLower(i.Value)] = true
			}
		}
	}
	senders := map[string]bool{}
	for _, name := range []string{"From", "Sender", "Reply-To", "Return-Path"} {
		for _, v := range m.Header[name] {
			for _, i := range Find(v) {
				if key := strings.ToLower(i.Value); i.Kind == Email && !received[key] && !senders[key] {
					senders[key] = true
					d.Indicators = append(d.Indicators, Indicator{Kind: Email, Value: key})
				}
			}
		}
	}
	// The machine that gave the message to the first one that we may trust is
	// named in the oldest line, which is the last one.
	if lines := m.Header["Received"]; len(lines) > 0 {
		from, _, _ := strings.Cut(lines[len(lines)-1], " by ")
		for _, i := range Find(from) {
			if (i.Kind == IPv4 || i.Kind == IPv6) && public(i.Value) {
				d.Indicators = append(d.Indicators, i)
			}
		}
	}
	r := reader{document: &d, received: received, seen: map[string]bool{}}
	if err := r.part(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Header.Get("Content-Disposition"), m.Body, 0); err != nil {
		return Document{}, err
	}
	if len(d.Indicators) == 0 {
		return d, ErrEmpty
	}
	return d, nil
}

// A reader goes through the parts of one message.
type reader struct {
	document *Document
	received map[string]bool
	seen     map[string]bool
	parts    int
}

func (r *reader) part(contentType, encoding, disposition string, body io.Reader, depth int) error {
	if r.parts++; r.parts > mostParts || depth > mostDepth {
		return errors.New("the message has too many parts, or parts inside of parts")
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = "text/plain"
	}
	if strings.HasPrefix(kind, "multipart/") && params["boundary"] != "" {
		parts := multipart.NewReader(body, params["boundary"])
		for {
			p, err := parts.NextRawPart()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return errors.New("the message breaks off in the middle of a part (RFC 2046 §5.1.1)")
			}
			if err := r.part(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p.Header.Get("Content-Disposition"), p, depth+1); err != nil {
				return err
			}
		}
	}
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	content, err := io.ReadAll(io.LimitReader(body, MostBytes))
	if err != nil {
		return errors.New("a part of the message is not encoded as it says (RFC 2045 §6)")
	}
	what, _, _ := mime.ParseMediaType(disposition)
	if what == "attachment" || !strings.HasPrefix(kind, "text/") {
		if len(content) > 0 {
			sum := sha256.Sum256(content)
			r.add(Indicator{Kind: SHA256, Value: hex.EncodeToString(sum[:])})
		}
		return nil
	}
	for _, i := range Find(strings.ToValidUTF8(string(content), " ")) {
		switch i.Kind {
		case URL, IPv4, IPv6, MD5, SHA1, SHA256, SHA512:
			r.add(i)
		case Domain:
			if i.Defanged || i.Alone {
				r.add(i)
			}
		case Email, SHA224, SHA384, ASN, MAC, Registry, Path, File, CVE, Attack, Bitcoin, Ethereum:
		}
	}
	return nil
}

// add proposes an indicator, unless it holds who received the message: a link
// with the recipient's address in it is theirs.
func (r *reader) add(i Indicator) {
	low := strings.ToLower(i.Value)
	if r.seen[low] || (i.Kind == IPv4 || i.Kind == IPv6) && !public(i.Value) {
		return
	}
	r.seen[low] = true
	for address := range r.received {
		if strings.Contains(address, "@") && strings.Contains(low, address) {
			r.document.Context = append(r.document.Context, i)
			return
		}
	}
	r.document.Indicators = append(r.document.Indicators, i)
}

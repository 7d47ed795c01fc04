// Package cursor seals positions in the one order, so that nobody can read one or make one up.
package cursor

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"time"

	"tocsin"
)

// A Position is how far a reader has come.
type Position struct {
	Seq   int64     // position in the one order, from 0: nothing read yet
	Added time.Time // date_added of the last object that was handed out, at microseconds; zero: none
}

// The parts of a cursor in bytes, and the length of its text.
const (
	tagSize  = 16
	bodySize = 16
	textSize = 43
)

// A Sealer makes and opens cursors. A cursor holds all that is needed to go
// on, so it survives restarts and means the same to every replica that has the
// secret. It is safe for concurrent use.
type Sealer struct {
	tag, pad [sha256.Size]byte
}

// New returns a sealer. The secret is the hub's: 32 random bytes that stay.
func New(secret []byte) *Sealer {
	s := &Sealer{}
	copy(s.tag[:], sum(secret, []byte("tocsin cursor tag")))
	copy(s.pad[:], sum(secret, []byte("tocsin cursor pad")))
	return s
}

// Seal writes a position down for one scope: what is read and how it is
// filtered. The tag is computed over scope and position and is the
// initialization vector of the encryption (as in RFC 5297): equal positions
// make equal cursors, and how far apart two are, which is how much others
// shared, does not show.
func (s *Sealer) Seal(p Position, scope ...string) string {
	var plain [bodySize]byte
	binary.BigEndian.PutUint64(plain[:8], uint64(p.Seq))
	if !p.Added.IsZero() {
		binary.BigEndian.PutUint64(plain[8:], uint64(p.Added.UnixMicro()))
	}
	tag := s.authenticate(plain, scope)
	sealed := make([]byte, tagSize+bodySize)
	copy(sealed, tag)
	subtle.XORBytes(sealed[tagSize:], plain[:], sum(s.pad[:], tag))
	return base64.RawURLEncoding.EncodeToString(sealed)
}

// Open reads a cursor that Seal made for the same scope. Any other text is
// malformed.
func (s *Sealer) Open(text string, scope ...string) (Position, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	// The decoder skips line breaks; a cursor has one spelling.
	if err != nil || len(text) != textSize || len(sealed) != tagSize+bodySize {
		return Position{}, foreign()
	}
	tag := sealed[:tagSize]
	var plain [bodySize]byte
	subtle.XORBytes(plain[:], sealed[tagSize:], sum(s.pad[:], tag))
	if !hmac.Equal(tag, s.authenticate(plain, scope)) {
		return Position{}, foreign()
	}
	p := Position{Seq: int64(binary.BigEndian.Uint64(plain[:8]))}
	if micros := int64(binary.BigEndian.Uint64(plain[8:])); micros != 0 {
		p.Added = time.UnixMicro(micros).UTC()
	}
	return p, nil
}

func foreign() *tocsin.Error {
	return &tocsin.Error{
		Kind: tocsin.Malformed, Message: "the cursor was not made by this hub for this request",
		Hint: "begin again without it; a cursor goes with the collection and the filters that it was given for",
	}
}

// authenticate computes the tag. Each part of the scope is preceded by its
// length, so that no two scopes are the same text.
func (s *Sealer) authenticate(plain [bodySize]byte, scope []string) []byte {
	mac := hmac.New(sha256.New, s.tag[:])
	var length [8]byte
	for _, part := range scope {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		mac.Write(length[:])
		mac.Write([]byte(part))
	}
	mac.Write(plain[:])
	return mac.Sum(nil)[:tagSize]
}

// sum returns HMAC-SHA-256; subtle.XORBytes takes as much of it as it needs.
func sum(key, text []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(text)
	return mac.Sum(nil)
}

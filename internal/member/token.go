package member

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"tocsin"
)

// A token is tokenPrefix, a public id, "_", 32 random bytes and a checksum
// over all that, so that secret scanners recognize it, logs can name it by its
// id, and a cut or mistyped one is told from one that is not known.
const (
	tokenPrefix = "tcs_"
	idLength    = 8  // 5 bytes in base32
	keyLength   = 52 // 32 bytes in base32
	sumLength   = 7  // 4 bytes in base32
	tokenLength = len(tokenPrefix) + idLength + 1 + keyLength + sumLength
)

// base32 has no letters that depend on case, and no 0, 1, 8 or 9 to confuse.
var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding) //nolint:gochecknoglobals // immutable table: the alphabet of tokens

// newToken draws a token and returns its public id and its whole text.
func newToken() (id, secret string) {
	var random [5 + 32]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	id = encoding.EncodeToString(random[:5])
	secret = tokenPrefix + id + "_" + encoding.EncodeToString(random[5:])
	return id, secret + checksum(secret)
}

func checksum(text string) string {
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE([]byte(text)))
	return encoding.EncodeToString(sum[:])
}

// hash returns what the directory keeps of a token. The secret is 256 random
// bits: nobody guesses them, however fast a guess is, so a slow password hash
// would only make every request slow.
func hash(secret string) [sha256.Size]byte {
	var text [tokenLength]byte // on the stack; a conversion would allocate
	return sha256.Sum256(text[:copy(text[:], secret)])
}

// publicID returns the public id inside a token, false when the text does not
// have the form of one. The id is no secret; looking it up may take a time
// that depends on it.
func publicID(secret string) (id string, ok bool) {
	const end = len(tokenPrefix) + idLength
	if len(secret) != tokenLength || !strings.HasPrefix(secret, tokenPrefix) || secret[end] != '_' {
		return "", false
	}
	return secret[len(tokenPrefix):end], true
}

// same compares two hashes in a time that does not depend on where they differ.
func same(a, b *[sha256.Size]byte) bool {
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// unknownToken says why a token was not taken. Anybody can compute the
// checksum, so telling a typing error from an unknown token helps only the
// person who made it.
func unknownToken(secret string) *tocsin.Error {
	e := &tocsin.Error{Kind: tocsin.Unauthenticated, Message: "the token is not known here", Hint: "it may have been revoked; ask the hub's operator for a new one"}
	if _, ok := publicID(secret); !ok {
		e.Message, e.Hint = "this is not a token of a hub", "a token begins with "+tokenPrefix+" and is 72 characters long; check that it was copied whole"
	} else if at := len(secret) - sumLength; checksum(secret[:at]) != secret[at:] {
		e.Message, e.Hint = "the token is mistyped or cut off", "copy it again"
	}
	return e
}

package stix

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // UUIDv5 is defined over SHA-1 (RFC 9562 §5.5)
	"encoding/hex"
	"time"
)

// chars is what the checks of texts read: a string, or a string's bytes where
// they stand in a parsed text.
type chars interface{ ~string | ~[]byte }

// SplitID takes an identifier apart: the object type and the UUID
// (STIX 2.1 §2.9). It reports false when the text is no identifier: a lower-case
// type of 3 to 250 characters, two hyphens and an RFC 9562 UUID in lower case.
func SplitID(id string) (objectType, uuid string, ok bool) {
	cut := cutID(id)
	if cut < 0 {
		return "", "", false
	}
	return id[:cut], id[cut+2:], true
}

// cutID returns the length of an identifier's type, -1 when the text is no
// identifier.
func cutID[T chars](id T) int {
	const tail = 2 + 36 // two hyphens and a UUID
	cut := len(id) - tail
	if cut < 0 || id[cut] != '-' || id[cut+1] != '-' || !isTypeName(id, cut) || !isUUID(id, cut+2) {
		return -1
	}
	return cut
}

// typeOf returns the type in an identifier that has been checked, nil when it
// is too short for one.
func typeOf(id []byte) []byte {
	const tail = 2 + 36
	return id[:max(len(id)-tail, 0)]
}

// versionOf returns the version digit of the UUID in such an identifier.
func versionOf(id []byte) byte {
	if len(id) < 36 {
		return 0
	}
	return id[len(id)-36+14]
}

// TypeName reports whether s may name an object type: 3 to 250 characters of
// a-z, 0-9 and hyphen, a letter first, no two hyphens together (STIX 2.1 §3.1,
// §11.2.1).
func TypeName(s string) bool { return isTypeName(s, len(s)) }

// isTypeName looks at the first n bytes of s.
func isTypeName[T chars](s T, n int) bool {
	if n < 3 || n > 250 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range n {
		if c := s[i]; classes[c]&ofType == 0 || c == '-' && s[i-1] == '-' {
			return false
		}
	}
	return true
}

// UUID reports whether s is a UUID of the RFC 9562 variant in lower case: 36
// characters, hyphens where they belong. STIX compares identifiers as text, so
// upper case would make two identities of one.
func UUID(s string) bool { return len(s) == 36 && isUUID(s, 0) }

// isUUID looks at the 36 bytes of s from the given one on.
func isUUID[T chars](s T, from int) bool {
	s = s[from : from+36]
	if s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	all := uint8(ofHex)
	for i := range 8 {
		all &= classes[s[i]]
	}
	for i := range 4 {
		all &= classes[s[9+i]] & classes[s[14+i]] & classes[s[19+i]]
	}
	for i := range 12 {
		all &= classes[s[24+i]]
	}
	variant := s[19]
	return all != 0 && (variant == '8' || variant == '9' || variant == 'a' || variant == 'b')
}

// What a byte may be part of.
const (
	ofHex      = 1 << iota // hexadecimal digits in lower case
	ofAnyHex               // hexadecimal digits
	ofType                 // type names
	ofProperty             // property names
	ofKey                  // dictionary keys
	ofBase64               // base64 without padding
	ofNumber               // numbers
)

// classes says of every byte what it may be part of.
var classes = func() (t [256]uint8) { //nolint:gochecknoglobals // immutable table: one look per byte of a name or identifier
	for class, members := range map[uint8]string{
		ofHex:      "0123456789abcdef",
		ofAnyHex:   "0123456789abcdefABCDEF",
		ofType:     lower + digit + "-",
		ofProperty: lower + digit + "_",
		ofKey:      lower + upper + digit + "-_",
		ofBase64:   lower + upper + digit + "+/",
		ofNumber:   digit,
	} {
		for _, c := range []byte(members) {
			t[c] |= class
		}
	}
	return t
}()

const (
	lower = "abcdefghijklmnopqrstuvwxyz"
	upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digit = "0123456789"
)

// are reports whether all bytes of s are of a class.
func are(s []byte, class uint8) bool {
	for _, c := range s {
		if classes[c]&class == 0 {
			return false
		}
	}
	return true
}

// UUIDv4 returns a random UUID (RFC 9562 §5.4): what the identifiers of all
// objects but cyber observables are made of (STIX 2.1 §2.9).
func UUIDv4() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // never fails (crypto/rand)
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return FormatUUID(u)
}

// UUIDv5 returns the name-based UUID of a name in a namespace (RFC 9562 §5.5).
func UUIDv5(namespace [16]byte, name []byte) string {
	h := sha1.New() //nolint:gosec // see the import
	h.Write(namespace[:])
	h.Write(name)
	var u [16]byte
	copy(u[:], h.Sum(nil))
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return FormatUUID(u)
}

// FormatUUID writes 16 bytes in the usual form.
func FormatUUID(u [16]byte) string {
	var b [36]byte
	hex.Encode(b[0:8], u[0:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:36], u[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// ParseTime reads a STIX timestamp: RFC 3339 in UTC with a capital T and Z and,
// when there is a decimal point, one to nine digits after it (STIX 2.1 §2.16).
// It refuses dates that no calendar has, the year 0, leap seconds, which no
// time.Time can hold, and more than nine digits, which it could not order.
func ParseTime(s string) (time.Time, bool) {
	if !isTime(s) {
		return time.Time{}, false
	}
	nanos := 0
	if len(s) > len("2006-01-02T15:04:05Z") {
		frac := s[len("2006-01-02T15:04:05.") : len(s)-1]
		nanos = number(frac, 0, len(frac))
		for range 9 - len(frac) {
			nanos *= 10
		}
	}
	return time.Date(number(s, 0, 4), time.Month(number(s, 5, 7)), number(s, 8, 10),
		number(s, 11, 13), number(s, 14, 16), number(s, 17, 19), nanos, time.UTC), true
}

// isTime reports whether s is a timestamp that ParseTime reads.
func isTime[T chars](s T) bool {
	const plain, longest = len("2006-01-02T15:04:05Z"), len("2006-01-02T15:04:05.999999999Z")
	if len(s) < plain || len(s) > longest || len(s) == plain+1 || s[len(s)-1] != 'Z' ||
		s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' || len(s) > plain && s[19] != '.' {
		return false
	}
	all := classes[s[0]] & classes[s[1]] & classes[s[2]] & classes[s[3]] & classes[s[5]] & classes[s[6]] & classes[s[8]] &
		classes[s[9]] & classes[s[11]] & classes[s[12]] & classes[s[14]] & classes[s[15]] & classes[s[17]] & classes[s[18]]
	for i := plain; i < len(s)-1; i++ {
		all &= classes[s[i]]
	}
	if all&ofNumber == 0 {
		return false
	}
	year, month, day := number(s, 0, 4), number(s, 5, 7), number(s, 8, 10)
	return year >= 1 && month >= 1 && month <= 12 && day >= 1 && (day <= 28 || day <= daysIn(year, month)) &&
		number(s, 11, 13) <= 23 && number(s, 14, 16) <= 59 && number(s, 17, 19) <= 59
}

// compareTimes orders two timestamps that isTime accepts: negative when a is
// earlier.
func compareTimes(a, b []byte) int {
	const seconds = len("2006-01-02T15:04:05")
	if order := bytes.Compare(a[:seconds], b[:seconds]); order != 0 {
		return order
	}
	return bytes.Compare(withoutZeros(a)[seconds:], withoutZeros(b)[seconds:])
}

// withoutZeros returns a timestamp without its Z, the zeros at the end of a
// fraction, and the point when nothing is left after it: such texts order as
// the times do, and are equal when these are.
func withoutZeros(timestamp []byte) []byte {
	s := timestamp[:len(timestamp)-1]
	if bytes.IndexByte(s, '.') < 0 {
		return s
	}
	return bytes.TrimSuffix(bytes.TrimRight(s, "0"), []byte("."))
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	default:
		return 31
	}
}

// number reads s[from:to], which are digits, at most nine.
func number[T chars](s T, from, to int) int {
	n := 0
	for i := from; i < to; i++ {
		n = n*10 + int(s[i]-'0')
	}
	return n
}

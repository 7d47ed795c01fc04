package match

// What a byte can be part of. A word is a run of bytes that a domain, an IPv4
// address or a hash can be made of.
const (
	word   uint8 = 1 << iota
	dot          // .
	digit        // 0-9
	hex          // a-f, A-F
	letter       // a-z, A-Z
	local        // of the part of an e-mail address before the @ (RFC 5322 §3.2.3, atext and dot)
	far          // beyond ASCII
)

// class says what each byte can be part of.
var class = func() (t [256]uint8) { //nolint:gochecknoglobals // immutable table: one look per byte of input
	for c := range 256 {
		switch b := byte(c); {
		case b >= '0' && b <= '9':
			t[c] = word | digit | local
		case b >= 'a' && b <= 'f', b >= 'A' && b <= 'F':
			t[c] = word | hex | letter | local
		case b >= 'g' && b <= 'z', b >= 'G' && b <= 'Z':
			t[c] = word | letter | local
		case b == '.':
			t[c] = word | dot | local
		case b == '-', b == '_':
			t[c] = word | local
		case b >= 0x80:
			t[c] = word | far | local
		}
	}
	for _, c := range "!#$%&'*+/=?^`{|}~" {
		t[c] |= local
	}
	return t
}()

// lower is each byte in lower case.
var lower = func() (t [256]byte) { //nolint:gochecknoglobals // immutable table: one look per byte of input
	for c := range 256 {
		t[c] = byte(c)
		if c >= 'A' && c <= 'Z' {
			t[c] += 'a' - 'A'
		}
	}
	return t
}()

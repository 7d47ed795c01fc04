package receive

import (
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"tocsin"
)

// The longest secret and purpose that are looked at, in bytes. A token has 72.
const (
	longestSecret  = 512
	longestPurpose = 200
)

// purposeHeader states why a member reads, when its token does not say.
const purposeHeader = "Tocsin-Purpose"

// authenticate returns who asks. The token is the password of HTTP Basic, with
// any user name, because many TAXII clients know nothing else (TAXII 2.1
// §8.3.1), or a Bearer token (RFC 6750).
func authenticate(r *http.Request, a Authenticator) (tocsin.Member, error) {
	secret, ok := secretOf(r)
	if !ok {
		return tocsin.Member{}, &tocsin.Error{
			Kind: tocsin.Unauthenticated, Message: "a token is needed", Hint: "send it as the password of HTTP Basic or as a Bearer token",
		}
	}
	who, err := a.Authenticate(r.Context(), secret)
	if err != nil {
		return tocsin.Member{}, err
	}
	stated, err := purpose(r)
	if err != nil {
		return tocsin.Member{}, err
	}
	if who.Purpose == "" { // what the token is bound to cannot be talked away
		who.Purpose = stated
	}
	return who, nil
}

func secretOf(r *http.Request) (string, bool) {
	values := r.Header["Authorization"]
	if len(values) != 1 {
		return "", false
	}
	var secret string
	if scheme, rest, found := strings.Cut(values[0], " "); found && strings.EqualFold(scheme, "Bearer") {
		secret = strings.TrimSpace(rest)
	} else {
		_, secret, _ = r.BasicAuth()
	}
	return secret, secret != "" && len(secret) <= longestSecret
}

// purpose returns the stated purpose. It goes into the ledger for people to
// read, so it is short and prints.
func purpose(r *http.Request) (string, error) {
	values := r.Header[purposeHeader]
	if len(values) == 0 {
		return "", nil
	}
	text := strings.TrimSpace(values[0])
	if len(values) > 1 || len(text) > longestPurpose || !utf8.ValidString(text) ||
		strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return "", &tocsin.Error{
			Kind: tocsin.Malformed, Message: "the header " + purposeHeader + " cannot be used",
			Hint: "send it once, at most 200 bytes of UTF-8 that print",
		}
	}
	return text, nil
}

package detect

import (
	"encoding/base64"
	"slices"
	"strings"
)

// placeholder reports whether a value stands for one: <user>, %USERNAME%,
// $PASS, {0}, ****, [secret-1].
func placeholder(v string) bool {
	if v == "" || strings.IndexByte("<[{$%*(", v[0]) >= 0 {
		return true
	}
	if strings.Contains(v, "...") || strings.ContainsAny(v, "<>{}") {
		return true
	}
	for i := 1; i < len(v); i++ {
		if v[i] != v[0] {
			switch strings.ToLower(v) {
			case "null", "none", "true", "false", "string", "password", "passwd", "pass", "pwd", "secret", "required", "empty",
				"blank", "redacted", "value", "username", "user", "token", "changeme", "unknown", "n/a":
				return true
			}
			return false
		}
	}
	return len(v) > 1 || !isDigit(v[0]) // xxxx
}

// value finds the value of the parameter whose name ends at j: after = or :,
// perhaps in quotes. Prose reports that it follows a colon and a space, where a
// sentence could go on as well.
func (sc *scanner) value(j int) (start, end int, prose bool) {
	i := j
	if q := sc.at(i); q == '"' || q == '\'' {
		i++
	}
	i = sc.skip(i, " ", 2)
	sep := sc.at(i)
	if sep != '=' && sep != ':' || sc.at(i+1) == '=' || sep == ':' && sc.at(i+1) == '/' {
		return 0, 0, false
	}
	i++
	if sep == '=' && sc.at(i) == '>' {
		i++
	}
	spaced := sc.at(i) == ' '
	i = sc.skip(i, " ", 2)
	if q := sc.at(i); q == '"' || q == '\'' || q == '`' {
		if n := strings.IndexByte(sc.s[i+1:min(len(sc.s), i+258)], q); n > 0 {
			return i + 1, i + 1 + n, false
		}
		return 0, 0, false
	}
	end = sc.until(i, "&\"'<>`", 256)
	for end > i && strings.IndexByte(".,;:)]}!?", sc.s[end-1]) >= 0 && (sc.s[end-1] != '!' && sc.s[end-1] != '?' || spaced && sc.at(end) <= ' ' && sc.at(end) != 0) {
		end--
	}
	return i, end, spaced && sep == ':'
}

// mixed reports whether a value has digits or symbols among its letters, as
// passwords have and the words of a sentence don't.
func mixed(v string) bool {
	other := false
	for i := range len(v) {
		c := v[i]
		if isDigit(c) || strings.IndexByte("!@#$%^&*_+=~?", c) >= 0 {
			other = true
		}
	}
	return other
}

// secret handles the name of a secret.
func (sc *scanner) secret(_, j int) int {
	start, end, prose := sc.value(j)
	if start == 0 {
		return 0
	}
	v := sc.s[start:end]
	if len(v) < 3 || placeholder(v) || strings.Contains(v, "(") || prose && (len(v) < 5 || !mixed(v)) {
		return 0
	}
	return sc.add(Secret, start, end, v)
}

// token handles a name whose value is a secret when it looks random.
func (sc *scanner) token(_, j int) int {
	start, end, _ := sc.value(j)
	if start == 0 {
		return 0
	}
	v := sc.s[start:end]
	if !random(v, 8) || placeholder(v) {
		return 0
	}
	return sc.add(Token, start, end, v)
}

// random reports whether v has at least n characters of those that tokens are
// written in, and a digit.
func random(v string, n int) bool {
	digit := false
	for i := range len(v) {
		c := v[i]
		if !isDigit(c) && !isUpper(c) && !isLower(c) && strings.IndexByte("._~+/=%-", c) < 0 {
			return false
		}
		digit = digit || isDigit(c)
	}
	return digit && len(v) >= n
}

// scheme handles the name of an HTTP authentication scheme: a token follows
// (RFC 9110 §11.4).
func (sc *scanner) scheme(i, j int) int {
	if sc.at(j) != ' ' || !isWord(sc.at(j+1)) {
		return 0
	}
	end := sc.until(j+1, "\"',;<>", 4096)
	v := sc.s[j+1 : end]
	if sc.has(i, "basic") {
		plain, err := base64.StdEncoding.DecodeString(v)
		if err != nil || !strings.Contains(string(plain), ":") {
			return 0
		}
	} else if !random(v, 20) {
		return 0
	}
	return sc.add(Secret, j+1, end, v)
}

// authorization handles the header of this name (RFC 9110 §11.6.2).
func (sc *scanner) authorization(_, j int) int {
	start, end, _ := sc.value(j)
	if start == 0 {
		return 0
	}
	for _, scheme := range [...]string{"bearer", "basic", "digest", "negotiate", "ntlm", "token"} {
		if strings.EqualFold(sc.s[start:end], scheme) {
			start = sc.skip(end, " ", 2)
			end = sc.until(start, "\"',;<>", 8192)
		}
	}
	v := sc.s[start:end]
	if len(v) < 8 || placeholder(v) || !random(v, 8) && !strings.ContainsAny(v, "=") {
		return 0
	}
	return sc.add(Secret, start, end, v)
}

// cookie handles the headers Cookie and Set-Cookie (RFC 6265 §4): the rest of
// the line when it has a value that could be a session's.
func (sc *scanner) cookie(_, j int) int {
	if sc.at(j) != ':' || j < sc.tried {
		return 0
	}
	start := sc.skip(j+1, " ", 2)
	end := start
	for end < len(sc.s) && end-start < 4096 && sc.s[end] >= ' ' && sc.s[end] != '"' && sc.s[end] != '\'' {
		end++
	}
	sc.tried = end
	line := sc.s[start:end]
	if strings.ContainsAny(line, "<>{}%") {
		return 0
	}
	for pair := range strings.SplitSeq(line, ";") {
		if _, v, ok := strings.Cut(pair, "="); ok && random(strings.TrimSpace(v), 8) {
			return sc.add(Secret, start, end, line)
		}
	}
	return 0
}

// privateKey handles BEGIN of a PEM private key (RFC 7468 §10) or of an OpenPGP
// one.
func (sc *scanner) privateKey(i, j int) int {
	start := i
	for start > sc.floor && sc.s[start-1] == '-' && i-start < 5 {
		start--
	}
	head := sc.s[j:min(len(sc.s), j+40)]
	algorithm, _, found := strings.Cut(head, "PRIVATE KEY")
	if i-start < 4 || !found || strings.Contains(algorithm, "-") {
		return 0
	}
	// Without an end, everything that follows may be the key.
	end := len(sc.s)
	if n := strings.Index(sc.s[j:], "-----END"); n >= 0 {
		end = sc.until(j+n+len("-----END"), "", 0)
		if n := strings.Index(sc.s[end:min(len(sc.s), end+40)], "-----"); n >= 0 {
			end += n + 5
		}
	}
	return sc.add(Secret, start, end, "private key "+sc.s[start:end])
}

// opaque handles a long word: a credential in a form that says so, or
// something encoded.
func (sc *scanner) opaque(i, j int) int {
	w := sc.s[i:j]
	switch {
	case strings.HasPrefix(w, "eyJ") && sc.at(j) == '.':
		return sc.webToken(i, j)
	case len(w) == 20 && (strings.HasPrefix(w, "AKIA") || strings.HasPrefix(w, "ASIA")) && allCapitals(w):
		return sc.add(Secret, i, j, w)
	case len(w) >= 36 && (strings.HasPrefix(w, "ghp_") || strings.HasPrefix(w, "gho_") || strings.HasPrefix(w, "ghs_") ||
		strings.HasPrefix(w, "ghu_") || strings.HasPrefix(w, "github_pat_")),
		len(w) >= 24 && (strings.HasPrefix(w, "sk_live_") || strings.HasPrefix(w, "rk_live_")):
		return sc.add(Secret, i, j, w)
	case len(w) >= 35 && strings.HasPrefix(w, "AIza"):
		end := sc.until(j, "\"'&;,<>()[]{}.:/\\?#=", 8)
		return sc.add(Secret, i, end, sc.s[i:end])
	case len(w) >= 8 && sc.at(i-1) == '-' && (sc.has(i-5, "xoxb-") || sc.has(i-5, "xoxp-") || sc.has(i-5, "xoxa-")):
		return sc.add(Secret, i, sc.label(i), w)
	}
	if sc.nested {
		return 0
	}
	return sc.encoded(i, j)
}

func allCapitals(w string) bool {
	for i := range len(w) {
		if !isUpper(w[i]) && !isDigit(w[i]) {
			return false
		}
	}
	return true
}

// webToken handles eyJ…: a JSON Web Token (RFC 7519) is three such runs with
// dots between.
func (sc *scanner) webToken(i, j int) int {
	end, dots := j, 0
	for end < len(sc.s) {
		c := sc.s[end]
		if c == '.' && dots < 2 {
			dots++
		} else if !isDigit(c) && !isUpper(c) && !isLower(c) && c != '_' && c != '-' {
			break
		}
		end++
	}
	if dots < 2 || end-j < 12 {
		return 0
	}
	return sc.add(Secret, i, end, sc.s[i:end])
}

// encoded looks into base64 text: a number or an address that was encoded is
// still one. Only text that decodes to text is looked at, which no program is.
func (sc *scanner) encoded(i, j int) int {
	if i < sc.tried {
		return 0
	}
	end := j
	for end < len(sc.s) && (isWord(sc.s[end]) && sc.s[end] < 0x80 || sc.s[end] == '+' || sc.s[end] == '/' || sc.s[end] == '-') {
		end++
	}
	sc.tried = end
	w := sc.s[i:end]
	var head [3]byte
	if n, err := base64.StdEncoding.Decode(head[:], []byte(w[:4])); n < 3 || err != nil || !printable(head[:]) && (head[1] != 0 || !printable(head[:1]) || !printable(head[2:])) {
		return 0
	}
	content, err := base64.RawStdEncoding.DecodeString(w)
	if err != nil {
		content, err = base64.RawURLEncoding.DecodeString(w)
	}
	if err != nil {
		return 0
	}
	want, plain := sc.want&Of(Card, IBAN, SSN, Email), string(content)
	if head[1] == 0 { // UTF-16, as PowerShell's -EncodedCommand takes its command
		var ok bool
		if plain, ok = Text(content); !ok {
			return 0
		}
		want |= sc.want & Of(Secret, UserName, Host)
	} else if !printable(content) {
		return 0
	}
	inner := scanner{d: sc.d, s: plain, want: want, nested: true}
	inner.ssn, inner.victim = near1(sc.ssn, i), 0
	inner.scan()
	inner.out = slices.DeleteFunc(inner.out, func(sp Span) bool { return sp.Attacker })
	if len(inner.out) == 0 {
		return 0
	}
	for sc.at(end) == '=' {
		end++
	}
	first := inner.out[0]
	if sc.add(first.Kind, i, end, first.Value) == 0 {
		return 0
	}
	// A command is masked as a whole for what is in the middle of it: a person may
	// want it back.
	sc.out[len(sc.out)-1].Unsure = head[1] == 0
	return end
}

// near1 carries a cue that stands right before encoded text into it.
func near1(mark, i int) int {
	if near(mark, i) {
		return 1
	}
	return 0
}

func printable(text []byte) bool {
	for _, c := range text {
		if (c < ' ' || c > '~') && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}

// option handles the options with which commands take passwords: curl -u
// user:secret, mysql -psecret, net user jane secret, --password secret.
func (sc *scanner) option(i, j int) int {
	switch {
	case sc.at(i-1) == '-' && sc.at(i-2) == '-' && sc.at(j) == ' ' && sc.d.cues[strings.ToLower(sc.s[i:j])]&cueSecret != 0: // --password secret
		return sc.argument(j + 1)
	case j-i == 1 && sc.s[i] == 'u' && sc.at(i-1) == '-' && sc.at(i-2) <= ' ' && sc.at(j) == ' ': // -u user:secret
		end := sc.until(j+1, "\"'", 128)
		user, secret, found := strings.Cut(strings.TrimLeft(sc.s[j+1:end], "\"'"), ":")
		if found && len(user) > 0 && len(secret) > 2 && !placeholder(secret) && !strings.Contains(secret, "//") && !strings.Contains(user, "%") {
			return sc.add(Secret, j+1, end, sc.s[j+1:end])
		}
	case j-i > 4 && sc.s[i] == 'p' && sc.at(i-1) == '-' && sc.at(i-2) == ' ' && strings.Contains(strings.ToLower(sc.s[max(0, i-96):i]), "mysql"): // -psecret
		end := sc.until(i+1, "\"'", 64)
		if v := sc.s[i+1 : end]; mixed(v) && !placeholder(v) {
			return sc.add(Secret, i+1, end, v)
		}
	case j-i <= 2 && (sc.s[i:j] == "p" || sc.s[i:j] == "pw") && sc.at(i-2) <= ' ' && sc.at(j) == ' ' && sc.remote(i): // psexec -p secret
		return sc.argument(j + 1)
	}
	return 0
}

// remote reports whether the command before i is one that takes a password
// with -p or -pw.
func (sc *scanner) remote(i int) bool {
	before := strings.ToLower(sc.s[max(0, i-96):i])
	for _, command := range [...]string{"psexec", "sshpass", "plink", "pscp", "crackmapexec", "netexec", "evil-winrm", "winexe"} {
		if strings.Contains(before, command) {
			return true
		}
	}
	return false
}

// argument records the word at i as a secret.
func (sc *scanner) argument(i int) int {
	if q := sc.at(i); q == '"' || q == '\'' {
		if n := strings.IndexByte(sc.s[i+1:min(len(sc.s), i+130)], q); n > 2 && !placeholder(sc.s[i+1:i+1+n]) {
			return sc.add(Secret, i+1, i+1+n, sc.s[i+1:i+1+n])
		}
		return 0
	}
	end := sc.until(i, "\"'", 128)
	if v := sc.s[i:end]; len(v) > 2 && v[0] != '-' && !placeholder(v) && mixed(v) {
		return sc.add(Secret, i, end, v)
	}
	return 0
}

// netUser handles net user jane secret /add: an account and its password.
func (sc *scanner) netUser(i, j int) int {
	if !sc.has(i-len("net "), "net ") || sc.at(j) != ' ' {
		return 0
	}
	end := sc.until(j+1, "\"'", 64)
	name := sc.s[j+1 : end]
	if name == "" || name[0] == '/' || placeholder(name) || sc.d.accounts[strings.ToLower(name)] {
		return 0
	}
	if sc.at(end) == ' ' && sc.at(end+1) != '/' {
		stop := sc.until(end+1, "\"'", 64)
		if v := sc.s[end+1 : stop]; mixed(v) && !placeholder(v) {
			sc.add(UserName, j+1, end, strings.ToLower(name))
			return sc.add(Secret, end+1, stop, v)
		}
	}
	return 0
}

package detect

import "strings"

// home handles the name of the folder that holds users' folders, s[i:j]:
// C:\Users\jane, /home/jane, \Documents and Settings\jane.
func (sc *scanner) home(i, j int) int {
	sep := sc.at(j)
	if sep != '\\' && sep != '/' {
		return 0
	}
	before := sc.at(i - 1)
	if sc.has(i, "settings") {
		if !sc.has(i-len("documents and "), "documents and ") {
			return 0
		}
	} else if sc.has(i, "einstellungen") {
		if !sc.has(i-len("dokumente und "), "dokumente und ") {
			return 0
		}
	} else if before != '\\' && before != '/' {
		return 0
	}
	spool := false
	switch {
	case sc.has(i, "mail") && j-i == len("mail"):
		if !sc.has(i-len("/var/"), "/var/") && !sc.has(i-len("/spool/"), "/spool/") {
			return 0
		}
		spool = true
	case sc.has(i, "crontabs"):
		if !sc.has(i-len("/cron/"), "/cron/") {
			return 0
		}
		spool = true
	}
	// In a URL, /home/ is a page: a path starts a word.
	if sep == '/' && before == '/' && !spool {
		if c := sc.at(i - 2); isWord(c) || c == '.' || c == '-' || c == '}' || c == '>' || c == '*' || c == '/' && sc.at(i-3) != '/' {
			return 0
		}
	}
	k := j
	for sc.at(k) == sep && k-j < 4 {
		k++
	}
	end := sc.until(k, "\\/\"'<>:|?*;,()[]{}&`", 64)
	if sep == '\\' && sc.at(end) == ' ' {
		end = sc.spaced(k, end)
	}
	for end > k && (sc.s[end-1] == '.' || sc.s[end-1] == '!') {
		end--
	}
	user := strings.ToLower(sc.s[k:end])
	if end == k || end-k >= 64 || placeholder(user) || sc.d.accounts[user] || strings.HasPrefix(user, "admini~") {
		return 0
	}
	if sc.add(UserName, k, end, user) == 0 {
		return 0
	}
	// The path of a malware's debug symbols is on its author's machine.
	rest := sc.s[k:sc.until(k, "\"'<>|;,", 260)]
	sc.out[len(sc.out)-1].Attacker = len(rest) > 4 && strings.EqualFold(strings.TrimRight(rest, ".)")[max(0, len(strings.TrimRight(rest, ".)"))-4):], ".pdb")
	return end
}

// spaced extends a user's folder over the spaces in its name: C:\Users\Jane Doe\.
func (sc *scanner) spaced(start, end int) int {
	k := end
	for words := 1; words <= 2 && sc.at(k) == ' ' && isUpper(sc.at(k+1)) && k-start < 32; words++ {
		k = sc.until(k+1, "\\/\"'<>:|?*;,.()", 32)
		if sc.at(k) == '\\' {
			return k
		}
	}
	return end
}

// user handles the name of a parameter, or a word, before an account name.
func (sc *scanner) user(i, j int) int {
	if sc.at(j) == ' ' && isWord(sc.at(j+1)) { // user jsmith42
		end := sc.until(j+1, "\"'<>:;,()[]{}/=&@", 64)
		for end > j+1 && sc.s[end-1] == '.' {
			end--
		}
		if v := sc.s[j+1 : end]; (login(v) || sc.d.Personal(v)) && !sc.d.accounts[strings.ToLower(v)] {
			return sc.add(UserName, j+1, end, strings.ToLower(v))
		}
		if sc.has(j, " name: ") || sc.has(j, " name=") {
			j += len(" name")
		}
	}
	start, end, prose := sc.value(j)
	if start == 0 {
		return 0
	}
	if n := strings.IndexAny(sc.s[start:end], "@;,()[]"); n >= 0 {
		end = start + n
	}
	v := strings.ToLower(sc.s[start:end])
	if n := strings.LastIndexByte(v, '\\'); n >= 0 { // DOMAIN\user
		v = v[n+1:]
	}
	if len(v) < 2 || placeholder(sc.s[start:end]) || sc.d.accounts[v] || sc.at(end) == '(' || sc.at(end) == '@' || numeric(v) {
		return 0
	}
	if (prose || !sc.has(i, "user")) && !login(v) && !sc.d.Personal(v) {
		return 0
	}
	e := sc.add(UserName, start, end, v)
	if sc.at(i-1) == '/' && sc.at(j) == ':' && sc.at(end) == ' ' { // /user:CORP\jane secret
		e = max(e, sc.argument(end+1))
	}
	return e
}

func numeric(v string) bool {
	for i := range len(v) {
		if !isDigit(v[i]) {
			return false
		}
	}
	return true
}

// login reports whether a word looks like an account name and like nothing
// else: at least three letters, in lower case, with a dot or an underscore among
// them or one to four digits after them.
func login(v string) bool {
	if len(v) < 5 || len(v) > 32 || !isLower(v[0]) {
		return false
	}
	letters, digits, marks := 0, 0, 0
	for i := range len(v) {
		switch c := v[i]; {
		case isLower(c):
			if digits > 0 {
				return false
			}
			letters++
		case isDigit(c):
			digits++
		case c == '.' && i < len(v)-1 && digits == 0:
			marks++
		default:
			return false
		}
	}
	if letters < 3 || digits > 4 {
		return false
	}
	if marks > 0 { // jane.doe, but not evil.exe or corp.example
		dot := strings.LastIndexByte(v, '.')
		return marks == 1 && dot >= 1 && len(v)-dot > 4 && digits > 0
	}
	return digits > 0
}

// logIn handles password and the names of other ways to prove who one is, as
// they stand in an authentication log: "Failed password for jane from 192.0.2.1".
func (sc *scanner) login(_, j int) int {
	k := j
	switch {
	case sc.has(k, " for "):
		k += len(" for ")
	default:
		return 0
	}
	for _, words := range [...]string{"invalid user ", "illegal user ", "user "} {
		if sc.has(k, words) {
			k += len(words)
		}
	}
	end := sc.until(k, "\"'<>:;,()[]{}", 64)
	v := strings.ToLower(sc.s[k:end])
	if len(v) < 2 || !sc.has(end, " from ") || sc.d.accounts[v] || placeholder(v) {
		return 0
	}
	return sc.add(UserName, k, end, v)
}

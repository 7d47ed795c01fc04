package detect

import (
	"net/netip"
	"strings"
	"unicode/utf8"
)

// backslash handles a backslash at i: \\host\share (MS-DTYP §2.2.57) or
// DOMAIN\user.
func (sc *scanner) backslash(i int) int {
	if sc.at(i-1) == '\\' {
		return 0
	}
	k := i
	for sc.at(k) == '\\' && k-i < 4 {
		k++
	}
	switch k - i {
	case 1:
		return sc.domainUser(i)
	case 2, 4:
		if c := sc.at(i - 1); isWord(c) || c == ':' || !sc.want.Has(Host) {
			return 0
		}
		return sc.share(i, k)
	}
	return 0
}

// share records \\host\share, the beginning of which is at i and whose host's
// name is at k.
func (sc *scanner) share(i, k int) int {
	end := sc.hostEnd(k)
	name := strings.ToLower(sc.s[k:end])
	if end-k < 2 || sc.at(end) != '\\' || placeholder(name) {
		return 0
	}
	switch name {
	case "server", "host", "hostname", "target", "computer", "computername", "machine", "remote", "remotehost", "servername", "localhost", "share", "ip", "dc", "victim",
		"wsl", "tsclient", "system", "domain", "microsoft", "wow6432node":
		return 0
	}
	if a, err := netip.ParseAddr(name); err == nil && !a.IsPrivate() {
		return 0
	}
	stop := sc.skip(end, "\\", 2)
	for stop < len(sc.s) && stop-end < 64 && (isWord(sc.s[stop]) || sc.s[stop] == '$' || sc.s[stop] == '-') {
		stop++
	}
	switch strings.ToLower(strings.TrimLeft(sc.s[end:stop], `\`)) { // shares that every system has say nothing
	case "admin$", "c$", "d$", "ipc$", "print$", "sysvol", "netlogon", "pipe":
		return sc.host(k, end)
	}
	if stop == end || sc.s[stop-1] == '\\' {
		return 0
	}
	if !strings.Contains(name, ".") {
		return sc.host(i, stop)
	}
	if sc.internal(name) || strings.Trim(name, "0123456789.") == "" {
		return sc.host(i, stop)
	}
	return 0 // a server on the internet, as WebDAV lures have
}

// hostEnd returns the end of the host's name at i.
func (sc *scanner) hostEnd(i int) int {
	k := i
	for k < len(sc.s) && k-i < 100 && (isWord(sc.s[k]) && sc.s[k] < utf8.RuneSelf || sc.s[k] == '-' || sc.s[k] == '.' && isWord(sc.at(k+1))) {
		k++
	}
	return k
}

// host records the name of a machine of the victim's.
func (sc *scanner) host(start, end int) int {
	attacker := sc.attackers(start)
	if sc.add(Host, start, end, strings.ToLower(sc.s[start:end])) == 0 {
		return 0
	}
	sc.out[len(sc.out)-1].Attacker = attacker
	return end
}

// internal reports whether a name, in lower case, ends as names do that no
// resolver on the internet knows (RFC 6762 appendix G; ICANN on .internal).
func (sc *scanner) internal(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	return len(last) < len(name) && sc.d.cues[last]&cueInternal != 0
}

// suffix handles a word with which names of internal hosts end: fs01.corp.local.
func (sc *scanner) suffix(i, j int) int {
	if sc.at(i-1) != '.' || sc.at(j) == '.' && isWord(sc.at(j+1)) || sc.at(j) == '-' || sc.at(j) == '(' {
		return 0
	}
	start := i
	for start > sc.floor && i-start < 100 && (isWord(sc.s[start-1]) && sc.s[start-1] < utf8.RuneSelf || sc.s[start-1] == '-' || sc.s[start-1] == '.') {
		start--
	}
	name := sc.s[start:j]
	switch c := sc.at(start - 1); {
	case name[0] == '.' || name[0] == '-' || name[0] == '_' || c == '@' || c == '$' || c == '~':
		return 0
	case (c == '/' || c == '\\') && sc.at(start-2) != c: // a file
		return 0
	}
	low := strings.ToLower(name)
	labels := strings.Split(low, ".")
	if labels[0] == "" || strings.HasSuffix(low, "cluster.local") || sc.d.samples[low] {
		return 0
	}
	for k := 1; k < len(name); k++ { // Microsoft.Internal is a program's
		if isLower(name[k]) && isUpper(name[k-1]) {
			return 0
		}
	}
	unsure := false
	if len(labels) == 2 {
		switch labels[0] {
		case "rc", "env", "settings", "config", "php", "hosts", "yarn", "usr", "user", "my", "java", "contoso", "domain", "example":
			return 0
		}
		unsure = true
	}
	end := sc.host(start, j)
	if unsure {
		sc.unsure(end)
	}
	return end
}

// machine handles a word that names of machines have in them: DESKTOP-4Q2P1MX,
// HR-LAPTOP-0412.
func (sc *scanner) machine(i, j int) int {
	if sc.at(j) != '-' && sc.at(i-1) != '-' {
		return 0
	}
	start, end := i, j
	for start > sc.floor && i-start < 16 && (isUpper(sc.s[start-1]) || isDigit(sc.s[start-1]) || sc.s[start-1] == '-') {
		start--
	}
	for end < len(sc.s) && end-j < 16 && (isUpper(sc.s[end]) || isDigit(sc.s[end]) || sc.s[end] == '-') {
		end++
	}
	name := strings.Trim(sc.s[start:end], "-")
	if len(name) != end-start || len(name) < 6 || len(name) > 20 || !allCapitals(strings.ReplaceAll(name, "-", "")) || isWord(sc.at(end)) || isWord(sc.at(start-1)) || sc.at(start-1) == '.' {
		return 0
	}
	tail := name[strings.LastIndexByte(name, '-')+1:]
	if strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == "" && len(tail) < 7 { // no digit: REMOTE-DESKTOP-GATEWAY
		return 0
	}
	return sc.host(start, end)
}

// hostname handles a word before a machine's name: host WS-FIN-042.
func (sc *scanner) hostname(_, j int) int {
	k := j
	for _, w := range [...]string{" name", " named", " called"} {
		if sc.has(k, w) {
			k += len(w)
			break
		}
	}
	k = sc.skip(k, " :=\"'(", 3)
	if k == j {
		return 0
	}
	end := k
	for end < len(sc.s) && end-k < 24 && (isUpper(sc.s[end]) || isLower(sc.s[end]) || isDigit(sc.s[end]) || sc.s[end] == '-') {
		end++
	}
	name := sc.s[k:end]
	if len(name) < 5 || len(name) > 20 || isWord(sc.at(end)) || sc.at(end) == '.' && isWord(sc.at(end+1)) || sc.at(end) == '/' || sc.at(end) == '(' {
		return 0
	}
	digits, upper, lower, hyphens := 0, 0, 0, 0
	for n := range len(name) {
		switch c := name[n]; {
		case isDigit(c):
			digits++
		case isUpper(c):
			upper++
		case c == '-':
			hyphens++
		default:
			lower++
		}
	}
	if hyphens == 0 && digits < 2 || upper+lower == 0 || upper > 0 && lower > 0 || digits == 0 && (upper == 0 || hyphens < 1) || name[len(name)-1] == '-' || name[0] == '-' {
		return 0
	}
	for _, other := range [...]string{"cve-", "sha-", "sha1", "sha2", "md5", "aes", "ms1", "ms0", "tls", "ssl", "sql", "iis", "apt", "unc", "ta5", "fin", "http", "base64", "rc4", "ipv", "win32", "x86", "utf", "smbv", "port", "kb"} {
		if strings.HasPrefix(strings.ToLower(name), other) {
			return 0
		}
	}
	return sc.unsure(sc.host(k, end))
}

// private handles the first number of an address, s[i:j], that no route on the
// internet leads to (RFC 1918). Whole networks and versions stay.
func (sc *scanner) private(i, j int) int {
	if first := sc.s[i:j]; first != "10" && first != "172" && first != "192" || sc.at(j) != '.' || !sc.want.Has(Internal) {
		return 0
	}
	end, dots := j, 0
	for end < len(sc.s) && end-i < 16 && (isDigit(sc.s[end]) || sc.s[end] == '.' && isDigit(sc.at(end+1))) {
		if sc.s[end] == '.' {
			dots++
		}
		end++
	}
	if dots != 3 || isWord(sc.at(end)) || sc.at(end) == '/' || sc.at(end) == '-' || sc.at(end) == '*' || sc.at(i-1) == '/' && sc.at(i-2) != '/' && isWord(sc.at(i-2)) || isWord(sc.at(i-1)) {
		return 0
	}
	a, err := netip.ParseAddr(sc.s[i:end])
	if err != nil || !a.IsPrivate() || strings.HasSuffix(sc.s[i:end], ".0") || strings.HasSuffix(sc.s[i:end], ".255") {
		return 0
	}
	for _, everybodys := range [...]string{"192.168.0.", "192.168.1.", "10.0.0."} { // what every home and every manual has
		if strings.HasPrefix(sc.s[i:end], everybodys) {
			return 0
		}
	}
	switch strings.TrimRight(sc.wordBefore(i), "0123456789") {
	case "version", "v", "build", "release", "ver", "update", "versions":
		return 0
	}
	attacker := sc.attackers(i)
	if sc.add(Internal, i, end, sc.s[i:end]) == 0 {
		return 0
	}
	sc.out[len(sc.out)-1].Attacker = attacker
	return sc.unsure(end)
}

// domainUser handles the backslash of CORP\jane.
func (sc *scanner) domainUser(i int) int {
	if !sc.want.Has(UserName) || !isWord(sc.at(i+1)) {
		return 0
	}
	start := i
	for start > sc.floor && i-start < 16 && (isUpper(sc.s[start-1]) || isDigit(sc.s[start-1]) || sc.s[start-1] == '-') {
		start--
	}
	domain := sc.s[start:i]
	if c := sc.at(start - 1); len(domain) < 2 || isDigit(domain[0]) || isWord(c) || c == '\\' || c == '%' || c == '-' || c == '$' || strings.HasPrefix(domain, "HK") {
		return 0
	}
	end := i + 1
	for end < len(sc.s) && end-i < 40 && (isWord(sc.s[end]) || sc.s[end] == '.' && isWord(sc.at(end+1)) || sc.s[end] == '-') {
		end++
	}
	user := strings.ToLower(sc.s[i+1 : end])
	if sc.at(end) == '\\' || sc.at(end) == '$' || len(user) < 3 || sc.d.accounts[user] || placeholder(user) {
		return 0
	}
	switch domain {
	case "AUTHORITY", "BUILTIN", "SERVICE", "SYSTEM", "SOFTWARE", "IIS", "APPPOOL", "SAM", "SECURITY":
		return 0
	}
	sure := login(user) || sc.d.Personal(user)
	if !sure && (!isLower(sc.s[i+1]) || strings.ContainsAny(user, "_-") || sc.d.sortOf(user)&ordinary != 0) || strings.HasSuffix(user, ".exe") || strings.HasSuffix(user, ".dll") {
		return 0
	}
	if sc.add(UserName, i+1, end, user) == 0 {
		return 0
	}
	sc.out[len(sc.out)-1].Unsure = !sure
	sc.out[len(sc.out)-1].Attacker = sc.attackers(start)
	return end
}

// Personal reports whether an account's name, in lower case, is made of a
// person's: jdoe, jane.doe, janedoe.
func (d *Detector) Personal(account string) bool {
	if len(account) < 5 || len(account) > 32 || d.accounts[account] || d.noName[account] {
		return false
	}
	account = strings.TrimRight(account, "0123456789")
	is := func(word string, want sort) bool {
		s := d.sortOf(word)
		return len(word) >= 3 && s&want != 0 && s&(ordinary|placed) == 0
	}
	for _, mark := range [...]string{".", "_"} {
		if first, last, ok := strings.Cut(account, mark); ok {
			if len(first) == 1 || len(last) == 1 {
				return isLower(account[0]) && (is(first, given|family) || is(last, given|family))
			}
			return d.sortOf(first)&given != 0 && is(last, given|family) || is(first, given) && d.sortOf(last)&family != 0 ||
				is(first, given|family) && d.sortOf(last)&ordinary == 0 && len(last) > 3
		}
	}
	for n := range len(account) {
		if !isLower(account[n]) {
			return false
		}
	}
	if d.sortOf(account)&ordinary != 0 || len(account) < 5 {
		return false
	}
	if len(account) >= 6 && is(account[1:], family) {
		return true
	}
	for n := 3; n+4 <= len(account) && n < 12; n++ {
		if is(account[:n], given) && is(account[n:], family) {
			return true
		}
	}
	return false
}

// OnlyName reports whether a word, in lower case, is hardly anything but a
// part of somebody's name: no word, no place, nothing that the rules know.
func (d *Detector) OnlyName(word string) bool {
	s, never := d.classify(word)
	return !never && !d.noLone[word] && !d.accounts[word] && s&(ordinary|placed) == 0
}

// FindNamed looks at the short value of a property by the property's name: what
// x_last_user or AccountName holds is an account, whatever it looks like.
func (d *Detector) FindNamed(name, text string, want Set) []Span {
	name = strings.ToLower(name)
	cue := name[strings.LastIndexAny(name, "_-. ")+1:]
	c := d.cues[cue]
	if strings.HasSuffix(cue, "name") && c == 0 {
		c = d.cues[strings.TrimSuffix(cue, "name")]
	}
	if cue == "name" { // contact_name, user_name
		c = d.cues[name[strings.LastIndexAny(name[:max(0, len(name)-len("_name"))], "_-. ")+1:max(0, len(name)-len("_name"))]]
	}
	sc := scanner{d: d, s: text, want: want}
	account := strings.ToLower(text[strings.LastIndexByte(text, '\\')+1:])
	switch end := sc.hostEnd(0); {
	case placeholder(text) || numeric(text):
	case c&cueHost != 0 && want.Has(Host) && end == len(text) && !strings.Contains(text, ".") && strings.ContainsAny(text, "0123456789-"):
		return []Span{{End: end, Kind: Host, Value: strings.ToLower(text), Unsure: true}}
	case c&(cueUser|cuePerson) != 0 && want.Has(Name) && strings.Contains(text, " ") && sc.nameAt(0, false) == len(text):
		return []Span{{End: len(text), Kind: Name, Value: strings.ToLower(text), Unsure: true}}
	case c&cueUser != 0 && want.Has(UserName) && !strings.ContainsAny(text, " /:@<>=") && !d.accounts[account] && (login(account) || d.Personal(account)):
		return []Span{{End: len(text), Kind: UserName, Value: account, Unsure: true}}
	}
	return nil
}

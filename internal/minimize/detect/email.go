package detect

import "strings"

// isLocal reports whether c may stand in the local part of an e-mail address
// that people use. RFC 5321 allows more, but = & ? / separate an address from a
// query, and quotes and braces from prose and code.
func isLocal(c byte) bool {
	return isWord(c) || c == '.' || c == '+' || c == '-' || c == '\''
}

// email looks for an address around an at sign s[at:after].
func (sc *scanner) email(at, after int) int {
	if !sc.want.Has(Email) {
		return 0
	}
	end := at
	if open, shut := sc.at(at-1), sc.at(after); open == '[' && shut == ']' || open == '(' && shut == ')' {
		end, after = at-1, after+1
	}
	return sc.address(end, after, false)
}

// spelledAt handles the word at, s[i:j], as a disguised at sign: jane[at]corp.example,
// jane (at) corp (dot) example, jane at corp dot example.
func (sc *scanner) spelledAt(i, j int) int {
	open, shut := sc.at(i-1), sc.at(j)
	if open == '[' && shut == ']' || open == '(' && shut == ')' || open == '{' && shut == '}' {
		end, after := i-1, j+1
		if sc.at(end-1) == ' ' {
			end--
		}
		if sc.at(after) == ' ' {
			after++
		}
		return sc.address(end, after, true)
	}
	if open == ' ' && shut == ' ' {
		k := sc.label(j + 1)
		if k > j+1 && sc.has(k, " dot ") {
			return sc.address(i-1, j+1, true)
		}
	}
	return 0
}

// address records the address whose local part ends at end and whose domain
// begins at after.
func (sc *scanner) address(end, after int, spelled bool) int {
	start := end
	for start > sc.floor && end-start < 64 && isLocal(sc.s[start-1]) {
		start--
	}
	// %3Djane: the escape before is no part of the address.
	if sc.at(start-1) == '%' && isHex(sc.at(start)) && isHex(sc.at(start+1)) && end-start > 2 {
		start += 2
	}
	for start < end && strings.IndexByte(".'-+", sc.s[start]) >= 0 {
		start++
	}
	if start == end || sc.s[end-1] == '.' {
		return 0
	}
	stop, domain := sc.domain(after, spelled)
	if stop == 0 {
		return 0
	}
	local := strings.ToLower(sc.s[start:end])
	if sc.d.roles[local] || sc.d.samples[domain] || local == "git" && sc.at(stop) == ':' {
		return stop
	}
	// A message's id has the form of an address and is the sender's program's.
	if k := max(start-16, 0); strings.Contains(strings.ToLower(sc.s[k:start]), "message-id") {
		return stop
	}
	// invoice.pdf.{contact@example.com}.locked: how ransomware names files.
	if open, shut := sc.at(start-1), sc.at(stop); (open == '{' && shut == '}' || open == '[' && shut == ']') &&
		sc.at(stop+1) == '.' && isWord(sc.at(stop+2)) {
		sc.attacker = start
	}
	return sc.addPersonal(Email, start, stop, local+"@"+domain)
}

// label returns the end of the domain label at i.
func (sc *scanner) label(i int) int {
	k := i
	for k < len(sc.s) && k-i < 64 && (isWord(sc.s[k]) || sc.s[k] == '-') {
		k++
	}
	return k
}

// dots are how people write the dot of a domain so that it is no link.
func dots() [10]string {
	return [10]string{".", "[.]", "(.)", "{.}", "[dot]", "(dot)", "{dot}", " [dot] ", " (dot) ", " dot "}
}

// domain reads a domain name of at least two labels at i. It returns its end, 0
// when there is none, and the name.
func (sc *scanner) domain(i int, spelled bool) (int, string) {
	var name strings.Builder
	last, labels, end := "", 0, 0
	for i-end < 64 || labels == 0 {
		k := sc.label(i)
		for k > i && sc.s[k-1] == '-' {
			k--
		}
		if k == i || labels > 20 {
			break
		}
		if labels > 0 {
			name.WriteByte('.')
		}
		last = strings.ToLower(sc.s[i:k])
		name.WriteString(last)
		labels, end = labels+1, k
		next := 0
		for n, dot := range dots() {
			if sc.has(k, dot) && (n < 9 || spelled) {
				next = k + len(dot)
				break
			}
		}
		if next == 0 || next >= len(sc.s) || !isWord(sc.s[next]) {
			break
		}
		i = next
	}
	if labels < 2 || !topLevel(last) {
		return 0, ""
	}
	return end, name.String()
}

// topLevel reports whether a label may be a top-level domain: letters only, or
// an internationalized one.
func topLevel(label string) bool {
	if strings.HasPrefix(label, "xn--") {
		return true
	}
	if len(label) < 2 || len(label) > 24 {
		return false
	}
	for i := range len(label) {
		if c := label[i]; isDigit(c) || c == '_' || c == '-' {
			return false
		}
	}
	// logo@2x.png, photo@99A0CD.pdf
	switch label {
	case "pdf", "png", "jpg", "jpeg", "gif", "svg", "ico", "webp", "bmp", "exe", "dll", "bin", "dat", "doc", "docx", "xls", "xlsx",
		"html", "htm", "php", "asp", "aspx", "jsp", "txt", "js", "css", "xml", "json", "rar", "lnk", "vbs", "bat":
		return false
	}
	return true
}

// authority handles what follows :// at i: it takes the user information out
// of the way before it can be mistaken for an e-mail address.
func (sc *scanner) authority(i int) int {
	end := sc.until(i, "/?#\"'<>\\@", 256)
	if sc.at(end) != '@' || end == i {
		return 0
	}
	user, password, found := strings.Cut(sc.s[i:end], ":")
	switch {
	case found && password != "" && !placeholder(password):
		if sc.add(Secret, i, end, sc.s[i:end]) == 0 {
			return 0
		}
	case !found && !strings.Contains(user, ".") && !sc.d.accounts[strings.ToLower(user)] && !placeholder(user) && user != "git":
		if sc.add(UserName, i, end, strings.ToLower(user)) == 0 {
			return 0
		}
	}
	sc.floor = end + 1 // a name with dots before the at sign is how attackers disguise a host
	return end + 1
}

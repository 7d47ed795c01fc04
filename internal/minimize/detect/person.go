package detect

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A token is a word that may be a part of a person's name.
type token struct {
	start, end int
	sort       sort
	initial    bool
	small      bool // a particle: van, de
}

// mostTokens is how many words a name has at most.
const mostTokens = 6

// tokens reads the capitalized words from i on that may be one name.
func (sc *scanner) tokens(list []token, i int) []token {
	for len(list) < mostTokens {
		k := sc.nameWord(i)
		if k == i {
			break
		}
		w := sc.s[i:k]
		r, size := utf8.DecodeRuneInString(w)
		t := token{start: i, end: k}
		switch {
		case unicode.IsUpper(r) && len(w) == size && len(list) > 0:
			t.initial = true
			if sc.at(k) == '.' {
				k++
			}
		case unicode.IsUpper(r) && titled(w[size:]):
			if strings.HasSuffix(w, "'s") || strings.HasSuffix(w, "’s") {
				t.end -= len(w) - strings.LastIndexAny(w, "'’")
				if strings.HasSuffix(w, "’s") {
					t.end = i + len(w) - len("’s")
				}
				w = sc.s[i:t.end]
			}
			var never bool
			if t.sort, never = sc.d.classify(w); never {
				return list
			}
		case len(list) > 0 && particle(w):
			t.small = true
		default:
			return list
		}
		list = append(list, t)
		if t.end < k && !t.initial || sc.at(k) != ' ' {
			break
		}
		if i = k + 1; sc.at(i) == ' ' {
			i++
		}
	}
	return list
}

// people looks for a person's name that begins at the capitalized word
// s[i:j]: a given name that is in the dictionary, and what follows it.
func (sc *scanner) people(i, j int) int {
	if i < sc.named {
		return j
	}
	s := sc.s[i:j]
	// A name stands in a sentence, not inside of a path, an address or a program's name.
	if c := sc.at(i - 1); c != 0 && c > ' ' && strings.IndexByte("(\"'>,;:[*|@-", c) < 0 && c < 0x80 {
		return j
	}
	if strings.Contains(s, "_") || sc.at(j) == '@' || sc.at(j) == '\\' || sc.at(j) == '/' || sc.at(j) == '=' || sc.at(j) == '.' && isWord(sc.at(j+1)) {
		return j
	}
	if sc.cited(i) || sc.at(i-1) == '-' && isUpper(sc.at(i-1-len(sc.wordBefore(i)))) {
		return j // the second: Doe-Roe is a firm, or was looked at as a whole
	}
	var room [mostTokens]token
	list := sc.tokens(room[:0], i)
	for len(list) > 0 && (list[len(list)-1].small || list[len(list)-1].initial) {
		list = list[:len(list)-1]
	}
	if len(list) == 0 {
		return j
	}
	n, unsure := sc.whole(list)
	if n == 0 {
		return j
	}
	end := list[n-1].end
	if n > 1 && sc.d.noPerson[strings.ToLower(sc.s[i:end])] {
		return end // Costa Rica, Diffie Hellman
	}
	if c := sc.at(end); c == '@' || c == '\\' || c == '_' || c == '/' || c == '.' && isWord(sc.at(end+1)) {
		return j
	}
	sc.named = end
	if k := i - 1; k > 0 && sc.s[k] == ' ' && isDigit(sc.s[k-1]) && n > 0 { // 808 Kálmán Imre u. 12
		for k > sc.floor && i-k < 7 && isDigit(sc.s[k-1]) {
			k--
		}
		if !isWord(sc.at(k-1)) && sc.at(k-1) != '.' && sc.at(k-1) != '-' && !year(sc.s[k:i-1]) {
			return max(j, sc.unsure(sc.add(Address, k, end, strings.ToLower(sc.s[k:end]))))
		}
	}
	if sc.at(end) == ',' && sc.at(end+1) == ' ' && isUpper(sc.at(end+2)) && isUpper(sc.at(end+3)) && sc.at(end+4) == ' ' && isDigit(sc.at(end+5)) {
		return j // a town: Springfield, IL 62701
	}
	if n > 1 {
		// Joaquín Suárez 2906; Rua João Pessoa: a street that bears a name.
		k := end
		for isDigit(sc.at(k+1)) && k-end < 6 && sc.at(end) == ' ' {
			k++
		}
		if k > end && !isWord(sc.at(k+1)) && !year(sc.s[end+1:k+1]) {
			return max(j, sc.unsure(sc.add(Address, i, k+1, strings.ToLower(sc.s[i:k+1]))))
		}
		if sc.at(end) == ' ' && sc.kindOfStreet(sc.first(end+1)) && isUpper(sc.at(end+1)) { // Jane Loop St.
			k := end + 1 + len(sc.first(end+1))
			return max(j, sc.unsure(sc.add(Address, i, k, strings.ToLower(sc.s[i:k]))))
		}
		if sc.kindOfStreet(sc.s[list[n-1].start:end]) || sc.prefixed(s) || particle(strings.ToLower(s)) && sc.kindOfStreet(sc.wordBefore(i)) {
			return max(j, sc.unsure(sc.add(Address, i, end, strings.ToLower(sc.s[i:end]))))
		}
	}
	attacker := sc.attackers(i)
	if sc.add(Name, i, end, strings.ToLower(sc.s[i:end])) == 0 {
		return j
	}
	sc.out[len(sc.out)-1].Attacker = attacker
	sc.out[len(sc.out)-1].Unsure = unsure
	return end
}

// year reports whether digits are more likely a year than a house's number.
func year(digits string) bool {
	return len(digits) == 4 && (digits[:2] == "19" || digits[:2] == "20")
}

// cited reports whether what ends at end is the author of something that was
// published: ATT&CK's "(Citation: Jane Doe May 2019)".
func (sc *scanner) cited(end int) bool {
	return sc.citation > 0 && end > sc.citation && end-sc.citation < 120 && strings.IndexByte(sc.s[sc.citation:end], ')') < 0
}

// whole returns how many of the words are a name, 0 for none, and whether that
// is unsure.
func (sc *scanner) whole(list []token) (n int, unsure bool) {
	first := list[0].sort
	words, dots, last := 1, 0, 1
	for k, t := range list[1:] {
		if t.initial {
			dots++
			continue
		}
		if t.small {
			continue
		}
		if t.sort&(given|family) == 0 && t.sort&ordinary != 0 {
			break
		}
		words++
		last = k + 2
	}
	if words == 1 {
		return sc.lone(list[0])
	}
	if sc.s[list[0].start:list[0].end] == sc.s[list[1].start:list[1].end] { // Blum Blum Shub
		return 0, false
	}
	if dots > last-2 {
		dots = last - 2
	}
	second := sort(0)
	for _, t := range list[1:last] {
		if !t.initial && !t.small {
			second = t.sort
			break
		}
	}
	clear := func(s sort) bool { return s&(given|family) != 0 && s&ordinary == 0 }
	switch {
	case first&given != 0 && first&ordinary == 0 && second&family != 0 && second&ordinary == 0:
		return last, false
	case first&given != 0 && first&(ordinary|placed) == 0 && second&placed == 0:
		return last, second == 0 || second&ordinary != 0
	case first&given != 0 && clear(second) && second&placed == 0:
		return last, false
	case first&given != 0 && first&placed == 0 && second == 0 && last == len(list) && sc.stands(list[0].start, list[last-1].end):
		return last, true
	case (first|second)&(ordinary|placed) == 0 && sc.spoken(token{start: list[0].start, end: list[last-1].end}):
		return last, true
	case dots > 0 && first&ordinary == 0 && second&ordinary == 0:
		return last, first&(given|family) == 0
	case first&family != 0 && first&(ordinary|placed) == 0 && second&given != 0 && second&(ordinary|placed) == 0:
		return last, true
	case first&(ordinary|placed) == 0 && second&family != 0 && second&(ordinary|placed) == 0:
		return last, true
	}
	return 0, false
}

// stands reports whether a text stands by itself: on a line of its own, or
// after a label.
func (sc *scanner) stands(start, end int) bool {
	c := sc.at(end)
	return (c == 0 || c == '\n' || c == '\r') && (start == 0 || sc.at(start-1) == '\n' || sc.has(start-2, ": "))
}

// lone decides on one word: a given name that is no English word, where a
// sentence names somebody.
func (sc *scanner) lone(t token) (n int, unsure bool) {
	if t.end-t.start < 3 || (t.sort == 0 || t.sort&(ordinary|placed) != 0 && t.sort&given != 0) && !sc.spoken(t) || t.sort&(ordinary|placed) != 0 && t.sort&given == 0 {
		return 0, false
	}
	if w := sc.s[t.start:t.end]; strings.Contains(w, "-") && sc.d.sortOf(w[strings.LastIndexByte(w, '-')+1:])&(given|family) != given || sc.firm(t.end) {
		return 0, false // Doe-Roe; Doe, Roe and Poe
	}
	if sc.has(t.end, " the ") || sc.d.noLone[strings.ToLower(sc.s[t.start:t.end])] { // John the Ripper
		return 0, false
	}
	// Kaspersky Lab, Dragos Inc: the word is not alone.
	if sc.at(t.end) == ' ' && isUpper(sc.at(t.end+1)) || t.start >= 2 && sc.at(t.start-1) == ' ' && sc.capitalBefore(t.start-1) {
		return 0, false
	}
	if sc.at(t.end) == ':' && isUpper(sc.at(t.end+1)) && isUpper(sc.at(t.end+2)) { // mega:DATA, a remote folder
		return 0, false
	}
	if sc.corner(t.end) || sc.middle(t) || sc.at(t.start-1) == ' ' && sc.d.beforePlace[sc.wordBefore(t.start)] {
		return 0, false
	}
	if t.sort&given != 0 || sc.spoken(t) || sc.paired(t) || sc.owns(t) {
		return 1, true
	}
	return 0, false
}

// corner reports whether a street follows: "Marina and Hauptstraße 7" are two
// places, not a person and one.
func (sc *scanner) corner(i int) bool {
	const and = " and "
	if !sc.has(i, and) {
		return false
	}
	street := false
	k := i + len(and)
	for words := range 4 {
		end := k
		for end < len(sc.s) && end-k < 40 && (isWord(sc.s[end]) || sc.s[end] == '.') {
			end++
		}
		w := strings.TrimRight(sc.s[k:end], ".")
		if w == "" {
			return false
		}
		if isDigit(w[0]) {
			return words > 0 && len(w) <= 5 && !year(w) || street
		}
		if street = street || sc.kindOfStreet(w); !street && !isUpper(w[0]) && w[0] < utf8.RuneSelf {
			return false
		}
		if sc.at(end) != ' ' {
			return street
		}
		k = end + 1
	}
	return street
}

// middle reports whether a word stands in the name of a firm or a band of
// several people: the Doe, Roe and Poe Orchestra.
func (sc *scanner) middle(t token) bool {
	const and = " and "
	if !sc.has(t.end, and) || !sc.has(t.start-2, ", ") || !sc.capitalBefore(t.start-2) && !isUpper(sc.at(t.start-2-len(sc.wordBefore(t.start-1)))) {
		return false
	}
	k := t.end + len(and)
	end := sc.nameWord(k)
	return end > k && isUpper(sc.s[k]) && sc.at(end) == ' ' && isUpper(sc.at(end+1))
}

// owns reports whether a machine or an account of somebody's is spoken of:
// Doe's laptop.
func (sc *scanner) owns(t token) bool {
	for _, s := range [...]string{"'s ", "’s "} {
		if sc.has(t.end, s) {
			for _, w := range [...]string{"laptop", "computer", "workstation", "account", "mailbox", "desktop", "phone", "password", "machine", "inbox"} {
				if sc.has(t.end+len(s), w) {
					return true
				}
			}
		}
	}
	return false
}

// paired reports whether another family name stands beside one: Doe and Roe.
func (sc *scanner) paired(t token) bool {
	is := func(k int) bool {
		end := sc.nameWord(k)
		if end == k || !isUpper(sc.s[k]) && sc.s[k] < utf8.RuneSelf || sc.d.noName[strings.ToLower(sc.s[k:end])] {
			return false
		}
		s := sc.d.sortOf(sc.s[k:end])
		return s&(given|family) != 0 && s&(ordinary|placed) == 0 && (sc.at(end) != ' ' || !isUpper(sc.at(end+1)))
	}
	const and = " and "
	if sc.has(t.start-2, ", ") { // Doe, Roe and Poe is how firms are called
		return false
	}
	return sc.has(t.end, and) && is(t.end+len(and)) || sc.has(t.start-len(and), and) && sc.named == t.start-len(and)
}

// firm reports whether ", Roe and Poe" follows, as in the names of firms.
func (sc *scanner) firm(i int) bool {
	if !sc.has(i, ", ") {
		return false
	}
	k := sc.nameWord(i + 2)
	return k > i+2 && sc.has(k, " and ") && sc.nameWord(k+5) > k+5 && sc.d.sortOf(sc.s[i+2:k])&family != 0
}

// capitalBefore reports whether the word that ends at i begins with a capital
// and does not begin a sentence: what follows it then belongs to its name.
func (sc *scanner) capitalBefore(i int) bool {
	k := i
	for k > 0 && i-k < 32 && isWord(sc.s[k-1]) {
		k--
	}
	if k == i || !isUpper(sc.s[k]) && !isDigit(sc.s[k]) {
		return false
	}
	return k >= 2 && sc.s[k-1] == ' ' && strings.IndexByte(".!?:\"", sc.s[k-2]) < 0
}

// spoken reports whether the words around one say that it is a person's name:
// says Doe; Doe said.
func (sc *scanner) spoken(t token) bool {
	before := sc.s[max(0, t.start-16):t.start]
	for _, w := range [...]string{"says ", "said ", "asked ", "told ", "starring ", "name is ", "name? ", "up with ", "shouted at ", "ask ", "tell ", "contact ", "ms. ", "mr. ", "mrs. ", "dr. ", "miss "} {
		if n := len(before) - len(w); n >= 0 && strings.EqualFold(before[n:], w) && (n == 0 || !isWord(before[n-1])) {
			return true
		}
	}
	for _, w := range [...]string{" said", " says", " lives ", " flew ", " is from ", " is very ", " works ", " began ", " shouted ", " clicked ", " opened ", " received ", " replied"} {
		if sc.has(t.end, w) {
			return true
		}
	}
	return false
}

// small looks for a name in a text that has no capitals at all: a given name
// and a family name, both of which are no words.
func (sc *scanner) small(i, j int) int {
	k := sc.nameWord(j + 1)
	if sc.at(j) != ' ' || j-i < 3 || k-j < 4 || k == j+1 || sc.at(i-1) != 0 && sc.at(i-1) > ' ' || isWord(sc.at(k)) || strings.IndexByte("@\\/=.-", sc.at(k)) >= 0 && isWord(sc.at(k+1)) {
		return j
	}
	first := sc.d.sortOf(sc.s[i:j])
	if first&given == 0 || first&(ordinary|placed) != 0 {
		return j
	}
	if strings.HasSuffix(sc.s[:k], "'s") {
		k -= 2
	}
	second := sc.d.sortOf(sc.s[j+1 : k])
	if second&(given|family) == 0 || second&(ordinary|placed) != 0 || sc.d.noName[sc.s[i:j]] || sc.d.noName[sc.s[j+1:k]] {
		return j
	}
	if sc.add(Name, i, k, sc.s[i:k]) == 0 {
		return j
	}
	sc.out[len(sc.out)-1].Unsure = true
	return k
}

// calls handles name and named: my name is Jane; the name: jane doe.
func (sc *scanner) calls(i, j int) int {
	k := j
	for _, w := range [...]string{" is ", ": ", "? ", " was "} {
		if sc.has(j, w) {
			k = j + len(w)
		}
	}
	if k == j {
		return 0
	}
	if sc.at(k) == ' ' {
		k = sc.skip(k, " ", 8)
	}
	k, titled := sc.title(k)
	end := sc.nameWord(k)
	if end == k {
		return 0
	}
	w := sc.s[k:end]
	if before := sc.wordBefore(i); before == "file" || before == "host" || before == "domain" || before == "user" || before == "product" || before == "service" ||
		before == "process" || before == "task" || before == "mutex" || before == "malware" || before == "code" || before == "computer" {
		return 0
	}
	if r, _ := utf8.DecodeRuneInString(w); unicode.IsUpper(r) {
		if n := sc.nameAt(k, false); n > 0 && (sc.d.sortOf(w)|sc.d.sortOf(sc.s[strings.LastIndexByte(sc.s[:n], ' ')+1:n]))&(given|family) != 0 {
			return sc.addName(k, n)
		}
		if s := sc.d.sortOf(w); (s&ordinary == 0 || s&given != 0) && (s != 0 || titled || sc.has(j-len("my name"), "my name")) && sc.nameAt(k, true) == end {
			return sc.unsure(sc.addName(k, end))
		}
		return 0
	}
	if s := sc.d.sortOf(w); s&given == 0 || s&(ordinary|placed) != 0 || isWord(sc.at(end)) || sc.at(end) == '.' && isWord(sc.at(end+1)) {
		return 0
	}
	if n := sc.nameWord(end + 1); sc.at(end) == ' ' && n > end+1 {
		if s := sc.d.sortOf(sc.s[end+1 : n]); s&(given|family) != 0 && s&ordinary == 0 {
			end = n
		}
	}
	return sc.unsure(sc.addName(k, end))
}

// wordBefore returns the word before the one at i, in lower case.
func (sc *scanner) wordBefore(i int) string {
	end := max(0, i-1)
	k := end
	for k > 0 && end-k < 16 && isWord(sc.s[k-1]) {
		k--
	}
	return strings.ToLower(sc.s[k:end])
}

// unsure marks the last value, when there is one, as one that may be something
// else.
func (sc *scanner) unsure(end int) int {
	if end > 0 {
		sc.out[len(sc.out)-1].Unsure = true
	}
	return end
}

// capitals reports whether the beginning of a text has a capital letter.
func capitals(text string) bool {
	for i := range min(len(text), 400) {
		if c := text[i]; isUpper(c) || c == 0xc3 && i+1 < len(text) && text[i+1] < 0x9f {
			return true
		}
	}
	return len(text) > 400 // not worth the look
}

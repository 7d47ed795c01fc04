package detect

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// particles are the small words inside names.
func particle(w string) bool {
	switch w {
	case "van", "der", "den", "de", "la", "le", "du", "von", "zu", "bin", "ibn", "bint", "al", "el", "di", "da", "dos", "das", "del", "ter", "ten", "y":
		return true
	}
	return false
}

// nameAt reads a person's name at i and returns its end: two to four
// capitalized words with particles between them. With alone, one word will do.
func (sc *scanner) nameAt(i int, alone bool) int {
	end, words := 0, 0
	for words < 4 {
		k := sc.nameWord(i)
		if k == i {
			break
		}
		w := sc.s[i:k]
		switch r, size := utf8.DecodeRuneInString(w); {
		case unicode.IsUpper(r) && len(w) == size && sc.at(k) == '.' && words > 0: // an initial
			k++
		case unicode.IsUpper(r) && titled(w[size:]) && !sc.d.noName[strings.ToLower(w)]:
			words++
			end = k
		case words > 0 && particle(w):
		default:
			k = i
		}
		if k == i || sc.at(k) != ' ' {
			break
		}
		i = k + 1
	}
	if words < 2 && (!alone || words == 0) {
		return 0
	}
	if strings.HasSuffix(sc.s[:end], "'s") {
		end -= 2
	}
	return end
}

// nameWord returns the end of the word at i: letters, apostrophes and hyphens
// between letters.
func (sc *scanner) nameWord(i int) int {
	k := i
	for k < len(sc.s) && k-i < 40 {
		c := sc.s[k]
		switch {
		case isUpper(c), isLower(c):
			k++
			continue
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(sc.s[k:])
			if unicode.IsLetter(r) || unicode.IsMark(r) || r == '’' {
				k += size
				continue
			}
		case (c == '\'' || c == '-') && k > i && k+1 < len(sc.s) && classes[sc.s[k+1]] == classWord && sc.s[k+1] != '_':
			k++
			continue
		}
		break
	}
	if k < len(sc.s) && (isDigit(sc.s[k]) || sc.s[k] == '_') {
		return i
	}
	return k
}

// titled reports whether what follows a word's capital is that of a name: some
// small letters, and capitals only after a hyphen, an apostrophe or Mac.
func titled(rest string) bool {
	small := 0
	last := rune(0)
	for n, r := range rest {
		switch {
		case unicode.IsUpper(r):
			if last != '-' && last != '\'' && last != '’' && (n == 0 || n > 2 || last != 'c') {
				return false
			}
		case unicode.IsLower(r):
			small++
		case r == '\'' || r == '’' || r == '-' || unicode.IsMark(r) || unicode.IsLetter(r):
		default:
			return false
		}
		last = r
	}
	return small > 0
}

// addName records a name.
func (sc *scanner) addName(start, end int) int {
	if end <= start {
		return 0
	}
	attacker := sc.attackers(start)
	if sc.add(Name, start, end, strings.ToLower(sc.s[start:end])) == 0 {
		return 0
	}
	sc.out[len(sc.out)-1].Attacker = attacker
	return end
}

// title skips a form of address.
func (sc *scanner) title(i int) (int, bool) {
	for _, t := range [...]string{"mr", "mrs", "ms", "miss", "mx", "dr", "prof", "herr", "herrn", "frau", "mme", "madame", "monsieur", "señor", "señora", "sra", "sr", "signor", "signora"} {
		if sc.has(i, t) && (isUpper(sc.s[i]) && !isUpper(sc.s[i+1]) || t == "señor" || t == "señora") && (sc.at(i+len(t)) == ' ' || sc.at(i+len(t)) == '.' && sc.at(i+len(t)+1) == ' ') {
			return sc.skip(i+len(t), ". ", 2), true
		}
	}
	return i, false
}

// greeting handles the word that begins a letter: Dear Jane Doe.
func (sc *scanner) greeting(i, j int) int {
	if sc.at(j) != ' ' || !isUpper(sc.s[i]) {
		return 0
	}
	k, titled := sc.title(j + 1)
	if end := sc.nameAt(k, false); end > 0 {
		return sc.addName(k, end)
	}
	end := sc.nameAt(k, true)
	if end > 0 && (titled || sc.at(end) == ',') {
		return sc.addName(k, end)
	}
	return 0
}

// header handles To, Cc and Bcc with a colon: the recipients' names.
func (sc *scanner) header(_, j int) int {
	if sc.at(j) != ':' {
		return 0
	}
	k := sc.skip(j+1, " \t\"'", 3)
	return sc.addName(k, sc.nameAt(k, false))
}

// person handles a word that stands before a person's name: employee Jane Doe,
// victim: Jane Doe, Mr. Doe.
func (sc *scanner) person(i, j int) int {
	if strings.HasSuffix(sc.s[:i], "Citation: ") {
		return 0 // the author of something published
	}
	k := sc.skip(j, " ", 1)
	if c := sc.at(j); c == ':' || c == ',' || c == '.' {
		k = sc.skip(j+1, " ", 1)
	}
	_, title := sc.title(i)
	if k == j || sc.at(j) == '.' && !title || !title && j-i < 3 || sc.at(i-1) == '-' {
		return 0
	}
	for _, filler := range [...]string{"is ", "was ", "named ", "name: ", "name ", "called ", "name is "} {
		if sc.has(k, filler) {
			k += len(filler)
		}
	}
	k, _ = sc.title(k)
	return sc.addName(k, sc.nameAt(k, title))
}

// nameBefore finds the name that ends before a personal value at i, perhaps
// with words for the value between: Jane Doe, SSN …; Jane Doe <….
func (sc *scanner) nameBefore(i, floor int) (start, end int) {
	least := max(floor, i-96)
	end = i
	for range 6 {
		for end > least && strings.IndexByte(" \t,:;=(<[\"'+|-", sc.s[end-1]) >= 0 {
			end--
		}
		k := end
		for k > least && isWord(sc.s[k-1]) {
			k--
		}
		if k == end || !sc.d.labels[strings.ToLower(sc.s[k:end])] {
			break
		}
		end = k
	}
	least = max(least, end-64)
	// The name is the longest that ends here; it begins at a word.
	best := -1
	k := end
	for words := 0; k > least && words < 7; words++ {
		w := k
		for w > least && (isWord(sc.s[w-1]) || sc.s[w-1] == '\'' || sc.s[w-1] == '-' || sc.s[w-1] == '.' && w-2 >= least && isUpper(sc.s[w-2])) {
			w--
		}
		if w == k {
			break
		}
		if e := sc.nameAt(w, false); e == end {
			best = w
		}
		if w <= least || sc.s[w-1] != ' ' {
			break
		}
		k = w - 1
	}
	if best < 0 {
		return 0, 0
	}
	return best, end
}

// town extends a street address over ", Springfield, IL 62701".
func (sc *scanner) town(end int) int {
	i := end
	if sc.at(i) == '.' {
		i++
	}
	for range 3 {
		k := sc.skip(i, ", ", 2)
		if k == i {
			break
		}
		e := k
		for e < len(sc.s) && e-k < 40 && (isWord(sc.s[e]) || sc.s[e] == '-' || sc.s[e] == ' ' && isUpper(sc.at(e+1))) {
			e++
		}
		if e == k || !isUpper(sc.s[k]) && !isDigit(sc.s[k]) || !strings.Contains(sc.s[i:k], ",") && !isDigit(sc.s[k]) {
			break
		}
		i, end = e, e
	}
	// The postal code.
	if sc.at(end) == ' ' && isDigit(sc.at(end+1)) {
		k := end + 1
		for k < len(sc.s) && k-end < 12 && (isDigit(sc.s[k]) || sc.s[k] == '-' && isDigit(sc.at(k+1))) {
			k++
		}
		if k-end > 5 && !isWord(sc.at(k)) {
			return k
		}
	}
	return end
}

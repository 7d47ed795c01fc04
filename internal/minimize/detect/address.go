package detect

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// unit handles a word for a part of a house: Apt. 864, Suite 377. What stands
// before it on the line from the house's number on belongs to the address.
func (sc *scanner) unit(i, j int) int {
	k := sc.skip(j, ". ", 2)
	end := k
	for isDigit(sc.at(end)) && end-k < 6 {
		end++
	}
	if k == j || end == k || isWord(sc.at(end)) {
		return 0
	}
	start := sc.house(i)
	if start == i && (end-k < 3 || sc.s[i+1] == 'P') { // APT 28 is a group
		return 0
	}
	end = sc.below(end)
	return sc.add(Address, start, end, strings.ToLower(sc.s[start:end]))
}

// below extends an address over the lines below it, up to a postal code: the
// town and the country, words with capitals and small ones between.
func (sc *scanner) below(end int) int {
	k, lines := end, 0
	for words := range 9 {
		w := k
		for w < len(sc.s) && w-k < 24 && strings.IndexByte(" \t\r\n>?,.", sc.s[w]) >= 0 {
			if sc.s[w] == '\n' {
				lines++
			}
			w++
		}
		e := w
		for e < len(sc.s) && e-w < 32 && (isWord(sc.s[e]) || e > w && (sc.s[e] == '-' || sc.s[e] == '\'')) {
			e++
		}
		if e == w || w == k || lines > 4 {
			return end
		}
		word := sc.s[w:e]
		if isDigit(word[0]) {
			if lines == 0 || words == 0 || len(word) < 3 || len(word) > 6 || !numeric(word) || sc.at(e) > ' ' {
				return end
			}
			return e
		}
		if r, _ := utf8.DecodeRuneInString(word); !unicode.IsUpper(r) && len(word) > 3 {
			return end
		}
		k = e
	}
	return end
}

// military handles APO, FPO and DPO, as addresses of the US armed forces and
// embassies have it, with the line before: PSC 6293, Box 8158 (USPS Publication
// 28 §238).
func (sc *scanner) military(i, j int) int {
	const digits = 5
	end := j + len(" AE ") + digits
	if !sc.has(j, " aa ") && !sc.has(j, " ae ") && !sc.has(j, " ap ") || end > len(sc.s) || !numeric(sc.s[end-digits:end]) || isWord(sc.at(end)) {
		return 0
	}
	start, k := i, i
	for k > sc.floor && i-k < 8 && strings.IndexByte(" \t\r\n,>?", sc.s[k-1]) >= 0 {
		k--
	}
	const most = 48
	for w := k; w > sc.floor && k-w < most && sc.s[w-1] != '\n'; w-- {
		for _, first := range [...]string{"psc ", "unit ", "cmr ", "uss ", "usns ", "usnv ", "uscgc "} {
			if sc.has(w-1, first) && !isWord(sc.at(w-2)) {
				start = w - 1
			}
		}
	}
	return sc.add(Address, start, end, strings.ToLower(sc.s[start:end]))
}

// postcode handles a word for a postal code that is said to be one: ZIP: 62701;
// my zip code is 62701.
func (sc *scanner) postcode(_, j int) int {
	k := j
	if sc.has(k, " code") {
		k += len(" code")
	}
	switch {
	case sc.at(k) == ':':
		k = sc.skip(k+1, " ", 2)
	case sc.has(k, " is "):
		k += len(" is ")
	case k > j && sc.at(k) == ' ':
		k++
	default:
		return 0
	}
	end, digits := k, 0
	for isDigit(sc.at(end)) || end > k && (sc.at(end) == ' ' || sc.at(end) == '-') && isDigit(sc.at(end-1)) && isDigit(sc.at(end+1)) {
		if isDigit(sc.s[end]) {
			digits++
		}
		end++
	}
	if sc.at(end) == ' ' && isUpper(sc.at(end+1)) && isUpper(sc.at(end+2)) && !isWord(sc.at(end+3)) { // 7412 SL
		end += len(" SL")
	}
	const least, most = 3, 9
	if digits < least || digits > most || isWord(sc.at(end)) || sc.at(end) == '.' && isDigit(sc.at(end+1)) {
		return 0
	}
	return sc.unsure(sc.add(Address, k, end, strings.ToLower(sc.s[k:end])))
}

// house returns where the address begins that goes on at i: at the first number
// of what stands before it on the line, when only words with capitals and
// numbers follow; i when there is none.
func (sc *scanner) house(i int) int {
	start := i
	for k := i; k > sc.floor && i-k < 72; {
		c := sc.s[k-1]
		if c == ' ' || c == ',' || c == '.' {
			k--
			continue
		}
		w := k
		for w > sc.floor && i-w < 80 && (isWord(sc.s[w-1]) || strings.IndexByte("'-’/", sc.s[w-1]) >= 0) {
			w--
		}
		if w == k {
			break
		}
		word := sc.s[w:k]
		r, _ := utf8.DecodeRuneInString(word)
		switch {
		case isDigit(word[0]) && len(word) <= 6:
			start = w
		case unicode.IsUpper(r), particle(word), sc.kindOfStreet(word):
		default:
			return start
		}
		k = w
	}
	return start
}

// kindOfStreet reports whether a word says that a name is a street's: by
// itself, or by how it ends in the languages that write it in one word.
func (sc *scanner) kindOfStreet(word string) bool {
	if word == "" || isDigit(word[0]) {
		return false
	}
	low := strings.ToLower(word)
	if sc.d.streets[low] {
		return true
	}
	if len(low) < 6 {
		return false
	}
	for _, e := range [...]string{
		"straße", "strasse", "gasse", "platz", "allee", "vägen", "gatan", "gränd", "stigen", "veien", "vegen", "gata", "vej", "gade", "vænget", "stræde",
		"parken", "haven", "katu", "kuja", "straat", "laan", "gracht", "singel", "plein", "steeg", "weg", "bakken", "alléen", "marken",
	} {
		if strings.HasSuffix(low, e) && len(low) >= len(e)+3 {
			return true
		}
	}
	return false
}

// street handles a number that may be a house's: 12 Oak St, Springfield, IL
// 62701; 53772 Hauptstraße; 17 rue de la Paix; Via Roma 12 is not found, for a
// number after a name is most often a version.
func (sc *scanner) street(i, j int) int {
	if sc.at(j) != ' ' || sc.at(i-1) > ' ' && strings.IndexByte("(,:>\"", sc.at(i-1)) < 0 {
		return 0
	}
	k, words, found := j+1, 0, 0
	for {
		e := k
		for e < len(sc.s) && e-k < 30 && (isWord(sc.s[e]) || e > k && (sc.s[e] == '\'' || sc.s[e] == '-')) {
			e++
		}
		if e == k {
			break
		}
		word := sc.s[k:e]
		r, _ := utf8.DecodeRuneInString(word)
		kind := sc.kindOfStreet(word)
		begins := kind && (sc.lower || words == 0 && startsStreet(word))
		joins := words > 0 && !isDigit(word[0]) && (particle(word) || found > 0 && joint(word))
		if !unicode.IsUpper(r) && !isDigit(word[0]) && !begins && !joins {
			break
		}
		if words++; kind && (words > 1 && (sc.at(e) != ' ' || !sc.prefixed(word)) || len(word) > 5 || sc.prefixed(word) && isUpper(sc.at(e+1))) {
			found = e
		} else if (found > 0 || words > 1) && (!isDigit(sc.s[j+1]) && sc.prefixed(sc.first(j+1)) || found > 0 && isDigit(word[0]) && len(word) <= 4) {
			found = e
		}
		if sc.at(e) == '.' && sc.at(e+1) == ' ' && kind {
			e++
		}
		if words > 5 || sc.at(e) != ' ' {
			break
		}
		k = e + 1
	}
	if found == 0 {
		return sc.numberedStreet(i, j)
	}
	return sc.addPersonal(Address, i, sc.town(found), strings.ToLower(sc.s[i:found]))
}

// numberedStreet finds the form that has a number before the name and after
// it, and a street whose name says nothing: 6750 Koskikatu 25, 808 Kálmán 12.
func (sc *scanner) numberedStreet(i, j int) int {
	if j-i < 3 || j-i == 4 && (sc.s[i] == '1' || sc.s[i] == '2') { // a year
		return 0
	}
	k, words := j+1, 0
	for words < 4 {
		e := sc.nameWord(k)
		if e == k {
			break
		}
		w := sc.s[k:e]
		r, size := utf8.DecodeRuneInString(w)
		if !particle(w) && (!unicode.IsUpper(r) || !titled(w[size:]) || sc.d.noName[strings.ToLower(w)] || sc.d.sortOf(w)&^(given|family|placed) != 0) {
			return 0
		}
		words++
		if sc.at(e) == '.' {
			e++
		}
		if sc.at(e) != ' ' {
			return 0
		}
		k = e + 1
	}
	end := k
	for isDigit(sc.at(end)) && end-k < 5 {
		end++
	}
	if words == 0 || end == k || end-k > 4 || isWord(sc.at(end)) || sc.at(end) == '.' && isDigit(sc.at(end+1)) {
		return 0
	}
	return sc.unsure(sc.addPersonal(Address, i, sc.town(end), strings.ToLower(sc.s[i:end])))
}

// first returns the word at i.
func (sc *scanner) first(i int) string {
	k := i
	for k < len(sc.s) && k-i < 30 && isWord(sc.s[k]) {
		k++
	}
	return sc.s[i:k]
}

// joint reports whether a word joins the words of a street's name.
func joint(w string) bool { return w == "des" || w == "dei" || w == "della" || w == "delle" }

// startsStreet reports whether a word for a street begins its name though it is
// written small: those that are words of English don't.
func startsStreet(w string) bool {
	return w != "via" && w != "place" && w != "way" && w != "close" && w != "drive" && w != "out"
}

// prefixed reports whether a word for a street stands before its name.
func (sc *scanner) prefixed(word string) bool {
	if len(word) < 2 || isDigit(word[0]) {
		return false
	}
	switch strings.ToLower(word) {
	case "rue", "via", "viale", "piazza", "calle", "avenida", "rua", "plaza", "camino", "ulica", "ul", "travessa", "praça", "largo", "strada", "corso", "carrer", "chemin", "place":
		return true
	}
	return false
}

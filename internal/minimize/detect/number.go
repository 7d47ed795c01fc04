package detect

import "strings"

// A group is a run of digits.
type group struct{ start, end int }

// groups reads up to len(g) runs of digits from s[i:j] on, with one separator
// character between them.
func (sc *scanner) groups(g *[6]group, i, j int) []group {
	g[0] = group{i, j}
	n := 1
	for n < len(g) {
		k := g[n-1].end
		if strings.IndexByte(" -.", sc.at(k)) < 0 || !isDigit(sc.at(k+1)) {
			break
		}
		e := k + 1
		for e < len(sc.s) && isDigit(sc.s[e]) {
			e++
		}
		if e < len(sc.s) && isWord(sc.s[e]) && !sc.extension(e) {
			break
		}
		g[n] = group{k + 1, e}
		n++
	}
	return g[:n]
}

// same reports whether the separators between groups are all the same
// character of set.
func (sc *scanner) same(g []group, set string) bool {
	sep := sc.at(g[0].end)
	for _, one := range g[:len(g)-1] {
		if sc.at(one.end) != sep {
			return false
		}
	}
	return strings.IndexByte(set, sep) >= 0
}

// lengths reports whether the first groups have these lengths.
func lengths(g []group, want ...int) bool {
	if len(g) < len(want) {
		return false
	}
	for i, n := range want {
		if g[i].end-g[i].start != n {
			return false
		}
	}
	return true
}

// number handles the run of digits s[i:j].
func (sc *scanner) number(i, j int) int {
	before := sc.at(i - 1)
	if (before == '-' || before == '.') && isWord(sc.at(i-2)) || before == '#' {
		return j // the tail of a version, an address, a GUID, a domain
	}
	if j-i <= 3 {
		if end := sc.private(i, j); end > j {
			return end
		}
	}
	var room [6]group
	g := sc.groups(&room, i, j)
	if j-i <= 5 && sc.want.Has(Address) {
		if end := sc.street(i, j); end > j {
			return end
		}
	}
	if end := sc.payment(g); end > j-1 && end > 0 {
		return end
	}
	if end := sc.social(g); end > 0 {
		return end
	}
	if end := sc.telephone(g); end > 0 {
		return end
	}
	if end := sc.numbered(g); end > 0 {
		return end
	}
	if end := sc.position(i, j); end > 0 {
		return end
	}
	return j
}

// ends reports whether a number may end at i: not in the middle of something
// longer.
func (sc *scanner) ends(i int) bool {
	c, next := sc.at(i), sc.at(i+1)
	return !isWord(c) && (c != '-' || !isWord(next)) && (c != '.' || !isDigit(next)) && (c != ':' || !isHex(next))
}

// payment looks for a payment card number: written in one piece or as on the
// card, with a right check digit and, without a word for it, the prefix of a
// large scheme (ISO/IEC 7812-1).
func (sc *scanner) payment(g []group) int {
	var n int
	switch {
	case lengths(g, 4, 4, 4, 4, 3) && sc.same(g[:5], " -.") && sc.isCard(g[:5]):
		n = 5
	case lengths(g, 4, 4, 4, 4) && sc.same(g[:4], " -."):
		n = 4
	case lengths(g, 4, 6, 5) && sc.same(g[:3], " -."), lengths(g, 4, 6, 4) && sc.same(g[:3], " -."):
		n = 3
	case g[0].end-g[0].start >= 12 && g[0].end-g[0].start <= 19:
		n = 1
	default:
		return 0
	}
	end := g[n-1].end
	if !sc.ends(end) || !sc.isCard(g[:n]) {
		return 0
	}
	return sc.addPersonal(Card, g[0].start, end, sc.digits(g[:n]))
}

func (sc *scanner) digits(g []group) string {
	var b strings.Builder
	for _, one := range g {
		b.WriteString(sc.s[one.start:one.end])
	}
	return b.String()
}

func (sc *scanner) isCard(g []group) bool {
	d := sc.digits(g)
	return luhn(d) && (issued(d) || near(sc.card, g[0].start))
}

// issued reports whether a number begins like those of the large card schemes
// and has their length.
func issued(d string) bool {
	n := len(d)
	prefix := func(k int) int {
		v := 0
		for i := range k {
			v = v*10 + int(d[i]-'0')
		}
		return v
	}
	two, three, four := prefix(2), prefix(3), prefix(4)
	switch {
	case d[0] == '4': // Visa
		return n == 13 || n == 16 || n == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720: // Mastercard
		return n == 16
	case two == 34, two == 37: // American Express
		return n == 15
	case four == 6011, three >= 644 && three <= 649, two == 65: // Discover
		return n >= 16
	case four >= 3528 && four <= 3589: // JCB
		return n >= 16
	case three >= 300 && three <= 305, two == 36, two == 38, two == 39: // Diners Club
		return n == 14 || n == 16
	case two == 62: // UnionPay
		return n >= 16
	}
	return false
}

// luhn checks the last digit (ISO/IEC 7812-1 annex B).
func luhn(d string) bool {
	sum, double := 0, false
	for i := len(d) - 1; i >= 0; i-- {
		v := int(d[i] - '0')
		if double {
			v *= 2
			if v > 9 {
				v -= 9
			}
		}
		sum += v
		double = !double
	}
	return sum%10 == 0
}

// social looks for a US social security or taxpayer number. Without a word for
// it, only the form with hyphens of a number that can have been issued counts.
func (sc *scanner) social(g []group) int {
	if !sc.want.Has(SSN) {
		return 0
	}
	said := near(sc.ssn, g[0].start)
	switch {
	case lengths(g, 3, 2, 4) && sc.same(g[:3], " -."):
		d := sc.digits(g[:3])
		if d[:3] == "000" || d[3:5] == "00" || d[5:] == "0000" || !sc.ends(g[2].end) {
			return 0
		}
		if !said && (sc.at(g[0].end) != '-' || d[:3] == "666" || d[0] == '9') {
			return 0
		}
		return sc.addPersonal(SSN, g[0].start, g[2].end, d)
	case said && (lengths(g, 3, 6) || lengths(g, 5, 4)) && len(g) == 2 && sc.at(g[0].end) == '-' && sc.ends(g[1].end) && sc.s[g[1].start:g[1].end] != "000000":
		return sc.addPersonal(SSN, g[0].start, g[1].end, sc.digits(g))
	case said && lengths(g, 9) && sc.ends(g[0].end):
		return sc.addPersonal(SSN, g[0].start, g[0].end, sc.digits(g[:1]))
	}
	return 0
}

// extension reports whether an extension's number follows: x4587.
func (sc *scanner) extension(i int) bool { return sc.at(i) == 'x' && isDigit(sc.at(i+1)) }

// rings reports whether a telephone number may end at i. A label may follow a
// hyphen: 555-0143-Office.
func (sc *scanner) rings(i int) bool {
	c, next := sc.at(i), sc.at(i+1)
	return (!isWord(c) || sc.extension(i)) && (c != '-' && c != '.' || !isDigit(next))
}

// telephone looks for a telephone number: in international form, in the form
// of the North American plan, or any digits after a word for one.
func (sc *scanner) telephone(g []group) int {
	if !sc.want.Has(Phone) {
		return 0
	}
	start := g[0].start
	said := near(sc.phone, start) || sc.labeled(g[len(g)-1].end) || near(sc.call, start) && (len(g) > 1 || sc.s[start] == '0' || sc.at(start-1) == '(')
	if sc.at(start-1) == '+' && !isWord(sc.at(start-2)) || said && sc.at(start-1) == '(' && sc.at(start-2) == '+' {
		return sc.international(start)
	}
	if sc.at(start-1) == '(' && sc.at(g[0].end) == ')' && g[0].end-start >= 2 && g[0].end-start <= 5 && !lengths(g[:1], 3) { // (64) 3591-3246
		end := g[0].end + 1
		for end < len(sc.s) && end-start < 24 && (isDigit(sc.s[end]) || strings.IndexByte(" -.", sc.s[end]) >= 0 && isDigit(sc.at(end+1))) {
			end++
		}
		said = said || sc.labeled(end)
		if digits := sc.onlyDigits(start, end); len(digits) >= 8 && len(digits) <= 12 && (said || sc.s[start] == '0') && sc.rings(end) {
			return sc.addPersonal(Phone, start-1, end, digits)
		}
		return 0
	}
	if sc.at(start-1) == '(' && lengths(g[:1], 3) && sc.at(g[0].end) == ')' { // (202) 555-0143
		k := g[0].end + 1
		if sc.at(k) == ' ' {
			k++
		}
		if end := sc.digitsIn(k, "3-4"); end > 0 {
			return sc.addPersonal(Phone, start-1, end, sc.onlyDigits(start, end))
		}
		return 0
	}
	if lengths(g, 1, 3, 3, 4) && sc.s[start] == '1' {
		g = g[1:]
	}
	if lengths(g, 3, 3, 4) && sc.same(g[:3], "-. ") && sc.rings(g[2].end) {
		plan := sc.s[g[0].start] >= '2' && sc.s[g[1].start] >= '2' && sc.at(g[0].end) == '-'
		if said || plan {
			return sc.addPersonal(Phone, start, g[2].end, sc.onlyDigits(start, g[2].end))
		}
	}
	if said {
		return sc.international(start)
	}
	// 0699 868 88 55: a trunk prefix and groups (ITU-T E.123 §2.3).
	if len(g) >= 3 && sc.s[start] == '0' && (start < 2 || !isDigit(sc.s[start-2])) && g[0].end-start >= 2 && g[0].end-start <= 5 && sc.same(g, " ") && g[1].end-g[1].start >= 2 {
		if n := len(sc.digits(g)); n >= 9 && n <= 11 && sc.rings(g[len(g)-1].end) {
			return sc.unsure(sc.addPersonal(Phone, start, g[len(g)-1].end, sc.digits(g)))
		}
	}
	return 0
}

// labeled reports whether a word for a telephone follows a number.
func (sc *scanner) labeled(end int) bool {
	k := sc.skip(end, " -", 1)
	if k == end {
		return false
	}
	for _, w := range [...]string{"office", "fax", "mobile", "cell", "desk"} {
		if sc.has(k, w) && !isWord(sc.at(k+len(w))) {
			return true
		}
	}
	return false
}

// digitsIn matches digits by a form such as 3-4, in which the hyphen stands
// for any separator, up to where a number ends.
func (sc *scanner) digitsIn(i int, form string) int {
	if i = sc.form(i, form, "-. "); !sc.rings(i) {
		return 0
	}
	return i
}

// form matches digits by a form such as 3-4, in which the hyphen stands for one
// of the separators. It returns the end, 0 when they do not match.
func (sc *scanner) form(i int, form, separators string) int {
	for _, f := range []byte(form) {
		if f == '-' {
			if strings.IndexByte(separators, sc.at(i)) < 0 {
				return 0
			}
			i++
			continue
		}
		for range f - '0' {
			if !isDigit(sc.at(i)) {
				return 0
			}
			i++
		}
	}
	return i
}

// international reads 8 to 15 digits (ITU-T E.164 §6.2.1) with separators.
func (sc *scanner) international(start int) int {
	i, count, end := start, 0, start
	for i < len(sc.s) && i-start < 28 {
		c := sc.s[i]
		if isDigit(c) {
			count++
			end = i + 1
		} else if strings.IndexByte(" -.()/", c) < 0 || i-end >= 2 {
			break
		}
		i++
	}
	least := 8
	if near(sc.phone, start) || near(sc.call, start) || sc.labeled(end) {
		least = 7 // without the area's code
	}
	if count < least || count > 15 || !sc.rings(end) {
		return 0
	}
	from := start
	for from > 0 && from > start-2 && (sc.s[from-1] == '+' || sc.s[from-1] == '(') {
		from--
	}
	return sc.addPersonal(Phone, from, end, sc.onlyDigits(start, end))
}

func (sc *scanner) onlyDigits(i, j int) string {
	b := make([]byte, 0, 16)
	for ; i < j; i++ {
		if isDigit(sc.s[i]) {
			b = append(b, sc.s[i])
		}
	}
	return string(b)
}

// cardCode handles a word for a card's security code: three or four digits
// follow.
func (sc *scanner) cardCode(_, j int) int {
	i := sc.skip(j, " :=#-", 3)
	k := i
	for isDigit(sc.at(k)) {
		k++
	}
	if i == j || k-i < 3 || k-i > 4 || isWord(sc.at(k)) {
		return 0
	}
	return sc.add(Card, i, k, sc.s[i:k])
}

// iban handles a word that begins like an IBAN: two capitals and two digits.
func (sc *scanner) iban(i, j int) int {
	want := ibanLength(strings.ToUpper(sc.s[i : i+2]))
	if want == 0 || !sc.want.Has(IBAN) {
		return j
	}
	var account [34]byte
	n, end := 0, i
	for k := i; k < len(sc.s) && n < len(account); k++ {
		c := sc.s[k]
		if isLower(c) && isLower(sc.s[i]) {
			c &^= 0x20
		}
		if isUpper(c) || isDigit(c) {
			account[n] = c
			n++
			end = k + 1
			continue
		}
		// In print, a space or a hyphen stands after every four characters.
		if c != ' ' && c != '-' || n%4 != 0 || k < j && k != i+4 {
			break
		}
		if next := sc.at(k + 1); !isUpper(next) && !isDigit(next) {
			break
		}
	}
	if n < want {
		return j
	}
	// A grouped number may run into the next capitals: cut at the country's length.
	for n > want {
		end--
		if isWord(sc.s[end]) {
			n--
		}
	}
	for !isWord(sc.s[end-1]) {
		end--
	}
	if isWord(sc.at(end)) || !mod97(account[:want]) {
		return j
	}
	return max(j, sc.addPersonal(IBAN, i, end, string(account[:want])))
}

// mod97 checks an IBAN (ISO 13616-1, by ISO/IEC 7064 MOD 97-10).
func mod97(account []byte) bool {
	rest := 0
	for i := range account {
		c := account[(i+4)%len(account)]
		if isDigit(c) {
			rest = (rest*10 + int(c-'0')) % 97
		} else {
			rest = (rest*100 + int(c-'A') + 10) % 97
		}
	}
	return rest == 1
}

// ibanLength returns the length of a country's IBANs, 0 when it has none (SWIFT
// IBAN registry, release 99).
func ibanLength(country string) int {
	const registry = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27" +
		"GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27" +
		"MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30"
	for i := 0; i+4 <= len(registry); i += 4 {
		if registry[i:i+2] == country {
			return int(registry[i+2]-'0')*10 + int(registry[i+3]-'0')
		}
	}
	return 0
}

// birth handles a word for a birth date: a date follows.
func (sc *scanner) birth(_, j int) int {
	i := sc.skip(j, " \t:=(-\"'", 4)
	for _, word := range [...]string{"of birth", "is", "was", "on", "date"} {
		if sc.has(i, word) && !isWord(sc.at(i+len(word))) {
			i = sc.skip(i+len(word), " \t:=(-\"'", 4)
		}
	}
	end := sc.date(i)
	if end == 0 {
		return 0
	}
	return sc.addPersonal(BirthDate, i, end, sc.s[i:end])
}

// date reads a date in one of the usual forms at i and returns its end.
func (sc *scanner) date(i int) int {
	if isDigit(sc.at(i)) {
		for _, form := range [...]string{"4-2-2", "2-2-4", "2-1-4", "1-2-4", "1-1-4", "2-2-2", "8"} {
			if end := sc.dateForm(i, form); end > 0 {
				return end
			}
		}
	}
	// 16 May 1968; May 16, 1968; 16th of May 1968
	parts := 0
	k := i
	month, year := false, false
	for parts < 5 && !year {
		start := k
		for k < len(sc.s) && k-start < 12 && isWord(sc.s[k]) {
			k++
		}
		word := strings.ToLower(sc.s[start:k])
		switch {
		case len(word) == 4 && isDigit(word[0]) && isDigit(word[3]):
			year = true
		case len(word) >= 1 && len(word) <= 4 && isDigit(word[0]), word == "of":
		case len(word) >= 3 && strings.Contains("jan feb mar apr may jun jul aug sep oct nov dec", word[:3]):
			month = true
		default:
			return 0
		}
		parts++
		if !year {
			k = sc.skip(k, " ,.-", 2)
		}
	}
	if month && year {
		return k
	}
	return 0
}

func (sc *scanner) dateForm(i int, form string) int {
	if i = sc.form(i, form, "-./ "); isWord(sc.at(i)) {
		return 0
	}
	return i
}

// sid handles S-1-5-21-…: the security identifier of a Windows domain and an
// account in it.
func (sc *scanner) sid(i, j int) int {
	if !sc.want.Has(SID) {
		return 0
	}
	k := j
	for k < len(sc.s) && k-j < 80 && (isDigit(sc.s[k]) || sc.s[k] == '-' && isDigit(sc.at(k+1))) {
		k++
	}
	if strings.Count(sc.s[j:k], "-") < 6 {
		return 0
	}
	return sc.add(SID, i, k, sc.s[i:k])
}

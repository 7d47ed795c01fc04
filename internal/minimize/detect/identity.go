package detect

import "strings"

// labelledID reads the number that follows a word for it, over fillers such as
// "number is". It returns 0 when what follows does not look like one: at least
// so many characters, and so many digits among them.
func (sc *scanner) labelledID(kind Kind, j, least, digits int) int {
	k := j
	for range 5 {
		k = sc.skip(k, " \t:#=(-.\"'/", 4)
		skipped := false
		for _, w := range [...]string{"number", "no", "nr", "id", "is", "was", "card", "licence", "license", "permit", "num", "code", "of", "record", "identification", "identity", "plate", "registration", "account", "file"} { //nolint:misspell // British English
			if sc.has(k, w) && !isWord(sc.at(k+len(w))) {
				k += len(w)
				skipped = true
				break
			}
		}
		if !skipped {
			break
		}
	}
	if k == j || sc.at(j) == '\\' || sc.at(j) == '/' {
		return 0
	}
	end, n, count := k, 0, 0
	for i := k; i < len(sc.s) && i-k < 32; i++ {
		c := sc.s[i]
		switch {
		case isDigit(c):
			n, count, end = n+1, count+1, i+1
			continue
		case isUpper(c) || isLower(c):
			n, end = n+1, i+1
			continue
		case strings.IndexByte("-./ ", c) >= 0 && end == i && sc.group(i+1):
			continue
		}
		break
	}
	if n < least || n > 20 || count < digits || isWord(sc.at(end)) {
		return 0
	}
	return sc.add(kind, k, end, strings.ToLower(sc.s[k:end]))
}

// group reports whether the word at i has a digit or is one to three capitals,
// as the groups of written numbers are.
func (sc *scanner) group(i int) bool {
	upper := 0
	for k := i; k < len(sc.s) && k-i < 16; k++ {
		c := sc.s[k]
		switch {
		case isDigit(c):
			return true
		case isUpper(c):
			upper++
		case isLower(c):
			return false
		default:
			return upper > 0 && upper <= 3
		}
	}
	return upper > 0 && upper <= 3
}

func (sc *scanner) nationalID(_, j int) int  { return sc.labelledID(NationalID, j, 6, 5) }
func (sc *scanner) medicalID(_, j int) int   { return sc.labelledID(MedicalID, j, 5, 4) }
func (sc *scanner) vehicle(_, j int) int     { return sc.labelledID(Vehicle, j, 5, 2) }
func (sc *scanner) bankAccount(_, j int) int { return sc.labelledID(BankAccount, j, 6, 6) }

// numbered looks for identity numbers whose form and check digits tell what
// they are.
func (sc *scanner) numbered(g []group) int {
	if !sc.want.Has(NationalID) {
		return 0
	}
	end := g[len(g)-1].end
	switch {
	case lengths(g, 4, 4, 4) && len(g) == 3 && sc.same(g, " -") && sc.ends(end) && sc.s[g[0].start] >= '2' && verhoeff(sc.digits(g)):
		return sc.unsure(sc.add(NationalID, g[0].start, end, sc.digits(g))) // Aadhaar (UIDAI)
	case lengths(g, 6, 7) && len(g) == 2 && sc.at(g[0].end) == '-' && sc.ends(end) && dated(sc.digits(g)) && sc.s[g[1].start] != '0' && sc.s[g[1].start] != '9' && korean(sc.digits(g)):
		return sc.add(NationalID, g[0].start, end, sc.digits(g)) // resident registration number (KR)
	case (lengths(g, 6, 4) || lengths(g, 8, 4)) && len(g) == 2 && sc.at(g[0].end) == '-' && sc.ends(end):
		d := sc.digits(g)
		if d = d[len(d)-10:]; dated(d) && luhn(d) {
			return sc.unsure(sc.add(NationalID, g[0].start, end, d)) // personnummer (SE)
		}
	case lengths(g, 3, 3, 3) && len(g) == 3 && sc.same(g, " -") && sc.ends(end) && sc.s[g[0].start] != '0' && sc.s[g[0].start] != '8' && luhn(sc.digits(g)):
		return sc.unsure(sc.add(NationalID, g[0].start, end, sc.digits(g))) // social insurance number (CA)
	case lengths(g, 3, 3, 3, 2) && len(g) == 4 && sc.at(g[0].end) == '.' && sc.at(g[2].end) == '-' && sc.ends(end) && cpf(sc.digits(g)):
		return sc.add(NationalID, g[0].start, end, sc.digits(g)) // CPF (BR)
	}
	return 0
}

// coded looks for identity numbers of letters and digits in the word s[i:j].
func (sc *scanner) coded(i, j int) int {
	if !sc.want.Has(NationalID) || isLower(sc.s[i]) || j-i > 2 && !isDigit(sc.s[j-2]) {
		return j
	}
	w := sc.s[i:j]
	if sc.at(i-1) == '-' || sc.at(i-1) == '.' || sc.at(i-1) == '/' || sc.at(i-1) == '\\' || sc.at(j) == '.' && isWord(sc.at(j+1)) {
		return j
	}
	switch {
	case len(w) == 9 && isDigit(w[1]) && isDigit(w[7]) && strings.IndexByte("XYZ", w[0]) >= 0 && digitsOnly(w[1:8]):
		const check = "TRWAGMYFPDXBNJZSQVHLCKE" // NIE (ES)
		if n := int(w[0]-'X')*10000000 + number(w[1:8]); check[n%23] == w[8] {
			return max(j, sc.add(NationalID, i, j, w))
		}
	case len(w) == 9 && strings.IndexByte("STFGM", w[0]) >= 0 && digitsOnly(w[1:8]) && isUpper(w[8]) && nric(w):
		return max(j, sc.add(NationalID, i, j, w)) // NRIC and FIN (SG)
	case len(w) == 16 && isUpper(sc.s[i]) && fiscalCode(w):
		return max(j, sc.add(NationalID, i, j, w)) // codice fiscale (IT)
	case len(w) == 9 && isUpper(sc.s[i]) && nino(w):
		return max(j, sc.add(NationalID, i, j, w)) // national insurance number (GB)
	case len(w) == 2 && isUpper(sc.s[i]) && isUpper(sc.s[i+1]) && sc.at(j) == ' ': // QQ 12 34 56 C
		if end := sc.form(j+1, "2-2-2", " "); end > 0 && sc.at(end) == ' ' && sc.at(end+1) >= 'A' && sc.at(end+1) <= 'D' && !isWord(sc.at(end+2)) &&
			nino(w+strings.ReplaceAll(sc.s[j+1:end+2], " ", "")) {
			return max(j, sc.add(NationalID, i, end+2, strings.ReplaceAll(sc.s[i:end+2], " ", "")))
		}
	}
	return j
}

// beneficiary looks for a US Medicare beneficiary identifier: 1EG4-TE5-MK73
// (CMS, format of the MBI). The letters S L O I B Z do not occur in one.
func (sc *scanner) beneficiary(i int) int {
	const form = "CANN-AAN-AANN"
	k, dashes := i, false
	for n, f := range []byte(form) {
		c := sc.at(k)
		letter := isUpper(c) && strings.IndexByte("SLOIBZ", c) < 0
		switch f {
		case '-':
			if n == 4 {
				dashes = c == '-'
			}
			if dashes && c != '-' {
				return 0
			}
			if !dashes {
				continue
			}
		case 'C':
			if c < '1' || c > '9' {
				return 0
			}
		case 'A':
			// The third and sixth characters may be digits; letters and digits are both read.
			if !letter && (!isDigit(c) || n == 1 || n == 5) {
				return 0
			}
		case 'N':
			if !isDigit(c) && (n != 2 || !letter) {
				return 0
			}
		}
		k++
	}
	if isWord(sc.at(k)) || sc.at(k) == '-' {
		return 0
	}
	return sc.add(MedicalID, i, k, sc.s[i:k])
}

func digitsOnly(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func number(s string) int {
	n := 0
	for i := range len(s) {
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// nino reports whether a word can be a national insurance number (HMRC,
// NIM39110): prefixes that were never given out are refused.
func nino(w string) bool {
	if len(w) != 9 || strings.IndexByte("DFIQUV", w[0]) >= 0 || strings.IndexByte("DFIOQUV", w[1]) >= 0 || !isUpper(w[0]) || !isUpper(w[1]) || !digitsOnly(w[2:8]) || w[8] < 'A' || w[8] > 'D' {
		return false
	}
	switch w[:2] {
	case "BG", "GB", "NK", "KN", "TN", "NT", "ZZ":
		return false
	}
	return true
}

func nric(w string) bool {
	sum := 0
	for i, weight := range []int{2, 7, 6, 5, 4, 3, 2} {
		sum += int(w[i+1]-'0') * weight
	}
	switch w[0] {
	case 'S':
		return "JZIHGFEDCBA"[sum%11] == w[8]
	case 'T':
		return "JZIHGFEDCBA"[(sum+4)%11] == w[8]
	case 'F':
		return "XWUTRQPNMLK"[sum%11] == w[8]
	case 'G':
		return "XWUTRQPNMLK"[(sum+4)%11] == w[8]
	}
	return false
}

// fiscalCode checks the control letter of a codice fiscale (DM 23/12/1976).
func fiscalCode(w string) bool {
	const odd = "\x01\x00\x05\x07\x09\x0d\x0f\x11\x13\x15\x02\x04\x12\x14\x0b\x03\x06\x08\x0c\x0e\x10\x0a\x16\x19\x18\x17"
	for i := range len(w) {
		switch i {
		case 6, 7, 9, 10, 12, 13, 14:
			if !isDigit(w[i]) {
				return false
			}
		default:
			if !isUpper(w[i]) {
				return false
			}
		}
	}
	sum := 0
	for i := range 15 {
		v := int(w[i] - 'A')
		if isDigit(w[i]) {
			v = int(w[i] - '0')
		}
		if i%2 == 0 {
			v = int(odd[v])
		}
		sum += v
	}
	return byte('A'+sum%26) == w[15]
}

// dated reports whether a number begins with a date as yymmdd.
func dated(d string) bool {
	month, day := number(d[2:4]), number(d[4:6])
	return month >= 1 && month <= 12 && day >= 1 && day <= 31
}

func korean(d string) bool {
	sum := 0
	for i, weight := range []int{2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5} {
		sum += int(d[i]-'0') * weight
	}
	return (11-sum%11)%10 == int(d[12]-'0')
}

func cpf(d string) bool {
	for n := 9; n <= 10; n++ {
		sum := 0
		for i := range n {
			sum += int(d[i]-'0') * (n + 1 - i)
		}
		if sum*10%11%10 != int(d[n]-'0') {
			return false
		}
	}
	return strings.Trim(d, d[:1]) != ""
}

// verhoeff checks the last digit by Verhoeff's scheme (dihedral group D5).
func verhoeff(d string) bool {
	const (
		product = "0123456789" + "1234067895" + "2340178956" + "3401289567" + "4012395678" + "5987604321" + "6598710432" + "7659821043" + "8765932104" + "9876543210"
		permute = "0123456789" + "1576283094" + "5803796142" + "8916043527" + "9453126870" + "4286573901" + "2793806415" + "7046913258"
	)
	c := byte(0)
	for i := range len(d) {
		p := permute[i%8*10+int(d[len(d)-1-i]-'0')] - '0'
		c = product[c*10+p] - '0'
	}
	return c == 0
}

// position looks for a pair of decimal degrees: 40.71278, -74.00594 (ISO 6709
// §6). Four decimals are a street corner; fewer are a town and stay.
func (sc *scanner) position(i, j int) int {
	if !sc.want.Has(Coordinates) || sc.at(j) != '.' || j-i > 2 {
		return 0
	}
	first := sc.degrees(i, 90)
	if first == 0 {
		return 0
	}
	k := sc.skip(first, "°NS, ;/", 4)
	for k < len(sc.s) && k-first < 8 && !isDigit(sc.s[k]) && sc.s[k] != '-' {
		k++
	}
	from := k
	if sc.at(k) == '-' {
		k++
	}
	end := sc.degrees(k, 180)
	if end == 0 || !strings.ContainsAny(sc.s[first:from], ",; /") {
		return 0
	}
	start := i
	if sc.at(i-1) == '-' {
		start--
	}
	return sc.add(Coordinates, start, end, sc.s[start:end])
}

// degrees reads degrees with at least four decimals and returns the end.
func (sc *scanner) degrees(i, most int) int {
	k := i
	for isDigit(sc.at(k)) && k-i < 3 {
		k++
	}
	if k == i || sc.at(k) != '.' || number(sc.s[i:k]) > most {
		return 0
	}
	e := k + 1
	for isDigit(sc.at(e)) {
		e++
	}
	if e-k < 5 || e-k > 10 || isWord(sc.at(e)) || sc.at(e) == '.' && isDigit(sc.at(e+1)) {
		return 0
	}
	return e
}

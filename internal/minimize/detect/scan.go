package detect

import (
	"strings"
	"unicode/utf8"
)

// A cue is a word that says what comes next. One word may be several.
type cue uint64

const (
	cueSecret cue = 1 << iota
	cueToken
	cueUser
	cuePerson
	cueGreeting
	cueSSN
	cueBirth
	cuePhone
	cueCardCode
	cueAttacker
	cueVictim
	cueMail
	cueExfil
	cueHome
	cueBegin
	cueScheme
	cueAuthorization
	cueCookie
	cueHeader
	cueFrom
	cueAt
	cueMethod
	cueCard
	cueCitation
	cueName
	cueCall
	cueUnit
	cueID
	cueMedical
	cueVehicle
	cueAccount
	cueHost
	cueMachine
	cueInternal
	cueMilitary
	cuePostcode
)

// scanner is one pass over one text. Everything that looks around a place
// looks a bounded number of bytes to either side, and never behind floor, so
// that the whole is linear.
type scanner struct {
	d      *Detector
	s      string
	want   Set
	out    []Span
	floor  int  // the end of the last value that was found
	nested bool // the text was decoded from another: no deeper
	tried  int  // up to here, something long was looked at and was nothing
	named  int  // up to here, words were looked at as names

	citation int  // where a citation began, 0 for none
	lower    bool // the text has no capitals

	// The ends of the last words of some kinds in this sentence, 0 for none.
	ssn, phone, call, card, attacker, victim, mail, exfil int
}

// The classes of bytes that the scan tells apart.
const (
	classNone  = iota
	classWord  // a letter, an underscore, any byte of a character beyond ASCII
	classDigit // 0 to 9
	classStop  // may end a sentence
	classAt
	classColon
	classPercent
	classBackslash
)

//nolint:gochecknoglobals // immutable table: looked up for every byte
var classes = func() (t [256]uint8) {
	for c := range 256 {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c >= 0x80:
			t[c] = classWord
		case c >= '0' && c <= '9':
			t[c] = classDigit
		}
	}
	t['.'], t[';'], t['\n'], t['!'], t['?'] = classStop, classStop, classStop, classStop, classStop
	t['@'], t[':'], t['%'], t['\\'] = classAt, classColon, classPercent, classBackslash
	return t
}()

func isWord(c byte) bool  { k := classes[c]; return k == classWord || k == classDigit }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }
func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isHex(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// at returns the byte at i, 0 when there is none.
func (sc *scanner) at(i int) byte {
	if i < 0 || i >= len(sc.s) {
		return 0
	}
	return sc.s[i]
}

// has reports whether the text at i is a word, whatever the case of its
// letters; word is lower case.
func (sc *scanner) has(i int, word string) bool {
	return i >= 0 && i+len(word) <= len(sc.s) && strings.EqualFold(sc.s[i:i+len(word)], word)
}

func (sc *scanner) scan() {
	s := sc.s
	for i := 0; i < len(s); {
		switch classes[s[i]] {
		case classWord, classDigit:
			j, plain := i+1, isDigit(s[i])
			for j < len(s) {
				k := classes[s[j]]
				if k != classWord && k != classDigit {
					break
				}
				plain = plain && k == classDigit
				j++
			}
			switch {
			case plain:
				i = max(j, sc.number(i, j))
			default:
				i = max(j, sc.word(i, j))
			}
		case classAt:
			i = max(i+1, sc.email(i, i+1))
		case classColon:
			if sc.at(i+1) == '/' && sc.at(i+2) == '/' {
				i = max(i+3, sc.authority(i+3))
				continue
			}
			i++
		case classPercent:
			if sc.at(i+1) == '4' && sc.at(i+2) == '0' {
				i = max(i+3, sc.email(i, i+3))
				continue
			}
			i++
		case classBackslash:
			i = max(i+1, sc.backslash(i))
		case classStop:
			if s[i] == '\n' || s[i] == ';' || i+1 < len(s) && (s[i+1] == ' ' || s[i+1] == '\n') {
				sc.attacker, sc.victim, sc.mail, sc.exfil = 0, 0, 0, 0
			}
			i++
		default:
			i++
		}
	}
}

// word handles the word s[i:j] and returns where to go on, at or before j when
// it was nothing.
func (sc *scanner) word(i, j int) int {
	n := j - i
	if n >= 12 {
		if end := sc.opaque(i, j); end > j {
			return end
		}
	}
	first := sc.s[i]
	if n >= 4 && isDigit(sc.s[i+2]) && isDigit(sc.s[i+3]) &&
		(isUpper(first) && isUpper(sc.s[i+1]) || isLower(first) && strings.Contains(strings.ToLower(sc.s[max(0, i-16):i]), "iban")) {
		return sc.iban(i, j)
	}
	if sc.at(i-1) == '-' && sc.want.Has(Secret) {
		if end := sc.option(i, j); end > 0 {
			return end
		}
	}
	if n == 4 && sc.at(j) == ' ' && sc.has(i, "user") && sc.want.Has(Secret) {
		if end := sc.netUser(i, j); end > 0 {
			return end
		}
	}
	// 221B Baker Street
	if n > 1 && n <= 5 && isDigit(first) && isUpper(sc.s[j-1]) && isDigit(sc.s[j-2]) && sc.at(j) == ' ' && sc.want.Has(Address) {
		if end := sc.street(i, j); end > j {
			return end
		}
	}
	if n == 1 {
		if first == 'S' && sc.has(j, "-1-5-21-") {
			return sc.sid(i, j)
		}
		return j
	}
	switch n {
	case 2, 9, 16:
		if end := sc.coded(i, j); end > j {
			return end
		}
	case 4, 11:
		if isDigit(first) && isUpper(sc.s[i+1]) && sc.want.Has(MedicalID) {
			if end := sc.beneficiary(i); end > j-1 && end > 0 {
				return end
			}
		}
	}
	end := j
	if c := sc.cue(i, j); c != 0 {
		if end = sc.follow(c, i, j); end > j {
			return end
		}
	}
	if (isUpper(first) || first >= utf8.RuneSelf) && sc.want.Has(Name) {
		return sc.people(i, j)
	}
	if sc.lower && sc.want.Has(Name) {
		return sc.small(i, j)
	}
	return end
}

// cue looks a word up. A name of several parts, such as reset_token, counts as
// its last part when a value follows.
func (sc *scanner) cue(i, j int) cue {
	if sc.d.lengths[sc.s[i]]&(1<<min(j-i, 31)) != 0 {
		var low [32]byte
		if j-i <= len(low) {
			for k := i; k < j; k++ {
				c := sc.s[k]
				if isUpper(c) {
					c |= 0x20
				}
				low[k-i] = c
			}
			if c, ok := sc.d.cues[string(low[:j-i])]; ok {
				return c
			}
		}
	}
	if c := sc.at(j); c == '=' || c == ':' || c == '"' {
		if k := strings.LastIndexByte(sc.s[i:j], '_'); k >= 0 && i+k+1 < j {
			return sc.cue(i+k+1, j) & (cueSecret | cueToken)
		}
	}
	return 0
}

// follow acts on a cue word. Position cues are remembered; the others look at
// what comes next.
func (sc *scanner) follow(c cue, i, j int) int {
	if c&cueSSN != 0 {
		sc.ssn = j
	}
	if c&cuePhone != 0 {
		sc.phone = j
	}
	if c&cueCall != 0 {
		sc.call = j
	}
	if c&cueCitation != 0 && sc.at(j) == ':' && (sc.at(i-1) == '(' || j-i == len("contributors")) {
		sc.citation = j
	}
	if c&cueCard != 0 {
		sc.card = j
	}
	if c&cueAttacker != 0 {
		sc.attacker = j
	}
	if c&cueMail != 0 {
		sc.mail = j
	}
	if c&cueExfil != 0 {
		sc.exfil = j
	}
	if c&cueHeader != 0 && sc.has(i, "to") && sc.exfil > 0 && i-sc.exfil < 80 {
		sc.attacker = j
	} else if c&(cueVictim|cueHeader) != 0 {
		sc.victim = j
	}
	if c&cueFrom != 0 && sc.mail > 0 && i-sc.mail < 80 || c&cueFrom != 0 && sc.at(j) == ':' {
		sc.attacker = j
	}
	if c&cueFrom != 0 && sc.victim > sc.attacker && sc.attacker > 0 && i-sc.attacker < 120 && sc.wrote(sc.attacker, sc.victim) {
		sc.attacker = j // the attacker wrote to jane@corp.example from …
	}
	for _, try := range [...]struct {
		on   cue
		kind Kind
		do   func(i, j int) int
	}{
		{cueInternal, Host, sc.suffix},
		{cueMachine, Host, sc.machine},
		{cueHost, Host, sc.hostname},
		{cueHome, UserName, sc.home},
		{cueBegin, Secret, sc.privateKey},
		{cueSecret | cueMethod, UserName, sc.login},
		{cueSecret, Secret, sc.secret},
		{cueToken, Token, sc.token},
		{cueScheme, Secret, sc.scheme},
		{cueAuthorization, Secret, sc.authorization},
		{cueCookie, Secret, sc.cookie},
		{cueUser, UserName, sc.user},
		{cueAt, Email, sc.spelledAt},
		{cueBirth, BirthDate, sc.birth},
		{cueCardCode, Card, sc.cardCode},
		{cueID, NationalID, sc.nationalID},
		{cueMedical, MedicalID, sc.medicalID},
		{cueVehicle, Vehicle, sc.vehicle},
		{cueAccount, BankAccount, sc.bankAccount},
		{cueUnit, Address, sc.unit},
		{cueMilitary, Address, sc.military},
		{cuePostcode, Address, sc.postcode},
		{cueName, Name, sc.calls},
		{cueGreeting, Name, sc.greeting},
		{cueHeader, Name, sc.header},
		{cuePerson, Name, sc.person},
	} {
		if c&try.on != 0 && sc.want.Has(try.kind) {
			if end := try.do(i, j); end > j {
				return end
			}
		}
	}
	return j
}

// wrote reports whether s[i:j] says that a message was sent.
func (sc *scanner) wrote(i, j int) bool {
	for _, w := range [...]string{" wrote", " sent", " mailed", " emailed", " e-mailed", " phished"} {
		if strings.Contains(sc.s[i:j], w) {
			return true
		}
	}
	return false
}

// add records a value and returns its end.
func (sc *scanner) add(k Kind, start, end int, value string) int {
	if !sc.want.Has(k) || start < sc.floor || start >= end {
		return 0
	}
	sc.out = append(sc.out, Span{Start: start, End: end, Kind: k, Value: value})
	sc.floor = end
	return end
}

// addPersonal records a value that belongs to a person, and the person's name
// when it stands right before.
func (sc *scanner) addPersonal(k Kind, start, end int, value string) int {
	floor := sc.floor
	if sc.add(k, start, end, value) == 0 {
		return 0
	}
	n := len(sc.out) - 1
	sc.out[n].Attacker = sc.attackers(start)
	if sc.out[n].Attacker || !sc.want.Has(Name) {
		return end
	}
	if from, to := sc.nameBefore(start, floor); to > from {
		sc.out = append(sc.out, Span{Start: from, End: to, Kind: Name, Value: strings.ToLower(sc.s[from:to])})
	}
	return end
}

// attackers reports whether the words before i, in the same sentence, say that
// what stands there is the attacker's.
func (sc *scanner) attackers(i int) bool {
	return sc.attacker > sc.victim && i-sc.attacker <= 48
}

// near reports whether a cue that ended at mark is close before i.
func near(mark, i int) bool { return mark > 0 && i >= mark && i-mark <= 24 }

// skip returns the first index from i on, at most most bytes away, whose byte
// is not in set.
func (sc *scanner) skip(i int, set string, most int) int {
	for k := 0; k < most && i < len(sc.s) && strings.IndexByte(set, sc.s[i]) >= 0; k++ {
		i++
	}
	return i
}

// until returns the first index from i on, at most most bytes away, whose byte
// is in set or white space.
func (sc *scanner) until(i int, set string, most int) int {
	for end := min(len(sc.s), i+most); i < end; i++ {
		if c := sc.s[i]; c <= ' ' || strings.IndexByte(set, c) >= 0 {
			break
		}
	}
	return i
}

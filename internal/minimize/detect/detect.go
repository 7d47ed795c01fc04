// Package detect finds personal data and secrets in free text.
package detect

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Kind is what a found value is.
type Kind uint8

// The kinds of values, in the order of preference when two overlap.
const (
	Secret      Kind = iota // a password, a private key, a credential that is one whatever surrounds it
	Token                   // the value of a token-like parameter: a secret unless the URL is the attacker's own
	Card                    // a payment card number (ISO/IEC 7812) or its security code
	IBAN                    // an international bank account number (ISO 13616)
	SSN                     // a US social security or taxpayer number
	SID                     // a Windows security identifier of a domain account
	Email                   // an e-mail address
	Phone                   // a telephone number
	BirthDate               // a date that is said to be somebody's birth date
	Address                 // a street address
	UserName                // an account name
	Name                    // a person's name
	NationalID              // a number that a state gave to a person: identity, passport, license, tax
	BankAccount             // a bank account by its domestic number
	MedicalID               // a number that a health service gave to a patient
	Vehicle                 // a license plate or a vehicle identification number
	Coordinates             // a position on earth
	Host                    // a machine or a share of an internal network, by name
	Internal                // an address of an internal network (RFC 1918)
	kinds
)

// names are the kinds as rule files and findings spell them.
func names() [kinds]string {
	return [kinds]string{
		"secret", "token", "card", "iban", "ssn", "sid", "email", "phone", "birth-date", "address", "user-name", "person-name",
		"national-id", "bank-account", "medical-id", "vehicle", "coordinates", "host-name", "internal-address",
	}
}

// String returns the kind as rule files and findings spell it.
func (k Kind) String() string {
	if k < kinds {
		return names()[k]
	}
	return ""
}

// ParseKind reads a kind's name.
func ParseKind(name string) (Kind, bool) {
	all := names()
	i := slices.Index(all[:], name)
	return Kind(max(i, 0)), i >= 0
}

// Kinds returns how many kinds there are; they are numbered from 0.
func Kinds() int { return int(kinds) }

// A Set is a set of kinds.
type Set uint32

// All is the set of all kinds.
const All = Set(1<<kinds - 1)

// Of returns the set of some kinds.
func Of(list ...Kind) Set {
	var s Set
	for _, k := range list {
		s |= 1 << k
	}
	return s
}

// Has reports whether the set contains a kind.
func (s Set) Has(k Kind) bool { return s&(1<<k) != 0 }

// A Span is a found value.
type Span struct {
	Start, End int    // byte offsets within the text
	Kind       Kind   // what it is
	Value      string // the value without disguise: lower case, digits only, decoded; for telling whether two are the same
	Attacker   bool   // the words around it say that it is the attacker's
	Unsure     bool   // it may be something else: masked all the same, and for a person to look at
}

// Words are the word lists that the detectors work with. All are lower case.
type Words struct {
	Secrets      []string `yaml:"secrets"`      // parameter names whose value is a secret
	Tokens       []string `yaml:"tokens"`       // parameter names whose value is one when it looks random
	Users        []string `yaml:"users"`        // parameter names whose value is an account name
	Accounts     []string `yaml:"accounts"`     // account names that belong to nobody in particular
	Roles        []string `yaml:"roles"`        // local parts of e-mail addresses that belong to nobody in particular
	People       []string `yaml:"people"`       // words that stand before a person's name
	Greetings    []string `yaml:"greetings"`    // words that begin a letter, before a person's name
	NoName       []string `yaml:"no_name"`      // capitalized words that are no part of a person's name
	NoLone       []string `yaml:"no_lone"`      // given names that alone are more often programs, places or groups
	NoPerson     []string `yaml:"no_person"`    // places and things whose names of several words look like a person's
	BeforePlaces []string `yaml:"before_place"` // words after which a given name is a place: Saint Helena
	SSN          []string `yaml:"ssn"`          // words before a social security number
	BirthDate    []string `yaml:"birth_date"`
	Phone        []string `yaml:"phone"`
	Calls        []string `yaml:"calls"`         // words before a telephone number that mean other things as well
	NationalIDs  []string `yaml:"national_ids"`  // words before the number of an identity document or a taxpayer
	MedicalIDs   []string `yaml:"medical_ids"`   // words before a patient's number
	Vehicles     []string `yaml:"vehicles"`      // words before a vehicle's number
	BankAccounts []string `yaml:"bank_accounts"` // words before a bank account's number
	CardCode     []string `yaml:"card_code"`     // words before a card's security code
	Card         []string `yaml:"card"`          // words before a card number
	Samples      []string `yaml:"samples"`       // domains that stand for one in examples
	Streets      []string `yaml:"streets"`       // words that end a street's name
	Attacker     []string `yaml:"attacker"`      // words that say that what follows is the attacker's
	Victim       []string `yaml:"victim"`        // words that say that what follows is the victim's
	Mail         []string `yaml:"mail"`          // words that make "from" name a sender
	Exfil        []string `yaml:"exfil"`         // words that make "to" name the attacker's address
	Hosts        []string `yaml:"hosts"`         // words before a machine's name
	Machines     []string `yaml:"machines"`      // words that names of machines have in them
	Internal     []string `yaml:"internal"`      // how names of internal hosts end
	Homes        []string `yaml:"homes"`         // folders that hold users' folders
}

// A Detector finds values. It is safe for concurrent use.
type Detector struct {
	cues        map[string]cue
	lengths     [256]uint32 // by first letter: the lengths of the cue words that begin with it
	accounts    map[string]bool
	roles       map[string]bool
	noName      map[string]bool
	noLone      map[string]bool
	noPerson    map[string]bool
	beforePlace map[string]bool
	streets     map[string]bool
	samples     map[string]bool
	people      map[string]sort // the dictionary of names and words
	labels      map[string]bool // words that may stand between a name and the number that belongs to it
}

// New returns a detector that uses the word lists.
func New(w Words) *Detector {
	d := &Detector{
		cues: map[string]cue{}, accounts: set(w.Accounts), roles: set(w.Roles), noName: set(w.NoName), noLone: set(w.NoLone),
		noPerson: set(w.NoPerson), beforePlace: set(w.BeforePlaces),
		streets: set(w.Streets), people: dictionary(), samples: set(w.Samples), labels: map[string]bool{},
	}
	for c, list := range map[cue][]string{
		cueSecret: w.Secrets, cueToken: w.Tokens, cueUser: w.Users, cuePerson: w.People, cueGreeting: w.Greetings,
		cueSSN: w.SSN, cueBirth: w.BirthDate, cuePhone: w.Phone, cueCardCode: w.CardCode, cueCard: w.Card,
		cueAttacker: w.Attacker, cueVictim: w.Victim, cueMail: w.Mail, cueExfil: w.Exfil,
		cueHome: w.Homes, cueHost: w.Hosts, cueMachine: w.Machines, cueInternal: w.Internal, cueBegin: {"begin"}, cueScheme: {"bearer", "basic"},
		cueAuthorization: {"authorization"}, cueCookie: {"cookie"}, cueHeader: {"to", "cc", "bcc"}, cueFrom: {"from"},
		cueAt: {"at"}, cueCitation: {"citation", "contributors"}, cueName: {"name", "named"}, cueCall: w.Calls, cueUnit: {"apt", "suite"},
		cueMilitary: {"apo", "fpo", "dpo"}, cuePostcode: {"zip", "zipcode", "postcode", "postal", "plz"},
		cueID: w.NationalIDs, cueMedical: w.MedicalIDs, cueVehicle: w.Vehicles, cueAccount: w.BankAccounts, cueMethod: {"publickey", "hostbased", "pam", "mic"},
	} {
		for _, word := range list {
			d.cues[word] |= c
			d.lengths[word[0]] |= 1 << min(len(word), 31)
			d.lengths[word[0]&^0x20] |= 1 << min(len(word), 31)
			if word[0] >= utf8.RuneSelf { // only ASCII is folded as the text is read
				r, n := utf8.DecodeRuneInString(word)
				capital := string(unicode.ToUpper(r)) + word[n:]
				d.cues[capital] |= c
				d.lengths[capital[0]] |= 1 << min(len(capital), 31)
			}
		}
	}
	for _, list := range [][]string{w.SSN, w.BirthDate, w.Phone, w.CardCode, w.Card, {
		"iban", "date", "of", "email", "mail", "e-mail", "address", "number", "no", "account", "social",
		"security", "at", "credit", "debit", "ext", "is",
	}} {
		for _, word := range list {
			d.labels[word] = true
		}
	}
	return d
}

func set(list []string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, s := range list {
		m[s] = true
	}
	return m
}

// Find appends the values of the wanted kinds that the text contains, in the
// order of the text and without overlaps. It takes time linear in the length
// of the text, whatever the text.
func (d *Detector) Find(found []Span, text string, want Set) []Span {
	mark := len(found)
	plain, offsets := undisguise(text)
	sc := scanner{d: d, s: plain, want: want, out: found, lower: want.Has(Name) && !capitals(plain)}
	sc.scan()
	found = sc.out
	if len(found) == mark {
		return found
	}
	if offsets != nil {
		for i := mark; i < len(found); i++ {
			found[i].Start = int(offsets[found[i].Start])
			found[i].End = int(offsets[found[i].End])
		}
	}
	return found[:mark+tidy(found[mark:])]
}

// tidy sorts spans and removes those that a better one overlaps; it returns how
// many are left.
func tidy(spans []Span) int {
	slices.SortStableFunc(spans, func(a, b Span) int {
		if a.Start != b.Start {
			return a.Start - b.Start
		}
		if a.End != b.End {
			return b.End - a.End
		}
		return int(a.Kind) - int(b.Kind)
	})
	n := 0
	for _, s := range spans {
		if n == 0 || s.Start >= spans[n-1].End {
			spans[n] = s
			n++
			continue
		}
		// They overlap: the stronger kind names the union, so that no part of
		// either is left.
		last := &spans[n-1]
		if s.Kind < last.Kind && !last.covers(s) {
			last.Kind, last.Value, last.Attacker = s.Kind, s.Value, s.Attacker
		}
		last.End = max(last.End, s.End)
	}
	return n
}

func (s Span) covers(other Span) bool { return s.Start <= other.Start && s.End >= other.End }

// undisguise removes what people and programs put into values so that they are
// not found: characters without width inside a number, digits of other scripts
// and of full width. It returns the text to look at and, when that differs,
// the offset in the original of each byte of it and of its end.
func undisguise(text string) (string, []uint32) {
	if !disguised(text) {
		return text, nil
	}
	var b strings.Builder
	b.Grow(len(text))
	offsets := make([]uint32, 0, len(text)+1)
	for at := 0; at < len(text); {
		before, size := b.Len(), 1
		if text[at] == 0 && wide(text, at) {
			// UTF-16 in a text: the byte is half of its neighbor
		} else if c, n := decoded(text[at:]); n > 0 {
			b.WriteByte(c)
			size = n
		} else if text[at] < utf8.RuneSelf {
			b.WriteByte(text[at])
		} else {
			var r rune
			r, size = utf8.DecodeRuneInString(text[at:])
			if to, folds := fold(r); !folds {
				b.WriteString(text[at : at+size])
			} else if to != 0 {
				b.WriteByte(to)
			}
		}
		for range b.Len() - before {
			offsets = append(offsets, uint32(at))
		}
		at += size
	}
	return b.String(), append(offsets, uint32(len(text)))
}

// disguised reports whether a text has anything that undisguise changes.
func disguised(text string) bool {
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == 0 && wide(text, i):
			return true
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(text[i:])
			if _, folds := fold(r); folds {
				return true
			}
			i += n
			continue
		case c == '&' || c == '%' || c == '\\' || c == '=':
			if _, n := decoded(text[i:]); n > 0 {
				return true
			}
		}
		i++
	}
	return false
}

// decoded reads a character that is written as its number: %40 (RFC 3986 §2.1),
// &#64; and &#x40; (HTML), \u0040 and \x40 (programs), =40 (RFC 2045 §6.7).
// Only letters, digits and what stands between them in values are read, and n
// is 0 for anything else.
func decoded(s string) (c byte, n int) {
	if len(s) < 3 {
		return 0, 0
	}
	hex := func(from, digits int) int {
		if from+digits > len(s) {
			return -1
		}
		v := 0
		for _, c := range []byte(s[from : from+digits]) {
			switch {
			case isDigit(c):
				v = v<<4 | int(c-'0')
			case isHex(c):
				v = v<<4 | int(c|0x20-'a'+10)
			default:
				return -1
			}
		}
		return v
	}
	v := -1
	switch {
	case s[0] == '%':
		v, n = hex(1, 2), 3
	case s[0] == '=': // a value may follow an equals sign as well: only what prose has no use for
		if v, n = hex(1, 2), 3; v != '-' && v != '@' && v != '.' {
			return 0, 0
		}
	case s[0] == '\\' && s[1] == 'x':
		if v, n = hex(2, 2), 4; len(s) > n+1 && s[n] == '\\' && s[n+1] != 'x' {
			return 0, 0 // the folder x64
		}
	case s[0] == '\\' && s[1] == 'u':
		v, n = hex(2, 4), 6
	case s[0] == '&' && s[1] == '#':
		v, n = entity(s)
	}
	if v < 0 || v >= utf8.RuneSelf || !isWord(byte(v)) && strings.IndexByte("-.@ +:", byte(v)) < 0 {
		return 0, 0
	}
	return byte(v), n
}

// entity reads &#64; or &#x40;.
func entity(s string) (v, n int) {
	end := strings.IndexByte(s[:min(len(s), 10)], ';')
	if end < 3 {
		return -1, 0
	}
	digits, base := s[2:end], 10
	if digits[0] == 'x' || digits[0] == 'X' {
		digits, base = digits[1:], 16
	}
	u, err := strconv.ParseUint(digits, base, 8)
	if err != nil {
		return -1, 0
	}
	return int(u), end + 1
}

// fold returns the ASCII character that r stands for, 0 for one that is not
// visible.
func fold(r rune) (byte, bool) {
	switch {
	case r < 0xa0:
		return 0, false
	case r == 0xa0, r == 0x2007, r == 0x202f, r == 0x3000:
		return ' ', true
	case r == 0xad, r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x2064, r == 0xfeff, r == 0x180e:
		return 0, true
	case r >= 0x2010 && r <= 0x2013, r == 0x2212, r == 0xfe63:
		return '-', true
	case r >= 0xff01 && r <= 0xff5e:
		return byte(r - 0xff01 + '!'), true
	case r >= 0x660 && r <= 0x669:
		return byte(r-0x660) + '0', true
	case r >= 0x6f0 && r <= 0x6f9:
		return byte(r-0x6f0) + '0', true
	case r >= 0x966 && r <= 0x96f:
		return byte(r-0x966) + '0', true
	case r >= 0x1d7ce && r <= 0x1d7ff:
		return byte(r-0x1d7ce)%10 + '0', true
	}
	return 0, false
}

// Everybodys reports whether an account name belongs to nobody in particular:
// every system has it, or it is how people write that there is one.
func (d *Detector) Everybodys(account string) bool {
	if n := strings.LastIndexByte(account, '\\'); n >= 0 {
		account = account[n+1:]
	}
	switch account {
	case "0", "S-1-5-18", "S-1-5-19", "S-1-5-20":
		return true
	}
	return placeholder(account) || d.accounts[strings.ToLower(account)]
}

// Common reports whether a word, in lower case, is one that capitals do not
// make a name.
func (d *Detector) Common(word string) bool { return d.noName[word] || d.sortOf(word)&ordinary != 0 }

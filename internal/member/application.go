package member

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tocsin"
)

// The states of an application. One that was withdrawn is not kept.
const (
	StateOpen     = "open" // waits for sponsors, or for the decision
	StateExpired  = "expired"
	StateRefused  = "refused"
	StateAdmitted = "admitted"
)

// The actions of a decision on an application.
const (
	Admit  = "admit"
	Refuse = "refuse"
)

const (
	// Sponsors is how many members of different organizations vouch for who
	// applies.
	Sponsors = 2

	opensFor  = 90 * 24 * time.Hour // how long an application waits
	keptFor   = 30 * 24 * time.Hour // how long who was refused may read why; only then it may apply again
	mostTries = 5                   // wrong codes from one organization for one application
)

// An applicationDoc is an application as it is kept. The codes are kept as
// hashes: who reads the store cannot vouch.
type applicationDoc struct {
	Community    string         `json:"community"`
	Organization string         `json:"organization"`
	User         string         `json:"user"` // who applied
	Statement    string         `json:"statement"`
	Agreement    string         `json:"agreement,omitempty"` // SHA-256 of the text that it accepted
	Made         time.Time      `json:"made"`
	State        string         `json:"state"` // [StateOpen] or [StateRefused]
	Codes        [][]byte       `json:"codes"` // SHA-256; each is good for one sponsor
	Sponsors     []Sponsor      `json:"sponsors,omitempty"`
	Tries        map[string]int `json:"tries,omitempty"` // organization → wrong codes
	Reason       string         `json:"reason,omitempty"`
	Decided      time.Time      `json:"decided,omitzero"`
}

// A Sponsor is somebody who has vouched for an application.
type Sponsor struct {
	Organization string    `json:"organization"`
	User         string    `json:"user"`
	Time         time.Time `json:"time"`
}

// state returns the state at a time.
func (a applicationDoc) state(now time.Time) string {
	if a.State == StateOpen && now.After(a.Made.Add(opensFor)) {
		return StateExpired
	}
	return a.State
}

// gone reports whether nothing is left of the application for anybody to read.
func (a applicationDoc) gone(now time.Time) bool {
	return a.State == StateRefused && now.After(a.Decided.Add(keptFor)) || a.state(now) == StateExpired && now.After(a.Made.Add(opensFor+keptFor))
}

// An Application is one as whoever asks may know it: who decides all of it; who
// applied, once it is refused, that it is and why.
type Application struct {
	Community    string    `json:"community"`
	Organization string    `json:"organization"`
	State        string    `json:"state"`
	Made         time.Time `json:"made"`
	Expires      time.Time `json:"expires,omitzero"`
	Vouched      int       `json:"vouched"` // sponsors so far, of [Sponsors]
	User         string    `json:"user,omitempty"`
	Statement    string    `json:"statement,omitempty"`
	Agreement    string    `json:"agreement,omitempty"` // SHA-256
	Sponsors     []Sponsor `json:"sponsors,omitempty"`
	Reason       string    `json:"reason,omitempty"`
	Codes        []string  `json:"codes,omitempty"` // only in the answer to who applies, once
}

func (a applicationDoc) application(now time.Time) Application {
	return Application{
		Community: a.Community, Organization: a.Organization, State: a.state(now), Made: a.Made, Expires: a.Made.Add(opensFor), Vouched: len(a.Sponsors),
		User: a.User, Statement: a.Statement, Agreement: a.Agreement, Sponsors: a.Sponsors, Reason: a.Reason,
	}
}

// own returns what who applied may know of it.
func (a applicationDoc) own(now time.Time) Application {
	all := a.application(now)
	if a.State == StateRefused {
		return Application{Community: a.Community, Organization: a.Organization, State: StateRefused, Made: a.Made, Reason: a.Reason}
	}
	all.Sponsors = nil
	return all
}

// speaks refuses a token that is limited to a role: what it does is not what the
// organization wants.
func (d *directory) speaks(who tocsin.Member) error {
	if t, ok := d.tokens[who.Token]; !ok || t.Role != "" {
		return &tocsin.Error{Kind: tocsin.Forbidden, Message: "this token is limited to a role: it cannot speak for its organization", Hint: "use a token without a role"}
	}
	return nil
}

// knows returns a community that is public, or in which who asks has a part;
// for others it is not found.
func (d *directory) knows(who tocsin.Member, name string) (communityDoc, error) {
	c := d.communities[name]
	at, _ := c.phase(time.Now())
	public := c.Charter != nil && c.Charter.Public && at != closed
	if d.groups[name] == nil || !public && !who.Operator && who.Role(name) < tocsin.Reader {
		return communityDoc{}, noCommunity()
	}
	return c, nil
}

func noCommunity() *tocsin.Error {
	return &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such community"}
}

func noApplication() *tocsin.Error {
	return &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such application", Hint: "check the organization and the code: it is the one that the applicant told you"}
}

// prose checks a text that a person wrote.
func prose(at, text string, most int) error {
	switch {
	case strings.TrimSpace(text) == "":
		return &tocsin.Error{Kind: tocsin.Invalid, At: at, Message: "a text is needed here", Hint: "say it in a sentence or two"}
	case len(text) > most:
		return &tocsin.Error{Kind: tocsin.Invalid, At: at, Message: "the text is longer than " + strconv.Itoa(most) + " bytes", Hint: "shorten it"}
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }):
		return &tocsin.Error{Kind: tocsin.Invalid, At: at, Message: "the text holds characters that do not print", Hint: "remove them"}
	}
	return nil
}

// change plans a change of one step and saves it. f is called again when another
// replica was faster.
func (s *Service) change(ctx context.Context, who tocsin.Member, f func(d *directory, p *draft) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return again(func() error {
		d := s.planned()
		p := newDraft(d, who)
		for _, a := range sorted(d.applications) {
			if a.gone(p.now) {
				p.dropApplication(a)
			}
		}
		if err := f(d, p); err != nil {
			return err
		}
		return s.save(ctx, p)
	})
}

func (d *draft) putApplication(a applicationDoc, action, record string) {
	key := a.Community + "/" + a.Organization
	d.state.applications[key] = a
	d.put(kindApplication, key, a)
	d.note(Step{Kind: kindApplication, Name: key, Action: action, record: record})
}

func (d *draft) dropApplication(a applicationDoc) {
	key := a.Community + "/" + a.Organization
	delete(d.state.applications, key)
	d.drop(kindApplication, key)
	d.note(Step{Kind: kindApplication, Name: key, Action: Removed})
}

// A Request is what an organization says when it applies to a community.
type Request struct {
	Statement string `json:"statement"` // who the organization is and why it wants to join
	Agreement string `json:"agreement"` // SHA-256 of the community's agreement, which it accepts by this
}

// RequestMembership puts on record that an organization applies to a community
// and accepts its agreement. What it returns holds two codes, one for each
// sponsor, which the applicant tells them outside of the hub; they are not shown
// again. A community that is not public is not found.
func (s *Service) RequestMembership(ctx context.Context, who tocsin.Member, community string, r Request) (made Application, err error) {
	err = s.change(ctx, who, func(d *directory, p *draft) error {
		c, err := d.knows(who, community)
		if err != nil {
			return err
		}
		if err := d.mayRequest(who, c, r, p.now); err != nil {
			return err
		}
		doc := applicationDoc{
			Community: community, Organization: who.Organization.Name, User: who.User, Statement: r.Statement, Agreement: r.Agreement,
			Made: p.now.UTC().Truncate(time.Second), State: StateOpen,
		}
		record := ""
		if r.Agreement != "" {
			record = ", accepts the agreement sha256:" + r.Agreement
		}
		codes := make([]string, Sponsors)
		for i := range codes {
			codes[i] = newCode()
			doc.Codes = append(doc.Codes, doc.hash(codes[i]))
		}
		p.putApplication(doc, Made, record)
		made = doc.own(p.now)
		made.Codes = codes
		return nil
	})
	return made, err
}

func (d *directory) mayRequest(who tocsin.Member, c communityDoc, r Request, now time.Time) error {
	key := c.Name + "/" + who.Organization.Name
	before, applied := d.applications[key]
	at, _ := c.phase(now)
	switch _, member := d.memberships[key]; {
	case member:
		return &tocsin.Error{Kind: tocsin.Conflict, Message: "your organization is a member of this community, or was suspended there", Hint: "its operators know more"}
	case c.Charter == nil || !c.Charter.Public:
		return noCommunity()
	case at != standing:
		return &tocsin.Error{Kind: tocsin.Conflict, Message: "this community has ended: it admits nobody more", Hint: "apply to another community"}
	case applied && before.state(now) == StateOpen:
		return &tocsin.Error{Kind: tocsin.Conflict, Message: "your organization has applied already", Hint: "wait for the decision, or withdraw the application: tocsin community leave"}
	case applied && before.State == StateRefused && !before.gone(now):
		return &tocsin.Error{Kind: tocsin.Conflict, Message: "your organization was refused less than 30 days ago", Hint: "see why with tocsin community applications, and apply again later"}
	case r.Agreement != c.Charter.Agreement.SHA256():
		return &tocsin.Error{Kind: tocsin.Invalid, At: "/agreement", Message: "this is not the hash of the community's agreement as it is now", Hint: "read the agreement with tocsin community show, and accept that"}
	}
	if err := d.speaks(who); err != nil {
		return err
	}
	return prose("/statement", r.Statement, longestStatement)
}

// newCode returns a code of 40 random bits that can be told over the telephone.
func newCode() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails (Go 1.24)
	text := strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
	return text[:4] + "-" + text[4:]
}

// hash returns what is kept of a code. It is bound to the application.
func (a applicationDoc) hash(code string) []byte {
	code = strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(code))
	sum := sha256.Sum256([]byte("tocsin application code\n" + a.Community + "\n" + a.Organization + "\n" + code))
	return sum[:]
}

// Applications returns a community's applications, in order of name, to those
// who decide on them, and its own to the organization that applied. To members
// who do neither the list is empty; for strangers the community is not found.
func (s *Service) Applications(who tocsin.Member, community string) ([]Application, error) {
	d, now := s.present(), time.Now()
	mine, applied := d.applications[community+"/"+who.Organization.Name]
	applied = applied && !mine.gone(now)
	if _, err := d.knows(who, community); err != nil && !applied {
		return nil, err
	}
	found := []Application{}
	for _, a := range sorted(d.applications) {
		switch {
		case a.Community != community || a.gone(now):
		case d.decides(who, community):
			found = append(found, a.application(now))
		case a.Organization == who.Organization.Name:
			found = append(found, a.own(now))
		}
	}
	return found, nil
}

// decides reports whether somebody decides on a community's applications.
func (d *directory) decides(who tocsin.Member, community string) bool {
	return who.Operator || who.Role(community) >= tocsin.Curator
}

// Vouch has a member vouch for an application. The code is one of those that the
// applicant was given: who has it spoke with the applicant outside of the hub.
// Without a good code no application is found; who tries too often finds none.
func (s *Service) Vouch(ctx context.Context, who tocsin.Member, community, organization, code string) (vouched Application, err error) {
	wrong := false
	err = s.change(ctx, who, func(d *directory, p *draft) error {
		wrong = false
		if who.Role(community) < tocsin.Reader {
			return noCommunity()
		}
		if err := d.maySponsor(who, community, p.now); err != nil {
			return err
		}
		me := who.Organization.Name
		a, ok := d.applications[community+"/"+organization]
		if !ok || a.state(p.now) != StateOpen || a.Tries[me] >= mostTries {
			return noApplication()
		}
		if slices.ContainsFunc(a.Sponsors, func(s Sponsor) bool { return s.Organization == me }) {
			return &tocsin.Error{Kind: tocsin.Conflict, Message: "your organization has vouched for this one already", Hint: "the other sponsor belongs to another member"}
		}
		sum, i := a.hash(code), -1
		for n, good := range a.Codes {
			if subtle.ConstantTimeCompare(sum, good) == 1 {
				i = n
			}
		}
		if wrong = i < 0; wrong {
			tries := map[string]int{me: a.Tries[me] + 1}
			for other, n := range a.Tries {
				tries[other] = max(n, tries[other])
			}
			a.Tries = tries
			p.putApplication(a, Changed, ", a wrong code from "+me)
			return nil
		}
		a.Codes = slices.Delete(slices.Clone(a.Codes), i, i+1) // good for one sponsor
		a.Sponsors = append(slices.Clone(a.Sponsors), Sponsor{me, who.User, p.now.UTC().Truncate(time.Second)})
		p.putApplication(a, Changed, ", sponsored by "+me+"/"+who.User)
		vouched = a.application(p.now)
		return nil
	})
	if err == nil && wrong {
		err = noApplication()
	}
	return vouched, err
}

// maySponsor refuses members that are on probation.
func (d *directory) maySponsor(who tocsin.Member, community string, now time.Time) error {
	if m := d.memberships[community+"/"+who.Organization.Name]; now.Before(m.Probation) {
		return &tocsin.Error{Kind: tocsin.Forbidden, Message: "members on probation do not vouch for others", Hint: "another member has to"}
	}
	return d.speaks(who)
}

// A Decision ends an application.
type Decision struct {
	Action    string `json:"action"` // [Admit] or [Refuse]
	Reason    string `json:"reason"` // for the record; who applied reads why it was refused
	Role      string `json:"role"`   // of who is admitted: reader or writer; reader
	Probation *int   `json:"probation_days"`
}

// Decide admits or refuses who applied. It takes a curator or operator who is not
// one of the sponsors, and to admit, both sponsors.
func (s *Service) Decide(ctx context.Context, who tocsin.Member, community, organization string, decision Decision) (decided Application, err error) {
	err = s.change(ctx, who, func(d *directory, p *draft) error {
		c, err := d.knows(who, community)
		if err != nil {
			return err
		}
		if !d.decides(who, community) {
			return noApplication()
		}
		a, ok := d.applications[community+"/"+organization]
		if !ok || a.gone(p.now) {
			return noApplication()
		}
		if err := a.mayDecide(who, decision, p.now); err != nil {
			return err
		}
		by := ", by " + who.Organization.Name + "/" + who.User
		a.Decided = p.now.UTC().Truncate(time.Second)
		if decision.Action == Refuse {
			a.State, a.Reason, a.Codes = StateRefused, decision.Reason, nil
			p.putApplication(a, Changed, ", refused"+by+": "+decision.Reason)
			decided = a.application(p.now)
			return nil
		}
		m := membershipDoc{Community: community, Organization: organization, Role: orElse(decision.Role, tocsin.Reader.String()), Agreement: a.Agreement, Accepted: a.Made}
		days := 0
		if c.Charter != nil {
			days = c.Charter.Probation
		}
		if decision.Probation != nil {
			days = *decision.Probation
		}
		if days > 0 {
			m.Probation = a.Decided.AddDate(0, 0, days)
		}
		decided = a.application(p.now)
		decided.State, decided.Reason = StateAdmitted, decision.Reason
		p.dropApplication(a)
		p.putMembership(m, Made, m.Role)
		p.applied.Changes[len(p.applied.Changes)-1].record = ", " + m.Role + ", sponsored by " + a.sponsors() + ", admitted" + by + ": " + decision.Reason
		return nil
	})
	return decided, err
}

func (a applicationDoc) sponsors() string {
	names := make([]string, len(a.Sponsors))
	for i, s := range a.Sponsors {
		names[i] = s.Organization + "/" + s.User
	}
	return strings.Join(names, " and ")
}

func (a applicationDoc) mayDecide(who tocsin.Member, decision Decision, now time.Time) error {
	switch {
	case decision.Action != Admit && decision.Action != Refuse:
		return &tocsin.Error{Kind: tocsin.Invalid, At: "/action", Message: "this is no decision", Hint: "write admit or refuse"}
	case a.state(now) != StateOpen:
		return &tocsin.Error{Kind: tocsin.Conflict, Message: "this application has ended", Hint: "the applicant may apply again"}
	case decision.Role != "" && decision.Role != "reader" && decision.Role != "writer":
		return &tocsin.Error{Kind: tocsin.Invalid, At: "/role", Message: "who is new becomes a reader or a writer", Hint: "other roles are given later, with tocsin community admit"}
	case decision.Probation != nil && (*decision.Probation < 0 || *decision.Probation > longestProbation):
		return &tocsin.Error{Kind: tocsin.Invalid, At: "/probation_days", Message: "probation lasts between 0 and 3650 days", Hint: "write a number of days"}
	}
	if err := prose("/reason", decision.Reason, longestReason); err != nil {
		return err
	}
	if decision.Action == Refuse {
		return nil
	}
	if len(a.Sponsors) < Sponsors {
		return &tocsin.Error{Kind: tocsin.Conflict, Message: "so far " + strconv.Itoa(len(a.Sponsors)) + " of 2 sponsors have vouched for this organization", Hint: "two members of different organizations vouch with tocsin community sponsor"}
	}
	for _, sponsor := range a.Sponsors {
		if sponsor.Organization == who.Organization.Name && sponsor.User == who.User {
			return &tocsin.Error{Kind: tocsin.Forbidden, Message: "who has vouched does not decide", Hint: "another curator or operator has to"}
		}
	}
	return nil
}

// Leave ends the part that the organization of who asks has in a community, or
// withdraws its application; not found when there is neither.
func (s *Service) Leave(ctx context.Context, who tocsin.Member, community string) error {
	return s.change(ctx, who, func(d *directory, p *draft) error {
		key := community + "/" + who.Organization.Name
		m, member := d.memberships[key]
		a, applied := d.applications[key]
		applied = applied && a.state(p.now) == StateOpen
		if d.groups[community] == nil || !member && !applied {
			return noCommunity()
		}
		if err := d.speaks(who); err != nil {
			return err
		}
		switch {
		case applied:
			p.dropApplication(a)
		case m.Suspended != "": // else leaving and applying again would end a suspension
			return &tocsin.Error{Kind: tocsin.Conflict, Message: "your organization is suspended in this community", Hint: "its operators decide what follows"}
		default:
			p.removeMembership(m)
		}
		return nil
	})
}

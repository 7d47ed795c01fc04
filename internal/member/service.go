package member

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tocsin"
)

// A Service answers who may speak to the hub and what is where. Reading takes
// no lock and no database; it is safe for concurrent use.
type Service struct {
	store Store
	now   atomic.Pointer[directory]

	fresh atomic.Pointer[func() error]

	mu      sync.Mutex // one change at a time: each is planned against the state it changes
	changed []func(identities map[string]string)

	checkRules func(rules []byte) error // of the privacy gate; nil: none is refused
}

// Open loads the directory from a store.
func Open(ctx context.Context, store Store) (*Service, error) {
	s := &Service{store: store}
	if err := s.reload(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload replaces what is believed by what the store holds, after another
// replica of the hub has changed it.
func (s *Service) Reload(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reload(ctx)
}

// CheckRules has f asked whether the privacy gate can use a rule file. It is
// called before the service is used.
func (s *Service) CheckRules(f func(rules []byte) error) { s.checkRules = f }

// Rules returns the text of a community's own rule file of the privacy gate, ""
// when it has none.
func (s *Service) Rules(community string) string {
	d := s.now.Load()
	if d.groups[community] == nil {
		return ""
	}
	return d.communities[community].Rules
}

// Confirm has f asked before anybody is believed to be a member: it returns an
// error when this replica of the hub may have missed that rights were taken away.
func (s *Service) Confirm(f func() error) { s.fresh.Store(&f) }

func (s *Service) confirmed() error {
	if f := s.fresh.Load(); f != nil {
		return (*f)()
	}
	return nil
}

// reload replaces the snapshot by what the store holds.
func (s *Service) reload(ctx context.Context) error {
	records, err := s.store.Directory(ctx)
	if err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	state, err := load(records)
	if err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	s.publish(build(state, time.Now()))
	return nil
}

// present returns the directory as it is now. Roles that change at a time do so
// here.
func (s *Service) present() *directory {
	if d := s.now.Load(); d.until.IsZero() || time.Now().Before(d.until) {
		return d
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.planned()
}

// planned is present, only with s.mu.
func (s *Service) planned() *directory {
	d := s.now.Load()
	if now := time.Now(); !d.until.IsZero() && !now.Before(d.until) {
		d = build(d.state, now)
		s.publish(d)
	}
	return d
}

func (s *Service) publish(d *directory) {
	s.now.Store(d)
	for _, f := range s.changed {
		f(maps.Clone(d.identities))
	}
}

// OnChange has f called with [Service.Identities] now and after every change,
// before the change is acknowledged.
func (s *Service) OnChange(f func(identities map[string]string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = append(s.changed, f)
	f(s.Identities())
}

// Authenticate returns the member that a token stands for, unauthenticated
// when it stands for nobody (any more). The member's Roles are shared: they
// must not be changed.
func (s *Service) Authenticate(_ context.Context, secret string) (tocsin.Member, error) {
	if err := s.confirmed(); err != nil {
		return tocsin.Member{}, err
	}
	id, ok := publicID(secret)
	if !ok {
		return tocsin.Member{}, unknownToken(secret)
	}
	g := s.present().grants[id]
	if g == nil {
		return tocsin.Member{}, unknownToken(secret)
	}
	if presented := hash(secret); !same(&presented, &g.hash) {
		return tocsin.Member{}, unknownToken(secret)
	}
	if !g.live() {
		return tocsin.Member{}, expired()
	}
	return g.member, nil
}

func expired() *tocsin.Error {
	return &tocsin.Error{Kind: tocsin.Unauthenticated, Message: "the token has expired", Hint: "ask the hub's operator for a new one"}
}

// Current returns the member as it is now: its roles may have changed, and
// unauthenticated is the answer when its token is no longer good. A purpose
// that was stated with the request stays, unless the token is bound to one.
func (s *Service) Current(who tocsin.Member) (tocsin.Member, error) {
	if err := s.confirmed(); err != nil {
		return tocsin.Member{}, err
	}
	g := s.present().grants[who.Token]
	if g == nil {
		return tocsin.Member{}, &tocsin.Error{Kind: tocsin.Unauthenticated, Message: "the token has been revoked", Hint: "ask the hub's operator for a new one"}
	}
	if !g.live() {
		return tocsin.Member{}, expired()
	}
	m := g.member
	if m.Purpose == "" {
		m.Purpose = who.Purpose
	}
	return m, nil
}

// Community returns a community in which the member has a part, not found for
// any other. A hub operator sees all of them.
func (s *Service) Community(who tocsin.Member, name string) (Community, error) {
	g, err := s.group(who, name)
	if err != nil {
		return Community{}, err
	}
	return g.Community, nil
}

func (s *Service) group(who tocsin.Member, name string) (*group, error) {
	g := s.present().groups[name]
	if g == nil || who.Role(name) < tocsin.Reader && !who.Operator {
		return nil, &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such community"}
	}
	return g, nil
}

// Communities returns the communities in which the member has a part, by name.
func (s *Service) Communities(who tocsin.Member) []Community {
	d := s.present()
	var found []Community
	for name, role := range who.Roles {
		if g := d.groups[name]; g != nil && role >= tocsin.Reader {
			found = append(found, g.Community)
		}
	}
	slices.SortFunc(found, func(a, b Community) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// Collection returns a collection by id or alias, not found when the member
// has no part in its community. Administering the hub is no part in it.
func (s *Service) Collection(who tocsin.Member, community, idOrAlias string) (Collection, error) {
	if who.Role(community) >= tocsin.Reader {
		if g := s.present().groups[community]; g != nil {
			if c, ok := g.byName[idOrAlias]; ok {
				return c, nil
			}
		}
	}
	return Collection{}, &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such collection"}
}

// Collections returns a community's collections by alias, not found when the
// member has no part in it. The slice must not be changed.
func (s *Service) Collections(who tocsin.Member, community string) ([]Collection, error) {
	g := s.present().groups[community]
	if g == nil || who.Role(community) < tocsin.Reader {
		return nil, &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such community"}
	}
	return g.collections, nil
}

// Members returns who has a part in a community, by name; nobody in one that
// does not exist. It is for the hub's own decisions: a list of members is not
// for every member. The slice must not be changed.
func (s *Service) Members(community string) []Membership {
	if g := s.present().groups[community]; g != nil {
		return g.members
	}
	return nil
}

// Reviewers returns how many people decide alike in a community before a masked
// value is restored: 1 or 2.
func (s *Service) Reviewers(community string) int {
	if g := s.present().groups[community]; g != nil {
		return g.Privacy.reviewers()
	}
	return 1
}

// Privacy returns whether free text waits for a person in a community, and how
// long what waits does so.
func (s *Service) Privacy(community string) (strict bool, reviewTime time.Duration) {
	var p Privacy
	if g := s.present().groups[community]; g != nil {
		p = g.Privacy
	}
	return p.path() == PathStrict, time.Duration(p.reviewDays()) * 24 * time.Hour
}

// Window returns when what is shared anonymously at a time becomes visible in a
// community: at the end of its window, which is the same for all members; the
// zero time when it has none.
func (s *Service) Window(community string, now time.Time) time.Time {
	g := s.present().groups[community]
	if g == nil || g.Privacy.WindowMinutes == 0 {
		return time.Time{}
	}
	window := time.Duration(g.Privacy.WindowMinutes) * time.Minute
	return now.UTC().Truncate(window).Add(window)
}

// Identities returns which STIX identity belongs to which organization, those
// that were removed included: nobody else may speak as one of them.
func (s *Service) Identities() map[string]string {
	return maps.Clone(s.now.Load().identities)
}

// save writes a draft to the store and makes it the present. Only with s.mu.
func (s *Service) save(ctx context.Context, d *draft) error {
	if len(d.records) == 0 {
		return nil
	}
	change := Change{Organization: d.who.Organization.Name, User: d.who.User}
	for _, c := range d.applied.Changes {
		if c.Action != Unchanged && c.Action != Waiting {
			change.Summary = append(change.Summary, c.Kind+" "+c.Name+": "+c.Action+c.record)
		}
	}
	if err := s.store.SaveDirectory(ctx, d.records, change); err != nil {
		// Whether it was saved is not known, so what is believed comes from the
		// store again.
		if reload := s.reload(context.WithoutCancel(ctx)); reload != nil {
			return fmt.Errorf("save directory: %w (then %w)", err, reload)
		}
		return fmt.Errorf("save directory: %w", err)
	}
	s.publish(build(d.state, time.Now()))
	return nil
}

// hubName is the organization of those who run the hub until they make another.
const hubName = "hub"

// again does a change, and plans it anew when another replica of the hub was
// faster: [Service.save] has read by then what that one did. Only with s.mu.
func again(change func() error) (err error) {
	const most = 5
	for range most {
		if err = change(); !errors.Is(err, ErrStale) {
			return err
		}
	}
	return errors.Join(&tocsin.Error{Kind: tocsin.Busy, Message: "others keep changing the directory", Hint: "try again in a few seconds"}, err)
}

// OperatorToken makes a token that administers the hub when there is none that
// does, as on the first start, and returns its secret; else it returns "".
func (s *Service) OperatorToken(ctx context.Context) (token string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err = again(func() (err error) {
		token, err = s.operatorToken(ctx)
		return err
	})
	return token, err
}

func (s *Service) operatorToken(ctx context.Context) (string, error) {
	now := s.planned()
	if now.operators() > 0 {
		return "", nil
	}
	d := newDraft(now, tocsin.Member{Operator: true})
	if _, ok := d.state.organizations[hubName]; !ok {
		d.putOrganization(organizationDoc{Name: hubName, Title: "The hub", Kind: "other", Identity: newIdentity()}, Made, "")
	}
	if _, ok := d.state.users[hubName+"/operator"]; !ok {
		d.putUser(userDoc{hubName, "operator"}, Made)
	}
	d.makeToken(tokenDoc{Organization: hubName, User: "operator", Name: "first-start", Operator: true})
	if err := s.save(ctx, d); err != nil {
		return "", err
	}
	return d.applied.Tokens[0].Token, nil
}

// RevokeToken ends a token at once, for requests and for streams that are
// open. A hub operator may end any token, others those of their own user; any
// other token is not found.
func (s *Service) RevokeToken(ctx context.Context, who tocsin.Member, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return again(func() error { return s.revokeToken(ctx, who, id) })
}

func (s *Service) revokeToken(ctx context.Context, who tocsin.Member, id string) error {
	now := s.planned()
	t, ok := now.tokens[id]
	if !ok || !who.Operator && (t.Organization != who.Organization.Name || t.User != who.User) {
		return &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such token"}
	}
	d := newDraft(now, who)
	d.removeToken(t)
	return s.save(ctx, d)
}

// Package deploy takes in what agents have in force, and tells producers how far their objects have come.
package deploy

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/member"
	"tocsin/internal/store"
	"tocsin/internal/view"
	"tocsin/stix"
)

// A Directory finds collections for those who may know of them.
type Directory interface {
	Collection(who tocsin.Member, community, idOrAlias string) (member.Collection, error)
	// Members returns who has a part in a community.
	Members(community string) []member.Membership
}

// A Store has the objects, their sightings, and what agents said.
type Store interface {
	Scan(ctx context.Context, s store.Scan) (store.Scanned, error)
	Sightings(ctx context.Context, community, id string) ([]view.Sealed, error)
	store.Deployments
}

// A Service is safe for concurrent use.
type Service struct {
	Directory Directory
	Policy    *authorize.Policy
	Store     Store
}

// A Report is what an agent says: that all it may see of a collection up to a
// position is in force, but for some objects.
type Report struct {
	Community  string
	Collection string // id or alias
	Instance   string // a UUID that the agent made for itself
	Position   int64
	Fetched    time.Duration // how long ago the oldest of what is new came
	Deployed   time.Duration // since when all is in force; not longer ago
	Anew       bool          // Idle is all that is not in force
	Idle, Busy []string      // ids of objects that are not in force, and of those that are again
}

// longest is how long ago a report may be about: the hub may have been away.
const longest = 30 * 24 * time.Hour

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// Confirm takes a report.
func (s *Service) Confirm(ctx context.Context, who tocsin.Member, r Report) error {
	c, err := s.Directory.Collection(who, r.Community, r.Collection)
	if err != nil {
		return fmt.Errorf("collection: %w", err)
	}
	if _, err := s.Policy.Reader(who, c.Community); err != nil {
		return fmt.Errorf("reader: %w", err)
	}
	if err := r.check(); err != nil {
		return err
	}
	now := time.Now()
	if err := s.Store.Confirm(ctx, store.Confirmation{
		Agent:      store.Agent{Organization: who.Organization.Name, Token: who.Token, Instance: r.Instance},
		Collection: c.ID, Position: r.Position, Fetched: now.Add(-r.Fetched), Deployed: now.Add(-r.Deployed), Seen: now, Anew: r.Anew, Idle: r.Idle, Busy: r.Busy,
	}); err != nil {
		return fmt.Errorf("confirm: %w", err)
	}
	return nil
}

func (r *Report) check() error {
	switch {
	case !uuid.MatchString(r.Instance):
		return &tocsin.Error{Kind: tocsin.Invalid, At: "/agent", Message: "the agent does not say which it is", Hint: "make a UUID once and keep it"}
	case r.Deployed < 0 || r.Fetched < r.Deployed || r.Fetched > longest:
		return &tocsin.Error{Kind: tocsin.Invalid, At: "/fetched_ms_ago", Message: "the times do not fit: what is in force was fetched before, in the last 30 days"}
	case len(r.Idle)+len(r.Busy) > store.MostIdle:
		return &tocsin.Error{Kind: tocsin.TooLarge, At: "/idle", Message: "a report names at most 10,000 objects", Hint: "leave out the rest"}
	}
	for _, id := range slices.Concat(r.Idle, r.Busy) {
		if _, _, ok := stix.SplitID(id); !ok {
			return &tocsin.Error{Kind: tocsin.Invalid, At: "/idle", Message: "this is no list of ids of objects"}
		}
	}
	return nil
}

// An End is why an object is not in force any more.
type End string

// The ends.
const (
	Revoked   End = "revoked"   // STIX 2.1 §3.6
	Withdrawn End = "withdrawn" // deleted from the hub
	Expired   End = "expired"   // its valid_until is over
)

// A Stage is how many organizations have come how far, and how long it took
// them: half of them at most P50, 99 of 100 at most P99. The times are zero when
// there are no organizations, or when it is not known since when to count.
type Stage struct {
	Organizations int
	P50, P99      time.Duration
}

// A Funnel is how far an object has come. What is counted are organizations with
// agents that confirm, and, for Hit, those that shared a sighting: never users
// or addresses.
type Funnel struct {
	Shared    time.Time // when the newest version that is no revocation was; zero when it was withdrawn
	Followers int       // organizations that may see it and whose agents confirm for the collection
	Fetched   Stage     // since it was shared
	Deployed  Stage     // looked for or blocked somewhere in the organization; since it was shared
	Hit       Stage     // until an organization's first sighting reached the hub; since it was shared
	Ended     time.Time // zero: it is valid
	Why       End       // "": it is valid
	Retired   Stage     // of those that may have had it, those that let it go everywhere; since it ended
	Holding   int       // organizations that may have it in force still
	Holders   []Holder  // the same, one by one; for those who moderate
}

// A Holder is an organization that may still have in force what has ended.
type Holder struct {
	Organization string
	Agents       int
	Seen         time.Time // when one of these agents was last heard of
}

// Funnel returns how far an object has come, for the organization that shared it
// and for those who moderate; for all others there is no such object.
func (s *Service) Funnel(ctx context.Context, who tocsin.Member, community, collection, id string) (Funnel, error) {
	c, err := s.Directory.Collection(who, community, collection)
	if err != nil {
		return Funnel{}, fmt.Errorf("collection: %w", err)
	}
	reader, err := s.Policy.Reader(who, c.Community)
	if err != nil {
		return Funnel{}, fmt.Errorf("reader: %w", err)
	}
	o, err := s.find(ctx, reader, c.ID, id)
	if err != nil {
		return Funnel{}, err
	}
	moderates := who.Role(c.Community) >= tocsin.Curator
	if o.owner != who.Organization.Name && !moderates {
		return Funnel{}, noObject()
	}
	q := store.FollowerQuery{Collection: c.ID, Object: id, Positions: []int64{max(o.shared, 1), max(o.end, 1)}}
	agents, err := s.Store.Followers(ctx, q)
	if err != nil {
		return Funnel{}, fmt.Errorf("followers: %w", err)
	}
	if agents, err = s.seen(o.audience, c.Community, agents); err != nil {
		return Funnel{}, err
	}
	f := o.funnel(agents)
	if !moderates {
		f.Holders = nil
	}
	if f.Hit, err = s.hits(ctx, reader, c.Community, id, o.sharedAt); err != nil {
		return Funnel{}, err
	}
	return f, nil
}

// seen leaves those agents whose organizations may see an object: the others have
// confirmed a position behind it, and never heard of it. Who has left the
// community cannot confirm any more, and is not counted.
func (s *Service) seen(object view.Sealed, community string, agents []store.Follower) ([]store.Follower, error) {
	may := map[string]bool{}
	for _, m := range s.Directory.Members(community) {
		reader, err := s.Policy.Reader(tocsin.Member{Organization: m.Organization, Roles: map[string]tocsin.Role{community: m.Role}}, community)
		if err != nil {
			return nil, fmt.Errorf("reader: %w", err)
		}
		_, may[m.Organization.Name] = object.Render(reader)
	}
	return slices.DeleteFunc(agents, func(a store.Follower) bool { return !may[a.Organization] }), nil
}

func noObject() error {
	return &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such object"}
}

// An object is what of one decides its funnel.
type object struct {
	audience  view.Sealed // the version that counts: its label says who got it
	owner     string
	indicator bool
	shared    int64 // position of the newest version that is no revocation; 0: none is there
	sharedAt  time.Time
	end       int64 // position of what ended it; 0: nothing did, or the clock
	endedAt   time.Time
	why       End
}

// find reads the versions of an object that a reader may see, and what is left
// of those that were withdrawn.
func (s *Service) find(ctx context.Context, reader *authorize.Reader, collection, id string) (o object, err error) {
	var newest, valid, grave view.Object // by version; the last of those that were withdrawn
	found := false
	q := store.Scan{Collection: collection, IDs: []string{id}, Most: 1000}
	for more := true; more; {
		page, err := s.Store.Scan(ctx, q)
		if err != nil {
			return object{}, fmt.Errorf("scan: %w", err)
		}
		for _, sealed := range page.Rows {
			v, ok := sealed.Render(reader)
			if !ok {
				continue
			}
			found = true
			o.owner, o.indicator = v.Owner(), v.Type() == "indicator"
			switch {
			case v.Withdrawn():
				if grave = v; valid.Seq() == 0 {
					o.audience = sealed
				}
				continue
			case newest.Seq() == 0 || !v.VersionTime().Before(newest.VersionTime()):
				newest = v
			}
			if !says(v, "revoked") && (valid.Seq() == 0 || !v.VersionTime().Before(valid.VersionTime())) {
				valid, o.audience = v, sealed
			}
		}
		more, q.After = page.More, page.Next
	}
	if !found {
		return object{}, noObject()
	}
	o.shared, o.sharedAt = valid.Seq(), valid.Added()
	until := time.Time{}
	if valid.Seq() > 0 {
		until = validUntil(valid)
	}
	switch {
	case newest.Seq() == 0:
		o.why, o.end, o.endedAt = Withdrawn, grave.Seq(), grave.Added()
	case newest.Seq() != valid.Seq():
		o.why, o.end, o.endedAt = Revoked, newest.Seq(), newest.Added()
	case !until.IsZero() && !until.After(time.Now()):
		o.why, o.endedAt = Expired, until
	}
	return o, nil
}

// says reports whether a property of a stored object is true.
func says(v view.Object, property string) bool {
	parsed, err := stix.Parse(v.Raw(), stix.Limits{})
	return err == nil && parsed.Get(property).True()
}

func validUntil(v view.Object) time.Time {
	parsed, err := stix.Parse(v.Raw(), stix.Limits{})
	if err != nil {
		return time.Time{}
	}
	until, _ := stix.ParseTime(parsed.Get("valid_until").Text())
	return until
}

// An organization is what its agents said, taken together.
type organization struct {
	fetched, deployed time.Time // the first of them; zero: none
	had               int       // agents that may have had it
	let               time.Time // when the last of them let it go
	holding           int       // agents that may have it still
	seen              time.Time // when one of those was last heard of
}

// funnel takes together what agents said of an object.
func (o *object) funnel(agents []store.Follower) Funnel {
	all := map[string]*organization{}
	for i := range agents {
		name := agents[i].Organization
		if all[name] == nil {
			all[name] = &organization{}
		}
		o.count(all[name], &agents[i])
	}
	f := Funnel{Shared: o.sharedAt, Followers: len(all), Ended: o.endedAt, Why: o.why}
	var fetched, deployed, retired []time.Duration
	for name, one := range all {
		if !one.fetched.IsZero() {
			fetched = append(fetched, one.fetched.Sub(o.sharedAt))
		}
		if !one.deployed.IsZero() {
			deployed = append(deployed, one.deployed.Sub(o.sharedAt))
		}
		switch {
		case o.why == "" || one.had == 0:
		case one.holding == 0:
			retired = append(retired, one.let.Sub(o.endedAt))
		default:
			f.Holding++
			f.Holders = append(f.Holders, Holder{name, one.holding, one.seen})
		}
	}
	f.Fetched, f.Deployed, f.Retired = stage(fetched), stage(deployed), stage(retired)
	slices.SortFunc(f.Holders, func(x, y Holder) int { return x.Seen.Compare(y.Seen) })
	return f
}

// count adds what one agent said.
func (o *object) count(one *organization, a *store.Follower) {
	first := a.Reached[0] // at or after the version that counts
	reached := o.shared > 0 && first.Position > 0
	inTime := o.end == 0 || first.Position < o.end // else it only got to know that it is over
	if reached {
		one.fetched = earlier(one.fetched, first.Fetched)
	}
	inForce := reached && inTime && o.indicator && !a.Idle && (o.why != Expired || first.Deployed.Before(o.endedAt))
	if inForce {
		one.deployed = earlier(one.deployed, first.Deployed)
	}
	if o.why == Withdrawn { // where the version stood is gone with it
		inForce = o.indicator && first.Position > 0 && inTime && !a.Idle
	}
	if o.why == "" || !inForce {
		return
	}
	one.had++
	last := a.Reached[1]
	switch {
	case o.why == Expired && a.Seen.After(o.endedAt): // every agent looks at the clock
		one.let = later(one.let, o.endedAt)
	case o.why != Expired && a.Position >= o.end && last.Position > 0:
		one.let = later(one.let, last.Deployed)
	default:
		one.holding++
		one.seen = later(one.seen, a.Seen)
	}
}

func earlier(x, y time.Time) time.Time {
	if x.IsZero() || y.Before(x) {
		return y
	}
	return x
}

func later(x, y time.Time) time.Time {
	if y.After(x) {
		return y
	}
	return x
}

// stage counts durations. One that is below zero, because clocks are what they
// are, is none.
func stage(took []time.Duration) Stage {
	if len(took) == 0 {
		return Stage{}
	}
	slices.Sort(took)
	at := func(percent int) time.Duration { // nearest rank
		return max(0, took[(len(took)*percent+99)/100-1])
	}
	return Stage{len(took), at(50), at(99)}
}

// hits counts the organizations that shared a sighting of an object which the
// reader may see.
func (s *Service) hits(ctx context.Context, reader *authorize.Reader, community, id string, since time.Time) (Stage, error) {
	sealed, err := s.Store.Sightings(ctx, community, id)
	if err != nil {
		return Stage{}, fmt.Errorf("sightings: %w", err)
	}
	first := map[string]time.Time{}
	for _, one := range sealed {
		o, ok := one.Render(reader)
		if !ok || o.Withdrawn() || says(o, "revoked") {
			continue
		}
		parsed, err := stix.Parse(o.Raw(), stix.Limits{})
		if err != nil {
			return Stage{}, fmt.Errorf("stored sighting: %w", err)
		}
		if n, ok := parsed.Get("count").Int(); ok && n == 0 { // looked for, and not seen
			continue
		}
		first[o.Owner()] = earlier(first[o.Owner()], o.Added())
	}
	var took []time.Duration
	for _, at := range first {
		if since.IsZero() {
			took = append(took, 0)
			continue
		}
		took = append(took, at.Sub(since))
	}
	return stage(took), nil
}

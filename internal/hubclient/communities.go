package hubclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// A Listing is a community as the caller may know it.
type Listing struct {
	Name        string     `json:"name"`
	Title       string     `json:"title"`
	Description string     `json:"description,omitempty"`
	Charter     *Charter   `json:"charter,omitempty"`
	Agreement   *Agreement `json:"agreement,omitempty"` // the one of now
	State       string     `json:"state"`               // "open", "ended" (read only) or "closed"
	Role        string     `json:"role,omitempty"`      // the caller's, as it is now
	Probation   time.Time  `json:"probation,omitzero"`  // until then the caller only reads
	Accepted    string     `json:"accepted,omitempty"`  // SHA-256 of the agreement that the caller's organization has accepted
}

// A Charter is what a community says of itself.
type Charter struct {
	Public       bool           `json:"public,omitempty"`
	Basis        string         `json:"basis,omitempty"`
	Scope        string         `json:"scope,omitempty"`
	MemberList   string         `json:"member_list,omitempty"`
	Ends         string         `json:"ends,omitempty"`
	Closes       string         `json:"closes,omitempty"`
	Probation    int            `json:"probation_days,omitempty"`
	Agreement    *AgreementText `json:"agreement,omitempty"`
	Capabilities []Capability   `json:"capabilities,omitempty"`
}

// A Capability is one line of a community's capability statement.
type Capability struct {
	Name      string `json:"name"`
	Statement string `json:"statement"`
}

// An Agreement names a version of what members of a community accept.
type Agreement struct {
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

// An AgreementText is what members accept.
type AgreementText struct {
	Version string `json:"version"`
	Text    string `json:"text"`
}

// A Part is a member of a community.
type Part struct {
	Organization string    `json:"organization"`
	Title        string    `json:"title"`
	Role         string    `json:"role"`
	Probation    time.Time `json:"probation,omitzero"`
	Status       string    `json:"status,omitempty"`
	Reason       string    `json:"reason,omitempty"`
	Agreement    string    `json:"agreement,omitempty"` // SHA-256 of what it has accepted
	Accepted     time.Time `json:"accepted,omitzero"`
}

// An Application is an organization's wish to join a community.
type Application struct {
	Community    string    `json:"community"`
	Organization string    `json:"organization"`
	State        string    `json:"state"` // "open", "expired", "refused" or "admitted"
	Made         time.Time `json:"made"`
	Expires      time.Time `json:"expires,omitzero"`
	Vouched      int       `json:"vouched"` // sponsors so far, of two
	User         string    `json:"user,omitempty"`
	Statement    string    `json:"statement,omitempty"`
	Agreement    string    `json:"agreement,omitempty"` // SHA-256 of what it accepted
	Sponsors     []Sponsor `json:"sponsors,omitempty"`
	Reason       string    `json:"reason,omitempty"`
	Codes        []string  `json:"codes,omitempty"` // one for each sponsor; shown once
}

// A Sponsor is somebody who has vouched for an application.
type Sponsor struct {
	Organization string    `json:"organization"`
	User         string    `json:"user"`
	Time         time.Time `json:"time"`
}

// An Admission is a decision on an application.
type Admission struct {
	Action    string `json:"action"` // "admit" or "refuse"
	Reason    string `json:"reason"`
	Role      string `json:"role,omitempty"`
	Probation *int   `json:"probation_days,omitempty"`
}

// Communities lists the communities that are public, and the caller's own.
func (c *Client) Communities(ctx context.Context) ([]Listing, error) {
	var l struct {
		Communities []Listing `json:"communities"`
	}
	err := c.get(ctx, &l, nil, "communities")
	return l.Communities, err
}

// Community returns one of them.
func (c *Client) Community(ctx context.Context, name string) (Listing, error) {
	var l Listing
	return l, c.get(ctx, &l, nil, "communities", name)
}

// Roster returns the members of a community.
func (c *Client) Roster(ctx context.Context, community string) ([]Part, error) {
	var l struct {
		Members []Part `json:"members"`
	}
	err := c.get(ctx, &l, nil, "communities", community, "members")
	return l.Members, err
}

// Accept accepts the community's agreement with this SHA-256.
func (c *Client) Accept(ctx context.Context, community, sum string) error {
	return c.call(ctx, request{method: http.MethodPut, path: []string{"communities", community, "agreements", sum, "acceptance"}}, nil)
}

// RequestMembership applies to a community and accepts its agreement.
func (c *Client) RequestMembership(ctx context.Context, community, statement, agreement string) (Application, error) {
	var a Application
	return a, c.post(ctx, &a, map[string]string{"statement": statement, "agreement": agreement}, "communities", community, "applications")
}

// Applications lists those that the caller decides on, and its own.
func (c *Client) Applications(ctx context.Context, community string) ([]Application, error) {
	var l struct {
		Applications []Application `json:"applications"`
	}
	err := c.get(ctx, &l, nil, "communities", community, "applications")
	return l.Applications, err
}

// Vouch vouches for an application with a code that the applicant told.
func (c *Client) Vouch(ctx context.Context, community, organization, code string) (Application, error) {
	var a Application
	return a, c.post(ctx, &a, map[string]string{"code": code}, "communities", community, "applications", organization, "sponsors")
}

// Admit decides on an application.
func (c *Client) Admit(ctx context.Context, community, organization string, what Admission) (Application, error) {
	var a Application
	return a, c.post(ctx, &a, what, "communities", community, "applications", organization, "decision")
}

// Leave ends the part of the caller's organization in a community, or withdraws
// its application.
func (c *Client) Leave(ctx context.Context, community string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: []string{"communities", community, "membership"}}, nil)
}

func (c *Client) post(ctx context.Context, into, document any, path ...string) error {
	body, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	return c.call(ctx, request{method: http.MethodPost, path: path, body: body, kind: "application/json", once: true}, into)
}

// A Proposal is a change that widens who sees something, and waits for a second
// person.
type Proposal struct {
	ID           string    `json:"id"`
	Organization string    `json:"organization"` // whose user proposed it
	User         string    `json:"user"`
	Made         time.Time `json:"made"`
	Expires      time.Time `json:"expires"`
	Changes      []Step    `json:"changes"`
	Yours        bool      `json:"yours,omitempty"` // the caller proposed it, and cannot confirm it
}

// Proposals lists what waits for a second person, as far as the caller operates it.
func (c *Client) Proposals(ctx context.Context) ([]Proposal, error) {
	var l struct {
		Proposals []Proposal `json:"proposals"`
	}
	err := c.get(ctx, &l, nil, "proposals")
	return l.Proposals, err
}

// Settle confirms a proposal of somebody else, or rejects one.
func (c *Client) Settle(ctx context.Context, id string, confirm bool) (Applied, error) {
	action := "reject"
	if confirm {
		action = "confirm"
	}
	var a Applied
	return a, c.post(ctx, &a, map[string]string{"action": action}, "proposals", id)
}

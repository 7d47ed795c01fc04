package store

import (
	"context"
	"time"

	"tocsin"
)

// Deployments are what agents say that they have in force. An agent does not
// say it of each object: it says up to which position of the order all is, and
// which objects are not. So a row is kept for what came at once, not for each
// object.
type Deployments interface {
	// Confirm stores what an agent says. When it returns, it is durable.
	Confirm(ctx context.Context, c Confirmation) error
	// Followers returns the agents that confirm for a collection.
	Followers(ctx context.Context, q FollowerQuery) ([]Follower, error)
}

// An Agent is one program of a member: a token may have several.
type Agent struct {
	Organization string
	Token        string // its public id
	Instance     string // what the program calls itself
}

// A Confirmation says that all up to a position is in force at an agent.
type Confirmation struct {
	Agent

	Collection string // its id
	Position   int64
	Fetched    time.Time // when the oldest of what is new had come
	Deployed   time.Time // since when all of it is in force
	Seen       time.Time // now: it may have waited to be sent

	// Anew says that the agent has begun anew: what it said before of objects
	// that are not in force no longer counts, and its position may be lower.
	Anew bool
	Idle []string // ids of objects that are not in force
	Busy []string // ids of objects that were not, and are now
}

// A FollowerQuery asks what agents have said of an object.
type FollowerQuery struct {
	Collection string
	Object     string  // its id
	Positions  []int64 // of its versions
}

// A Follower is an agent and what it said.
type Follower struct {
	Agent

	Position int64     // of its newest confirmation
	Seen     time.Time // when it last said anything
	Idle     bool      // the object is not in force there
	Reached  []Reached // for each position that was asked for, in the same order
}

// Reached is an agent's first confirmation at or after a position; zeros when
// there is none.
type Reached struct {
	Position          int64
	Fetched, Deployed time.Time
}

// Bounds of what is kept of agents.
const (
	// MostAgents is how many agents one token may have in a collection.
	MostAgents = 100
	// MostIdle is how many objects one confirmation names.
	MostIdle = 10_000
	// KeepConfirmations is how long it is kept when an agent had what, and an
	// agent of which nothing was heard.
	KeepConfirmations = 90 * 24 * time.Hour
)

// TooManyAgents is what the agent after the last one is told.
func TooManyAgents() error {
	return &tocsin.Error{Kind: tocsin.TooMany, Message: "this token has 100 agents in this collection", Hint: "use another token; agents that were not heard of for 90 days are forgotten"}
}

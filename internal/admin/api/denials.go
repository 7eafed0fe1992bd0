package api

import "time"

// Denials is GET /api/v1/denials.
type Denials struct {
	Time  time.Time     `json:"time"`
	Pools []PoolDenials `json:"pools"`
}

// PoolDenials are what the clients of a pool were refused.
type PoolDenials struct {
	Pool string `json:"pool"`
	// Counts are since the start, by the name of the statistic or of the reason. What is 0
	// is left out.
	Counts map[string]int64 `json:"counts"`
	// Waiting is how many clients wait for a limit now.
	Waiting int64 `json:"waiting"`
	// Users are those that user_limits names, in the order of their names.
	Users []LimitedUser `json:"users,omitempty"`
	// Records are those of ACL LOG, the latest first; empty in a Memcached pool.
	Records []Denial `json:"records"`
}

// A LimitedUser is what a user has of what user_limits allows it, on all event loops together.
type LimitedUser struct {
	User string `json:"user"`
	// Clients are those that are logged in now, and MaxClients is how many there may be, left
	// out if there is no bound. The same holds for InFlight, requests that are in flight, which
	// is only counted if it has a bound.
	Clients     int64 `json:"clients"`
	MaxClients  int64 `json:"max_clients,omitempty"`
	InFlight    int64 `json:"in_flight,omitempty"`
	MaxInFlight int64 `json:"max_in_flight,omitempty"`
	// Waiting is how many of the clients wait for a limit now, and Waits how often one did.
	Waiting int64 `json:"waiting"`
	Waits   int64 `json:"waits"`
	// RefusedRequests are those that had waited for too long, RefusedClients those that were one
	// too many.
	RefusedRequests int64 `json:"refused_requests"`
	RefusedClients  int64 `json:"refused_clients"`
}

// Denial are like denials within a minute.
type Denial struct {
	// Time is when the last one was, First when the first.
	Time  time.Time `json:"time"`
	First time.Time `json:"first"`
	Count int64     `json:"count"`
	// Reason is "auth", "command", "key", "channel" or "db", Context "toplevel" or "multi".
	Reason  string `json:"reason"`
	Context string `json:"context"`
	// Object is the command, channel or database. A key is shown only with slowlog_keys.
	Object string `json:"object,omitempty"`
	// User is left out for a login with a name that no user has.
	User string `json:"user,omitempty"`
	// Client is the last one of them, in the words of CLIENT LIST.
	Client string `json:"client"`
}

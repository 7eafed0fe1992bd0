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
	// Records are those of ACL LOG, the latest first; empty in a Memcached pool.
	Records []Denial `json:"records"`
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

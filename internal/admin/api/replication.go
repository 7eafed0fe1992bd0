package api

import "time"

// A Replication is what a primary or a replica has said of itself, in a pool that reads from
// replicas.
type Replication struct {
	// Role is "primary" or "replica". Of is the server that it is a replica of, as the
	// configuration, Sentinel or the cluster says.
	Role string `json:"role"`
	Of   string `json:"of,omitempty"`
	// State is "fit" if a replica is read from, and else why it is not: "not_asked",
	// "no_answer", "loading", "no_link", "silent", "lags", "no_replica" or "other_primary".
	State string `json:"state,omitempty"`
	// Why says in words why a replica is not read from.
	Why string `json:"why,omitempty"`
	// Lag is how many bytes a replica is behind, Silence how many seconds it has heard nothing
	// of its primary.
	Lag     *int64  `json:"lag,omitempty"`
	Silence float64 `json:"silence,omitempty"`
	// Zone is where the server is.
	Zone string `json:"zone,omitempty"`
	// Asked is when it was asked last.
	Asked *time.Time `json:"asked,omitempty"`
}

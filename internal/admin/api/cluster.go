package api

import "time"

// A Cluster is what is known of the Redis Cluster behind a pool.
type Cluster struct {
	// Primaries and Replicas are how many nodes it has.
	Primaries int `json:"primaries"`
	Replicas  int `json:"replicas"`
	// Covered is how many of the Slots have a primary by the last answers.
	Covered int `json:"slots_covered"`
	Slots   int `json:"slots"`
	// Epoch is the greatest config epoch that nodes have told; -1: they do not tell.
	Epoch int64 `json:"epoch"`
	// Asked is when nodes were asked last, and Why is why: "start", "refresh", or what loops
	// have met: "moved", "lost", "clusterdown", "unknown_node", "readonly", "no_server",
	// "scan", "all_nodes".
	// Answered is when a map came of it last.
	Asked    *time.Time `json:"asked,omitempty"`
	Why      string     `json:"why,omitempty"`
	Answered *time.Time `json:"answered,omitempty"`
	// Problem is what is wrong with the map, and Since is since when; left out if nothing is.
	Problem string     `json:"problem,omitempty"`
	Since   *time.Time `json:"since,omitempty"`
	// Several: the map is whole, and the problem is that the seeds belong to several clusters, of
	// which one is used.
	Several bool `json:"several,omitempty"`
	// Refuses: the map is whole, and the problem is that nodes say cluster_state:fail.
	Refuses bool `json:"refuses,omitempty"`
	// AskedFor is how often nodes were asked, by why.
	AskedFor map[string]int64 `json:"asked_for"`
	Seeds    []ClusterSeed    `json:"seeds"`
}

// A ClusterSeed is a server of the configuration, by which the cluster is found.
type ClusterSeed struct {
	Address string `json:"address"`
	// Problem is why it is of no use; left out if it answers.
	Problem string `json:"problem,omitempty"`
	// Foreign: it belongs to another cluster than the one that is used.
	Foreign bool `json:"foreign,omitempty"`
	// Asked is when it was asked last.
	Asked *time.Time `json:"asked,omitempty"`
}

// A ClusterNode is what a server is in its cluster.
type ClusterNode struct {
	// Role is "primary", "replica", or "gone" for a node that has left within the last hour.
	// It is empty before the node is known.
	Role string `json:"role,omitempty"`
	// Slots is how many slots it has.
	Slots int `json:"slots"`
	// ID is the node's own. Of is the name of a replica's primary.
	ID string `json:"id,omitempty"`
	Of string `json:"of,omitempty"`
	// Failing: most of the other nodes cannot reach it.
	Failing bool `json:"failing,omitempty"`
	// Zone is where it is, if it says so.
	Zone string `json:"zone,omitempty"`
}

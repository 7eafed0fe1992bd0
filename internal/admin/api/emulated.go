package api

import "time"

// An Emulated is what a pool looks like to its clients besides one server.
type Emulated struct {
	// Cluster: it looks like a Redis Cluster.
	Cluster bool `json:"cluster"`
	// Sentinel is the Sentinel by which clients find it; left out if there is none.
	Sentinel *EmulatedSentinel `json:"sentinel,omitempty"`
	// Since is since when clients are told of these nodes.
	Since time.Time `json:"since"`
	// Leaving: this proxy is about to end, and the others have its slots.
	Leaving bool `json:"leaving,omitempty"`
	// Nodes are the proxies that clients are told of, in the order of their slots.
	Nodes []EmulatedNode `json:"nodes"`
	// Peers are the addresses where other proxies are asked whether they live.
	Peers []Peer `json:"peers"`
}

// An EmulatedSentinel is how a pool answers as a Sentinel.
type EmulatedSentinel struct {
	// Listens is where, Name is what its clients call the pool, and Others are where the
	// peers do the same.
	Listens string   `json:"listens"`
	Name    string   `json:"name"`
	Others  []string `json:"others"`
	// Clients are connected to it, and Subscribers of them are told of changes.
	Clients     int `json:"clients"`
	Subscribers int `json:"subscribers"`
	// Refused is how many clients were, for their address or their number. LoginsFailed is how
	// often a name or a password was wrong, and Switches how often a client was told to use
	// another proxy.
	Refused      int64 `json:"refused"`
	LoginsFailed int64 `json:"logins_failed"`
	Switches     int64 `json:"switches"`
}

// An EmulatedNode is a proxy, with its slots from First to Last.
type EmulatedNode struct {
	Address string `json:"address"`
	ID      string `json:"id"`
	First   int    `json:"first_slot"`
	Last    int    `json:"last_slot"`
	// Self: it is this proxy.
	Self bool `json:"self,omitempty"`
}

// A Peer is an address where another proxy with the pool may be.
type Peer struct {
	// Address is where it is asked, Name what the configuration calls it, and Announced where
	// its clients reach it; left out if it has not said.
	Address   string `json:"address"`
	Name      string `json:"name"`
	Announced string `json:"announced,omitempty"`
	// Sentinel is where it answers as a Sentinel; left out if it does not.
	Sentinel string `json:"sentinel,omitempty"`
	// State is "lives", "leaves", "silent", "stranger", "self" or "unknown", and Since is since
	// when. Problem is why it has no slots; left out if it has.
	State   string    `json:"state"`
	Since   time.Time `json:"since"`
	Problem string    `json:"problem,omitempty"`
}

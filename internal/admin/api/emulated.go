package api

import "time"

// An Emulated is the Redis Cluster that a pool looks like to its clients.
type Emulated struct {
	// Since is since when clients are told of these nodes.
	Since time.Time `json:"since"`
	// Leaving: this proxy is about to end, and the others have its slots.
	Leaving bool `json:"leaving,omitempty"`
	// Nodes are the proxies that clients are told of, in the order of their slots.
	Nodes []EmulatedNode `json:"nodes"`
	// Peers are the addresses where other proxies are asked whether they live.
	Peers []Peer `json:"peers"`
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
	// State is "lives", "leaves", "silent", "stranger", "self" or "unknown", and Since is since
	// when. Problem is why it has no slots; left out if it has.
	State   string    `json:"state"`
	Since   time.Time `json:"since"`
	Problem string    `json:"problem,omitempty"`
}

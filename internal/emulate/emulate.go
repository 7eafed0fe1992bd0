// Package emulate makes what a proxy says of itself to clients that expect a Redis Cluster:
// which proxies there are, and which slots each has. It is pure.
//
//	addresses of live proxies ─► New ─► Map: slots of each, and all answers ─► Board ─► loops
//
// Any proxy serves any key, so slots only divide the clients' load. Proxies that know the same
// addresses make the same map: they sort the addresses, and an address gives a node's id. Package
// peers finds out which proxies live.
package emulate

import (
	"crypto/sha1" //nolint:gosec // it names nodes, and hides nothing
	"encoding/hex"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"

	"nuthatch/internal/hashkit"
)

// An Address is where clients reach a proxy.
type Address struct {
	Host string
	Port int
}

// String is host:port, with brackets around an IPv6 address.
func (a Address) String() string { return net.JoinHostPort(a.Host, strconv.Itoa(a.Port)) }

// Moved is the address as MOVED has it: without brackets.
func (a Address) Moved() string { return a.Host + ":" + strconv.Itoa(a.Port) }

// ID is the id of the proxy at an address: 40 hexadecimal digits.
func (a Address) ID() string {
	sum := sha1.Sum([]byte(a.String())) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

// Compare orders addresses.
func Compare(a, b Address) int {
	switch {
	case a.Host < b.Host:
		return -1
	case a.Host > b.Host:
		return 1
	}
	return a.Port - b.Port
}

// isNumeric tells whether the host is an IP address.
func (a Address) isNumeric() bool {
	_, err := netip.ParseAddr(a.Host)
	return err == nil
}

// A Node is a proxy of a map, with its slots from First to Last.
type Node struct {
	Address
	ID          string
	First, Last int
}

// A Map says which proxies there are, and which slots each has. It is immutable.
type Map struct {
	// Nodes are in the order of their addresses, and of their slots.
	//
	// Invariant: they have all slots, each once.
	Nodes []Node
	// Self is the place of this proxy, or -1: it leaves, or there are more proxies than slots.
	Self int
	// Leaves: this proxy is about to end, and others have its slots.
	Leaves bool
	// own is this proxy's address.
	own Address
	// secure: clients speak TLS at the addresses.
	secure bool
	// answers are made once, for RESP2 and RESP3.
	slots, shards [2]string
	nodes, info   string
	card          string
}

// Options are what a map is made of.
type Options struct {
	// Self is this proxy's address, and Peers are those of the others that live. Both may have
	// the same address.
	Self  Address
	Peers []Address
	// Secure: clients speak TLS at these addresses.
	Secure bool
	// Leaving: this proxy is about to end. If others live, they have all slots.
	Leaving bool
	// Pool is the pool's name, by which proxies know that they serve the same one.
	Pool string
}

// New makes a map.
func New(o Options) *Map {
	all := slices.Clone(o.Peers)
	all = slices.DeleteFunc(all, func(a Address) bool { return a == o.Self })
	leaves := o.Leaving && len(all) > 0
	if !leaves {
		all = append(all, o.Self)
	}
	slices.SortFunc(all, Compare)
	all = slices.Compact(all)
	if len(all) > hashkit.NumSlots {
		all = all[:hashkit.NumSlots]
	}
	m := &Map{Nodes: make([]Node, len(all)), Leaves: leaves, own: o.Self, secure: o.Secure}
	for i, a := range all {
		m.Nodes[i] = Node{
			Address: a, ID: a.ID(),
			First: i * hashkit.NumSlots / len(all), Last: (i+1)*hashkit.NumSlots/len(all) - 1,
		}
	}
	m.Self = slices.Index(all, o.Self)
	m.card = Card{At: o.Self, Leaving: o.Leaving, Pool: o.Pool}.String()
	m.write()
	return m
}

// MyID is this proxy's id.
func (m *Map) MyID() string { return m.own.ID() }

// Card is what this proxy says of itself to another one that asks.
func (m *Map) Card() string { return m.card }

// Owner is the proxy that has the slot.
func (m *Map) Owner(slot int) Address {
	at, _ := slices.BinarySearchFunc(m.Nodes, slot, func(n Node, slot int) int { return n.Last - slot })
	return m.Nodes[at].Address
}

// Slots is the answer to CLUSTER SLOTS, as it is sent.
func (m *Map) Slots(resp3 bool) string { return m.slots[version(resp3)] }

// Shards is the answer to CLUSTER SHARDS, as it is sent.
func (m *Map) Shards(resp3 bool) string { return m.shards[version(resp3)] }

// NodeLines is the text of CLUSTER NODES.
func (m *Map) NodeLines() string { return m.nodes }

// Info is the text of CLUSTER INFO.
func (m *Map) Info() string { return m.info }

func version(resp3 bool) int {
	if resp3 {
		return 1
	}
	return 0
}

// A Board has the map in force, for all loops. The zero Board has none.
type Board struct {
	now      atomic.Pointer[Map]
	keys     atomic.Pointer[[hashkit.NumSlots]string]
	sendsOff atomic.Bool
}

// Publish puts a map in force. One goroutine does so at a time.
func (b *Board) Publish(m *Map) {
	if b.keys.Load() == nil {
		b.keys.Store(keysOfSlots())
	}
	b.now.Store(m)
}

// Map is the map in force, or nil.
func (b *Board) Map() *Map { return b.now.Load() }

// SendOff has clients be sent to the other proxies of the map, since this one leaves.
func (b *Board) SendOff() { b.sendsOff.Store(true) }

// SendsOff reports whether clients are.
func (b *Board) SendsOff() bool { return b.sendsOff.Load() }

// KeyOfSlot is a key that has that slot. A map must have been published.
func (b *Board) KeyOfSlot(slot int) string { return b.keys.Load()[slot] }

// keysOfSlots makes a key for each slot, which takes some milliseconds.
func keysOfSlots() *[hashkit.NumSlots]string {
	var keys [hashkit.NumSlots]string
	for i, left := 0, len(keys); left > 0; i++ {
		key := strconv.Itoa(i)
		if at := &keys[hashkit.Slot([]byte(key))]; *at == "" {
			*at = key
			left--
		}
	}
	return &keys
}

// Package emulate makes what a proxy says of itself to clients that expect a Redis Cluster, or
// ask a Sentinel: which proxies there are, which slots each has, and which one a client is to
// use. It is pure.
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
	"hash/fnv"
	"io"
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
	// Sentinel is where this proxy answers as a Sentinel; the zero Address: nowhere, or where
	// nobody else can ask it.
	Sentinel Address
	// Sentinels are where the others do, in the order of their addresses.
	Sentinels []Address
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
	// Sentinel is where this one answers as a Sentinel, and Sentinels are where the peers do.
	Sentinel  Address
	Sentinels []Address
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
	m.Sentinel = o.Sentinel
	m.Sentinels = slices.DeleteFunc(slices.Clone(o.Sentinels), func(a Address) bool { return a == o.Sentinel })
	slices.SortFunc(m.Sentinels, Compare)
	m.Sentinels = slices.Compact(m.Sentinels)
	m.card = Card{At: o.Self, Leaving: o.Leaving, Pool: o.Pool, Sentinel: o.Sentinel}.String()
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

// ProxyFor is the proxy that a client is to use which asks a Sentinel for one. All proxies with
// the same map name the same one to it. A proxy that comes, or goes, changes it for as few
// clients as can be: each client ranks the proxies in an order of its own, and uses the first.
func (m *Map) ProxyFor(client string) Address {
	best, most := 0, uint64(0)
	for i := range m.Nodes {
		if rank := rankOf(client, m.Nodes[i].ID); i == 0 || rank > most {
			best, most = i, rank
		}
	}
	return m.Nodes[best].Address
}

// rankOf is how much a client wants a proxy: the highest counts.
func rankOf(client, id string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, client+" "+id) // it cannot fail
	// The last step of MurmurHash3, since the last bytes change little in FNV's sum.
	n := h.Sum64()
	n = (n ^ n>>33) * 0xff51afd7ed558ccd
	n = (n ^ n>>33) * 0xc4ceb9fe1a85ec53
	return n ^ n>>33
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

// Publish puts a map in force.
func (b *Board) Publish(m *Map) { b.now.Store(m) }

// Map is the map in force, or nil.
func (b *Board) Map() *Map { return b.now.Load() }

// SendOff has clients be sent to the other proxies of the map, since this one leaves.
func (b *Board) SendOff() { b.sendsOff.Store(true) }

// SendsOff reports whether clients are.
func (b *Board) SendsOff() bool { return b.sendsOff.Load() }

// KeyOfSlot is a key that has that slot. MakeKeys must have been called.
func (b *Board) KeyOfSlot(slot int) string { return b.keys.Load()[slot] }

// MakeKeys makes a key for each slot, if there are none yet. That takes some milliseconds, and
// only pools whose servers are a cluster need it.
func (b *Board) MakeKeys() {
	if b.keys.Load() == nil {
		b.keys.Store(keysOfSlots())
	}
}

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

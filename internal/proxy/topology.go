package proxy

import (
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/hashkit"
	"nuthatch/internal/slowlog"
)

// A Topology is what all loops share of one pool: where its servers are, how
// they are, and the ring that follows from that. Loops read snapshots; whoever
// changes something publishes a new one.
//
// A reload makes a new topology of the old one. What outlives it is in health,
// of the servers that stay, and in lineage.
type Topology struct {
	// static after construction
	conf   *config.Pool
	health []*Health // in the order of conf.Servers
	*lineage

	// published
	ring atomic.Pointer[ringState]
	// aside runs a function outside the loops; nil: there is nobody to do so.
	aside func(f func())
	// building: somebody makes a ring outside the loops. wanted counts how often one was
	// asked for, and wantedAt is the time of the last one.
	building         atomic.Bool
	wanted, wantedAt atomic.Int64
	// onUnreachable looks servers' names up again.
	onUnreachable atomic.Pointer[func()]
}

// A lineage is what makes a pool the same pool after a reload.
type lineage struct {
	// clients is how many clients the pool has, in all loops.
	clients atomic.Int64
	// refusals and cuts tell when clients begin to be refused and to be cut.
	refusals, cuts events.Episode
	// slow is the pool's slow log.
	slow *slowlog.Log
}

// A ringState is the ring, and when it is out of date. It is immutable.
type ringState struct {
	hashkit.Ring
	// rebuildAt is when the first of the ejected servers comes back; 0 if none
	// is ejected.
	rebuildAt int64
}

// NewTopology returns the topology of a pool with all servers on the ring and
// no addresses yet.
func NewTopology(conf *config.Pool) *Topology {
	t := &Topology{conf: conf, lineage: &lineage{slow: slowlog.New(0)}}
	for range conf.Servers {
		t.health = append(t.health, &Health{})
	}
	t.rebuild(0, nil)
	return t
}

// Next returns the topology of the same pool with another configuration, at time
// now. Servers of the same name and address keep what is known of them. It changes
// nothing: Settle is called before the first loop uses it.
//
// While some loops use the old one and some the next, a server may be ejected
// from the old ring alone. Refresh, when all use the next, makes up for that.
func (t *Topology) Next(conf *config.Pool, now int64) *Topology {
	n := &Topology{conf: conf, lineage: t.lineage}
	known := make(map[serverIdentity]*Health, len(t.health))
	for i := range t.conf.Servers {
		known[identityOf(&t.conf.Servers[i])] = t.health[i]
	}
	for i := range conf.Servers {
		h := known[identityOf(&conf.Servers[i])]
		if h == nil {
			h = &Health{}
		}
		n.health = append(n.health, h)
	}
	n.rebuild(now, nil)
	return n
}

// A serverIdentity is what makes a server the same server after a reload.
type serverIdentity struct {
	name    string
	address config.Address
}

func identityOf(s *config.Server) serverIdentity { return serverIdentity{s.NodeName(), s.Address} }

// Settle ends those ejections that the configuration does not have, or that nothing
// else would end any more.
func (t *Topology) Settle(now int64) {
	settled := false
	for _, h := range t.health {
		at := h.retryAt.Load()
		switch {
		case !t.conf.AutoEjectHosts:
			h.back(now)
			settled = settled || at != 0
		case t.conf.HealthCheck.Interval == 0 && at == untilChecked:
			// No check is to come that would bring it back: time does.
			h.retryAt.CompareAndSwap(untilChecked, now+int64(t.conf.ServerRetryTimeout))
			settled = true
		}
	}
	if settled {
		t.rebuild(now, nil)
	}
}

// Refresh publishes the ring anew. It may be called from any goroutine.
func (t *Topology) Refresh(now int64) { t.rebuild(now, nil) }

// SamePool reports whether both are topologies of one pool, before and after a
// reload.
func (t *Topology) SamePool(other *Topology) bool { return t.lineage == other.lineage }

// PlacesIn returns where other, a topology before t, has each of t's servers, or -1.
func (t *Topology) PlacesIn(other *Topology) []int {
	known := make(map[*Health]int, len(other.health))
	for i, h := range other.health {
		known[h] = i
	}
	places := make([]int, len(t.health))
	for i, h := range t.health {
		places[i] = -1
		if at, ok := known[h]; ok {
			places[i] = at
		}
	}
	return places
}

// Clients is how many clients the pool has. It may be called from any goroutine.
func (t *Topology) Clients() int { return int(t.clients.Load()) }

// SlowLog is the pool's slow log, which has no room until somebody gives it some.
func (t *Topology) SlowLog() *slowlog.Log { return t.slow }

// SetAddrs publishes the addresses of the i-th server, nil if they are unknown.
// It may be called from any goroutine.
func (t *Topology) SetAddrs(i int, addrs []unix.Sockaddr) {
	if len(addrs) == 0 {
		t.health[i].addrs.Store(nil)
		return
	}
	t.health[i].addrs.Store(&addrs)
}

// Addrs are the addresses of the i-th server, none if they are unknown. They are
// not to be changed. It may be called from any goroutine.
func (t *Topology) Addrs(i int) []unix.Sockaddr {
	if addrs := t.health[i].addrs.Load(); addrs != nil {
		return *addrs
	}
	return nil
}

// HasAddr reports whether that is one of the i-th server's addresses. It may be called
// from any goroutine.
func (t *Topology) HasAddr(i int, addr unix.Sockaddr) bool { return has(t.Addrs(i), addr) }

// has reports whether addr is among addrs.
func has(addrs []unix.Sockaddr, addr unix.Sockaddr) bool {
	return slices.ContainsFunc(addrs, func(a unix.Sockaddr) bool {
		switch a := a.(type) {
		case *unix.SockaddrInet4:
			b, ok := addr.(*unix.SockaddrInet4)
			return ok && a.Port == b.Port && a.Addr == b.Addr
		case *unix.SockaddrInet6:
			b, ok := addr.(*unix.SockaddrInet6)
			return ok && a.Port == b.Port && a.ZoneId == b.ZoneId && a.Addr == b.Addr
		case *unix.SockaddrUnix:
			b, ok := addr.(*unix.SockaddrUnix)
			return ok && a.Name == b.Name
		default:
			return false
		}
	})
}

// OnUnreachable has f called when a server is found to be unreachable for the first
// time since WasUnreachable was called, on any goroutine. It must not wait.
func (t *Topology) OnUnreachable(f func()) { t.onUnreachable.Store(&f) }

// Unreachable notes that the i-th server could not be connected to at any of its
// addresses, or has failed, or is not what it was: its name may stand for others by
// now. It may be called from any goroutine.
func (t *Topology) Unreachable(i int) { t.doubt(t.health[i]) }

// doubt is Unreachable for the server of which that is known.
func (t *Topology) doubt(h *Health) {
	if h.unreachable.Load() || h.unreachable.Swap(true) {
		return // somebody has been told
	}
	if f := t.onUnreachable.Load(); f != nil {
		(*f)()
	}
}

// WasUnreachable reports whether that was noted since the last call.
func (t *Topology) WasUnreachable(i int) bool { return t.health[i].unreachable.Swap(false) }

// current is the ring at time now: servers whose time of ejection is over are
// back on it, to be tried again. Those that this call brought back are told to back.
func (t *Topology) current(now int64, back func(server int)) *ringState {
	s := t.ring.Load()
	if s.rebuildAt != 0 && now > s.rebuildAt && !t.building.Load() {
		return t.rebuildSoon(now, back)
	}
	return s
}

// fewServers is how many servers a pool may have whose ring a loop makes itself: a
// ring of three hundred servers takes it five milliseconds.
const fewServers = 64

// BuildAside has rings of many servers made by run, outside the loops. It must be
// called before the first loop uses the topology.
func (t *Topology) BuildAside(run func(f func())) { t.aside = run }

// rebuildSoon is rebuild, for loops: in a pool of many servers the ring is made outside
// the loops, and until it is there requests go by the old one, which is returned.
func (t *Topology) rebuildSoon(now int64, back func(server int)) *ringState {
	if len(t.conf.Servers) <= fewServers || t.aside == nil {
		return t.rebuild(now, back)
	}
	t.wantedAt.Store(now)
	t.wanted.Add(1)
	if t.building.CompareAndSwap(false, true) {
		if t.conf.Eject != config.EjectFail {
			t.retry(now, back)
		}
		t.aside(t.build)
	}
	return t.ring.Load()
}

// retry tells of the servers that are to be tried again at time now.
func (t *Topology) retry(now int64, back func(server int)) {
	for i, h := range t.health {
		if at := h.retryAt.Load(); at != 0 && at <= now && h.tried(at, now) && back != nil {
			back(i)
		}
	}
}

// build makes the ring, and again if it was asked for meanwhile.
func (t *Topology) build() {
	for more := true; more; {
		n := t.wanted.Load()
		t.rebuild(t.wantedAt.Load(), nil)
		t.building.Store(false)
		more = t.wanted.Load() != n && t.building.CompareAndSwap(false, true)
	}
}

// rebuild publishes the ring of the servers that are not ejected at time now.
// Several loops may do so at once: the one that comes second sees that the ring
// has changed and looks at the servers again. The servers that this call found
// to be back are told to back, which may be nil.
func (t *Topology) rebuild(now int64, back func(server int)) *ringState {
	for {
		old := t.ring.Load()
		next := &ringState{Ring: hashkit.Ring{Hash: t.conf.Hash, Tag: tagOf(t.conf.HashTag)}}
		nodes := make([]hashkit.Node, len(t.conf.Servers))
		for i := range t.conf.Servers {
			s := &t.conf.Servers[i]
			nodes[i] = hashkit.Node{Name: s.NodeName(), Weight: s.Weight}
			at := t.health[i].retryAt.Load()
			switch {
			case t.health[i].inService() == OffTheRing:
				nodes[i].Down = true
			case at == 0 || t.conf.Eject == config.EjectFail:
			case at <= now:
				if t.health[i].tried(at, now) && back != nil {
					back(i)
				}
			default:
				nodes[i].Down = true
				if next.rebuildAt == 0 || at < next.rebuildAt {
					next.rebuildAt = at
				}
			}
		}
		next.Continuum = hashkit.NewContinuum(t.conf.Distribution, nodes)
		if t.ring.CompareAndSwap(old, next) {
			return next
		}
	}
}

func tagOf(s string) hashkit.Tag {
	var t hashkit.Tag
	copy(t[:], s)
	return t
}

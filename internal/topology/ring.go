package topology

import (
	"nuthatch/internal/config"
	"nuthatch/internal/hashkit"
)

// A Snapshot is the ring, and when it is out of date. It is immutable.
type Snapshot struct {
	hashkit.Ring
	// rebuildAt is when the first of the ejected servers comes back; 0 if none
	// is ejected.
	rebuildAt int64
}

// Current is the ring at time now: servers whose time of ejection is over are
// back on it, to be tried again. Those that this call brought back are told to back.
func (t *Topology) Current(now int64, back func(server int)) *Snapshot {
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
func (t *Topology) rebuildSoon(now int64, back func(server int)) *Snapshot {
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
func (t *Topology) rebuild(now int64, back func(server int)) *Snapshot {
	for {
		old := t.ring.Load()
		next := &Snapshot{Ring: hashkit.Ring{Hash: t.conf.Hash, Tag: tagOf(t.conf.HashTag)}}
		nodes := make([]hashkit.Node, len(t.conf.Servers))
		for i := range t.conf.Servers {
			s := &t.conf.Servers[i]
			nodes[i] = hashkit.Node{Name: s.NodeName(), Weight: s.Weight}
			at := t.health[i].retryAt.Load()
			switch {
			case t.health[i].Service() == OffTheRing:
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

// Ring is the ring as it was last published. To end an ejection whose time is
// over is left to a loop, which tells of it. It may be called from any goroutine.
func (t *Topology) Ring() hashkit.Ring { return t.ring.Load().Ring }

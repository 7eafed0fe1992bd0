package daemon

import (
	"slices"
	"sync"
	"time"

	"nuthatch/internal/topology"
)

// pauses are the pauses of pools that nobody has ended yet.
type pauses struct {
	// order is held while a pause begins or ends, so that all loops see pauses in
	// the same order.
	order sync.Mutex

	mu      sync.Mutex
	running []*pause
}

// A pause ends by itself. It belongs to one pool, and not to a later one of the
// same name.
type pause struct {
	topo  *topology.Topology
	timer *time.Timer
	began time.Time
	until time.Time
	by    string
}

// begin notes a pool's pause and who ordered it, in place of the one before. When
// the time is over it calls end. The caller holds order.
func (p *pauses) begin(t *topology.Topology, limit time.Duration, by string, end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(t.SamePool)
	began := time.Now()
	q := &pause{topo: t, began: began, until: began.Add(limit), by: by}
	q.timer = time.AfterFunc(limit, func() {
		p.order.Lock()
		defer p.order.Unlock()
		if p.expire(q) {
			end()
		}
	})
	p.running = append(p.running, q)
}

// expire ends a pause whose time is over, and reports false if somebody else has.
func (p *pauses) expire(q *pause) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.running, q)
	if i < 0 {
		return false
	}
	p.running = slices.Delete(p.running, i, i+1)
	return true
}

// end ends the pauses of those pools.
func (p *pauses) end(which func(*topology.Topology) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(which)
}

// drop is end; the caller holds mu.
func (p *pauses) drop(which func(*topology.Topology) bool) {
	p.running = slices.DeleteFunc(p.running, func(q *pause) bool {
		over := which(q.topo)
		if over {
			q.timer.Stop()
		}
		return over
	})
}

// began is since when a pool is paused; zero if it is not.
func (p *pauses) began(t *topology.Topology) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range p.running {
		if q.topo.SamePool(t) {
			return q.began
		}
	}
	return time.Time{}
}

// of is when a pool's pause ends, and who ordered it; zero if there is none.
func (p *pauses) of(t *topology.Topology) (until time.Time, by string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range p.running {
		if q.topo.SamePool(t) {
			return q.until, q.by
		}
	}
	return time.Time{}, ""
}

// endWithout ends the pauses of pools that the current generation g does not
// have.
func (p *pauses) endWithout(g *generation) {
	p.order.Lock()
	defer p.order.Unlock()
	p.end(func(t *topology.Topology) bool { return !g.has(t) })
}

// endAll is for the end of the proxy.
func (p *pauses) endAll() {
	p.end(func(*topology.Topology) bool { return true })
}

package daemon

import (
	"sync"
	"time"
)

// pauses are the pauses of pools that nobody has ended yet.
type pauses struct {
	// order is held while a pause begins or ends, the loops' part included, so
	// that the loops hear of it in that order.
	order sync.Mutex

	mu      sync.Mutex
	running map[string]*pause
}

// A pause ends by itself.
type pause struct {
	timer *time.Timer
	until time.Time
}

// begin notes a pool's pause, in place of the one before. When the time is over
// it calls end. The caller holds order.
func (p *pauses) begin(pool string, limit time.Duration, end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(pool)
	if p.running == nil {
		p.running = make(map[string]*pause)
	}
	q := &pause{until: time.Now().Add(limit)}
	q.timer = time.AfterFunc(limit, func() {
		p.order.Lock()
		defer p.order.Unlock()
		if p.expire(pool, q) {
			end()
		}
	})
	p.running[pool] = q
}

// expire ends a pause whose time is over, and reports false if somebody else has.
func (p *pauses) expire(pool string, q *pause) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running[pool] != q {
		return false
	}
	delete(p.running, pool)
	return true
}

// end ends a pool's pause, if there is one.
func (p *pauses) end(pool string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(pool)
}

// drop is end; the caller holds mu.
func (p *pauses) drop(pool string) {
	if q := p.running[pool]; q != nil {
		q.timer.Stop()
		delete(p.running, pool)
	}
}

// until is when a pool's pause ends; zero if there is none.
func (p *pauses) until(pool string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q := p.running[pool]; q != nil {
		return q.until
	}
	return time.Time{}
}

// endAll ends all pauses.
func (p *pauses) endAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for pool := range p.running {
		p.drop(pool)
	}
}

package daemon

import (
	"sync"
	"time"
)

// pauses are the timers that end the pauses of pools.
type pauses struct {
	mu     sync.Mutex
	timers map[string]*time.Timer
}

// begin notes the timer of a pool's pause, in place of the one before.
func (p *pauses) begin(pool string, t *time.Timer) {
	p.end(pool)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timers == nil {
		p.timers = make(map[string]*time.Timer)
	}
	p.timers[pool] = t
}

// end stops the timer of a pool's pause, if there is one.
func (p *pauses) end(pool string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.timers[pool]; t != nil {
		t.Stop()
		delete(p.timers, pool)
	}
}

// endAll stops all timers.
func (p *pauses) endAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.timers {
		t.Stop()
	}
	clear(p.timers)
}

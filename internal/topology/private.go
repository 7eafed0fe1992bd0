package topology

import "sync/atomic"

// Private counts the connections to one server that single clients have to themselves,
// or had and another may have next, over all loops. It may be used from any goroutine.
type Private struct{ taken, unused atomic.Int64 }

// Take takes one of at most most connections, and reports whether there was one.
func (p *Private) Take(most int) bool {
	for {
		n := p.taken.Load()
		if n >= int64(most) {
			return false
		}
		if p.taken.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Free counts a connection that was taken and has ended.
func (p *Private) Free() { p.taken.Add(-1) }

// Keep counts a connection that was taken, and that nobody has now.
func (p *Private) Keep() {
	p.unused.Add(1)
	p.taken.Add(-1)
}

// Forget counts that one that nobody has has ended, or that somebody has it now, after
// Take.
func (p *Private) Forget() { p.unused.Add(-1) }

// Crowded reports whether there are more than most, of which some are unused.
func (p *Private) Crowded(most int) bool {
	n := p.unused.Load()
	return n > 0 && n+p.taken.Load() > int64(most)
}

// Private counts the server's connections that single clients have.
func (h *Health) Private() *Private { return &h.private }

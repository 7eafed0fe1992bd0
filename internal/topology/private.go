package topology

import "sync/atomic"

// Private counts the private connections to one server over all loops: those that
// clients have, and unused ones. It may be used from any goroutine.
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

// Keep counts a connection that was taken and is now unused.
func (p *Private) Keep() {
	p.unused.Add(1)
	p.taken.Add(-1)
}

// Forget counts that an unused connection has ended, or that a client has got it after
// Take.
func (p *Private) Forget() { p.unused.Add(-1) }

// Crowded reports whether there are more than most connections, and some of them are
// unused.
func (p *Private) Crowded(most int) bool {
	n := p.unused.Load()
	return n > 0 && n+p.taken.Load() > int64(most)
}

// Private counts the server's private connections.
func (h *Health) Private() *Private { return &h.private }

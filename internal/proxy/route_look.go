package proxy

import "time"

// What concerns all nodes of a cluster waits for a look at all of them: no node says MOVED to a
// request without a key, and the map may be old.
//
//	the end of a SCAN's pass, FLUSHALL    a look that has begun since it came
//	others that go to all nodes           a look that has begun at most lookFresh before it came
//
// The request is back in the stash meanwhile. All that wait share one look.

// lookFresh is how old a look may be for requests that do not need a new one.
const lookFresh = time.Second

// hasLooked reports whether all nodes have been looked at since the request that was just taken
// came, or at most age before. If not, the request waits for that.
func hasLooked(c *client, age time.Duration) bool {
	p := c.pool
	since, waited := p.lookWaits.of(c)
	if !waited {
		since = p.ctx.loop.Now()
	}
	if p.snap.Scans.Looked > max(since-int64(age), 0) {
		p.lookWaits.remove(c)
		return true
	}
	c.waits |= waitsForLook
	c.session.Again()
	uncount(p, c.lastType)
	if !waited {
		p.lookWaits.add(c, since)
	}
	p.topo.WantLook()
	p.ctx.refuseInTime(c)
	return false
}

// lookCame lets the clients go on whose look has come.
func lookCame(p *ServerPool) {
	for _, w := range p.lookWaits.inOrder() {
		if p.snap.Scans == nil {
			endLookWait(w.client)
			w.client.resumeIfRoom()
		} else if p.snap.Scans.Looked > w.what {
			w.client.hasLook()
			w.client.resumeIfRoom()
		}
	}
}

// looksAgain has clients ask once more for a look at all nodes, after a reload.
func looksAgain(p *ServerPool) {
	for _, w := range p.lookWaits.inOrder() {
		w.client.hasLook()
		w.client.resumeIfRoom()
	}
}

func (in *intake) hasLook() { in.waits &^= waitsForLook }

// endLookWait has the client wait for no look any more.
func endLookWait(c *client) {
	c.hasLook()
	c.pool.lookWaits.remove(c)
}

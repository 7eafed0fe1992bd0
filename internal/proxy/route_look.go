package proxy

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// What concerns all nodes of a cluster waits for a look at all of them: no node says MOVED to a
// request without a key, and the map may be old.
//
//	the end of a SCAN's pass, FLUSHALL    a look that has begun since it came
//	others that go to all nodes           a look that has begun at most lookFresh before it came
//
// The request is back in the stash meanwhile. All that wait share one look.

// lookFresh is how old a look may be for requests that do not need a new one.
const lookFresh = time.Second

// A lookWaits has the clients whose next request waits for a look at all nodes.
type lookWaits map[*client]lookWait

// A lookWait says since when a client waits, and which one it was to come, from 1.
type lookWait struct {
	since int64
	nth   uint64
}

// inOrder returns the clients, who came first first.
func (w lookWaits) inOrder() []*client {
	return slices.SortedFunc(maps.Keys(w), func(a, b *client) int { return cmp.Compare(w[a].nth, w[b].nth) })
}

// hasLooked reports whether all nodes have been looked at since the request that was just taken
// came, or at most age before. If not, the request waits for that.
func hasLooked(c *client, age time.Duration) bool {
	p := c.pool
	w, waited := p.lookWaits[c]
	if !waited {
		p.lookCount++
		w = lookWait{since: p.ctx.loop.Now(), nth: p.lookCount}
	}
	if p.snap.Scans.Looked > max(w.since-int64(age), 0) {
		delete(p.lookWaits, c)
		return true
	}
	c.waits |= waitsForLook
	c.session.Again()
	uncount(p, c.lastType)
	if p.lookWaits == nil {
		p.lookWaits = make(lookWaits)
	}
	p.lookWaits[c] = w
	p.topo.WantLook()
	p.ctx.refuseInTime(c)
	return false
}

// lookCame lets the clients go on whose look has come.
func lookCame(p *ServerPool) {
	for _, c := range p.lookWaits.inOrder() {
		if p.snap.Scans == nil {
			endLookWait(c)
			c.resumeIfRoom()
		} else if p.snap.Scans.Looked > p.lookWaits[c].since {
			c.hasLook()
			c.resumeIfRoom()
		}
	}
}

// looksAgain has clients ask once more for a look at all nodes, after a reload.
func looksAgain(p *ServerPool) {
	for _, c := range p.lookWaits.inOrder() {
		c.hasLook()
		c.resumeIfRoom()
	}
}

func (in *intake) hasLook() { in.waits &^= waitsForLook }

// endLookWait has the client wait for no look any more.
func endLookWait(c *client) {
	c.hasLook()
	delete(c.pool.lookWaits, c)
}

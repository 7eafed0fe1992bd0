package proxy

import (
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A gate stands before the reading of a connection. Above the soft mark it is passed only
// if there is memory for what may come; a connection that does not pass is starved:
//
//	Grant ─► mayRead ─┬─ yes ─► read
//	                  └─ no ──► starve ─► relieve: feed ─► read again
//
// There is one for clients and one for connections to servers. They differ in what may
// be read, and in what must be done before reading goes on.
type gate interface {
	PauseRead()
	// starving says whether the connection is starved, and which list it then stands in.
	starving(m *memory) (flag *bool, list *[]gate)
	// mayRead reports whether there is memory for what may come next.
	mayRead(m *memory) bool
	// feed reads from a starved connection again if there is memory. It reports whether
	// the connection need not be checked again.
	feed(m *memory) (done bool)
}

// grant is how many bytes may be received above the soft mark: n, or none. Without memory
// it starves the connection.
func (m *memory) grant(g gate, n int) int {
	if g.mayRead(m) {
		return n
	}
	m.starve(g)
	return 0
}

// starve stops reading from the connection until there is memory again.
func (m *memory) starve(g gate) {
	g.PauseRead()
	flag, list := g.starving(m)
	if *flag {
		return
	}
	*flag = true
	*list = append(*list, g)
	m.ctx.shard.Values[stats.MemoryPauses]++
}

// feedAll reads again from connections for which there is memory: first from servers,
// whose replies free memory, then from as many clients as may be resumed in this turn.
func (m *memory) feedAll() {
	conns, clients := m.conns, m.clients
	m.conns, m.clients = nil, nil
	for _, g := range conns {
		m.feed(g)
	}
	for i, g := range clients {
		if !m.ctx.turn.resumesMore() {
			m.clients = append(m.clients, clients[i:]...)
			break
		}
		m.feed(g)
	}
}

// feed reads from one of them again. If there is no memory it stays starved.
func (m *memory) feed(g gate) {
	m.weigh()
	flag, list := g.starving(m)
	*flag = false
	if !g.feed(m) && !*flag {
		*flag = true
		*list = append(*list, g)
	}
}

// A clientGate is the gate of a client.
type clientGate struct{ *client }

// starving implements gate.
func (c clientGate) starving(m *memory) (flag *bool, list *[]gate) { return &c.starved, &m.clients }

// mayRead implements gate.
func (c clientGate) mayRead(m *memory) bool {
	switch {
	case !m.tight:
		return true
	case c.partial == nil:
		return c.inFlight() == 0 && c.holds() == 0 && m.fits(c.client)
	case c.partial.pace.once:
		return true
	}
	rest := int64(c.partial.parser.Body())
	return rest == 0 && !m.full || rest > 0 && rest <= (m.soft+m.hard)/2-m.held || m.favour(c.client)
}

// feed implements gate.
func (c clientGate) feed(m *memory) (done bool) {
	if c.state != clientOpen {
		return true
	}
	if c.stash.Len() == 0 || readsForEnd(c.client) {
		if !c.mayRead(m) {
			return false
		}
		c.noteActivity(m.ctx.loop.Now()) // it could not send
		if c.waits&waitsForSlices == 0 {
			c.ResumeRead()
		}
		return true
	}
	if (c.waits == 0 || c.mayGoOn(c.inFlight() == 0)) && c.within(1) {
		c.resume()
	}
	return c.state != clientOpen || c.stash.Len() == 0 || !m.scarce(c.client)
}

// favour lets the client go on with its request, unless another client is favoured.
func (m *memory) favour(c *client) bool {
	now := m.ctx.loop.Now()
	if f := m.favoured; f != c {
		if f != nil && m.needsFavour(f, now) || c.holds() == 0 {
			return false
		}
		c.noteActivity(now)
	}
	m.favoured = c
	return true
}

// needsFavour reports whether the favoured client still needs the favour: it is
// sending, or its request waits for servers.
func (m *memory) needsFavour(c *client, now int64) bool {
	switch {
	case c.state != clientOpen:
		return false
	case c.large != nil && !c.large.parked:
		return true // its slices are being worked on, and will end
	case c.inFlight() > 0 || c.large != nil:
		return now-c.active < softGrace
	}
	return !c.starved && c.holds() > 0 && now-c.active < favour
}

// A connGate is the gate of a connection to a server. While it is starved its requests do
// not time out.
type connGate struct{ *serverConn }

// starving implements gate.
func (c connGate) starving(m *memory) (flag *bool, list *[]gate) { return &c.starved, &m.conns }

// mayRead implements gate.
func (c connGate) mayRead(m *memory) bool {
	head := c.queue.Head()
	if !m.tight || head == nil {
		return true
	}
	party := head.Party()
	switch {
	case party == nil:
		return true // the proxy's own replies are small, and one that nobody waits for is dropped as it comes
	case m.full && c.reply.Len() > 0:
		return m.favourServer(c.serverConn, head)
	case party.Unsent() >= outFull:
		return false
	}
	// A small reply frees more memory than it takes. Some large ones must come, so that
	// their clients can show that they read.
	expected := head.Expected
	if head.Parent != nil {
		expected = head.Parent.Expected
	}
	return !m.full || expected <= firstReplyGuess || m.trickle()
}

// feed implements gate. The timeouts of the connection's requests begin anew.
func (c connGate) feed(m *memory) (done bool) {
	if !c.Attached() {
		return true
	}
	if !c.mayRead(m) {
		return false
	}
	putOffDeadlines(c.serverConn)
	c.ResumeRead()
	return true
}

// putOffDeadlines has the timeouts of the connection's requests begin anew.
func putOffDeadlines(c *serverConn) {
	if t := c.pool.conf.Timeout; t > 0 {
		ctx := c.pool.ctx
		deadline := ctx.loop.Now() + int64(t)
		c.queue.Reschedule(deadline)
		ctx.nextDeadline = soonest(ctx.nextDeadline, deadline)
	}
}

// trickle reports whether a large reply may begin to come at the hard mark.
func (m *memory) trickle() bool {
	now := m.ctx.loop.Now()
	if now < m.nextLarge {
		return false
	}
	m.nextLarge = now + tricklePeriod
	return true
}

// trickled counts n bytes of a large reply that have come. At the hard mark they delay
// the next large reply, since nobody knows a reply's size before it comes.
func (m *memory) trickled(n int) {
	if !m.full {
		return
	}
	share := max(1, m.hard/tricklePart/m.loops)
	m.nextLarge = max(m.nextLarge, m.ctx.loop.Now()) + int64(n)*hardGrace/share
}

// favourServer lets the connection go on with the reply to r, which has begun to come,
// unless another reply is favoured. If the connection was favoured for an earlier
// reply, this one must wait its turn like any large reply.
func (m *memory) favourServer(c *serverConn, r *msg.Msg) bool {
	f := m.favouredConn
	switch {
	case int64(c.parser.Body()) > m.hard:
		return false
	case f == c && m.favouredEnd == r.End:
		return true
	case f != nil && f != c && f.reply.Len() > 0 && !f.starved:
		return false
	case f == c && !m.trickle():
		return false
	}
	m.favouredConn, m.favouredEnd = c, r.End
	return true
}

package proxy

import "nuthatch/internal/msg"

// A clientList is the pool's clients on one loop.
type clientList struct {
	// clients are in the order in which they came, which is that of their ids. byID has all of
	// them.
	clients list[*client]
	byID    map[uint64]*client
}

// enter adds a client.
func (l *clientList) enter(c *client) {
	l.clients.enter(c)
	l.byID[c.session.ID] = c
}

// remove takes a client off the list.
func (l *clientList) remove(c *client) {
	l.clients.remove(c)
	delete(l.byID, c.session.ID)
}

// visitClients calls visit for each of the pool's clients and then, if it is not nil, over.
// Many are visited in slices.
func visitClients(p *ServerPool, visit func(c *client), over func()) {
	j := &visiting{visit: visit, over: over}
	j.walk.begin(&p.clients)
	p.ctx.turn.later(j)
}

// A visiting is the job that does that.
type visiting struct {
	walk  walk[*client]
	visit func(c *client)
	over  func()
}

// step implements job.
func (j *visiting) step(ctx *Context) (done bool) {
	for ctx.turn.hasBudget() {
		c := j.walk.next()
		if c == nil {
			j.walk.end()
			if j.over != nil {
				j.over()
			}
			return true
		}
		ctx.turn.count(Amount{Clients: 1})
		j.visit(c)
	}
	return false
}

// facts are what is known of the client.
func (c *client) facts() msg.ClientFacts {
	addrs, names := addressesOf(c), c.session.Names()
	now := c.pool.ctx.loop.Now()
	multi, collected := -1, 0
	if c.collects() {
		multi = int(c.session.Collected)
	}
	if c.tx != nil {
		collected = c.tx.counted
	}
	private := 0
	if c.own != nil {
		private = len(c.own.conns)
		if v := c.own.monitor; v != nil {
			private += len(v.feeds)
		}
		if s := c.own.subs; s != nil {
			for _, f := range s.feeds {
				if f.shared == nil {
					private++
				}
			}
		}
	}
	return msg.ClientFacts{
		Listens: listenedBy(c),
		Blocked: c.blocked(), Private: private,
		Tracks: tracks(c), Broadcast: tracks(c) && c.session.Tracking().Broadcast, Monitors: monitors(c),
		Multi: multi, Collected: collected, Watched: int(c.session.Watched), Touched: c.watches() && c.own.watch.lost,
		ID: c.session.ID, Addr: addrs.addr, LocalAddr: addrs.localAddr, ShownFD: c.ShownFD(),
		User: c.session.User, Name: names.Name, LibName: names.LibName, LibVersion: names.LibVersion,
		Age: c.age(now), Idle: c.silent(now),
		Lane: c.session.Lane, Received: c.received(), Held: c.held, Unsent: c.Out().Len(),
		InFlight: c.inFlight(), Last: c.lastType, Closing: c.state == clientClosing,
		TLS: tlsVersion(c),
	}
}

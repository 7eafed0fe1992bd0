package proxy

import (
	"iter"
	"slices"

	"nuthatch/internal/msg"
)

// A clientList is the pool's clients on one loop, in the order in which they came.
type clientList struct {
	// clients is the first of them, the oldest, and newest the last. They are in the
	// order of their ids. byID has all of them.
	clients, newest *client
	byID            map[uint64]*client
	// walks are the walks through the list that are under way.
	walks []*walk
}

// enter adds a client.
func (l *clientList) enter(c *client) {
	c.prev = l.newest
	if c.prev != nil {
		c.prev.next = c
	} else {
		l.clients = c
	}
	l.newest = c
	l.byID[c.session.ID] = c
}

// remove takes a client off the list.
func (l *clientList) remove(c *client) {
	for _, w := range l.walks {
		if w.at == c {
			w.at = c.next
		}
	}
	if c.prev == nil {
		l.clients = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		l.newest = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
	delete(l.byID, c.session.ID)
}

// A walk goes through the pool's clients over many turns. Clients may leave meanwhile.
type walk struct {
	pool *ServerPool
	// at is the next client; nil: there is none.
	at *client
}

// begin puts the walk before the first client.
func (w *walk) begin(p *ServerPool) {
	w.pool, w.at = p, p.clients
	p.walks = append(p.walks, w)
}

// next is the next client, or nil if there is none.
func (w *walk) next() *client {
	c := w.at
	if c != nil {
		w.at = c.next
	}
	return c
}

// end ends the walk, if it has begun.
func (w *walk) end() {
	if p := w.pool; p != nil {
		p.walks = slices.DeleteFunc(p.walks, func(x *walk) bool { return x == w })
	}
	*w = walk{}
}

// visitClients calls visit for each of the pool's clients and then, if it is not nil, over.
// Many are visited in slices.
func visitClients(p *ServerPool, visit func(c *client), over func()) {
	j := &visiting{visit: visit, over: over}
	j.walk.begin(p)
	p.ctx.turn.later(j)
}

// A visiting is the job that does that.
type visiting struct {
	walk  walk
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

// everyClient yields the clients of the list. The loop body may close the client that
// it was given, but no other.
func (l *clientList) everyClient() iter.Seq[*client] {
	return func(yield func(*client) bool) {
		var next *client
		for c := l.clients; c != nil; c = next {
			next = c.next
			if !yield(c) {
				return
			}
		}
	}
}

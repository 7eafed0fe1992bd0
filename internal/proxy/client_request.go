package proxy

import (
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A dispatch is what becomes of a client's requests: each is forwarded, split, answered
// here or refused. It belongs to its client, whose account and connections it uses.
type dispatch struct {
	client *client
}

// request carries out a whole request. The request is valid during the call.
func (d *dispatch) request(req *msg.Request) {
	c := d.client
	c.skip = req.Skip
	c.lastType = req.Type
	c.pool.stats.Values[stats.ClientRequests]++
	c.pool.calls[req.Type]++
	charge(c, req.View.Len())
	c.session.Begin()
	if c.aside && overtakes(c, req) || (!c.session.Authenticated || c.session.Bars != 0) && !allowedAtOnce(c, req) && c.barred(req) {
		return
	}
	if (c.overdue != msg.OK || c.pool.mapless.on) && (waitsForServers(req.Treatment) || isOverLimit(c, req)) {
		holdBack(c, req)
		return
	}
	if req.Nkeys > c.pool.conf.MaxKeys {
		c.refuse(req, msg.TooManyKeys)
		return
	}
	switch req.Treatment {
	case msg.Forward:
		c.forward(req)
	case msg.Fragment:
		c.fragment(req)
	case msg.Watch:
		c.beginWatch(req)
	case msg.Block:
		c.block(req)
	case msg.Subscribe:
		c.subscribe(req)
	case msg.Publish:
		c.publish(req)
	case msg.Confirm:
		c.confirm(req)
	case msg.Track:
		c.track(req)
	case msg.Monitor:
		c.monitor(req)
	case msg.Broadcast:
		c.broadcast(req)
	case msg.One:
		c.one(req)
	case msg.Gather:
		c.gather(req)
	case msg.Report:
		c.report(req)
	case msg.Learn:
		c.learn(req)
	case msg.Local:
		c.local(req)
	case msg.Quit:
		c.local(req)
		c.closing(closeReason{})
	case msg.Ignore:
	}
}

// holdBack refuses a request that is overdue. Any other waits for the map of its cluster.
func holdBack(c *client, req *msg.Request) {
	if c.overdue != msg.OK {
		refuseLate(c, req)
		return
	}
	awaitMap(c)
}

// waitsForServers reports whether a request with that treatment can come too late. A
// request that the proxy answers itself cannot: it may change what the client's next
// requests and replies mean.
func waitsForServers(t msg.Treatment) bool { return t != msg.Local && t != msg.Quit && t != msg.Ignore }

// local has the protocol answer the request, in its turn.
func (d *dispatch) local(req *msg.Request) {
	c, p := d.client, d.client.pool
	ctx := p.ctx
	if p.rates != nil && !mayBecome(c, req) {
		return
	}
	if c.quiet > 0 && req.Error == "" && !req.NoReply && !c.mayGo() {
		return // Memcached's mn tells that those without a reply have been done, too
	}
	c.session.WallMicros = ctx.loop.WallMicros(ctx.loop.Now())
	lane, bars := c.session.Lane, c.session.Bars
	if c.session.Authenticated {
		c.early = 0 // the request may end the login, as RESET does
	}
	if out := c.Out(); c.outq.Len() == 0 && !req.NoReply && !c.session.Muted && !mayExceed(c, req) {
		before := out.Len()
		c.answer(req, out)
		ctx.turn.countAnswer(ctx.loop.Turns(), req.View.Len()+out.Len()-before)
		if p.rates != nil {
			p.rates.answeredLate(c, out.Len()-before)
		}
		if bars&msg.Collecting == 0 { // what is queued is measured as EXEC
			if p.measureReply(req.Type, ctx.loop.Now()) {
				ctx.measures.traceNext()
			}
		}
		c.Flush()
		c.sessionChanged(lane, bars)
		return
	}
	m := ctx.msgs.Get()
	m.Owner, m.Type, m.Done, m.Start = c, req.Type, true, ctx.loop.Now()
	c.answer(req, &m.Reply)
	ctx.turn.countAnswer(ctx.loop.Turns(), req.View.Len()+m.Reply.Len())
	refused := !isWelcome(c)
	if refused {
		refuseUser(c, m)
	}
	if (req.NoReply || c.session.Muted) && !refused {
		m.Reply.Release(ctx.bufs)
		ctx.msgs.Put(m)
	} else {
		if p.rates != nil {
			p.rates.answeredLate(c, m.Reply.Len())
		}
		c.hold(m, m.Reply.Len())
		c.outq.Push(m)
		c.advance()
	}
	c.sessionChanged(lane, bars)
}

// forward sends the request, as it is, to the server that owns its keys.
func (d *dispatch) forward(req *msg.Request) {
	c, p := d.client, d.client.pool
	if c.large != nil && p.ctx.turn.isLarge(req.Nkeys, 0) && p.ownersOf(req) && !req.NoReply {
		c.large.deal()
		return
	}
	s, why := p.owner(req)
	if why != msg.OK {
		d.refuseUnowned(req, why)
		return
	}
	if p.choice != nil {
		if s, why = p.choice.readerOf(c, req.Type, s); why != msg.OK {
			c.refuse(req, why)
			return
		}
	}
	c.forwardTo(s, req)
}

// ownerOrRefuse is the server that owns the request's keys. If none does, the request is
// refused, and it is nil.
func (d *dispatch) ownerOrRefuse(req *msg.Request) *Server {
	s, why := d.client.pool.owner(req)
	if why != msg.OK {
		d.refuseUnowned(req, why)
		return nil
	}
	return s
}

// refuseUnowned refuses a request whose keys have no owner, for the reason why not.
func (d *dispatch) refuseUnowned(req *msg.Request, why msg.Reason) {
	if why == msg.CrossServer {
		d.client.refuseCross(req)
		return
	}
	d.client.refuse(req, why)
}

// forwardTo sends the request to s.
func (d *dispatch) forwardTo(s *Server, req *msg.Request) {
	c := d.client
	conn, why := c.conn(s)
	if why != msg.OK {
		c.refuse(req, why)
		return
	}
	m := c.newMsg(req)
	if m.NoReply {
		c.quiet++
	} else {
		c.outq.Push(m)
	}
	c.send(m, req, conn)
}

// sendWhole sends the request to s. Its message stands in the out-queue.
func (d *dispatch) sendWhole(m *msg.Msg, req *msg.Request, s *Server) {
	c := d.client
	conn, why := c.conn(s)
	if why != msg.OK {
		m.Err = why
		c.OnFailure(m)
		return
	}
	c.send(m, req, conn)
}

// send appends the request that m stands for to a connection's output.
func (d *dispatch) send(m *msg.Msg, req *msg.Request, conn *serverConn) {
	c := d.client
	s, size := conn.server, req.View.Len()
	noteWrite(c, m, conn)
	c.write(req, conn.Out())
	if m.Keep {
		c.write(req, &m.Kept)
	}
	m.Via = conn
	c.hold(m, size)
	conn.enqueue(m, size-int(req.Omit.Len)+len(req.Instead))
	s.stats[stats.Requests]++
	s.stats[stats.RequestBytes] += int64(size)
}

// write appends the request to out, with what is to be left out replaced.
func (d *dispatch) write(req *msg.Request, out *mbuf.Chain) {
	bufs, size := d.client.pool.ctx.bufs, req.View.Len()
	if req.Omit.Len != 0 {
		writeWithout(bufs, out, req, size)
		return
	}
	req.View.AppendTo(bufs, out, 0, size)
}

func writeWithout(bufs *mbuf.Pool, out *mbuf.Chain, req *msg.Request, size int) {
	req.View.AppendTo(bufs, out, 0, int(req.Omit.Off))
	out.AppendString(bufs, req.Instead)
	req.View.AppendTo(bufs, out, req.Omit.End(), size-req.Omit.End())
}

// conn is the client's connection to s, for a request or a part of one. It is opened if
// need be. If there is none, a failed request is counted for s.
func (d *dispatch) conn(s *Server) (*serverConn, msg.Reason) {
	c := d.client
	if c.own != nil {
		if conn, why, ok := c.own.ownConn(s); ok {
			return conn, why
		}
	}
	conn, why := s.conn(int(c.lane), c.slot())
	if why != msg.OK {
		if s.leader != nil && c.pool.choice != nil {
			if other := c.pool.choice.connInstead(c, s); other != nil {
				return other, msg.OK
			}
		}
		s.reasons[stats.ServerFailedRequests][why]++
	}
	return conn, why
}

// slot is which of a server's connections the client keeps to.
func (d *dispatch) slot() int {
	c := d.client
	if n := c.pool.conf.ServerConnections; n > 1 {
		return int(c.session.ID % uint64(n))
	}
	return 0
}

func (d *dispatch) newMsg(req *msg.Request) *msg.Msg {
	m := d.client.pool.ctx.msgs.Get()
	standFor(d.client, m, req)
	return m
}

// standFor has m, which is new, stand for a request of the client's.
func standFor(c *client, m *msg.Msg, req *msg.Request) {
	c.pool.ctx.memory.expect(m, c.expects(c.pool.largest))
	m.Owner, m.Type, m.NoReply, m.Quiet = c, req.Type, req.NoReply, req.Quiet
	if limit := c.pool.conf.RequestTimeout; limit > 0 && !req.NoReply {
		c.pool.ctx.expireBy(m, c.cameAt(c.pool.ctx.loop.Now())+int64(limit))
	}
	m.Keep = c.pool.keepsSome && (c.pool.keepsAll || c.pool.commands[req.Type].Pure)
	m.RESP3, m.Muted = c.session.Lane.IsRESP3(), c.session.Muted
	m.Start = c.pool.ctx.loop.Now()
	c.pool.keys.sampleIfDue(c.pool, req, m)
}

// refuse answers a request that cannot be sent with an error, in its turn.
func (d *dispatch) refuse(req *msg.Request, why msg.Reason) {
	c := d.client
	if req.Treatment == msg.Watch {
		c.session.Bars |= msg.RefusedWatch
	}
	if req.NoReply {
		return
	}
	m := c.newMsg(req)
	c.outq.Push(m)
	m.Err = why
	c.OnFailure(m)
}

// refuseCross refuses a request whose keys have different owners. owner has put two of
// the keys into the context.
func (d *dispatch) refuseCross(req *msg.Request) {
	c := d.client
	if req.NoReply {
		return
	}
	m := c.newMsg(req)
	c.outq.Push(m)
	cross(c, m, req)
}

// cross answers such a request. Its message stands in the out-queue.
func cross(c *client, m *msg.Msg, req *msg.Request) {
	p := c.pool
	ctx := p.ctx
	p.failed(m, msg.CrossServer)
	p.proto.crossed.AppendCrossServer(ctx.bufs, &m.Reply, req, ctx.key1, ctx.key2)
	m.Done = true
	c.hold(m, m.Reply.Len())
	c.advance()
}

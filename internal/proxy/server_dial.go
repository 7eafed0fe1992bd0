package proxy

import (
	"nuthatch/internal/logging"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// To connect to a server its addresses are tried one after the other, from the
// last good one: a name may have several machines, or an IPv6 and an IPv4 address
// of which only one works. Requests wait meanwhile. Only when no address is left
// do they fail, and does the server count as failed.
//
//	dial ─► connect ─► made: OnConnect
//	           ▲  └──► fails at once: the next address
//	        tryNext ◄─ fails later, or connect_timeout is over

// dial opens the connection and begins the handshake.
func (c *serverConn) dial() msg.Reason {
	ctx := c.pool.ctx
	c.made, c.proven, c.turnedAway = ctx.loop.Now(), false, msg.OK
	ctx.turn.count(Amount{Clients: perDial})
	c.untried = 1
	if addrs := c.server.health.PublishedAddrs(); addrs != nil {
		c.untried = len(*addrs)
	}
	inProgress, err := c.connect()
	if err != nil {
		return c.dialFailed(err)
	}
	ctx.shard.TotalConnections++
	ctx.shard.CurrConnections++
	c.written, c.sent, c.ready = 0, 0, 0
	c.counted, c.still = 0, 0
	c.unfit = msg.OK
	c.parser = c.pool.proto.NewReplyParser()
	c.handshake.begin()
	if !inProgress {
		c.OnConnect()
	}
	return msg.OK
}

// connect begins to connect to the next of the server's addresses that does not
// fail at once.
func (c *serverConn) connect() (inProgress bool, err error) {
	s, ctx := c.server, c.pool.ctx
	err = topology.ErrUnresolved
	for c.untried > 0 {
		addrs := s.health.PublishedAddrs()
		if addrs == nil {
			break
		}
		c.untried--
		s.stats[stats.Dials]++
		addr := (*addrs)[s.nextAddr%len(*addrs)]
		c.addr = addr
		if inProgress, err = ctx.loop.Dial(&c.Conn, addr, c.keepalive(), c, c.stage()); err != nil {
			s.nextAddr++
			continue
		}
		c.connectBy = 0
		if t := c.pool.conf.ConnectTimeout; inProgress && t > 0 {
			c.connectBy = ctx.loop.Now() + int64(t)
			ctx.nextDeadline = soonest(ctx.nextDeadline, c.connectBy)
		}
		return inProgress, nil
	}
	return false, err
}

// tryNext connects to the server's next address after a failure, and reports
// whether there is one. The unsent requests go there.
func (c *serverConn) tryNext(why msg.Reason) bool {
	if c.Open() || c.untried == 0 {
		return false
	}
	ctx := c.pool.ctx
	if log := ctx.log; log.Enabled(logging.Info) {
		log.Info("cannot connect to server: trying its next address",
			append(c.attrs(), reasonAttr(why))...)
	}
	var waiting mbuf.Chain
	waiting.Splice(ctx.bufs, c.Conn.Out())
	c.Close()
	c.server.nextAddr++
	inProgress, err := c.connect()
	if err != nil {
		waiting.Release(ctx.bufs)
		return false
	}
	c.Conn.Out().Splice(ctx.bufs, &waiting)
	if !inProgress {
		c.Flush()
		c.OnConnect()
	}
	return true
}

func (c *serverConn) dialFailed(err error) msg.Reason {
	why := topology.ReasonOf(err)
	c.server.forgetful = true
	c.server.stats[stats.ServerErr]++
	c.server.reasons[stats.ClosedConnections][why]++
	c.logClose(why)
	c.pool.topo.Unreachable(c.server.health)
	c.countFailure(why)
	c.server.pauseDialling(why, false)
	return why
}

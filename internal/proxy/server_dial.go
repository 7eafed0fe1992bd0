package proxy

import (
	"golang.org/x/sys/unix"

	"nuthatch/internal/logging"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/socket"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// To connect to a server its addresses are tried one after the other, beginning with
// the last good one: a name may have several machines, or an IPv6 and an IPv4 address
// of which only one works. Requests wait meanwhile. Only when no address is left they
// fail, and the server counts as failed.
//
//	dial ─► connect ─► made: OnConnect
//	           ▲  └──► fails at once: the next address
//	        tryNext ◄─ fails later, or connect_timeout is over

// A dialler makes a connection to one of its server's addresses.
type dialler struct {
	conn *serverConn // static after construction

	// made is when the connection was dialled, in the loop's nanoseconds.
	made int64
	// untried is how many of the server's addresses are left to try. addr was tried
	// last.
	untried int
	addr    unix.Sockaddr
	// connectBy is when a connection that is being made must be open; 0: there is no
	// limit.
	connectBy int64
}

// dial opens the connection and begins the handshake.
func (d *dialler) dial() msg.Reason {
	d.startDial()
	d.untried = 1
	if addrs := d.conn.server.health.PublishedAddrs(); addrs != nil {
		d.untried = len(*addrs)
	}
	inProgress, err := d.connect()
	if err != nil {
		return d.failed(err)
	}
	d.dialled(inProgress)
	return msg.OK
}

// dialAt is dial for one address, which the server has, or had.
func (d *dialler) dialAt(addr unix.Sockaddr) msg.Reason {
	d.startDial()
	d.untried = 0
	inProgress, err := d.connectTo(addr)
	if err != nil {
		return topology.ReasonOf(err)
	}
	d.dialled(inProgress)
	return msg.OK
}

// startDial is what comes before the first try to connect.
func (d *dialler) startDial() {
	c, ctx := d.conn, d.conn.pool.ctx
	d.made = ctx.loop.Now()
	c.proven, c.turnedAway = false, msg.OK
	c.strangers = c.pool.passer != nil && c.lane.key.User == 0
	ctx.turn.count(Amount{Clients: perDial})
}

// dialled is what comes when the connection is made, or is being made.
func (d *dialler) dialled(inProgress bool) {
	c, ctx := d.conn, d.conn.pool.ctx
	ctx.shard.TotalConnections++
	ctx.shard.CurrConnections++
	c.written, c.sent, c.ready = 0, 0, 0
	c.counted, c.still = 0, 0
	c.unfit = msg.OK
	c.loginAt, c.handshake.repeated = ctx.loop.Now(), false
	c.parser = c.pool.proto.NewReplyParser()
	c.handshake.begin()
	if !inProgress {
		c.OnConnect()
	}
}

// connect begins to connect to the server's next address that does not fail at once.
func (d *dialler) connect() (inProgress bool, err error) {
	c := d.conn
	s := c.server
	err = topology.ErrUnresolved
	for d.untried > 0 {
		addrs := s.health.PublishedAddrs()
		if addrs == nil {
			break
		}
		if s.addrs == nil {
			s.addrs = addrs // others are other ones from now on
		}
		d.untried--
		if inProgress, err = d.connectTo((*addrs)[s.nextAddr%len(*addrs)]); err != nil {
			s.nextAddr++
			continue
		}
		return inProgress, nil
	}
	return false, err
}

// connectTo begins to connect to the address.
func (d *dialler) connectTo(addr unix.Sockaddr) (inProgress bool, err error) {
	c := d.conn
	ctx := c.pool.ctx
	c.server.stats[stats.Dials]++
	d.addr = addr
	if inProgress, err = ctx.loop.Dial(&c.Conn, addr, d.keepalive(), c, d.stage()); err != nil {
		return false, err
	}
	d.connectBy = 0
	if t := c.pool.conf.ConnectTimeout; inProgress && t > 0 {
		d.connectBy = ctx.loop.Now() + int64(t)
		ctx.nextDeadline = soonest(ctx.nextDeadline, d.connectBy)
	}
	return inProgress, nil
}

// tryNext connects to the server's next address after a failure, and reports
// whether there is one. The unsent requests go there.
func (d *dialler) tryNext(why msg.Reason) bool {
	c := d.conn
	if c.Open() || d.untried == 0 {
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
	inProgress, err := d.connect()
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

// failed counts a failure of the server: no address is left.
func (d *dialler) failed(err error) msg.Reason {
	c := d.conn
	why := topology.ReasonOf(err)
	c.server.forgetful = true
	c.server.stats[stats.ServerErr]++
	c.server.reasons[stats.ClosedConnections][why]++
	c.logClose(why)
	c.pool.topo.Unreachable(c.server.health)
	c.server.reconnect.failed = why
	c.server.countFailure(why, d.made)
	c.server.pauseDialling(why, false)
	return why
}

// keepalive is the connection's TCP keepalive.
func (d *dialler) keepalive() socket.Keepalive {
	k := keepaliveOf(d.conn.pool.conf)
	k.On = k.On || d.conn.private != nil
	return k
}

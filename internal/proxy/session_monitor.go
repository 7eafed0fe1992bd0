package proxy

import (
	"log/slog"
	"slices"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A client that sees every command (MONITOR) has a private connection to each server
// for that, besides those that its requests take:
//
//	client            proxy                                   servers
//	MONITOR  ─► Msg ─► fragments, each on a connection   ─►   MONITOR, at each
//	         ◄─ OK ◄── all have said so                  ◄─   OK
//	         ◄─ lines ◄──────────── hears ◄────────────────   lines, as servers write them
//
// A line stands between two replies. Lines of one server come in its order; lines of
// several servers have no order. When a connection ends, the client is closed, since it
// would miss commands without knowing it. Servers that a reload adds are monitored,
// too. Connections to servers that a reload removes are given up.

// A Monitored is a protocol whose clients can see every command (msg.Monitor).
type Monitored interface {
	// AppendMonitor appends a request to be told of every command.
	AppendMonitor(p *mbuf.Pool, out *mbuf.Chain)
}

// A monitor is a client that sees every command.
type monitor struct {
	client *client
	feeds  []*monitorFeed
	// pending is how many servers have not answered MONITOR yet. failed: one has
	// refused it. lost: the client is about to be closed.
	pending      int
	failed, lost bool
}

// A monitorFeed is a connection on which a server tells of every command.
type monitorFeed struct {
	of   *monitor
	conn *serverConn
	// said: the server has accepted MONITOR, or is trusted to.
	said bool
}

// monitors reports whether the client sees every command.
func monitors(c *client) bool { return c.session.Bars&msg.Monitoring != 0 }

// monitor carries out a MONITOR. Like Redis, it ignores one of a client that monitors
// already.
func (d *dispatch) monitor(req *msg.Request) {
	c, p := d.client, d.client.pool
	if monitors(c) || !c.mayGo() || !reaches(c, req, laneAs(p, c.session.Lane.User), p.everywhere()...) {
		return
	}
	v := &monitor{client: c}
	ownOf(c).monitor = v
	c.session.Bars |= msg.Monitoring
	p.trackers++
	p.ctx.trackers++
	p.stats.Values[stats.Monitors]++
	all := openFan(c, req)
	all.parent.Owner = v
	p.ctx.turn.countAtOnce(Amount{Clients: perDial * len(p.everywhere())})
	for _, s := range p.everywhere() {
		f := all.add(s)
		feed, why := v.addFeed(s)
		if why != msg.OK {
			f.Err, f.Done, f.Replied, v.failed = why, true, all.parent.Start, true
			continue
		}
		f.Via = feed.conn
		all.parent.Pending++
		v.pending++
		out := feed.conn.Out()
		before := out.Len()
		c.write(req, out)
		feed.conn.sendFragment(f, out.Len()-before)
	}
	c.AwaitReplies()
	all.sent()
	v.check()
}

// addFeed gives the client a connection to s, on which nothing has been sent yet.
func (v *monitor) addFeed(s *Server) (*monitorFeed, msg.Reason) {
	f := &monitorFeed{of: v}
	conn, why := s.borrow(laneAs(s.pool, v.client.session.Lane.User), f)
	if why != msg.OK {
		s.reasons[stats.ServerFailedRequests][why]++
		return nil, why
	}
	f.conn = conn
	conn.private.hearer, conn.private.stale = f, true
	v.feeds = append(v.feeds, f)
	return f, msg.OK
}

// check ends the monitoring if a server has refused it.
func (v *monitor) check() {
	if v.failed && v.pending == 0 {
		v.client.own.endMonitor()
	}
}

// endMonitor ends the client's monitoring.
func (o *own) endMonitor() {
	v := o.monitor
	if v == nil {
		return
	}
	o.monitor = nil
	p := o.client.pool
	o.client.session.Bars &^= msg.Monitoring
	p.trackers--
	p.ctx.trackers--
	p.stats.Values[stats.Monitors]--
	for _, f := range v.feeds {
		f.conn.private.tenant = nil
		f.conn.abandon(msg.Asked)
	}
}

// Party implements msg.Owner: the parts of the client's request are the client's.
func (v *monitor) Party() msg.Party { return v.client }

// OnReply implements msg.Owner.
func (v *monitor) OnReply(m *msg.Msg, r msg.Reply) {
	v.failed = v.failed || mayBeError(r)
	v.pending--
	for _, f := range v.feeds {
		f.said = f.said || m.Via == msg.Way(f.conn)
	}
	v.client.OnReply(m, r)
	v.check()
}

// OnFailure implements msg.Owner.
func (v *monitor) OnFailure(m *msg.Msg) {
	v.failed = true
	v.pending--
	v.client.OnFailure(m)
	v.check()
}

// mayPush implements hearer.
func (f *monitorFeed) mayPush(first byte) bool { return first == '+' && f.conn.queue.Len() == 0 }

// hears implements hearer: it passes a line on to the client.
func (f *monitorFeed) hears(r msg.Reply) (taken bool) {
	if f.conn.queue.Len() > 0 || firstOf(r) != '+' {
		return false
	}
	c := f.of.client
	if f.of.pending > 0 || f.of.failed || c.state != clientOpen || c.leaveBy != 0 {
		return true
	}
	p := c.pool
	p.stats.Values[stats.MonitorLines]++
	r.MoveTo(p.ctx.bufs, c.Out())
	c.Flush()
	boundPushes(c)
	return true
}

// feed implements tenant: this is no feed of channels.
func (f *monitorFeed) feed() receiver { return nil }

// evicted implements tenant.
func (f *monitorFeed) evicted(*serverConn) {
	f.gone()
	if f.said {
		f.of.lose()
	}
}

// withdrawn implements tenant: the client goes on where the pool's servers are.
func (f *monitorFeed) withdrawn(conn *serverConn, _ int64) {
	f.gone()
	conn.private.tenant = nil
	conn.pool.ctx.turn.later(&monitoring{f.of})
}

// slotless implements tenant.
func (f *monitorFeed) slotless(*serverConn) bool { return true }

func (f *monitorFeed) gone() {
	if i := slices.Index(f.of.feeds, f); i >= 0 {
		f.of.feeds = slices.Delete(f.of.feeds, i, i+1)
	}
}

// follow monitors servers that the pool has got since.
func (v *monitor) follow() {
	p := v.client.pool
	if v.pending > 0 {
		return
	}
	for _, s := range p.everywhere() {
		if slices.ContainsFunc(v.feeds, func(f *monitorFeed) bool { return f.conn.server == s }) {
			continue
		}
		p.ctx.turn.count(Amount{Clients: perDial})
		f, why := v.addFeed(s)
		if why != msg.OK {
			v.lose()
			return
		}
		f.said = true
		out := f.conn.Out()
		before := out.Len()
		p.proto.monitored.AppendMonitor(p.ctx.bufs, out)
		m := p.ctx.msgs.Get()
		m.Owner, m.NoReply = f, true
		f.conn.enqueue(m, out.Len()-before)
	}
}

// Party implements msg.Owner.
func (f *monitorFeed) Party() msg.Party { return nil }

// OnReply implements msg.Owner.
func (f *monitorFeed) OnReply(m *msg.Msg, r msg.Reply) {
	f.conn.pool.ctx.msgs.Put(m)
	if mayBeError(r) {
		f.of.lose()
	}
}

// OnFailure implements msg.Owner.
func (f *monitorFeed) OnFailure(m *msg.Msg) { f.conn.pool.ctx.msgs.Put(m) }

// lose closes the client, soon: it has missed commands, or will.
func (v *monitor) lose() {
	if !v.lost {
		v.lost = true
		v.client.pool.ctx.turn.later(&monitoring{v})
	}
}

// A monitoring is a job for a client that monitors: it closes it, or makes it follow a
// new snapshot.
type monitoring struct{ of *monitor }

// step implements job.
func (j *monitoring) step(ctx *Context) (done bool) {
	v := j.of
	c := v.client
	if c.state != clientOpen || c.own.monitor != v {
		return true
	}
	if !ctx.turn.room() {
		return false
	}
	if !v.lost {
		v.follow()
		return true
	}
	ctx.log.Warn("client that monitors is closed: a connection to a server has ended", append(clientAttrs(c),
		slog.String("advice", "send MONITOR again"))...)
	c.closing(closeReason{why: msg.MonitorLost})
	c.settle()
	return true
}

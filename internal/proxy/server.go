package proxy

import (
	"log/slog"
	"syscall"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/eventloop"
	"nuthatch/internal/invariant"
	"nuthatch/internal/latency"
	"nuthatch/internal/logging"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// A Server is one Redis or Memcached, and this loop's connections to it.
type Server struct {
	// static but for other servers and reloads
	pool   *ServerPool
	conf   *config.Server
	health *topology.Health
	// mark stands for it among the servers that a client has written to.
	mark marks
	// former was its mark before its name got other addresses.
	former marks
	// among is the set of servers that it belongs to.
	among *topology.Members
	stats *stats.ServerShard
	// reasons are the statistics that are kept by msg.Reason.
	reasons *stats.ServerReasons
	// errors are the error replies of the server.
	errors **stats.ErrorCounts
	// reading is what it is to reads, if these may go to replicas.
	reading
	// lanes are this loop's connections, by lane and slot. Each lane that is used has
	// server_connections of them, opened when they are first needed. A client keeps to one
	// slot, so that it reads what it wrote.
	lanes [][]*serverConn
	// store has this loop's private connections. scouting is how many of them are being made
	// for requests that wait.
	store    store
	scouting int
	// jointScouts are the scouts whose connections clients will share.
	jointScouts []*scout
	// shared are the connections on which clients listen together, by their user; nil until
	// the first.
	shared map[uint32]*sharedFeed
	// controls is the connection for requests about other connections (CLIENT UNBLOCK),
	// if it is open.
	controls *serverConn
	// latency is how long the server took, by family of commands; nil for families that
	// it was never asked.
	latency [msg.NumFamilies]*latency.Histogram
	// removed: a reload took the server out of the pool.
	removed bool
	// nextAddr is which of the server's addresses is tried next. addrs are the
	// addresses at the last look at its connections.
	nextAddr int
	addrs    *[]unix.Sockaddr
	// deposed is what its DeposedAt was at the last look.
	deposed int64
	// reconnect says when the server may be connected to again.
	reconnect reconnect
	// mute is how many questions it has not answered in time, and may still answer.
	mute int
	// busyPace is for the line that the server is busy.
	busyPace pace
	// closePace, badReplyPace and objectionPace are for the lines that a connection was
	// closed, that a reply is invalid, and that the server refused a part of the
	// handshake.
	closePace, badReplyPace, objectionPace pace
	// multiPace is for the line that the server does not allow transactions.
	multiPace pace
	// triedPace is for the line that the server is tried again.
	triedPace pace
	// forgetful: the server may have lost what clients stored there for all clients
	// (scripts), because a connection to it has failed since, or none was made yet. A
	// fresh connection restores it.
	forgetful bool
}

// newServer returns the server at that place of a snapshot, which counts in the pool's row
// of that place.
func newServer(p *ServerPool, snap *topology.Snapshot, place int) *Server {
	s := newServerOf(p, snap, place)
	s.countIn(p.stats.Rows(), place)
	return s
}

// newServerOf returns the server at that place of a snapshot, without statistics.
// countIn must follow.
func newServerOf(p *ServerPool, snap *topology.Snapshot, place int) *Server {
	return &Server{
		pool:      p,
		conf:      snap.Server(place),
		health:    snap.Servers[place],
		deposed:   snap.Servers[place].DeposedAt(),
		mark:      p.nextMark(),
		among:     snap.Members,
		forgetful: true,
	}
}

// countIn has the server count its statistics in the row at that place.
func (s *Server) countIn(rows stats.Rows, place int) {
	s.stats, s.reasons, s.errors = &rows.Servers[place], &rows.Reasons[place], &rows.Errors[place]
}

// conn returns the connection in the given lane and slot, opening it if need be.
// A reason other than OK says why there is none.
func (s *Server) conn(lane, slot int) (*serverConn, msg.Reason) {
	if lane >= len(s.lanes) || s.lanes[lane] == nil {
		s.addLane(lane)
	}
	c := s.lanes[lane][slot]
	if c == nil {
		c = s.addConn(lane, slot)
	}
	if !s.health.Passes() {
		if why := s.admit(); why != msg.OK {
			return nil, why
		}
	}
	if c.Attached() || c.awaits() {
		conf := s.pool.conf
		if c.queue.Len() < conf.ServerMaxQueued && int64(c.Out().Len()) < conf.ServerMaxQueuedBytes {
			return c, msg.OK
		}
		return nil, s.refuseBusy(c)
	}
	if why := c.unfit; why != msg.OK && s.pool.ctx.loop.Now() < c.unfitUntil {
		return nil, why
	}
	if why := s.mayDial(s.pool.ctx.loop.Now()); why != msg.OK {
		return nil, why
	}
	if why := c.dial(); why != msg.OK {
		return nil, why
	}
	return c, msg.OK
}

// refuseBusy refuses a request because c has as many as it may have. So a slow or
// missing server does not fill the memory, whatever the timeout is and however many
// clients there are.
func (s *Server) refuseBusy(c *serverConn) msg.Reason {
	ctx := s.pool.ctx
	if missed, ok := s.busyPace.mayLog(ctx.loop.Now()); ok {
		ctx.log.Warn("server busy: requests are refused", append(c.attrs(),
			slog.Int("queued", c.queue.Len()), slog.Int("unsent_bytes", c.Out().Len()), slog.Int("left_out", missed))...)
	}
	return msg.ServerBusy
}

// A serverConn is one connection to a server.
//
//	           enqueue                    flush
//	requests ───────────► in-queue, Out ───────► out-queue
//	                                                 │ head
//	replies ◄── Owner.OnReply ◄── parser ◄───────────┘
//
// Replies come in the order of requests, so the reply that is being parsed
// always belongs to the head of the queue.
type serverConn struct {
	eventloop.Conn

	// static after construction
	server *Server
	pool   *ServerPool
	lane   *lane
	slot   int // of a shared one
	// private is the state of a private connection; nil: it is shared.
	private *private

	// owned by the loop
	queue msg.ServerQueue
	// parser is new with every connection, since the last one may have stopped
	// anywhere.
	parser msg.ReplyParser
	// reply is the part of a reply that has come, if it is not whole.
	reply mbuf.Chain
	// written is the number of bytes appended to the output since the connection was
	// dialled. sent is how many of them the kernel took.
	written, sent uint64
	// ready is when the connection became ready for requests, in the loop's
	// nanoseconds; 0: not yet.
	ready int64
	turnover
	dialler
	handshake handshake
	proof     proof
	// proven: it has brought a reply that does not refuse the connection.
	proven bool
	// turnedAway is why the server refused the connection in place of its first reply;
	// msg.OK: it did not.
	turnedAway msg.Reason
	// loginAt is when the pool's login was last sent.
	loginAt int64
	// strangers: its clients have no login, and the server may want one.
	strangers bool
	// unfit is why the server does not serve the lane, and unfitUntil until when that
	// is not tried again.
	unfit      msg.Reason
	unfitUntil int64
	// counted is what written was at the last check whether the connection is used.
	// still is at how many checks it had not changed.
	counted uint64
	still   int
	// retireBy is when a connection that is to be closed is closed at the latest; 0 for
	// all others.
	retireBy int64
	// heard is when the server last sent something, in the loop's nanoseconds.
	heard int64
	// starved: in ctx.memory.conns. held: it is not read from until clients have been told
	// what it has said. Its requests do not time out meanwhile.
	starved, held bool
	// deposed: another node was promoted in the place of its server, which owes replies.
	deposed bool
	// discarded is how many bytes of the present reply were dropped, because nobody
	// waits for it any more.
	discarded int64
}

// newServerConn returns a connection of a lane that is not dialled yet.
func newServerConn(s *Server, l *lane) *serverConn {
	c := &serverConn{server: s, pool: s.pool, lane: l}
	c.conn, c.handshake.conn, c.proof.conn, c.of = c, c, c, c
	return c
}

// Out is where requests are written. Until the handshake is over, that is where they
// wait for its end.
func (c *serverConn) Out() *mbuf.Chain {
	if c.proof.pending > 0 {
		return &c.proof.behind
	}
	if c.handshake.pending > 0 {
		return &c.handshake.behind
	}
	return c.Conn.Out()
}

// enqueue puts m at the end of the queue. The caller has just appended m's n bytes to
// the output.
func (c *serverConn) enqueue(m *msg.Msg, n int) {
	ctx := c.pool.ctx
	c.written += uint64(n)
	m.End, m.Len = c.written, n
	if t := c.pool.conf.Timeout; t > 0 {
		m.Deadline = ctx.loop.Now() + int64(t)
		if ctx.nextDeadline == 0 || m.Deadline < ctx.nextDeadline {
			ctx.nextDeadline = m.Deadline
		}
	}
	c.queue.Push(m)
	c.server.stats[stats.InQueue]++
	c.server.stats[stats.InQueueBytes] += int64(n)
	c.FlushLate()
}

// OnConnect implements eventloop.Handler.
func (c *serverConn) OnConnect() {
	c.server.reconnect.failed = msg.OK
	c.server.stats[stats.ServerConnections]++
	c.server.countHandshake(c.Staged())
	if c.handshake.pending == 0 {
		isReady(c)
	}
	if log := c.pool.ctx.log; log.Enabled(logging.Info) {
		log.Info("connected to server", c.attrs()...)
	}
}

// OnSent implements eventloop.Handler: messages move from the in-queue to the
// out-queue.
func (c *serverConn) OnSent(n int) {
	c.sent += uint64(n)
	sent := c.pool.ctx.measures.flushed
	var moved, bytes int64
	for m := c.queue.Unsent(); m != nil && m.End <= c.sent; m = c.queue.Unsent() {
		c.queue.Sent()
		m.Sent = sent
		moved++
		bytes += int64(m.Len)
	}
	st := c.server.stats
	st[stats.InQueue] -= moved
	st[stats.InQueueBytes] -= bytes
	st[stats.OutQueue] += moved
	st[stats.OutQueueBytes] += bytes
}

// pop takes the oldest message off the queue, whose reply has come.
func (c *serverConn) pop() *msg.Msg {
	m := c.dequeue()
	if m.Keep {
		m.Kept.Release(c.pool.ctx.bufs)
	}
	return m
}

// dequeue takes the oldest message off the queue.
func (c *serverConn) dequeue() *msg.Msg {
	m, sent := c.queue.Pop()
	st := c.server.stats
	if sent {
		st[stats.OutQueue]--
		st[stats.OutQueueBytes] -= int64(m.Len)
	} else {
		st[stats.InQueue]--
		st[stats.InQueueBytes] -= int64(m.Len)
	}
	return m
}

// Grant implements eventloop.Handler: without memory nothing is received.
func (c *serverConn) Grant() int {
	ctx := c.pool.ctx
	ctx.memory.weigh()
	if !ctx.memory.tight {
		return eventloop.Unlimited
	}
	return ctx.memory.grant(connGate{c}, eventloop.Unlimited)
}

// OnData implements eventloop.Handler: every whole reply goes to the request at
// the head of the queue, the rest is kept.
func (c *serverConn) OnData(data []byte) {
	c.heard = c.pool.ctx.loop.Now()
	for len(data) > 0 && c.Attached() {
		head := c.queue.Head()
		if head == nil || c.sent+uint64(head.Len) <= head.End {
			// Nobody asked for it: not one byte of the next request has been sent.
			if c.private == nil || !c.private.mayPush(data) {
				c.fail(c.unasked(data))
				return
			}
		} else if head.Ahead != 0 && c.reply.Len() == 0 {
			if n := takeAhead(c, head, data); n > 0 {
				data = data[n:]
				continue
			}
		}
		n, done, err := c.parser.Parse(data)
		if err != nil {
			c.logBadReply(err)
			c.fail(msg.BadReply)
			return
		}
		if !done {
			c.reply.Append(c.pool.ctx.bufs, data)
			c.checkPartial()
			return
		}
		c.parser.Reset()
		r := msg.Reply{Flat: data[:n]}
		if c.reply.Len() > 0 {
			c.reply.Append(c.pool.ctx.bufs, data[:n])
			r = msg.Reply{Chain: &c.reply}
		}
		data = data[n:]
		c.deliver(r)
	}
}

var errOutOfStep = &msg.ProtocolError{Msg: "a reply that does not answer the request"}

// deliver gives the reply to its owner. Only replies to clients are counted, and show
// that the server is well.
func (c *serverConn) deliver(r msg.Reply) {
	if c.private != nil && c.private.hearer != nil && c.handshake.pending == 0 && c.private.hearer.hears(r) {
		c.releaseChain(r)
		return
	}
	if c.queue.Head().Ahead != 0 && c.inBlock(r) {
		return
	}
	if r.Chain != nil && !c.endsWithin(r.Len()) {
		return
	}
	if c.discarded > 0 {
		c.discarded = 0
	} else {
		switch c.pool.proto.Verdict(c.queue.Head().Type, r) {
		case msg.Answers:
		case msg.OutOfStep:
			c.logBadReply(errOutOfStep)
			c.fail(msg.BadReply)
			return
		}
	}
	isError := mayBeError(r)
	if isError && c.server.leader != nil && c.returns(r) {
		return
	}
	refuses := isError && c.refused(r)
	if c.demotion != nil && c.demotion.takes() || c.detour != nil && c.detour.takes() {
		c.releaseChain(r)
		return
	}
	if !c.proven {
		isProven(c, !refuses, mayBeError(r))
	}
	m := c.pop()
	if isError && m.Owner != nil && !m.NoReply && !m.Waits() { // one that waits may be sent again yet (leg)
		countPassed(c.server, r)
	}
	if m.Owner == nil {
		c.pool.ctx.msgs.Put(m)
	} else {
		if !m.NoReply {
			if c.server.health.HasFailed() && !refuses && !outlives(c) {
				c.server.countAnswer()
			}
			c.server.measureReply(m)
			c.server.stats[stats.Responses]++
			c.server.stats[stats.ResponseBytes] += int64(r.Len())
		}
		if c.pool.choice != nil {
			c.pool.choice.answered(m, c.server)
		}
		m.Owner.OnReply(m, r)
	}
	if r.Chain != nil {
		r.Chain.Release(c.pool.ctx.bufs)
	}
}

// OnEnding implements eventloop.Handler: what the server has said is read first.
func (c *serverConn) OnEnding() {}

// OnEOF implements eventloop.Handler. A server that sends no more gets no more
// requests. If the stage was not ready, the connection could not be made, and the next
// address is tried.
func (c *serverConn) OnEOF() {
	if !c.tryNext(msg.ServerEOF) {
		c.fail(msg.ServerEOF)
	}
}

// OnError implements eventloop.Handler.
func (c *serverConn) OnError(err syscall.Errno) {
	if c.Fault() != nil {
		c.server.stats[stats.ServerTLSFailures]++
	}
	why := topology.ReasonOf(err)
	if c.Fault() != nil && isUnanswered(c) {
		why = msg.TLSUnanswered
	}
	if !c.tryNext(why) {
		c.fail(why)
	}
}

// maxWaiting is how many messages the scratch space may have room for that is kept for
// the next failing connection.
const maxWaiting = 16 << 10

// fail closes the connection. Requests on it that may be sent again are; all others
// fail with the reason.
func (c *serverConn) fail(why msg.Reason) {
	ctx, st := c.pool.ctx, c.server.stats
	c.logClose(why)
	c.handshake.failed(why)
	connected := c.Open()
	if connected {
		st[stats.ServerConnections]--
	} else if c != c.server.controls {
		c.server.nextAddr++
		c.pool.topo.Unreachable(c.server.health)
		c.server.reconnect.failed = why
	}
	begun := c.begun()
	c.breakUpAll(nil)
	waiting := ctx.waiting[:0]
	ctx.waiting = nil // in use
	for c.queue.Len() > 0 {
		waiting = append(waiting, c.dequeue())
	}
	saved := rescue{conn: c}
	lost, again, returned := waiting, []*msg.Msg(nil), []*msg.Msg(nil)
	byLine := c.pool.detours.saves(c, why)
	if c.server.leader != nil && !c.deposed {
		lost, returned = c.returnable(waiting)
	}
	if byLine || connected && c.mayRetry(why) {
		lost, again = saved.salvage(lost)
	}
	if c.detour != nil {
		c.pool.detours.lost(lost)
	}
	if byLine {
		lost, again = append(lost, c.pool.detours.adopt(c, again)...), nil
	}
	c.detour = nil
	c.drop()
	c.server.reasons[stats.ClosedConnections][why]++
	switch why {
	case msg.ServerEOF:
		st[stats.ServerEOF]++
	case msg.Timedout, msg.TLSUnanswered:
		st[stats.ServerTimedout]++
	default:
		st[stats.ServerErr]++
	}
	if c.demotion != nil {
		c.demotion.finish()
	}
	if why != msg.ReplyTooLarge && why != msg.NotPrimary && why != msg.LoginRefused && c.retireBy == 0 && (c.unfit == msg.OK || c.lane.at == 0) {
		// Some reasons are no failure of the server: a too large reply, a login that it
		// refuses (refusesLogin), or a lane that it does not have. A replaced connection may
		// have been to another server.
		fault := (ending{connected: connected, begun: begun, waiting: len(waiting), lost: len(lost)}).fault(c, why)
		if fault != msg.OK {
			c.server.countFailure(fault, c.made)
			c.pool.topo.Unreachable(c.server.health)
		} else if isEnd(why) && len(waiting) == 0 {
			c.server.health.Forsakes()
		}
		c.server.pauseDialling(why, fault == msg.OK)
	}
	saved.sendAgain(again, returned, why)
	if len(lost) > ctx.turn.atOnce.Keys/perMessage {
		ctx.turn.later(&failing{conn: c, lost: lost, why: why})
		return // the job has waiting
	}
	c.failAll(lost, why)
	if cap(waiting) <= maxWaiting {
		clear(waiting)
		ctx.waiting = waiting
	}
}

// A retiring is the closing of many connections that owe no reply.
type retiring struct{ conns []*serverConn }

// step implements job.
func (j *retiring) step(ctx *Context) (done bool) {
	for len(j.conns) > 0 && ctx.turn.room() {
		c := j.conns[0]
		j.conns = j.conns[1:]
		// It may have been used meanwhile, or have failed.
		if c.Attached() && c.queue.Len() == 0 {
			c.retire()
		}
	}
	if len(j.conns) == 0 {
		ctx.turn.retiring = nil
	}
	return len(j.conns) == 0
}

// retireSoon closes a connection without requests, in this turn or, if many are closed,
// in one of the next. It reports whether the connection is closed now.
func (t *turn) retireSoon(c *serverConn) bool {
	if t.room() {
		c.retire()
		return true
	}
	if t.retiring == nil {
		t.retiring = &retiring{}
		t.later(t.retiring)
	}
	t.retiring.conns = append(t.retiring.conns, c)
	return false
}

// drop closes the socket, and drops what has come on it and what waits to be sent.
func (c *serverConn) drop() {
	ctx := c.pool.ctx
	ctx.shard.CurrConnections--
	c.Close()
	c.reply.Release(ctx.bufs)
	c.joined.Release(ctx.bufs)
	c.discarded, c.wait = 0, nil
	c.handshake.end()
	c.proof.end()
	if c.private != nil {
		c.private.gone()
	}
}

// retire closes a connection without requests.
func (c *serverConn) retire() {
	invariant.Check(c.queue.Len() == 0, "proxy: a retired connection owes replies")
	c.logClose(msg.OK)
	c.server.reasons[stats.ClosedConnections][msg.OK]++
	if c.Open() {
		c.server.stats[stats.ServerConnections]--
	}
	c.drop()
}

package proxy

import (
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// With auth_mode: passthrough the servers decide who may log in, and about every request.
// The client's requests go over connections that are logged in as it is (lanes.go). What the
// proxy answers itself is asked for first, in a trial:
//
//	client               proxy                                             servers
//	AUTH alice pw  ─►    back in the stash; its trial       ─►  AUTH alice pw, at each
//	GET k          ─►    waits, behind it                   ◄─  OK, or the first error
//	               ◄─    taken again: OK, and the lane of alice with pw; or that error
//	CLIENT LIST    ─►    back in the stash; its trial       ─►  CLIENT LIST " ", at one server
//	               ◄─    taken again: answered, or NOPERM   ◄─  a syntax error: it may; or NOPERM
//	CLIENT PAUSE 9 ─►    so, too: it is about all clients   ─►  CLIENT PAUSE " "
//	                     of the pool, and needs both        ─►  CONFIG SET " " " "
//
// Logins are tried on a connection to each server on which nothing else is sent: whoever the
// last login there was, is of no matter. So a login that fails makes no lane. A server that
// does not answer decides later: each connection to it logs in there.

// A Passer passes logins on to the servers, which decide about all requests.
type Passer interface {
	// Passes reports whether the pool is configured so.
	Passes() bool
	// Credentials are those that a request says, to log in; nil: it says none, or is
	// refused for another reason.
	Credentials(req *msg.Request, s *msg.Session) *msg.Credentials
	// AppendLogin appends the request that tries them.
	AppendLogin(c *msg.Credentials, p *mbuf.Pool, out *mbuf.Chain)
	// AppendStandIn appends a request for which a client needs the same rights as for req,
	// and that carries nothing out. If req, which the proxy answers, needs none, needed is
	// false.
	AppendStandIn(req *msg.Request, s *msg.Session, p *mbuf.Pool, out *mbuf.Chain) (needed bool)
	// AppendAdminStandIn appends a request that only who administers servers may send, and that
	// carries nothing out, if req is about all clients of the pool: a server's judgement of the
	// command is about those of its own.
	AppendAdminStandIn(req *msg.Request, p *mbuf.Pool, out *mbuf.Chain)
	// Forbids reports whether a reply to the stand-in says that the client may not send the
	// request. Refuses reports whether one to a login says that it has failed.
	Forbids(reply []byte) bool
	Refuses(reply []byte) bool
	// AppendProbe appends a request that shows whether a client needs a login, and Opens
	// reports whether a reply to it says that it does not.
	AppendProbe(p *mbuf.Pool, out *mbuf.Chain)
	Opens(reply []byte) bool
	// IsBound reports whether an error says that a request is too large for a client without
	// a login. Fits reports whether credentials are not.
	IsBound(err *msg.ProtocolError) bool
	Fits(c *msg.Credentials) bool
	// ForStrangers reports whether the servers take a request of any client, to log in or to end
	// the connection.
	ForStrangers(req *msg.Request, s *msg.Session) bool
	// Refusal reports whether an error of a server says that it wants a login, or that it
	// ends the connection for what it was sent.
	Refusal(reply []byte) (wants, ends bool)
	// Enter gives credentials that the servers have accepted a number, which the caller
	// holds. If there are too many, ok is false.
	Enter(c *msg.Credentials) (user uint32, ok bool)
	// Hold and Release count who needs the credentials of a number.
	Hold(user uint32)
	Release(user uint32)
}

// A trial is what servers are asked for a request that the proxy answers itself.
type trial struct {
	client *client
	// said are the credentials that are tried; nil: it is no login, and standIn is asked in
	// place of the request, and adminStandIn, if there is one. kind is the request's.
	said         *msg.Credentials
	standIn      mbuf.Chain
	adminStandIn mbuf.Chain
	kind         msg.Type
	// opens: it is asked whether clients need a login (strangers.go).
	opens bool
	// enters: it is asked whether they let a client in without one (strangers_entry.go).
	enters bool
	// servers are those that have yet to be asked.
	servers []*Server
	// pending is how many servers have not answered, and one more until all are asked.
	// accepted: one has. refusal is the first error, failure why a server did not answer.
	pending  int
	accepted bool
	refusal  []byte
	failure  msg.Reason
}

// answersItself reports whether the proxy answers a request with that treatment.
func answersItself(t msg.Treatment) bool {
	switch t {
	case msg.Local, msg.Gather, msg.Report, msg.Track:
		return true
	default:
		return false
	}
}

// pass asks the servers whether the client may send a request that the proxy answers itself.
// It reports whether the request is done with, or waits for that.
func pass(c *client, req *msg.Request) (stop bool) {
	if !answersItself(req.Treatment) {
		return false
	}
	p := c.pool
	said := p.proto.passer.Credentials(req, &c.session)
	if c.own != nil && c.own.trial != nil {
		t := c.own.trial
		c.own.trial = nil
		if !t.opens && !t.enters && t.kind == req.Type && t.said.Equal(said) {
			return tried(c, t, req)
		}
	}
	t := &trial{client: c, said: said, kind: req.Type}
	switch {
	case said == nil && !t.appendStandIns(req):
		return false
	case c.overdue != msg.OK:
		refuseLate(c, req)
	case said != nil && !p.proto.passer.Fits(said):
		answerError(c, req, "a name and a password to log in with have 16 KB each at most")
	case said != nil && hasToItself(c):
		answerError(c, req, "this connection watches keys, is told of changes, monitors or listens to channels as its present user; send RESET before another login")
	case c.mayGo():
		t.begin()
		t.release()
		if t.pending == 0 {
			return tried(c, t, req)
		}
		ownOf(c).trial = t
		c.awaitTrial()
		uncount(p, req.Type)
		c.session.Again()
	}
	t.release()
	return true
}

// appendStandIns appends what is asked in place of the request. It returns false if nothing is.
func (t *trial) appendStandIns(req *msg.Request) bool {
	c := t.client
	bufs, passer := c.pool.ctx.bufs, c.pool.proto.passer
	if !passer.AppendStandIn(req, &c.session, bufs, &t.standIn) {
		return false
	}
	passer.AppendAdminStandIn(req, bufs, &t.adminStandIn)
	return true
}

// release drops them, if no server was asked.
func (t *trial) release() {
	bufs := t.client.pool.ctx.bufs
	t.standIn.Release(bufs)
	t.adminStandIn.Release(bufs)
}

// hasToItself reports whether the client has connections of its own, which are its present
// user's.
func hasToItself(c *client) bool {
	return c.own != nil && (len(c.own.conns) > 0 || c.watches()) || listens(c) || tracks(c) || monitors(c)
}

// begin asks the servers: all for a login, in slices if they are many, and the first that
// can be reached for anything else.
func (t *trial) begin() {
	p := t.client.pool
	ctx := p.ctx
	t.servers, t.pending, t.failure = p.everywhere(), 1, msg.ConnRefused
	if t.said == nil {
		for len(t.servers) > 0 && t.pending == 1 {
			conn, why := t.client.conn(t.next())
			t.ask(conn, why)
		}
		t.servers, t.pending = nil, t.pending-1
		return
	}
	t.servers = append([]*Server(nil), t.servers...)
	if t.step(ctx) {
		return
	}
	ctx.turn.later(t)
}

// next takes the next server to be asked.
func (t *trial) next() *Server {
	s := t.servers[0]
	t.servers = t.servers[1:]
	return s
}

// step implements job. It tries a login at some servers, one at the least.
func (t *trial) step(ctx *Context) (done bool) {
	for len(t.servers) > 0 {
		s := t.next()
		lane := t.lane(s)
		conn, why := s.conn(lane, 0)
		if why != msg.OK {
			s.reasons[stats.ServerFailedRequests][why]++
		}
		t.ask(conn, why)
		if len(t.servers) > 0 && !ctx.turn.room() {
			return false
		}
	}
	t.answered()
	return true
}

// lane is the one of connections to s on which it is asked.
func (t *trial) lane(s *Server) int {
	p, key := s.pool, msg.Lane{RESP: 2, User: msg.LoginUser, Aside: true}
	if t.enters {
		key.User = msg.GuestUser
	}
	lane := p.lane(key)
	p.lingers(lane)
	if t.enters {
		renewGuest(s, lane)
	}
	return lane
}

// ask asks a server over that connection. If there is none, why says so.
func (t *trial) ask(conn *serverConn, why msg.Reason) {
	if why != msg.OK {
		t.failure = why
		return
	}
	ctx := conn.pool.ctx
	if t.enters {
		var probe mbuf.Chain
		conn.pool.proto.passer.AppendProbe(ctx.bufs, &probe)
		t.say(conn, &probe)
		return
	}
	if t.said == nil {
		t.say(conn, &t.standIn)
		if t.adminStandIn.Len() > 0 {
			t.say(conn, &t.adminStandIn)
		}
		return
	}
	if passer := conn.pool.proto.passer; passer != nil { // else a reload has come between, and closes the client
		var login mbuf.Chain
		passer.AppendLogin(t.said, ctx.bufs, &login)
		t.say(conn, &login)
	}
}

// say sends what is asked.
func (t *trial) say(conn *serverConn, words *mbuf.Chain) {
	ctx, n := conn.pool.ctx, words.Len()
	conn.Out().Splice(ctx.bufs, words)
	m := ctx.msgs.Get()
	m.Owner, m.Type, m.Via, m.Start = t, t.kind, conn, ctx.loop.Now()
	t.pending++
	conn.sendFragment(m, n)
}

// Party implements msg.Owner.
func (t *trial) Party() msg.Party { return t.client }

// OnReply implements msg.Owner.
func (t *trial) OnReply(m *msg.Msg, r msg.Reply) {
	passer := t.client.pool.proto.passer
	t.client.pool.ctx.msgs.Put(m)
	text := textOf(r)
	refused := false
	switch {
	case passer == nil: // a reload has come between, and closes the client
	case t.said != nil:
		refused = passer.Refuses(text)
	case t.enters:
		refused = !passer.Opens(text)
	case t.opens:
		t.client.pool.open = passer.Opens(text)
	default:
		refused = passer.Forbids(text)
	}
	t.accepted = t.accepted || !refused
	if refused && t.refusal == nil {
		t.refusal = text
	}
	t.answered()
}

// OnFailure implements msg.Owner.
func (t *trial) OnFailure(m *msg.Msg) {
	t.failure = m.Err
	t.client.pool.ctx.msgs.Put(m)
	t.answered()
}

// answered counts a server that has answered, or will not.
func (t *trial) answered() {
	if t.pending--; t.pending == 0 {
		t.end()
	}
}

// end has the client's request taken again, if it still waits for that.
func (t *trial) end() {
	c := t.client
	if t.enters {
		noteEntry(c.pool, t)
	}
	if c.own == nil || c.own.trial != t || c.state == clientClosed {
		return
	}
	if t.opens && c.pool.open {
		c.own.trial = nil
	}
	c.endTrial()
	c.resumeIfRoom()
	c.settle()
}

// awaitTrial has the client's request wait for its trial.
func (in *intake) awaitTrial() { in.waits |= waitsForTrial }

// endTrial notes that it waits no more.
func (in *intake) endTrial() { in.waits &^= waitsForTrial }

// tried goes on with a request for which servers were asked. It reports whether that is all.
func tried(c *client, t *trial, req *msg.Request) (stop bool) {
	switch {
	case t.pending > 0: // it has waited too long
		c.endTrial()
		noteRefused(c, req)
		c.refuse(req, c.overdue)
		return true
	case t.refusal != nil:
		if t.said != nil {
			c.pool.stats.Values[stats.FailedLogins]++
		}
		noteRefused(c, req)
		if !mayBeError(msg.Reply{Flat: t.refusal}) { // the client must not take it for a success
			c.refuse(req, msg.BadReply)
			return true
		}
		answerText(c, req, t.refusal)
		return true
	case !t.accepted:
		noteRefused(c, req)
		c.refuse(req, t.failure)
		return true
	case t.said == nil:
		return false
	}
	logIn(c, t.said, req)
	return true
}

// logIn makes the client the user whose credentials the servers have accepted.
func logIn(c *client, said *msg.Credentials, req *msg.Request) {
	p := c.pool
	passer := p.proto.passer
	user, ok := passer.Enter(said)
	if !ok {
		forgetUnusedLanes(p)
		user, ok = passer.Enter(said)
	}
	if !ok {
		forgetElsewhere(p)
		c.refuse(req, msg.TooManyUsers)
		return
	}
	c.session.Lane.User = user
	c.session.Bars |= msg.Admitted
	c.local(req)
	c.session.Bars &^= msg.Admitted
	if c.state != clientClosed {
		c.changeLane()
	}
	passer.Release(user)
}

// answerText answers the request, in its turn, with what a server has said.
func answerText(c *client, req *msg.Request, text []byte) {
	m := c.newMsg(req)
	m.Reply.Append(c.pool.ctx.bufs, text)
	answered(c, m)
}

// answerError answers the request, in its turn, with an error.
func answerError(c *client, req *msg.Request, why string) {
	m := c.newMsg(req)
	c.pool.proto.AppendError(c.pool.ctx.bufs, &m.Reply, why)
	answered(c, m)
}

// answered gives the client the reply in m.
func answered(c *client, m *msg.Msg) {
	c.pool.ctx.memory.expect(m, 0)
	m.Done = true
	c.hold(m, m.Reply.Len())
	c.outq.Push(m)
	c.advance()
}

// passOn closes a connection whose server does not let the user of the lane in. What waits on
// it gets the server's own words.
func passOn(c *serverConn, text []byte) {
	ctx, s := c.pool.ctx, c.server
	text = append([]byte(nil), text...)
	var clients, own []*msg.Msg
	for c.queue.Len() > 0 {
		m := c.dequeue()
		if m.Owner == nil || m.NoReply {
			own = append(own, m)
		} else {
			clients = append(clients, m)
		}
	}
	c.logClose(msg.UserRefused)
	c.handshake.restoring = false
	if c.Open() {
		s.stats[stats.ServerConnections]--
	}
	c.drop()
	s.reasons[stats.ClosedConnections][msg.UserRefused]++
	ctx.turn.countAtOnce(Amount{Keys: perMessage * (len(clients) + len(own))})
	c.failAll(own, msg.UserRefused)
	s.passRefusal(clients, text)
}

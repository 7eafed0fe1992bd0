package proxy

import (
	"syscall"

	"nuthatch/internal/eventloop"
	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A clientState is where a client connection stands.
type clientState uint8

const (
	// clientOpen: requests are taken.
	clientOpen clientState = iota
	// clientClosing: no more requests are taken; the connection closes when
	// those in flight are answered and the answers sent.
	clientClosing
	// clientParted: we have closed our side, and drop what comes until the client
	// closes its side.
	clientParted
	clientClosed
)

// A client is one client connection.
//
//	           OnData                request               out-queue
//	bytes ─► (stash) ─► parser ─► Request ─► Msg ─► ... ─► head: its turn ─► Out
//
// Replies leave in the order of requests: a reply whose turn it is goes
// straight to the output; one that comes before its turn waits in its Msg.
type client struct {
	eventloop.Conn

	// static after construction
	pool *ServerPool

	// owned by the loop
	//
	// account is what the client holds. intake has its bytes that are not taken yet.
	// presence is when it was last active.
	account
	intake
	presence
	// dispatch is what becomes of its requests.
	dispatch
	// multi is its transaction.
	multi

	// links are its place in the pool's list of clients.
	links[*client]
	session msg.Session
	// addrs are the addresses of its two ends, or nil: nobody has asked for them.
	addrs *addresses
	// lane is the index of session.Lane in the pool's lanes.
	lane int32
	// begun is when its transaction began, or why that is given up.
	begun tick
	// lastErr is why the client will be closed, for log and statistics.
	lastErr closeReason
	state   clientState
	// aside: some of its reads may be at replicas.
	aside bool
	// lastType is the command that it sent last.
	lastType msg.Type
	// wrote are the marks of the servers that have not confirmed what it wrote.
	wrote marks
	// gathering is the last of the requests about clients that are not answered, or nil. They
	// form a ring.
	gathering *gathering
	// asking is the client's place among those that wait for the answer to a question. When
	// the answer has come, it is that until the request is parsed again. Otherwise nil.
	asking *asking

	// own has the client's private connections to servers; nil if it never had one.
	own *own
	// large is the client's request that is worked on in slices, or nil.
	//
	// Invariant: not nil as long as the client waits for slices.
	large *largeRequest
}

func newClient(p *ServerPool) *client {
	c := &client{pool: p}
	c.dispatch.client, c.multi.client = c, c
	c.openAccount(p.firstReply())
	c.skip = unseen
	c.came(p.ctx.loop.Now())
	if p.paused {
		c.pause()
	}
	c.session.ID = p.ctx.identity.NextClient()
	c.session.Lane = msg.DefaultLane
	p.proto.begin(&c.session)
	return c
}

// opened counts and logs a new client.
func (c *client) opened() {
	p := c.pool
	p.enter(c)
	if d := p.conf.ClientIdleTimeout; d > 0 {
		p.checkBy(c.since + checkPeriod(d))
	}
	p.stats.Values[stats.ClientConnections]++
	p.stats.Values[stats.ClientsAccepted]++
	p.ctx.shard.TotalConnections++
	p.ctx.shard.CurrConnections++
	if c.Open() {
		awaitLogin(c)
	}
	becomes(c)
	if log := p.ctx.log; log.Enabled(logging.Info) {
		log.Info("accepted client", clientAttrs(c)...)
	}
}

// OnConnect implements eventloop.Handler. A client is connected when it comes: this is
// the end of its stage's handshake.
func (c *client) OnConnect() {
	st := c.Staged()
	if st == nil {
		return
	}
	goToChosen(c, st)
	countHandshake(c.pool, st)
	logInByCertificate(c, st)
	becomes(c)
	awaitLogin(c)
}

// OnData implements eventloop.Handler.
func (c *client) OnData(data []byte) {
	c.noteActivity(c.pool.ctx.loop.Now())
	c.pool.stats.Values[stats.ClientBytesReceived] += int64(len(data))
	n := 0
	if c.stash.Len() == 0 {
		n = c.consume(data)
	}
	if c.state == clientOpen && n < len(data) {
		c.keep(c.pool.ctx.bufs, data[n:], c.pool.ctx.loop.Now())
		if !readsForEnd(c) {
			c.PauseRead()
		}
		c.pool.ctx.refuseInTime(c)
		if c.pool.ctx.memory.scarce(c) {
			c.pool.ctx.memory.starve(clientGate{c})
		} else if !c.pool.ctx.takesMore() {
			c.resumeIfRoom()
		}
	}
	c.parseAgain()
	c.settle()
}

// consume takes requests off data while there is room for them, and returns how
// many bytes it took.
func (c *client) consume(data []byte) int {
	rest := data
	if c.session.Bars == 0 && c.pool.proto.transactor != nil {
		rest = rest[beginPlain(c, rest):]
	}
	for len(rest) > 0 && c.state == clientOpen {
		if c.skip != 0 {
			if c.skip == unseen {
				if bringsHeader(c, rest) {
					return len(data)
				}
				continue
			}
			rest = rest[c.skipped(rest):]
			continue
		}
		if !c.admits() || !c.pool.ctx.takesMore() {
			break
		}
		if c.partial != nil {
			rest = rest[c.consumePartial(rest):]
			continue
		}
		p := c.pool
		if p.rates != nil && c.session.Authenticated && !p.rates.admit(c) {
			break
		}
		if !c.session.Authenticated {
			if !mayTry(c) {
				return len(data)
			}
			p.parser.Restrict()
		} else if p.passer != nil && isStranger(c) {
			p.parser.Restrict()
		}
		n, done, err := p.parser.Parse(rest)
		if err != nil || !done || n > p.ctx.turn.flat {
			if n, done = notAtOnce(c, rest, n, done, err); !done {
				rest = rest[n:]
				continue
			}
		}
		req := p.parser.Finish(rest[:n])
		if c.session.Bars == msg.Collecting && c.mayRun() {
			n = c.queueRun(rest, n, req)
		} else {
			c.request(req)
			n = tookAgain(c, n)
		}
		rest = rest[n:]
	}
	sayNow(c)
	return len(data) - len(rest)
}

// notAtOnce handles what the parser found in the first n bytes of data, if that is not a whole
// request that is taken at once. It returns how many bytes it has taken; if the request is to be
// taken at once after all, whole is true.
func notAtOnce(c *client, data []byte, n int, done bool, err *msg.ProtocolError) (taken int, whole bool) {
	p := c.pool
	switch {
	case err != nil:
		p.parser = p.proto.NewRequestParser()
		if asksIfOpen(c, err) {
			return 0, false
		}
		c.protocolError(err)
	case !done:
		c.partial = p.getPartial()
		c.partial.bytes.Append(p.ctx.bufs, data)
		if p.rates != nil {
			c.partial.came(c, len(data))
		}
		p.ctx.count(c.partial)
	case p.ctx.turn.isLarge(p.parser.Words(), n):
		q := p.getPartial()
		q.bytes.Append(p.ctx.bufs, data[:n])
		c.doInSlices(q)
	default:
		return n, true
	}
	return n, false
}

// tookAgain is how many of the n bytes of the request that was just taken are done with: none
// if it is taken again.
func tookAgain(c *client, n int) int {
	if c.waits&takenAgain != 0 {
		refund(c, n)
		return 0
	}
	return n
}

// consumePartial goes on with the request that has not wholly come.
func (c *client) consumePartial(data []byte) int {
	q := c.partial
	c.pool.adoptPartial(q)
	n, done, err := q.parser.Parse(data)
	q.bytes.Append(c.pool.ctx.bufs, data[:n])
	if c.pool.rates != nil {
		q.came(c, n)
	}
	c.partialParsed(done, err)
	return n
}

// partialParsed handles what the parser found in the partial's last bytes.
func (c *client) partialParsed(done bool, err *msg.ProtocolError) {
	q := c.partial
	if q.late != msg.OK && c.overdue == msg.OK {
		c.overdue = q.late
		c.partialParsed(done, err)
		c.overdue = msg.OK
		return
	}
	switch {
	case err != nil:
		q.parser = c.pool.proto.NewRequestParser()
		if asksIfOpen(c, err) {
			q.uncharge(c)
			c.takeAgain(c.pool.ctx.bufs, &q.bytes)
		} else {
			c.protocolError(err)
		}
	case done && c.pool.ctx.turn.isLarge(q.parser.Words(), q.bytes.Len()):
		c.doInSlices(q)
		return
	case done:
		q.uncharge(c)
		c.request(q.parser.FinishChain(&q.bytes))
		if c.waits&takenAgain != 0 {
			refund(c, q.bytes.Len())
			c.takeAgain(c.pool.ctx.bufs, &q.bytes)
		}
	default:
		c.pool.ctx.count(q)
		return
	}
	// The client may have been closed meanwhile, and its partial with it.
	if c.partial == q {
		c.partial = nil
		c.pool.putPartial(q)
	}
}

// Grant implements eventloop.Handler. If memory is scarce, little is received; if there
// is none, nothing.
func (c *client) Grant() int {
	ctx := c.pool.ctx
	ctx.memory.weigh()
	if !ctx.memory.tight {
		return eventloop.Unlimited
	}
	return ctx.memory.grant(clientGate{c}, sip)
}

// admits reports whether there is room for one more request: the client is within its
// bounds on requests and on bytes (expected replies count), or has nothing in flight.
func (c *client) admits() bool {
	return (c.waits == 0 || c.overdue != msg.OK && c.waits&waitsForSlices == 0 || c.mayGoOn(c.inFlight() == 0)) && c.within(0)
}

// queuedBeforeLogin is the most bytes that are held for a client that has not logged
// in, before its next request is taken: its replies are only errors.
const queuedBeforeLogin = 64 << 10

// within reports whether the client holds less than its bounds, halved that many times.
// (It is asked for every request: three divisions would be a twentieth of its cost.)
func (c *client) within(halvings uint) bool {
	n := c.inFlight()
	bytes := c.held + c.Out().Len()
	if n == 0 && bytes == 0 {
		return c.pool.ctx.memory.fits(c)
	}
	conf := c.pool.conf
	most := conf.ClientMaxQueued
	if !c.session.Authenticated {
		most = min(most, queuedBeforeLogin)
	}
	come := int64(bytes + c.outq.Len()*c.expects(c.pool.largest))
	return n < max(1, conf.ClientMaxPipeline>>halvings) && come < most>>halvings &&
		come+int64(c.stash.Len())+int64(n)*msgSize < c.pool.ctx.memory.perClient>>halvings
}

// resumeIfRoom resumes a client that waits for room, at the end of the turn, if there
// is room again. Half of its bounds must be free, so that it does not stop and start
// with every request.
func (c *client) resumeIfRoom() {
	if r := c.pool.rates; r != nil {
		r.count(c)
	}
	if c.large != nil {
		c.large.unpark()
	}
	if c.stash.Len() == 0 || c.resumable || c.state != clientOpen || c.waits != 0 && !c.mayGoOn(c.inFlight() == 0) {
		return
	}
	switch {
	case c.within(1):
		c.resumable = true
		c.pool.ctx.resumable = append(c.pool.ctx.resumable, c)
	case c.pool.ctx.memory.scarce(c):
		c.pool.ctx.memory.starve(clientGate{c})
	}
}

// resume parses what was received and is not parsed yet.
func (c *client) resume() {
	turn := &c.pool.ctx.turn
	turn.resuming = true
	defer func() { turn.resuming, c.overdue = false, msg.OK }()
	if due := c.dueAt(c.patience(int64(c.pool.conf.RequestTimeout))); due != 0 && c.pool.ctx.loop.Now() >= due {
		c.overdue = c.lateFor()
		c.goOther()
		c.movesOver()
		c.hasMap()
		c.hasServer()
		endLookWait(c)
	}
	taken := false
	for c.state == clientOpen {
		k := c.stash.Head()
		if k == nil {
			if c.waits&waitsForSlices == 0 {
				c.ResumeRead()
			}
			break
		}
		n := c.consume(k.Bytes())
		if c.state != clientOpen || n == 0 {
			break
		}
		c.stash.Advance(c.pool.ctx.bufs, n)
		turn.countResumed(n)
		c.parseAgain()
		taken = true
	}
	if taken {
		searched(c)
	}
	if !c.pool.ctx.takesMore() {
		c.resumeIfRoom()
	}
	readForEnd(c)
	if c.state == clientOpen && c.stash.Len() > 0 && c.inFlight() == 0 && c.Out().Len() == 0 && c.pool.ctx.memory.scarce(c) {
		// Another client has taken the room in this turn. This one has nothing in
		// flight whose reply would resume it.
		c.pool.ctx.memory.starve(clientGate{c})
	}
	c.settle()
}

// OnSent implements eventloop.Handler.
func (c *client) OnSent(n int) {
	if n > 0 {
		c.noteActivity(c.pool.ctx.loop.Now())
		c.pool.stats.Values[stats.ClientBytesSent] += int64(n)
	}
	chargeSent(c, n)
	if c.tookOutput(n) {
		c.resumeIfRoom()
		c.settle()
	}
}

// OnEOF implements eventloop.Handler. A client that sends no more still gets
// its replies.
func (c *client) OnEOF() {
	switch c.state {
	case clientOpen:
		if c.blocked() {
			c.own.block.vanished()
			return
		}
		c.closing(byEOF)
	case clientParted:
		c.close()
	case clientClosing, clientClosed:
	}
	c.settle()
}

// OnEnding implements eventloop.Handler.
func (c *client) OnEnding() {
	if c.blocked() {
		c.own.block.vanished()
		return
	}
	c.ending = true
	if c.own != nil && c.own.search != nil && c.own.search.blocks { // as if it waited at its server
		c.closing(byEOF)
		c.settle()
		return
	}
	c.pool.ctx.refuseInTime(c)
}

// OnError implements eventloop.Handler.
func (c *client) OnError(err syscall.Errno) {
	if c.state == clientOpen {
		c.lastErr = closeReason{errno: uint16(err)}
		if fault := c.Fault(); fault != nil {
			c.lastErr = closeReason{why: msg.TLSFailed}
			countFault(c.pool, fault)
		}
	}
	c.close()
}

// protocolError answers invalid bytes with an error, in their turn. Then it closes the
// client. No other client is affected.
func (c *client) protocolError(err *msg.ProtocolError) {
	c.closing(closeReason{protocol: err})
	if c.session.Replies != msg.RepliesOn {
		return
	}
	ctx := c.pool.ctx
	if c.outq.Len() == 0 {
		c.Out().AppendString(ctx.bufs, err.Reply)
		c.Flush()
		return
	}
	m := ctx.msgs.Get()
	m.Owner, m.Done, m.Start = c, true, ctx.loop.Now()
	m.Reply.AppendString(ctx.bufs, err.Reply)
	c.outq.Push(m)
}

// closing takes no more requests from the client. What was received and is not parsed
// yet is dropped.
func (c *client) closing(why closeReason) {
	c.state, c.lastErr = clientClosing, why
	c.PauseRead()
	c.dropStash(c.pool.ctx.bufs)
}

// settle closes a client that is closing or leaving, once it has all its
// replies.
func (c *client) settle() {
	switch c.state {
	case clientClosing:
		if c.outq.Len() == 0 && c.Out().Len() == 0 {
			c.close()
		}
	case clientOpen:
		if c.leaveBy != 0 {
			c.pool.ctx.leaving.closeOurSide(c)
		}
	case clientParted, clientClosed:
	}
}

// close closes the connection. Replies that are still to come are dropped when they
// come.
func (c *client) close() {
	if c.state == clientClosed {
		return
	}
	p := c.pool
	ctx := p.ctx
	ctx.memory.beside += c.countNames(0)
	c.state = clientClosed
	if c.collects() {
		c.endMulti(c.session.Bars)
	}
	logClosed(c)
	c.Close()
	p.remove(c)
	p.leaveLane(c)
	if q := c.asking.waitsFor(); q != nil {
		q.remove(c)
	}
	endLookWait(c)
	c.dropStash(ctx.bufs)
	if q := c.partial; q != nil {
		c.partial = nil
		q.parser = p.proto.NewRequestParser()
		p.putPartial(q)
	}
	for c.outq.Len() > 0 {
		ctx.swallow(c.outq.Pop())
	}
	if c.own != nil {
		c.own.end()
	}
	if j := c.large; j != nil {
		c.large = nil
		j.unpark()
	}
	if p.rates != nil {
		p.rates.countAs(c, 0)
	}
	if u := limitsOf(c); u != nil {
		u.leave(c)
	}
	ctx.clientGone(p.topo.Lineage)
	if c.isSlow() {
		p.slow--
	}
	p.stats.Values[stats.ClientConnections]--
	p.stats.Vectors[stats.ClosedClients][c.lastErr.reason()]++
	ctx.shard.CurrConnections--
	if c.lastErr.isError() {
		p.stats.Values[stats.ClientErr]++
	} else {
		p.stats.Values[stats.ClientEOF]++
	}
}

// swallow drops a request that no client waits for, now or when its reply comes.
func (ctx *Context) swallow(m *msg.Msg) {
	ctx.memory.expect(m, 0)
	if m.Working {
		m.Owner = nil // its job sees that
		return
	}
	for _, f := range m.Frags {
		f.Parent = nil
		ctx.swallow(f)
	}
	switch {
	case m.Done:
		m.Reply.Release(ctx.bufs)
		ctx.msgs.Put(m)
	case len(m.Frags) > 0:
		ctx.msgs.Put(m)
	default:
		m.Reply.Release(ctx.bufs) // what was said before it
		m.Owner = nil             // and on in its server's queue
	}
}

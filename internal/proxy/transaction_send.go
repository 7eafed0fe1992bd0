package proxy

import (
	"log/slog"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A block, MULTI c1 ... cn EXEC, is one message with n+2 replies. The last reply is the
// client's.
//
// If the servers' user may not send MULTI or EXEC, a server would carry the commands
// out one by one. So before its first block each connection sends an empty transaction,
// to see that both are allowed. Later requests wait for the answer, as they do for the
// handshake.

// A proof is that empty transaction. It owns the two replies to it.
type proof struct {
	conn *serverConn
	// pending is how many of them are still to come. objection is the server's error,
	// if one of them was an error.
	pending   int
	objection string
	// proven: transactions are allowed. Before until they count as not allowed.
	proven bool
	until  int64
	// behind are the requests that wait.
	behind mbuf.Chain
}

// require returns why no block can be sent on the connection, or msg.OK. Before the
// first block it sends the proof.
func (f *proof) require() msg.Reason {
	c := f.conn
	ctx := c.pool.ctx
	switch {
	case f.proven, f.pending > 0, c.awaits(): // that is done when the connection is made
		return msg.OK
	case ctx.loop.Now() < f.until:
		return msg.NoTransactions
	}
	t := c.pool.transactor()
	for _, appendTo := range []func(*mbuf.Pool, *mbuf.Chain){t.AppendMulti, t.AppendExec} {
		out := c.Out()
		before := out.Len()
		appendTo(ctx.bufs, out)
		m := ctx.msgs.Get()
		m.Owner, m.NoReply = f, true
		c.enqueue(m, out.Len()-before)
	}
	f.pending, f.objection = 2, ""
	return msg.OK
}

// Party implements msg.Owner: the transaction is the proxy's.
func (f *proof) Party() msg.Party { return nil }

// OnReply implements msg.Owner.
func (f *proof) OnReply(m *msg.Msg, r msg.Reply) {
	c := f.conn
	ctx := c.pool.ctx
	ctx.msgs.Put(m)
	if mayBeError(r) && f.objection == "" {
		prefix, _ := c.pool.proto.ErrorPrefix(r, ctx.errorText[:0])
		f.objection = string(prefix)
	}
	if f.pending--; f.pending > 0 {
		return
	}
	f.proven = f.objection == ""
	if !f.proven {
		if !wantsLogin(c, r) { // that says nothing of transactions
			f.disallow()
		}
		f.strike()
	}
	c.Conn.Out().Splice(ctx.bufs, &f.behind)
	c.Flush()
}

// disallow notes that the server does not allow transactions.
func (f *proof) disallow() {
	c := f.conn
	ctx := c.pool.ctx
	f.proven, f.until = false, ctx.loop.Now()+unfitPause
	if missed, ok := c.server.multiPace.mayLogAfter(ctx.loop.Now(), troublePeriod); ok {
		ctx.log.Warn("server does not allow transactions: they are refused", append(c.attrs(),
			slog.String("error", f.objection), slog.Int("left_out", missed))...)
	}
}

// strike replaces each waiting block by a request that changes nothing. When that is
// answered the client gets the error, so that the order of its replies holds. If the server
// answers that it wants a login, the client gets that.
func (f *proof) strike() {
	c := f.conn
	ctx := c.pool.ctx
	// Where the bytes that wait begin in the connection's output.
	from := c.written - uint64(f.behind.Len())
	all := mbuf.Whole(&f.behind)
	var rest mbuf.Chain
	less := uint64(0)
	for m := range c.queue.All() {
		if m.End <= from {
			continue
		}
		begin, size := m.End-uint64(m.Len)-from, m.Len
		m.End -= less
		if m.Block() == 0 {
			all.AppendTo(ctx.bufs, &rest, int(begin), size)
			continue
		}
		before := rest.Len()
		c.pool.transactor().AppendDiscard(ctx.bufs, &rest)
		m.Len = rest.Len() - before
		m.End -= uint64(size - m.Len)
		less += uint64(size - m.Len)
		m.Ahead, m.Err = msg.Struck, msg.NoTransactions
		c.server.stats[stats.InQueueBytes] -= int64(size - m.Len)
	}
	c.written -= less
	f.behind.Release(ctx.bufs)
	f.behind = rest
}

// OnFailure implements msg.Owner.
func (f *proof) OnFailure(m *msg.Msg) { f.conn.pool.ctx.msgs.Put(m) }

// end drops the waiting requests, together with the connection. The next connection
// needs a proof of its own.
func (f *proof) end() {
	f.proven, f.pending = false, 0
	f.behind.Release(f.conn.pool.ctx.bufs)
}

// inBlock handles a reply to a block, or to a series. It returns false if the client gets the reply.
func (c *serverConn) inBlock(r msg.Reply) bool {
	ctx, m := c.pool.ctx, c.queue.Head()
	if m.Ahead == msg.Series {
		return c.inSeries(m, r)
	}
	t := c.pool.transactor()
	if m.Ahead == 1 && m.Err == msg.OK {
		m.Ahead = 0
		if c.private != nil && c.private.isUnwritten(m, r) {
			c.pool.countTransaction(true)
			if r.Chain != nil {
				r.Chain.Release(ctx.bufs)
			}
			c.private.answerTouched(c.pop())
			return true
		}
		if asked := c.demotion != nil && c.demotion.block == m || c.isRedirected(r); !asked { // it may be asked again
			endBlock(c.pool, m, t.Failed(r))
		}
		return false
	}
	discarded := c.discarded > 0
	c.discarded = 0
	switch {
	case m.Ahead == msg.Struck && !discarded && wantsLogin(c, r):
		m.Ahead, m.Err = 0, msg.OK
		if m.Parent != nil {
			ctx.msgs.SetError(m)
		}
		return false
	case m.Ahead == msg.Struck || m.Ahead == 1:
		c.pop()
		m.Ahead = msg.Struck
		c.failAll([]*msg.Msg{m}, m.Err)
	case !c.ahead(m, r, t):
		return true
	case !discarded && mayBeError(r):
		if c.refused(r); !c.pool.keepsAll { // the whole is not sent again
			countPassed(c.server, r)
		}
	}
	if r.Chain != nil {
		r.Chain.Release(ctx.bufs)
	}
	return true
}

// wantsLogin reports whether the reply says that the connection needs a login.
func wantsLogin(c *serverConn, r msg.Reply) bool {
	switch p := c.pool; {
	case !mayBeError(r):
		return false
	case p.passer != nil:
		wants, _ := p.passer.Refusal(headOf(r))
		return wants
	default:
		_, why := p.proto.ErrorPrefix(r, p.ctx.errorText[:0])
		return why == msg.LoginRefused
	}
}

// skipQueued handles the replies with which data begins and which say that the block m has
// begun, or that one of its commands is queued: nearly all that a server says before EXEC. It
// returns their length. No part of the first of them may have come before.
func skipQueued(c *serverConn, m *msg.Msg, data []byte) (size int) {
	first := int(m.Ahead) == m.Block()+2
	if c.discarded > 0 || first && m.Err != msg.OK {
		return 0
	}
	n, size := c.pool.transactor().CountAhead(data, int(m.Ahead)-1, first)
	m.Ahead -= int32(n)
	return size
}

// ahead handles one of the replies before the last. It returns false if the connection
// has failed.
func (c *serverConn) ahead(m *msg.Msg, r msg.Reply, t Transactor) bool {
	kind := t.BlockReply(r)
	first := int(m.Ahead) == m.Block()+2
	fits := kind == msg.BlockObjection || m.Err != msg.OK || kind == msg.BlockQueued && !first || kind == msg.BlockBegun && first
	if !fits {
		c.logBadReply(errOutOfStep)
		c.fail(msg.BadReply)
		return false
	}
	if first && kind == msg.BlockObjection {
		// The server carries the commands behind it out one by one. Nobody can stop
		// that.
		m.Err = msg.MultiRefused
		c.proof.objection = "MULTI"
		c.proof.disallow()
	}
	m.Ahead--
	return true
}

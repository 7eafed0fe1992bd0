package proxy

import (
	"nuthatch/internal/invariant"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A large value is received where it stays. The loop asks the connection for room, and
// the kernel writes the rest of the body behind the part that has come. The value is
// not copied on the way to where it is sent.
//
//	client's socket ─► Lend: the request's chain ─► forward: the server's output ─► socket
//	client's socket ◄─ the client's output ◄─ OnReply ◄─ Lend: the reply's chain ◄─ socket
//
// A request shares its chunks with the output (mbuf.View.AppendTo); those of a reply change
// owners (mbuf.Chain.Splice).

// Lend implements eventloop.Handler: the rest of a large body is received behind the
// part that has come.
func (c *client) Lend() []byte {
	if q := c.partial; q != nil {
		q.pace.once = false
		if body := q.parser.Body(); body >= mbuf.MediumSize {
			return q.bytes.Lend(c.pool.ctx.bufs, body)
		}
	}
	return nil
}

// OnLent implements eventloop.Handler: n bytes of the body have come.
func (c *client) OnLent(n int) {
	c.noteActivity(c.pool.ctx.loop.Now())
	c.pool.stats.Values[stats.ClientBytesReceived] += int64(n)
	q := c.partial
	c.pool.adoptPartial(q)
	_, done, err := q.parser.Parse(q.bytes.Lent(n))
	if c.pool.rates != nil {
		q.came(c, n)
	}
	c.partialParsed(done, err)
	c.parseAgain()
	c.settle()
}

// Lend implements eventloop.Handler: the rest of a large body is received behind the
// part that has come.
func (c *serverConn) Lend() []byte {
	if body := c.parser.Body(); body >= mbuf.MediumSize {
		return c.reply.Lend(c.pool.ctx.bufs, body)
	}
	return nil
}

// OnLent implements eventloop.Handler: n bytes of the body have come.
func (c *serverConn) OnLent(n int) {
	c.pool.ctx.memory.trickled(n)
	b := c.reply.Lent(n)
	used, done, err := c.parser.Parse(b)
	invariant.Check(err != nil || used == n, "proxy: more was lent than the body")
	if err != nil {
		c.logBadReply(err)
		c.fail(msg.BadReply)
		return
	}
	if !done {
		c.checkPartial()
		return
	}
	c.parser.Reset()
	c.deliver(msg.Reply{Chain: &c.reply})
}

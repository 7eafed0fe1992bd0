package proxy

import (
	"log/slog"
	"slices"

	"nuthatch/internal/config"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// Requests on a lost connection may be sent again, on a fresh one, if no client
// can tell the difference:
//
//	         the lost connection                             the fresh one
//	sent     read   its reply has begun                      -
//	         read   its client sent a write behind it        -
//	         read                                            sent again   (retry: idempotent)
//	         write  it may have been carried out             -
//	unsent   of which a byte has gone                        as if it were sent
//	         any other                                       sent again   (retry: unsent, idempotent)
//
// Repeated requests keep their order and their deadlines, and stand on the fresh
// connection before any later request. So a client sees its requests carried out in the
// order in which it sent them. A repeated read can see writes of other clients, and
// writes that its own client sent before it. A read with a write of its client behind
// it is not repeated, since it would see what the client wrote later.
//
// A request is sent again only once. Requests on a connection that timed out are not
// sent again: the server may still be working on them.

// A transaction is never sent again: a fresh connection has not shown yet that the
// server allows transactions.

// A retryBudget bounds how many requests are sent again: one for every ten that are
// taken, so that a failing server does not get twice the load. Unused budget is kept,
// up to maxRetryTenths. The count of requests fills the budget, so a request costs
// nothing.
type retryBudget struct {
	tenths int64
	// seen is how many requests had been taken when it was last filled.
	seen int64
}

// maxRetryTenths is ten times the number of requests that may be sent again at once.
const maxRetryTenths = 10 * 1000

// spend reports whether a request may be sent again, and takes it from the budget.
// requests is how many were taken from clients so far.
func (b *retryBudget) spend(requests int64) bool {
	b.tenths = min(b.tenths+max(0, requests-b.seen), maxRetryTenths)
	b.seen = requests
	if b.tenths < 10 {
		return false
	}
	b.tenths -= 10
	return true
}

// mayRetry reports whether requests on the connection may be sent again at all. The
// connection was open, and is lost for the given reason.
func (c *serverConn) mayRetry(why msg.Reason) bool {
	if c.pool.conf.Retry == config.RetryNone || c.server.removed || c.private != nil || c.retireBy != 0 && !c.deposed || c.unfit != msg.OK {
		return false
	}
	if c.deposed && why == msg.ConnReplaced {
		return true
	}
	return why == msg.ServerEOF || why == msg.ConnReset || why == msg.BrokenPipe
}

// A rescue sends requests of a lost connection again.
type rescue struct {
	conn *serverConn
	// sent is how many bytes of the connection's output were sent.
	sent uint64
	// unsure is filled from the last message to the first.
	unsure doubts
}

// salvage divides the waiting messages into those that are lost and those that are sent
// again, each in order. The bytes of the latter are in their Kept. It must be called
// before the connection's output is dropped, and changes the output.
func (r *rescue) salvage(waiting []*msg.Msg) (lost, again []*msg.Msg) {
	c, ctx := r.conn, r.conn.pool.ctx
	out := c.Conn.Out()
	out.Splice(ctx.bufs, &c.handshake.behind)
	out.Splice(ctx.bufs, &c.proof.behind)
	// OnSent is called only after a write that succeeded. What is left of the output
	// also shows what a failed write has sent.
	front := c.written - uint64(out.Len())
	r.sent = front + uint64(c.InFlight())
	refused := 0
	for i, m := range slices.Backward(waiting) {
		if !r.repeatable(m, i == 0) {
			lost = append(lost, m)
			continue
		}
		if c.pool.detours == nil && !c.deposed && !c.pool.retries.spend(c.pool.stats.Values[stats.ClientRequests]) {
			refused++
			lost = append(lost, m)
			continue
		}
		again = append(again, m)
	}
	slices.Reverse(lost)
	slices.Reverse(again)
	unsent := mbuf.Whole(out)
	for _, m := range again {
		m.Retried = true
		if m.Kept.Len() == 0 {
			unsent.AppendTo(ctx.bufs, &m.Kept, int(m.End-uint64(m.Len)-front), m.Len)
		}
	}
	c.server.stats[stats.RetriesRefused] += int64(refused)
	return lost, again
}

// repeatable reports whether a message that waited on the connection may be sent again.
// Messages must be looked at from the last to the first.
func (r *rescue) repeatable(m *msg.Msg, first bool) bool {
	c := r.conn
	party := m.Party()
	if party == nil {
		return false
	}
	if m.End-uint64(m.Len) >= r.sent {
		return c.pool.detours != nil || !m.Retried && m.Block() == 0
	}
	if !c.pool.commands[m.Type].Pure {
		r.unsure.add(party)
		return false
	}
	begun := first && c.reply.Len() > 0
	mayRead := c.pool.conf.Retry == config.RetryIdempotent || c.pool.detours != nil
	return m.Keep && mayRead && !m.Retried && !r.unsure.has(party) && !begun
}

// doubts are the parties with a write on the lost connection that may have been carried
// out.
type doubts struct {
	parties map[msg.Party]struct{}
	// last was added last. It saves look-ups, since messages of one party often stand
	// together.
	last msg.Party
}

func (d *doubts) add(party msg.Party) {
	if party == d.last {
		return
	}
	if d.parties == nil {
		d.parties = make(map[msg.Party]struct{})
	}
	d.parties[party] = struct{}{}
	d.last = party
}

func (d *doubts) has(party msg.Party) bool {
	_, ok := d.parties[party]
	return ok
}

// retry sends messages again, on a fresh connection. If there is none, they fail too,
// with the reason for that, or with why.
func (r *rescue) retry(again []*msg.Msg, why msg.Reason) {
	c := r.conn
	ctx, s := c.pool.ctx, c.server
	if !s.health.Passes() {
		c.failAll(again, why) // this failure has ejected it
		return
	}
	fresh := s.mayDial(ctx.loop.Now())
	if fresh == msg.OK {
		fresh = c.dial()
	}
	if fresh != msg.OK {
		c.failAll(again, fresh)
		return
	}
	if first := again[0].Deadline; first != 0 {
		// The handshake, which stands before them, must not take longer.
		c.queue.Reschedule(first)
		ctx.nextDeadline = soonest(ctx.nextDeadline, first)
	}
	for _, m := range again {
		deadline, n := m.Deadline, m.Kept.Len()
		c.Out().Splice(ctx.bufs, &m.Kept)
		c.enqueue(m, n)
		m.Deadline = deadline
	}
	r.tell(len(again), why)
}

// tell counts requests that were sent again, and logs it.
func (r *rescue) tell(requests int, why msg.Reason) {
	c := r.conn
	ctx, s := c.pool.ctx, c.server
	s.stats[stats.Retries] += int64(requests)
	if missed, ok := c.pool.retryPace.mayLog(ctx.loop.Now()); ok {
		ctx.log.Notice("requests sent again on a fresh connection", append(s.attrs(),
			slog.Int("requests", requests), reasonAttr(why), slog.Int("left_out", missed))...)
	}
}

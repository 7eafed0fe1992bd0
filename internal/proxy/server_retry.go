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
// What is sent again keeps its order and its deadline, and all of it stands on
// the fresh connection before any request that comes later. So a client sees its
// requests carried out in the order in which it sent them: a read that is
// repeated can have been overtaken only by writes of others, or by such of its
// own as stand before it. That is why a read with a write behind it is not
// repeated: it would see what its client wrote later.
//
// A request is sent again once. A connection that timed out is not lost in this
// sense: its server may still be at work on what it was sent.

// A transaction is never sent again: its connection may not have shown yet that there
// are any.

// A retryBudget bounds how many requests are sent again: one for ten that are
// taken, so that a server that fails does not get twice the load for it. What is
// not used is kept, up to maxRetryTenths; the count of requests fills it, so that
// a request costs nothing.
type retryBudget struct {
	tenths int64
	// seen is how many requests had been taken when it was last filled.
	seen int64
}

// maxRetryTenths is ten times as many requests as may be sent again at once.
const maxRetryTenths = 10 * 1000

// take reports whether a request may be sent again, after so many were taken.
func (b *retryBudget) take(requests int64) bool {
	b.tenths = min(b.tenths+max(0, requests-b.seen), maxRetryTenths)
	b.seen = requests
	if b.tenths < 10 {
		return false
	}
	b.tenths -= 10
	return true
}

// mayRetry reports whether what waits on the connection, which is made and is now
// lost for the given reason, may be sent again at all.
func (c *serverConn) mayRetry(why msg.Reason) bool {
	if c.pool.conf.Retry == config.RetryNone || c.server.removed || c.private != nil || c.retireBy != 0 || c.unfit != msg.OK {
		return false
	}
	return why == msg.ServerEOF || why == msg.ConnReset || why == msg.BrokenPipe
}

// A rescue is the sending again of what waited on a connection that is lost.
type rescue struct {
	conn *serverConn
	// sent is how many bytes of the connection's output were sent.
	sent uint64
	// unsure are met from the last message to the first.
	unsure doubts
}

// salvage divides what waited into what is lost and what is sent again, each in
// its order. Of the latter Kept holds the bytes. It must be called before the
// connection's output is dropped, and uses it up.
func (r *rescue) salvage(waiting []*msg.Msg) (lost, again []*msg.Msg) {
	c, ctx := r.conn, r.conn.pool.ctx
	out := c.Conn.Out()
	out.Splice(ctx.bufs, &c.handshake.behind)
	out.Splice(ctx.bufs, &c.proof.behind)
	// The loop tells how much was sent after a write that succeeded; what is left
	// tells it of one that failed, too.
	front := c.written - uint64(out.Len())
	r.sent = front + uint64(c.InFlight())
	refused := 0
	for i, m := range slices.Backward(waiting) {
		if !r.repeatable(m, i == 0) {
			lost = append(lost, m)
			continue
		}
		if !c.pool.retries.take(c.pool.stats.Values[stats.ClientRequests]) {
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
		return !m.Retried && m.Block() == 0
	}
	if !c.pool.commands[m.Type].Pure {
		r.unsure.add(party)
		return false
	}
	begun := first && c.reply.Len() > 0
	return m.Keep && !m.Retried && !r.unsure.has(party) && !begun
}

// doubts are the parties of which a write may have been carried out on a connection that
// has failed.
type doubts struct {
	parties map[msg.Party]struct{}
	// last is the one that was added last: the messages of one party often stand together.
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

// retry sends messages again, on a fresh connection. If there is none they are
// lost too, for the reason of that, or for why.
func (r *rescue) retry(again []*msg.Msg, why msg.Reason) {
	c := r.conn
	ctx, s := c.pool.ctx, c.server
	if !s.health.Passes() {
		c.failAll(again, why) // what has just happened has ejected it
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
		// What stands before them, the handshake, must not take longer.
		c.queue.Reschedule(first)
		ctx.nextDeadline = soonest(ctx.nextDeadline, first)
	}
	for _, m := range again {
		deadline, n := m.Deadline, m.Kept.Len()
		c.Out().Splice(ctx.bufs, &m.Kept)
		c.enqueue(m, n)
		m.Deadline = deadline
	}
	s.stats[stats.Retries] += int64(len(again))
	if missed, ok := c.pool.retryPace.pass(ctx.loop.Now()); ok {
		ctx.log.Notice("requests sent again on a fresh connection", append(s.attrs(),
			slog.Int("requests", len(again)), reasonAttr(why), slog.Int("left_out", missed))...)
	}
}

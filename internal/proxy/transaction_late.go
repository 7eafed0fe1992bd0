package proxy

import (
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A transaction whose EXEC does not come within request_timeout is given up, and so are the largest
// ones when memory runs out: what was kept of it is released, and so is the connection on which its
// client watches keys.
//
//	MULTI  SET a 1 │ request_timeout │ GET a       EXEC
//	OK     QUEUED  │                 │ an error    EXECABORT
//
// Until EXEC, DISCARD or RESET its client is in the transaction all the same. The time of a pause
// does not count.

// A tick is a time, or a number of them, in units of 2^20 nanoseconds. It says when something was
// within the last three weeks. A time is odd; an even tick is a reason, see tickFor.
type tick uint32

// tickBits is how many bits a tick leaves out.
const tickBits = 20

// tickOf is the loop's time at, or the next tick.
func tickOf(at int64) tick { return tick(at>>tickBits) | 1 }

// tickFor stands in place of the time at which a transaction began that is given up, for the reason
// why.
func tickFor(why msg.Reason) tick { return tick(why) << 1 }

// isTime reports whether the tick is a time, and not a reason.
func (t tick) isTime() bool { return t&1 != 0 }

// reason is why the transaction is given up, if the tick is no time.
func (t tick) reason() msg.Reason { return msg.Reason(t >> 1) }

// age is how many nanoseconds have passed since t, at the time now.
func (t tick) age(now int64) int64 { return int64(int32(tick(now>>tickBits)-t)) << tickBits }

// beginMulti notes that the client's transaction has begun.
func (t *multi) beginMulti() {
	c := t.client
	ctx := c.pool.ctx
	now := ctx.loop.Now()
	c.begun = tickOf(now)
	ctx.nextExpiry = soonest(ctx.nextExpiry, c.lateAt(now))
}

// lateAt is when the client's transaction is given up; 0: never, or not during a pause.
func (t *multi) lateAt(now int64) int64 {
	c := t.client
	limit := int64(c.pool.conf.RequestTimeout)
	if limit == 0 || c.pool.paused || !c.collects() || c.isGivenUp() {
		return 0
	}
	return now + limit - c.begun.age(now)
}

// isGivenUp reports whether the client is in a transaction that is given up.
func (t *multi) isGivenUp() bool { return !t.client.begun.isTime() && t.client.collects() }

// giveUpIfLate gives the client's transaction up if it has taken too long. It returns when to look
// again, or 0. The end of the transaction may have come already, and wait to be taken: the time of
// what waits is looked at elsewhere.
func (t *multi) giveUpIfLate(now int64) (next int64) {
	c := t.client
	due := c.lateAt(now)
	if due == 0 || due > now {
		return due
	}
	if c.stash.Len() > 0 {
		return max(c.dueAt(int64(c.pool.conf.RequestTimeout)), now+expiryStep)
	}
	c.giveUp(msg.TransactionTimedout)
	return 0
}

// giveUp releases what is kept of the client's transaction, and what it watches. why is the reason.
func (t *multi) giveUp(why msg.Reason) {
	c := t.client
	c.forgetTransaction()
	if c.watches() {
		c.own.unwatch()
	}
	c.session.Watched, c.session.Collected = 0, max(c.session.Collected, 1) // it is not an empty one
	c.session.Bars &^= msg.Aborted                                          // this is why it fails now
	c.pool.stats.Values[stats.TransactionsAborted]++
	c.begun = tickFor(why)
}

// execLate answers the EXEC of a transaction that is given up.
func (t *multi) execLate(req *msg.Request) {
	c := t.client
	c.session.EndMulti()
	refuseExec(c, req, c.begun.reason())
	c.endsPaused()
}

// refuseExec answers the EXEC of a transaction that has ended and is not sent, for the reason why.
func refuseExec(c *client, req *msg.Request, why msg.Reason) {
	m := c.newMsg(req)
	c.outq.Push(m)
	c.aborted(m, why)
}

// countFrom has the time of the client's transaction not count for so long, up to now.
func (t *multi) countFrom(now, since int64) {
	c := t.client
	if !c.collects() || c.isGivenUp() {
		return
	}
	c.begun += tick(since>>tickBits) &^ 1 // it stays a time
	c.pool.ctx.nextExpiry = soonest(c.pool.ctx.nextExpiry, c.lateAt(now))
}

// countAnew has the time of the client's transaction count from now.
func (t *multi) countAnew(now int64) {
	if c := t.client; c.collects() && !c.isGivenUp() {
		c.begun = tickOf(now)
	}
}

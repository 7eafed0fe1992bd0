package proxy

import (
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// Most clients send a transaction in one piece. Its commands are then kept together: what is
// looked at for each of them is no more than who has its keys, and the rest is done once.
//
//	received   SET a 1 │ INCR a │ GET a │ EXEC
//	           └──────── a run ─────────┘ one copy, one count, one answer: QUEUED QUEUED QUEUED
//
// A run has the plain commands that follow each other. What is not plain, or is refused, goes
// through multi.collect.

// mostInRun bounds the commands of a run: their answers are not counted against the client's
// bounds before its end.
const mostInRun = 64

// mayRun reports whether the next commands of a client between MULTI and EXEC may be kept
// together. Nothing else than MULTI must bar its requests.
func (t *multi) mayRun() bool {
	c := t.client
	p := c.pool
	return c.session.Replies == msg.RepliesOn && c.session.Authenticated && !c.aside && c.overdue == msg.OK && c.large == nil &&
		p.rates == nil && p.passer == nil && !p.mapless.on && c.inFlight()+1 < p.conf.ClientMaxPipeline
}

// queueRun takes the run with which data begins, and the request behind it. The first request
// of data has n bytes, and is req. It returns how many bytes it has taken.
func (t *multi) queueRun(data []byte, n int, req *msg.Request) (taken int) {
	c := t.client
	p := c.pool
	commands := 0
	for t.joins(req, data[taken:taken+n], taken, commands) {
		p.stats.Values[stats.ClientRequests]++
		p.calls[req.Type]++
		c.lastType = req.Type
		taken += n
		commands++
		if taken == len(data) || commands == mostInRun {
			t.endRun(data[:taken], commands)
			return taken
		}
		small := false
		if n, small = t.next(data, taken, commands); !small {
			return taken + n
		}
		req = p.parser.Finish(data[taken : taken+n])
	}
	t.endRun(data[:taken], commands)
	c.request(req)
	return taken + tookAgain(c, n)
}

// next parses the request behind a run of that many commands, which are the first taken bytes
// of data. It has n bytes if it is whole and small. Otherwise the run has ended, and n bytes more
// are taken.
func (t *multi) next(data []byte, taken, commands int) (n int, small bool) {
	c := t.client
	p := c.pool
	n, done, err := p.parser.Parse(data[taken:])
	if err == nil && done && n <= p.ctx.turn.flat {
		return n, true
	}
	t.endRun(data[:taken], commands)
	if n, done = notAtOnce(c, data[taken:], n, done, err); done {
		c.request(p.parser.Finish(data[taken : taken+n]))
		n = tookAgain(c, n)
	}
	return n, false
}

// joins reports whether a request may be kept with a run of that many bytes and commands.
func (t *multi) joins(req *msg.Request, b []byte, size, commands int) bool {
	c := t.client
	p := c.pool
	flat := req.View.FlatBytes()
	if !p.transactor().IsPlain(req) || req.Nkeys > p.conf.MaxKeys || len(flat) != len(b) || &flat[0] != &b[0] {
		return false
	}
	tx := c.tx
	if tx == nil {
		tx = c.newTransaction()
		c.tx = tx
	}
	return !tx.wide && int(c.session.Collected)+commands < p.conf.MaxTransactionCommands &&
		int64(tx.size()+size+len(b)) <= p.conf.MaxTransactionSize && p.bind(tx, req) == msg.OK
}

// endRun keeps the commands of a run, and tells the client that they are queued.
func (t *multi) endRun(run []byte, commands int) {
	if commands == 0 {
		return
	}
	c := t.client
	ctx := c.pool.ctx
	c.session.Begin()
	c.tx.bytes.Append(ctx.bufs, run)
	ctx.countCollected(c.tx)
	c.session.Collected += int32(commands)
	t.sayQueued(c.lastType, commands)
}

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
// through multi.collect. The EXEC behind a run, and the MULTI behind that, are not parsed if they
// have their usual form.

// mostInRun bounds the commands of a run: their answers are not counted against the client's
// bounds before its end.
const mostInRun = 64

// mayRun reports whether the next commands of a client between MULTI and EXEC, or behind the MULTI
// that is next, may be kept together. Nothing else than MULTI must bar its requests.
func (t *multi) mayRun() bool {
	c := t.client
	p := c.pool
	return c.session.Replies == msg.RepliesOn && c.session.Authenticated && !c.aside && c.overdue == msg.OK && c.large == nil && !c.isGivenUp() &&
		p.rates == nil && p.passer == nil && !p.mapless.on && c.inFlight()+1 < p.conf.ClientMaxPipeline && p.transactor().QueuesPlain()
}

// queueRun takes the run with which data begins, and the request behind it. The first request
// of data has n bytes, and is req. It returns how many bytes it has taken.
func (t *multi) queueRun(data []byte, n int, req *msg.Request) (taken int) {
	c := t.client
	p := c.pool
	commands, most, room, whole := 0, 0, 0, false
	for isPlain(req, data[taken:taken+n]) && req.Nkeys <= p.conf.MaxKeys && len(req.Args) <= p.commands[req.Type].MostQueued {
		if commands == 0 {
			most, room = t.room()
		}
		if commands == most || taken+n > room || !whole && !t.keeps(req) {
			break
		}
		if commands == 0 {
			whole = p.isWhole()
		}
		p.calls[req.Type]++
		c.lastType = req.Type
		taken += n
		commands++
		if taken == len(data) {
			t.endRun(data, commands)
			return taken
		}
		if exec, size := p.transactor().ExecutesPlain(data[taken:]); size > 0 {
			if t.isAllOf(c.tx) {
				c.tx.run = data[:taken]
			}
			t.endRun(data[:taken], commands)
			taken += execPlain(c, data[taken:], exec, size)
			t.keepRun()
			return taken
		}
		next, done, err := p.parser.Parse(data[taken:])
		if n = next; err != nil || !done || n > p.ctx.turn.flat {
			t.endRun(data[:taken], commands)
			if n, done = notAtOnce(c, data[taken:], n, done, err); done {
				c.request(p.parser.Finish(data[taken : taken+n]))
				n = tookAgain(c, n)
			}
			return taken + n
		}
		req = p.parser.Finish(data[taken : taken+n])
	}
	t.endRun(data[:taken], commands)
	c.request(req)
	return taken + tookAgain(c, n)
}

// isPlain reports whether a request, whose bytes are b, is sent as it is to the server of its
// keys.
func isPlain(req *msg.Request, b []byte) bool {
	flat := req.View.FlatBytes()
	return req.Treatment == msg.Forward && req.Nkeys > 0 && req.PlaceKey == nil && req.Omit.Len == 0 &&
		len(flat) == len(b) && &flat[0] == &b[0]
}

// room is how many commands, and bytes, the next run may have.
func (t *multi) room() (commands, bytes int) {
	c := t.client
	if c.tx == nil {
		c.tx = c.newTransaction()
	}
	if c.tx.wide {
		return 0, 0
	}
	conf := c.pool.conf
	return min(mostInRun, conf.MaxTransactionCommands-int(c.session.Collected)), int(conf.MaxTransactionSize) - c.tx.size()
}

// keeps reports whether the server of the transaction has the request's keys.
func (t *multi) keeps(req *msg.Request) bool {
	c := t.client
	p, tx := c.pool, c.tx
	return tx.owner != nil && tx.snap == p.snap && p.isWhole() || p.bind(tx, req) == msg.OK
}

// endRun keeps the commands of a run, and tells the client that they are queued.
func (t *multi) endRun(run []byte, commands int) {
	if commands == 0 {
		return
	}
	c := t.client
	c.pool.stats.Values[stats.ClientRequests] += int64(commands)
	c.session.Begin()
	if c.tx.run == nil {
		c.tx.keep(c.pool, run)
	}
	c.session.Collected += int32(commands)
	t.sayQueued(c.lastType, commands)
}

// isAllOf reports whether a run that EXEC follows is all of the transaction tx, and goes to its server
// as it is. It need not be kept then, if EXEC is taken at once.
func (t *multi) isAllOf(tx *transaction) bool {
	c := t.client
	p := c.pool
	return c.session.Collected == 0 && !c.watches() && !tracks(c) && !p.keepsAll && !tx.judgeAgain && tx.snap == p.routes()
}

// keepRun keeps the run of a transaction whose EXEC was not taken.
func (t *multi) keepRun() {
	c := t.client
	if c.tx == nil || c.tx.run == nil {
		return
	}
	run := c.tx.run
	c.tx.run = nil
	c.tx.keep(c.pool, run)
}

// keep keeps the commands in b.
func (tx *transaction) keep(p *ServerPool, b []byte) {
	ctx := p.ctx
	tx.begin(p.transactor(), ctx.bufs)
	tx.bytes.Append(ctx.bufs, b)
	ctx.countCollected(tx)
}

// beginPlain takes the MULTI with which data begins, if it has its usual form and nothing stands in
// its way. It returns how many bytes it has taken.
func beginPlain(c *client, data []byte) (taken int) {
	p := c.pool
	taken = p.transactor().BeginsPlain(data)
	if taken == 0 || c.skip != 0 || c.partial != nil || c.session.Bars != 0 || !c.admits() || !p.ctx.takesMore() || !c.mayRun() {
		return 0
	}
	takesPlain(c, p.transactor().Begins())
	c.session.Bars = msg.Collecting
	c.beginMulti()
	sayBegun(c)
	return taken
}

// execPlain takes the EXEC with which data begins, which has n bytes, and the MULTI behind it. It
// returns how many bytes it has taken.
func execPlain(c *client, data []byte, exec *msg.Request, n int) (taken int) {
	p := c.pool
	if p.paused || !c.admits() || !p.ctx.takesMore() {
		return 0
	}
	takesPlain(c, exec.Type)
	c.exec(exec)
	taken = tookAgain(c, n)
	if taken > 0 && c.state == clientOpen {
		taken += beginPlain(c, data[taken:])
	}
	return taken
}

// takesPlain counts a request of type typ that is taken without the parser.
func takesPlain(c *client, typ msg.Type) {
	p := c.pool
	p.stats.Values[stats.ClientRequests]++
	p.calls[typ]++
	c.lastType = typ
	c.session.Begin()
}

package proxy

import (
	"time"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// Some requests are about the pool's clients. Each event loop has some of these:
//
//	client ─► gather ─► its turn ─┬─ post ─► loop 0: scan ─┐
//	                              ├─ post ─► loop 1: scan ─┼─ post ─► receive ─► step ... answer
//	                              └─ own loop: scan ───────┘                   │
//	                                    ▲                                      │
//	                                    └──────────── more of them ◄───────────┘
//
// Each loop returns one block of its clients at a time, in slices. Their lines of the
// reply are written while the next blocks come. A loop answers one such request at a
// time. It begins only if there is memory for the reply, and if the client has little
// to read. Otherwise many such requests would fill the memory and take all time of the
// loops. Meanwhile the request's Msg waits in its client's out-queue like any other.

const (
	// blockClients is how many clients a loop returns at a time, and blockIDs how many
	// ids it is asked for at a time.
	blockClients, blockIDs = 256, 1 << 10
	// readWords is how many bytes of a request's words are read at a time.
	readWords = 16 << 10
	// gatheringSize is what a gathering counts for, in bytes. lineSize is the assumed
	// size of a client's line, before one is known.
	gatheringSize, lineSize = 512, 350
	// closeCost is how many clients the closing of one client counts for.
	closeCost = 8
	// gatherPeriod is how often, in nanoseconds, waiting requests are checked: whether
	// there is memory, and whether the client has read. gatherTries is how many are
	// checked at a time, and gatherPatience how long one waits for memory.
	gatherPeriod   = int64(2 * time.Millisecond)
	gatherTries    = 64
	gatherPatience = int64(100 * time.Millisecond)
)

// inquiries are the requests of one loop's clients about clients.
type inquiries struct {
	ctx *Context
	// waiting are the requests that have not begun, at most one of each client.
	waiting []*gathering
	// active is the one that is being answered, or nil.
	active *gathering
	// next is when to check whether one can begin; 0: when active ends.
	next int64
	// lineSize is the size of a client's line in the last large reply, in bytes.
	lineSize int64
	// line and words are scratch.
	line, words []byte
}

// A gathering is a request that all event loops help to answer. It belongs to the loop
// of the client that sent it.
type gathering struct {
	// static after construction
	client  *client
	m       *msg.Msg
	inquiry msg.Inquiry
	// named: it is about clients that its words name.
	named bool
	// last is the newest client that it is about.
	last uint64

	// owned by the loop
	//
	// next is the client's next one, and of the last one the first.
	next *gathering
	// since is when it first waited.
	since int64
	// words are the names of clients that have not been looked up yet.
	words mbuf.Chain
	parts []loopPart
	// asked is how many loops have been asked and have not answered.
	asked int
	// text is what the reply says of n clients so far.
	text mbuf.Chain
	n    int
	// self: the client itself is to be closed, after the answer.
	self bool
}

// A loopPart is one loop's part of the answer.
type loopPart struct {
	ctx *Context
	// walk is used on that loop alone.
	walk *walk[*client]
	// block is the last block that came. The first written of it are in the text.
	block   []finding
	written int
	// ended: the loop has no more clients.
	ended bool
}

// A finding is a client, and its place in the reply.
type finding struct {
	msg.ClientFacts
	place uint64
}

// gather has all event loops answer the request. The reply leaves in its turn.
func (d *dispatch) gather(req *msg.Request) {
	c, p := d.client, d.client.pool
	ctx := p.ctx
	var words mbuf.Chain
	inquiry, ok := p.proto.inquirer.Inquire(req, &c.session, ctx.bufs, &words)
	if !ok {
		c.local(req)
		return
	}
	m := c.newMsg(req)
	c.outq.Push(m)
	c.hold(m, req.View.Len())
	g := &gathering{client: c, m: m, inquiry: inquiry, named: words.Len() > 0, words: words}
	ctx.memory.beside += gatheringSize
	if last := c.gathering; last != nil {
		last.next, g.next = g, last.next
		c.gathering = g
		return
	}
	g.next, c.gathering = g, g
	g.wait()
	ctx.inquiries.begin()
}

// wait queues the request until it can be answered.
func (g *gathering) wait() {
	ctx := g.client.pool.ctx
	g.since = ctx.loop.Now()
	ctx.inquiries.waiting = append(ctx.inquiries.waiting, g)
}

// begin begins to answer the next request that can be answered, if no other is being
// answered.
func (q *inquiries) begin() {
	q.next = 0
	if q.active != nil {
		return
	}
	for range min(len(q.waiting), gatherTries) {
		g := q.waiting[0]
		q.waiting[0] = nil
		q.waiting = q.waiting[1:]
		if g.mayBegin() {
			q.active = g
			g.begin()
			return
		}
		q.waiting = append(q.waiting, g)
	}
	if len(q.waiting) > 0 {
		q.next = q.ctx.loop.Now() + gatherPeriod
	}
}

// mayBegin reports whether there is room for the reply: the client reads, and there is
// memory. If nobody waits for the reply, there is.
func (g *gathering) mayBegin() bool {
	c, ctx := g.client, g.client.pool.ctx
	if g.m.Owner == nil || !g.lists() {
		return true
	}
	if c.Out().Len()+c.held-g.m.Held >= outFull {
		return false
	}
	ctx.memory.weigh()
	ctx.memory.readAccount()
	m := &ctx.memory
	if ctx.loop.Now()-g.since < gatherPatience {
		return !m.tight && g.estimate()/2 < m.perClient
	}
	return !m.full
}

// lists reports whether the reply may be large.
func (g *gathering) lists() bool {
	unblocks, _ := g.inquiry.Unblocks()
	return !g.inquiry.Kills() && !unblocks && g.inquiry.ID() == 0
}

// estimate is the estimated size of the reply, in bytes.
func (g *gathering) estimate() int64 {
	p := g.client.pool
	return int64(p.topo.Clients()) * max(lineSize, p.ctx.inquiries.lineSize)
}

// begin asks the loops.
func (g *gathering) begin() {
	id := g.client.pool.ctx.identity
	ctx := g.client.pool.ctx
	if g.m.Owner == nil {
		g.end()
		return
	}
	if g.lists() {
		ctx.memory.expect(g.m, int(g.estimate()))
	}
	g.last = id.LastClient()
	for _, loop := range id.Loops() {
		g.parts = append(g.parts, loopPart{ctx: loop, walk: new(walk[*client])})
	}
	ctx.turn.later(g)
}

// ask asks loops for their next block, if all of their last one is in the text.
func (g *gathering) ask() {
	own := g.client.pool.ctx
	var ids []uint64
	if id := g.inquiry.ID(); id != 0 {
		ids = []uint64{id}
	} else if g.named {
		var fault string
		if ids, fault = g.readIDs(); fault != "" {
			g.refuse(fault)
			return
		}
	}
	g.asked = len(g.parts)
	for i := range g.parts {
		p := &g.parts[i]
		if p.ended && ids == nil || p.written < len(p.block) {
			g.asked--
			continue
		}
		l := &clientScan{g: g, part: i, walk: p.walk, id: g.client.pool.topo.Lineage, ids: ids}
		if p.ctx == own {
			own.turn.later(l)
			continue
		}
		if !p.ctx.loop.Post(func() { p.ctx.turn.later(l) }) {
			p.ended, p.block, p.written = true, nil, 0 // that loop has ended, and its clients with it
			g.asked--
		}
	}
	if g.asked == 0 {
		own.turn.later(g)
	}
}

// readIDs reads the next words.
func (g *gathering) readIDs() (ids []uint64, fault string) {
	ctx := g.client.pool.ctx
	q := &ctx.inquiries
	view := mbuf.Whole(&g.words)
	q.words = view.Gather(0, min(view.Len(), readWords), q.words[:0])
	most := max(1, min(blockIDs, ctx.turn.left().Keys))
	used, ids, fault := g.inquiry.ReadIDs(q.words, make([]uint64, 0, most))
	g.words.Advance(ctx.bufs, used)
	if used == 0 { // what is left is no word
		g.words.Release(ctx.bufs)
	}
	ctx.turn.count(Amount{Keys: len(ids), Bytes: used})
	return ids, fault
}

// receive takes the block of one loop.
func (g *gathering) receive(i int, block []finding, n int, self, ended bool) {
	p := &g.parts[i]
	p.block, p.written, p.ended = block, 0, ended
	g.n += n
	g.self = g.self || self
	g.asked--
	if g.asked == 0 {
		g.client.pool.ctx.turn.later(g)
	}
}

// step implements job. It writes the lines of the clients that have come, and asks for
// more when one loop's block is used up.
func (g *gathering) step(ctx *Context) (done bool) {
	q := &ctx.inquiries
	if g.m.Owner == nil {
		g.end()
		return true
	}
	for ctx.turn.hasBudget() {
		p := g.first()
		if p == nil {
			if g.words.Len() > 0 || !g.ended() {
				g.ask()
			} else {
				g.answer()
			}
			return true
		}
		q.line = g.inquiry.AppendClient(q.line[:0], &p.block[p.written].ClientFacts)
		g.text.Append(ctx.bufs, q.line)
		p.written++
		ctx.turn.count(Amount{Clients: 1, Bytes: len(q.line)})
		if int64(g.text.Len()) > g.client.pool.maxReplySize() {
			g.tooLarge()
			return true
		}
		if p.written == len(p.block) && !p.ended {
			g.ask()
			return true
		}
	}
	return false
}

// first is the part whose next client comes first in the reply, or nil if no part has
// one.
func (g *gathering) first() *loopPart {
	var first *loopPart
	for i := range g.parts {
		p := &g.parts[i]
		if p.written < len(p.block) && (first == nil || p.block[p.written].place < first.block[first.written].place) {
			first = p
		}
	}
	return first
}

// ended reports whether no loop has more to say.
func (g *gathering) ended() bool {
	for i := range g.parts {
		if !g.parts[i].ended {
			return false
		}
	}
	return true
}

// answer ends the gathering with its reply.
func (g *gathering) answer() {
	c, m, ctx := g.client, g.m, g.client.pool.ctx
	size := g.text.Len()
	if g.n > blockClients && g.lists() {
		ctx.inquiries.lineSize = int64(size / g.n)
	}
	g.inquiry.Answer(g.n, &g.text, ctx.bufs, &m.Reply)
	m.Done = true
	c.sawReply(size, &c.pool.largest)
	c.hold(m, m.Reply.Len())
	g.end()
	c.advance()
	if g.self && c.state == clientOpen {
		c.closing(byKill)
	}
	c.settle()
}

// tooLarge ends a gathering whose reply is too large.
func (g *gathering) tooLarge() {
	m := g.m
	p := g.client.pool
	p.ctx.msgs.SetCome(m, int64(g.text.Len()))
	p.noteTooLarge(m, nil)
	m.Err = msg.ReplyTooLarge
	g.fail()
}

// refuse ends the gathering for a fault of the request.
func (g *gathering) refuse(fault string) {
	c, m := g.client, g.m
	c.pool.proto.AppendError(c.pool.ctx.bufs, &m.Reply, fault)
	m.Done = true
	c.hold(m, m.Reply.Len())
	g.end()
	c.advance()
	c.settle()
}

// fail ends the gathering for the reason in its message.
func (g *gathering) fail() {
	c, m := g.client, g.m
	g.end()
	c.OnFailure(m)
	c.settle()
}

// end releases what the gathering holds, and lets the next one begin.
func (g *gathering) end() {
	c, ctx := g.client, g.client.pool.ctx
	for i := range g.parts {
		p := &g.parts[i]
		switch {
		case p.ended: // the scan has ended the walk
		case p.ctx == ctx:
			p.walk.end()
		default:
			p.ctx.loop.Post(p.walk.end) // if it has ended, so have its walks
		}
	}
	g.parts = nil
	g.words.Release(ctx.bufs)
	g.text.Release(ctx.bufs)
	ctx.memory.beside -= gatheringSize
	if g.m.Owner == nil { // the client has gone, or waits no longer
		ctx.msgs.Put(g.m)
	}
	// It is the first one.
	if g.next == g {
		c.gathering = nil
	} else {
		c.gathering.next = g.next
		g.next.wait()
	}
	ctx.inquiries.active = nil
	ctx.inquiries.next = ctx.loop.Now()
}

package proxy

import (
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// A server watches keys for a connection. So the client has one to itself from its
// first WATCH until EXEC, DISCARD, UNWATCH, RESET or its end:
//
//	client                 proxy                              server
//	WATCH k  ─►  borrows a connection to k's owner   ─►  WATCH k
//	GET k    ─►  takes it too                        ─►  GET k
//	MULTI c  ─►  collected
//	EXEC     ─►                                      ─►  MULTI c EXEC     array, or null
//	             gives the connection back           ─►  UNWATCH, if it still may watch
//
// If the server refuses the WATCH, nothing is watched, and the connection is given back.
// If that connection ends, the keys may have changed since, and EXEC is answered as if
// they had. The same holds if the keys have another server at EXEC.

// maxWatched is the most keys of one WATCH. All are placed in one turn.
const maxWatched = 16 << 10

// A watch is what a client watches.
type watch struct {
	own *own
	// waiting is how many WATCH requests wait for their replies, ended how many of them belong
	// to watches that have ended. taken: the server has taken one of the present watch.
	waiting, ended int
	taken          bool
	// server has the keys; nil: nothing is watched. conn is the client's connection to
	// it; nil if that has ended. lost: a connection on which keys were watched has
	// ended.
	server *Server
	conn   *serverConn
	lost   bool
	// snap is the snapshot by which server is the owner. key is the beginning of the
	// first key.
	snap *topology.Snapshot
	key  []byte
	// asked is the bytes of the WATCH requests, which are placed again if the ring
	// changes. counted is how many bytes of them are in ctx.memory.collected.
	asked   mbuf.Chain
	counted int
}

// lose notes that the connection has ended, or is about to.
func (w *watch) lose() { w.conn, w.lost = nil, true }

// watches reports whether the client watches keys, or has watched some on a connection
// that has ended.
func (c *client) watches() bool {
	return c.own != nil && c.own.watch != nil && c.own.watch.server != nil
}

// beginWatch sends a WATCH on a private connection of the client.
func (d *dispatch) beginWatch(req *msg.Request) {
	c, p := d.client, d.client.pool
	if req.Nkeys > maxWatched {
		c.refuse(req, msg.TooManyKeys)
		return
	}
	s, why := p.owner(req)
	switch why {
	case msg.OK:
	case msg.CrossServer:
		c.session.Bars |= msg.RefusedWatch
		c.refuseCross(req)
		return
	default:
		c.refuse(req, why)
		return
	}
	if c.watches() && c.own.watch.server != s && !c.own.watch.lost {
		c.watchCross(req)
		return
	}
	if c.own != nil && c.own.watch != nil && int64(c.own.watch.asked.Len()+req.View.Len()) > p.conf.MaxTransactionSize {
		c.refuse(req, msg.TransactionTooLarge)
		return
	}
	if (c.own == nil || c.own.connTo(s) == nil) && (!c.mayGo() || !reaches(c, req, int(c.lane), s)) {
		return
	}
	conn, why := c.borrow(s)
	if why == msg.OK {
		why = conn.proof.require() // an EXEC behind the WATCH would end it
	}
	if why != msg.OK {
		c.refuse(req, why)
		return
	}
	c.own.note(req, conn)
	c.session.Watched += int32(req.Nkeys)
	m := c.newMsg(req)
	m.Keep, m.Owner = false, c.own.watch
	c.own.watch.waiting++
	c.outq.Push(m)
	c.send(m, req, conn)
}

// watchCross refuses a WATCH of keys whose server is not that of the earlier ones.
func (d *dispatch) watchCross(req *msg.Request) {
	c := d.client
	ctx := c.pool.ctx
	ctx.key1 = append(ctx.key1[:0], c.own.watch.key...)
	ctx.key2 = append(ctx.key2[:0], c.pool.keyOf(req, 0)...)
	c.session.Bars |= msg.RefusedWatch
	c.refuseCross(req)
}

// note notes what is watched.
func (o *own) note(req *msg.Request, conn *serverConn) {
	w, p := o.watching(), o.client.pool
	ctx := p.ctx
	if w.server == nil {
		w.snap = p.routes()
		w.key = append(w.key[:0], p.keyOf(req, 0)...)
		w.key = w.key[:min(len(w.key), msg.NoteKey)]
	}
	w.server, w.conn = conn.server, conn
	req.View.AppendTo(ctx.bufs, &w.asked, 0, req.View.Len())
	w.count()
}

// count counts the memory of the requests.
func (w *watch) count() {
	w.own.client.pool.ctx.memory.collected += w.asked.Len() - w.counted
	w.counted = w.asked.Len()
}

// unwatch ends the watch: its connection is given back.
func (o *own) unwatch() { o.endWatch(true) }

// endWatch ends the watch. still: the server still watches the keys for the connection.
func (o *own) endWatch(still bool) {
	w := o.watch
	if w == nil {
		return
	}
	conn := w.conn
	w.asked.Release(o.client.pool.ctx.bufs)
	w.count()
	*w = watch{own: o, waiting: w.waiting, ended: w.waiting, key: w.key[:0]}
	switch {
	case conn == nil:
	case !o.needs(conn):
		o.giveBack(conn, still)
	case still:
		conn.private.unwatch()
	}
}

// watched is the connection that the transaction of a client with watched keys goes to;
// nil: the keys may have changed.
func (o *own) watched(tx *transaction) *serverConn {
	w, c := o.watch, o.client
	if w.lost || !o.keeps() {
		return nil
	}
	if owner, why := c.placed(tx); why != msg.OK || owner != nil && owner != w.server {
		return nil
	}
	return w.conn
}

// keeps reports whether the server still owns the watched keys.
func (o *own) keeps() bool {
	w, p := o.watch, o.client.pool
	if w.snap == p.routes() {
		return true
	}
	parser := p.proto.NewRequestParser()
	rest := w.asked.AppendTo(nil)
	p.ctx.turn.countAtOnce(Amount{Bytes: len(rest)})
	for len(rest) > 0 {
		n, done, err := parser.Parse(rest)
		if err != nil || !done {
			return false
		}
		if owner, _ := p.owner(parser.Finish(rest[:n])); owner != w.server {
			return false
		}
		rest = rest[n:]
	}
	return true
}

// touched answers an EXEC as if a watched key had changed. Its message stands in the
// out-queue.
func (t *multi) touched(m *msg.Msg) {
	c, p := t.client, t.client.pool
	c.own.unwatch()
	p.stats.Values[stats.TransactionsAborted]++
	p.proto.lender.AppendTouched(p.ctx.bufs, &m.Reply, &c.session)
	m.Done, m.Replied = true, p.ctx.loop.Now()
	c.hold(m, m.Reply.Len())
	c.advance()
}

// noteBlock notes the transaction m of a client that watches keys, which has been sent.
func (pv *private) noteBlock(m *msg.Msg) { pv.block, pv.unwritten = m.End, false }

// hasWatched reports whether m is that transaction.
func (pv *private) hasWatched(m *msg.Msg) bool { return m.Block() > 0 && m.End == pv.block }

// isUnwritten reports whether m is that transaction, and was not carried out because the
// server is a replica now. Where clients are not to see that, or Sentinel or a cluster says who
// is the primary, the watched keys have a new owner, and may have changed there.
func (pv *private) isUnwritten(m *msg.Msg, r msg.Reply) bool {
	return pv.unwritten && pv.hasWatched(m) && mayBeError(r)
}

// answerTouched answers the transaction m, which the server has not carried out, as if a
// watched key had changed. m stands in no queue any more.
func (pv *private) answerTouched(m *msg.Msg) {
	p := pv.conn.pool
	ctx := p.ctx
	m.Kept.Release(ctx.bufs)
	m.Ahead = 0
	if m.Owner == nil {
		ctx.msgs.Put(m)
		return
	}
	session := msg.Session{Lane: msg.DefaultLane}
	if m.RESP3 {
		session.Lane.RESP = 3
	}
	var null mbuf.Chain
	p.proto.lender.AppendTouched(ctx.bufs, &null, &session)
	m.Owner.OnReply(m, msg.Reply{Chain: &null})
	null.Release(ctx.bufs)
}

package proxy

import (
	"nuthatch/internal/config"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// With transactions: per_server a transaction may have keys of several servers. Each
// server gets the commands about its own keys, as a transaction of its own:
//
//	client              collect              exec
//	MULTI  SET a1  ─►   part 0: a1, a2  ─►   a   MULTI SET a1 GET a2 EXEC  ─►  [ +OK "x" ]
//	SET b1 GET a2  ─►   part 1: b1      ─►   b   MULTI SET b1 EXEC         ─►  [ +OK ]
//	EXEC           ◄─                        [ +OK +OK "x" ], in the order of the commands
//
// It is atomic at each server, but not over all of them: other clients may see a part
// of it. If a server fails after the parts were sent, its commands get errors in place
// of replies. Watched keys have one server, and so must the transaction then.

// A part is the commands of a transaction that go to one more server.
type part struct {
	owner *Server
	// bytes are MULTI and the commands, as they are sent to the server. commands is how
	// many there are.
	bytes    mbuf.Chain
	commands int
}

// A spread is a transaction's parts.
type spread struct {
	// wide: there may be several parts.
	wide bool
	// more are all parts except the first, which is the transaction itself. beside is
	// how many bytes they have.
	more   []part
	beside int
	// order has, for each command, the number of its part, 0 for the first. at is that
	// of the present command.
	order []uint16
	at    int
}

// choose puts the present command into the owner's part.
func (tx *transaction) choose(owner *Server) {
	if owner == tx.owner {
		tx.at = 0
		return
	}
	for i := range tx.more {
		if tx.more[i].owner == owner {
			tx.at = i + 1
			return
		}
	}
	tx.more = append(tx.more, part{owner: owner})
	tx.at = len(tx.more)
}

// to is where the present command is kept, and counts it there.
func (tx *transaction) to(t Transactor, bufs *mbuf.Pool) *mbuf.Chain {
	if tx.wide {
		tx.order = append(tx.order, uint16(tx.at))
	}
	if tx.at == 0 {
		tx.begin(t, bufs)
		return &tx.bytes
	}
	q := &tx.more[tx.at-1]
	if q.commands == 0 {
		t.AppendMulti(bufs, &q.bytes)
		tx.beside += q.bytes.Len()
	}
	q.commands++
	return &q.bytes
}

// wrote notes that the present command has n bytes.
func (tx *transaction) wrote(n int) {
	if tx.at > 0 {
		tx.beside += n
	}
}

// size is how many bytes are kept.
func (tx *transaction) size() int { return tx.bytes.Len() + tx.beside }

// maxOrder is for how many commands order keeps its room.
const maxOrder = 1 << 10

// release releases what the parts hold.
func (f *spread) release(bufs *mbuf.Pool) {
	for i := range f.more {
		f.more[i].bytes.Release(bufs)
	}
	clear(f.more)
	order := f.order[:0]
	if cap(order) > maxOrder {
		order = nil
	}
	*f = spread{more: f.more[:0], order: order}
}

// mayBeWide reports whether the client's next transaction may go to several servers.
func (t *multi) mayBeWide() bool {
	return t.client.pool.conf.Transactions == config.TransactionsPerServer && !t.client.pool.bySlot && !t.client.watches()
}

// spreadAnew places the commands of a transaction of several servers again, by the
// present snapshot. The reason says why one of them has no server.
func (t *multi) spreadAnew(tx *transaction) msg.Reason {
	c, p := t.client, t.client.pool
	ctx := p.ctx
	rests := [][]byte{tx.bytes.AppendTo(nil)}
	for i := range tx.more {
		rests = append(rests, tx.more[i].bytes.AppendTo(nil))
	}
	order := append([]uint16(nil), tx.order...)
	ctx.turn.countAtOnce(Amount{Bytes: tx.size()})
	tx.bytes.Release(ctx.bufs)
	tx.release(ctx.bufs)
	tx.wide, tx.owner = true, nil
	p.transactor().AppendMulti(ctx.bufs, &tx.bytes)
	parser, session := p.proto.NewRequestParser(), c.session
	session.Bars |= msg.Collecting
	next := func(rest *[]byte) (*msg.Request, []byte) {
		n, done, err := parser.Parse(*rest)
		if err != nil || !done {
			return nil, nil
		}
		text := (*rest)[:n]
		*rest = (*rest)[n:]
		return parser.Finish(text), text
	}
	for i := range rests {
		if req, _ := next(&rests[i]); req == nil { // MULTI
			return msg.CrossServer
		}
	}
	for _, at := range order {
		req, text := next(&rests[at])
		if req == nil || p.transactor().Collect(req, &session) != msg.Queued {
			return msg.CrossServer
		}
		if why := p.bind(tx, req); why != msg.OK {
			return why
		}
		tx.to(p.transactor(), ctx.bufs).Append(ctx.bufs, text)
		tx.wrote(len(text))
	}
	return msg.OK
}

// execWide sends the parts of the transaction whose EXEC is m to their servers. If one
// cannot be reached, it sends none.
func (t *multi) execWide(tx *transaction, m *msg.Msg) {
	c, p := t.client, t.client.pool
	ctx := p.ctx
	conns := make([]*serverConn, 0, len(tx.more)+1)
	for i := range len(tx.more) + 1 {
		owner := tx.owner
		if i > 0 {
			owner = tx.more[i-1].owner
		}
		conn, why := c.partConn(owner)
		if why != msg.OK {
			m.Err = why
			c.OnFailure(m)
			return
		}
		conns = append(conns, conn)
	}
	p.stats.Values[stats.TransactionsSpread]++
	n := fan{c, m}
	m.Nkeys = int32(len(tx.order))
	ctx.msgs.SetSeq(m, tx.order)
	c.hold(m, tx.size())
	first := len(tx.order)
	for i := range tx.more {
		first -= tx.more[i].commands
	}
	c.willSay(tx, n.sendPart(conns[0], &tx.bytes, first), conns[0])
	for i := range tx.more {
		n.sendPart(conns[i+1], &tx.more[i].bytes, tx.more[i].commands)
	}
	n.sent()
}

// partConn is the connection to s for a part of a transaction. If there is none, or s is known to
// be away, the reason says why. The proof that the connection sends then asks s whether it is back.
func (t *multi) partConn(s *Server) (*serverConn, msg.Reason) {
	conn, why := t.client.conn(s)
	if why == msg.OK {
		why = conn.proof.require()
	}
	if why != msg.OK || conn.awaits() {
		return conn, why
	}
	if why = s.away(conn); why != msg.OK {
		s.reasons[stats.ServerFailedRequests][why]++
	}
	return conn, why
}

// sendPart sends a part, and returns its message.
func (n fan) sendPart(conn *serverConn, bytes *mbuf.Chain, commands int) *msg.Msg {
	p := n.c.pool
	ctx := p.ctx
	f := n.add(conn.server)
	n.parent.Pending++
	n.c.Wrote(f, uint32(conn.server.mark), isReached(conn))
	ctx.msgs.SetBlock(f, commands, n.parent.Publishes())
	f.Via, f.Nkeys, f.Ahead = conn, int32(commands), int32(commands+2)
	n.c.own.sendBlockCaching(conn)
	p.transactor().AppendExec(ctx.bufs, bytes)
	size := bytes.Len()
	conn.Out().Splice(ctx.bufs, bytes)
	conn.sendFragment(f, size)
	return f
}

// countParts counts a transaction of several servers that has been answered.
func (p *ServerPool) countParts(parent *msg.Msg) {
	good, lost := false, false
	for _, f := range parent.Frags {
		if f.Err != msg.OK || f.IsError() {
			lost = true
		} else {
			good = true
		}
	}
	p.countTransaction(!good)
	if good && lost {
		p.stats.Values[stats.TransactionsPartial]++
	}
}

package proxy

import (
	"cmp"
	"log/slog"
	"slices"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// A transaction without WATCH needs no connection of its own. The commands between
// MULTI and EXEC are kept here, and at EXEC appended in one piece to the shared
// connection:
//
//	client                 collect                  exec                 shared connection
//	MULTI, commands ─► Request ─► transaction ─► Msg of n+2 replies ─► ... MULTI c1 ... cn EXEC ...
//
// A server carries out the bytes of a connection in their order, so that nothing of
// another client comes between, and the client's own requests keep their order. All
// keys must have one owner, but see transaction_spread.go. If the snapshot has changed at
// EXEC, the owner is looked for again.
//
// Kept commands never stop the client from being read: it would wait for room that only
// its EXEC can free. They have bounds of their own. At the hard mark of the memory the
// largest transactions are given up first (transaction_late.go).

// A Transactor has transactions (msg.Collecting).
type Transactor interface {
	// Collect says what becomes of a request in a transaction. If it is Unqueued or
	// Apart, Local answers it.
	Collect(req *msg.Request, s *msg.Session) msg.Queueing
	// AppendMulti and AppendExec append the beginning and the end of a block.
	AppendMulti(p *mbuf.Pool, out *mbuf.Chain)
	AppendExec(p *mbuf.Pool, out *mbuf.Chain)
	// AppendDiscard appends a request that changes nothing outside a transaction.
	AppendDiscard(p *mbuf.Pool, out *mbuf.Chain)
	// AppendAbort appends the answer to an EXEC that carries nothing out, for the
	// reason why; CrossServer if the keys have several owners.
	AppendAbort(p *mbuf.Pool, out *mbuf.Chain, why msg.Reason)
	// AbortedBy is the answer to an EXEC whose server has refused all commands with refusal.
	AbortedBy(refusal []byte) []byte
	// QueuesPlain reports whether each request with keys that is to be forwarded is Queued, if
	// nothing but Collecting bars its client's requests (msg.Bars).
	QueuesPlain() bool
	// AppendQueued appends the answers to n requests that are Queued.
	AppendQueued(p *mbuf.Pool, out *mbuf.Chain, n int)
	// BeginsPlain is the length of the MULTI with which data begins in its usual form; 0: data does
	// not begin so, or there are no transactions. Begins is the type of such a request, and
	// AppendBegun appends the answer.
	BeginsPlain(data []byte) (n int)
	Begins() msg.Type
	AppendBegun(p *mbuf.Pool, out *mbuf.Chain)
	// ExecutesPlain is the EXEC with which data begins in its usual form, and its length; 0: data
	// does not begin so. The request has nothing but its type.
	ExecutesPlain(data []byte) (req *msg.Request, n int)
	// CountAhead counts the replies, at most so many, with which data begins and which
	// say that a command is queued. first: before them comes the one that says that the
	// transaction has begun. size is how many bytes they are.
	CountAhead(data []byte, most int, first bool) (n, size int)
	// BlockReply says what kind of reply r is. It is one before the reply to EXEC.
	BlockReply(r msg.Reply) msg.BlockReply
	// Failed reports whether the reply to EXEC says that nothing was carried out.
	Failed(r msg.Reply) bool
}

// A transaction is what a client has sent since MULTI.
type transaction struct {
	// bytes are MULTI and the commands, as they are sent to the server. They are empty before the
	// first command.
	bytes mbuf.Chain
	// run is the commands, if all came together with EXEC: bytes is empty then. They are the loop's,
	// and gone when EXEC has been looked at.
	run []byte
	// owner is the server of the keys by snap; nil: there was no key. key is the
	// beginning of the first key.
	owner *Server
	snap  *topology.Snapshot
	key   []byte
	// slot is that of the first key in a cluster, plus 1; 0: there was none.
	slot int
	// place is what the first script without keys is placed by. If there is no key, it
	// decides about the server.
	place []byte
	// said are the messages in it that the clients of other servers are to hear too, and
	// messages how many those are.
	said     mbuf.Chain
	messages int
	// publishes: there is one among the commands.
	publishes bool
	// spread is what goes to other servers.
	spread
	// confirms: it has a WAIT. judgeAgain: the rights of the client's user may have changed
	// since the commands were queued.
	confirms, judgeAgain bool
	// counted is how many of its bytes are in ctx.memory.collected.
	counted int
}

// transactions are a context's.
type transactions struct {
	ctx *Context
	// unused are those that are not in use. abortPace is for the line that transactions
	// were aborted for lack of memory.
	unused    []*transaction
	abortPace pace
}

// maxTransactions bounds how many unused transactions a context keeps.
const maxTransactions = 256

// transactor is the pool's protocol, whose session says that it has transactions.
func (p *ServerPool) transactor() Transactor { return p.proto.transactor }

// A multi is a client's state between MULTI and EXEC. It belongs to its client. The
// session says whether the client is in a transaction.
type multi struct {
	client *client
	// tx is what is kept until EXEC, or nil.
	tx *transaction
}

// collect handles a request between MULTI and EXEC. It returns false if the request is
// to be handled like any other.
func (t *multi) collect(req *msg.Request) bool {
	c := t.client
	what := c.pool.transactor().Collect(req, &c.session)
	switch {
	case what == msg.Apart && (req.Treatment == msg.Quit || req.Treatment == msg.Ignore):
		return false
	case what == msg.Apart && isOverLimit(c, req):
		refuseInMulti(c, req)
	case what == msg.Apart:
		c.local(req)
	case what == msg.Unqueued:
		c.abort()
		c.local(req)
	case c.overdue != msg.OK && what == msg.Executes:
		bars := c.session.Bars
		c.session.EndMulti()
		c.endMulti(bars)
		refuseExec(c, req, c.overdue)
		c.endsPaused()
	case c.overdue != msg.OK:
		c.refuseAndAbort(req, c.overdue)
	case c.isGivenUp() && what == msg.Executes:
		c.execLate(req)
	case c.isGivenUp():
		c.refuse(req, c.begun.reason())
	case what == msg.Unlearnt:
		c.learn(req)
		if c.waits&waitsForAnswer == 0 { // it was answered, since it is not known
			c.abort()
		}
	case what == msg.Executes && c.pool.paused:
		c.execLater()
	case what == msg.Executes:
		c.exec(req)
	default:
		c.queue(req)
	}
	return true
}

// queue keeps a command until EXEC, unless the transaction is aborted.
func (t *multi) queue(req *msg.Request) {
	c := t.client
	p, s := c.pool, &c.session
	ctx := p.ctx
	if s.Bars&msg.Aborted != 0 {
		c.local(req)
		return
	}
	tx := c.tx
	if tx == nil {
		tx = c.newTransaction()
		c.tx = tx
	}
	switch {
	case req.Nkeys > p.conf.MaxKeys:
		c.refuseAndAbort(req, msg.TooManyKeys)
		return
	case int(s.Collected) >= p.conf.MaxTransactionCommands, int64(tx.size()+req.View.Len()) > p.conf.MaxTransactionSize:
		c.refuseAndAbort(req, msg.TransactionTooLarge)
		return
	}
	switch why := p.bind(tx, req); why {
	case msg.OK:
	case msg.CrossServer:
		c.abort()
		c.refuseCross(req)
		return
	default:
		c.refuseAndAbort(req, why)
		return
	}
	out := tx.to(p.transactor(), ctx.bufs)
	before := out.Len()
	c.write(req, out)
	tx.wrote(out.Len() - before)
	if m := p.proto.messenger; m != nil && m.Publishes(req) {
		tx.publishes = true
		if req.Treatment == msg.Broadcast && len(p.everywhere()) > 1 {
			c.write(req, &tx.said)
			tx.messages++
		}
	}
	ctx.countCollected(tx)
	tx.confirms = tx.confirms || req.Treatment == msg.Confirm
	s.Collected++
	if !req.NoReply && !s.Muted {
		c.sayQueued(req.Type, 1)
	}
}

// refuseAndAbort refuses a request, which aborts the transaction.
func (t *multi) refuseAndAbort(req *msg.Request, why msg.Reason) {
	c := t.client
	c.abort()
	c.refuse(req, why)
}

// abort drops the kept commands: EXEC will fail. One that is given up fails for that reason.
func (t *multi) abort() {
	c := t.client
	if c.isGivenUp() {
		c.session.Bars &^= msg.Aborted
		return
	}
	c.session.Bars |= msg.Aborted
	c.forgetTransaction()
}

// forgetTransaction drops the kept commands.
func (t *multi) forgetTransaction() {
	c := t.client
	if c.tx != nil {
		c.pool.ctx.endTransaction(c.tx)
		c.tx = nil
	}
}

// endMulti is called at the end of a transaction that was not sent. A transaction
// without a command is not counted.
func (t *multi) endMulti(bars msg.Bars) {
	c := t.client
	if c.tx != nil || bars&msg.Aborted != 0 {
		c.pool.stats.Values[stats.TransactionsAborted]++
	}
	c.forgetTransaction()
}

// execLater has the EXEC that is being taken wait until the pool goes on.
func (t *multi) execLater() {
	c := t.client
	c.waits |= waitsToExec
	c.session.Again()
	uncount(c.pool, c.lastType)
}

// goOnToExec has the EXEC taken that came while the pool was paused.
func (in *intake) goOnToExec() { in.waits &^= waitsToExec }

// endsPaused has a client whose transaction has ended wait, if the pool is paused.
func (t *multi) endsPaused() {
	if c := t.client; c.pool.paused {
		c.goOnToExec()
		c.pause()
		c.pool.ctx.refuseInTime(c)
	}
}

// bind checks that the owner of the request's keys is the transaction's, or makes it
// so. The reason says why not, as that of owner does. If the snapshot has changed, that
// is checked at EXEC. A request that does not say where its keys are goes along, like one
// that has none.
func (p *ServerPool) bind(tx *transaction, req *msg.Request) msg.Reason {
	tx.at = 0
	if req.Nkeys == 0 || req.Stray { // a script's name is no key
		if len(tx.place) == 0 {
			tx.place = append(tx.place, req.PlaceKey...)
		}
		return msg.OK
	}
	ctx := p.ctx
	snap := p.routes()
	ctx.turn.countAtOnce(Amount{Keys: req.Nkeys})
	owner, why := p.owner(req)
	switch {
	case why != msg.OK:
	case p.bySlot && !tx.takesSlot(p.slotOf(p.keyOf(req, 0))):
		return tx.crosses(p, req)
	case tx.owner == nil:
		tx.owner, tx.snap = owner, snap
		tx.key = append(tx.key[:0], p.keyOf(req, 0)...)
		tx.key = tx.key[:min(len(tx.key), msg.NoteKey)]
	case tx.snap != snap || p.isRandom():
	case tx.wide:
		tx.choose(owner)
	case owner != tx.owner:
		return tx.crosses(p, req)
	}
	return why
}

// takesSlot reports whether a command whose keys have that slot may be a part of the
// transaction.
func (tx *transaction) takesSlot(slot int) bool {
	if tx.slot == 0 {
		tx.slot = slot + 1
	}
	return tx.slot == slot+1
}

// crosses puts a key of the transaction and one of req into the context, which have
// different owners.
func (tx *transaction) crosses(p *ServerPool, req *msg.Request) msg.Reason {
	ctx := p.ctx
	ctx.key1 = append(ctx.key1[:0], tx.key...)
	ctx.key2 = append(ctx.key2[:0], p.keyOf(req, 0)...)
	return msg.CrossServer
}

// reach reports whether the transaction may go, as far as a client that tracks keys is
// concerned, and why it will fail.
func (t *multi) reach() (mayGo bool, why msg.Reason) {
	if c := t.client; tracks(c) {
		return c.own.track.reachBlock()
	}
	return true, msg.OK
}

// exec sends the transaction to its server. req is its EXEC.
func (t *multi) exec(req *msg.Request) {
	c := t.client
	p, tx := c.pool, c.tx
	ctx := p.ctx
	if tx != nil && tx.publishes && p.holdBy != 0 {
		c.awaitMoves()
		return
	}
	mayGo, reached := t.reach()
	if !mayGo {
		return
	}
	if tx == nil {
		tx = c.newTransaction()
	}
	c.tx = nil
	m := execMsg(c, tx, req)
	ctx.msgs.SetBlock(m, int(c.session.Collected), tx.publishes)
	c.session.EndMulti()
	if !tx.judgeAgain || !c.mayNoMore(tx, m) {
		c.sendBlock(tx, m, reached)
	}
	ctx.endTransaction(tx)
}

// sendBlock sends the transaction whose EXEC is m to its server. reached is why it will fail,
// though it is sent.
func (t *multi) sendBlock(tx *transaction, m *msg.Msg, reached msg.Reason) {
	c := t.client
	var conn *serverConn
	why := msg.OK
	if c.watches() {
		if conn = c.own.watched(tx); conn == nil {
			c.touched(m)
			return
		}
		defer c.own.unwatch()
	} else {
		owner, none := c.ownerNow(tx)
		switch {
		case none != msg.OK:
			c.aborted(m, none)
			return
		case reached != msg.OK:
			m.Err = reached
			c.OnFailure(m)
			return
		case len(tx.more) > 0:
			c.execWide(tx, m)
			return
		}
		conn, why = c.conn(owner)
	}
	if why == msg.OK {
		why = conn.proof.require()
	}
	if why != msg.OK {
		m.Err = why
		c.OnFailure(m)
		return
	}
	if tx.confirms {
		conn.mark(m)
	}
	c.own.sendBlockCaching(conn)
	size := tx.send(m, conn)
	m.Via, m.Ahead = conn, int32(m.Block()+2)
	c.willSay(tx, m, conn)
	c.hold(m, size+m.Reply.Len())
	c.Wrote(m, uint32(conn.server.mark), isReached(conn))
	conn.enqueue(m, size)
	if c.watches() {
		conn.private.noteBlock(m)
	}
	conn.server.stats[stats.Requests]++
	conn.server.stats[stats.RequestBytes] += int64(size)
}

// send puts the block into the output of conn, and returns its size. m is its EXEC.
func (tx *transaction) send(m *msg.Msg, conn *serverConn) (size int) {
	p, t, out := conn.pool, conn.pool.transactor(), conn.Out()
	bufs := p.ctx.bufs
	before := out.Len()
	if tx.run != nil {
		t.AppendMulti(bufs, out)
		out.Append(bufs, tx.run)
		t.AppendExec(bufs, out)
		return out.Len() - before
	}
	tx.begin(t, bufs)
	t.AppendExec(bufs, &tx.bytes)
	p.keepBlock(m, conn, &tx.bytes)
	out.Splice(bufs, &tx.bytes)
	return out.Len() - before
}

// begin puts MULTI before the first command.
func (tx *transaction) begin(t Transactor, bufs *mbuf.Pool) {
	if tx.bytes.Len() == 0 {
		t.AppendMulti(bufs, &tx.bytes)
	}
}

// aborted answers an EXEC whose transaction is not sent, for the reason why. Its
// message stands in the out-queue.
func (t *multi) aborted(m *msg.Msg, why msg.Reason) {
	c := t.client
	ctx := c.pool.ctx
	c.pool.failed(m, why)
	c.pool.transactor().AppendAbort(ctx.bufs, &m.Reply, why)
	m.Done, m.Replied = true, ctx.loop.Now()
	c.hold(m, m.Reply.Len())
	c.advance()
}

// ownerNow is the server that the transaction goes to, by the present snapshot. The
// reason says why there is none.
func (t *multi) ownerNow(tx *transaction) (*Server, msg.Reason) {
	c := t.client
	if tx.owner != nil {
		if owner, why := c.placed(tx); owner != nil || why != msg.OK {
			return owner, why
		}
	}
	return c.pool.ownerOfPlace(tx.place)
}

// placed is the server of the transaction's keys, by the present snapshot. It is nil if
// there are no keys, or if the reason is not msg.OK. If a command would not be queued
// any more, the reason is CrossServer.
func (t *multi) placed(tx *transaction) (*Server, msg.Reason) {
	c, p := t.client, t.client.pool
	if tx.snap == p.routes() {
		return tx.owner, msg.OK
	}
	if tx.wide {
		why := c.spreadAnew(tx)
		return tx.owner, why
	}
	tx.owner = nil
	parser, session := p.proto.NewRequestParser(), c.session
	session.Bars |= msg.Collecting
	rest := tx.bytes.AppendTo(nil)
	p.ctx.turn.countAtOnce(Amount{Bytes: len(rest)})
	for first := true; len(rest) > 0; first = false {
		n, done, err := parser.Parse(rest)
		if err != nil || !done {
			return nil, msg.CrossServer
		}
		req := parser.Finish(rest[:n])
		rest = rest[n:]
		if first { // MULTI
			continue
		}
		if p.transactor().Collect(req, &session) != msg.Queued {
			return nil, msg.CrossServer
		}
		if why := p.bind(tx, req); why != msg.OK {
			return nil, why
		}
	}
	return tx.owner, msg.OK
}

// newTransaction returns a transaction without a command. If the client watches keys,
// it goes to their server.
func (t *multi) newTransaction() *transaction {
	c := t.client
	ctx := c.pool.ctx
	tx := ctx.newTransaction()
	tx.wide = c.mayBeWide()
	if c.watches() {
		w := c.own.watch
		tx.owner, tx.snap = w.server, w.snap
		tx.key = append(tx.key, w.key...)
	}
	return tx
}

// newTransaction returns an empty transaction.
func (k *transactions) newTransaction() *transaction {
	last := len(k.unused) - 1
	if last < 0 {
		return new(transaction)
	}
	tx := k.unused[last]
	k.unused = k.unused[:last]
	return tx
}

// endTransaction releases what the transaction holds.
func (k *transactions) endTransaction(tx *transaction) {
	ctx := k.ctx
	tx.bytes.Release(ctx.bufs)
	tx.said.Release(ctx.bufs)
	tx.release(ctx.bufs)
	ctx.countCollected(tx)
	*tx = transaction{key: tx.key[:0], place: tx.place[:0], spread: tx.spread}
	if len(k.unused) < maxTransactions {
		k.unused = append(k.unused, tx)
	}
}

// countCollected counts the transaction's bytes.
func (k *transactions) countCollected(tx *transaction) {
	ctx := k.ctx
	n := tx.size() + tx.said.Len()
	ctx.memory.collected += n - tx.counted
	tx.counted = n
}

// collects reports whether the client is between MULTI and EXEC.
func (t *multi) collects() bool { return t.client.session.Bars&msg.Collecting != 0 }

// abortLargest gives up the largest transactions that wait for their EXEC, until the
// memory is below the hard mark or none is left.
func (k *transactions) abortLargest() {
	ctx := k.ctx
	var all []*client
	for _, pools := range [][]*ServerPool{ctx.pools, ctx.leaving.pools} {
		for _, p := range pools {
			for c := p.clients.first; c != nil; c = c.next {
				if c.tx != nil {
					all = append(all, c)
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b *client) int { return cmp.Compare(b.tx.counted, a.tx.counted) })
	m := &ctx.memory
	aborted, freed := 0, 0
	for _, c := range all {
		if !m.full {
			break
		}
		aborted++
		freed += c.tx.counted
		c.giveUp(msg.NoMemory)
		ctx.memory.weigh()
	}
	if missed, ok := k.abortPace.mayLog(ctx.loop.Now()); ok {
		ctx.log.Warn("transactions are aborted for lack of memory: their EXEC will fail",
			slog.Int("transactions", aborted), slog.Int("bytes", freed), slog.Int("left_out", missed))
	}
}

// endBlock notes that the client of a transaction, or of a part of one, learns what came of it.
func endBlock(p *ServerPool, m *msg.Msg, failed bool) {
	switch {
	case m.Parent == nil:
		p.countTransaction(failed)
	case failed:
		p.ctx.msgs.SetError(m)
	}
}

// countTransaction counts a transaction that its server has answered.
func (p *ServerPool) countTransaction(failed bool) {
	if failed {
		p.stats.Values[stats.TransactionsAborted]++
	} else {
		p.stats.Values[stats.Transactions]++
	}
}

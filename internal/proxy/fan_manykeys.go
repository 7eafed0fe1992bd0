package proxy

import (
	"slices"

	"nuthatch/internal/acl"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A request of many words (not one of a large value: see large_values.go) is a job (see turn.go):
//
//	whole ─► read ─────► request() ─► place ──────► copy ──────► send
//	         its words   what it is   its keys'     its bytes,   the sub-requests,
//	         are found                servers are   by server    to one server
//	                                  found                      after the other
//
// Between read and request() a step judges the keys, if the client's rights are restricted.
// Its client is not read from until all of it is sent, which keeps the order of
// requests. From place on its Msg is in the client's out-queue, which keeps the order
// of replies. It is placed by one snapshot. If the servers change before anything was
// sent, it is placed again from its bytes, which are kept until then. If some of it was
// sent, the rest goes by the old snapshot, and a part fails if its server is gone.
//
// If the request ends meanwhile, since its client was closed or it took too long,
// its Msg leaves the out-queue and has no owner. The job finds that out, and
// releases what it holds.
type largeRequest struct {
	c     *client
	phase phase
	// q has the request's bytes, and the parser that knows its words. It is nil once a
	// part is sent, and for a request for all servers. view is a view of those bytes.
	q    *partial
	view mbuf.View
	req  *msg.Request
	// known: the words of req are valid. They are not after another large request was
	// read while this one waited.
	known bool
	// parsed is how many bytes have been parsed again, to find the words again.
	parsed int
	// trial has judged some of the keys, if the client's rights are restricted.
	trial acl.Trial
	// m is the request's message; nil before place.
	m       *msg.Msg
	placing placing
	// next is the key that is placed or copied next, or the share that is sent next.
	next int
	outs []*mbuf.Chain
	// every is what each of all gets, if the request is for all servers. It has no
	// shares then.
	every mbuf.Chain
	all   []*Server
	// everyone: servers without keys at present are among them.
	everyone bool
	// parked: the request waits for the client's earlier replies, and is not among the
	// jobs.
	parked bool
	// overdue is why it came too late, and is refused.
	overdue msg.Reason
}

// A phase is a step in the work on a large request.
type phase uint8

const (
	reads phase = iota
	rereads
	judges
	places
	copies
	sends
	sendsWhole
	ends
)

// keyStep is how many keys are placed, copied or merged in a step.
const keyStep = 1024

// stepKeys is how many keys the next step may look at, at least one.
func (t *turn) stepKeys() int { return max(1, min(keyStep, t.left().Keys)) }

// fewWords is how many words a request may have to be done at once, however many bytes
// it has. So few words are passed on by reference.
const fewWords = 256

// isLarge reports whether the whole request is too much to be done at once.
func (t *turn) isLarge(words, bytes int) bool {
	return words > t.atOnce.Keys || bytes > t.atOnce.Bytes && words > fewWords
}

// doInSlices begins the work on the client's large request in slices.
func (d *dispatch) doInSlices(q *partial) {
	c := d.client
	ctx := c.pool.ctx
	ctx.count(q)
	j := &largeRequest{c: c, q: q, view: mbuf.Whole(&q.bytes), overdue: c.overdue}
	c.partial = nil
	c.held += q.bytes.Len()
	j.begin()
}

// begin has the client wait until the request is sent.
func (j *largeRequest) begin() {
	c := j.c
	c.large = j
	c.waits |= waitsForSlices
	c.PauseRead()
	c.pool.ctx.turn.later(j)
}

// step implements job.
func (j *largeRequest) step(ctx *Context) (done bool) {
	if j.c.large != j || j.m != nil && j.m.Owner == nil {
		j.cancel()
		return true
	}
	switch j.phase {
	case reads:
		j.read(ctx)
	case rereads:
		j.reread(ctx)
	case judges:
		j.judge(ctx)
	case places:
		j.place(ctx)
	case copies:
		j.copy(ctx)
	case sends:
		j.send(ctx)
	case sendsWhole:
		j.whole()
	case ends:
	}
	if j.phase == ends {
		j.end()
	}
	return j.phase == ends || j.parked
}

// read finds some of the request's words. When it knows all, it takes the request.
func (j *largeRequest) read(ctx *Context) {
	words, ready := j.q.parser.Ready(&j.view, ctx.turn.stepKeys())
	ctx.turn.count(Amount{Keys: words + 1})
	if !ready || j.park() {
		return
	}
	c := j.c
	if j.m == nil {
		c.held -= j.q.bytes.Len()
		c.pool.adoptPartial(j.q)
	}
	j.req, j.known = j.q.parser.FinishChain(&j.q.bytes), true
	if j.m != nil { // it is placed again, and was judged before
		j.placeAnew()
		return
	}
	if c.session.Bars&msg.Restricted != 0 && ctx.turn.isLarge(j.req.Nkeys, 0) {
		j.phase = judges
		return
	}
	j.take(ctx)
}

// judge judges some of the keys. When it has judged all, it takes the request.
func (j *largeRequest) judge(ctx *Context) {
	c, keys := j.c, ctx.turn.stepKeys()
	ctx.turn.count(Amount{Keys: keys})
	guard := c.pool.proto.guard
	if !guard.JudgeKeys(&j.trial, j.req, &c.session, keys) {
		return
	}
	guard.Judged(j.req, &j.trial)
	j.take(ctx)
	guard.Judged(nil, nil)
}

// take takes the request.
func (j *largeRequest) take(ctx *Context) {
	c := j.c
	j.phase = ends // unless request has more to do
	if c.state != clientOpen {
		return
	}
	c.overdue = j.overdue
	j.q.uncharge(c)
	c.request(j.req)
	if c.waits&takenAgain != 0 {
		refund(c, j.q.bytes.Len())
	}
	c.overdue = msg.OK
	if c.waits&takenAgain != 0 {
		c.takeAgain(ctx.bufs, &j.q.bytes)
		c.parseAgain()
	}
}

// deal makes the request's message, and begins to place its keys.
func (j *largeRequest) deal() {
	c, req := j.c, j.req
	m := c.newMsg(req)
	m.Nkeys, m.Working = int32(req.Nkeys), true
	c.pool.ctx.msgs.MakeSeq(m, req.Nkeys)
	c.outq.Push(m)
	c.hold(m, req.View.Len())
	j.m = m
	j.placeAnew()
}

// placeAnew begins to place the keys by the present table.
func (j *largeRequest) placeAnew() {
	p := j.c.pool
	ctx := p.ctx
	for _, f := range j.m.Frags {
		f.Kept.Release(ctx.bufs)
		ctx.msgs.Put(f)
	}
	clear(j.m.Frags)
	j.m.Frags, j.m.Pending = j.m.Frags[:0], 0
	j.placing, j.next, j.phase = p.newPlacing(j.m.Type), 0, places
}

// place finds the servers of some of the keys.
func (j *largeRequest) place(ctx *Context) {
	if !j.known {
		j.phase, j.parsed = rereads, 0
		return
	}
	n := min(ctx.turn.stepKeys(), j.req.Nkeys-j.next)
	if !j.c.pool.place(&j.placing, j.req, j.next, j.m.Seq[j.next:j.next+n]) {
		j.fail(msg.ConnRefused)
		return
	}
	if j.placing.hole {
		j.fail(msg.NotServed)
		return
	}
	j.next += n
	ctx.turn.count(Amount{Keys: n})
	if j.next < j.req.Nkeys {
		return
	}
	switch {
	case len(j.placing.shares) == 1:
		j.phase = sendsWhole
	case j.req.Treatment != msg.Fragment:
		j.cross()
	default:
		j.phase, j.next = copies, 0
	}
}

// fail answers the request, of which nothing was sent.
func (j *largeRequest) fail(why msg.Reason) {
	j.phase = ends
	j.m.Working = false
	j.m.Err = why
	j.c.OnFailure(j.m)
}

// whole sends the request as it is to the one server that has all its keys.
func (j *largeRequest) whole() {
	if j.park() {
		return
	}
	j.c.pool.ctx.turn.count(Amount{Clients: 1})
	j.phase = ends
	j.m.Working = false
	j.c.sendWhole(j.m, j.req, j.placing.shares[0].server)
}

// cross refuses a request that cannot be split, and whose keys have different owners.
func (j *largeRequest) cross() {
	c := j.c
	p := c.pool
	ctx := p.ctx
	other := 0
	for j.m.Seq[other] == 0 {
		other++
	}
	ctx.key1 = append(ctx.key1[:0], p.keyOf(j.req, 0)...)
	ctx.key2 = append(ctx.key2[:0], p.keyOf(j.req, other)...)
	j.phase = ends
	j.m.Working = false
	cross(c, j.m, j.req)
}

// divide makes the sub-requests, with their heads.
func (j *largeRequest) divide() {
	p := j.c.pool
	j.outs = j.outs[:0]
	for _, share := range j.placing.shares {
		f := j.fan().add(share.server)
		f.Nkeys, f.Keep = share.keys, j.m.Keep
		p.proto.FragmentHead(j.req, int(f.Nkeys), p.ctx.bufs, &f.Kept)
		j.outs = append(j.outs, &f.Kept)
	}
}

// copy copies some of the keys, with their values, to their sub-requests. It begins
// when these can be sent, so that the request does not take its memory twice for long.
func (j *largeRequest) copy(ctx *Context) {
	if j.next == 0 {
		if j.park() {
			return
		}
		if !j.known {
			j.placeAnew()
			return
		}
		j.divide()
	}
	p, req := j.c.pool, j.req
	// If all keys are alike, fit keys have as many bytes as may be copied.
	fit := ctx.turn.left().Bytes / (req.View.Len()/req.Nkeys + 1)
	n := min(ctx.turn.stepKeys(), max(1, fit), req.Nkeys-j.next)
	p.proto.FragmentKeys(req, j.next, j.m.Seq[j.next:j.next+n], ctx.bufs, j.outs)
	from, to := req.Key(j.next), req.Key(j.next+n-1)
	ctx.turn.count(Amount{Keys: n, Bytes: max(0, to.End()-from.End())})
	if j.next += n; j.next < req.Nkeys {
		return
	}
	for _, out := range j.outs {
		p.proto.FragmentTail(req, ctx.bufs, out)
	}
	j.outs = nil
	j.fan().sendLater(len(j.m.Frags))
}

// fan is the fan of the request's parts.
func (j *largeRequest) fan() fan { return fan{j.c, j.m} }

// release gives up the request's bytes and words.
func (j *largeRequest) release() {
	if q := j.q; q != nil {
		j.q, j.req, j.view = nil, nil, mbuf.View{}
		j.c.pool.putPartial(q)
	}
}

// send sends some of the sub-requests.
func (j *largeRequest) send(ctx *Context) {
	if j.park() {
		return
	}
	j.release()
	c := j.c
	n := len(j.placing.shares)
	if j.every.Len() > 0 {
		n = len(j.all)
	}
	for more := true; more && j.next < n; more = ctx.turn.left().Clients > 0 {
		f, s := j.nextFragment()
		j.next++
		ctx.turn.count(Amount{Clients: 1})
		c.pool.stats.Values[stats.Fragments]++
		conn, why := (*serverConn)(nil), msg.ServerRemoved
		if !s.removed {
			conn, why = j.connTo(s, f.Type)
		}
		if why != msg.OK {
			f.Kept.Release(ctx.bufs)
			f.Err = why
			f.Owner.OnFailure(f)
			continue
		}
		f.Via = conn
		noteWrite(c, f, conn)
		size := f.Kept.Len()
		switch {
		case j.every.Len() > 0:
			size = j.every.Len()
			every := mbuf.Whole(&j.every)
			every.AppendTo(ctx.bufs, conn.Out(), 0, size)
			if f.Keep = j.fan().keepsShare(f, conn); f.Keep {
				every.AppendTo(ctx.bufs, &f.Kept, 0, size)
			}
		case f.Keep:
			kept := mbuf.Whole(&f.Kept)
			kept.AppendTo(ctx.bufs, conn.Out(), 0, size)
		default:
			conn.Out().Splice(ctx.bufs, &f.Kept)
		}
		conn.sendFragment(f, size)
	}
	if j.next < n {
		return
	}
	j.phase = ends
	j.m.Working = false
	j.m.Pending--
	if j.m.Pending == 0 {
		j.fan().merge()
	}
}

// connTo is the connection for a part of that type with keys of s, or a copy for s.
func (j *largeRequest) connTo(s *Server, t msg.Type) (*serverConn, msg.Reason) {
	if j.c.pool.choice != nil && j.every.Len() == 0 {
		var why msg.Reason
		if s, why = j.c.pool.choice.readerOf(j.c, t, s); why != msg.OK {
			return nil, why
		}
	}
	return j.c.conn(s)
}

// nextFragment is the sub-request that is sent next, and its server.
func (j *largeRequest) nextFragment() (f *msg.Msg, s *Server) {
	if j.every.Len() > 0 {
		s = j.all[j.next]
		return j.fan().add(s), s
	}
	return j.m.Frags[j.next], j.placing.shares[j.next].server
}

// sendLater sends the fragments in slices. They are in parent.Frags, or copies of the
// job's every.
func (n fan) sendLater(fragments int) *largeRequest {
	c, m := n.c, n.parent
	j := c.large
	if j == nil {
		j = &largeRequest{c: c}
		j.begin()
	}
	m.Working, m.Rare = true, true
	m.Pending = int32(fragments) + 1 // one more than there are, until all are sent
	j.m, j.phase, j.next = m, sends, 0
	return j
}

// splitLater makes the fragments from the result of dealKeys. They are sent in slices.
func (n fan) splitLater(req *msg.Request) {
	p, m := n.c.pool, n.parent
	ctx := p.ctx
	d := &ctx.deal
	m.Nkeys = int32(req.Nkeys)
	ctx.msgs.SetSeq(m, d.to)
	d.outs = d.outs[:0]
	for _, share := range d.shares {
		f := n.add(share.server)
		f.Nkeys, f.Keep = share.keys, m.Keep
		p.proto.FragmentHead(req, int(f.Nkeys), ctx.bufs, &f.Kept)
		d.outs = append(d.outs, &f.Kept)
	}
	p.proto.FragmentKeys(req, 0, d.to, ctx.bufs, d.outs)
	for _, out := range d.outs {
		p.proto.FragmentTail(req, ctx.bufs, out)
	}
	j := n.sendLater(len(d.shares))
	j.placing.shares = slices.Clone(d.shares)
	if j.q == nil {
		j.keep(req)
	}
}

// broadcastLater sends the request to every server in slices.
func (n fan) broadcastLater(req *msg.Request) {
	j := n.sendToAllLater(req.Everyone)
	n.c.write(req, &j.every)
}

// sendToAllLater is sendLater for a request that goes to every server.
func (n fan) sendToAllLater(everyone bool) *largeRequest {
	all := n.c.pool.receivers(everyone)
	j := n.sendLater(len(all))
	j.all, j.everyone = all, everyone
	return j
}

// park makes the job wait for the client's earlier replies if connections were replaced
// meanwhile: on another connection the request could overtake earlier ones. It reports
// whether the job waits.
func (j *largeRequest) park() bool {
	j.parked = j.c.waits&waitsForReplies != 0 && !j.isNext()
	j.known = j.known && !j.parked
	return j.parked
}

// isNext reports whether the request is the only one that the client has in flight.
func (j *largeRequest) isNext() bool { return j.c.outq.Head() == j.m && j.c.quiet == 0 }

// unpark continues the parked request, if it need not wait any longer or has no client
// any more.
func (j *largeRequest) unpark() {
	if j.parked && (j.c.large != j || j.m != nil && j.m.Owner == nil || j.isNext()) {
		j.parked = false
		j.c.pool.ctx.turn.later(j)
	}
}

// cancel releases what the job holds, if its request has no client any more. Replies to
// sent parts are dropped when they come.
func (j *largeRequest) cancel() {
	ctx := j.c.pool.ctx
	if q := j.q; q != nil && (j.phase == reads || j.phase == rereads) {
		q.parser.Forget()
		q.parser = j.c.pool.proto.NewRequestParser() // that one is in the middle of it
	}
	if m := j.m; m != nil {
		for i, f := range m.Frags {
			f.Parent = nil
			if j.phase == sends && i < j.next {
				ctx.swallow(f)
				continue
			}
			f.Kept.Release(ctx.bufs)
			ctx.msgs.Put(f)
		}
		clear(m.Frags)
		m.Frags = m.Frags[:0]
		ctx.msgs.Put(m)
	}
	j.end()
}

// end ends the job, and lets the client go on.
func (j *largeRequest) end() {
	j.release()
	c := j.c
	j.every.Release(c.pool.ctx.bufs)
	if c.large != j {
		return // the client is gone
	}
	c.large = nil
	c.waits &^= waitsForSlices
	if c.state == clientOpen && c.stash.Len() == 0 && !c.starved {
		c.ResumeRead()
	}
	c.resumeIfRoom()
	c.settle()
}

// A largeMerge is the merging of replies that are too large, or too many, for one turn.
// The merged reply leaves when it is whole.
type largeMerge struct {
	c     *client
	m     *msg.Msg
	proto Protocol
	// keys is how many are merged in a step.
	keys int
}

// isLargeMerge reports whether the replies to parent's fragments are too much to be
// merged at once.
func (t *turn) isLargeMerge(parent *msg.Msg, bySlot bool) bool {
	return int(parent.Nkeys) > t.atOnce.Keys || parent.Held > t.atOnce.Bytes || len(parent.Frags) > t.fragments(bySlot)
}

// fragments is how many requests may be made of one at once. In a cluster many go to the
// same few servers.
func (t *turn) fragments(bySlot bool) int {
	if bySlot {
		return t.atOnce.Keys / perMessage
	}
	return t.atOnce.Clients
}

// mergeLater merges the replies to parent's fragments in slices.
func (n fan) mergeLater() {
	c, parent := n.c, n.parent
	parent.Working = true
	each := parent.Held/max(1, int(parent.Nkeys)) + 1
	c.pool.ctx.turn.later(&largeMerge{c: c, m: parent, proto: c.pool.proto.Protocol, keys: min(keyStep, c.pool.ctx.turn.atOnce.Bytes/each+1)})
}

// step implements job.
func (j *largeMerge) step(ctx *Context) (done bool) {
	m := j.m
	if m.Owner == nil {
		j.proto.MergeStop(ctx.bufs)
		m.Reply.Release(ctx.bufs)
		m.Working = false
		ctx.dropMerged(m)
		ctx.msgs.Put(m)
		return true
	}
	n := min(j.keys, ctx.turn.stepKeys())
	before := m.Reply.Len()
	done, failed := j.proto.MergeSome(m, n, ctx.bufs, &m.Reply)
	ctx.turn.count(Amount{Keys: n, Bytes: m.Reply.Len() - before})
	if done {
		m.Working = false
		fan{j.c, m}.merged(m.Reply.Len(), failed)
	}
	return done
}

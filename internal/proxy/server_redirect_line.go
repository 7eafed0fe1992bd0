package proxy

import (
	"iter"
	"slices"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// A line is what a client has sent about one slot, and what is not answered, since a node
// has not carried one of these requests out. They are in the client's order:
//
//	under way        waits            under way
//	SET k 1 ────►    SET k 2 (MOVED)  SET k 3 ────►
//
// Nothing is sent as long as anything is under way. Then the first ones that go to the same
// node are sent to it together, and so on. So requests are carried out in the order of the
// line, even if the slot moves to and fro. If a request was carried out although an earlier
// one for the same key was not, the order would be lost. A read is then sent again, too. If
// it was a write, the client gets an error for the earlier one.
type line struct {
	detours *detours
	key     lineKey
	list    []*detoured
	// inFlight is how many are under way.
	inFlight int
	// links are its place among the lines, which are in the order in which they began.
	links[*line]
}

// begin begins a line behind the others.
func (d *detours) begin(key lineKey) *line {
	l := &line{detours: d, key: key}
	d.inOrder.enter(l)
	d.lines[key] = l
	return l
}

// end takes the line, which is empty, out of the list.
func (l *line) end() {
	l.detours.inOrder.remove(l)
	delete(l.detours.lines, l.key)
}

// everyLine yields the lines in the order in which they began. Lines may end meanwhile.
func (d *detours) everyLine() iter.Seq[*line] {
	return func(yield func(*line) bool) {
		var w walk[*line]
		w.begin(&d.inOrder)
		defer w.end()
		for l := w.next(); l != nil; l = w.next() {
			if !yield(l) {
				return
			}
		}
	}
}

// refused notes that the request was not carried out.
func (it *detoured) refused(said msg.Redirect) {
	it.line.inFlight--
	it.detour.n--
	it.from, it.text = it.detour.conn.server, it.detour.text
	it.detour = nil
	it.m.Err = msg.OK
	it.wait(said)
	it.from.stats[stats.AskedAgain]++
	if said.Kind == msg.TriesAgain && it.m.Block() == 0 {
		it.divide()
	}
}

// wait has the request wait until it is sent again.
func (it *detoured) wait(said msg.Redirect) {
	p := it.line.detours.pool
	now := p.ctx.loop.Now()
	it.said, it.saidAt = said, now
	if it.until == 0 {
		it.until = now + detourTime
		if t := p.conf.Timeout; t > 0 {
			it.until = now + int64(t)
		}
		if e := it.expires(); e != 0 {
			it.until = e
		}
	}
	it.againAt = 0
	switch said.Kind {
	case msg.Moved, msg.Asks:
		if it.hops++; it.hops > 2 { // nodes do not agree yet
			it.pause()
		}
	case msg.TriesAgain, msg.Unready:
		it.pause()
	case msg.Carried:
	}
}

// expires is when the client must have its reply; 0: never.
func (it *detoured) expires() int64 {
	if it.m.Parent != nil {
		return it.m.Parent.Expires
	}
	return it.m.Expires
}

// pause has the request wait for a while.
func (it *detoured) pause() {
	p := it.line.detours.pool
	it.againAt = p.ctx.loop.Now() + min(detourPause<<min(it.pauses, 8), detourPauseMost)
	it.pauses++
}

// maxDivided is how many requests may be made of one that a client has sent, if some of it is
// divided key by key. One with more keys is sent again as it is.
const maxDivided = 4096

// siblings is how many requests were made of the client's request that this is a part of.
func (it *detoured) siblings() int {
	if it.m.Parent == nil {
		return 0
	}
	return len(it.m.Parent.Frags)
}

// divide puts requests for single keys in the place of a request for several, some of
// which are at one node and some at another.
func (it *detoured) divide() {
	l := it.line
	p := l.detours.pool
	if n := len(it.keys); n < 2 || n+it.siblings() > maxDivided {
		return
	}
	parser := p.proto.NewRequestParser()
	text := it.m.Kept.AppendTo(nil)
	if _, done, err := parser.Parse(text); err != nil || !done {
		return
	}
	req := parser.Finish(text)
	if req.Treatment != msg.Fragment {
		return
	}
	at := slices.Index(l.list, it)
	parts := it.m.Party().Divide(it.m, req)
	delete(l.detours.all, it.m)
	items := make([]*detoured, 0, len(parts))
	for i, m := range parts {
		part := *it
		part.m, part.keys, part.againAt = m, it.keys[i:i+1], 0
		part.said = msg.Redirect{Kind: msg.Unready}
		items = append(items, &part)
		l.detours.all[m] = &part
	}
	l.list = slices.Replace(l.list, at, at+1, items...)
}

// answered notes that the reply to the request has come, and does not refuse it. It reports
// whether the request is sent again all the same.
func (it *detoured) answered() (again bool) {
	l, m, c := it.line, it.m, it.detour.conn
	earlier := it.overtaken()
	if len(earlier) > 0 && l.detours.isRead(m) && c.discarded == 0 {
		c.dequeue()
		last := earlier[len(earlier)-1]
		it.refused(msg.Redirect{Kind: msg.Unready})
		it.said, it.againAt = last.said, last.againAt
		l.pump()
		return true
	}
	it.done(earlier)
	l.pump()
	return false
}

// done notes that the request was carried out, or may have been, past those earlier ones.
func (it *detoured) done(earlier []*detoured) {
	d := it.line.detours
	it.leave()
	if d.isRead(it.m) {
		return
	}
	for _, e := range earlier {
		e.fail(textOvertaken)
	}
}

// isRead reports whether m changes nothing.
func (d *detours) isRead(m *msg.Msg) bool { return m.Block() == 0 && d.pool.commands[m.Type].Pure }

// overtaken are the earlier requests for the same keys that were not carried out.
func (it *detoured) overtaken() (earlier []*detoured) {
	l := it.line
	for _, e := range l.list {
		if e == it {
			break
		}
		if e.detour == nil && it.shares(e) {
			earlier = append(earlier, e)
		}
	}
	return earlier
}

// shares reports whether both have a key.
func (it *detoured) shares(other *detoured) bool {
	for _, k := range it.keys {
		if slices.Contains(other.keys, k) {
			return true
		}
	}
	return false
}

// leave takes the request out of its line.
func (it *detoured) leave() {
	l := it.line
	if it.detour != nil {
		it.detour.n--
		l.inFlight--
		it.detour = nil
	}
	if i := slices.Index(l.list, it); i >= 0 {
		l.list = slices.Delete(l.list, i, i+1)
	}
	delete(l.detours.all, it.m)
	if len(l.list) == 0 && l.detours.lines[l.key] == l {
		l.end()
	}
}

// fail gives the client an error for a request that waits. Nobody may wait for it any more.
func (it *detoured) fail(text []byte) {
	ctx := it.line.detours.pool.ctx
	m := it.m
	it.leave()
	m.Kept.Release(ctx.bufs)
	m.Ahead = 0
	if m.Owner == nil {
		ctx.msgs.Put(m)
		return
	}
	if it.from != nil {
		countPassed(it.from, msg.Reply{Flat: text})
	}
	m.Owner.OnReply(m, msg.Reply{Flat: text})
}

// failLate gives the client what the node has said, if it was found, or that it was not.
func (it *detoured) failLate() {
	switch {
	case it.isShare():
		it.failShare()
	case it.text != nil:
		it.fail(it.text)
	default:
		it.fail(textLate)
	}
}

// pump sends what may be sent again now.
func (l *line) pump() {
	ctx := l.detours.pool.ctx
	for l.inFlight == 0 && len(l.list) > 0 {
		now := ctx.loop.Now()
		for _, it := range l.list {
			it.review(now)
		}
		first := l.list[0]
		to, asks := first.target()
		switch {
		case first.m.Owner == nil:
			first.fail(nil)
			continue
		case first.hops > l.detours.pool.conf.Cluster.MaxRedirects:
			first.fail(textTooMany)
			continue
		case first.until <= now:
			first.failLate()
			continue
		case first.againAt > now:
			ctx.nextDetour = soonest(ctx.nextDetour, min(first.againAt, first.until))
			return
		case to == nil: // the map does not know that node yet
			first.pause()
			l.detours.want(topology.WantUnknown, first.from)
			continue
		}
		n := 1
		for n < len(l.list) && l.list[n].goesWith(to, asks, now) {
			n++
		}
		if !l.send(l.list[:n], to, asks) {
			first.pause()
		}
	}
}

// review forgets an ASK that could not be followed at once: the slot may have gone another
// way since, and with ASKING a node carries out what it has no key for.
func (it *detoured) review(now int64) {
	if it.said.Kind == msg.Asks && it.saidAt != now {
		it.said = msg.Redirect{Kind: msg.Unready}
		it.hops--
	}
}

// goesWith reports whether the request may be sent together with one before it.
func (it *detoured) goesWith(to *Server, asks bool, now int64) bool {
	s, asked := it.target()
	return s == to && asked == asks && it.m.Owner != nil && it.againAt <= now && it.until > now && it.hops <= it.line.detours.pool.conf.Cluster.MaxRedirects
}

// target is the node that the request goes to next; nil: it is not known. asks: ASKING goes
// before it.
func (it *detoured) target() (to *Server, asks bool) {
	p := it.line.detours.pool
	switch {
	case it.isShare():
		return heirOf(&p.router, it.m), false
	case it.line.key.slot < 0:
		return p.otherThan(it.from, it.pauses), false
	case it.said.Kind != msg.Moved && it.said.Kind != msg.Asks:
		return p.ownerOfSlot(it.line.key.slot), false
	}
	to = p.named(it.from, it.said)
	if to == nil && it.said.Kind == msg.Moved && it.pauses > 0 {
		if owner := p.ownerOfSlot(it.line.key.slot); owner != it.from {
			to = owner // a newer map knows the slot's node by another address
		}
	}
	return to, it.said.Kind == msg.Asks
}

// send sends requests to a node, in their order. It reports whether it has done so.
func (l *line) send(run []*detoured, to *Server, asks bool) bool {
	p := l.detours.pool
	ctx := p.ctx
	conn, why := to.conn(run[0].lane, run[0].slot)
	if why != msg.OK {
		l.detours.want(topology.WantLost, to)
		return false
	}
	if conn.detour == nil {
		conn.detour = &connDetour{conn: conn}
	}
	for _, it := range slices.Clone(run) {
		m := it.m
		if m.Block() > 0 {
			if why := conn.proof.require(); why != msg.OK {
				it.leave()
				conn.failAll([]*msg.Msg{m}, why)
				continue
			}
			m.Ahead = int32(m.Block() + 2)
		}
		if asks {
			conn.sendAsking()
		}
		size := m.Kept.Len()
		kept := mbuf.Whole(&m.Kept)
		kept.AppendTo(ctx.bufs, conn.Out(), 0, size)
		if m.Via != nil {
			m.Via = conn
		}
		m.Sent, m.Keep = 0, true
		conn.enqueue(m, size)
		to.stats[stats.Requests]++
		to.stats[stats.RequestBytes] += int64(size)
		if !l.detours.isRead(m) {
			m.Party().Wrote(m, uint32(to.mark), isReached(conn))
		}
		it.detour = conn.detour
		conn.detour.n++
		l.inFlight++
	}
	if conn.detour.n == 0 {
		conn.detour = nil
	}
	return true
}

// sendAsking sends what must stand before a request that follows an ASK.
func (t *turnover) sendAsking() {
	c := t.of
	ctx := c.pool.ctx
	before := c.Out().Len()
	c.pool.proto.redirector.AppendAsking(ctx.bufs, c.Out())
	m := ctx.msgs.Get()
	m.Owner, m.NoReply = preface{ctx}, true
	c.enqueue(m, c.Out().Len()-before)
}

// A preface owns the reply to ASKING. If the node refuses it, the reply to the request
// behind it says so, too.
type preface struct{ ctx *Context }

// Party implements msg.Owner: the request is the proxy's.
func (a preface) Party() msg.Party { return nil }

// OnReply implements msg.Owner.
func (a preface) OnReply(m *msg.Msg, _ msg.Reply) { a.ctx.msgs.Put(m) }

// OnFailure implements msg.Owner.
func (a preface) OnFailure(m *msg.Msg) { a.ctx.msgs.Put(m) }

package proxy

import (
	"cmp"
	"slices"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// What a server says on a shared feed goes into its backlog. At the end of the turn it
// is told from there, in its order, to as many clients as a turn may tell; the rest
// follow in the next turns:
//
//	server ─► hears ─► backlog ─► members of the channel: their outputs ─► flush
//	                   one at a time, or as many messages of one channel as follow each other
//
// So nothing overtakes: a message comes before the pmessage of the same PUBLISH, and an
// answer to UNSUBSCRIBE, which follows that to a PING, behind the messages before it. If the backlog is long,
// the server is not read from.
//
// A message is stored once, or twice if clients in RESP2 and in RESP3 refer to it: the
// forms differ in one byte, and an output refers to whole ones. Small ones are copied into the clients' outputs, since a
// copy costs less than a reference. Large ones are shared. A client that does not read
// gets copies of those of middling size, too: a reference would keep the storage that
// other clients have done with.

const (
	// maxBacklog and maxBacklogBytes are how long a backlog may be before its server is
	// not read from.
	maxBacklog      = 256
	maxBacklogBytes = 1 << 20
	// keptBacklog is how much room an empty backlog keeps.
	keptBacklog = 2 * maxBacklog
	// spreadPart: a turn tells the clients of its budget divided by it.
	spreadPart = 2
)

// A saidKind is a kind of thing in a backlog.
type saidKind uint8

const (
	// saysMessage is a message of the channel.
	saysMessage saidKind = iota
	// saysBegun: the server has agreed to the channel. saysRefused: it has not agreed to
	// the refused channels. form is its error.
	saysBegun
	saysRefused
	// saysGone: the server has not the channel any more.
	saysGone
	// saysPong: the server has answered what the waiters wait for.
	saysPong
	// saysLost: the connection has ended.
	saysLost
)

// A said is something that clients are to be told.
type said struct {
	what    saidKind
	channel *sharedChannel
	// number is the message's among those of its channel.
	number uint64
	// form is the message as some clients get it, those in RESP2 or those in RESP3. other
	// is the same for the rest; empty: nobody has needed it. lent: outputs refer to form,
	// so that it must stay as it is.
	form, other mbuf.Chain
	lent        bool
	waiters     []*pingWaiter
	refusals    *refusals
}

// refusals are the channels whose members have yet to be told that the server does not
// agree.
type refusals struct{ channels []*sharedChannel }

// A backlog is what a server has said on a shared feed, and not all clients have been
// told.
type backlog struct {
	all []said
	// first is the one that clients are told now. run is how many messages are told
	// together; 0: that has not begun. at is how many members have been told.
	first, run, at int
	bytes          int
	// listed: it is among the fanout's.
	listed bool
}

// waits reports whether there is anything.
func (b *backlog) waits() bool { return b.first < len(b.all) }

// tells reports whether members of the channel are told something now.
func (b *backlog) tells(ch *sharedChannel) bool { return b.waits() && b.all[b.first].channel == ch }

// A fanout hands out what the backlogs of a loop have.
type fanout struct {
	ctx *Context
	// busy are the shared feeds whose backlogs have something.
	busy []*sharedFeed
	// asking are the clients that ask servers at the end of the turn for channels.
	asking []*subscriber
	// turn is the loop's turn that told and bytes are about: how many clients have been
	// told something, and how many bytes were copied for that.
	turn        uint64
	told, bytes int
	// cutAt is the turn in which slow clients were closed last.
	cutAt uint64
}

// work tells as many clients as this turn may. It reports whether some are left.
func (x *fanout) work() (more bool) {
	if n := x.ctx.loop.Turns(); n != x.turn {
		x.turn, x.told, x.bytes = n, 0, 0
	}
	for len(x.busy) > 0 {
		sf := x.busy[0]
		done := sf.spread(x)
		last := len(x.busy) - 1
		copy(x.busy, x.busy[1:])
		x.busy[last] = sf
		if !done { // the next turn begins with another one
			return true
		}
		sf.listed = false
		x.busy[last] = nil
		x.busy = x.busy[:last]
		sf.settle()
	}
	return false
}

// room reports whether one more client may be told something in this turn, and counts
// it.
func (x *fanout) room() bool {
	t := &x.ctx.turn
	if x.told >= max(1, t.budget.Clients/spreadPart) || x.bytes >= t.budget.Bytes || x.told > 0 && t.spent.Keys >= t.budget.Keys {
		return false
	}
	x.told++
	t.countAtOnce(Amount{Clients: 1})
	return true
}

// put adds something to the backlog.
func (sf *sharedFeed) put(s said) {
	b := &sf.backlog
	b.bytes += s.form.Len()
	b.all = append(b.all, s)
	x := &sf.server.pool.ctx.fanout
	if !b.listed {
		b.listed = true
		x.busy = append(x.busy, sf)
	}
	if c := sf.conn; !c.held && c.Attached() && (len(b.all)-b.first > maxBacklog || b.bytes > maxBacklogBytes) {
		c.held = true
		c.PauseRead()
	}
}

// readOn has the server read from again when the backlog is short enough.
func (sf *sharedFeed) readOn() {
	b, c := &sf.backlog, sf.conn
	if !c.held || !c.Attached() || len(b.all)-b.first > maxBacklog/2 || b.bytes > maxBacklogBytes/2 {
		return
	}
	c.held = false
	putOffDeadlines(c)
	c.ResumeRead()
}

// next goes on to what comes behind the first n.
func (sf *sharedFeed) next(n int) {
	b, bufs := &sf.backlog, sf.server.pool.ctx.bufs
	for i := range b.all[b.first : b.first+n] {
		s := &b.all[b.first+i]
		b.bytes -= s.form.Len()
		s.form.Release(bufs)
		s.other.Release(bufs)
		*s = said{}
	}
	b.first, b.run, b.at = b.first+n, 0, 0
	switch {
	case !b.waits():
		b.all, b.first = b.all[:0], 0
		if cap(b.all) > keptBacklog {
			b.all = nil
		}
	case b.first >= keptBacklog: // it may never be empty
		rest := copy(b.all, b.all[b.first:])
		clear(b.all[rest:])
		b.all, b.first = b.all[:rest], 0
	}
	sf.readOn()
}

// plain is a session in RESP2.
var plain msg.Session

// message puts a message into the backlog.
func (sf *sharedFeed) message(ch *sharedChannel, r msg.Reply) {
	p := sf.server.pool
	s := said{channel: ch, number: ch.next}
	p.proto.messenger.AppendMessage(ch.kind, r, "", &plain, p.ctx.bufs, &s.form)
	if s.form.Len() == 0 { // it is for nobody
		return
	}
	ch.next++
	sf.put(s)
}

// spread tells clients what the backlog has, as many as the turn has room for. It
// reports whether the backlog is empty.
func (sf *sharedFeed) spread(x *fanout) (done bool) {
	b := &sf.backlog
	for b.waits() {
		n := 1
		switch s := &b.all[b.first]; s.what {
		case saysMessage:
			n, done = sf.tellMessages(x)
		case saysBegun:
			done = sf.tellBegun(x, s.channel)
		case saysRefused:
			done = sf.tellRefused(x, s.refusals)
		case saysGone:
			done = sf.tellMembers(x, s.channel, func(f *feed) { f.subs.lose() })
		case saysPong:
			done = sf.tellPong(x, s.waiters)
		case saysLost:
			done = sf.tellLost(x)
		}
		if !done {
			return false
		}
		sf.next(n)
	}
	return true
}

// tellMembers calls tell for each member of a channel.
func (sf *sharedFeed) tellMembers(x *fanout, ch *sharedChannel, tell func(f *feed)) (done bool) {
	for sf.at < len(ch.members) {
		if !x.room() {
			return false
		}
		f := ch.members[sf.at].feed
		sf.at++
		if !f.gone {
			tell(f)
		}
	}
	return true
}

// tellBegun tells the members of a channel that wait for it that they listen now.
func (sf *sharedFeed) tellBegun(x *fanout, ch *sharedChannel) (done bool) {
	for sf.at < len(ch.members) {
		if !x.room() {
			return false
		}
		m := &ch.members[sf.at]
		sf.at++
		if m.from == notBegun {
			m.from = 0
			f := m.feed
			if f.pending--; !f.gone {
				f.hasAnswers()
			}
		}
	}
	return true
}

// tellRefused tells the members of channels that the server does not agree.
func (sf *sharedFeed) tellRefused(x *fanout, r *refusals) (done bool) {
	for ; len(r.channels) > 0; r.channels = r.channels[1:] {
		ch := r.channels[0]
		for len(ch.members) > 0 {
			if !x.room() {
				return false
			}
			f := ch.members[len(ch.members)-1].feed
			sf.unseat(ch, f)
			if f.gone {
				continue
			}
			switch s := f.subs; {
			case s.move != nil:
				s.move.failed = true
			case s.asks == nil || s.asks.what.Ends || !s.asks.isFresh(ch.kind, ch.name):
				f.refused()
			case f.asked != nil && s.asks.refusal.Len() == 0:
				v := mbuf.Whole(&sf.all[sf.first].form)
				v.AppendTo(sf.server.pool.ctx.bufs, &s.asks.refusal, 0, v.Len())
				s.asks.refuser = sf.server
			}
			f.hasAnswers()
		}
		if sf.channels[ch.kind][ch.name] == ch {
			sf.forget(ch)
		}
	}
	return true
}

// tellPong goes on with those who have waited for the server.
func (sf *sharedFeed) tellPong(x *fanout, waiters []*pingWaiter) (done bool) {
	for sf.at < len(waiters) {
		if !x.room() {
			return false
		}
		w := waiters[sf.at]
		sf.at++
		sf.goOn(w)
	}
	return true
}

// tellLost tells all clients that the connection has ended.
func (sf *sharedFeed) tellLost(x *fanout) (done bool) {
	for len(sf.feeds) > 0 {
		if !x.room() {
			return false
		}
		f := sf.feeds[len(sf.feeds)-1]
		sf.remove(f)
		asked := f.asked != nil
		f.asked = nil
		f.evicted(f.conn)
		if a := f.subs.asks; asked && a != nil {
			a.why = sf.why
		}
		f.done(asked)
	}
	return true
}

// hasAnswers ends what the client waits for, if the feed has all answers.
func (f *feed) hasAnswers() {
	if f.pending == 0 {
		asked := f.asked != nil
		f.asked = nil
		f.done(asked)
	}
}

// tellMessages tells the members of a channel the first messages of the backlog, n of
// them, which are all of that channel.
func (sf *sharedFeed) tellMessages(x *fanout) (n int, done bool) {
	b := &sf.backlog
	first := &b.all[b.first]
	ch, number := first.channel, first.number
	if b.run == 0 {
		for b.run = 1; b.first+b.run < len(b.all) && b.all[b.first+b.run].channel == ch && b.all[b.first+b.run].what == saysMessage; b.run++ {
			continue
		}
	}
	n = b.run
	for b.at < len(ch.members) {
		if !x.room() {
			return n, false
		}
		m := &ch.members[b.at]
		b.at++
		if m.from >= notYet {
			continue
		}
		f, known := m.feed, max(m.from, number)-number
		m.from = max(m.from, number+uint64(n))
		for i := known; i < uint64(n) && !f.gone; i++ {
			x.tell(&b.all[b.first+int(i)], f)
		}
	}
	return n, true
}

// tell gives a message to the client of a feed.
func (x *fanout) tell(s *said, f *feed) {
	subs := f.subs
	c := subs.client
	if c.state != clientOpen || c.leaveBy != 0 {
		return
	}
	out, shown := c.Out(), ""
	if subs.asks != nil || subs.move != nil || subs.renames {
		at, known := subs.listens[s.channel.kind].at(s.channel.name)
		if !known || !subs.takes(at, f) {
			return
		}
		shown = at.shown
		out = subs.outletFor(s.channel.kind, s.channel.name)
	}
	p := c.pool
	before := out.Len()
	if shown != "" {
		s.appendRenamed(c, shown, out)
	} else {
		x.appendForm(s, s.formFor(&c.session, p.ctx.bufs), c, out)
	}
	subs.heardOf(out.Len() - before)
}

// formFor is the message as a client of that session gets it. The forms differ in their
// first byte. There is a second one only if outputs refer to both.
func (s *said) formFor(session *msg.Session, bufs *mbuf.Pool) *mbuf.Chain {
	mark := byte('*')
	if session.Lane.IsRESP3() {
		mark = '>'
	}
	head := s.form.Head().Bytes()
	switch {
	case head[0] == mark:
		return &s.form
	case !s.lent:
		head[0] = mark
		return &s.form
	case s.other.Len() == 0:
		s.other.Reserve(bufs, s.form.Len())
		for k := s.form.Head(); k != nil; k = k.Next() {
			s.other.Append(bufs, k.Bytes())
		}
		s.other.Head().Bytes()[0] = mark
	}
	return &s.other
}

// appendForm appends a message to a client's output: a copy if it is small, otherwise
// by reference.
func (x *fanout) appendForm(s *said, form *mbuf.Chain, c *client, out *mbuf.Chain) {
	bufs, n := x.ctx.bufs, form.Len()
	lags := n < mbuf.MediumSize && c.Out().Len() > outFull
	if n >= mbuf.ShareMin && !lags {
		s.lent = true
		out.AppendShared(bufs, form)
		return
	}
	x.bytes += n
	for k := form.Head(); k != nil; k = k.Next() {
		out.Append(bufs, k.Bytes())
	}
}

// appendRenamed appends a message whose channel the client calls by another name.
func (s *said) appendRenamed(c *client, shown string, out *mbuf.Chain) {
	p := c.pool
	var text mbuf.Chain
	s.lent = true
	text.AppendShared(p.ctx.bufs, &s.form)
	p.proto.messenger.AppendMessage(s.channel.kind, msg.Reply{Chain: &text}, shown, &c.session, p.ctx.bufs, out)
	text.Release(p.ctx.bufs)
}

// heardOf is called when n bytes of a message have been written for the client. It
// bounds what waits for it to read.
func (s *subscriber) heardOf(n int) {
	c := s.client
	p := c.pool
	v := &p.stats.Values
	v[stats.Messages]++
	v[stats.MessageBytes] += int64(n)
	c.Flush()
	waiting, limit := int64(c.Out().Len()+heldLen(s)), p.conf.PubSub.OutputLimit
	switch p.ctx.memory.weigh(); {
	case limit > 0 && waiting > limit:
		c.cut(msg.OutputLimit)
	case p.ctx.memory.full && waiting > outFull:
		p.ctx.fanout.cutSlowest(p)
	}
}

// cutSlowest closes clients of the pool that listen and do not read, those first for
// which most waits, until there is memory again. It does so once in a turn.
func (x *fanout) cutSlowest(p *ServerPool) {
	m := &x.ctx.memory
	at := x.ctx.loop.Turns()
	if x.cutAt == at {
		return
	}
	x.cutAt = at
	var slow []holder
	for c := range p.clients.all() {
		if n := c.Out().Len(); listens(c) && n > outFull {
			slow = append(slow, holder{c, n})
		}
	}
	slices.SortFunc(slow, func(a, b holder) int { return cmp.Compare(b.bytes, a.bytes) })
	for _, h := range slow {
		if !m.full {
			return
		}
		h.cut(msg.NoMemory)
		m.weigh()
	}
}

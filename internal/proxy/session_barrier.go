package proxy

import "nuthatch/internal/msg"

// Whoever begins or ends to listen on a shared feed to a channel that others listen to
// waits for what the server has said before:
//
//	client              shared feed        server
//	SUBSCRIBE a    ─►   PING    ─►
//	                            ◄─   messages of before: they are not the client's
//	               ◄─           ◄─   pong: what follows is
//	UNSUBSCRIBE a  ─►   PING    ─►
//	               ◄─           ◄─   messages of before: they are the client's
//	               ◄─           ◄─   pong: what follows is not
//
// So it hears what it would hear on a connection of its own. One PING will do for all
// that begin to wait before it is sent. If nobody is left in the channel, the server is
// told, and the client's answer waits for the server's.

// barriers are what a shared feed's server has not answered, and somebody may wait for.
type barriers struct {
	of *sharedFeed
	// pings are the PINGs, and parting the requests to listen no more for which somebody
	// waits.
	pings   fifo[*sharedPing]
	parting fifo[parting]
	// pinged is how many PINGs were made for somebody who waits.
	pinged uint64
}

// A sharedPing is a PING, and those that wait for what the server says before its
// answer. Each that somebody waits for has a number.
type sharedPing struct {
	m       *msg.Msg
	number  uint64
	waiters []*pingWaiter
}

// A pingWaiter is a feed that waits for the answer to a PING, and what it does then.
type pingWaiter struct {
	// feed is nil if it waits no more. next is another one of the same feed.
	feed *feed
	next *pingWaiter
	what afterPing
	// kind and names are the channels that it joins or leaves.
	kind  msg.Channels
	names []string
	// number is that of the PING.
	number uint64
}

// An afterPing is what a waiter does when the server has answered.
type afterPing uint8

const (
	// goesOn: it has waited, and that is all.
	goesOn afterPing = iota
	// joins: it has the messages of the channels from then on.
	joins
	// leaves: it has them no more.
	leaves
)

// A parting is a request to listen no more that a waiter waits for.
type parting struct {
	m *msg.Msg
	w *pingWaiter
}

// isUnsent reports whether nothing of a request has been sent.
func (b *barriers) isUnsent(m *msg.Msg) bool { return b.of.conn.sent+uint64(m.Len) <= m.End }

// sendPing sends PING.
func (b *barriers) sendPing() *sharedPing {
	p := &sharedPing{m: sendPing(b.of.conn, b.of)}
	b.of.owed++
	b.pings.push(p)
	return p
}

// barrier is the PING whose answer comes behind all that the server has said until now.
func (b *barriers) barrier() *sharedPing {
	if last := b.pings.last(); last != nil && last.number != 0 && b.isUnsent(last.m) {
		return last
	}
	p := b.sendPing()
	b.pinged++
	p.number = b.pinged
	return p
}

// await has a feed wait for all that the server has said until now. It returns what
// stands for the answer.
func (b *barriers) await(w *pingWaiter) *msg.Msg {
	if b.of.over {
		return &sharedAnswer // tellLost ends that
	}
	p, f := b.barrier(), w.feed
	w.number = p.number
	w.next, f.waiting = f.waiting, w
	f.pending++
	p.waiters = append(p.waiters, w)
	return &sharedAnswer
}

// goOn has a waiter go on: the server has answered.
func (b *barriers) goOn(w *pingWaiter) {
	f := w.feed
	if f == nil || f.gone {
		return
	}
	switch w.what {
	case goesOn:
	case joins:
		b.admit(w)
	case leaves:
		w.what = goesOn
		if m := b.of.leave(f, w.kind, w.names); m != nil {
			b.parting.push(parting{m, w})
			return
		}
	}
	for at := &f.waiting; *at != nil; at = &(*at).next {
		if *at == w {
			*at = w.next
			break
		}
	}
	f.pending--
	f.hasAnswers()
}

// admit has a waiter get the messages of the channels that it joins.
func (b *barriers) admit(w *pingWaiter) {
	for _, name := range w.names {
		ch := b.of.channels[w.kind][name]
		if ch == nil {
			continue
		}
		if at, there := b.of.seats[seat{ch, w.feed}]; there && ch.members[at].from == notYet|w.number {
			ch.members[at].from = 0
		}
	}
}

// hasParted tells who waits for a request to listen no more that it has been answered.
func (b *barriers) hasParted(m *msg.Msg) {
	if head := b.parting.first(); head.m == m {
		b.parting.pop()
		b.of.put(said{what: saysPong, waiters: []*pingWaiter{head.w}})
	}
}

// waitNoMore ends the waiting of the feed. What it wanted to leave it leaves at once.
func (f *feed) waitNoMore() {
	for w := f.waiting; w != nil; w = w.next {
		if w.what == leaves {
			f.shared.leave(f, w.kind, w.names)
		}
		w.feed = nil
		f.pending--
	}
	f.waiting = nil
}

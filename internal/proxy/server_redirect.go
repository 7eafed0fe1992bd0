package proxy

import (
	"time"

	"nuthatch/internal/hashkit"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// A node of a cluster may not carry a request out, and say so. Its client does not see
// that: the request is sent again.
//
//	MOVED slot node      the slot is that node's        there
//	ASK slot node        the key may be there already   there, behind ASKING
//	TRYAGAIN             some keys are here, some there key by key or, after a pause, as it is
//	CLUSTERDOWN, LOADING,
//	READONLY, MASTERDOWN the node is not ready          after a pause, where the map says
//	the end of the connection, if nothing was sent      likewise
//
// What a client sends about one slot is a line (server_redirect_line.go), from the first of
// these refusals on. It keeps the client's order. The client is not read from until all of
// its requests are answered, so that no later request can overtake.

// A Redirector is a protocol of clusters.
type Redirector interface {
	// Redirect reads how a reply says that its request was not carried out.
	Redirect(r msg.Reply) msg.Redirect
	// AppendAsking appends the request that must stand before one that follows an ASK.
	AppendAsking(p *mbuf.Pool, out *mbuf.Chain)
}

const (
	// detourTime is how long, in nanoseconds, a request is sent again at the most if the pool
	// has no timeout.
	detourTime = int64(10 * time.Second)
	// detourPause is how long, in nanoseconds, the first pause is before a node is asked again
	// that was not ready. Each further one is twice as long, up to detourPauseMost.
	detourPause     = int64(10 * time.Millisecond)
	detourPauseMost = int64(160 * time.Millisecond)
)

// overtaken is what a client gets whose request cannot be sent again.
var (
	textOvertaken = []byte("-TRYAGAIN the slot was moved while requests were under way: this one was not carried out, and a later one was\r\n")
	textLate      = []byte("-TRYAGAIN the node of this key was not found in time; the request was not carried out\r\n")
	textTooMany   = []byte("-TRYAGAIN too many redirects; the request was not carried out\r\n")
)

// A detours is a pool's requests that nodes of its cluster have not carried out.
type detours struct {
	pool *ServerPool
	// lines are the requests by client and slot, inOrder in the order in which they began. all are
	// those in them.
	lines   map[lineKey]*line
	inOrder list[*line]
	all     map[*msg.Msg]*detoured
}

type lineKey struct {
	party msg.Party
	slot  int
}

// A detoured is a request in a line.
type detoured struct {
	m    *msg.Msg
	line *line
	// detour is that of the connection on which it is under way; nil: it waits to be sent
	// again.
	detour *connDetour
	// lane and slot are those of its connection.
	lane, slot int
	// keys are the hashes of its keys.
	keys []uint32
	// said is what it was told last, and from is who said so.
	said msg.Redirect
	from *Server
	// text is how it was refused last by a node that was found; nil: it was not.
	text []byte
	// hops is how often it was told of another node, and pauses how often to wait.
	hops, pauses int
	// saidAt is when that was.
	saidAt int64
	// againAt is when it is sent again at the earliest, and until is until when it may be.
	againAt, until int64
}

// A connDetour is the part of a connection's requests that stand in lines.
type connDetour struct {
	conn *serverConn
	// n is how many there are.
	n int
	// said is how the reply that has just come says that its request was not carried out.
	said msg.Redirect
	// block is a transaction of which a command was not queued, and blockSaid why.
	block     *msg.Msg
	blockSaid msg.Redirect
	// text is the reply that says so.
	text []byte
}

// followSlots fits the pool to its snapshot, which may be that of a cluster, or none any
// more.
func followSlots(p *ServerPool) {
	switch is := p.bySlot && p.proto.redirector != nil; {
	case is && p.detours == nil:
		p.detours = &detours{pool: p, lines: make(map[lineKey]*line), all: make(map[*msg.Msg]*detoured)}
	case !is && p.detours != nil:
		p.detours.end()
		p.detours = nil
	}
	p.keeping = keepingOf(p)
	followReads(p)
}

// hear notes that an error reply, to the request at the head of the queue, says that the
// request was not carried out. It reports whether it says so.
func (t *turnover) hear(r msg.Reply) bool {
	c := t.of
	head := c.queue.Head()
	said := c.pool.proto.redirector.Redirect(r)
	o := c.detour
	if said.Kind == msg.Carried && (o == nil || o.block != head || head.Ahead != 0) {
		return false
	}
	if o == nil {
		o = &connDetour{conn: c}
		c.detour = o
	}
	switch {
	case head.Ahead > 0:
		o.block, o.blockSaid = head, said
		o.text = nodesOwn(said, r)
	case said.Kind == msg.Carried:
		o.said = o.blockSaid
	default:
		o.said = said
		o.text = nodesOwn(said, r)
	}
	return true
}

// nodesOwn is what the client may get of what a node has said, if nothing better comes; nil:
// nothing, since the node sends it elsewhere.
func nodesOwn(said msg.Redirect, r msg.Reply) []byte {
	if said.Kind == msg.TriesAgain || said.Kind == msg.Unready {
		return textOf(r)
	}
	return nil
}

// isRedirected reports whether the reply to a transaction says that it was not carried out,
// and may be elsewhere.
func (t *turnover) isRedirected(r msg.Reply) bool {
	return t.of.pool.detours != nil && mayBeError(r) && t.hear(r)
}

// takes reports whether the reply to the request at the head of the queue is dropped,
// because the request is sent again.
func (o *connDetour) takes() (taken bool) {
	c := o.conn
	d := c.pool.detours
	m, said := c.queue.Head(), o.said
	o.said = msg.Redirect{}
	if o.block == m {
		o.block = nil
	}
	it := d.all[m]
	switch {
	case said.Kind == msg.Carried && it == nil:
	case m.Owner == nil:
		if it != nil {
			it.leave()
		}
	case said.Kind == msg.Carried:
		taken = it.answered()
	case c.private != nil && !m.Keep || c.private != nil && m.Block() > 0:
		taken = o.refusedAlone(m, said)
	default:
		taken = o.refused(m, said)
	}
	if o.n == 0 && o.block == nil && c.detour == o {
		c.detour = nil
	}
	return taken
}

// refused puts m, which the node did not carry out, into its line.
func (o *connDetour) refused(m *msg.Msg, said msg.Redirect) (taken bool) {
	c := o.conn
	d := c.pool.detours
	d.count(c.server, said)
	it := d.all[m]
	if it == nil {
		if !m.Keep || c.discarded > 0 {
			return false
		}
		d.enlist(c, m.Party())
		if it = d.all[m]; it == nil {
			return false // it has no key: the client may get what the node says
		}
	}
	c.dequeue()
	isProven(c, true, false)
	it.refused(said)
	it.line.pump()
	return true
}

// refusedAlone handles the refusal of a request that the client's private connection
// carried, and that is not sent again.
func (o *connDetour) refusedAlone(m *msg.Msg, said msg.Redirect) (taken bool) {
	c := o.conn
	p := c.pool
	ctx := p.ctx
	p.detours.count(c.server, said)
	switch {
	case c.private.hasWatched(m): // a watched key may have changed at the other node
		c.dequeue()
		c.private.answerTouched(m)
		return true
	case p.commands[m.Type].Name == "watch" && said.Kind != msg.Unready:
		// Its EXEC will say that the keys have changed.
		c.dequeue()
		m.Owner.OnReply(m, msg.Reply{Flat: []byte("+OK\r\n")})
		c.private.withdraw(ctx.loop.Now() + demotedTime)
		return true
	}
	return false
}

// count counts a redirect, and has the map of the cluster mended.
func (d *detours) count(s *Server, said msg.Redirect) {
	switch said.Kind {
	case msg.Carried:
	case msg.Moved:
		s.stats[stats.RedirectsMoved]++
		d.patch(s, said)
	case msg.Asks:
		s.stats[stats.RedirectsAsked]++
	case msg.TriesAgain:
		s.stats[stats.RedirectsTryAgain]++
	case msg.Unready:
		s.stats[stats.RedirectsUnready]++
		d.want(topology.WantDown, s)
	}
}

// patch has the keys of a slot go where s has said that they are, and has the whole map
// asked for. One MOVED of a burst does that, since the others find it done.
func (d *detours) patch(s *Server, said msg.Redirect) {
	to := d.pool.named(s, said)
	switch {
	case to == nil:
		d.want(topology.WantUnknown, s)
	case to != d.pool.ownerOfSlot(said.Slot):
		why := topology.WantMoved
		if isReplica(&d.pool.router, to) { // it has the place of s, and of all its slots
			why = topology.WantReadOnly
		}
		d.pool.topo.MoveSlot(said.Slot, to.health, d.pool.ctx.loop.Now())
		d.want(why, s)
	}
}

// want asks for a newer map.
func (d *detours) want(why topology.Want, from *Server) { d.pool.topo.WantMap(why, from.health) }

// enlist puts all of a client's requests on the connection into lines. They keep their
// places in the connection's queue.
func (d *detours) enlist(c *serverConn, party msg.Party) {
	c.breakUpAll(party)
	parser := d.pool.proto.NewRequestParser()
	for m := range c.queue.All() {
		if m.Party() != party || !m.Keep || d.all[m] != nil {
			continue
		}
		if it := d.detoured(parser, m, c, false); it != nil {
			it.detour = c.detour
			c.detour.n++
			it.line.inFlight++
		}
	}
	party.AwaitReplies()
}

// detoured puts m, which was on c, at the end of its line. If it has no keys, it is for
// any node: there is a line for such requests if anywhere is true, and else it is nil.
func (d *detours) detoured(parser msg.RequestParser, m *msg.Msg, c *serverConn, anywhere bool) *detoured {
	it := &detoured{m: m, lane: c.lane.at, slot: c.slot, from: c.server}
	slot := it.read(parser)
	if slot < 0 && !anywhere {
		return nil
	}
	key := lineKey{m.Party(), slot}
	l := d.lines[key]
	if l == nil {
		l = d.begin(key)
	}
	it.line = l
	l.list = append(l.list, it)
	d.all[m] = it
	return it
}

// read finds the keys of the request, or its shard channel, and returns their slot; -1: there is
// neither.
func (it *detoured) read(parser msg.RequestParser) (slot int) {
	m := it.m
	slot = -1
	if m.Block() == 0 {
		done := false
		for k := m.Kept.Head(); k != nil && !done; k = k.Next() {
			var err *msg.ProtocolError
			if _, done, err = parser.Parse(k.Bytes()); err != nil {
				return -1
			}
		}
		if !done {
			return -1
		}
		return it.note(parser.FinishChain(&m.Kept), slot)
	}
	for rest := m.Kept.AppendTo(nil); len(rest) > 0; {
		n, done, err := parser.Parse(rest)
		if err != nil || !done {
			return -1
		}
		slot = it.note(parser.Finish(rest[:n]), slot)
		rest = rest[n:]
	}
	return max(slot, 0) // a transaction without keys goes where an empty key would
}

// note notes the keys of a request, or of a command of a transaction.
func (it *detoured) note(req *msg.Request, slot int) int {
	var key []byte
	for i := range req.Nkeys {
		k := req.Key(i)
		key, _ = req.View.Bytes(int(k.Off), int(k.Len), nil)
		it.keys = append(it.keys, hashkit.FNV1a_64.Sum(key))
	}
	place := req.PlaceKey
	if req.Treatment == msg.Publish {
		if kind, channel := it.from.pool.proto.messenger.Published(req); kind == msg.ShardChannels {
			it.keys = append(it.keys, hashkit.FNV1a_64.Sum(channel))
			place = channel
		}
	}
	switch {
	case slot >= 0:
	case req.Nkeys > 0:
		slot = clusterSlot(key)
	case place != nil:
		slot = clusterSlot(place)
	}
	return slot
}

// lost takes the requests of a connection that has ended out of their lines. Nobody knows
// which of them were carried out.
func (d *detours) lost(lost []*msg.Msg) {
	for _, m := range lost {
		if it := d.all[m]; it != nil {
			it.done(it.overtaken())
		}
	}
	d.goOnSoon()
}

// saves reports whether requests of a lost connection may be sent again by way of lines.
func (d *detours) saves(c *serverConn, why msg.Reason) bool {
	if d == nil || c.private != nil || c.unfit != msg.OK {
		return false
	}
	switch why {
	case msg.ServerEOF, msg.ConnReset, msg.BrokenPipe, msg.ConnRefused, msg.HostUnreachable, msg.NetUnreachable, msg.HostDown:
		return true
	case msg.ConnReplaced:
		return c.deposed
	default:
		return false
	}
}

// adopt puts requests of a lost connection, of which nothing was carried out, into lines.
// It returns those that have no place there.
func (d *detours) adopt(c *serverConn, again []*msg.Msg) (lost []*msg.Msg) {
	parser := d.pool.proto.NewRequestParser()
	for _, m := range again {
		it := d.all[m]
		switch {
		case it != nil:
			it.detour.n--
			it.line.inFlight--
			it.detour = nil
		case m.Owner != nil && m.Keep:
			it = d.detoured(parser, m, c, true)
		}
		if it == nil {
			lost = append(lost, m)
			continue
		}
		it.wait(msg.Redirect{Kind: msg.Unready})
		c.server.stats[stats.AskedAgain]++
		m.Party().AwaitReplies()
	}
	d.want(topology.WantLost, c.server)
	d.goOnSoon()
	return lost
}

// goOnSoon has all lines looked at in this turn or the next.
func (d *detours) goOnSoon() {
	ctx := d.pool.ctx
	ctx.nextDetour = soonest(ctx.nextDetour, ctx.loop.Now())
}

// mapChanged has what waits for another map looked at.
func (d *detours) mapChanged() {
	if d == nil || len(d.lines) == 0 {
		return
	}
	for _, it := range d.all {
		it.againAt = 0
	}
	d.goOnSoon()
}

// end gives all clients an error whose requests wait to be sent again: the pool is no
// cluster any more.
func (d *detours) end() {
	for l := range d.everyLine() {
		for _, it := range append([]*detoured(nil), l.list...) {
			if it.detour == nil {
				it.fail(textLate)
			}
		}
	}
}

// goOnDetours sends again what may be sent now, and sets when to look next.
func (t *timers) goOnDetours() {
	t.nextDetour = 0
	for _, pools := range [][]*ServerPool{t.ctx.pools, t.ctx.leaving.pools} {
		for _, p := range pools {
			if p.detours == nil {
				continue
			}
			for l := range p.detours.everyLine() {
				l.pump()
			}
		}
	}
}

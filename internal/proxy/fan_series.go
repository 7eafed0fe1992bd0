package proxy

import (
	"slices"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A node of a cluster takes no request for keys of two slots. So a request for many keys
// becomes about as many requests, most of them for one key. A message for each would cost
// ten times as much as their bytes do. So those for one key that go to the same node are a
// series, with one message for all:
//
//	MGET a b c d ─┬─► series: MGET a, MGET c ─► node 1 ─► two replies, joined to one ─┐
//	              ├─► MGET b                 ─► node 2 ─► its reply ──────────────────┼─► merge
//	              └─► MGET {d}1 {d}2         ─► node 2 ─► its reply ──────────────────┘
//
// From the first reply on that is not as usual, a series is broken up: each request that is
// not answered becomes a message of its own, in its place (server_series.go). So an error, a
// redirect or the end of a connection means for each of them what it always means.

// A Sequencer is a protocol that can join the replies to a series.
type Sequencer interface {
	// InSeries reports whether parts of req for one key each can stand in a series.
	InSeries(req *msg.Request) bool
	// FragmentSeries appends requests for one of req's keys each: that for key i to
	// outs[dealt[i]], unless that is nil.
	FragmentSeries(req *msg.Request, dealt []uint16, p *mbuf.Pool, outs []*mbuf.Chain)
	// JoinReplies joins the replies to the series m that stand at the beginning of data, while
	// they are whole, short and as usual. It returns how many they are, and how long.
	JoinReplies(m *msg.Msg, data []byte, p *mbuf.Pool, joined *mbuf.Chain) (n, size int)
	// JoinReply joins one reply, if it is as usual.
	JoinReply(m *msg.Msg, r msg.Reply, p *mbuf.Pool, joined *mbuf.Chain) bool
	// EndJoin completes what has been joined, if it makes a reply. More replies may be pending:
	// then it is the reply for the first keys.
	EndJoin(m *msg.Msg, p *mbuf.Pool, joined *mbuf.Chain) bool
}

// makesSeries reports whether parts of the request are sent in series. They are kept until
// they are answered. What goes on private connections is not, since replies there are not
// all to requests. Nor is what may go to replicas, of which each part may be sent elsewhere.
func (n fan) makesSeries(req *msg.Request) bool {
	p := n.c.pool
	return p.bySlot && p.choice == nil && n.parent.Keep && n.c.own == nil && p.proto.sequencer != nil && p.proto.sequencer.InSeries(req)
}

// splitInSeries is split for requests that makesSeries is true of.
func (n fan) splitInSeries(req *msg.Request) {
	p, parent := n.c.pool, n.parent
	ctx := p.ctx
	d := &ctx.deal
	p.findSeries(d)
	parent.Nkeys = int32(req.Nkeys)
	plain := false
	d.outs, d.series, d.starts, d.places = d.outs[:0], d.series[:0], d.starts[:0], d.places[:0]
	for i := range d.shares {
		share := &d.shares[i]
		node := p.seriesOf(d, share)
		if node != nil && node.at > 0 {
			d.places = append(d.places, node.at-1)
			continue
		}
		d.places = append(d.places, uint16(len(parent.Frags)))
		f, conn := n.addConnected(share.server)
		f.Nkeys = share.keys
		d.starts = append(d.starts, start{conn: conn})
		out, series := (*mbuf.Chain)(nil), (*mbuf.Chain)(nil)
		if node != nil {
			node.at = uint16(len(parent.Frags))
			f.Nkeys = node.keys
		}
		switch f.Keep = true; {
		case conn == nil:
		case node != nil:
			series = &f.Kept
			f.Ahead, f.Pending = msg.Series, f.Nkeys
		default:
			out, plain = &f.Kept, true
			p.proto.FragmentHead(req, int(f.Nkeys), ctx.bufs, out)
		}
		d.outs, d.series = append(d.outs, out), append(d.series, series)
	}
	clear(d.nodes)
	for i, share := range d.to {
		d.to[i] = d.places[share]
	}
	ctx.msgs.SetSeq(parent, d.to)
	if plain {
		p.proto.FragmentKeys(req, 0, d.to, ctx.bufs, d.outs)
	}
	p.proto.sequencer.FragmentSeries(req, d.to, ctx.bufs, d.series)
	for i, f := range parent.Frags {
		if conn := d.starts[i].conn; conn != nil {
			n.send(f, conn, 0)
			if f.Ahead == msg.Series {
				conn.server.stats[stats.Requests] += int64(f.Nkeys - 1)
			}
		}
	}
	p.stats.Values[stats.Fragments] += int64(len(d.shares) - len(parent.Frags))
	n.sent()
}

// BreakUp implements msg.Party.
func (d *dispatch) BreakUp(m *msg.Msg, joined *mbuf.Chain) (next []*msg.Msg) {
	ctx, parent := d.client.pool.ctx, m.Parent
	n := fan{d.client, parent}
	left := int(m.Pending)
	at := slices.Index(parent.Frags, m)
	parent.Pending += int32(left - 1)
	places := make([]uint16, 0, m.Nkeys)
	if answered := m.Nkeys - m.Pending; answered > 0 {
		for range answered {
			places = append(places, uint16(len(parent.Frags)))
		}
		n.addAnswered(m, answered, joined)
	}
	places = append(places, uint16(at))
	for range left - 1 {
		places = append(places, uint16(len(parent.Frags)))
		next = append(next, n.add(nil))
	}
	for i, place := range parent.Seq {
		if int(place) == at {
			parent.Seq[i], places = places[0], places[1:]
		}
	}
	if m.Come() > 0 { // it counts what was joined
		ctx.msgs.SetCome(parent, parent.Come()-m.Come())
		ctx.msgs.SetCome(m, 0)
	}
	return next
}

// addAnswered adds a fragment for those keys of the series m that are answered.
func (n fan) addAnswered(m *msg.Msg, keys int32, joined *mbuf.Chain) {
	p := n.c.pool
	f := n.add(nil)
	f.Nkeys, f.Via, f.Sent, f.Done, f.Replied = keys, m.Via, m.Sent, true, p.ctx.loop.Now()
	switch {
	case n.parent.Err != msg.OK:
		f.Err = n.parent.Err
	case !p.proto.sequencer.EndJoin(m, p.ctx.bufs, joined):
		f.Err = msg.BadReply
	default:
		f.Reply.Splice(p.ctx.bufs, joined)
		n.c.hold(n.parent, n.parent.Held+f.Reply.Len())
	}
}

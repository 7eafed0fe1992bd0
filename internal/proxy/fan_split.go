package proxy

import (
	"slices"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A deal says which server gets which of a request's keys. It is scratch space.
type deal struct {
	// to has, for each key, the index of its share in shares.
	to     []uint16
	shares []share
	// keys are some of the keys. gathered holds those that lie in two chunks.
	keys     [dealBlock][]byte
	gathered []byte
	// outs are the outputs that the shares are written to. starts are where the shares
	// begin in them.
	outs   []*mbuf.Chain
	starts []start
	// nodes are the series that the nodes of a cluster get, series the outputs that these
	// are written to, and places where the shares are among the fragments.
	//
	// Invariant: nodes are zero between requests.
	nodes  []nodeSeries
	series []*mbuf.Chain
	places []uint16
}

// A start is where a share begins in a connection's output; conn is nil if there is no
// connection.
type start struct {
	conn  *serverConn
	begin int
}

// dealBlock is how many keys are placed at a time.
const dealBlock = 64

// fragment sends one sub-request to each server that owns some of the request's keys.
// If one server owns all, the request goes to it as it is.
func (d *dispatch) fragment(req *msg.Request) {
	c, p := d.client, d.client.pool
	if req.Nkeys == 1 || p.isWhole() {
		c.forward(req)
		return
	}
	if c.large != nil && p.ctx.turn.isLarge(req.Nkeys, req.View.Len()) {
		c.large.deal()
		return
	}
	p.ctx.turn.countAtOnce(Amount{Keys: req.Nkeys})
	switch deal := &p.ctx.deal; {
	case !p.dealKeys(req):
		c.refuse(req, p.none())
	case len(deal.shares) > 1 && len(deal.shares) > p.ctx.turn.fragments(p.bySlot):
		openFan(c, req).splitLater(req)
	case p.choice != nil && !p.choice.deal(c, req.Type, deal.shares):
		c.refuse(req, msg.NoReplica)
	case len(deal.shares) == 1:
		c.forwardTo(deal.shares[0].server, req)
	default:
		openFan(c, req).split(req)
	}
}

// Divide implements msg.Party.
func (d *dispatch) Divide(m *msg.Msg, req *msg.Request) []*msg.Msg {
	p := d.client.pool
	ctx := p.ctx
	of := m.Parent
	whole := of == nil
	if whole { // it becomes the parent
		of = m
		m.Nkeys, m.Keep = int32(req.Nkeys), false
		ctx.msgs.MakeSeq(m, req.Nkeys)
	}
	n := fan{d.client, of}
	parts := make([]*msg.Msg, 0, req.Nkeys)
	keys := slices.Index(of.Frags, m) // those of m in Seq
	at := 0
	for i := range req.Nkeys {
		f, place := m, keys
		if whole || i > 0 {
			f, place = n.add(nil), len(of.Frags)-1
			f.Via = m.Via
			of.Pending++
		}
		f.Nkeys, f.Keep = 1, true
		parts = append(parts, f)
		for !whole && int(of.Seq[at]) != keys {
			at++
		}
		of.Seq[at] = uint16(place)
		at++
	}
	kept := m.Kept
	m.Kept = mbuf.Chain{}
	for i, f := range parts {
		p.proto.FragmentHead(req, 1, ctx.bufs, &f.Kept)
		p.proto.FragmentKeys(req, i, []uint16{0}, ctx.bufs, []*mbuf.Chain{&f.Kept})
		p.proto.FragmentTail(req, ctx.bufs, &f.Kept)
	}
	kept.Release(ctx.bufs)
	p.stats.Values[stats.Fragments] += int64(len(parts))
	return parts
}

// split makes the fragments from the result of dealKeys. Their bytes are written
// straight to the servers' outputs. Nothing else is written there meanwhile, so each
// sub-request stays in one piece.
func (n fan) split(req *msg.Request) {
	p, parent := n.c.pool, n.parent
	if n.makesSeries(req) {
		n.splitInSeries(req)
		return
	}
	ctx := p.ctx
	d := &ctx.deal
	parent.Nkeys = int32(req.Nkeys)
	ctx.msgs.SetSeq(parent, d.to)
	d.outs, d.starts = d.outs[:0], d.starts[:0]
	for _, share := range d.shares {
		f, conn := n.addConnected(share.server)
		f.Nkeys = share.keys
		if conn == nil {
			d.outs, d.starts = append(d.outs, nil), append(d.starts, start{})
			continue
		}
		out := conn.Out()
		d.starts = append(d.starts, start{conn, out.Len()})
		if f.Keep = parent.Keep; f.Keep {
			out = &f.Kept
		}
		p.proto.FragmentHead(req, int(share.keys), ctx.bufs, out)
		d.outs = append(d.outs, out)
	}
	p.proto.FragmentKeys(req, 0, d.to, ctx.bufs, d.outs)
	for i, f := range parent.Frags {
		if at := d.starts[i]; at.conn != nil {
			p.proto.FragmentTail(req, ctx.bufs, d.outs[i])
			n.send(f, at.conn, at.begin)
		}
	}
	n.sent()
}

package proxy

import (
	"nuthatch/internal/config"
	"nuthatch/internal/invariant"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A deal is which server gets which of a request's keys. It is scratch.
type deal struct {
	// to is, for each key, the index in shares of its shard's.
	to []uint16
	// shares are those of the shards that have any, in the order of their first
	// keys.
	shares []share
	// keys are some of the keys, gathered those of them that lie in two chunks.
	keys     [dealBlock][]byte
	gathered []byte
	// outs are where the shares are written.
	outs []*mbuf.Chain
}

// The number of a server, and of a share, has room in 16 bits, one more than the
// greatest included.
const _ uint16 = config.MaxServers

// A share is what one server gets, of a shard.
type share struct {
	shard, server uint16
	keys          int32
}

// dealBlock is how many keys are placed at a time.
const dealBlock = 64

// fragment sends one sub-request to each server that owns some of the request's
// keys. If that is one server the request goes to it as it is.
func (c *client) fragment(req *msg.Request) {
	p := c.pool
	if req.Nkeys == 1 || p.isWhole() {
		c.forward(req)
		return
	}
	if c.large != nil && p.ctx.turn.isLarge(req.Nkeys, req.View.Len()) {
		c.large.deal()
		return
	}
	p.ctx.turn.countAtOnce(Amount{Keys: req.Nkeys})
	switch d := &p.ctx.deal; {
	case !p.dealKeys(req):
		c.refuse(req, msg.ConnRefused)
	case len(d.shares) == 1:
		c.forwardTo(p.servers[d.shares[0].server], req)
	case len(d.shares) > p.ctx.turn.atOnce.Clients:
		c.splitLater(req)
	default:
		c.split(req)
	}
}

// split makes the fragments, from what dealKeys found. Their bytes are written
// straight to the servers' outputs: nothing else is written there meanwhile, so
// each sub-request stays in one piece.
func (c *client) split(req *msg.Request) {
	p := c.pool
	ctx := p.ctx
	d := &ctx.deal
	parent := c.newMsg(req)
	parent.Nkeys = int32(req.Nkeys)
	ctx.msgs.SetSeq(parent, d.to)
	c.outq.Push(parent)
	c.hold(parent, req.View.Len())
	d.outs = d.outs[:0]
	for _, share := range d.shares {
		s := p.servers[share.server]
		f := c.newFragment(parent, s)
		f.Nkeys = share.keys
		if f.Done {
			d.outs = append(d.outs, nil)
			continue
		}
		out := c.made(s).Out()
		f.Len = out.Len()
		if f.Keep = parent.Keep; f.Keep {
			out = &f.Kept
		}
		p.proto.FragmentHead(req, int(share.keys), ctx.bufs, out)
		d.outs = append(d.outs, out)
	}
	p.proto.FragmentKeys(req, 0, d.to, ctx.bufs, d.outs)
	for i, f := range parent.Frags {
		if !f.Done {
			p.proto.FragmentTail(req, ctx.bufs, d.outs[i])
			c.sendFragment(f, p.servers[d.shares[i].server])
		}
	}
	p.stats.Values[stats.Fragments] += int64(len(parent.Frags))
	if parent.Pending == 0 {
		c.merge(parent)
	}
}

// newFragment adds a fragment for s to parent. It is Done, with the reason, if
// there is no connection to s.
func (c *client) newFragment(parent *msg.Msg, s *Server) *msg.Msg {
	f := c.addFragment(parent, s)
	conn, why := c.conn(s)
	if why != msg.OK {
		f.Err, f.Done, f.Replied = why, true, parent.Start
		return f
	}
	f.Via = conn
	parent.Pending++
	return f
}

// addFragment adds a fragment for s to parent, of which nothing is said.
func (c *client) addFragment(parent *msg.Msg, s *Server) *msg.Msg {
	f := c.pool.ctx.msgs.Get()
	f.Owner, f.Type, f.Parent = c, parent.Type, parent
	f.Via, f.Rare = s, true
	parent.Frags, parent.Rare = append(parent.Frags, f), true
	return f
}

// sendFragment queues the sub-request that was written to s. f.Len is the length
// of the output before it.
func (c *client) sendFragment(f *msg.Msg, s *Server) {
	conn := c.made(s)
	if f.Keep {
		kept := mbuf.Whole(&f.Kept)
		kept.AppendTo(c.pool.ctx.bufs, conn.Out(), 0, kept.Len())
	}
	n := conn.Out().Len() - f.Len
	invariant.Check(n > 0, "proxy: an empty fragment")
	conn.sendFragment(f, n)
}

// sendFragment queues the sub-request whose n bytes stand at the end of the output.
func (c *serverConn) sendFragment(f *msg.Msg, n int) {
	c.enqueue(f, n)
	c.server.stats[stats.Requests]++
	c.server.stats[stats.RequestBytes] += int64(n)
}

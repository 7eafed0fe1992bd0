package proxy

import "nuthatch/internal/msg"

// one sends the request to the one server that the protocol picks, as the
// protocol writes it for that server; the reply is merged like that of a request
// for several. In a pool of one server it goes there as it is.
func (c *client) one(req *msg.Request) {
	p := c.pool
	n := len(p.everywhere())
	nth, ok := p.proto.chooser.OneServer(req, n)
	switch {
	case !ok:
		c.local(req)
		return
	case n == 1:
		c.forwardTo(p.nth(0), req)
		return
	}
	s := p.nth(nth)
	parent := c.newMsg(req)
	parent.Servers = uint16(n)
	c.outq.Push(parent)
	c.hold(parent, req.View.Len())
	f := c.newFragment(parent, s)
	f.Server = uint16(nth)
	if !f.Done {
		conn := c.made(s)
		f.Len = conn.Out().Len()
		p.proto.chooser.AppendOne(req, n, p.ctx.bufs, conn.Out())
		c.sendFragment(f, s)
	}
	if parent.Pending == 0 {
		c.merge(parent)
	}
}

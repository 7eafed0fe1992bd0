package proxy

import "nuthatch/internal/msg"

// one sends the request to the one server that the protocol picks, as the
// protocol writes it for that server; the reply is merged like that of a request
// for several. In a pool of one server it goes there as it is.
func (d *dispatch) one(req *msg.Request) {
	c, p := d.client, d.client.pool
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
	one := openFan(c, req)
	one.parent.Servers = uint16(n)
	f, conn := one.fragment(s)
	f.Server = uint16(nth)
	if conn != nil {
		begin := conn.Out().Len()
		p.proto.chooser.AppendOne(req, n, p.ctx.bufs, conn.Out())
		one.send(f, conn, begin)
	}
	one.mergeIfDone()
}

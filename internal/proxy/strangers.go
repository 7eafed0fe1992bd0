package proxy

import "nuthatch/internal/msg"

// A server ends the connection of a client without a login that says a long word, or many.
// Where the servers decide who may log in (passthrough.go), the proxy does not know whether
// the user default needs a login. All such clients have connections together. So the proxy
// keeps them to the same bounds (RequestParser.Restrict), and asks before it refuses what is
// larger:
//
//	client            proxy                          servers
//	SET k 20 KB  ─►   back in the stash     ─►  PING, at one server
//	             ◄─   refused, and closed   ◄─  NOAUTH
//	                  taken again: SET k    ◄─  anything else: no login is needed (laneSet.open)
//
// A server that lets in nobody without a login, where others do, still ends connections.
// That says nothing of how well it is (serverConn.strangers). In which words it refuses such
// clients is of no matter: until it has given one of them something else than an error, or if it
// wants a login then, it does not know them.

// isStranger reports whether the client has not logged in, in a pool where that may be needed.
func isStranger(c *client) bool { return c.session.Lane.User == 0 && !c.pool.open }

// asksIfOpen has a request that was refused with err wait, if that may be taken from a client
// without a login. It reports false if it is not so.
func asksIfOpen(c *client, err *msg.ProtocolError) bool {
	p := c.pool
	if p.passer == nil || !isStranger(c) || c.overdue != msg.OK || !p.passer.IsBound(err) {
		return false
	}
	if c.own != nil && c.own.trial != nil && c.own.trial.opens {
		c.own.trial = nil // it was asked
		return false
	}
	t := &trial{client: c, opens: true}
	p.passer.AppendProbe(p.ctx.bufs, &t.standIn)
	t.begin()
	t.standIn.Release(p.ctx.bufs)
	if t.pending == 0 {
		return false
	}
	ownOf(c).trial = t
	c.awaitTrial()
	refund(c, 0)
	return true
}

// heardRefusal notes an error that a client without a login has got.
func heardRefusal(c *serverConn, r msg.Reply) {
	wants, ends := c.pool.passer.Refusal(headOf(r))
	if wants {
		c.pool.open = false
	}
	c.strangers = c.strangers || wants || ends
}

// isProven notes a reply on a connection of which none is known that does not refuse it. proves:
// this one does not.
func isProven(c *serverConn, proves, mayBeError bool) {
	c.strangers = c.strangers && mayBeError
	c.proven = proves && !c.strangers
}

// isStrangers reports whether the end of the connection says nothing of the server: clients
// that it does not know can bring it about.
func isStrangers(c *serverConn) bool {
	return c.strangers || c.lane.key.User == msg.LoginUser || c.lane.key.User == msg.GuestUser
}

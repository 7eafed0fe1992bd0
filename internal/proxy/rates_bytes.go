package proxy

import "nuthatch/internal/msg"

// What the limits on bytes are charged: a request as its bytes come, so that a large one holds up
// others before it is whole; a reply when it is sent. A request that is late is refused for the
// rate, and is charged nothing, and neither is its error: else clients that try again would use up
// what others, and they themselves, are to have.
//
//	in time ─► charge ─► ... ─► OnSent ─► chargeSent
//	late ────► refused ─► own.free ─────────┘ less that

// charge charges the n bytes of a request that is whole. A late one pays only if it is carried out
// all the same (takesOne).
func charge(c *client, n int) {
	if c.pool.rates != nil {
		c.pool.rates.charge(c, n)
	}
}

func (r *rates) charge(c *client, n int) {
	if c.session.Authenticated && c.overdue == msg.OK {
		r.spendFor(c, n)
	}
	r.paid = c.overdue == msg.OK
}

// spendFor charges n bytes to the pool and to the client's user.
func (r *rates) spendFor(c *client, n int) {
	r.spend(n)
	if u := limitsOf(c); u != nil {
		u.spend(n)
	}
}

// spend charges n bytes of requests or replies.
func (r *rates) spend(n int) {
	if r.conf.Bytes == 0 {
		return
	}
	if r.bytes -= int64(n); r.bytes < 0 {
		r.shared.Bytes.Charge(r.pool.ctx.loop.Now(), -r.bytes, r.bytesOf)
		r.bytes = 0
	}
}

// refund takes back what was counted for a request of the client, of size bytes, that will be
// taken again.
func refund(c *client, size int) {
	r := c.pool.rates
	if r == nil || !c.session.Authenticated || c.overdue != msg.OK && !r.paid {
		return
	}
	r.spendFor(c, -size)
	r.refund(c)
}

// came charges the n bytes that have come of a request that is not whole. If its first bytes are
// late, all of it is.
func (q *partial) came(c *client, n int) {
	if !c.session.Authenticated {
		return
	}
	if q.bytes.Len() == n && isLimit(c.overdue) {
		q.late = c.overdue
	}
	if q.late == msg.OK {
		c.pool.rates.spendFor(c, n)
		q.charged += n
	}
}

// uncharge takes back what came has charged: the request is whole, and is charged as such.
func (q *partial) uncharge(c *client) {
	if r := c.pool.rates; r != nil && q.charged > 0 {
		r.spendFor(c, -q.charged)
	}
	q.charged = 0
}

// answeredLate notes that the client gets n bytes for a late request that has paid nothing.
func (r *rates) answeredLate(c *client, n int) {
	if c.overdue != msg.OK && !r.paid {
		ownOf(c).free += n
	}
}

// chargeSent charges n bytes of replies.
func chargeSent(c *client, n int) {
	r := c.pool.rates
	if r == nil || !c.session.Authenticated {
		return
	}
	if c.own == nil {
		r.spend(n)
		return
	}
	owed := c.own.owes(n)
	free := min(n, c.own.free)
	c.own.free -= free
	r.spend(n - free)
	if u := c.own.limits; u != nil {
		u.spend(min(owed, n-free))
	}
}

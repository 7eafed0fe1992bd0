package proxy

import (
	"nuthatch/internal/invariant"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// If a reload brings other servers, large requests of which nothing was sent are placed
// again:
//
//	reads, rereads, judges        goes on, and is placed on the new servers
//	places, copies, sendsWhole    is placed anew
//	sends, the first part         is placed anew, or goes to all the new servers
//	sends, another part           goes on; of what is for a server that is gone its
//	                              client is told that it was not sent

// dealAnew has large requests placed again after the pool has got other servers, if
// nothing of them was sent. That includes requests that wait for their clients' earlier
// replies.
func (p *ServerPool) dealAnew() {
	for c := range p.clients.all() {
		if j := c.large; j != nil && j.m != nil {
			j.dealAnew()
		}
	}
}

func (j *largeRequest) dealAnew() {
	switch j.phase {
	case places, copies, sendsWhole:
		j.placeAnew()
	case sends:
		switch {
		case j.next > 0:
		case j.every.Len() > 0:
			j.fan().sendToAllLater(j.everyone)
		default:
			j.placeAnew()
		}
	case reads, rereads, judges, ends:
	}
}

// keep keeps the bytes of a request that was split at once. They are read again if it
// has to be placed again.
func (j *largeRequest) keep(req *msg.Request) {
	p := j.c.pool
	j.q = p.getPartial()
	req.View.AppendTo(p.ctx.bufs, &j.q.bytes, 0, req.View.Len())
}

// reread parses some of the request again, so that its words can be read again.
func (j *largeRequest) reread(ctx *Context) {
	q := j.q
	j.view = mbuf.Whole(&q.bytes)
	near, first := j.view.Near(j.parsed)
	piece := near[j.parsed-first:]
	n, done, err := q.parser.Parse(piece[:min(len(piece), max(1, ctx.turn.left().Bytes))])
	invariant.Check(err == nil && n > 0, "proxy: a request cannot be read again")
	ctx.turn.count(Amount{Bytes: n})
	if j.parsed += n; done {
		ctx.count(q)
		j.phase = reads
	}
}

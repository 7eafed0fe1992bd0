package proxy

import (
	"cmp"
	"slices"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// A holder is a client, and how many bytes are held for it: of its requests and replies, of
// partial replies at servers, and by TLS.
type holder struct {
	*client
	bytes int
}

// cutHolders closes clients that hold memory because they do not read, or do not send
// the rest of a request, until there is memory again. A loop that holds less than its
// share of the memory closes none.
func (m *memory) cutHolders(now int64) {
	loops := int64(len(m.ctx.identity.Loops()))
	if m.told < m.held/loops {
		return
	}
	enough := m.soft - m.soft/4
	stuck, largest := m.holders(now)
	slices.SortFunc(stuck, func(a, b holder) int { return cmp.Compare(b.bytes, a.bytes) })
	for _, h := range stuck {
		if m.held < enough {
			return
		}
		why := msg.NoMemory
		if h.partial != nil && h.inFlight() == 0 && h.unreadSince == 0 {
			why = msg.SlowRequest
		}
		m.cut(h.client, why)
		m.weigh()
	}
	if m.full && len(stuck) == 0 && now-m.fullSince > lastGrace && largest.client != nil {
		m.cut(largest.client, msg.NoMemory)
		m.fullSince = now
	}
}

// holders are the clients that have not read or sent, or have sent too slowly, for too
// long at time now, through no fault of ours. largest is the client for which most is
// held.
func (m *memory) holders(now int64) (stuck []holder, largest holder) {
	patience, ofBlockers := m.patience(now)
	for _, pools := range [][]*ServerPool{m.ctx.pools, m.ctx.leaving.pools} {
		for _, p := range pools {
			claims := p.claims()
			for c := p.clients.first; c != nil; c = c.next {
				claim := claims[c]
				h := holder{c, c.holds() + claim.begun + c.StageBytes()}
				if h.bytes > largest.bytes {
					largest = h
				}
				since := now - patience
				if claim.blocks {
					since = now - ofBlockers
				}
				if h.bytes > 0 && (m.stuck(c, since) || m.creeps(c, now)) {
					stuck = append(stuck, h)
				}
			}
		}
	}
	return stuck, largest
}

// patience is how long, in nanoseconds, a client may neither read nor send before it is
// closed, and how long one may that blocks a server. It is longer while some clients
// read: there will be memory again, and the others may only be slow because the machine
// is busy.
func (m *memory) patience(now int64) (others, blockers int64) {
	reading := now-m.lastRead <= hardGrace
	switch {
	case m.full && reading:
		return softGrace, softGrace
	case m.full:
		return hardGrace, hardGrace
	case reading:
		return longGrace, softGrace
	}
	return softGrace, blockGrace
}

// stuck reports whether the client has not read, or not sent the rest of its
// request, since the given time.
func (m *memory) stuck(c *client, since int64) bool {
	if c.unreadSince != 0 {
		return c.unreadSince < since
	}
	return c.partial != nil && !c.starved && c.inFlight() == 0 && c.active < since
}

// A claim is what a client takes of connections to servers. begun is how many bytes
// have come of partial replies to it. blocks: a connection is not read from because the
// client does not read.
type claim struct {
	begun  int
	blocks bool
}

// claims are the claims of the parties that wait for the next reply of a server
// connection.
func (p *ServerPool) claims() map[msg.Party]claim {
	all := make(map[msg.Party]claim)
	for _, s := range p.servers {
		for conn := range s.conns() {
			head := conn.queue.Head()
			if head == nil {
				continue
			}
			if party := head.Party(); party != nil {
				was := all[party]
				all[party] = claim{was.begun + conn.joined.Len() + conn.reply.Len(), was.blocks || conn.starved}
			}
		}
	}
	return all
}

// cut closes a client. If it is in the middle of a request, and has no replies to come,
// it is sent the reason.
func (m *memory) cut(c *client, why msg.Reason) {
	if c.inFlight() == 0 && c.Out().Len() == 0 {
		ctx := c.pool.ctx
		var out mbuf.Chain
		c.pool.proto.AppendError(ctx.bufs, &out, why.String())
		c.LastWords(out.Head().Bytes())
		out.Release(ctx.bufs)
	}
	c.cut(why)
}

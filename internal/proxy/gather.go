package proxy

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"nuthatch/internal/msg"
)

// Some requests are about the pool's clients, which all event loops have some of:
//
//	client ─► gather ─┬─ post ─► loop 0: look ─┐
//	                  ├─ post ─► loop 1: look ─┼─ post ─► add ... the last one: answer
//	                  └─ own loop: look ───────┘
//
// Meanwhile the request's Msg waits in its client's out-queue like any other.

// A gathering is a request that all event loops have a part in. It belongs to
// the loop of the client that sent it.
type gathering struct {
	// static after construction
	client  *client
	m       *msg.Msg
	inquiry msg.Inquiry

	// owned by the loop
	//
	// pending is the number of loops that have not said what they have.
	pending int
	found   []msg.ClientFacts
	// self: the client itself is to be closed, behind the answer.
	self bool
}

// gather has all event loops answer the request, in its turn.
func (c *client) gather(req *msg.Request) {
	p := c.pool
	inquiry := p.proto.Inquire(req, &c.session)
	if inquiry == nil {
		c.local(req)
		return
	}
	m := c.newMsg(req)
	c.outq.Push(m)
	loops, id := p.ctx.identity.loops(), p.topo.lineage
	g := &gathering{client: c, m: m, inquiry: inquiry, pending: len(loops)}
	for _, ctx := range loops {
		if ctx == p.ctx {
			continue
		}
		posted := ctx.loop.Post(func() {
			var found []msg.ClientFacts
			if there := ctx.poolOf(id); there != nil { // a reload may be removing it
				found = there.look(inquiry)
			}
			p.ctx.loop.Post(func() { g.add(found) })
		})
		if !posted {
			g.add(nil) // that loop has ended, and its clients with it
		}
	}
	g.add(p.lookFor(g))
}

// add takes what one loop has. The last one brings the answer.
func (g *gathering) add(found []msg.ClientFacts) {
	g.found = append(g.found, found...)
	g.pending--
	if g.pending > 0 {
		return
	}
	c, m := g.client, g.m
	ctx := c.pool.ctx
	if m.Owner == nil { // the client has gone
		ctx.msgs.Put(m)
		return
	}
	slices.SortFunc(g.found, func(a, b msg.ClientFacts) int { return cmp.Compare(a.ID, b.ID) })
	g.inquiry.Answer(g.found, ctx.bufs, &m.Reply)
	m.Done = true
	c.hold(m, m.Reply.Len())
	c.advance()
	if g.self && c.state == clientOpen {
		c.closing(byKill)
	}
	c.settle()
}

// look returns what the inquiry is about among this loop's clients of the pool,
// and closes them if it says so.
func (p *ServerPool) look(inquiry msg.Inquiry) []msg.ClientFacts {
	return p.lookFor(&gathering{inquiry: inquiry})
}

func (p *ServerPool) lookFor(g *gathering) []msg.ClientFacts {
	var found []msg.ClientFacts
	for c := p.clients; c != nil; {
		next := c.next
		if f := c.facts(); g.inquiry.Matches(&f) {
			found = append(found, f)
			switch {
			case !g.inquiry.Kills():
			case c == g.client:
				g.self = true
			default:
				c.lastErr = byKill
				c.close()
			}
		}
		c = next
	}
	return found
}

// facts are what is known of the client.
func (c *client) facts() msg.ClientFacts {
	if c.addr == "" {
		c.addr, c.localAddr = c.PeerName(), c.LocalName()
	}
	now := c.pool.ctx.loop.Now()
	received := c.stash.Len()
	if c.partial != nil {
		received += c.partial.bytes.Len()
	}
	return msg.ClientFacts{
		ID: c.session.ID, Addr: c.addr, LocalAddr: c.localAddr, FD: c.FD(),
		Name: c.session.Name, LibName: c.session.LibName, LibVersion: c.session.LibVersion,
		Age: (now - c.since) / int64(time.Second), Idle: (now - c.active) / int64(time.Second),
		Lane: c.session.Lane, Received: received, Held: c.held, Unsent: c.Out().Len(),
		InFlight: c.outq.Len() + c.quiet, Last: c.lastType, Closing: c.state == clientClosing,
	}
}

// enter adds the client to its pool's list.
func (c *client) enter() {
	p := c.pool
	c.next = p.clients
	if c.next != nil {
		c.next.prev = c
	}
	p.clients = c
}

// leave takes the client off its pool's list.
func (c *client) leave() {
	if c.prev == nil {
		c.pool.clients = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}

// everyClient are the pool's clients on this loop. The one at hand may be closed
// meanwhile, no other.
func (p *ServerPool) everyClient() iter.Seq[*client] {
	return func(yield func(*client) bool) {
		var next *client
		for c := p.clients; c != nil; c = next {
			next = c.next
			if !yield(c) {
				return
			}
		}
	}
}

package proxy

import (
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// A held is the messages that come for a client while servers have not answered its
// request to listen. They follow the answer. If the request fails, those of the channels
// that it asked for are dropped: the client does not listen to them.
type held struct {
	chain mbuf.Chain
	// fresh are the channels of the request that are new to the client. It is made when
	// somebody asks for one.
	fresh map[heardOn]struct{}
	// flips are the places in the chain between messages of fresh channels and those of
	// others. The others come first. isFresh: those at the end are of fresh ones.
	flips   []int
	isFresh bool
}

// A heardOn is the channel of a message.
type heardOn struct {
	kind msg.Channels
	name string
}

// outletFor is where the message of a channel is written that the client is to get.
func (s *subscriber) outletFor(kind msg.Channels, name string) *mbuf.Chain {
	a := s.asks
	if a == nil || a.what.Ends {
		return s.client.Out()
	}
	h := &a.held
	if fresh := a.isFresh(kind, name); fresh != h.isFresh {
		h.isFresh = fresh
		h.flips = append(h.flips, h.chain.Len())
	}
	return &h.chain
}

// isFresh reports whether a channel is one that the client has not listened to before the
// request.
func (a *subscription) isFresh(kind msg.Channels, name string) bool {
	h := &a.held
	if h.fresh == nil {
		h.fresh = make(map[heardOn]struct{})
		for _, n := range a.names {
			if n.fresh {
				h.fresh[heardOn{a.what.Channels, n.name}] = struct{}{}
			}
		}
	}
	_, fresh := h.fresh[heardOn{kind, name}]
	return fresh
}

// heldLen is how many bytes of messages wait for the answer to the client's request.
func heldLen(s *subscriber) int {
	if s.asks == nil {
		return 0
	}
	return s.asks.held.chain.Len()
}

// dropFresh drops the messages of fresh channels.
func (h *held) dropFresh(bufs *mbuf.Pool) {
	if len(h.flips) == 0 {
		return
	}
	var kept mbuf.Chain
	all, from := mbuf.Whole(&h.chain), 0
	for i, at := range append(h.flips, h.chain.Len()) {
		if i%2 == 0 {
			all.AppendTo(bufs, &kept, from, at-from)
		}
		from = at
	}
	h.chain.Release(bufs)
	h.chain, h.flips = kept, nil
}

// send passes the messages on to the client.
func (h *held) send(c *client) {
	if h.chain.Len() == 0 {
		return
	}
	if bufs := c.pool.ctx.bufs; c.state == clientClosed {
		h.chain.Release(bufs)
	} else {
		c.Out().Splice(bufs, &h.chain)
		c.Flush()
	}
}

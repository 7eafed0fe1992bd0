package proxy

import (
	"slices"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// Where channels are does not change when servers are ejected: see router.home.

// checkListeners has clients closed that listen at other servers than those which have
// their messages from now on.
func checkListeners(p *ServerPool) {
	if p.proto.messenger == nil {
		return
	}
	j := &listening{pool: p}
	j.walk.begin(p)
	p.ctx.turn.later(j)
}

// A listening is the looking at where clients listen.
type listening struct {
	pool *ServerPool
	walk walk
}

// step implements job.
func (j *listening) step(ctx *Context) (done bool) {
	for ctx.turn.hasBudget() {
		c := j.walk.next()
		if c == nil {
			j.walk.end()
			return true
		}
		ctx.turn.count(Amount{Clients: 1})
		if listens(c) && !c.own.subs.isPlaced() {
			c.own.subs.lose()
		}
	}
	return false
}

// isPlaced reports whether the client listens where the messages of its channels are.
func (s *subscriber) isPlaced() bool {
	p := s.client.pool
	for kind, all := range s.listens {
		p.ctx.turn.count(Amount{Keys: len(all)})
		for name, at := range all {
			if !s.isThere(msg.Channels(kind), shownOr(at.shown, name), at.feed) {
				return false
			}
		}
	}
	return true
}

// isThere reports whether a connection, or all of them, have the messages of a channel.
func (s *subscriber) isThere(kind msg.Channels, name string, f *feed) bool {
	p := s.client.pool
	key, at := p.proto.messenger.Audience(kind, []byte(name))
	if at == msg.EveryServer {
		for _, server := range p.everywhere() {
			if !slices.ContainsFunc(s.feeds, func(x *feed) bool { return x.conn.server == server }) {
				return false
			}
		}
		return f == nil
	}
	switch {
	case f == nil || f.conn.server.removed:
		return false
	case at == msg.AnyServer:
		return true
	case at == msg.FirstServer:
		// Any server has the messages of all channels. The first one is for those who come.
		return p.conf.PubSub.Publish == config.PublishAll
	}
	return f.conn.server == p.home(key)
}

package memcache

import (
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// What proxy.Protocol has for requests that Memcached does not know.

// Prepare implements proxy.Protocol: requests for every server go as they are.
func (p *Protocol) Prepare(*msg.Request) (ok bool) { return true }

// OneServer implements proxy.Protocol. No request goes to a server of its
// choice.
func (p *Protocol) OneServer(*msg.Request, int) (server int, ok bool) { return 0, false }

// AppendOne implements proxy.Protocol.
func (p *Protocol) AppendOne(*msg.Request, int, *mbuf.Pool, *mbuf.Chain) {}

// Inquire implements proxy.Protocol. No request is about clients.
func (p *Protocol) Inquire(*msg.Request, *msg.Session, *mbuf.Pool, *mbuf.Chain) (msg.Inquiry, bool) {
	return nil, false
}

// Report implements proxy.Protocol. "stats" is told by Local.
func (p *Protocol) Report(*msg.Request, *msg.Session) (func(func([]byte)), bool) { return nil, false }

// Restore implements proxy.Protocol: servers are told nothing that they could
// forget.
func (p *Protocol) Restore(*mbuf.Pool, *mbuf.Chain) int { return 0 }

// Allows implements proxy.Protocol. No client has to log in, or can choose anything.
func (p *Protocol) Allows(*msg.Request, *msg.Session) bool { return true }

// Resolve implements proxy.Protocol. There is one lane.
func (p *Protocol) Resolve(lane msg.Lane) msg.Lane { return lane }

// Adopt implements proxy.Protocol.
func (p *Protocol) Adopt(*msg.Session) {}

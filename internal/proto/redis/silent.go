package redis

import "nuthatch/internal/msg"

// Fits implements proxy.Protocol. Any reply can answer any command, but for a
// push of RESP3, which answers none: the proxy asks for none on connections that
// clients share.
func (p *Protocol) Fits(_ msg.Type, r msg.Reply) bool {
	if r.Chain != nil {
		return r.Chain.Head().Bytes()[0] != '>'
	}
	return r.Flat[0] != '>'
}

// Silent implements proxy.Protocol. No request of Redis is quiet.
func (p *Protocol) Silent(msg.Type, msg.Reply) bool { return false }

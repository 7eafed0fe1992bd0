package redis

import "nuthatch/internal/msg"

// Fits implements proxy.Protocol. Any reply can answer any command.
func (p *Protocol) Fits(msg.Type, msg.Reply) bool { return true }

// Silent implements proxy.Protocol. No request of Redis is quiet.
func (p *Protocol) Silent(msg.Type, msg.Reply) bool { return false }

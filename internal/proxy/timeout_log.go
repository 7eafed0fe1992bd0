package proxy

import (
	"log/slog"

	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// The log says which server did not answer within request_timeout: at once, and then once a
// minute with how many requests there were.

// An expiry is the line that requests took too long. requests are those since the last line.
type expiry struct {
	pace     pace
	requests int
}

// maxExpiries bounds how many there are: reloads may bring ever other servers.
const maxExpiries = 4 << 10

// noteExpired notes that m, of p, took too long, and writes the line if it is due.
func noteExpired(p *ServerPool, m *msg.Msg) {
	name := awaitedBy(m)
	e := p.expiries[name]
	if e == nil {
		if p.expiries == nil || len(p.expiries) >= maxExpiries {
			p.expiries = make(map[string]*expiry)
		}
		e = new(expiry)
		p.expiries[name] = e
	}
	e.requests++
	if _, ok := e.pace.mayLogAfter(p.ctx.loop.Now(), troublePeriod); !ok {
		return
	}
	text, attrs := "requests took longer than request_timeout", []slog.Attr{slog.String("pool", p.conf.Name)}
	for _, s := range p.servers {
		if s.ServerName() == name {
			text, attrs = topology.Subject(s.conf)+": "+text, s.attrs()
		}
	}
	p.ctx.log.Warn(text, append(attrs, slog.Int("requests", e.requests))...)
	e.requests = 0
}

// awaitedBy is the name of the server whose reply m waits for; empty: it has gone to none yet.
// Of a request that was split it is that of the first fragment without a reply.
func awaitedBy(m *msg.Msg) string {
	for _, f := range m.Frags {
		if f != nil && !f.Done && f.Via != nil {
			return f.Via.ServerName()
		}
	}
	if m.Via == nil {
		return ""
	}
	return m.Via.ServerName()
}

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

// noteExpired notes that m, of p, took too long, and writes the line if it is due.
func noteExpired(p *ServerPool, m *msg.Msg) {
	s, e := awaitedOf(m), &p.expiry
	if s != nil {
		e = &s.expiry
	}
	e.requests++
	if _, ok := e.pace.mayLogAfter(p.ctx.loop.Now(), troublePeriod); !ok {
		return
	}
	text, attrs := "requests took longer than request_timeout", []slog.Attr{slog.String("pool", p.conf.Name)}
	if s != nil {
		text, attrs = topology.Subject(s.conf)+": "+text, s.attrs()
	}
	p.ctx.log.Warn(text, append(attrs, slog.Int("requests", e.requests))...)
	e.requests = 0
}

// awaitedOf is the server whose reply m waits for; nil: it has gone to none yet. Of a request
// that was split it is that of the first fragment without a reply.
func awaitedOf(m *msg.Msg) *Server {
	for _, f := range m.Frags {
		if f != nil && !f.Done && f.Via != nil {
			m = f
			break
		}
	}
	switch way := m.Via.(type) {
	case *serverConn:
		return way.server
	case *Server:
		return way
	}
	return nil
}

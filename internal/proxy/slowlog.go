package proxy

import (
	"time"

	"nuthatch/internal/msg"
	"nuthatch/internal/slowlog"
	"nuthatch/internal/stats"
)

// A slowBudget bounds the cost of the slow log when every request is slow: each loop
// adds at most slowBurst entries in slowPeriod.
type slowBudget struct {
	since int64
	spent int
}

const (
	slowBurst  = 50
	slowPeriod = int64(100 * time.Millisecond)
)

// allows spends one entry of the budget, if there is one.
func (b *slowBudget) allows(now int64) bool {
	if now-b.since >= slowPeriod {
		*b = slowBudget{since: now}
	}
	b.spent++
	return b.spent <= slowBurst
}

// logSlow puts m, whose reply is in the client's output, into the slow log if it was slow,
// and among what becomes traces if it is to.
func (ms *measures) logSlow(c *client, m *msg.Msg) {
	p := c.pool
	now := p.ctx.loop.Now()
	slow := now-m.Start >= int64(ms.SlowerThan)
	if ms.SlowLog && slow {
		p.stats.Values[stats.SlowRequests]++
		if ms.slow.allows(now) {
			p.topo.SlowLog().Add(ms.entry(c, m, now))
		}
	}
	if ms.Traces == nil || !ms.tracesNow(slow) {
		return
	}
	if ms.traced.allows(now) {
		ms.Traces.Add(ms.entry(c, m, now))
		return
	}
	p.stats.Values[stats.TracesLeftOut]++
}

// entry is what is known of m at a time at which its reply is in the client's output.
func (ms *measures) entry(c *client, m *msg.Msg, now int64) *slowlog.Entry {
	p := c.pool
	ctx := p.ctx
	e := &slowlog.Entry{
		Time:         time.UnixMicro(ctx.loop.WallMicros(m.Start)),
		Duration:     time.Duration(now - m.Start),
		Pool:         p.conf.Name,
		Command:      p.commands[m.Type].Name,
		Keys:         int(m.Nkeys),
		RequestBytes: sentBytes(m),
		ClientID:     c.session.ID,
		Client:       addressesOf(c).addr,
		ClientName:   c.session.Names().Name,
	}
	if m.Err != msg.OK {
		e.Error = m.Err.Name()
	}
	if m.Note() != nil && ms.SlowKeys && m.Note().Index() == 0 {
		text, n := m.Note().Key()
		e.Key, e.KeyLen = string(text), n
		if keys := m.Note().Keys(); keys > 1 {
			e.Keys = keys // also if the request was not split
		}
	}
	divideTime(m, now, e)
	return e
}

// divideTime divides the time of m into its parts.
func divideTime(m *msg.Msg, now int64, e *slowlog.Entry) {
	part := decisive(m)
	replied := part.Replied
	if replied == 0 {
		replied = now
	}
	e.Turn = time.Duration(now - replied)
	if part.Via == nil {
		return
	}
	e.ServerName = part.Via.ServerName()
	sent, ready := part.Sent, part.Via.ReadyAt()
	if sent == 0 || sent > replied {
		sent = replied // it was never sent
	}
	if ready == 0 && part.Sent == 0 {
		ready = sent // nor was there ever a connection
	}
	ready = min(max(ready, m.Start), sent)
	e.Connect = time.Duration(ready - m.Start)
	e.Queue = time.Duration(sent - ready)
	e.Server = time.Duration(replied - sent)
}

// sentBytes is how many bytes were sent to servers for m, or for its fragments.
func sentBytes(m *msg.Msg) int {
	n := m.Len
	for _, f := range m.Frags {
		n += f.Len
	}
	return n
}

// decisive is the message whose server and times count for m. If m was split and has no
// reply, it is a fragment without a reply.
func decisive(m *msg.Msg) *msg.Msg {
	for _, f := range m.Frags {
		if !f.Done {
			return f
		}
	}
	return m
}

// ServerName implements msg.Way.
func (s *Server) ServerName() string { return s.conf.StatsName() }

// ReadyAt implements msg.Way.
func (s *Server) ReadyAt() int64 { return 0 }

// ServerName implements msg.Way.
func (c *serverConn) ServerName() string { return c.server.ServerName() }

// ReadyAt implements msg.Way.
func (c *serverConn) ReadyAt() int64 { return c.ready }

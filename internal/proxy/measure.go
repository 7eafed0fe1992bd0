package proxy

import (
	"math/bits"
	"time"

	"nuthatch/internal/latency"
	"nuthatch/internal/msg"
	"nuthatch/internal/slowlog"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// How long requests take is measured with the loop's own times:
//
//	turn 1           flush              turn 2                flush
//	│ request taken  │ it is sent   ... │ reply comes          │ it is sent
//	│                └─ server's time ──┘                      │
//	└───────────────────── client's time ──────────────────────┘
//
// The clock is read once before a flush, which is when all of it was sent. Requests of
// one command that came in one turn, and whose replies come in one turn, have the same
// time. Such a run is counted once, when another begins or at the end of the turn.
// Several runs are open at a time, or alternating commands would end each other's runs.

// Measures is what a context measures beyond counting.
type Measures struct {
	// Latency: how long requests take, for clients and at servers.
	Latency bool
	// SlowLog: the pools' slow logs get the requests that took at least SlowerThan;
	// SlowKeys: with their keys.
	SlowLog    bool
	SlowerThan time.Duration
	SlowKeys   bool
	// Traces get the requests that become traces; nil: none do. They are one in TraceEvery, if
	// that is not 0, and with TraceSlow those that took at least SlowerThan.
	Traces     *slowlog.Log
	TraceEvery int64
	TraceSlow  bool
	// HotKeys: which keys are asked for most, and which are large.
	HotKeys bool
	// TurnTimes: how much processor time the loop's turns take.
	TurnTimes bool
}

// measures is a context's state of measuring. It belongs to the loop.
type measures struct {
	Measures
	// flushed is when the last flush began, in the loop's nanoseconds.
	flushed int64
	// clients are the open runs of replies in clients' outputs. ended are the runs of
	// this turn that are complete. None of these replies has been sent yet.
	clients [openRuns]clientRun
	ended   []clientRun
	// servers are the open runs of replies that came from servers.
	servers [openRuns]serverRun
	// clientsOpen and serversOpen have a bit for each run that is open.
	clientsOpen, serversOpen uint8
	slow, traced             slowBudget
	// runs: something is measured that runs are counted for.
	runs bool
	// toTrace is how many requests come before the next one that becomes a trace; sampledNow:
	// the request at hand is one.
	toTrace    int64
	sampledNow bool
	// sampled is scratch.
	sampled []byte
}

// openRuns is how many runs are open at a time: one for each remainder of a command's
// number.
const openRuns = 8

// maxEnded bounds the runs that wait for the end of their turn.
const maxEnded = 1 << 12

// firstEnded is how many there is room for from the start: whole cache lines, which no other
// loop has.
const firstEnded = 32

// A clientRun is n replies of one command to requests taken at the same time.
type clientRun struct {
	pool  *ServerPool
	start int64
	n     uint64
	typ   msg.Type
	// slow: they took so long that they go into the slow log.
	slow bool
}

// A serverRun is n replies of one server, of one command, to requests that were
// sent at the same time.
type serverRun struct {
	server *Server
	sent   int64
	n      uint64
	typ    msg.Type
}

// SetMeasures says what is measured from now on. It must run on the loop.
func (ctx *Context) SetMeasures(m Measures) {
	ctx.measures.endRuns(ctx.loop.Now(), ctx.loop.Now())
	ctx.measures.set(m)
	ctx.loop.TimeTurns(m.TurnTimes)
	for _, p := range ctx.pools {
		p.keys.set(m)
	}
}

// OnFlush implements eventloop.Hook: the replies of this turn are sent now.
func (ctx *Context) OnFlush() {
	m := &ctx.measures
	m.flushed = ctx.loop.Now()
	if m.runs {
		m.flushed = ctx.loop.Clock()
		m.endRuns(ctx.loop.Now(), m.flushed)
	}
}

// measureReply notes that the reply to a request stands in the client's output. It reports
// whether the request goes into the slow log, or becomes a trace.
func (p *ServerPool) measureReply(typ msg.Type, start int64) (slow bool) {
	m := &p.ctx.measures
	r := &m.clients[typ%openRuns]
	switch {
	case r.start == start && r.typ == typ && r.pool == p:
		r.n++
	case m.runs:
		if r.n > 0 {
			m.ended = append(m.ended, *r)
			if len(m.ended) >= maxEnded {
				p.ctx.measures.endRuns(p.ctx.loop.Now(), p.ctx.loop.Now())
			}
		}
		*r = clientRun{pool: p, start: start, n: 1, typ: typ}
		r.slow = m.SlowLog && p.ctx.loop.Now()-start >= int64(m.SlowerThan)
		m.clientsOpen |= 1 << (typ % openRuns)
		if m.Traces != nil {
			return m.trace(r, p.ctx)
		}
	}
	return r.slow
}

// measureReply notes that the server has answered m.
func (s *Server) measureReply(m *msg.Msg) {
	ms := &s.pool.ctx.measures
	r := &ms.servers[m.Type%openRuns]
	switch {
	case r.sent == m.Sent && r.typ == m.Type && r.server == s:
		r.n++
	case ms.Latency && m.Sent != 0 && !m.Waits(): // 0: the reply came before the write was noted
		if r.n > 0 {
			r.end(s.pool.ctx.loop.Now())
		}
		*r = serverRun{server: s, sent: m.Sent, n: 1, typ: m.Type}
		ms.serversOpen |= 1 << (m.Type % openRuns)
	}
}

// endServerRuns counts the open runs of servers' replies, all of which are of this
// turn.
func (ms *measures) endServerRuns(now int64) {
	for ; ms.serversOpen != 0; ms.serversOpen &= ms.serversOpen - 1 {
		ms.servers[bits.TrailingZeros8(ms.serversOpen)].end(now)
	}
}

// end counts the run.
func (r *serverRun) end(now int64) {
	s := r.server
	f := s.pool.commands[r.typ].Family
	if s.latency[f] == nil {
		s.latency[f] = new(latency.Histogram)
	}
	s.latency[f].Add(now-r.sent, r.n)
	*r = serverRun{}
}

// endRuns counts the runs of this turn. The replies to clients go out at time flush.
func (ms *measures) endRuns(now, flush int64) {
	ms.endServerRuns(now)
	for ; ms.clientsOpen != 0; ms.clientsOpen &= ms.clientsOpen - 1 {
		r := &ms.clients[bits.TrailingZeros8(ms.clientsOpen)]
		ms.ended = append(ms.ended, *r)
		*r = clientRun{}
	}
	for i := range ms.ended {
		r := &ms.ended[i]
		ms.toTrace -= int64(r.n)
		if h := &r.pool.latency[r.typ]; ms.Latency {
			if *h == nil {
				*h = new(latency.Histogram)
			}
			(*h).Add(flush-r.start, r.n)
		}
		r.pool = nil
	}
	ms.ended = ms.ended[:0]
}

// A PoolPulse is what one loop has counted of a pool that the history is made of.
type PoolPulse struct {
	Requests, Failed, Received, Sent int64
	// Times are those of all commands, for clients.
	Times latency.Histogram
}

// CopyPulse writes ctx's part of t's pool over dst, whose memory is used again. It must run
// on the loop.
func CopyPulse(ctx *Context, t *topology.Topology, dst *PoolPulse) {
	p := ctx.poolOf(t.Lineage)
	dst.Times.Clear()
	*dst = PoolPulse{Times: dst.Times}
	if p == nil {
		return
	}
	v := &p.stats.Values
	dst.Requests, dst.Received, dst.Sent = v[stats.ClientRequests], v[stats.ClientBytesReceived], v[stats.ClientBytesSent]
	for _, n := range p.stats.Vectors[stats.FailedRequests][:msg.NumReasons] {
		dst.Failed += n
	}
	for _, h := range p.latency {
		if h != nil {
			dst.Times.Merge(h)
		}
	}
}

// PoolLatency is a copy of what one loop has measured of one pool.
type PoolLatency struct {
	// Commands are the times for clients, by msg.Type.
	Commands []latency.Histogram
	// Failures are the times of requests that the proxy answered with an error of its own, by
	// msg.Type. Commands does not have them.
	Failures []latency.Histogram
	// Calls are the requests that clients sent, and Errors the errors that they got, by
	// msg.Type.
	Calls  []int64
	Errors []CommandErrors
	// Servers are the times at the servers, by family.
	Servers [][msg.NumFamilies]latency.Histogram
}

// CopyLatency copies what the loop has measured of t's pool: the times for clients, and
// those of the servers from first to last (exclusive). So a reader of many servers need
// not stop the loop for long. If dst is an earlier copy, its memory is used again. It
// must run on the loop.
func (ctx *Context) CopyLatency(t *topology.Topology, of *topology.Members, first, last int, dst *PoolLatency) {
	p := ctx.poolOf(t.Lineage)
	if p == nil {
		return
	}
	for len(dst.Commands) < len(p.latency) {
		dst.Commands = append(dst.Commands, latency.Histogram{})
	}
	if first == 0 {
		dst.Calls = append(dst.Calls[:0], p.calls...)
		dst.Errors = append(dst.Errors[:0], p.commandErrors...)
		p.failures.copyTo(&dst.Failures)
		for i, h := range p.latency {
			if h != nil {
				h.CopyTo(&dst.Commands[i])
			}
		}
	}
	for len(dst.Servers) < len(of.Servers) {
		dst.Servers = append(dst.Servers, [msg.NumFamilies]latency.Histogram{})
	}
	for i := first; i < min(last, len(of.Servers)); i++ {
		s := p.serverOf(of.Servers[i])
		if s == nil {
			continue // the loop is about to have it, or has it no longer
		}
		for f, h := range s.latency {
			if h != nil {
				h.CopyTo(&dst.Servers[i][f])
			}
		}
	}
}

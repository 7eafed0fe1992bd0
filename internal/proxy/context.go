// Package proxy forwards: it takes requests off client connections, finds the
// server that owns their keys, and brings the replies back in order.
//
//	Context (one per event loop)
//	├─ ServerPool ─── Topology (shared by all loops: snapshots, health, addresses)
//	│  ├─ client ... client              one per client connection of this loop
//	│  └─ Server ─── serverConn ...      this loop's connections to one server
//	└─ free lists: messages, chunks
//
//	request:  client.OnData ─► parse ─► route.Table ─► Server ─► serverConn (in-queue) ─► flush
//	reply:    serverConn.OnData ─► parse ─► the request it answers ─► client ─► flush
//
// No handler writes to a socket: what is to be sent is appended to a
// connection's output, and the loop flushes each output once, at the end of the
// turn. Everything under a Context belongs to its loop; there are no locks, no
// goroutines, no atomics and no clock but the loop's. What the loops share is in
// package topology.
package proxy

import (
	"math/rand/v2"
	"slices"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/eventloop"
	"nuthatch/internal/logging"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// The statistics have a place for every reason.
const _ = uint(stats.MaxReasons - msg.NumReasons)

// acceptPause is how long, in nanoseconds, a listener pauses when there is no
// descriptor left.
const acceptPause = int64(100 * time.Millisecond)

// A Context is the state of one event loop, and is passed to everything that
// runs on it.
type Context struct {
	// static after construction
	id       int
	loop     *eventloop.Loop
	log      *logging.Logger
	shard    *stats.Shard
	pools    []*ServerPool
	identity *Identity
	outside  func(f func(done func())) bool
	// nclients is how many clients this loop has been dealt. The acceptor adds,
	// the loop subtracts.
	nclients *topology.Tally

	// owned by the loop
	//
	// epoch is the process's epoch at the last look for new snapshots.
	epoch uint64
	bufs  *mbuf.Pool
	msgs  msg.Pool
	rnd   rand.PCG
	// resumable are the clients that wait for room, and may have some now.
	resumable []*client
	// answered are the questions that have ended, and whose clients are not resumed
	// yet.
	answered []*question
	// resting are the listeners that pause because no descriptor was left.
	resting []*Listener
	// paces are those of log lines about clients, by reason.
	paces [msg.NumReasons]slowing
	timers
	leaving  leaving
	measures measures
	memory   memory
	transactions
	fanout    fanout
	inquiries inquiries
	turn      turn
	// denials bounds the log of denials.
	denials slowBudget
	// waiting is scratch: what waited on a connection that failed.
	waiting []*msg.Msg
	// scratch
	key1, key2 []byte
	errorText  [64]byte
	deal       deal
	servers    []*Server
	waiters    waiterCount
}

// An Identity is what the loops of a process share.
type Identity = topology.Identity[Context]

// Options is what a Context is made of.
type Options struct {
	ID       int
	Epoch    time.Time // that all loops of the process count from
	Log      *logging.Logger
	Shard    *stats.Shard // laid out in the order of Pools
	Identity *Identity
	Measures Measures
	// Outside runs a function outside the loops. It does not wait, and returns false if
	// it has too much to do. The function calls done, on any goroutine, when its work
	// is finished. If Outside is nil, nothing can be run outside.
	Outside func(f func(done func())) bool
	// NewLoop makes the event loop; nil: eventloop.New.
	NewLoop func(epoch time.Time, hook eventloop.Hook) (*eventloop.Loop, error)
	Pools   []PoolOptions
}

// PoolOptions is one pool of a Context.
type PoolOptions struct {
	Config   *config.Pool
	Topology *topology.Topology
	Protocol Protocol
	// Stages are what stands between connections and the wire; nil: nothing.
	Stages Stages
	// snap is what the loop begins with.
	snap *topology.Snapshot
}

// withSnapshots returns the pools with the snapshots that the loop begins with. From now on the
// loop is told when a later one is published.
func (ctx *Context) withSnapshots(pools []PoolOptions) []PoolOptions {
	pools = slices.Clone(pools)
	for i := range pools {
		t := pools[i].Topology
		t.TellOf(ctx.identity.Epoch())
		pools[i].snap = t.Snapshot()
	}
	return pools
}

// shapeOf is the layout of the pools' statistics.
func shapeOf(pools []PoolOptions) stats.Layout {
	l := make(stats.Layout, len(pools))
	for i := range pools {
		l[i] = stats.PoolLayout{Name: pools[i].Config.Name, Servers: pools[i].snap.Names}
	}
	return l
}

// NewContext makes an event loop and what it knows. Loop().Run() runs it.
func NewContext(o Options) (*Context, error) {
	ctx := &Context{
		id:       o.ID,
		log:      o.Log,
		shard:    o.Shard,
		identity: o.Identity,
		nclients: new(topology.Tally),
		outside:  o.Outside,
	}
	ctx.memory.ctx, ctx.timers.ctx, ctx.inquiries.ctx, ctx.leaving.ctx, ctx.transactions.ctx = ctx, ctx, ctx, ctx, ctx
	ctx.fanout.ctx = ctx
	ctx.measures.ended = make([]clientRun, 0, firstEnded)
	ctx.measures.set(o.Measures)
	ctx.rnd.Seed(uint64(o.Epoch.UnixNano()), uint64(o.ID))
	if o.NewLoop == nil {
		o.NewLoop = eventloop.New
	}
	loop, err := o.NewLoop(o.Epoch, ctx)
	if err != nil {
		return nil, err
	}
	ctx.loop, ctx.bufs = loop, loop.Bufs()
	ctx.SetBudget(turnBudget)
	loop.TimeTurns(o.Measures.TurnTimes)
	pools := ctx.withSnapshots(o.Pools)
	ctx.shard.Reshape(shapeOf(pools), nil)
	for i, p := range pools {
		ctx.pools = append(ctx.pools, newServerPool(ctx, i, p))
	}
	o.Identity.Join(ctx)
	ctx.memory.readAccount()
	return ctx, nil
}

// ID is the loop's number, from 0.
func (ctx *Context) ID() int { return ctx.id }

// Loop is the context's event loop.
func (ctx *Context) Loop() *eventloop.Loop { return ctx.loop }

// Clients is how many clients the context has. It may be called from any
// goroutine.
func (ctx *Context) Clients() int { return int(ctx.nclients.Value()) }

// CopyStats copies the context's statistics to dst. It must run on the loop.
func (ctx *Context) CopyStats(dst *stats.Shard) {
	v := &ctx.shard.Values
	v[stats.Turns] = int64(ctx.loop.Turns())
	v[stats.LongestTurn] = int64(ctx.loop.LongestTurn(false))
	v[stats.LoopClients] = ctx.nclients.Value()
	msgs, chunks := ctx.Live()
	v[stats.LiveMessages], v[stats.LiveChunks] = int64(msgs), int64(chunks)
	v[stats.FreeMessages], v[stats.FreeParsers] = int64(ctx.msgs.Free()), 0
	for _, p := range ctx.pools {
		noteSilence(p, ctx.loop.Now())
		v[stats.FreeParsers] += int64(p.npartials)
		p.stats.Values[stats.LimitWaiting] = 0
		if r := p.rates; r != nil {
			p.stats.Values[stats.LimitWaiting] = int64(r.waits())
		}
		p.stats.Values[stats.ServerWaiting] = ctx.waiters.of(p)
		if p.stages != nil {
			p.stats.Values[stats.CertificateUntil] = p.stages.Until()
		}
	}
	v[stats.ChunkBytes], v[stats.FreeBytes] = int64(ctx.bufs.InUse()), int64(ctx.bufs.Free())
	v[stats.MemoryHeld] = ctx.memory.told
	ring := ctx.loop.RingStats()
	v[stats.RingEnters], v[stats.RingSubmissions], v[stats.RingCompletions] = ring.Enters, ring.Submissions, ring.Completions
	v[stats.RingOverflows], v[stats.RingBytes] = ring.Overflows, ring.BufferBytes
	ctx.shard.Copy(dst)
}

// Live returns how many messages and chunks are in use. Both are zero when
// nothing is in flight. It must run on the loop.
func (ctx *Context) Live() (msgs, chunks int) { return ctx.msgs.Live(), ctx.bufs.Live() }

// Preconnect opens the connections of the pools that ask for it. It must run on
// the loop.
func (ctx *Context) Preconnect() {
	for _, p := range ctx.pools {
		p.preconnect()
	}
}

func (p *ServerPool) preconnect() {
	if !p.conf.Preconnect {
		return
	}
	j := &preconnecting{pool: p, servers: p.everywhere()}
	if len(j.servers)*p.conf.ServerConnections > p.ctx.turn.atOnce.Clients {
		p.ctx.turn.later(j)
		return
	}
	for !j.connect() {
		continue
	}
}

// preconnect opens the server's connections, if the pool asks for that.
func (s *Server) preconnect() {
	if !s.pool.conf.Preconnect {
		return
	}
	for slot := range s.pool.conf.ServerConnections {
		s.conn(0, slot)
	}
}

// A preconnecting is the opening of all connections of a pool in its first lane. The
// next one is that of servers[next] in slot.
type preconnecting struct {
	pool       *ServerPool
	servers    []*Server
	next, slot int
}

// step implements job.
func (j *preconnecting) step(ctx *Context) (done bool) {
	for ctx.turn.room() {
		if j.connect() {
			return true
		}
	}
	return false
}

// connect opens one connection, and reports whether there is none left.
func (j *preconnecting) connect() (done bool) {
	if j.next < len(j.servers) && j.slot < j.pool.conf.ServerConnections {
		if s := j.servers[j.next]; !s.removed {
			s.conn(0, j.slot)
		}
		j.slot++
		return false
	}
	j.next, j.slot = j.next+1, 0
	return j.next >= len(j.servers)
}

// OnWake implements eventloop.Hook. It takes over what was published meanwhile, between
// two requests.
func (ctx *Context) OnWake() {
	if now := ctx.identity.Epoch().Now(); now != ctx.epoch {
		ctx.epoch = now
		for _, p := range ctx.pools {
			p.follow()
		}
	}
}

// OnTurn implements eventloop.Hook. Overdue requests fail, and clients that waited for
// room go on.
func (ctx *Context) OnTurn(now int64) int64 {
	if n := ctx.loop.Turns(); n != ctx.turn.at {
		ctx.turn.at = n
		ctx.turn.restart()
	}
	ctx.fireTimers(now)
	if ctx.trackers > 0 {
		ctx.followTracked()
	}
	if ctx.leaving.next != 0 && now >= ctx.leaving.next {
		ctx.leaving.due(now)
	}
	relief := ctx.memory.relieve(now)
	if len(ctx.fanout.busy) > 0 && ctx.fanout.work() {
		relief = now
	}
	if ctx.inquiries.next != 0 && now >= ctx.inquiries.next {
		ctx.inquiries.begin()
	}
	more := ctx.resumeClients()
	if len(ctx.fanout.asking) > 0 {
		ctx.fanout.ask()
		more = more || len(ctx.resumable) > 0
	}
	if more {
		relief = now // the next turn follows at once
	}
	if ctx.turn.work(ctx) {
		relief = now
	}
	ctx.measures.endServerRuns(ctx.loop.Now())
	return soonest(relief, ctx.wakeListeners(now), ctx.nextTimer(), ctx.inquiries.next, ctx.leaving.next)
}

// resumeClients resumes clients that had too much in flight, or waited for an answer.
// It does as much as one turn may, and reports whether some are left for the next turn.
// Clients that become resumable meanwhile are resumed too.
func (ctx *Context) resumeClients() (more bool) {
	ctx.resumeAnswered()
	i := 0
	for ; i < len(ctx.resumable) && ctx.turn.resumesMore(); i++ {
		c := ctx.resumable[i]
		ctx.resumable[i] = nil
		c.resumable = false
		c.resume()
		ctx.resumeAnswered()
	}
	n := copy(ctx.resumable, ctx.resumable[i:])
	clear(ctx.resumable[n:])
	ctx.resumable = ctx.resumable[:n]
	return n > 0
}

// takesMore reports whether this turn takes one more request.
func (ctx *Context) takesMore() bool { return !ctx.turn.full || ctx.turn.takesMore(ctx.loop.Turns()) }

// soonest is the earliest of several times. 0 is never.
func soonest(times ...int64) int64 {
	first := int64(0)
	for _, t := range times {
		if t != 0 && (first == 0 || t < first) {
			first = t
		}
	}
	return first
}

// wakeListeners resumes the listeners that have rested long enough and returns
// when the next one will have.
func (ctx *Context) wakeListeners(now int64) (next int64) {
	kept := ctx.resting[:0]
	for _, ln := range ctx.resting {
		if now >= ln.restUntil {
			ln.wake()
			continue
		}
		kept = append(kept, ln)
		next = soonest(next, ln.restUntil)
	}
	ctx.resting = kept
	return next
}

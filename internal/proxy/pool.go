package proxy

import (
	"nuthatch/internal/config"
	"nuthatch/internal/latency"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/socket"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// A ServerPool is one pool as one loop sees it: its clients, and its servers
// with the connections of this loop.
type ServerPool struct {
	// static after construction
	ctx    *Context
	index  int
	conf   *config.Pool
	access accesses
	// rates are the pool's limits; nil: there are none.
	rates  *rates
	proto  capabilities
	stages Stages
	stats  *stats.PoolShard

	// owned by the loop

	router
	// following is the taking over of a snapshot with other servers, or nil.
	following *following
	// searches are those of clients whose next request waits for private connections.
	searches list[*search]
	clientList
	newcomers newcomers
	logins    logins
	laneSet
	tracked
	// questions are those that servers have been asked, by topic; nil until the
	// first one.
	questions map[string]*question
	// unknown has the topics that the servers do not know, and until when that is
	// remembered; nil until the first one.
	unknown map[string]int64
	// parser is for requests that begin. A request that has come only in part keeps the
	// parser, and another one takes its place here.
	parser    msg.RequestParser
	partials  *partial // free list
	npartials int      // its length
	// largest estimates the size of large replies to clients, in bytes.
	largest int
	// slow is how many clients have slowSince set.
	slow int
	// retryPace is for the line that requests were sent again.
	retryPace pace
	// selectPace is for the line that a client's SELECT failed.
	selectPace pace
	// certPace is for the line that a certificate's user is ambiguous.
	certPace pace
	// expiries are for the lines that requests took too long, by the name of the server; empty:
	// they went to none.
	expiries map[string]*expiry
	// largePace is for the line that a reply was too large.
	largePace pace
	// paused: no request is taken, since time pausedAt.
	paused   bool
	pausedAt int64
	// asksApart: a server has refused a client's channels, so each request to listen is asked
	// for by itself.
	asksApart bool
	// leaveBy is when a removed pool is closed at the latest; 0 for all other pools.
	leaveBy int64
	keeping
	// detours are the requests that nodes of a cluster have not carried out; nil: the pool is
	// no cluster.
	detours *detours
	// retries bounds how many requests are sent again.
	retries retryBudget
	// latency is how long requests took, by msg.Type; nil for commands that were
	// never sent.
	latency  []*latency.Histogram
	failures failureTimes
	// calls are the requests that clients sent, and commandErrors the errors that they
	// got, by msg.Type.
	calls         callCounts
	commandErrors errorCounts
	keys          keySampler
	// lossPace is when it may next be told that clients lost what they listen to.
	lossPace pace
	// holdBy is until when what is published waits at the most; 0: it does not.
	holdBy int64
	// holds are the moves of clients' channels for which it waits. staying is how many
	// clients had to stay where they are.
	holds   []hold
	staying int
}

const (
	// maxPartials is how many partials a pool's free list holds, and maxKeptParser
	// how many bytes the parser of one may hold there.
	maxPartials   = 128
	maxKeptParser = 4 << 10
)

// A partial is a request that has come only in part.
type partial struct {
	parser msg.RequestParser
	proto  Protocol // whose parser it is
	// among are the servers that the parser judges requests by.
	among *topology.Members
	bytes mbuf.Chain
	next  *partial // on the free list
	pace  progress
	// held is what the parser holds, as it was counted last, in bytes.
	held int
	// charged is how many of its bytes limits were charged for. late is why it is refused when it
	// is whole; OK: it came in time.
	charged int
	late    msg.Reason
}

func newServerPool(ctx *Context, index int, o PoolOptions) *ServerPool {
	p := &ServerPool{
		ctx:    ctx,
		index:  index,
		conf:   o.Config,
		access: accessesOf(o.Config),
		router: router{ctx: ctx, topo: o.Topology, commands: o.Protocol.Commands()},
		proto:  capabilitiesOf(o.Protocol),
		stages: o.Stages,
		stats:  &ctx.shard.Pools[index],
		parser: o.Protocol.NewRequestParser(),
	}
	p.byID = make(map[uint64]*client)
	p.rates = ratesOf(p, nil)
	p.laneSet.ctx, p.passer = ctx, p.proto.passer
	p.latency = make([]*latency.Histogram, len(p.commands))
	p.calls = make(callCounts, len(p.commands))
	p.commandErrors = make(errorCounts, len(p.commands))
	p.keys.set(ctx.measures.Measures)
	p.back = p.countTried
	p.clearLanes()
	servers := make([]*Server, len(o.snap.Servers))
	for i := range servers {
		servers[i] = newServer(p, o.snap, i)
	}
	p.goBy(o.snap, servers)
	p.scheduleIdleCheck()
	followSlots(p)
	return p
}

// getPartial returns a partial with the parser that is in the middle of a request. The pool
// gets another parser.
func (p *ServerPool) getPartial() *partial {
	q := p.partials
	if q == nil {
		q = &partial{parser: p.proto.NewRequestParser(), proto: p.proto.Protocol, among: p.snap.Members}
	} else {
		p.partials = q.next
		p.npartials--
		q.next = nil
	}
	q.parser, p.parser = p.parser, q.parser
	q.pace = progress{since: p.ctx.loop.Now()}
	return q
}

// count counts the memory of the parser of a partial request.
func (ctx *Context) count(q *partial) {
	held := q.parser.Held()
	ctx.memory.beside += int64(held - q.held)
	q.held = held
}

// putPartial gives a partial back. Its parser must be in its first state.
func (p *ServerPool) putPartial(q *partial) {
	q.bytes.Release(p.ctx.bufs)
	q.parser.Forget()
	p.ctx.memory.beside -= int64(q.held)
	q.held, q.charged, q.late = 0, 0, msg.OK
	// A reload may have replaced the protocol meanwhile, or the servers are others.
	if q.proto != p.proto.Protocol || q.among != p.snap.Members || p.npartials == maxPartials || q.parser.Held() > maxKeptParser {
		return
	}
	q.next = p.partials
	p.partials = q
	p.npartials++
}

// adoptPartial has a partial request judged by the present settings and servers, if
// these have changed since it began.
func (p *ServerPool) adoptPartial(q *partial) {
	if q.proto != p.proto.Protocol || q.among != p.snap.Members {
		q.parser.Adopt(p.parser)
		q.proto, q.among = p.proto.Protocol, p.snap.Members
	}
}

// trim leaves the free list to the garbage collector.
func (p *ServerPool) trim() { p.partials, p.npartials = nil, 0 }

// keepaliveOf is the TCP keepalive of a pool's connections, to clients and to servers.
func keepaliveOf(p *config.Pool) socket.Keepalive {
	return socket.Keepalive{
		On: p.TCPKeepalive, Idle: p.TCPKeepaliveIdle, Interval: p.TCPKeepaliveInterval, Count: p.TCPKeepaliveCount,
	}
}

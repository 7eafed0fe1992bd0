package proxy

import (
	"nuthatch/internal/config"
	"nuthatch/internal/hashkit"
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
	ctx     *Context
	index   int
	conf    *config.Pool
	topo    *topology.Topology
	proto   capabilities
	servers []*Server
	stats   *stats.PoolShard
	// commands are the protocol's, by msg.Type.
	commands []msg.Command

	// back counts that a server is on the ring again: p.countTried, made once.
	back func(server int)

	// owned by the loop
	//
	// clients is the first of the pool's clients on this loop, the oldest, and newest
	// the last: they are in the order of their ids. byID is all of them.
	clients, newest *client
	byID            map[uint64]*client
	// walks are those that inquiries are on through the pool's clients.
	walks []*walk
	// lanes are the lanes that were ever used, the first one the default. laneByKey
	// are their places.
	lanes     []lane
	laneByKey map[msg.Lane]int
	// questions are those that servers have been asked, by topic; nil until the
	// first one.
	questions map[string]*question
	// unknown is until when it is kept that servers do not know what a topic is about;
	// nil until the first one.
	unknown map[string]int64
	// parser is for requests that begin; one that does not end with the bytes
	// at hand keeps the parser, and another takes its place.
	parser    msg.RequestParser
	partials  *partial // free list
	npartials int      // its length
	// largest estimates how large the large replies are that clients get, in bytes.
	largest int
	// slow is how many clients have slowSince set.
	slow int
	// retryPace is when it may next be told that requests were sent again.
	retryPace pace
	// selectPace is when it may next be told that a client's SELECT failed.
	selectPace pace
	// expiredPace is when it may next be told that requests took too long.
	expiredPace pace
	// largePace is when it may next be told that a reply was too large.
	largePace pace
	// paused: no request is taken.
	paused bool
	// leaveBy is when a pool that was removed goes at the latest; 0 for all
	// others.
	leaveBy int64
	// keepsPure: reads are kept until they are answered, to be sent again.
	keepsPure bool
	// retries is how many requests may be sent again.
	retries retryBudget
	// latency is how long requests took, by msg.Type; nil for commands that were
	// never sent.
	latency []*latency.Histogram
	keys    keySampler
	// shares is scratch: 1 more than the index of a server's share of a request
	// in ctx.dealing, or 0.
	//
	// Invariant: all zero between requests.
	shares []uint16
}

const (
	// maxPartials is how many partials a pool's free list holds, and maxKeptParser
	// how many bytes the parser of one may hold there.
	maxPartials   = 128
	maxKeptParser = 4 << 10
)

// A partial is a request that has not wholly come.
type partial struct {
	parser msg.RequestParser
	proto  Protocol // whose parser it is
	bytes  mbuf.Chain
	next   *partial // on the free list
	pace   progress
	// held is what the parser holds, as it was counted last, in bytes.
	held int
}

func newServerPool(ctx *Context, index int, o PoolOptions) *ServerPool {
	p := &ServerPool{
		ctx:    ctx,
		index:  index,
		conf:   o.Config,
		topo:   o.Topology,
		proto:  capabilitiesOf(o.Protocol),
		stats:  &ctx.shard.Pools[index],
		parser: o.Protocol.NewRequestParser(),
		shares: make([]uint16, len(o.Config.Servers)),
	}
	p.byID = make(map[uint64]*client)
	p.commands = o.Protocol.Commands()
	p.latency = make([]*latency.Histogram, len(p.commands))
	p.keys.set(ctx.measures.Measures)
	p.back = p.countTried
	p.clearLanes()
	for i := range o.Config.Servers {
		p.servers = append(p.servers, newServer(p, i))
	}
	p.lookForIdle()
	p.keepsPure = p.conf.Retry == config.RetryIdempotent
	return p
}

// begin gives a client whose request has begun, and not ended, the parser that
// knows how far it came.
func (p *ServerPool) begin() *partial {
	q := p.partials
	if q == nil {
		q = &partial{parser: p.proto.NewRequestParser(), proto: p.proto.Protocol}
	} else {
		p.partials = q.next
		p.npartials--
		q.next = nil
	}
	q.parser, p.parser = p.parser, q.parser
	q.pace = progress{since: p.ctx.loop.Now()}
	return q
}

// count counts what the parser of a request that has not wholly come holds.
func (ctx *Context) count(q *partial) {
	held := q.parser.Held()
	ctx.memory.beside += int64(held - q.held)
	q.held = held
}

// finish takes back what begin gave. The parser must be in its first state.
func (p *ServerPool) finish(q *partial) {
	q.bytes.Release(p.ctx.bufs)
	q.parser.Forget()
	p.ctx.memory.beside -= int64(q.held)
	q.held = 0
	// A reload may have replaced the protocol meanwhile.
	if q.proto != p.proto.Protocol || p.npartials == maxPartials || q.parser.Held() > maxKeptParser {
		return
	}
	q.next = p.partials
	p.partials = q
	p.npartials++
}

// adoptPartial has a request that a reload found half way through judged as one that
// begins now.
func (p *ServerPool) adoptPartial(q *partial) {
	if q.proto != p.proto.Protocol {
		q.parser.Adopt(p.parser)
		q.proto = p.proto.Protocol
	}
}

// trim leaves what is on the free list to the collector.
func (p *ServerPool) trim() { p.partials, p.npartials = nil, 0 }

// random is a number for the random distribution; the others need none.
func (p *ServerPool) random() uint32 {
	if p.conf.Distribution != hashkit.Random {
		return 0
	}
	return uint32(p.ctx.rnd.Uint64())
}

// noServer is owner's answer when every server is ejected, and crossServer when
// the keys have different ones.
const (
	noServer    = -1
	crossServer = -2
)

// owner returns the index of the server that owns all keys of req, or noServer
// or crossServer. With crossServer the context's key1 and key2 hold two keys
// that differ.
func (p *ServerPool) owner(req *msg.Request) int {
	ctx := p.ctx
	ring := p.topo.Current(ctx.loop.Now(), p.back)
	// One number for all keys, so that a random owner is one owner.
	rnd := p.random()
	if req.PlaceKey != nil {
		return ring.Server(req.PlaceKey, rnd)
	}
	k := req.Key(0)
	var key, other []byte
	key, ctx.key1 = req.View.Bytes(int(k.Off), int(k.Len), ctx.key1)
	first := ring.Server(key, rnd)
	if req.Nkeys == 1 || len(p.servers) == 1 || first == noServer {
		return first
	}
	for i := 1; i < req.Nkeys; i++ {
		k := req.Key(i)
		other, ctx.key2 = req.View.Bytes(int(k.Off), int(k.Len), ctx.key2)
		if ring.Server(other, rnd) != first {
			ctx.key1 = append(ctx.key1[:0], key...)
			ctx.key2 = append(ctx.key2[:0], other...)
			return crossServer
		}
	}
	return first
}

// keepaliveOf is what a pool's connections, of clients and of servers, have of
// TCP keepalive.
func keepaliveOf(p *config.Pool) socket.Keepalive {
	return socket.Keepalive{
		On: p.TCPKeepalive, Idle: p.TCPKeepaliveIdle, Interval: p.TCPKeepaliveInterval, Count: p.TCPKeepaliveCount,
	}
}

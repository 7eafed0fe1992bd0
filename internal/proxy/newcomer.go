package proxy

import (
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"syscall"

	"nuthatch/internal/eventloop"
	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/proxyheader"
	"nuthatch/internal/stats"
)

// A connection from proxy_protocol_from begins with a PROXY header, which says who the client
// is. Until it has come, the connection is a newcomer, and no client:
//
//	accept ─┬─ from elsewhere ───────────────► access ─────────────────► client ─► stage, requests
//	        └─ from a load balancer ─► newcomer ─► header ─► access ─► PassTo ─┘
//	                                      └─ none, faulty, late: refused
//
// It counts as a client of the pool, so that client_connections bounds it too.

// A newcomer is a connection whose PROXY header has not wholly come.
type newcomer struct {
	eventloop.Conn

	// static after construction
	pool  *ServerPool
	peer  netip.Addr // the load balancer's; not valid at a unix socket
	by    manner
	since int64

	// owned by the loop
	header proxyheader.Parser
	held   int // of the header, as it is counted
	// links are its place in the pool's list.
	links[*newcomer]
}

// newcomers are a pool's, on one loop, in the order in which they came.
type newcomers struct {
	list[*newcomer]
	// endBy is when the last of them is closed, 0 unless the pool drains. The clients that
	// they become until then are closed at leaveBy at the latest.
	endBy, leaveBy int64
}

var errLateHeader = errors.New("no PROXY header within proxy_protocol_timeout")

// awaitHeader makes a newcomer of the connection.
func awaitHeader(p *ServerPool, accepted eventloop.Accepted, by manner) {
	ctx := p.ctx
	accepted.Tune(keepaliveOf(p.conf))
	a := &newcomer{pool: p, peer: accepted.PeerAddr(), by: by, since: ctx.loop.Now()}
	if err := accepted.Attach(&a.Conn, a, nil); err != nil {
		ctx.clientGone(p.topo.Lineage)
		return
	}
	p.newcomers.enter(a)
	p.stats.Values[stats.ProxyHeadersWaiting]++
	ctx.shard.CurrConnections++
	ctx.nextNewcomer = soonest(ctx.nextNewcomer, a.since+int64(p.conf.ProxyProtocolTimeout))
}

// leave takes the newcomer off the pool's list.
func (a *newcomer) leave() {
	p := a.pool
	p.newcomers.remove(a)
	p.stats.Values[stats.ProxyHeadersWaiting]--
	p.ctx.shard.CurrConnections--
	p.ctx.memory.beside -= int64(a.held)
}

// close ends the connection of a newcomer that becomes no client.
func (a *newcomer) close() {
	a.leave()
	a.Close()
	a.pool.ctx.clientGone(a.pool.topo.Lineage)
}

// turnAway tells whoever has connected why it is refused, and closes the connection.
func (a *newcomer) turnAway(why msg.Reason) {
	words := refusal(a.pool, why, a.by.secured && a.pool.stages != nil)
	a.LastWords(words.Head().Bytes())
	words.Release(a.pool.ctx.bufs)
	a.close()
}

// fail refuses the connection for a fault of its header.
func (a *newcomer) fail(fault error) {
	p := a.pool
	countRefused(p, msg.BadHeader)
	logBadHeader(p, a.PeerName(), fault)
	a.turnAway(msg.BadHeader)
}

// becomes makes the newcomer the client that its header tells of. rest is what came behind
// the header.
func (a *newcomer) becomes(h proxyheader.Header, rest []byte) {
	p := a.pool
	p.stats.Values[stats.ProxyHeaders]++
	// A load balancer that speaks for itself, or does not know, is judged by its own address.
	at := &addresses{ip: a.peer}
	switch {
	case h.Source.IsValid():
		at.ip, at.addr = h.Source.Addr(), h.Source.String()
	case h.Unix:
		if at.addr = "unix"; h.Path != "" {
			at.addr = asWord(h.Path)
		}
	}
	if !p.access.of(a.by.secured).admits(at.ip) {
		noteStranger(p, at.ip, a.by.secured)
		a.turnAway(msg.AddressRefused)
		return
	}
	if at.addr != "" {
		at.localAddr, at.via = a.LocalName(), a.PeerName()
	}
	a.leave()
	c := newClient(p)
	c.addrs = at
	a.PassTo(&c.Conn, c, p.clientStage(a.by.secured))
	c.opened()
	c.Feed(rest)
	if p.newcomers.endBy != 0 && c.state != clientClosed {
		p.ctx.leaving.dismiss(c, p.newcomers.leaveBy)
	}
}

// headerGrant is how many bytes are received at a time of a connection whose header has not
// come.
const headerGrant = 512

// Grant implements eventloop.Handler.
func (a *newcomer) Grant() int { return headerGrant }

// OnData implements eventloop.Handler.
func (a *newcomer) OnData(data []byte) {
	h, n, done, err := a.header.Parse(data)
	switch {
	case err != nil:
		a.fail(err)
	case done:
		a.becomes(h, data[n:])
	default:
		held := a.header.Held()
		a.pool.ctx.memory.beside += int64(held - a.held)
		a.held = held
	}
}

// OnEOF implements eventloop.Handler. A check of the port connects and says nothing.
func (a *newcomer) OnEOF() {
	if a.header.Held() > 0 {
		a.fail(errors.New("the PROXY header ends too early"))
		return
	}
	a.close()
}

// OnError implements eventloop.Handler.
func (a *newcomer) OnError(syscall.Errno) { a.close() }

// The rest of eventloop.Handler is not used.

// OnConnect implements eventloop.Handler.
func (a *newcomer) OnConnect() {}

// OnEnding implements eventloop.Handler.
func (a *newcomer) OnEnding() {}

// OnSent implements eventloop.Handler.
func (a *newcomer) OnSent(int) {}

// Lend implements eventloop.Handler.
func (a *newcomer) Lend() []byte { return nil }

// OnLent implements eventloop.Handler.
func (a *newcomer) OnLent(int) {}

// checkNewcomers refuses those whose header has not come in time, and sets when to look again.
func (t *timers) checkNewcomers(now int64) {
	t.nextNewcomer = 0
	for _, pools := range [][]*ServerPool{t.ctx.pools, t.ctx.leaving.pools} {
		for _, p := range pools {
			t.nextNewcomer = soonest(t.nextNewcomer, checkNewcomers(p, now))
		}
	}
}

// checkNewcomers is that for one pool, and returns when to look again; 0: never.
func checkNewcomers(p *ServerPool, now int64) (next int64) {
	limit := int64(p.conf.ProxyProtocolTimeout)
	for a := p.newcomers.first; a != nil; {
		following, late := a.next, now >= a.since+limit
		switch {
		case p.newcomers.endBy == 0 && !late:
			return a.since + limit
		case !late && now < p.newcomers.endBy && a.hasBegun():
			next = now + leavePoll
		case !p.ctx.turn.room():
			return now
		case late:
			a.fail(errLateHeader)
		default:
			a.close()
		}
		a = following
	}
	return next
}

// hasBegun reports whether some of the header has come.
func (a *newcomer) hasBegun() bool {
	unread, _ := a.Unread()
	return unread > 0 || a.header.Held() > 0
}

// dismissNewcomers closes those of which nothing has come, and the others a little later, unless
// they are clients by then. Those leave at time by at the latest.
func dismissNewcomers(p *ServerPool, by int64) {
	now := p.ctx.loop.Now()
	p.newcomers.endBy, p.newcomers.leaveBy = now+partingLinger, by
	if p.newcomers.first != nil {
		p.ctx.nextNewcomer = now
	}
}

// newcomersLeave reports whether connections without a header are about to be closed.
func newcomersLeave(ctx *Context) bool {
	return slices.ContainsFunc(ctx.pools, func(p *ServerPool) bool { return p.newcomers.endBy != 0 && p.newcomers.first != nil })
}

// logBadHeader tells that a connection was refused for its PROXY header, or for having none.
func logBadHeader(p *ServerPool, peer string, fault error) {
	ctx := p.ctx
	if !ctx.log.Enabled(logging.Warn) {
		return
	}
	missed, ok := ctx.paces[msg.BadHeader].mayLog(ctx.loop.Now())
	if !ok {
		return
	}
	ctx.log.Warn("client refused: no valid PROXY header", slog.String("pool", p.conf.Name), slog.String("peer", peer),
		slog.String("fault", fault.Error()), slog.Int("left_out", missed))
}

// unseen, as the number of bytes to skip, says that nothing of the client was looked at. A
// PROXY header is looked for then, so that it need not be for each request.
const unseen = -1

// bringsHeader looks at a client's first bytes. If they are a PROXY header, which this client
// must not send, it gets an error and is closed.
func bringsHeader(c *client, first []byte) bool {
	c.skip = 0
	if begins, _ := proxyheader.Begins(first); !begins {
		return false
	}
	c.closing(closeReason{why: msg.StrangeHeader})
	c.pool.proto.AppendError(c.pool.ctx.bufs, c.Out(), msg.StrangeHeader.String())
	c.Flush()
	return true
}

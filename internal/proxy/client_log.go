package proxy

import (
	"log/slog"
	"strconv"
	"syscall"
	"time"

	"nuthatch/internal/eventloop"
	"nuthatch/internal/events"
	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// A closeReason is why a client connection ends. The zero value is no reason:
// the client asked for it.
type closeReason struct {
	protocol *msg.ProtocolError
	// errno is a syscall.Errno, or 0.
	errno uint16
	// why is any other reason.
	why msg.Reason
}

var (
	byEOF       = closeReason{why: msg.ClientEOF}
	byKill      = closeReason{why: msg.Killed}
	byDismissal = closeReason{why: msg.Dismissed}
)

// isError reports whether the reason is a fault of the client or its
// connection. Anything else counts as an end of file, a quit included.
func (r closeReason) isError() bool { return r.errno != 0 || r.protocol != nil || r.isOffence() }

// isOffence reports whether the client was cut for what it did.
func (r closeReason) isOffence() bool {
	switch r.why {
	case msg.OK, msg.ClientEOF, msg.Killed, msg.Dismissed, msg.ClientIdle, msg.SubscriptionLost, msg.MonitorLost,
		msg.UserRemoved, msg.NoPermission:
		return false
	default:
		return true
	}
}

// reason is the close reason in the statistics.
func (r closeReason) reason() msg.Reason {
	switch {
	case r.errno != 0:
		return topology.ReasonOf(syscall.Errno(r.errno))
	case r.protocol != nil:
		return msg.NotProtocol
	case r.why == msg.OK:
		return msg.Asked
	default:
		return r.why
	}
}

func (r closeReason) String() string {
	switch {
	case r.errno != 0:
		return syscall.Errno(r.errno).Error()
	case r.protocol != nil:
		return r.protocol.Msg
	default:
		return r.reason().String()
	}
}

func durationAttr(key string, d time.Duration) slog.Attr {
	return slog.String(key, d.String())
}

// clientAttrs names the client in a log line. It asks the kernel for the peer's
// address. So call it only if the line is written.
func clientAttrs(c *client) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("pool", c.pool.conf.Name),
		slog.Uint64("client", c.session.ID),
		slog.Int("fd", c.ShownFD()),
		slog.String("peer", peerName(c)),
	}
	if a := c.addrs; a != nil && a.via != "" {
		attrs = append(attrs, slog.String("via", a.via))
	}
	return attrs
}

// peerName is the client's address: the one that a load balancer has told, if it came through
// one.
func peerName(c *client) string {
	if a := c.addrs; a != nil && a.addr != "" {
		return a.addr
	}
	return c.PeerName()
}

// logClosed tells that the client is closed, and why.
func logClosed(c *client) {
	ctx := c.pool.ctx
	level := logging.Info
	fault := c.Fault()
	if c.lastErr.protocol != nil || c.lastErr.isOffence() || fault != nil {
		level = logging.Warn
	}
	if !ctx.log.Enabled(level) {
		return
	}
	missed := 0
	if level == logging.Warn {
		var ok bool
		if missed, ok = ctx.paces[c.lastErr.reason()].mayLog(ctx.loop.Now()); !ok {
			return
		}
	}
	attrs := append(clientAttrs(c),
		slog.String("reason", c.lastErr.String()),
		slog.Int("outstanding", c.outq.Len()))
	if fault != nil {
		attrs = append(attrs, slog.String("fault", fault.Error()))
	}
	if c.lastErr.isOffence() {
		now := ctx.loop.Now()
		attrs = append(attrs, slog.Int("unread", c.Out().Len()), durationAttr("unread_for", c.unreadFor(now)))
		if m := &ctx.memory; m.full {
			attrs = append(attrs, durationAttr("memory_full_for", time.Duration(now-m.fullSince)))
		}
	}
	if level == logging.Warn {
		attrs = append(attrs, slog.Int("left_out", missed))
	}
	ctx.log.Log(level, "closed client", attrs...)
}

// noteCut adds an event when the proxy begins to close clients for an offence.
func noteCut(c *client, why msg.Reason) {
	p := c.pool
	if (closeReason{why: why}).isOffence() && p.topo.CutsBegin(p.ctx.loop.Now()) {
		p.ctx.identity.Events().Add(p.event(events.ClientsCut, why, "clients are closed: "+why.String()))
	}
}

// logRefused tells that a client was turned away.
func logRefused(p *ServerPool, a eventloop.Accepted, why msg.Reason) {
	ctx := p.ctx
	text, limit := "client refused: client_connections reached", p.conf.ClientConnections
	if why == msg.NoDescriptors {
		text, limit = "client refused: no descriptors are left for clients", ctx.identity.Limits().MaxClients()
	}
	if p.topo.RefusalsBegin(ctx.loop.Now()) {
		ctx.identity.Events().Add(p.event(events.ClientsRefused, why, text+" ("+strconv.Itoa(limit)+")"))
	}
	if !ctx.log.Enabled(logging.Warn) {
		return
	}
	missed, ok := ctx.paces[why].mayLog(ctx.loop.Now())
	if !ok {
		return
	}
	ctx.log.Warn(text, slog.String("pool", p.conf.Name), slog.String("peer", a.PeerName()),
		slog.Int("limit", limit), slog.Int("left_out", missed))
}

func (l *Listener) logAcceptError(err syscall.Errno) {
	log := l.ctx.log
	if !log.Enabled(logging.Err) {
		return
	}
	if missed, ok := l.pace.mayLog(l.ctx.loop.Now()); ok {
		log.Log(logging.Err, "cannot accept clients", slog.String("listen", l.ln.Name()),
			slog.String("reason", err.Error()), durationAttr("pause", time.Duration(acceptPause)),
			slog.Int("left_out", missed))
	}
}

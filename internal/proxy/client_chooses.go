package proxy

import (
	"log/slog"

	"nuthatch/internal/eventloop"
	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A chooser is a TLS stage whose client may ask for another pool, by a name (SNI).
type chooser interface {
	// Chosen is the name of that pool; empty: the client stays where it came to.
	Chosen() string
}

// goToChosen moves a client, after its handshake, to the pool that it has asked for.
func goToChosen(c *client, st eventloop.Stage) {
	s, ok := st.(chooser)
	if !ok || s.Chosen() == "" {
		return
	}
	for _, p := range c.pool.ctx.pools {
		if p.conf.Name == s.Chosen() {
			changePool(c, p)
			return
		}
	}
	// A reload has removed the pool. Its client gets no answers of another pool.
	c.lastErr = closeReason{why: msg.TLSFailed}
	c.close()
}

// changePool moves a client that has sent nothing yet. If the other pool does not let it
// in, or has no room for it, the client is closed.
func changePool(c *client, to *ServerPool) {
	p, limits := c.pool, c.pool.ctx.identity.Limits()
	if from := c.addrs.ip; to.access.secured.on && !to.access.secured.admits(from) {
		noteStranger(to, from, true)
		c.lastErr = closeReason{why: msg.AddressRefused}
		c.close()
		return
	}
	if why := limits.Join(to.topo.Lineage, int64(to.conf.ClientConnections)); why != msg.OK {
		countRefused(to, why)
		c.lastErr = closeReason{why: msg.TooManyClients}
		c.close()
		return
	}
	if u := limitsOf(c); u != nil {
		u.leave(c)
	}
	p.remove(c)
	p.stats.Values[stats.ClientConnections]--
	limits.Part(p.topo.Lineage)

	c.pool = to
	c.openAccount(to.firstReply())
	to.proto.begin(&c.session)
	c.goOnWithPool()
	if to.paused {
		c.pause()
	}
	to.enter(c)
	if d := to.conf.ClientIdleTimeout; d > 0 {
		to.checkBy(c.since + checkPeriod(d))
	}
	to.stats.Values[stats.ClientConnections]++
	to.stats.Values[stats.ClientsAccepted]++
	if log := to.ctx.log; log.Enabled(logging.Info) {
		log.Info("client goes to the pool whose name it asked for", append(clientAttrs(c), slog.String("from", p.conf.Name))...)
	}
}

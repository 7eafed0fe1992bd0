package proxy

import (
	"log/slog"

	"nuthatch/internal/eventloop"
	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// A chooser is a stage whose client may have asked for another pool than it came to.
type chooser interface {
	// Chosen is the name of that pool, empty for the one that it came to.
	Chosen() string
}

// goToChosen has a client that has just come to the pool that it has asked for.
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
	// A reload has taken the pool away: who asked for it gets nobody else's answers.
	c.lastErr = closeReason{why: msg.TLSFailed}
	c.close()
}

// changePool moves a client that has sent nothing yet. If the pool has no room for it, it is
// closed.
func changePool(c *client, to *ServerPool) {
	p, limits := c.pool, c.pool.ctx.identity.Limits()
	if why := limits.Join(to.topo.Lineage, int64(to.conf.ClientConnections)); why != msg.OK {
		countRefused(to, why)
		c.lastErr = closeReason{why: msg.TooManyClients}
		c.close()
		return
	}
	p.remove(c)
	p.stats.Values[stats.ClientConnections]--
	limits.Part(p.topo.Lineage)

	c.pool = to
	c.openAccount(to.firstReply())
	c.session.Authenticated = to.conf.RedisAuth == ""
	c.goOnWithPool()
	if to.paused {
		c.pause()
	}
	to.enter(c)
	if d := to.conf.ClientIdleTimeout; d > 0 {
		to.checkBy(c.since + checkPeriod(d))
	}
	to.stats.Values[stats.ClientConnections]++
	if log := to.ctx.log; log.Enabled(logging.Info) {
		log.Info("client goes to the pool whose name it asked for", append(clientAttrs(c), slog.String("from", p.conf.Name))...)
	}
}

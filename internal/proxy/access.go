package proxy

import (
	"log/slog"
	"net/netip"

	"nuthatch/internal/config"
	"nuthatch/internal/eventloop"
	"nuthatch/internal/events"
	"nuthatch/internal/inet"
	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
)

// accesses are the pool's lists: those for clients without TLS, and those for clients with
// it, which come to another port if the pool has two.
type accesses struct{ plain, secured access }

func accessesOf(p *config.Pool) accesses {
	return accesses{accessOf(p.Access(false)), accessOf(p.Access(true))}
}

// of are the lists for a client.
func (a *accesses) of(secured bool) *access {
	if secured {
		return &a.secured
	}
	return &a.plain
}

// An access is from where clients may come: allow_from and deny_from, and by which load
// balancers: proxy_protocol_from. It is not changed; a reload makes another one, which new
// clients are judged by.
type access struct {
	// on: there is a list.
	on                     bool
	allow, deny, balancers inet.Networks
}

func accessOf(a config.Access) access {
	return access{on: a != config.Access{}, allow: a.AllowFrom.Networks(), deny: a.DenyFrom.Networks(), balancers: a.ProxyProtocolFrom.Networks()}
}

// admits reports whether a client may come from the address. A client at a unix socket,
// whose address is not valid, may.
func (a *access) admits(from netip.Addr) bool {
	return !from.IsValid() || !a.deny.Contains(from) && (a.allow.Empty() || a.allow.Contains(from))
}

// refuseStranger sends an error to a client from an address that is not let in, and closes
// its connection. secured: it came to a port with TLS.
func refuseStranger(p *ServerPool, a eventloop.Accepted, from netip.Addr, secured bool) {
	noteStranger(p, from, secured)
	turnAway(p, a, msg.AddressRefused, secured && p.stages != nil)
}

// noteStranger counts and logs a client from an address that is not let in.
func noteStranger(p *ServerPool, from netip.Addr, secured bool) {
	const why = msg.AddressRefused
	countRefused(p, why)
	ctx := p.ctx
	list := "deny_from"
	if !p.access.of(secured).deny.Contains(from) {
		list = "allow_from"
	}
	if p.topo.StrangersBegin(ctx.loop.Now()) {
		ctx.identity.Events().Add(p.event(events.AddressesRefused, why, "clients are refused for their address ("+list+"), first "+from.String()))
	}
	if !ctx.log.Enabled(logging.Warn) {
		return
	}
	missed, ok := ctx.paces[why].mayLog(ctx.loop.Now())
	if !ok {
		return
	}
	ctx.log.Warn("client refused: its address is not allowed", slog.String("pool", p.conf.Name), slog.String("peer", from.String()),
		slog.String("list", list), slog.Int("left_out", missed))
}

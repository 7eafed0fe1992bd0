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

// An access is from where a pool's clients may come: allow_from and deny_from, and by which
// load balancers: proxy_protocol_from. It is not changed; a reload makes another one, which
// new clients are judged by.
type access struct {
	// on: there is a list.
	on                     bool
	allow, deny, balancers inet.Networks
}

func accessOf(p *config.Pool) access {
	return access{
		on:    p.AllowFrom != "" || p.DenyFrom != "" || p.ProxyProtocolFrom != "",
		allow: p.AllowFrom.Networks(), deny: p.DenyFrom.Networks(), balancers: p.ProxyProtocolFrom.Networks(),
	}
}

// admits reports whether a client may come from the address. A client at a unix socket,
// whose address is not valid, may.
func (a *access) admits(from netip.Addr) bool {
	return !from.IsValid() || !a.deny.Contains(from) && (a.allow.Empty() || a.allow.Contains(from))
}

// refuseStranger sends an error to a client from an address that is not let in, and closes
// its connection.
func refuseStranger(p *ServerPool, a eventloop.Accepted, from netip.Addr, secured bool) {
	noteStranger(p, from)
	turnAway(p, a, msg.AddressRefused, secured)
}

// noteStranger counts and logs a client from an address that is not let in.
func noteStranger(p *ServerPool, from netip.Addr) {
	const why = msg.AddressRefused
	countRefused(p, why)
	ctx := p.ctx
	list := "deny_from"
	if !p.access.deny.Contains(from) {
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

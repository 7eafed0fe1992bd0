package config

// A Listener is where clients of a pool connect.
type Listener struct {
	Address
	// Pool is the pool's place in the configuration.
	Pool int
	// TLS: clients speak TLS there.
	TLS bool
}

// Listeners are those of all pools: first one for each, in the order of the pools, then
// the second ones of those that have one.
func (c *Config) Listeners() []Listener {
	all := make([]Listener, len(c.Pools))
	for i := range c.Pools {
		t := &c.Pools[i].TLS
		all[i] = Listener{c.Pools[i].Listen, i, t.On() && t.Listen == Address{}}
		if t.Listen != (Address{}) {
			all = append(all, Listener{t.Listen, i, true})
		}
	}
	return all
}

// An Access is from where clients may come to a listener: see the pool's keys of these names.
type Access struct{ AllowFrom, DenyFrom, ProxyProtocolFrom NetworkList }

// Access are the lists for clients with TLS, or for those without it.
func (p *Pool) Access(secured bool) Access {
	a := Access{p.AllowFrom, p.DenyFrom, p.ProxyProtocolFrom}
	if t := &p.TLS; secured {
		a = Access{t.AllowFrom.or(a.AllowFrom), t.DenyFrom.or(a.DenyFrom), t.ProxyProtocolFrom.or(a.ProxyProtocolFrom)}
	}
	return a
}

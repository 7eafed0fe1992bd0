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

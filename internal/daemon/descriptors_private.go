package daemon

import (
	"fmt"

	"nuthatch/internal/config"
)

// Private connections are opened when clients need them, and most pools never have as
// many as they may. So no descriptors are reserved for them. There is a warning if
// there are too few for all of them and a fair number of clients.

// privateOf is how many private connections clients may have, in all pools.
func privateOf(conf *config.Config) int {
	n := 0
	for i := range conf.Pools {
		if p := &conf.Pools[i]; p.Protocol == config.Redis {
			n += len(p.Servers) * p.PrivateConnections
		}
	}
	return n
}

// lacksPrivate reports whether too few descriptors are left for all private connections.
func (d *Descriptors) lacksPrivate() bool {
	return d.Private > 0 && d.Limit-d.Own-d.Servers-d.Private < int(float64(d.Limit)*leastClients)
}

const fewForPrivate = "too few descriptors for all private connections and a quarter of the limit for clients: raise the limit (ulimit -n, LimitNOFILE=), or lower private_connections"

// checkDescriptors finds that the limit of this process, which may not be that of the proxy,
// is too low.
func checkDescriptors(o checkedStart) []Finding {
	limit, err := descriptorLimit()
	if err != nil {
		return nil
	}
	d := descriptorsOf(o.Config, limit)
	if !d.lacksPrivate() {
		return nil
	}
	return []Finding{{fmt.Errorf("%s: %d private connections may be open, and the limit is %d", fewForPrivate, d.Private, limit), true}}
}

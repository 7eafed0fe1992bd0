package daemon

import "fmt"

// Private connections are opened when clients need them, and most pools never have as
// many as they may. So no descriptors are reserved for them. There is a warning if
// there are too few for all of them and a fair number of clients.

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
	d := descriptorsOf(o.Config, nil, limit)
	if !d.lacksPrivate() {
		return nil
	}
	return []Finding{{Err: fmt.Errorf("%s: %d private connections may be open, and the limit is %d", fewForPrivate, d.Private, limit), Doubt: true}}
}

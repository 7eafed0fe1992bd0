package admin

import (
	"time"

	"nuthatch/internal/history"
	"nuthatch/internal/topology"
)

// handedFailing are the servers that are not up, and since when, in the form in which they are
// handed over. Those that an operator has disabled are in service again in the next program.
func handedFailing(in Instance) (all []history.Failing) {
	conf, topo := in.InForce()
	for i := range conf.Pools {
		snap := topo[i].Snapshot()
		for j, h := range snap.Servers {
			if s := h.State(); s.State != topology.Up && s.State != topology.Disabled {
				at := history.Subject{Pool: conf.Pools[i].Name, Server: snap.Names[j]}
				all = append(all, history.Failing{Subject: at, Since: in.Wall(s.Since).UnixNano()})
			}
		}
	}
	return all
}

// failedBefore has servers that were not up in the program before be so since then, if they still
// fail.
func failedBefore(in Instance, handed []history.Failing) {
	since := make(map[history.Subject]int64, len(handed))
	for _, f := range handed {
		since[f.Subject] = f.Since
	}
	conf, topo := in.InForce()
	for i := range conf.Pools {
		snap := topo[i].Snapshot()
		for j, h := range snap.Servers {
			if at, failed := since[history.Subject{Pool: conf.Pools[i].Name, Server: snap.Names[j]}]; failed {
				topology.FailedFrom(h, int64(time.Unix(0, at).Sub(in.Wall(0))))
			}
		}
	}
}

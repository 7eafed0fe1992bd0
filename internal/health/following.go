package health

import (
	"context"
	"net"
	"sync"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/tlsstage"
	"nuthatch/internal/topology"
)

// followTick is how often is looked whether a cluster has other nodes.
const followTick = time.Second

// A following checks the nodes of a cluster, which come and go. It belongs to run.
type following struct {
	conf *config.Pool
	topo *topology.Topology
	end  *tlsstage.End
	now  func() int64
	told Told
	// snap is the snapshot whose nodes are checked.
	snap     *topology.Snapshot
	checkers map[*topology.Health]*followed
}

// A followed is the checker of a node, until it is stopped.
type followed struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// stop ends the checks of the node. A node may come back, and only one checker at a time
// may note what it finds.
func (f *followed) stop() {
	f.cancel()
	f.done.Wait()
}

// run checks the nodes that there are, until ctx ends.
func (f *following) run(ctx context.Context) {
	tick := time.NewTicker(min(followTick, f.conf.HealthCheck.Interval))
	defer tick.Stop()
	for {
		f.follow(ctx)
		select {
		case <-ctx.Done():
			for _, c := range f.checkers {
				c.stop()
			}
			return
		case <-tick.C:
		}
	}
}

// follow begins the checks of nodes that have come, and ends those of nodes that have left.
func (f *following) follow(ctx context.Context) {
	snap := f.topo.Snapshot()
	if snap == f.snap {
		return
	}
	f.snap = snap
	there := make(map[*topology.Health]bool, len(snap.Servers))
	for i, h := range snap.Servers {
		if snap.IsGone(i) {
			continue
		}
		there[h] = true
		if f.checkers[h] == nil {
			f.checkers[h] = f.begin(ctx, h, snap.Server(i).Address)
		}
	}
	for h, c := range f.checkers {
		if !there[h] {
			c.stop()
			delete(f.checkers, h)
		}
	}
}

// begin begins the checks of a node.
func (f *following) begin(ctx context.Context, h *topology.Health, at config.Address) *followed {
	k := newChecker(f.conf, f.topo, h)
	k.secure = func(conn net.Conn) net.Conn { return f.end.Secure(conn, at) }
	c := new(followed)
	ctx, c.cancel = context.WithCancel(ctx)
	c.done.Go(func() { k.run(ctx, f.now, f.told) })
	return c
}

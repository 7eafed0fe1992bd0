package daemon

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"nuthatch/internal/events"
	"nuthatch/internal/topology"
)

// A node of a cluster that has failed, and whose slots a replica has got, is asked for nothing any
// more: no reply would show that it is back.
//
//	a primary fails ──► a replica gets its slots ──► every 5 s: CLUSTER NODES ──► it answers: up
//
// Nodes with slots are left to requests, all nodes to health checks if there are any, and to the
// questions that replicas are asked if they are read from.

// An unasked finds failing nodes that nobody asks and that are back.
type unasked struct {
	// of are those that failed at the last look.
	of map[*topology.Health]failedNode
}

// A failedNode is one that was asked.
type failedNode struct {
	// since is when it failed. One that has been up since, and has failed again, is asked anew.
	since int64
	// due is when it is asked next.
	due int64
}

// watchUnasked looks for them until the instance ends.
func watchUnasked(in *Instance) {
	u := &unasked{of: make(map[*topology.Health]failedNode)}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tick := time.NewTicker(forsakenLook)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			u.look(ctx, in.current.Load().resolver)
		case <-in.life.stopping:
			return
		}
	}
}

// look asks the nodes whose turn it is.
func (u *unasked) look(ctx context.Context, r *resolver) {
	if r == nil {
		return
	}
	now := r.now()
	there := make(map[*topology.Health]failedNode)
	var asking sync.WaitGroup
	places := make(chan struct{}, forsakenAtOnce)
	for _, c := range r.clusters {
		if c == nil || c.conf.HealthCheck.Interval > 0 || c.conf.ReadsReplicas() {
			continue
		}
		snap := c.topo.Snapshot()
		slots := snap.Slots()
		for i, h := range snap.Servers {
			if snap.Nodes[i].ID == "" || snap.IsGone(i) || slots[i] > 0 {
				continue
			}
			state := h.State()
			if state.State != topology.Failing {
				continue
			}
			before, known := u.of[h]
			if there[h] = before; known && before.since == state.Since && now < before.due {
				continue
			}
			there[h] = failedNode{since: state.Since, due: now + int64(forsakenAgain)}
			places <- struct{}{}
			asking.Go(func() {
				if c.watcher.Answers(ctx, snap.Server(i).Address) {
					r.answered(c.topo, c.conf.Name, snap, i)
				}
				<-places
			})
		}
	}
	asking.Wait()
	u.of = there
}

// answered notes that a server has answered what no client asked, and tells if it is up again.
func (r *resolver) answered(t *topology.Topology, pool string, snap *topology.Snapshot, place int) {
	conf, h := snap.Server(place), snap.Servers[place]
	if t.Answered(h, r.now()) != topology.Answers {
		return
	}
	after := h.Trouble()
	text := topology.Subject(conf) + " answers again"
	r.log.Warn(text, slog.String("pool", pool), slog.String("server", conf.Text), slog.String("name", conf.StatsName()), slog.Duration("after", after.Round(time.Second)))
	r.tell(events.Event{
		Kind: events.ServerAnswers, Pool: pool, Server: conf.StatsName(), For: after,
		Text: text + " after " + after.Round(time.Second).String(),
	})
}

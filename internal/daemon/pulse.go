package daemon

import (
	"sync"

	"golang.org/x/sys/unix"

	"nuthatch/internal/admin"
	"nuthatch/internal/proxy"
)

// poolsAtOnce is how many pools' pulses a loop copies in one turn.
const poolsAtOnce = 32

// pulses keeps the copies that loops have made, by loop and pool, for their memory to be
// used again.
type pulses struct {
	mu     sync.Mutex
	copies [][]proxy.PoolPulse
}

// Pulse implements admin.Instance.
func (v *view) Pulse() (*admin.Pulse, error) {
	g := v.current.Load()
	s := &v.pulses
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.copies) == 0 {
		s.copies = make([][]proxy.PoolPulse, len(v.loops.contexts))
	}
	for i := range s.copies {
		if len(s.copies[i]) != len(g.topo) {
			s.copies[i] = make([]proxy.PoolPulse, len(g.topo))
		}
	}
	p := &admin.Pulse{CPU: make([]float64, len(v.loops.contexts)), Memory: residentMemory(), Pools: make([]admin.PoolPulse, len(g.topo))}
	for first := 0; first < len(g.topo); first += poolsAtOnce {
		err := v.loops.onAll(func(ctx *proxy.Context) {
			p.CPU[ctx.ID()] = cpuTime(unix.RUSAGE_THREAD)
			for i := first; i < min(first+poolsAtOnce, len(g.topo)); i++ {
				proxy.CopyPulse(ctx, g.topo[i], &s.copies[ctx.ID()][i])
			}
		})
		if err != nil {
			return nil, err
		}
	}
	for i := range p.Pools {
		sum := &p.Pools[i]
		sum.Name, sum.Clients = g.conf.Pools[i].Name, g.topo[i].Clients()
		for loop := range s.copies {
			c := &s.copies[loop][i]
			sum.Requests += c.Requests
			sum.Failed += c.Failed
			sum.Received += c.Received
			sum.Sent += c.Sent
			sum.Times.Merge(&c.Times)
		}
	}
	return p, nil
}

package daemon

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/admin"
	"nuthatch/internal/config"
	"nuthatch/internal/proto/redis"
	"nuthatch/internal/proxy"
	"nuthatch/internal/stats"
)

const (
	// maxReports is how many questions of clients about the whole process may wait
	// for an answer.
	maxReports = 1024
	// factsAge is how old an answer may be: however many ask, the loops are asked so
	// often and no more.
	factsAge = 100 * time.Millisecond
)

// A reporter answers what clients ask about the whole process. It is a goroutine
// of its own, so that no loop waits for another.
type reporter struct {
	questions chan func()
	// known is what was found out last, by pool. It belongs to the goroutine.
	known map[string]*knownFacts
}

type knownFacts struct {
	redis.Facts
	at time.Time
}

// startReporter starts the goroutine, which ends with the instance.
func (in *Instance) startReporter() {
	r := &in.reporter
	r.questions, r.known = make(chan func(), maxReports), make(map[string]*knownFacts)
	go func() {
		for {
			select {
			case f := <-r.questions:
				f()
			case <-in.stopping:
				return
			}
		}
	}()
}

// outside has the reporter run f, unless too much waits.
func (in *Instance) outside(f func()) bool {
	select {
	case in.reporter.questions <- f:
		return true
	default:
		return false
	}
}

// redisFacts finds out what INFO tells the clients of a pool. It runs on the
// reporter's goroutine, and is nil when the instance ends.
func (in *Instance) redisFacts(name string) *redis.Facts {
	r := &in.reporter
	if k := r.known[name]; k != nil && time.Since(k.at) < factsAge {
		return &k.Facts
	}
	g := in.current.Load()
	i := g.pool(name)
	snap := in.Snapshot()
	if snap == nil || i < 0 {
		return nil
	}
	p := &g.conf.Pools[i]
	k := &knownFacts{at: time.Now(), Facts: redis.Facts{
		PID: os.Getpid(), Threads: len(in.contexts), Port: p.Listen.Port, ConfigFile: in.opts.ConfigFile, Uptime: time.Since(in.epoch),
		Resident: residentMemory(), MaxMemory: in.Memory().Limit, MaxClients: in.maxClients(p),
	}}
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err == nil {
		k.CPUUser, k.CPUSystem = time.Duration(u.Utime.Nano()).Seconds(), time.Duration(u.Stime.Nano()).Seconds()
	}
	for j := range snap.Pools {
		if snap.Pools[j].Name == name {
			k.Pool = &snap.Pools[j]
		}
	}
	if k.Pool == nil { // a reload took it away meanwhile
		k.Pool = &stats.PoolSnapshot{Name: name}
	}
	k.ErrorReplies = k.Pool.ErrorReplies(snap.ErrorNames)
	for j := range p.Servers {
		k.States = append(k.States, g.topo[i].State(j).State.String())
	}
	k.Commands = in.commandTimes(g.topo[i], p)
	if len(r.known) > len(g.conf.Pools) {
		clear(r.known) // of pools that a reload took away
	}
	r.known[name] = k
	return &k.Facts
}

// maxClients is how many clients the pool can have: as many as it may, or as there
// are descriptors for; 0 is not known.
func (in *Instance) maxClients(p *config.Pool) int {
	n := in.identity.Limits().MaxClients()
	if p.ClientConnections > 0 && (n == 0 || p.ClientConnections < n) {
		return p.ClientConnections
	}
	return n
}

// commandTimes are how long the requests of a pool took, by command.
func (in *Instance) commandTimes(t *proxy.Topology, p *config.Pool) []redis.CommandTimes {
	copies := make([]proxy.PoolLatency, len(in.contexts))
	err := in.onLoops(func(ctx *proxy.Context) { ctx.CopyLatency(t, 0, 0, &copies[ctx.ID()]) })
	if err != nil {
		return nil
	}
	var sum admin.PoolLatency
	for i := range copies {
		addLatency(&sum, &copies[i])
	}
	nameCommands(&sum, commandsOf(p))
	times := make([]redis.CommandTimes, len(sum.Commands))
	for i := range sum.Commands {
		c := &sum.Commands[i]
		times[i] = redis.CommandTimes{Name: c.Name, Histogram: &c.Histogram}
	}
	return times
}

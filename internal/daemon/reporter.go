package daemon

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/admin"
	"nuthatch/internal/config"
	"nuthatch/internal/proto/redis"
	"nuthatch/internal/proxy"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

const (
	// maxReports is how many questions of clients about the whole process may wait
	// for an answer.
	maxReports = 1024
	// restShare bounds the time that the loops spend on such questions: after each
	// round the reporter rests for restShare times as long as it took, and for
	// maxRest at the most.
	restShare = 10
	maxRest   = 20 * time.Millisecond
)

// A reporter answers what clients ask about the whole process, and about the servers
// of their pool. It is a goroutine of its own, so that no loop waits for another.
//
//	client's loop ─► questions ─► goroutine ─┬─► loops: their counts
//	      ▲                          ▲       └─► surveys: goroutines that ask servers ─┐
//	      └────── posted reply ──────┴──────────────── results ◄───────────────────────┘
//
// A round answers all questions that were asked before it began, and no later ones.
// So a client's answer includes what the client did before it asked.
type reporter struct {
	*core
	resources *resources
	questions chan question
	// results are what surveys have found out.
	results chan func()
	// open is how many questions wait for an answer.
	open atomic.Int32
	// running are the goroutine and those of surveys.
	running sync.WaitGroup

	// owned by the goroutine
	//
	// known is what was found out last, by pool. rested is when the loops may be asked
	// again.
	known  map[string]*knownFacts
	rested time.Time
	// asked is when the question at hand was asked.
	asked time.Time
	// surveys are by pool.
	surveys map[string]*survey
}

// A question is something to find out.
type question struct {
	asked time.Time
	find  func()
}

// knownFacts are the facts of a time, or of a little later.
type knownFacts struct {
	redis.Facts
	at time.Time
}

func newReporter(c *core, own *resources) *reporter {
	return &reporter{
		core: c, resources: own,
		questions: make(chan question, maxReports), results: make(chan func()),
		known: make(map[string]*knownFacts), surveys: make(map[string]*survey),
	}
}

// start starts the goroutine, which ends with the instance.
func (r *reporter) start() {
	r.running.Go(func() {
		for {
			select {
			case q := <-r.questions:
				r.asked = q.asked
				q.find()
			case f := <-r.results:
				f()
			case <-r.life.stopping:
				return
			}
		}
	})
}

// outside runs f on the reporter, unless too many questions wait. f calls done when its
// question is answered.
func (r *reporter) outside(f func(done func())) bool {
	if r.open.Add(1) > maxReports {
		r.open.Add(-1)
		return false
	}
	done := func() { r.open.Add(-1) }
	// There is room, since waiting questions are counted.
	r.questions <- question{time.Now(), func() { f(done) }}
	return true
}

// redisFacts collects the facts that a pool's clients are told of the process; nil
// if the instance ends. If servers is set, the pool's servers are asked first. It
// runs on the reporter's goroutine, as use does.
func (r *reporter) redisFacts(name string, servers bool, use func(*redis.Facts)) {
	asked := r.asked
	if servers {
		r.survey(name, func() { use(r.factsOf(name, asked)) })
		return
	}
	use(r.factsOf(name, asked))
}

// factsOf collects a pool's facts from the loops, unless they were collected after the
// given time.
func (r *reporter) factsOf(name string, since time.Time) *redis.Facts {
	if k := r.known[name]; k != nil && !k.at.Before(since) {
		return &k.Facts
	}
	select {
	case <-time.After(time.Until(r.rested)):
	case <-r.life.stopping:
		return nil
	}
	begun := time.Now()
	defer func() {
		now := time.Now()
		r.rested = now.Add(min(restShare*now.Sub(begun), maxRest))
	}()
	g := r.current.Load()
	i := g.pool(name)
	snap := r.snapshot()
	if snap == nil || i < 0 {
		return nil
	}
	p := &g.conf.Pools[i]
	k := &knownFacts{at: begun, Facts: redis.Facts{
		PID: os.Getpid(), Threads: len(r.loops.contexts), Engine: r.engine.String(), Port: p.Listen.Port, ConfigFile: r.opts.ConfigFile, Uptime: time.Since(r.epoch),
		Resident: residentMemory(), MaxMemory: r.resources.Memory().Limit, MaxClients: r.resources.maxClients(p),
		IdleTimeout: p.ClientIdleTimeout, SlowerThan: g.conf.Process.SlowlogSlowerThan, SlowLogLen: g.conf.Process.SlowlogMaxLen,
	}}
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err == nil {
		k.CPUUser, k.CPUSystem = time.Duration(u.Utime.Nano()).Seconds(), time.Duration(u.Stime.Nano()).Seconds()
	}
	for i := range snap.Loops {
		for j, n := range &snap.Loops[i] {
			k.Loops[j] += n
		}
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
	for _, s := range g.topo[i].Servers() {
		k.States = append(k.States, s.State().State.String())
	}
	k.Commands = r.commandTimes(g.topo[i], p)
	if len(r.known) > len(g.conf.Pools) {
		clear(r.known) // of pools that a reload took away
	}
	r.known[name] = k
	return &k.Facts
}

// commandTimes are how long the requests of a pool took, by command: also those that failed, as
// servers count them.
func (r *reporter) commandTimes(t *topology.Topology, p *config.Pool) []redis.CommandTimes {
	copies := make([]proxy.PoolLatency, len(r.loops.contexts))
	none := new(topology.Members) // of the servers nothing is wanted
	err := r.loops.onAll(func(ctx *proxy.Context) { ctx.CopyLatency(t, none, 0, 0, &copies[ctx.ID()]) })
	if err != nil {
		return nil
	}
	var sum admin.PoolLatency
	table := commandsOf(p)
	failures := make(map[string]proxy.CommandErrors)
	for i := range copies {
		addLatency(&sum, &copies[i])
		for typ, e := range copies[i].Errors {
			f := failures[table[typ].Name]
			failures[table[typ].Name] = proxy.CommandErrors{Rejected: f.Rejected + e.Rejected, Failed: f.Failed + e.Failed}
		}
	}
	nameCommands(&sum, table)
	var times []redis.CommandTimes
	for i := range sum.Commands {
		c := &sum.Commands[i]
		if c.Merge(&c.Failures); c.Count() > 0 {
			f := failures[c.Name]
			times = append(times, redis.CommandTimes{Name: c.Name, Histogram: &c.Histogram, Rejected: f.Rejected, Failed: f.Failed})
		}
	}
	return times
}

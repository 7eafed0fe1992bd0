package daemon

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/acl"
	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/proxy"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
	"nuthatch/internal/version"
)

// A view is the part of admin.Instance that only reads. Its methods may be called from
// any goroutine.
type view struct {
	*core
	resources *resources
	latencies latencies
	pulses    pulses
	threads   threads
}

// Ready reports whether the proxy accepts new clients and is not about to stop.
func (v *view) Ready() bool { return v.life.ready() }

// Snapshot is the statistics of this moment. It is nil when the instance ends.
func (v *view) Snapshot() *stats.Snapshot { return v.snapshot() }

// AnswerMemory implements admin.Instance.
func (v *view) AnswerMemory() int64 { return v.resources.answerMemory() }

// Events implements admin.Instance.
func (v *view) Events() *events.Log { return v.journal.events }

// Denials implements admin.Instance. A name that no user has may be a password, by a slip.
func (v *view) Denials(pool string) []acl.Record {
	g := v.current.Load()
	i := g.pool(pool)
	if i < 0 || g.users[i].log == nil {
		return nil
	}
	var all []acl.Record
	for _, r := range g.users[i].log.Records() {
		shown := *r
		if shown.User != acl.DefaultName && userNamed(g.users[i].users, shown.User) == nil {
			shown.User = ""
		}
		all = append(all, shown)
	}
	return all
}

// Facts implements admin.Instance.
func (v *view) Facts() api.Info {
	now := time.Now()
	info := api.Info{
		Program: v.opts.Program, Version: v.opts.Version, Revision: version.Revision, Go: runtime.Version(), Host: hostname(), PID: os.Getpid(),
		Started: v.epoch, Time: now, Uptime: now.Sub(v.epoch).Seconds(),
		ConfigFile: v.configFile, State: "serving", Engine: v.engine.String(), EngineReason: v.engine.why,
	}
	if !v.life.ready() {
		info.State = "draining"
	}
	return info
}

// InForce implements admin.Instance.
func (v *view) InForce() (*config.Config, []*topology.Topology) {
	g := v.current.Load()
	return g.conf, g.topo
}

// Alive implements admin.Instance: it returns when every loop has had a turn.
func (v *view) Alive(ctx context.Context) error {
	turned := make(chan error, 1)
	go func() { turned <- v.loops.turn() }()
	select {
	case err := <-turned:
		return err
	case <-ctx.Done():
		return fmt.Errorf("an event loop does not turn: %w", ctx.Err())
	}
}

// Clients implements admin.Instance.
func (v *view) Clients(pool string, most int) ([]api.Client, error) {
	t, err := v.current.Load().topology(pool)
	if err != nil {
		return nil, err
	}
	found := make([][]api.Client, len(v.loops.contexts))
	err = v.loops.onAll(func(ctx *proxy.Context) {
		watched := ctx.NewestClients(t, most)
		clients := make([]api.Client, len(watched))
		for i := range watched {
			f := &watched[i]
			clients[i] = api.Client{
				ID: f.ID, Pool: pool, Loop: ctx.ID(), Address: f.Addr,
				User: f.UserName, Name: f.Name, Library: f.LibName, LibraryVersion: f.LibVersion, Age: f.Age, Idle: f.Idle,
				Protocol: int(f.Lane.RESP), InFlight: f.InFlight,
				Received: f.Received, Held: f.Held, Unsent: f.Unsent, Closing: f.Closing,
				Blocked: f.Blocked, Watched: f.Watched, Private: f.Private, Tracks: f.Tracks, Monitors: f.Monitors,
			}
			for _, n := range f.Listens {
				clients[i].Listens += n
			}
			if f.Multi >= 0 {
				clients[i].Multi = &f.Multi
			}
		}
		found[ctx.ID()] = clients
	})
	if err != nil {
		return nil, err
	}
	return slices.Concat(found...), nil
}

// Usage implements admin.Instance.
func (v *view) Usage() (api.ProcessInfo, []api.LoopInfo, error) {
	loops := make([]api.LoopInfo, len(v.loops.contexts))
	if err := v.loops.onAll(func(ctx *proxy.Context) { loops[ctx.ID()] = loopInfo(ctx) }); err != nil {
		return api.ProcessInfo{}, nil, err
	}
	p, m := processInfo(), v.resources.Memory()
	p.MaxMemory, p.HeldMemory, p.SoftMemory, p.HardMemory, p.RingMemory = m.Limit, m.Held, m.Soft, m.Hard, m.Rings
	p.MaxClients = v.resources.limits.MaxClients()
	p.Certificates = v.current.Load().certificates()
	return p, loops, nil
}

// LoopCPU implements admin.Instance.
func (v *view) LoopCPU() ([]float64, error) {
	cpu := make([]float64, len(v.loops.contexts))
	err := v.loops.onAll(func(ctx *proxy.Context) { cpu[ctx.ID()] = cpuTime(unix.RUSAGE_THREAD) })
	return cpu, err
}

// threads are the ids of the loops' threads, which are always the same.
type threads struct {
	once sync.Once
	ids  []int32 // nil if the instance ends
}

// Activity implements admin.Instance. The kernel knows how long a thread has run, to the
// nanosecond, and the thread is not woken to be asked.
func (v *view) Activity() []int64 {
	v.threads.once.Do(func() {
		ids := make([]int32, len(v.loops.contexts))
		if v.loops.onAll(func(ctx *proxy.Context) { ids[ctx.ID()] = int32(unix.Gettid()) }) == nil {
			v.threads.ids = ids
		}
	})
	if v.threads.ids == nil {
		return nil
	}
	ran := make([]int64, len(v.threads.ids))
	for i, id := range v.threads.ids {
		var at unix.Timespec
		// The clock of a thread's processor time: see clock_getcpuclockid(3).
		if unix.ClockGettime(^id<<3|6, &at) != nil {
			return nil
		}
		ran[i] = at.Nano()
	}
	return ran
}

// loopInfo runs on the loop.
func loopInfo(ctx *proxy.Context) api.LoopInfo {
	return api.LoopInfo{ID: ctx.ID(), CPU: cpuTime(unix.RUSAGE_THREAD)}
}

// cpuTime is how many seconds this thread, or the process, has run.
func cpuTime(who int) float64 {
	var u unix.Rusage
	if err := unix.Getrusage(who, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / float64(time.Second)
}

func processInfo() api.ProcessInfo {
	p := api.ProcessInfo{
		HeapMemory: heapMemory(), Goroutines: runtime.NumGoroutine(),
		CPU: cpuTime(unix.RUSAGE_SELF), ResidentMemory: residentMemory(),
	}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		p.Descriptors = len(open)
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		p.MaxDescriptors = int(limit.Cur)
	}
	return p
}

// heapMemory is what Go's heap holds. runtime.ReadMemStats would stop the loops.
func heapMemory() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(sample[0].Value.Uint64())
}

// residentMemory is 0 if the kernel does not tell it.
func residentMemory() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Fscan(strings.NewReader(string(text)), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}

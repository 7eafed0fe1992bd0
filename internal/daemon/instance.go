// Package daemon is the process: it wires configuration, event loops, listeners,
// statistics and signals together, and takes them apart again.
//
//	Instance
//	├─ Logger, StatsPort, resolver, health checks: goroutines of their own
//	├─ Topology, one per pool             shared by the loops
//	└─ proxy.Context, one per thread      an event loop each; the first accepts
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"nuthatch/internal/admin"
	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/logging"
	"nuthatch/internal/proto/memcache"
	"nuthatch/internal/proto/redis"
	"nuthatch/internal/proxy"
	"nuthatch/internal/socket"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// spareProcs is how many threads may run Go code beside the event loops: for
// the collector, the log and the statistics, so that a loop never waits for
// them to be scheduled.
const spareProcs = 2

// An Instance is one running proxy. Its methods may be called from any
// goroutine.
type Instance struct {
	// static after Start
	opts      Options
	log       *logging.Logger
	epoch     time.Time
	identity  *proxy.Identity
	contexts  []*proxy.Context
	statsPort *admin.StatsPort

	// configFile is the absolute path of the configuration file; empty if there is none.
	configFile string
	// admins are the admin listeners; nil where there is none.
	admins [numAdmins]atomic.Pointer[admin.HTTPPort]
	// current is what the configuration in force made.
	current atomic.Pointer[generation]
	// descriptors is how they are shared out; nil if their limit is not known.
	descriptors atomic.Pointer[Descriptors]
	// maxMemory is what was applied; 0: nothing.
	maxMemory atomic.Int64
	// draining: the end has been asked for, and the proxy is not ready any more.
	draining atomic.Bool
	// life is done when an end has been asked for, in whatever way, which end says.
	life context.Context
	end  context.CancelFunc

	// serving: the start has succeeded.
	serving atomic.Bool
	// replaced: another program has the listening sockets and the pid file.
	replaced atomic.Bool

	// handing is held by whoever needs the listeners as they are, or changes them: an
	// upgrade, which may take long, a reload and the end. upgrading: it is an upgrade.
	handing   sync.Mutex
	upgrading atomic.Bool
	// changing is held by whoever makes a change: one at a time. It comes after handing.
	changing sync.Mutex
	// fate is held while it is decided that the proxy ends, or that another program
	// takes over: one or the other.
	fate sync.Mutex

	latencies latencies
	reporter  reporter
	recorder  *admin.Recorder

	pauses  pauses
	watcher watcher

	stopOnce sync.Once
	loops    sync.WaitGroup
	// loopEnded is closed when a loop runs nothing any more; by its context's ID.
	loopEnded []chan struct{}
	// stopping is closed when the loops are about to end, ended when all has.
	stopping, ended chan struct{}

	mu  sync.Mutex
	err error // why the instance ended of itself
}

// Start starts a proxy: it returns when all pools listen, and then the proxy
// serves until Stop is called. On error nothing is left behind.
func Start(o Options) (*Instance, error) {
	log, err := logging.New(logOptions(o))
	if err != nil {
		return nil, err
	}
	in := &Instance{
		opts:     o,
		log:      log,
		epoch:    time.Now(),
		identity: new(proxy.Identity),
		stopping: make(chan struct{}),
		ended:    make(chan struct{}),
	}
	if o.ConfigFile != "" {
		if in.configFile, err = filepath.Abs(o.ConfigFile); err != nil {
			in.configFile = o.ConfigFile // the working directory is gone
		}
	}
	in.life, in.end = context.WithCancel(context.Background())
	if err := in.start(); err != nil {
		logFaults(in.log, notStarted, err)
		in.Stop()
		return nil, err
	}
	in.serving.Store(true)
	go in.returnMemory()
	go in.tellTrouble()
	go in.recorder.Run(in.stopping)
	in.watch(in.opts.Config.Process.Watch)
	if in.statsPort != nil {
		in.statsPort.OwnPath(true)
	}
	for i := range in.admins {
		if h := in.admins[i].Load(); h != nil {
			h.OwnPath(true)
			h.Serve()
		}
	}
	in.announce()
	return in, nil
}

func (in *Instance) start() error {
	raiseProcs(in.opts.Config.Process.Threads + spareProcs)
	g := newGeneration(in.opts.Config)
	var err error
	if g.tokens, err = readTokens(&g.conf.Process); err != nil {
		return err
	}
	for i := range g.conf.Pools {
		g.add(topology.New(&g.conf.Pools[i]))
		g.learned = append(g.learned, new(redis.Learned))
		g.scripts = append(g.scripts, redis.NewScripts())
	}
	in.current.Store(g)
	in.shareDescriptors(g)
	in.limitMemory(g)
	in.startReporter()
	in.recorder = admin.NewRecorder(in)
	if err := in.startLoops(g); err != nil {
		return err
	}
	g.resolver = in.resolver(g)
	g.resolver.lookUp(in.life)
	g.resolver.start()
	if err := in.startStats(); err != nil {
		return err
	}
	// It listens when the pools do, though it serves a moment later.
	for i, place := range in.adminPlaces(&g.conf.Process) {
		h, err := in.openAdmin(g.conf, place)
		if err != nil {
			return err
		}
		in.admins[i].Store(h)
	}
	if err := in.openListeners(g, nil); err != nil {
		return err
	}
	in.opts.inherited.closeRest()
	if err := in.opts.inherited.ready(); err != nil {
		return err
	}
	in.startChecks(g)
	return in.onLoop(in.contexts[0], func(ctx *proxy.Context) {
		for i, l := range g.listeners {
			l.accept.Serve(g.topo[i])
		}
		for _, ctx := range in.contexts {
			ctx.Loop().Post(ctx.Preconnect)
		}
	})
}

// raiseProcs lets at least n threads run Go code at once.
func raiseProcs(n int) {
	if runtime.GOMAXPROCS(0) < n {
		runtime.GOMAXPROCS(n)
	}
}

// startLoops makes the contexts and runs each on a thread of its own.
func (in *Instance) startLoops(g *generation) error {
	measures := in.measures(g)
	for id := range g.conf.Process.Threads {
		ctx, err := proxy.NewContext(proxy.Options{
			ID:       id,
			Epoch:    in.epoch,
			Log:      in.log,
			Shard:    stats.NewShard(g.layout),
			Identity: in.identity,
			Measures: measures,
			Outside:  in.outside,
			Pools:    in.poolOptions(g),
		})
		if err != nil {
			return err
		}
		in.contexts = append(in.contexts, ctx)
		in.loopEnded = append(in.loopEnded, make(chan struct{}))
		in.loops.Add(1)
		go in.run(ctx)
	}
	return nil
}

// poolOptions is what a loop is told of the pools. Every loop has protocols of
// its own.
func (in *Instance) poolOptions(g *generation) []proxy.PoolOptions {
	pools := make([]proxy.PoolOptions, len(g.conf.Pools))
	for i := range g.conf.Pools {
		p := &g.conf.Pools[i]
		pools[i] = proxy.PoolOptions{Config: p, Topology: g.topo[i], Protocol: in.protocol(g, i)}
	}
	return pools
}

// onLoop runs f on one loop and waits for it. With an error, which says that the
// instance ends, f has not run and never will.
func (in *Instance) onLoop(ctx *proxy.Context, f func(*proxy.Context)) error {
	return in.await(ctx, in.begin(ctx, f))
}

// onLoops runs f on every loop, the accepting one last, and waits for all. With an
// error, which says that the instance ends, f runs on no loop any more.
func (in *Instance) onLoops(f func(*proxy.Context)) error {
	done := make([]<-chan struct{}, len(in.contexts))
	for i, ctx := range slices.Backward(in.contexts) {
		done[i] = in.begin(ctx, f)
	}
	var err error
	for i, ctx := range in.contexts {
		if ended := in.await(ctx, done[i]); err == nil {
			err = ended
		}
	}
	return err
}

// begin has a loop run f. The channel is closed when it has.
func (in *Instance) begin(ctx *proxy.Context, f func(*proxy.Context)) <-chan struct{} {
	done := make(chan struct{})
	// A loop that takes nothing any more has ended, which await finds out.
	_ = ctx.Loop().Post(func() {
		defer close(done)
		f(ctx)
	})
	return done
}

// await waits for what begin began.
func (in *Instance) await(ctx *proxy.Context, done <-chan struct{}) error {
	ended := in.loopEnded[ctx.ID()]
	select {
	case <-done:
		return nil
	case <-ended:
	}
	select {
	case <-done: // it was among the last things that the loop did
		return nil
	default:
		return errors.Join(admin.ErrEnding, in.failure())
	}
}

// protocol is what the i-th pool speaks, for one loop.
func (in *Instance) protocol(g *generation, i int) proxy.Protocol {
	p := &g.conf.Pools[i]
	name := p.Name
	if p.Redis {
		return redis.New(redis.Options{
			Auth:           p.RedisAuth,
			DB:             p.RedisDB,
			Databases:      p.Databases,
			FailedSelect:   p.FailedSelect,
			Transactions:   p.Transactions,
			Learned:        g.learned[i],
			RefuseUnknown:  p.UnknownCommands == config.UnknownRefuse,
			Servers:        len(p.Servers),
			HashTag:        p.HashTag,
			MaxRequestSize: g.maxRequest(p.MaxRequestSize),
			AllowFlush:     p.AllowFlush,
			Version:        in.opts.Version,
			Started:        in.epoch,
			PartialResults: p.PartialResults,
			AllowKeys:      p.AllowKeys,
			KeylessScripts: p.KeylessScripts,
			Timeout:        p.Timeout,
			Scripts:        g.scripts[i],
			SlowLog:        g.topo[i].SlowLog(),
			Facts:          func(servers bool, use func(*redis.Facts)) { in.redisFacts(name, servers, use) },
			Refresh:        func() bool { return in.outside(func(done func()) { in.survey(name, done) }) },
		})
	}
	return memcache.New(memcache.Options{
		MaxRequestSize: g.maxRequest(p.MaxRequestSize),
		AllowFlush:     p.AllowFlush,
		Facts:          in.facts(p),
	})
}

// facts is what "stats" tells of the proxy itself, under memcached's names where
// it has one. It may be called on any goroutine.
func (in *Instance) facts(p *config.Pool) func(tell func(name, value string)) {
	return func(tell func(name, value string)) {
		now := time.Now()
		tell("pid", strconv.Itoa(os.Getpid()))
		tell("uptime", strconv.FormatInt(int64(now.Sub(in.epoch)/time.Second), 10))
		tell("time", strconv.FormatInt(now.Unix(), 10))
		tell("version", in.opts.Version)
		tell("pointer_size", strconv.Itoa(strconv.IntSize))
		tell("threads", strconv.Itoa(len(in.contexts)))
		tell("pool", p.Name)
		tell("servers", strconv.Itoa(len(p.Servers)))
	}
}

func (in *Instance) run(ctx *proxy.Context) {
	err := ctx.Loop().Run()
	if err != nil {
		in.mu.Lock()
		in.err = errors.Join(in.err, err)
		in.mu.Unlock()
	}
	close(in.loopEnded[ctx.ID()])
	in.loops.Done()
	if err != nil { // the instance ends for want of a loop
		in.log.Error("event loop failed", errAttr(err))
		go in.Stop()
	}
}

func (in *Instance) startStats() error {
	if in.opts.StatsPort == 0 {
		return nil
	}
	sp, err := admin.ListenStats(in.opts.inherited.listen, in.opts.StatsAddr, in.opts.StatsPort, in.Snapshot, in.log)
	if err != nil {
		return err
	}
	in.statsPort = sp
	return nil
}

// name is the program and its release, and what it was called if that differs.
func (in *Instance) name() string {
	name := "nuthatch-" + in.opts.Version
	if in.opts.Program != "nuthatch" {
		name += " (called " + in.opts.Program + ")"
	}
	return name
}

// announce logs what runs.
func (in *Instance) announce() {
	text := fmt.Sprintf("%s started on pid %d", in.name(), os.Getpid())
	in.log.Always(text)
	if in.opts.inherited.handedOver() {
		text += ", in place of the program that ran before"
	}
	in.tell(events.Event{Kind: events.Started, Text: text})
	g := in.current.Load()
	for i := range g.conf.Pools {
		p := &g.conf.Pools[i]
		in.log.Notice(fmt.Sprintf("pool '%s' listens on '%s' with %d servers",
			p.Name, socket.LocalName(g.listeners[i].fd), len(p.Servers)))
	}
	in.logWarnings(g.conf)
}

// logWarnings tells what in the configuration is probably not meant.
func (in *Instance) logWarnings(conf *config.Config) {
	for _, w := range conf.Warnings {
		in.log.Warn("configuration: warning", slog.String("warning", w.Error()))
	}
}

// Addr is the address that the i-th pool of the configuration listens on.
func (in *Instance) Addr(i int) string { return socket.LocalName(in.current.Load().listeners[i].fd) }

// StatsAddr is the address of the statistics port, or nil.
func (in *Instance) StatsAddr() net.Addr {
	if in.statsPort == nil {
		return nil
	}
	return in.statsPort.Addr()
}

// Snapshot is the statistics of this moment. It is nil when the instance ends.
func (in *Instance) Snapshot() *stats.Snapshot {
	layout := in.current.Load().layout
	shards := make([]*stats.Shard, 0, len(in.contexts))
	copies := make(chan *stats.Shard, len(in.contexts))
	for _, ctx := range in.contexts {
		dst := stats.NewShard(layout)
		ctx.Loop().Post(func() {
			ctx.CopyStats(dst)
			copies <- dst
		})
	}
	for range in.contexts {
		select {
		case s := <-copies:
			shards = append(shards, s)
		case <-in.stopping:
			return nil
		}
	}
	snap := stats.Sum(layout, shards)
	now := time.Now()
	snap.ErrorNames = in.identity.Errors().Names()
	snap.Source = hostname()
	snap.Version = in.opts.Version
	snap.Uptime = int64(now.Sub(in.epoch) / time.Second)
	snap.Timestamp = now.Unix()
	return snap
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// Stop ends the proxy: listeners, clients and servers are closed at once. It
// returns when all is gone, and may be called more than once.
func (in *Instance) Stop() {
	in.stopOnce.Do(func() {
		in.fate.Lock()
		in.end()
		in.fate.Unlock()
		close(in.stopping)
		g := in.last()
		in.endAllPauses()
		in.watcher.stop()
		in.closeStats()
		if g != nil {
			g.resolver.stop()
			g.checks.Stop()
		}
		for _, ctx := range in.contexts {
			ctx.Loop().Stop()
		}
		in.loops.Wait()
		in.reporter.running.Wait()
		if g != nil {
			in.closeListeners(g.listeners)
		}
		for i := range in.admins {
			switch h := in.admins[i].Load(); {
			case h == nil:
			case in.serving.Load() || in.leavesPaths():
				h.Close()
			default:
				discardAdmin(h)
			}
		}
		if in.serving.Load() {
			in.log.Always(in.name() + " ended")
		}
		// What the log could not write at the very end it cannot tell either.
		_ = in.log.Close()
		close(in.ended)
	})
	<-in.ended
}

// last returns the last generation that there is, when a change that is under way
// has come to its end.
func (in *Instance) last() *generation {
	defer in.lockGeneration()()
	return in.current.Load()
}

// lockGeneration keeps the generation what it is, and returns what ends that.
func (in *Instance) lockGeneration() (unlock func()) {
	in.handing.Lock()
	in.changing.Lock()
	return func() {
		in.changing.Unlock()
		in.handing.Unlock()
	}
}

// ending reports whether an end has been asked for: nothing is changed any more.
func (in *Instance) ending() bool { return in.draining.Load() || in.life.Err() != nil }

func (in *Instance) closeStats() {
	if in.statsPort == nil {
		return
	}
	if err := in.statsPort.Close(); err != nil {
		in.log.Warn("statistics port", errAttr(err))
	}
}

// Wait waits until the proxy has ended, and returns why if it ended of itself.
func (in *Instance) Wait() error {
	<-in.ended
	return in.failure()
}

func (in *Instance) failure() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.err
}

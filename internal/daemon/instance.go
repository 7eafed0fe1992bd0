// Package daemon is the process: it wires configuration, event loops, listeners,
// statistics and signals together, and takes them apart again.
//
//	Instance
//	├─ Logger, StatsPort, resolver        goroutines of their own
//	├─ Topology, one per pool             shared by the loops
//	└─ proxy.Context, one per thread      an event loop each; the first accepts
package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/admin"
	"nuthatch/internal/config"
	"nuthatch/internal/logging"
	"nuthatch/internal/proto/memcache"
	"nuthatch/internal/proto/redis"
	"nuthatch/internal/proxy"
	"nuthatch/internal/socket"
	"nuthatch/internal/stats"
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
	layout    stats.Layout
	topo      []*proxy.Topology
	learned   []*redis.Learned // one per pool, for those that speak Redis
	scripts   []*redis.Scripts // likewise
	contexts  []*proxy.Context
	listeners []listener
	statsPort *admin.StatsPort
	resolver  *resolver

	stopOnce sync.Once
	loops    sync.WaitGroup
	// stopping is closed when the loops are about to end, ended when all has.
	stopping, ended chan struct{}

	mu  sync.Mutex
	err error // why the instance ended of itself
}

// A listener is a pool's listening socket.
type listener struct {
	fd   int
	path string // to be removed at the end; empty for TCP
}

// Start starts a proxy: it returns when all pools listen, and then the proxy
// serves until Stop is called. On error nothing is left behind.
func Start(o Options) (*Instance, error) {
	log, err := logging.New(logging.Options{Path: o.LogFile, Level: logging.Level(o.LogLevel)})
	if err != nil {
		return nil, err
	}
	in := &Instance{
		opts:     o,
		log:      log,
		epoch:    time.Now(),
		stopping: make(chan struct{}),
		ended:    make(chan struct{}),
	}
	if err := in.start(); err != nil {
		in.Stop()
		return nil, err
	}
	in.announce()
	return in, nil
}

func (in *Instance) start() error {
	raiseProcs(in.opts.Config.Process.Threads + spareProcs)
	for i := range in.opts.Config.Pools {
		p := &in.opts.Config.Pools[i]
		in.topo = append(in.topo, proxy.NewTopology(p))
		in.learned = append(in.learned, new(redis.Learned))
		in.scripts = append(in.scripts, redis.NewScripts())
		in.layout = append(in.layout, layoutOf(p))
	}
	if err := in.startLoops(); err != nil {
		return err
	}
	in.resolver = newResolver(in.opts.Config, in.topo, in.log)
	in.resolver.start()
	if err := in.startStats(); err != nil {
		return err
	}
	for i := range in.opts.Config.Pools {
		if err := in.listen(i); err != nil {
			return err
		}
	}
	for _, ctx := range in.contexts {
		ctx.Loop().Post(ctx.Preconnect)
	}
	return nil
}

// raiseProcs lets at least n threads run Go code at once.
func raiseProcs(n int) {
	if runtime.GOMAXPROCS(0) < n {
		runtime.GOMAXPROCS(n)
	}
}

func layoutOf(p *config.Pool) stats.PoolLayout {
	l := stats.PoolLayout{Name: p.Name}
	for i := range p.Servers {
		l.Servers = append(l.Servers, p.Servers[i].StatsName())
	}
	return l
}

// startLoops makes the contexts and runs each on a thread of its own.
func (in *Instance) startLoops() error {
	identity := new(proxy.Identity)
	for id := range in.opts.Config.Process.Threads {
		o := proxy.Options{
			ID:       id,
			Epoch:    in.epoch,
			Log:      in.log,
			Shard:    stats.NewShard(in.layout),
			Identity: identity,
		}
		for i := range in.opts.Config.Pools {
			p := &in.opts.Config.Pools[i]
			o.Pools = append(o.Pools, proxy.PoolOptions{
				Config: p, Topology: in.topo[i], Protocol: in.protocol(i),
			})
		}
		ctx, err := proxy.NewContext(o)
		if err != nil {
			return err
		}
		in.contexts = append(in.contexts, ctx)
		in.loops.Add(1)
		go in.run(ctx)
	}
	return nil
}

// protocol is what the i-th pool speaks, for one loop.
func (in *Instance) protocol(i int) proxy.Protocol {
	p := &in.opts.Config.Pools[i]
	if p.Redis {
		return redis.New(redis.Options{
			Auth:           p.RedisAuth,
			DB:             p.RedisDB,
			Databases:      p.Databases,
			Learned:        in.learned[i],
			RefuseUnknown:  p.UnknownCommands == config.UnknownRefuse,
			Servers:        len(p.Servers),
			MaxRequestSize: p.MaxRequestSize,
			AllowFlush:     p.AllowFlush,
			Version:        in.opts.Version,
			PartialResults: p.PartialResults,
			AllowKeys:      p.AllowKeys,
			Timeout:        p.Timeout,
			Scripts:        in.scripts[i],
		})
	}
	o := memcache.Options{
		MaxRequestSize: p.MaxRequestSize,
		AllowFlush:     p.AllowFlush,
		Facts:          in.facts(p),
	}
	for s := range p.Servers {
		o.Servers = append(o.Servers, p.Servers[s].StatsName())
	}
	return memcache.New(o)
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
		tell("threads", strconv.Itoa(in.opts.Config.Process.Threads))
		tell("pool", p.Name)
		tell("servers", strconv.Itoa(len(p.Servers)))
	}
}

func (in *Instance) run(ctx *proxy.Context) {
	err := ctx.Loop().Run()
	in.loops.Done()
	if err != nil {
		in.fail(err)
	}
}

// fail ends the instance for want of a loop.
func (in *Instance) fail(err error) {
	in.mu.Lock()
	in.err = errors.Join(in.err, err)
	in.mu.Unlock()
	in.log.Error("event loop failed", errAttr(err))
	go in.Stop()
}

func (in *Instance) startStats() error {
	if in.opts.StatsPort == 0 {
		return nil
	}
	sp, err := admin.ListenStats(in.opts.StatsAddr, in.opts.StatsPort, in.Snapshot, in.log)
	if err != nil {
		return err
	}
	in.statsPort = sp
	return nil
}

// listen opens the i-th pool's listening socket and has the first loop accept
// from it, for all loops.
func (in *Instance) listen(i int) error {
	p := &in.opts.Config.Pools[i]
	fd, err := socket.Listen(context.Background(), socket.ListenSpec{
		Path: p.Listen.Path, Mode: p.Listen.Mode,
		Host: p.Listen.Host, Port: p.Listen.Port,
		Backlog: p.Backlog, ReusePort: p.ReusePort,
	})
	if err != nil {
		return fmt.Errorf("pool '%s': listen on '%s': %w", p.Name, p.Listen, err)
	}
	in.listeners = append(in.listeners, listener{fd: fd, path: p.Listen.Path})
	first := in.contexts[0]
	result := make(chan error, 1)
	first.Loop().Post(func() {
		_, err := first.Listen(i, fd, in.contexts)
		result <- err
	})
	select {
	case err := <-result:
		return err
	case <-in.stopping:
		return in.failure()
	}
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
	in.log.Always(fmt.Sprintf("%s started on pid %d", in.name(), os.Getpid()))
	for i := range in.opts.Config.Pools {
		p := &in.opts.Config.Pools[i]
		in.log.Notice(fmt.Sprintf("pool '%s' listens on '%s' with %d servers",
			p.Name, socket.LocalName(in.listeners[i].fd), len(p.Servers)))
	}
}

// Addr is the address that the i-th pool of the configuration listens on.
func (in *Instance) Addr(i int) string { return socket.LocalName(in.listeners[i].fd) }

// StatsAddr is the address of the statistics port, or nil.
func (in *Instance) StatsAddr() net.Addr {
	if in.statsPort == nil {
		return nil
	}
	return in.statsPort.Addr()
}

// Snapshot is the statistics of this moment. It is nil when the instance ends.
func (in *Instance) Snapshot() *stats.Snapshot {
	shards := make([]*stats.Shard, 0, len(in.contexts))
	copies := make(chan *stats.Shard, len(in.contexts))
	for _, ctx := range in.contexts {
		dst := stats.NewShard(in.layout)
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
	snap := stats.Sum(in.layout, shards)
	now := time.Now()
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
		close(in.stopping)
		if in.statsPort != nil {
			if err := in.statsPort.Close(); err != nil {
				in.log.Warn("statistics port", errAttr(err))
			}
		}
		if in.resolver != nil {
			in.resolver.stop()
		}
		for _, ctx := range in.contexts {
			ctx.Loop().Stop()
		}
		in.loops.Wait()
		for _, l := range in.listeners {
			in.closeListener(l)
		}
		in.log.Always(in.name() + " ended")
		// What the log could not write at the very end it cannot tell either.
		_ = in.log.Close()
		close(in.ended)
	})
	<-in.ended
}

// closeListener closes the socket and removes its path.
func (in *Instance) closeListener(l listener) {
	unix.Close(l.fd)
	if l.path == "" {
		return
	}
	if err := unix.Unlink(l.path); err != nil && !errors.Is(err, unix.ENOENT) {
		in.log.Warn("cannot remove the listening socket", pathAttr(l.path), errAttr(err))
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

// Package daemon is the process: it wires configuration, event loops, listeners,
// statistics and signals together, and takes them apart again.
//
//	Instance                                 starts, reloads, drains, upgrades, stops
//	├─ core                                  what all parts share
//	│  ├─ lifetime                           serving, draining, replaced, ended
//	│  ├─ loops: a proxy.Context per thread  an event loop each; the first accepts
//	│  ├─ generation                         what the configuration in force made: topologies, resolver, checks
//	│  └─ journal                            log and events
//	├─ view, actions                         what an operator sees and does (admin.Instance)
//	├─ listeners, sentinels, ports           the pools' sockets; where they answer as Sentinels; admin listeners and statistics port
//	├─ resources                             memory and descriptors
//	├─ reporter                              a goroutine that answers clients' questions about the whole process
//	└─ watcher                               a goroutine that reloads a changed file
package daemon

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"nuthatch/internal/admin"
	"nuthatch/internal/config"
	"nuthatch/internal/dashboard"
	"nuthatch/internal/events"
	"nuthatch/internal/proto/memcache"
	"nuthatch/internal/proto/redis"
	"nuthatch/internal/proxy"
	"nuthatch/internal/slowlog"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
	"nuthatch/internal/units"
)

// spareProcs is how many threads may run Go code beside the event loops, for
// the collector, the log and the statistics. So they never wait for a loop to
// be scheduled.
const spareProcs = 2

// An Instance is one running proxy. Its methods may be called from any goroutine. It
// implements admin.Instance by its view, its actions, and its own changes: Reload,
// Drain, Upgrade.
type Instance struct {
	*core
	*view
	*actions

	// static after Start
	resources *resources
	listeners *listeners
	sentinels *sentinelPorts
	ports     *ports
	reporter  *reporter
	recorder  *admin.Recorder
	traces    *traces
	watcher   *watcher

	certificates *certificates

	// handing is held by whoever changes the listeners or needs them unchanged: an
	// upgrade, which may take long, a reload, the end. upgrading: it is an upgrade.
	handing   sync.Mutex
	upgrading atomic.Bool
	// changing is held by whoever makes a change: one at a time. It comes after handing.
	changing sync.Mutex

	stopOnce sync.Once
}

// newInstance makes the parts of an Instance. Nothing runs yet.
func newInstance(o Options) (*Instance, error) {
	c, err := newCore(o)
	if err != nil {
		return nil, err
	}
	in := &Instance{core: c}
	in.resources = &resources{log: c.log, limits: c.identity.Limits()}
	in.view = &view{core: c, resources: in.resources}
	in.actions = &actions{core: c, changing: &in.changing}
	in.ports = &ports{core: c}
	in.listeners = &listeners{core: c, ports: in.ports}
	in.sentinels = &sentinelPorts{core: c, ports: in.ports}
	in.reporter = newReporter(c, in.resources)
	in.recorder = admin.NewRecorder(in)
	in.traces = &traces{ring: new(slowlog.Log)}
	in.certificates = newCertificates(c)
	in.watcher = &watcher{file: o.ConfigFile, others: func() []string { return otherFiles(c.current.Load().conf) }, log: c.log, reload: func() {
		// What went wrong is in the log.
		_, _ = in.Reload("watch")
	}}
	in.ports.options = admin.HTTPOptions{
		Instance: in, Recorder: in.recorder, Logger: c.log, Page: dashboard.Handler(),
		Tokens:     func() []config.Secret { return c.current.Load().tokens.all },
		ReadTokens: func() []config.Secret { return c.current.Load().tokens.reading },
		Insecure:   func() bool { return c.current.Load().conf.Process.AdminInsecure },
		Secure:     c.adminConn,
		ActionSocket: func() string {
			if a := in.ActionAddr(); a != nil {
				return a.String()
			}
			return ""
		},
		Budget: admin.NewBudget(in.AnswerMemory),
	}
	return in, nil
}

// Start starts a proxy: it returns when all pools listen, and then the proxy
// serves until Stop is called. On error nothing is left behind.
func Start(o Options) (*Instance, error) {
	in, err := newInstance(o)
	if err != nil {
		return nil, err
	}
	sum := in.watcher.sumOf(o.Config)
	if err := in.start(); err != nil {
		logFaults(in.log, notStarted, err)
		in.Stop()
		return nil, err
	}
	in.life.serving.Store(true)
	go in.resources.returnMemory(&in.loops, in.life.stopping)
	go in.tellTrouble()
	go in.watchForsaken()
	go watchUnasked(in)
	in.recorder.LookOut(in.log)
	go in.recorder.Run(in.life.stopping)
	go in.takeHistory()
	go in.certificates.watch()
	in.watcher.watch(in.opts.Config.Process.Watch, sum)
	in.ports.serveAll()
	in.logStart()
	in.certificates.tellRefused(in.current.Load().refused())
	return in, nil
}

func (in *Instance) start() error {
	raiseProcs(in.opts.Config.Process.Threads + spareProcs)
	conf, err := in.opts.Config.WithSecrets()
	if err != nil {
		return err
	}
	g := newGeneration(conf)
	if g.tokens, err = readTokens(&g.conf.Process); err != nil {
		return err
	}
	in.certificates.take(in.opts.inherited)
	if g.tls, err = in.certificates.load(g.conf, nil); err != nil {
		return err
	}
	if g.users, err = readUsers(g.conf, nil); err != nil {
		return err
	}
	for i := range g.conf.Pools {
		g.add(topology.New(&g.conf.Pools[i]))
		g.learned = append(g.learned, new(redis.Learned))
		g.scripts = append(g.scripts, redis.NewScripts())
		g.logins = append(g.logins, redis.NewLogins())
	}
	in.current.Store(g)
	if err := takeProcess(in, g); err != nil {
		return err
	}
	in.traces.apply(in, g)
	in.reporter.start()
	if err := in.startLoops(g); err != nil {
		return err
	}
	g.resolver = in.resolver(g)
	g.resolver.lookUp(in.life.asked)
	membership{in.core}.prepare(g, nil)
	g.resolver.start()
	in.resources.shareDescriptors(g) // clusters are known now
	if err := in.ports.openStats(); err != nil {
		return err
	}
	// It listens when the pools do, though it serves a moment later.
	for i, place := range in.ports.places(&g.conf.Process) {
		h, err := in.ports.open(g.conf, place)
		if err != nil {
			return err
		}
		in.ports.admins[i].Store(h)
	}
	if err := in.listeners.openAll(g, nil); err != nil {
		return err
	}
	if err := in.sentinels.openAll(g, nil); err != nil {
		return err
	}
	in.opts.inherited.closeRest(in.log)
	if err := in.opts.inherited.awaitTurn(); err != nil {
		return err
	}
	in.startChecks(g)
	if err := in.loops.onFirst(func(*proxy.Context) {
		g.serve()
		for _, ctx := range in.loops.contexts {
			ctx.Loop().Post(ctx.Preconnect)
		}
	}); err != nil {
		return err
	}
	in.sentinels.serve(g, in.resources.descriptorLimit())
	g.startWatching() // this proxy may be among its own peers
	return nil
}

// takeProcess applies what g has of the process at the start: the engine, and the memory that
// it leaves.
func takeProcess(in *Instance, g *generation) (err error) {
	p := &g.conf.Process
	if in.engine, err = chooseEngine(p.Engine, p.Threads, in.opts.probe); err != nil {
		return err
	}
	in.resources.engine, in.resources.loops = in.engine.Engine, p.Threads
	in.applyMemory(g)
	in.certificates.apply(g)
	in.applyCoreDumps(p)
	return nil
}

// applyMemory bounds memory, descriptors and the history as g has it.
func (in *Instance) applyMemory(g *generation) {
	in.resources.apply(g)
	limit := g.conf.Process.HistoryMemory
	if most := g.maxMemory(); most > 0 {
		limit = min(limit, most/historyPart)
	}
	in.recorder.SetMemory(limit)
}

// takeHistory takes over the history of the program that ran before.
func (in *Instance) takeHistory() {
	if !in.opts.inherited.handedOver() {
		return
	}
	n, err := in.opts.inherited.from.takeHistory(func(from io.Reader) (int, error) {
		return in.recorder.TakeOver(from, in.identity.Errors())
	})
	switch {
	case err != nil:
		in.log.Notice("the history of the program before is not complete", errAttr(err))
	case n > 0:
		in.log.Info("the history of the program before is taken over", slog.Int("rounds", n))
	}
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
			Shard:    stats.NewShard(nil),
			Identity: in.identity,
			Measures: measures,
			Outside:  in.reporter.outside,
			NewLoop:  in.engine.loopMaker(id, g.conf.Process.Threads),
			Pools:    in.poolOptions(g),
		})
		if err != nil {
			return err
		}
		in.loops.start(ctx, in.loopFailed)
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
		if t := g.tls.pools[i]; t != nil {
			pools[i].Stages = t
		}
	}
	return pools
}

// protocol makes the i-th pool's protocol, for one loop.
func (in *Instance) protocol(g *generation, i int) proxy.Protocol {
	p := &g.conf.Pools[i]
	name := p.Name
	cluster, others := g.emulations[i].boards()
	switch p.Protocol {
	case config.Redis:
		return redis.New(redis.Options{
			Auth:           p.RedisAuth,
			AuthPrevious:   p.RedisAuthPrevious,
			Users:          g.users[i].users,
			ACLLog:         g.users[i].log,
			Login:          p.ServerLogin(),
			Passthrough:    p.Passes(),
			MaxUsers:       p.MaxServerUsers,
			UserLimits:     p.UserLimits,
			Logins:         g.logins[i],
			DB:             p.RedisDB,
			Databases:      p.Databases,
			FailedSelect:   p.FailedSelect,
			Transactions:   p.Transactions,
			Publish:        p.PubSub.Publish,
			Cluster:        p.Cluster.On,
			Emulate:        cluster,
			Peers:          others,
			Tracking:       p.Tracking == config.TrackingOn,
			Learned:        g.learned[i],
			RefuseUnknown:  p.UnknownCommands == config.UnknownRefuse,
			Servers:        len(p.Servers),
			HashTag:        p.HashTag,
			MaxRequestSize: g.maxRequest(p.MaxRequestSize),
			AllowMonitor:   p.AllowMonitor,
			AllowFlush:     p.AllowFlush,
			ReadOnly:       p.ReadOnly,
			AllowAdmin:     p.AllowAdmin,
			Version:        in.opts.Version,
			Started:        in.epoch,
			PartialResults: p.PartialResults,
			AllowKeys:      p.AllowKeys,
			KeylessScripts: p.KeylessScripts,
			Scripts:        g.scripts[i],
			SlowLog:        g.topo[i].SlowLog(),
			Facts:          func(servers bool, use func(*redis.Facts)) { in.reporter.redisFacts(name, servers, use) },
			Pause:          func(limit time.Duration, by string) error { return in.BeginPause(name, limit, by) },
			Resume:         func(by string) error { return in.Resume(name, by) },
			Refresh:        func() bool { return in.reporter.outside(func(done func()) { in.reporter.survey(name, done) }) },
		})
	case config.Memcached:
	}
	return memcache.New(memcache.Options{
		MaxRequestSize: g.maxRequest(p.MaxRequestSize),
		AllowFlush:     p.AllowFlush,
		ReadOnly:       p.ReadOnly,
		Facts:          in.facts(p),
	})
}

// loopFailed ends the instance after a loop has failed.
func (in *Instance) loopFailed(err error) {
	in.log.Error("event loop failed", errAttr(err))
	go in.Stop()
}

// facts is what "stats" shows of the proxy itself, under memcached's names where
// it has one. It may be called on any goroutine.
func (in *Instance) facts(p *config.Pool) func(tell func(name, value string)) {
	return func(tell func(name, value string)) {
		now := time.Now()
		tell("pid", strconv.Itoa(os.Getpid()))
		tell("uptime", strconv.FormatInt(int64(now.Sub(in.epoch)/time.Second), 10))
		tell("time", strconv.FormatInt(now.Unix(), 10))
		tell("version", in.opts.Version)
		tell("pointer_size", strconv.Itoa(strconv.IntSize))
		tell("threads", strconv.Itoa(len(in.loops.contexts)))
		tell("engine", in.engine.String())
		tell("pool", p.Name)
		tell("servers", strconv.Itoa(len(p.Servers)))
	}
}

// logStart logs what runs.
func (in *Instance) logStart() {
	text := fmt.Sprintf("%s started on pid %d", in.name(), os.Getpid())
	in.log.Always(text, slog.String("version", in.opts.Version))
	if in.opts.inherited.handedOver() {
		text += ", in place of the program that ran before"
	}
	in.journal.addEvent(events.Event{Kind: events.Started, Text: text})
	g := in.current.Load()
	for i, at := range g.conf.Listeners() {
		p, with := &g.conf.Pools[at.Pool], ""
		if at.TLS {
			with = "TLS and "
		}
		in.log.Notice(fmt.Sprintf("pool '%s' listens on '%s' with %s%s",
			p.Name, g.listeners[i].socket.Name(), with, units.Count(len(p.Servers), "server")),
			slog.String("pool", p.Name), slog.String("addr", g.listeners[i].socket.Name()), slog.Bool("tls", at.TLS), slog.Int("servers", len(p.Servers)))
	}
	in.sentinels.logStart(g)
	in.log.Notice(fmt.Sprintf("the event loops run on %s: %s", in.engine, in.engine.why),
		slog.String("engine", in.engine.String()))
	in.journal.warnings(g.conf)
	in.journal.warnOfUsers(g)
}

// Addr is the address that the i-th pool of the configuration listens on. Second ones
// come behind those of all pools.
func (in *Instance) Addr(i int) string { return in.current.Load().listeners[i].socket.Name() }

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// AdminAddr is the address of the admin listener, or nil.
func (in *Instance) AdminAddr() net.Addr { return in.ports.addr(adminPort) }

// ActionAddr is the address of the socket for actions, or nil.
func (in *Instance) ActionAddr() net.Addr { return in.ports.addr(adminSocket) }

// StatsAddr is the address of the statistics port, or nil.
func (in *Instance) StatsAddr() net.Addr { return in.ports.statsAddr() }

// Stop ends the proxy: listeners, clients and servers are closed at once. It
// returns when all is gone, and may be called more than once.
func (in *Instance) Stop() {
	in.stopOnce.Do(func() {
		in.life.stop()
		g := in.last()
		in.pauses.endAll()
		in.watcher.stop()
		in.ports.closeStats()
		if g != nil {
			g.resolver.stop()
			g.stopWatching()
			g.checks.Stop()
		}
		in.loops.stop()
		in.traces.stop()
		in.reporter.running.Wait()
		if g != nil {
			in.listeners.close(g.listeners)
			g.closeSentinelsWithout(nil)
		}
		in.ports.closeAdmin()
		if in.life.serving.Load() {
			in.log.Always(in.name()+" ended", slog.String("version", in.opts.Version))
		}
		// An error of the log at the very end cannot be logged.
		_ = in.log.Close()
		close(in.life.ended)
	})
	<-in.life.ended
}

// last waits for a change that is under way, and returns the last generation.
func (in *Instance) last() *generation {
	defer in.lockGeneration()()
	return in.current.Load()
}

// lockGeneration keeps the generation from changing, and returns the function
// that unlocks it.
func (in *Instance) lockGeneration() (unlock func()) {
	in.handing.Lock()
	in.changing.Lock()
	return func() {
		in.changing.Unlock()
		in.handing.Unlock()
	}
}

// Wait waits until the proxy has ended, and returns the error if it ended by
// itself.
func (in *Instance) Wait() error {
	<-in.life.ended
	return in.loops.failure()
}

package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"nuthatch/internal/acl"
	"nuthatch/internal/config"
	"nuthatch/internal/eventloop"
	"nuthatch/internal/logging"
	"nuthatch/internal/proto/memcache"
	"nuthatch/internal/proto/redis"
	"nuthatch/internal/proxy"
	"nuthatch/internal/socket"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// A rig is one pool on its event loops, without the process around them.
type rig struct {
	t        testing.TB
	conf     *config.Config
	topo     *topology.Topology
	identity *proxy.Identity
	contexts []*proxy.Context
	addr     string
}

// startRig runs the one pool of a configuration text. A "%s" in it is replaced
// by a free listen address.
func startRig(t testing.TB, text string) *rig {
	t.Helper()
	return startLoggedRig(t, text, logging.Discard())
}

func startLoggedRig(t testing.TB, text string, log *logging.Logger) *rig {
	t.Helper()
	listening, err := eventloop.OpenSocket(t.Context(), socket.ListenSpec{Host: "127.0.0.1", Backlog: 64})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, addr: listening.Name()}
	r.conf, err = config.Parse("rig.yml", []byte(strings.Replace(text, "%s", r.addr, 1)))
	if err != nil {
		t.Fatal(err)
	}
	pool := &r.conf.Pools[0]
	r.topo = topology.New(pool)
	layout := stats.Layout{{Name: pool.Name}}
	for i, s := range pool.Servers {
		layout[0].Servers = append(layout[0].Servers, s.StatsName())
		sa, err := socket.Resolve(t.Context(), s.Address.Host, s.Address.Port)
		if err != nil {
			t.Fatal(err)
		}
		r.topo.Servers()[i].SetAddrs(sa)
	}
	learned := new(redis.Learned)
	r.identity = new(proxy.Identity)
	epoch := time.Now()
	measures := allMeasures()
	measures.SlowerThan = time.Hour // the machine may be busy
	var users *acl.Users
	if pool.HasUsers() {
		var err error
		if users, err = redis.NewUsers("rig.yml", pool, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	engine := eventloop.Epoll
	if r.conf.Process.Engine == config.EngineIOUring {
		engine = eventloop.IOUring
	}
	ended := make(chan error, r.conf.Process.Threads)
	for id := range r.conf.Process.Threads {
		ctx, err := proxy.NewContext(proxy.Options{
			ID: id, Epoch: epoch, Log: log, Shard: stats.NewShard(layout), Identity: r.identity, Measures: measures,
			NewLoop: func(epoch time.Time, hook eventloop.Hook) (*eventloop.Loop, error) {
				return eventloop.NewOn(engine, epoch, hook)
			},
			Pools: []proxy.PoolOptions{{Config: pool, Topology: r.topo, Protocol: protocolOf(pool, learned, users, new(acl.Log))}},
		})
		if err != nil {
			t.Fatal(err)
		}
		r.contexts = append(r.contexts, ctx)
		go func() { ended <- ctx.Loop().Run() }()
	}
	t.Cleanup(func() {
		for _, ctx := range r.contexts {
			ctx.Loop().Stop()
		}
		for range r.contexts {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		listening.Close()
	})
	r.on(0, func(ctx *proxy.Context) {
		ln, err := ctx.Listen(listening, r.contexts)
		if err != nil {
			t.Error(err)
			return
		}
		ln.Serve(r.topo, true)
	})
	return r
}

// loginsOf are the logins of pools, by what they have learnt: a reload keeps both.
var loginsOf sync.Map

// protocolOf is the pool's protocol for one loop. users is nil if the pool has none of its own.
func protocolOf(p *config.Pool, learned *redis.Learned, users *acl.Users, denials *acl.Log) proxy.Protocol {
	if p.Protocol == config.Redis {
		learned.SetSurvey(redis.NewSurvey(nil, 0)) // nobody asks them
		logins, _ := loginsOf.LoadOrStore(learned, redis.NewLogins())
		return redis.New(redis.Options{
			Users: users, ACLLog: denials, Login: p.ServerLogin(),
			Passthrough: p.Passes(), MaxUsers: p.MaxServerUsers, UserLimits: p.UserLimits, Logins: logins.(*redis.Logins),
			Auth: p.RedisAuth, DB: p.RedisDB, Databases: p.Databases, FailedSelect: p.FailedSelect, Transactions: p.Transactions, Publish: p.PubSub.Publish, Cluster: p.Cluster.On,
			AllowMonitor: p.AllowMonitor, AllowFlush: p.AllowFlush, AllowAdmin: p.AllowAdmin, ReadOnly: p.ReadOnly, Tracking: p.Tracking == config.TrackingOn,
			Servers: len(p.Servers), HashTag: p.HashTag, KeylessScripts: p.KeylessScripts, PartialResults: p.PartialResults, Learned: learned,
			Facts:         func(_ bool, use func(*redis.Facts)) { use(&redis.Facts{Pool: &stats.PoolSnapshot{}}) },
			RefuseUnknown: p.UnknownCommands == config.UnknownRefuse, MaxRequestSize: p.MaxRequestSize, Version: "0",
		})
	}
	return memcache.New(memcache.Options{MaxRequestSize: p.MaxRequestSize, AllowFlush: p.AllowFlush, ReadOnly: p.ReadOnly})
}

// on runs f on the i-th loop and waits for it.
func (r *rig) on(i int, f func(*proxy.Context)) {
	r.t.Helper()
	done := make(chan struct{})
	r.contexts[i].Loop().Post(func() {
		defer close(done)
		f(r.contexts[i])
	})
	select {
	case <-done:
	case <-time.After(patience):
		r.t.Fatal("the loop does not answer")
	}
}

// awaitIdle waits until nothing is in flight on any loop: no message and no
// chunk is in use.
func (r *rig) awaitIdle() {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for i := range r.contexts {
		for {
			var msgs, chunks int
			r.on(i, func(ctx *proxy.Context) { msgs, chunks = ctx.Live() })
			if msgs == 0 && chunks == 0 {
				break
			}
			if time.Now().After(deadline) {
				r.t.Fatalf("loop %d still uses %d messages and %d chunks", i, msgs, chunks)
			}
		}
	}
}

// layout is the pool's place in the statistics.
func (r *rig) layout() stats.Layout {
	pool := &r.conf.Pools[0]
	layout := stats.Layout{{Name: pool.Name}}
	for i := range pool.Servers {
		layout[0].Servers = append(layout[0].Servers, pool.Servers[i].StatsName())
	}
	return layout
}

// stat is the pool's statistics, summed over the loops.
func (r *rig) stat() stats.PoolSnapshot {
	r.t.Helper()
	layout := r.layout()
	var shards []*stats.Shard
	for i := range r.contexts {
		s := stats.NewShard(layout)
		r.on(i, func(ctx *proxy.Context) { ctx.CopyStats(s) })
		shards = append(shards, s)
	}
	return stats.Sum(layout, shards).Pools[0]
}

// A user is a client connection of a test.
type user struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

func (r *rig) dial() *user {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	u := &user{t: r.t, Conn: c}
	u.in = bufio.NewReader(u)
	return u
}

// Read waits no longer than patience. It is not what a test may take as a whole.
func (u *user) Read(p []byte) (int, error) {
	if err := u.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return u.Conn.Read(p)
}

// Write waits no longer than patience.
func (u *user) Write(p []byte) (int, error) {
	if err := u.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return u.Conn.Write(p)
}

func (u *user) send(s string) {
	u.t.Helper()
	if _, err := io.WriteString(u, s); err != nil {
		u.t.Fatal(err)
	}
}

// expect reads exactly want.
func (u *user) expect(want string) {
	u.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(u.in, got)
	if err != nil {
		u.t.Fatalf("got %q, then %v; want %q", got[:n], err, want)
	}
	if string(got) != want {
		u.t.Fatalf("got %q, want %q", got, want)
	}
}

// expectEOF fails unless the proxy closes the connection without another byte.
func (u *user) expectEOF() {
	u.t.Helper()
	b, err := io.ReadAll(u.in)
	if err != nil || len(b) > 0 {
		u.t.Fatalf("got %q and %v, want the end", b, err)
	}
}

// rest reads to the end.
func (u *user) rest() string {
	u.t.Helper()
	b, err := io.ReadAll(u.in)
	if err != nil {
		u.t.Fatalf("got %q, then %v", b, err)
	}
	return string(b)
}

// command is a Redis request.
func command(args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b.String()
}

func bulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

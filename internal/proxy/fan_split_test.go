package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/proto/redis"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// loneContext is a context with one pool, whose loop nobody runs.
func loneContext(t testing.TB, pool *config.Pool) *Context {
	t.Helper()
	ctx, err := NewContext(Options{
		Epoch: time.Unix(1e9, 0), Log: logging.Discard(), Identity: new(Identity), Shard: stats.NewShard(layoutOf(pool)),
		Pools: []PoolOptions{{
			Config: pool, Topology: topology.New(pool), Protocol: redis.New(redis.Options{Servers: len(pool.Servers)}),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx.Loop().Stop()
		if err := ctx.Loop().Run(); err != nil {
			t.Error(err)
		}
	})
	return ctx
}

func layoutOf(pool *config.Pool) stats.Layout {
	layout := stats.Layout{{Name: pool.Name}}
	for i := range pool.Servers {
		layout[0].Servers = append(layout[0].Servers, pool.Servers[i].StatsName())
	}
	return layout
}

// poolOf reads a pool with that many servers.
func poolOf(t testing.TB, servers int, lines string) *config.Pool {
	t.Helper()
	var b strings.Builder
	b.WriteString("alpha:\n  listen: 127.0.0.1:22121\n  redis: true\n" + lines + "  servers:\n")
	for i := range servers {
		fmt.Fprintf(&b, "  - 127.0.0.1:6379:1 s%d\n", i)
	}
	conf, err := config.Parse("test.yml", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return &conf.Pools[0]
}

// In a pool of as many servers as there may be, a request of many keys goes to the
// servers that own them, those with the greatest numbers included.
func TestDealToMostServers(t *testing.T) {
	ctx := loneContext(t, poolOf(t, config.MaxServers, "  distribution: modula\n"))
	p := ctx.pools[0]
	request := fmt.Appendf(nil, "*%d\r\n$4\r\nMGET\r\n", 200_001)
	for i := range 200_000 {
		request = fmt.Appendf(request, "$10\r\nkey:%06d\r\n", i)
	}
	n, done, perr := p.parser.Parse(request)
	if !done || perr != nil {
		t.Fatal(done, perr)
	}
	req := p.parser.Finish(request[:n])
	if !p.dealKeys(req) {
		t.Fatal("no server is live")
	}
	greatest := 0
	for i, to := range ctx.deal.to {
		key, _ := req.View.Bytes(int(req.Key(i).Off), int(req.Key(i).Len), nil)
		want := p.topo.Ring().Continuum.Index(p.topo.Ring().Hash.Sum(key))
		if got := ctx.deal.shares[to].server; got != p.servers[want] {
			t.Fatalf("%s is dealt to server %s, its owner is %d", key, got.ServerName(), want)
		}
		greatest = max(greatest, want)
	}
	if greatest != config.MaxServers-1 {
		t.Errorf("no key is the last server's; the greatest number is %d", greatest)
	}
	s := p.servers[config.MaxServers-1]
	parent := &msg.Msg{}
	c := newClient(p)
	f, _ := fan{c, parent}.addConnected(s)
	if f.Via.ServerName() != s.ServerName() {
		t.Errorf("a message to server %s names server %s", s.ServerName(), f.Via.ServerName())
	}
}

package proxy_test

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/proxy"
	"nuthatch/internal/socket"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
	"nuthatch/internal/topology"
)

// A roster is what a test publishes as a pool's servers.
type roster struct {
	r       *rig
	members []topology.Member
}

// member is a server at that address, as a configuration would have it.
func member(t *testing.T, name, addr string) topology.Member {
	t.Helper()
	conf, err := config.Parse("member.yml", fmt.Appendf(nil, "p:\n  listen: 127.0.0.1:1\n  servers:\n  - %s:1 %s\n", addr, name))
	if err != nil {
		t.Fatal(err)
	}
	m := topology.Member{Server: conf.Pools[0].Servers[0]}
	if m.Addrs, err = socket.Resolve(t.Context(), m.Server.Address.Host, m.Server.Address.Port); err != nil {
		t.Fatal(err)
	}
	return m
}

// publish publishes them.
func (o *roster) publish() {
	now := int64(0)
	o.r.on(0, func(ctx *proxy.Context) { now = ctx.Loop().Now() })
	o.r.topo.Publish(o.members, now, now+int64(patience))
}

// stat is the statistics of the servers that there are now.
func (o *roster) stat() map[string]stats.ServerSnapshot {
	o.r.t.Helper()
	layout := stats.Layout{{Name: o.r.conf.Pools[0].Name, Servers: o.r.topo.Snapshot().Names}}
	var shards []*stats.Shard
	for i := range o.r.contexts {
		s := stats.NewShard(nil)
		o.r.on(i, func(ctx *proxy.Context) { ctx.CopyStats(s) })
		shards = append(shards, s)
	}
	byName := map[string]stats.ServerSnapshot{}
	servers := stats.Sum(layout, shards).Pools[0].Servers
	for i := range servers {
		byName[servers[i].Name] = servers[i]
	}
	return byName
}

// traffic has clients ask for keys of all servers, one by one and many at once, until
// stop. All replies must be right; more waits for some.
func (r *rig) traffic(t *testing.T, clients int) (more, stop func()) {
	served := new(atomic.Int64)
	more = func() {
		t.Helper()
		from := served.Load()
		await(t, "more replies", func() bool { return served.Load() > from+200 || t.Failed() })
	}
	ended := make(chan struct{})
	var running sync.WaitGroup
	for n := range clients {
		u := r.dial()
		running.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-ended:
					return
				default:
				}
				request, want := "", ""
				for j := range 4 {
					key := fmt.Sprintf("key:%d:%d:%d", n, i, j)
					request, want = request+command("GET", key), want+bulk(key)
				}
				many := []string{"MGET"}
				reply := "*20\r\n"
				for j := range 20 {
					many = append(many, fmt.Sprintf("many:%d:%d:%d", n, i, j))
					reply += bulk(many[j+1])
				}
				request, want = request+command(many...), want+reply
				if _, err := u.Write([]byte(request)); err != nil {
					r.t.Error(err)
					return
				}
				got := make([]byte, len(want))
				if _, err := io.ReadFull(u.in, got); err != nil || string(got) != want {
					r.t.Errorf("asked for %q: got %q (%v), want %q", request, got, err, want)
					return
				}
				served.Add(5)
			}
		})
	}
	return more, func() { close(ended); running.Wait() }
}

// Servers come and go without a reload while traffic runs: every client has its replies,
// and connections, statistics, queues and ejection go with the servers.
func TestServersComeAndGo(t *testing.T) {
	var s closer // it answers keys with themselves
	servers := make([]*testkit.Scripted, 4)
	for i := range servers {
		servers[i] = testkit.StartScripted(t, s.serve)
	}
	r := startRig(t, fmt.Sprintf("nuthatch:\n  threads: 2\nalpha:\n  listen: %%s\n  redis: true\n  distribution: ketama\n"+
		"  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 600000\n  servers:\n   - %s:1 a\n   - %s:1 b\n   - %s:1 c\n",
		servers[0].Addr(), servers[1].Addr(), servers[2].Addr()))
	o := &roster{r: r}
	for i, name := range []string{"a", "b", "c"} {
		o.members = append(o.members, member(t, name, servers[i].Addr()))
	}
	more, stop := r.traffic(t, 8)
	more()
	await(t, "both loops to be connected to all servers", func() bool {
		st := o.stat()
		return min(st["a"].Values[stats.ServerConnections], st["b"].Values[stats.ServerConnections], st["c"].Values[stats.ServerConnections]) == 2
	})

	// One more comes, in the first place: all others get other ones.
	before := o.stat()
	o.members = slices.Insert(o.members, 0, member(t, "newcomer", servers[3].Addr()))
	o.publish()
	await(t, "the newcomer to be asked by both loops", func() bool {
		v := o.stat()["newcomer"].Values
		return v[stats.ServerConnections] == 2 && v[stats.Responses] > 100 || t.Failed()
	})
	more()
	after := o.stat()
	for _, name := range []string{"a", "b", "c"} {
		if was, is := before[name].Values, after[name].Values; is[stats.Responses] < was[stats.Responses] || is[stats.Dials] != was[stats.Dials] {
			t.Errorf("server %s has had %d replies and %d connections, before the other came %d and %d",
				name, is[stats.Responses], is[stats.Dials], was[stats.Responses], was[stats.Dials])
		}
	}

	// One goes, from the middle. What it owes is delivered, and its connections are closed.
	gone := o.members[2].Server.Name
	o.members = slices.Delete(o.members, 2, 3)
	o.publish()
	more()
	if _, there := o.stat()[gone]; there {
		t.Errorf("server %s is still told of", gone)
	}

	// One of them is ejected, and stays so when another comes back.
	newcomer := r.topo.Snapshot()
	h := newcomer.Servers[slices.Index(newcomer.Names, "newcomer")]
	r.topo.Failed(h, msg.ConnRefused, int64(time.Hour), int64(time.Hour))
	if h.State().State != topology.Ejected {
		t.Fatalf("the newcomer is %v", h.State().State)
	}
	more()
	asked := o.stat()["newcomer"].Values[stats.Requests]
	o.members = append(o.members, member(t, gone, servers[1].Addr()))
	o.publish()
	more()
	if n := o.stat()["newcomer"].Values[stats.Requests]; n != asked {
		t.Errorf("the ejected server was asked for %d keys", n-asked)
	}
	stop()
	r.awaitIdle()
	o.nothingWaits()
	if n := o.stat()[gone].Values[stats.ServerConnections]; n != 2 {
		t.Errorf("the server that went and came has %d connections, want 2", n)
	}
	if n := r.stat().Values[stats.ClientEOF]; n != 0 {
		t.Errorf("%d clients were lost", n)
	}
}

// nothingWaits fails if anything is in the servers' queues.
func (o *roster) nothingWaits() {
	all := o.stat()
	for name := range all {
		if v := all[name].Values; v[stats.InQueue] != 0 || v[stats.OutQueue] != 0 || v[stats.InQueueBytes] != 0 || v[stats.OutQueueBytes] != 0 {
			o.r.t.Errorf("in the queues of server %s there are %d and %d requests, of %d and %d bytes",
				name, v[stats.InQueue], v[stats.OutQueue], v[stats.InQueueBytes], v[stats.OutQueueBytes])
		}
	}
}

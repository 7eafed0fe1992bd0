package proxy

import (
	"slices"
	"testing"
	"time"

	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// publishWithout publishes the pool's servers without the i-th, and one more of that name
// in the first place.
func (p *ServerPool) publishWithout(i int, name string) {
	var members []topology.Member
	for j := range p.conf.Servers {
		if j != i {
			members = append(members, topology.Member{Server: p.conf.Servers[j]})
		}
	}
	more := topology.Member{Server: p.conf.Servers[i]}
	more.Server.Name = name
	p.topo.Publish(slices.Insert(members, 0, more), 1, int64(time.Minute))
}

// Many other servers are taken over in slices, while requests go by the old snapshot. What
// is counted meanwhile is not lost, and a server that stays is the same.
func TestManyServersAreFollowedInSlices(t *testing.T) {
	const servers, keys = 3000, 8192
	ctx := loneContext(t, poolOf(t, servers, "  distribution: modula\n"))
	ctx.SetBudget(Amount{Keys: keys, Clients: 256, Bytes: 1 << 20})
	p := ctx.pools[0]
	before, stays, goes := p.snap, p.servers[7], p.servers[1000]
	stays.stats[stats.Requests] = 5
	now := int64(time.Second)
	turn := func() {
		t.Helper()
		now++
		if _, err := ctx.Loop().Step(now); err != nil {
			t.Fatal(err)
		}
	}
	turn()
	ctx.MostInTurn()
	p.publishWithout(1000, "newcomer")
	turns := 0
	for ; p.snap == before; turns++ {
		turn()
		stays.stats[stats.Requests]++
		if len(p.servers) != len(p.snap.Servers) || p.servers[7] != stays && p.snap == before {
			t.Fatal("requests do not go by the old snapshot")
		}
		if most := ctx.MostInTurn(); most.Keys > keys+2*perServer {
			t.Fatalf("one turn did %+v", most)
		}
	}
	if least := 2 * servers * perServer / keys; turns < least {
		t.Errorf("it took %d turns, want %d and more", turns, least)
	}
	for p.following != nil {
		turn()
	}
	if p.servers[0].conf.StatsName() != "newcomer" || p.servers[8] != stays || stays.removed || !goes.removed {
		t.Errorf("the servers are not those of the snapshot: %s, %s", p.servers[0].conf.StatsName(), p.servers[8].conf.StatsName())
	}
	if got := p.stats.Servers[8][stats.Requests]; got != int64(5+turns) {
		t.Errorf("of the server that stays %d requests are counted, want %d", got, 5+turns)
	}
	if p.serverOf(before.Servers[7]) != stays || p.serverOf(before.Servers[1000]) != nil {
		t.Error("a server is not found by what is known of it")
	}
}

// A reload that comes while other servers are taken over finds them taken over.
func TestReloadWhileServersAreFollowed(t *testing.T) {
	const servers = 3000
	ctx := loneContext(t, poolOf(t, servers, "  distribution: modula\n"))
	ctx.SetBudget(Amount{Keys: 8192, Clients: 256, Bytes: 1 << 20})
	p := ctx.pools[0]
	stays := p.servers[7]
	stays.stats[stats.Requests] = 5
	p.publishWithout(1000, "newcomer")
	for now := int64(1); now < 3; now++ {
		if _, err := ctx.Loop().Step(int64(time.Second) + now); err != nil {
			t.Fatal(err)
		}
	}
	if p.following == nil {
		t.Fatal("other servers are taken over at once")
	}
	stays.stats[stats.Requests]++
	next := p.topo.Next(p.conf, int64(time.Second))
	next.Settle(int64(time.Second))
	ctx.Adopt([]PoolOptions{{Config: p.conf, Topology: next, Protocol: p.proto.Protocol}}, int64(time.Minute))
	if p.following != nil || len(p.servers) != servers || p.servers[7] != stays || p.snap != next.Snapshot() {
		t.Error("the servers are not those of the reload")
	}
	if got := p.stats.Servers[7][stats.Requests]; got != 6 {
		t.Errorf("of the server that stays %d requests are counted, want 6", got)
	}
	for now := int64(3); now < 100; now++ {
		if _, err := ctx.Loop().Step(int64(time.Second) + now); err != nil {
			t.Fatal(err)
		}
	}
	if p.snap != next.Snapshot() {
		t.Error("what was begun before the reload goes on after it")
	}
}

// Servers that are published while others are taken over come after them; an ejection
// meanwhile is known as soon as its servers are.
func TestPublishedWhileOthersAreFollowed(t *testing.T) {
	const servers = 3000
	ctx := loneContext(t, poolOf(t, servers, "  distribution: modula\n  auto_eject_hosts: true\n  server_failure_limit: 1\n"))
	ctx.SetBudget(Amount{Keys: 8192, Clients: 256, Bytes: 1 << 20})
	p := ctx.pools[0]
	step := func(n int) {
		t.Helper()
		for range n {
			if _, err := ctx.Loop().Step(ctx.loop.Now() + 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.publishWithout(1000, "first")
	step(3)
	p.publishWithout(1001, "second")
	p.topo.Failed(p.topo.Servers()[3], msg.ConnRefused, 1, 1)
	for range 1000 {
		if step(1); p.following == nil {
			break
		}
	}
	if p.snap != p.topo.Snapshot() || p.snap.Names[0] != "second" || p.snap.Table.Ring().Continuum.Live() != servers-1 {
		t.Errorf("requests go by %s and %d others, %d of them up; want the last snapshot", p.snap.Names[0], len(p.snap.Names)-1, p.snap.Table.Ring().Continuum.Live())
	}
	for i, s := range p.servers {
		if s.health != p.snap.Servers[i] || s.among != p.snap.Members || s.stats != &p.stats.Servers[i] {
			t.Fatalf("server %d is not that of the snapshot", i)
		}
	}
}

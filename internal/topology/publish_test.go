package topology

import (
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// members are the pool's servers without one.
func membersOf(pool *config.Pool, without int) []Member {
	var all []Member
	for i := range pool.Servers {
		if i != without {
			all = append(all, Member{Server: pool.Servers[i]})
		}
	}
	return all
}

// Who publishes other servers tells the loops; servers that stay keep what is known of
// them, whatever their places are.
func TestPublish(t *testing.T) {
	pool := poolOf(t, 4, "  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 1000\n")
	topo, epoch := New(pool), new(Epoch)
	topo.TellOf(epoch)
	before, was := topo.Snapshot(), epoch.Now()
	addr := []unix.Sockaddr{&unix.SockaddrUnix{Name: "/somewhere"}}
	before.Servers[2].SetAddrs(addr)
	topo.Failed(before.Servers[2], msg.ConnRefused, 1, 1)
	ejected := topo.Snapshot()
	if !ejected.SameServers(before) || ejected.Epoch <= before.Epoch || epoch.Now() == was {
		t.Fatal("an ejection is told, and is no change of servers")
	}
	was = epoch.Now()

	members := membersOf(pool, 0)
	coming := Member{Server: pool.Servers[0], Addrs: addr}
	coming.Server.Name = "newcomer"
	members = append(members, coming)
	topo.Publish(members, 2, 3)
	now := topo.Snapshot()
	if now.SameServers(before) || now.Epoch <= ejected.Epoch || epoch.Now() == was || now.FinishBy != 3 {
		t.Fatalf("it is not told: %+v", now)
	}
	if want := []string{"s1", "s2", "s3", "newcomer"}; !slices.Equal(now.Names, want) {
		t.Errorf("the servers are %v, want %v", now.Names, want)
	}
	if !slices.Equal(now.Servers[:3], before.Servers[1:]) {
		t.Error("servers that stay are others")
	}
	if now.Servers[3] == before.Servers[0] || len(now.Servers[3].Addrs()) != 1 {
		t.Error("one of another name is the same, or has no addresses")
	}
	if s := now.Servers[1].State(); s.State != Ejected || len(now.Servers[1].Addrs()) != 1 {
		t.Errorf("the ejected server is %v", s.State)
	}
	if n := now.Table.Ring().Continuum.Live(); n != 3 {
		t.Errorf("%d of four servers have keys, one is ejected", n)
	}
	for i, h := range now.Servers {
		if got := now.Place(h); got != i {
			t.Errorf("the place of server %d is %d", i, got)
		}
	}
	if got := now.Place(before.Servers[0]); got != -1 {
		t.Errorf("one that is gone has the place %d", got)
	}
	if got := before.Place(before.Servers[3]); got != 3 {
		t.Errorf("in the snapshot before, the last one's place is %d", got)
	}
}

// Ejections, and changes of servers, that are published at the same time are all in the
// last snapshot.
func TestPublishAtOnce(t *testing.T) {
	pool := poolOf(t, 8, "  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 600000\n")
	for range 50 {
		topo := New(pool)
		servers := topo.Servers()
		var all sync.WaitGroup
		for _, h := range servers[1:4] {
			all.Go(func() { topo.Failed(h, msg.ConnRefused, 1, 1) })
		}
		all.Go(func() { topo.Publish(membersOf(pool, 0), 1, 1) })
		all.Wait()
		topo.Refresh(1)
		if s := topo.Snapshot(); len(s.Servers) != 7 || s.Table.Ring().Continuum.Live() != 4 {
			t.Fatalf("%d servers, %d of them with keys; want 7, with 3 ejected", len(s.Servers), s.Table.Ring().Continuum.Live())
		}
	}
}

// The next topology is made without an effect on servers that the present one uses: what
// is over there is ended, and told, by the first loop that looks.
func TestNextChangesNothing(t *testing.T) {
	pool := poolOf(t, 3, "  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 1000\n")
	topo := New(pool)
	h := topo.Servers()[1]
	topo.Failed(h, msg.ConnRefused, 1, 1)
	over := h.State().RetryAt + 1

	next := topo.Next(pool, over)
	if s := h.State(); s.State != Ejected || h.Passes() {
		t.Fatalf("after Next the server is %v", s.State)
	}
	next.Settle(over)
	next.Refresh(over)
	if s := h.State(); s.State != Ejected {
		t.Fatalf("after Settle and Refresh the server is %v", s.State)
	}
	told := 0
	next.Current(over, func(*Health) { told++ })
	if s := h.State(); s.State != Probing || told != 1 || next.Ring().Continuum.Live() != 3 {
		t.Errorf("a loop has looked: the server is %v, told %d times, %d servers have keys", s.State, told, next.Ring().Continuum.Live())
	}
}

// A key's owner is the first that its shard is written to, whatever the numbers of shards.
func TestOwner(t *testing.T) {
	topo := New(poolOf(t, 3, "  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 1000\n"))
	s := topo.Snapshot()
	key := []byte("some key")
	home := s.Owner(key)
	if home != s.HomeOwner(key) {
		t.Errorf("the owner is %d, without ejections %d", home, s.HomeOwner(key))
	}
	topo.Failed(s.Servers[home], msg.ConnRefused, 1, 1)
	s = topo.Snapshot()
	if got := s.Owner(key); got == home || got < 0 || s.HomeOwner(key) != home {
		t.Errorf("with server %d ejected the owner is %d, without ejections %d", home, got, s.HomeOwner(key))
	}
	if shares := s.Shares(); shares[home] != 0 || len(shares) != 3 {
		t.Errorf("the shares are %v, server %d is ejected", shares, home)
	}
}

package emulate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/hashkit"
)

func addresses(n int) []Address {
	all := make([]Address, n)
	for i := range all {
		all[i] = Address{fmt.Sprintf("10.0.%d.%d", i/250, 1+i%250), 6379}
	}
	return all
}

// TestMapIsTheSameEverywhere: each of one, two, 300 proxies makes the same map from the same
// addresses, in whatever order it knows them, and its slots are all slots.
func TestMapIsTheSameEverywhere(t *testing.T) {
	for _, n := range []int{1, 2, 3, 300} {
		all := addresses(n)
		var want *Map
		for i, self := range all {
			peers := slices.Clone(all)
			rand.Shuffle(n, func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
			if i%2 == 0 {
				peers = slices.DeleteFunc(peers, func(a Address) bool { return a == self })
			}
			m := New(Options{Self: self, Peers: peers})
			if m.Nodes[m.Self].Address != self {
				t.Fatalf("%d proxies: %v is not in its map", n, self)
			}
			if want == nil {
				want = m
				next := 0
				for _, node := range m.Nodes {
					if node.First != next || node.Last < node.First {
						t.Fatalf("%d proxies: a node from %d to %d behind slot %d", n, node.First, node.Last, next-1)
					}
					next = node.Last + 1
					if len(node.ID) != 40 {
						t.Fatalf("id %q", node.ID)
					}
				}
				if next != hashkit.NumSlots {
					t.Fatalf("%d proxies have %d slots", n, next)
				}
				continue
			}
			if !slices.Equal(m.Nodes, want.Nodes) || m.Slots(false) != want.Slots(false) || m.Shards(true) != want.Shards(true) {
				t.Fatalf("%d proxies: %v has another map", n, self)
			}
			if strings.Count(m.NodeLines(), " myself,") != 1 || !strings.Contains(m.NodeLines(), self.ID()+" "+self.String()+"@16379 myself,") {
				t.Fatalf("%v does not find itself in\n%s", self, m.NodeLines())
			}
		}
	}
}

// TestAnswers: what clients are told, with and without TLS, of names and IPv6 addresses.
func TestAnswers(t *testing.T) {
	a, b := Address{"::1", 6379}, Address{"proxy.example", 60000}
	m := New(Options{Self: b, Peers: []Address{a}, Secure: true})
	want := "*2\r\n*3\r\n:0\r\n:8191\r\n*4\r\n$3\r\n::1\r\n:6379\r\n$40\r\n" + a.ID() + "\r\n%0\r\n" +
		"*3\r\n:8192\r\n:16383\r\n*4\r\n$13\r\nproxy.example\r\n:60000\r\n$40\r\n" + b.ID() + "\r\n%0\r\n"
	if got := m.Slots(true); got != want {
		t.Errorf("CLUSTER SLOTS\n%q\nwant\n%q", got, want)
	}
	if got := m.Slots(false); got != strings.ReplaceAll(want, "%0", "*0") {
		t.Errorf("CLUSTER SLOTS in RESP2\n%q", got)
	}
	want = a.ID() + " ::1:6379@16379 master - 0 0 1 connected 0-8191\n" +
		b.ID() + " proxy.example:60000@50000,proxy.example myself,master - 0 0 2 connected 8192-16383\n"
	if got := m.NodeLines(); got != want {
		t.Errorf("CLUSTER NODES\n%s\nwant\n%s", got, want)
	}
	for text, n := range map[string]int{"$8\r\ntls-port\r\n:6379\r\n": 1, "$8\r\nhostname\r\n$13\r\nproxy.example\r\n": 1, "%7\r\n": 1, "%8\r\n": 1, "$4\r\nport": 0} {
		if got := strings.Count(m.Shards(true), text); got != n {
			t.Errorf("CLUSTER SHARDS has %q %d times, want %d:\n%q", text, got, n, m.Shards(true))
		}
	}
	if !strings.HasPrefix(m.Info(), "cluster_state:ok\r\ncluster_slots_assigned:16384\r\n") || !strings.Contains(m.Info(), "\r\ncluster_size:2\r\n") {
		t.Errorf("CLUSTER INFO\n%s", m.Info())
	}
}

// TestLeaving: a proxy that leaves has no slots, unless there is no other. Each slot has the owner
// that CLUSTER SLOTS tells.
func TestLeaving(t *testing.T) {
	all := addresses(5)
	m := New(Options{Self: all[2], Peers: all, Leaving: true})
	if !m.Leaves || m.Self >= 0 || len(m.Nodes) != 4 || !strings.Contains(m.NodeLines(), all[2].ID()+" "+all[2].String()+"@16379 myself,master - 0 0 0 connected\n") {
		t.Errorf("it leaves: %t, and its nodes are\n%s", m.Leaves, m.NodeLines())
	}
	for _, n := range m.Nodes {
		for _, slot := range []int{n.First, n.Last, (n.First + n.Last) / 2} {
			if got := m.Owner(slot); got != n.Address || got == all[2] {
				t.Errorf("slot %d belongs to %v, not to %v", slot, n.Address, got)
			}
		}
	}
	if m := New(Options{Self: all[2], Peers: all[2:3], Leaving: true}); m.Leaves || m.Owner(5) != all[2] {
		t.Errorf("it leaves its slots to nobody")
	}
}

// TestCard: a card is read as it was written.
func TestCard(t *testing.T) {
	for _, c := range []Card{{At: Address{"10.0.0.1", 6379}, Pool: "alpha"}, {At: Address{"::1", 1}, Leaving: true}, {At: Address{"proxy.example", 65535}, Pool: "b c", Sentinel: Address{"::1", 26379}}} {
		got, err := ParseCard(c.String())
		if err != nil || got.At != c.At || got.Leaving != c.Leaving || got.Sentinel != c.Sentinel || !got.IsOf(c.Pool) || got.IsOf(c.Pool+"x") {
			t.Errorf("%q is read as %+v: %v", c, got, err)
		}
	}
}

// TestKeyOfSlot: there is a key for each slot.
func TestKeyOfSlot(t *testing.T) {
	var b Board
	b.MakeKeys()
	for slot := range hashkit.NumSlots {
		if got := hashkit.Slot([]byte(b.KeyOfSlot(slot))); got != slot {
			t.Fatalf("the key of slot %d has slot %d", slot, got)
		}
	}
}

// TestProxyFor: all proxies name the same one to a client, clients are divided evenly, and a
// proxy that goes changes it for its own clients alone.
func TestProxyFor(t *testing.T) {
	const clients = 3000
	all := addresses(5)
	maps := make([]*Map, len(all))
	for i, self := range all {
		maps[i] = New(Options{Self: self, Peers: all})
	}
	without := New(Options{Self: all[2], Peers: all, Leaving: true})
	counts := make(map[Address]int)
	for i := range clients {
		client := fmt.Sprintf("10.1.%d.%d", i/250, 1+i%250)
		at := maps[0].ProxyFor(client)
		counts[at]++
		for _, m := range maps {
			if got := m.ProxyFor(client); got != at {
				t.Fatalf("%s is sent to %v and to %v", client, at, got)
			}
		}
		if got := without.ProxyFor(client); got == all[2] || at != all[2] && got != at {
			t.Fatalf("%s was sent to %v, and without %v it is sent to %v", client, at, all[2], got)
		}
	}
	for at, n := range counts {
		if n < clients/5*8/10 || n > clients/5*12/10 {
			t.Errorf("%v has %d of %d clients", at, n, clients)
		}
	}
	if n := len(counts); n != len(all) {
		t.Errorf("%d proxies have clients", n)
	}
}

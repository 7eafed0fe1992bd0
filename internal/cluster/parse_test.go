package cluster

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// id is a node's id of forty digits.
func id(n int) string { return fmt.Sprintf("%040x", n) }

// describe is an answer in a line for each node, in the order of their ids.
func describe(a *answer) []string {
	var all []string
	for _, n := range a.nodes {
		what := "primary"
		if n.Replica {
			what = "replica of " + strings.TrimLeft(n.Of, "0")
		}
		if n.Failing {
			what += ", failing"
		}
		slots := ""
		for _, r := range a.runs {
			if r.owner == n.ID {
				slots += fmt.Sprintf(" %d-%d", r.first, r.last)
			}
		}
		all = append(all, fmt.Sprintf("%s %s %s %d %v%s", strings.TrimLeft(n.ID, "0"), n.Addr(), what, n.Epoch, n.Others, slots))
	}
	slices.Sort(all)
	return all
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What CLUSTER NODES says is understood: roles, runs of slots, slots that move, host names,
// IPv6, nodes that fail, nodes without an address, and a node that does not know its own.
func TestNodesAreParsed(t *testing.T) {
	text := strings.Join([]string{
		id(1) + " 10.0.0.1:7000@17000 myself,master - 0 0 3 connected 0-100 200 [300->-" + id(2) + "]",
		id(2) + " 10.0.0.2:7000@17000,two.example,shard-id=abc,availability-zone=z2 master - 0 0 5 connected 101-199",
		id(3) + " 10.0.0.3:7000@17000, slave " + id(1) + " 0 0 3 connected",
		id(4) + " 2001:db8::4:7000@17000 master,fail - 0 0 4 disconnected 201-16383",
		id(5) + " :0@0 master,noaddr - 0 0 1 disconnected",
		id(6) + " 10.0.0.6:7000@17000 handshake - 0 0 0 disconnected",
		id(7) + " 10.0.0.7:7000@17000 slave,fail? " + id(2) + " 0 0 5 connected",
	}, "\n") + "\n"
	a, err := parseNodes(text, asked{host: "10.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, describe(a), []string{
		"1 10.0.0.1:7000 primary 3 [] 0-100 200-200",
		"2 10.0.0.2:7000 primary 5 [two.example:7000] 101-199",
		"3 10.0.0.3:7000 replica of 1 3 []",
		"4 [2001:db8::4]:7000 primary, failing 4 [] 201-16383",
		"7 10.0.0.7:7000 replica of 2 5 []",
	})
	if a.self != id(1) || a.epoch != 5 || a.nodes[id(2)].Zone != "z2" {
		t.Errorf("it is %s, the epoch is %d, the zone %q", a.self, a.epoch, a.nodes[id(2)].Zone)
	}
	alone, err := parseNodes(id(1)+" :7000@17000 myself,master - 0 0 0 connected 0-16383\n", asked{host: "redis.example"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, describe(alone), []string{"1 redis.example:7000 primary 0 [] 0-16383"})
}

// What is no map is refused.
func TestNoMap(t *testing.T) {
	for _, text := range []string{
		"", "nonsense\n", id(1) + " 10.0.0.1:7000@1 master - 0 0 x connected\n",
		id(1) + " 10.0.0.1:7000@1 master - 0 0 1 connected 5-16384\n",
		id(1) + " 10.0.0.1:7000@1 master - 0 0 1 connected 9-5\n",
		id(1) + " 10.0.0.1:70000@1 master - 0 0 1 connected 5\n",
	} {
		if a, err := parseNodes(text, asked{host: "h"}); err == nil {
			t.Errorf("%q is understood: %v", text, describe(a))
		}
	}
	for _, of := range []any{nil, "OK", []any{}, []any{[]any{"slots"}}, int64(3)} {
		if a, err := parseShards(of, asked{host: "h"}); err == nil {
			t.Errorf("%v is understood: %v", of, describe(a))
		}
		if a, err := parseSlots(of, asked{host: "h"}); err == nil {
			t.Errorf("%v is understood: %v", of, describe(a))
		}
	}
}

func node(n int, pairs ...any) []any {
	return append([]any{"id", id(n)}, pairs...)
}

// CLUSTER SHARDS gives endpoints, and ports with and without TLS.
func TestShardsAreParsed(t *testing.T) {
	shards := []any{
		[]any{"slots", []any{int64(0), int64(99), "200", "299"}, "nodes", []any{
			node(1, "port", int64(7000), "tls-port", int64(7001), "ip", "10.0.0.1", "endpoint", "one.example", "hostname", "one.example",
				"role", "master", "replication-offset", int64(5), "health", "online"),
			node(2, "port", int64(7000), "tls-port", int64(7001), "ip", "10.0.0.2", "endpoint", "?", "role", "replica", "health", "loading"),
		}},
		[]any{"slots", []any{int64(100), int64(199)}, "nodes", []any{
			node(3, "port", int64(7000), "ip", "", "endpoint", nil, "role", "master", "health", "fail"),
			node(4, "port", int64(7002), "ip", "10.0.0.4", "endpoint", "10.0.0.4", "role", "master", "health", "online"),
		}},
	}
	plain, err := parseShards(shards, asked{host: "asked.example"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, describe(plain), []string{
		"1 one.example:7000 primary -1 [10.0.0.1:7000] 0-99 200-299",
		"2 10.0.0.2:7000 replica of 1 -1 []",
		"3 asked.example:7000 primary, failing -1 []",
		"4 10.0.0.4:7002 primary -1 [] 100-199",
	})
	secure, err := parseShards(shards, asked{host: "asked.example", secure: true, hosts: map[string]string{id(3): "known.example"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := secure.nodes[id(1)].Addr() + " " + secure.nodes[id(3)].Addr(); got != "one.example:7001 known.example:7000" {
		t.Errorf("with TLS they are at %s", got)
	}
}

// CLUSTER SLOTS gives a node that does not say where it is the host that was asked, and
// leaves one out whose host name is not known yet.
func TestSlotsAreParsed(t *testing.T) {
	slots := []any{
		[]any{int64(0), int64(5460), []any{"", int64(7000), id(1)}, []any{"10.0.0.4", int64(7000), id(4), []any{"hostname", "four.example"}}},
		[]any{int64(5461), int64(10922), []any{nil, int64(7001), id(2)}},
		[]any{int64(10923), int64(16383), []any{"?", int64(7002), id(3)}, []any{"2001:db8::5", int64(7000)}},
	}
	a, err := parseSlots(slots, asked{host: "asked.example"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, describe(a), []string{
		"1 asked.example:7000 primary -1 [] 0-5460",
		"2 asked.example:7001 primary -1 [] 5461-10922",
		"4 10.0.0.4:7000 replica of 1 -1 [four.example:7000]",
		"[2001:db8::5]:7000 [2001:db8::5]:7000 replica of  -1 []",
	})
}

// The addresses that redirects use come from CLUSTER SHARDS, the epochs from CLUSTER NODES.
func TestNodesWithShards(t *testing.T) {
	a, err := parseNodes(id(1)+" 10.0.0.1:7000@17000,one.example myself,master - 0 0 3 connected 0-16383\n", asked{host: "10.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	shards, err := parseShards([]any{[]any{"slots", []any{}, "nodes", []any{
		node(1, "port", int64(7000), "ip", "10.0.0.1", "endpoint", "one.example", "role", "master", "health", "online", "availability-zone", "z"),
	}}}, asked{host: "10.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	a.with(shards)
	same(t, describe(a), []string{"1 one.example:7000 primary 3 [10.0.0.1:7000] 0-16383"})
	if a.nodes[id(1)].Zone != "z" {
		t.Error("its zone is not known")
	}
}

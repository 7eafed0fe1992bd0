package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/testkit"
)

// An examination is that of a test's fakes, which are called a, b, c and d in what comes of it.
type examination struct {
	t     *testing.T
	fakes []*fake
	names *strings.Replacer
	extra config.Login
}

func newExamination(t *testing.T) *examination {
	t.Helper()
	e := &examination{t: t}
	var pairs []string
	for range 4 {
		e.fakes = append(e.fakes, startFake(t))
	}
	// Nodes are told of in the order of their addresses.
	slices.SortFunc(e.fakes, func(a, b *fake) int {
		return cmp.Or(cmp.Compare(len(a.Addr()), len(b.Addr())), strings.Compare(a.Addr(), b.Addr()))
	})
	for i, name := range []string{"a", "b", "c", "d"} {
		pairs = append(pairs, e.fakes[i].Addr(), name, id(i+1), name+"'s id")
	}
	e.names = strings.NewReplacer(pairs...)
	return e
}

// say has some fakes say lines of CLUSTER NODES, in which A to D are addresses.
func (e *examination) say(who []*fake, lines ...string) {
	var pairs []string
	for i, name := range []string{"A", "B", "C", "D"} {
		pairs = append(pairs, name, e.fakes[i].Addr())
	}
	r := strings.NewReplacer(pairs...)
	for _, f := range who {
		var own []string
		for _, line := range lines {
			own = append(own, r.Replace(line))
		}
		f.says(own...)
	}
}

// run examines the cluster by these seeds, and returns the faults, those that are minor in
// brackets.
func (e *examination) run(seeds ...string) (*Examined, []string) {
	e.t.Helper()
	w := newWatch(e.t, e.extra, seeds...)
	x := w.Examine(e.t.Context())
	var all []string
	for _, f := range x.Faults {
		text := e.names.Replace(f.Where + ": " + f.What)
		if f.Minor {
			text = "[" + text + "]"
		}
		all = append(all, text)
	}
	return x, all
}

func (e *examination) want(got []string, want ...string) {
	e.t.Helper()
	if !slices.Equal(got, want) {
		e.t.Errorf("faults:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// A cluster of which nothing is wrong is found by one seed, with all its nodes.
func TestExamineWhole(t *testing.T) {
	e := newExamination(t)
	e.say(e.fakes[:3], "1 A master 1 0-8191", "2 B master 2 8192-16383", "3 C slave:1 1")
	for _, f := range e.fakes {
		f.info, f.version = "cluster_state:ok", "7.2.4"
	}
	x, faults := e.run(e.fakes[1].Addr())
	e.want(faults)
	var nodes []string
	for _, n := range x.Nodes {
		nodes = append(nodes, e.names.Replace(fmt.Sprintf("%s %s %d slots, epoch %d, %s, seed %t, answers %t", n.Address, n.Role, n.Slots, n.Epoch, n.Version, n.Seed, n.Answers)))
	}
	slices.Sort(nodes)
	want := []string{
		"a primary 8192 slots, epoch 1, 7.2.4, seed false, answers true",
		"b primary 8192 slots, epoch 2, 7.2.4, seed true, answers true",
		"c replica 0 slots, epoch 1, 7.2.4, seed false, answers true",
	}
	if !slices.Equal(nodes, want) || x.Covered != NumSlots || x.Epoch != 2 {
		t.Errorf("%d slots, epoch %d, nodes:\n  %s", x.Covered, x.Epoch, strings.Join(nodes, "\n  "))
	}
}

// Seeds that are of no use are told with the reason.
func TestExamineSeeds(t *testing.T) {
	e := newExamination(t)
	e.say(e.fakes[:2], "1 A master 1 0-8191", "2 B master 2 8192-16383")
	down := testkit.FreeAddr(t)
	dumb := testkit.StartScripted(t, func(k *testkit.Talk) {
		if _, ok := k.Command(); ok {
			return // it closes the connection
		}
	})
	x, faults := e.run(down, e.fakes[2].Addr(), dumb.Addr(), e.fakes[0].Addr())
	e.want(faults,
		down+": nothing listens there: dial tcp "+down+": connect: connection refused",
		"c: it is no node of a cluster: This instance has cluster support disabled",
		dumb.Addr()+": it closes the connection: perhaps it wants TLS")
	if len(x.Nodes) != 5 {
		t.Errorf("%d nodes and seeds", len(x.Nodes))
	}
	_, faults = e.run(down)
	e.want(faults, down+": nothing listens there: dial tcp "+down+": connect: connection refused", "cluster: no seed is a node of a cluster")
}

// Logins that are refused, or wanted from nobody.
func TestExamineLogin(t *testing.T) {
	e := newExamination(t)
	e.say(e.fakes[:2], "1 A master 1 0-8191", "2 B master 2 8192-16383")
	e.extra = config.Login{Password: "secret"}
	e.fakes[0].refuse = "AUTH"
	e.fakes[1].refuse = "PASSWORD"
	_, faults := e.run(e.fakes[0].Addr())
	e.want(faults,
		"[a: it wants no password, and the pool has one]",
		"b: it refuses the login: WRONGPASS invalid username-password pair or user is disabled. The other nodes can reach it: is that its address from here, too?",
		"cluster: 1 of 2 primaries are out of reach: half of the cluster is missing, and no replica can be made a primary")
}

// Two clusters among the seeds, one of which is a node alone.
func TestExamineTwoClusters(t *testing.T) {
	e := newExamination(t)
	e.say(e.fakes[:2], "1 A master 1 0-8191", "2 B master 2 8192-16383")
	e.say(e.fakes[2:3], "3 C master 1 0-16383")
	e.say(e.fakes[3:], "4 D master 0")
	_, faults := e.run(e.fakes[0].Addr(), e.fakes[2].Addr(), e.fakes[3].Addr())
	e.want(faults,
		"cluster: the seeds belong to 3 clusters: a to the one that is used; c to another; d to another",
		"c: it belongs to another cluster than a: neither knows a node of the other",
		"d: it belongs to another cluster than a: neither knows a node of the other; it knows only itself, and has no slots")
}

// A map with holes; half a cluster; nodes that disagree, and those whose epochs are equal.
func TestExamineViews(t *testing.T) {
	e := newExamination(t)
	e.say(e.fakes[:2], "1 A master 1 0-8191", "2 B master 2 8192-16000 16005")
	e.fakes[0].info = "cluster_state:fail"
	_, faults := e.run(e.fakes[0].Addr())
	e.want(faults, "a: its cluster_state is fail: it refuses requests", "cluster: 382 of 16384 slots have no primary: 16001-16004, 16006-16383")

	e = newExamination(t)
	gone := testkit.FreeAddr(t)
	e.say(e.fakes[:1], "1 A master 1 0-8191", "2 "+gone+" master,fail 2 8192-16383")
	_, faults = e.run(e.fakes[0].Addr())
	e.want(faults,
		"["+gone+": it has failed, as the others say: nothing listens there: dial tcp "+gone+": connect: connection refused]",
		gone+": it has failed, as the others say, and it has slots",
		"cluster: 1 of 2 primaries are out of reach: half of the cluster is missing, and no replica can be made a primary")

	e = newExamination(t)
	e.say(e.fakes[:2], "1 A master 1 0-8191", "2 B master 2 8192-16383", "3 C slave:1 1")
	e.say(e.fakes[2:3], "1 A master 1 0-8190", "2 B master 2 8191-16000", "3 C slave:1 1", "4 D master 7")
	_, faults = e.run(e.fakes[0].Addr())
	e.want(faults,
		"d: it is no node of a cluster: This instance has cluster support disabled",
		"[a: it does not know d]", "[b: it does not know d]",
		"c: it knows the primaries of 16001 of 16384 slots, and others know those of 16384: it is behind, or sees half of the cluster",
		"cluster: nodes do not agree who has the slots 8191: a and 1 more say a, and c says b",
		"[a: the greatest config epoch that it knows is 2, and others know 7: it is behind]",
		"[b: the greatest config epoch that it knows is 2, and others know 7: it is behind]")

	e = newExamination(t)
	e.say(e.fakes[:2], "1 A master 3 0-8191 [1->-"+id(2)+"]", "2 B master 3 8192-16383")
	e.fakes[0].version, e.fakes[1].version = "6.2.0", "7.0.15"
	_, faults = e.run(e.fakes[0].Addr())
	e.want(faults,
		"[a: slots are on their way from it to other nodes: 1]",
		"cluster: a and b have the same config epoch 3: the nodes have not agreed yet",
		"[cluster: nodes have different versions: 6.2.0 at a; 7.0.15 at b]")
}

// Nodes of which nobody says where they are.
func TestExamineEndpoints(t *testing.T) {
	e := newExamination(t)
	e.say(e.fakes[:2], "1 A master 1 0-8191", "2 B master 2 8192-16383", "3 :0 master,noaddr 1", "4 ?:6379 slave:1 1")
	node := func(n int, ip, port string) string {
		fields := []string{"id", id(n), "port", "", "ip", ip, "endpoint", "?", "role", "master", "health", "online"}
		text := fmt.Sprintf("*%d\r\n", len(fields))
		for i, f := range fields {
			if i == 3 {
				text += ":" + port + "\r\n"
				continue
			}
			text += testkit.Bulk(f)
		}
		return text
	}
	host, port, _ := strings.Cut(e.fakes[1].Addr(), ":")
	for _, f := range e.fakes[:2] {
		f.shards = "*1\r\n*4\r\n" + testkit.Bulk("slots") + "*0\r\n" + testkit.Bulk("nodes") + "*1\r\n" + node(2, host, port)
	}
	_, faults := e.run(e.fakes[0].Addr())
	e.want(faults,
		"node c's id: b does not know its address",
		"node d's id: b does not know its address",
		"[b: its endpoint is '?', as b says: cluster-announce-hostname is missing there; its address is used]")
}

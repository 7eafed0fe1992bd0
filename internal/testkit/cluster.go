package testkit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A Cluster is a Redis Cluster of redis-servers on loopback.
type Cluster struct {
	// Nodes are all nodes, the first primaries first.
	Nodes []*Server
	t     testing.TB
	down  time.Duration
	args  []string
	ids   map[*Server]string
}

// NumSlots is how many slots a cluster has.
const NumSlots = 16384

// StartCluster starts a cluster of that many primaries with that many replicas each, and
// waits until it is whole. A node that is silent for down is taken to be down. args are
// added to the command line of each node.
func StartCluster(t testing.TB, primaries, replicas int, down time.Duration, args ...string) *Cluster {
	t.Helper()
	c := &Cluster{t: t, down: down, args: args, ids: map[*Server]string{}}
	for i := range primaries * (1 + replicas) {
		s := c.startNode()
		c.do(s, "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
	}
	for i := range primaries {
		c.do(c.Nodes[i], "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*NumSlots/primaries), strconv.Itoa((i+1)*NumSlots/primaries-1))
	}
	for _, s := range c.Nodes[1:] {
		c.meet(c.Nodes[0], s)
	}
	c.awaitKnown(c.Nodes...)
	for i, s := range c.Nodes[primaries:] {
		c.Replicate(s, c.Nodes[i%primaries])
	}
	c.AwaitWhole()
	return c
}

// startNode starts a node that belongs to no cluster yet.
func (c *Cluster) startNode() *Server {
	c.t.Helper()
	_, bus := splitAddr(c.t, FreeAddr(c.t))
	line := []string{
		"--cluster-enabled", "yes", "--cluster-node-timeout", strconv.FormatInt(c.down.Milliseconds(), 10), "--cluster-port", bus,
		"--cluster-replica-validity-factor", "0", "--cluster-allow-replica-migration", "no",
		"--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1",
	}
	s := StartRedis(c.t, append(line, c.args...)...)
	c.Nodes = append(c.Nodes, s)
	c.ids[s] = strings.TrimSpace(bulkText(c.do(s, "CLUSTER", "MYID")))
	return s
}

// do sends a command to a node, and fails if it is refused.
func (c *Cluster) do(s *Server, args ...string) string {
	c.t.Helper()
	conn := s.Dial()
	defer conn.Close()
	reply := conn.Do(args...)
	if strings.HasPrefix(reply, "-") {
		c.t.Fatalf("%s: %s: %s", s.Name(), strings.Join(args, " "), reply)
	}
	return reply
}

// bulkText is the text of a bulk reply.
func bulkText(reply string) string {
	_, text, _ := strings.Cut(reply, "\r\n")
	return strings.TrimSuffix(text, "\r\n")
}

func (c *Cluster) meet(s, other *Server) {
	c.t.Helper()
	host, port := splitAddr(c.t, other.Addr())
	c.do(s, "CLUSTER", "MEET", host, port, c.bus(other))
}

// bus is the port on which a node talks to the others.
func (c *Cluster) bus(s *Server) string {
	at := slices.Index(s.args, "--cluster-port")
	return s.args[at+1]
}

// A NodeLine is what a node says of another one, or of itself, in CLUSTER NODES.
type NodeLine struct {
	ID, Addr, Primary, Link string
	Epoch                   int
	Flags, Slots            []string
}

// Has reports whether the node has a flag, such as "master" or "fail".
func (l NodeLine) Has(flag string) bool { return slices.Contains(l.Flags, flag) }

// View is what a node knows of all nodes, by their ids.
func (c *Cluster) View(s *Server) map[string]NodeLine {
	c.t.Helper()
	all := map[string]NodeLine{}
	for line := range strings.Lines(bulkText(c.do(s, "CLUSTER", "NODES"))) {
		words := strings.Fields(line)
		if len(words) < 8 {
			continue
		}
		addr, _, _ := strings.Cut(words[1], "@")
		epoch, err := strconv.Atoi(words[6])
		if err != nil {
			c.t.Fatal(err)
		}
		all[words[0]] = NodeLine{
			ID: words[0], Addr: addr, Flags: strings.Split(words[2], ","), Primary: words[3], Epoch: epoch, Link: words[7], Slots: words[8:],
		}
	}
	return all
}

// awaitKnown waits until these nodes know all nodes that live, and each other.
func (c *Cluster) awaitKnown(nodes ...*Server) {
	c.t.Helper()
	for _, s := range nodes {
		Await(c.t, s.Name()+" to know the others", func() error {
			view := c.View(s)
			for _, o := range c.living() {
				if l, ok := view[c.ids[o]]; !ok || l.Link != "connected" || l.Has("handshake") {
					return fmt.Errorf("it knows of %s: %+v", o.Name(), l)
				}
			}
			return nil
		})
	}
}

// living are the nodes that run.
func (c *Cluster) living() []*Server {
	return slices.DeleteFunc(slices.Clone(c.Nodes), func(s *Server) bool { return s.Ended() })
}

// AwaitWhole waits until every living node knows a primary of every slot, and every
// replica has its primary's data.
func (c *Cluster) AwaitWhole() {
	c.t.Helper()
	for _, s := range c.living() {
		Await(c.t, s.Name()+" to know a whole cluster", func() error {
			conn := s.Dial()
			defer conn.Close()
			if info := conn.Do("CLUSTER", "INFO"); !strings.Contains(info, "cluster_state:ok") {
				return fmt.Errorf("its state is %q", info)
			}
			if info := conn.Do("INFO", "replication"); strings.Contains(info, "role:slave") && !strings.Contains(info, "master_link_status:up") {
				return fmt.Errorf("its replication is %q", info)
			}
			return nil
		})
	}
}

// AwaitReplicated waits until every replica has what its primary has now.
func (c *Cluster) AwaitReplicated() {
	c.t.Helper()
	for _, primary := range c.living() {
		offset := c.offset(primary)
		for _, s := range c.Replicas(primary, primary) {
			Await(c.t, s.Name()+" to have what "+primary.Name()+" has", func() error {
				if has := c.offset(s); has < offset {
					return fmt.Errorf("it has %d of %d bytes", has, offset)
				}
				return nil
			})
		}
	}
}

// offset is how many bytes of changes a node has made or got.
func (c *Cluster) offset(s *Server) int {
	c.t.Helper()
	info := c.do(s, "INFO", "replication")
	for _, name := range []string{"slave_repl_offset:", "master_repl_offset:"} {
		if _, rest, ok := strings.Cut(info, "\r\n"+name); ok {
			text, _, _ := strings.Cut(rest, "\r\n")
			n, err := strconv.Atoi(text)
			if err != nil {
				c.t.Fatal(err)
			}
			return n
		}
	}
	c.t.Fatalf("%s does not say how much it has: %q", s.Name(), info)
	return 0
}

// ID is a node's id.
func (c *Cluster) ID(s *Server) string { return c.ids[s] }

// node is the node with that id.
func (c *Cluster) node(id string) *Server {
	for s, is := range c.ids {
		if is == id {
			return s
		}
	}
	return nil
}

// Replicate makes a node a replica of a primary.
func (c *Cluster) Replicate(s, primary *Server) {
	c.t.Helper()
	c.do(s, "CLUSTER", "REPLICATE", c.ids[primary])
}

// AddNode starts one more node, which is a primary without slots, and waits until all know it.
func (c *Cluster) AddNode() *Server {
	c.t.Helper()
	s := c.startNode()
	c.meet(c.living()[0], s)
	c.awaitKnown(c.living()...)
	return s
}

// Forget has all others forget a node. It goes on to run, and is not among the nodes any
// more.
func (c *Cluster) Forget(s *Server) {
	c.t.Helper()
	c.Nodes = slices.DeleteFunc(c.Nodes, func(o *Server) bool { return o == s })
	for _, o := range c.living() {
		c.do(o, "CLUSTER", "FORGET", c.ids[s])
	}
	if !s.Ended() {
		c.do(s, "CLUSTER", "RESET")
	}
}

// Owner is the primary of a slot, as the node from sees it; nil: there is none.
func (c *Cluster) Owner(from *Server, slot int) *Server {
	c.t.Helper()
	for id, line := range c.View(from) {
		for _, run := range line.Slots {
			first, last, isRun := strings.Cut(run, "-")
			if !isRun {
				last = first
			}
			lo, err1 := strconv.Atoi(first)
			hi, err2 := strconv.Atoi(last)
			if err1 == nil && err2 == nil && lo <= slot && slot <= hi {
				return c.node(id)
			}
		}
	}
	return nil
}

// Replicas are the replicas of a primary, as the node from sees it.
func (c *Cluster) Replicas(from, primary *Server) (all []*Server) {
	c.t.Helper()
	for id, line := range c.View(from) {
		if line.Primary == c.ids[primary] {
			all = append(all, c.node(id))
		}
	}
	return all
}

// Slot is the slot of a key.
func (c *Cluster) Slot(key string) int {
	c.t.Helper()
	reply := c.do(c.living()[0], "CLUSTER", "KEYSLOT", key)
	slot, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(reply, ":")))
	if err != nil {
		c.t.Fatal(err)
	}
	return slot
}

// BeginMove opens a slot for its move from one primary to another: keys that are missing at
// from are asked for at to (ASK).
func (c *Cluster) BeginMove(slot int, from, to *Server) {
	c.t.Helper()
	c.do(to, "CLUSTER", "SETSLOT", strconv.Itoa(slot), "IMPORTING", c.ids[from])
	c.do(from, "CLUSTER", "SETSLOT", strconv.Itoa(slot), "MIGRATING", c.ids[to])
}

// MoveKeys moves up to n keys of a slot that is open, and returns how many it has moved.
func (c *Cluster) MoveKeys(slot, n int, from, to *Server) int {
	c.t.Helper()
	var keys []string
	for i, word := range strings.Split(c.do(from, "CLUSTER", "GETKEYSINSLOT", strconv.Itoa(slot), strconv.Itoa(n)), "\r\n") {
		if i > 0 && i%2 == 0 && word != "" {
			keys = append(keys, word)
		}
	}
	if len(keys) > 0 {
		host, port := splitAddr(c.t, to.Addr())
		c.do(from, append([]string{"MIGRATE", host, port, "", "0", "5000", "KEYS"}, keys...)...)
	}
	return len(keys)
}

// EndMove says that to has the slot: to itself first, then from, and then all others, as
// redis-cli does. If others had to learn of it from to, a node whose config epoch rises at
// the same time could get the slot back.
func (c *Cluster) EndMove(slot int, from, to *Server) {
	c.t.Helper()
	nodes := []*Server{to, from}
	view := c.View(to)
	for _, s := range c.living() {
		if s != to && s != from && view[c.ids[s]].Has("master") {
			nodes = append(nodes, s)
		}
	}
	for _, s := range nodes {
		c.do(s, "CLUSTER", "SETSLOT", strconv.Itoa(slot), "NODE", c.ids[to])
	}
}

// Move moves a slot with its keys.
func (c *Cluster) Move(slot int, from, to *Server) {
	c.t.Helper()
	c.BeginMove(slot, from, to)
	for n := 1; n > 0; {
		n = c.MoveKeys(slot, 100, from, to)
	}
	c.EndMove(slot, from, to)
}

// givesUp is when a node has given up a failover by hand, on a machine that is busy
// (CLUSTER_MF_TIMEOUT of Redis is 5 s).
const givesUp = 6 * time.Second

// FailOver makes a replica the primary by hand; how is empty, FORCE or TAKEOVER. It waits
// until the node from knows it. If the nodes refuse or give up, it asks again, as an operator
// would.
func (c *Cluster) FailOver(from, replica *Server, how ...string) {
	c.t.Helper()
	c.awaitObeyed(replica)
	asker := replica.Dial()
	defer asker.Close()
	var asked time.Time
	said := ""
	Await(c.t, replica.Name()+" to be a primary", func() error {
		err := c.isPrimary(from, replica)
		if err == nil {
			return nil
		}
		if time.Since(asked) > givesUp && !strings.Contains(asker.Do("ROLE"), "master") {
			said = asker.Do(append([]string{"CLUSTER", "FAILOVER"}, how...)...)
			asked = time.Now()
		}
		return fmt.Errorf("%w, and it said %q", err, said)
	})
}

// awaitObeyed waits until the primary of a replica, if it lives, knows the replica as its
// own: it says nothing to the request for a failover of any other node, which then times out.
func (c *Cluster) awaitObeyed(replica *Server) {
	c.t.Helper()
	id := c.ids[replica]
	of := c.View(replica)[id].Primary
	primary := c.node(of)
	if primary == nil || primary.Ended() {
		return
	}
	Await(c.t, primary.Name()+" to know its replica", func() error {
		if line := c.View(primary)[id]; line.Primary != of || line.Link != "connected" {
			return fmt.Errorf("it says %+v", line)
		}
		return nil
	})
}

// AwaitPrimary waits until the node from takes s for a primary that has slots.
func (c *Cluster) AwaitPrimary(from, s *Server) {
	c.t.Helper()
	Await(c.t, s.Name()+" to be a primary", func() error { return c.isPrimary(from, s) })
}

// isPrimary is nil if the node from takes s for a primary that has slots.
func (c *Cluster) isPrimary(from, s *Server) error {
	c.t.Helper()
	if line := c.View(from)[c.ids[s]]; !line.Has("master") || len(line.Slots) == 0 {
		return fmt.Errorf("it is %v, with the slots %v", line.Flags, line.Slots)
	}
	return nil
}

// Seeds are the lines of nodes in a pool's server list.
func (c *Cluster) Seeds(nodes ...*Server) []string {
	lines := make([]string, len(nodes))
	for i, s := range nodes {
		lines[i] = s.Entry("")
	}
	return lines
}

// Pool is a pool of this cluster, whose seeds are these nodes; none: all of them.
func (c *Cluster) Pool(nodes ...*Server) Pool {
	if len(nodes) == 0 {
		nodes = c.Nodes
	}
	return Pool{Protocol: Redis, Cluster: true, Servers: c.Seeds(nodes...)}
}

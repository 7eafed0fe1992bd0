package proxy_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"nuthatch/internal/hashkit"
	"nuthatch/internal/route"
	"nuthatch/internal/topology"
)

// clusterLine makes the servers of a conversation the nodes of a cluster, at nodePort.
const (
	clusterLine = "  cluster: true\n"
	nodePort    = 7000
)

// host is the node's address, if the servers are a cluster.
func (s *stub) host() string { return fmt.Sprintf("10.0.0.%d", s.index+1) }

// homeOf is the server that has a slot at the beginning.
func homeOf(slot int) int { return slot * 3 / route.NumSlots }

// setSlots publishes who has which slots; -1: nobody.
func (c *conversation) setSlots(owner func(slot int) int) {
	c.setMap(owner, make([]topology.Node, len(c.stubs)))
}

// setMap publishes that, and what the nodes are.
func (c *conversation) setMap(owner func(slot int) int, nodes []topology.Node) {
	members := make([]topology.Member, len(c.stubs))
	for i, s := range c.stubs {
		members[i].Server = topology.NodeServer(s.host(), nodePort)
	}
	owners := new([route.NumSlots]uint16)
	for slot := range owners {
		owners[slot] = uint16(owner(slot))
	}
	now := int64(c.now)
	c.topo.PublishSlots(members, nodes, owners, now, now+int64(time.Second))
	c.publish()
}

// slots is a step of a story.
func (s *story) slots(d *datadriven.TestData) {
	if d.HasArg("home") {
		s.talk.setSlots(homeOf)
		return
	}
	var owners [route.NumSlots]int
	for i := range owners {
		owners[i] = -1
	}
	nodes := make([]topology.Node, len(s.talk.stubs))
	for _, arg := range d.CmdArgs {
		if arg.Key == "fails" || arg.Key == "gone" {
			n := &nodes[strings.Index("abc", arg.Vals[0])]
			if n.Failing = arg.Key == "fails"; !n.Failing {
				n.Role = topology.Gone
			}
			continue
		}
		for _, run := range arg.Vals {
			first, last, _ := strings.Cut(run, "-")
			for slot := number(first); slot <= number(last); slot++ {
				owners[slot] = strings.Index("abc", arg.Key)
			}
		}
	}
	s.talk.setMap(func(slot int) int { return owners[slot] }, nodes)
}

// A modelCluster is three nodes that carry requests out as those of a cluster do: by who
// has a slot, and has a key, at that moment.
type modelCluster struct {
	t    *testing.T
	talk *conversation
	rnd  *rand.Rand
	// owners are the nodes of the slots, and to is where a slot is on its way to, or -1.
	owners, to [route.NumSlots]int
	// at is the node that has a key, and value what it has there: the number of the last
	// write.
	at    map[string]int
	value map[string]string
	// asked are the connections on which ASKING came last.
	asked map[*stubConn]bool
	// carried is how often each write was carried out.
	carried map[string]int
	// begun counts how often slots were begun to be moved, and told is what it was when ASK
	// was said about a key.
	begun map[int]int
	told  map[string]int

	moved, redirected, split int
}

// answer carries out the next request of a connection.
func (m *modelCluster) answer(k *stubConn) {
	args := k.todo[0].args
	args[0] = strings.ToUpper(args[0])
	k.todo = k.todo[1:]
	k.out = append(k.out, m.reply(k, args)...)
}

func (m *modelCluster) reply(k *stubConn, args []string) string {
	node := k.stub.index
	asked := m.asked[k]
	if k.multi == nil {
		delete(m.asked, k)
	}
	switch args[0] {
	case "ASKING":
		m.asked[k] = true
		return "+OK\r\n"
	case "MULTI":
		k.multi, k.refused = []string{}, false
		if asked {
			m.asked[k] = true
		}
		return "+OK\r\n"
	case "EXEC":
		return m.exec(k)
	}
	if refusal := m.where(node, args, asked); refusal != "" {
		m.redirected++
		k.refused = k.refused || k.multi != nil
		return refusal
	}
	if k.multi != nil {
		k.multi = append(k.multi, strings.Join(args, " "))
		return "+QUEUED\r\n"
	}
	return m.carry(node, args)
}

// exec ends a transaction.
func (m *modelCluster) exec(k *stubConn) string {
	asked := m.asked[k]
	delete(m.asked, k)
	commands, refused := k.multi, k.refused
	k.multi, k.refused = nil, false
	if refused {
		return "-EXECABORT Transaction discarded because of previous errors.\r\n"
	}
	for _, c := range commands {
		if refusal := m.where(k.stub.index, strings.Fields(c), asked); refusal != "" {
			return refusal
		}
	}
	reply := fmt.Sprintf("*%d\r\n", len(commands))
	for _, c := range commands {
		reply += m.carry(k.stub.index, strings.Fields(c))
	}
	return reply
}

// requestKeys are the keys of a request.
func requestKeys(args []string) []string {
	switch args[0] {
	case "MGET":
		return args[1:]
	case "MSET":
		var keys []string
		for i := 1; i < len(args); i += 2 {
			keys = append(keys, args[i])
		}
		return keys
	}
	return args[1:2]
}

// where is the error if the node cannot carry the request out.
func (m *modelCluster) where(node int, args []string, asked bool) string {
	keys := requestKeys(args)
	slot := hashkit.Slot([]byte(keys[0]))
	here := 0
	for _, key := range keys {
		if hashkit.Slot([]byte(key)) != slot {
			m.t.Fatalf("a node was asked for keys of two slots: %q", args)
		}
		if at, known := m.at[key]; known && at == node || !known && m.owners[slot] == node {
			here++
		}
	}
	addr := func(i int) string { return fmt.Sprintf("%s:%d", m.talk.stubs[i].host(), nodePort) }
	for _, key := range keys {
		// A slot that has gone back and is on its way again: with a real node ASKING would have
		// the wrong effect, if it comes just then.
		asked = asked && m.told[key] == m.begun[slot]
	}
	switch {
	case m.owners[slot] == node && m.to[slot] < 0:
		return ""
	case m.owners[slot] == node && here == len(keys) && m.allKnown(keys):
		return ""
	case m.owners[slot] == node && len(keys) > 1 && m.anyAt(keys, node):
		m.split++
		return "-TRYAGAIN Multiple keys request during rehashing of slot\r\n"
	case m.owners[slot] == node:
		for _, key := range keys {
			m.told[key] = m.begun[slot]
		}
		return fmt.Sprintf("-ASK %d %s\r\n", slot, addr(m.to[slot]))
	case m.to[slot] == node && asked && len(keys) > 1 && !m.allAt(keys, node):
		m.split++
		return "-TRYAGAIN Multiple keys request during rehashing of slot\r\n"
	case m.to[slot] == node && asked:
		return ""
	default:
		return fmt.Sprintf("-MOVED %d %s\r\n", slot, addr(m.owners[slot]))
	}
}

func (m *modelCluster) allKnown(keys []string) bool {
	for _, key := range keys {
		if _, known := m.at[key]; !known {
			return false
		}
	}
	return true
}

func (m *modelCluster) anyAt(keys []string, node int) bool {
	for _, key := range keys {
		if at, known := m.at[key]; known && at == node {
			return true
		}
	}
	return false
}

func (m *modelCluster) allAt(keys []string, node int) bool {
	for _, key := range keys {
		if at, known := m.at[key]; !known || at != node {
			return false
		}
	}
	return true
}

// carry carries the request out.
func (m *modelCluster) carry(node int, args []string) string {
	get := func(key string) string {
		if at, known := m.at[key]; known && at != node {
			m.t.Fatalf("node %d carries %q out, and node %d has the key", node, args, at)
		}
		if v, ok := m.value[key]; ok {
			return bulk(v)
		}
		return "$-1\r\n"
	}
	set := func(key, value string) {
		m.carried[value]++
		if m.carried[value] > 1 {
			m.t.Fatalf("%q was carried out twice", args)
		}
		m.at[key], m.value[key] = node, value
	}
	switch args[0] {
	case "GET":
		return get(args[1])
	case "MGET":
		reply := fmt.Sprintf("*%d\r\n", len(args)-1)
		for _, key := range args[1:] {
			reply += get(key)
		}
		return reply
	case "SET":
		set(args[1], args[2])
	case "MSET":
		for i := 1; i < len(args); i += 2 {
			set(args[i], args[i+1])
		}
	default:
		m.t.Fatalf("a node was sent %q", args)
	}
	return "+OK\r\n"
}

// move changes something about where a slot is.
func (m *modelCluster) move(slot int) {
	m.moved++
	switch from, to := m.owners[slot], m.to[slot]; {
	case to < 0:
		m.begun[slot]++
		m.to[slot] = (from + 1 + m.rnd.IntN(2)) % 3
	case m.rnd.IntN(3) == 0: // some keys go
		for key, at := range m.at {
			if at == from && hashkit.Slot([]byte(key)) == slot && m.rnd.IntN(2) == 0 {
				m.at[key] = to
			}
		}
	case m.rnd.IntN(4) == 0: // all go back
		m.end(slot, from)
	case m.rnd.IntN(2) == 0:
		m.end(slot, to)
	}
}

// end has a slot, with all its keys, at a node.
func (m *modelCluster) end(slot, at int) {
	m.owners[slot], m.to[slot] = at, -1
	for key := range m.at {
		if hashkit.Slot([]byte(key)) == slot {
			m.at[key] = at
		}
	}
}

// A modelClient is a client that knows what each key it writes may hold.
type modelClient struct {
	*party
	n int
	// last is the value of the last write of each key whose reply was +OK, as far as the
	// client has sent it: replies come in order.
	written map[string]string
	refused int
}

// send has the client send a request about its own keys of some slots.
func (m *modelCluster) send(c *modelClient, tags []string) {
	key := func() string {
		return fmt.Sprintf("{%s}c%d.%d", tags[m.rnd.IntN(len(tags))], c.id, m.rnd.IntN(3))
	}
	switch m.rnd.IntN(7) {
	case 0, 1:
		m.set(c, key())
	case 2, 3:
		m.get(c, key())
	case 4, 5:
		var keys []string
		for range 2 + m.rnd.IntN(2*len(tags)) {
			keys = append(keys, key())
		}
		if m.rnd.IntN(2) == 0 {
			m.mset(c, keys)
			break
		}
		m.mget(c, keys)
	default:
		m.transaction(c, key())
	}
}

// value is a new one.
func (c *modelClient) value() string {
	c.n++
	return fmt.Sprintf("v%d.%d", c.id, c.n)
}

// isRefusal reports whether a reply is an error that says that nothing was done.
func isRefusal(reply string) bool { return strings.HasPrefix(reply, "-TRYAGAIN") }

func (m *modelCluster) set(c *modelClient, key string) {
	v := c.value()
	c.request(command("SET", key, v), func(reply string) bool {
		if isRefusal(reply) {
			c.refused++
			return m.carried[v] == 0
		}
		c.written[key] = v
		return reply == "+OK\r\n" && m.carried[v] == 1
	})
}

// holds reports whether a reply is what the client wrote last, to its knowledge.
func (c *modelClient) holds(key, reply string) bool {
	if v, ok := c.written[key]; ok {
		return reply == bulk(v)
	}
	return reply == "$-1\r\n"
}

func (m *modelCluster) get(c *modelClient, key string) {
	c.request(command("GET", key), func(reply string) bool {
		if isRefusal(reply) {
			c.refused++
			return true
		}
		return c.holds(key, reply)
	})
}

func (m *modelCluster) mget(c *modelClient, keys []string) {
	c.request(command(append([]string{"MGET"}, keys...)...), func(reply string) bool {
		if isRefusal(reply) {
			c.refused++
			return true
		}
		want := fmt.Sprintf("*%d\r\n", len(keys))
		for _, key := range keys {
			if v, ok := c.written[key]; ok {
				want += bulk(v)
			} else {
				want += "$-1\r\n"
			}
		}
		return reply == want
	})
}

// mset writes keys of any slots. Some of them may be written and others refused.
func (m *modelCluster) mset(c *modelClient, keys []string) {
	words := []string{"MSET"}
	for _, key := range keys {
		words = append(words, key, c.value())
	}
	c.request(command(words...), func(reply string) bool {
		all := true
		for i := 1; i < len(words); i += 2 {
			if m.carried[words[i+1]] == 0 {
				all = false
				continue
			}
			c.written[words[i]] = words[i+1]
		}
		if isRefusal(reply) {
			c.refused++
			return true
		}
		return reply == "+OK\r\n" && all
	})
}

func (m *modelCluster) transaction(c *modelClient, key string) {
	v := c.value()
	c.request(command("MULTI"), is("+OK\r\n"))
	c.request(command("SET", key, v), is("+QUEUED\r\n"))
	c.request(command("GET", key), is("+QUEUED\r\n"))
	c.request(command("EXEC"), func(reply string) bool {
		if isRefusal(reply) {
			c.refused++
			return m.carried[v] == 0
		}
		c.written[key] = v
		return reply == "*2\r\n+OK\r\n"+bulk(v)
	})
}

// Slots move at random, with clients whose pipelines are about their keys, and whatever
// order the nodes answer in: each reply belongs to its request, each write is carried out
// once or refused, and each client's requests for a key are carried out in its order.
func TestClusterModel(t *testing.T) {
	runs := 300
	if testing.Short() {
		runs = 30
	}
	var sum modelCluster
	refused := 0
	for seed := range runs {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			m, clients := playCluster(t, uint64(seed))
			sum.moved += m.moved
			sum.redirected += m.redirected
			sum.split += m.split
			for _, c := range clients {
				refused += c.refused
			}
		})
	}
	if sum.redirected == 0 || sum.split == 0 {
		t.Errorf("nothing was redirected, or no request met keys at two nodes")
	}
	t.Logf("%d moves, %d redirects, %d requests with keys at two nodes, %d refused", sum.moved, sum.redirected, sum.split, refused)
}

func playCluster(t *testing.T, seed uint64) (*modelCluster, []*modelClient) {
	m := &modelCluster{
		t: t, rnd: rand.New(rand.NewPCG(seed, 1)), at: map[string]int{}, value: map[string]string{}, asked: map[*stubConn]bool{}, carried: map[string]int{},
		begun: map[int]int{}, told: map[string]int{},
	}
	m.talk = converse(t, "  redis: true\n"+clusterLine+"  cluster_max_redirects: 64\n", resp{}, 1+int(seed%2))
	c := m.talk
	tags := []string{"a", "b", "cc", "d", "e", "f"}[:3+seed%4]
	for slot := range m.owners {
		m.owners[slot], m.to[slot] = homeOf(slot), -1
	}
	c.setSlots(homeOf)
	c.calm()
	var clients []*modelClient
	for range 3 {
		clients = append(clients, &modelClient{party: c.join(), written: map[string]string{}})
	}
	m.play(clients, tags)
	m.finish(clients)
	if msgs, chunks := c.live(); msgs != 0 || chunks != 0 {
		t.Errorf("at the end %d messages and %d chunks are in use", msgs, chunks)
	}
	c.stop()
	return m, clients
}

// play has clients, nodes and slots do what comes to their minds.
func (m *modelCluster) play(clients []*modelClient, tags []string) {
	c := m.talk
	for range 400 {
		switch p := clients[m.rnd.IntN(len(clients))]; m.rnd.IntN(12) {
		case 0, 1, 2:
			for range 1 + m.rnd.IntN(4) {
				m.send(p, tags)
			}
		case 3:
			p.say(len(p.out))
		case 4:
			p.say(m.rnd.IntN(50))
		case 5:
			m.move(hashkit.Slot([]byte(tags[m.rnd.IntN(len(tags))])))
		case 6:
			if m.rnd.IntN(4) == 0 {
				owners := m.owners
				c.setSlots(func(slot int) int { return owners[slot] })
			}
		case 7:
			c.now += time.Duration(m.rnd.IntN(30)) * time.Millisecond
		default:
			m.serve(1 + m.rnd.IntN(3))
		}
		if m.rnd.IntN(2) == 0 {
			c.turn()
		}
		for _, p := range clients {
			p.hear(1 << 20)
		}
	}
}

// finish has all slots stay where they are, and everybody get what is due.
func (m *modelCluster) finish(clients []*modelClient) {
	c, t := m.talk, m.t
	for slot := range m.owners {
		if m.to[slot] >= 0 {
			m.end(slot, m.to[slot])
		}
	}
	for i := 0; ; i++ {
		if i == 3000 {
			t.Fatalf("the clients wait for ever: %d, %d and %d replies", len(clients[0].expects), len(clients[1].expects), len(clients[2].expects))
		}
		done := true
		for _, p := range clients {
			p.say(len(p.out))
			p.hear(1 << 20)
			done = done && len(p.expects) == 0 && len(p.out) == 0
		}
		if done {
			break
		}
		m.serve(100)
		c.turn()
		c.now += 5 * time.Millisecond
	}
	for _, p := range clients {
		p.close()
	}
	for range 40 {
		m.serve(100)
		c.calm()
		c.now += 50 * time.Millisecond
	}
}

// serve has up to n requests carried out, on connections at random.
func (m *modelCluster) serve(n int) {
	for _, s := range m.talk.stubs {
		s.read()
	}
	for range n {
		var busy []*stubConn
		for _, s := range m.talk.stubs {
			for _, k := range s.conns {
				if len(k.todo) > 0 && !k.closed {
					busy = append(busy, k)
				}
			}
		}
		if len(busy) == 0 {
			break
		}
		m.answer(busy[m.rnd.IntN(len(busy))])
	}
	for _, s := range m.talk.stubs {
		for _, k := range s.conns {
			k.say(m.rnd.IntN(2*len(k.out) + 1))
		}
	}
}

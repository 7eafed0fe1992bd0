package integration

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// Clients of Java are not run. These tests send what two of them send when they begin, and hold
// the answers to the rules by which they read them:
//
//   - Lettuce 7: RedisHandshake.java, cluster/topology/DefaultClusterTopologyRefresh.java and
//     NodeTopologyView.java, cluster/models/partitions/ClusterPartitionParser.java
//   - Jedis 5: Connection.java, JedisClusterInfoCache.java

// A slotOwners has the address of the node of each slot.
type slotOwners [16384]string

// give has a node have slots. Two nodes must not have the same.
func (s *slotOwners) give(first, last int, to string) error {
	for slot := first; slot <= last; slot++ {
		if s[slot] != "" {
			return fmt.Errorf("slot %d is at %s and at %s", slot, s[slot], to)
		}
		s[slot] = to
	}
	return nil
}

// owner is the node of a key, which the proxy says the slot of.
func (s *slotOwners) owner(c *testkit.Client, key string) (string, error) {
	slot, err := strconv.Atoi(strings.Trim(c.Do("CLUSTER", "KEYSLOT", key), ":\r\n"))
	if err != nil {
		return "", err
	}
	return s[slot], nil
}

// work writes and reads keys, each at its slot's node.
func (s *slotOwners) work(dial func(addr string) *testkit.Client) error {
	nodes := map[string]*testkit.Client{}
	defer func() {
		for _, c := range nodes {
			c.Close()
		}
	}()
	node := func(addr string) *testkit.Client {
		if nodes[addr] == nil {
			nodes[addr] = dial(addr)
		}
		return nodes[addr]
	}
	for i := range 50 {
		key := fmt.Sprintf("java:%d", i)
		at, err := s.owner(node(s[0]), key)
		if err != nil {
			return err
		}
		c := node(at)
		if got := c.Do("SET", key, key); got != "+OK\r\n" {
			return fmt.Errorf("SET at %s: %q", at, got)
		}
		if got := c.Do("GET", key); got != testkit.Bulk(key) {
			return fmt.Errorf("GET at %s: %q", at, got)
		}
	}
	return nil
}

// greetLettuce is how each connection of Lettuce begins. Only HELLO may not be refused.
func greetLettuce(c *testkit.Client, requests ...[]string) (replies []string, err error) {
	hello := c.Do("HELLO", "3")
	for _, field := range []string{"$2\r\nid\r\n:", "$4\r\nmode\r\n$7\r\ncluster\r\n", "$7\r\nversion\r\n$", "$4\r\nrole\r\n$6\r\nmaster\r\n"} {
		if !strings.HasPrefix(hello, "%") || !strings.Contains(hello, field) {
			return nil, fmt.Errorf("HELLO: %q", hello)
		}
	}
	said, err := say(c, append([][]string{
		{"CLIENT", "SETINFO", "lib-name", "Lettuce"},
		{"CLIENT", "SETINFO", "lib-ver", "7.0.0.RELEASE/1a2b3c4"},
		{"CLIENT", "MAINT_NOTIFICATIONS", "on", "moving-endpoint-type", "internal-ip"},
	}, requests...)...)
	if err != nil {
		return nil, err
	}
	return said[3:], nil
}

// nodeOfLettuce is how Lettuce reads a line of CLUSTER NODES: address, flags, primary, three
// numbers, the state of the link, and slots.
var nodeOfLettuce = regexp.MustCompile(`^([0-9a-f]{40}) ([^ @]+)(?:@[^ ]*)? ([^ ]+) - \d+ \d+ \d+ connected((?: \d+(?:-\d+)?)*)$`)

// viewOfLettuce is what Lettuce makes of a node's answers: the ids of the nodes by their
// addresses, its own address, and the slots.
func viewOfLettuce(nodes, info string) (ids map[string]string, self string, slots *slotOwners, err error) {
	if clients := regexp.MustCompile(`(?m)^connected_clients:\d+\r?$`); !clients.MatchString(info) {
		return nil, "", nil, fmt.Errorf("INFO: %q", info)
	}
	_, text, _ := strings.Cut(nodes, "\r\n")
	text = strings.TrimPrefix(strings.TrimSuffix(text, "\r\n"), "txt:")
	ids, slots = map[string]string{}, new(slotOwners)
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		m := nodeOfLettuce.FindStringSubmatch(line)
		if m == nil {
			return nil, "", nil, fmt.Errorf("CLUSTER NODES: %q", line)
		}
		flags := strings.Split(m[3], ",")
		if !slices.Contains(flags, "master") {
			return nil, "", nil, fmt.Errorf("no primary: %q", line)
		}
		if slices.Contains(flags, "myself") {
			if self != "" {
				return nil, "", nil, fmt.Errorf("two say myself: %q", text)
			}
			self = m[2]
		}
		ids[m[2]] = m[1]
		for r := range strings.FieldsSeq(m[4]) {
			first, last, is := strings.Cut(r, "-")
			if !is {
				last = first
			}
			from, _ := strconv.Atoi(first)
			to, _ := strconv.Atoi(last)
			if err := slots.give(from, to, m[2]); err != nil {
				return nil, "", nil, err
			}
		}
	}
	if self == "" {
		return nil, "", nil, errors.New("cannot determine own partition") // as Lettuce says it
	}
	return ids, self, slots, nil
}

// Lettuce asks every node for its view, and uses them together: each must find itself in its own
// answer, and all must call it by the same id, also when it has been started anew.
func TestEmulatedLikeLettuceWants(t *testing.T) {
	t.Parallel()
	first, second := startPeers(t)
	awaitNodes(t, first.Proxy, 2)
	awaitNodes(t, second.Proxy, 2)
	dial := func(addr string) *testkit.Client {
		c := testkit.Dial(t, testkit.Redis, testkit.Plain(t, addr))
		if _, err := greetLettuce(c); err != nil {
			t.Error(err)
		}
		return c
	}
	look := func() (map[string]string, *slotOwners) {
		t.Helper()
		var all map[string]string
		var owners *slotOwners
		for _, p := range []*found{first, second} {
			c := p.Dial(testkit.Redis)
			said, err := greetLettuce(c, []string{"CLIENT", "SETNAME", "lettuce#ClusterTopologyRefresh"}, []string{"CLUSTER", "NODES"}, []string{"INFO"})
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
			ids, self, slots, err := viewOfLettuce(said[1], said[2])
			switch {
			case err != nil:
				t.Fatal(err)
			case self != p.Addr():
				t.Errorf("%s calls itself %s", p.Addr(), self)
			case len(ids) != 2:
				t.Errorf("%s has the nodes %v", p.Addr(), ids)
			case all != nil && (all[first.Addr()] != ids[first.Addr()] || all[second.Addr()] != ids[second.Addr()] || *owners != *slots):
				t.Errorf("the nodes are %v and %v, or their slots differ", all, ids)
			case slices.Contains(slots[:], ""):
				t.Error("some slots are nowhere")
			}
			all, owners = ids, slots
		}
		return all, owners
	}
	before, owners := look()
	if err := owners.work(dial); err != nil {
		t.Error(err)
	}
	second.Kill()
	second.Restart()
	awaitNodes(t, first.Proxy, 2)
	awaitNodes(t, second.Proxy, 2)
	if after, _ := look(); after[second.Addr()] != before[second.Addr()] {
		t.Errorf("the id of a proxy changes from %s to %s", before[second.Addr()], after[second.Addr()])
	}
}

// Jedis asks one node for CLUSTER SLOTS, and gives up if there are holes. It gives up, too, if
// it must not say what library it is.
func TestEmulatedLikeJedisWants(t *testing.T) {
	t.Parallel()
	first, second := startPeers(t)
	awaitNodes(t, first.Proxy, 2)
	awaitNodes(t, second.Proxy, 2)
	dial := func(addr string) *testkit.Client {
		c := testkit.Dial(t, testkit.Redis, testkit.Plain(t, addr))
		for _, info := range [][]string{{"lib-name", "jedis"}, {"lib-ver", "5.2.0"}} {
			if got := c.Do("CLIENT", "SETINFO", info[0], info[1]); got != "+OK\r\n" {
				t.Errorf("SETINFO %v: %q", info, got)
			}
		}
		return c
	}
	for _, p := range []*found{first, second} {
		c := dial(p.Addr())
		said := c.Do("CLUSTER", "SLOTS")
		c.Close()
		owners, nodes := new(slotOwners), map[string]bool{}
		in := bytes.NewBufferString(said)
		var ranges int
		if _, err := fmt.Fscanf(in, "*%d\r\n", &ranges); err != nil || ranges == 0 {
			t.Fatalf("%q: the list is empty", said)
		}
		entry := regexp.MustCompile(`^\*[34]\r\n:(\d+)\r\n:(\d+)\r\n\*[34]\r\n\$\d+\r\n([^\r]+)\r\n:(\d+)\r\n\$40\r\n[0-9a-f]{40}\r\n(?:\*0\r\n)?`)
		for range ranges {
			m := entry.FindStringSubmatch(in.String())
			if m == nil {
				t.Fatalf("Jedis cannot read %q", in)
			}
			in.Next(len(m[0]))
			from, _ := strconv.Atoi(m[1])
			to, _ := strconv.Atoi(m[2])
			at := net.JoinHostPort(m[3], m[4])
			nodes[at] = true
			if err := owners.give(from, to, at); err != nil {
				t.Fatal(err)
			}
		}
		if slices.Contains(owners[:], "") || in.Len() > 0 || len(nodes) != 2 || !nodes[first.Addr()] || !nodes[second.Addr()] {
			t.Fatalf("holes, or other nodes than the proxies: %q", said)
		}
		if err := owners.work(dial); err != nil {
			t.Error(err)
		}
	}
}

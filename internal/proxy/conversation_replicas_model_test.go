package proxy_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/topology"
)

// A modelFamily is a primary and two replicas of it, each of which has carried out some of the
// primary's writes.
type modelFamily struct {
	t    *testing.T
	talk *conversation
	rnd  *rand.Rand
	// log are the writes that the primary has carried out, and done how many of them each
	// server has.
	log  [][2]string
	done [3]int
	// exact: a read must get its client's last write. Else it may get any that was sent before.
	exact bool

	atReplicas, refused, cut int
}

// A familyClient writes keys of its own, counting upwards.
type familyClient struct {
	*party
	written map[string]int
}

// send has a client write, or read what it wrote.
func (m *modelFamily) send(c *familyClient) {
	key := func() string { return fmt.Sprintf("c%d.%d", c.id, m.rnd.IntN(3)) }
	switch m.rnd.IntN(6) {
	case 0:
		k := key()
		c.written[k]++
		c.request(command("SET", k, strconv.Itoa(c.written[k])), is("+OK\r\n"))
	case 1:
		k := key()
		c.written[k]++
		c.request(command("MULTI"), is("+OK\r\n"))
		c.request(command("SET", k, strconv.Itoa(c.written[k])), is("+QUEUED\r\n"))
		c.request(command("GET", k), is("+QUEUED\r\n"))
		c.request(command("EXEC"), is("*2\r\n+OK\r\n"+bulk(strconv.Itoa(c.written[k]))))
	case 2:
		a, b := key(), key()
		last := [2]int{c.written[a], c.written[b]}
		c.request(command("MGET", a, b), func(reply string) bool {
			rest, ok := strings.CutPrefix(reply, "*2\r\n")
			for _, n := range last {
				var right bool
				rest, right = m.next(rest, n)
				ok = ok && right
			}
			return ok && rest == ""
		})
	default:
		k := key()
		last := c.written[k]
		c.request(command("GET", k), func(reply string) bool {
			rest, ok := m.next(reply, last)
			return ok && rest == ""
		})
	}
}

// next reads a value. It must be that of the client's last write, or an earlier one if it may.
func (m *modelFamily) next(reply string, last int) (rest string, ok bool) {
	n := 0
	rest, none := strings.CutPrefix(reply, "$-1\r\n")
	if !none {
		var length int
		if _, err := fmt.Sscanf(reply, "$%d\r\n%d\r\n", &length, &n); err != nil {
			return reply, false
		}
		rest = strings.TrimPrefix(reply, bulk(strconv.Itoa(n)))
	}
	return rest, n == last || n < last && !m.exact
}

// answer has a server carry out the next request of a connection.
func (m *modelFamily) answer(k *stubConn) {
	args, at := k.todo[0].args, k.stub.index
	k.todo = k.todo[1:]
	args[0] = strings.ToUpper(args[0])
	if at != 0 {
		m.atReplicas++
		if m.rnd.IntN(8) == 0 {
			m.refused++
			k.out = append(k.out, "-LOADING Redis is loading the dataset in memory\r\n"...)
			return
		}
	}
	switch {
	case args[0] == "MULTI":
		k.multi = []string{}
		k.out = append(k.out, "+OK\r\n"...)
	case args[0] == "EXEC":
		reply := fmt.Sprintf("*%d\r\n", len(k.multi))
		for _, queued := range k.multi {
			reply += m.carry(at, strings.Fields(queued))
		}
		k.multi = nil
		k.out = append(k.out, reply...)
	case k.multi != nil:
		k.multi = append(k.multi, strings.Join(args, " "))
		k.out = append(k.out, "+QUEUED\r\n"...)
	default:
		k.out = append(k.out, m.carry(at, args)...)
	}
}

// carry carries a request out.
func (m *modelFamily) carry(at int, args []string) string {
	switch args[0] {
	case "SET":
		if at != 0 {
			m.t.Fatalf("replica %d was sent %q", at, args)
		}
		m.log = append(m.log, [2]string{args[1], args[2]})
		m.done[0] = len(m.log)
		return "+OK\r\n"
	case "GET":
		return m.value(at, args[1])
	case "MGET":
		return "*2\r\n" + m.value(at, args[1]) + m.value(at, args[2])
	}
	m.t.Fatalf("server %d was sent %q", at, args)
	return ""
}

// value is what a key has at a server.
func (m *modelFamily) value(at int, key string) string {
	for i := m.done[at] - 1; i >= 0; i-- {
		if m.log[i][0] == key {
			return bulk(m.log[i][1])
		}
	}
	return "$-1\r\n"
}

// serve has up to n requests carried out, on connections at random.
func (m *modelFamily) serve(n int) {
	for range n {
		var busy []*stubConn
		for _, s := range m.talk.stubs {
			s.read()
			for _, k := range s.conns {
				if len(k.todo) > 0 && !k.closed && !k.ended {
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
			k.say(len(k.out))
		}
	}
}

// trouble is something that happens to a replica.
func (m *modelFamily) trouble() {
	c, s := m.talk, m.talk.stubs[1+m.rnd.IntN(2)]
	switch m.rnd.IntN(4) {
	case 0:
		if k := s.conn(m.rnd.IntN(8)); k != nil && !k.closed {
			m.cut++
			k.close()
		}
	case 1:
		c.stand(s, topology.Standing{Replica: true, Why: topology.NoAnswer})
		c.topo.Refresh(int64(c.now))
	default:
		c.stand(s, topology.Standing{Replica: true})
		c.topo.Refresh(int64(c.now))
	}
}

// play has clients and servers do what comes to their minds.
func (m *modelFamily) play(clients []*familyClient) {
	c := m.talk
	for range 400 {
		switch p := clients[m.rnd.IntN(len(clients))]; m.rnd.IntN(12) {
		case 0, 1, 2:
			for range 1 + m.rnd.IntN(4) {
				m.send(p)
			}
		case 3, 4:
			p.say(len(p.out))
		case 5:
			p.say(m.rnd.IntN(50))
		case 6:
			m.trouble()
		case 7:
			c.now += time.Duration(m.rnd.IntN(30)) * time.Millisecond
		case 8, 9:
			at := 1 + m.rnd.IntN(2)
			m.done[at] += m.rnd.IntN(m.done[0] - m.done[at] + 1)
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
	for range 2000 {
		left := 0
		for _, p := range clients {
			p.say(len(p.out))
			p.hear(1 << 20)
			left += len(p.expects) + len(p.out)
		}
		if left == 0 {
			return
		}
		m.serve(100)
		c.turn()
		c.now += 5 * time.Millisecond
	}
	m.t.Fatal("the clients wait for ever")
}

// Whatever replicas do, in whatever order servers answer: no read fails, none sees what its
// client wrote behind it, and with a long read_own_writes each sees its client's last write.
func TestReplicaModel(t *testing.T) {
	runs := 200
	if testing.Short() {
		runs = 30
	}
	var atReplicas, refused, cut int
	for seed := range runs {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			m := &modelFamily{t: t, rnd: rand.New(rand.NewPCG(uint64(seed), 2)), exact: seed%2 == 0}
			own := "0"
			if m.exact {
				own = "1h"
			}
			policy := []string{"prefer_replica", "nearest"}[seed/2%2]
			m.talk = converse(t, "  redis: true\n  auto_eject_hosts: false\n  read_policy: "+policy+"\n  read_own_writes: "+own+"\n", resp{}, 1+seed%2)
			m.talk.setReplicas(map[int]int{1: 0, 2: 0})
			m.talk.calm()
			m.talk.now += 2 * time.Hour // at first a pool does not know when clients wrote last
			var clients []*familyClient
			for range 3 {
				clients = append(clients, &familyClient{party: m.talk.join(), written: map[string]int{}})
			}
			m.play(clients)
			for _, p := range clients {
				p.close()
			}
			m.talk.calm()
			if msgs, chunks := m.talk.live(); msgs != 0 || chunks != 0 {
				t.Errorf("at the end %d messages and %d chunks are in use", msgs, chunks)
			}
			m.talk.stop()
			atReplicas, refused, cut = atReplicas+m.atReplicas, refused+m.refused, cut+m.cut
		})
	}
	if atReplicas == 0 || refused == 0 || cut == 0 {
		t.Errorf("%d requests at replicas, %d refused, %d connections cut", atReplicas, refused, cut)
	}
	t.Logf("%d requests at replicas, %d refused, %d connections cut", atReplicas, refused, cut)
}

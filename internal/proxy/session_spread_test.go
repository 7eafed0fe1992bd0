package proxy_test

import (
	"strings"
	"testing"

	"nuthatch/internal/proxy"
	"nuthatch/internal/stats"
)

// sharing is a conversation in which that many clients listen to a channel of the first
// server, over one connection. A turn does little.
func sharing(t *testing.T, clients int) (c *conversation, d *listeningStubs) {
	t.Helper()
	return sharingIn(t, clients, func(int) bool { return false })
}

// sharingIn is sharing with clients of which some speak RESP3.
func sharingIn(t *testing.T, clients int, resp3 func(i int) bool) (c *conversation, d *listeningStubs) {
	t.Helper()
	d = &listeningStubs{on: map[*stubConn]map[string]bool{}, speaks3: map[*stubConn]bool{}, tracks: map[*stubConn]bool{}}
	in := network(false)
	c = converseIn(t, in, "  redis: true\n  pubsub: {connections: shared, publish: owner}\n", d, 1)
	c.cuts, c.blocks = true, true
	in.net.Window = 128
	for i := range clients {
		p := c.join()
		if resp3(i) {
			p.request(command("HELLO", "3"), func(string) bool { return true })
		}
		p.request(command("SUBSCRIBE", c.keyAt(0, 0)), func(string) bool { return true })
	}
	c.finish(true)
	c.loops[0].SetBudget(proxy.Amount{Keys: 64 << 10, Clients: 20, Bytes: 4 << 20})
	return c, d
}

// hearing is the server's connection on which clients listen.
func (d *listeningStubs) hearing(s *stub) *stubConn {
	for _, conn := range s.conns {
		if len(d.on[conn]) > 0 && !conn.ended {
			return conn
		}
	}
	s.talk.t.Fatalf("nobody listens at server %d", s.index)
	return nil
}

// sayTo has the first server say a message of that size, and counts the turns until all clients
// have it in their outputs.
func (d *listeningStubs) sayTo(c *conversation, size int) (turns int) {
	d.said++
	conn := d.hearing(c.stubs[0])
	conn.out = append(conn.out, "*3\r\n"+bulk("message")+bulk(c.keyAt(0, 0))+bulk(strings.Repeat("x", size))...)
	before := c.stats().Values[stats.Messages]
	for len(conn.out) > 0 {
		conn.say(len(conn.out))
		c.turn()
	}
	for c.stats().Values[stats.Messages] < before+int64(len(c.parties)) && turns < manyTurns {
		c.turn()
		turns++
	}
	return turns
}

// A message is handed out in slices, and stored once for all who do not read it.
func TestMessagesAreHandedOutInSlicesAndStoredOnce(t *testing.T) {
	const clients, size = 200, 50 << 10
	c, d := sharing(t, clients)
	before := c.loops[0].Loop().Bufs().InUse()
	if turns := d.sayTo(c, size); turns < clients/10-2 {
		t.Errorf("%d clients are told in %d turns", clients, turns)
	}
	if held := c.loops[0].Loop().Bufs().InUse() - before; held < size || held > 4*size {
		t.Errorf("%d clients hold %d bytes of one message of %d", clients, held, size)
	}
	c.end(true)
}

// A message is stored once for clients in RESP3, too, and twice only if some of those who refer
// to it speak RESP2.
func TestMessagesAreStoredOnceInRESP3(t *testing.T) {
	const clients, size = 20, 50 << 10
	held := func(resp3 func(i int) bool) int {
		c, d := sharingIn(t, clients, resp3)
		before := c.loops[0].Loop().Bufs().InUse()
		d.sayTo(c, size)
		n := c.loops[0].Loop().Bufs().InUse() - before
		c.finish(true)
		for i, p := range c.parties {
			if want := map[bool]string{true: ">3\r\n", false: "*3\r\n"}[resp3(i)]; !strings.HasPrefix(string(p.in), want) {
				t.Errorf("client %d heard %.20q, want %.20q", i, p.in, want)
			}
		}
		for _, p := range c.parties {
			p.in = nil
		}
		c.end(true)
		return n
	}
	in2 := held(func(int) bool { return false })
	if in3 := held(func(int) bool { return true }); in3 != in2 {
		t.Errorf("a message takes %d bytes in RESP3, and %d in RESP2", in3, in2)
	}
	if both := held(func(i int) bool { return i%2 == 0 }); both <= in2 || both > in2+3*size {
		t.Errorf("a message takes %d bytes in both forms, and %d in one", both, in2)
	}
}

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
	d = &listeningStubs{on: map[*stubConn]map[string]bool{}, speaks3: map[*stubConn]bool{}, tracks: map[*stubConn]bool{}}
	in := network(false)
	c = converseIn(t, in, "  redis: true\n  pubsub: {connections: shared, publish: owner}\n", d, 1)
	c.cuts, c.blocks = true, true
	in.net.Window = 128
	for range clients {
		p := c.join()
		p.request(command("SUBSCRIBE", c.keyAt(0, 0)), func(string) bool { return true })
	}
	c.finish(true)
	c.loops[0].SetBudget(proxy.Amount{Keys: 64 << 10, Clients: 20, Bytes: 4 << 20})
	return c, d
}

// sayTo has the first server say a message of that size, and counts the turns until all clients
// have it in their outputs.
func (d *listeningStubs) sayTo(c *conversation, size int) (turns int) {
	d.said++
	conn := c.stubs[0].conns[0]
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

package proxy_test

import (
	"fmt"
	"testing"

	"nuthatch/internal/proxy"
)

// manyListened is how many channels a client listens to in these tests, and channelsPerTurn
// how many a turn may leave.
const (
	manyListened    = 2000
	channelsPerTurn = 50
)

// listeningToMany is a conversation with a client that has asked for that many patterns, over a
// connection that it shares with another one. A turn does little. The servers have not answered
// the second client.
func listeningToMany(t *testing.T) (c *conversation, p *party) {
	t.Helper()
	d := &listeningStubs{on: map[*stubConn]map[string]bool{}, speaks3: map[*stubConn]bool{}, tracks: map[*stubConn]bool{}}
	c = converseIn(t, network(false), "  redis: true\n  pubsub: {connections: shared}\n", d, 1)
	c.cuts, c.blocks, c.upset = true, true, true
	c.join().request(command("PSUBSCRIBE", "a*"), func(string) bool { return true })
	c.finish(true)
	words := []string{"PSUBSCRIBE"}
	for i := range manyListened {
		words = append(words, fmt.Sprintf("channel:%d:*", i))
	}
	p = c.join()
	p.out = append(p.out, command(words...)...)
	for len(p.out) > 0 {
		p.say(len(p.out))
		c.calm()
	}
	c.loops[0].SetBudget(proxy.Amount{Keys: 16 * channelsPerTurn, Clients: 20, Bytes: 4 << 20})
	c.loops[0].MostInTurn()
	return c, p
}

// listenedAt is the connection on which a server has yet to answer the PSUBSCRIBE.
func (c *conversation) listenedAt() *stubConn {
	for _, s := range c.stubs {
		s.read()
		for _, conn := range s.conns {
			if len(conn.todo) > 0 && conn.todo[0].args[0] == "psubscribe" {
				return conn
			}
		}
	}
	c.t.Fatal("no server was asked")
	return nil
}

// sayAll has the proxy hear all that the server has to say, while p reads.
func (k *stubConn) sayAll(p *party) {
	for len(k.out) > 0 {
		k.say(len(k.out))
		k.stub.talk.calm()
		p.read()
	}
}

// A client that goes leaves its channels in slices: so many in a turn, and all in the end.
func TestChannelsAreLeftInSlices(t *testing.T) {
	c, p := listeningToMany(t)
	conn := c.listenedAt()
	conn.answer(1)
	conn.sayAll(p)
	p.close()
	left, most := 0, 0
	for more := true; more; {
		more = c.turn()
		conn.stub.read()
		now := 0
		for ; len(conn.todo) > 0; conn.answer(1) {
			now += len(conn.todo[0].args) - 1
		}
		left, most = left+now, max(most, now)
	}
	if left != manyListened || most > 2*channelsPerTurn {
		t.Errorf("%d channels of %d were left, up to %d in a turn, want at most %d", left, manyListened, most, 2*channelsPerTurn)
	}
	conn.say(len(conn.out))
	c.parties[0].in = nil
	c.end(true)
}

// The refusal of many channels is stored once, and told in slices.
func TestRefusalOfManyChannels(t *testing.T) {
	c, p := listeningToMany(t)
	held := c.loops[0].Loop().Bufs().InUse()
	conn := c.listenedAt()
	conn.refuse()
	conn.say(len(conn.out))
	c.turn()
	if more := c.loops[0].Loop().Bufs().InUse() - held; more > 64<<10 {
		t.Errorf("the refusal of %d channels takes %d bytes", manyListened, more)
	}
	c.calm()
	if most := c.loops[0].MostInTurn(); most.Clients > 30 {
		t.Errorf("one turn told %d", most.Clients)
	}
	p.hear(1 << 20)
	if string(p.in) != c.lang.failure() {
		t.Errorf("the client heard %.100q", p.in)
	}
	p.in = nil
	conn.stub.read()
	if len(conn.todo) > 0 {
		t.Errorf("the server was asked for %.100q then", conn.todo[0].args)
	}
	if seats, channels := proxy.Listening(c.loops[0]); seats != 1 || channels != 1 {
		t.Errorf("%d seats and %d channels are left, want those of the other client", seats, channels)
	}
	c.parties[0].in = nil
	c.end(true)
}

// Who joins a channel whose refusal others have yet to be told is told the same.
func TestJoiningARefusedChannel(t *testing.T) {
	c, p := listeningToMany(t)
	conn := c.listenedAt()
	conn.refuse()
	conn.say(len(conn.out))
	c.turn()
	q := c.join()
	q.out = append(q.out, command("PSUBSCRIBE", "channel:1999:*")...)
	q.say(len(q.out))
	c.calm()
	q.hear(1 << 20)
	if string(q.in) != c.lang.failure() {
		t.Errorf("the other client heard %.100q", q.in)
	}
	q.in, p.in, c.parties[0].in = nil, nil, nil
	c.end(true)
}

// The end of a connection is no work for each of its channels, whose memory is not counted any
// more.
func TestLossOfManyChannels(t *testing.T) {
	c, p := listeningToMany(t)
	conn := c.listenedAt()
	conn.answer(1)
	conn.sayAll(p)
	c.loops[0].MostInTurn()
	conn.close()
	c.calm()
	if most := c.loops[0].MostInTurn(); most.Keys > 16*channelsPerTurn {
		t.Errorf("the end of the connection brought %d keys in a turn", most.Keys)
	}
	p.in, c.parties[0].in = nil, nil
	c.end(true)
}

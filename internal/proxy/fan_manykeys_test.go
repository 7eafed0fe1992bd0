package proxy_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"nuthatch/internal/proxy"
)

// What a turn does of requests of very many keys is bounded, and they are answered all
// the same.
func TestLargeRequestsAreDoneInSlices(t *testing.T) {
	for name, line := range map[string]string{
		"all may do everything": "",
		"keys are judged":       "  users: {default: {rules: 'on nopass ~no* ~*key:* +@all'}}\n",
	} {
		t.Run(name, func(t *testing.T) { largeInSlices(t, line) })
	}
}

// largeInSlices has a pool with this line of configuration answer requests of very many keys.
func largeInSlices(t *testing.T, line string) {
	const keys, budget = 100_000, 4096
	text := "nuthatch: {threads: 1}\nalpha:\n  listen: %s\n  redis: true\n  client_max_queued: 1gb\n" + line + "  servers:\n"
	for i := range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go manyServer(l)
		text += fmt.Sprintf("  - %s:1 s%d\n", l.Addr(), i)
	}
	r := startRig(t, text)
	r.on(0, func(ctx *proxy.Context) { ctx.SetBudget(proxy.Amount{Keys: budget, Clients: 64, Bytes: 256 << 10}) })
	want := append(fmt.Appendf(nil, "*%d\r\n", keys), bytes.Repeat([]byte("$5\r\nvalue\r\n"), keys)...)
	for range 3 {
		u := r.dial()
		go func() {
			if _, err := u.Write(mgetOf(keys)); err != nil {
				t.Error(err)
			}
		}()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(u, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Error("the reply is not that of the servers, in the order of the keys")
		}
	}
	r.on(0, func(ctx *proxy.Context) {
		most := ctx.MostInTurn()
		if most.Keys < budget || most.Keys > budget+1024 {
			t.Errorf("a turn looked at %d keys, want %d and not much more", most.Keys, budget)
		}
		if most.Bytes > 384<<10 {
			t.Errorf("a turn copied %d bytes", most.Bytes)
		}
	})
	r.awaitIdle()
}

// A request of very many keys is denied for one of them, before anything is sent.
func TestLargeRequestIsDenied(t *testing.T) {
	const keys = 20_000
	r := startRig(t, "nuthatch: {threads: 1}\nalpha:\n  listen: %s\n  redis: true\n  client_max_queued: 1gb\n"+
		"  users: {default: {rules: 'on nopass ~key:0000* +@all'}}\n  servers:\n  - 127.0.0.1:1:1 s\n")
	r.on(0, func(ctx *proxy.Context) { ctx.SetBudget(proxy.Amount{Keys: 1024, Clients: 64, Bytes: 256 << 10}) })
	u := r.dial()
	go func() {
		if _, err := u.Write(append(mgetOf(keys), "PING\r\n"...)); err != nil {
			t.Error(err)
		}
	}()
	want := "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n+PONG\r\n"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(u, got); err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
	r.on(0, func(ctx *proxy.Context) {
		if most := ctx.MostInTurn(); most.Keys > 1024+1024 {
			t.Errorf("a turn looked at %d keys", most.Keys)
		}
	})
	r.awaitIdle()
}

// A party asks for as many keys as take many turns.
func (c *conversation) askLarge(p *party) []string {
	const keys, budget = 400, 8
	for _, ctx := range c.loops {
		ctx.SetBudget(proxy.Amount{Keys: budget, Clients: 1, Bytes: 1 << 20})
	}
	from := p.seq
	resp{}.askMany(p, 5, keys)
	p.say(len(p.out))
	var names []string
	for i := range keys {
		names = append(names, fmt.Sprintf("k%d.%d.5", p.id, from+i))
	}
	return names
}

func (c *conversation) turns(n int) {
	for range n {
		c.turn()
	}
}

// arrived is how many of the keys servers have been asked for.
func (c *conversation) arrived(keys ...string) (n int) {
	for _, s := range c.stubs {
		s.read()
	}
	for _, k := range keys {
		n += c.sent[k].arrived
	}
	return n
}

const largeLines = "  timeout: 400\n  redis: true\n"

// While a large request is dealt to the servers others are served, and its client is
// not read on.
func TestOthersGoOnBetweenSlices(t *testing.T) {
	c := converse(t, largeLines, resp{}, 1)
	large, other := c.join(), c.join()
	c.turns(3)
	keys := c.askLarge(large)
	c.lang.ask(large, 0, 7) // behind it
	large.say(len(large.out))
	c.turns(20)
	c.lang.ask(other, 0, 9)
	other.say(len(other.out))
	c.turns(4)
	if n := c.arrived("k1.0.9"); n != 1 {
		t.Error("another client's request waits for the large one")
	}
	if n := c.arrived(keys...); n != 0 {
		t.Fatalf("%d keys have been sent before all were placed", n)
	}
	if n := c.arrived("k0.400.7"); n != 0 {
		t.Error("the client's next request has overtaken the large one")
	}
	c.end(true)
	if n := c.arrived(keys...); n != len(keys) {
		t.Errorf("servers were asked for %d keys of %d", n, len(keys))
	}
}

// A large request goes by one ring: a reload between two slices has it placed anew.
func TestReloadBetweenSlices(t *testing.T) {
	for _, turns := range []int{60, 110, 140} { // its words are read, its keys placed, copied
		c := converse(t, largeLines, resp{}, 1)
		p := c.join()
		c.turns(3)
		keys := c.askLarge(p)
		c.turns(turns)
		if n := c.arrived(keys...); n != 0 {
			t.Fatalf("after %d turns %d keys have been sent", turns, n)
		}
		c.lines += "  distribution: modula\n"
		c.renewed = true
		c.reload(false)
		c.turns(300)
		for _, s := range c.stubs {
			s.read()
			for _, conn := range s.conns {
				for _, args := range conn.todo {
					for _, key := range args.args[1:] {
						if owner := c.topo.Ring(); owner.Server([]byte(key), 0) != s.index {
							t.Fatalf("after %d turns: server %d is asked for a key of server %d", turns, s.index, owner.Server([]byte(key), 0))
						}
					}
				}
			}
		}
		if n := c.arrived(keys...); n != len(keys) {
			t.Errorf("after %d turns: servers were asked for %d keys of %d", turns, n, len(keys))
		}
		c.end(true)
	}
}

// A client that ends, or whose request takes too long, between two slices leaves
// nothing behind.
func TestEndBetweenSlices(t *testing.T) {
	for _, turns := range []int{2, 30, 90, 130, 160, 170} {
		for _, late := range []bool{false, true} {
			c := converse(t, largeLines+"  request_timeout: 100ms\n", resp{}, 1)
			p := c.join()
			c.turns(3)
			c.askLarge(p)
			c.turns(turns)
			if late {
				c.pass(200 * time.Millisecond)
			} else {
				p.close()
			}
			c.calm()
			if !late {
				c.finish(true)
				if msgs, chunks := c.live(); msgs != 0 || chunks != 0 {
					t.Errorf("after %d turns: %d messages and %d chunks are in use", turns, msgs, chunks)
				}
			}
			c.end(true)
		}
	}
}

// The connections to the servers are replaced while a large request waits to be sent:
// it waits for the replies to the client's earlier requests.
func TestReconnectBetweenSlices(t *testing.T) {
	c := converse(t, largeLines, resp{}, 1)
	p := c.join()
	c.turns(3)
	c.lang.ask(p, 2, 3) // a write
	p.say(len(p.out))
	c.turns(3)
	keys := c.askLarge(p)
	c.turns(60)
	c.reconnect(time.Minute)
	c.turns(400)
	if n := c.arrived(keys...); n != 0 {
		t.Errorf("%d keys were sent on other connections than the write before them", n)
	}
	for _, s := range c.stubs {
		s.answerAll()
	}
	c.calm()
	if n := c.arrived(keys...); n != len(keys) {
		t.Errorf("when the write is answered %d keys are sent of %d", n, len(keys))
	}
	c.end(true)
}

// A large request that waits for its client's earlier replies, whole, since one server
// has all its keys, goes to the servers that a reload brings meanwhile.
func TestReloadBeforeWholeIsSent(t *testing.T) {
	c := converse(t, largeLines, resp{}, 1)
	p := c.join()
	c.turns(3)
	c.lang.ask(p, 2, 3) // a write
	p.say(len(p.out))
	c.turns(3)
	for _, ctx := range c.loops {
		ctx.SetBudget(proxy.Amount{Keys: 8, Clients: 1, Bytes: 1 << 20})
	}
	var keys []string
	for want, ring := "", c.topo.Ring(); len(keys) < 40; {
		if key := p.key(5, false); ring.Server([]byte(key), 0) == 0 {
			keys, want = append(keys, key), want+bulk(valueOf(key))
			if len(keys) == 40 {
				p.request(command(append([]string{"MGET"}, keys...)...), is("*40\r\n"+want), keys...)
			}
		}
	}
	p.say(len(p.out))
	c.turns(10)
	c.reconnect(time.Minute)
	c.turns(100)
	if n := c.arrived(keys...); n != 0 {
		t.Fatalf("%d keys were sent before the write was answered", n)
	}
	for _, s := range c.stubs {
		s.renamed++
	}
	c.reload(false)
	c.turns(100)
	for _, s := range c.stubs {
		s.answerAll()
	}
	c.calm()
	if n := c.arrived(keys...); n != len(keys) {
		t.Errorf("when the write is answered %d keys are sent of %d", n, len(keys))
	}
	c.end(true)
}

// A request that cannot be divided, and whose many keys are on several servers, is
// refused with two of the keys.
func TestLargeCrossServer(t *testing.T) {
	c := converse(t, largeLines, resp{}, 1)
	p := c.join()
	c.turns(3)
	c.askLarge(p)
	words := []string{"SUNION"}
	for i := range 300 {
		words = append(words, fmt.Sprintf("set:%d", i))
	}
	p.request(command(words...), begins("-CROSSSLOT Keys in request don't hash to the same server: 'set:0' and 'set:"))
	tagged := []string{"SUNION"}
	for range 300 {
		tagged = append(tagged, "one:key")
	}
	p.request(command(tagged...), is("+OK\r\n"))
	c.end(true)
}

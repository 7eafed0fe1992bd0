package proxy_test

import (
	"testing"
	"time"

	"nuthatch/internal/proxy"
)

// removedText is what a client is told of a part of a large request that was not sent.
const removedText = "a reload removed the server of this key; the request was not sent to it"

// A reload that removes all the servers which a large request was placed on has it
// placed on the new ones, as long as nothing of it was sent. What is left of it behind
// that is not sent, and the client is told so.
func TestReloadRemovesServersOfLargeRequest(t *testing.T) {
	whole, cut := 0, 0
	for turns := 150; turns < 178; turns++ {
		c := converse(t, largeLines, resp{}, 1)
		p := c.join()
		c.turns(3)
		keys, told := c.askLarge(p), ""
		right := p.expects[0].right
		p.expects[0].right = func(reply string) bool {
			told = reply
			return right(reply)
		}
		c.turns(turns)
		sent := c.arrived(keys...)
		c.upset = sent > 0
		for _, s := range c.stubs {
			s.renamed++
		}
		c.renewed = true
		c.reload(false)
		c.calm()
		got := c.arrived(keys...)
		c.end(true)
		switch {
		case sent == 0 && got != len(keys):
			t.Errorf("after %d turns, with nothing sent: servers are asked for %d keys of %d", turns, got, len(keys))
		case sent == 0:
			whole++
		case got < len(keys):
			cut++
			if told != "-ERR "+removedText+"\r\n" {
				t.Errorf("after %d turns, with some of it sent, the client is told %.200q", turns, told)
			}
		}
	}
	if whole == 0 || cut == 0 {
		t.Errorf("the reload came %d times before anything was sent, and %d times between two parts", whole, cut)
	}
}

// A request that is divided among more servers than are told something at once, and
// one for all servers, wait behind another's: a reload has them go to the new servers.
func TestReloadRemovesServersOfWaitingRequests(t *testing.T) {
	for _, turns := range []int{1, 10, 20} {
		c := converse(t, largeLines, resp{}, 1)
		large, several, all := c.join(), c.join(), c.join()
		c.turns(3)
		keys := c.askLarge(large)
		for _, ctx := range c.loops {
			ctx.SetBudget(proxy.Amount{Keys: 32, Clients: 1, Bytes: 1 << 20})
		}
		c.turns(2)
		words := []string{"MSET"}
		for owners, ring := map[int]bool{}, c.topo.Ring(); len(owners) < 2; {
			key := several.key(0, true)
			if owner := ring.Server([]byte(key), 0); !owners[owner] {
				owners[owner] = true
				keys, words = append(keys, key), append(words, key, valueOf(key))
			}
		}
		several.request(command(words...), is("+OK\r\n"), words[1], words[3])
		several.say(len(several.out))
		all.request(command("DBSIZE"), is(":15\r\n"))
		all.say(len(all.out))
		c.turns(turns)
		if n := c.arrived(keys...); n != 0 {
			t.Fatalf("after %d turns servers are asked for %d keys", turns, n)
		}
		for _, s := range c.stubs {
			s.renamed++
		}
		c.renewed = true
		c.reload(false)
		c.calm()
		if n := c.arrived(keys...); n != len(keys) {
			t.Errorf("after %d turns: servers are asked for %d keys of %d", turns, n, len(keys))
		}
		c.end(true)
	}
}

// A large request that waits for its client's earlier replies is placed anew by a
// reload, and when it is its turn, also if another large request was read meanwhile.
func TestReloadWhileLargeRequestWaits(t *testing.T) {
	for _, turns := range []int{60, 110, 140, 173, 174} { // its words are read, its keys placed, copied
		for _, removed := range []bool{false, true} {
			c := converse(t, largeLines, resp{}, 1)
			p, other := c.join(), c.join()
			c.turns(3)
			c.lang.ask(p, 2, 3) // a write
			p.say(len(p.out))
			c.turns(3)
			keys := c.askLarge(p)
			c.turns(turns)
			c.reconnect(time.Minute)
			c.turns(120)
			c.askLarge(other)
			c.turns(50)
			if n := c.arrived(keys...); n != 0 {
				t.Fatalf("after %d turns %d keys were sent before the write was answered", turns, n)
			}
			if removed {
				for _, s := range c.stubs {
					s.renamed++
				}
				c.reload(false)
			}
			c.turns(400)
			for _, s := range c.stubs {
				s.answerAll()
			}
			c.calm()
			if n := c.arrived(keys...); n != len(keys) {
				t.Errorf("after %d turns: when the write is answered %d keys are sent of %d", turns, n, len(keys))
			}
			c.end(true)
		}
	}
}

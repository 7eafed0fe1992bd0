package proxy_test

import (
	"strings"
	"testing"
	"time"

	"nuthatch/internal/proxy"
	"nuthatch/internal/stats"
)

// At the hard mark of the memory the client for which most waits is closed first, and no other
// one as long as that is enough: with small messages, of which each client that lags has a copy,
// and with large ones, which are stored once for all.
func TestSlowestSubscriberIsClosedFirst(t *testing.T) {
	for name, size := range map[string]int{"copies": 3 << 10, "shared": 40 << 10} {
		t.Run(name, func(t *testing.T) {
			const hard = 3 << 20
			c, _ := sharing(t, 4)
			c.world.(fake).net.Window = 64 << 10
			c.loops[0].SetBudget(proxy.Amount{Keys: 64 << 10, Clients: 256, Bytes: 256 << 10})
			c.identity.Limits().SetMemory(hard/2, hard)
			conn, slowest, slow := c.stubs[0].conns[0], c.parties[0], c.parties[1]
			said := 0
			for ; said < 4*hard && c.stats().Values[stats.SubscribersSlow] == 0; said += size {
				conn.out = append(conn.out, "*3\r\n"+bulk("message")+bulk(c.keyAt(0, 0))+bulk(strings.Repeat("x", size))...)
				for range 20 {
					conn.say(len(conn.out))
					c.turn()
					for _, p := range c.parties[2:] {
						p.read()
					}
					if said < hard/2 { // it lags by that much less
						slow.read()
					}
				}
				c.now += time.Millisecond
			}
			for range 200 {
				c.turn()
				slowest.read()
				slow.read()
			}
			if !slowest.ended || slow.ended {
				t.Errorf("after %d bytes the slowest has ended: %t, the next one: %t", said, slowest.ended, slow.ended)
			}
			for _, p := range c.parties[2:] {
				if p.read(); p.ended {
					t.Errorf("client %d, which reads, has ended", p.id)
				}
			}
			c.identity.Limits().SetMemory(0, 0)
			c.end(true)
		})
	}
}

// read reads what there is, and forgets it.
func (p *party) read() {
	p.hear(1 << 20)
	p.in = nil
}

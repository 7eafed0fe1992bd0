package proxy_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nuthatch/internal/proxy"
	"nuthatch/internal/testkit"
)

// Of a thousand clients with TLS that stand still, those that hold most are closed first when
// memory is short, with what TLS itself holds for them: a client that has sent large records
// holds more than one of whose next request more has come. It goes on until there is memory
// again, and no further.
func TestMemoryCutsWithTLSBuffers(t *testing.T) {
	const (
		clients = 1000
		large   = 15 << 10 // of a request in one record
		piece   = 1 << 10  // of what comes in small records
	)
	a := testkit.NewAuthority(t)
	cert, key := a.Pair("conversation")
	synctest.Test(t, func(t *testing.T) {
		in := inTLS(t, network(false), a, cert, key)
		in.conf.DynamicRecordSizingDisabled = true
		c := converseIn(t, in, "  redis: true\n", resp{}, 1)
		c.cuts = true
		c.loops[0].SetBudget(proxy.Amount{Keys: 64 << 10, Clients: clients, Bytes: 64 << 20})
		begun := command("SET", "k", strings.Repeat("v", 64<<10))
		most := clients / 2
		for i := range clients {
			p, records := c.join(), i%2 == 0
			words, pieces := "hello", 8
			if records || i == most {
				words = strings.Repeat("v", large)
			}
			if records && i != most {
				pieces = 1
			}
			p.request(command("ECHO", words), is(bulk(words)))
			p.say(len(p.out))
			c.calm()
			p.hear(1 << 20)
			for n := range pieces {
				p.out = append(p.out, begun[n*piece:(n+1)*piece]...)
				p.say(len(p.out))
				c.calm()
			}
		}
		limits := c.identity.Limits()
		limits.SetMemory(1<<40, 1<<40)
		held, _, _ := limits.Memory()
		soft := held - held/20
		limits.SetMemory(soft, 2*held)
		for range 20 { // a loop looks at the account when what it holds has changed by enough
			c.join()
		}
		for range 2 {
			c.calm()
			c.pass(time.Second + time.Millisecond)
		}
		c.calm()
		var withRecords, others int
		for i, p := range c.parties {
			p.hear(1 << 20)
			switch {
			case !p.ended:
			case i%2 == 0:
				withRecords++
			default:
				others++
			}
		}
		after, _, _ := limits.Memory()
		t.Logf("%d clients held %d KB; %d with large records and %d others were closed, then %d KB were held", clients, held>>10, withRecords, others, after>>10)
		if !c.parties[most].ended || withRecords == 0 || withRecords == clients/2 || others > 0 {
			t.Errorf("the one that held most was closed: %t; so were %d of %d with large records, and %d others", c.parties[most].ended, withRecords, clients/2, others)
		}
		if after >= soft {
			t.Errorf("%d bytes are held, the mark is %d", after, soft)
		}
		limits.SetMemory(0, 0)
		for _, p := range c.parties {
			p.lost = true
			p.close()
		}
		c.calm()
		c.end(true)
	})
}

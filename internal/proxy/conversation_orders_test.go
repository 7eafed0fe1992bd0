package proxy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/topology"
)

// order is what an operator has the proxy do.
func (c *conversation) order(what, amount byte) {
	i := int(amount) % len(c.stubs)
	switch what % 8 {
	case 0:
		for _, ctx := range c.loops {
			ctx.Pause(c.topo)
		}
	case 1:
		c.resume()
	case 2:
		c.stubs[i].move(false)
	case 3:
		c.renewed = true
		var server *topology.Health // nil: all
		if i > 0 {
			server = c.topo.Servers()[i-1]
		}
		moving := new(topology.Moving)
		for _, ctx := range c.loops {
			ctx.Reconnect(c.topo, server, int64(c.now+time.Second), moving)
		}
	case 4:
		c.upset = true
		c.topo.SetService(c.topo.Servers()[i], []topology.Service{topology.OffTheRing, topology.Refused}[amount>>7], int64(c.now))
	case 5:
		c.topo.SetService(c.topo.Servers()[i], topology.InService, int64(c.now))
	case 6, 7:
		c.renewed = true
		if amount&8 != 0 {
			// Another server by name, at the same address. It moves all of them.
			c.stubs[i].renamed++
			c.replaced = true
		}
		if amount&16 != 0 {
			c.otherServers()
			return
		}
		c.reload(amount&4 != 0)
	}
}

// otherServers publishes the servers as they are by now, without a reload: one that has
// another name is another one, and all may have other places.
func (c *conversation) otherServers() {
	pool := *c.pool
	pool.Servers = c.read(c.lines).Servers
	c.pool = &pool
	members := make([]topology.Member, len(pool.Servers))
	for i := range pool.Servers {
		members[i].Server = pool.Servers[i]
		at := slices.IndexFunc(c.stubs, func(s *stub) bool { return s.path() == pool.Servers[i].Address.Path })
		members[i].Addrs = []unix.Sockaddr{c.stubs[at].addr}
	}
	c.topo.Publish(members, int64(c.now), int64(c.now+time.Second))
	c.publish()
}

func (c *conversation) resume() {
	for _, ctx := range c.loops {
		ctx.Resume(c.topo)
	}
}

// reload has the loops use another configuration, or again the one that they began
// with.
func (c *conversation) reload(other bool) {
	lines := c.lines
	if other {
		lines = strings.Replace(lines, "  server_connections: 2\n", "", 1) + "  server_connections: 3\n"
		lines = strings.Replace(lines, "  timeout: 400\n", "  timeout: 300\n", 1)
	}
	c.pool = c.read(lines)
	c.topo = c.topo.Next(c.pool, int64(c.now))
	c.publish()
	c.topo.Settle(int64(c.now))
	for _, ctx := range c.loops {
		ctx.Adopt(c.poolOptions(), int64(c.now+time.Second))
	}
	c.topo.Refresh(int64(c.now))
}

// A handshake that a reload finds half way is finished as it began, whatever the new
// configuration would have said to the server.
func TestReloadDuringHandshake(t *testing.T) {
	c := converse(t, "  redis: true\n  redis_auth: secret\n  redis_db: 1\n  timeout: 400\n", resp{password: "secret"}, 1)
	c.renewed, c.upset = true, true // what waits behind the handshake may get an error
	p := c.join()
	for range 20 {
		c.lang.ask(p, 0, 0)
	}
	p.say(len(p.out))
	c.calm()
	asked := 0
	for _, s := range c.stubs {
		s.read()
		for _, conn := range s.conns {
			asked += len(conn.todo)
		}
	}
	if want := 2 * len(c.stubs); asked != want {
		t.Fatalf("servers were told %d things, want AUTH and SELECT of each, %d in all", asked, want)
	}
	c.lines = "  redis: true\n  timeout: 400\n"
	c.reload(false)
	c.finish(true)
	p.judge()
}

// servers are the lines of the pool's servers.
func (c *conversation) servers() string {
	lines := "  servers:\n"
	for _, s := range c.stubs {
		if strings.Contains(c.lines, clusterLine) {
			lines += fmt.Sprintf("   - %s:%d:1\n", s.host(), nodePort)
			continue
		}
		lines += fmt.Sprintf("   - %s:1 %c%s\n", s.path(), 'a'+s.index, strings.Repeat("'", s.renamed&1))
	}
	return lines
}

// path is the server's address in the configuration.
func (s *stub) path() string { return fmt.Sprintf("/%c", 'a'+s.index) }

// publish finds the servers in the configuration, which sorts them by their names,
// and tells where those are of which that is not known.
func (c *conversation) publish() {
	for _, s := range c.stubs {
		s.place = slices.IndexFunc(c.pool.Servers, func(o config.Server) bool { return o.Address.Path == s.path() || o.Address.Host == s.host() })
		if c.topo.Servers()[s.place].Addrs() == nil {
			c.topo.Servers()[s.place].SetAddrs([]unix.Sockaddr{s.addr})
		}
	}
}

// outside keeps what a loop gives to be done outside it.
func (c *conversation) outside(f func(done func())) bool {
	c.reports = append(c.reports, func() { f(func() {}) })
	return true
}

// mayBeCutOff reports whether a request for several servers may find that one of them is
// not the pool's any more: it is sent in slices, and a part went before the server was
// replaced.
func (c *conversation) mayBeCutOff() bool { return c.sliced && c.replaced }

package proxy

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/socket"
)

// connections is how many of a pool's servers are connected to, or about to be.
func (p *ServerPool) connections() (n int) {
	for _, s := range p.servers {
		for c := range s.conns() {
			if c.Attached() {
				n++
			}
		}
	}
	return n
}

// numbers is how many numbers are keys.
const numbers = 2000

// ownersOfNumbers is how many servers own any of those keys.
func (p *ServerPool) ownersOfNumbers() int {
	owners := map[int]bool{}
	ring := p.topo.Ring()
	for i := range numbers {
		owners[ring.Server(fmt.Appendf(nil, "%04d", i), 0)] = true
	}
	return len(owners)
}

// Connections to very many servers are opened some in each turn: those that a pool has
// from the beginning, and those that a request needs.
func TestManyServersAreConnectedInSlices(t *testing.T) {
	const servers, budget = 200, 20
	for name, begin := range map[string]func(ctx *Context, c *client){
		"preconnect": func(ctx *Context, _ *client) {
			ctx.pools[0].conf.Preconnect = true
			ctx.Preconnect()
		},
		"a request for every server": func(_ *Context, c *client) { c.OnData([]byte("*1\r\n$6\r\nDBSIZE\r\n")) },
		"keys of many servers": func(_ *Context, c *client) {
			request := fmt.Appendf(nil, "*2001\r\n$4\r\nMGET\r\n")
			for i := range numbers {
				request = fmt.Appendf(request, "$4\r\n%04d\r\n", i)
			}
			c.OnData(request)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := loneContext(t, poolOf(t, servers, "  distribution: modula\n"))
			ctx.SetBudget(Amount{Keys: 100_000, Clients: budget, Bytes: 1 << 20})
			p := ctx.pools[0]
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { unix.Close(fd) })
			addr := unix.SockaddrUnix{Name: fmt.Sprintf("@nuthatch-many-%d-%d", unix.Getpid(), fd)}
			if err := unix.Bind(fd, &addr); err != nil {
				t.Fatal(err)
			}
			if err := unix.Listen(fd, servers+1); err != nil {
				t.Fatal(err)
			}
			for i := range servers {
				p.topo.Servers()[i].SetAddrs([]unix.Sockaddr{&addr})
			}
			c := newClient(p)
			if _, err := ctx.loop.Dial(&c.Conn, &addr, socket.Keepalive{}, c, nil); err != nil {
				t.Fatal(err)
			}
			c.opened()
			want := servers
			if name == "keys of many servers" {
				want = p.ownersOfNumbers()
			}
			begin(ctx, c)
			turns := 0
			for before := 0; p.connections() < want; turns++ {
				if _, err := ctx.Loop().Step(int64(time.Second) + int64(turns)); err != nil {
					t.Fatal(err)
				}
				if n := p.connections() - before; n > budget/perDial+perDial {
					t.Fatalf("a turn opened %d connections", n)
				}
				if before = p.connections(); turns > 10*servers {
					t.Fatalf("after %d turns there are %d connections", turns, before)
				}
			}
			if turns < want/budget {
				t.Errorf("%d connections were opened in %d turns", want, turns)
			}
		})
	}
}

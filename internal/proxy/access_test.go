package proxy_test

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// joinFrom connects a party from an address to the pool of a conversation on a fake network.
func (c *conversation) joinFrom(from string) *party {
	c.t.Helper()
	e, err := c.world.(fake).net.DialFrom(netip.MustParseAddrPort(from), c.addr)
	if err != nil {
		c.t.Fatal(err)
	}
	p := &party{talk: c, id: len(c.parties), end: e}
	c.parties = append(c.parties, p)
	c.calm()
	return p
}

// reads is all that has come to the party, and whether it is the end.
func reads(p *party) (text string, ended bool) {
	buf := make([]byte, 4096)
	for {
		n, err := p.end.Read(buf)
		if n == 0 || err != nil {
			return text, !errors.Is(err, unix.EAGAIN)
		}
		text += string(buf[:n])
	}
}

// Clients are let in by their addresses, which a reload judges anew for those that come. A
// list that lets nobody in lets in those at unix sockets.
func TestAccess(t *testing.T) {
	const stranger = "-ERR connections from this address are not allowed\r\n"
	c := converse(t, "  redis: true\n  allow_from: [10.0.0.0/8, '2001:db8::/32']\n  deny_from: 10.9.0.0/16, 10.0.0.66\n", resp{}, 2)
	defer c.stop()
	come := func(from, want string) *party {
		t.Helper()
		p := c.joinFrom(from)
		if _, err := p.end.Write([]byte("PING\r\n")); err != nil && want == "+PONG\r\n" {
			t.Fatalf("%s: %v", from, err)
		}
		c.calm()
		if got, ended := reads(p); got != want || ended != (want == stranger) {
			t.Errorf("%s hears %q, %v; want %q", from, got, ended, want)
		}
		return p
	}
	stays := come("10.0.0.1:1", "+PONG\r\n")
	come("[2001:db8::5]:1", "+PONG\r\n")
	come("[::ffff:10.1.2.3]:1", "+PONG\r\n")
	for _, from := range []string{"10.9.1.1:1", "10.0.0.66:1", "11.0.0.1:1", "[2001:db9::1]:1", "[::ffff:10.9.1.1]:1"} {
		come(from, stranger)
	}
	p := c.join() // at a unix socket
	c.calm()
	if _, err := p.end.Write([]byte("PING\r\n")); err != nil {
		t.Fatal(err)
	}
	c.calm()
	if got, _ := reads(p); got != "+PONG\r\n" {
		t.Errorf("a client at a unix socket hears %q", got)
	}

	c.lines = "  redis: true\n  deny_from: 10.0.0.1\n"
	c.reload(false)
	c.calm()
	if _, err := stays.end.Write([]byte("PING\r\n")); err != nil {
		t.Fatal(err)
	}
	c.calm()
	if got, ended := reads(stays); got != "+PONG\r\n" || ended {
		t.Errorf("a client that was let in before hears %q, %v", got, ended)
	}
	come("10.0.0.1:1", stranger)
	come("11.0.0.1:1", "+PONG\r\n")

	s := stats.NewShard(c.layout())
	c.loops[0].CopyStats(s)
	if n := s.Pools[0].Vectors[stats.RefusedClients][msg.AddressRefused]; n != 6 {
		t.Errorf("%d clients are counted as refused for their address, 6 were", n)
	}
	if n := s.Pools[0].Values[stats.ClientsRefused]; n != 6 {
		t.Errorf("%d clients are counted as refused, 6 were", n)
	}
	kinds := ""
	found, _, _ := c.identity.Events().After(0, 100, "")
	for _, e := range found {
		kinds += e.Kind.String() + " " + e.Text + "\n"
	}
	if want := "addresses_refused clients are refused for their address (deny_from), first 10.9.1.1\n"; kinds != want {
		t.Errorf("the events are %q, want %q", kinds, want)
	}
}

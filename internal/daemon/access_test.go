package daemon

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// dialFrom connects to addr from an address of the loopback network.
func dialFrom(t *testing.T, from, addr string) *net.TCPConn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
	c, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// A client from an address that is not let in is refused at either port, before a
// handshake, and a pool that a client asks for by name judges its address too.
func TestAccessWithTLS(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Pair("alpha.example")
	other, otherKey := a.Pair("beta.example")
	plain, secure, beta := testkit.FreeAddr(t), testkit.FreeAddr(t), testkit.FreeAddr(t)
	startStage(t, pool("alpha", plain, testkit.Names(server), "deny_from: 127.0.0.2", tlsLines(cert, key, "listen: \""+secure+"\""))+
		pool("beta", beta, testkit.Names(server), "allow_from: [127.0.0.3]", tlsLines(other, otherKey, "server_names: beta.example")))
	for _, tt := range []struct{ addr, want string }{
		{plain, "-ERR connections from this address are not allowed\r\n"},
		{secure, "\x15\x03\x01\x00\x02\x02\x31"}, // an alert, access_denied
		{beta, "\x15\x03\x01\x00\x02\x02\x31"},
	} {
		if got, err := io.ReadAll(dialFrom(t, "127.0.0.2", tt.addr)); err != nil || string(got) != tt.want {
			t.Errorf("from an address that is not let in, %s says %q, %v; want %q", tt.addr, got, err, tt.want)
		}
	}
	byName := func(from string) error {
		conf := trusting(t, a)
		conf.ServerName = "beta.example"
		c := tls.Client(dialFrom(t, from, secure), conf)
		if _, err := io.WriteString(c, "PING\r\n"); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, len("+PONG\r\n")))
		return err
	}
	if err := byName("127.0.0.3"); err != nil {
		t.Errorf("from an address that beta lets in: %v", err)
	}
	if err := byName("127.0.0.1"); err == nil {
		t.Error("a client gets to beta by its name, from an address that beta does not let in")
	}
	if got := testkit.Dial(t, testkit.Redis, plain).Do("PING"); got != "+PONG\r\n" {
		t.Errorf("from an address that is let in: %q", got)
	}
}

// A second port has lists of its own, or the pool's where it has none: who comes, from behind
// which load balancer, and who gets there by a name. A reload changes them for those who come.
func TestListsOfTwoPorts(t *testing.T) {
	const stranger, alert = "-ERR connections from this address are not allowed\r\n", "\x15\x03\x01\x00\x02\x02\x31"
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Pair("alpha.example")
	other, otherKey := a.Pair("beta.example")
	plain, secure, beta := testkit.FreeAddr(t), testkit.FreeAddr(t), testkit.FreeAddr(t)
	text := func(lists string) string {
		return pool("alpha", plain, testkit.Names(server), "allow_from: [127.0.0.1, 127.0.0.2]", "deny_from: 127.0.0.2", "proxy_protocol_from: 127.0.0.9",
			tlsLines(cert, key, "listen: \""+secure+"\", server_names: alpha.example"+lists)) +
			pool("beta", beta, testkit.Names(server), tlsLines(other, otherKey))
	}
	s := startStage(t, text(", allow_from: [127.0.0.2, 127.0.0.3, 203.0.113.0/24], deny_from: none, proxy_protocol_from: 127.0.0.8"))
	refused := func(from, addr, want string) {
		t.Helper()
		if got, err := io.ReadAll(dialFrom(t, from, addr)); err != nil || string(got) != want {
			t.Errorf("from %s at %s: %q, %v; want %q", from, addr, got, err, want)
		}
	}
	// served is what PING answers, by TLS if there is a name, behind a header if there is one.
	served := func(from, addr, name, header string) string {
		var c net.Conn = dialFrom(t, from, addr)
		if _, err := io.WriteString(c, header); err != nil {
			return err.Error()
		}
		if name != "" {
			conf := trusting(t, a)
			conf.ServerName = name
			c = tls.Client(c, conf)
		}
		if _, err := io.WriteString(c, "PING\r\n"); err != nil {
			return err.Error()
		}
		b := make([]byte, len("+PONG\r\n"))
		if _, err := io.ReadFull(c, b); err != nil {
			return err.Error()
		}
		return string(b)
	}
	const alpha, pong = "alpha.example", "+PONG\r\n"
	expect := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	refused("127.0.0.2", plain, stranger)
	refused("127.0.0.3", plain, stranger)
	refused("127.0.0.1", secure, alert)
	expect("the plain port", served("127.0.0.1", plain, "", ""), pong)
	expect("denied at the plain port alone", served("127.0.0.2", secure, alpha, ""), pong)
	expect("let in at the port with TLS alone", served("127.0.0.3", secure, alpha, ""), pong)
	expect("a load balancer of the port with TLS", served("127.0.0.8", secure, alpha, balancerLine), pong)
	expect("a load balancer of the plain port", served("127.0.0.9", plain, "", strings.Replace(balancerLine, "203.0.113.7", "127.0.0.1", 1)), pong)
	refused("127.0.0.8", plain, stranger)
	refused("127.0.0.9", secure, alert)
	expect("by name, let in at the port with TLS", served("127.0.0.3", beta, alpha, ""), pong)
	if got := served("127.0.0.1", beta, alpha, ""); got == pong {
		t.Error("a client that the port with TLS does not let in gets there by name")
	}

	s.mustReload(text(""))
	expect("the pool's lists, after a reload", served("127.0.0.1", secure, alpha, ""), pong)
	refused("127.0.0.2", secure, alert)
	refused("127.0.0.3", secure, alert)
}

// What a client has sent that is gone before it is looked at is not carried out, if its
// address is not let in.
func TestAccessOfTheGone(t *testing.T) {
	server := testkit.StartRedis(t)
	listen := testkit.FreeAddr(t)
	startStage(t, pool("alpha", listen, testkit.Names(server), "allow_from: 127.0.0.1"))
	for range 300 {
		c := dialFrom(t, "127.0.0.2", listen)
		if _, err := c.Write(testkit.RESP("SET", "attack", "1")); err != nil {
			continue
		}
		if err := c.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if got := testkit.Dial(t, testkit.Redis, listen).Do("GET", "attack"); got != "$-1\r\n" {
		t.Errorf("GET says %q: a client whose address is not let in has written", got)
	}
}

// A pool is for reading alone if its default user is.
func TestPoolForReading(t *testing.T) {
	server := testkit.StartRedis(t)
	listen := testkit.FreeAddr(t)
	startStage(t, pool("alpha", listen, testkit.Names(server), "users: {default: {rules: \"on nopass ~* &* +@read +@connection\"}}"))
	c := testkit.Dial(t, testkit.Redis, listen)
	if got := c.Do("GET", "k"); got != "$-1\r\n" {
		t.Errorf("GET: %q", got)
	}
	for _, words := range [][]string{{"SET", "k", "v"}, {"EVAL", "return 1", "0"}, {"SORT", "k", "STORE", "x"}, {"GETDEL", "k"}, {"MULTI"}} {
		if got := c.Do(words...); !strings.HasPrefix(got, "-NOPERM ") {
			t.Errorf("%v: %q", words, got)
		}
	}
}

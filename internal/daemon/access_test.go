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
		{secure, "\x15\x03\x01\x00\x02\x02\x50"}, // an alert
		{beta, "\x15\x03\x01\x00\x02\x02\x50"},
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

// A pool is for reading alone if its default user is, as SECURITY.md says.
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

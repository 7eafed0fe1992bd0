package daemon

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
)

const balancerLine = "PROXY TCP4 203.0.113.7 10.0.0.5 51234 6379\r\n"

// ask sends a request and returns what comes.
func ask(t *testing.T, c io.ReadWriter, words ...string) string {
	t.Helper()
	if _, err := c.Write(testkit.RESP(words...)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

// A client behind a load balancer is known by its own address: in CLIENT LIST, in the slow
// log and in the log, with TLS behind the header and without. A pool that it asks for by name
// judges that address.
func TestBehindBalancer(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Pair("alpha.example")
	other, otherKey := a.Pair("beta.example")
	plain, secure, beta := testkit.FreeAddr(t), testkit.FreeAddr(t), testkit.FreeAddr(t)
	socket := t.TempDir() + "/s"
	s := startStageWith(t, pool("alpha", plain, testkit.Names(server), "proxy_protocol_from: 127.0.0.0/8", tlsLines(cert, key, "listen: \""+secure+"\""))+
		pool("beta", beta, testkit.Names(server), "allow_from: 198.51.100.0/24", tlsLines(other, otherKey, "server_names: beta.example"))+
		pool("gamma", socket, testkit.Names(server), "proxy_protocol_from: unix"),
		"  slowlog_slower_than: 0\n")

	for _, at := range []string{plain, secure} {
		var c net.Conn = dialFrom(t, "127.0.0.1", at)
		if _, err := io.WriteString(c, balancerLine); err != nil {
			t.Fatal(err)
		}
		if at == secure {
			conf := trusting(t, a)
			conf.ServerName = "alpha.example"
			c = tls.Client(c, conf)
		}
		if got := ask(t, c, "CLIENT", "INFO"); !strings.Contains(got, " addr=203.0.113.7:51234 ") {
			t.Errorf("CLIENT INFO: %q", got)
		}
		ask(t, c, "SET", "k", "v")
		if got := ask(t, c, "SLOWLOG", "GET", "1"); !strings.Contains(got, "203.0.113.7:51234") {
			t.Errorf("SLOWLOG: %q", got)
		}
		if _, err := io.WriteString(c, "*x\r\n"); err != nil { // an offence, which is logged
			t.Fatal(err)
		}
		if _, err := io.ReadAll(c); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	awaitTrue(t, "a line in the log with both addresses", func() bool {
		text, err := os.ReadFile(s.opts.LogFile)
		return err == nil && strings.Contains(string(text), "peer=203.0.113.7:51234 via=127.0.0.1:")
	})
	u, err := (&net.Dialer{}).DialContext(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if _, err := io.WriteString(u, balancerLine); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, u, "CLIENT", "INFO"); !strings.Contains(got, " addr=203.0.113.7:51234 ") {
		t.Errorf("CLIENT INFO of a client behind a unix socket: %q", got)
	}

	byName := func(line string) error {
		conf := trusting(t, a)
		conf.ServerName = "beta.example"
		raw := dialFrom(t, "127.0.0.1", secure)
		if _, err := io.WriteString(raw, line); err != nil {
			return err
		}
		c := tls.Client(raw, conf)
		if _, err := io.WriteString(c, "PING\r\n"); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, len("+PONG\r\n")))
		return err
	}
	if err := byName(strings.Replace(balancerLine, "203.0.113.7", "198.51.100.3", 1)); err != nil {
		t.Errorf("a client whose address beta lets in: %v", err)
	}
	if err := byName(balancerLine); err == nil {
		t.Error("beta lets in a client by its load balancer's address")
	}
	if err := byName(""); err == nil {
		t.Error("a load balancer is served without a header")
	}
}

// A crowd that sends half a header takes no place of clients for long, and a client beside it
// is served.
func TestHalfHeaders(t *testing.T) {
	const crowd = 500
	server := testkit.StartRedis(t)
	listen := testkit.FreeAddr(t)
	s := startStage(t, pool("alpha", listen, testkit.Names(server), "proxy_protocol_from: 127.0.0.2", "proxy_protocol_timeout: 1s", "backlog: 4096"))
	beside := testkit.Dial(t, testkit.Redis, listen)
	var all []*net.TCPConn
	for range crowd {
		c := dialFrom(t, "127.0.0.2", listen)
		if _, err := io.WriteString(c, balancerLine[:20]); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if got := beside.Do("PING"); got != "+PONG\r\n" {
		t.Errorf("the client beside them: %q", got)
	}
	for _, c := range all {
		if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "-ERR a valid PROXY header") {
			t.Fatalf("%q, %v", got, err)
		}
	}
	awaitTrue(t, "them to be counted no more", func() bool { return s.current.Load().topo[0].Clients() == 1 })
	sum := s.Snapshot().Pools[0]
	if n := sum.Vectors[stats.RefusedClients][msg.BadHeader]; n != crowd {
		t.Errorf("%d are counted as refused, %d were", n, crowd)
	}
	if n := sum.Values[stats.ProxyHeadersWaiting]; n != 0 {
		t.Errorf("%d headers are waited for", n)
	}
}

// A reload makes a header wanted, or no longer, of those that come.
func TestReloadOfBalancers(t *testing.T) {
	server := testkit.StartRedis(t)
	listen := testkit.FreeAddr(t)
	text := func(lines ...string) string { return pool("alpha", listen, testkit.Names(server), lines...) }
	s := startStage(t, text())
	before := testkit.Dial(t, testkit.Redis, listen)
	before.Do("PING")
	half := func() *net.TCPConn {
		c := dialFrom(t, "127.0.0.1", listen)
		if _, err := io.WriteString(c, balancerLine[:9]); err != nil {
			t.Fatal(err)
		}
		return c
	}
	s.mustReload(text("proxy_protocol_from: 127.0.0.1"))
	begun := half()
	awaitTrue(t, "the header to be waited for", func() bool { return s.Snapshot().Pools[0].Values[stats.ProxyHeadersWaiting] == 1 })
	s.mustReload(text("deny_from: 198.51.100.0/24"))
	if got := before.Do("PING"); got != "+PONG\r\n" {
		t.Errorf("a client from before: %q", got)
	}
	if _, err := fmt.Fprintf(begun, "%sPING\r\n", balancerLine[9:]); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(begun, make([]byte, len("+PONG\r\n"))); err != nil {
		t.Errorf("a header that was begun before the reload: %v", err)
	}
	if got := testkit.Dial(t, testkit.Redis, listen).Do("PING"); got != "+PONG\r\n" {
		t.Errorf("without a header: %q", got)
	}
	s.mustReload(text("proxy_protocol_from: 127.0.0.1"))
	last := half()
	awaitTrue(t, "the header to be waited for", func() bool { return s.Snapshot().Pools[0].Values[stats.ProxyHeadersWaiting] == 1 })
	s.mustReload(pool("beta", testkit.FreeAddr(t), testkit.Names(server)))
	if _, err := io.WriteString(last, balancerLine[9:]); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(last); err != nil {
		t.Errorf("a header of a pool that is gone: %v", err)
	}
	awaitTrue(t, "it to be counted no more", func() bool { return s.identity.Limits().Clients() == 0 })
}

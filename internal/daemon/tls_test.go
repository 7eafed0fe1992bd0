package daemon

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"nuthatch/internal/events"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
	"nuthatch/internal/topology"
)

// tlsLines are those of a pool that speaks TLS with its clients.
func tlsLines(cert, key string, more ...string) string {
	return "tls: {" + strings.Join(append([]string{"cert: " + cert, "key: " + key}, more...), ", ") + "}"
}

// awaitTrue waits until cond holds.
func awaitTrue(t *testing.T, what string, cond func() bool) {
	t.Helper()
	testkit.Await(t, what, func() error {
		if !cond() {
			return errors.New("not yet")
		}
		return nil
	})
}

// trusting is a client's configuration.
func trusting(t *testing.T, a *testkit.Authority) *tls.Config {
	t.Helper()
	return &tls.Config{RootCAs: a.Roots(), ServerName: "localhost"}
}

// A tlsClient speaks Redis over TLS.
type tlsClient struct {
	t    *testing.T
	conn *tls.Conn
	in   *bufio.Reader
}

func dialTLS(t *testing.T, addr string, c *tls.Config) *tlsClient {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", addr, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &tlsClient{t, conn, bufio.NewReader(conn)}
}

// do sends a command and returns a reply without its end: of a bulk the bytes.
func (c *tlsClient) do(words ...string) string {
	c.t.Helper()
	if _, err := c.conn.Write(testkit.RESP(words...)); err != nil {
		c.t.Fatal(err)
	}
	return c.reply()
}

func (c *tlsClient) reply() string {
	c.t.Helper()
	line, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	line = strings.TrimSuffix(line, "\r\n")
	var n int
	if _, err := fmt.Sscanf(line, "$%d", &n); err != nil || n < 0 {
		return line
	}
	body := make([]byte, n+2)
	if _, err := io.ReadFull(c.in, body); err != nil {
		c.t.Fatal(err)
	}
	return string(body[:n])
}

// Clients with TLS are served as others are, in either version, with requests and replies
// of any size.
func TestTLSClients(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	listen := testkit.FreeAddr(t)
	s := startStage(t, pool("alpha", listen, testkit.Names(server), tlsLines(cert, key)))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		conf := trusting(t, a)
		conf.MinVersion, conf.MaxVersion = version, version
		conf.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for again := range 2 {
			c := dialTLS(t, listen, conf)
			if got := c.do("PING"); got != "+PONG" {
				t.Fatalf("PING: %q", got)
			}
			if resumed := c.conn.ConnectionState().DidResume; resumed != (again == 1) {
				t.Errorf("%x: resumed: %t, the %d. time", version, resumed, again+1)
			}
			for _, n := range []int{0, 1, 1000, 16 << 10, 100_000, 5 << 20} {
				value := strings.Repeat("v", n)
				if got := c.do("SET", "k", value); got != "+OK" {
					t.Fatalf("SET of %d: %q", n, got)
				}
				if got := c.do("GET", "k"); got != value {
					t.Fatalf("GET of %d: %d bytes", n, len(got))
				}
			}
			var many bytes.Buffer
			for i := range 1000 {
				many.Write(testkit.RESP("SET", fmt.Sprint("key", i), fmt.Sprint("value", i)))
				many.Write(testkit.RESP("GET", fmt.Sprint("key", i)))
			}
			go func() { _, _ = c.conn.Write(many.Bytes()) }()
			for i := range 1000 {
				if a, b := c.reply(), c.reply(); a != "+OK" || b != fmt.Sprint("value", i) {
					t.Fatalf("%d of a pipeline: %q, %q", i, a, b)
				}
			}
			name := map[uint16]string{tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"}[version]
			if got := c.do("CLIENT", "LIST"); !strings.Contains(got, " tls="+name) {
				t.Errorf("CLIENT LIST says %q", got)
			}
			if got := c.do("QUIT"); got != "+OK" {
				t.Errorf("QUIT: %q", got)
			}
			if _, err := c.in.ReadByte(); err != io.EOF {
				t.Errorf("at the end: %v, want the end of the stream in TLS's own words", err)
			}
		}
	}
	got := s.Snapshot().Pools[0].Values
	if got[stats.TLSHandshakes] != 4 || got[stats.TLSResumed] != 2 || got[stats.TLSFailures] != 0 {
		t.Errorf("%d handshakes, %d resumed, %d failed; want 4, 2, 0", got[stats.TLSHandshakes], got[stats.TLSResumed], got[stats.TLSFailures])
	}
	if until := time.UnixMicro(got[stats.CertificateUntil]); time.Until(until) <= 0 || time.Until(until) > time.Hour {
		t.Errorf("the certificate ends at %v", until)
	}
}

// Who does not speak TLS where he should, or speaks it where he should not, is told, and so
// is he of whose handshake nothing comes.
func TestTLSMisunderstood(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	secure, plain := testkit.FreeAddr(t), testkit.FreeAddr(t) // pools stand in the order of their names, the shortest first
	s := startStageWith(t, pool("alpha", secure, testkit.Names(server), tlsLines(cert, key))+pool("beta", plain, testkit.Names(server)),
		"  tls_handshake_timeout: 300ms\n")
	c := testkit.Dial(t, testkit.Redis, secure)
	c.Send(testkit.RESP("PING"))
	if got := c.ExpectEnd(); got != "-ERR this port needs TLS\r\n" {
		t.Errorf("a client without TLS gets %q", got)
	}
	_, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", plain, trusting(t, a))
	if err == nil {
		t.Error("a port without TLS speaks it")
	}
	const alert = "\x15\x03\x01\x00\x02\x02\x50" // 80, internal_error: the time was over
	silent := testkit.Dial(t, testkit.Redis, secure)
	if got := silent.ExpectEnd(); got != alert {
		t.Errorf("a client that says nothing gets %q", got)
	}
	half := testkit.Dial(t, testkit.Redis, secure)
	half.Send([]byte("\x16\x03\x01\x02\x00\x01"))
	if got := half.ExpectEnd(); got != alert {
		t.Errorf("a client that says half a hello gets %q", got)
	}
	awaitTrue(t, "the failures", func() bool { return s.Snapshot().Pools[1].Values[stats.TLSFailures] == 3 })
	if got := s.Snapshot().Pools[1].Vectors[stats.ClosedClients][msg.TLSFailed]; got != 3 {
		t.Errorf("%d clients are closed for TLS, want 3", got)
	}
	if got := s.Snapshot().Pools[0].Vectors[stats.ClosedClients][msg.NotProtocol]; got != 1 {
		t.Errorf("%d clients of the other port sent what is no request, want 1", got)
	}
}

// Garbage behind the handshake ends that client alone.
func TestTLSGarbage(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	listen := testkit.FreeAddr(t)
	startStage(t, pool("alpha", listen, testkit.Names(server), tlsLines(cert, key)))
	other := dialTLS(t, listen, trusting(t, a))
	for _, garbage := range []string{
		"garbage", "\x17\x03\x03\x00\x10" + strings.Repeat("x", 16), "\x17\x03\x03\xff\xff", "\x15\x03\x03\x00\x02\x02\x28", "\x16\x03\x03\x00\x04\x00\x00\x00\x00",
	} {
		raw, err := net.Dial("tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		c := tls.Client(raw, trusting(t, a))
		if _, err := c.Write(testkit.RESP("PING")); err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Write([]byte(garbage)); err != nil {
			t.Fatal(err)
		}
		_ = raw.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.Copy(io.Discard, raw); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("after %.20q: %v", garbage, err)
		}
		raw.Close()
		if got := other.do("PING"); got != "+PONG" {
			t.Fatalf("after %.20q another client gets %q", garbage, got)
		}
	}
}

// A drip is a connection that writes a byte at a time.
type drip struct{ net.Conn }

func (d drip) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := d.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// Records may come byte by byte, the handshake included, and a client that says no more
// hears the rest.
func TestTLSDrips(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	listen := testkit.FreeAddr(t)
	startStage(t, pool("alpha", listen, testkit.Names(server), tlsLines(cert, key)))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		raw, err := net.Dial("tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		conf := trusting(t, a)
		conf.MinVersion, conf.MaxVersion = version, version
		conn := tls.Client(drip{raw}, conf)
		t.Cleanup(func() { conn.Close() })
		value := strings.Repeat("v", 3000)
		text := append(testkit.RESP("SET", "k", value), testkit.RESP("GET", "k")...)
		if _, err := conn.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		if want := "+OK\r\n" + testkit.Bulk(value); err != nil || string(got) != want {
			t.Errorf("%x: %d bytes, %v; want %d", version, len(got), err, len(want))
		}
	}
}

// Clients may have to show a certificate.
func TestTLSClientCertificates(t *testing.T) {
	server, a, stranger := testkit.StartRedis(t), testkit.NewAuthority(t), testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	for _, tt := range []struct {
		demand              string
		none, own, stranger bool
	}{{"required", false, true, false}, {"optional", true, true, false}} {
		listen := testkit.FreeAddr(t)
		startStage(t, pool("alpha", listen, testkit.Names(server), tlsLines(cert, key, "client_ca: "+a.CA, "client_cert: "+tt.demand)))
		for who, want := range map[string]bool{"none": tt.none, "own": tt.own, "stranger": tt.stranger} {
			conf := trusting(t, a)
			if who != "none" {
				by := map[string]*testkit.Authority{"own": a, "stranger": stranger}[who]
				pair, err := tls.LoadX509KeyPair(by.Pair("client"))
				if err != nil {
					t.Fatal(err)
				}
				conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
			}
			conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", listen, conf)
			if err == nil {
				_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
				_, _ = conn.Write(testkit.RESP("PING"))
				_, err = conn.Read(make([]byte, 100))
				conn.Close()
			}
			if (err == nil) != want {
				t.Errorf("%s, certificate %s: %v", tt.demand, who, err)
			}
		}
	}
}

// redisTLS starts a redis-server that speaks TLS too, and returns its line in a pool.
func redisTLS(t *testing.T, a *testkit.Authority, args ...string) (server *testkit.Server, entry string) {
	t.Helper()
	cert, key := a.Pair("redis")
	addr := testkit.FreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	server = testkit.StartRedis(t, append([]string{
		"--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", a.CA, "--tls-auth-clients", "no",
	}, args...)...)
	return server, testkit.Entry(addr, 1, "one")
}

// Servers are spoken to with TLS, by requests, health checks and questions, and their
// certificates are looked at.
func TestTLSServers(t *testing.T) {
	a, stranger := testkit.NewAuthority(t), testkit.NewAuthority(t)
	server, entry := redisTLS(t, a)
	own, ownKey := a.Pair("nuthatch")
	_, strict := redisTLS(t, a, "--tls-auth-clients", "yes")
	for name, tt := range map[string]struct {
		entry, lines string
		well         bool
	}{
		"signed":          {entry, "{ca: " + a.CA + "}", true},
		"by another":      {entry, "{ca: " + stranger.CA + "}", false},
		"by the system":   {entry, "{ca: system}", false},
		"not looked at":   {entry, "{verify: none}", true},
		"named":           {entry, "{ca: " + a.CA + ", server_name: redis}", true},
		"of another name": {entry, "{ca: " + a.CA + ", server_name: elsewhere}", false},
		"no TLS there":    {server.Entry("one"), "{ca: " + a.CA + "}", false},
		"no TLS here":     {entry, "", false},
		"shown our own":   {strict, "{ca: " + a.CA + ", cert: " + own + ", key: " + ownKey + "}", true},
		"not shown any":   {strict, "{ca: " + a.CA + "}", false},
	} {
		t.Run(name, func(t *testing.T) {
			listen := testkit.FreeAddr(t)
			lines := []string{"timeout: 5000", "health_check: {interval: 50ms, timeout: 5s, fall: 1, rise: 1}"}
			if tt.lines != "" {
				lines = append(lines, "server_tls: "+tt.lines)
			}
			s := startStage(t, pool("alpha", listen, []string{tt.entry}, lines...))
			c := testkit.Dial(t, testkit.Redis, listen)
			got := c.Do("SET", "k", strings.Repeat("v", 100_000))
			if (got == "+OK\r\n") != tt.well {
				t.Errorf("SET: %q", got)
			}
			awaitTrue(t, "the checks", func() bool {
				checks := s.Snapshot().Pools[0].Servers[0].Values[stats.FailedChecks]
				return (checks > 0) != tt.well || !tt.well && checks > 0
			})
			v := s.Snapshot().Pools[0].Servers[0].Values
			if !tt.well {
				// A server that is not shown a certificate finds that out when our side of
				// the handshake is over, and may reset the connection: then its alert is lost.
				if tt.lines != "" && name != "no TLS there" && name != "not shown any" && v[stats.ServerTLSFailures] == 0 {
					t.Errorf("no failure of TLS is counted; SET: %q", got)
				}
				return
			}
			if v[stats.ServerTLSHandshakes] == 0 || v[stats.FailedChecks] > 0 || s.current.Load().topo[0].Servers()[0].State().State != topology.Up {
				t.Errorf("%d handshakes, %d failed checks", v[stats.ServerTLSHandshakes], v[stats.FailedChecks])
			}
			if got := c.Do("GET", "k"); got != testkit.Bulk(strings.Repeat("v", 100_000)) {
				t.Errorf("GET: %d bytes", len(got))
			}
			if got := c.Do("INFO", "servers"); strings.Contains(got, "redis_version:\r\n") {
				t.Errorf("INFO: %q", got)
			}
		})
	}
}

// Certificates whose files change are used from then on, and those that cannot be are not.
func TestTLSCertificatesChange(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	listen := testkit.FreeAddr(t)
	text := pool("alpha", listen, testkit.Names(server), tlsLines(cert, key))
	s := startStage(t, text)
	shown := func() string {
		return dialTLS(t, listen, trusting(t, a)).conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	stays := dialTLS(t, listen, trusting(t, a))
	first := shown()
	a.Pair("proxy")
	awaitTrue(t, "the new certificate", func() bool { return shown() != first })
	second := shown()
	if err := os.WriteFile(key, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	awaitTrue(t, "that the key is no good", func() bool { return s.Events().LatestOf(events.CertificatesRefused) != nil })
	if got := shown(); got != second {
		t.Errorf("the certificate is %s, want the one before, %s", got, second)
	}
	refused := func(why string) {
		t.Helper()
		s.mustReload(text)
		if e := s.Events().LatestOf(events.CertificatesRefused); !strings.Contains(e.Text, why) || e.Pool != "alpha" {
			t.Errorf("after a reload the event is %v, want %q in it", e, why)
		}
		if got := shown(); got != second {
			t.Errorf("after a reload the certificate is %s, want the one before, %s", got, second)
		}
	}
	refused("proxy.key")
	a.Issue("proxy", time.Now().Add(-time.Minute))
	refused("has expired")
	a.IssueFrom("proxy", time.Now().Add(time.Hour))
	refused("is not valid yet")
	a.Pair("proxy")
	s.mustReload(text)
	if got := shown(); got == second {
		t.Error("a reload does not read the certificate")
	}
	if got := stays.do("PING"); got != "+PONG" {
		t.Errorf("a client from before gets %q", got)
	}
	s.mustReload(pool("alpha", listen, testkit.Names(server)))
	if got := testkit.Dial(t, testkit.Redis, listen).Do("PING"); got != "+PONG\r\n" {
		t.Errorf("a client without TLS, which the pool speaks no more, gets %q", got)
	}
	if got := stays.do("PING"); got != "+PONG" {
		t.Errorf("a client from before gets %q", got)
	}
}

// Many clients that come at once are all served, or closed in time.
func TestTLSCrowd(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	listen := testkit.FreeAddr(t)
	s := startStageWith(t, pool("alpha", listen, testkit.Names(server), tlsLines(cert, key)), "  tls_handshakes: 3\n  tls_handshake_timeout: 1m\n")
	var all sync.WaitGroup
	conf := trusting(t, a)
	for range 100 {
		all.Go(func() {
			conn, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Minute}, "tcp", listen, conf)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			_, _ = conn.Write(testkit.RESP("PING"))
			b := make([]byte, 7)
			if _, err := io.ReadFull(conn, b); err != nil || string(b) != "+PONG\r\n" {
				t.Errorf("%q, %v", b, err)
			}
			if n, _ := s.certificates.handshakes.UnderWay(); n > 3 {
				t.Errorf("%d handshakes are under way, want at most 3", n)
			}
		})
	}
	all.Wait()
	awaitTrue(t, "that nobody shakes hands", func() bool {
		n, waiting := s.certificates.handshakes.UnderWay()
		return n+waiting == 0
	})
}

// The programs that users have are served.
func TestTLSPrograms(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	listen := testkit.FreeAddr(t)
	startStage(t, pool("alpha", listen, testkit.Names(server), tlsLines(cert, key)))
	host, port, _ := net.SplitHostPort(listen)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "redis-cli", "--tls", "--cacert", a.CA, "-h", host, "-p", port, "SET", "k", "v").CombinedOutput()
	if err != nil || string(out) != "OK\n" {
		t.Errorf("redis-cli: %q, %v", out, err)
	}
	openssl := exec.CommandContext(ctx, "openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", a.CA, "-connect", listen)
	openssl.Stdin = bytes.NewReader(append(testkit.RESP("GET", "k"), testkit.RESP("QUIT")...))
	out, err = openssl.Output()
	if err != nil || string(out) != "$1\r\nv\r\n+OK\r\n" {
		t.Errorf("openssl: %q, %v", out, err)
	}
}

// A Memcached pool speaks TLS as well.
func TestTLSMemcached(t *testing.T) {
	server, a := testkit.StartMemcached(t), testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	listen := testkit.FreeAddr(t)
	startStage(t, testkit.Pool{Name: "alpha", Listen: listen, Protocol: testkit.Memcache, Servers: testkit.Names(server), Lines: []string{tlsLines(cert, key)}}.String())
	c := dialTLS(t, listen, trusting(t, a))
	if _, err := io.WriteString(c.conn, "set k 0 0 1\r\nv\r\nget k\r\n"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"STORED", "VALUE k 0 1", "v", "END"} {
		if got := c.reply(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	plain := testkit.Dial(t, testkit.Memcache, listen)
	plain.Send([]byte("version\r\n"))
	if got := plain.ExpectEnd(); got != "SERVER_ERROR this port needs TLS\r\n" {
		t.Errorf("a client without TLS gets %q", got)
	}
}

// A client may change its keys on the way. One that wants to negotiate anew, which TLS 1.2
// has and nuthatch does not, is refused, and nobody else is concerned.
func TestTLSOnTheWay(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	listen := testkit.FreeAddr(t)
	startStage(t, pool("alpha", listen, testkit.Names(server), tlsLines(cert, key)))
	for _, tt := range []struct {
		version, order, tells string
		goesOn                bool
	}{{"-tls1_3", "K", "KEYUPDATE", true}, {"-tls1_3", "k", "KEYUPDATE", true}, {"-tls1_2", "R", "RENEGOTIATING", false}} {
		ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
		t.Cleanup(cancel)
		openssl := exec.CommandContext(ctx, "openssl", "s_client", tt.version, "-CAfile", a.CA, "-connect", listen)
		in, err := openssl.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := openssl.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		openssl.Stderr = openssl.Stdout
		if err := openssl.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		// says writes a line, and waits for one that begins so.
		says := func(what, answer string) bool {
			if _, err := io.WriteString(in, what+"\n"); err != nil {
				return false
			}
			for {
				line, err := lines.ReadString('\n')
				switch {
				case strings.HasPrefix(line, answer):
					return true
				case err != nil:
					return false
				}
			}
		}
		if !says("PING", "+PONG") || !says(tt.order, tt.tells) {
			t.Fatal("no answer")
		}
		goesOn := says("PING", "+PONG")
		goesOn = says("PING", "+PONG") && goesOn
		if goesOn != tt.goesOn {
			t.Errorf("%s, %s: goes on: %t, want %t", tt.version, tt.order, goesOn, tt.goesOn)
		}
		in.Close()
		_ = openssl.Wait() // how it ends does not matter
	}
	if got := dialTLS(t, listen, trusting(t, a)).do("PING"); got != "+PONG" {
		t.Errorf("another client gets %q", got)
	}
}

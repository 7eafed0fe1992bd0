package daemon

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/eventloop"
	"nuthatch/internal/events"
	"nuthatch/internal/socket"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
	"nuthatch/internal/topology"
)

// A pool may listen at a second port for TLS, which comes, moves and goes by a reload
// while the clients of the first one stay.
func TestTLSSecondPort(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	plain, first, second := testkit.FreeAddr(t), testkit.FreeAddr(t), testkit.FreeAddr(t)
	text := func(listen string) string {
		if listen == "" {
			return pool("alpha", plain, testkit.Names(server))
		}
		return pool("alpha", plain, testkit.Names(server), tlsLines(cert, key, "listen: \""+listen+"\""))
	}
	s := startStage(t, text(first))
	c := testkit.Dial(t, testkit.Redis, plain)
	if got := c.Do("SET", "k", "v"); got != "+OK\r\n" {
		t.Fatalf("without TLS: %q", got)
	}
	secured := dialTLS(t, first, trusting(t, a))
	if got := secured.do("GET", "k"); got != "v" {
		t.Fatalf("with TLS: %q", got)
	}
	if got := secured.do("CLIENT", "LIST"); strings.Count(got, " tls=") != 1 || strings.Count(got, "id=") != 2 {
		t.Errorf("CLIENT LIST: %q", got)
	}
	s.mustReload(text(second))
	if got := dialTLS(t, second, trusting(t, a)).do("GET", "k"); got != "v" {
		t.Errorf("where it has moved to: %q", got)
	}
	if conn, err := net.Dial("tcp", first); err == nil {
		conn.Close()
		t.Error("somebody listens where it was")
	}
	s.mustReload(text(""))
	if conn, err := net.Dial("tcp", second); err == nil {
		conn.Close()
		t.Error("somebody listens with TLS")
	}
	if got := c.Do("GET", "k"); got != testkit.Bulk("v") {
		t.Errorf("the client without TLS: %q", got)
	}
	if got := secured.do("GET", "k"); got != "v" {
		t.Errorf("the client with TLS from before: %q", got)
	}
	s.mustReload(text(first))
	if got := dialTLS(t, first, trusting(t, a)).do("GET", "k"); got != "v" {
		t.Errorf("where it is again: %q", got)
	}
}

// A client is shown the certificate that has the name that it asks for.
func TestTLSNames(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Pair("first.example")
	other, otherKey := a.Pair("other.example")
	listen := testkit.FreeAddr(t)
	startStage(t, pool("alpha", listen, testkit.Names(server),
		tlsLines(cert, key, "certs: [{cert: "+other+", key: "+otherKey+"}]")))
	for name, want := range map[string]string{"first.example": "first.example", "other.example": "other.example", "localhost": "first.example", "": "first.example"} {
		conf := trusting(t, a)
		if conf.ServerName = name; name == "" { // no name is asked for
			conf.InsecureSkipVerify = true
		}
		conn := dialTLS(t, listen, conf).conn
		if got := conn.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("asked for %q it shows %s, want %s", name, got, want)
		}
	}
}

// Two proxies with one file of keys resume each other's sessions, and a file that changes
// counts from then on.
func TestTLSTicketKeysShared(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	file := filepath.Join(t.TempDir(), "keys")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	one, two := strings.Repeat("1", 64)+"\n", strings.Repeat("2", 64)+"\n"
	write(one)
	var listens []string
	var s *stage
	for range 2 {
		listen := testkit.FreeAddr(t)
		listens = append(listens, listen)
		s = startStageWith(t, pool("alpha", listen, testkit.Names(server), tlsLines(cert, key)), "  admin: off\n  tls_ticket_keys_file: "+file+"\n")
	}
	conf := trusting(t, a)
	conf.MaxVersion = tls.VersionTLS12 // the session is there when the handshake is over
	// A session's key is the server's name, so that it is offered at either address.
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	resumed := func(listen string) bool {
		c := dialTLS(t, listen, conf)
		c.do("PING")
		return c.conn.ConnectionState().DidResume
	}
	if resumed(listens[0]) || !resumed(listens[1]) || !resumed(listens[0]) {
		t.Error("a session is not resumed at the other proxy")
	}
	write(two + one)
	awaitTrue(t, "the new key", func() bool { // tickets of the old key are good as long as it stands there
		return len(s.certificates.tickets.Shared()) == 2
	})
	if !resumed(listens[1]) {
		t.Error("a session of the key before is not resumed")
	}
	write("nonsense")
	awaitTrue(t, "that the file is no good", func() bool { return s.Events().LatestOf(events.CertificatesRefused) != nil })
	if !resumed(listens[1]) {
		t.Error("without a good file, sessions are not resumed")
	}
	if _, err := s.Reload("test"); err == nil || !strings.Contains(err.Error(), "tls_ticket_keys_file") {
		t.Errorf("a reload with a file that is no good: %v", err)
	}
}

// The keys of tickets go to the next program as the sockets do.
func TestTicketKeysHandedOver(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	s := startStage(t, pool("alpha", testkit.FreeAddr(t), testkit.Names(server), tlsLines(cert, key)))
	files, err := s.certificates.file(nil)
	if err != nil {
		t.Fatal(err)
	}
	old, next := talk(t)
	go func() {
		_ = socket.Pass(old, files)
		for _, f := range files {
			f.Close()
		}
	}()
	in := &inherited{sockets: map[string]*eventloop.ListenSocket{}, from: newPredecessor(next, len(files))}
	go func() { // "sockets"
		_, _ = old.Read(make([]byte, len(saySockets)))
	}()
	taken, err := in.from.takeSockets()
	if err != nil {
		t.Fatal(err)
	}
	if err := in.add(taken); err != nil || in.keys == nil || len(in.sockets) != 0 {
		t.Fatalf("of the file of keys comes %v, %v, and sockets %v", in.keys, err, in.sockets)
	}
	taker := newCertificates(s.core)
	taker.take(in)
	want, err := s.certificates.tickets.Hand()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := taker.tickets.Hand(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is taken, %v, want %s", got, err, want)
	}
}

// The admin listener speaks TLS where it is configured, from a reload on, and then nothing
// else.
func TestAdminTLS(t *testing.T) {
	a := testkit.NewAuthority(t)
	cert, key := a.Pair("admin")
	own, ownKey := a.Pair("operator")
	admin := testkit.FreeAddr(t)
	text := pool("alpha", testkit.FreeAddr(t), []string{"127.0.0.1:1:1 a"})
	s := startStageWith(t, text, "  admin: "+admin+"\n")
	ask := func(scheme string, conf *tls.Config) (int, error) {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}, Timeout: testkit.Patience}
		answer, err := client.Get(scheme + "://" + admin + "/healthz")
		if err != nil {
			return 0, err
		}
		defer answer.Body.Close()
		_, err = io.Copy(io.Discard, answer.Body)
		return answer.StatusCode, err
	}
	expect := func(scheme string, conf *tls.Config, want int) {
		t.Helper()
		if got, err := ask(scheme, conf); got != want {
			t.Errorf("%s: status %d, %v, want %d", scheme, got, err, want)
		}
	}
	expect("http", nil, http.StatusOK)
	s.process = "  admin: " + admin + "\n  admin_tls: {cert: " + cert + ", key: " + key + "}\n"
	s.mustReload(text)
	expect("https", trusting(t, a), http.StatusOK)
	expect("https", trusting(t, testkit.NewAuthority(t)), 0)
	expect("http", nil, http.StatusBadRequest)
	s.process = "  admin: " + admin + "\n  admin_tls: {cert: " + cert + ", key: " + key + ", client_ca: " + a.CA + ", client_cert: required}\n"
	s.mustReload(text)
	expect("https", trusting(t, a), 0)
	with := trusting(t, a)
	pair, err := tls.LoadX509KeyPair(own, ownKey)
	if err != nil {
		t.Fatal(err)
	}
	with.Certificates = []tls.Certificate{pair}
	expect("https", with, http.StatusOK)
	s.process = "  admin: " + admin + "\n"
	s.mustReload(text)
	expect("http", nil, http.StatusOK)
}

// Nobody but root reads the process's memory, unless the configuration allows it.
func TestCoreDumps(t *testing.T) {
	text := pool("alpha", testkit.FreeAddr(t), []string{"127.0.0.1:1:1 a"})
	s := startStage(t, text)
	dumpable := func() int {
		n, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	t.Cleanup(func() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) })
	if got := dumpable(); got != 0 {
		t.Errorf("PR_GET_DUMPABLE: %d, want 0", got)
	}
	s.process = "  core_dumps: true\n"
	s.mustReload(text)
	if got := dumpable(); got != 1 {
		t.Errorf("with core_dumps: %d, want 1", got)
	}
}

// A client for which there is no room hears of it in its own protocol.
func TestTLSRefused(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	listen := testkit.FreeAddr(t)
	startStage(t, pool("alpha", listen, testkit.Names(server), tlsLines(cert, key), "client_connections: 1"))
	first := dialTLS(t, listen, trusting(t, a))
	if got := first.do("PING"); got != "+PONG" {
		t.Fatalf("%q", got)
	}
	_, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", listen, trusting(t, a))
	if err == nil || !strings.Contains(err.Error(), "remote error: tls: internal error") {
		t.Errorf("a client too many gets %v", err)
	}
}

// What is said of TLS in the API has no secrets, and the paths of files only.
func TestTLSConfigShown(t *testing.T) {
	a := testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	s := startStage(t, pool("alpha", testkit.FreeAddr(t), []string{"127.0.0.1:1:1 a"}, tlsLines(cert, key, "certs: [{cert: "+cert+", key: "+key+"}]")))
	text, err := json.Marshal(fmt.Sprintf("%+v", s.current.Load().conf))
	if err != nil || !strings.Contains(string(text), key) || strings.Contains(string(text), "PRIVATE") {
		t.Errorf("%s, %v", text, err)
	}
}

// A Memcached pool speaks TLS with its servers, in requests and in checks.
func TestTLSMemcachedServers(t *testing.T) {
	a := testkit.NewAuthority(t)
	cert, key := a.Pair("memcached")
	addr, listen := testkit.FreeAddr(t), testkit.FreeAddr(t)
	host, port, _ := net.SplitHostPort(addr)
	server := exec.Command(testkit.Program(t, "memcached"), "-u", "root", "-U", "0", "-l", host, "-p", port,
		"-Z", "-o", "ssl_chain_cert="+cert+",ssl_key="+key)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait() // it was killed
	})
	testkit.Await(t, "memcached", func() error {
		conn, err := tls.Dial("tcp", addr, trusting(t, a))
		if err == nil {
			conn.Close()
		}
		return err
	})
	s := startStage(t, testkit.Pool{
		Name: "alpha", Listen: listen, Protocol: testkit.Memcache, Servers: []string{testkit.Entry(addr, 1, "one")},
		Lines: []string{"timeout: 5000", "server_tls: {ca: " + a.CA + "}", "health_check: {interval: 50ms, timeout: 5s, fall: 1, rise: 1}"},
	}.String())
	c := testkit.Dial(t, testkit.Memcache, listen)
	value := strings.Repeat("v", 100_000)
	c.Send([]byte(fmt.Sprintf("set k 0 0 %d\r\n%s\r\n", len(value), value)))
	c.Expect("STORED\r\n")
	c.Send([]byte("get k\r\n"))
	c.Expect(fmt.Sprintf("VALUE k 0 %d\r\n%s\r\nEND\r\n", len(value), value))
	awaitTrue(t, "a handshake of a request and one of a check", func() bool {
		return s.Snapshot().Pools[0].Servers[0].Values[stats.ServerTLSHandshakes] == 1
	})
	if got := s.current.Load().topo[0].Servers()[0].State().State; got != topology.Up {
		t.Errorf("the server is %v", got)
	}
}

// A client that asks for the name of another pool is that pool's: with its certificate, its
// servers, its password, its bounds; and what it is counted for is counted there.
func TestTLSNamesOfPools(t *testing.T) {
	a := testkit.NewAuthority(t)
	cert, key := a.Pair("alpha.example")
	other, otherKey := a.Pair("beta.example")
	one, two := testkit.StartRedis(t), testkit.StartRedis(t)
	one.Dial().Do("SET", "k", "alpha's")
	two.Dial().Do("SET", "k", "beta's")
	listen := testkit.FreeAddr(t)
	text := func(names string) string {
		return pool("alpha", listen, testkit.Names(one), tlsLines(cert, key)) +
			pool("beta", testkit.FreeAddr(t), testkit.Names(two), tlsLines(other, otherKey, "server_names: \""+names+"\""), "redis_auth_file: "+passwordFile(t, "pw"), "client_connections: 1")
	}
	if got := two.Dial().Do("CONFIG", "SET", "requirepass", "pw"); got != "+OK\r\n" {
		t.Fatal(got)
	}
	s := startStage(t, text("beta.example, *.beta.example"))
	ask := func(name string) *tlsClient {
		t.Helper()
		conf := trusting(t, a)
		conf.ServerName = name
		if strings.HasPrefix(name, "x.") { // which no certificate has
			conf.InsecureSkipVerify = true
		}
		return dialTLS(t, listen, conf)
	}
	if got := ask("alpha.example").do("GET", "k"); got != "alpha's" {
		t.Errorf("by its own name: %q", got)
	}
	for _, name := range []string{"beta.example", "x.beta.example"} {
		c := ask(name)
		if got := c.conn.ConnectionState().PeerCertificates[0].Subject.CommonName; got != "beta.example" {
			t.Errorf("%s: the certificate is %s's", name, got)
		}
		if got := c.do("GET", "k"); got != "-NOAUTH Authentication required" {
			t.Errorf("%s: before the login: %q", name, got)
		}
		if got := c.do("AUTH", "pw") + c.do("GET", "k"); got != "+OKbeta's" {
			t.Errorf("%s: %q", name, got)
		}
		awaitTrue(t, "the client to be counted", func() bool {
			all := s.Snapshot().Pools
			return all[0].Values[stats.ClientConnections] == 1 && all[0].Values[stats.TLSHandshakes] > 0
		})
		if name == "beta.example" { // there is no room for a second one
			second := ask(name)
			_ = second.conn.SetDeadline(time.Now().Add(testkit.Patience))
			if _, err := second.in.ReadByte(); err == nil {
				t.Error("a client above the bound hears something")
			}
		}
		c.conn.Close()
		awaitTrue(t, "the client to be gone", func() bool { return s.Snapshot().Pools[0].Values[stats.ClientConnections] == 0 })
	}
	s.mustReload(text("other.example"))
	if got := ask("x.beta.example"); got.do("GET", "k") != "alpha's" {
		t.Error("the name still leads to the other pool behind a reload")
	}
}

func passwordFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A session that was begun with a certificate for one pool opens no other pool, and none at
// all once the pool has other signers, though all tickets have the same keys.
func TestTLSSessionsStayWithTheirSigners(t *testing.T) {
	server, a, one, two := testkit.StartRedis(t), testkit.NewAuthority(t), testkit.NewAuthority(t), testkit.NewAuthority(t)
	cert, key := a.Pair("alpha.example")
	listens := []string{testkit.FreeAddr(t), testkit.FreeAddr(t)}
	text := func(first *testkit.Authority) string {
		return pool("alpha", listens[0], testkit.Names(server), tlsLines(cert, key, "client_ca: "+first.CA, "client_cert: required")) +
			pool("beta", listens[1], testkit.Names(server), tlsLines(cert, key, "client_ca: "+two.CA, "client_cert: required", "server_names: beta.example"))
	}
	s := startStage(t, text(one))
	pair, err := tls.LoadX509KeyPair(one.Pair("client"))
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		conf := trusting(t, a)
		conf.MinVersion, conf.MaxVersion = version, version
		conf.ClientSessionCache = oneSession{tls.NewLRUClientSessionCache(1)}
		conf.Certificates = []tls.Certificate{pair}
		served := func(listen, name string) (bool, bool) {
			c := conf.Clone()
			c.ServerName, c.InsecureSkipVerify = name, name == "beta.example"
			conn, err := tls.DialWithDialer(&net.Dialer{Timeout: testkit.Patience}, "tcp", listen, c)
			if err != nil {
				return false, false
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(testkit.Patience))
			_, _ = conn.Write(testkit.RESP("PING"))
			_, err = io.ReadFull(conn, make([]byte, len("+PONG\r\n")))
			return err == nil, conn.ConnectionState().DidResume
		}
		if ok, _ := served(listens[0], "alpha.example"); !ok {
			t.Fatal("the pool's own client is not served")
		}
		if ok, again := served(listens[0], "alpha.example"); !ok || !again {
			t.Errorf("%x: the pool's own client: served: %t, resumed: %t", version, ok, again)
		}
		for what, to := range map[string][2]string{"at its port": {listens[1], "alpha.example"}, "by its name": {listens[0], "beta.example"}} {
			if ok, _ := served(to[0], to[1]); ok {
				t.Errorf("%x: a session opens the other pool, %s", version, what)
			}
			served(listens[0], "alpha.example") // a new ticket
		}
		s.mustReload(text(two))
		if ok, _ := served(listens[0], "alpha.example"); ok {
			t.Errorf("%x: a session is good though its signer no longer is", version)
		}
		s.mustReload(text(one))
	}
}

// oneSession offers one session to whatever server.
type oneSession struct{ tls.ClientSessionCache }

func (o oneSession) Get(string) (*tls.ClientSessionState, bool) { return o.ClientSessionCache.Get("") }

func (o oneSession) Put(_ string, s *tls.ClientSessionState) {
	if s != nil {
		o.ClientSessionCache.Put("", s)
	}
}

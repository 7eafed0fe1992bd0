package testkit

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// In the variant tls everything that a test starts speaks TLS, and every client of the
// kit's too:
//
//	Client, Connect ──TLS──► nuthatch ──TLS──► Scripted, redis-server, memcached
//	programs ─► Plain ──TLS──► nuthatch
//
// Tests do not know. Unix sockets of servers, and what goes over them, stay as they are.

// tlsVariant is the name of that variant.
const tlsVariant = "tls"

// InTLS reports whether tests run in the variant tls.
func InTLS() bool { return os.Getenv(variantEnv) == tlsVariant }

// speaking has what is known to listen: true if it speaks TLS. The key is a port, or a
// path: no two tests have the same at a time.
var speaking sync.Map

// placeOf is an address's key.
func placeOf(addr string) string {
	if network(addr) == "unix" {
		return addr
	}
	return addr[strings.LastIndexByte(addr, ':')+1:]
}

// speaks notes what listens at an address until the test ends.
func speaks(t testing.TB, addr string, withTLS bool) {
	speaking.Store(placeOf(addr), withTLS)
	t.Cleanup(func() { speaking.Delete(placeOf(addr)) })
}

// speaksTLS reports whether what listens at an address is known to speak TLS.
func speaksTLS(addr string) bool {
	withTLS, known := speaking.Load(placeOf(addr))
	return known && withTLS.(bool)
}

// An identity is what all that tests start shows.
type identity struct {
	// ca, cert and key are in PEM form.
	ca, cert, key []byte
	pair          tls.Certificate
	roots         *x509.CertPool
}

var (
	identified sync.Once
	own        identity
)

func ownIdentity(t testing.TB) *identity {
	t.Helper()
	identified.Do(func() {
		a := NewAuthority(t)
		cert, key := a.Issue("testkit", time.Now().Add(24*time.Hour))
		var errs [4]error
		own.ca, errs[0] = os.ReadFile(a.CA)
		own.cert, errs[1] = os.ReadFile(cert)
		own.key, errs[2] = os.ReadFile(key)
		own.pair, errs[3] = tls.X509KeyPair(own.cert, own.key)
		if err := errors.Join(errs[:]...); err != nil {
			t.Fatal(err)
		}
		own.roots = x509.NewCertPool()
		own.roots.AppendCertsFromPEM(own.ca)
	})
	return &own
}

// tlsFiles writes the files of the identity into a folder of the test's.
func tlsFiles(t testing.TB) (ca, cert, key string) {
	t.Helper()
	id, dir := ownIdentity(t), shortTempDir(t)
	for name, text := range map[string][]byte{"ca.crt": id.ca, "own.crt": id.cert, "own.key": id.key} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "ca.crt"), filepath.Join(dir, "own.crt"), filepath.Join(dir, "own.key")
}

// Connect connects to a server, a proxy or a wire, with TLS if that is what it speaks.
// The handshake goes on by itself; who reads or writes first waits for it.
func Connect(t testing.TB, addr string) (net.Conn, error) {
	t.Helper()
	conn, err := net.DialTimeout(network(addr), addr, Patience)
	if err != nil || !speaksTLS(addr) {
		return conn, err
	}
	secured := tls.Client(conn, &tls.Config{RootCAs: ownIdentity(t).roots, ServerName: "localhost"})
	// An error of the handshake is that of the first read or write.
	go func() { _ = secured.Handshake() }()
	return secured, nil
}

// Raw is the connection below TLS, if there is any.
func Raw(conn net.Conn) net.Conn {
	if secured, ok := conn.(*tls.Conn); ok {
		return secured.NetConn()
	}
	return conn
}

// answering is TLS on a connection that a scripted server has accepted, if it speaks it.
// The handshake is over when it returns; one that fails shows as the end of the
// connection.
func answering(t testing.TB, conn net.Conn) net.Conn {
	t.Helper()
	if !InTLS() {
		return conn
	}
	secured := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{ownIdentity(t).pair}})
	_ = secured.Handshake()
	return secured
}

// Plain is an address at which programs that do not speak TLS reach what listens at addr.
func Plain(t testing.TB, addr string) string {
	t.Helper()
	if !speaksTLS(addr) {
		return addr
	}
	l, err := net.Listen("tcp", FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	speaks(t, l.Addr().String(), false)
	var going sync.WaitGroup
	going.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			far, err := Connect(t, addr)
			if err != nil {
				reset(near)
				continue
			}
			t.Cleanup(func() { _, _ = near.Close(), far.Close() })
			going.Go(func() { carry(near, far) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
	})
	return l.Addr().String()
}

// carry carries bytes both ways until both have ended.
func carry(near, far net.Conn) {
	var both sync.WaitGroup
	pump := func(from, to net.Conn) {
		_, _ = io.Copy(to, from)
		closeWrite(to)
	}
	both.Go(func() { pump(near, far) })
	both.Go(func() { pump(far, near) })
	both.Wait()
	_, _ = near.Close(), far.Close()
}

var (
	poolHead   = regexp.MustCompile(`^([^\s#][^:]*):\s*$`)
	listenKey  = regexp.MustCompile(`^(\s+)listen:\s+"?([^\s"]+)`)
	serverLine = regexp.MustCompile(`^\s*- "?(/\S*?|\S+):\d+(\s|"|$)`)
)

// withTLS has the pools of a configuration speak TLS: with clients, and with servers unless
// some of them are known not to.
func withTLS(t testing.TB, yaml string) string {
	t.Helper()
	ca, cert, key := tlsFiles(t)
	var out strings.Builder
	lines := strings.SplitAfter(yaml, "\n")
	for i := 0; i < len(lines); {
		end := i + 1
		for end < len(lines) && !poolHead.MatchString(strings.TrimRight(lines[end], "\n")) {
			end++
		}
		block := lines[i:end]
		head := poolHead.FindStringSubmatch(strings.TrimRight(lines[i], "\n"))
		if len(head) == 0 || head[1] == "nuthatch" || strings.Contains(strings.Join(block, ""), "tls:") {
			out.WriteString(strings.Join(block, ""))
			i = end
			continue
		}
		for _, line := range block {
			out.WriteString(line)
			if m := listenKey.FindStringSubmatch(line); m != nil {
				out.WriteString(m[1] + "tls: {cert: " + cert + ", key: " + key + "}\n")
				speaks(t, dialable(m[2]), true)
				if serversMay(block) {
					out.WriteString(m[1] + "server_tls: {ca: " + ca + ", server_name: localhost}\n")
				}
			}
		}
		i = end
	}
	return out.String()
}

// serversMay reports whether all servers of a pool may speak TLS: those that nobody has
// started yet will, if they are started.
func serversMay(block []string) bool {
	for _, line := range block {
		m := serverLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if network(m[1]) == "unix" {
			return false
		}
		if withTLS, known := speaking.Load(placeOf(m[1])); known && !withTLS.(bool) {
			return false
		}
	}
	return true
}

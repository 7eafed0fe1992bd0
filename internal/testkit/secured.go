package testkit

import (
	"bufio"
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
//	Client, Connect ──TLS──► nuthatch ──TLS──► Scripted, redis-server
//	programs ─► Plain ──TLS──► nuthatch ─────► memcached, unix sockets
//
// Tests do not know.

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
		cert, key := a.Issue("testkit", time.Now().Add(90*24*time.Hour))
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

// folders has the folder with the files of the identity for each test that uses them.
var folders sync.Map

// tlsFiles are the files of the identity in a folder of the test's.
func tlsFiles(t testing.TB) (ca, cert, key string) {
	t.Helper()
	if there, ok := folders.Load(t); ok {
		dir := there.(string)
		return filepath.Join(dir, "ca.crt"), filepath.Join(dir, "own.crt"), filepath.Join(dir, "own.key")
	}
	id, dir := ownIdentity(t), shortTempDir(t)
	folders.Store(t, dir)
	t.Cleanup(func() { folders.Delete(t) })
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
	secured := &securedConn{over: make(chan struct{}), Conn: tls.Client(conn, &tls.Config{RootCAs: ownIdentity(t).roots, ServerName: "localhost"})}
	go secured.meet()
	return secured, nil
}

// maxEarly is how many bytes a client may write before its handshake is over, as it may
// write into a socket that nobody has accepted.
const maxEarly = 64 << 10

// A securedConn is a client's connection with TLS. What it writes before its handshake is
// over goes out then.
type securedConn struct {
	*tls.Conn
	// over is closed when the handshake is.
	over  chan struct{}
	mu    sync.Mutex
	early []byte
	half  bool // no more is written
}

// meet shakes hands. An error is that of the next read or write.
func (c *securedConn) meet() {
	err := c.Handshake()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && len(c.early) > 0 {
		_, _ = c.Conn.Write(c.early)
	}
	if err == nil && c.half {
		_ = c.end()
	}
	close(c.over)
}

func (c *securedConn) isOver() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}

// Write implements net.Conn.
func (c *securedConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	if !c.isOver() && len(c.early)+len(b) <= maxEarly {
		defer c.mu.Unlock()
		c.early = append(c.early, b...)
		return len(b), nil
	}
	c.mu.Unlock()
	<-c.over
	return c.Conn.Write(b)
}

// CloseWrite says that no more comes, and ends the socket's side.
func (c *securedConn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isOver() {
		c.half = true
		return nil
	}
	return c.end()
}

func (c *securedConn) end() error {
	err := c.Conn.CloseWrite()
	closeWrite(c.NetConn())
	return err
}

// Raw is the connection below TLS, if there is any.
func Raw(conn net.Conn) net.Conn {
	for {
		above, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = above.NetConn()
	}
}

// answering is TLS on a connection that a scripted server has accepted, if the peer speaks it.
// The handshake is over when it returns; one that fails shows as the end of the
// connection.
func answering(t testing.TB, conn net.Conn) net.Conn {
	t.Helper()
	if !InTLS() {
		return conn
	}
	// In a pool with servers that do not speak TLS nobody does.
	peeked := peekedConn{conn, bufio.NewReader(conn)}
	_ = conn.SetReadDeadline(time.Now().Add(firstByte))
	first, err := peeked.in.Peek(1)
	_ = conn.SetReadDeadline(time.Time{})
	if err != nil || first[0] != helloByte {
		return peeked
	}
	secured := tls.Server(peeked, &tls.Config{Certificates: []tls.Certificate{ownIdentity(t).pair}})
	_ = secured.Handshake()
	return secured
}

const (
	// helloByte begins a client's hello, and firstByte is how long that may take to come.
	helloByte = 0x16
	firstByte = time.Second
)

// A peekedConn is a connection of which something was read ahead.
type peekedConn struct {
	net.Conn
	in *bufio.Reader
}

func (c peekedConn) Read(b []byte) (int, error) { return c.in.Read(b) }

// NetConn is the connection itself.
func (c peekedConn) NetConn() net.Conn { return c.Conn }

// Plain is an address at which programs that do not speak TLS reach what listens at addr.
func Plain(t testing.TB, addr string) string {
	t.Helper()
	if !speaksTLS(addr) {
		return addr
	}
	l := listenFree(t)
	speaks(t, l.Addr().String(), false)
	var mu sync.Mutex
	var conns []net.Conn
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
			mu.Lock()
			conns = append(conns, near, far)
			mu.Unlock()
			going.Go(func() { carry(near, far) })
		}
	})
	// What uses them ends before: its clean-up comes later, and runs first.
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		going.Wait()
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
		text := strings.Join(block, "")
		if len(head) == 0 || head[1] == "nuthatch" {
			out.WriteString(text)
			i = end
			continue
		}
		for _, line := range block {
			out.WriteString(line)
			if m := listenKey.FindStringSubmatch(line); m != nil {
				if !strings.Contains(text, " tls:") {
					out.WriteString(m[1] + "tls: {cert: " + cert + ", key: " + key + "}\n")
					speaks(t, dialable(m[2]), true)
				}
				if serversMay(block) && !strings.Contains(text, " server_tls:") {
					out.WriteString(m[1] + "server_tls: {ca: " + ca + ", server_name: localhost}\n")
				}
				if strings.Contains(text, " sentinels:") {
					out.WriteString(m[1] + "sentinel_tls: {ca: " + ca + ", server_name: localhost}\n")
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

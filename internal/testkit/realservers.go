package testkit

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// A Server is a running redis-server or memcached.
type Server struct {
	*Process
	addr     string
	protocol Protocol
}

// Addr is "host:port", or the path of its Unix socket.
func (s *Server) Addr() string { return s.addr }

// Entry is the server's line in a pool's server list: its address with weight
// 1 and the given name, none if name is empty.
func (s *Server) Entry(name string) string { return Entry(s.addr, 1, name) }

// Dial connects a Client to the server itself, past any proxy.
func (s *Server) Dial() *Client {
	s.t.Helper()
	return Dial(s.t, s.protocol, s.addr)
}

// StartRedis starts a redis-server without persistence on a free port; args are
// added to its command line ("--requirepass", "x").
func StartRedis(t testing.TB, args ...string) *Server {
	t.Helper()
	return StartRedisAt(t, FreeAddr(t), args...)
}

// StartRedisUnix is StartRedis on a Unix socket only.
func StartRedisUnix(t testing.TB, args ...string) *Server {
	t.Helper()
	return StartRedisAt(t, SocketPath(t, "redis"), args...)
}

// StartRedisAt is StartRedis on a chosen address: "host:port" or a socket's path.
func StartRedisAt(t testing.TB, addr string, args ...string) *Server {
	t.Helper()
	dir := shortTempDir(t)
	line := []string{"--save", "", "--appendonly", "no", "--dir", dir, "--loglevel", "warning"}
	if network(addr) == "unix" {
		line = append(line, "--port", "0", "--unixsocket", addr)
	} else {
		host, port := splitAddr(t, addr)
		line = append(line, "--bind", host)
		line = append(line, redisPort(t, port, args)...)
	}
	speaks(t, addr, InTLS() && network(addr) == "tcp")
	s := &Server{addr: addr, protocol: Redis}
	s.Process = &Process{
		t: t, name: "redis-server " + addr, path: lookProgram(t, "redis-server"),
		args: append(line, args...), abrupt: true, logs: []string{filepath.Join(dir, "redis.log")},
		// With a password PING gets an error, which also shows that the server is up.
		ready: func() error { return answers(t, addr, "PING\r\n", "+PONG", "-NOAUTH") },
	}
	s.start()
	return s
}

// StartMemcached starts a memcached with 64 MB and one thread on a free port;
// args are added to its command line.
func StartMemcached(t testing.TB, args ...string) *Server {
	t.Helper()
	return StartMemcachedAt(t, FreeAddr(t), args...)
}

// StartMemcachedUnix is StartMemcached on a Unix socket only.
func StartMemcachedUnix(t testing.TB, args ...string) *Server {
	t.Helper()
	return StartMemcachedAt(t, SocketPath(t, "memcached"), args...)
}

// StartMemcachedAt is StartMemcached on a chosen address: "host:port" or a
// socket's path.
func StartMemcachedAt(t testing.TB, addr string, args ...string) *Server {
	t.Helper()
	dir := shortTempDir(t)
	line := []string{"-m", "64", "-t", "1", "-U", "0"}
	if network(addr) == "unix" {
		line = append(line, "-s", addr)
	} else {
		host, port := splitAddr(t, addr)
		line = append(line, "-l", host, "-p", port)
	}
	// With TLS memcached 1.6.18 may leave requests of a pipeline unread: it waits for its
	// socket, and they are in OpenSSL.
	speaks(t, addr, false)
	if os.Getuid() == 0 { // memcached does not run as root without this
		line = append(line, "-u", "root")
	}
	s := &Server{addr: addr, protocol: Memcache}
	s.Process = &Process{
		t: t, name: "memcached " + addr, path: lookProgram(t, "memcached"),
		args: append(line, args...), abrupt: true, logs: []string{filepath.Join(dir, "memcached.log")},
		ready: func() error { return answers(t, addr, "version\r\n", "VERSION") },
	}
	s.start()
	return s
}

// redisPort are the arguments by which a redis-server listens; args are the test's.
func redisPort(t testing.TB, port string, args []string) []string {
	t.Helper()
	if !InTLS() {
		return []string{"--port", port}
	}
	ca, cert, key := tlsFiles(t)
	line := []string{
		"--port", "0", "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", ca, "--tls-auth-clients", "no",
	}
	if slices.Contains(args, "--replicaof") || slices.Contains(args, "--cluster-enabled") {
		line = append(line, "--tls-replication", "yes")
	}
	if slices.Contains(args, "--cluster-enabled") {
		line = append(line, "--tls-cluster", "yes")
	}
	return line
}

func splitAddr(t testing.TB, addr string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

// answers reports whether a server greets ask with a line that starts with one
// of want.
func answers(t testing.TB, addr, ask string, want ...string) error {
	conn, err := Connect(t, addr)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return fmt.Errorf("deadline: %w", err)
	}
	if _, err := conn.Write([]byte(ask)); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	for _, w := range want {
		if bytes.HasPrefix(line, []byte(w)) {
			return nil
		}
	}
	return fmt.Errorf("it answers %q", line)
}

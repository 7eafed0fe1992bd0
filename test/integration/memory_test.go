package integration

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// maxMemory is what the proxy of a flood is given, and peakMemory what it may
// have had resident at its peak, in bytes.
const (
	maxMemory  = 64 << 20
	peakMemory = maxMemory * 3 / 2
)

// floodTime is how long a flood lasts.
func floodTime() time.Duration {
	if os.Getenv(longEnv) != "" {
		return 20 * time.Second
	}
	return time.Second
}

// megabyte is a value of that size.
var megabyte = strings.Repeat("v", 1<<20)

// tinyKeys is a request for very many keys of one byte: what is known of each of
// them may well be more than its bytes.
var tinyKeys = "*400001\r\n$4\r\nMGET\r\n" + strings.Repeat("$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n", 100_000)

// peak is the most memory that the process has had resident, in bytes.
func peak(t *testing.T, p *testkit.Process) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(b, []byte("VmHWM:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		t.Fatalf("no VmHWM in %s", b)
	}
	n, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

// A mob is client connections of a test that are not testkit's, since what
// becomes of them is no failure.
type mob struct {
	t     *testing.T
	addr  string
	mu    sync.Mutex
	conns []net.Conn
	going sync.WaitGroup
}

func newMob(t *testing.T, addr string) *mob {
	c := &mob{t: t, addr: addr}
	t.Cleanup(c.leave)
	return c
}

// add runs f with a connection of its own, n times at once.
func (c *mob) add(n int, f func(i int, conn net.Conn)) {
	c.t.Helper()
	for i := range n {
		conn, err := testkit.Connect(c.t, c.addr)
		if err != nil {
			c.t.Fatal(err)
		}
		c.mu.Lock()
		c.conns = append(c.conns, conn)
		c.mu.Unlock()
		c.going.Go(func() { f(i, conn) })
	}
}

// leave closes all connections.
func (c *mob) leave() {
	c.mu.Lock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
	c.mu.Unlock()
	c.going.Wait()
}

// pour sends the same request n times, as far as it is taken, and reads nothing.
func pour(request string, n int) func(int, net.Conn) {
	return func(_ int, conn net.Conn) {
		for range n {
			if _, err := io.WriteString(conn, request); err != nil {
				return
			}
		}
	}
}

// A flood is what clients do that are no good, and how many of them.
var floods = map[string]struct {
	clients int
	does    func(int, net.Conn)
}{
	"one that asks for 10,000 megabytes and reads none": {1, pour(string(testkit.RESP("GET", "big")), 10_000)},
	"many that do":                                      {200, pour(string(testkit.RESP("GET", "big")), 10_000)},
	"many that ask for many at a time":                  {50, pour(string(testkit.RESP("MGET", "big", "big2", "big3", "big4")), 10_000)},
	"one that sends 10,000 megabytes and reads nothing": {1, pour(string(testkit.RESP("SET", "big", megabyte)), 10_000)},
	"many that do so":                                   {50, pour(string(testkit.RESP("SET", "big", megabyte)), 200)},
	"many that begin a request": {1000, func(_ int, conn net.Conn) {
		_, _ = io.WriteString(conn, "*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$1048576\r\n"+megabyte[:300_000])
	}},
	"many that ask for hundreds of thousands of tiny keys":     {100, pour(tinyKeys, 100)},
	"many that begin to ask for hundreds of thousands of them": {100, pour(tinyKeys[:len(tinyKeys)-1], 1)},
	"many small requests, and none read":                       {200, pour(strings.Repeat(string(testkit.RESP("GET", "small")), 1000), 1000)},
}

// Whatever floods do, memory stays within its bound, and others are served, with
// small values and large ones.
func TestMemoryUnderFloods(t *testing.T) {
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			servers := []*testkit.Server{testkit.StartRedis(t), testkit.StartRedis(t)}
			proxy := testkit.StartNuthatch(t, testkit.Pool{
				Protocol: testkit.Redis, Servers: testkit.Names(servers...),
			}.String()+"\nnuthatch:\n  threads: 2\n  max_memory: 64mb\n")
			c := proxy.Dial(testkit.Redis)
			for _, key := range []string{"big", "big2", "big3", "big4"} {
				c.Send(testkit.RESP("SET", key, megabyte))
				c.Expect("+OK\r\n")
			}
			bad, clients := newMob(t, proxy.Addr()), flood.clients
			if testkit.InTLS() { // a thousand take more than the bound by themselves
				clients = min(clients, 200)
			}
			bad.add(clients, flood.does)
			var slowest time.Duration
			begin, n := time.Now(), 0
			for ; time.Since(begin) < floodTime(); n++ {
				at := time.Now()
				key := fmt.Sprint("key", n)
				c.Send(append(testkit.RESP("SET", key, key), testkit.RESP("GET", key)...))
				c.Expect("+OK\r\n", testkit.Bulk(key))
				slowest = max(slowest, time.Since(at))
			}
			p := peak(t, proxy.Process)
			t.Logf("peak %d MB, %d rounds, the slowest took %v", p>>20, n, slowest)
			if p > peakMemory {
				t.Errorf("%d bytes were resident, the bound is %d", p, peakMemory)
			}
			bad.leave()
			awaitAlone(t, proxy)
			c.Send(testkit.RESP("GET", "big"))
			c.Expect(testkit.Bulk(megabyte))
		})
	}
}

// awaitAlone waits until the proxy has one client. Those that have left still get their replies,
// since their end says only that they send no more. So there is patience as long as they become
// fewer: their requests keep the servers busy for seconds, and longer beside others.
func awaitAlone(t *testing.T, p *testkit.Proxy) {
	t.Helper()
	clients := func() int64 { return p.Stats().Value("alpha", "client_connections") }
	for n := clients(); n > 1; {
		testkit.Await(t, "clients that have left to be closed", func() error {
			now := clients()
			if now == n {
				return fmt.Errorf("there are %d clients", n)
			}
			n = now
			return nil
		})
	}
}

// Clients that read, and all at once want more than fits, all get all of it. On a busy
// machine one may have no processor for so long that the proxy closes it, by its rules;
// then it begins its round again.
func TestMemoryOfThoseWhoRead(t *testing.T) {
	servers := []*testkit.Server{testkit.StartRedis(t), testkit.StartRedis(t)}
	proxy := testkit.StartNuthatch(t, testkit.Pool{
		Protocol: testkit.Redis, Servers: testkit.Names(servers...),
	}.String()+"\nnuthatch:\n  threads: 2\n  max_memory: 64mb\n")
	const clients, rounds, depth = 60, 3, 5
	var served, closed atomic.Int64
	good := newMob(t, proxy.Addr())
	good.add(clients, func(i int, conn net.Conn) {
		for r := 0; r < rounds; {
			key := fmt.Sprint("key", i)
			value := strings.Repeat(fmt.Sprintf("%04d.%03d.", i, r), 1<<17)
			request := string(testkit.RESP("SET", key, value)) + strings.Repeat(string(testkit.RESP("GET", key)), depth)
			go func() { _, _ = io.WriteString(conn, request) }()
			want := "+OK\r\n" + strings.Repeat(testkit.Bulk(value), depth)
			got := make([]byte, len(want))
			n, err := io.ReadFull(conn, got)
			if string(got[:n]) != want[:n] {
				t.Errorf("client %d, round %d: what came is another's: %.80q", i, r, got)
				return
			}
			if err == nil {
				served.Add(1)
				r++
				continue
			}
			closed.Add(1)
			if conn, err = good.another(); err != nil {
				t.Errorf("client %d, round %d: %v", i, r, err)
				return
			}
		}
	})
	good.going.Wait()
	p := peak(t, proxy.Process)
	t.Logf("peak %d MB, %d rounds, %d begun again", p>>20, served.Load(), closed.Load())
	checkCut(t, proxy, closed.Load())
	if p > peakMemory {
		t.Errorf("%d bytes were resident, the bound is %d", p, peakMemory)
	}
}

// cutLine is a line of the log about a client that was closed for want of memory.
var cutLine = regexp.MustCompile(`closed client .*reason="the proxy is out of memory".* unread_for=(\S+)( memory_full_for=(\S+))? left_out=(\d+)`)

// checkCut checks that as many clients as were closed were closed by the rules: they had
// not read for a tenth of a second, or memory was full for a second.
func checkCut(t *testing.T, proxy *testkit.Proxy, closed int64) {
	t.Helper()
	if got := proxy.Stats(); got.Value("alpha", "client_err") != closed {
		t.Errorf("%d clients were closed, the proxy counts %d", closed, got.Value("alpha", "client_err"))
	}
	log, err := os.ReadFile(proxy.Log)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range cutLine.FindAllStringSubmatch(string(log), -1) {
		unread, err := time.ParseDuration(line[1])
		if err != nil {
			t.Error(err)
		}
		full, _ := time.ParseDuration(line[3])
		if unread < 100*time.Millisecond && full < time.Second {
			t.Errorf("a client that reads was closed: %s", line[0])
		}
	}
}

// another connects once more.
func (c *mob) another() (net.Conn, error) {
	conn, err := net.Dial("tcp", c.addr)
	if err == nil {
		c.mu.Lock()
		c.conns = append(c.conns, conn)
		c.mu.Unlock()
	}
	return conn, err
}

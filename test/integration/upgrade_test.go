package integration

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"nuthatch/internal/testkit"
)

// successor is the pid in the pid file.
func successor(t *testing.T, p *testkit.Proxy) int {
	t.Helper()
	b, err := os.ReadFile(p.PidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(b))
	if err != nil {
		t.Fatalf("pid file: %v", err)
	}
	return pid
}

// alive reports whether there is a process of that id that has not ended.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

// upgrade has the process pid upgraded and waits until it has ended. It returns
// the pid of the new one, which ends with the test.
func upgrade(t *testing.T, p *testkit.Proxy, pid int) int {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	next := pid
	testkit.Await(t, "another program to serve", func() error {
		if next = successor(t, p); next == pid {
			return errors.New("the pid file is the old one")
		}
		return nil
	})
	t.Cleanup(func() { endProcess(t, next) })
	if pid == p.Pid() {
		if state := p.Wait(); !state.Success() {
			t.Errorf("the old program ended with %v", state)
		}
		return next
	}
	testkit.Await(t, "the old program to end", func() error {
		if alive(pid) {
			return errors.New("it has not")
		}
		return nil
	})
	return next
}

// endProcess ends a process that is not our child.
func endProcess(t *testing.T, pid int) {
	t.Helper()
	if syscall.Kill(pid, syscall.SIGTERM) != nil {
		return // it has ended
	}
	testkit.Await(t, "the program to end", func() error {
		if alive(pid) {
			return errors.New("it has not")
		}
		return nil
	})
}

// A caller sends groups of requests, and connects anew when it is told to leave.
type caller struct {
	t      *testing.T
	proxy  *testkit.Proxy
	addr   string
	served *atomic.Int64
	moved  *atomic.Int64
}

// call sends groups of n increments of one key until stop is closed. Of a group
// all are answered, in order, or none.
func (c *caller) call(key string, n int, stop <-chan struct{}) error {
	group := []byte(strings.Repeat(string(testkit.RESP("INCR", key)), n))
	client, err := testkit.TryDial(c.t, testkit.Redis, c.addr)
	if err != nil {
		return err
	}
	last := 0
	for {
		select {
		case <-stop:
			client.Close()
			return nil
		default:
		}
		sent := client.TrySend(group)
		got := 0
		for ; sent == nil && got < n; got++ {
			reply, err := client.TryReply()
			if err != nil {
				sent = err
				break
			}
			if want := fmt.Sprintf(":%d\r\n", last+1); string(reply) != want {
				return fmt.Errorf("reply %q, want %q", reply, want)
			}
			last++
			c.served.Add(1)
		}
		if sent == nil {
			continue
		}
		gone := errors.Is(sent, io.EOF) || errors.Is(sent, syscall.ECONNRESET) || errors.Is(sent, syscall.EPIPE)
		if !gone || got != 0 {
			return fmt.Errorf("%d of %d replies, then %w", got, n, sent)
		}
		client.Close()
		c.moved.Add(1)
		if client, err = testkit.TryDial(c.t, testkit.Redis, c.addr); err != nil {
			return fmt.Errorf("connect anew: %w", err)
		}
	}
}

// TestUpgradeUnderLoad: the program is replaced again and again under load. No
// connection is refused, no request that was accepted is lost, and none is
// carried out twice: the replies count.
func TestUpgradeUnderLoad(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	path := testkit.SocketPath(t, "unix")
	pool := testkit.Pool{Name: "alpha", Protocol: testkit.Redis, Servers: testkit.Names(server)}.String() +
		testkit.Pool{Name: "beta", Listen: path, Protocol: testkit.Redis, Servers: testkit.Names(server)}.String()
	p := testkit.StartNuthatch(t, pool, testkit.Threads(2))
	var served, moved atomic.Int64
	var running sync.WaitGroup
	stop := make(chan struct{})
	for i := range 100 {
		c := &caller{t: t, proxy: p, addr: p.Addrs[i%2], served: &served, moved: &moved}
		running.Go(func() {
			if err := c.call(fmt.Sprintf("n%d", i), 1+i%3*10, stop); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	awaitMore(t, &served, 10_000)
	pid := p.Pid()
	n := rounds(t, 3)
	for range n {
		pid = upgrade(t, p, pid)
		awaitMore(t, &served, 2000)
		if p.Stats().Value("uptime") < 0 {
			t.Error("the statistics port does not answer")
		}
	}
	close(stop)
	running.Wait()
	t.Logf("%d upgrades, %d replies, %d connections made anew", n, served.Load(), moved.Load())
	if got := moved.Load(); got < int64(100*n/2) {
		t.Errorf("%d connections were made anew: the old programs cannot have drained", got)
	}
}

// inBackground stops a proxy and starts it again with -d, by the given command
// line. It returns the pid of the new one, which ends with the test.
func inBackground(t *testing.T, first *testkit.Proxy, line ...string) int {
	t.Helper()
	first.Stop()
	line = append(line, "-d", "-c", first.Config, "-o", first.Log, "-p", first.PidFile, "-a", "127.0.0.1",
		"-s", first.StatsAddr[strings.LastIndexByte(first.StatsAddr, ':')+1:])
	if out, err := exec.Command(line[0], line[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	pid := successor(t, first)
	t.Cleanup(func() { endProcess(t, pid) })
	return pid
}

// TestUpgradeWithALoweredLimit: a program that was started with few descriptors
// by its soft limit raises it, and so do those that replace it: clients get all
// that there are.
func TestUpgradeWithALoweredLimit(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	first := testkit.StartNuthatch(t, testkit.Pool{Protocol: testkit.Redis, Servers: testkit.Names(server)}.String())
	pid := inBackground(t, first, "sh", "-c", `ulimit -Sn 300 && exec "$0" "$@"`, testkit.Binary(t))
	for n := 2; n <= 4; n++ {
		awaitLogged(t, first, n, " descriptors limit=")
		if all := budgets(t, first); all[n-1] != all[1] {
			t.Errorf("program %d has %s, the first one in the background had %s", n, all[n-1], all[1])
		}
		var is unix.Rlimit
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &is); err != nil {
			t.Fatal(err)
		}
		if is.Cur < is.Max-1 || is.Max <= 301 { // the Go runtime leaves one
			t.Errorf("program %d has %d descriptors of %d", n, is.Cur, is.Max)
		}
		if n < 4 {
			pid = upgrade(t, first, pid)
		}
	}
}

// budgets are what the log says of how descriptors are shared out.
func budgets(t *testing.T, p *testkit.Proxy) (all []string) {
	t.Helper()
	log, err := os.ReadFile(p.Log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if _, budget, ok := strings.Cut(line, " descriptors limit="); ok {
			all = append(all, strings.TrimSpace(budget))
		}
	}
	return all
}

// TestUpgradeInTheBackground: with -d, the pid file leads to the new program.
func TestUpgradeInTheBackground(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	first := testkit.StartNuthatch(t, testkit.Pool{Protocol: testkit.Redis, Servers: testkit.Names(server)}.String())
	text, err := os.ReadFile(first.Config)
	if err != nil {
		t.Fatal(err)
	}
	pid := inBackground(t, first, testkit.Binary(t))
	next := upgrade(t, first, pid)
	if got := first.Dial(testkit.Redis).Do("PING"); got != "+PONG\r\n" {
		t.Errorf("PING: %q", got)
	}

	// A new program that cannot start changes nothing.
	rewrite(t, first, "no: pool\n")
	if err := syscall.Kill(next, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	awaitLogged(t, first, 1, "upgrade failed")
	if logged(t, first, `expected`) == 0 {
		t.Error("the log does not tell the fault of the configuration")
	}
	if got := successor(t, first); got != next {
		t.Errorf("the pid file has %d, want %d", got, next)
	}
	if got := first.Dial(testkit.Redis).Do("PING"); got != "+PONG\r\n" {
		t.Errorf("PING after a failed upgrade: %q", got)
	}
	rewrite(t, first, string(text))
	upgrade(t, first, next)
}

package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/testkit"
)

// crowdSize is how many clients come at once, and how often.
func crowdSize() (clients, times int) {
	if os.Getenv(longEnv) != "" {
		return 10_000, 100
	}
	return 2_000, 3
}

// Thousands of clients connect, speak and vanish, again and again; then as many
// stay and do nothing. Nothing is left of them when they are gone.
func TestCrowds(t *testing.T) {
	stage := redisStage(t, "timeout: 10000", "backlog: 1024")
	c := stage.proxy.Dial(testkit.Redis)
	c.Send(testkit.RESP("SET", "a", "1"))
	c.Expect("+OK\r\n")
	clients, times := crowdSize()
	before, resident := 0, int64(0) // behind the first crowd, when connections to servers are open
	for range times {
		comeAndGo(t, stage.proxy, clients)
		stage.proxy.AwaitStat(1, "alpha", "client_connections")
		if before == 0 {
			before, resident = descriptors(t, stage.proxy), stage.proxy.RSS()
		}
	}
	idle := newMob(t, stage.proxy.Addr())
	idle.add(clients, func(int, net.Conn) {})
	stage.proxy.AwaitStat(int64(clients+1), "alpha", "client_connections")
	c.Send(testkit.RESP("GET", "a"))
	c.Expect(testkit.Bulk("1"))
	held := stage.proxy.RSS()
	idle.leave()
	stage.proxy.AwaitStat(1, "alpha", "client_connections")
	testkit.Await(t, "the descriptors to be closed", func() error {
		if n := descriptors(t, stage.proxy); n > before {
			return fmt.Errorf("%d are open, %d were before", n, before)
		}
		return nil
	})
	after := stage.proxy.RSS()
	t.Logf("%d clients, %d times: %d MB resident behind the first, %d MB with all of them idle, %d MB at the end",
		clients, times, resident>>20, held>>20, after>>20)
	bound := int64(32 << 20)
	if testkit.InTLS() { // a client takes some 10 KB, which the heap gives back later
		bound *= 2
	}
	if after > resident+bound {
		t.Errorf("%d bytes are resident at the end, %d were behind the first crowd", after, resident)
	}
}

// comeAndGo has n clients connect, ask, and go: a part of them without reading,
// a part in the middle of a request, and a part with a reset.
func comeAndGo(t *testing.T, proxy *testkit.Proxy, n int) {
	t.Helper()
	m := newMob(t, proxy.Addr())
	request := string(testkit.RESP("GET", "a"))
	m.add(n, func(i int, conn net.Conn) {
		switch i % 4 {
		case 0:
			_, _ = io.WriteString(conn, request)
		case 1:
			_, _ = io.WriteString(conn, request+request[:len(request)/2])
		case 2:
			_, _ = io.WriteString(conn, request)
			_ = testkit.Raw(conn).(*net.TCPConn).SetLinger(0)
		default:
			_, _ = io.WriteString(conn, request)
			reply, err := bufio.NewReader(conn).ReadString('1')
			if err != nil || !strings.HasPrefix(reply, "$1") {
				t.Errorf("a client of the crowd gets %q, then %v", reply, err)
			}
		}
		_ = conn.Close()
	})
	m.going.Wait()
}

// processorTime is how long the process has run.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	ticks := 0
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100)
}

// A proxy whose table of descriptors is full lets clients wait in the backlog, and
// does not spin; when there is room again they are served.
func TestNoDescriptors(t *testing.T) {
	t.Parallel()
	stage := redisStage(t)
	c := stage.proxy.Dial(testkit.Redis)
	c.Send(testkit.RESP("MSET", "a", "1", "b", "2", "c", "3", "d", "4"))
	c.Expect("+OK\r\n") // all connections to servers are open
	pid := stage.proxy.Pid()
	m := newMob(t, stage.proxy.Addr())
	m.add(8, func(int, net.Conn) {})
	stage.proxy.AwaitStat(9, "alpha", "client_connections")
	full := uint64(descriptors(t, stage.proxy))
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: full, Max: full}, nil); err != nil {
		t.Fatal(err)
	}
	// More than one, since what had the descriptor that was just counted may be
	// gone; and nothing that takes one to a server.
	late := make([]*testkit.Client, 4)
	for i := range late {
		late[i] = stage.proxy.Dial(testkit.Redis)
		late[i].Send(testkit.RESP("PING"))
	}
	awaitLogged(t, stage.proxy, 1, "cannot accept clients")
	// How long it runs while it can do nothing is what is tested.
	spent := processorTime(t, pid)
	time.Sleep(time.Second)
	if spent = processorTime(t, pid) - spent; spent > 500*time.Millisecond {
		t.Errorf("it ran for %v of a second in which it could do nothing", spent)
	}
	c.Send(testkit.RESP("GET", "b"))
	c.Expect(testkit.Bulk("2"))
	m.leave()
	for _, c := range late {
		c.Expect("+PONG\r\n")
	}
}

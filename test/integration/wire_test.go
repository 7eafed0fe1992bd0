package integration

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// wireTimeout is the pools' behind a bad wire. What is late, but not too late, must keep within
// it on a machine that does much else.
const wireTimeout = 700 * time.Millisecond

// harm is what a fault does to requests.
type harm int

const (
	// none: everything arrives, and in time.
	none harm = iota
	// some: what is large may come too late.
	some
	// all: sooner or later every connection fails.
	all
)

// wireFaults are what may happen on a network.
var wireFaults = []struct {
	name   string
	faults testkit.Faults
	harm   harm
}{
	{"late", testkit.Faults{Up: testkit.Fault{Latency: 20 * time.Millisecond}, Down: testkit.Fault{Latency: 20 * time.Millisecond}}, none},
	{"later than the timeout", testkit.Faults{Down: testkit.Fault{Latency: 2 * wireTimeout}}, all},
	{"slow", testkit.Faults{Up: testkit.Fault{Rate: 200_000, Piece: 2000}, Down: testkit.Fault{Rate: 100_000, Piece: 1000}}, some},
	{"byte by byte", testkit.Faults{Up: testkit.Fault{Piece: 1}, Down: testkit.Fault{Piece: 1}}, none},
	{"cut in the middle of what is sent", testkit.Faults{Up: testkit.Fault{End: testkit.Closed, After: 1234}}, all},
	{"cut in the middle of a reply", testkit.Faults{Down: testkit.Fault{End: testkit.Closed, After: 1234}}, all},
	{"reset in the middle of what is sent", testkit.Faults{Up: testkit.Fault{End: testkit.Broken, After: 777}}, all},
	{"reset in the middle of a reply", testkit.Faults{Down: testkit.Fault{End: testkit.Broken, After: 777}}, all},
	{"reset at once", testkit.Faults{Down: testkit.Fault{End: testkit.Broken}}, all},
	{"half closed by the sender", testkit.Faults{Up: testkit.Fault{End: testkit.Half, After: 2000}}, all},
	{"half closed by the answerer", testkit.Faults{Down: testkit.Fault{End: testkit.Half, After: 2000}}, all},
	{"a black hole for what is sent", testkit.Faults{Up: testkit.Fault{End: testkit.Hole, After: 500}}, all},
	{"a black hole for replies", testkit.Faults{Down: testkit.Fault{End: testkit.Hole, After: 500}}, all},
}

// Whatever happens on the wire to one server: no client reads another's value or
// loses its connection, nothing else than that server's requests fails, and when the
// wire is well again so is all.
func TestWireToServer(t *testing.T) {
	t.Parallel()
	for _, protocol := range []testkit.Protocol{testkit.Redis, testkit.Memcache} {
		t.Run(protocol.String(), func(t *testing.T) {
			t.Parallel()
			s, wire := wiredStage(t, protocol)
			crowd := testkit.Traffic{
				Protocol: protocol, Addr: s.proxy.Addr(), Clients: 10, Seed: 1, Pause: 2 * time.Millisecond, Round: 8,
			}.Start(t)
			for _, f := range wireFaults {
				failed := crowd.Failed.Load()
				wire.Set(f.faults)
				if f.harm == all {
					wire.Break() // an end is counted from a connection's beginning
					crowd.AwaitMore(&crowd.Failed, 5)
				}
				crowd.AwaitMore(&crowd.Served, 200)
				if now := crowd.Failed.Load(); f.harm == none && now > failed {
					t.Errorf("%s: %d requests failed", f.name, now-failed)
				}
				s.heal(t, protocol, wire)
			}
			seen := crowd.Stop()
			t.Logf("%d right, %d failed: %s", seen.Served, seen.Failed, seen.ErrorTexts())
			s.proxy.AwaitStat(0, "alpha", "client_connections")
			for _, name := range []string{"s1", "s2", "s3"} {
				s.proxy.AwaitStat(0, "alpha", name, "in_queue_bytes")
				s.proxy.AwaitStat(0, "alpha", name, "out_queue")
			}
			for _, name := range []string{"s2", "s3"} {
				if n := s.proxy.Stats().Value("alpha", name, "server_err"); n != 0 {
					t.Errorf("%s, behind no wire, had %d errors", name, n)
				}
			}
		})
	}
}

// wiredStage is three servers of which the first is behind a wire.
func wiredStage(t *testing.T, protocol testkit.Protocol) (stage, *testkit.Wire) {
	t.Helper()
	start := testkit.StartMemcached
	if protocol == testkit.Redis {
		start = testkit.StartRedis
	}
	servers := []*testkit.Server{start(t), start(t), start(t)}
	wire := testkit.StartWire(t, servers[0].Addr(), testkit.Faults{})
	pool := testkit.Pool{Protocol: protocol, Servers: testkit.Names(servers...), Lines: []string{
		fmt.Sprintf("timeout: %d", wireTimeout.Milliseconds()),
	}}
	pool.Servers[0] = testkit.Entry(wire.Addr(), 1, "s1")
	return stage{proxy: testkit.StartNuthatch(t, pool.String()), servers: servers}, wire
}

// heal makes the wire one that does nothing, and waits until every server serves.
func (s stage) heal(t *testing.T, protocol testkit.Protocol, wire *testkit.Wire) {
	t.Helper()
	wire.Set(testkit.Faults{})
	wire.Break()
	testkit.Await(t, "all servers to serve again", func() error {
		c := s.proxy.Dial(protocol)
		defer c.Close()
		for _, key := range spread(20) {
			ask, want := testkit.RESP("GET", key), "$-1\r\n"
			if protocol == testkit.Memcache {
				ask, want = []byte("get "+key+"\r\n"), "END\r\n"
			}
			c.Send(ask)
			if got := c.Reply(); got != want {
				return fmt.Errorf("%s gets %q", key, got)
			}
		}
		return nil
	})
}

// Whatever happens on the wire to a client: it gets no other bytes than the replies
// to its requests, in order, as far as they come; it costs others nothing; and the
// proxy is rid of it when it is gone.
func TestWireToClient(t *testing.T) {
	t.Parallel()
	for _, protocol := range []testkit.Protocol{testkit.Redis, testkit.Memcache} {
		t.Run(protocol.String(), func(t *testing.T) {
			t.Parallel()
			var s stage
			if protocol == testkit.Redis {
				s = redisStage(t)
			} else {
				s = memcacheStage(t)
			}
			s.proxy.AwaitStat(0, "alpha", "client_connections")
			for _, f := range wireFaults {
				wire := testkit.StartWire(t, s.proxy.Addr(), f.faults)
				ask, want := longTalk(protocol)
				got := overheard(t, wire, ask, want, f.harm != none)
				if !strings.HasPrefix(want, got) || f.harm == none && got != want {
					t.Errorf("%s: got %d bytes, %.200q..., of %d", f.name, len(got), got, len(want))
				}
				wire.Stop()
				s.proxy.AwaitStat(0, "alpha", "client_connections")
			}
		})
	}
}

// longTalk is pipelined requests, and their replies from servers that are well.
func longTalk(protocol testkit.Protocol) (ask, want string) {
	for i, key := range spread(60) {
		value := strings.Repeat(key, 1+i*5)
		if protocol == testkit.Redis {
			ask += string(testkit.RESP("SET", key, value)) + string(testkit.RESP("GET", key))
			want += "+OK\r\n" + testkit.Bulk(value)
			continue
		}
		ask += store(fmt.Sprintf("set %s 0 0 %d", key, len(value)), value) + "get " + key + "\r\n"
		want += "STORED\r\n" + fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\nEND\r\n", key, len(value), value)
	}
	return ask, want
}

// silence is how long a client listens on when nothing comes any more, where
// something may not come.
const silence = 300 * time.Millisecond

// overheard sends ask over the wire and returns what comes back, until all of want
// is there, the connection ends, or, if it may be lost, nothing comes any more.
func overheard(t *testing.T, wire *testkit.Wire, ask, want string, lossy bool) string {
	t.Helper()
	conn, err := testkit.Connect(t, wire.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	go func() { _, _ = io.WriteString(conn, ask) }() // ends with the connection
	wait := testkit.Patience
	if lossy {
		wait = silence
	}
	var got []byte
	for len(got) < len(want) {
		if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 16<<10)
		n, err := conn.Read(b)
		got = append(got, b[:n]...)
		if err != nil {
			break
		}
	}
	return string(got)
}

// To connect to a server whose backlog is full takes for ever: its requests get an
// error after the timeout, and those of the others are served meanwhile.
func TestFullBacklog(t *testing.T) {
	t.Parallel()
	for _, protocol := range []testkit.Protocol{testkit.Redis, testkit.Memcache} {
		t.Run(protocol.String(), func(t *testing.T) {
			t.Parallel()
			start, refusal := testkit.StartMemcached, "SERVER_ERROR Connection timed out\r\n"
			if protocol == testkit.Redis {
				start, refusal = testkit.StartRedis, "-ERR Connection timed out\r\n"
			}
			servers := []*testkit.Server{start(t), start(t)}
			pool := testkit.Pool{Protocol: protocol, Servers: testkit.Names(servers...), Lines: []string{
				fmt.Sprintf("timeout: %d", wireTimeout.Milliseconds()),
			}}
			pool.Servers = append(pool.Servers, testkit.Entry(testkit.Unanswered(t), 1, "s3"))
			proxy := testkit.StartNuthatch(t, pool.String())
			ask, right := "", 0
			keys := spread(60)
			for _, key := range keys {
				if protocol == testkit.Redis {
					ask += string(testkit.RESP("GET", key))
				} else {
					ask += "get " + key + "\r\n"
				}
			}
			c := proxy.Dial(protocol)
			began := time.Now()
			c.Send([]byte(ask))
			for _, key := range keys {
				switch got := c.Reply(); got {
				case "$-1\r\n", "END\r\n":
					right++
				case refusal:
				default:
					t.Errorf("%s gets %q", key, got)
				}
			}
			if took := time.Since(began); right < 20 || right == len(keys) || took < wireTimeout {
				t.Errorf("%d of %d are served, after %v", right, len(keys), took)
			}
			proxy.AwaitStat(0, "alpha", "s3", "server_connections")
			proxy.AwaitStat(0, "alpha", "s3", "in_queue")
		})
	}
}

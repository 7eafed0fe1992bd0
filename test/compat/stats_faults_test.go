package compat

import (
	"net"
	"regexp"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// newFaultyPair starts both proxies with one pool over one server each, of the same
// name, that do the same.
func newFaultyPair(t *testing.T, protocol testkit.Protocol, script func(*testkit.Talk), lines ...string) *pair {
	t.Helper()
	addr := testkit.StartScripted(t, script).Addr()
	yaml := testkit.Pool{Protocol: protocol, Servers: []string{testkit.Entry(addr, 1, "s1")}, Lines: lines}.String()
	return &pair{
		nutcracker: testkit.StartNutcracker(t, yaml),
		nuthatch:   testkit.StartNuthatch(t, yaml, testkit.Threads(1)),
	}
}

// Requests that are sent and not answered are in the out-queue, with their bytes.
func TestStatsOfQueues(t *testing.T) {
	t.Parallel()
	for protocol, requests := range map[testkit.Protocol][][]byte{
		testkit.Redis:    commands("SET some:key value", "GET some:key", "INCR other"),
		testkit.Memcache: transcriptOf([]string{"get some:key\r\n", store("set some:key 0 0 5", "value"), "delete other\r\n"}),
	} {
		pair := newFaultyPair(t, protocol, (*testkit.Talk).Drain)
		for _, p := range pair.sides() {
			c := testkit.Dial(t, protocol, p.Addr())
			for _, r := range requests {
				c.Send(r)
			}
			p.AwaitStat(3, "alpha", "s1", "out_queue")
		}
		awaitSameStats(t, pair, nil)
		if n := pair.nuthatch.Stats().Value("alpha", "s1", "out_queue_bytes"); n == 0 {
			t.Errorf("%v: no bytes are in the out-queue", protocol)
		}
	}
}

// A server that does not answer in time.
func TestStatsOfTimeouts(t *testing.T) {
	t.Parallel()
	pair := newFaultyPair(t, testkit.Redis, (*testkit.Talk).Drain, "timeout: 200")
	for _, p := range pair.sides() {
		c := testkit.Dial(t, testkit.Redis, p.Addr())
		for _, r := range commands("GET a", "GET b", "GET c") {
			c.Send(r)
		}
		for range 3 {
			c.Reply()
		}
		p.AwaitStat(1, "alpha", "s1", "server_timedout")
		p.AwaitStat(3, "alpha", "forward_error")
	}
	awaitSameStats(t, pair, nil)
}

// Servers that break off, and such as say what is no reply. (When one closes in the
// middle of a reply nutcracker sees that only if the end comes after it has read the
// beginning, and else leaves the client waiting.)
func TestStatsOfBrokenServers(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]func(*testkit.Talk){
		"close":    func(k *testkit.Talk) { k.Command(); k.Close() },
		"reset":    func(k *testkit.Talk) { k.Command(); k.Reset() },
		"nonsense": func(k *testkit.Talk) { k.Command(); k.Reply("!nonsense\r\n"); k.Hang() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pair := newFaultyPair(t, testkit.Redis, script)
			for _, p := range pair.sides() {
				for range 3 {
					c := testkit.Dial(t, testkit.Redis, p.Addr())
					c.Send(commands("GET a")[0])
					c.Reply()
					c.Close()
				}
				p.AwaitStat(3, "alpha", "forward_error")
			}
			awaitSameStats(t, pair, nil)
		})
	}
}

// A client that breaks off while requests of it are under way, and one that resets
// its connection.
func TestStatsOfClients(t *testing.T) {
	t.Parallel()
	pair, _ := newSharedPair(t, testkit.Refused(t), testkit.Refused(t))
	for _, p := range pair.sides() {
		p.AwaitStat(1, "alpha", "client_eof") // the kit's, awaiting the listener
		for _, leave := range []func(net.Conn){
			func(c net.Conn) { _ = c.Close() },
			func(c net.Conn) {
				_ = c.(*net.TCPConn).SetLinger(0)
				_ = c.Close()
			},
		} {
			c, err := net.Dial("tcp", p.Addrs[0])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write([]byte("*2\r\n$3\r\nGET\r\n$4\r\nsome")); err != nil {
				t.Fatal(err)
			}
			p.AwaitStat(1, "alpha", "client_connections")
			leave(c)
			p.AwaitStat(0, "alpha", "client_connections")
		}
		p.AwaitStat(2, "alpha", "client_eof")
		p.AwaitStat(1, "alpha", "client_err")
	}
	awaitSameStats(t, pair, nil)
}

// ejectedAt differs by when each proxy ejected the server.
var ejectedAt = regexp.MustCompile(`\.server_ejected_at is \d{16} in nutcracker's and \d{16} in nuthatch's$`)

// A server that fails often enough is ejected, which is counted and dated.
func TestStatsOfEjection(t *testing.T) {
	t.Parallel()
	one, down := testkit.StartRedis(t), testkit.Refused(t)
	yaml := testkit.Pool{Protocol: testkit.Redis, Servers: []string{one.Entry("s1"), testkit.Entry(down, 1, "s2")}, Lines: []string{
		"auto_eject_hosts: true", "server_failure_limit: 2", "server_retry_timeout: 60000", "timeout: 2000",
	}}.String()
	begun := time.Now()
	pair := &pair{
		nutcracker: testkit.StartNutcracker(t, yaml),
		nuthatch:   testkit.StartNuthatch(t, yaml, testkit.Threads(1)),
	}
	var requests [][]byte
	for _, key := range someKeys(40) {
		requests = append(requests, commands("GET "+key)...)
	}
	for _, p := range pair.sides() {
		talk(t, testkit.Redis, p, 0, requests)
		p.AwaitStat(1, "alpha", "server_ejects")
		at := time.UnixMicro(p.Stats().Value("alpha", "s2", "server_ejected_at"))
		if at.Before(begun.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
			t.Errorf("%s: server_ejected_at is %v, not now", p.Addr(), at)
		}
	}
	awaitSameStats(t, pair, ejectedAt)
}

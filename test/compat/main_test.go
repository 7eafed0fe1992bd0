// Package compat holds nuthatch to nutcracker: both stand in front of the same
// kind of servers, get the same bytes, and must give the same bytes back. The
// differences that nuthatch means to have are listed, with their reasons, in
// differences_test.go, and asserted on both sides.
package compat

import (
	"os"
	"testing"

	"nuthatch/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// A pair is nutcracker and nuthatch, each in front of three fresh servers of its
// own with the same names, so that both place a key alike.
type pair struct {
	protocol             testkit.Protocol
	nutcracker, nuthatch *testkit.Proxy
	// behind are each proxy's servers, nutcracker's first.
	behind [2][]*testkit.Server
}

// sides are the two proxies, nutcracker first.
func (p *pair) sides() [2]*testkit.Proxy {
	return [2]*testkit.Proxy{p.nutcracker, p.nuthatch}
}

// newRedisPair starts a pair over redis-servers. lines are added to the pool;
// without any, it has the hash tag {}.
func newRedisPair(t *testing.T, lines ...string) *pair {
	t.Helper()
	if len(lines) == 0 {
		lines = []string{`hash_tag: "{}"`}
	}
	return newPair(t, testkit.Redis, func() *testkit.Server { return testkit.StartRedis(t) }, lines)
}

// newMemcachePair starts a pair over memcacheds.
func newMemcachePair(t *testing.T) *pair {
	t.Helper()
	return newPair(t, testkit.Memcache, func() *testkit.Server { return testkit.StartMemcached(t) }, nil)
}

func newPair(t *testing.T, protocol testkit.Protocol, start func() *testkit.Server, lines []string) *pair {
	t.Helper()
	p := &pair{protocol: protocol}
	pool := testkit.Pool{Protocol: protocol, Lines: lines}
	var yaml [2]string
	for side := range p.behind {
		for range 3 {
			p.behind[side] = append(p.behind[side], start())
		}
		pool.Servers = testkit.Names(p.behind[side]...)
		yaml[side] = pool.String()
	}
	p.nutcracker = testkit.StartNutcracker(t, yaml[0])
	// One event loop, so that the kit's cuts are cuts (see testkit.Play).
	p.nuthatch = testkit.StartNuthatch(t, yaml[1], testkit.Threads(1))
	return p
}

// empty removes every key from every server.
func (p *pair) empty(t *testing.T) {
	t.Helper()
	for _, servers := range p.behind {
		for _, s := range servers {
			c := s.Dial()
			if p.protocol == testkit.Redis {
				c.Send(testkit.RESP("FLUSHALL"))
				c.Expect("+OK\r\n")
			} else {
				c.Send([]byte("flush_all\r\n"))
				c.Expect("OK\r\n")
			}
			c.Close()
		}
	}
}

// diff sends the same transcript to both proxies and compares.
func (p *pair) diff(t *testing.T, transcript [][]byte, split testkit.Splitter) testkit.Replay {
	t.Helper()
	return testkit.Diff(t, p.protocol, p.nutcracker, p.nuthatch, transcript, split)
}

// commands encodes lines of Redis commands.
func commands(lines ...string) [][]byte {
	transcript := make([][]byte, len(lines))
	for i, line := range lines {
		transcript[i] = testkit.RESP(testkit.Command(line)...)
	}
	return transcript
}

package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// Vandals say whatever belongs to sessions in every wrong order, never end what they begin,
// name times that are none, and vanish at every step: between MULTI and EXEC, while they wait
// or listen, in the middle of a value, with a reset or without a word. Little memory is
// allowed. Meanwhile servers are killed and stopped, and the proxy is reloaded, paused and
// upgraded. Who behaves is served, and nothing is left.
func TestVandals(t *testing.T) {
	for name, pool := range map[string][]string{
		"atomic":     {"request_timeout: 2s", "private_connections: 40"},
		"per_server": {"transactions: per_server", "client_idle_timeout: 1s", "max_transaction_commands: 100", "pubsub: {connections: shared, on_loss: resubscribe, publish: owner}"},
	} {
		t.Run(name, func(t *testing.T) {
			beside(t)
			vandals(t, name, append(pool, fmt.Sprintf("timeout: %d", timeout.Milliseconds()), "allow_monitor: true"))
		})
	}
}

// vandalMemory is what the process may use, and vandalResident what of it may be resident.
const (
	vandalMemory   = 32 << 20
	vandalResident = 4 * vandalMemory
)

func vandals(t *testing.T, name string, pool []string) {
	seed, rng := seeded(t)
	s := newStage(t, testkit.Redis, fmt.Sprintf("  max_memory: %dmb\n  drain_timeout: 2s\n", vandalMemory>>20), pool...)
	r := &row{piece: "vandals", what: name + ": wrong orders, ends at every step; servers killed, stopped, reloads, pauses, upgrades", bound: vandalResident}
	t.Cleanup(s.endSuccessor) // behind the report
	s.report(r)
	before := s.left()
	most := s.proxy.RSS()
	ctx, stop := context.WithCancel(t.Context())
	var said atomic.Int64
	var running sync.WaitGroup
	for id := range uint64(times(60, 20)) {
		running.Go(func() {
			v := &vandal{t: t, addr: s.proxy.Addr(), rng: rand.New(rand.NewPCG(seed, id)), said: &said}
			for ctx.Err() == nil {
				v.visit()
			}
		})
	}
	events := map[string]int{}
	for end := time.Now().Add(share(6, 30*time.Second, 3*time.Second)); time.Now().Before(end) && !t.Failed(); {
		events[s.vandalEvent(rng)]++
		most = max(most, s.resident())
		time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond) // how long all is well between two troubles
	}
	stop()
	running.Wait()
	s.behaves()
	s.awaitLeft(before)
	if r.rss = most; r.rss > r.bound {
		t.Errorf("RSS %d MB, above %d MB", r.rss>>20, r.bound>>20)
	}
	r.requests, r.left = said.Load(), "as before: "+before
	r.notes = fmt.Sprint(events)
	t.Logf("%+v", *r)
}

// resident is how much memory of the program that serves is resident, in bytes.
func (s *stage) resident() int64 {
	s.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.pid()))
	if err != nil {
		s.t.Fatal(err)
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(b), &size, &pages); err != nil {
		s.t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// vandalEvent makes one of the troubles, and tells which it was.
func (s *stage) vandalEvent(rng *rand.Rand) string {
	server := s.servers[rng.IntN(len(s.servers))]
	switch rng.IntN(10) {
	case 0:
		s.upgrade()
		return "upgrade"
	case 1, 2:
		server.Kill()
		time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond) // how long the trouble lasts
		server.Restart()
		return "killed"
	case 3, 4:
		s.action("/pools/alpha/pause")
		time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond) // how long the pause lasts
		s.action("/pools/alpha/resume")
		return "paused"
	case 5:
		s.action("/pools/alpha/reconnect")
		return "reconnected"
	default:
		s.disturb(rng)
		return "disturbed"
	}
}

// behaves has a client do what belongs to sessions, and expects what it is owed.
func (s *stage) behaves() {
	s.t.Helper()
	c := s.proxy.Dial(testkit.Redis)
	defer c.Close()
	testkit.Await(s.t, "all servers to be back", func() error {
		for i := range 30 {
			if got := c.Do("SET", fmt.Sprint("behaves:", i), "x"); got != "+OK\r\n" {
				return fmt.Errorf("%w: SET: %q", errLeft, got)
			}
		}
		return nil
	})
	for _, step := range []struct{ say, want string }{
		{"WATCH behaves:1", "+OK\r\n"},
		{"GET behaves:1", testkit.Bulk("x")},
		{"MULTI", "+OK\r\n"},
		{"SET behaves:1 y", "+QUEUED\r\n"},
		{"EXEC", "*1\r\n+OK\r\n"},
		{"DEL behaves:queue", ":0\r\n"},
		{"BLPOP behaves:queue 0.01", "*-1\r\n"},
		{"RPUSH behaves:queue x", ":1\r\n"},
		{"BLPOP behaves:queue 0", "*2\r\n" + testkit.Bulk("behaves:queue") + testkit.Bulk("x")},
		{"SUBSCRIBE behaves", "*3\r\n" + testkit.Bulk("subscribe") + testkit.Bulk("behaves") + ":1\r\n"},
	} {
		if got := c.Do(strings.Fields(step.say)...); got != step.want {
			s.t.Errorf("%s: %q, want %q", step.say, got, step.want)
		}
	}
}

// A vandal is one of them.
type vandal struct {
	t    *testing.T
	addr string
	rng  *rand.Rand
	said *atomic.Int64
}

// vandalWords are what they say: K is a key, C a channel, T a time, V a value, N a number.
var vandalWords = []string{
	"MULTI", "MULTI", "MULTI", "MULTI", "MULTI x", "EXEC", "EXEC", "EXEC x", "DISCARD", "DISCARD",
	"WATCH K", "WATCH K K", "WATCH K K K K K K K K", "WATCH", "UNWATCH", "RESET", "RESET",
	"SET K V", "SET K V", "GET K", "GET K", "INCR K", "MGET K K K", "MSET K V K V", "DEL K K", "PING", "ECHO V", "nosuch K", "TIME",
	"BLPOP K T", "BLPOP K K T", "BRPOP K 0", "BLMOVE K K LEFT RIGHT T", "BLMPOP T 1 K LEFT", "BZMPOP T 2 K K MIN", "BZPOPMIN K T",
	"XREAD BLOCK T STREAMS K $", "XREADGROUP GROUP g c BLOCK T STREAMS K >", "XREAD BLOCK T STREAMS", "WAIT N T", "WAIT N 0", "WAITAOF 0 N T",
	"RPUSH K V V", "ZADD K N V", "XADD K * f V",
	"SUBSCRIBE C", "SUBSCRIBE C C C C C C", "PSUBSCRIBE C*", "PSUBSCRIBE *", "SSUBSCRIBE C", "UNSUBSCRIBE", "UNSUBSCRIBE C", "PUNSUBSCRIBE", "SUNSUBSCRIBE C",
	"PUBLISH C V", "PUBLISH C V", "SPUBLISH C V", "PUBSUB CHANNELS", "PUBSUB NUMSUB C C", "PUBSUB NUMPAT",
	"HELLO 3", "HELLO 2", "HELLO T", "CLIENT TRACKING ON", "CLIENT TRACKING ON BCAST", "CLIENT TRACKING ON OPTIN", "CLIENT TRACKING OFF", "CLIENT CACHING YES",
	"MONITOR", "CLIENT LIST", "CLIENT UNBLOCK N", "CLIENT REPLY OFF", "CLIENT REPLY SKIP", "CLIENT REPLY ON", "SELECT N", "QUIT", "EVAL return-1 N K",
}

// vandalTimes are what they call a time.
var vandalTimes = []string{"0", "0", "0.01", "1", "nan", "-1", "inf", "-inf", "1e308", "9223372036854775807", "99999999999999999999", "x", "0x10"}

// line is one of their requests.
func (v *vandal) line() []byte {
	var words []string
	for w := range strings.FieldsSeq(vandalWords[v.rng.IntN(len(vandalWords))]) {
		switch strings.TrimSuffix(w, "*") {
		case "K":
			w = fmt.Sprint("key:", v.rng.IntN(30))
		case "C":
			w = strings.Replace(w, "C", fmt.Sprint("news:", v.rng.IntN(30)), 1)
		case "T":
			w = vandalTimes[v.rng.IntN(len(vandalTimes))]
		case "V":
			w = strings.Repeat("v", 1<<v.rng.IntN(15))
		case "N":
			w = fmt.Sprint(v.rng.IntN(5))
		}
		words = append(words, w)
	}
	v.said.Add(1)
	return testkit.RESP(words...)
}

// visit is one connection, from its beginning to one of its ends.
func (v *vandal) visit() {
	conn, err := net.Dial("tcp", v.addr)
	if err != nil {
		v.t.Errorf("no connection: %v", err)
		return
	}
	defer func() { _ = conn.Close() }()
	out := v.speech()
	if v.rng.IntN(2) == 0 { // it ends in the middle of a word
		out = out[:v.rng.IntN(len(out)+1)]
	}
	for len(out) > 0 {
		n := 1 + v.rng.IntN(len(out))
		_ = conn.SetDeadline(time.Now().Add(time.Duration(1+v.rng.IntN(200)) * time.Millisecond))
		if _, err := conn.Write(out[:n]); err != nil {
			break // nobody reads it, or it was told to go
		}
		out = out[n:]
		if v.rng.IntN(3) > 0 {
			v.read(conn)
		}
	}
	if v.rng.IntN(3) == 0 {
		_ = conn.(*net.TCPConn).CloseWrite() // it may be closed already
		v.read(conn)
	}
	if v.rng.IntN(3) == 0 {
		_ = conn.(*net.TCPConn).SetLinger(0) // likewise
	}
}

// read reads what has come, for a moment, and throws it away.
func (v *vandal) read(conn net.Conn) {
	b := make([]byte, 64<<10)
	_ = conn.SetReadDeadline(time.Now().Add(time.Duration(v.rng.IntN(50)) * time.Millisecond))
	for {
		if _, err := conn.Read(b); err != nil {
			return
		}
	}
}

// speech is all that is said on a connection.
func (v *vandal) speech() []byte {
	var out []byte
	switch v.rng.IntN(40) {
	case 0: // a transaction that never ends
		out = testkit.RESP("MULTI")
		for range 3000 {
			out = append(out, testkit.RESP("SET", "key:1", strings.Repeat("v", 1000))...)
		}
		return out
	case 1: // very many keys, or channels
		words := []string{[]string{"WATCH", "BLPOP", "SUBSCRIBE", "PSUBSCRIBE", "UNSUBSCRIBE"}[v.rng.IntN(5)]}
		for i := range 1 << (8 + v.rng.IntN(10)) {
			words = append(words, fmt.Sprint("news:", i))
		}
		return testkit.RESP(words...)
	case 2: // one listens, and reads nothing, while another tells it very much
		out = testkit.RESP("SUBSCRIBE", "news:1")
	case 3:
		for range 100 {
			out = append(out, testkit.RESP("PUBLISH", "news:1", strings.Repeat("v", 10_000))...)
		}
		return out
	}
	for range 1 + v.rng.IntN(20) {
		out = append(out, v.line()...)
	}
	return out
}

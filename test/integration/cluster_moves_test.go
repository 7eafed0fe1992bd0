package integration

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// A clusterLoad is clients of a cluster that know what they must hear: the crowd's pipelines
// and split commands, transactions, a queue whose reader blocks, and a channel.
type clusterLoad struct {
	t     *testing.T
	proxy *testkit.Proxy
	crowd *testkit.Crowd
	stop  chan struct{}
	group sync.WaitGroup
	// transactions, elements and messages were right; refused are errors. confirmed are the
	// transactions that a replica has.
	transactions, elements, messages, refused, confirmed atomic.Int64
	// loses: nodes go, so that a client may get an error, messages may be lost, and writes that
	// no replica has confirmed (WAIT).
	loses bool
}

func startClusterLoad(t *testing.T, proxy *testkit.Proxy, loses bool) *clusterLoad {
	l := &clusterLoad{t: t, proxy: proxy, stop: make(chan struct{}), loses: loses}
	l.crowd = testkit.Traffic{Protocol: testkit.Redis, Addr: testkit.Plain(t, proxy.Addr()), Clients: 20, Round: 12, Pause: 5 * time.Millisecond, Moves: loses, Waits: loses, Seed: 1}.Start(t)
	if loses {
		l.crowd.Lost()
	}
	for i := range 4 {
		l.group.Go(func() { l.transact(fmt.Sprintf("{tx%d}", i)) })
	}
	l.group.Go(l.produceAndConsume)
	l.group.Go(l.publishAndListen)
	return l
}

// goesOn reports whether the load is to go on.
func (l *clusterLoad) goesOn() bool {
	select {
	case <-l.stop:
		return false
	default:
		return !l.t.Failed()
	}
}

// do is a client's Do, which ends the load if the client has lost its connection.
func (l *clusterLoad) do(c *testkit.Client, args ...string) string {
	if err := c.TrySend(testkit.RESP(args...)); err != nil {
		l.t.Errorf("%s: %v", args[0], err)
		return "-"
	}
	b, err := c.TryReply()
	if err != nil {
		l.t.Errorf("%s: %v", args[0], err)
		return "-"
	}
	return string(b)
}

// transact counts in transactions: both commands, or none.
func (l *clusterLoad) transact(tag string) {
	c := testkit.Dial(l.t, testkit.Redis, testkit.Plain(l.t, l.proxy.Addr()))
	defer c.Close()
	last, confirmed := 0, 0
	for l.goesOn() {
		var blob []byte
		requests := [][]string{{"MULTI"}, {"INCR", tag + "n"}, {"INCR", tag + "n"}, {"EXEC"}, {"GET", tag + "n"}}
		if l.loses {
			requests = append(requests, []string{"WAIT", "1", "300"})
		}
		for _, args := range requests {
			blob = append(blob, testkit.RESP(args...)...)
		}
		if err := c.TrySend(blob); err != nil {
			l.t.Errorf("a transaction: %v", err)
			return
		}
		var replies []string
		for range requests {
			b, err := c.TryReply()
			if err != nil {
				l.t.Errorf("a transaction: %v", err)
				return
			}
			replies = append(replies, string(b))
		}
		n := 0
		if m, _ := fmt.Sscanf(replies[3], "*2\r\n:%d\r\n", &n); m != 1 {
			l.refused.Add(1)
			if !strings.HasPrefix(replies[3], "-TRYAGAIN") && !l.loses {
				l.t.Errorf("EXEC: %q", replies[3])
			}
			continue
		}
		if n <= last && !l.loses || n <= confirmed || n%2 != 1 || replies[3] != fmt.Sprintf("*2\r\n:%d\r\n:%d\r\n", n, n+1) {
			l.t.Errorf("after %d EXEC says %q", last, replies[3])
		}
		if want := testkit.Bulk(strconv.Itoa(n + 1)); replies[4] != want && !strings.HasPrefix(replies[4], "-TRYAGAIN") && !l.loses {
			l.t.Errorf("behind EXEC %q GET says %q", replies[3], replies[4])
		}
		last = n + 1
		if l.loses && replies[5] == ":1\r\n" {
			confirmed = last
			l.confirmed.Add(1)
		}
		l.transactions.Add(1)
		time.Sleep(3 * time.Millisecond)
	}
}

// produceAndConsume has a client wait for the elements that another one pushes.
func (l *clusterLoad) produceAndConsume() {
	in, out := testkit.Dial(l.t, testkit.Redis, testkit.Plain(l.t, l.proxy.Addr())), testkit.Dial(l.t, testkit.Redis, testkit.Plain(l.t, l.proxy.Addr()))
	defer in.Close()
	defer out.Close()
	for n := 0; l.goesOn(); n++ {
		if err := out.TrySend(testkit.RESP("BLPOP", "queue", "0")); err != nil {
			l.t.Errorf("BLPOP: %v", err)
			return
		}
		time.Sleep(5 * time.Millisecond) // it may wait, or may not
		for {
			reply := l.do(in, "RPUSH", "queue", strconv.Itoa(n))
			if reply[0] == ':' || !l.goesOn() {
				break
			}
			l.refused.Add(1)
			if !l.loses {
				l.t.Errorf("RPUSH: %q", reply)
			}
		}
		b, err := out.TryReply()
		if want := "*2\r\n" + testkit.Bulk("queue") + testkit.Bulk(strconv.Itoa(n)); err != nil || string(b) != want && !l.loses {
			l.t.Errorf("BLPOP: %q, %v, want %q", b, err, want)
			return
		}
		l.elements.Add(1)
	}
}

// publishAndListen has a client hear what another one says.
func (l *clusterLoad) publishAndListen() {
	c, ear := testkit.Dial(l.t, testkit.Redis, testkit.Plain(l.t, l.proxy.Addr())), testkit.Dial(l.t, testkit.Redis, testkit.Plain(l.t, l.proxy.Addr()))
	defer c.Close()
	defer ear.Close()
	l.do(ear, "SUBSCRIBE", "news")
	for n := 0; l.goesOn(); n++ {
		if reply := l.do(c, "PUBLISH", "news", strconv.Itoa(n)); reply[0] != ':' && !l.loses {
			l.t.Errorf("PUBLISH: %q", reply)
		}
		if l.loses {
			continue
		}
		want := "*3\r\n" + testkit.Bulk("message") + testkit.Bulk("news") + testkit.Bulk(strconv.Itoa(n))
		if b, err := ear.TryReply(); err != nil || string(b) != want {
			l.t.Errorf("the channel: %q, %v, want %q", b, err, want)
			return
		}
		l.messages.Add(1)
		time.Sleep(3 * time.Millisecond)
	}
}

// end ends the load, and tells what it was.
func (l *clusterLoad) end() testkit.Seen {
	close(l.stop)
	l.group.Wait()
	seen := l.crowd.Stop()
	l.t.Logf("%d served, %d failed: %s; %d transactions, %d elements, %d messages, %d refused; %d rounds and %d transactions confirmed; longest %v",
		seen.Served, seen.Failed, seen.ErrorTexts(), l.transactions.Load(), l.elements.Load(), l.messages.Load(), l.refused.Load(), l.crowd.Confirmed.Load(), l.confirmed.Load(), seen.Longest)
	return seen
}

// Slots move to and fro, key by key, under clients that know each reply: none is wrong, none
// out of order, and no client is lost. Nothing but a request that a later one has overtaken
// gets an error.
func TestClusterReshardsUnderLoad(t *testing.T) {
	cluster := testkit.StartCluster(t, 3, 0, 10*time.Second)
	proxy := testkit.StartNuthatch(t, cluster.Pool().String(), testkit.Threads(2))
	awaitWritten(t, proxy)
	load := startClusterLoad(t, proxy, false)
	load.crowd.AwaitMore(&load.crowd.Served, 500)
	slots := map[int]bool{}
	keys := []string{"{tx0}", "{tx1}", "queue", "news"}
	for i := range 6 {
		keys = append(keys, fmt.Sprintf("own:%d:%d", i, i), fmt.Sprintf("shared:%d", i))
	}
	for _, key := range keys {
		slots[cluster.Slot(key)] = true
	}
	for range 2 {
		for slot := range slots {
			cluster.AwaitAgreed()
			from, to := cluster.Owner(cluster.Nodes[0], slot), cluster.Nodes[0]
			if to == from {
				to = cluster.Nodes[1]
			}
			cluster.BeginMove(slot, from, to)
			for cluster.MoveKeys(slot, 1, from, to) > 0 {
				load.crowd.AwaitMore(&load.crowd.Served, 10)
			}
			cluster.EndMove(slot, from, to)
			load.crowd.AwaitMore(&load.crowd.Served, 10)
		}
	}
	seen := load.end()
	for text := range seen.Errors {
		if !strings.HasPrefix(text, "-TRYAGAIN") {
			t.Errorf("a client got %q", text)
		}
	}
	if load.transactions.Load() == 0 || load.elements.Load() == 0 || load.messages.Load() == 0 {
		t.Error("some clients were not served")
	}
}

// Primaries fail over by hand, in all three forms, and one is killed: clients may get errors
// for a while, and no wrong replies; none is lost. Nothing is lost that a replica has
// confirmed.
func TestClusterFailsOverUnderLoad(t *testing.T) {
	cluster := testkit.StartCluster(t, 3, 1, clusterDown)
	proxy := testkit.StartNuthatch(t, cluster.Pool().String(), testkit.Threads(2))
	awaitWritten(t, proxy)
	load := startClusterLoad(t, proxy, true)
	load.crowd.AwaitMore(&load.crowd.Served, 500)
	for i, how := range [][]string{nil, {"FORCE"}, {"TAKEOVER"}} {
		cluster.FailOver(cluster.Nodes[(i+1)%3], cluster.Nodes[3+i], how...)
		cluster.AwaitWhole()
		load.crowd.AwaitMore(&load.crowd.Served, 500)
	}
	cluster.Nodes[3].Kill()
	cluster.AwaitPrimary(cluster.Nodes[4], cluster.Nodes[0])
	load.crowd.AwaitMore(&load.crowd.Served, 500)
	load.end()
	if load.crowd.Confirmed.Load() == 0 || load.confirmed.Load() == 0 {
		t.Error("no replica has confirmed anything, so nothing was checked")
	}
	awaitWritten(t, proxy)
}

package testkit

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Load is clients of Redis that know what they must hear: the crowd's pipelines
// and split commands, transactions, a queue whose reader blocks, and a channel.
type Load struct {
	t     testing.TB
	proxy *Proxy
	// Crowd are the clients with pipelines and split commands.
	Crowd *Crowd
	stop  chan struct{}
	group sync.WaitGroup
	// Transactions, Elements and Messages were right; refused are errors. Confirmed are the
	// transactions that a replica has.
	Transactions, Elements, Messages, Confirmed atomic.Int64
	// Reads are right reads of clients that never write, OwnReads those of clients that had
	// just written what they read: see ReadBeside.
	Reads, OwnReads atomic.Int64
	refused         atomic.Int64
	// loses: nodes go, so that a client may get an error, messages may be lost, and writes that
	// no replica has confirmed (WAIT).
	loses bool
}

// StartLoad starts that many clients and a few more. pause is about how long each of
// them rests between two rounds. loses: nodes go, so that clients may get errors, and what no
// replica has confirmed may be lost.
func StartLoad(t testing.TB, proxy *Proxy, clients int, pause time.Duration, loses bool) *Load {
	t.Helper()
	l := &Load{t: t, proxy: proxy, stop: make(chan struct{}), loses: loses}
	l.Crowd = Traffic{Protocol: Redis, Addr: Plain(t, proxy.Addr()), Clients: clients, Round: 12, Pause: pause, Moves: loses, Waits: loses, Seed: 1}.Start(t)
	if loses {
		l.Crowd.Lost()
	}
	for i := range 4 {
		l.group.Go(func() { l.transact(fmt.Sprintf("{tx%d}", i)) })
	}
	l.group.Go(l.produceAndConsume)
	l.group.Go(l.publishAndListen)
	return l
}

// goesOn reports whether the load is to go on.
func (l *Load) goesOn() bool {
	select {
	case <-l.stop:
		return false
	default:
		return !l.t.Failed()
	}
}

// do is a client's Do, which ends the load if the client has lost its connection.
func (l *Load) do(c *Client, args ...string) string {
	if err := c.TrySend(RESP(args...)); err != nil {
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
func (l *Load) transact(tag string) {
	c := Dial(l.t, Redis, Plain(l.t, l.proxy.Addr()))
	defer c.Close()
	last, confirmed := 0, 0
	for l.goesOn() {
		var blob []byte
		requests := [][]string{{"MULTI"}, {"INCR", tag + "n"}, {"INCR", tag + "n"}, {"EXEC"}, {"GET", tag + "n"}}
		if l.loses {
			requests = append(requests, []string{"WAIT", "1", "300"})
		}
		for _, args := range requests {
			blob = append(blob, RESP(args...)...)
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
			time.Sleep(3 * time.Millisecond)
			continue
		}
		if n <= last && !l.loses || n <= confirmed || n%2 != 1 || replies[3] != fmt.Sprintf("*2\r\n:%d\r\n:%d\r\n", n, n+1) {
			l.t.Errorf("after %d EXEC says %q", last, replies[3])
		}
		if want := Bulk(strconv.Itoa(n + 1)); replies[4] != want && !strings.HasPrefix(replies[4], "-TRYAGAIN") && !l.loses {
			l.t.Errorf("behind EXEC %q GET says %q", replies[3], replies[4])
		}
		last = n + 1
		if l.loses && replies[5] == ":1\r\n" {
			confirmed = last
			l.Confirmed.Add(1)
		}
		l.Transactions.Add(1)
		time.Sleep(3 * time.Millisecond)
	}
}

// produceAndConsume has a client wait for the elements that another one pushes.
func (l *Load) produceAndConsume() {
	in, out := Dial(l.t, Redis, Plain(l.t, l.proxy.Addr())), Dial(l.t, Redis, Plain(l.t, l.proxy.Addr()))
	defer in.Close()
	defer out.Close()
	patience := "0"
	if l.loses {
		patience = "1" // an element may be lost
	}
	for n := 0; l.goesOn(); n++ {
		if err := out.TrySend(RESP("BLPOP", "queue", patience)); err != nil {
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
			time.Sleep(3 * time.Millisecond)
		}
		b, err := out.TryReply()
		if want := "*2\r\n" + Bulk("queue") + Bulk(strconv.Itoa(n)); err != nil || string(b) != want && !l.loses {
			l.t.Errorf("BLPOP: %q, %v, want %q", b, err, want)
			return
		}
		l.Elements.Add(1)
	}
}

// publishAndListen has a client hear what another one says.
func (l *Load) publishAndListen() {
	c, ear := Dial(l.t, Redis, Plain(l.t, l.proxy.Addr())), Dial(l.t, Redis, Plain(l.t, l.proxy.Addr()))
	defer c.Close()
	l.do(ear, "SUBSCRIBE", "news")
	var hearing sync.WaitGroup
	defer hearing.Wait()
	defer ear.Close()
	var over atomic.Bool
	defer over.Store(true)
	if l.loses {
		hearing.Go(func() { l.hear(ear, &over) })
	}
	for n := 0; l.goesOn(); n++ {
		if reply := l.do(c, "PUBLISH", "news", strconv.Itoa(n)); reply[0] != ':' && !l.loses {
			l.t.Errorf("PUBLISH: %q", reply)
		}
		if !l.loses {
			want := "*3\r\n" + Bulk("message") + Bulk("news") + Bulk(strconv.Itoa(n))
			if b, err := ear.TryReply(); err != nil || string(b) != want {
				l.t.Errorf("the channel: %q, %v, want %q", b, err, want)
				return
			}
			l.Messages.Add(1)
		}
		time.Sleep(3 * time.Millisecond)
	}
}

// hear hears messages until the load is over. Some may be missing, since the cluster may lose
// them; none comes twice.
func (l *Load) hear(ear *Client, over *atomic.Bool) {
	heard := map[string]bool{}
	for {
		b, err := ear.TryReply()
		if over.Load() {
			return
		}
		head := "*3\r\n" + Bulk("message") + Bulk("news")
		if said := string(b); err != nil || !strings.HasPrefix(said, head) || heard[said] {
			l.t.Errorf("the channel: %q, %v", b, err)
			return
		}
		heard[string(b)] = true
		l.Messages.Add(1)
	}
}

// End ends the load, and tells what it was.
func (l *Load) End() Seen {
	close(l.stop)
	l.group.Wait()
	seen := l.Crowd.Stop()
	l.t.Logf("%d served, %d failed: %s; %d transactions, %d elements, %d messages, %d refused; %d rounds and %d transactions confirmed; %d reads beside, %d of own writes; longest %v",
		seen.Served, seen.Failed, seen.ErrorTexts(), l.Transactions.Load(), l.Elements.Load(), l.Messages.Load(), l.refused.Load(), l.Crowd.Confirmed.Load(), l.Confirmed.Load(), l.Reads.Load(), l.OwnReads.Load(), seen.Longest)
	return seen
}

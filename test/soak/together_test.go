package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// Clients do everything that sessions are for, mixed: pipelines over keys of their own,
// transactions of one server and of several, WATCH of contended counters, queues, WAIT.
// Servers are killed and restarted meanwhile (they keep what they have said), stopped,
// connections are ended, the proxy is reloaded, paused and upgraded. What a client is told is
// so: no increment is lost or made up, what is changed together is seen together, each element
// is taken once.
func TestTogether(t *testing.T) {
	beside(t)
	_, rng := seeded(t)
	s := newStageOf(t, []string{"--appendonly", "yes", "--appendfsync", "always"}, testkit.Redis, "",
		fmt.Sprintf("timeout: %d", timeout.Milliseconds()), `hash_tag: "{}"`, "transactions: per_server")
	r := &row{piece: "sessions", what: "everything mixed; servers killed, stopped, restarted, reloads, pauses, upgrades"}
	t.Cleanup(s.endSuccessor) // behind the report
	s.report(r)
	before := s.left()
	w := &mixture{t: t, addr: s.proxy.Addr(), sure: map[string]int{}, taken: map[string]int{}}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for id := range times(200, 40) {
		running.Go(func() { w.work(ctx, id) })
	}
	upgrades := 0
	for end := time.Now().Add(share(8, 40*time.Second, 4*time.Second)); time.Now().Before(end) && !t.Failed(); {
		switch n := rng.IntN(20); {
		case n == 0 || upgrades == 0 && time.Until(end) < 2*time.Second:
			s.upgrade()
			upgrades++
		case n < 4:
			server := s.servers[rng.IntN(len(s.servers))]
			server.Kill()
			time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond) // how long the trouble lasts
			server.Restart()
		case n < 6:
			s.action("/pools/alpha/pause")
			s.action("/pools/alpha/resume")
		case n < 8:
			s.action("/pools/alpha/reconnect")
		default:
			s.disturb(rng)
		}
		time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond) // how long all is well between two troubles
	}
	stop()
	running.Wait()
	w.judge()
	s.awaitLeft(before)
	r.requests, r.left = w.done.Load(), "as before: "+before
	r.notes = fmt.Sprintf("%d touched, %d of unknown end, %d elements, %d upgrades", w.touched.Load(), w.unknown.Load(), len(w.taken), upgrades)
	t.Logf("%+v", *r)
}

// upgrade replaces the program.
func (s *stage) upgrade() {
	s.t.Helper()
	was := s.pid()
	if err := syscall.Kill(was, syscall.SIGUSR2); err != nil {
		s.t.Fatal(err)
	}
	testkit.Await(s.t, "the next program to serve", func() error {
		if s.pid() == was {
			return errLeft
		}
		return nil
	})
	if was != s.proxy.Pid() {
		s.awaitEnd(was)
	} else if state := s.proxy.Wait(); !state.Success() {
		s.t.Errorf("the old program ended with %v", state)
	}
}

// endSuccessor ends the program that serves, if it is not the one that the test began with.
func (s *stage) endSuccessor() {
	if pid := s.pid(); pid != s.proxy.Pid() && syscall.Kill(pid, syscall.SIGTERM) == nil {
		s.awaitEnd(pid)
	}
}

// awaitEnd waits until a program has ended.
func (s *stage) awaitEnd(pid int) {
	s.t.Helper()
	testkit.Await(s.t, "the program to end", func() error {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && !strings.Contains(string(b), ") Z ") {
			return errLeft
		}
		return nil
	})
}

// counted is how many counters, pairs and queues there are, each.
const counted = 5

// A mixture is what the clients do together, and what they know of it.
type mixture struct {
	t    *testing.T
	addr string
	// certain are how often it was told that one was added to a counter, open how often
	// nobody can tell.
	certain, open          [counted]atomic.Int64
	done, touched, unknown atomic.Int64

	mu sync.Mutex
	// sure are the elements that were pushed for certain, taken how often each element was
	// taken, and popped how many BLPOPs ended nobody knows how.
	sure, taken map[string]int
	popped      int
}

// A mixer is one of the clients.
type mixer struct {
	w   *mixture
	id  int
	rng *rand.Rand
	c   *testkit.Client
	// own are the values of its own keys, as far as they are known, and n makes each
	// another one.
	own map[string]string
	n   int
}

func (w *mixture) work(ctx context.Context, id int) {
	x := &mixer{w: w, id: id, rng: rand.New(rand.NewPCG(uint64(id), 3)), own: map[string]string{}}
	deeds := []func(){x.pipeline, x.pipeline, x.addPair, x.seePair, x.watch, x.watch, x.spread, x.push, x.take, x.take, x.wait}
	for ctx.Err() == nil && !w.t.Failed() {
		if x.c == nil || x.rng.IntN(50) == 0 {
			x.connect()
		}
		if x.c != nil {
			deeds[x.rng.IntN(len(deeds))]()
		}
	}
	if x.c != nil {
		x.c.Close()
	}
}

func (x *mixer) connect() {
	if x.c != nil {
		x.c.Close()
	}
	c, err := testkit.TryDial(x.w.t, testkit.Redis, x.w.addr)
	if err != nil {
		x.w.t.Errorf("client %d: %v", x.id, err)
	}
	x.c = c
}

// ask sends requests at once and returns the replies, as many as have come. ok: all have, and
// none is an error.
func (x *mixer) ask(requests ...[]string) (replies []string, ok bool) {
	var all []byte
	for _, words := range requests {
		all = append(all, testkit.RESP(words...)...)
	}
	err := x.c.TrySend(all)
	ok = true
	for range requests {
		if err != nil {
			break
		}
		var reply []byte
		if reply, err = x.c.TryReply(); err == nil {
			replies = append(replies, string(reply))
			ok = ok && reply[0] != '-'
			x.judge(string(reply))
		}
	}
	if err != nil {
		x.c.Close()
		x.c = nil
		return replies, false
	}
	x.w.done.Add(int64(len(requests)))
	return replies, ok
}

// judge fails if a reply is an error that no trouble explains.
func (x *mixer) judge(reply string) {
	for _, bad := range []string{"-WRONGTYPE", "-CROSSSLOT", "-ERR unknown command", "-ERR syntax", "-ERR Protocol", "-ERR value is not"} {
		if strings.HasPrefix(reply, bad) {
			x.w.t.Errorf("client %d: %q", x.id, reply)
		}
	}
}

// key is one of the client's own, on any server.
func (x *mixer) key() string { return fmt.Sprintf("own:%d:%d", x.id, x.rng.IntN(20)) }

// value is one that nobody had before.
func (x *mixer) value() string {
	x.n++
	return fmt.Sprintf("value:%d:%d", x.id, x.n)
}

// pipeline sets and reads keys of its own.
func (x *mixer) pipeline() {
	var requests [][]string
	for range 1 + x.rng.IntN(10) {
		requests = append(requests, []string{"SET", x.key(), x.value()}, []string{"GET", x.key()})
	}
	replies, _ := x.ask(requests...)
	for i, words := range requests {
		reply := "-ERR none"
		if i < len(replies) {
			reply = replies[i]
		}
		x.saw(words, reply)
	}
}

// saw compares a reply with what is known, and notes what is known now.
func (x *mixer) saw(words []string, reply string) {
	key := words[1]
	known, is := x.own[key]
	switch {
	case words[0] == "SET" && reply == "+OK\r\n":
		x.own[key] = words[2]
	case words[0] == "SET": // it may have been set, or may be yet
		delete(x.own, key)
	case reply[0] == '-' || !is:
	case reply != testkit.Bulk(known):
		x.w.t.Errorf("client %d: %s is %q, and was set to %q", x.id, key, reply, known)
	}
}

// spread changes and reads keys of several servers in a transaction.
func (x *mixer) spread() {
	requests := [][]string{{"MULTI"}}
	for range 1 + x.rng.IntN(4) {
		requests = append(requests, []string{"SET", x.key(), x.value()}, []string{"GET", x.key()})
	}
	requests = append(requests, []string{"EXEC"})
	replies, _ := x.ask(requests...)
	var elements []string
	if len(replies) == len(requests) {
		elements = arrayOf(replies[len(replies)-1])
	}
	for i, words := range requests[1 : len(requests)-1] {
		reply := "-ERR none"
		if i < len(elements) {
			reply = elements[i]
		}
		x.saw(words, reply)
	}
}

// arrayOf are the elements of an array of lines and bulks; none if it is none.
func arrayOf(reply string) (elements []string) {
	head, rest, _ := strings.Cut(reply, "\r\n")
	if head[0] != '*' {
		return nil
	}
	for rest != "" {
		line, behind, _ := strings.Cut(rest, "\r\n")
		n := len(line) + 2
		if size, err := strconv.Atoi(line[1:]); line[0] == '$' && err == nil && size >= 0 {
			n += size + 2
			behind = rest[n:]
		}
		elements = append(elements, rest[:n])
		rest = behind
	}
	return elements
}

// addPair adds one to both counters of a pair.
func (x *mixer) addPair() {
	a, b := pairOf(x.rng.IntN(counted))
	replies, ok := x.ask([]string{"MULTI"}, []string{"INCR", a}, []string{"INCR", b}, []string{"EXEC"})
	if ok {
		x.alike(replies[3])
	}
}

// seePair reads both counters of a pair.
func (x *mixer) seePair() {
	a, b := pairOf(x.rng.IntN(counted))
	if replies, ok := x.ask([]string{"MULTI"}, []string{"GET", a}, []string{"GET", b}, []string{"EXEC"}); ok {
		x.alike(replies[3])
	}
}

func pairOf(i int) (a, b string) { return fmt.Sprintf("{pair:%d}:a", i), fmt.Sprintf("{pair:%d}:b", i) }

// alike fails unless both elements are the same.
func (x *mixer) alike(reply string) {
	if e := arrayOf(reply); len(e) != 2 || e[0] != e[1] {
		x.w.t.Errorf("client %d: the counters of a pair are %q", x.id, reply)
	}
}

// watch adds one to a counter that others change, too.
func (x *mixer) watch() {
	i := x.rng.IntN(counted)
	name := fmt.Sprintf("counter:%d", i)
	replies, ok := x.ask([]string{"WATCH", name}, []string{"GET", name})
	if !ok {
		if x.c != nil {
			x.ask([]string{"UNWATCH"})
		}
		return
	}
	n := 0
	if e := arrayOf("*1\r\n" + replies[1]); !strings.HasPrefix(e[0], "$-1") {
		_, text, _ := strings.Cut(e[0], "\r\n")
		n, _ = strconv.Atoi(strings.TrimSpace(text))
	}
	replies, ok = x.ask([]string{"MULTI"}, []string{"SET", name, strconv.Itoa(n + 1)}, []string{"EXEC"})
	switch {
	case ok && replies[2] == "*-1\r\n":
		x.w.touched.Add(1)
	case ok:
		x.w.certain[i].Add(1)
	case len(replies) == 3 && strings.HasPrefix(replies[2], "-EXECABORT"):
	default:
		x.w.open[i].Add(1)
		x.w.unknown.Add(1)
	}
}

// push adds an element to a queue.
func (x *mixer) push() {
	element := x.value()
	if _, ok := x.ask([]string{"RPUSH", fmt.Sprintf("queue:%d", x.rng.IntN(counted)), element}); ok {
		x.w.mu.Lock()
		x.w.sure[element]++
		x.w.mu.Unlock()
	}
}

// take takes one, if there is one in time.
func (x *mixer) take() {
	replies, ok := x.ask([]string{"BLPOP", fmt.Sprintf("queue:%d", x.rng.IntN(counted)), "0.05"})
	x.w.mu.Lock()
	defer x.w.mu.Unlock()
	if !ok {
		x.w.popped++
	} else if e := arrayOf(replies[0]); len(e) == 2 {
		x.w.taken[textOf(e[1])]++
	}
}

// textOf is what a bulk holds.
func textOf(bulk string) string {
	_, text, _ := strings.Cut(bulk, "\r\n")
	return strings.TrimSuffix(text, "\r\n")
}

// wait asks for no replica, of which there is none.
func (x *mixer) wait() {
	if replies, ok := x.ask([]string{"WAIT", "0", "0"}); ok && replies[0] != ":0\r\n" {
		x.w.t.Errorf("client %d: WAIT: %q", x.id, replies[0])
	}
}

var errUnanswered = errors.New("not all is answered")

// judge compares what there is with what the clients were told.
func (w *mixture) judge() {
	w.t.Helper()
	x := &mixer{w: w, id: -1, rng: rand.New(rand.NewPCG(0, 3)), own: map[string]string{}}
	ask := func(words ...string) (reply string) {
		testkit.Await(w.t, "the servers to answer", func() error {
			if x.c == nil {
				x.connect()
			}
			replies, ok := x.ask(words)
			if !ok {
				return fmt.Errorf("%w: %q", errUnanswered, replies)
			}
			reply = replies[0]
			return nil
		})
		return reply
	}
	for i := range counted {
		got, _ := strconv.ParseInt(textOf(ask("GET", fmt.Sprintf("counter:%d", i))), 10, 64)
		if sure, open := w.certain[i].Load(), w.open[i].Load(); got < sure || got > sure+open {
			w.t.Errorf("counter %d is %d: %d were told to be done, and of %d the end is not known", i, got, sure, open)
		}
		a, b := pairOf(i)
		if a, b := ask("GET", a), ask("GET", b); a != b {
			w.t.Errorf("the counters of pair %d are %q and %q", i, a, b)
		}
		for _, e := range arrayOf(ask("LRANGE", fmt.Sprintf("queue:%d", i), "0", "-1")) {
			w.taken[textOf(e)]++
		}
	}
	missing := 0
	for element := range w.sure {
		if w.taken[element] == 0 {
			missing++
		}
	}
	for element, n := range w.taken {
		if n > 1 {
			w.t.Errorf("%s was taken %d times", element, n)
		}
	}
	if missing > w.popped {
		w.t.Errorf("%d elements are missing, and %d BLPOPs ended nobody knows how", missing, w.popped)
	}
	if w.done.Load() == 0 || w.touched.Load() == 0 || len(w.taken) == 0 {
		w.t.Error("the test shows nothing")
	}
	x.c.Close()
}

package soak

import (
	"context"
	"fmt"
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

// Clients listen to channels and patterns while the pool loses a server and gets it back, by
// reloads: each message is heard once, in the order of its channel, and nobody is closed. So it is
// for those who come and leave meanwhile.
func TestListenersMove(t *testing.T) {
	for _, how := range []string{"publish: all", "publish: owner", "publish: all, connections: shared", "publish: owner, connections: shared"} {
		t.Run(how, func(t *testing.T) {
			beside(t)
			s := newStage(t, testkit.Redis, "", "timeout: 4000", "pubsub: {"+how+"}")
			r := &row{piece: "sessions", what: "channels, " + how + "; servers come and go by reloads"}
			s.report(r)
			before := s.left()
			a := s.newAudience(false)
			a.start(times(40, 12))
			changing := s.startChanges(5, 3)
			whole, reloads := s.configuration(), 0
			for end := time.Now().Add(share(2, 10*time.Second, 2*time.Second)); time.Now().Before(end) && !t.Failed(); reloads++ {
				text := whole
				if reloads%2 == 0 {
					text = without(whole, s.servers[2])
				}
				s.reload(text)
				a.awaitMore(50)
				changing.awaitMore(15)
			}
			changing.end()
			a.end()
			if n := a.closed.Load(); n > 0 {
				t.Errorf("%d listeners were closed", n)
			}
			s.reload(whole)
			s.awaitLeft(before)
			a.tell(r, fmt.Sprintf("%d reloads; %d times somebody came and left", reloads, changing.rounds.Load()))
			r.left = "as before: " + before
		})
	}
}

// Clients listen while servers are killed and end their connections, and while the pool is
// reloaded. A client that has lost something is closed, or listens anew; nothing is heard
// twice, or out of order, and nothing is missing between two messages that it hears.
func TestListeners(t *testing.T) {
	for _, how := range []string{"on_loss: close", "on_loss: resubscribe", "on_loss: close, connections: shared", "on_loss: resubscribe, connections: shared"} {
		t.Run(how, func(t *testing.T) {
			beside(t)
			_, rng := seeded(t)
			s := newStage(t, testkit.Redis, "", fmt.Sprintf("timeout: %d", timeout.Milliseconds()), "pubsub: {"+how+", ping: 1s}")
			r := &row{piece: "sessions", what: "channels, " + how + "; servers killed, connections ended, reloads"}
			s.report(r)
			before := s.left()
			a := s.newAudience(strings.Contains(how, "resubscribe"))
			a.start(times(40, 12))
			for end := time.Now().Add(share(2, 10*time.Second, 2*time.Second)); time.Now().Before(end) && !t.Failed(); {
				server := s.servers[rng.IntN(len(s.servers))]
				switch rng.IntN(4) {
				case 0:
					server.Kill()
					server.Restart()
				case 1:
					s.proxy.Signal(syscall.SIGUSR1)
				default:
					direct := server.Dial()
					direct.Do("CLIENT", "KILL", "TYPE", "pubsub")
					direct.Close()
				}
				a.awaitMore(20)
			}
			a.end()
			s.awaitLeft(before)
			a.tell(r, fmt.Sprintf("%d closed", a.closed.Load()))
			r.left = "as before: " + before
		})
	}
}

// configuration is the file that the proxy was started with.
func (s *stage) configuration() string {
	b, err := os.ReadFile(s.proxy.Config)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

// without is a configuration without a server.
func without(text string, server *testkit.Server) string {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if strings.Contains(line, server.Addr()) {
			lines[i] = ""
		}
	}
	return strings.Join(lines, "")
}

// reload has the proxy read another file.
func (s *stage) reload(text string) {
	s.t.Helper()
	if err := os.WriteFile(s.proxy.Config, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.action("/reload")
}

// numChannels is how many channels an audience has, each with one client that says
// something on it: numbers, from 1 on.
const numChannels = 20

// An audience is clients that listen, and clients that say something.
type audience struct {
	s *stage
	// misses: a listener may miss something and go on.
	misses bool

	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup // those who say something
	hearing sync.WaitGroup

	mu sync.Mutex
	// certain tells, by channel and number, what was told to have been said, and missed what
	// somebody did not hear between two that it did.
	certain [numChannels]map[int]bool
	missed  [numChannels]map[int]bool

	heard, said, closed atomic.Int64
	// enough is closed when all have heard what they have to, which is up to last, by channel;
	// 0: that is not known yet.
	enough chan struct{}
	last   [numChannels]atomic.Int64
	// there is how many hear everything from now on.
	there atomic.Int64
}

func (s *stage) newAudience(misses bool) *audience {
	a := &audience{s: s, misses: misses, enough: make(chan struct{})}
	for i := range numChannels {
		a.certain[i], a.missed[i] = map[int]bool{}, map[int]bool{}
	}
	a.ctx, a.stop = context.WithCancel(s.t.Context())
	s.t.Cleanup(a.stop)
	return a
}

// start has n clients listen, and others say something once all do.
func (a *audience) start(n int) {
	for i := range n {
		a.hearing.Go(func() { a.listen(i) })
	}
	testkit.Await(a.s.t, "all to listen", func() error {
		if got := a.there.Load(); got < int64(n) {
			return fmt.Errorf("%w: %d of %d listen", errLeft, got, n)
		}
		return nil
	})
	for i := range numChannels {
		a.running.Go(func() { a.say(i) })
	}
}

// say says one number after the other on a channel, until all that listen have heard enough.
func (a *audience) say(channel int) {
	name := fmt.Sprintf("channel:%d", channel)
	var c *testkit.Client
	for n := 1; ; n++ {
		select {
		case <-a.enough:
			if c != nil {
				c.Close()
			}
			return
		default:
		}
		if a.ctx.Err() != nil && a.last[channel].Load() == 0 {
			a.last[channel].Store(int64(n))
		}
		if a.sayOne(&c, name, n) {
			a.said.Add(1)
			a.mu.Lock()
			a.certain[channel][n] = true
			a.mu.Unlock()
		}
	}
}

// sayOne says a number, and reports whether it was said for certain.
func (a *audience) sayOne(c **testkit.Client, name string, n int) bool {
	if *c == nil {
		var err error
		if *c, err = testkit.TryDial(a.s.t, testkit.Redis, a.s.proxy.Addr()); err != nil {
			a.s.t.Error(err)
			return true
		}
	}
	err := (*c).TrySend(testkit.RESP("PUBLISH", name, strconv.Itoa(n)))
	var got []byte
	if err == nil {
		got, err = (*c).TryReply()
	}
	if err != nil {
		(*c).Close()
		*c = nil
		return false
	}
	return got[0] == ':'
}

// listen listens until everything is said, as one client after the other.
func (a *audience) listen(i int) {
	for first := true; ; first = false {
		c, err := testkit.TryDial(a.s.t, testkit.Redis, a.s.proxy.Addr())
		if err != nil {
			a.s.t.Error(err)
			return
		}
		over := a.hear(c, i, first)
		c.Close()
		if over {
			return
		}
		a.closed.Add(1)
	}
}

// words are what the i-th listener listens to: every channel, or a pattern.
func words(i int) []string {
	if i%3 == 0 {
		return []string{"PSUBSCRIBE", "channel:*"}
	}
	all := []string{"SUBSCRIBE"}
	for channel := range numChannels {
		all = append(all, fmt.Sprintf("channel:%d", channel))
	}
	return all
}

// hear hears what comes, and reports whether that was all.
func (a *audience) hear(c *testkit.Client, i int, first bool) (over bool) {
	asks := words(i)
	if c.TrySend(testkit.RESP(asks...)) != nil {
		return false
	}
	for range asks[1:] {
		if got, err := c.TryReply(); err != nil || got[0] == '-' {
			return false
		}
	}
	if first {
		a.there.Add(1)
	}
	var last [numChannels]int
	for !a.over(last) {
		got, err := c.TryReply()
		if err != nil {
			return false
		}
		lines := strings.Split(string(got), "\r\n")
		channel, number := lines[len(lines)-4], lines[len(lines)-2]
		at, noChannel := strconv.Atoi(strings.TrimPrefix(channel, "channel:"))
		n, noNumber := strconv.Atoi(number)
		if noChannel != nil || noNumber != nil || at >= numChannels {
			a.s.t.Errorf("heard %q", got)
			return true
		}
		a.take(at, last[at], n)
		last[at] = n
		a.heard.Add(1)
	}
	return true
}

// take looks at a number that is heard behind another one of its channel.
func (a *audience) take(channel, last, n int) {
	if n <= last {
		a.s.t.Errorf("on channel %d %d was heard behind %d", channel, n, last)
	}
	if last == 0 || n == last+1 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for k := last + 1; k < n; k++ {
		a.missed[channel][k] = true
	}
}

// over reports whether somebody who has heard these last has heard all.
func (a *audience) over(last [numChannels]int) bool {
	for i, n := range last {
		if end := a.last[i].Load(); end == 0 || int64(n) < end {
			return false
		}
	}
	return true
}

// awaitMore waits until so many more were said, and heard.
func (a *audience) awaitMore(n int64) {
	a.s.t.Helper()
	said, heard := a.said.Load()+n, a.heard.Load()+n
	testkit.Await(a.s.t, "more to be said and heard", func() error {
		if a.said.Load() < said || a.heard.Load() < heard {
			return errLeft
		}
		return nil
	})
}

// end has all that is said be heard.
func (a *audience) end() {
	a.s.t.Helper()
	a.stop()
	a.hearing.Wait()
	close(a.enough)
	a.running.Wait()
	if a.misses {
		return
	}
	for channel, missed := range a.missed {
		for n := range missed {
			if a.certain[channel][n] {
				a.s.t.Errorf("on channel %d somebody did not hear %d, which was said, and heard what came before and behind it", channel, n)
			}
		}
	}
}

// tell tells what was seen.
func (a *audience) tell(r *row, what string) {
	r.requests = a.said.Load()
	r.notes = fmt.Sprintf("%d messages heard; %s", a.heard.Load(), what)
	a.s.t.Logf("%+v", *r)
}

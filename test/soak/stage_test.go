package soak

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"nuthatch/internal/testkit"
)

// loops is how many event loops the proxies of this package have.
const loops = 2

// A stage is nuthatch in front of three fresh servers.
type stage struct {
	t        *testing.T
	protocol testkit.Protocol
	proxy    *testkit.Proxy
	servers  []*testkit.Server
}

// newStage puts nuthatch in front of three servers, with keys added to the pool
// and to the process.
func newStage(t *testing.T, protocol testkit.Protocol, process string, pool ...string) *stage {
	t.Helper()
	s := &stage{t: t, protocol: protocol}
	for range 3 {
		if protocol == testkit.Redis {
			s.servers = append(s.servers, testkit.StartRedis(t))
		} else {
			s.servers = append(s.servers, testkit.StartMemcached(t))
		}
	}
	text := testkit.Pool{Protocol: protocol, Servers: testkit.Names(s.servers...), Lines: pool}.String()
	text += fmt.Sprintf("\nnuthatch:\n  threads: %d\n%s", loops, process)
	s.proxy = testkit.StartNuthatch(t, text)
	s.proxy.AwaitStat(0, "alpha", "client_connections") // that it was ready was seen by a client
	return s
}

var errLeft = errors.New("it is not as it was")

// left is what the proxy holds apart from its connections to servers, as text to
// compare: what it was before is what it must be afterwards.
func (s *stage) left() string {
	stats := s.proxy.Stats()
	servers := int64(0)
	queued := int64(0)
	for i := range s.servers {
		name := fmt.Sprintf("s%d", i+1)
		servers += stats.Value("alpha", name, "server_connections")
		for _, field := range []string{"in_queue", "in_queue_bytes", "out_queue", "out_queue_bytes"} {
			queued += stats.Value("alpha", name, field)
		}
	}
	return fmt.Sprintf("fds %d, clients %d, connections %d, queued %d",
		int64(s.descriptors())-servers, stats.Value("alpha", "client_connections"),
		stats.Value("curr_connections")-servers, queued)
}

func (s *stage) descriptors() int {
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.proxy.Pid()))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(all)
}

// awaitLeft waits until the proxy holds what it held before.
func (s *stage) awaitLeft(before string) {
	s.t.Helper()
	testkit.Await(s.t, "what is left to be "+before, func() error {
		if now := s.left(); now != before {
			return fmt.Errorf("%w: %s", errLeft, now)
		}
		return nil
	})
}

// A pulse is a client per event loop that asks the proxy, and it alone, for a sign
// of life again and again. How long that takes is how long the loop was busy with
// others, and how long the machine kept either from running; the control, the same
// with a server that does nothing else, shows the latter.
type pulse struct {
	t              *testing.T
	stop           chan struct{}
	running        sync.WaitGroup
	proxy, control *hdrhistogram.Histogram
}

// beat is how often a pulse asks.
const beat = 2 * time.Millisecond

// startPulse must be called before other clients come, who are then dealt to the
// loops as evenly.
func (s *stage) startPulse() *pulse {
	s.t.Helper()
	p := &pulse{t: s.t, stop: make(chan struct{}), proxy: newHistogram(), control: newHistogram()}
	ask, answer := "PING\r\n", "+PONG\r\n"
	if s.protocol == testkit.Memcache {
		ask, answer = "mn\r\n", "MN\r\n"
	}
	echo := testkit.StartScripted(s.t, func(k *testkit.Talk) {
		for _, ok := k.Line(); ok; _, ok = k.Line() {
			k.Reply(answer)
		}
	})
	var mu sync.Mutex
	for range loops {
		for _, to := range []struct {
			addr string
			into *hdrhistogram.Histogram
		}{{s.proxy.Addr(), p.proxy}, {echo.Addr(), p.control}} {
			c := testkit.Dial(s.t, s.protocol, to.addr)
			p.running.Go(func() { p.run(c, ask, answer, &mu, to.into) })
		}
	}
	return p
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3)
}

func (p *pulse) run(c *testkit.Client, ask, answer string, mu *sync.Mutex, into *hdrhistogram.Histogram) {
	for {
		select {
		case <-p.stop:
			c.Close()
			return
		case <-time.After(beat):
		}
		began := time.Now()
		err := c.TrySend([]byte(ask))
		var got []byte
		if err == nil {
			got, err = c.TryReply()
		}
		if err != nil || string(got) != answer {
			p.t.Errorf("a sign of life: %q, %v", got, err)
			return
		}
		mu.Lock()
		_ = into.RecordValue(time.Since(began).Microseconds()) // a minute, its highest, is above Patience
		mu.Unlock()
	}
}

// end stops the pulse and returns what it has seen as text, and the longest time
// of the control, which the machine is to answer for.
func (p *pulse) end() (figures string, control time.Duration) {
	close(p.stop)
	p.running.Wait()
	control = time.Duration(p.control.Max()) * time.Microsecond
	return fmt.Sprintf("loop answers within %.1f / %.1f ms (p99 / longest), control %.1f / %.1f",
		ms(p.proxy.ValueAtQuantile(99)), ms(p.proxy.Max()), ms(p.control.ValueAtQuantile(99)), ms(p.control.Max())), control
}

func ms(micros int64) float64 { return float64(micros) / 1000 }

// watchRSS looks at the proxy's memory until stop is called, which returns the
// most it was.
func (s *stage) watchRSS() (stop func() int64) {
	done := make(chan struct{})
	var most int64
	var running sync.WaitGroup
	running.Go(func() {
		for {
			most = max(most, s.proxy.RSS())
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	var once sync.Once
	stop = func() int64 {
		once.Do(func() { close(done) })
		running.Wait()
		return most
	}
	s.t.Cleanup(func() { stop() })
	return stop
}

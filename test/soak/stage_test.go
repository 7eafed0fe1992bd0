package soak

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"nuthatch/internal/admin/api"
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
	// admin asks the proxy's admin listener.
	admin *http.Client
}

// newStage puts nuthatch in front of three servers, with keys added to the pool
// and to the process.
func newStage(t *testing.T, protocol testkit.Protocol, process string, pool ...string) *stage {
	t.Helper()
	return newStageOf(t, nil, protocol, process, pool...)
}

// newStageOf is newStage with servers that are started with args.
func newStageOf(t *testing.T, args []string, protocol testkit.Protocol, process string, pool ...string) *stage {
	t.Helper()
	s := &stage{t: t, protocol: protocol}
	for range 3 {
		if protocol == testkit.Redis {
			s.servers = append(s.servers, testkit.StartRedis(t, args...))
		} else {
			s.servers = append(s.servers, testkit.StartMemcached(t, args...))
		}
	}
	text := testkit.Pool{Protocol: protocol, Servers: testkit.Names(s.servers...), Lines: pool}.String()
	path := testkit.SocketPath(t, "admin")
	text += fmt.Sprintf("\nnuthatch:\n  threads: %d\n  turn_times: true\n  admin: %s\n%s", loops, path, process)
	s.admin = &http.Client{Timeout: testkit.Patience, Transport: &http.Transport{
		DisableKeepAlives: true, // a connection that is kept would be one of the proxy's descriptors
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	s.proxy = testkit.StartNuthatch(t, text)
	s.proxy.AwaitStat(0, "alpha", "client_connections") // that it was ready was seen by a client
	return s
}

var errLeft = errors.New("it is not as it was")

// ask reads what the admin listener says at a path into v.
func (s *stage) ask(path string, v any) {
	s.t.Helper()
	testkit.Await(s.t, "the admin listener", func() error {
		r, err := s.admin.Get("http://nuthatch" + path)
		if err != nil {
			return fmt.Errorf("GET %s: %w", path, err)
		}
		defer func() { _ = r.Body.Close() }()
		return json.NewDecoder(r.Body).Decode(v)
	})
}

// left is what the proxy holds apart from its connections to servers, as text to
// compare: what it was before is what it must be afterwards.
func (s *stage) left() string {
	s.t.Helper()
	var info api.Info
	var pools api.Pools
	s.ask("/api/v1/info", &info)
	s.ask("/api/v1/pools", &pools)
	servers, queued := int64(0), int64(0)
	for i := range pools.Pools[0].Servers {
		counters := pools.Pools[0].Servers[i].Counters
		servers += counters["server_connections"]
		for _, field := range []string{"in_queue", "in_queue_bytes", "out_queue", "out_queue_bytes"} {
			queued += counters[field]
		}
	}
	messages, chunks := int64(0), int64(0)
	for _, loop := range info.Loops {
		messages += loop.Counters["live_messages"]
		chunks += loop.Counters["live_chunks"]
	}
	return fmt.Sprintf("%d descriptors, %d clients, %d connections, %d queued, %d messages, %d chunks",
		int64(s.descriptors())-servers, pools.Pools[0].Counters["client_connections"],
		info.Process.Connections-servers, queued, messages, chunks)
}

// longestTurn is the most processor time that a turn of an event loop has taken, in
// milliseconds.
func (s *stage) longestTurn() float64 {
	s.t.Helper()
	var info api.Info
	s.ask("/api/v1/info", &info)
	longest := int64(0)
	for _, loop := range info.Loops {
		longest = max(longest, loop.Counters["longest_turn"])
	}
	return ms(longest / int64(time.Microsecond))
}

// reasons are why requests failed, and how often, as the proxy counts them.
func (s *stage) reasons() string {
	var pools api.Pools
	s.ask("/api/v1/pools", &pools)
	counts := pools.Pools[0].Reasons["failed_requests"]
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Compare(counts[b], counts[a]) })
	for i, name := range names {
		names[i] = fmt.Sprintf("%d %s", counts[name], name)
	}
	return strings.Join(names, ", ")
}

// pid is that of the program that serves.
func (s *stage) pid() int {
	b, err := os.ReadFile(s.proxy.PidFile)
	if err != nil {
		s.t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(b))
	if err != nil {
		s.t.Fatalf("pid file: %v", err)
	}
	return pid
}

func (s *stage) descriptors() int {
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid()))
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

// end stops the pulse and returns what it has seen, as text.
func (p *pulse) end() string {
	close(p.stop)
	p.running.Wait()
	return fmt.Sprintf("loops answer within %.1f / %.1f ms (p99 / longest), control %.1f / %.1f",
		ms(p.proxy.ValueAtQuantile(99)), ms(p.proxy.Max()), ms(p.control.ValueAtQuantile(99)), ms(p.control.Max()))
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

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nuthatch/internal/admin"
	"nuthatch/internal/config"
	"nuthatch/internal/preview"
	"nuthatch/internal/proxy"
	"nuthatch/internal/testkit"
	"nuthatch/internal/topology"
)

// A stage is an instance in this process, over two Redis servers.
type stage struct {
	*Instance
	t       *testing.T
	file    string
	servers []*testkit.Server
	// process are more lines of the block "nuthatch:".
	process string
}

// startStage starts an instance with a configuration text.
func startStage(t *testing.T, text string, servers ...*testkit.Server) *stage {
	t.Helper()
	return startStageWith(t, text, "", servers...)
}

// startStageWith is startStage with more lines of the block "nuthatch:".
func startStageWith(t *testing.T, text, process string, servers ...*testkit.Server) *stage {
	t.Helper()
	s := &stage{t: t, file: filepath.Join(t.TempDir(), "nuthatch.yml"), servers: servers, process: process}
	s.write(text)
	s.start(Options{})
	return s
}

// start starts the instance with what s has written and o asks for besides.
func (s *stage) start(o Options) {
	s.t.Helper()
	t := s.t
	conf, err := config.Load(s.file)
	if err != nil {
		t.Fatal(err)
	}
	o.Program, o.Version, o.Config, o.ConfigFile = "nuthatch", "test", conf, s.file
	o.LogLevel, o.LogFile = 5, filepath.Join(t.TempDir(), "log")
	s.Instance, err = Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
}

func (s *stage) write(text string) {
	s.t.Helper()
	if err := os.WriteFile(s.file, []byte(text+"nuthatch:\n  threads: 2\n  drain_timeout: 5s\n"+s.process), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) mustReload(text string) *preview.Change {
	s.t.Helper()
	s.write(text)
	change, err := s.Reload("test")
	if err != nil {
		s.t.Fatal(err)
	}
	return change
}

func pool(name, listen string, servers []string, lines ...string) string {
	return testkit.Pool{Name: name, Listen: listen, Protocol: testkit.Redis, Servers: servers, Lines: lines}.String()
}

// TestReloadTellsWarnings: what -t warns of in the new file is in the answer.
func TestReloadTellsWarnings(t *testing.T) {
	server := testkit.StartRedis(t)
	listen, names := testkit.FreeAddr(t), []string{server.Entry("one")}
	s := startStage(t, pool("alpha", listen, names))
	defer s.Stop()
	change := s.mustReload(pool("alpha", listen, names, "timeout: 1", "request_timeout: 5s"))
	if !strings.Contains(strings.Join(change.Warnings, "\n"), "request_timeout: it is longer") {
		t.Errorf("warnings %q, want one of request_timeout", change.Warnings)
	}
}

func TestReloadRefused(t *testing.T) {
	server := testkit.StartRedis(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	also, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer also.Close()
	names := testkit.Names(server)
	listen, free := testkit.FreeAddr(t), testkit.FreeAddr(t)
	good := pool("alpha", listen, names)
	s := startStage(t, good, server)
	client := testkit.Dial(t, testkit.Redis, listen)
	client.Do("SET", "k", "v")

	tests := []struct {
		name, text string
		want       []string // all of these in the error
	}{
		{"every fault", strings.Replace(good, "hash: fnv1a_64", "hash: none", 1) + "  timeout: soon\n", []string{"hash", "timeout"}},
		{"empty", "", []string{"no pools"}},
		{
			"two ports taken, one free",
			pool("alpha", taken.Addr().String(), names) + pool("beta", also.Addr().String(), names) + pool("gamma", free, names),
			[]string{"pool 'alpha'", "pool 'beta'", taken.Addr().String(), also.Addr().String(), "address already in use"},
		},
		{"a socket nowhere", pool("alpha", "/does/not/exist/socket", names), []string{"/does/not/exist/socket"}},
	}
	before := s.current.Load()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.write(tt.text)
			_, err := s.Reload("test")
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if s.current.Load() != before {
				t.Error("the configuration in force has changed")
			}
			if got := client.Do("GET", "k"); got != "$1\r\nv\r\n" {
				t.Errorf("the client gets %q", got)
			}
			if conn, err := net.Dial("tcp", free); err == nil {
				conn.Close()
				t.Error("the listener that could be opened was left open")
			}
		})
	}
	if err := os.Remove(s.file); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reload("test"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
}

// TestReloadKeeps: clients, requests in flight, server connections and counters
// of what stays are those of before.
func TestReloadKeeps(t *testing.T) {
	one, two := testkit.StartRedis(t), testkit.StartRedis(t)
	listen, other := testkit.FreeAddr(t), testkit.FreeAddr(t)
	s := startStage(t, pool("alpha", listen, testkit.Names(one)))
	client := testkit.Dial(t, testkit.Redis, listen)
	client.Do("SET", "k", "v")
	blocked := testkit.Dial(t, testkit.Redis, listen)
	one.Pause()
	blocked.Send(testkit.RESP("GET", "k"))
	testkit.Await(t, "the request to be in flight", func() error {
		if n := s.Snapshot().CurrConnections; n < 3 {
			return fmt.Errorf("%d connections", n)
		}
		return nil
	})

	change := s.mustReload(pool("alpha", listen, []string{one.Entry("s1"), two.Entry("s2")}, "timeout: 9000") +
		pool("beta", other, testkit.Names(two)))
	one.Resume()
	blocked.Expect("$1\r\nv\r\n")
	if !slices.Equal(change.Added, []string{"beta"}) || len(change.Pools) != 1 || change.Pools[0].Settings[0].Key != "timeout" {
		t.Errorf("the change is told as %+v", change.Report)
	}
	testkit.Dial(t, testkit.Redis, other).Do("SET", "b", "b")

	row := s.Snapshot().Pools
	if len(row) != 2 || len(row[1].Servers) != 2 {
		t.Fatalf("rows after the reload: %+v", row)
	}
	client.Send(testkit.RESP("PING"))
	client.Expect("+PONG\r\n")

	// beta goes; its client is told to leave.
	leaving := testkit.Dial(t, testkit.Redis, other)
	leaving.Do("GET", "b")
	s.mustReload(pool("alpha", listen, []string{two.Entry("s2")}))
	if got := leaving.ExpectEnd(); got != "" {
		t.Errorf("the client of a removed pool gets %q", got)
	}
	if conn, err := net.Dial("tcp", other); err == nil {
		conn.Close()
		t.Error("the removed pool still listens")
	}
	testkit.Await(t, "the removed server's connections to close", func() error {
		snap := s.Snapshot()
		if n := snap.CurrConnections; n > 5 { // the listener, two clients, two connections to s2
			return fmt.Errorf("%d connections", n)
		}
		return nil
	})
	if rows := s.Snapshot().Pools; len(rows) != 1 || len(rows[0].Servers) != 1 {
		t.Errorf("rows of what is gone: %+v", rows)
	}
}

// TestReloadMovesListeners: two pools change their addresses with each other, and
// another one its protocol; nobody else could have taken the addresses meanwhile.
func TestReloadMovesListeners(t *testing.T) {
	one, two := testkit.StartRedis(t), testkit.StartRedis(t)
	cache := testkit.StartMemcached(t)
	a, b, path := testkit.FreeAddr(t), testkit.FreeAddr(t), testkit.SocketPath(t, "p")
	s := startStage(t, pool("alpha", a, testkit.Names(one))+pool("beta", b, testkit.Names(two))+pool("gamma", path, testkit.Names(one)))
	testkit.Dial(t, testkit.Redis, one.Addr()).Do("SET", "who", "one")
	testkit.Dial(t, testkit.Redis, two.Addr()).Do("SET", "who", "two")
	old := testkit.Dial(t, testkit.Redis, a)
	s.mustReload(pool("alpha", b, testkit.Names(one)) + pool("beta", a, testkit.Names(two)) +
		testkit.Pool{Name: "gamma", Listen: path, Protocol: testkit.Memcache, Servers: testkit.Names(cache)}.String())
	for addr, want := range map[string]string{a: "two", b: "one"} {
		if got := testkit.Dial(t, testkit.Redis, addr).Do("GET", "who"); got != testkit.Bulk(want) {
			t.Errorf("%s serves %q, want %s", addr, got, want)
		}
	}
	if got := old.Do("GET", "who"); got != testkit.Bulk("one") {
		t.Errorf("a client of alpha is served %q after alpha's address changed", got)
	}
	m := testkit.Dial(t, testkit.Memcache, path)
	m.Send([]byte("get nothing\r\n"))
	m.Expect("END\r\n")
}

// TestReloadLeaksNothing reloads back and forth and compares what is held.
func TestReloadLeaksNothing(t *testing.T) {
	one, two := testkit.StartRedis(t), testkit.StartRedis(t)
	listen, other := testkit.FreeAddr(t), testkit.FreeAddr(t)
	small := pool("alpha", listen, testkit.Names(one))
	large := pool("alpha", listen, testkit.Names(one, two), "server_connections: 2") + pool("beta", other, testkit.Names(two))
	// An admin listener at its default address would come and go with other programs'.
	s := startStageWith(t, small, "  admin: off\n")
	use := func(addr string) {
		c := testkit.Dial(t, testkit.Redis, addr)
		for i := range 20 {
			c.Do("SET", fmt.Sprint(i), strings.Repeat("v", 100*i))
		}
		c.Close()
	}
	cycle := func() {
		s.mustReload(large)
		use(listen)
		use(other)
		s.mustReload(small)
		use(listen)
	}
	settle := func() (held string) {
		testkit.Await(t, "the loops to be idle", func() error {
			var busy atomic.Bool
			chunks := 0
			err := s.loops.onFirst(func(ctx *proxy.Context) { _, chunks = ctx.Live() })
			if err != nil || s.loops.clients() > 0 || chunks > 0 {
				return fmt.Errorf("%d clients, %d chunks, %w", s.loops.clients(), chunks, err)
			}
			_ = s.loops.onAll(func(ctx *proxy.Context) {
				if ctx.Leaving() {
					busy.Store(true)
				}
			})
			if busy.Load() {
				return errors.New("something has yet to go")
			}
			return nil
		})
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%d goroutines, %d descriptors", runtime.NumGoroutine(), len(fds))
	}
	cycle()
	before := settle()
	for range 10 {
		cycle()
	}
	testkit.Await(t, "what was held to be given back", func() error {
		if after := settle(); after != before {
			return fmt.Errorf("%s, before %s", after, before)
		}
		return nil
	})
}

func TestThreadsAreNotApplied(t *testing.T) {
	server := testkit.StartRedis(t)
	text := pool("alpha", testkit.FreeAddr(t), testkit.Names(server))
	s := startStage(t, text)
	if err := os.WriteFile(s.file, []byte(text+"nuthatch:\n  threads: 5\n  drain_timeout: 7s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it is told again as long as it is so
		change, err := s.Reload("test")
		if err != nil {
			t.Fatal(err)
		}
		if len(change.NotApplied) != 1 || change.NotApplied[0].Key != "nuthatch.threads" {
			t.Errorf("not applied: %+v", change.NotApplied)
		}
	}
	if got := s.current.Load().conf.Process; got.Threads != 2 || got.DrainTimeout != 7*time.Second {
		t.Errorf("in force: %+v", got)
	}
}

func TestPause(t *testing.T) {
	server := testkit.StartRedis(t)
	listen := testkit.FreeAddr(t)
	s := startStage(t, pool("alpha", listen, testkit.Names(server)))
	before, during := testkit.Dial(t, testkit.Redis, listen), make(chan string, 2)
	before.Do("SET", "k", "v")
	if err := s.Pause(t.Context(), "alpha", time.Minute, "test"); err != nil {
		t.Fatal(err)
	}
	server.Stop() // nobody notices
	before.Send(testkit.RESP("SET", "k", "w"))
	late := testkit.Dial(t, testkit.Redis, listen)
	late.Send(testkit.RESP("SET", "l", "w"))
	server.Restart()
	for _, c := range []*testkit.Client{before, late} {
		go func() {
			b, err := c.TryReply()
			during <- fmt.Sprint(string(b), err)
		}()
	}
	select {
	case reply := <-during:
		t.Fatalf("a reply while the pool is paused: %q", reply)
	case <-time.After(50 * time.Millisecond):
	}
	if err := s.Resume("alpha", "test"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if reply := <-during; reply != "+OK\r\n<nil>" {
			t.Errorf("a request that waited gets %q", reply)
		}
	}
	// A pause ends by itself.
	if err := s.Pause(t.Context(), "alpha", time.Millisecond, "test"); err != nil {
		t.Fatal(err)
	}
	if got := before.Do("GET", "k"); got != "$1\r\nw\r\n" {
		t.Errorf("after the pause: %q", got)
	}
	// A request in flight is waited for.
	server.Pause()
	before.Send(testkit.RESP("GET", "k"))
	awaitInFlight(t, s, "alpha", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Pause(ctx, "alpha", time.Minute, "test"); !errors.Is(err, admin.ErrBusy) {
		t.Errorf("a pause with a request in flight: %v", err)
	}
	server.Resume()
	before.Expect("$1\r\nw\r\n")
	if err := s.Pause(t.Context(), "none", time.Minute, "test"); !errors.Is(err, admin.ErrNoPool) {
		t.Errorf("a pool that is not there: %v", err)
	}
}

func awaitInFlight(t *testing.T, s *stage, pool string, want int) {
	t.Helper()
	topo, err := s.current.Load().topology(pool)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Await(t, "requests to be in flight", func() error {
		counts := make(chan int, len(s.loops.contexts))
		if err := s.loops.onAll(func(ctx *proxy.Context) { counts <- ctx.InFlight(topo) }); err != nil {
			return err
		}
		n := 0
		for range s.loops.contexts {
			n += <-counts
		}
		if n != want {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
}

func TestDisable(t *testing.T) {
	one, two := testkit.StartRedis(t), testkit.StartRedis(t)
	listen := testkit.FreeAddr(t)
	text := pool("alpha", listen, testkit.Names(one, two))
	s := startStage(t, text)
	client := testkit.Dial(t, testkit.Redis, listen)
	set := func() (ok, failed int) {
		for i := range 50 {
			switch reply := client.Do("SET", fmt.Sprint(i), "v"); {
			case reply == "+OK\r\n":
				ok++
			case strings.Contains(reply, "disabled"):
				failed++
			default:
				t.Fatalf("reply %q", reply)
			}
		}
		return ok, failed
	}
	if got := s.OutOfService("alpha"); got != topology.Refused {
		t.Errorf("without auto_eject_hosts a disabled server's keys are %s", got)
	}
	steps := []struct {
		service topology.Service
		some    bool // some requests fail
	}{{topology.Refused, true}, {topology.OffTheRing, false}, {topology.InService, false}}
	for _, step := range steps {
		if err := s.SetService("alpha", "s1", step.service, "test"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if ok, failed := set(); ok == 0 || (failed > 0) != step.some {
				t.Errorf("%s: %d replies, %d errors", step.service, ok, failed)
			}
			s.mustReload(text + "  timeout: 5000\n")
		}
	}
	if err := s.SetService("alpha", one.Addr(), topology.Refused, "test"); err != nil {
		t.Errorf("a server by its address: %v", err)
	}
	if err := s.SetService("alpha", "s9", topology.Refused, "test"); !errors.Is(err, admin.ErrNoServer) {
		t.Errorf("a server that is not there: %v", err)
	}
}

// TestReconnect: what is in flight is answered by the old connection, in order
// with what comes next.
func TestReconnect(t *testing.T) {
	server := testkit.StartRedis(t)
	listen := testkit.FreeAddr(t)
	s := startStage(t, pool("alpha", listen, testkit.Names(server)))
	client := testkit.Dial(t, testkit.Redis, listen)
	client.Do("SET", "n", "0")
	server.Pause()
	for range 5 {
		client.Send(testkit.RESP("INCR", "n"))
	}
	awaitInFlight(t, s, "alpha", 5)
	if err := s.Reconnect("alpha", "", "test"); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		client.Send(testkit.RESP("INCR", "n"))
	}
	server.Resume()
	for i := range 10 {
		client.Expect(fmt.Sprintf(":%d\r\n", i+1))
	}
	testkit.Await(t, "the old connection to close", func() error {
		if n := s.Snapshot().Pools[0].Servers[0].Values; n[3] != 1 {
			return fmt.Errorf("%d server connections", n[3])
		}
		return nil
	})
	if got := testkit.Dial(t, testkit.Redis, server.Addr()).Do("INFO", "stats"); !strings.Contains(got, "total_connections_received:") {
		t.Errorf("INFO: %q", got)
	}
}

func TestKillClient(t *testing.T) {
	server := testkit.StartRedis(t)
	listen := testkit.FreeAddr(t)
	s := startStage(t, pool("alpha", listen, testkit.Names(server)))
	victim := testkit.Dial(t, testkit.Redis, listen)
	id := strings.Trim(victim.Do("CLIENT", "ID"), ":\r\n")
	var n uint64
	if _, err := fmt.Sscan(id, &n); err != nil {
		t.Fatalf("CLIENT ID: %q", id)
	}
	other := testkit.Dial(t, testkit.Redis, listen)
	if err := s.KillClient(n, "test"); err != nil {
		t.Fatal(err)
	}
	victim.ExpectEnd()
	other.Do("PING")
	if err := s.KillClient(n, "test"); !errors.Is(err, admin.ErrNoClient) {
		t.Errorf("the same client once more: %v", err)
	}
}

func TestDrain(t *testing.T) {
	server := testkit.StartRedis(t)
	listen := testkit.FreeAddr(t)
	s := startStage(t, pool("alpha", listen, testkit.Names(server)))
	busy, half, idle := testkit.Dial(t, testkit.Redis, listen), testkit.Dial(t, testkit.Redis, listen), testkit.Dial(t, testkit.Redis, listen)
	busy.Do("SET", "k", "v")
	idle.Do("PING")
	server.Pause()
	busy.Send(testkit.RESP("GET", "k"))
	awaitInFlight(t, s, "alpha", 1)
	request := testkit.RESP("GET", "k")
	half.Send(request[:9])

	s.Drain("test")
	if s.Ready() {
		t.Error("a draining proxy is ready")
	}
	idle.ExpectEnd()
	testkit.Await(t, "the listener to close", func() error {
		conn, err := net.Dial("tcp", listen)
		if err == nil {
			conn.Close()
			return errors.New("it accepts")
		}
		return nil
	})
	if _, err := s.Reload("test"); !errors.Is(err, admin.ErrEnding) {
		t.Errorf("a reload while draining: %v", err)
	}
	half.Send(request[9:])
	server.Resume()
	busy.Expect("$1\r\nv\r\n")
	half.Expect("$1\r\nv\r\n")
	busy.Close()
	half.Close()
	if err := s.Wait(); err != nil {
		t.Error(err)
	}
}

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/msg"
	"nuthatch/internal/socket"
	"nuthatch/internal/testkit"
	"nuthatch/internal/topology"
)

// A directory is a resolver of names that tests change.
type directory struct {
	t *testing.T
	// addrs is what every name stands for; nil: it is not known.
	addrs atomic.Pointer[[]unix.Sockaddr]
	asked atomic.Int64
}

var errNoSuchHost = errors.New("no such host")

func (d *directory) lookup(_ context.Context, _ string, _ int) ([]unix.Sockaddr, error) {
	d.asked.Add(1)
	if addrs := d.addrs.Load(); addrs != nil {
		return *addrs, nil
	}
	return nil, errNoSuchHost
}

// point has names stand for the addresses of these listeners.
func (d *directory) point(listeners ...string) {
	d.t.Helper()
	var all []unix.Sockaddr
	for _, addr := range listeners {
		host, text, err := net.SplitHostPort(addr)
		if err != nil {
			d.t.Fatal(err)
		}
		port, err := strconv.Atoi(text)
		if err != nil {
			d.t.Fatal(err)
		}
		s, err := socket.Resolve(d.t.Context(), host, port)
		if err != nil {
			d.t.Fatal(err)
		}
		all = append(all, s...)
	}
	d.addrs.Store(&all)
}

// startNamed starts a proxy for one server, called redis.example.
func startNamed(t *testing.T, d *directory, interval time.Duration) *testkit.Client {
	t.Helper()
	_, c := startNamedIn(t, d, interval)
	return c
}

func startNamedIn(t *testing.T, d *directory, interval time.Duration) (*Instance, *testkit.Client) {
	t.Helper()
	conf, err := config.Parse("named.yml", fmt.Appendf(nil, "p:\n  listen: %s\n  redis: true\n  timeout: 5000\n"+
		"  servers:\n  - redis.example:6379:1 one\nnuthatch:\n  threads: 2\n  resolve_interval: %v\n", testkit.FreeAddr(t), interval))
	if err != nil {
		t.Fatal(err)
	}
	in, err := Start(Options{Program: "nuthatch", Version: "test", Config: conf, LogFile: t.TempDir() + "/log", lookup: d.lookup})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Stop)
	return in, testkit.Dial(t, testkit.Redis, in.Addr(0))
}

func named(name string) func(*testkit.Talk) {
	return func(k *testkit.Talk) {
		for _, ok := k.Command(); ok; _, ok = k.Command() {
			k.Reply(testkit.Bulk(name))
		}
	}
}

func awaitReply(t *testing.T, c *testkit.Client, want string) {
	t.Helper()
	testkit.Await(t, fmt.Sprintf("the reply %q", want), func() error {
		if got := c.Do("GET", "k"); got != want {
			return fmt.Errorf("it is %q", got)
		}
		return nil
	})
}

// A proxy starts with a server whose name is not known. When a request has found
// it so the name is looked up again at once, and not only after resolve_interval.
func TestUnknownName(t *testing.T) {
	d := &directory{t: t}
	c := startNamed(t, d, time.Hour)
	if got := c.Do("GET", "k"); got != "-ERR the name of this key's server cannot be resolved\r\n" {
		t.Errorf("a name that is not known: %q", got)
	}
	d.point(testkit.StartScripted(t, named("one")).Addr())
	awaitReply(t, c, testkit.Bulk("one"))
}

// TestUnknownNameIsKnown: a server without an address is failing from the start, before anybody
// asks for it, and is well as soon as its name has an address.
func TestUnknownNameIsKnown(t *testing.T) {
	d := &directory{t: t}
	in, _ := startNamedIn(t, d, 100*time.Millisecond)
	_, topo := in.InForce()
	server := topo[0].Snapshot().Servers[0]
	if got := server.State(); got.State != topology.Failing || got.Reason != msg.Unresolved {
		t.Errorf("after the start: %+v", got)
	}
	if e := in.Events().LatestOf(events.ServerFails); e == nil || e.Server != "one" || e.Reason != "unresolved" ||
		e.Text != "server one (redis.example:6379) fails: its name cannot be resolved; requests for it fail until it can" {
		t.Errorf("the event is %+v", e)
	}
	d.point(testkit.StartScripted(t, named("one")).Addr())
	testkit.Await(t, "the event that it has an address", func() error {
		if got := server.State(); got.State != topology.Up {
			return fmt.Errorf("it is %+v", got)
		}
		if e := in.Events().LatestOf(events.ServerAnswers); e == nil || !strings.HasPrefix(e.Text, "server one (redis.example:6379) has an address now after ") || e.For <= 0 {
			return fmt.Errorf("the event is %+v", e)
		}
		return nil
	})
}

// A server that has moved is found when it cannot be connected to at its old
// address, whichever of its new ones is good.
func TestMovedServer(t *testing.T) {
	d := &directory{t: t}
	old := testkit.StartScripted(t, named("old"))
	d.point(old.Addr())
	c := startNamed(t, d, time.Hour)
	awaitReply(t, c, testkit.Bulk("old"))
	d.point(testkit.FreeAddr(t), testkit.StartScripted(t, named("new")).Addr())
	old.Stop()
	awaitReply(t, c, testkit.Bulk("new"))
}

// However many requests fail, a name is looked up at most once in a second.
func TestLookUpsAreBounded(t *testing.T) {
	d := &directory{t: t}
	d.point(testkit.FreeAddr(t))
	c := startNamed(t, d, time.Hour)
	began := time.Now()
	for range 500 {
		if got := c.Do("GET", "k"); got != "-ERR Connection refused\r\n" {
			t.Fatalf("a server that is gone: %q", got)
		}
	}
	testkit.Await(t, "a look-up after the first", func() error {
		if d.asked.Load() < 2 {
			return errNoSuchHost
		}
		return nil
	})
	// The one at the start, one at once, and one for each second that has begun.
	if n, most := d.asked.Load(), 2+int64(time.Since(began)/resolveAgain)+1; n > most {
		t.Errorf("%d look-ups in %v, want at most %d", n, time.Since(began), most)
	}
}

// Names are looked up regularly, whether or not a connection fails. A name that
// is not known any more keeps its addresses.
func TestNamesAreLookedUpAgain(t *testing.T) {
	d := &directory{t: t}
	d.point(testkit.StartScripted(t, named("one")).Addr())
	c := startNamed(t, d, 100*time.Millisecond)
	awaitReply(t, c, testkit.Bulk("one"))
	asked := d.asked.Load()
	d.addrs.Store(nil)
	testkit.Await(t, "two more look-ups", func() error {
		if d.asked.Load() < asked+3 {
			return errNoSuchHost
		}
		return nil
	})
	if got := c.Do("GET", "k"); got != testkit.Bulk("one") {
		t.Errorf("a name that is not known any more: %q", got)
	}
}

// A server whose name has several addresses, and which listens at one of them
// only, is found there by the first request, whichever it is.
func TestServerAtOneOfItsAddresses(t *testing.T) {
	_, port, err := net.SplitHostPort(testkit.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	all := []string{net.JoinHostPort("::1", port), net.JoinHostPort("127.0.0.1", port)}
	for _, host := range testkit.LoopbackHosts(t, 1, number) {
		all = append(all, net.JoinHostPort(host, port))
	}
	for _, addr := range all[1:] { // there may be no IPv6
		t.Run(addr, func(t *testing.T) {
			d := &directory{t: t}
			d.point(all...)
			testkit.StartRedisAt(t, addr)
			if got := startNamed(t, d, time.Hour).Do("SET", "k", "v"); got != "+OK\r\n" {
				t.Errorf("SET: %q", got)
			}
		})
	}
}

// startNamedPool starts a proxy for one server, called named.example, whose pool has
// these lines too.
func startNamedPool(t *testing.T, d *directory, interval time.Duration, lines string) *Instance {
	t.Helper()
	conf, err := config.Parse("named.yml", fmt.Appendf(nil, "p:\n  listen: %s\n%s"+
		"  servers:\n  - named.example:6379:1 one\nnuthatch:\n  threads: 2\n  resolve_interval: %v\n", testkit.FreeAddr(t), lines, interval))
	if err != nil {
		t.Fatal(err)
	}
	in, err := Start(Options{Program: "nuthatch", Version: "test", Config: conf, LogFile: t.TempDir() + "/log", lookup: d.lookup})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Stop)
	return in
}

// slowly is a server that answers with its name, and what is asked for "slow" when it
// is told to.
func slowly(name string, asked chan<- struct{}, gate <-chan struct{}) func(*testkit.Talk) {
	return func(k *testkit.Talk) {
		for args, ok := k.Command(); ok; args, ok = k.Command() {
			if args[len(args)-1] == "slow" {
				asked <- struct{}{}
				<-gate
			}
			k.Reply(testkit.Bulk(name))
		}
	}
}

// A name moves while the old server is well: connections to it finish what they owe,
// and what comes then goes to the new one. No request fails, and a client's requests
// keep their order.
func TestNameMoves(t *testing.T) {
	d := &directory{t: t}
	asked, gate := make(chan struct{}, 1), make(chan struct{})
	old, fresh := testkit.StartScripted(t, slowly("old", asked, gate)), testkit.StartScripted(t, slowly("new", asked, gate))
	d.point(old.Addr())
	in := startNamedPool(t, d, 100*time.Millisecond, "  redis: true\n  auto_eject_hosts: true\n  server_failure_limit: 1\n")
	waits, idle := testkit.Dial(t, testkit.Redis, in.Addr(0)), testkit.Dial(t, testkit.Redis, in.Addr(0))
	awaitReply(t, idle, testkit.Bulk("old"))
	waits.Send(testkit.RESP("GET", "slow"))
	<-asked
	d.point(fresh.Addr())
	awaitReply(t, idle, testkit.Bulk("new"))
	waits.Send(testkit.RESP("GET", "k"))
	close(gate)
	for _, want := range []string{"old", "new"} {
		if got := waits.Reply(); got != testkit.Bulk(want) {
			t.Errorf("a client with a request under way got %q, want %q", got, want)
		}
	}
	if s := in.current.Load().topo[0].Servers()[0].State(); s.State != topology.Up {
		t.Errorf("the server is %v for %v", s.State, s.Reason)
	}
}

// A server that takes no writes any more has its name looked up at once, and whatever
// else has failed; one without a name has nothing looked up.
func TestNameIsLookedUpAfterFailures(t *testing.T) {
	for name, old := range map[string]func(*testkit.Talk){
		"READONLY": func(k *testkit.Talk) {
			for _, ok := k.Command(); ok; _, ok = k.Command() {
				k.Reply("-READONLY You can't write against a read only replica.\r\n")
			}
		},
		"it ends connections": func(k *testkit.Talk) { k.Command() },
		"it says nothing":     func(k *testkit.Talk) { k.Drain() },
		"it says nonsense":    func(k *testkit.Talk) { k.Command(); k.Reply("nonsense\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			d := &directory{t: t}
			d.point(testkit.StartScripted(t, old).Addr())
			in := startNamedPool(t, d, time.Hour, "  redis: true\n  timeout: 400\n")
			c := testkit.Dial(t, testkit.Redis, in.Addr(0))
			d.point(testkit.StartScripted(t, named("new")).Addr())
			awaitReply(t, c, testkit.Bulk("new"))
		})
	}
}

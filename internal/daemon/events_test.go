package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/testkit"
	"nuthatch/internal/topology"
)

// A follower awaits the events of an instance, one behind the other.
type follower struct {
	t    *testing.T
	log  *events.Log
	last int64
	// others are kinds that may be among those awaited.
	others []events.Kind
}

// follow follows the events of in. Other programs may have the admin listener's default
// address, and whoever looks out each second may see what lasts for moments.
func follow(t *testing.T, in *Instance) *follower {
	return &follower{t: t, log: in.Events(), others: []events.Kind{
		events.AdminMissing, events.NoServer, events.NoServerOver, events.ServerSlow, events.ServerSlowOver, events.ServerErrors, events.ServerErrorsOver,
		events.ServerCause,
	}}
}

// next awaits the next event, which must be of that kind, of that pool and server, by who
// is named, and have that in its text.
func (f *follower) next(kind events.Kind, pool, server, by, text string) *events.Event {
	f.t.Helper()
	var got *events.Event
	testkit.Await(f.t, "event "+kind.String(), func() error {
		for {
			found, _, next := f.log.After(f.last, 1, "")
			if len(found) == 0 {
				return fmt.Errorf("there is none behind %d", f.last)
			}
			got, f.last = found[0], next
			if got.Kind == kind || !slices.Contains(f.others, got.Kind) {
				return nil
			}
		}
	})
	if got.Kind != kind || got.Pool != pool || got.Server != server || got.By != by || !strings.Contains(got.Text, text) {
		f.t.Fatalf("the event is %v: %+v\nwant %v of pool %q and server %q by %q, with %q", got.Kind, *got, kind, pool, server, by, text)
	}
	if age := time.Since(got.Time); age < 0 || age > time.Hour {
		f.t.Errorf("%v was %v ago", kind, age)
	}
	return got
}

// none checks that nothing more has happened.
func (f *follower) none() {
	f.t.Helper()
	found, _, _ := f.log.After(f.last, events.Kept, "")
	for _, e := range found {
		if !slices.Contains(f.others, e.Kind) {
			f.t.Errorf("there is one more event: %+v", *e)
		}
	}
}

// What operators do is told, with who did it.
func TestEventsOfActions(t *testing.T) {
	server := testkit.StartRedis(t)
	listen, names := testkit.FreeAddr(t), []string{server.Entry("one")}
	good := pool("alpha", listen, names)
	s := startStage(t, good)
	f := follow(t, s.Instance)
	f.next(events.Started, "", "", "", "nuthatch-test started on pid")

	s.mustReload(good)
	f.next(events.Reloaded, "", "", "test", "nothing changed")
	s.mustReload(pool("alpha", listen, names, "timeout: 700") + pool("beta", testkit.FreeAddr(t), names))
	f.next(events.Reloaded, "", "", "test", "pools added: 1, settings changed: 1")
	s.write(strings.Replace(good, "hash: fnv1a_64", "hash: none", 1) + "  timeout: soon\n")
	if _, err := s.Reload("test"); err == nil {
		t.Fatal("the reload of a file with faults is not refused")
	}
	if e := f.next(events.ReloadRefused, "", "", "test", "(and 1 more)"); !strings.Contains(e.Text, "hash") {
		t.Errorf("the first fault is not told: %s", e.Text)
	}

	if err := s.Pause(t.Context(), "alpha", time.Minute, "somebody"); err != nil {
		t.Fatal(err)
	}
	if e := f.next(events.PoolPaused, "alpha", "", "somebody", "pool paused"); e.For != time.Minute {
		t.Errorf("it is paused for %v", e.For)
	}
	for range 2 { // the second resumes nothing
		if err := s.Resume("alpha", "other"); err != nil {
			t.Fatal(err)
		}
	}
	if e := f.next(events.PoolResumed, "alpha", "", "other", "pool resumed"); e.For <= 0 || e.For > time.Minute {
		t.Errorf("it was paused for %v", e.For)
	}
	if err := s.Pause(t.Context(), "beta", time.Millisecond, "somebody"); err != nil {
		t.Fatal(err)
	}
	f.next(events.PoolPaused, "beta", "", "somebody", "")
	f.next(events.PoolResumed, "beta", "", "", "the time of its pause is over")

	for _, service := range []topology.Service{topology.Refused, topology.Refused, topology.InService, topology.InService} {
		if err := s.SetService("alpha", server.Addr(), service, "somebody"); err != nil {
			t.Fatal(err)
		}
	}
	f.next(events.ServerDisabled, "alpha", "one", "somebody", "requests for its keys fail")
	f.next(events.ServerEnabled, "alpha", "one", "somebody", "in service again")
	f.none()
	s.Drain("somebody")
	f.next(events.Draining, "", "", "somebody", "draining: 0 clients")
	f.none()
}

// A server's way from the first failure to the next answer, and why and how long it
// was down.
func TestEventsOfAServer(t *testing.T) {
	server := testkit.StartRedis(t)
	listen, names := testkit.FreeAddr(t), []string{server.Entry("one")}
	for _, c := range []struct {
		name  string
		lines []string
		fails events.Kind
		text  string
		tried bool
	}{
		{"failing", []string{"server_failure_limit: 1"}, events.ServerFails, "each request for it is still tried", false},
		{
			"ejected",
			[]string{"auto_eject_hosts: true", "server_failure_limit: 1", "server_retry_timeout: 50"},
			events.ServerEjected, "the other servers get its keys", true,
		},
		{
			"refused",
			[]string{"auto_eject_hosts: true", "server_failure_limit: 1", "server_retry_timeout: 50", "eject: fail"},
			events.ServerEjected, "its requests fail until it answers", true,
		},
		{
			"checked",
			[]string{"auto_eject_hosts: true", "health_check: {interval: 20ms, timeout: 5s, rise: 1, fall: 1}"},
			events.ServerEjected, "Connection refused", false,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startStage(t, pool("alpha", listen, names, c.lines...))
			defer s.Stop()
			f := follow(t, s.Instance)
			f.next(events.Started, "", "", "", "")
			client := testkit.Dial(t, testkit.Redis, listen)
			client.Do("SET", "k", "v")
			server.Stop()
			testkit.Await(t, "the server to fail", func() error {
				if got := client.Do("GET", "k"); strings.HasPrefix(got, "-") {
					return nil
				}
				return errors.New("it answers")
			})
			f.next(c.fails, "alpha", "one", "", c.text)
			if c.tried {
				f.awaitTried(client)
				for range 20 { // told once, however often it is tried
					client.Do("GET", "k")
				}
				f.none()
			}
			server.Restart()
			awaitReply(t, client, "$-1\r\n")
			if e := f.next(events.ServerAnswers, "alpha", "one", "", "again after "); e.For <= 0 || e.For > time.Hour || e.Reason != "" {
				t.Errorf("it was down for %v, for %q", e.For, e.Reason)
			}
			if e := s.Events().LatestOf(c.fails); e.Reason != "conn_refused" && e.Reason != "server_eof" {
				t.Errorf("it failed for %q", e.Reason)
			}
			f.none()
		})
	}
}

// awaitTried asks until the server is tried again.
func (f *follower) awaitTried(client *testkit.Client) {
	f.t.Helper()
	testkit.Await(f.t, "the server to be tried again", func() error {
		client.Do("GET", "k")
		if f.log.Count(events.ServerTried) == 0 {
			return errors.New("it is not")
		}
		return nil
	})
	f.next(events.ServerTried, "alpha", "one", "", "is tried again")
}

// Names that cannot be looked up, and that stand for another address, are told.
func TestEventsOfNames(t *testing.T) {
	d := &directory{t: t}
	in := startNamedPool(t, d, 100*time.Millisecond, "  redis: true\n")
	f := follow(t, in)
	f.others = append(f.others, events.ServerFails, events.ServerAnswers) // what requests meet meanwhile
	f.next(events.NameUnresolved, "p", "one", "", errNoSuchHost.Error())
	f.next(events.Started, "", "", "", "")
	first, second := testkit.StartScripted(t, named("first")), testkit.StartScripted(t, named("second"))
	d.point(first.Addr())
	awaitReply(t, testkit.Dial(t, testkit.Redis, in.Addr(0)), testkit.Bulk("first"))
	d.point(second.Addr())
	f.next(events.AddressesChanged, "p", "one", "", second.Addr())
	d.addrs.Store(nil)
	f.next(events.NameUnresolved, "p", "one", "", errNoSuchHost.Error())
}

// That clients are refused, or cut, is told once, however many there are.
func TestEventsOfClients(t *testing.T) {
	server := testkit.StartRedis(t)
	listen := testkit.FreeAddr(t)
	s := startStage(t, pool("alpha", listen, testkit.Names(server), "client_connections: 2", "client_output_limit: 100kb"))
	f := follow(t, s.Instance)
	f.next(events.Started, "", "", "", "")
	first, second := testkit.Dial(t, testkit.Redis, listen), testkit.Dial(t, testkit.Redis, listen)
	first.Do("SET", "k", strings.Repeat("x", 8<<20))
	second.Do("PING")
	for range 5 {
		testkit.Dial(t, testkit.Redis, listen).ExpectEnd()
	}
	if e := f.next(events.ClientsRefused, "alpha", "", "", "client_connections reached (2)"); e.Reason != "too_many_clients" {
		t.Errorf("they are refused for %q", e.Reason)
	}
	for _, c := range []*testkit.Client{first, second} {
		c.Send([]byte(strings.Repeat(string(testkit.RESP("GET", "k")), 4)))
	}
	if e := f.next(events.ClientsCut, "alpha", "", "", "clients are closed: "); e.Reason != "output_limit" {
		t.Errorf("they are closed for %q", e.Reason)
	}
	testkit.Await(t, "both clients to be closed", func() error {
		if n := s.current.Load().topo[0].Clients(); n > 0 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	f.none()
}

// That there is no admin listener can be read from the socket for actions.
func TestEventOfTheAdminListener(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	conf, err := config.Parse("test.yml", []byte(pool("alpha", testkit.FreeAddr(t), []string{"127.0.0.1:1:1 a"})))
	if err != nil {
		t.Fatal(err)
	}
	if conf.Process.Admin, err = config.ParseListen(taken.Addr().String()); err != nil {
		t.Fatal(err)
	}
	in, err := Start(Options{Program: "nuthatch", Version: "test", Config: conf, LogFile: t.TempDir() + "/log"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Stop)
	f := follow(t, in)
	f.next(events.AdminMissing, "", "", "", taken.Addr().String())
	f.next(events.Started, "", "", "", "")
}

// An upgrade that is given up is told, with why.
func TestEventsOfAnUpgrade(t *testing.T) {
	s := startStage(t, pool("alpha", testkit.FreeAddr(t), []string{"127.0.0.1:1:1 a"}))
	f := follow(t, s.Instance)
	f.next(events.Started, "", "", "", "")
	ended, end := context.WithCancel(t.Context())
	end()
	s.life.asked = ended // as if the end had been asked for
	if err := s.Upgrade("somebody"); err == nil {
		t.Fatal("a proxy that ends is upgraded")
	}
	f.next(events.UpgradeBegun, "", "", "somebody", "")
	f.next(events.UpgradeGivenUp, "", "", "somebody", "the proxy is ending")
}

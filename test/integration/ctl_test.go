package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/testkit"
)

// A controller gives orders with "nuthatch ctl".
type controller struct {
	t    *testing.T
	addr string
}

// withAdmin is a configuration's text with an admin listener at a free address.
func withAdmin(t *testing.T, text string, settings ...string) (string, *controller) {
	t.Helper()
	c := &controller{t, testkit.FreeAddr(t)}
	text += "nuthatch:\n  threads: 2\n  admin: " + c.addr + "\n"
	for _, s := range settings {
		text += "  " + s + "\n"
	}
	return text, c
}

// run runs ctl, and returns what it writes and its exit status.
func (c *controller) run(args ...string) (out string, status int) {
	c.t.Helper()
	cmd := exec.Command(testkit.Binary(c.t), append([]string{"ctl", "-a", c.addr}, args...)...)
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// do is run of a command that must succeed.
func (c *controller) do(args ...string) string {
	c.t.Helper()
	out, status := c.run(args...)
	if status != 0 {
		c.t.Fatalf("ctl %v: exit status %d: %s", args, status, out)
	}
	return out
}

// read reads the answer of a command as JSON.
func read[T any](c *controller, args ...string) T {
	c.t.Helper()
	var body T
	out := c.do(append([]string{"--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &body); err != nil {
		c.t.Fatalf("ctl %v: %v in %s", args, err, out)
	}
	return body
}

// TestOrdersUnderLoad gives every order that leaves the proxy running while
// clients check every reply.
func TestOrdersUnderLoad(t *testing.T) {
	t.Parallel()
	servers := []*testkit.Server{testkit.StartRedis(t), testkit.StartRedis(t), testkit.StartRedis(t)}
	listen := testkit.FreeAddr(t)
	pool := func(servers ...string) string {
		return testkit.Pool{
			Name: "alpha", Listen: listen, Protocol: testkit.Redis, Servers: servers, Lines: []string{"timeout: 5000"},
		}.String()
	}
	text, c := withAdmin(t, pool(testkit.Names(servers...)...))
	p := testkit.StartNuthatch(t, text)
	crowd := testkit.Traffic{Protocol: testkit.Redis, Addr: listen, Clients: 30, Round: 20, Moves: true, Seed: 1}.Start(t)
	victim := p.Dial(testkit.Redis)
	victim.Do("CLIENT", "SETNAME", "victim")
	name := read[api.Pools](c, "stats").Pools[0].Servers[0].Name
	for range rounds(t, 2) {
		crowd.AwaitMore(&crowd.Served, 2000)

		c.do("pause", "alpha")
		if paused := read[api.Pools](c, "stats").Pools[0]; !paused.Paused || paused.PausedUntil == nil {
			t.Error("the pool is not shown as paused")
		}
		before := poolsAfter(c, time.Now())
		if served(before) != served(poolsAfter(c, before.Time)) {
			t.Error("requests are taken while the pool is paused")
		}
		c.do("resume", "alpha")
		crowd.AwaitMore(&crowd.Served, 2000)

		c.do("disable", "alpha", name, "--keys", "move")
		if got := read[api.Servers](c, "servers").Servers[0]; got.State != "disabled" || got.Share != 0 {
			t.Errorf("the disabled server is %+v", got)
		}
		crowd.AwaitMore(&crowd.Served, 2000)
		c.do("enable", "alpha", name)
		c.do("reconnect", "alpha")
		c.do("reconnect", "alpha", name)
		crowd.AwaitMore(&crowd.Served, 2000)

		changeTimeout(t, p, c, text)
		rewrite(t, p, text)
		c.do("reload")
		crowd.AwaitMore(&crowd.Served, 2000)
	}
	if failed := crowd.Failed.Load(); failed != 0 {
		t.Errorf("%d requests failed", failed)
	}
	c.do("disable", "alpha", name, "--keys", "fail")
	crowd.AwaitMore(&crowd.Failed, 100)
	c.do("enable", "alpha", name)

	killByName(t, c, victim)
	seen := crowd.Stop()
	if other := seen.Failed - seen.Errors["-ERR the server of this key is disabled"]; other != 0 {
		t.Errorf("%d requests failed for other reasons: %s", other, seen.ErrorTexts())
	}
	awaitLogged(t, p, 1, "client killed")
	if got := logged(t, p, `by="admin uid=`); got < 10 {
		t.Errorf("%d lines of the log tell who gave an order", got)
	}
}

// killByName finds the client named victim among all, and kills it.
func killByName(t *testing.T, c *controller, victim *testkit.Client) {
	t.Helper()
	list := read[api.Clients](c, "clients", "--limit", "1000")
	if list.Total != 31 {
		t.Errorf("%d clients are told, want 31", list.Total)
	}
	for i := range list.Clients {
		one := &list.Clients[i]
		if one.Name == "victim" {
			c.do("kill", fmt.Sprint(one.ID))
		}
	}
	if _, err := victim.TryReply(); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the killed client reads %v", err)
	}
}

// changeTimeout previews another timeout in every way, and then has it taken on.
func changeTimeout(t *testing.T, p *testkit.Proxy, c *controller, text string) {
	t.Helper()
	rewrite(t, p, strings.Replace(text, "timeout: 5000", "timeout: 6000", 1))
	if out := c.do("preview"); !strings.Contains(out, "timeout") {
		t.Errorf("the preview of the file says\n%s", out)
	}
	running := exec.Command(testkit.Binary(t), "-t", "-c", p.Config, "--against", "running")
	if out, err := running.CombinedOutput(); err != nil || !strings.Contains(string(out), "timeout") {
		t.Errorf("the preview against what runs: %v\n%s", err, out)
	}
	if out := c.do("reload"); !strings.Contains(out, "timeout") {
		t.Errorf("the reload says\n%s", out)
	}
}

// served is how many requests the first pool has taken.
// poolsAfter returns what the counters were at a moment after at: for a while all
// who ask are shown the same.
func poolsAfter(c *controller, at time.Time) (p api.Pools) {
	c.t.Helper()
	testkit.Await(c.t, "counters of a later moment", func() error {
		if p = read[api.Pools](c, "stats"); !p.Time.After(at) {
			return errors.New("they are of before")
		}
		return nil
	})
	return p
}

func served(p api.Pools) int64 { return p.Pools[0].Counters["client_requests"] }

// TestUpgradeByOrder: the new program has the admin listener, at which nobody is
// refused meanwhile, and no request is lost.
func TestUpgradeByOrder(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	text, c := withAdmin(t, testkit.Pool{Name: "alpha", Protocol: testkit.Redis, Servers: testkit.Names(server)}.String())
	p := testkit.StartNuthatch(t, text)
	var served, moved atomic.Int64
	var running sync.WaitGroup
	stop := make(chan struct{})
	for i := range 20 {
		caller := &caller{t: t, proxy: p, addr: p.Addrs[0], served: &served, moved: &moved}
		running.Go(func() {
			if err := caller.call(fmt.Sprintf("n%d", i), 1+i%3*10, stop); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	running.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if out, status := c.run("ready"); status == 3 {
				t.Errorf("nobody at the admin listener: %s", out)
			}
		}
	})
	awaitMore(t, &served, 2000)
	c.do("upgrade")
	next := successor(t, p)
	t.Cleanup(func() { endProcess(t, next) })
	if state := p.Wait(); !state.Success() {
		t.Errorf("the old program ended with %v", state)
	}
	if info := read[api.Info](c, "info"); info.PID != next || info.PID == p.Pid() {
		t.Errorf("the admin listener is that of %d, want %d", info.PID, next)
	}
	awaitMore(t, &served, 2000)
	close(stop)
	running.Wait()
	if moved.Load() < 20 {
		t.Errorf("%d clients have moved, want 20", moved.Load())
	}
}

// TestDrainByOrder: readiness goes first, and then the proxy ends.
func TestDrainByOrder(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	text, c := withAdmin(t, testkit.Pool{Protocol: testkit.Redis, Servers: testkit.Names(server)}.String(), "drain_delay: 1m")
	p := testkit.StartNuthatch(t, text)
	if out := c.do("ready"); out != "ready\n" {
		t.Errorf("ready says %q", out)
	}
	c.do("drain")
	if out, status := c.run("ready"); status != 1 || !strings.Contains(out, "draining") {
		t.Errorf("while it drains, ready says %q with status %d", out, status)
	}
	if got := p.Dial(testkit.Redis).Do("PING"); got != "+PONG\r\n" {
		t.Errorf("PING within drain_delay: %q", got)
	}
	p.Signal(syscall.SIGINT) // SIGTERM would join the drain that is under way
	if state := p.Wait(); !state.Success() {
		t.Errorf("the program ended with %v", state)
	}
	if out, status := c.run("info"); status != 3 {
		t.Errorf("of a program that has ended: status %d: %s", status, out)
	}
}

package integration

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/eventloop"
	"nuthatch/internal/testkit"
)

// bestEngine is what can be asked for here besides epoll, and what the loops then run on.
func bestEngine() (key, engine string) {
	if eventloop.Probe(1).Usable() {
		return "io_uring", "io_uring"
	}
	return "auto", "epoll"
}

// outcome runs a program, and returns what it writes and its exit status.
func outcome(t *testing.T, path string, args ...string) (text string, status int) {
	t.Helper()
	out, err := exec.Command(path, args...).CombinedOutput()
	if state, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(out), state.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(out), 0
}

// TestSeccompForbidsIOUring: where a seccomp filter forbids io_uring, "auto" takes epoll and
// says why, "io_uring" does not start, and -t and "check engine" say so beforehand.
func TestSeccompForbidsIOUring(t *testing.T) {
	t.Parallel()
	const why = "a seccomp filter forbids it"
	server := testkit.StartRedis(t)
	filtered := testkit.WithoutIOUring(t)
	pool := testkit.Pool{Name: "alpha", Protocol: testkit.Redis, Servers: testkit.Names(server)}

	text, c := withAdmin(t, pool.String(), "engine: auto")
	p := testkit.StartNuthatch(t, text, testkit.From(filtered))
	if got := p.Dial(testkit.Redis).Do("SET", "a", "1"); got != "+OK\r\n" {
		t.Errorf("SET: %q", got)
	}
	info := read[api.Info](c, "info")
	if info.Engine != "epoll" || !strings.Contains(info.EngineReason, why) {
		t.Errorf("it runs on %s: %s", info.Engine, info.EngineReason)
	}
	log, err := os.ReadFile(p.Log)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(log), "the event loops run on"); n != 1 || !strings.Contains(string(log), "the event loops run on epoll: io_uring cannot be used: "+why) {
		t.Errorf("the log has %d lines about the engine:\n%s", n, log)
	}

	pool.Listen = testkit.FreeAddr(t)
	conf := filepath.Join(t.TempDir(), "nuthatch.yml")
	if err := os.WriteFile(conf, []byte(pool.String()+"nuthatch:\n  engine: io_uring\n  admin: \"off\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(testkit.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	const refusal = "nuthatch.engine: io_uring cannot be used: " + why
	for _, tt := range []struct {
		args   []string
		status int
		want   []string
	}{
		{[]string{"-c", conf, "-a", "127.0.0.1", "-s", port}, 1, []string{"not started", refusal}},
		{[]string{"-t", "-c", conf}, 0, []string{"syntax is ok", "warning: " + refusal}},
		{[]string{"check", "engine"}, 2, []string{"io_uring cannot be used here: " + why}},
		{[]string{"check", "engine", "--json"}, 2, []string{`"usable": false`, why}},
	} {
		out, status := outcome(t, filtered, tt.args...)
		if status != tt.status {
			t.Errorf("%q: status %d, want %d", tt.args, status, tt.status)
		}
		for _, want := range tt.want {
			if !strings.Contains(out, want) {
				t.Errorf("%q says %q, without %q", tt.args, out, want)
			}
		}
	}
}

// TestUpgradeChangesTheEngine: a reload does not apply another engine, and says so; the
// program that an upgrade starts runs on it, and back. No request is lost.
func TestUpgradeChangesTheEngine(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	text, c := withAdmin(t, testkit.Pool{Name: "alpha", Protocol: testkit.Redis, Servers: testkit.Names(server)}.String(), "engine: epoll")
	p := testkit.StartNuthatch(t, text)
	var served, moved atomic.Int64
	var running sync.WaitGroup
	stop := make(chan struct{})
	for i := range 8 {
		caller := &caller{t: t, proxy: p, addr: p.Addrs[0], served: &served, moved: &moved}
		running.Go(func() {
			if err := caller.call(fmt.Sprintf("n%d", i), 1+i%3*10, stop); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	key, engine := bestEngine()
	pid := p.Pid()
	for _, to := range []struct{ from, key, engine string }{{"epoll", key, engine}, {key, "epoll", "epoll"}} {
		before := read[api.Info](c, "info").Engine
		yaml, err := os.ReadFile(p.Config)
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(yaml), "engine: "+to.from, "engine: "+to.key, 1)
		if err := os.WriteFile(p.Config, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		want := "not applied: nuthatch.engine from " + to.from + " to " + to.key
		if out := c.do("reload"); !strings.Contains(out, want) {
			t.Errorf("the reload says %q, without %q", out, want)
		}
		if got := read[api.Info](c, "info").Engine; got != before {
			t.Errorf("after the reload it runs on %s, before on %s", got, before)
		}
		awaitMore(t, &served, 500)
		pid = upgrade(t, p, pid)
		if info := read[api.Info](c, "info"); info.Engine != to.engine || info.PID != pid {
			t.Errorf("after the upgrade %d runs on %s (%s), want %s", info.PID, info.Engine, info.EngineReason, to.engine)
		}
		if got := fieldsOf(p.Dial(testkit.Redis).Do("INFO", "server"))["engine"]; got != to.engine {
			t.Errorf("INFO says %q, want %q", got, to.engine)
		}
		if n := fieldsOf(p.Dial(testkit.Redis).Do("INFO", "stats"))["nuthatch_ring_enters"]; (n != "") != (to.engine == "io_uring") {
			t.Errorf("on %s INFO counts %q enters of rings", to.engine, n)
		}
		awaitMore(t, &served, 500)
	}
	close(stop)
	running.Wait()
}

package integration

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"nuthatch/internal/testkit"
)

// rounds is how often a test repeats what it is about: n times, or as often as
// NUTHATCH_TEST_ROUNDS says.
func rounds(t *testing.T, n int) int {
	t.Helper()
	text := os.Getenv("NUTHATCH_TEST_ROUNDS")
	if text == "" {
		return n
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("NUTHATCH_TEST_ROUNDS: %v", err)
	}
	return n
}

// rewrite replaces the proxy's configuration file in one step.
func rewrite(t *testing.T, p *testkit.Proxy, text string) {
	t.Helper()
	next := p.Config + ".next"
	if err := os.WriteFile(next, []byte(testkit.Vary(t, text)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, p.Config); err != nil {
		t.Fatal(err)
	}
}

// logged counts the lines of the proxy's log that have a text in them.
func logged(t *testing.T, p *testkit.Proxy, text string) int {
	t.Helper()
	log, err := os.ReadFile(p.Log)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(log), text)
}

// awaitLogged waits until the log has n lines with the text.
func awaitLogged(t *testing.T, p *testkit.Proxy, n int, text string) {
	t.Helper()
	testkit.Await(t, fmt.Sprintf("%d lines with %q in the log", n, text), func() error {
		if got := logged(t, p, text); got < n {
			return fmt.Errorf("there are %d", got)
		}
		return nil
	})
}

const (
	reloaded    = "configuration reloaded"
	notReloaded = "configuration not reloaded"
)

// reload has the proxy take on a configuration, and waits until it has.
func reload(t *testing.T, p *testkit.Proxy, text string) {
	t.Helper()
	n := logged(t, p, reloaded)
	rewrite(t, p, text)
	p.Signal(syscall.SIGUSR1)
	awaitLogged(t, p, n+1, reloaded)
}

// descriptors is how many descriptors a process has open.
func descriptors(t *testing.T, p *testkit.Proxy) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// variants returns a configuration for each number: servers added, removed,
// renamed, with other weights; listeners added and removed; other settings. The
// pool alpha listens on one address in all, and no server of it is down.
func variants(t *testing.T, listen string, servers []*testkit.Server) func(i int) string {
	t.Helper()
	second := testkit.FreeAddr(t)
	moving := []string{testkit.FreeAddr(t), testkit.SocketPath(t, "moving")}
	return func(i int) string {
		alpha := testkit.Pool{Name: "alpha", Listen: listen, Protocol: testkit.Redis, Lines: []string{
			fmt.Sprintf("timeout: %d", 5000+i%3*1000),
			fmt.Sprintf("server_connections: %d", 1+i%7/5),
			fmt.Sprintf("preconnect: %t", i%2 == 0),
		}}
		for j, s := range servers[:2+i%2] {
			name, weight := fmt.Sprintf("s%d", j+1), 1
			switch {
			case i%5 == 3 && j == 0:
				name = "renamed"
			case i%5 == 4:
				weight = j + 1
			}
			alpha.Servers = append(alpha.Servers, testkit.Entry(s.Addr(), weight, name))
		}
		text := alpha.String()
		if i%3 == 1 {
			text += testkit.Pool{Name: "beta", Listen: second, Protocol: testkit.Redis, Servers: testkit.Names(servers...)}.String()
		}
		return text + testkit.Pool{
			Name: "gamma", Listen: moving[i%2], Protocol: testkit.Redis, Servers: testkit.Names(servers[i%3]),
		}.String()
	}
}

// TestReloadUnderLoad: a hundred clients check every reply while the
// configuration changes again and again. None of them loses its connection or
// gets an error, and in the end the proxy holds what it held in the beginning.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	servers := []*testkit.Server{testkit.StartRedis(t), testkit.StartRedis(t), testkit.StartRedis(t)}
	variant := variants(t, testkit.FreeAddr(t), servers)
	// Without an admin address of its own it would take 22223 as soon as no other proxy has it.
	process := "nuthatch:\n  threads: 2\n  drain_timeout: 2s\n  admin: off\n"
	p := testkit.StartNuthatch(t, variant(0)+process)
	reloads := 0
	change := func(i int) {
		reloads++
		reload(t, p, variant(i)+process)
	}
	change(0)
	p.AwaitStat(2, "alpha", "s1", "server_connections") // one of each thread: preconnect
	p.AwaitStat(2, "alpha", "s2", "server_connections")
	idle := descriptors(t, p)
	stop := make(chan struct{})
	served, failed, wait := crowd(t, p, 100, stop)
	watch := testkit.StartStopwatch(t, p.Addr(), servers[0].Addr())
	n := rounds(t, 15)
	awaitMore(t, served, 10_000)
	watch.Lap()
	awaitMore(t, served, int64(1000*n))
	before := watch.Lap()
	for i := range n {
		change(i + 1)
		awaitMore(t, served, 500)
	}
	during := watch.Lap()
	change(0)
	close(stop)
	wait()
	if n := failed.Load(); n != 0 {
		t.Errorf("%d requests got an error", n)
	}
	t.Logf("%d reloads, %d replies; a request of one client without pipeline took\n"+
		"before: %v\nduring: %v\nwithout the proxy, before: %v\nduring: %v",
		reloads, served.Load(), before[0], during[0], before[1], during[1])
	if got := logged(t, p, notReloaded); got != 0 {
		t.Errorf("%d reloads were refused", got)
	}
	awaitRows(t, p, "alpha", "gamma")
	testkit.Await(t, "descriptors to be given back", func() error {
		if got, want := descriptors(t, p), idle+101; got > want { // clients are still connected
			return fmt.Errorf("there are %d, more than %d", got, want)
		}
		return nil
	})
}

// awaitRows waits until the statistics have the pools named, and no others.
func awaitRows(t *testing.T, p *testkit.Proxy, names ...string) {
	t.Helper()
	testkit.Await(t, "the pools of the statistics to be "+strings.Join(names, ", "), func() error {
		var found []string
		for name, value := range p.Stats() {
			if _, pool := value.(map[string]any); pool {
				found = append(found, name)
			}
		}
		if len(found) != len(names) {
			return fmt.Errorf("they are %v", found)
		}
		for _, name := range names {
			if p.Stats()[name] == nil {
				return fmt.Errorf("%s is missing", name)
			}
		}
		return nil
	})
}

package integration

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/testkit"
)

// startPeers starts two proxies that look like one cluster, over the same servers, and answer as
// Sentinels. Each knows both.
func startPeers(t *testing.T) (first, second *found) {
	t.Helper()
	servers := testkit.Names(testkit.StartRedis(t), testkit.StartRedis(t))
	a, b := testkit.FreeAddr(t), testkit.FreeAddr(t)
	start := func(listen string) *found {
		sentinel := testkit.FreeAddr(t)
		lines := []string{emulating[0], fmt.Sprintf("emulate: {cluster: true, sentinel_listen: %q, peers: [%q, %q]}", sentinel, a, b), emulating[2]}
		return &found{testkit.StartNuthatch(t, testkit.Pool{Name: "alpha", Protocol: testkit.Redis, Listen: listen, Servers: servers, Lines: lines}.String()), sentinel}
	}
	return start(a), start(b)
}

// awaitNodes waits until a proxy tells of so many nodes.
func awaitNodes(t *testing.T, p *testkit.Proxy, n int) {
	t.Helper()
	c := p.Dial(testkit.Redis)
	defer c.Close()
	testkit.Await(t, fmt.Sprintf("%d nodes", n), func() error {
		if reply := c.Do("CLUSTER", "NODES"); strings.Count(reply, " connected ") != n {
			return errors.New(reply)
		}
		return nil
	})
}

// A watching is a program that drives clusters until it is told to end.
type watching struct {
	name   string
	cmd    *exec.Cmd
	in     io.Closer
	output strings.Builder
	errors string // the path of what it writes there
}

// watch starts the programs that drive clusters, through a proxy that stays. Each has made a
// round. So all are told to leave a proxy that drains, and do not come back: node-redis, which
// looks at the map only if it is told to, waits for a killed one without end.
func watch(t *testing.T, p *testkit.Proxy) []*watching {
	t.Helper()
	all := watchWith(t, clusterScripts(t), port(t, p), "watch")
	awaitWord(t, all, "began")
	return all
}

// awaitWord waits until each of the programs has written that word to its error output.
func awaitWord(t *testing.T, all []*watching, word string) {
	t.Helper()
	for _, w := range all {
		testkit.Await(t, w.name+" to say "+word, func() error {
			if said := w.said(t); !strings.Contains(said, word) {
				return errors.New(said)
			}
			return nil
		})
	}
}

// watchWith starts programs, each with its script, and with these arguments.
func watchWith(t *testing.T, scripts map[string][2]string, args ...string) (all []*watching) {
	t.Helper()
	for name, run := range scripts {
		w := &watching{name: name, cmd: exec.CommandContext(t.Context(), run[0], append([]string{run[1]}, args...)...)}
		in, err := w.cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		said, err := os.Create(filepath.Join(t.TempDir(), "errors"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { said.Close() })
		w.in, w.cmd.Stdout, w.cmd.Stderr, w.errors = in, &w.output, said, said.Name()
		if err := w.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, w)
	}
	return all
}

// said is what it has written to its error output.
func (w *watching) said(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(w.errors)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// ends has the program end, with success.
func (w *watching) ends(t *testing.T) {
	t.Helper()
	_ = w.in.Close()
	tooLate := time.AfterFunc(testkit.Patience, func() { _ = w.cmd.Process.Kill() })
	defer tooLate.Stop()
	if err := w.cmd.Wait(); err != nil || !strings.HasPrefix(w.output.String(), "ok ") {
		t.Errorf("%s: %v\n%s%s", w.name, err, w.output.String(), w.said(t))
	}
}

// TestPeersDrainAndDie: clients of two proxies that look like one cluster lose no request while
// one of them drains and comes back, and get no wrong reply when it is killed.
func TestPeersDrainAndDie(t *testing.T) {
	t.Parallel()
	keeps, upgraded := startPeers(t)
	stays, goes := keeps.Proxy, upgraded.Proxy
	awaitNodes(t, stays, 2)
	awaitNodes(t, goes, 2)
	scripts := watch(t, stays)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{stays.Addr()}})
	defer client.Close()
	var over, dies atomic.Bool
	var rounds atomic.Int64
	var running sync.WaitGroup
	defer running.Wait()
	defer over.Store(true)
	running.Go(func() {
		for !over.Load() {
			var wrong wrongValueError
			if err := tryRound(t.Context(), client, int(rounds.Add(1))); errors.As(err, &wrong) || err != nil && !dies.Load() {
				t.Errorf("go-redis: round %d: %v", rounds.Load(), err)
			}
		}
	})
	awaitMore(t, &rounds, 5)
	lostNone := func(what string) {
		t.Helper()
		awaitMore(t, &rounds, 5)
		for _, w := range scripts {
			if said := w.said(t); strings.Contains(said, "lost:") { // redis-py logs each MOVED
				t.Errorf("%s: %s after a %s", w.name, said, what)
			}
		}
	}
	drains(t, goes)
	awaitNodes(t, stays, 1)
	lostNone("drain")
	goes.Restart()
	awaitNodes(t, stays, 2)
	pid := upgrade(t, goes, goes.Pid())
	awaitNodes(t, stays, 2)
	lostNone("upgrade")
	sentinel := testkit.Dial(t, testkit.Redis, upgraded.sentinel)
	defer sentinel.Close()
	if got := sentinel.Do("SENTINEL", "CKQUORUM", "alpha"); !strings.HasPrefix(got, "+OK 2 usable") {
		t.Errorf("after the upgrade the sentinel says %s", got)
	}
	dies.Store(true)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	awaitNodes(t, stays, 1)
	awaitMore(t, &rounds, 5)
	for _, w := range scripts {
		w.ends(t)
	}
}

package integration

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"nuthatch/internal/testkit"
)

// Stacks that applications are made of do their real work over three servers, with what
// their own documentation offers for several servers. docs/STACKS.md says how.

// work has a program work in the background until the test ends.
func work(t *testing.T, env []string, path string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "worker.log"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Dir = append(os.Environ(), env...), "../clients"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Its children go with it.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		err := cmd.Wait()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Error(err)
		}
		if said, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("%s:\n%s", filepath.Base(path), said)
		}
		_ = log.Close()
	})
}

// ask runs a program that asks for work, and expects it to say that all was done.
func ask(t *testing.T, env []string, path string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 6*testkit.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Dir = append(os.Environ(), env...), "../clients"
	var warnings bytes.Buffer
	cmd.Stderr = &warnings
	out, err := cmd.Output()
	if err != nil || string(out) != "ok\n" {
		t.Errorf("%s: %v\n%s%s", filepath.Base(path), err, out, warnings.Bytes())
	}
}

// python is Debian's, which has the packages.
const python = "/usr/bin/python3"

// Celery with a worker and results: priorities, groups, chords, delays, retries.
func TestStackCelery(t *testing.T) {
	t.Parallel()
	s := redisStage(t, `hash_tag: "{}"`)
	env := []string{"PORT=" + port(t, s.proxy)}
	work(t, env, python, "-m", "celery", "-A", "celeryapp", "worker", "--pool=solo", "--loglevel=INFO")
	ask(t, env, python, "celeryapp.py")
}

// RQ, whose keys all begin with "rq:".
func TestStackRQ(t *testing.T) {
	t.Parallel()
	s := redisStage(t, `hash_tag: "r:"`)
	work(t, nil, "/usr/bin/rq", "worker", "--url", "redis://127.0.0.1:"+port(t, s.proxy), "--path", ".")
	ask(t, nil, python, "rqjobs.py", port(t, s.proxy))
}

// Sidekiq 6 with redis-namespace.
func TestStackSidekiq(t *testing.T) {
	t.Parallel()
	s := redisStage(t, `hash_tag: "{}"`)
	env := []string{"PORT=" + port(t, s.proxy)}
	work(t, env, "/usr/bin/sidekiq", "-r", "./sidekiqjobs.rb", "-c", "3")
	ask(t, env, "/usr/bin/ruby", "sidekiqjobs.rb")
}

// django-redis as a cache over all servers.
func TestStackDjangoRedis(t *testing.T) {
	t.Parallel()
	s := redisStage(t, "transactions: per_server")
	ask(t, nil, python, "djangocache.py", port(t, s.proxy))
}

// redis-py's pipelines over all servers, its locks, queues and channels: in the release of this
// machine, and in a later one.
func TestStackRedisPy(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{"installed": nil, "later": laterPython(t)} {
		t.Run(name, func(t *testing.T) {
			s := redisStage(t, "transactions: per_server", `hash_tag: "{}"`)
			ask(t, env, python, "redispy_sessions.py", port(t, s.proxy))
		})
	}
}

// redis-py's client-side cache, which needs RESP3.
func TestStackRedisPyCaches(t *testing.T) {
	t.Parallel()
	env := laterPython(t)
	s := redisStage(t, `hash_tag: "{}"`)
	ask(t, env, python, "redispy_cache.py", port(t, s.proxy))
}

// Django Channels with the layer of channels_redis that has keys. It spreads them over its hosts
// itself: each is a pool of one server.
func TestStackChannels(t *testing.T) {
	t.Parallel()
	text := ""
	for _, name := range []string{"alpha", "beta", "gamma"} {
		pool := testkit.Pool{Name: name, Protocol: testkit.Redis, Servers: testkit.Names(testkit.StartRedis(t))}
		text += pool.String()
	}
	args := []string{"channelsapp.py", "core"}
	for _, addr := range testkit.StartNuthatch(t, text).Addrs {
		_, p, err := net.SplitHostPort(testkit.Plain(t, addr))
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, p)
	}
	ask(t, nil, python, args...)
}

// Django Channels with the layer of channels_redis that has only channels.
func TestStackChannelsPubsub(t *testing.T) {
	t.Parallel()
	s := redisStage(t)
	ask(t, nil, python, "channelsapp.py", "pubsub", port(t, s.proxy))
}

// Sessions of PHP by phpredis, with locks.
func TestStackPHPSessions(t *testing.T) {
	t.Parallel()
	s := redisStage(t)
	ask(t, nil, testkit.Program(t, "php"), "phpsessions.php", port(t, s.proxy))
}

// express-session with connect-redis, on two nodes.
func TestStackConnectRedis(t *testing.T) {
	t.Parallel()
	installNodeClients(t)
	s := redisStage(t)
	ask(t, nil, testkit.Program(t, "node"), "connectredis.mjs", port(t, s.proxy))
}

// Sidekiq 7 has no prefix for its keys: its pool has one server.
func TestStackSidekiq7(t *testing.T) {
	t.Parallel()
	lib, sidekiq := laterRuby(t)
	s := newStage(t, testkit.Redis, []*testkit.Server{testkit.StartRedis(t)}, nil)
	env := []string{"PORT=" + port(t, s.proxy), lib}
	work(t, env, "/usr/bin/ruby", sidekiq+"/bin/sidekiq", "-r", "./sidekiq7jobs.rb", "-c", "3")
	ask(t, env, "/usr/bin/ruby", "sidekiq7jobs.rb")
}

// BullMQ: a queue and its worker, events, delays, repetitions, flows.
func TestStackBullMQ(t *testing.T) {
	t.Parallel()
	installNodeClients(t)
	s := redisStage(t, `hash_tag: "{}"`)
	ask(t, nil, testkit.Program(t, "node"), "bullmq.mjs", port(t, s.proxy))
}

// Socket.IO's adapter between two nodes, which count each other by who listens.
func TestStackSocketIO(t *testing.T) {
	t.Parallel()
	installNodeClients(t)
	s := redisStage(t)
	ask(t, nil, testkit.Program(t, "node"), "socketio.mjs", port(t, s.proxy))
}

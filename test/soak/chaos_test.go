package soak

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// timeout is the pools', and grace how much later than that an answer may be.
const (
	timeout = 400 * time.Millisecond
	grace   = 100 * time.Millisecond
)

// Servers are killed, stopped and restarted in random order under two hundred
// clients: no value is wrong, no reply out of turn, nobody waits longer than the
// timeout, and nothing is left of it afterwards.
func TestChaos(t *testing.T) {
	for _, c := range []struct {
		name     string
		protocol testkit.Protocol
		moves    bool
		// share and floor are how long it takes: see share.
		share int
		floor time.Duration
		pool  []string
	}{
		{"redis", testkit.Redis, false, 16, 2 * time.Minute, nil},
		{"memcached", testkit.Memcache, false, 16, 2 * time.Minute, nil},
		{
			"redis, ejected", testkit.Redis, true, 9, 30 * time.Second,
			[]string{"auto_eject_hosts: true", "server_failure_limit: 2", "server_retry_timeout: 300"},
		},
		{
			"redis, failed fast, reads retried", testkit.Redis, false, 9, 30 * time.Second,
			[]string{"auto_eject_hosts: true", "server_failure_limit: 2", "server_retry_timeout: 300", "eject: fail", "server_connections: 2", "retry: idempotent"},
		},
		{
			"memcached, checked, reads retried", testkit.Memcache, true, 9, 30 * time.Second,
			[]string{"auto_eject_hosts: true", "health_check: {interval: 100ms, timeout: 200ms}", "reconnect_backoff: 20ms", "retry: idempotent"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			beside(t)
			pool := append([]string(nil), c.pool...)
			pool = append(pool, fmt.Sprintf("timeout: %d", timeout.Milliseconds()))
			chaos(t, c.name, c.protocol, c.moves, share(c.share, c.floor, 2*time.Second), pool)
		})
	}
}

func chaos(t *testing.T, name string, protocol testkit.Protocol, moves bool, d time.Duration, pool []string) {
	seed, rng := seeded(t)
	s := newStage(t, protocol, "", pool...)
	r := &row{piece: "chaos", what: name + ": servers killed, stopped, restarted"}
	s.report(r)
	before := s.left()
	p, rack := s.startPulse(), s.startRack()
	rss := s.watchRSS()
	crowd := testkit.Traffic{
		Protocol: protocol, Addr: s.proxy.Addr(), Clients: times(200, 60), Moves: moves, Seed: seed,
		Pause: 50 * time.Millisecond, Round: 12, Late: timeout + grace,
	}.Start(t)
	crowd.AwaitMore(&crowd.Served, 1000)
	events := map[string]int{}
	for end := time.Now().Add(d); time.Now().Before(end) && !t.Failed(); {
		events[s.trouble(rng, crowd)]++
		time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond) // how long all is well between two troubles
	}
	crowd.AwaitMore(&crowd.Served, 1000) // all is well again
	seen := crowd.Stop()
	figures := p.end()
	rack.end()
	r.saw(seen)
	r.rss = rss()
	late := rack.beyond(timeout+grace, seen.Late)
	r.notes = fmt.Sprintf("%s; %s; %d rounds above %v, %d of them not for want of a CPU",
		strings.TrimSuffix(strings.TrimPrefix(fmt.Sprint(events), "map["), "]"), figures, len(seen.Late), timeout+grace, len(late))
	r.errors = s.reasons()
	s.awaitLeft(before)
	r.left = "as before: " + before
	if length > 0 && len(late) > 0 {
		t.Errorf("%d rounds took longer than the timeout and %v, and than the machine is to answer for: the first %v, at %v",
			len(late), grace, late[0].Took, late[0].Began)
	}
	t.Logf("%+v", *r)
}

// trouble makes one, waits some time, ends it, and tells what it was.
func (s *stage) trouble(rng *rand.Rand, crowd *testkit.Crowd) string {
	server := s.servers[rng.IntN(len(s.servers))]
	some := time.Duration(rng.IntN(1000)) * time.Millisecond // how long the trouble lasts
	switch rng.IntN(8) {
	case 0, 1, 2:
		crowd.Lost()
		server.Kill()
		time.Sleep(some)
		server.Restart()
		return "killed"
	case 3, 4:
		server.Pause()
		time.Sleep(some)
		server.Resume()
		return "stopped"
	case 5:
		server.Pause()
		time.Sleep(some)
		crowd.Lost()
		server.Kill()
		server.Restart()
		return "stopped, then killed"
	case 6:
		crowd.Lost()
		for _, server := range s.servers {
			server.Kill()
		}
		time.Sleep(some)
		for _, server := range s.servers {
			server.Restart()
		}
		return "all killed"
	default:
		for range 5 {
			server.Pause()
			time.Sleep(some / 20)
			server.Resume()
			time.Sleep(some / 20)
		}
		return "stuttering"
	}
}

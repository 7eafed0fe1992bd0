package integration

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// A hostsFile is an /etc/hosts of a proxy's own. In it the name localhost, which certificates of
// tests have, is where a test says.
type hostsFile struct {
	t    *testing.T
	path string
}

// newHostsFile makes one in which localhost is host.
func newHostsFile(t *testing.T, host string) *hostsFile {
	t.Helper()
	f := &hostsFile{t, filepath.Join(t.TempDir(), "hosts")}
	f.say(host)
	return f
}

// say moves the name. The file stays the same one, since it is mounted.
func (f *hostsFile) say(host string) {
	f.t.Helper()
	if err := os.WriteFile(f.path, []byte(host+" localhost\n"), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// start starts nuthatch in a mount namespace of its own, where the file is /etc/hosts.
func (f *hostsFile) start(config string) *testkit.Proxy {
	f.t.Helper()
	space := "unshare --mount"
	if os.Getuid() != 0 {
		space = "unshare --map-root-user --mount"
	}
	script := fmt.Sprintf("#!/bin/sh\nexec %s sh -c 'mount --bind %s /etc/hosts && exec %s \"$@\"' nuthatch \"$@\"\n", space, f.path, testkit.Binary(f.t))
	path := filepath.Join(f.t.TempDir(), "nuthatch")
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		f.t.Fatal(err)
	}
	return testkit.StartNuthatch(f.t, config, testkit.From(path))
}

// The two addresses between which names move.
const here, there = "127.0.0.2", "127.0.0.3"

// twoAddrs are addresses with the same port.
func twoAddrs(t *testing.T) (first, second, port string) {
	t.Helper()
	first = testkit.FreeAddrOn(t, here)
	_, port, err := net.SplitHostPort(first)
	if err != nil {
		t.Fatal(err)
	}
	return first, net.JoinHostPort(there, port), port
}

// A server's name moves to its replica, which is promoted: first by hand, while both run, and
// then since the primary is killed. Clients that check their replies get no wrong one, and
// requests go on at the server that has the name.
func TestNameOfRedisMoves(t *testing.T) {
	t.Parallel()
	first, second, port := twoAddrs(t)
	args := append(replication(), "--replica-read-only", "yes")
	f := &family{t: t, primary: testkit.StartRedisAt(t, first, args...)}
	f.replicas = []*testkit.Server{testkit.StartRedisAt(t, second, args...)}
	f.follow(f.replicas[0], first)
	hosts := newHostsFile(t, here)
	proxy := hosts.start(testkit.Pool{
		Protocol: testkit.Redis, Servers: []string{"localhost:" + port + ":1 s1"},
		Lines: []string{"timeout: 20000", "on_readonly: resolve", "retry: unsent", "pubsub: {on_loss: resubscribe}"},
	}.String())
	c := proxy.Dial(testkit.Redis)
	if got := c.Do("SET", "k", "1"); got != "+OK\r\n" {
		t.Fatal(got)
	}
	load := testkit.StartLoad(t, proxy, 8, 5*time.Millisecond, true)
	load.Crowd.AwaitMore(&load.Crowd.Served, 200)
	a, b := f.primary.Dial(), f.replicas[0].Dial()
	say := func(c *testkit.Client, args ...string) {
		t.Helper()
		if got := c.Do(args...); got != "+OK\r\n" {
			t.Fatalf("%v: %q", args, got)
		}
	}
	has := func(s *testkit.Client, value string) {
		t.Helper()
		if got := s.Do("GET", "k"); got != testkit.Bulk(value) {
			t.Errorf("the server that has the name has %q, want %s", got, value)
		}
	}
	say(b, "REPLICAOF", "NO", "ONE")
	say(a, "REPLICAOF", there, port)
	hosts.say(there)
	if got := c.Do("SET", "k", "2"); got != "+OK\r\n" { // it waits for the name
		t.Errorf("by hand: %q", got)
	}
	has(b, "2")
	load.Crowd.AwaitMore(&load.Crowd.Served, 200)
	testkit.Await(t, "the old primary to have all", func() error {
		if got := a.Do("INFO", "replication"); !strings.Contains(got, "master_link_status:up") {
			return errors.New(got)
		}
		return nil
	})
	f.replicas[0].Kill()
	say(a, "REPLICAOF", "NO", "ONE")
	hosts.say(here)
	testkit.Await(t, "a write at the old primary", func() error {
		if got := c.Do("SET", "k", "3"); got != "+OK\r\n" {
			return errors.New(got)
		}
		return nil
	})
	has(a, "3")
	load.Crowd.AwaitMore(&load.Crowd.Served, 200)
	load.End()
}

// The name of a server moves while a client waits at it for an element, and both run: the wait ends at
// the old one, without a loss, and goes on at the new one.
func TestNameMovesWhileAClientWaits(t *testing.T) {
	t.Parallel()
	first, second, port := twoAddrs(t)
	old, fresh := testkit.StartRedisAt(t, first).Dial(), testkit.StartRedisAt(t, second).Dial()
	hosts := newHostsFile(t, here)
	proxy := hosts.start(testkit.Pool{Protocol: testkit.Redis, Servers: []string{"localhost:" + port + ":1 s1"}}.String())
	c := proxy.Dial(testkit.Redis)
	c.Send(testkit.RESP("BLPOP", "q", "0"))
	waits := func(s *testkit.Client) bool { return strings.Contains(s.Do("CLIENT", "LIST"), " cmd=blpop ") }
	await := func(what string, at *testkit.Client, want bool) {
		t.Helper()
		testkit.Await(t, what, func() error {
			if waits(at) != want {
				return errors.New("it is not so")
			}
			return nil
		})
	}
	await("the client to wait", old, true)
	hosts.say(there)
	await("the client to wait at the new server", fresh, true)
	await("the client to wait at the old server no more", old, false)
	fresh.Do("RPUSH", "q", "x")
	c.Expect("*2\r\n$1\r\nq\r\n$1\r\nx\r\n")
}

// The name of a memcached moves to another one, while both run.
func TestNameOfMemcachedMoves(t *testing.T) {
	t.Parallel()
	first, second, port := twoAddrs(t)
	old, fresh := testkit.StartMemcachedAt(t, first), testkit.StartMemcachedAt(t, second)
	hosts := newHostsFile(t, here)
	proxy := hosts.start(testkit.Pool{
		Protocol: testkit.Memcache, Servers: []string{"localhost:" + port + ":1 s1"}, Lines: []string{"timeout: 2000"},
	}.String())
	c := proxy.Dial(testkit.Memcache)
	arrives := func(at *testkit.Server, value string) {
		t.Helper()
		testkit.Await(t, "a value at "+at.Name(), func() error {
			c.Send([]byte("set k 0 0 1\r\n" + value + "\r\n"))
			if got := c.Reply(); got != "STORED\r\n" {
				return errors.New(got)
			}
			d := at.Dial()
			defer d.Close()
			d.Send([]byte("get k\r\n"))
			if got := d.Reply(); got != "VALUE k 0 1\r\n"+value+"\r\nEND\r\n" {
				return errors.New(got)
			}
			return nil
		})
	}
	arrives(old, "1")
	hosts.say(there)
	arrives(fresh, "2")
}

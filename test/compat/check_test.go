package compat

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"nuthatch/internal/check"
	"nuthatch/internal/testkit"
)

// checkAgainst runs "nuthatch check" with a configuration's text against a
// running nutcracker, and returns the result and the exit status.
func checkAgainst(t *testing.T, nutcracker *testkit.Proxy, text string, args ...string) (check.Result, int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "check.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(testkit.Binary(t), append([]string{
		"check", "--json", "-c", file, "--against-nutcracker", nutcracker.Addrs[0],
	}, args...)...)
	out, err := cmd.Output()
	var r check.Result
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		t.Fatalf("%v: %s", err, exit.Stderr)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return r, cmd.ProcessState.ExitCode()
}

// TestCheckAgainstNutcracker: where a running nutcracker looks for keys is found
// out without a write, and told from a file that has it otherwise.
func TestCheckAgainstNutcracker(t *testing.T) {
	t.Parallel()
	for name, protocol := range map[string]testkit.Protocol{"redis": testkit.Redis, "memcache": testkit.Memcache} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := func() *testkit.Server { return testkit.StartMemcached(t) }
			if protocol == testkit.Redis {
				start = func() *testkit.Server { return testkit.StartRedis(t) }
			}
			servers := []*testkit.Server{start(), start(), start(), start(), start()}
			pool := testkit.Pool{Protocol: protocol, Servers: testkit.Names(servers...), Lines: []string{`hash_tag: "{}"`}}
			nutcracker := testkit.StartNutcracker(t, pool.String())
			pool.Listen = nutcracker.Addrs[0]
			for _, args := range [][]string{nil, {"--write"}} {
				checkBoth(t, nutcracker, pool, args)
			}
			checkNothingLeft(t, protocol, servers)
		})
	}
}

// checkBoth checks with the file that nutcracker runs with, and with others.
func checkBoth(t *testing.T, nutcracker *testkit.Proxy, pool testkit.Pool, args []string) {
	t.Helper()
	r, status := checkAgainst(t, nutcracker, pool.String(), args...)
	if status != 0 || !r.Same() || len(r.Servers) != 5 {
		t.Errorf("%q: with its own file: status %d, %+v", args, status, r)
	}
	swapped := pool
	a, b := pool.Servers[0], pool.Servers[1]
	addr := func(entry string) string { return entry[:strings.IndexByte(entry, ' ')] }
	name := func(entry string) string { return entry[strings.IndexByte(entry, ' '):] }
	swapped.Servers = append([]string{addr(a) + name(b), addr(b) + name(a)}, pool.Servers[2:]...)
	hash, distribution, tag, none := pool, pool, pool, pool
	hash.Hash, distribution.Distribution, tag.Lines, none.Lines = "murmur", "modula", []string{`hash_tag: "$$"`}, nil
	for what, wrong := range map[string]string{
		"another hash":         hash.String(),
		"another tag":          tag.String(),
		"no tag":               none.String(),
		"two names swapped":    swapped.String(),
		"another distribution": distribution.String(),
	} {
		r, status := checkAgainst(t, nutcracker, wrong, args...)
		if status != 2 || r.Same() || len(r.Examples) == 0 {
			t.Errorf("%q: %s: status %d, %+v", args, what, status, r)
		}
		for _, e := range r.Examples {
			if e.Nutcracker == e.Ring || e.Nutcracker == "" {
				t.Errorf("%q: %s: an example is %+v", args, what, e)
			}
		}
	}
}

// TestCheckSeesWeights: a file whose weights differ from the running nutcracker's
// is found out, though few keys move.
func TestCheckSeesWeights(t *testing.T) {
	t.Parallel()
	servers := startThree(t, func() *testkit.Server { return testkit.StartRedis(t) })
	weighted := func(weights ...int) testkit.Pool {
		pool := testkit.Pool{Protocol: testkit.Redis}
		for i, w := range weights {
			pool.Servers = append(pool.Servers, fmt.Sprintf("%s:%d s%d", servers[i].Addr(), w, i))
		}
		return pool
	}
	pool := weighted(100, 100, 100)
	nutcracker := testkit.StartNutcracker(t, pool.String())
	for _, tt := range []struct {
		weights []int
		keys    string
		status  int
	}{
		{[]int{100, 100, 100}, "1000", 0},
		{[]int{100, 100, 105}, "1000", 2},
		{[]int{10, 10, 11}, "500", 2},
		{[]int{1, 1, 2}, "100", 2},
	} {
		other := weighted(tt.weights...)
		other.Listen = nutcracker.Addrs[0]
		servers[0].Dial().Do("CONFIG", "RESETSTAT")
		r, status := checkAgainst(t, nutcracker, other.String(), "--keys", tt.keys)
		if status != tt.status || r.Covered < 150 || r.Missed <= 0 || r.Missed > 0.016 {
			t.Errorf("%v: status %d, want %d; %+v", tt.weights, status, tt.status, r)
		}
		// The few keys that are elsewhere are not looked for one by one.
		counts := servers[0].Dial().Do("INFO", "commandstats")
		_, info, _ := strings.Cut(counts, "cmdstat_info:calls=")
		info, _, _ = strings.Cut(info, ",")
		if n, err := strconv.Atoi(info); err != nil || n > 500 {
			t.Errorf("%v: a server's counters were read %q times, %v", tt.weights, info, err)
		}
	}
}

// checkNothingLeft: the servers are as empty as they were.
func checkNothingLeft(t *testing.T, protocol testkit.Protocol, servers []*testkit.Server) {
	t.Helper()
	for _, s := range servers {
		switch protocol {
		case testkit.Redis:
			if got := s.Dial().Do("DBSIZE"); got != ":0\r\n" {
				t.Errorf("%s has keys: %q", s.Addr(), got)
			}
		case testkit.Memcache:
			c := s.Dial()
			c.Send([]byte("stats\r\n"))
			for line := c.Reply(); line != "END\r\n"; line = c.Reply() {
				if strings.HasPrefix(line, "STAT curr_items ") && line != "STAT curr_items 0\r\n" {
					t.Errorf("%s has keys: %q", s.Addr(), line)
				}
			}
		}
	}
}

// TestCheckUnderTraffic: what others do does not spoil the result.
func TestCheckUnderTraffic(t *testing.T) {
	t.Parallel()
	servers := startThree(t, func() *testkit.Server { return testkit.StartRedis(t) })
	pool := testkit.Pool{Protocol: testkit.Redis, Servers: testkit.Names(servers...)}
	nutcracker := testkit.StartNutcracker(t, pool.String())
	pool.Listen = nutcracker.Addrs[0]
	stop := make(chan struct{})
	var running sync.WaitGroup
	for range 4 {
		client := nutcracker.Dial(testkit.Redis)
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					client.Do("GET", "k")
					client.Do("ZLEXCOUNT", "k", "-", "+")
				}
			}
		})
	}
	r, status := checkAgainst(t, nutcracker, pool.String())
	close(stop)
	running.Wait()
	if status != 0 || r.Command == "ZLEXCOUNT" {
		t.Errorf("status %d, %+v", status, r)
	}
}

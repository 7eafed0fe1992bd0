package compat

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"nuthatch/internal/testkit"
)

// keysEnv sets the number of keys that TestPlacement moves in each direction,
// 100,000 if it is not set.
const keysEnv = "NUTHATCH_PLACEMENT_KEYS"

func placementKeys(t *testing.T) int {
	t.Helper()
	text := os.Getenv(keysEnv)
	if text == "" && testing.Short() {
		return 10_000
	}
	if text == "" {
		return 100_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is not a number of keys", keysEnv, text)
	}
	return n
}

// Every key that was written through one proxy is read back through the other,
// over one set of servers, in both directions and for both protocols.
func TestPlacement(t *testing.T) {
	t.Parallel()
	n := placementKeys(t)
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		servers := startThree(t, func() *testkit.Server { return testkit.StartRedis(t, "--maxmemory", "0") })
		bothWays(t, testkit.Redis, servers, n)
		total := 0
		for _, s := range servers {
			total += dbsize(t, s)
		}
		if total != 2*n {
			t.Errorf("the servers hold %d keys, want %d", total, 2*n)
		}
	})
	t.Run("memcache", func(t *testing.T) {
		t.Parallel()
		servers := startThree(t, func() *testkit.Server { return testkit.StartMemcached(t, "-m", "1024") })
		bothWays(t, testkit.Memcache, servers, n)
	})
}

func startThree(t *testing.T, start func() *testkit.Server) []*testkit.Server {
	t.Helper()
	return []*testkit.Server{start(), start(), start()}
}

func dbsize(t *testing.T, s *testkit.Server) int {
	t.Helper()
	reply := s.Dial().Do("DBSIZE")
	n, err := strconv.Atoi(strings.TrimSpace(reply[1:]))
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		t.Errorf("%s has no key at all", s.Addr())
	}
	return n
}

func bothWays(t *testing.T, protocol testkit.Protocol, servers []*testkit.Server, n int) {
	t.Helper()
	yaml := testkit.Pool{Protocol: protocol, Servers: testkit.Names(servers...)}.String()
	nutcracker, nuthatch := testkit.StartNutcracker(t, yaml), testkit.StartNuthatch(t, yaml)
	key := func(prefix string) func(int) string {
		return func(i int) string { return fmt.Sprintf("%s:%d", prefix, i) }
	}
	move(t, protocol, nutcracker.Addr(), nuthatch.Addr(), n, key("from-nutcracker"))
	move(t, protocol, nuthatch.Addr(), nutcracker.Addr(), n, key("from-nuthatch"))
}

const (
	moveClients = 4   // connections that move keys at a time
	moveDepth   = 200 // requests in flight on each
)

// move writes n keys to one address, each with a value that names it, and reads
// them from another.
func move(t *testing.T, protocol testkit.Protocol, to, from string, n int, key func(int) string) {
	t.Helper()
	value := func(i int) string { return "value of " + key(i) }
	inBatches(t, protocol, to, n, func(i int) (request, want string) {
		if protocol == testkit.Redis {
			return string(testkit.RESP("SET", key(i), value(i))), "+OK\r\n"
		}
		return store(fmt.Sprintf("set %s 0 0 %d", key(i), len(value(i))), value(i)), "STORED\r\n"
	})
	inBatches(t, protocol, from, n, func(i int) (request, want string) {
		if protocol == testkit.Redis {
			return string(testkit.RESP("GET", key(i))), testkit.Bulk(value(i))
		}
		return "get " + key(i) + "\r\n", fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\nEND\r\n", key(i), len(value(i)), value(i))
	})
}

// inBatches sends n pipelined requests over several connections and compares
// their replies.
func inBatches(
	t *testing.T, protocol testkit.Protocol, addr string, n int, exchange func(i int) (request, want string),
) {
	t.Helper()
	clients := moveClients
	if n < 10*moveDepth {
		clients = 1
	}
	var running sync.WaitGroup
	for w := range clients {
		running.Go(func() {
			client, err := testkit.TryDial(t, protocol, addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer client.Close()
			for from := w * n / clients; from < (w+1)*n/clients; from += moveDepth {
				if err := batch(client, from, min(from+moveDepth, (w+1)*n/clients), exchange); err != nil {
					t.Errorf("%s: %v", addr, err)
					return
				}
			}
		})
	}
	running.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

func batch(client *testkit.Client, from, to int, exchange func(i int) (request, want string)) error {
	var blob strings.Builder
	var wants []string
	for i := from; i < to; i++ {
		request, want := exchange(i)
		blob.WriteString(request)
		wants = append(wants, want)
	}
	if err := client.TrySend([]byte(blob.String())); err != nil {
		return err
	}
	for i, want := range wants {
		got, err := client.TryReply()
		if err != nil {
			return fmt.Errorf("request %d: %w", from+i, err)
		}
		if string(got) != want {
			request, _ := exchange(from + i)
			return fmt.Errorf("%q gets %q, want %q", request, got, want)
		}
	}
	return nil
}

var (
	hashes = []string{
		"one_at_a_time", "md5", "crc16", "crc32", "crc32a", "fnv1_64", "fnv1a_64", "fnv1_32", "fnv1a_32",
		"hsieh", "murmur", "jenkins",
	}
	distributions = []string{"ketama", "modula"}
)

// A cluster is a way to list servers in a pool.
type cluster struct {
	name    string
	entries []string
}

// clusters are the listings whose placement differs: by name, by address, by
// weight, on the port that nutcracker leaves out of an unnamed server's name,
// and by socket path.
func clusters(t *testing.T) []cluster {
	t.Helper()
	var plain, port11211, socket [3]string
	for i := range plain {
		plain[i] = testkit.StartRedis(t).Addr()
		socket[i] = testkit.StartRedisUnix(t).Addr()
	}
	for i, host := range testkit.LoopbackHosts(t, 3, 11211) {
		port11211[i] = testkit.StartRedisAt(t, host+":11211").Addr()
	}
	list := func(addrs [3]string, weights [3]int, names [3]string) []string {
		var entries []string
		for i, addr := range addrs {
			entries = append(entries, testkit.Entry(addr, weights[i], names[i]))
		}
		return entries
	}
	equal, uneven := [3]int{1, 1, 1}, [3]int{1, 7, 30}
	named, unnamed := [3]string{"alice", "bob", "127.0.0.1:6379"}, [3]string{}
	return []cluster{
		{"named", list(plain, equal, named)},
		{"named and weighted", list(plain, uneven, named)},
		{"unnamed", list(plain, equal, unnamed)},
		{"unnamed and weighted", list(plain, uneven, unnamed)},
		{"port 11211", list(port11211, equal, unnamed)},
		{"port 11211, weighted", list(port11211, uneven, unnamed)},
		{"sockets", list(socket, equal, unnamed)},
		{"sockets, named", list(socket, uneven, named)},
	}
}

// shapes are keys with whole, empty, open, nested and several hash tags.
var shapes = []string{
	"%s:%d", "%s{user%d}tail", "{%s:%d}", "{}%s:%d", "%s{:%d", "%s}:%d{", "{{%s}}%d", "%s{a}{b%d}", "%s $%d$ x", "$%s$%d",
}

// The 12 hashes x ketama and modula x every kind of server list, with and
// without hash tags: what one proxy wrote, the other finds.
func TestPlacementOfEveryHash(t *testing.T) {
	t.Parallel()
	const keys = 250
	tags := []string{"", `hash_tag: "{}"`, `hash_tag: "$$"`}
	var yaml strings.Builder
	var names []string
	for i, c := range clusters(t) {
		for j, hash := range hashes {
			for _, distribution := range distributions {
				pool := testkit.Pool{
					Name: fmt.Sprintf("p%d", len(names)), Protocol: testkit.Redis,
					Hash: hash, Distribution: distribution, Servers: c.entries,
				}
				tag := tags[(i+j)%len(tags)]
				if tag != "" {
					pool.Lines = []string{tag}
				}
				yaml.WriteString(pool.String())
				names = append(names, fmt.Sprintf("%s %s %s %s", hash, distribution, c.name, tag))
			}
		}
	}
	nutcracker, nuthatch := testkit.StartNutcracker(t, yaml.String()), testkit.StartNuthatch(t, yaml.String())
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			key := func(prefix string) func(int) string {
				return func(n int) string {
					return fmt.Sprintf(shapes[n%len(shapes)], fmt.Sprintf("%s%d", prefix, i), n)
				}
			}
			move(t, testkit.Redis, nutcracker.Addrs[i], nuthatch.Addrs[i], keys, key("c"))
			move(t, testkit.Redis, nuthatch.Addrs[i], nutcracker.Addrs[i], keys, key("h"))
		})
	}
}

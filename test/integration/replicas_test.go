package integration

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// A family is a primary and its replicas. Each has its own name in the key "who", so that a
// read shows where it was carried out.
type family struct {
	t        *testing.T
	primary  *testkit.Server
	replicas []*testkit.Server
	// named is how often they were given their names.
	named int
}

// replication is how servers of a family are started.
func replication() []string {
	args := []string{"--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1", "--replica-read-only", "no"}
	if testkit.InTLS() {
		args = append(args, "--tls-replication", "yes")
	}
	return args
}

// startFamily starts a primary, which is called p, and replicas r1, r2, and so on.
func startFamily(t *testing.T, replicas int) *family {
	t.Helper()
	f := &family{t: t, primary: testkit.StartRedis(t, replication()...)}
	for range replicas {
		s := testkit.StartRedis(t, replication()...)
		f.follow(s, f.primary.Addr())
		f.replicas = append(f.replicas, s)
	}
	f.name()
	return f
}

// follow has a server be the replica of what listens at an address.
func (f *family) follow(s *testkit.Server, addr string) {
	f.t.Helper()
	host, port, _ := strings.Cut(addr, ":")
	c := s.Dial()
	defer c.Close()
	if got := c.Do("REPLICAOF", host, port); !strings.HasPrefix(got, "+OK") {
		f.t.Fatalf("%s does not follow %s: %q", s.Name(), addr, got)
	}
	testkit.Await(f.t, s.Name()+" has its primary's data", func() error {
		if info := c.Do("INFO", "replication"); !strings.Contains(info, "master_link_status:up") {
			return fmt.Errorf("it says %q", info)
		}
		return nil
	})
}

// name writes the name of each into it. A replica gets its own when it has its primary's.
func (f *family) name() {
	f.t.Helper()
	f.named++
	round := fmt.Sprint(f.named)
	c := f.primary.Dial()
	defer c.Close()
	c.Do("SET", "who", "p")
	c.Do("SET", "round", round)
	for i, s := range f.replicas {
		d := s.Dial()
		testkit.Await(f.t, s.Name()+" has what was written last", func() error {
			if got := d.Do("GET", "round"); got != fmt.Sprintf("$%d\r\n%s\r\n", len(round), round) {
				return fmt.Errorf("it has %q", got)
			}
			return nil
		})
		if got := d.Do("SET", "who", fmt.Sprintf("r%d", i+1)); got != "+OK\r\n" {
			f.t.Fatalf("%s: %q", s.Name(), got)
		}
		d.Close()
	}
}

// pool is a pool of the primary, which is called s1, and of these replicas.
func (f *family) pool(replicas []*testkit.Server, lines ...string) testkit.Pool {
	pool := testkit.Pool{Protocol: testkit.Redis, Servers: testkit.Names(f.primary), Lines: lines}
	if len(replicas) > 0 {
		addrs := make([]string, len(replicas))
		for i, s := range replicas {
			addrs[i] = s.Addr()
		}
		pool.Lines = append(slices.Clone(lines), "replicas: {s1: ["+strings.Join(addrs, ", ")+"]}")
	}
	return pool
}

// who reads where reads are carried out.
func who(c *testkit.Client) string {
	got := c.Do("GET", "who")
	if _, name, ok := strings.Cut(got, "\r\n"); ok && got[0] == '$' {
		return strings.TrimSuffix(name, "\r\n")
	}
	return strings.TrimSpace(got)
}

// awaitWho waits until the reads of a client are carried out at these servers, and at no
// others, in each of twenty reads in a row.
func awaitWho(t *testing.T, c *testkit.Client, want ...string) {
	t.Helper()
	testkit.Await(t, fmt.Sprintf("reads at %v", want), func() error {
		seen := make(map[string]int)
		for range 20 {
			seen[who(c)]++
		}
		if len(seen) != len(want) {
			return fmt.Errorf("they are at %v", seen)
		}
		for _, name := range want {
			if seen[name] == 0 {
				return fmt.Errorf("they are at %v", seen)
			}
		}
		return nil
	})
}

// Reads go to the replicas; to the primary while these are away, and to them while it is.
func TestReplicasAndPrimaryAway(t *testing.T) {
	t.Parallel()
	f := startFamily(t, 2)
	pool := f.pool(f.replicas, "read_policy: prefer_replica", "timeout: 2000", "reconnect_backoff: 10ms", "max_replica_silence: 0")
	c := testkit.StartNuthatch(t, pool.String()).Dial(testkit.Redis)
	awaitWho(t, c, "r1", "r2")
	for _, s := range f.replicas {
		s.Kill()
	}
	awaitWho(t, c, "p")
	for _, s := range f.replicas {
		s.Restart()
		f.follow(s, f.primary.Addr())
	}
	f.name()
	awaitWho(t, c, "r1", "r2")
	f.primary.Kill()
	awaitWho(t, c, "r1", "r2")
}

// A client that has written reads from the primary, also within one pipeline; others do not.
func TestReplicasOwnWrites(t *testing.T) {
	t.Parallel()
	f := startFamily(t, 2)
	proxy := testkit.StartNuthatch(t, f.pool(f.replicas, "read_policy: replica", "read_own_writes: 1h").String())
	reader, writer := proxy.Dial(testkit.Redis), proxy.Dial(testkit.Redis)
	awaitWho(t, reader, "r1", "r2")
	awaitWho(t, writer, "r1", "r2")
	writer.Send([]byte("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n*2\r\n$3\r\nGET\r\n$3\r\nwho\r\n*2\r\n$4\r\nMGET\r\n$3\r\nwho\r\n"))
	writer.Expect("+OK\r\n", "$1\r\np\r\n", "*1\r\n$1\r\np\r\n")
	for range 20 {
		if got := who(writer); got != "p" {
			t.Fatalf("a client that has written reads from %s", got)
		}
	}
	awaitWho(t, reader, "r1", "r2")
	for _, line := range [][]string{{"EVAL", "return redis.call('GET', KEYS[1])", "1", "who"}, {"MULTI"}, {"GET", "who"}} {
		if got := reader.Do(line...); got == "$2\r\nr1\r\n" || got == "$2\r\nr2\r\n" {
			t.Errorf("%v is carried out at a replica", line)
		}
	}
	if got := reader.Do("EXEC"); got != "*1\r\n$1\r\np\r\n" {
		t.Errorf("a transaction gets %q", got)
	}
}

// With a short read_own_writes a client reads from replicas again soon after its write.
func TestReplicasOwnWritesEnd(t *testing.T) {
	t.Parallel()
	f := startFamily(t, 1)
	for _, own := range []string{"0", "20ms"} {
		c := testkit.StartNuthatch(t, f.pool(f.replicas, "read_policy: prefer_replica", "read_own_writes: "+own).String()).Dial(testkit.Redis)
		awaitWho(t, c, "r1")
		c.Do("SET", "k", "v")
		awaitWho(t, c, "r1")
	}
}

// What a client writes behind reads at replicas is not carried out before them, and replies
// come in the order of requests.
func TestReplicasKeepOrder(t *testing.T) {
	t.Parallel()
	f := startFamily(t, 2)
	proxy := testkit.StartNuthatch(t, f.pool(f.replicas, "read_policy: replica", "read_own_writes: 5ms").String())
	c := proxy.Dial(testkit.Redis)
	awaitWho(t, c, "r1", "r2")
	direct := make([]*testkit.Client, len(f.replicas))
	for i, s := range f.replicas {
		direct[i] = s.Dial()
	}
	before := "0"
	c.Do("SET", "k", before)
	for i := 1; i <= 30; i++ {
		for j, d := range direct {
			testkit.Await(t, f.replicas[j].Name()+" has the last write", func() error {
				if got := d.Do("GET", "k"); got != fmt.Sprintf("$%d\r\n%s\r\n", len(before), before) {
					return fmt.Errorf("it has %q", got)
				}
				return nil
			})
		}
		value := fmt.Sprint(i)
		c.Send(fmt.Appendf(nil, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n", len(value), value))
		old := fmt.Sprintf("$%d\r\n%s\r\n", len(before), before)
		c.Expect(old, old, "+OK\r\n")
		before = value
	}
}

// A replica that is stopped is not waited for, and one that is killed loses no read.
func TestReplicasAreLost(t *testing.T) {
	t.Parallel()
	f := startFamily(t, 2)
	proxy := testkit.StartNuthatch(t, f.pool(f.replicas, "read_policy: prefer_replica").String())
	var going sync.WaitGroup
	var served atomic.Int64
	stop := make(chan struct{})
	for range 4 {
		c := proxy.Dial(testkit.Redis)
		awaitWho(t, c, "r1", "r2")
		going.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := who(c); got != "r1" && got != "r2" && got != "p" {
					t.Errorf("a read gets %q", got)
					return
				}
				served.Add(1)
			}
		})
	}
	c := proxy.Dial(testkit.Redis)
	f.replicas[0].Pause()
	awaitWho(t, c, "r2")
	n := served.Load()
	f.replicas[1].Kill()
	awaitWho(t, c, "p")
	testkit.Await(t, "all go on", func() error {
		if got := served.Load(); got < n+100 {
			return fmt.Errorf("%d reads since then", got-n)
		}
		return nil
	})
	f.replicas[0].Resume()
	awaitWho(t, c, "r1")
	close(stop)
	going.Wait()
}

// A replica that has been promoted is not read from.
func TestReplicaIsPromoted(t *testing.T) {
	t.Parallel()
	f := startFamily(t, 2)
	proxy := testkit.StartNuthatch(t, f.pool(f.replicas, "read_policy: nearest").String())
	c := proxy.Dial(testkit.Redis)
	awaitWho(t, c, "p", "r1", "r2")
	if got := f.replicas[0].Dial().Do("REPLICAOF", "NO", "ONE"); got != "+OK\r\n" {
		t.Fatal(got)
	}
	awaitWho(t, c, "p", "r2")
	awaitLogged(t, proxy, 1, "replica is a primary now")
}

// A dam is between a primary and its replica. While it is closed nothing comes through.
type dam struct {
	addr   string
	closed sync.RWMutex
}

func startDam(t *testing.T, to string) *dam {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &dam{addr: l.Addr().String()}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			t.Cleanup(func() { in.Close(); out.Close() })
			go func() { _, _ = io.Copy(out, in) }()
			go func() {
				buf := make([]byte, 4096)
				for {
					n, err := out.Read(buf)
					if err != nil {
						in.Close()
						return
					}
					d.closed.RLock()
					_, err = in.Write(buf[:n])
					d.closed.RUnlock()
					if err != nil {
						return
					}
				}
			}()
		}
	}()
	return d
}

// A replica that is too far behind is not read from, until it has caught up.
func TestReplicaLags(t *testing.T) {
	t.Parallel()
	f := startFamily(t, 1)
	d := startDam(t, f.primary.Addr())
	f.follow(f.replicas[0], d.addr)
	f.name()
	proxy := testkit.StartNuthatch(t, f.pool(f.replicas, "read_policy: prefer_replica", "max_replica_lag: 1kb", "max_replica_silence: 0").String())
	c := proxy.Dial(testkit.Redis)
	awaitWho(t, c, "r1")
	d.closed.Lock()
	f.primary.Dial().Do("SET", "k", strings.Repeat("x", 4096))
	awaitWho(t, c, "p")
	d.closed.Unlock()
	awaitWho(t, c, "r1")
	awaitLogged(t, proxy, 1, "replica is not read from")
	awaitLogged(t, proxy, 1, "replica is read from again")
}

// TestNoReplicaIsFound: a replica that has no primary from the start on is found with the reason,
// since reads fail. When it is read from, it is for the first time.
func TestNoReplicaIsFound(t *testing.T) {
	t.Parallel()
	f := &family{t: t, primary: testkit.StartRedis(t, replication()...)}
	f.replicas = []*testkit.Server{testkit.StartRedis(t, replication()...)}
	proxy := testkit.StartNuthatch(t, f.pool(f.replicas, "read_policy: replica").String())
	awaitLogged(t, proxy, 1, "no replica is read from, and reads fail")
	f.follow(f.replicas[0], f.primary.Addr())
	f.name()
	awaitWho(t, proxy.Dial(testkit.Redis), "r1")
	awaitLogged(t, proxy, 1, "replica is read from")
	if n := logged(t, proxy, "is read from again"); n > 0 {
		t.Errorf("%d lines say that it is read from again", n)
	}
}

// A reload brings replicas and takes them away, and changes the policy; clients that check
// what they wrote notice nothing.
func TestReplicasReload(t *testing.T) {
	t.Parallel()
	f := startFamily(t, 2)
	pool := f.pool(nil)
	pool.Listen = testkit.FreeAddr(t)
	proxy := testkit.StartNuthatch(t, pool.String())
	crowd := testkit.Traffic{Protocol: testkit.Redis, Addr: proxy.Addr(), Clients: 10, Round: 10, Pause: time.Millisecond, Seed: 3}.Start(t)
	c := proxy.Dial(testkit.Redis)
	for range rounds(t, 2) {
		for _, step := range []struct {
			replicas []*testkit.Server
			policy   string
			want     []string
		}{
			{f.replicas[:1], "replica", []string{"r1"}},
			{f.replicas, "replica", []string{"r1", "r2"}},
			{f.replicas[1:], "nearest", []string{"p", "r2"}},
			{f.replicas[1:], "primary", []string{"p"}},
			{nil, "prefer_replica", []string{"p"}},
		} {
			next := f.pool(step.replicas, "read_policy: "+step.policy, "read_own_writes: 1m")
			next.Listen = pool.Listen
			reload(t, proxy, next.String())
			awaitWho(t, c, step.want...)
		}
	}
	if seen := crowd.Stop(); seen.Failed > 0 {
		t.Errorf("%d requests failed: %s", seen.Failed, seen.ErrorTexts())
	}
}

// Reads of a Redis Cluster go to the replicas of the slot's node, through a failover by hand.
func TestReplicasOfCluster(t *testing.T) {
	t.Parallel()
	cluster := testkit.StartCluster(t, 3, 1, clusterDown)
	pool := cluster.Pool(cluster.Nodes[:3]...)
	pool.Lines = append(pool.Lines, "read_policy: replica", "read_own_writes: 10ms")
	proxy := testkit.StartNuthatch(t, pool.String())
	awaitWritten(t, proxy)
	read := func(c *testkit.Client, from int) error {
		for i := from; i < from+100; i++ {
			key := fmt.Sprintf("key:%d", i%100)
			if got, want := c.Do("GET", key), fmt.Sprintf("$%d\r\n%s\r\n", len(key), key); got != want {
				return fmt.Errorf("%s: %q", key, got)
			}
		}
		return nil
	}
	atReplicas := func(c *testkit.Client, replicas []*testkit.Server) {
		t.Helper()
		testkit.Await(t, "all reads at replicas", func() error {
			before := make([]int, len(replicas))
			for i, s := range replicas {
				before[i] = cluster.Gets(s)
			}
			if err := read(c, 0); err != nil {
				return err
			}
			n := 0
			for i, s := range replicas {
				if more := cluster.Gets(s) - before[i]; more > 0 {
					n += more
				}
			}
			if n != 100 {
				return fmt.Errorf("%d of 100 are", n)
			}
			return nil
		})
	}
	c := proxy.Dial(testkit.Redis)
	atReplicas(c, cluster.Nodes[3:])
	old, replica := cluster.Nodes[0], cluster.Nodes[3]
	cluster.FailOver(cluster.Nodes[1], replica)
	cluster.AwaitPrimary(cluster.Nodes[1], replica)
	cluster.AwaitWhole()
	atReplicas(c, []*testkit.Server{old, cluster.Nodes[4], cluster.Nodes[5]})
}

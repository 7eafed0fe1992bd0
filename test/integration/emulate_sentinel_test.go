package integration

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/testkit"
)

// A found is a proxy that clients find by Sentinel.
type found struct {
	*testkit.Proxy
	sentinel string // where it answers as one
}

// startFound starts proxies over one server that clients find by Sentinel. Each knows all.
func startFound(t *testing.T, n int) []*found {
	t.Helper()
	servers := testkit.Names(testkit.StartRedis(t))
	all := make([]*found, n)
	var peers []string
	listens := make([]string, n)
	for i := range all {
		listens[i] = testkit.FreeAddr(t)
		peers = append(peers, fmt.Sprintf("%q", listens[i]))
	}
	for i := range all {
		at := testkit.FreeAddr(t)
		lines := []string{
			fmt.Sprintf("emulate: {sentinel_listen: %q, sentinel_name: main, peers: [%s]}", at, strings.Join(peers, ", ")),
			"# no tls: clients connect to what they are told",
		}
		all[i] = &found{testkit.StartNuthatch(t, testkit.Pool{Protocol: testkit.Redis, Listen: listens[i], Servers: servers, Lines: lines}.String()), at}
	}
	for _, f := range all {
		c := testkit.Dial(t, testkit.Redis, f.sentinel)
		testkit.Await(t, "the sentinels know each other", func() error {
			if got := c.Do("SENTINEL", "CKQUORUM", "main"); !strings.HasPrefix(got, fmt.Sprintf("+OK %d usable", n)) {
				return errors.New(got)
			}
			return nil
		})
		c.Close()
	}
	return all
}

// sentOn is the proxy that the first one's sentinel names, which is to be one of these, and the
// others.
func sentOn(t *testing.T, all []*found) (is *found, others []*found) {
	t.Helper()
	c := testkit.Dial(t, testkit.Redis, all[0].sentinel)
	defer c.Close()
	testkit.Await(t, "the sentinel to name one that lives", func() error {
		reply := c.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")
		others = nil
		for _, f := range all {
			if strings.Contains(reply, "\r\n"+port(t, f.Proxy)+"\r\n") {
				is = f
				continue
			}
			others = append(others, f)
		}
		if is == nil {
			return errors.New(reply)
		}
		return nil
	})
	return is, others
}

// TestSentinelClientsFindProxies: clients of Sentinel follow to other proxies when theirs drains,
// and when it is killed.
func TestSentinelClientsFindProxies(t *testing.T) {
	t.Parallel()
	all := startFound(t, 3)
	node := testkit.Program(t, "node")
	installNodeClients(t)
	var sentinels, ports []string
	for _, f := range all {
		_, port, err := net.SplitHostPort(f.sentinel)
		if err != nil {
			t.Fatal(err)
		}
		sentinels, ports = append(sentinels, f.sentinel), append(ports, port)
	}
	scripts := watchWith(t, map[string][2]string{
		"redis-py": {"/usr/bin/python3", "../clients/redispy_sentinel.py"},
		"ioredis":  {node, "../clients/ioredis_sentinel.mjs"},
	}, ports...)
	client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "main", SentinelAddrs: sentinels, DialTimeout: time.Second, DialerRetries: 1, PoolSize: 2})
	defer client.Close()
	var over, dies atomic.Bool
	var rounds atomic.Int64
	var running sync.WaitGroup
	defer running.Wait()
	defer over.Store(true)
	running.Go(func() {
		for !over.Load() {
			value := rounds.Add(1)
			err := client.Set(t.Context(), "go", value, 0).Err()
			if err == nil {
				var got int64
				if got, err = client.Get(t.Context(), "go").Int64(); err == nil && got != value {
					t.Errorf("go-redis: round %d reads %d", value, got)
				}
			}
			if err != nil && !dies.Load() {
				t.Errorf("go-redis: round %d: %v", value, err)
			}
		}
	})
	awaitMore(t, &rounds, 50)
	awaitWord(t, scripts, "ready")
	first, rest := sentOn(t, all)
	drains(t, first.Proxy)
	awaitMore(t, &rounds, 50)
	second, rest := sentOn(t, rest)
	dies.Store(true)
	second.Kill()
	sentOn(t, rest)
	awaitMore(t, &rounds, 50)
	dies.Store(false)
	awaitMore(t, &rounds, 50)
	for _, w := range scripts {
		w.ends(t)
	}
}

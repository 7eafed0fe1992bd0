package integration

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/testkit"
)

// emulating are the lines of a pool that looks like a Redis Cluster. Its clients are told where it
// listens, and so it speaks no TLS with them, whatever the variant.
var emulating = []string{`hash_tag: "{}"`, "emulate: {cluster: true}", "# no tls: clients connect to what they are told"}

// TestEmulatedCluster drives a pool that looks like a Redis Cluster through clients of clusters.
func TestEmulatedCluster(t *testing.T) {
	t.Parallel()
	s := redisStage(t, emulating...)
	t.Run("go-redis", func(t *testing.T) {
		for _, resp := range []int{2, 3} {
			c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{s.proxy.Addr()}, Protocol: resp})
			checkRound(t, c, resp)
			_ = c.Close()
		}
	})
	for name, run := range clusterScripts(t) {
		t.Run(name, func(t *testing.T) {
			if out := command(t, "", run[0], run[1], port(t, s.proxy)); out != "ok 1 0\n" {
				t.Errorf("%s: %s", run[1], out)
			}
		})
	}
}

// clusterScripts are programs that drive clusters, by name.
func clusterScripts(t *testing.T) map[string][2]string {
	t.Helper()
	node := testkit.Program(t, "node")
	installNodeClients(t)
	return map[string][2]string{
		"redis-py":   {"/usr/bin/python3", "../clients/redispy_cluster.py"},
		"ioredis":    {node, "../clients/ioredis_cluster.mjs"},
		"node-redis": {node, "../clients/noderedis_cluster.mjs"},
	}
}

// checkRound sets and reads keys, alone, in a pipeline, in a transaction, and in a split command.
func checkRound(t *testing.T, c *redis.ClusterClient, round int) {
	t.Helper()
	if err := tryRound(t.Context(), c, round); err != nil {
		t.Errorf("round %d: %v", round, err)
	}
}

// A wrongValueError is a value that is another's.
type wrongValueError struct{ key, got, want string }

func (e wrongValueError) Error() string {
	return fmt.Sprintf("%s has %q, want %q", e.key, e.got, e.want)
}

// tryRound is a round; the error may be the connection's, or a wrongValueError.
func tryRound(ctx context.Context, c *redis.ClusterClient, round int) error {
	is := func(key, got, want string) error {
		if got != want {
			return wrongValueError{key, got, want}
		}
		return nil
	}
	value := strconv.Itoa(round)
	for i := range 20 {
		key := "go:" + strconv.Itoa(i)
		if err := c.Set(ctx, key, value, 0).Err(); err != nil {
			return err
		}
		got, err := c.Get(ctx, key).Result()
		if err == nil {
			err = is(key, got, value)
		}
		if err != nil {
			return err
		}
	}
	var gets []*redis.StringCmd
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range 20 {
			key := "go:p" + strconv.Itoa(i)
			p.Set(ctx, key, value, 0)
			gets = append(gets, p.Get(ctx, key))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, get := range gets {
		if err := is("go:p"+strconv.Itoa(i), get.Val(), value); err != nil {
			return err
		}
	}
	var sum *redis.IntCmd
	if _, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "{go}n", round, 0)
		sum = p.IncrBy(ctx, "{go}n", 1)
		return nil
	}); err != nil {
		return err
	}
	return is("{go}n", strconv.FormatInt(sum.Val(), 10), strconv.Itoa(round+1))
}

// shapeOf is a reply without what differs between clusters: ids, addresses, ports and epochs.
func shapeOf(reply string) string {
	reply = strings.ReplaceAll(reply, "$8\r\ntls-port\r\n", "$4\r\nport\r\n") // in the variant with TLS
	reply = regexp.MustCompile(`[0-9a-f]{40}`).ReplaceAllString(reply, "ID")
	reply = regexp.MustCompile(`\$\d+\r\n(127\.0\.0\.1|)\r\n`).ReplaceAllString(reply, "HOST\r\n")
	reply = regexp.MustCompile(`(127\.0\.0\.1)?:\d+@\d+`).ReplaceAllString(reply, "HOST:PORT@PORT")
	reply = regexp.MustCompile(`(HOST\r\n|port\r\n):\d+`).ReplaceAllString(reply, "$1:PORT")
	reply = regexp.MustCompile(`^([$=])\d+`).ReplaceAllString(reply, "$1")
	reply = regexp.MustCompile(`- 0 0 \d+ connected`).ReplaceAllString(reply, "- 0 0 EPOCH connected")
	reply = regexp.MustCompile(`epoch:\d+`).ReplaceAllString(reply, "epoch:")
	return regexp.MustCompile(`messages_(\w+):\d+`).ReplaceAllString(reply, "messages_$1:")
}

// TestEmulatedAnswersLikeRedis compares a pool that looks like a cluster with a cluster of one node.
func TestEmulatedAnswersLikeRedis(t *testing.T) {
	t.Parallel()
	cluster := testkit.StartCluster(t, 1, 0, 0)
	node, s := cluster.Nodes[0].Dial(), redisStage(t, emulating...)
	defer node.Close()
	c := s.proxy.Dial(testkit.Redis)
	defer c.Close()
	same := func(words ...string) {
		t.Helper()
		if got, want := shapeOf(c.Do(words...)), shapeOf(node.Do(words...)); got != want {
			t.Errorf("%q\n%q, Redis says\n%q", words, got, want)
		}
	}
	for _, hello := range []string{"2", "3"} {
		for _, conn := range []*testkit.Client{c, node} {
			if reply := conn.Do("HELLO", hello); !strings.Contains(reply, "mode\r\n$7\r\ncluster\r\n") {
				t.Fatalf("HELLO %s: %q", hello, reply)
			}
		}
		for _, request := range []string{
			"CLUSTER SLOTS", "CLUSTER SHARDS", "CLUSTER NODES", "CLUSTER INFO", "CLUSTER MYID", "CLUSTER KEYSLOT", "CLUSTER KEYSLOT a b",
			"CLUSTER COUNTKEYSINSLOT x", "CLUSTER COUNTKEYSINSLOT 16384", "CLUSTER GETKEYSINSLOT 0 -1", "CLUSTER GETKEYSINSLOT 1",
			"CLUSTER GETKEYSINSLOT -1 1", "READONLY", "READWRITE", "ASKING", "ASKING 1", "CLUSTER NOSUCH",
			"SELECT 1", "SELECT -1", "SELECT x", "SELECT 0", "SELECT 0 0",
		} {
			same(strings.Fields(request)...)
		}
		for _, key := range append(spread(200), "", "{", "}", "{}", "{}a", "a{b}c{d}", "a{}{b}", "{{a}}", "a}b{c", "\x00\xff{\r\n}") {
			same("CLUSTER", "KEYSLOT", key)
		}
	}
}

// TestEmulatedOverCluster: the servers are a cluster themselves, which knows the keys of its slots.
func TestEmulatedOverCluster(t *testing.T) {
	t.Parallel()
	cluster := testkit.StartCluster(t, 3, 0, 0)
	p := testkit.StartNuthatch(t, testkit.Pool{
		Protocol: testkit.Redis, Cluster: true, Servers: []string{cluster.Nodes[0].Entry("")}, Lines: emulating[1:],
	}.String())
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{p.Addr()}})
	defer client.Close()
	checkRound(t, client, 1)
	c := p.Dial(testkit.Redis)
	defer c.Close()
	for i := range 50 {
		key := "{" + strconv.Itoa(i) + "}"
		for _, suffix := range []string{"a", "b"} {
			if got := c.Do("SET", key+suffix, "x"); got != "+OK\r\n" {
				t.Fatal(got)
			}
		}
		slot := strings.Trim(c.Do("CLUSTER", "KEYSLOT", key), ":\r\n")
		if got := c.Do("CLUSTER", "COUNTKEYSINSLOT", slot); got != ":2\r\n" {
			t.Errorf("slot %s has %q keys", slot, got)
		}
		if got := c.Do("CLUSTER", "GETKEYSINSLOT", slot, "10"); !strings.HasPrefix(got, "*2\r\n") || !strings.Contains(got, key+"a") {
			t.Errorf("slot %s has the keys %q", slot, got)
		}
	}
}

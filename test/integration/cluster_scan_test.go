package integration

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/testkit"
)

const (
	// scannedKeys are the keys that are there all the time, and reshardedSlots how many slots
	// move at a time.
	scannedKeys, reshardedSlots = 2000, 200
	// scansOfEach is how often each client scans.
	scansOfEach = 3
)

// reshard has slots go from one primary to another, round and round, until ctx ends. It counts how
// often they did. The program's first arguments are args.
func reshard(ctx context.Context, cli string, args []string, cluster *testkit.Cluster, times *atomic.Int64) error {
	for ctx.Err() == nil {
		n := times.Load()
		from, to := cluster.Nodes[n%3], cluster.Nodes[(n+1)%3]
		if n%6 > 2 {
			from, to = to, from
		}
		out, err := exec.Command(cli, slices.Concat(args, []string{
			from.Addr(), "--cluster-from", cluster.ID(from), "--cluster-to", cluster.ID(to),
			"--cluster-slots", strconv.Itoa(reshardedSlots), "--cluster-yes",
		})...).CombinedOutput()
		if err != nil && !strings.Contains(string(out), "fix your cluster") { // the nodes have not agreed yet
			return fmt.Errorf("%w: %s", err, out)
		}
		if err == nil {
			times.Add(1)
		}
	}
	return nil
}

// scanTurns scans with a page of each proxy in turn.
func scanTurns(proxies []*testkit.Proxy) (keys []string) {
	var conns []*testkit.Client
	for _, p := range proxies {
		conns = append(conns, p.Dial(testkit.Redis))
	}
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for cursor, pages := "0", 0; pages == 0 || cursor != "0"; pages++ {
		words := strings.Split(conns[pages%len(conns)].Do("SCAN", cursor, "COUNT", "50"), "\r\n")
		if len(words) < 4 {
			return []string{"SCAN " + cursor + ": " + words[0]}
		}
		cursor = words[2]
		for i := 5; i < len(words); i += 2 {
			keys = append(keys, words[i])
		}
	}
	return keys
}

// Slots are resharded, to and fro, while clients scan: redis-cli, go-redis, and one whose pages
// come from two proxies in turn. No key that is there all the time is missed.
func TestClusterScansDuringReshards(t *testing.T) {
	t.Parallel()
	cli := testkit.Program(t, "redis-cli")
	cluster := testkit.StartCluster(t, 3, 0, 10*time.Second)
	resharding := []string{"--cluster", "reshard"}
	if testkit.Plain(t, cluster.Nodes[0].Addr()) != cluster.Nodes[0].Addr() { // the nodes speak TLS
		resharding = append([]string{"--tls", "--insecure"}, resharding...)
	}
	proxies := []*testkit.Proxy{testkit.StartNuthatch(t, cluster.Pool().String(), testkit.Threads(2)), testkit.StartNuthatch(t, cluster.Pool().String())}
	for _, p := range proxies {
		awaitWritten(t, p)
	}
	client := redis.NewClient(&redis.Options{Addr: testkit.Plain(t, proxies[0].Addr()), DisableIdentity: true})
	defer client.Close()
	pipe := client.Pipeline()
	for i := range scannedKeys {
		pipe.Set(t.Context(), fmt.Sprintf("scanned:%d", i), i, 0)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	resharded := make(chan error, 1)
	var times atomic.Int64
	go func() { resharded <- reshard(ctx, cli, resharding, cluster, &times) }()
	scans := map[string]func() []string{
		"redis-cli": func() []string {
			out, err := exec.Command(cli, "-p", port(t, proxies[0]), "--scan").CombinedOutput()
			if err != nil {
				t.Errorf("redis-cli --scan: %v: %s", err, out)
			}
			return strings.Fields(string(out))
		},
		"go-redis": func() (keys []string) {
			it := client.Scan(t.Context(), 0, "", 50).Iterator()
			for it.Next(t.Context()) {
				keys = append(keys, it.Val())
			}
			if it.Err() != nil {
				t.Errorf("go-redis: %v", it.Err())
			}
			return keys
		},
		"two proxies": func() []string { return scanTurns(proxies) },
	}
	for n := 0; n < scansOfEach || times.Load() < 2 && len(resharded) == 0; n++ {
		for name, scan := range scans {
			began := time.Now()
			keys := scan()
			found := make(map[string]bool, len(keys))
			for _, key := range keys {
				found[key] = true
			}
			missed := 0
			for i := range scannedKeys {
				if !found[fmt.Sprintf("scanned:%d", i)] {
					missed++
				}
			}
			t.Logf("%s: %d keys, %v", name, len(keys), time.Since(began).Round(time.Millisecond))
			if missed > 0 {
				t.Errorf("%s missed %d of %d keys; it got %.200q", name, missed, scannedKeys, keys)
			}
		}
	}
	stop()
	if err := <-resharded; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d reshards", times.Load())
}

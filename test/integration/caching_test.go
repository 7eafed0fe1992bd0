package integration

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"nuthatch/internal/testkit"
)

// TestNodeRedisCaches: node-redis with client-side caching.
func TestNodeRedisCaches(t *testing.T) {
	t.Parallel()
	node := testkit.Program(t, "node")
	installNodeClients(t)
	s := redisStage(t)
	if out := command(t, "", node, "../clients/noderedis_cache.mjs", port(t, s.proxy)); out != "ok\n" {
		t.Error(out)
	}
}

// rueidisClient connects as an application does.
func rueidisClient(t *testing.T, addr string, caches bool, tracking ...string) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{testkit.Plain(t, addr)}, ForceSingleClient: true, DisableCache: !caches, ClientTrackingOptions: tracking,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestRueidisCaches: rueidis with client-side caching, in the mode that it chooses and with
// prefixes.
func TestRueidisCaches(t *testing.T) {
	t.Parallel()
	for name, tracking := range map[string][]string{"chosen": nil, "prefixes": {"BCAST", "PREFIX", "k"}} {
		t.Run(name, func(t *testing.T) {
			s := redisStage(t)
			reader, writer := rueidisClient(t, s.proxy.Addr(), true, tracking...), rueidisClient(t, s.proxy.Addr(), false)
			ctx := t.Context()
			get := func(key string) (string, bool) {
				r := reader.DoCache(ctx, reader.B().Get().Key(key).Cache(), time.Minute)
				v, err := r.ToString()
				if err != nil {
					t.Fatalf("%s: %v", key, err)
				}
				return v, r.IsCacheHit()
			}
			set := func(key, value string) {
				if err := writer.Do(ctx, writer.B().Set().Key(key).Value(value).Build()).Error(); err != nil {
					t.Fatal(err)
				}
			}
			hits := 0
			for i := range 100 {
				key := fmt.Sprintf("k%d", i)
				set(key, "before")
				for range 2 {
					v, hit := get(key)
					if hit {
						hits++
					}
					if v != "before" {
						t.Fatalf("%s is %q", key, v)
					}
				}
				set(key, "after")
				testkit.Await(t, key+" to have changed", func() error {
					if v, _ := get(key); v != "after" {
						return fmt.Errorf("it is %q: %w", v, errNotTold)
					}
					return nil
				})
			}
			if hits < 80 {
				t.Errorf("%d of 100 second reads were answered by the client itself", hits)
			}
			flags := map[string]string{"chosen": " flags=t ", "prefixes": " flags=tB "}[name]
			if list, err := writer.Do(ctx, writer.B().ClientList().Build()).ToString(); err != nil || !strings.Contains(list, flags) {
				t.Errorf("no client with%sin %q, %v", flags, list, err)
			}
			values, err := rueidis.MGetCache(reader, ctx, time.Minute, []string{"k1", "k2", "k3", "none"})
			if err != nil || len(values) != 4 {
				t.Errorf("%d values, %v", len(values), err)
			}
		})
	}
}

// TestRedisCLIMonitor: redis-cli sees what clients say to all servers.
func TestRedisCLIMonitor(t *testing.T) {
	t.Parallel()
	s := redisStage(t, "allow_monitor: true")
	ctx, cancel := context.WithTimeout(t.Context(), 3*testkit.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, testkit.Program(t, "redis-cli"), "-p", port(t, s.proxy), "monitor")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "OK" {
		t.Fatalf("MONITOR: %q, %v", lines.Text(), lines.Err())
	}
	c := s.proxy.Dial(testkit.Redis)
	if got := c.Do("CLIENT", "LIST"); !strings.Contains(got, " flags=O ") {
		t.Errorf("CLIENT LIST: %q", got)
	}
	missing := map[string]bool{}
	for _, key := range spread(30) {
		missing[key] = true
		c.Do("SET", key, "value")
	}
	for len(missing) > 0 && lines.Scan() {
		for key := range missing {
			if strings.HasSuffix(lines.Text(), `"SET" "`+key+`" "value"`) {
				delete(missing, key)
			}
		}
	}
	if len(missing) > 0 {
		t.Errorf("%d commands are missing: %v", len(missing), lines.Err())
	}
	c.Do("CLIENT", "KILL", "TYPE", "normal")
	_ = cmd.Wait() // its connection was closed
}

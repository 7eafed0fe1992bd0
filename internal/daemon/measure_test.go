package daemon

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/admin"
	"nuthatch/internal/msg"
	"nuthatch/internal/testkit"
)

// What the loops have measured is the same wherever it is asked for: by Go, and by
// a client of Redis. Pools do not see each other's.
func TestMeasures(t *testing.T) {
	server, listen := testkit.StartRedis(t), testkit.FreeAddr(t)
	text := pool("alpha", listen, []string{testkit.Entry(server.Addr(), 1, "s1")}) +
		pool("other", testkit.FreeAddr(t), []string{testkit.Entry(server.Addr(), 1, "s1")})
	s := startStageWith(t, text, "  slowlog_slower_than: 0s\n  slowlog_max_len: 30\n  slowlog_keys: true\n", server)
	ctx := t.Context()
	// Three connections: of the two loops both are used.
	for i := range 3 {
		c := redis.NewClient(&redis.Options{Addr: listen, ClientName: "tester", Protocol: 2 + i%2, DisableIdentity: true})
		t.Cleanup(func() { _ = c.Close() })
		for range 10 {
			if err := c.Set(ctx, "some:key", "value", 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Get(ctx, "some:key").Err(); err != nil {
			t.Fatal(err)
		}
	}
	checkLatency(t, s)
	c := redis.NewClient(&redis.Options{Addr: listen})
	defer c.Close()
	checkReports(t, s, c)
	checkHotKeys(t, s)

	// A reload changes what is measured.
	s.process = "  latency: false\n  hotkeys: false\n  slowlog_max_len: 0\n"
	s.mustReload(text)
	if err := c.Set(ctx, "some:key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n := latencyOfAlpha(t, s).Families()[msg.Writes].Count(); n != 30 {
		t.Errorf("%d writes are measured after the reload, want the 30 of before", n)
	}
	if n := c.Do(ctx, "SLOWLOG", "LEN").Val(); n != int64(0) {
		t.Errorf("SLOWLOG LEN after the reload: %v", n)
	}
}

func latencyOfAlpha(t *testing.T, s *stage) *admin.PoolLatency {
	t.Helper()
	pools, err := s.Latency()
	if err != nil {
		t.Fatal(err)
	}
	return &pools[slices.IndexFunc(pools, func(p admin.PoolLatency) bool { return p.Name == "alpha" })]
}

func checkLatency(t *testing.T, s *stage) {
	t.Helper()
	alpha := latencyOfAlpha(t, s)
	counts := map[string]uint64{}
	for i := range alpha.Commands {
		counts[alpha.Commands[i].Name] = alpha.Commands[i].Count()
	}
	families := alpha.Families()
	if counts["set"] != 30 || counts["get"] != 3 || families[msg.Writes].Count() != 30 || families[msg.Reads].Count() != 3 {
		t.Errorf("measured for clients: %v, by family %d writes and %d reads", counts, families[msg.Writes].Count(), families[msg.Reads].Count())
	}
	if s1 := &alpha.Servers[0]; s1.Name != "s1" || s1.Families[msg.Writes].Count() != 30 {
		t.Errorf("measured at server %s: %d writes, want 30", s1.Name, s1.Families[msg.Writes].Count())
	}
}

// checkReports asks as a client of the pool.
func checkReports(t *testing.T, s *stage, c *redis.Client) {
	t.Helper()
	ctx := t.Context()
	limits, err := c.Info(ctx, "memory", "clients").Result()
	if m := s.resources.Memory().Limit; err != nil || m == 0 || !strings.Contains(limits, fmt.Sprintf("\r\nnuthatch_max_memory:%d\r\n", m)) ||
		strings.Contains(limits, "maxclients:0\r\n") {
		t.Errorf("INFO tells other limits than those in force: %v, %q", err, limits)
	}
	info, err := c.Info(ctx, "commandstats", "stats").Result()
	if err != nil || !strings.Contains(info, "cmdstat_set:calls=30,") || !strings.Contains(info, "\r\nfragments:0\r\n") {
		t.Errorf("INFO: %v, %q", err, info)
	}
	histogram, err := c.Do(ctx, "LATENCY", "HISTOGRAM", "set").Result()
	if m, ok := histogram.(map[any]any); err != nil || !ok || m["set"].(map[any]any)["calls"] != int64(30) {
		t.Errorf("LATENCY HISTOGRAM: %v, %v", err, histogram)
	}

	entries, err := c.SlowLogGet(ctx, -1).Result()
	if err != nil || len(entries) != 30 {
		t.Fatalf("SLOWLOG GET: %d entries, %v; want 30", len(entries), err)
	}
	if !slices.ContainsFunc(entries, func(e redis.SlowLog) bool {
		return slices.Equal(e.Args[:3], []string{"SET", "some:key", "server=s1"}) && e.ClientName == "tester" && e.ClientAddr != ""
	}) {
		t.Errorf("no SET in the slow log: %+v", entries)
	}
	if all := s.SlowLog(1000); len(all) < 30 || all[0].Pool != "alpha" {
		t.Errorf("SlowLog: %d entries", len(all))
	}
}

func checkHotKeys(t *testing.T, s *stage) {
	t.Helper()
	keys, err := s.HotKeys(5)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range keys {
		switch {
		case p.Name == "alpha" && (len(p.Hot) != 1 || p.Hot[0].Key != "some:key" || p.Hot[0].Rate < 1):
			t.Errorf("hot keys: %+v", p.Hot)
		case p.Name == "other" && len(p.Hot) != 0:
			t.Errorf("hot keys of a pool without requests: %+v", p.Hot)
		}
	}
}

package examples

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/testkit"
)

// A panel is one of the dashboard's.
type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ X, Y, W, H int }
	Targets []struct{ Expr string }
}

func panels(t *testing.T) []panel {
	t.Helper()
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal([]byte(read(t, "grafana/nuthatch.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	return dashboard.Panels
}

// over puts into a query what Grafana does.
func over(query, interval string) string {
	return strings.NewReplacer("$__rate_interval", interval, "$instance", ".*", "$pool", ".*").Replace(query)
}

// TestDashboardOverARun has Prometheus scrape a proxy under load, of which a server fails and
// comes back. Each query of the dashboard has had a result, and those that have one whatever
// happens have shown the failure.
func TestDashboardOverARun(t *testing.T) {
	one, two := testkit.StartRedis(t), testkit.StartRedis(t)
	admin := testkit.FreeAddr(t)
	p := testkit.StartNuthatch(t, testkit.Pool{
		Protocol: testkit.Redis, Servers: testkit.Names(one, two),
		Lines: []string{"auto_eject_hosts: true", "server_failure_limit: 1", "server_retry_timeout: 300", "timeout: 200", "client_connections: 3"},
	}.String()+"nuthatch:\n  metrics_old_names: false\n  admin: "+admin+"\n")
	prometheus := testkit.StartPrometheus(t, admin, 200*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for ctx.Err() == nil {
			visit(ctx, p.Addr())
		}
	}()
	defer func() { cancel(); <-asked }()

	missing := make(map[string]string) // the panels of queries that have had no result
	for _, panel := range panels(t) {
		for _, target := range panel.Targets {
			missing[over(target.Expr, "2s")] = panel.Title
		}
	}
	look := func() error {
		for query := range missing {
			if prometheus.Query(query) > 0 {
				delete(missing, query)
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("no result of %q", missing)
		}
		return nil
	}
	prometheus.Await("a load", over(expression(t, "Requests per second"), "2s")+" > 0")
	one.Kill()
	prometheus.Await("the failure", over(expression(t, "Servers down"), "2s")+" == 1")
	prometheus.Await("failed requests", over(expression(t, "Failed per second"), "2s")+" > 0")
	_ = look()
	one.Restart()
	prometheus.Await("the return", over(expression(t, "Servers down"), "2s")+" == 0")
	testkit.Await(t, "a result of each query", look)
}

// expression is the query of a panel that has one.
func expression(t *testing.T, title string) string {
	t.Helper()
	for _, p := range panels(t) {
		if p.Title == title {
			return p.Targets[0].Expr
		}
	}
	t.Fatalf("the dashboard has no panel %q", title)
	return ""
}

// visit is clients that come, ask servers for this and that, and go. There are more than may
// come. What they are answered matters to nobody.
func visit(ctx context.Context, addr string) {
	var clients [4]*redis.Client
	for i := range clients {
		clients[i] = redis.NewClient(&redis.Options{Addr: addr, PoolSize: 1, MaxRetries: -1, Protocol: 2, DisableIdentity: true})
		for j := range 8 {
			key := fmt.Sprint("key", j)
			clients[i].Set(ctx, key, "value", 0)
			clients[i].Get(ctx, key)
			clients[i].LPush(ctx, key, "element") // of another type
		}
	}
	for _, client := range clients {
		_ = client.Close()
	}
}

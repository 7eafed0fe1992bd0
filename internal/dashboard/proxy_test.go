package dashboard_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/testkit"
)

// startProxy starts a proxy with an admin listener over the given servers, and
// returns it and the page's address.
func startProxy(t *testing.T, servers map[string]*testkit.Server) (proxy *testkit.Proxy, url string) {
	t.Helper()
	admin := testkit.FreeAddr(t)
	var yaml strings.Builder
	fmt.Fprintf(&yaml, "pool:\n  listen: %s\n  redis: true\n  hash: fnv1a_64\n  distribution: ketama\n  timeout: 400\n", testkit.ListenToken)
	yaml.WriteString("  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 300\n  servers:\n")
	for name, s := range servers {
		fmt.Fprintf(&yaml, "   - %s\n", s.Entry(name))
	}
	fmt.Fprintf(&yaml, "nuthatch:\n  admin: %s\n  threads: 2\n", admin)
	return testkit.StartNuthatch(t, yaml.String()), "http://" + admin
}

// load sends requests, one after the other, until the test ends.
func load(t *testing.T, addr string) { paced(t, addr, 0) }

// paced is load with a pause after each request.
func paced(t *testing.T, addr string, pause time.Duration) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, Protocol: 2, MaxRetries: -1})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			// Some fail: a server is taken away. Each other one is for the same key, or
			// there were none that stands out.
			_ = client.Set(ctx, fmt.Sprint("key:", i%2*(i%1000)), "value", 0).Err()
			if pause > 0 {
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		}
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
		_ = client.Close()
	})
}

func TestServerGoesDownAndComesUp(t *testing.T) {
	servers := map[string]*testkit.Server{"one": testkit.StartRedis(t), "two": testkit.StartRedis(t), "three": testkit.StartRedis(t)}
	proxy, url := startProxy(t, servers)
	load(t, proxy.Addr())
	b := open(t, url, 1440, "light", "ERR_CONNECTION_REFUSED", "503 (Service Unavailable)")

	const (
		plot = `document.querySelector(".plot .line").getAttribute("d")`
		tile = `[...document.querySelectorAll(".map button")].find((e) => e.title.startsWith("pool / one:"))`
		look = `document.querySelector(".trouble").innerText`
	)
	b.await("requests", `document.querySelector('[data-vital="requests"] .figure').textContent.match(/[1-9]/)`)
	b.await("a line", plot)
	before := value[string](b, plot)
	b.await("the line to move", fmt.Sprintf("%s !== %q", plot, before))
	b.await("latencies", `document.querySelectorAll(".plot")[1].querySelector(".line").getAttribute("d") && document.querySelector('[data-vital="p99"] .figure').textContent.endsWith("s")`)
	b.await("all servers up", look+`.includes("All 3 servers are up") && `+tile+`.className === "up"`)

	servers["one"].Kill()
	b.await("the server down", look+`.includes("pool / one") && `+tile+`.className !== "up"`)
	b.await("why, and since when", look+`.match(/(refused|reset|closed|pipe)/i) && `+look+`.includes("for ")`)
	b.await("failed requests", `document.querySelector('[aria-label="Failed requests by reason"] tbody tr')`)

	servers["one"].Restart()
	b.await("the server up", look+`.includes("All 3 servers are up") && `+tile+`.className === "up"`)

	b.view("where")
	b.do(`document.querySelector("#where-key").value = "key:1"`)
	b.do(`document.querySelector("form.where").requestSubmit()`)
	b.await("the key's server", `document.querySelector(".owner .open")`)
	if got := b.text(".owner .open"); servers[got] == nil {
		t.Errorf("key:1 lives on %q", got)
	}
	b.view("clients")
	b.view("keys")
	b.do(`location.hash = "slowlog"`)
	b.await("the slow log", `document.querySelector(".view-slowlog .empty, .view-slowlog tbody th")`)
	b.view("config")
	b.await("the address that the pool listens on", fmt.Sprintf(`document.querySelector(".settings").closest("main").innerText.includes(%q)`, proxy.Addr()))

	proxy.Stop()
	b.await("the loss of the proxy", `document.querySelector("#notice").innerText.includes("cannot be reached")`)
}

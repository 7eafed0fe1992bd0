package dashboard_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/admin/api"
)

// TestWhatPoolsHaveBesideServers: sentinels, peers and nodes are shown above the servers, and
// what is wrong with one of them.
func TestWhatPoolsHaveBesideServers(t *testing.T) {
	f := startFixture(t, 6)
	f.change = func(p *api.Pools) {
		at := p.Time.Add(-40 * time.Second)
		p.Pools[0].Counters["server_waiting"] = 3
		p.Pools[0].Sentinels = &api.Sentinels{
			Asked: &at, Why: "told",
			Primaries: []api.SentinelPrimary{{Name: "main", Address: "10.0.0.1:6379", Epoch: 7, Switched: &at}},
			Sentinels: []api.SentinelState{
				{Address: "10.0.0.5:26379", Subscribed: true, Asked: &at, Said: map[string]api.SentinelSaid{"main": {Address: "10.0.0.1:6379", Epoch: 7}}},
				{Address: "10.0.0.6:26379", Problem: "it does not answer in time", Asked: &at},
				{Address: "10.0.0.7:26379", Asked: &at, Doubted: map[string]string{"main": "it alone says that main is elsewhere"}},
			},
		}
		p.Pools[1].Emulated = &api.Emulated{
			Cluster: true, Since: at,
			Sentinel: &api.EmulatedSentinel{Listens: "10.0.0.2:26379", Name: "sessions", Others: []string{"10.0.0.1:26379"}, Clients: 7, Subscribers: 3, Switches: 12},
			Nodes:    []api.EmulatedNode{{Address: "10.0.0.1:6379", ID: "aaaa", Last: 8191}, {Address: "10.0.0.2:6379", ID: "bbbb", First: 8192, Last: 16383, Self: true}},
			Peers: []api.Peer{
				{Address: "10.0.0.1:6379", State: "lives", Announced: "10.0.0.1:6379", Sentinel: "10.0.0.1:26379", Since: at},
				{Address: "10.0.0.3:6379", State: "silent", Since: at, Problem: "nothing listens there"},
			},
		}
	}
	b := open(t, f.url+"/#servers", 1440, "light")
	b.await("the tables", `document.querySelectorAll(".small-table").length === 3`)
	shown := strings.ReplaceAll(b.text(".clusters"), "\u202f", " ") // a narrow space
	for _, want := range []string{
		"sentinels asked 40 s ago (told); main is at 10.0.0.1:6379, epoch 7, switched 40 s ago; 3 clients wait for a primary", "main at 10.0.0.1:6379 (epoch 7)",
		"looks like a cluster of 2, and a Sentinel of 2 at 10.0.0.2:26379, for ‘sessions’, with 7 clients (told of changes: 3; told to go elsewhere: 12), since 40 s ago",
		"10.0.0.2:6379 (this proxy)", "8192–16383", "lives", "silent",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is not in %q", want, shown)
		}
	}
	bad := value[string](b, `[...document.querySelectorAll(".clusters .bad-value")].map((e) => e.textContent).join("|")`)
	if !strings.Contains(bad, "it does not answer in time|") || !strings.Contains(bad, "not believed: it alone says that main is elsewhere|") || !strings.HasSuffix(bad, "nothing listens there") || strings.Contains(bad, "lives") {
		t.Errorf("what is wrong: %s", bad)
	}
	if dir := os.Getenv(shotsEnv); dir != "" {
		b.shoot(filepath.Join(dir, "behind.png"))
	}
	b.size(360, 900)
	if wide := value[int64](b, "document.documentElement.scrollWidth"); wide > 360 {
		t.Errorf("at 360 the page is %d wide", wide)
	}
}

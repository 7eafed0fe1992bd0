package findings

import (
	"slices"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/stats"
)

// now is when the answers of these tests are. What is found in them is in nuthatch ctl's tests,
// in words.
var now = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func server(name, state, reason, cause string) api.Server {
	return api.Server{Pool: "alpha", Name: name, Address: name + ":6379", State: state, Reason: reason, Cause: cause, Share: .5}
}

// TestFindingsExplainThemselves: each has its parts, and says what it means and what to do.
func TestFindingsExplainThemselves(t *testing.T) {
	since := now.Add(-time.Minute)
	slow, quick := server("slow", "up", "", ""), server("quick", "up", "", "")
	slow.Slow = &api.Slow{Since: since, Way: api.SlowTail, Takes: .2, Usual: .001, Window: 10}
	full := server("full", "up", "", "")
	full.Recent = &api.Rates{ErrorReplies: map[string]float64{"WRONGTYPE": 9, "OOM": 2}}
	dead := server("dead", "failing", "conn_refused", "Connection refused")
	dead.Since = &since
	found := Of(
		&api.Info{Time: now, State: "serving", LastReload: &api.Reload{Time: since, Refused: true, By: "signal", Text: "no"}},
		&api.Pools{Time: now, Pools: []api.Pool{{Name: "alpha", Servers: []api.Server{slow, quick, full, dead}}}},
	)
	if !found.Fails || len(found.Findings) != 4 {
		t.Fatalf("%+v", found)
	}
	want := []struct{ label, server, address, reason, cause, text, help string }{
		{"errors", "full", "full:6379", "OOM", "its memory is full", "9.0 WRONGTYPE, 2.0 OOM a second; OOM: its memory is full", "are errors"},
		{"failing", "dead", "dead:6379", "conn_refused", "Connection refused", "fails for 1m00s: Connection refused", "Nothing listens at the server's address"},
		{"reload refused", "", "", "", "", "refused, 1m00s ago, by signal: no", "nuthatch -t"},
		{"slow", "slow", "slow:6379", "", "", "takes 200ms or longer, with the others 1ms", "Look at its load"},
	}
	for i, w := range want {
		f := &found.Findings[i]
		if f.Label != w.label || f.Server != w.server || f.Address != w.address || f.Reason != w.reason || !strings.Contains(f.Cause, w.cause) ||
			!strings.Contains(f.Text, w.text) || !strings.Contains(f.Help, w.help) || f.Fails != (i < 2) {
			t.Errorf("%d: %+v, want %+v", i, *f, w)
		}
	}
	if found.Findings[1].Since == nil || found.Findings[2].Since == nil {
		t.Error("some do not say since when")
	}
}

// TestSlowServers: what is slow now is said in words, and is told at once; what is not up is not
// slow besides.
func TestSlowServers(t *testing.T) {
	for want, slow := range map[string]api.Slow{
		"half of its requests in the last 4s take 30ms or longer, with the others 1ms":        {Way: api.SlowHalf, Takes: .03, Usual: .001, Window: 4, Count: 300},
		"all of its 6 requests in the last 2s took 30ms or longer, with the others 1ms":       {Way: api.SlowAll, Takes: .03, Usual: .001, Window: 2, Count: 6},
		"half of its requests in the last 4s take 30ms or longer, in the minutes before 16µs": {Way: api.SlowHalf, Takes: .03, Window: 4, Count: 300, Before: true},
		"all of its 6 writes in the last 2s took 30ms or longer, in the minutes before 1ms":   {Way: api.SlowAll, Family: "write", Takes: .03, Usual: .001, Window: 2, Count: 6, Before: true},
		"one request in a hundred takes 30ms or longer, with the others 1ms, in the last 2s":  {Way: api.SlowTail, Takes: .03, Usual: .001, Window: 2, Count: 300},
	} {
		s := server("one", "up", "", "")
		slow.Since = now
		s.Slow = &slow
		f := one(t, serverSlow, nil, s)
		if f.Text != "server one (one:6379) is slow: "+want || f.Title != "server one (one:6379) is slow" || Settles(&f) || f.Since == nil || f.Fails {
			t.Errorf("%+v, want %q", f, want)
		}
		s.State = "failing"
		if f := one(t, serverSlow, nil, s); f.Text != "" {
			t.Errorf("failing: %+v", f)
		}
	}
}

// TestServersThatFlap: a server that fails again and again is called that, and not slow, which
// is what its connections make it; nor is one slow that has just come up.
func TestServersThatFlap(t *testing.T) {
	s := server("one", "up", "", "")
	long, short := now.Add(-time.Minute), now.Add(-2*time.Second)
	s.Slow = &api.Slow{Since: now, Way: api.SlowHalf, Takes: .03, Usual: .001, Window: 4, Count: 300}
	s.Falls, s.Since, s.Recent = 5, &long, &api.Rates{Failed: .1, Window: 10}
	const want = "server one (one:6379) fails again and again: it failed 5 times in the last minute, and answered in between"
	if f := one(t, serverFlaps, nil, s); f.Text != want || !f.Fails || Logged(&f) || Settles(&f) {
		t.Errorf("%+v", f)
	}
	if f := one(t, serverSlow, nil, s); f.Text != "" {
		t.Errorf("slow, too: %+v", f)
	}
	s.Recent = &api.Rates{Requests: 10, Window: 10}
	if f := one(t, serverFlaps, nil, s); f.Text != want || f.Fails {
		t.Errorf("no request has failed in the window: %+v", f)
	}
	s.State = "failing"
	if f := one(t, serverFlaps, nil, s); !f.Fails {
		t.Errorf("it fails right now: %+v", f)
	}
	s.State, s.Falls = "up", 2
	if one(t, serverFlaps, nil, s).Text != "" || one(t, serverSlow, nil, s).Text == "" {
		t.Error("two failures are too few")
	}
	if s.Since = &short; one(t, serverSlow, nil, s).Text != "" {
		t.Error("slow as soon as it is up")
	}
}

// The end of any certificate that the proxy shows is found, and files that cannot be used.
func TestCertificates(t *testing.T) {
	in := func(d time.Duration) *time.Time { at := now.Add(d); return &at }
	info := &api.Info{Time: now, State: "serving", Ready: true, Process: api.ProcessInfo{Certificates: []api.Certificate{
		{Pool: "alpha", Block: "tls", Until: in(time.Hour)}, // by its counter
		{Pool: "alpha", Block: "server_tls", Until: in(100 * time.Hour)},
		{Pool: "alpha", Block: "sentinel_tls", Until: in(-time.Hour), Refused: "it has expired"},
		{Pool: "beta", Block: "server_tls"},
		{Block: "admin_tls", Until: in(time.Hour)},
		{Block: "admin_tls", Until: in(1000 * time.Hour)},
		{Pool: "gamma", Block: "tls", SignersUntil: in(100 * time.Hour)},
		{Pool: "gamma", Block: "sentinel_tls", SignersUntil: in(1000 * time.Hour)},
		{Pool: "delta", Block: "tls", SignersUntil: in(-time.Hour)},
		{Pool: "delta", Block: "server_tls", SignersUntil: in(-time.Hour)},
	}}}
	pool := api.Pool{Name: "alpha", Counters: map[string]int64{"certificate_until": in(time.Hour).UnixMicro()}}
	found := Of(info, &api.Pools{Time: now, Pools: []api.Pool{pool}})
	for _, want := range []struct {
		pool, text string
		fails      bool
	}{
		{"alpha", "its certificate ends in 1h", false},
		{"alpha", "the certificate of server_tls ends in 4d", false},
		{"alpha", "the certificate of sentinel_tls has ended", true},
		{"alpha", "sentinel_tls: the files cannot be used as they are, and what was read before stays in use: it has expired", false},
		{"", "the certificate of admin_tls ends in 1h", false},
		{"gamma", "the certificates of client_ca in tls end in 4d", false},
		{"delta", "the certificates of client_ca in tls have ended: clients that show a certificate are refused", true},
		{"delta", "the certificates of ca in server_tls have ended: no new connection is made", true},
	} {
		if !slices.ContainsFunc(found.Findings, func(f api.Finding) bool {
			return f.Pool == want.pool && strings.HasPrefix(f.Text, want.text) && f.Fails == want.fails
		}) {
			t.Errorf("%+v is not found", want)
		}
	}
	if len(found.Findings) != 8 {
		t.Errorf("found %+v", found.Findings)
	}
}

// What is wrong with the map of a cluster, and with its seeds, is found; nodes that have left
// it need no look.
func TestClusterFindings(t *testing.T) {
	gone := server("gone", "failing", "conn_refused", "")
	gone.Node = &api.ClusterNode{Role: "gone"}
	up := server("up", "up", "", "")
	c := &api.Cluster{Covered: 16284, Slots: 16384, Problem: "100 of 16384 slots have no primary", Seeds: []api.ClusterSeed{{Address: "one:1"}, {Address: "two:2", Problem: "no"}}}
	found := Of(&api.Info{Time: now, State: "serving"}, &api.Pools{Time: now, Pools: []api.Pool{{Name: "alpha", Cluster: c, Servers: []api.Server{gone, up}}}})
	if len(found.Findings) != 2 || !found.Fails || found.Findings[0].Text != "the map of the cluster is not complete: "+c.Problem || found.Findings[1].Text != "seed two:2 is of no use: no" {
		t.Errorf("%+v", found)
	}
}

// TestClusterRefuses: the map is whole, and nodes say that their cluster is down.
func TestClusterRefuses(t *testing.T) {
	c := &api.Cluster{Covered: 16384, Slots: 16384, Refuses: true, Problem: "cluster_state is fail at 2 of 3 nodes that were asked", Since: &now}
	found := Of(&api.Info{Time: now, State: "serving"}, &api.Pools{Time: now, Pools: []api.Pool{{Name: "alpha", Cluster: c}}})
	if len(found.Findings) != 1 || !found.Fails || found.Findings[0].Text != "the cluster refuses requests: "+c.Problem || found.Findings[0].Title != "the cluster refuses requests" || found.Findings[0].Since == nil {
		t.Errorf("%+v", found)
	}
}

// TestSeveralClusters: the map is whole, and seeds belong to another cluster.
func TestSeveralClusters(t *testing.T) {
	c := &api.Cluster{Covered: 16384, Slots: 16384, Several: true, Problem: "the seeds belong to two clusters: a:1 to the one that is used; b:1 to another"}
	found := Of(&api.Info{Time: now, State: "serving"}, &api.Pools{Time: now, Pools: []api.Pool{{Name: "alpha", Cluster: c}}})
	if len(found.Findings) != 1 || found.Fails || found.Findings[0].Text != c.Problem || found.Findings[0].Title != "the seeds belong to two clusters" {
		t.Errorf("%+v", found)
	}
}

// TestSentinelFindings: sentinels that do not agree, or are of no use, need a look.
func TestSentinelFindings(t *testing.T) {
	said := func(address string, epoch int64) map[string]api.SentinelSaid {
		return map[string]api.SentinelSaid{"main": {Address: address, Epoch: epoch}}
	}
	p := api.Pool{Name: "alpha", Sentinels: &api.Sentinels{
		Primaries: []api.SentinelPrimary{{Name: "main", Address: "10.0.0.9:6379", Epoch: 99}, {Name: "other", Problem: "no sentinel knows it"}},
		Sentinels: []api.SentinelState{
			{Address: "s1", Said: said("10.0.0.1:6379", 3)},
			{Address: "s2", Said: said("10.0.0.9:6379", 99)},
			{Address: "s3", Said: said("10.0.0.1:6379", 3)},
			{Address: "s4", Said: said("10.0.0.2:6379", 1), Problem: "connection refused"},
		},
	}}
	texts := func() (all []string) {
		for _, one := range Of(&api.Info{Time: now, State: "serving"}, &api.Pools{Time: now, Pools: []api.Pool{p}}).Findings {
			all = append(all, one.Text)
		}
		return all
	}
	want := []string{
		"sentinels do not agree where primary main is: 10.0.0.9:6379 is in use, by epoch 99; s1 says 10.0.0.1:6379, s3 says 10.0.0.1:6379",
		"primary other cannot be found: no sentinel knows it",
		"sentinel s4 is of no use: connection refused",
	}
	if got := texts(); !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	doubted := api.SentinelState{Address: "s5", Said: said("10.0.0.7:6379", 999), Doubted: map[string]string{"main": "it alone says so"}}
	p.Sentinels.Sentinels = append(p.Sentinels.Sentinels[1:2], doubted)
	p.Sentinels.Primaries = p.Sentinels.Primaries[:1]
	if got := texts(); !slices.Equal(got, []string{"sentinel s5 is not believed about primary main: it alone says so"}) {
		t.Errorf("found %q", got)
	}
	p.Sentinels.Sentinels = p.Sentinels.Sentinels[:1]
	if got := texts(); len(got) > 0 {
		t.Errorf("sentinels that agree: %q", got)
	}
}

// TestPeerFindings: peers that do not answer, or are none, need a look.
func TestPeerFindings(t *testing.T) {
	e := &api.Emulated{Peers: []api.Peer{
		{Address: "a:1", State: "lives"},
		{Address: "b:1", State: "silent", Problem: "no", Since: now},
		{Address: "c:1", State: "stranger", Problem: "other"},
		{Address: "d:1", State: "leaves"},
		{Address: "e:1", State: "self"},
	}}
	found := Of(&api.Info{Time: now, State: "serving"}, &api.Pools{Time: now, Pools: []api.Pool{{Name: "alpha", Emulated: e, Servers: []api.Server{server("up", "up", "", "")}}}})
	if len(found.Findings) != 2 || found.Fails || found.Findings[0].Text != "peer b:1 does not answer: no" || found.Findings[1].Text != "peer c:1 is no proxy with this pool: other" {
		t.Errorf("%+v", found)
	}
}

// TestKindsAreExplained: all of them, and every error that is a fault of the server.
func TestKindsAreExplained(t *testing.T) {
	for _, k := range Kinds {
		if k.Text == "" || !strings.HasSuffix(k.Help, ".") || kind(k.Name).Help != k.Help {
			t.Errorf("%+v", k)
		}
	}
	for _, prefix := range stats.ServerFaults {
		if stats.ErrorMeaning(prefix) == "" {
			t.Errorf("%s is not explained", prefix)
		}
	}
}

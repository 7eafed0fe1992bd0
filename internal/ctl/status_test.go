package ctl

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/admin/findings"
)

var update = flag.Bool("update", false, "write what ctl writes into testdata")

// inUTC has times of day written as they came.
func inUTC(t *testing.T) {
	t.Helper()
	was := time.Local
	time.Local = time.UTC //nolint:gosmopolitan // what is compared has no other
	t.Cleanup(func() { time.Local = was })
}

// golden compares a text with the file of that name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s\n%v", path, got, want, err)
	}
}

// now is when the answers of these tests are.
var now = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func before(d time.Duration) *time.Time {
	at := now.Add(-d)
	return &at
}

// answers are those of a proxy, of which change has made something.
func answers(t *testing.T, change func(*api.Info, *api.Pools, *api.Events)) *proxy {
	t.Helper()
	info := &api.Info{
		Program: "nuthatch", Version: "1.0", Host: "h", PID: 7, Time: now, Uptime: 7200, ConfigFile: "/etc/n.yml", State: "serving",
		Process: api.ProcessInfo{HeldMemory: 1 << 20, SoftMemory: 50 << 20, HardMemory: 60 << 20, MaxClients: 1000},
	}
	pool := func(name string) api.Pool {
		p := api.Pool{Name: name, Clients: 3, Recent: &api.Rates{Window: 10, Requests: 100}}
		for _, server := range []string{"one", "two"} {
			p.Servers = append(p.Servers, api.Server{Pool: name, Name: server, Address: server + ":6379", State: "up", Share: .5})
		}
		return p
	}
	pools := &api.Pools{Time: now, Pools: []api.Pool{pool("alpha"), pool("beta")}}
	list := &api.Events{Last: 1, Events: []api.Event{{ID: 1, Time: *before(2 * time.Hour), Kind: "started", Text: "nuthatch-1.0 started on pid 7"}}}
	change(info, pools, list)
	p := &proxy{answers: make(map[string]string)}
	look := findings.Of(info, pools)
	for path, body := range map[string]any{"info": info, "findings": &look, "events": list, "pools": pools} {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		p.answers["GET /api/v1/"+path] = string(text)
	}
	return p
}

// statuses are what a proxy may be like.
var statuses = []struct {
	name   string
	fails  bool
	change func(*api.Info, *api.Pools, *api.Events)
}{
	{"well", false, func(*api.Info, *api.Pools, *api.Events) {}},
	{"servers", true, func(_ *api.Info, p *api.Pools, e *api.Events) {
		a, b := p.Pools[0].Servers, p.Pools[1].Servers
		a[0].State, a[0].Since, a[0].Reason, a[0].Share = "ejected", before(185*time.Second), "conn_refused", 0
		a[1].Recent = &api.Rates{Window: 10, ErrorReplies: map[string]float64{"ERR": 2}}
		b[0].State, b[0].Since, b[0].Reason = "failing", before(42*time.Second), "timed_out"
		b[1].State, b[1].Since = "disabled", before(time.Hour)
		p.Pools[1].Recent.Failed = 4.25
		e.Events = append(
			e.Events,
			api.Event{ID: 2, Time: *before(185 * time.Second), Kind: "server_ejected", Pool: "alpha", Server: "one", Text: "server one (one:6379) fails: Connection refused; ejected: the other servers get its keys"},
			api.Event{ID: 2, Time: *before(90 * time.Second), Kind: "server_answers", Pool: "alpha", Server: "one", Text: "server one answers again"},
			api.Event{ID: 2, Time: *before(80 * time.Second), Kind: "server_fails", Pool: "alpha", Server: "one", Text: "server one (one:6379) fails: Connection refused"},
			api.Event{ID: 3, Time: *before(42 * time.Second), Kind: "pool_resumed", Pool: "beta", Text: "pool resumed", By: "admin \x1b[2J", Duration: 3.21},
		)
	}},
	{"bounds", true, func(i *api.Info, p *api.Pools, _ *api.Events) {
		i.Process.HeldMemory = 61 << 20
		p.Pools[0].Clients, p.Pools[0].MaxClients = 8, 10
		p.Pools[1].Clients, p.Pools[1].MaxClients = 992, 992
		p.Pools[0].Servers[1].MaxPrivate, p.Pools[0].Servers[1].Counters = 256, map[string]int64{"private_connections": 250}
		p.Pools[1].Servers[1].MaxPrivate, p.Pools[1].Servers[1].Counters = 256, map[string]int64{"private_connections": 256}
		p.Pools[0].Servers[0].Recent = &api.Rates{ErrorReplies: map[string]float64{"OOM": 79, "ERR": .1, "WRONGTYPE": 1, "XYZ": 1}}
	}},
	{"operators", false, func(i *api.Info, p *api.Pools, _ *api.Events) {
		i.State, i.NotReady = "draining", []string{"draining"}
		i.LastReload = &api.Reload{Time: *before(5 * time.Minute), Refused: true, By: "signal", Text: "configuration not reloaded, the old one stays in force: n.yml:3: alpha.timeout: no number"}
		i.Process.HeldMemory = 45 << 20
		until := now.Add(17 * time.Second)
		p.Pools[0].Paused, p.Pools[0].PausedUntil, p.Pools[0].PausedBy = true, &until, "admin uid 0"
		p.Pools[1].Servers[1].State, p.Pools[1].Servers[1].Since, p.Pools[1].Servers[1].Share = "disabled", before(time.Hour), 0
	}},
	{"nobody-left", true, func(i *api.Info, p *api.Pools, _ *api.Events) {
		i.NotReady = []string{`pool "alpha": 0 of 2 servers are up, less than 50%`}
		i.LastReload = &api.Reload{Time: now, Text: "configuration reloaded"}
		for i := range p.Pools[0].Servers {
			s := &p.Pools[0].Servers[i]
			s.State, s.Share, s.Reason = "ejected", 0, "server_eof"
		}
		p.Pools[1].Servers[0].State, p.Pools[1].Servers[0].Reason = "probing", "request_timed_out"
	}},
	{"slow", false, func(_ *api.Info, p *api.Pools, _ *api.Events) {
		p.Pools[0].Servers[1].Slow = &api.Slow{Way: api.SlowTail, Takes: .123, Usual: .002, Window: 10}
		p.Pools[1].Counters = map[string]int64{"certificate_until": now.Add(100 * time.Hour).UnixMicro()}
		p.Pools[0].PausedSince = before(13 * time.Second)
		until := now.Add(17 * time.Second)
		p.Pools[0].Paused, p.Pools[0].PausedUntil, p.Pools[0].PausedBy = true, &until, "admin uid 0"
	}},
	{"ended", true, func(i *api.Info, p *api.Pools, _ *api.Events) {
		p.Pools[0].Counters = map[string]int64{"certificate_until": now.Add(-time.Hour).UnixMicro()}
		i.Process.Descriptors, i.Process.MaxDescriptors = 1000, 1024
	}},
	{"many", true, func(_ *api.Info, p *api.Pools, e *api.Events) {
		for n := range 500 {
			s := api.Server{Pool: "alpha", Name: fmt.Sprint("s", n), Address: "10.0.0.1:6379", State: "failing", Since: before(time.Minute), Reason: "timed_out", Share: .001}
			p.Pools[0].Servers = append(p.Pools[0].Servers, s)
			e.Events = append(e.Events, api.Event{ID: int64(n), Time: now, Kind: "server_fails", Pool: "alpha", Text: s.Name + " fails"})
		}
		p.Pools[1].Servers[0].State, p.Pools[1].Servers[0].Share = "ejected", 0
		e.Events = e.Events[len(e.Events)-maxLastEvents:]
	}},
}

// TestStatus: what needs a look is said in words, on one screen, and the exit status
// says whether something fails requests.
func TestStatus(t *testing.T) {
	inUTC(t)
	for _, tt := range statuses {
		p := answers(t, tt.change)
		out, err := run(t, p, Options{}, "status")
		if errors.Is(err, ErrFails) != tt.fails || !tt.fails && err != nil {
			t.Errorf("%s: the error is %v, want that something fails: %t", tt.name, err, tt.fails)
		}
		if n := strings.Count(out, "\n"); n > 24 {
			t.Errorf("%s: %d lines", tt.name, n)
		}
		golden(t, "status-"+tt.name, out)

		out, err = run(t, p, Options{JSON: true}, "status")
		var got Status
		if failed := json.Unmarshal([]byte(out), &got); failed != nil || got.Fails != tt.fails || errors.Is(err, ErrFails) != tt.fails {
			t.Errorf("%s: as JSON: %v, %v, fails: %t\n%s", tt.name, failed, err, got.Fails, out)
		}
	}
	p := answers(t, func(*api.Info, *api.Pools, *api.Events) {})
	if _, err := run(t, p, Options{}, "status", "alpha"); err != nil || !strings.Contains(strings.Join(p.asked, "\n"), "/api/v1/events?limit=200&pool=alpha") {
		t.Errorf("of one pool: %v, asked %q", err, p.asked)
	}
	delete(p.answers, "GET /api/v1/events")
	if _, err := run(t, p, Options{}, "status"); err == nil || errors.Is(err, ErrFails) {
		t.Errorf("a refusal is %v", err)
	}
}

// Of more findings than fit each pool has one before another has two, those that fail requests
// are counted apart, and with the limit that is named all are listed.
func TestStatusOfManyPools(t *testing.T) {
	var found []api.Finding
	for _, fails := range []bool{true, false} {
		for _, pool := range []string{"alpha", "beta", "gamma"} {
			for n := range 5 {
				found = append(found, api.Finding{Pool: pool, Fails: fails, Text: fmt.Sprintf("%s %t %d.", pool, fails, n)})
			}
		}
	}
	p := answers(t, func(*api.Info, *api.Pools, *api.Events) {})
	text, err := json.Marshal(api.Findings{Fails: true, Findings: found})
	if err != nil {
		t.Fatal(err)
	}
	p.answers["GET /api/v1/findings"] = string(text)
	for limit, want := range map[int]struct{ above, below string }{
		0:  {"and 3 more; 'nuthatch ctl status -n 30' lists all", "and 15 more; 'nuthatch ctl status -n 30' lists all"},
		3:  {"and 12 more; 'nuthatch ctl status -n 30' lists all", "and 15 more; 'nuthatch ctl status -n 30' lists all"},
		18: {"", "and 12 more; 'nuthatch ctl status -n 30' lists all"},
		30: {"", ""},
	} {
		out, err := run(t, p, Options{Limit: limit}, "status")
		if !errors.Is(err, ErrFails) {
			t.Errorf("limit %d: %v", limit, err)
		}
		above, below, _ := strings.Cut(out, "needs a look:")
		if strings.Contains(above, "false") || strings.Contains(below, "true") {
			t.Errorf("limit %d: something is under the wrong heading:\n%s", limit, out)
		}
		for _, pool := range []string{"alpha", "beta", "gamma"} {
			if !strings.Contains(above, pool+" true 0.") {
				t.Errorf("limit %d: nothing of %s:\n%s", limit, pool, out)
			}
		}
		if strings.Contains(above, " more;") != (want.above != "") || strings.Contains(below, " more;") != (want.below != "") ||
			!strings.Contains(above, want.above) || !strings.Contains(below, want.below) {
			t.Errorf("limit %d: not %+v:\n%s", limit, want, out)
		}
	}
}

// A server that fails again and again has two lines among the last events, or one if there are many
// such servers. The others stay, in their order.
func TestStatusOfAFlappingServer(t *testing.T) {
	at := time.Date(2026, 1, 1, 11, 0, 0, 0, time.UTC)
	event := func(second int, server, text string) api.Event {
		return api.Event{Time: at.Add(time.Duration(second) * time.Second), Pool: "alpha", Server: server, Text: text}
	}
	events := func(flapping int) []api.Event {
		all := []api.Event{event(0, "", "started"), event(9, "other", "other fails")}
		for second := 10; second < 30; second++ {
			for n := range flapping {
				text := "fails"
				if second%2 == 1 {
					text = "answers"
				}
				name := fmt.Sprint("s", n)
				all = append(all, event(second, name, name+" "+text))
			}
		}
		return append(all, event(60, "", "resumed"))
	}
	for flapping, want := range []string{
		"0 started, 9 other fails, 60 resumed",
		"0 started, 9 other fails, 28 s0 fails (18 since 10), 29 s0 answers, 60 resumed",
		"0 started, 9 other fails, 29 s0 answers (19 since 10), 29 s1 answers (19 since 10), 60 resumed",
		"0 started, 9 other fails, 29 s0 answers (19 since 10), 29 s1 answers (19 since 10), 29 s2 answers (19 since 10), 60 resumed",
		"9 other fails, 29 s0 answers (19 since 10), 29 s1 answers (19 since 10), 29 s2 answers (19 since 10), 29 s3 answers (19 since 10), 60 resumed",
	} {
		var got []string
		for _, e := range foldEvents(events(flapping)) {
			text := fmt.Sprint(int(e.Time.Sub(at).Seconds()), " ", e.Text)
			if e.more > 0 {
				text += fmt.Sprintf(" (%d since %d)", e.more, int(e.since.Sub(at).Seconds()))
			}
			got = append(got, text)
		}
		if all := strings.Join(got, ", "); all != want {
			t.Errorf("%d servers:\n%s, want\n%s", flapping, all, want)
		}
	}
}

// TestEvents: each event is a line, with for how long and by whom.
func TestEvents(t *testing.T) {
	inUTC(t)
	p := answers(t, func(_ *api.Info, _ *api.Pools, e *api.Events) {
		e.Missed = 12
		e.Events = append(
			e.Events,
			api.Event{ID: 13, Time: now, Kind: "pool_paused", Pool: "alpha", Text: "pool paused: its requests wait", By: "admin uid 0", Duration: 30},
			api.Event{ID: 14, Time: now, Kind: "pool_resumed", Pool: "alpha", Text: "pool resumed", By: "admin uid 0", Duration: .0123},
			api.Event{ID: 15, Time: now, Kind: "server_answers", Pool: "alpha", Server: "one", Text: "server one answers again after 61s", Duration: 61.2},
			api.Event{ID: 16, Time: now, Kind: "server_enabled", Pool: "alpha", Server: "one", Text: "server one is in service again", Duration: 3600},
			api.Event{ID: 17, Time: now, Kind: "draining", Text: "draining: 3 clients", By: "signal", Duration: 30},
		)
	})
	out, err := run(t, p, Options{Limit: 5, Since: "3"}, "events", "alpha")
	if err != nil || p.asked[0] != "GET /api/v1/events?limit=5&pool=alpha&since=3" {
		t.Errorf("%v, asked %q", err, p.asked)
	}
	golden(t, "events", out)
	if out, err := run(t, p, Options{JSON: true}, "events"); err != nil || out != p.answers["GET /api/v1/events"] {
		t.Errorf("as JSON: %v\n%s", err, out)
	}
}

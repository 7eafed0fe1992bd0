package top

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/admin/findings"
	"nuthatch/internal/ctl"
)

// wicked is what a client may call a key, or itself: it clears the screen, names the
// window, goes back to the left, and turns the writing around.
const wicked = "\x1b[2J\x1b]0;owned\x07\r\n\u009b31m\u202e"

// others are the answers to the questions of the other views.
func others(now time.Time) (*api.HotKeys, *api.SlowLog, *api.Clients) {
	keys := &api.HotKeys{Pools: []api.PoolKeys{
		{
			Pool: "sessions",
			Keys: []api.HotKey{
				{Key: "session:front-page", KeyLength: 18, Rate: 4100, Error: 82, Share: 0.41},
				{Key: "session:" + strings.Repeat("f", 40), KeyLength: 250, Rate: 12.5, Error: 4},
			},
			BigReplies: []api.LargeKey{{Key: "session:export", KeyLength: 14, Size: 5 << 20, Command: "get", Time: now.Add(-90 * time.Second)}},
		},
		{
			Pool:        "catalog",
			Keys:        []api.HotKey{{Key: "item:1" + wicked, KeyLength: 6 + len(wicked), Rate: 930, Error: 40, Share: 0.2}},
			BigRequests: []api.LargeKey{{Key: "item:bulk", KeyLength: 9, Size: 9 << 20, Command: "set", Time: now.Add(-20 * time.Minute)}},
		},
	}}
	slow := &api.SlowLog{Entries: []api.SlowEntry{
		{
			ID: 7, Time: now.Add(-4 * time.Second), Pool: "sessions", Server: "sessions-01", Command: "mget", Key: "session:1", KeyLength: 9, Keys: 12,
			Duration: 0.42, Queue: 0.01, ServerTime: 0.4, Turn: 0.01, Client: "10.1.0.7:50112", ClientName: "shop" + wicked,
		},
		{
			ID: 6, Time: now.Add(-70 * time.Second), Pool: "catalog", Server: "catalog-03", Command: "get", Key: wicked, KeyLength: len(wicked),
			Duration: 2.5, Connect: 2.4, Queue: 0.1, Client: "10.1.0.9:41770", Error: "Connection timed out",
		},
		{ID: 5, Time: now.Add(-2 * time.Hour), Pool: "sessions", Command: "ping", Duration: 0.11, Turn: 0.11, Client: "10.1.0.7:50112"},
	}}
	clients := &api.Clients{Time: now, Total: 2400, Clients: []api.Client{
		{ID: 1, Pool: "sessions", Address: "10.1.0.7:50112", Name: "shop", Library: "redis-py", LibraryVersion: "5.0.1", Age: 86400, Idle: 0, InFlight: 12, Held: 2048},
		{ID: 2, Pool: "sessions", Address: "10.1.0.8:50113", Name: wicked, Library: wicked, Age: 30, Idle: 29, Unsent: 3 << 20, Loop: 1},
		{ID: 3, Pool: "catalog", Address: "10.1.0.9:41770", Age: 7, Idle: 7, Closing: true},
	}}
	return keys, slow, clients
}

// look is what needs a look of the proxy of answers.
func look(seconds int64) *api.Findings {
	found := findings.Of(answers(seconds))
	return &found
}

// feed answers the questions of the other views.
func feed(m *model) {
	info, _ := answers(10)
	now := began.Add(28 * time.Hour)
	keys, slow, clients := others(now)
	wickedLook := look(10)
	wickedLook.Findings = append(wickedLook.Findings, api.Finding{Kind: "pool_paused", Label: "paused", Text: wicked, Help: wicked})
	for path, s := range map[string]*sample{
		keysPath:    {info: *info, entries: keyEntries(keys, now)},
		slowPath:    {info: *info, entries: slowEntries(slow, now)},
		clientsPath: {info: *info, entries: clientEntries(clients), total: clients.Total},
		lookPath:    {info: *info, entries: findingEntries(wickedLook)},
	} {
		m.Update(answered{to: question{path: path}, sample: s})
	}
}

// feedSentinels has the pool of sessions known by sentinels, one of which is of no use and one not
// believed.
func feedSentinels(m *model) {
	info, pools := answers(20)
	now := pools.Time
	at := func(ago time.Duration) *time.Time {
		when := now.Add(-ago)
		return &when
	}
	said := map[string]api.SentinelSaid{"main": {Address: "10.0.0.9:6379", Epoch: 7}}
	pools.Pools[0].Sentinels = &api.Sentinels{
		Asked: at(2 * time.Second), Why: "told",
		Primaries: []api.SentinelPrimary{
			{Name: "main", Address: "10.0.0.9:6379", Epoch: 7, Switched: at(3 * time.Minute)},
			{Name: "other" + wicked, Problem: "no sentinel says where it is"},
		},
		Sentinels: []api.SentinelState{
			{Address: "10.0.0.1:26379", Subscribed: true, Since: at(time.Hour), Asked: at(2 * time.Second), Said: said},
			{Address: "10.0.0.2:26379", Subscribed: true, Since: at(time.Hour), Asked: at(2 * time.Second), Said: said, Doubted: map[string]string{"main": "an old epoch"}},
			{Address: "10.0.0.3:26379", Problem: wicked + "Connection refused", Since: at(42 * time.Second), Asked: at(2 * time.Second)},
		},
	}
	m.Update(answered{to: question{path: poolsPath}, sample: new(meter).makeSample(info, pools)})
}

// TestSentinelView: it is there if a pool has sentinels, with its primaries and these.
func TestSentinelView(t *testing.T) {
	m := watching(80, 24)
	press(m, "8")
	if m.view != viewServers {
		t.Error("without sentinels there is a view of them")
	}
	press(m, "7", "v")
	if m.view != viewServers {
		t.Errorf("the view after the seventh is %d", m.view+1)
	}
	for _, size := range []struct {
		name          string
		width, height int
	}{{"80x24", 80, 24}, {"140x30", 140, 30}, {"44x12", 44, 12}} {
		m := watching(size.width, size.height)
		feedSentinels(m)
		press(m, "8")
		golden(t, "sentinels-"+size.name, text(m))
		press(m, "end")
		golden(t, "sentinels-last-"+size.name, text(m))
	}
}

// remember makes up a past of sixty seconds in which requests rise and fall, a tenth of
// them fails for a while, and for a while nobody looks.
func remember(m *model) {
	for i := range 60 {
		at := m.last.at.Add(time.Duration(i) * time.Second)
		wave := float64(i % 20)
		for p := range m.last.pools {
			r := &m.last.pools[p]
			r.nowRequests, r.p50, r.p99, r.nowFailed = 500*wave, 1e-4*(1+wave/40), 1e-3*(1+wave/10), 0
			if i > 40 && i < 50 {
				r.nowFailed = 50 * wave
			}
		}
		s := *m.last
		s.at = at
		m.past.add(&s, i == 30)
	}
}

func TestViewFrames(t *testing.T) {
	names := [viewSentinels]string{"servers", "over-time", "failures", "keys", "slow-log", "clients", "findings"}
	tests := []struct {
		size          string
		width, height int
	}{{"80x24", 80, 24}, {"140x30", 140, 30}, {"44x12", 44, 12}}
	for _, tt := range tests {
		m := watching(tt.width, tt.height)
		feed(m)
		remember(m)
		for v := viewTime; v < viewSentinels; v++ {
			press(m, string(rune('1'+v)))
			if m.view != v {
				t.Fatalf("the key %d shows view %d", v+1, m.view+1)
			}
			golden(t, names[v]+"-"+tt.size, text(m))
		}
	}
	m := watching(80, 24)
	feed(m)
	press(m, "4", "tab", "right", "down")
	golden(t, "keys-one-pool", text(m))
	press(m, "3", "/", "timed")
	golden(t, "failures-typing", text(m))
}

// TestViewsFit draws every view in every size up to that of a large screen.
func TestViewsFit(t *testing.T) {
	m := watching(80, 24)
	feed(m)
	feedSentinels(m)
	remember(m)
	press(m, "tab")
	for v := range viewCount {
		m.show(v)
		for width := 1; width <= 200; width += 7 {
			for height := 1; height <= 60; height += 3 {
				m.Update(tea.WindowSizeMsg{Width: width, Height: height})
				lines := m.frame()
				if len(lines) > height {
					t.Fatalf("view %d in %dx%d: %d lines", v+1, width, height, len(lines))
				}
				for _, l := range lines {
					if w := ansi.StringWidth(l); w > width {
						t.Fatalf("view %d in %dx%d: a line is %d wide: %q", v+1, width, height, w, ansi.Strip(l))
					}
				}
			}
		}
	}
}

// TestWhatClientsNameIsEscaped has wicked keys and names in all views, under the
// cursor too, and in the filter.
func TestWhatClientsNameIsEscaped(t *testing.T) {
	m := watching(200, 40)
	feed(m)
	feedSentinels(m)
	for v := range viewCount {
		m.show(v)
		for range 5 {
			frame := m.View().Content
			for _, bad := range []string{"\x1b[2J", "\x1b]", "\x07", "\r", "\u009b", "\u202e"} {
				if strings.Contains(frame, bad) {
					t.Errorf("view %d has %q", v+1, bad)
				}
			}
			plain := strings.ReplaceAll(ansi.Strip(frame), "\n", "")
			if i := strings.IndexFunc(plain, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
				t.Errorf("view %d has the control character %q", v+1, plain[i])
			}
			press(m, "down")
		}
		if v >= viewKeys && !strings.Contains(text(m), `\x1b[2J`) {
			t.Errorf("view %d does not show the wicked name:\n%s", v+1, text(m))
		}
	}
}

// TestOnlyTheViewInSightIsAsked counts what a proxy is asked.
func TestOnlyTheViewInSightIsAsked(t *testing.T) {
	var asked []string
	now := began.Add(28 * time.Hour)
	keys, slow, clients := others(now)
	info, pools := answers(0)
	info.Time = now
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		answers := map[string]any{infoPath: info, poolsPath: pools, keysPath: keys, slowPath: slow, clientsPath: clients, lookPath: look(0)}
		_ = json.NewEncoder(w).Encode(answers[r.URL.Path])
	}))
	defer s.Close()
	client, err := ctl.NewClient(ctl.Target{Address: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	a := &asker{ctx: context.Background(), client: client}
	m := newModel(a.ask, time.Second)
	m.Update(a.answer(question{path: poolsPath}))
	for v, path := range []string{poolsPath, poolsPath, poolsPath, keysPath, slowPath, clientsPath, lookPath} {
		asked = nil
		m.Update(m.show(view(v))())
		if want := []string{infoPath, path}; !slices.Equal(asked, want) {
			t.Errorf("view %d asks %q, want %q", v+1, asked, want)
		}
		if s := m.sheet(); m.fault != nil || s != nil && v >= int(viewKeys) && len(s.rows) < 3 {
			t.Errorf("view %d: fault %v, sheet %+v", v+1, m.fault, s)
		}
	}
	m.Update(m.show(viewClients)())
	asked = nil
	_, cmd := m.Update(tea.KeyPressMsg{Code: tea.KeyTab})
	m.Update(cmd())
	if want := []string{infoPath, clientsPath + "?pool=sessions"}; !slices.Equal(asked, want) {
		t.Errorf("of one pool it asks %q, want %q", asked, want)
	}
}

// TestViewThatComesInSightIsAskedAtOnce changes views while a question is under way.
func TestViewThatComesInSightIsAskedAtOnce(t *testing.T) {
	m := watching(80, 24)
	m.Update(tick(m.ticks))
	if press(m, "5"); !m.asking || !strings.Contains(text(m), "no answer yet") {
		t.Errorf("asking %t:\n%s", m.asking, text(m))
	}
	info, pools := answers(20)
	_, cmd := m.Update(answered{to: question{path: poolsPath}, sample: new(meter).makeSample(info, pools)})
	if cmd == nil || !m.asking {
		t.Fatal("the slow log is not asked for")
	}
	if got := cmd().(answered); got.to.path != slowPath {
		t.Errorf("asked for %s", got.to.path)
	}
	m.Update(answered{to: question{path: slowPath}, fault: errors.New("refused")})
	if !strings.Contains(text(m), "refused") {
		t.Errorf("the fault is not told:\n%s", text(m))
	}
}

func TestPast(t *testing.T) {
	p := past{}
	s := &sample{pools: []row{{name: "a", nowRequests: 3, p50: 1, p99: 5}, {name: "b", nowRequests: 4, p50: 2, p99: unknown, nowFailed: unknown}}}
	for range remembered + 5 {
		p.add(s, false)
	}
	if n := len(p["a"]); n != remembered {
		t.Errorf("%d moments are kept, want %d", n, remembered)
	}
	if m := p[""][0]; m.requests != 7 || m.p50 != 2 || m.p99 != 5 || m.failed != 0 {
		t.Errorf("all together: %+v", m)
	}
	s.pools = s.pools[:1]
	if p.add(s, true); p["b"] != nil {
		t.Error("a pool that is gone is remembered")
	}
	if m := p["a"][remembered-1]; !math.IsNaN(m.requests) {
		t.Errorf("when nobody looked there were %v requests", m.requests)
	}
}

func TestBars(t *testing.T) {
	got := bars([]float64{unknown, 0, 0.01, 4, 8, 16}, 16, 2)
	if want := []string{"     █", " ·▁▄██"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := bars([]float64{0, 0}, 0, 1); got[0] != "··" {
		t.Errorf("of nothing: %q", got)
	}
}

// TestFailuresBegin: a reason that is new has a rate at once.
func TestFailuresBegin(t *testing.T) {
	var m meter
	info, pools := answers(0)
	pools.Pools[0].Reasons = nil
	m.makeSample(info, pools)
	info, pools = answers(10)
	s := m.makeSample(info, pools)
	i := slices.IndexFunc(s.failures, func(f failure) bool { return f.pool == "sessions" && f.server == "" })
	if i < 0 || s.failures[i].rate != 5 || s.failures[i].total != 50 {
		t.Errorf("failures: %+v", s.failures)
	}
}

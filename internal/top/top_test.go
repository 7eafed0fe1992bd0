package top

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"nuthatch/internal/admin/api"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txt")

func TestMain(m *testing.M) {
	time.Local = time.UTC //nolint:gosmopolitan // what is compared has no other
	os.Exit(m.Run())
}

// began is when the samples' proxy started.
var began = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// answers are the API's, after so many seconds, of three pools with servers in
// all states.
func answers(seconds int64) (*api.Info, *api.Pools) {
	now := began.Add(28*time.Hour + time.Duration(seconds)*time.Second)
	info := &api.Info{
		Program: "nuthatch", Version: "0.1.0", Host: "cache-proxy-3", Uptime: now.Sub(began).Seconds(), State: "serving", Ready: true,
		Process: api.ProcessInfo{Descriptors: 268, MaxDescriptors: 65536, ResidentMemory: 93 << 20, MaxMemory: 1 << 30},
		Loops:   []api.LoopInfo{{ID: 0, Busy: 0.31}, {ID: 1, Busy: 0.94}},
	}
	pools := &api.Pools{Time: now, Window: &api.Window{Seconds: 10, Since: now.Add(-10 * time.Second), Until: now}}
	ill := map[string]string{"sessions-02": "ejected", "catalog-00": "disabled", "catalog-03": "probing", "limits-01": "failing"}
	for p, name := range []string{"sessions", "catalog", "limits"} {
		pool := api.Pool{Name: name, Listen: fmt.Sprintf("0.0.0.0:2212%d", p+1), Clients: 70 + p, Latency: &api.Latency{P50: 3.1e-4, P99: 1.9e-3}}
		for i := range 5 {
			s := api.Server{
				Pool: name, Name: fmt.Sprintf("%s-%02d", name, i), Address: fmt.Sprintf("10.20.%d.%d:6379", p, i+10), State: "up", Share: 0.2,
				Counters: map[string]int64{
					"requests": 1000 + seconds*int64(900+120*i+7*p), "request_bytes": seconds * 40960, "response_bytes": seconds * 1 << 20,
					"in_queue": int64(i), "out_queue": int64(7 + i), "server_connections": 4,
				},
				Latency: &api.Latency{P50: api.Seconds(1.7e-4 + float64(i)*1e-5), P99: api.Seconds(9e-4 + float64(i*p)*3e-4)},
			}
			if state := ill[s.Name]; state != "" {
				since := began.Add(28*time.Hour - time.Duration(40*(i+1))*time.Second)
				s.State, s.Since, s.Reason = state, &since, "Connection refused"
				s.Counters["requests"] = 1000
				s.Reasons = map[string]map[string]int64{"failed_requests": {"Connection refused": 3 * seconds, "Connection timed out": 2 * seconds}}
			}
			pool.Servers = append(pool.Servers, s)
		}
		pool.Counters = map[string]int64{"client_requests": seconds * 5200}
		pool.Reasons = map[string]map[string]int64{"failed_requests": {"Connection refused": 5 * seconds}}
		pools.Pools = append(pools.Pools, pool)
	}
	return info, pools
}

// watching is a model that has seen two samples, ten seconds apart.
func watching(width, height int) *model {
	m := newModel(func(q question) tea.Msg { return answered{to: q, fault: errors.New("asked for " + q.path)} }, time.Second)
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	var rates meter
	for _, seconds := range []int64{0, 10} {
		info, pools := answers(seconds)
		m.Update(answered{to: question{path: poolsPath}, sample: rates.makeSample(info, pools)})
	}
	return m
}

// press presses keys, named as bubbletea names them, or types what is no name.
func press(m *model, keys ...string) {
	named := map[string]rune{
		"up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight, "end": tea.KeyEnd, "home": tea.KeyHome,
		"pgdown": tea.KeyPgDown, "tab": tea.KeyTab, "esc": tea.KeyEscape, "enter": tea.KeyEnter, "backspace": tea.KeyBackspace, "space": tea.KeySpace,
	}
	for _, k := range keys {
		if code, ok := named[k]; ok {
			m.Update(tea.KeyPressMsg{Code: code})
			continue
		}
		for _, r := range k {
			m.Update(tea.KeyPressMsg{Code: r, Text: string(r)})
		}
	}
}

// text is the frame without its colours.
func text(m *model) string { return ansi.Strip(m.View().Content) + "\n" }

func TestFrames(t *testing.T) {
	tests := []struct {
		name          string
		width, height int
		do            func(m *model)
	}{
		{"80x24", 80, 24, func(*model) {}},
		{"130x30", 130, 30, func(*model) {}},
		{"44x12", 44, 12, func(*model) {}},
		{"too-small", 30, 8, func(*model) {}},
		{"help", 80, 24, func(m *model) { press(m, "?") }},
		{"typing", 80, 24, func(m *model) { press(m, "/", "cat") }},
		{"no-match", 80, 24, func(m *model) { press(m, "/", "nothing", "enter") }},
		{"one-pool", 80, 24, func(m *model) { press(m, "tab", "tab") }},
		{"by-requests-scrolled", 80, 20, func(m *model) { press(m, "right", "end") }},
		{"paused", 80, 24, func(m *model) { press(m, "p") }},
		{"no-answer", 80, 24, func(m *model) { m.Update(answered{fault: errors.New("no answer from the proxy: connection refused")}) }},
		{"draining", 80, 24, func(m *model) { m.last.info.State, m.last.info.Ready = "draining", false }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := watching(tt.width, tt.height)
			tt.do(m)
			golden(t, tt.name, text(m))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the frame is\n%s\nwant\n%s", got, want)
	}
}

// TestFramesFit draws every size up to that of a large screen.
func TestFramesFit(t *testing.T) {
	m := watching(80, 24)
	for width := 1; width <= 200; width += 3 {
		for height := 1; height <= 60; height += 2 {
			m.Update(tea.WindowSizeMsg{Width: width, Height: height})
			lines := strings.Split(m.View().Content, "\n")
			if len(lines) > height {
				t.Fatalf("%dx%d: %d lines", width, height, len(lines))
			}
			for _, l := range lines {
				if w := ansi.StringWidth(l); w > width {
					t.Fatalf("%dx%d: a line is %d wide: %q", width, height, w, ansi.Strip(l))
				}
			}
		}
	}
}

// TestCursorStaysOnItsServer sorts anew under the cursor.
func TestCursorStaysOnItsServer(t *testing.T) {
	m := watching(80, 24)
	press(m, "down", "down", "down")
	s := m.sheet()
	was := s.selected
	press(m, "right", "r")
	m.Update(tea.WindowSizeMsg{Width: 80, Height: 14})
	if s.selected != was || s.rows[s.cursor()].values[0].text != strings.SplitAfter(was, "\n")[1] {
		t.Errorf("the cursor went from %q to %q", was, s.selected)
	}
	if at := s.cursor(); at < s.top || at >= s.top+m.room() {
		t.Errorf("row %d is not among the %d from %d on", at, m.room(), s.top)
	}
	press(m, "end")
	if s.cursor() != 14 {
		t.Errorf("the last row is %d", s.cursor())
	}
}

// TestOrders sorts every view by every column, both ways.
func TestOrders(t *testing.T) {
	m := watching(200, 40)
	feed(m)
	if got := m.sheet().rows[0].values[0].text; got != "sessions-02" {
		t.Errorf("by state %s is first, want the one that is ejected", got)
	}
	feedSentinels(m)
	for v := range viewCount {
		m.show(v)
		s := m.sheet()
		if s == nil {
			continue
		}
		if len(s.all) < 3 {
			t.Fatalf("%s: %d lines", views[v].name, len(s.all))
		}
		for i := range s.heads {
			for _, s.reversed = range []bool{false, true} {
				s.sortBy = i
				m.arrange()
				inOrder(t, s)
			}
		}
	}
}

// inOrder looks at neighbours: of numbers those that are not known come last.
func inOrder(t *testing.T, s *sheet) {
	t.Helper()
	for i := 1; i < len(s.rows); i++ {
		a, b := s.rows[i-1].values[s.sortBy], s.rows[i].values[s.sortBy]
		if s.reversed && !math.IsNaN(a.number) && !math.IsNaN(b.number) {
			a, b = b, a
		}
		h := &s.heads[s.sortBy]
		if h.numeric && (a.number < b.number || math.IsNaN(a.number) && !math.IsNaN(b.number)) || !h.numeric && a.text > b.text {
			t.Errorf("by %s, reversed %t: %v stands before %v", h.title, s.reversed, s.rows[i-1].values[s.sortBy], s.rows[i].values[s.sortBy])
		}
	}
}

func TestWhatCannotBeToldComesLast(t *testing.T) {
	for _, reversed := range []bool{false, true} {
		rows := []entry{
			{id: "a", values: []value{{number: unknown}}},
			{id: "b", values: []value{{number: 1}}},
			{id: "c", values: []value{{number: 2}}},
		}
		order(rows, 0, true, reversed)
		if rows[2].id != "a" || (rows[0].id == "b") != reversed {
			t.Errorf("reversed %t: %s, %s, %s", reversed, rows[0].id, rows[1].id, rows[2].id)
		}
	}
}

// TestPauseAsksNoMore lets a tick that was ordered before come after.
func TestPauseAsksNoMore(t *testing.T) {
	m := watching(80, 24)
	press(m, "p")
	if _, cmd := m.Update(tick(m.ticks)); cmd != nil || m.asking {
		t.Error("a question is asked although the screen is held")
	}
	press(m, "p")
	if !m.asking {
		t.Error("no question is asked after the pause")
	}
	if _, cmd := m.Update(tick(m.ticks)); cmd != nil {
		t.Error("a second question is asked while one is under way")
	}
}

func TestFailedQuestionsAreAskedMoreRarely(t *testing.T) {
	m := watching(80, 24)
	before := m.ticks
	for range 3 {
		m.Update(answered{fault: errors.New("refused")})
	}
	if m.tries != 3 || m.ticks != before+3 || m.last == nil {
		t.Errorf("%d tries, %d ticks, sample %v", m.tries, m.ticks-before, m.last)
	}
	if _, cmd := m.Update(tick(m.ticks - 1)); cmd != nil {
		t.Error("a tick that does not count any more makes a question")
	}
}

func TestNamesDoNotMoveTheCursor(t *testing.T) {
	info, pools := answers(0)
	pools.Pools[0].Servers[0].Name = "\x1b[2J\x1b]0;title\x07evil\r\n"
	pools.Pools[0].Servers[0].Reason = "\x1b[31m"
	m := newModel(nil, time.Second)
	m.Update(answered{to: question{path: poolsPath}, sample: new(meter).makeSample(info, pools)})
	press(m, "/", "evil")
	frame := m.View().Content
	for _, bad := range []string{"\x1b[2J", "\x1b]", "\x07", "\r"} {
		if strings.Contains(frame, bad) {
			t.Errorf("the frame has %q", bad)
		}
	}
	if !strings.Contains(frame, "[2J]0;titleevil") {
		t.Errorf("the name is not shown:\n%s", text(m))
	}
}

// TestColoursSuitTheGround looks for the yellow that only a dark ground bears.
func TestColoursSuitTheGround(t *testing.T) {
	m := watching(80, 24)
	const yellow = "\x1b[33m"
	if !strings.Contains(m.View().Content, yellow) {
		t.Error("no yellow on a dark ground")
	}
	m.dark = false
	if strings.Contains(m.View().Content, yellow) {
		t.Error("yellow on a light ground")
	}
}

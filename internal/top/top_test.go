package top

import (
	"errors"
	"flag"
	"fmt"
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
	pools := &api.Pools{Time: now}
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
				Latency: &api.Latency{P50: 1.7e-4 + float64(i)*1e-5, P99: 9e-4 + float64(i*p)*3e-4},
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
	m := newModel(func() tea.Msg { return nil }, time.Second)
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	var rates meter
	for _, seconds := range []int64{0, 10} {
		info, pools := answers(seconds)
		m.Update(answered{sample: rates.take(info, pools)})
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
	was := m.selected
	press(m, "right", "r")
	m.Update(tea.WindowSizeMsg{Width: 80, Height: 14})
	if m.selected != was || m.rows[m.cursor()].name != strings.SplitAfter(was, "\n")[1] {
		t.Errorf("the cursor went from %q to %q", was, m.selected)
	}
	if at := m.cursor(); at < m.first || at >= m.first+m.room() {
		t.Errorf("row %d is not among the %d from %d on", at, m.room(), m.first)
	}
	press(m, "end")
	if m.cursor() != 14 {
		t.Errorf("the last row is %d", m.cursor())
	}
}

func TestOrders(t *testing.T) {
	m := watching(200, 40)
	first := func() string { return m.rows[0].name }
	if got := first(); got != "sessions-02" {
		t.Errorf("by state %s is first, want the one that is ejected", got)
	}
	for i := range columns {
		m.sortBy, m.reversed = i, false
		m.arrange()
		top := m.rows[0]
		m.reversed = true
		m.arrange()
		bottom := m.rows[len(m.rows)-1]
		c := &columns[i]
		if c.number != nil && c.number(&top) < c.number(&bottom) || c.number == nil && c.text(&top) > c.text(&bottom) {
			t.Errorf("by %s: %s comes before %s", c.title, c.text(&top), c.text(&bottom))
		}
	}
}

func TestWhatCannotBeToldComesLast(t *testing.T) {
	rows := []row{{name: "a", p99: unknown}, {name: "b", p99: 1}, {name: "c", p99: 2}}
	at := 0
	for columns[at].title != "P99" {
		at++
	}
	for _, reversed := range []bool{false, true} {
		order(rows, at, reversed)
		if rows[2].name != "a" {
			t.Errorf("reversed %t: %s is last", reversed, rows[2].name)
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
	m.Update(answered{sample: new(meter).take(info, pools)})
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

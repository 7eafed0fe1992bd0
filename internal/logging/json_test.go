package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// openJSON is open for a log of objects.
func openJSON(t *testing.T, level Level) (*Logger, func() []map[string]any) {
	t.Helper()
	var b bytes.Buffer
	l, err := New(Options{Level: level, Writer: &b, JSON: true})
	if err != nil {
		t.Fatal(err)
	}
	return l, func() (lines []map[string]any) {
		t.Helper()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			var m map[string]any
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			if len(line) > maxLine+1 {
				t.Errorf("a line of %d bytes", len(line))
			}
			lines = append(lines, m)
		}
		return lines
	}
}

func TestJSON(t *testing.T) {
	l, lines := openJSON(t, Info)
	l.With(slog.String("pool", "alpha")).Warn("server \"ejected\"\n", slog.Int("failures", 2), slog.Duration("after", 30*time.Second),
		slog.Any("error", errors.New("no\x1broute")), slog.Bool("yes", true), slog.Float64("nan", math.NaN()), slog.Float64("half", 0.5),
		slog.Group("g", slog.Uint64("n", 7)), slog.Any("bytes", []byte("a\xffb\U000e0001")))
	l.Always("started")
	l.Slog().WithGroup("lib").Info("hello", slog.Time("at", time.Unix(0, 0).UTC()))
	got := lines()
	if len(got) != 3 {
		t.Fatalf("%d lines, want 3", len(got))
	}
	for i, want := range []map[string]any{
		{
			"level": "warn", "msg": "server \"ejected\"\n", "pool": "alpha", "failures": 2.0, "after": "30s", "error": "no\x1broute",
			"yes": true, "nan": "NaN", "half": 0.5, "g.n": 7.0, "bytes": "a\ufffdb\U000e0001",
		},
		{"level": "notice", "msg": "started"},
		{"level": "info", "msg": "hello", "lib.at": "1970-01-01T00:00:00Z"},
	} {
		when, err := time.Parse(time.RFC3339, got[i]["time"].(string))
		if err != nil || time.Since(when) > time.Minute || !strings.HasPrefix(got[i]["source"].(string), "logging/json_test.go:") {
			t.Errorf("line %d: %v, %v", i, err, got[i])
		}
		delete(got[i], "time")
		delete(got[i], "source")
		if got[i]["pid"] != float64(os.Getpid()) {
			t.Errorf("line %d is of process %v", i, got[i]["pid"])
		}
		delete(got[i], "pid")
		if !maps.Equal(got[i], want) {
			t.Errorf("line %d: got %v, want %v", i, got[i], want)
		}
	}
}

// A line that is too long is an object all the same, and says that it was cut.
func TestLongJSON(t *testing.T) {
	l, lines := openJSON(t, Notice)
	long := strings.Repeat("\x01x", maxLine)
	l.Notice("long", slog.String("a", long), slog.String("b", "short"), slog.String("c", long), slog.String("d", "lost"))
	l.Notice(long, slog.String("e", long))
	got := lines()
	if len(got) != 2 || got[0]["cut"] != true || got[1]["cut"] != true {
		t.Fatalf("%d lines: %.300v", len(got), got)
	}
	if a, _ := got[0]["a"].(string); !strings.HasPrefix(a, "\x01x\x01x") || !strings.HasSuffix(a, "...") || got[0]["b"] != "short" || got[0]["d"] != nil {
		t.Errorf("kept: %.300v", got[0])
	}
}

// Of one kind 20 lines are written in a second, and it is told how many more there
// were. Other kinds do not suffer for it, nor do lines that were asked for.
func TestTooManyOfOneKind(t *testing.T) {
	l, lines := openJSON(t, Info)
	begun := time.Now().Unix()
	const n = 500
	for range n {
		l.Warn("closed server connection", slog.String("pool", "alpha"), slog.String("server", "s1"))
		l.Info("accepted client", slog.String("pool", "alpha"))
		l.Always("what must be there")
	}
	for _, server := range []string{"s2", "s3", "s4"} {
		l.Warn("closed server connection", slog.String("pool", "alpha"), slog.String("server", server))
	}
	seconds := int(time.Now().Unix()-begun) + 1
	count := map[any]int{}
	servers := map[any]int{}
	told := 0
	for _, line := range lines() {
		count[line["msg"]]++
		if line["msg"] == "closed server connection" {
			servers[line["server"]]++
		}
		if lost, ok := line["left_out"].(float64); ok {
			told += int(lost)
			if line["line"] != "closed server connection" || line["pool"] != "alpha" || line["server"] != "s1" {
				t.Errorf("left out: %v", line)
			}
		}
	}
	if count["accepted client"] != n || count["what must be there"] != n {
		t.Errorf("lines that are not to be limited: %v, want %d each", count, n)
	}
	if got := servers["s1"]; got < perSecond || got > perSecond*seconds || got+told != n {
		t.Errorf("%d lines about s1 in %d seconds, and %d told to be left out, of %d", got, seconds, told, n)
	}
	for _, s := range []string{"s2", "s3", "s4"} {
		if servers[s] != 1 {
			t.Errorf("%d lines about %s", servers[s], s)
		}
	}
}

// What was left out is told without anybody asking, a second later.
func TestLeftOutIsToldSoon(t *testing.T) {
	var b safeBuffer
	l, err := New(Options{Level: Notice, Writer: &b})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for range 3 * perSecond {
		l.Notice("again")
	}
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(b.String(), "left_out="); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("nobody told: %q", b.String())
		}
	}
}

// A safeBuffer may be read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

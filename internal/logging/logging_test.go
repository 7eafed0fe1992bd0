package logging

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// open makes a logger over a buffer; text closes it and gives what it wrote.
func open(t *testing.T, level Level) (l *Logger, text func() string) {
	t.Helper()
	var b bytes.Buffer
	l, err := New(Options{Level: level, Writer: &b})
	if err != nil {
		t.Fatal(err)
	}
	return l, func() string {
		t.Helper()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
}

// tail cuts time and place off the only line in text.
func tail(t *testing.T, text string) string {
	t.Helper()
	m := regexp.MustCompile(`^\[[^]]*\] \S+ (.*)\n$`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("not one line of the log's form: %q", text)
	}
	return m[1]
}

func TestLineForm(t *testing.T) {
	l, text := open(t, Default)
	before := time.Now().Truncate(time.Millisecond)
	l.Notice("server ejected", slog.String("pool", "alpha"), slog.Int("failures", 2))
	after := time.Now()
	got := text()
	m := regexp.MustCompile(`^\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3})\] logging/logging_test\.go:\d+ (.*)\n$`).
		FindStringSubmatch(got)
	if m == nil {
		t.Fatalf("not the log's form: %q", got)
	}
	when, err := time.ParseInLocation("2006-01-02 15:04:05.000", m[1], time.Local)
	if err != nil || when.Before(before) || when.After(after) {
		t.Errorf("time %q (%v) is not between %v and %v", m[1], err, before, after)
	}
	if want := "server ejected pool=alpha failures=2"; m[2] != want {
		t.Errorf("got %q, want %q", m[2], want)
	}
}

func TestPlaceIsTheCallers(t *testing.T) {
	place := regexp.MustCompile(`\] logging/logging_test\.go:\d+ `)
	for name, call := range map[string]func(l *Logger){
		"Log":     func(l *Logger) { l.Log(PVerb, "x") },
		"Always":  func(l *Logger) { l.Always("x") },
		"Error":   func(l *Logger) { l.Error("x") },
		"Warn":    func(l *Logger) { l.Warn("x") },
		"Notice":  func(l *Logger) { l.Notice("x") },
		"Info":    func(l *Logger) { l.Info("x") },
		"Debug":   func(l *Logger) { l.Debug("x") },
		"Verbose": func(l *Logger) { l.Verbose("x") },
		"Slog":    func(l *Logger) { l.Slog().Info("x") },
	} {
		t.Run(name, func(t *testing.T) {
			l, text := open(t, Max)
			call(l)
			if got := text(); !place.MatchString(got) {
				t.Errorf("got %q", got)
			}
		})
	}
}

type valuer struct{ v slog.Value }

func (v valuer) LogValue() slog.Value { return v.v }

func TestValues(t *testing.T) {
	when := time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC)
	for _, c := range []struct {
		attr slog.Attr
		want string
	}{
		{slog.String("k", "plain"), "k=plain"},
		{slog.String("k", ""), `k=""`},
		{slog.String("k", "two words"), `k="two words"`},
		{slog.String("k", "a=b"), `k="a=b"`},
		{slog.String("k", `say "x\y"`), `k="say \"x\\y\""`},
		{slog.String("k", "é日本"), "k=é日本"},
		{slog.String("a key", "v"), `"a key"=v`},
		{slog.Int("k", -3), "k=-3"},
		{slog.Uint64("k", 1<<63), "k=9223372036854775808"},
		{slog.Float64("k", 0.5), "k=0.5"},
		{slog.Bool("k", true), "k=true"},
		{slog.Duration("k", 1500*time.Millisecond), "k=1.5s"},
		{slog.Time("k", when), "k=2026-01-02T03:04:05.006Z"},
		{slog.Any("k", errors.New("dial: refused")), `k="dial: refused"`},
		{slog.Any("k", []byte("get a\r\n")), `k="get a\r\n"`},
		{slog.Any("k", nil), "k=<nil>"},
		{slog.Group("g", slog.Int("a", 1), slog.Group("h", slog.Int("b", 2))), "g.a=1 g.h.b=2"},
		{slog.Any("k", valuer{slog.GroupValue(slog.Int("a", 1))}), "k.a=1"},
		{slog.Attr{}, ""},
	} {
		l, text := open(t, Default)
		l.Notice("m", c.attr)
		want := strings.TrimSuffix("m "+c.want, " ")
		if got := tail(t, text()); got != want {
			t.Errorf("%v: got %s, want %s", c.attr, got, want)
		}
	}
}

func TestNothingForgesALine(t *testing.T) {
	forged := "x\n[2026-11-23 03:00:00.123] a/b.go:1 forged"
	for _, bad := range []string{
		forged, "\r" + forged, "\x00", "\x1b[31m", "\x7f", "\x85", "\u0085", "\u2028", "\u202e", "\xff\xfe", "\xc3",
	} {
		for where, log := range map[string]func(l *Logger){
			"message": func(l *Logger) { l.Notice(bad) },
			"value":   func(l *Logger) { l.Notice("m", slog.String("k", bad)) },
			"bytes":   func(l *Logger) { l.Notice("m", slog.Any("k", []byte(bad))) },
			"error":   func(l *Logger) { l.Notice("m", slog.Any("k", errors.New(bad))) },
			"key":     func(l *Logger) { l.Notice("m", slog.Int(bad, 1)) },
			"group":   func(l *Logger) { l.Notice("m", slog.Group(bad, slog.Int("k", 1))) },
			"with":    func(l *Logger) { l.With(slog.String("k", bad)).Notice("m") },
			"slog":    func(l *Logger) { l.Slog().WithGroup(bad).With("k", bad).Warn(bad, bad, bad) },
		} {
			l, text := open(t, Default)
			log(l)
			got := text()
			if strings.Count(got, "\n") != 1 || strings.Contains(strings.TrimSuffix(got, "\n"), bad) {
				t.Errorf("%q as %s: got %q", bad, where, got)
			}
			for _, r := range strings.TrimSuffix(got, "\n") {
				if r < ' ' || r == 0x7f || r == '\uFFFD' {
					t.Errorf("%q as %s: %q in %q", bad, where, r, got)
				}
			}
		}
	}
}

func TestLongLinesAreCut(t *testing.T) {
	long := strings.Repeat("é\n", 1<<20)
	for where, log := range map[string]func(l *Logger){
		"message": func(l *Logger) { l.Notice(long) },
		"value":   func(l *Logger) { l.Notice("m", slog.String("k", long), slog.String("k", long)) },
		"bytes":   func(l *Logger) { l.Notice("m", slog.Any("k", []byte(long))) },
		"plain":   func(l *Logger) { l.Notice("m", slog.String("k", strings.Repeat("é", 1<<20))) },
	} {
		t.Run(where, func(t *testing.T) {
			l, text := open(t, Default)
			log(l)
			got := text()
			if len(got) > maxLine || len(got) < maxLine-8 || !strings.HasSuffix(got, "...\n") {
				t.Errorf("%d bytes, ending in %q", len(got), got[max(0, len(got)-20):])
			}
			if strings.ContainsRune(got, '\uFFFD') {
				t.Errorf("cut in the middle of a character: %q", got[len(got)-10:])
			}
		})
	}
}

func TestLevels(t *testing.T) {
	calls := []struct {
		name  string
		from  Level // the lowest level that shows it
		write func(l *Logger)
	}{
		{"Always", Min, func(l *Logger) { l.Always("x") }},
		{"Error", Alert, func(l *Logger) { l.Error("x") }},
		{"Warn", Warn, func(l *Logger) { l.Warn("x") }},
		{"Notice", Notice, func(l *Logger) { l.Notice("x") }},
		{"Info", Info, func(l *Logger) { l.Info("x") }},
		{"Debug", Debug, func(l *Logger) { l.Debug("x") }},
		{"Verbose", Verb, func(l *Logger) { l.Verbose("x") }},
		{"Log(PVerb)", PVerb, func(l *Logger) { l.Log(PVerb, "x") }},
		{"slog error", Alert, func(l *Logger) { l.Slog().Error("x") }},
		{"slog warn", Warn, func(l *Logger) { l.Slog().Warn("x") }},
		{"slog info", Info, func(l *Logger) { l.Slog().Info("x") }},
		{"slog debug", Debug, func(l *Logger) { l.Slog().Debug("x") }},
	}
	for level := Min; level <= Max; level++ {
		for _, c := range calls {
			l, text := open(t, level)
			c.write(l)
			if got, want := text() != "", level >= c.from; got != want {
				t.Errorf("%s at level %v: written %v, want %v", c.name, level, got, want)
			}
		}
	}
}

func TestLevelsAreClampedAndNamed(t *testing.T) {
	for given, want := range map[Level]Level{-1: 0, 0: 0, 5: 5, 11: 11, 12: 11, 1 << 40: 11, -1 << 40: 0} {
		l, text := open(t, given)
		if got := l.Level(); got != want {
			t.Errorf("level %d: got %d, want %d", given, got, want)
		}
		text()
	}
	for level, want := range map[Level]string{Emerg: "emerg", Notice: "notice", PVerb: "pverb", 12: "12", -1: "-1"} {
		if got := level.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestFromSlog(t *testing.T) {
	for given, want := range map[slog.Level]Level{
		12: Emerg, 11: Alert, slog.LevelError: Alert, 7: Warn, slog.LevelWarn: Warn, 2: Notice, 1: Notice,
		slog.LevelInfo: Info, -1: Debug, slog.LevelDebug: Debug, -5: Verb, -100: Verb,
	} {
		if got := FromSlog(given); got != want {
			t.Errorf("%v: got %v, want %v", given, got, want)
		}
	}
}

func TestLevelUpAndDown(t *testing.T) {
	l, text := open(t, Max-1)
	child := l.With(slog.Int("id", 1))
	for _, want := range []Level{Max, Max} {
		if got := l.LevelUp(); got != want {
			t.Errorf("up: got %d, want %d", got, want)
		}
	}
	if !child.Enabled(Max) {
		t.Error("what With made does not follow the level")
	}
	l.SetLevel(Min + 1)
	for _, want := range []Level{Min, Min} {
		if got := l.LevelDown(); got != want {
			t.Errorf("down: got %d, want %d", got, want)
		}
	}
	var got []string
	for line := range strings.Lines(text()) {
		got = append(got, tail(t, line))
	}
	want := "up log level to 11, set log level to 1, down log level to 0"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

func TestWith(t *testing.T) {
	l, text := open(t, Default)
	pool := l.With(slog.String("pool", "alpha"))
	pool.With(slog.String("server", "a")).Notice("m", slog.Int("n", 1))
	pool.With(slog.String("server", "b")).Slog().WithGroup("g").With("x", 2).Warn("m", "n", 1)
	pool.Notice("m")
	l.With().Notice("m")
	var got []string
	for line := range strings.Lines(text()) {
		got = append(got, tail(t, line))
	}
	want := []string{"m pool=alpha server=a n=1", "m pool=alpha server=b g.x=2 g.n=1", "m pool=alpha", "m"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestNilLogger(t *testing.T) {
	l := Discard()
	l.Log(Emerg, "x")
	l.Always("x")
	l.Error("x")
	l.SetLevel(Max)
	l.With(slog.Int("k", 1)).Notice("x")
	l.Slog().With("k", 1).Error("x")
	if l.Enabled(Emerg) || l.LevelUp() != Min-1 || l.LevelDown() != Min-1 || l.Dropped() != 0 || l.WriteErrors() != 0 {
		t.Error("the nil logger has a state")
	}
	if err := errors.Join(l.Flush(), l.Reopen(), l.Close()); err != nil {
		t.Error(err)
	}
}

func TestDisabledLinesCostNoAllocation(t *testing.T) {
	l, text := open(t, Default)
	if n := testing.AllocsPerRun(1000, func() {
		if l.Enabled(Verb) {
			t.Fatal("enabled")
		}
	}); n != 0 {
		t.Errorf("Enabled allocates %v times", n)
	}
	key := []byte("key")
	if n := testing.AllocsPerRun(1000, func() {
		l.Verbose("request", slog.Int("id", len(key)), slog.String("type", "get"))
	}); n != 0 {
		t.Errorf("a disabled line allocates %v times", n)
	}
	text()
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestReopenAfterRename(t *testing.T) {
	dir := t.TempDir()
	path, old := filepath.Join(dir, "log"), filepath.Join(dir, "log.1")
	if err := os.WriteFile(path, []byte("kept\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := New(Options{Path: path, Level: Default})
	if err != nil {
		t.Fatal(err)
	}
	l.Notice("first")
	if err := os.Rename(path, old); err != nil {
		t.Fatal(err)
	}
	l.Notice("second")
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Notice("third")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, old); !strings.HasPrefix(got, "kept\n") || strings.Count(got, "\n") != 3 ||
		!strings.Contains(got, " first\n") || !strings.Contains(got, " second\n") {
		t.Errorf("the old file: %q", got)
	}
	if got := tail(t, readFile(t, path)); got != "third" {
		t.Errorf("the new file: %q", got)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode&0o600 != 0o600 || mode&^0o644 != 0 {
		t.Errorf("the new file's mode is %o, not 644 less the umask", mode)
	}
	if err := errors.Join(l.Close(), os.Remove(path)); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); !errors.Is(err, ErrClosed) {
		t.Errorf("Reopen after Close: got %v, want ErrClosed", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("Reopen after Close makes a file")
	}
}

func TestReopenThatFailsKeepsTheOldFile(t *testing.T) {
	dir := t.TempDir()
	sub, moved := filepath.Join(dir, "sub"), filepath.Join(dir, "moved")
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := New(Options{Path: filepath.Join(sub, "log"), Level: Default})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(sub, moved); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Reopen without its directory: got %v", err)
	}
	l.Notice("still here")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := readFile(t, filepath.Join(moved, "log"))
	if !strings.Contains(got, "reopening the log file failed error=") || !strings.HasSuffix(got, " still here\n") {
		t.Errorf("the old file: %q", got)
	}
}

func TestPathIsKeptOverAChangeOfDirectory(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	t.Chdir(first)
	l, err := New(Options{Path: "log", Level: Default})
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(second)
	l.Notice("a")
	if err := errors.Join(l.Reopen(), l.Close()); err != nil {
		t.Fatal(err)
	}
	if got := tail(t, readFile(t, filepath.Join(first, "log"))); got != "a" {
		t.Errorf("got %q", got)
	}
}

func TestNewFailsWithoutItsFile(t *testing.T) {
	if _, err := New(Options{Path: filepath.Join(t.TempDir(), "none", "log")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, os.ErrNotExist)
	}
}

// gate is a writer that says when it was called and waits to be let on.
type gate struct {
	entered chan struct{}
	open    chan struct{}
	bytes.Buffer
}

func newGate() *gate {
	return &gate{entered: make(chan struct{}, 100), open: make(chan struct{})}
}

func (g *gate) Write(p []byte) (int, error) {
	g.entered <- struct{}{}
	<-g.open
	return g.Buffer.Write(p)
}

func TestFullQueueDropsAndReports(t *testing.T) {
	g := newGate()
	l, err := New(Options{Level: Default, Writer: g, QueueLines: 4})
	if err != nil {
		t.Fatal(err)
	}
	l.Notice("held") // by the writer
	<-g.entered
	for range 4 {
		l.Notice("queued")
	}
	for range 3 {
		l.Notice("lost")
	}
	if got := l.Dropped(); got != 3 {
		t.Errorf("Dropped: got %d, want 3", got)
	}
	close(g.open)
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	l.Notice("after")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := g.String()
	for text, want := range map[string]int{" held\n": 1, " queued\n": 4, " lost\n": 0, " dropped=3\n": 1, "dropped=": 1, " after\n": 1} {
		if n := strings.Count(got, text); n != want {
			t.Errorf("%q: %d times, want %d, in\n%s", text, n, want, got)
		}
	}
	if strings.Index(got, "dropped=") > strings.Index(got, " after\n") {
		t.Errorf("the loss is reported late:\n%s", got)
	}
}

func TestStuckOutputHoldsNobodyForLong(t *testing.T) {
	g := newGate()
	l, err := New(Options{Level: Default, Writer: g, QueueLines: 2})
	if err != nil {
		t.Fatal(err)
	}
	l.core.patience = time.Millisecond
	l.Notice("held")
	<-g.entered
	if err := l.Flush(); !errors.Is(err, ErrBusy) { // in the queue, not answered
		t.Errorf("Flush: got %v, want ErrBusy", err)
	}
	l.Notice("fills the queue")
	if err := l.Flush(); !errors.Is(err, ErrBusy) { // not in the queue
		t.Errorf("Flush with a full queue: got %v, want ErrBusy", err)
	}
	if err := l.Close(); !errors.Is(err, ErrBusy) {
		t.Errorf("Close: got %v, want ErrBusy", err)
	}
	close(g.open)
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestWriteErrorsAreCounted(t *testing.T) {
	l, err := New(Options{Level: Default, Writer: failing{io.ErrShortWrite}})
	if err != nil {
		t.Fatal(err)
	}
	l.Notice("x")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := l.WriteErrors(); got != 1 {
		t.Errorf("got %d, want 1", got)
	}
}

func TestAfterClose(t *testing.T) {
	l, text := open(t, Default)
	l.Notice("x")
	if got := tail(t, text()); got != "x" {
		t.Errorf("got %q", got)
	}
	l.Notice("late")
	if got := l.Dropped(); got != 1 {
		t.Errorf("Dropped: got %d, want 1", got)
	}
	if err := l.Flush(); !errors.Is(err, ErrClosed) {
		t.Errorf("Flush: got %v, want ErrClosed", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestManyWriters(t *testing.T) {
	// Few enough that the level never reaches Max, where an up would be lost
	// and the downs would then silence Notice.
	const writers, lines = int(Max - Default), 500
	path := filepath.Join(t.TempDir(), "log")
	l, err := New(Options{Path: path, Level: Default, QueueLines: writers * lines * 2})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			me := l.With(slog.Int("writer", w))
			for i := range lines {
				me.Always("line", slog.Int("n", i))
				switch i {
				case 100:
					l.LevelUp()
				case 200:
					me.Slog().Warn("slog")
				case 300:
					if err := l.Reopen(); err != nil {
						t.Error(err)
					}
				case 400:
					l.LevelDown()
				}
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := l.Level(); got != Default {
		t.Errorf("as many ups as downs lead from level %d to %d", Default, got)
	}
	got := readFile(t, path)
	if n := strings.Count(got, " line writer="); n != writers*lines {
		t.Errorf("%d lines, want %d (%d dropped)", n, writers*lines, l.Dropped())
	}
	form := regexp.MustCompile(`^\[[^]]+\] logging/\w+\.go:\d+ (line writer=\d n=\d+|slog writer=\d|(up|down) log level to \d+)\n$`)
	for line := range strings.Lines(got) {
		if !form.MatchString(line) {
			t.Errorf("torn line %q", line)
		}
	}
}

func BenchmarkNotice(b *testing.B) {
	l, err := New(Options{Level: Default, Writer: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		l.Notice("client closed", slog.Int("fd", 12), slog.String("pool", "alpha"))
	}
	b.ReportMetric(float64(l.Dropped())/float64(b.N), "dropped/op")
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

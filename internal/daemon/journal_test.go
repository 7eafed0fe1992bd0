package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/logging"
	"nuthatch/internal/preview"
	"nuthatch/internal/topology"
)

// writeJournal has f write to a journal, and returns the texts of its events and its
// log.
func writeJournal(t *testing.T, f func(j *journal)) (texts []string, log string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	l, err := logging.New(logging.Options{Path: path, Level: logging.Notice})
	if err != nil {
		t.Fatal(err)
	}
	j := &journal{log: l, events: new(events.Log)}
	f(j)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found, _ := j.events.Latest(100, "")
	for _, e := range found {
		texts = append(texts, e.Text)
	}
	return texts, string(text)
}

// TestRefusedConfiguration: the log has every fault, the event the first and how many
// more there are.
func TestRefusedConfiguration(t *testing.T) {
	texts, log := writeJournal(t, func(j *journal) {
		j.refused(errors.Join(errors.New("first fault"), errors.New("second fault")), "signal")
	})
	if want := "configuration not reloaded, the old one stays in force: first fault (and 1 more)"; len(texts) != 1 || texts[0] != want {
		t.Errorf("events %q, want %q", texts, want)
	}
	for _, fault := range []string{"first fault", "second fault"} {
		if !strings.Contains(log, fault) {
			t.Errorf("the log says nothing of the %s:\n%s", fault, log)
		}
	}
}

// TestReloadedConfiguration: the event counts what changed, and the log names it.
func TestReloadedConfiguration(t *testing.T) {
	texts, log := writeJournal(t, func(j *journal) {
		c := &preview.Change{Report: &preview.Report{
			Added: []string{"beta"},
			Pools: []preview.Pool{
				{Name: "alpha", Settings: []config.Change{{Key: "timeout", Old: "1", New: "2"}}},
				{Name: "b", Keys: []preview.Keys{{Moved: 0.3125}}},
				{Name: "c", Keys: []preview.Keys{{}, {Moved: 1}}},
				{Name: "d", Keys: []preview.Keys{{Moved: 0.5}}},
				{Name: "e", Keys: []preview.Keys{{Moved: 0.5}}},
			},
		}}
		j.reloaded(c, "nuthatch.yml", "signal")
		j.reloaded(&preview.Change{Report: &preview.Report{}}, "nuthatch.yml", "signal")
	})
	want := []string{"configuration reloaded; nothing changed", "configuration reloaded; pools added: 1, settings changed: 1, " +
		"keys moved in b: 31.25%, keys moved in c: 100.00%, keys moved in d: 50.00%, and in other pools: 1"}
	for _, w := range want {
		if !strings.Contains(strings.Join(texts, "\n"), w) {
			t.Errorf("events %q, want one %q", texts, w)
		}
	}
	for _, w := range []string{"beta", "timeout", "nothing changed", "nuthatch.yml"} {
		if !strings.Contains(log, w) {
			t.Errorf("the log says nothing of %q:\n%s", w, log)
		}
	}
}

// TestServiceOfServer: the event says what becomes of a server's keys.
func TestServiceOfServer(t *testing.T) {
	texts, _ := writeJournal(t, func(j *journal) {
		j.service("alpha", "one", topology.OffTheRing, 0, "me")
		j.service("alpha", "two", topology.Refused, 0, "me")
		j.service("alpha", "three", topology.InService, time.Minute, "me")
	})
	all := strings.Join(texts, "\n")
	for _, want := range []string{"the other servers get its keys", "requests for its keys fail", "server three is in service again"} {
		if !strings.Contains(all, want) {
			t.Errorf("events %q, want one with %q", texts, want)
		}
	}
}

// A log file that took the place of another says first why, also if several SIGHUPs
// came as one.
func TestReopenedLogSaysWhy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := logging.New(logging.Options{Path: path, Level: logging.Notice})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	(&journal{log: l, events: new(events.Log)}).reopen()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{path: "log file reopened signal=SIGHUP", path + ".1": "signal 1 (SIGHUP) received, reopening log file"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) || strings.Count(string(text), "\n") != 1 {
			t.Errorf("%s is %q, want one line with %q", filepath.Base(file), text, want)
		}
	}
}

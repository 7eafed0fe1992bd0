package events_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"nuthatch/internal/events"
	"nuthatch/internal/testkit"
)

var update = flag.Bool("update", false, "write the table of events into docs/METRICS.md")

// TestKinds compares docs/METRICS.md with the table of kinds, of which each has a name of
// its own.
func TestKinds(t *testing.T) {
	var b strings.Builder
	b.WriteString("\n| event | severity | what has happened |\n|---|---|---|\n")
	names := make(map[string]bool)
	for k := range events.NumKinds {
		if k.String() == "" || names[k.String()] || k.Help() == "" {
			t.Errorf("kind %d is called %q, and is %q", k, k, k.Help())
		}
		names[k.String()] = true
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k, k.Severity(), k.Help())
	}
	testkit.CheckPart(t, "../../docs/METRICS.md", "events", b.String(), *update)
}

func ids(all []*events.Event) (found []int64) {
	for _, e := range all {
		found = append(found, e.ID)
	}
	return found
}

// Events of the program before stand before those of this one, and are not new to anybody.
func TestPrecede(t *testing.T) {
	var l events.Log
	l.Add(events.Event{Kind: events.PoolPaused, Pool: "a"})
	long := strings.Repeat("x", 1000)
	l.Precede([]events.Event{{Kind: events.Started, Text: long}, {Kind: events.PoolPaused, Pool: "b"}, {Kind: events.PoolPaused, Pool: "a"}})
	for _, c := range []struct {
		n    int
		pool string
		want []int64
	}{{9, "", []int64{-2, -1, 0, 1}}, {2, "", []int64{0, 1}}, {1, "", []int64{1}}, {9, "a", []int64{0, 1}}, {9, "b", []int64{-1}}} {
		if got, next := l.Latest(c.n, c.pool); !slices.Equal(ids(got), c.want) || next != 1 {
			t.Errorf("the latest %d of %q are %v, want %v; next is %d", c.n, c.pool, ids(got), c.want, next)
		}
	}
	if got, missed, next := l.After(0, 9, ""); !slices.Equal(ids(got), []int64{1}) || missed != 0 || next != 1 {
		t.Errorf("after 0: %v, %d missed, next %d", ids(got), missed, next)
	}
	if l.Count(events.PoolPaused) != 1 || l.LatestOf(events.Started) != nil {
		t.Error("events of the program before are counted")
	}
	if got, _ := l.Latest(9, ""); len(got[0].Text) > 600 {
		t.Errorf("%d bytes of a text", len(got[0].Text))
	}
	l.Precede(make([]events.Event, 5000))
	if got, _ := l.Latest(events.Kept, ""); len(got) != events.Kept || got[len(got)-1].ID != 1 {
		t.Errorf("%d events", len(got))
	}
}

func TestLatestAndAfter(t *testing.T) {
	var l events.Log
	if got, missed, next := l.After(0, 10, ""); len(got) != 0 || missed != 0 || next != 0 {
		t.Errorf("an empty log has %v, and %d missed", got, missed)
	}
	for i := range 6 {
		l.Add(events.Event{Kind: events.PoolPaused, Pool: []string{"a", "b"}[i%2]})
	}
	for _, c := range []struct {
		n    int
		pool string
		want []int64
	}{{3, "", []int64{4, 5, 6}}, {99, "", []int64{1, 2, 3, 4, 5, 6}}, {2, "a", []int64{3, 5}}, {9, "none", nil}, {0, "", nil}} {
		if got, next := l.Latest(c.n, c.pool); !slices.Equal(ids(got), c.want) || next != 6 {
			t.Errorf("the latest %d of %q are %v, want %v; next is %d", c.n, c.pool, ids(got), c.want, next)
		}
	}
	for _, c := range []struct {
		id   int64
		n    int
		pool string
		want []int64
		next int64
	}{
		{0, 2, "", []int64{1, 2}, 2},
		{2, 2, "", []int64{3, 4}, 4},
		{4, 9, "", []int64{5, 6}, 6},
		{1, 9, "b", []int64{2, 4, 6}, 6},
		{1, 9, "none", nil, 6},
		{6, 9, "", nil, 6},
		{99, 9, "", nil, 99},
		{-5, 1, "", []int64{1}, 1},
	} {
		if got, missed, next := l.After(c.id, c.n, c.pool); !slices.Equal(ids(got), c.want) || missed != 0 || next != c.next {
			t.Errorf("the first %d of %q behind %d are %v, want %v; %d missed, next is %d", c.n, c.pool, c.id, ids(got), c.want, missed, next)
		}
	}
}

// The oldest events go, and whoever asks for them learns how many. The latest of a kind
// and the counts outlive them.
func TestOldestGo(t *testing.T) {
	var l events.Log
	l.Add(events.Event{Kind: events.ReloadRefused, Text: "why"})
	for range events.Kept + 9 {
		l.Add(events.Event{Kind: events.Reloaded})
	}
	got, missed, _ := l.After(4, 1, "")
	if !slices.Equal(ids(got), []int64{11}) || missed != 6 {
		t.Errorf("behind 4 comes %v, and %d missed, want 11 and 6", ids(got), missed)
	}
	if got, _ := l.Latest(2*events.Kept, ""); len(got) != events.Kept || got[0].ID != 11 {
		t.Errorf("%d events are kept, the oldest is %d", len(got), got[0].ID)
	}
	if e := l.LatestOf(events.ReloadRefused); e == nil || e.Text != "why" || l.LatestOf(events.Started) != nil {
		t.Errorf("the latest of a kind is %+v", e)
	}
	if l.Count(events.Reloaded) != events.Kept+9 || l.Count(events.ReloadRefused) != 1 || l.Count(events.Started) != 0 {
		t.Errorf("counted: %d and %d", l.Count(events.Reloaded), l.Count(events.ReloadRefused))
	}
}

// What is repeated is told once: of a server until something else happens to it, of a
// pool's clients until it has not happened for a while.
func TestRepeated(t *testing.T) {
	var l events.Log
	tried := events.Event{Kind: events.ServerTried, Pool: "p", Server: "s"}
	other := events.Event{Kind: events.ServerTried, Pool: "p", Server: "other"}
	l.AddChange(tried)
	l.AddChange(other)
	l.AddChange(tried)
	l.Add(events.Event{Kind: events.ServerAnswers, Pool: "p", Server: "s"})
	l.AddChange(tried)
	l.AddChange(other)
	if got, _ := l.Latest(9, ""); !slices.Equal(ids(got), []int64{1, 2, 3, 4}) || got[3].Server != "s" {
		t.Errorf("told: %v", ids(got))
	}
	var p events.Episode
	for i, c := range []struct {
		now  int64
		want bool
	}{{0, true}, {1, false}, {int64(events.Quiet), false}, {1, false}, {2, false}, {3 * int64(events.Quiet), true}, {3*int64(events.Quiet) + 1, false}} {
		if got := p.Begins(c.now); got != c.want {
			t.Errorf("step %d: it begins: %t, want %t", i, got, c.want)
		}
	}
}

// Of a long text the beginning is kept, in whole characters.
func TestLongText(t *testing.T) {
	var l events.Log
	for n := range 4 {
		l.Add(events.Event{Kind: events.ReloadRefused, Text: strings.Repeat("x", n) + strings.Repeat("é", 1<<20), By: strings.Repeat("y", 1<<20)})
		e := l.LatestOf(events.ReloadRefused)
		if len(e.Text) > 510 || len(e.Text) < 490 || !utf8.ValidString(e.Text) || !strings.HasSuffix(e.Text, "é...") || len(e.By) > 510 {
			t.Errorf("kept are %d and %d bytes: %q", len(e.Text), len(e.By), e.Text)
		}
	}
}

// With -race this shows that writers and readers need nothing else. Who goes on from the
// last ID that it has seen is told of every event, or how many it missed.
func TestManyAtOnce(t *testing.T) {
	const writers, each = 4, 5000
	var l events.Log
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for range each {
				l.Add(events.Event{Kind: events.Kind(w), Pool: "p"})
			}
		})
	}
	seen, last := int64(0), int64(0)
	for seen < writers*each {
		found, missed, next := l.After(last, 100, "")
		for _, e := range found {
			if e.ID <= last {
				t.Fatalf("event %d comes behind %d", e.ID, last)
			}
			last = e.ID
		}
		last = next
		seen += int64(len(found)) + missed
		if latest, _ := l.Latest(50, ""); !slices.IsSorted(ids(latest)) {
			t.Fatalf("the latest are %v", ids(latest))
		}
	}
	wg.Wait()
	if seen != writers*each || last != seen || l.LatestOf(events.Kind(0)) == nil {
		t.Errorf("seen and missed are %d, the last is %d", seen, last)
	}
}

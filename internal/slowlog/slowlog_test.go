package slowlog

import (
	"slices"
	"sync"
	"testing"
)

func ids(entries []*Entry) (found []int64) {
	for _, e := range entries {
		found = append(found, e.ID)
	}
	return found
}

func TestLatest(t *testing.T) {
	l := New(4)
	if l.Len() != 0 {
		t.Errorf("a new log has %d entries", l.Len())
	}
	for range 6 {
		l.Add(&Entry{})
	}
	for _, c := range []struct {
		n    int
		want []int64
	}{{-1, []int64{5, 4, 3, 2}}, {2, []int64{5, 4}}, {0, nil}, {9, []int64{5, 4, 3, 2}}} {
		if got := ids(l.Latest(c.n)); !slices.Equal(got, c.want) {
			t.Errorf("the latest %d are %v, want %v", c.n, got, c.want)
		}
	}
	l.ResetEvents()
	l.Add(&Entry{})
	if got := ids(l.Events()); !slices.Equal(got, []int64{6}) || l.Len() != 4 {
		t.Errorf("events after ResetEvents and one more: %v, of %d entries", got, l.Len())
	}
	l.Reset()
	if l.Len() != 0 || len(l.Events()) != 0 {
		t.Errorf("%d entries are left after Reset", l.Len())
	}
	l.Add(&Entry{})
	if got := ids(l.Latest(-1)); !slices.Equal(got, []int64{7}) {
		t.Errorf("after Reset and one more: %v", got)
	}
}

func TestResize(t *testing.T) {
	l := New(5)
	for range 7 {
		l.Add(&Entry{})
	}
	l.Resize(3)
	if got := ids(l.Latest(-1)); !slices.Equal(got, []int64{6, 5, 4}) {
		t.Errorf("made smaller: %v", got)
	}
	l.Resize(8)
	l.Add(&Entry{})
	if got := ids(l.Latest(-1)); !slices.Equal(got, []int64{7, 6, 5, 4}) {
		t.Errorf("made larger: %v", got)
	}
	l.Resize(0)
	l.Add(&Entry{})
	if l.Len() != 0 {
		t.Errorf("a log of no entries has %d", l.Len())
	}
}

// With -race this shows that writers and readers need nothing else.
func TestManyAtOnce(t *testing.T) {
	l := New(16)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 1000 {
				l.Add(&Entry{Keys: i})
			}
		})
	}
	for range 100 {
		got := ids(l.Latest(-1))
		if len(got) > 16 || !slices.IsSortedFunc(got, func(a, b int64) int { return int(b - a) }) {
			t.Fatalf("read meanwhile: %v", got)
		}
	}
	wg.Wait()
	if l.next.Load() != 4000 || l.Len() == 0 {
		t.Errorf("%d numbers were given, %d entries are kept", l.next.Load(), l.Len())
	}
}

// TestFrom: a reader gets what is new, in order, and is told what it missed.
func TestFrom(t *testing.T) {
	l := New(4)
	read := func(id int64, n int, want []int64, missed int64) {
		t.Helper()
		got, gone := l.From(id, n)
		if !slices.Equal(ids(got), want) || gone != missed {
			t.Errorf("%v, %d gone, want %v, %d gone", ids(got), gone, want, missed)
		}
	}
	read(l.Next(), 9, nil, 0)
	for range 3 {
		l.Add(&Entry{})
	}
	read(0, 2, []int64{0, 1}, 0)
	read(2, 9, []int64{2}, 0)
	for range 5 {
		l.Add(&Entry{})
	}
	read(3, 9, []int64{4, 5, 6, 7}, 1)
	read(l.Next(), 9, nil, 0)
	new(Log).From(0, 1) // it has no room at all
}

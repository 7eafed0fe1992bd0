package proxy

import "testing"

// A fifo gives back what was put in, in its order, and takes room for what is in it only.
func TestFifo(t *testing.T) {
	var q fifo[int]
	if q.first() != 0 || q.last() != 0 || q.len() != 0 {
		t.Error("an empty one has something")
	}
	next, want := 1, 1
	for round := range 2000 {
		for range 3 {
			q.push(next)
			next++
		}
		if q.last() != next-1 {
			t.Fatalf("the last one is %d, want %d", q.last(), next-1)
		}
		for range 3 - round%2 {
			if got := q.first(); got != want {
				t.Fatalf("the first one is %d, want %d", got, want)
			}
			q.pop()
			want++
		}
		if room := cap(q.all); room > 4*q.len()+4*keptFifo {
			t.Fatalf("%d elements take room for %d", q.len(), room)
		}
	}
	for ; q.len() > 0; want++ {
		if q.first() != want {
			t.Fatalf("the first one is %d, want %d", q.first(), want)
		}
		q.pop()
	}
	if cap(q.all) > keptFifo {
		t.Errorf("an empty one keeps room for %d", cap(q.all))
	}
}

package msg

import (
	"slices"
	"testing"
)

// What is put behind a message belongs to the same queue, at its end and in its middle.
func TestInsert(t *testing.T) {
	for _, sent := range []int{0, 1, 2, 3} {
		var q ServerQueue
		all := []*Msg{{}, {}, {}}
		for _, m := range all {
			q.Push(m)
		}
		for range sent {
			q.Sent()
		}
		first := q.Unsent()
		for _, before := range slices.Clone(all) {
			m := &Msg{}
			q.Insert(before, m)
			all = slices.Insert(all, slices.Index(all, before)+1, m)
		}
		if got := slices.Collect(q.All()); !slices.Equal(got, all) {
			t.Errorf("with %d sent, the queue is %v, want %v", sent, got, all)
		}
		if q.Len() != len(all) || q.Tail() != all[len(all)-1] || q.Unsent() != first {
			t.Errorf("with %d sent, %d are in the queue, the last is %p, the first unsent one %p", sent, q.Len(), q.Tail(), q.Unsent())
		}
	}
}

package proxy

import (
	"math/rand/v2"
	"slices"
	"testing"

	"nuthatch/internal/invariant"
)

// A bead is an element of a list. nth is which one it was to enter.
type bead struct {
	nth int
	links[*bead]
}

// A stroll is a walk, and what it must come to: those that were there when it began and have not
// left.
type stroll struct {
	walk walk[*bead]
	owes []*bead
	// nth is that of the element that it came to last.
	nth int
}

// beads are a list and what must be in it.
type beads struct {
	t       *testing.T
	list    list[*bead]
	want    []*bead
	strolls []*stroll
	came    int
}

func (b *beads) enter(e *bead) {
	b.came++
	e.nth = b.came
	b.list.enter(e)
	b.want = append(b.want, e)
}

func (b *beads) remove(e *bead) {
	b.list.remove(e)
	is := func(x *bead) bool { return x == e }
	b.want = slices.DeleteFunc(b.want, is)
	for _, s := range b.strolls {
		s.owes = slices.DeleteFunc(s.owes, is)
	}
}

func (b *beads) begin() {
	s := &stroll{owes: slices.Clone(b.want)}
	s.walk.begin(&b.list)
	b.strolls = append(b.strolls, s)
}

// goOn takes a step of the walk. One that is over is ended.
func (b *beads) goOn(s *stroll) {
	e := s.walk.next()
	if e == nil {
		if len(s.owes) > 0 {
			b.t.Fatalf("a walk is over and did not come to %d elements", len(s.owes))
		}
		s.walk.end()
		b.strolls = slices.DeleteFunc(b.strolls, func(x *stroll) bool { return x == s })
		return
	}
	if e.nth <= s.nth || !slices.Contains(b.want, e) {
		b.t.Fatalf("a walk came to element %d behind %d", e.nth, s.nth)
	}
	s.nth = e.nth
	s.owes = slices.DeleteFunc(s.owes, func(x *bead) bool { return x == e })
}

// check compares the list, forwards and backwards, with what must be in it.
func (b *beads) check() {
	if got := slices.Collect(b.list.all()); !slices.Equal(got, b.want) {
		b.t.Fatalf("the list has %d elements, want %d, or in another order", len(got), len(b.want))
	}
	back := slices.Clone(b.want)
	for e := b.list.last; e != nil; e = e.prev {
		if len(back) == 0 || back[len(back)-1] != e {
			b.t.Fatalf("element %d is out of order backwards", e.nth)
		}
		back = back[:len(back)-1]
	}
	if len(back) > 0 {
		b.t.Fatalf("backwards, %d elements are missing", len(back))
	}
	if len(b.list.walks) != len(b.strolls) {
		b.t.Fatalf("%d walks are known, %d are under way", len(b.list.walks), len(b.strolls))
	}
}

// Two lists share elements, each of which is in one of them or in none. They do what slices do,
// and walks come to each element that stays.
func TestListModel(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		lists := [2]*beads{{t: t}, {t: t}}
		free := make([]*bead, 6)
		for i := range free {
			free[i] = new(bead)
		}
		for range 200 {
			b := lists[r.IntN(2)]
			switch what := r.IntN(8); {
			case what < 3 && len(free) > 0:
				b.enter(free[len(free)-1])
				free = free[:len(free)-1]
			case what < 5 && len(b.want) > 0:
				e := b.want[r.IntN(len(b.want))]
				b.remove(e)
				free = append(free, e)
			case what == 5 && len(b.strolls) < 3:
				b.begin()
			case what > 5 && len(b.strolls) > 0:
				b.goOn(b.strolls[r.IntN(len(b.strolls))])
			}
			b.check()
		}
	}
}

// The body of a loop over all elements may take off the one that it was given.
func TestListTakenOffInLoop(t *testing.T) {
	b := &beads{t: t}
	for range 5 {
		b.enter(new(bead))
	}
	for e := range b.list.all() {
		if e.nth%2 == 0 {
			b.remove(e)
		}
	}
	b.check()
	for e := range b.list.all() {
		b.remove(e)
	}
	b.check()
}

// To enter, to leave and to go through a list allocates nothing.
func TestListAllocatesNothing(t *testing.T) {
	var l list[*bead]
	var elements [3]bead
	if n := testing.AllocsPerRun(100, func() {
		for i := range elements {
			l.enter(&elements[i])
		}
		for e := range l.all() {
			l.remove(e)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// Builds with assertions find an element that enters twice, leaves twice, or leaves a list that
// it is not in.
func TestListInvariant(t *testing.T) {
	breaks := func(what string, f func(l, other *list[*bead], e *bead)) {
		var l, other list[*bead]
		e := new(bead)
		l.enter(e)
		other.enter(new(bead))
		defer func() {
			if said := recover() != nil; said != invariant.On {
				t.Errorf("an element that %s: an assertion has failed: %t; they are in this build: %t", what, said, invariant.On)
			}
		}()
		f(&l, &other, e)
	}
	breaks("enters twice", func(l, _ *list[*bead], e *bead) { l.enter(e) })
	breaks("enters twice, with neighbours", func(l, _ *list[*bead], e *bead) {
		l.enter(new(bead))
		l.enter(e)
	})
	breaks("leaves twice", func(l, _ *list[*bead], e *bead) {
		l.remove(e)
		l.remove(e)
	})
	breaks("leaves a list that it is not in", func(_, other *list[*bead], e *bead) { other.remove(e) })
}

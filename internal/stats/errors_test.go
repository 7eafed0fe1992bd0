package stats

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Whatever servers say, at most 64 prefixes are told apart, none of them is a text
// that could not be a label, and the known ones keep their places.
func TestErrorNamesAreBounded(t *testing.T) {
	var n ErrorNames
	for _, no := range []string{"", "other", "lower", "WITH-DASH", "ÄÖ", "A B", strings.Repeat("A", MaxErrorName+1)} {
		if i := n.Index([]byte(no)); i != 0 {
			t.Errorf("%q has index %d", no, i)
		}
	}
	var all sync.WaitGroup
	for g := range 4 { // as many loops
		all.Go(func() {
			for i := range 1000 {
				name := fmt.Sprintf("MADE_UP_%d", (i+g*7)%500)
				at := n.Index([]byte(name))
				if names := n.Names(); at != 0 && names[at] != name {
					t.Errorf("index %d is %s, want %s", at, names[at], name)
				}
			}
		})
	}
	all.Wait()
	names := n.Names()
	if len(names) != MaxErrorNames+1 || names[0] != OtherError {
		t.Errorf("%d names, the first %q", len(names), names[0])
	}
	if len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
		t.Errorf("a name is there twice: %v", names)
	}
	for _, known := range []string{"OOM", "NOAUTH", "ERR", "SERVER_ERROR"} {
		if i := n.Index([]byte(known)); names[i] != known {
			t.Errorf("%s has index %d", known, i)
		}
	}
	if i := n.Index([]byte(strings.Repeat("A", MaxErrorName))); i != 0 {
		t.Errorf("one more has index %d", i)
	}
	if allocs := testing.AllocsPerRun(10, func() { n.Index([]byte("OOM")) }); allocs != 0 {
		t.Errorf("%v allocations to find a prefix", allocs)
	}
}

// Error replies are added up over the loops, and survive a reload.
func TestErrorRepliesAreSummed(t *testing.T) {
	layout := Layout{{Name: "p", Servers: []string{"a", "b"}}}
	s, other, dst := NewShard(layout), NewShard(layout), NewShard(layout)
	var n ErrorNames
	oom, err := n.Index([]byte("OOM")), n.Index([]byte("ERR"))
	Count(&s.Pools[0].Errors[1], oom)
	Count(&s.Pools[0].Errors[1], oom)
	Count(&other.Pools[0].Errors[1], oom)
	Count(&other.Pools[0].Errors[0], err)
	s.Reshape(Layout{{Name: "p", Servers: []string{"b", "a"}}}, []int{0})
	s.Copy(dst)
	Count(&s.Pools[0].Errors[0], oom) // which a copy does not see
	snap := Sum(layout, []*Shard{dst, other})
	a, b := snap.Pools[0].Servers[0].ErrorReplies(n.Names()), snap.Pools[0].Servers[1].ErrorReplies(n.Names())
	if len(a) != 1 || a["ERR"] != 1 || len(b) != 1 || b["OOM"] != 3 {
		t.Errorf("a: %v, b: %v", a, b)
	}
	if all := snap.Pools[0].ErrorReplies(n.Names()); len(all) != 2 || all["OOM"] != 3 || all["ERR"] != 1 {
		t.Errorf("of the pool: %v", all)
	}
}

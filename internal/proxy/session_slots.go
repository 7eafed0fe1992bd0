package proxy

import (
	"cmp"
	"slices"

	"nuthatch/internal/msg"
)

// A node of a cluster refuses a request about shard channels of several slots, as it does with
// keys. So there is a request for each slot:
//
//	SSUBSCRIBE a b c ─► SSUBSCRIBE a c ─► a node
//	                 ─► SSUBSCRIBE b   ─► the same node

// bySlot calls do with those names that one request to a server of the pool may have: all of them,
// or those of one slot after the other. A name keeps its place among those of its slot.
func bySlot(p *ServerPool, kind msg.Channels, names []string, do func(part []string, last bool)) {
	if kind != msg.ShardChannels || !p.bySlot || len(names) < 2 {
		do(names, true)
		return
	}
	type placed struct {
		name string
		slot int
	}
	all := make([]placed, len(names))
	for i, name := range names {
		all[i] = placed{name, p.slotOf([]byte(name))}
	}
	slices.SortStableFunc(all, func(a, b placed) int { return cmp.Compare(a.slot, b.slot) })
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].slot == all[0].slot {
			n++
		}
		part := make([]string, n)
		for i := range part {
			part[i] = all[i].name
		}
		all = all[n:]
		do(part, len(all) == 0)
	}
}

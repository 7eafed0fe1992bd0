package admin

import (
	"bytes"
	"testing"
	"time"

	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// A nextInstance is the program after an instance, which has begun a hundred seconds later.
type nextInstance struct{ *instance }

func (nextInstance) Wall(at int64) time.Time { return time.Unix(100, at) }

// TestFailingServersAreHanded: servers that are not up are so since they ceased to be in the
// program before. Disabled ones are in service again.
func TestFailingServersAreHanded(t *testing.T) {
	old, next := newInstance(t), nextInstance{newInstance(t)}
	since := int64(5 * time.Second)
	fails := func(topo *topology.Topology, h *topology.Health, at int64) {
		for _, at := range []int64{at - int64(2*time.Second), at} { // twice: the limit
			topo.Failed(h, msg.ConnRefused, at, at)
		}
	}
	one, two := old.topo[1].Servers()[0], old.topo[1].Servers()[1]
	for _, h := range []*topology.Health{one, two} {
		fails(old.topo[1], h, since)
	}
	old.topo[1].SetService(two, topology.OffTheRing, since)
	from, to := newRecorder(old, time.Now), newRecorder(next, time.Now)
	from.SetMemory(1 << 20)
	to.SetMemory(1 << 20)
	var handed bytes.Buffer
	if err := from.HandOver(&handed); err != nil {
		t.Fatal(err)
	}
	if _, err := to.TakeOver(&handed, new(stats.ErrorNames)); err != nil {
		t.Fatal(err)
	}
	for i, want := range []time.Duration{5 * time.Second, 110 * time.Second} {
		h := next.topo[1].Servers()[i]
		fails(next.topo[1], h, int64(10*time.Second))
		if got := next.Wall(h.State().Since).Sub(time.Unix(0, 0)); h.State().State != topology.Ejected || got != want {
			t.Errorf("server %d is %v since %v, want %v", i, h.State().State, got, want)
		}
	}
}

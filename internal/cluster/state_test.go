package cluster

import (
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/testkit"
)

// tells has the node say this in CLUSTER INFO.
func (f *fake) tells(info string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.info = info
}

// TestClusterRefuses: that nodes refuse requests is told of once, though the map is whole, and so
// is the end of it. Meanwhile the cluster is asked often.
func TestClusterRefuses(t *testing.T) {
	const fine, down = "cluster_state:ok\r\ncluster_slots_ok:16384", "cluster_state:fail\r\ncluster_slots_ok:8192"
	a, b := startFake(t), startFake(t)
	for _, f := range []*fake{a, b} {
		f.says("1 "+a.Addr()+" master 1 0-8191", "2 "+b.Addr()+" master 2 8192-16383")
	}
	w := newWatch(t, config.Login{}, a.Addr(), b.Addr())
	look := func(want string, atA, atB string) {
		t.Helper()
		a.tells(atA)
		b.tells(atB)
		testkit.Await(t, "the problem "+want, func() error {
			w.Look(t.Context())
			if s := w.Status(); s.Problem != want || s.Refuses != (want != "") || s.settled() != (want == "") || s.Map.Covered != NumSlots {
				return errNotYet
			}
			return nil
		})
	}
	const both = "cluster_state is fail at 2 of 2 nodes that were asked; 8192 of 16384 slots have no primary that works"
	look("", fine, fine)
	look(both, down, down)
	w.Look(t.Context())
	// A look at all nodes leaves that to the usual ones.
	w.takeWhole(t.Context(), wholeAnswers{w.askWhole(t.Context()), time.Now()})
	if s := w.Status(); !s.Refuses || s.Problem != both || !s.Map.Whole {
		t.Errorf("after a look at all nodes: refuses: %t, %q", s.Refuses, s.Problem)
	}
	look("", fine, fine)
	if got := w.changes(); len(got) != 2 || !got[0].Refuses || got[0].Problem == "" || got[1] != (Change{Refuses: true}) {
		t.Errorf("told %+v", got)
	}
}

// TestRefusal: most nodes decide. Those that do not say how their cluster is do not count.
func TestRefusal(t *testing.T) {
	fail, fine, mute := &answer{state: state{"fail", -1}}, &answer{state: state{"ok", NumSlots}}, &answer{state: state{served: -1}}
	for _, tt := range []struct {
		answers []*answer
		want    string
	}{
		{nil, ""},
		{[]*answer{mute, mute}, ""},
		{[]*answer{fail, fine}, ""},
		{[]*answer{fail, fine, fine}, ""},
		{[]*answer{fail, fail, fine}, "cluster_state is fail at 2 of 3 nodes that were asked"},
		{[]*answer{fail, mute}, "cluster_state is fail at 1 of 1 nodes that were asked"},
	} {
		if got := refusal(tt.answers); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

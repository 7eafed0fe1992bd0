package proxy

import (
	"testing"

	"nuthatch/internal/msg"
)

// Connections are shared by those who want the same of them: the version of RESP, the
// database and the user.
func TestLanesKeepApart(t *testing.T) {
	l := laneSet{laneByKey: make(map[msg.Lane]int)}
	keys := []msg.Lane{
		{RESP: 2},
		{RESP: 3},
		{RESP: 2, DB: 1},
		{RESP: 2, DB: msg.OwnDB},
		{RESP: 2, User: 1},
		{RESP: 2, User: 2},
		{RESP: 2, DB: 1, User: 1},
		{RESP: 2, Aside: true},
	}
	for i, key := range keys {
		if got := l.lane(key); got != i {
			t.Errorf("%+v has lane %d, want its own, %d", key, got, i)
		}
	}
	for i, key := range keys {
		if got := l.lane(key); got != i {
			t.Errorf("%+v has lane %d when it is asked for again, want %d", key, got, i)
		}
	}
}

// A lane counts its clients, but for the default one, and is swept when the last has
// left.
func TestLaneCountsClients(t *testing.T) {
	ctx := loneContext(t, poolOf(t, 1, ""))
	p := ctx.pools[0]
	i := p.lane(msg.Lane{RESP: 3, User: 1})
	one, two := newClient(p), newClient(p)
	p.enterLane(one, i)
	p.enterLane(two, i)
	if p.leaveLane(one); p.lanes[i].clients != 1 || one.lane != 0 || ctx.nextSweep != 0 {
		t.Errorf("%d clients in the lane, its leaver in %d, sweep at %d", p.lanes[i].clients, one.lane, ctx.nextSweep)
	}
	if p.leaveLane(two); p.lanes[i].clients != 0 || ctx.nextSweep == 0 {
		t.Errorf("%d clients in the lane, sweep at %d", p.lanes[i].clients, ctx.nextSweep)
	}
	p.enterLane(one, 0)
	if p.leaveLane(one); p.lanes[0].clients != 0 {
		t.Errorf("%d clients are counted in the default lane", p.lanes[0].clients)
	}
}

package proxy

import (
	"testing"
	"time"

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

// Lanes without clients are forgotten, and their places are used again: however many a
// client goes through, there are at most as many as in the time that one lingers.
func TestLanesAreSwept(t *testing.T) {
	const each, rounds = 50, 20
	ctx := loneContext(t, poolOf(t, 2, ""))
	p := ctx.pools[0]
	stays, goes := newClient(p), newClient(p)
	kept := msg.Lane{RESP: 3, DB: 7}
	p.enterLane(stays, p.lane(kept))
	now := int64(time.Second)
	for round := range rounds {
		for i := range each {
			l := p.lane(msg.Lane{RESP: 2, DB: round*each + i, User: 1})
			p.enterLane(goes, l)
			p.servers[0].addLane(l)
			p.servers[0].addConn(l, 0)
			p.leaveLane(goes)
		}
		now += laneLinger + 1
		if _, err := ctx.Loop().Step(now); err != nil {
			t.Fatal(err)
		}
		if len(p.laneByKey) != 2 || len(p.lanes) > each+2 {
			t.Fatalf("after round %d there are %d lanes, in %d places", round, len(p.laneByKey), len(p.lanes))
		}
	}
	if ctx.nextSweep != 0 {
		t.Errorf("the next sweep is at %d, with nothing to sweep", ctx.nextSweep)
	}
	for i, conns := range p.servers[0].lanes {
		if conns != nil {
			t.Errorf("the server keeps connections of lane %d, which is none", i)
		}
	}
	if got := p.lanes[p.lane(kept)]; got.clients != 1 || got.key != kept {
		t.Errorf("the lane of the client that stays is %+v", got)
	}
}

// A lane is not forgotten as long as a private connection is in it: whoever comes to its
// place would have another database.
func TestLaneOfPrivateConnectionStays(t *testing.T) {
	ctx := loneContext(t, poolOf(t, 1, ""))
	p := ctx.pools[0]
	c := newClient(p)
	l := p.lane(msg.Lane{RESP: 2, DB: 3})
	p.enterLane(c, l)
	conn := newServerConn(p.servers[0], p.lanes[l])
	conn.private = &private{conn: conn}
	p.servers[0].store.add(conn)
	p.leaveLane(c)
	step := func(now int64) {
		if _, err := ctx.Loop().Step(now); err != nil {
			t.Fatal(err)
		}
	}
	step(laneLinger + 1)
	if p.lanes[l] == nil || ctx.nextSweep == 0 {
		t.Error("it is forgotten, or not looked at again")
	}
	p.servers[0].store.remove(conn)
	step(2*laneLinger + 2)
	if p.lanes[l] != nil {
		t.Error("it stays")
	}
}

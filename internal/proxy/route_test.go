package proxy

import (
	"slices"
	"testing"

	"nuthatch/internal/hashkit"
	"nuthatch/internal/msg"
	"nuthatch/internal/route"
)

// shardsOfTwo is a table of a pool's first two servers, each of which is written to at
// one and read from at the other. The second has every key.
func shardsOfTwo() *route.Table {
	nodes := []hashkit.Node{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}}
	ring := hashkit.Ring{Hash: hashkit.FNV1a_64, Continuum: hashkit.NewContinuum(hashkit.Modula, nodes)}
	return route.NewTable(ring, []route.Shard{{route.Write: {0}, route.Read: {1}}, {route.Write: {1}, route.Read: {0}}}, []uint16{1})
}

// A newer snapshot of the same servers may have another table: other shards, other servers
// to read from, and others that together have all keys.
func TestNewerTable(t *testing.T) {
	ctx := loneContext(t, poolOf(t, 3, ""))
	p := ctx.pools[0]
	if got := p.everywhere(); !slices.Equal(got, p.servers) {
		t.Errorf("a ring's keys are at %d servers, want all %d", len(got), len(p.servers))
	}
	before := p.everywhere()
	next := *p.snap
	next.Table = shardsOfTwo()
	p.refresh(&next)
	if got := p.everywhere(); len(got) != 1 || got[0] != p.servers[1] || len(before) != 3 {
		t.Errorf("all keys are at %d servers, want the second; the list before has %d, want 3", len(got), len(before))
	}
	reads := serversOf(t, p, parsed(t, p, "*3\r\n$4\r\nMGET\r\n$1\r\nx\r\n$1\r\ny\r\n"))
	writes := serversOf(t, p, parsed(t, p, "*3\r\n$3\r\nDEL\r\n$1\r\nx\r\n$1\r\ny\r\n"))
	if len(reads) != 2 || reads[0] == writes[0] || reads[1] == writes[1] {
		t.Errorf("two keys are read at %d servers and written at %d, want two, and the other for each", len(reads), len(writes))
	}
}

// A request is placed by the snapshot with which that began, at once or in slices, and both
// ways alike.
func TestPlacingKeepsItsSnapshot(t *testing.T) {
	ctx := loneContext(t, poolOf(t, 3, ""))
	p := ctx.pools[0]
	req := parsed(t, p, "*4\r\n$4\r\nMGET\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\nz\r\n")
	want := serversOf(t, p, req)
	kept, to := p.newPlacing(req.Type), make([]uint16, 3)
	next := *p.snap
	next.Table = shardsOfTwo()
	p.refresh(&next)
	for i := range to {
		if !p.place(&kept, req, i, to[i:i+1]) {
			t.Fatal("no server is live")
		}
		if got := kept.shares[to[i]].server; got != want[i] {
			t.Errorf("key %d is placed at %s, want %s", i, got.ServerName(), want[i].ServerName())
		}
	}
	for _, n := range p.shares {
		if n != 0 {
			t.Error("the scratch space of requests that are placed at once was used")
		}
	}
}

// parsed is a request, valid until another one is parsed.
func parsed(t *testing.T, p *ServerPool, text string) *msg.Request {
	t.Helper()
	parser := p.proto.NewRequestParser()
	n, done, err := parser.Parse([]byte(text))
	if !done || err != nil {
		t.Fatal(done, err)
	}
	return parser.Finish([]byte(text)[:n])
}

// serversOf are the servers of a request's keys.
func serversOf(t *testing.T, p *ServerPool, req *msg.Request) []*Server {
	t.Helper()
	if !p.dealKeys(req) {
		t.Fatal("no server is live")
	}
	d := &p.ctx.deal
	servers := make([]*Server, 0, len(d.to))
	for _, share := range d.to {
		servers = append(servers, d.shares[share].server)
	}
	return servers
}

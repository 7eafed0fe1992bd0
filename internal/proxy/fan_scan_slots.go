package proxy

import (
	"cmp"
	"slices"

	"nuthatch/internal/hashkit"
	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// SCAN in a cluster goes from primary to primary. They may come and go, and slots may move
// from one to the other, while a client scans. So a cursor names its node by a tag, and the
// map of slots with which the client began:
//
//	cursor = node's cursor * 2^24 + version of the map * 2^12 + tag of the node
//
// The nodes are scanned in the order of their tags. A node that is gone is passed over. A
// newer map is asked for while the last node is scanned. If it is another one when that node
// is done, keys may have moved past the scan: it begins again, with the present map. So a full iteration ends with one in which no slot
// changed its node. A key that is there all the time is then returned, unless it moved
// within a slot that is still on its way.

const (
	// scanBase is what a node's cursor is multiplied by.
	scanBase = 1 << 24
	tagBits  = 12
	// maxTag is the greatest tag. 0 is none.
	maxTag = 1<<tagBits - 1
)

// A tagged is a server with its tag.
type tagged struct {
	server *Server
	tag    int
}

// taggedNodes are the pool's primaries by their tags.
func taggedNodes(p *ServerPool) []tagged {
	all := make([]tagged, 0, len(p.everywhere()))
	for _, s := range p.everywhere() {
		all = append(all, tagged{s, 1 + int(hashkit.FNV1a_32.Sum([]byte(s.conf.StatsName())))%maxTag})
	}
	slices.SortFunc(all, func(a, b tagged) int {
		return cmp.Or(cmp.Compare(a.tag, b.tag), cmp.Compare(a.server.conf.StatsName(), b.server.conf.StatsName()))
	})
	for i := 1; i < len(all); i++ { // each has one of its own
		all[i].tag = max(all[i].tag, all[i-1].tag+1)
	}
	return all
}

// scanSlots sends a SCAN to the node that its cursor names.
func scanSlots(c *client, req *msg.Request) {
	p := c.pool
	at, ok := p.proto.chooser.OneServer(req, scanBase)
	if !ok {
		c.local(req)
		return
	}
	now := p.mapVersion() % (1 << (24 - tagBits))
	version, tag := at>>tagBits, at&maxTag
	if at == 0 {
		version, tag = now, 0
	}
	all := taggedNodes(p)
	i := max(0, slices.IndexFunc(all, func(t tagged) bool { return t.tag >= tag }))
	base := scanBase
	if all[i].tag != tag { // it begins there
		base = 0
	}
	next := 0
	switch {
	case i+1 < len(all):
		next = version<<tagBits | all[i+1].tag
	case version == now:
		p.topo.WantMap(topology.WantScan, nil)
	default:
		next = now<<tagBits | all[0].tag
	}
	one := openFan(c, req)
	f, conn := one.addConnected(all[i].server)
	p.ctx.msgs.SetScan(f, version<<tagBits|all[i].tag, next)
	if conn != nil {
		begin := conn.Out().Len()
		p.proto.chooser.AppendOne(req, base, p.ctx.bufs, conn.Out())
		one.send(f, conn, begin)
	}
	one.mergeIfDone()
}

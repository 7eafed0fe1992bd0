package proxy

import (
	"slices"
	"time"

	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// SCAN in a cluster goes from primary to primary, while slots and their keys may move from one
// to the other. The nodes have an order that all proxies agree on. A key is missed only if it
// moves back: from a node that is still to be scanned to one that has been. So there are two
// passes, in both directions, and each ends with a look at all nodes, which must begin when the
// pass is over:
//
//	first pass, forth ─► look ─┬─ no slot has moved back ──────────────────► end
//	      ▲                    └─ else: second pass, back ─► look ─┬─ no slot has moved back
//	      │                                                        │  and then forth ────────► end
//	      └──────────────────────── else: two passes anew ◄────────┘
//
// What moves in one direction only is seen in one of the two passes. What is known of moves is
// in topology.ScanLog. All that a scan must remember is in the client's cursor
// (msg.ScanPlace), so any proxy of the cluster may go on with it.

// scanSkew is how much the clocks of proxies may differ that share a scan.
const scanSkew = 250 * time.Millisecond

// scanSlots sends a SCAN to the node that its cursor names.
func scanSlots(c *client, req *msg.Request) {
	p := c.pool
	low, ok := p.proto.chooser.OneServer(req, msg.ScanShort)
	if !ok {
		c.local(req)
		return
	}
	p.topo.WantMap(topology.WantScan, nil)
	nodes := p.snap.Scans.Nodes
	now := scanTicks(p)
	at, base := msg.ScanPlaceOf(low, now)
	i := 0
	switch {
	case low == 0:
		at, base = scanBegin(nodes, now), 0
	case at.Tag == 0 && !hasLooked(c, 0):
		return
	case at.Tag == 0:
		if at, base = scanNext(p, at, now), 0; at.Tag == 0 {
			openFan(c, req).mergeIfDone() // without a reply: the end
			return
		}
		if at.Back {
			i = len(nodes) - 1
		}
	default:
		if i = slices.IndexFunc(nodes, func(n topology.ScanNode) bool { return n.Tag == at.Tag }); i < 0 {
			// It is gone, and its keys are elsewhere, or it is new.
			p.topo.WantMap(topology.WantUnknown, nil)
			at, base, i = scanBegin(nodes, now), 0, 0
		}
	}
	next := at
	next.Tag = 0
	if j := i + step(at.Back); j >= 0 && j < len(nodes) {
		next.Tag = nodes[j].Tag
	}
	one := openFan(c, req)
	f, conn := one.addConnected(p.serverOfScan(nodes[i]))
	p.ctx.msgs.SetScan(f, at.Cursor(), next.Cursor())
	if conn != nil {
		begin := conn.Out().Len()
		p.proto.chooser.AppendOne(req, base, p.ctx.bufs, conn.Out())
		one.send(f, conn, begin)
	}
	one.mergeIfDone()
}

func step(back bool) int {
	if back {
		return -1
	}
	return 1
}

// scanTicks is the present time as in msg.ScanPlace.
func scanTicks(p *ServerPool) int64 {
	return p.ctx.loop.WallMicros(p.ctx.loop.Now()) / msg.ScanTick.Microseconds()
}

// scanBegin is where a scan begins.
func scanBegin(nodes []topology.ScanNode, now int64) msg.ScanPlace {
	return msg.ScanPlace{Began: now, Tag: nodes[0].Tag}
}

// scanNext is where a scan goes on that has ended a pass. Its tag is 0 if the scan is over.
func scanNext(p *ServerPool, at msg.ScanPlace, now int64) msg.ScanPlace {
	scans := p.snap.Scans
	since := p.ctx.loop.Now() - (max(now-at.Began, 0)+1)*int64(msg.ScanTick) - int64(scanSkew)
	moved := scans.Back
	if at.Back {
		moved = scans.Turned
	}
	switch {
	case since >= max(scans.Known, moved+1, scans.Shifted+1):
		return msg.ScanPlace{}
	case at.Back || since < scans.Known:
		return scanBegin(scans.Nodes, now)
	}
	at.Back, at.Tag = true, scans.Nodes[len(scans.Nodes)-1].Tag
	return at
}

package proxy

import "slices"

// A nodeSeries is the series that a node gets of a request. It is scratch space.
type nodeSeries struct {
	server *Server
	// keys is how many shares of one key the server has. at is the place of the series among
	// the fragments, plus 1; 0: it is not made yet.
	keys int32
	at   uint16
}

// findSeries counts the shares of one key that each node has.
func (r *router) findSeries(d *deal) {
	nodes := r.snap.Table.NumShards()
	d.nodes = slices.Grow(d.nodes[:0], nodes)[:nodes]
	for i := range d.shares {
		share := &d.shares[i]
		if share.keys > 1 {
			continue
		}
		node := &d.nodes[r.snap.Table.ShardOfSlot(int(share.shard))]
		if node.server == nil {
			node.server = share.server
		}
		if node.server == share.server {
			node.keys++
		}
	}
}

// seriesOf is the series that has the share; nil: it is a fragment by itself.
func (r *router) seriesOf(d *deal, share *share) *nodeSeries {
	if share.keys > 1 {
		return nil
	}
	node := &d.nodes[r.snap.Table.ShardOfSlot(int(share.shard))]
	if node.server != share.server || node.keys == 1 {
		return nil
	}
	return node
}

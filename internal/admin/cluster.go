package admin

import (
	"fmt"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/route"
	"nuthatch/internal/topology"
)

// nodesOf are what the servers are in their cluster; each is nil if the pool is none.
func nodesOf(snap *topology.Snapshot) []*api.ClusterNode {
	all := make([]*api.ClusterNode, len(snap.Servers))
	slots, names := snap.Slots(), make(map[string]string, len(snap.Nodes))
	for i := range snap.Nodes {
		names[snap.Nodes[i].ID] = snap.Names[i]
	}
	for i := range snap.Nodes {
		n := &snap.Nodes[i]
		all[i] = &api.ClusterNode{Slots: slots[i], ID: n.ID, Failing: n.Failing, Zone: n.Zone}
		if n.ID != "" {
			all[i].Role = n.Role.String()
		}
		if n.Of != "" {
			all[i].Of = names[n.Of]
		}
	}
	return all
}

// unready says why a cluster is not ready to serve; empty: it is.
func unready(p *config.Pool, snap *topology.Snapshot, least int) string {
	up, n := 0, len(snap.Table.All())
	if snap.Table.NumShards() == 0 {
		return fmt.Sprintf("pool %q: no node of the cluster has said which slots it has", p.Name)
	}
	for _, place := range snap.Table.All() {
		if snap.Servers[place].State().State == topology.Up {
			up++
		}
	}
	if up*100 < least*n {
		return fmt.Sprintf("pool %q: %d of %d primaries are up, less than %d%%", p.Name, up, n, least)
	}
	return ""
}

// placeInCluster tells which node owns a key, and why.
func placeInCluster(p *config.Pool, snap *topology.Snapshot, key string) api.Placement {
	ring := snap.Table.Ring()
	hashed, slot := string(ring.Tag.Of([]byte(key))), snap.Table.Slot([]byte(key))
	point := uint32(slot)
	found := api.Placement{
		Pool: p.Name, Key: key, Hashed: hashed, Tagged: hashed != key,
		Function: "crc16", Hash: ring.Hash.Sum([]byte(hashed)), Distribution: ring.Continuum.Distribution().String(), Point: &point,
	}
	at := snap.Table.OwnerOfSlot(slot)
	if at == route.NoServer {
		found.Why = fmt.Sprintf("crc16(%q) modulo 16384 is slot %d, which no node has", hashed, slot)
		return found
	}
	s := snap.Server(int(at))
	found.Server, found.Address, found.State = s.StatsName(), s.Address.String(), snap.Servers[at].State().State.String()
	found.Why = fmt.Sprintf("crc16(%q) modulo 16384 is slot %d, which is %s's", hashed, slot, found.Server)
	return found
}

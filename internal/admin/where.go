package admin

import (
	"fmt"
	"net/http"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/hashkit"
	"nuthatch/internal/topology"
)

// maxKeys is how many keys one question may be about.
const maxKeys = 1000

// where tells who owns keys, and why.
func (h *handler) where(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	keys, name := query["key"], query.Get("pool")
	switch n := len(keys); {
	case n == 0:
		fail(w, http.StatusBadRequest, fmt.Sprintf("the parameter key is missing; give it 1 to %d times", maxKeys))
		return
	case n > maxKeys:
		fail(w, http.StatusBadRequest, fmt.Sprintf("%d keys are too many for one question; ask for at most %d at a time", n, maxKeys))
		return
	}
	conf, topo := h.Instance.InForce()
	found := api.Where{Placements: []api.Placement{}}
	for i := range conf.Pools {
		if name != "" && conf.Pools[i].Name != name {
			continue
		}
		snap := topo[i].Snapshot()
		ring := snap.Table.Ring()
		for _, key := range keys {
			if snap.Table.IsSlots() {
				found.Placements = append(found.Placements, placeInCluster(&conf.Pools[i], snap, key))
				continue
			}
			found.Placements = append(found.Placements, place(&conf.Pools[i], snap, &ring, key))
		}
	}
	if len(found.Placements) == 0 {
		refuse(w, fmt.Errorf("%w: %q", ErrNoPool, name))
		return
	}
	answer(w, found)
}

func place(p *config.Pool, snap *topology.Snapshot, ring *hashkit.Ring, key string) api.Placement {
	hashed := string(ring.Tag.Of([]byte(key)))
	hash := ring.KeyHash([]byte(key))
	found := api.Placement{
		Pool: p.Name, Key: key, Hashed: hashed, Tagged: hashed != key,
		Function: p.Hash.String(), Hash: hash, Distribution: p.Distribution.String(),
	}
	switch {
	case snap.Owners() == 1:
		found.Why = "it is the pool's only server"
	case p.Distribution == hashkit.Random:
		found.Why = "any server may get it: the pool is distributed at random"
		return found
	}
	at := snap.Owner([]byte(key))
	if at < 0 {
		found.Why = "no server is live"
		return found
	}
	s := snap.Server(at)
	found.Server, found.Address, found.State = s.StatsName(), s.Address.String(), snap.Servers[at].State().State.String()
	if snap.Owners() == 1 {
		return found
	}
	point, _ := ring.Continuum.Lookup(hash)
	found.Point = &point.Value
	found.Why = fmt.Sprintf("%s(%q) is %d; the next point of the ring is %d, which is %s's",
		found.Function, hashed, hash, point.Value, found.Server)
	if p.Distribution == hashkit.Modula {
		// There may be more slots than the hash has values.
		slots := uint64(ring.Continuum.Points())
		found.Why = fmt.Sprintf("%s(%q) is %d; divided by %d slots that leaves %d, which is %s's",
			found.Function, hashed, hash, slots, uint64(hash)%slots, found.Server)
	}
	if owner := snap.HomeOwner([]byte(key)); owner != at {
		found.Home = snap.Names[owner]
		found.Why += "; its own server, " + found.Home + ", is " + snap.Servers[owner].State().State.String()
	}
	return found
}

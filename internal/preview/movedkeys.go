package preview

import (
	"nuthatch/internal/config"
	"nuthatch/internal/hashkit"
)

// How shares are computed, for the reader.
const (
	howExact  = "counted over every value of the hash"
	howHashed = "the hash changes, so the old and the new server of a key are independent"
	howRandom = "with distribution random no server owns a key"
)

// compareKeys returns what happens to the keys of a pool.
func compareKeys(old, changed *config.Pool) []Keys {
	switch {
	case old.Distribution == hashkit.Random && changed.Distribution == hashkit.Random:
		return nil
	case old.Distribution == hashkit.Random || changed.Distribution == hashkit.Random:
		return []Keys{{Which: "all keys", How: howRandom, Moved: 1}}
	case !hashMatters(old, changed):
		return []Keys{exactly(old, changed, "all keys")}
	case old.Hash != changed.Hash:
		return []Keys{independently(old, changed, "all keys")}
	case old.HashTag != changed.HashTag:
		return []Keys{
			exactly(old, changed, "keys without a hash tag"),
			independently(old, changed, "keys with a hash tag, "+tags(old, changed)),
		}
	}
	return []Keys{exactly(old, changed, "all keys")}
}

// hashMatters: two pools of one server each use no hash.
func hashMatters(old, changed *config.Pool) bool {
	return len(old.Servers) > 1 || len(changed.Servers) > 1
}

func tags(old, changed *config.Pool) string {
	switch {
	case old.HashTag == "":
		return changed.HashTag
	case changed.HashTag == "":
		return old.HashTag
	}
	return old.HashTag + " or " + changed.HashTag
}

func exactly(old, changed *config.Pool, which string) Keys {
	k := Keys{Which: which, How: howExact}
	counts := hashkit.Overlap(continuum(old), continuum(changed), changed.Hash)
	all := float64(uint64(1) << changed.Hash.Bits())
	parts := make([][]float64, len(counts))
	for i, row := range counts {
		for _, n := range row {
			parts[i] = append(parts[i], float64(n)/all)
		}
	}
	k.enter(old, changed, parts)
	return k
}

// independently multiplies the shares that the servers have in both rings.
func independently(old, changed *config.Pool, which string) Keys {
	k := Keys{Which: which, How: howHashed}
	before, after := shares(old), shares(changed)
	products := make([][]float64, len(before))
	for i, x := range before {
		for _, y := range after {
			products[i] = append(products[i], x*y)
		}
	}
	k.enter(old, changed, products)
	return k
}

// shares are the parts of all keys that the servers own.
func shares(p *config.Pool) []float64 {
	c := continuum(p)
	all := float64(uint64(1) << p.Hash.Bits())
	parts := make([]float64, len(p.Servers))
	for i, row := range hashkit.Overlap(c, c, p.Hash) {
		parts[i] = float64(row[i]) / all
	}
	return parts
}

// enter notes the share of the keys that goes from the i-th old server to the j-th new
// one.
func (k *Keys) enter(old, changed *config.Pool, parts [][]float64) {
	for i, row := range parts {
		for j, share := range row {
			from, to := &old.Servers[i], &changed.Servers[j]
			if share == 0 || sameServer(from, to) {
				continue
			}
			k.Moved += share
			k.Moves = append(k.Moves, Move{From: from.NodeName(), To: to.NodeName(), Share: share})
		}
	}
	sortMoves(k.Moves)
}

// sameServer: a key that keeps its server's name or address does not move. If
// only the address of a name changes, the data is expected to move along.
func sameServer(a, b *config.Server) bool {
	return a.NodeName() == b.NodeName() || a.Address == b.Address
}

func continuum(p *config.Pool) *hashkit.Continuum {
	nodes := make([]hashkit.Node, len(p.Servers))
	for i := range p.Servers {
		nodes[i] = hashkit.Node{Name: p.Servers[i].NodeName(), Weight: p.Servers[i].Weight}
	}
	return hashkit.NewContinuum(p.Distribution, nodes)
}

// moved is the share of keys that move, if they are hashed as before.
func moved(old, changed *config.Pool) float64 { return exactly(old, changed, "").Moved }

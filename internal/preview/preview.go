// Package preview compares two configurations: which pools are added and
// removed, which settings change, and for each pool the share of keys that move
// to another server.
//
//	old ─┐            settings: the table of keys in config
//	     ├─ Compare ─ keys: both continua, walked side by side (hashkit.Overlap)
//	new ─┘            warnings: the same again, with the names or weights kept
//
// Nothing here is sampled: shares are counted over all values of the hash. They
// are shares of keys if the hash spreads the keys evenly and if a new hash is
// independent of the old one.
package preview

import (
	"cmp"
	"slices"

	"nuthatch/internal/config"
)

// A Report is what changes between two configurations.
type Report struct {
	// Process are the changes in the block "nuthatch:".
	Process []config.Change `json:"process,omitempty"`
	// Added and Removed are the names of pools.
	Added   []string `json:"added,omitempty"`
	Removed []string `json:"removed,omitempty"`
	// Pools are those that stay and change.
	Pools []Pool `json:"pools,omitempty"`
}

// A Pool is what changes in a pool that stays.
type Pool struct {
	Name     string          `json:"name"`
	Settings []config.Change `json:"settings,omitempty"`
	Servers  []Server        `json:"servers,omitempty"`
	Keys     []Keys          `json:"keys,omitempty"`
	Warnings []Warning       `json:"warnings,omitempty"`
}

// A Server is a server that is added, removed or changed. It is known by the
// name that places it on the ring. Old or New is empty if it was not, or will
// not be, there.
type Server struct {
	Name string `json:"name"`
	// Old and New are the server's lines in the file.
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
}

// Keys is what happens to a pool's keys, or to a class of them.
type Keys struct {
	// Which are the keys, and How their share was computed.
	Which string `json:"which"`
	How   string `json:"how"`
	// Moved is the share of the keys that will be looked for elsewhere, 0 to 1.
	Moved float64 `json:"moved"`
	// Moves are its parts, the largest first.
	Moves []Move `json:"moves,omitempty"`
}

// A Move is the share of the keys that will be looked for on To instead of From.
type Move struct {
	From  string  `json:"from"`
	To    string  `json:"to"`
	Share float64 `json:"share"`
}

// A Warning is about keys that move without need, or about clients for which there may be
// no room.
type Warning struct {
	// What moves them, and which share of them, or why there may be none.
	What string `json:"what"`
	// Instead says how to avoid that.
	Instead string `json:"instead"`
}

// Empty reports whether nothing changes.
func (r *Report) Empty() bool {
	return len(r.Process)+len(r.Added)+len(r.Removed)+len(r.Pools) == 0
}

// Warned reports whether the report has warnings.
func (r *Report) Warned() bool {
	return slices.ContainsFunc(r.Pools, func(p Pool) bool { return len(p.Warnings) > 0 })
}

// Compare returns what changes from old to changed. Pools are known by their
// names.
func Compare(old, changed *config.Config) *Report {
	r := &Report{Process: config.ProcessChanges(&old.Process, &changed.Process)}
	for i := range old.Pools {
		p := &old.Pools[i]
		if q := poolNamed(changed, p.Name); q == nil {
			r.Removed = append(r.Removed, p.Name)
		} else if d := comparePool(p, q); d != nil {
			r.Pools = append(r.Pools, *d)
		}
	}
	for i := range changed.Pools {
		if name := changed.Pools[i].Name; poolNamed(old, name) == nil {
			r.Added = append(r.Added, name)
		}
	}
	return r
}

func poolNamed(c *config.Config, name string) *config.Pool {
	i := slices.IndexFunc(c.Pools, func(p config.Pool) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Pools[i]
}

// comparePool returns what changes from old to changed, nil if nothing does.
func comparePool(old, changed *config.Pool) *Pool {
	d := &Pool{
		Name:     old.Name,
		Settings: config.PoolChanges(old, changed),
		Servers:  compareServers(old, changed),
	}
	if len(d.Settings) == 0 && len(d.Servers) == 0 {
		return nil
	}
	if old.Cluster.On || changed.Cluster.On {
		compareClusters(old, changed, d)
	} else {
		d.Keys = compareKeys(old, changed)
		d.Warnings = warn(old, changed, d)
	}
	d.Warnings = appendListeners(d.Warnings, old, changed)
	return d
}

// The memory of a comparison, in bytes: for each server (its name, its points on a
// ring, what is made of them), for each two servers between which keys may move, and
// for each two between which some do.
const (
	perName, perServer = 200, 11 << 10
	perPair, perMove   = 16, 200
	pointsPerServer    = 160
)

// Memory is about how much memory Compare takes, and its report, in bytes.
func Memory(old, changed *config.Config) int64 {
	sum := int64(0)
	for i := range old.Pools {
		p := &old.Pools[i]
		q := poolNamed(changed, p.Name)
		if q == nil {
			continue
		}
		n, m, differ := int64(len(p.Servers)), int64(len(q.Servers)), differing(p, q)
		if differ == 0 && len(config.PoolChanges(p, q)) == 0 {
			sum += perName * (n + m)
			continue
		}
		moves := n * m
		if p.Hash == q.Hash && p.HashTag == q.HashTag {
			moves = min(moves, pointsPerServer*(n+m), differ*max(n, m))
		}
		sum += perServer*(n+m) + perPair*n*m + perMove*moves
	}
	return sum
}

// differing is how many servers are not the same in both.
func differing(old, changed *config.Pool) int64 {
	if old.Distribution != changed.Distribution {
		return int64(len(old.Servers) + len(changed.Servers))
	}
	return int64(len(compareServers(old, changed)))
}

// compareServers lists what is not the same in both, by name.
func compareServers(old, changed *config.Pool) []Server {
	var all []Server
	before, after := byName(old), byName(changed)
	for i := range old.Servers {
		s := &old.Servers[i]
		d := Server{Name: s.NodeName(), Old: s.Text}
		if t := after[d.Name]; t != nil {
			d.New = t.Text
		}
		if d.Old != d.New {
			all = append(all, d)
		}
	}
	for i := range changed.Servers {
		s := &changed.Servers[i]
		if name := s.NodeName(); before[name] == nil {
			all = append(all, Server{Name: name, New: s.Text})
		}
	}
	return all
}

// byName are the pool's servers.
func byName(p *config.Pool) map[string]*config.Server {
	named := make(map[string]*config.Server, len(p.Servers))
	for i := range p.Servers {
		named[p.Servers[i].NodeName()] = &p.Servers[i]
	}
	return named
}

// sortMoves puts the largest share first.
func sortMoves(moves []Move) {
	slices.SortStableFunc(moves, func(a, b Move) int { return cmp.Compare(b.Share, a.Share) })
}

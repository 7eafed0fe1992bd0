package stats

// ServerSnapshot is the state of one server over all loops.
type ServerSnapshot struct {
	// Name is the server's name in the layout.
	Name string
	// Values are indexed by ServerField.
	Values [numServerFields]int64
	// Vectors are indexed by ServerVector.
	Vectors [numServerVectors]Reasons
	// Errors are the error replies by prefix; nil if there were none.
	Errors *ErrorCounts
}

// PoolSnapshot is the state of one pool over all loops.
type PoolSnapshot struct {
	// Name is the pool's name in the layout.
	Name string
	// Values are indexed by PoolField.
	Values [numPoolFields]int64
	// Vectors are indexed by PoolVector.
	Vectors [numPoolVectors]Reasons
	// Servers are in the layout's order.
	Servers []ServerSnapshot
}

// Snapshot is the state of the whole process at one moment, give or take the
// turns that the loops took between their copies. Sum fills Pools and the
// connection counts; the rest is for the caller to fill. It is plain data and
// belongs to whoever holds it.
type Snapshot struct {
	// Source is the name of the host.
	Source string
	// Version is the version of the program that counted: nuthatch's own, not that
	// of the nutcracker it stands in for. Graphs ignore this value; a person wants
	// to know which program runs.
	Version string
	// Uptime is the age of the process in seconds.
	Uptime int64
	// Timestamp is the time of the snapshot in seconds since the Unix epoch.
	Timestamp int64
	// TotalConnections counts all connections since the start.
	TotalConnections int64
	// CurrConnections is the number of connections open now.
	CurrConnections int64
	// Pools are in the layout's order.
	Pools []PoolSnapshot
	// ErrorNames are the prefixes of error replies, by their index in ErrorCounts.
	ErrorNames []string
	// Loops are the event loops, in the order of the shards, which is that of their IDs.
	Loops []LoopSnapshot
}

// LoopSnapshot is the state of one event loop, indexed by LoopField.
type LoopSnapshot [numLoopFields]int64

// Sum merges the copies of all shards, in the order of their loops, into one snapshot:
// counters and gauges are added, of timestamps the latest is taken.
//
// Pools and servers are matched by name. A shard may have another layout during
// a reload. It contributes the pools and servers that both layouts have.
func Sum(layout Layout, shards []*Shard) *Snapshot {
	snap := &Snapshot{Pools: make([]PoolSnapshot, len(layout))}
	pools := make(map[string]*PoolSnapshot, len(layout))
	for i, l := range layout {
		p := &snap.Pools[i]
		p.Name = l.Name
		p.Servers = make([]ServerSnapshot, len(l.Servers))
		for j, name := range l.Servers {
			p.Servers[j].Name = name
		}
		pools[l.Name] = p
	}
	for _, s := range shards {
		snap.TotalConnections += s.TotalConnections
		snap.CurrConnections += s.CurrConnections
		snap.Loops = append(snap.Loops, s.Values)
		for i, l := range s.layout {
			if p := pools[l.Name]; p != nil {
				p.add(l, &s.Pools[i])
			}
		}
	}
	return snap
}

// add merges one shard's view of the pool, whose layout in that shard is l.
func (p *PoolSnapshot) add(l PoolLayout, shard *PoolShard) {
	for f, field := range PoolFields {
		p.Values[f] = field.Kind.combine(p.Values[f], shard.Values[f])
	}
	for v, field := range &PoolVectors {
		p.Vectors[v].add(field.Kind, &shard.Vectors[v])
	}
	servers := make(map[string]*ServerSnapshot, len(p.Servers))
	for i := range p.Servers {
		servers[p.Servers[i].Name] = &p.Servers[i]
	}
	for i, name := range l.Servers {
		s := servers[name]
		if s == nil {
			continue
		}
		for f, field := range &ServerFields {
			s.Values[f] = field.Kind.combine(s.Values[f], shard.Servers[i][f])
		}
		for v, field := range &ServerVectors {
			s.Vectors[v].add(field.Kind, &shard.Reasons[i][v])
		}
		s.Errors = s.Errors.add(shard.Errors[i])
	}
}

// add merges the values of another shard.
func (r *Reasons) add(k Kind, other *Reasons) {
	for i, v := range other {
		r[i] = k.combine(r[i], v)
	}
}

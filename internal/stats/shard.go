// Package stats counts what happens per pool and per server.
//
// There are no atomics and no locks: every event loop owns one Shard and adds
// to it with plain additions; a reader lets each loop copy its shard (a
// function posted to the loop calls Copy) and merges the copies with Sum.
//
//	loop 0: Shard ──Copy──▶ copy ─┐
//	loop 1: Shard ──Copy──▶ copy ─┼─Sum──▶ Snapshot ──AppendJSON──▶ statistics port
//	loop n: Shard ──Copy──▶ copy ─┘
//
// One table per level (PoolFields, ServerFields, LoopFields, PoolVectors,
// ServerVectors) holds each statistic's name, kind, unit and help; everything else
// is made from it.
package stats

import "slices"

// PoolLayout names a pool and its servers.
type PoolLayout struct {
	// Name is the pool's name in the configuration.
	Name string
	// Servers are the names that the servers are hashed under: the configured
	// name, or else nutcracker's rule for servers without one. They are unique
	// within the pool.
	Servers []string
}

// Layout says what a shard has counters for. The index of a pool or server in
// the layout is its index in the shard. A layout that was handed to NewShard or
// Sum must not be changed any more.
type Layout []PoolLayout

// ServerShard holds one loop's values of one server, indexed by ServerField.
type ServerShard [numServerFields]int64

// ServerReasons holds one loop's vectors of one server, indexed by ServerVector.
type ServerReasons [numServerVectors]Reasons

// PoolShard holds one loop's values of one pool.
type PoolShard struct {
	// Values are the pool's own, indexed by PoolField.
	Values [numPoolFields]int64
	// Vectors are the pool's own, indexed by PoolVector.
	Vectors [numPoolVectors]Reasons
	// Servers, Reasons and Errors, of the servers, are in the layout's order. The
	// slices themselves are fixed. Errors are nil for a server that gave none.
	Servers []ServerShard
	Reasons []ServerReasons
	Errors  []*ErrorCounts
}

// cacheLine keeps the shards of two loops on different cache lines. It is two
// lines, as processors fetch lines in pairs.
const cacheLine = 128

// Shard holds the statistics of one event loop. Only that loop's goroutine may
// read or write it; others use copies.
type Shard struct {
	_ [cacheLine]byte

	// Pools are in the layout's order. The slice itself is fixed.
	Pools []PoolShard
	// TotalConnections counts the connections this loop ever had: clients,
	// servers, and (as nutcracker does) listeners.
	TotalConnections int64
	// CurrConnections is how many of those are open now.
	CurrConnections int64
	// Values are the loop's own, indexed by LoopField.
	Values [numLoopFields]int64

	layout Layout

	_ [cacheLine]byte
}

// NewShard makes a shard for the layout, all zero.
func NewShard(layout Layout) *Shard {
	s := &Shard{}
	s.shape(layout)
	return s
}

// Rows are the statistics of a pool's servers.
type Rows struct {
	Servers []ServerShard
	Reasons []ServerReasons
	Errors  []*ErrorCounts
}

// Rows are those of the pool's servers.
func (p *PoolShard) Rows() Rows { return Rows{p.Servers, p.Reasons, p.Errors} }

// NewRows returns n rows, all zero, with unused elements at both ends of the backing
// arrays, so that no other loop's values share a cache line with them.
func NewRows(n int) Rows {
	const (
		pad       = 2  // elements; of the smallest one, over 64 bytes each
		errorsPad = 16 // of pointers: two cache lines
	)
	return Rows{
		Servers: make([]ServerShard, n+2*pad)[pad : pad+n : pad+n],
		Reasons: make([]ServerReasons, n+2*pad)[pad : pad+n : pad+n],
		Errors:  make([]*ErrorCounts, n+2*errorsPad)[errorsPad : errorsPad+n : errorsPad+n],
	}
}

// part is n of the rows, from the first one on.
func (r Rows) part(first, n int) Rows {
	end := first + n
	return Rows{r.Servers[first:end:end], r.Reasons[first:end:end], r.Errors[first:end:end]}
}

// SetRows gives a pool other servers, with these names and rows.
func (s *Shard) SetRows(pool int, names []string, r Rows) {
	s.layout = slices.Clone(s.layout) // others have it
	s.layout[pool].Servers = names
	s.Pools[pool].setRows(r)
}

func (p *PoolShard) setRows(r Rows) { p.Servers, p.Reasons, p.Errors = r.Servers, r.Reasons, r.Errors }

// shape gives s room for the layout, as NewRows does.
func (s *Shard) shape(layout Layout) {
	const pad = 2 // elements, of over 64 bytes each
	total := 0
	for i := range layout {
		total += len(layout[i].Servers)
	}
	pools, rows, first := make([]PoolShard, len(layout)+2*pad), NewRows(total), 0
	s.layout = layout
	s.Pools = pools[pad : pad+len(layout) : pad+len(layout)]
	for i := range layout {
		n := len(layout[i].Servers)
		s.Pools[i].setRows(rows.part(first, n))
		first += n
	}
}

// sameShape reports whether s has as many pools and servers as layout.
func (s *Shard) sameShape(layout Layout) bool {
	return slices.EqualFunc(s.Pools, layout, func(p PoolShard, l PoolLayout) bool {
		return len(p.Servers) == len(l.Servers)
	})
}

// Copy writes the state of s over dst. It runs on the loop that owns s; dst
// belongs to the caller. It allocates only if dst was made for a layout of
// another shape, as can happen once after a reload.
func (s *Shard) Copy(dst *Shard) {
	if !dst.sameShape(s.layout) {
		dst.shape(s.layout)
	}
	dst.layout = s.layout
	dst.TotalConnections = s.TotalConnections
	dst.CurrConnections = s.CurrConnections
	dst.Values = s.Values
	for i := range s.Pools {
		dst.Pools[i].Values, dst.Pools[i].Vectors = s.Pools[i].Values, s.Pools[i].Vectors
		copy(dst.Pools[i].Servers, s.Pools[i].Servers)
		copy(dst.Pools[i].Reasons, s.Pools[i].Reasons)
		for j, counts := range s.Pools[i].Errors {
			dst.Pools[i].Errors[j] = (*ErrorCounts)(nil).add(counts)
		}
	}
}

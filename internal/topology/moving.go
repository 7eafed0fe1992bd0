package topology

import "sync/atomic"

// A Moving is the moving of clients' channels after a change of a pool's servers. It
// begins when all loops use the new servers, and ends when all clients have moved:
//
//	each loop goes by them ─► Arrive: it is the last ─► each loop moves its clients ─► End: it is the last
//
// Messages that are published meanwhile wait in their loops.
type Moving struct {
	arrived, busy atomic.Int32
}

// Arrive notes that one of the loops uses the new servers, and reports whether it is
// the last of them.
func (m *Moving) Arrive(loops int) (last bool) {
	m.busy.Add(1)
	return int(m.arrived.Add(1)) == loops
}

// Begin notes that n clients begin to move.
func (m *Moving) Begin(n int) { m.busy.Add(int32(n)) }

// End notes that a client has moved, or that a loop has no more to move. It reports
// whether that was the last one.
func (m *Moving) End() (last bool) { return m.busy.Add(-1) == 0 }

package topology

import "sync/atomic"

// A Moving is the moving of what clients listen to, after a change of a pool's servers. It
// begins when all loops go by the new servers, and ends when all clients have moved:
//
//	each loop goes by them ─► Arrive: it is the last ─► each loop moves its clients ─► End: it is the last
//
// What is published meanwhile waits in its loop.
type Moving struct {
	arrived, busy atomic.Int32
}

// Arrive says that one of so many loops goes by the new servers, and reports whether it is
// the last of them.
func (m *Moving) Arrive(loops int) (last bool) {
	m.busy.Add(1)
	return int(m.arrived.Add(1)) == loops
}

// Begin says that n clients begin to move.
func (m *Moving) Begin(n int) { m.busy.Add(int32(n)) }

// End says that a client has moved, or that a loop has none more to move. It reports
// whether that was the last.
func (m *Moving) End() (last bool) { return m.busy.Add(-1) == 0 }

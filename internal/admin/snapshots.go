package admin

import (
	"sync"
	"time"

	"nuthatch/internal/stats"
)

// snapshotAge is how old a snapshot may be that is used again. It bounds how
// often the loops are asked.
const snapshotAge = 100 * time.Millisecond

// snapshots takes one snapshot for all who ask at the same time.
type snapshots struct {
	take func() *stats.Snapshot

	mu    sync.Mutex
	last  *stats.Snapshot
	taken time.Time
}

// get returns a snapshot, which nobody changes, and when it was taken; nil when
// the proxy ends.
func (s *snapshots) get() (*stats.Snapshot, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || time.Since(s.taken) > snapshotAge {
		s.last, s.taken = s.take(), time.Now()
	}
	return s.last, s.taken
}

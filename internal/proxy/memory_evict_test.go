package proxy

import "testing"

// How long a client may stand still is longer below the hard mark, and longer while
// others read.
func TestPatience(t *testing.T) {
	const now = 100 * longGrace
	for _, c := range []struct {
		name             string
		m                memory
		others, blockers int64
	}{
		{"some read", memory{lastRead: now}, longGrace, softGrace},
		{"none reads", memory{lastRead: now - hardGrace - 1}, softGrace, blockGrace},
		{"full, some read", memory{full: true, lastRead: now - hardGrace}, softGrace, softGrace},
		{"full, none reads", memory{full: true}, hardGrace, hardGrace},
	} {
		if others, blockers := c.m.patience(now); others != c.others || blockers != c.blockers {
			t.Errorf("%s: %d ns, %d ns for those who block; want %d, %d", c.name, others, blockers, c.others, c.blockers)
		}
	}
}

package daemon

import (
	"path/filepath"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/logging"
	"nuthatch/internal/topology"
)

// TestResourcesApply: what a generation has of memory and descriptors bounds the loops,
// and is told.
func TestResourcesApply(t *testing.T) {
	log, err := logging.New(logging.Options{Path: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	t.Setenv("GOMEMLIMIT", "off") // the test's own memory stays what it is
	r := &resources{log: log, limits: new(topology.Limits)}
	const limit = 512 << 20
	conf := &config.Config{Process: config.Process{Threads: 2, MaxMemory: limit}}
	r.apply(newGeneration(conf))
	if m := r.Memory(); m.Limit != limit || m.Soft == 0 || m.Soft >= m.Hard || m.Hard >= limit {
		t.Errorf("memory is %+v, want 0 < soft < hard < limit, which is %d", m, limit)
	}
	if got, want := r.answerMemory(), int64(limit/answerPart); got != want {
		t.Errorf("answers may take %d bytes, want %d", got, want)
	}
	d := r.Descriptors()
	if d == nil || r.limits.MaxClients() != d.Clients {
		t.Fatalf("descriptors %+v, and %d clients at most", d, r.limits.MaxClients())
	}
	for _, tt := range []struct{ ofPool, want int }{{0, d.Clients}, {7, 7}, {d.Clients + 1, d.Clients}} {
		if got := r.maxClients(&config.Pool{ClientConnections: tt.ofPool}); got != tt.want {
			t.Errorf("a pool with client_connections %d may have %d clients, want %d", tt.ofPool, got, tt.want)
		}
	}
}

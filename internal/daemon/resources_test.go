package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/eventloop"
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

// TestRingsLeaveRoom: what rings may take is counted once, clients have the rest, which is half at
// the least, and too much of it is warned of.
func TestRingsLeaveRoom(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "off") // the test's own memory stays what it is
	each := eventloop.IOUring.LoopMemory()
	for _, tt := range []struct {
		name   string
		engine eventloop.Engine
		loops  int
		limit  int64
		rest   int64 // what clients have a part of
		warns  bool
	}{
		{"epoll", eventloop.Epoll, 64, 64 << 20, 52 << 20, false},
		{"a few rings", eventloop.IOUring, 4, 64 << 20, 52<<20 - 4*each, false},
		{"many", eventloop.IOUring, 30, 64 << 20, 52<<20 - 30*each, true},
		{"more than fit", eventloop.IOUring, 64, 64 << 20, 26 << 20, true},
		{"more than there is", eventloop.IOUring, 64, 32 << 20, 10 << 20, true},
		{"many, and memory for them", eventloop.IOUring, 64, 1 << 30, 1012<<20 - 64*each, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "log")
			log, err := logging.New(logging.Options{Path: file, Level: 5})
			if err != nil {
				t.Fatal(err)
			}
			r := &resources{log: log, limits: new(topology.Limits), engine: tt.engine, loops: tt.loops}
			conf := &config.Config{Process: config.Process{Threads: tt.loops, MaxMemory: tt.limit}}
			r.limitMemory(newGeneration(conf))
			m := r.Memory()
			if m.Soft != int64(float64(tt.rest)*softPart) || m.Hard != int64(float64(tt.rest)*hardPart) || m.Held != 0 {
				t.Errorf("the marks are %+v, want them in %d bytes", m, tt.rest)
			}
			if want := int64(tt.loops) * tt.engine.LoopMemory(); m.Rings != want {
				t.Errorf("rings may take %d bytes, want %d", m.Rings, want)
			}
			if hard := tt.limit / requestPart; m.Hard < hard {
				t.Errorf("the hard mark, %d, is below the largest request, %d", m.Hard, hard)
			}
			log.Close() // it is written
			warned := manyRings(tt.engine, tt.loops, tt.limit)
			text, err := os.ReadFile(file)
			if err != nil || tt.warns != strings.Contains(string(text), "nuthatch.engine: the rings of") || tt.warns != (warned != nil) {
				t.Errorf("%v, the warning is %v, and the log: %s", err, warned, text)
			}
		})
	}
}

package daemon

import (
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/eventloop"
	"nuthatch/internal/logging"
	"nuthatch/internal/proxy"
	"nuthatch/internal/topology"
	"nuthatch/internal/units"
)

// max_memory is about what the process should have resident:
//
//	program, stacks, tables   rings of     Go's collector and   what the loops hold for clients
//	and structures            io_uring     garbage              (soft and hard mark, see proxy)
//	└─ baseMemory ────────────┴─ rings ────┴────────────────────┴──────────────────────────────┘
//
// The loops keep to their marks. The Go runtime has all but the rings as its limit.
const (
	// baseMemory is what a process without clients takes, in bytes.
	baseMemory = 12 << 20
	// softPart and hardPart are the loops' marks, as parts of the rest.
	softPart, hardPart = 0.55, 0.70
	// defaultPart is the part of the available memory that is max_memory by
	// default. The rest is for the kernel's buffers and for other processes of the
	// control group.
	defaultPart = 0.75
	// requestPart is which part of max_memory one request, or one reply, may be.
	requestPart = 8
	// answerPart is which part of max_memory the admin listener's answers may take
	// together.
	answerPart = 4
	// historyPart is which part of max_memory the history may take.
	historyPart = 8
	// ringPart is which part of max_memory the rings of io_uring may take without a
	// warning. mostRings is which part of what is left of it beside baseMemory is kept
	// free for them at the most: clients always have the rest.
	ringPart, mostRings = 4, 2
	// binaryMemory is the resident memory that the Go runtime does not count.
	binaryMemory = 8 << 20
)

// Memory is how the process's memory is bounded.
type Memory struct {
	// Limit is max_memory, from the file or by default, in bytes; 0 is no limit.
	Limit int64
	// Held is what the event loops hold for clients. Above Soft they read less, above
	// Hard almost nothing.
	Held, Soft, Hard int64
	// Rings is what the rings of io_uring may take, beside that.
	Rings int64
}

// Memory tells how the process's memory is bounded.
func (r *resources) Memory() Memory {
	m := Memory{Limit: r.maxMemory.Load(), Rings: r.rings()}
	m.Held, m.Soft, m.Hard = r.limits.Memory()
	return m
}

// answerMemory is how much memory the admin listener's answers may take together, in
// bytes; 0: there is no bound.
func (r *resources) answerMemory() int64 { return r.maxMemory.Load() / answerPart }

// resources are the process's limits of memory and descriptors, and the loops' shares
// of them. Its methods may be called from any goroutine, except the two that apply a
// generation, which belong to the start and then to a change.
type resources struct {
	log    *logging.Logger
	limits *topology.Limits
	// engine is what so many loops run on. Both are static after the start.
	engine eventloop.Engine
	loops  int
	// descriptors is how they are shared out; nil if their limit is not known.
	descriptors atomic.Pointer[Descriptors]
	// maxMemory is what was applied; 0: nothing.
	maxMemory atomic.Int64
}

// apply bounds clients and memory as g has it.
func (r *resources) apply(g *generation) {
	r.shareDescriptors(g)
	r.limitMemory(g)
}

// limitMemory applies max_memory.
func (r *resources) limitMemory(g *generation) {
	limit := g.maxMemory()
	if r.maxMemory.Swap(limit) == limit {
		return
	}
	if limit == 0 {
		r.log.Warn("cannot find out how much memory there is: memory is not bounded; set 'nuthatch: max_memory:'")
		return
	}
	rings := min(r.rings(), (limit-baseMemory)/mostRings)
	rest := float64(limit - baseMemory - rings)
	r.limits.SetMemory(int64(rest*softPart), int64(rest*hardPart))
	r.limits.SetMaxReply(limit / requestPart)
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit - binaryMemory - rings)
	}
	r.log.Notice("memory", slog.Int64("max_memory", limit), slog.Int64("soft", int64(rest*softPart)),
		slog.Int64("hard", int64(rest*hardPart)), slog.Int64("rings", r.rings()))
	if w := manyRings(r.engine, r.loops, limit); w != nil {
		r.log.Warn(w.Error())
	}
}

// rings is how much memory the loops' rings may take.
func (r *resources) rings() int64 { return int64(r.loops) * r.engine.LoopMemory() }

// manyRings is a warning that the rings of that many loops may take too much of the limit of
// memory; nil if they do not, or if there is no limit.
func manyRings(e eventloop.Engine, loops int, limit int64) error {
	each := e.LoopMemory()
	if limit == 0 || int64(loops)*each <= limit/ringPart {
		return nil
	}
	return fmt.Errorf("nuthatch.engine: the rings of %d event loops on io_uring may take %s, more than a quarter of max_memory, %s, "+
		"and clients get less: take 'epoll', at most %d threads, or a max_memory of at least %s",
		loops, units.Size(int64(loops)*each), units.Size(limit), limit/ringPart/each, units.Size(int64(loops)*each*ringPart+1<<20))
}

// maxMemory is the file's, or the default; 0 if there is none.
func (g *generation) maxMemory() int64 { return maxMemory(&g.conf.Process) }

func maxMemory(p *config.Process) int64 {
	if n := p.MaxMemory; n > 0 {
		return n
	}
	n := int64(float64(availableMemory(os.DirFS("/"))) * defaultPart)
	if n <= 2*baseMemory {
		return 0
	}
	return n
}

// maxRequest is the largest request of a pool, in bytes.
func (g *generation) maxRequest(ofPool int64) int64 {
	if limit := g.maxMemory(); limit > 0 {
		return min(ofPool, limit/requestPart)
	}
	return ofPool
}

// availableMemory is how much memory the process may use: the least of what its control
// groups allow and what the machine has; 0 if neither is known.
func availableMemory(root fs.FS) int64 {
	most := int64(math.MaxInt64)
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err == nil {
		most = int64(info.Totalram) * int64(info.Unit)
	}
	if most = min(most, groupLimit(root)); most == math.MaxInt64 {
		return 0
	}
	return most
}

// groupLimit is the least limit of memory of the process's control groups, of
// either version, and of those that they are in.
func groupLimit(root fs.FS) int64 {
	least := int64(math.MaxInt64)
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return least
	}
	for line := range strings.Lines(string(text)) {
		// hierarchy:controllers:path
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		mount, file := "sys/fs/cgroup", "memory.max"
		switch {
		case slices.Contains(strings.Split(parts[1], ","), "memory"):
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		case parts[1] != "":
			continue
		}
		// In a container the path may be that of its own group.
		for dir := path.Join("/", parts[2]); ; dir = path.Dir(dir) {
			least = min(least, readLimit(root, path.Join(mount, dir, file)))
			if dir == "/" {
				break
			}
		}
	}
	return least
}

// readLimit reads a limit from a file. No limit is the largest number.
func readLimit(root fs.FS, name string) int64 {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return math.MaxInt64
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n <= 0 {
		return math.MaxInt64
	}
	return n
}

const (
	// returnPeriod is how often the process checks whether there is memory to give
	// back.
	returnPeriod = 5 * time.Second
	// returnLeast is how much the resident memory must have grown, in bytes, since
	// memory was last given back.
	returnLeast = 32 << 20
)

// returnMemory gives memory that a flood has left unused back to the system. The
// Go runtime collects only while memory is allocated, which may not happen after
// a flood.
func (r *resources) returnMemory(loops *loops, stopping <-chan struct{}) {
	tick := time.NewTicker(returnPeriod)
	defer tick.Stop()
	before, _, _ := r.limits.Memory()
	least := residentMemory() - before
	for {
		select {
		case <-stopping:
			return
		case <-tick.C:
		}
		held, _, _ := r.limits.Memory()
		if held <= before && residentMemory()-held > least+returnLeast {
			// If the loops have ended, that is as good.
			_ = loops.onAll((*proxy.Context).Trim)
			debug.FreeOSMemory()
			least = residentMemory() - held
		}
		before = held
	}
}

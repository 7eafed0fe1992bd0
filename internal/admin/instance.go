package admin

import (
	"context"
	"errors"
	"time"

	"nuthatch/internal/acl"
	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/preview"
	"nuthatch/internal/slowlog"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// The reasons why a request can be refused.
var (
	ErrNoPool   = errors.New("no such pool")
	ErrNoServer = errors.New("no such server")
	ErrNoClient = errors.New("no such client")
	// ErrBusy means that requests were still in flight at the end of the time.
	ErrBusy = errors.New("requests are still in flight")
	// ErrEnding means that the proxy is about to end.
	ErrEnding = errors.New("the proxy is ending")
	// ErrUpgrading means that another program is about to take over.
	ErrUpgrading = errors.New("an upgrade is under way")
	// ErrNoFile means that there is nothing to reload.
	ErrNoFile = errors.New("the configuration was not read from a file")
)

// Instance is what admin needs of the running proxy. daemon implements it. All
// methods may be called from any goroutine; those that ask the event loops say
// so.
type Instance interface {
	// Facts are about the program. Process and Loops are left empty.
	Facts() api.Info
	// Usage is what the process and its loops use, without Busy. LoopCPU is how long
	// the loops have run, in seconds. Both ask the loops, and fail when the proxy
	// ends.
	Usage() (api.ProcessInfo, []api.LoopInfo, error)
	LoopCPU() ([]float64, error)
	// Activity is how long each loop's thread has run, in nanoseconds. It asks no loop: one
	// whose thread has not run has nothing new. It is nil if that is not known.
	Activity() []int64
	// Pulse asks the loops for the few numbers that the history has of each second. It
	// fails when the proxy ends.
	Pulse() (*Pulse, error)
	// AnswerMemory is how much memory all answers together may take, in bytes; 0
	// is no bound.
	AnswerMemory() int64
	// Ready reports whether the proxy accepts clients and is not about to stop.
	// Alive asks the loops whether all of them turn.
	Ready() bool
	Alive(ctx context.Context) error

	// InForce is the configuration, and the topologies of its pools in the same
	// order. Neither is changed.
	InForce() (*config.Config, []*topology.Topology)
	// Now is the loops' time, and Wall the time of day at a time of the loops.
	Now() int64
	Wall(at int64) time.Time
	// Snapshot asks the loops for the statistics of this moment; nil when the
	// proxy ends.
	Snapshot() *stats.Snapshot
	// PausedUntil is when the pause of a pool ends, PausedSince when it began, and PausedBy who
	// asked for it;
	// zero if it is not paused.
	PausedUntil(pool string) time.Time
	PausedSince(pool string) time.Time
	PausedBy(pool string) string
	// Cluster is what is known of the cluster behind a pool; nil: the pool is none.
	Cluster(pool string) *api.Cluster
	// Emulated is the cluster that a pool looks like; nil: it looks like one server.
	Emulated(pool string) *api.Emulated
	// Sentinels are what the sentinels of a pool know; nil: it has none.
	Sentinels(pool string) *api.Sentinels
	// Clients asks the loops for the newest clients of a pool, at most so many of
	// each loop.
	Clients(pool string, most int) ([]api.Client, error)

	// Latency asks the loops how long requests took, and HotKeys for the n hottest
	// and the n largest keys of each pool. The result belongs to the caller.
	Latency() ([]PoolLatency, error)
	HotKeys(n int) ([]PoolKeys, error)
	// SlowLog is the latest n slow requests, or all if n is negative, the latest
	// first. They are not changed.
	SlowLog(n int) []*slowlog.Entry
	// Traces is what became of traces.
	Traces() Traces
	// Denials are what the users of a pool were refused, the latest first.
	Denials(pool string) []acl.Record
	// Events are what has happened.
	Events() *events.Log

	// The rest are actions; by is who asks for them.

	// Preview is what conf would change or, if conf is nil, what the configuration
	// file would change now. take is asked for the memory, in bytes, before it is
	// used. Without reveals, conf's secrets count as those in force, so that nobody finds
	// out what they are by guesses.
	Preview(conf *config.Config, reveals bool, take func(n int64) error) (*preview.Change, error)
	Reload(by string) (*preview.Change, error)
	Drain(by string)
	Upgrade(by string) error
	Pause(ctx context.Context, pool string, limit time.Duration, by string) error
	Resume(pool, by string) error
	SetService(pool, server string, s topology.Service, by string) error
	// OutOfService is the default for the keys of a disabled server.
	OutOfService(pool string) topology.Service
	Reconnect(pool, server, by string) error
	KillClient(id uint64, by string) error
}

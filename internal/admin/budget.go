package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/events"
)

// Answers grow with the configuration, and a client may ask for many at once. So
// the memory for an answer is counted before the answer is made, and all answers
// together have a bound, a part of max_memory. An answer without room waits for a
// while.

// ErrTooLarge means that an answer would take more memory than answers may.
var ErrTooLarge = errors.New("the answer would take too much memory")

// ErrCrowded means that other answers took the memory.
var ErrCrowded = errors.New("other answers use all the memory for answers")

const (
	// answerPatience is how long an answer waits for memory.
	answerPatience = 5 * time.Second
	// smallAnswer is the size, in bytes, up to which an answer is not counted.
	smallAnswer = 64 << 10
)

// The memory of answers, in bytes: for each server of the configuration, for each
// pool, client, entry or key, and for each byte of a configuration that is read.
// They were measured with 5,000 servers.
const (
	metricsPerServer   = 18 << 10
	firstPerServer     = 44 << 10
	oldNamesPerServer  = 5 << 10
	statesPerServer    = 9 << 10
	latenciesPerServer = 4 << 10
	settingsPerServer  = 1 << 10
	ringPerServer      = 4 << 10
	clientSize         = 4 << 10
	entrySize          = 2 << 10
	placementSize      = 2 << 10
	perConfigByte      = 24
)

// A Budget is the memory of all answers together: those of the admin listeners, and the
// documents of the statistics port.
type Budget struct {
	// bound is how many bytes that is; 0: there is no bound.
	bound func() int64

	mu   sync.Mutex
	used int64
	// freed is closed when some memory is given back.
	freed chan struct{}
}

// NewBudget returns one of that many bytes; 0: there is no bound.
func NewBudget(bound func() int64) *Budget { return &Budget{bound: bound, freed: make(chan struct{})} }

// share is how many things of a size there is memory for, at most most.
func (b *Budget) share(most, size int64) int64 {
	if bound := b.bound(); bound > 0 {
		return min(most, bound/size)
	}
	return most
}

// take counts n bytes, which give takes back. It waits if there is no room for them.
func (b *Budget) take(ctx context.Context, n int64) error {
	bound := b.bound()
	if bound > 0 && n > bound {
		return fmt.Errorf("%w: %d bytes; all answers together may take %d, a quarter of max_memory", ErrTooLarge, n, bound)
	}
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	for {
		b.mu.Lock()
		if bound == 0 || b.used+n <= bound {
			b.used += n
			b.mu.Unlock()
			return nil
		}
		freed := b.freed
		b.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return fmt.Errorf("%w: %d bytes, a quarter of max_memory", ErrCrowded, bound)
		}
	}
}

// give takes back what take has counted.
func (b *Budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	close(b.freed)
	b.freed = make(chan struct{})
}

// A cost estimates the memory of an answer, in bytes.
type cost func(conf *config.Config, r *http.Request) int64

// perServer is the cost of an answer with so many bytes for each server.
func perServer(n int64) cost {
	return func(conf *config.Config, _ *http.Request) int64 {
		servers := int64(0)
		for i := range conf.Pools {
			servers += int64(conf.Pools[i].NumServers()) + 1
		}
		return servers * n
	}
}

// metricsCost is the cost of a scrape.
func metricsCost(conf *config.Config, r *http.Request) int64 {
	n := int64(metricsPerServer)
	if hasFirst(conf) {
		n += firstPerServer
	}
	if conf.Process.MetricsOldNames {
		n += oldNamesPerServer
	}
	return perServer(n)(conf, r)
}

// asked is how many entries of a list a request asks for.
func asked(r *http.Request, usual, most int) int64 {
	n, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil {
		n = usual
	}
	return int64(min(max(n, 0), most))
}

// costOfClients is that of GET /api/v1/clients: each loop lists as many clients of
// each pool.
func (h *handler) costOfClients(conf *config.Config, r *http.Request) int64 {
	_, topo := h.Instance.InForce()
	clients := int64(0)
	for i := range topo {
		clients += min(int64(topo[i].Clients()), asked(r, defaultClients, maxClients)*int64(max(1, conf.Process.Threads)))
	}
	return clients * clientSize
}

// costOfEntries is that of GET /api/v1/slowlog.
func costOfEntries(_ *config.Config, r *http.Request) int64 {
	return asked(r, defaultSlow, maxSlow) * entrySize
}

// costOfEvents is that of GET /api/v1/events.
func costOfEvents(_ *config.Config, r *http.Request) int64 {
	return asked(r, defaultEvents, events.Kept) * eventSize
}

// costOfKeys is that of GET /api/v1/hotkeys, which has two lists for each pool.
func costOfKeys(conf *config.Config, r *http.Request) int64 {
	return 2 * asked(r, defaultHot, maxHot) * int64(len(conf.Pools)) * entrySize
}

// costOfWhere is that of GET /api/v1/where, which makes a ring of all servers.
func costOfWhere(conf *config.Config, r *http.Request) int64 {
	return perServer(ringPerServer)(conf, r) + int64(min(len(r.URL.Query()["key"]), maxKeys)*len(conf.Pools))*placementSize
}

// counted is f for answers that have that cost.
func (h *handler) counted(c cost, f http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conf, _ := h.Instance.InForce()
		n := c(conf, r)
		if n > smallAnswer {
			if err := h.budget.take(r.Context(), n); err != nil {
				refuse(w, err)
				return
			}
			defer h.budget.give(n)
		}
		f(w, r)
	}
}

package tracing

import (
	"sync"
	"time"

	"nuthatch/internal/slowlog"
)

// An Example is a request whose trace has been made.
type Example struct {
	TraceID  string
	Duration time.Duration
	At       time.Time
}

// A Series is what examples are kept for: the requests of a pool with a command, which the
// proxy carried out or not.
type Series struct {
	Pool, Command string
	Failed        bool
}

// maxSeries bounds the series that have examples. There are as many as the configuration has
// pools, times the commands in use.
const maxSeries = 4096

// Examples are the latest example of each series, for exemplars of metrics. The zero value
// has none. All methods may be called from any goroutine.
type Examples struct {
	mu  sync.Mutex
	all map[Series]Example
}

func (x *Examples) add(e *slowlog.Entry, id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	of := Series{e.Pool, e.Command, e.Error != ""}
	if _, known := x.all[of]; !known && len(x.all) >= maxSeries {
		return
	}
	if x.all == nil {
		x.all = make(map[Series]Example)
	}
	x.all[of] = Example{TraceID: id, Duration: e.Duration, At: e.Time}
}

// Clear forgets all examples.
func (x *Examples) Clear() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.all = nil
}

// All calls yield with each example.
func (x *Examples) All(yield func(Series, Example) bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for of, e := range x.all {
		if !yield(of, e) {
			return
		}
	}
}

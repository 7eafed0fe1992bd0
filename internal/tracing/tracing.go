// Package tracing makes OpenTelemetry traces of requests and sends them to a collector,
// beside the event loops:
//
//	loops ─Add─► ring of slowlog.Entry ─run─► spans ─sender─► collector (OTLP over HTTP)
//
// The loops choose the requests, and put what they know of each into a ring that is
// overwritten when nobody reads it. What is overwritten is counted. A request is one span of
// the proxy, and within it one for each part of its time that is not 0.
package tracing

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/logging"
	"nuthatch/internal/slowlog"
)

const (
	// RingLen is how many requests wait for the exporter at the most.
	RingLen = 2048
	// every is how often the ring is read.
	every = time.Second
	// most is how many requests are sent at a time.
	most = 512
	// sendTimeout is how long sending may take, with all tries. lastTimeout is for what is in
	// the ring at the end.
	sendTimeout = 10 * time.Second
	lastTimeout = time.Second
	// tellEvery is how often the log says that sending fails.
	tellEvery = time.Minute
)

// Options are what an Exporter needs.
type Options struct {
	Settings config.Tracing
	// Ring is where the loops put requests.
	Ring *slowlog.Log
	// IsRedis reports whether a pool speaks Redis. Address is where a server of it is; empty: it
	// is not known.
	IsRedis func(pool string) bool
	Address func(pool, server string) (host string, port int)
	Log     *logging.Logger
}

// Counts are numbers of requests.
type Counts struct {
	// Exported are in the collector, Overwritten were not read in time, and Failed could not be
	// sent, or were refused.
	Exported, Overwritten, Failed atomic.Int64
}

// An Exporter sends traces to one collector.
type Exporter struct {
	o        Options
	counts   *Counts
	examples *Examples

	sender  *sender
	next    int64 // in the ring
	told    time.Time
	running context.Context
	stop    context.CancelFunc
	done    chan struct{}
}

// Start starts an exporter. It fails only if the settings cannot be used; a collector that
// does not answer is told by the log and the counts.
func Start(o Options, counts *Counts, examples *Examples) (*Exporter, error) {
	s, err := newSender(&o.Settings)
	if err != nil {
		return nil, err
	}
	e := &Exporter{o: o, counts: counts, examples: examples, sender: s, next: o.Ring.Next(), done: make(chan struct{})}
	e.running, e.stop = context.WithCancel(context.Background())
	go e.run()
	return e, nil
}

// Stop sends what is in the ring, for a short time, and ends the exporter.
func (e *Exporter) Stop() {
	e.stop()
	<-e.done
}

func (e *Exporter) run() {
	defer close(e.done)
	defer e.sender.close()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.send(e.running, sendTimeout)
			continue
		case <-e.running.Done():
		}
		e.send(context.Background(), lastTimeout)
		return
	}
}

// send sends what has come into the ring.
func (e *Exporter) send(during context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(during, limit)
	defer cancel()
	for ctx.Err() == nil {
		entries, missed := e.o.Ring.From(e.next, most)
		e.counts.Overwritten.Add(missed)
		e.next += missed + int64(len(entries))
		if len(entries) == 0 {
			return
		}
		e.sendBatch(ctx, entries)
	}
}

func (e *Exporter) sendBatch(ctx context.Context, entries []*slowlog.Entry) {
	b := newBatch(e)
	for _, entry := range entries {
		b.add(entry)
	}
	n := int64(len(entries))
	refused, err := e.sender.send(ctx, b.request())
	if err == nil {
		// The collector counts spans, each of which is of a request.
		lost := min(refused, n)
		e.counts.Exported.Add(n - lost)
		e.counts.Failed.Add(lost)
		return
	}
	e.counts.Failed.Add(n)
	if now := time.Now(); now.Sub(e.told) >= tellEvery {
		e.told = now
		e.o.Log.Warn("traces cannot be sent: they are dropped, and the next are tried", slog.String("endpoint", e.o.Settings.Endpoint), slog.Any("error", err))
	}
}

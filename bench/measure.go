package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// sampleTime is about how long one measurement lasts at scale 1. The CPU clock
// is exact; the proportion of user and system time is sampled every 10 ms.
const sampleTime = 3 * time.Second

// sample is one measurement: one piece of work through one proxy in one round.
type sample struct {
	// CPU time of the proxy per request, in microseconds.
	total, user, system float64
	rate                float64 // requests per second
	// disturbed is the part of the proxy's time, 0 to 1, that it waited for its
	// core because something else had it.
	disturbed float64
}

// result is all that was measured of one piece of work through one proxy.
type result struct {
	work    work
	proxy   string
	samples []sample // by round
	err     error    // why there are fewer samples than rounds
}

// A round in which a proxy waited for its core for more than a part of its time
// is done again, as long as the whole run has spareRounds' worth of time left
// for that; after it, disturbed rounds count too.
const (
	disturbedAbove = 0.1
	spareRounds    = 15
)

// measure does every piece of work with every proxy, in every round. A proxy
// that fails at one is not asked again to do it; the error tells of all of them.
func (r *rig) measure(ctx context.Context, opts options, progress io.Writer) ([]result, error) {
	var results []result
	var errs []error
	spare := spareRounds * time.Duration(len(r.proxies)) * opts.length()
	for _, w := range opts.works {
		c := r.newContest(ctx, w, opts.length())
		for round := 0; round < opts.rounds && ctx.Err() == nil; {
			start := time.Now()
			samples := c.round(ctx, round, progress)
			if disturbed(samples) && spare > 0 {
				spare -= time.Since(start)
				fmt.Fprintln(progress, "  the machine was busy with something else: that round again")
				continue
			}
			c.keep(samples)
			round++
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		for i := range c.results {
			if err := c.results[i].err; err != nil {
				err = errors.Join(err, r.proxies[i].ended())
				errs = append(errs, fmt.Errorf("%s, %s: %w", w.name, r.proxies[i].name, err))
			}
		}
		results = append(results, c.results...)
	}
	return results, errors.Join(errs...)
}

// contest is one piece of work with all proxies. What it holds for each is at
// the proxy's index.
type contest struct {
	proxies  []*proxy
	work     work
	length   time.Duration // about, of a measurement
	requests []int         // that take so long
	results  []result
}

// newContest warms the proxies up.
func (r *rig) newContest(ctx context.Context, w work, length time.Duration) *contest {
	c := &contest{
		proxies: r.proxies, work: w, length: length,
		requests: make([]int, len(r.proxies)), results: make([]result, len(r.proxies)),
	}
	for i, p := range r.proxies {
		c.results[i] = result{work: w, proxy: p.name}
		c.requests[i], c.results[i].err = p.warmUp(ctx, w, length)
	}
	return c
}

// round measures every proxy that has not failed; the others' sample is nil.
func (c *contest) round(ctx context.Context, round int, progress io.Writer) []*sample {
	samples := make([]*sample, len(c.proxies))
	for _, i := range turns(round, len(c.proxies)) {
		if c.results[i].err != nil {
			continue
		}
		s, err := c.proxies[i].sample(ctx, c.work, c.requests[i], c.length)
		if err != nil {
			c.results[i].err = fmt.Errorf("round %d: %w", round+1, err)
			continue
		}
		samples[i] = &s
		fmt.Fprintf(progress, "round %d  %-10s  %-10s  %8.3f us/request  %8.0f requests/s  %3.0f%% waiting for the core\n",
			round+1, c.work.name, c.proxies[i].name, s.total, s.rate, 100*s.disturbed)
	}
	return samples
}

// keep adds a round to the results.
func (c *contest) keep(samples []*sample) {
	for i, s := range samples {
		if s != nil {
			c.results[i].samples = append(c.results[i].samples, *s)
		}
	}
}

// disturbed tells whether a round should be done again.
func disturbed(samples []*sample) bool {
	return slices.ContainsFunc(samples, func(s *sample) bool { return s != nil && s.disturbed > disturbedAbove })
}

// turns is the order of n proxies in a round. It begins with another one each
// time, so that none always comes first.
func turns(round, n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = (round + i) % n
	}
	return order
}

// warmUp makes sure that the proxy can do the work and returns how many
// requests a measurement of some length takes.
func (p *proxy) warmUp(ctx context.Context, w work, length time.Duration) (int, error) {
	addr := p.addrs[w.pool]
	if err := w.load.check(ctx, addr); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errTooSlow)
	defer cancel()
	res, err := w.load.run(ctx, addr, w.warm)
	if err != nil {
		return 0, fmt.Errorf("warming up: %w", err)
	}
	return max(1, int(res.rate*length.Seconds())), nil
}

var errTooSlow = errors.New("it took far too long")

// sample measures n requests, which should take about so long.
func (p *proxy) sample(ctx context.Context, w work, n int, length time.Duration) (sample, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 3*patience+3*length, errTooSlow)
	defer cancel()
	before, err := readCPU(p.pid())
	if err != nil {
		return sample{}, err
	}
	res, err := w.load.run(ctx, p.addrs[w.pool], n)
	if err != nil {
		return sample{}, err
	}
	after, err := readCPU(p.pid())
	if err != nil {
		return sample{}, err
	}
	used := after.since(before)
	each := func(d time.Duration) float64 {
		return float64(d) / float64(time.Microsecond) / float64(res.requests)
	}
	return sample{
		total: each(used.total), user: each(used.user), system: each(used.system), rate: res.rate,
		disturbed: used.waited.Seconds() / (used.waited + used.total).Seconds(),
	}, nil
}

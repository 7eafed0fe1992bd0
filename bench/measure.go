package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// sampleTime is about how long one measurement lasts at scale 1.
const sampleTime = time.Second

// sample is one measurement: one piece of work through one proxy in one round.
type sample struct {
	// CPU time of the proxy per request, in microseconds.
	total, user, system float64
	rate                float64 // requests per second
	p50, p99, p999      float64 // latencies of exchanges, in microseconds
	memory              float64 // resident, at the end, in bytes
	// Parts of the time, 0 to 1, that the proxy and the load's thread used.
	proxyBusy, loadBusy float64
	// others is the part of the whole machine that programs used which have
	// nothing to do with the measurement.
	others float64
}

// result is all that was measured of one piece of work through one proxy.
type result struct {
	work    work
	proxy   string
	samples []sample // by round
	counts  counts   // of its system calls
	err     error    // why there are fewer samples than rounds
}

// A round is disturbed if other programs used more than a part of the machine. It
// is repeated while the run has extra time for that, at most as often as there
// are rounds. After that disturbed rounds count too.
const (
	disturbedAbove = 0.1
	sparePart      = 0.15
)

// measure does every work with every proxy that can, in every round. A proxy
// that fails at a work does not get it again; the error has all failures.
func (r *rig) measure(ctx context.Context, works []work) ([]result, error) {
	var results []result
	var errs []error
	spare := time.Duration(sparePart * float64(len(works)*r.rounds*len(r.programs)) * float64(r.length))
	for _, w := range works {
		if why := r.tooManyFor(w); why != "" {
			fmt.Fprintln(r.progress, why)
			continue
		}
		c := r.newContest(ctx, w)
		for round, again := 0, 0; round < r.rounds && ctx.Err() == nil; {
			start := time.Now()
			samples := c.round(ctx, round)
			if disturbed(samples) && spare > 0 && again < r.rounds {
				spare -= time.Since(start)
				again++
				fmt.Fprintln(r.progress, "  the machine was busy with something else: that round again")
				continue
			}
			c.keep(samples)
			round++
		}
		c.countSyscalls(ctx)
		c.stop()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		for i := range c.results {
			if res := &c.results[i]; res.err != nil {
				errs = append(errs, fmt.Errorf("%s, %s: %w", w.name, res.proxy, res.err))
			}
		}
		results = append(results, c.results...)
	}
	return results, errors.Join(errs...)
}

// contest is one piece of work with all proxies that can do it. What it holds
// for each is at the proxy's index. Proxies are started anew for each, so that
// one's memory is that of this work.
type contest struct {
	*rig
	work      work
	exchanges []exchange
	proxies   []*proxy // nil if it could not be started
	results   []result
}

// newContest starts the proxies and warms them up.
func (r *rig) newContest(ctx context.Context, w work) *contest {
	c := &contest{rig: r, work: w, exchanges: variants(w.one)}
	for _, p := range r.programs {
		if !p.can(w) {
			continue
		}
		running, err := r.start(ctx, p, w)
		if err == nil {
			_, err = c.sample(ctx, running, r.length/4)
		}
		c.proxies = append(c.proxies, running)
		c.results = append(c.results, result{work: w, proxy: p.name, err: err})
	}
	return c
}

// stop ends the proxies.
func (c *contest) stop() {
	for i, p := range c.proxies {
		if p != nil {
			c.results[i].err = errors.Join(c.results[i].err, p.stop())
		}
	}
}

// round measures every proxy that has not failed; the others' sample is nil.
func (c *contest) round(ctx context.Context, round int) []*sample {
	samples := make([]*sample, len(c.proxies))
	for _, i := range turns(round, len(c.proxies)) {
		if c.results[i].err != nil {
			continue
		}
		s, err := c.sample(ctx, c.proxies[i], c.length)
		if err != nil {
			c.results[i].err = fmt.Errorf("round %d: %w", round+1, err)
			continue
		}
		samples[i] = &s
		fmt.Fprintf(c.progress, "round %d  %-12s  %-10s  %8.3f us/request  %8.0f requests/s  p99 %8.0f us  busy: proxy %3.0f%%, load %3.0f%%; others %3.0f%%\n",
			round+1, c.work.name, c.results[i].proxy, s.total, s.rate, s.p99, 100*s.proxyBusy, 100*s.loadBusy, 100*s.others)
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
	return slices.ContainsFunc(samples, func(s *sample) bool { return s != nil && s.others > disturbedAbove })
}

// turns is the order of n proxies in a round. It begins with a different one
// each time, so that none is always first.
func turns(round, n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = (round + i) % n
	}
	return order
}

var errTooSlow = errors.New("it took far too long")

// within bounds the time of a measurement that should take so long.
func within(ctx context.Context, length time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, 2*patience+3*length, errTooSlow)
}

// sample measures a proxy for a time.
func (c *contest) sample(ctx context.Context, p *proxy, length time.Duration) (sample, error) {
	ctx, cancel := within(ctx, length)
	defer cancel()
	s, err := openSession(ctx, c.exchanges, c.work.clients, p.addrs...)
	if err != nil {
		return sample{}, errors.Join(err, p.ended())
	}
	defer s.close()
	res, err := c.using(p, func() (loadResult, error) { return s.closedLoop(ctx, length) })
	if err != nil {
		return sample{}, err
	}
	memory, err := readMemory(p.pid())
	res.memory = float64(memory)
	return res, err
}

// using measures a proxy while a load runs.
func (r *rig) using(p *proxy, load func() (loadResult, error)) (sample, error) {
	before, err := r.readUsage(p)
	if err != nil {
		return sample{}, err
	}
	res, err := load()
	if err != nil {
		return sample{}, errors.Join(err, p.ended())
	}
	after, err := r.readUsage(p)
	if err != nil {
		return sample{}, err
	}
	s := newSample(after.proxy.since(before.proxy), res)
	others := (after.machine - before.machine) - (after.known - before.known)
	s.others = max(0, others.Seconds()/res.elapsed.Seconds()/float64(len(r.cores.all)))
	return s, nil
}

// usage is CPU time that was used up to now.
type usage struct {
	proxy   cpuTime
	known   time.Duration // by all that takes part in the measurement
	machine time.Duration // by everything
}

func (r *rig) readUsage(p *proxy) (u usage, err error) {
	if u.machine, err = readMachine(); err != nil {
		return u, err
	}
	if u.proxy, err = readCPU(p.pid()); err != nil {
		return u, err
	}
	u.known = u.proxy.total
	pids := []int{os.Getpid()}
	for _, server := range r.running {
		pids = append(pids, server.pid())
	}
	for _, pid := range pids {
		c, err := readCPU(pid)
		if err != nil {
			return u, err
		}
		u.known += c.total
	}
	return u, nil
}

func newSample(used cpuTime, res loadResult) sample {
	each := func(d time.Duration) float64 { return micros(int64(d)) / float64(res.requests) }
	return sample{
		total: each(used.total), user: each(used.user), system: each(used.system),
		rate:      res.rate(),
		p50:       micros(res.latency.ValueAtQuantile(50)),
		p99:       micros(res.latency.ValueAtQuantile(99)),
		p999:      micros(res.latency.ValueAtQuantile(99.9)),
		proxyBusy: used.total.Seconds() / res.elapsed.Seconds(),
		loadBusy:  res.cpu.Seconds() / res.elapsed.Seconds(),
	}
}

func micros(nanoseconds int64) float64 { return float64(nanoseconds) / float64(time.Microsecond) }

// readMemory is a process's resident memory in bytes.
func readMemory(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("memory: %w", err)
	}
	var size, resident int // in pages
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		return 0, fmt.Errorf("memory: /proc/PID/statm: %w", err)
	}
	return resident * os.Getpagesize(), nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// threadNumbers are the numbers of event loops that are compared.
var threadNumbers = []int{1, 2}

// threadWorks are what they are asked to do.
var threadWorks = []string{"get-p1", "get-p16", "get-p100"}

// threadsResult is what nuthatch does with a number of event loops.
type threadsResult struct {
	work    work
	threads int
	samples []sample // by round
	// uneven is how much more CPU time than an even share the busiest loop used,
	// by round.
	uneven []float64
}

// measureThreads compares nuthatch's numbers of event loops. Where there are no
// cores for all of them, they share all cores with the servers and the load.
func (r *rig) measureThreads(ctx context.Context) ([]threadsResult, error) {
	at := slices.IndexFunc(r.programs, func(p program) bool { return p.name == ours })
	if at < 0 {
		return nil, fmt.Errorf("threads are compared with %s, which is not among the proxies", ours)
	}
	var results []threadsResult
	for _, name := range threadWorks {
		chosen, err := chooseWorks(name, false)
		if err != nil {
			return nil, err
		}
		compared := make([]threadsResult, len(threadNumbers))
		for round := range r.rounds {
			for _, i := range turns(round, len(threadNumbers)) {
				p := r.programs[at]
				p.config = nuthatchYAML(threadNumbers[i])
				s, uneven, err := r.withThreads(ctx, p, chosen[0], threadNumbers[i])
				if err != nil {
					return nil, fmt.Errorf("%s with %d threads: %w", name, threadNumbers[i], err)
				}
				fmt.Fprintf(r.progress, "round %d  %-12s  %d threads  %8.3f us/request  %8.0f requests/s\n",
					round+1, name, threadNumbers[i], s.total, s.rate)
				res := &compared[i]
				res.work, res.threads = chosen[0], threadNumbers[i]
				res.samples, res.uneven = append(res.samples, s), append(res.uneven, uneven)
			}
		}
		results = append(results, compared...)
	}
	return results, nil
}

// loopCores are the cores of so many event loops: their own if two more are
// left for the servers and the load, or else all.
func (c cores) loopCores(threads int) unix.CPUSet {
	first := 0
	if len(c.all) >= slices.Max(threadNumbers)+2 {
		first = len(c.all) - threads
	}
	var set unix.CPUSet
	for _, cpu := range c.all[first:] {
		set.Set(cpu)
	}
	return set
}

// withThreads measures once.
func (r *rig) withThreads(ctx context.Context, p program, w work, threads int) (s sample, uneven float64, err error) {
	running, err := r.startOn(ctx, r.cores.loopCores(threads), p, w)
	if err != nil {
		return sample{}, 0, err
	}
	defer func() { err = errors.Join(err, running.stop()) }()
	c := &contest{rig: r, work: w, exchanges: variants(w.one)}
	if _, err := c.sample(ctx, running, r.length/4); err != nil {
		return sample{}, 0, err
	}
	before, err := readThreads(running.pid())
	if err != nil {
		return sample{}, 0, err
	}
	if s, err = c.sample(ctx, running, r.length); err != nil {
		return sample{}, 0, err
	}
	after, err := readThreads(running.pid())
	return s, unevenness(before, after, threads), err
}

// unevenness is what the busiest of so many threads used over an even share.
func unevenness(before, after map[string]time.Duration, threads int) float64 {
	var used []time.Duration
	for tid, t := range after {
		used = append(used, t-before[tid])
	}
	slices.SortFunc(used, func(a, b time.Duration) int { return int(b - a) })
	var sum time.Duration
	for _, t := range used[:min(threads, len(used))] {
		sum += t
	}
	if sum == 0 {
		return 0
	}
	return float64(used[0])*float64(threads)/float64(sum) - 1
}

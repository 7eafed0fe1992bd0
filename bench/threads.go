package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
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
	// watched is how many descriptors each loop watches while all clients are
	// connected, in the last round, the most first: clients, servers, and a few
	// of its own.
	watched []int
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
				res := &compared[i]
				res.work, res.threads = chosen[0], threadNumbers[i]
				if err := r.withThreads(ctx, p, res); err != nil {
					return nil, fmt.Errorf("%s with %d threads: %w", name, threadNumbers[i], err)
				}
				s := res.samples[len(res.samples)-1]
				fmt.Fprintf(r.progress, "round %d  %-12s  %d threads  %8.3f us/request  %8.0f requests/s; others %3.0f%%\n",
					round+1, name, threadNumbers[i], s.total, s.rate, 100*s.others)
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

// withThreads measures once more.
func (r *rig) withThreads(ctx context.Context, p program, res *threadsResult) (err error) {
	running, err := r.startOn(ctx, r.cores.loopCores(res.threads), p, res.work)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, running.stop()) }()
	c := &contest{rig: r, work: res.work, exchanges: variants(res.work.one)}
	if res.watched, err = c.watchedBy(ctx, running, res.threads); err != nil {
		return err
	}
	if _, err := c.sample(ctx, running, r.length/4); err != nil {
		return err
	}
	before, err := readThreads(running.pid())
	if err != nil {
		return err
	}
	s, err := c.sample(ctx, running, r.length)
	if err != nil {
		return err
	}
	after, err := readThreads(running.pid())
	res.samples = append(res.samples, s)
	res.uneven = append(res.uneven, unevenness(before, after, res.threads))
	return err
}

// watchedBy lets all clients connect and counts what each loop watches.
func (c *contest) watchedBy(ctx context.Context, p *proxy, loops int) ([]int, error) {
	s, err := openSession(ctx, c.exchanges, c.work.clients, p.addrs...)
	if err != nil {
		return nil, errors.Join(err, p.ended())
	}
	defer s.close()
	watched, err := readWatched(p.pid())
	return watched[:min(loops, len(watched))], err
}

// readWatched counts the descriptors that each epoll of a process watches, the
// most first.
func readWatched(pid int) ([]int, error) {
	folder := fmt.Sprintf("/proc/%d", pid)
	fds, err := os.ReadDir(folder + "/fd")
	if err != nil {
		return nil, fmt.Errorf("descriptors: %w", err)
	}
	var watched []int
	for _, fd := range fds {
		if target, err := os.Readlink(folder + "/fd/" + fd.Name()); err != nil || target != "anon_inode:[eventpoll]" {
			continue
		}
		info, err := os.ReadFile(folder + "/fdinfo/" + fd.Name())
		if err != nil {
			return nil, fmt.Errorf("epoll: %w", err)
		}
		watched = append(watched, strings.Count(string(info), "tfd:"))
	}
	slices.SortFunc(watched, func(a, b int) int { return b - a })
	return watched, nil
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

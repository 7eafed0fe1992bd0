package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// idleTime is how long clients have been silent when memory is looked at.
const idleTime = 3 * time.Second

// idleClients are the numbers of idle clients, of which the target is judged
// at the first.
var idleClients = []int{10_000, 50_000}

// descriptorReserve is how many descriptors a process needs besides one for
// each client.
const descriptorReserve = 200

// memoryResult is what one proxy needs for a number of idle clients.
type memoryResult struct {
	clients       int
	proxy         string
	before, after []float64 // bytes, by round
}

// measureMemory lets many clients speak once, and looks at the proxy's resident
// memory when they have been idle for a while. Each round starts it anew.
func (r *rig) measureMemory(ctx context.Context) (results []memoryResult, leftOut string, err error) {
	for _, clients := range idleClients {
		w := works()[0]
		w.clients = clients
		if why := r.tooManyFor(w); why != "" {
			leftOut += " " + why + onPaper(results, clients)
			continue
		}
		for _, p := range r.programs {
			if !p.can(w) {
				continue
			}
			res := memoryResult{clients: clients, proxy: p.name}
			for range r.rounds {
				before, after, err := r.idle(ctx, p, w)
				if err != nil {
					return results, leftOut, fmt.Errorf("%d idle clients of %s: %w", clients, p.name, err)
				}
				res.before, res.after = append(res.before, before), append(res.after, after)
				fmt.Fprintf(r.progress, "%d idle clients  %-10s  %.1f MB, %.1f MB before\n", clients, p.name, after/1e6, before/1e6)
			}
			results = append(results, res)
		}
	}
	return results, leftOut, nil
}

// onPaper extrapolates the memory of more clients than can be measured; empty if
// none were measured.
func onPaper(results []memoryResult, clients int) string {
	if len(results) == 0 {
		return ""
	}
	measured := results[len(results)-1].clients
	var needs []string
	for _, m := range results {
		if m.clients != measured {
			continue
		}
		before, after := median(m.before), median(m.after)
		all := before + max(0, after-before)/float64(measured)*float64(clients)
		needs = append(needs, fmt.Sprintf("%s %s MB", m.proxy, number(all/1e6)))
	}
	return fmt.Sprintf(" On paper, each of them as large as one of %s, they would need: %s.",
		number(float64(measured)), strings.Join(needs, ", "))
}

// tooManyFor says why one process cannot have all of a work's clients, or "".
func (r *rig) tooManyFor(w work) string {
	if w.clients+descriptorReserve <= r.descriptors {
		return ""
	}
	return fmt.Sprintf("%s clients are left out: a process could have %s descriptors (ulimit -Hn).",
		number(float64(w.clients)), number(float64(r.descriptors)))
}

// idle measures once.
func (r *rig) idle(ctx context.Context, p program, w work) (before, after float64, err error) {
	running, err := r.start(ctx, p, w)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, running.stop()) }()
	first, err := readMemory(running.pid())
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := within(ctx, idleTime)
	defer cancel()
	s, err := openSession(ctx, variants(w.one), w.clients, running.addrs...)
	if err != nil {
		return 0, 0, errors.Join(err, running.ended())
	}
	defer s.close()
	select {
	case <-ctx.Done():
		return 0, 0, context.Cause(ctx)
	case <-time.After(idleTime):
	}
	last, err := readMemory(running.pid())
	return float64(first), float64(last), err
}

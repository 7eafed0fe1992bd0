package main

import (
	"context"
	"errors"
	"fmt"
)

// halfResult is how long requests of several works take at one rate: half of what nuthatch
// carries of the first of them.
type halfResult struct {
	saturation float64 // requests per second of nuthatch's closed loop
	points     []halfPoint
}

// halfPoint is one proxy with one work.
type halfPoint struct {
	work    work
	proxy   string
	samples []sample // by round
}

// measureHalf offers half of the load that nuthatch carries of the first work to all proxies, with
// each of the works in turn.
func (r *rig) measureHalf(ctx context.Context, all []work) (res *halfResult, err error) {
	contests := make([]*contest, len(all))
	defer func() {
		for _, c := range contests {
			if c == nil {
				continue
			}
			c.stop()
			for i := range c.results {
				err = errors.Join(err, c.results[i].err)
			}
		}
	}()
	res = new(halfResult)
	for i, w := range all {
		contests[i] = r.newContest(ctx, w)
		for j := range contests[i].results {
			if contests[i].results[j].err != nil {
				return nil, nil // told above
			}
			res.points = append(res.points, halfPoint{work: w, proxy: contests[i].results[j].proxy})
		}
	}
	for j := range contests[0].results {
		if contests[0].results[j].proxy == ours {
			s, err := contests[0].sample(ctx, contests[0].proxies[j], 2*r.length)
			if err != nil {
				return nil, fmt.Errorf("saturation: %w", err)
			}
			res.saturation = s.rate
		}
	}
	if res.saturation == 0 {
		return nil, fmt.Errorf("the load is half of what %s carries, which is not among the proxies", ours)
	}
	for round := range r.rounds {
		for _, i := range turns(round, len(contests)) {
			if err := r.halfRound(ctx, res, contests[i], round); err != nil {
				return nil, err
			}
		}
	}
	return res, nil
}

// halfRound measures all proxies of a contest once.
func (r *rig) halfRound(ctx context.Context, res *halfResult, c *contest, round int) error {
	for _, j := range turns(round, len(c.proxies)) {
		name := c.results[j].proxy
		s, err := c.offered(ctx, c.proxies[j], half*res.saturation)
		if err != nil {
			return fmt.Errorf("%s through %s: %w", c.work.name, name, err)
		}
		for k := range res.points {
			if p := &res.points[k]; p.work.name == c.work.name && p.proxy == name {
				p.samples = append(p.samples, s)
			}
		}
		fmt.Fprintf(r.progress, "round %d  half  %-16s  %-10s  %8.0f requests/s  p50 %6.0f us  p99 %8.0f us  others %3.0f%%\n",
			round+1, c.work.name, name, s.rate, s.p50, s.p99, 100*s.others)
	}
	return nil
}

func (h *halfResult) table() table {
	t := table{left: 1, head: []string{"work", "proxy", "carried", "p50", "p99", "p99.9", "p99, ratio to the first work"}}
	p99 := func(s sample) float64 { return s.p99 }
	for i := range h.points {
		p := &h.points[i]
		var first []sample
		for j := range h.points {
			if q := &h.points[j]; q.work.name == h.points[0].work.name && q.proxy == p.proxy {
				first = q.samples
			}
		}
		of := func(of func(sample) float64) string { return spread(each(p.samples, of)) }
		t.add(p.work.title, p.proxy, number(median(each(p.samples, func(s sample) float64 { return s.rate }))),
			of(func(s sample) float64 { return s.p50 }), of(p99), of(func(s sample) float64 { return s.p999 }),
			spread(ratios(each(p.samples, p99), each(first, p99))))
	}
	return t
}

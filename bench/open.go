package main

import (
	"context"
	"errors"
	"fmt"
)

// fractions are the offered loads, as parts of the baseline's saturation. The
// target is judged at half.
var fractions = []float64{0.1, 0.25, half, 0.75, 0.9, 1}

const half = 0.5

// openResult is latency against offered load.
type openResult struct {
	saturation float64 // requests per second of the baseline's closed loop
	points     []openPoint
}

// openPoint is one proxy at one rate.
type openPoint struct {
	fraction float64
	proxy    string
	samples  []sample // by round
}

// measureOpen finds the rate at which the baseline is saturated, and offers
// parts of it to every proxy.
func (r *rig) measureOpen(ctx context.Context) (res *openResult, err error) {
	w := works()[0]
	c := r.newContest(ctx, w)
	defer func() {
		c.stop()
		for i := range c.results {
			err = errors.Join(err, c.results[i].err)
		}
	}()
	res = &openResult{}
	for i := range c.results {
		if err := c.results[i].err; err != nil {
			return nil, nil
		}
		if c.results[i].proxy == baseline {
			s, err := c.sample(ctx, c.proxies[i], 2*r.length)
			if err != nil {
				return nil, fmt.Errorf("saturation: %w", err)
			}
			res.saturation = s.rate
		}
	}
	if res.saturation == 0 {
		return nil, fmt.Errorf("offered load is measured in parts of what %s carries, which is not among the proxies", baseline)
	}
	for _, fraction := range fractions {
		first := len(res.points)
		for i := range c.results {
			res.points = append(res.points, openPoint{fraction: fraction, proxy: c.results[i].proxy})
		}
		for round := range r.rounds {
			for _, i := range turns(round, len(c.proxies)) {
				s, err := c.offered(ctx, c.proxies[i], fraction*res.saturation)
				if err != nil {
					return nil, fmt.Errorf("%s at %.0f requests/s: %w", c.results[i].proxy, fraction*res.saturation, err)
				}
				p := &res.points[first+i]
				p.samples = append(p.samples, s)
				fmt.Fprintf(r.progress, "round %d  open, %3.0f%%    %-10s  %8.0f requests/s  p50 %6.0f us  p99 %8.0f us  busy: proxy %3.0f%%, load %3.0f%%; others %3.0f%%\n",
					round+1, 100*fraction, p.proxy, s.rate, s.p50, s.p99, 100*s.proxyBusy, 100*s.loadBusy, 100*s.others)
			}
		}
	}
	return res, nil
}

// offered measures a proxy at a rate.
func (c *contest) offered(ctx context.Context, p *proxy, rate float64) (sample, error) {
	ctx, cancel := within(ctx, c.length)
	defer cancel()
	s, err := openSession(ctx, c.exchanges, c.work.clients, p.addrs...)
	if err != nil {
		return sample{}, errors.Join(err, p.ended())
	}
	defer s.close()
	return c.using(p, func() (loadResult, error) { return s.openLoop(ctx, rate, c.length) })
}

package ctl

import (
	"slices"
	"time"

	"nuthatch/internal/admin/api"
)

// What needs a look that is not the state of one server. The page finds the same
// (internal/dashboard/static/findings.js).

const (
	// A server is slow if its p99 is slowTimes that of the others of its pool, and at
	// least slowLeast seconds. slowFew is how many requests a server must have answered in
	// the window, or its percentiles say little.
	slowTimes = 5
	slowLeast = .01
	slowFew   = 20
	// certificateSoon is how long before its end a certificate needs a look.
	certificateSoon = 14 * 24 * time.Hour
)

// lost finds that no server of the pool is left.
func (f *finder) lost(p *api.Pool) {
	for i := range p.Servers {
		if s := p.Servers[i].State; s == "up" || s == "probing" {
			return
		}
	}
	if len(p.Servers) > 0 {
		f.add(true, p.Name, "", "no server is left: all requests for keys fail")
	}
}

// slow finds servers that are much slower than the others of their pool.
func (f *finder) slow(p *api.Pool) {
	var times []float64
	measured := func(s *api.Server) bool {
		return s.State == "up" && s.Latency != nil && s.Latency.Recent != nil && s.Latency.Recent.Count >= slowFew
	}
	for i := range p.Servers {
		if s := &p.Servers[i]; measured(s) {
			times = append(times, float64(s.Latency.Recent.P99))
		}
	}
	if len(times) < 2 {
		return
	}
	slices.Sort(times)
	for i := range p.Servers {
		s := &p.Servers[i]
		if !measured(s) {
			continue
		}
		p99 := float64(s.Latency.Recent.P99)
		// The median of the others: of two servers it is the other one.
		at, _ := slices.BinarySearch(times, p99)
		middle := (len(times) - 2) / 2
		if middle >= at {
			middle++
		}
		if usual := times[middle]; p99 >= slowLeast && p99 >= slowTimes*usual {
			f.add(false, s.Pool, s.Name, "server %s is slow: its p99 is %s, that of the others %s", s.Name, seconds(p99), seconds(usual))
		}
	}
}

// certificate finds that the pool's certificate ends soon.
func (f *finder) certificate(p *api.Pool, now time.Time) {
	ends := p.Counters["certificate_until"]
	if ends == 0 {
		return
	}
	switch left := time.UnixMicro(ends).Sub(now); {
	case left <= 0:
		f.add(true, p.Name, "", "the certificate has ended: new clients with TLS fail")
	case left < certificateSoon:
		f.add(false, p.Name, "", "the certificate ends in %s", age(left))
	}
}

// descriptors finds that there are hardly any left.
func (f *finder) descriptors(p *api.ProcessInfo) {
	switch {
	case p.MaxDescriptors == 0:
	case p.Descriptors >= p.MaxDescriptors:
		f.add(true, "", "", "no descriptor is left: %d of %d are in use", p.Descriptors, p.MaxDescriptors)
	case float64(p.Descriptors) >= nearly*float64(p.MaxDescriptors):
		f.add(false, "", "", "descriptors are nearly used up: %d of %d", p.Descriptors, p.MaxDescriptors)
	}
}

// pauseOf says since when the pool is paused, how much longer, and by whom.
func pauseOf(p *api.Pool, now time.Time) string {
	text := poolState(p, now)
	if p.PausedSince != nil {
		text += ", begun " + age(now.Sub(*p.PausedSince)) + " ago"
	}
	return text
}

package admin

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/msg"
)

// A simulation has servers of a pool that answer requests, and a watch that looks at them each
// second.
type simulation struct {
	watch  slowWatch
	pools  []PoolLatency
	counts map[serverKey]counts
	second time.Time
	late   time.Duration
}

func newSimulation(servers int) *simulation {
	s := &simulation{counts: make(map[serverKey]counts), second: time.Unix(1_700_000_000, 0)}
	p := PoolLatency{Name: "p"}
	for i := range servers {
		p.Servers = append(p.Servers, ServerLatency{Name: fmt.Sprint("s", i)})
	}
	s.pools = []PoolLatency{p}
	return s
}

func (s *simulation) key(i int) serverKey { return serverKey{"p", s.pools[0].Servers[i].Name} }

// answer has a server answer n requests of a family, of so many bytes each.
func (s *simulation) answer(i int, f msg.Family, n int, took time.Duration, bytes int64) {
	if n <= 0 {
		return
	}
	s.pools[0].Servers[i].Families[f].Add(int64(took), uint64(n))
	c := s.counts[s.key(i)]
	c.requests += int64(n)
	c.responseBytes += int64(n) * bytes
	s.counts[s.key(i)] = c
}

// look ends a second, and is how the last server is slow.
func (s *simulation) look() *api.Slow {
	s.second = s.second.Add(time.Second)
	s.watch.add(s.second, s.late, s.pools, s.counts, 16<<20)
	p := &s.pools[len(s.pools)-1]
	return s.watch.shown()[serverKey{p.Name, p.Servers[len(p.Servers)-1].Name}]
}

// requests are how many come in the n-th second, at a rate.
func requests(rate float64, n int) int { return int(float64(n+1)*rate) - int(float64(n)*rate) }

// TestSlowServersAreNamed: a server that becomes slow is named within four seconds, at few
// requests as at many, and not before; as soon as it is quick again, it is named for a few
// seconds more. The log looks in the same second.
func TestSlowServersAreNamed(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		what        string
		servers     int
		rate        float64 // of each server
		others      float64 // of each of the others, if that is another
		quick, slow time.Duration
		part        float64 // of its requests that are slow
		way         string
		before      bool
		most        int // seconds until it is named; 0: four
	}{
		{what: "ten times slower, many requests", servers: 3, rate: 1000, quick: 300 * time.Microsecond, slow: 3 * ms, way: api.SlowHalf},
		{what: "ten times slower, 5 requests a second at 3 servers", servers: 3, rate: 5. / 3, quick: ms, slow: 10 * ms, way: api.SlowAll},
		{what: "ten times slower, 5 requests a second at 2 servers", servers: 2, rate: 2.5, quick: 3 * ms, slow: 30 * ms, way: api.SlowAll},
		{what: "three in four of few requests", servers: 3, rate: 4, quick: ms, slow: 80 * ms, part: .75, way: api.SlowHalf, most: 6},
		{what: "a few that take very long", servers: 2, rate: .8, others: 100, quick: ms, slow: 900 * ms, way: api.SlowAll},
		{what: "one of many requests in thirty", servers: 2, rate: 1000, quick: ms, slow: 30 * ms, part: 1. / 30, way: api.SlowTail},
		{what: "one of few requests in twenty", servers: 2, rate: 20, quick: ms, slow: 30 * ms, part: 1. / 20, way: api.SlowTail, most: 8},
		{what: "alone", servers: 1, rate: 5, quick: 2 * ms, slow: 30 * ms, way: api.SlowAll, before: true},
		{what: "alone, many requests", servers: 1, rate: 500, quick: ms, slow: 15 * ms, way: api.SlowHalf, before: true},
		{what: "the others have no requests", servers: 3, rate: 10, others: -1, quick: ms, slow: 50 * ms, way: api.SlowHalf, before: true},
	} {
		s, shown := newSimulation(tt.servers), 0
		if tt.others == 0 {
			tt.others = tt.rate
		}
		if tt.part == 0 {
			tt.part = 1
		}
		const from, end = 60, 70
		tt.most = cmp.Or(tt.most, 4)
		for n := range end + 20 {
			for i := range tt.servers - 1 {
				s.answer(i, msg.Reads, requests(tt.others, n), tt.quick, 100)
			}
			all, late := requests(tt.rate, n), 0
			if n >= from && n < end {
				late = int(math.Ceil(float64(all) * tt.part))
			}
			s.answer(tt.servers-1, msg.Reads, all-late, tt.quick, 100)
			s.answer(tt.servers-1, msg.Reads, late, tt.slow, 100)
			slow := s.look()
			switch {
			case slow == nil:
				if shown > 0 && n < end-1 {
					t.Errorf("%s: not named in second %d any more", tt.what, n-from+1)
				}
			case n < from:
				t.Fatalf("%s: named before it was slow: %+v", tt.what, slow)
			case shown == 0:
				shown = n - from + 1
				if slow.Way != tt.way || slow.Before != tt.before || float64(slow.Takes) > tt.slow.Seconds() || float64(slow.Takes) < tt.slow.Seconds()*.75 ||
					float64(slow.Usual) > tt.quick.Seconds() || float64(slow.Usual) < tt.quick.Seconds()*.75 {
					t.Errorf("%s: %+v", tt.what, slow)
				}
			}
		}
		if shown == 0 || shown > tt.most {
			t.Errorf("%s: named after %d seconds", tt.what, shown)
		}
		if slow := s.look(); slow != nil {
			t.Errorf("%s: named long after its end: %+v", tt.what, slow)
		}
	}
}

// TestOneSlowFamily: slow writes alone, or slow reads, are named within five seconds, however many
// others are quick, and are named no more within five seconds of their end.
func TestOneSlowFamily(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		what         string
		servers      int
		family, rest msg.Family
		rate         float64 // of the family, at each server
		before       bool
	}{
		{"two writes a second", 2, msg.Writes, msg.Reads, 2, false},
		{"two writes a second, alone", 1, msg.Writes, msg.Reads, 2, true},
		{"two reads a second, alone", 1, msg.Reads, msg.Writes, 2, true},
		{"many writes", 3, msg.Writes, msg.Reads, 50, false},
	} {
		s := newSimulation(tt.servers)
		const from, end = 120, 150
		named, over := 0, 0
		begin := s.second
		var told *api.Slow
		for n := range end + 20 {
			for i := range tt.servers {
				took := ms
				if i == tt.servers-1 && n >= from && n < end {
					took = 40 * ms
				}
				s.answer(i, tt.family, requests(tt.rate, n), took, 100)
				s.answer(i, tt.rest, 200, ms/4, 100)
			}
			slow := s.look()
			if slow != nil {
				told = slow
			}
			switch {
			case slow == nil && named > 0 && over == 0:
				over = n - end + 1
				if since, last := told.Since.Sub(begin), told.Last.Sub(begin); since != from*time.Second || last != end*time.Second {
					t.Errorf("%s: slow from %v to %v, want %ds to %ds", tt.what, since, last, from, end)
				}
			case slow != nil && over > 0:
				t.Errorf("%s: named again in second %d", tt.what, n)
			case slow != nil && named == 0:
				if named = n - from + 1; slow.Family != tt.family.String() || slow.Before != tt.before {
					t.Errorf("%s: %+v", tt.what, slow)
				}
			}
		}
		if named < 1 || named > 5 || over < 1 || over > 5 {
			t.Errorf("%s: named after %d seconds, and for %d seconds after its end", tt.what, named, over)
		}
	}
}

// TestSlowFamilyStays: a server that is slow in reads and writes at once, and in either more at
// times, is so once, by the family that took longest at first; by the other one when that alone
// is slow.
func TestSlowFamilyStays(t *testing.T) {
	const ms = time.Millisecond
	const from, quick, end = 60, 100, 120
	s := newSimulation(2)
	var first *api.Slow
	changes := 0
	for n := range end + 20 {
		reads, writes := 60, 10
		if n/3%2 == 0 {
			reads, writes = writes, reads
		}
		for i := range 2 {
			read, write := ms, ms
			if i == 1 && n >= from && n < quick {
				read = 40 * ms
			}
			if i == 1 && n >= from && n < end {
				write = 20 * ms
			}
			s.answer(i, msg.Reads, reads, read, 100)
			s.answer(i, msg.Writes, writes, write, 100)
		}
		s.second = s.second.Add(time.Second)
		if s.watch.add(s.second, 0, s.pools, s.counts, 16<<20) {
			changes++
		}
		slow := s.watch.shown()[s.key(1)]
		want := msg.Reads.String()
		if n >= quick+6 {
			want = msg.Writes.String()
		}
		switch {
		case slow == nil && n >= from+4 && n < end || slow != nil && n >= end+6:
			t.Fatalf("second %d: %+v", n, slow)
		case slow == nil:
		case first == nil:
			first = slow
		case !slow.Since.Equal(first.Since) || (n < quick || n >= quick+6) && slow.Family != want:
			t.Errorf("second %d: %+v, want the %ss, since %v", n, slow, want, first.Since)
		}
	}
	if changes != 2 {
		t.Errorf("it began and ended %d times, want once", changes)
	}
}

// lateAtTimes has two servers that are late alike: at about one in a hundred of the times of a
// busy host.
func lateAtTimes(s *simulation, _ int, took func() time.Duration) {
	for j := range 400 {
		late := time.Millisecond
		if took() > 2550*time.Microsecond {
			late = 40 * time.Millisecond
		}
		s.answer(j%2, msg.Reads, 1, late, 100)
	}
}

// TestServersThatAreNotSlow: whatever the traffic is, servers that are as quick as they can be
// are not named.
func TestServersThatAreNotSlow(t *testing.T) {
	const ms = time.Millisecond
	for what, second := range map[string]func(s *simulation, n int, took func() time.Duration){
		"few requests, and noise": func(s *simulation, n int, took func() time.Duration) {
			for i := range s.pools[0].Servers {
				for range n * i % 4 {
					s.answer(i, msg.Reads, 1, took(), 100)
				}
			}
		},
		"many requests, and noise": func(s *simulation, _ int, took func() time.Duration) {
			for i := range s.pools[0].Servers {
				for range 200 {
					s.answer(i, msg.Reads, 1, took(), 100)
				}
			}
		},
		"each slower for a moment": func(s *simulation, n int, took func() time.Duration) {
			for i := range s.pools[0].Servers {
				for range 5 {
					s.answer(i, msg.Reads, 1, took(), 100)
				}
				if n%30 == i {
					s.answer(i, msg.Reads, 3, 50*ms, 100)
				}
			}
		},
		"large values": func(s *simulation, n int, took func() time.Duration) {
			s.answer(0, msg.Reads, 2, ms, 100)
			s.answer(1, msg.Reads, 2, ms, 100)
			s.answer(2, msg.Reads, 1+n%3, 40*ms, 1<<20)
		},
		"a family that takes longer": func(s *simulation, _ int, took func() time.Duration) {
			s.answer(0, msg.Reads, 3, ms, 100)
			s.answer(1, msg.Reads, 3, ms, 100)
			s.answer(2, msg.Writes, 3, 40*ms, 100)
		},
		"scripts": func(s *simulation, n int, took func() time.Duration) {
			s.answer(2, msg.Scripts, min(n, 40)/10, time.Duration(n)*ms, 100)
		},
		"two slow requests now and then": func(s *simulation, n int, took func() time.Duration) {
			s.answer(0, msg.Reads, 3, ms, 100)
			if n%20 == 0 {
				s.answer(2, msg.Reads, 2, 300*ms, 100)
			}
		},
		"one slow write now and then": func(s *simulation, n int, took func() time.Duration) {
			s.answer(0, msg.Writes, 1, ms, 100)
			s.answer(2, msg.Reads, 100, ms, 100)
			if n%5 == 0 {
				s.answer(2, msg.Writes, 1, 300*ms, 100)
			}
		},
		"two of three with late requests": func(s *simulation, _ int, took func() time.Duration) {
			for i := range s.pools[0].Servers {
				s.answer(i, msg.Reads, 100, ms, 100)
				s.answer(i, msg.Reads, 3*min(i, 1), 40*ms, 100)
			}
		},
		"a busy host, and about one late request in a hundred": lateAtTimes,
		"a server farther away, and quick": func(s *simulation, _ int, took func() time.Duration) {
			s.answer(0, msg.Reads, 50, 200*time.Microsecond, 100)
			s.answer(2, msg.Reads, 50, 1500*time.Microsecond, 100)
		},
	} {
		s, rnd := newSimulation(3), rand.New(rand.NewPCG(1, 2))
		// A busy host: a quarter of a millisecond, most of the time.
		took := func() time.Duration { return time.Duration(250e3 * math.Exp(rnd.NormFloat64())) }
		for n := range 1000 {
			second(s, n, took)
			s.look()
			for key, slow := range s.watch.shown() {
				t.Fatalf("%s, in second %d: %v: %+v", what, n, key, slow)
			}
		}
	}
}

// TestSlowByItsOwnPast: a server that stays slow is as usual after a time, and one whose counters
// begin anew, after a reload, is not slow.
func TestSlowByItsOwnPast(t *testing.T) {
	s := newSimulation(1)
	at := func(took time.Duration, seconds int) (last *api.Slow) {
		for range seconds {
			s.answer(0, msg.Writes, 5, took, 100)
			last = s.look()
		}
		return last
	}
	at(time.Millisecond, 700)
	if slow := at(40*time.Millisecond, 300); slow == nil || !slow.Before {
		t.Errorf("slow for five minutes: %+v", slow)
	}
	if slow := at(40*time.Millisecond, 400); slow != nil {
		t.Errorf("slow for more than ten minutes: %+v", slow)
	}
	s.pools[0].Servers[0].Families[msg.Writes].Clear()
	s.counts = make(map[serverKey]counts)
	if slow := at(40*time.Millisecond, 20); slow != nil {
		t.Errorf("begun anew: %+v", slow)
	}
}

// TestSlowWatchIsBounded: with little memory there are fewer seconds, or none.
func TestSlowWatchIsBounded(t *testing.T) {
	for servers, want := range map[int]int{10: 11, 1000: 9, 10000: 0} {
		s := newSimulation(servers)
		for range 12 {
			for i := range servers {
				s.answer(i, msg.Reads, 1, time.Millisecond, 100)
			}
			s.second = s.second.Add(time.Second)
			s.watch.add(s.second, s.late, s.pools, s.counts, 20<<20)
		}
		if got := len(s.watch.samples); got != want {
			t.Errorf("%d servers: %d samples, want %d", servers, got, want)
		}
		if size := s.watch.size; size > 5<<20 || want > 0 && size <= 0 {
			t.Errorf("%d servers: %d bytes", servers, size)
		}
	}
}

// TestLateHosts: a host that stalls makes no server slow: neither in one second, nor in those in
// which other servers or the recorder were late, too. A server that is slow in such seconds and
// in others is named.
func TestLateHosts(t *testing.T) {
	const ms = time.Millisecond
	for what, tt := range map[string]struct {
		second func(s *simulation, n int) // of a stalled host
		every  int                        // so many seconds, the host stalls ...
		long   int                        // ... for so many
		slow   time.Duration              // what the last server takes otherwise, from the middle on
		named  bool
	}{
		"one second, alone":          {every: 7, long: 1},
		"two seconds, alone":         {every: 20, long: 2},
		"other pools, too":           {every: 20, long: 6, second: func(s *simulation, _ int) { s.other(30 * ms) }},
		"the recorder, too":          {every: 20, long: 6, second: func(s *simulation, _ int) { s.late = 40 * ms }},
		"slow, and the host is busy": {every: 2, long: 1, slow: 60 * ms, second: func(s *simulation, _ int) { s.other(30 * ms); s.late = 40 * ms }, named: true},
		"slow, and the others quick": {every: 20, long: 6, second: func(s *simulation, _ int) { s.other(ms) }, named: true},
		"slow in two pools":          {every: 20, long: 6, second: func(s *simulation, _ int) { s.same(30 * ms) }, named: true},
	} {
		s, named := newSimulation(1), false
		s.pools = append([]PoolLatency{{Name: "other", Servers: []ServerLatency{{Name: "o1"}, {Name: "s0"}}}}, s.pools...)
		for n := range 600 {
			s.late = ms
			took := ms / 5
			if n >= 300 && tt.slow > 0 {
				took = tt.slow
			}
			if n%tt.every >= tt.every-tt.long {
				took = max(took, 25*ms)
				if tt.second != nil {
					tt.second(s, n)
				}
			} else {
				s.other(ms / 5)
				s.same(ms / 5)
			}
			s.pools[1].Servers[0].Families[msg.Reads].Add(int64(took), 20)
			named = s.look() != nil || named
		}
		if named != tt.named {
			t.Errorf("%s: named: %t", what, named)
		}
	}
}

// other has a server of another pool answer, and same the pool's own server there.
func (s *simulation) other(took time.Duration) {
	s.pools[0].Servers[0].Families[msg.Reads].Add(int64(took), 5)
}

func (s *simulation) same(took time.Duration) {
	s.pools[0].Servers[1].Families[msg.Reads].Add(int64(took), 5)
}

// TestFewSlowRequestsGoOn: a server that is slow stays so while the few requests that it gets are,
// and no longer than these.
func TestFewSlowRequestsGoOn(t *testing.T) {
	const ms = time.Millisecond
	s := newSimulation(3)
	for n := range 100 {
		took := 20 * ms
		if n >= 20 && n < 80 {
			took = 200 * ms
		}
		for i := range 2 {
			s.answer(i, msg.Writes, 2, 20*ms, 100)
		}
		if n < 30 || n%4 == 0 {
			s.answer(2, msg.Writes, 2, took, 100)
		}
		slow := s.look()
		if is := slow != nil; n >= 25 && n < 80 && !is || (n < 20 || n > 90) && is {
			t.Errorf("second %d: %+v", n, slow)
		}
	}
}

// TestSlowServerOnABusyHost: a server that was slow is named no longer when it is as quick as the others,
// though one request in six is late, there and at another one.
func TestSlowServerOnABusyHost(t *testing.T) {
	const ms, from, end = time.Millisecond, 60, 90
	for _, rate := range []int{6, 20, 60} {
		s, named := newSimulation(3), false
		for n := range end + 20 {
			for i := range 3 {
				late, took := 0, ms/4
				if n >= end && i != 1 {
					late = rate / 6
				}
				if i == 2 && n >= from && n < end {
					took = 30 * ms
				}
				s.answer(i, msg.Reads, rate-late, took, 100)
				s.answer(i, msg.Reads, late, max(took, 8*ms), 100)
			}
			slow := s.look()
			named = named || slow != nil
			if slow != nil && (n < from || n >= end+6) || slow == nil && n >= from+5 && n < end {
				t.Errorf("%d requests a second, second %d: %+v", rate, n-from, slow)
			}
		}
		if !named {
			t.Errorf("%d requests a second: not named", rate)
		}
	}
}

// TestStutteringServer: a server that stands still for three quarters of the time is named while it
// does, though it answers some of its few requests at once, and no longer than that.
func TestStutteringServer(t *testing.T) {
	const from, end = 60, 120
	for seed := range uint64(8) {
		s, rnd := newSimulation(3), rand.New(rand.NewPCG(seed, 2))
		first, missed := 0, 0
		for n := range end + 20 {
			for i := range 3 {
				for range 4 {
					if rnd.Float64() > .8*float64(seed%2+2)/3 {
						continue
					}
					family, took := msg.Reads, 130*time.Microsecond
					if rnd.Float64() < .3 {
						family = msg.Writes
					}
					if i == 2 && n >= from && n < end && rnd.Float64() < .75 {
						took = time.Duration(rnd.Float64() * float64(150*time.Millisecond))
					}
					s.answer(i, family, 1, took, 100)
				}
			}
			switch slow := s.look(); {
			case slow != nil && (n < from || n >= end+6):
				t.Errorf("seed %d, second %d: %+v", seed, n-from, slow)
			case n < from || n >= end:
			case slow != nil && first == 0:
				first = n - from + 1
			case slow == nil && first > 0:
				missed++
			}
		}
		if first == 0 || first > 15 || missed > 6 {
			t.Errorf("seed %d: named after %d seconds, and not for %d of the others", seed, first, missed)
		}
	}
}

package admin

import (
	"maps"
	"math/bits"
	"slices"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/latency"
	"nuthatch/internal/msg"
)

// Which servers are slow now.
//
//	each second   times of each server, by family ─► counts so far
//	then          the last 2, 3, 4, 6 and 10 seconds: what is new in each
//	a server      is slow if most of its requests, by family, or its reads or writes
//	                alone take much longer than those of the other servers of its
//	                pool; or, if these have none, than its own did before
//
// A family is compared with itself: writes with writes. Scripts are left out, since each may
// take what it takes. A server that is slow in several families is so by one, which it keeps for
// as long as that is slow (slow_seconds.go). There are three ways to be slow:
//
//	half    half of at least 20 requests take long; of 100, a little less long; of 10, much longer
//	all     each of a few does
//	tail    one in a hundred of many does, in each of four seconds or in half of ten, and not half
//	        of the servers at once, nor at half of the others for a quarter of that share: then it is the
//	        host
//
// It must be so in several seconds, without those in which the whole host was late
// (slow_seconds.go). Large values take long. So what is long grows with the bytes of a request and its reply.
const (
	// slowTimes is how many times as long as the others' requests those of a slow server
	// take; oldTimes is the same if they are compared with its own before.
	slowTimes, oldTimes = 5, 8
	// Requests that are quicker than these are never slow: half of manyOf, of halfOf or of fewOf,
	// each of a few, one in a hundred, and by the server's own past.
	slowMany = 2 * time.Millisecond
	slowHalf = 5 * time.Millisecond
	slowFew  = 20 * time.Millisecond
	slowAll  = 5 * time.Millisecond
	slowTail = 20 * time.Millisecond
	slowOld  = 10 * time.Millisecond
	// slowPerByte is how much longer a request may take for each byte: that of 10 MB/s.
	slowPerByte = time.Second / 10_000_000
	// manyOf, halfOf, fewOf, allOf and tailOf are how many requests there must be; allOfLong is the same if
	// each took allLong or longer.
	manyOf, halfOf, fewOf, allOf, tailOf, allOfLong = 100, 20, 10, 4, 100, 2
	allLong                                         = 500 * time.Millisecond
	// othersOf is how many requests the other servers must have had, and oldOf how many the
	// server itself before.
	othersOf, oldOf = 4, 50
	// slowStays is for how long a server that was slow stays so, unless all its seconds are
	// quick for quickFor (slow_seconds.go).
	slowStays = 5 * time.Second
	// oldFor is for how long a server is slow by its own past. Then that is its past.
	oldFor = 10 * time.Minute
	// oldHalf is how often the past counts half.
	oldHalf = 5 * time.Minute
	// slowMemory is how many bytes the samples may take at least. If they need more than that,
	// and more than a quarter of the recorder's memory, fewer seconds are kept.
	slowMemory = 1 << 20
)

// slowSpans are the spans that are looked at, in seconds, and tailSpan is that of the tail.
var slowSpans = []int{2, 3, 4, 6, 10}

const (
	tailSpan    = 2
	longestSpan = 10 * time.Second
)

// A spread counts times by buckets, four to each power of two, from 16 microseconds to two
// minutes. It only grows, and may pass its end: differences are right all the same.
type spread [88]uint32

const (
	spreadUnit = 14 // bits of nanoseconds
	spreadSub  = 2  // bits: four buckets to each power of two
)

func spreadOf(h *latency.Histogram) *spread {
	s := new(spread)
	for middle, n := range h.Middles {
		u := uint64(middle) >> spreadUnit
		e := max(bits.Len64(u)-spreadSub-1, 0)
		s[min(e<<spreadSub+int(u>>e), len(s)-1)] += uint32(n)
	}
	return s
}

// edge is the shortest time in the bucket.
func (*spread) edge(bucket int) time.Duration {
	e := max(bucket>>spreadSub-1, 0)
	return time.Duration(bucket-e<<spreadSub) << e << spreadUnit
}

// since is what is new since an earlier one, and how much that is. Either may be nil.
func (s *spread) since(before *spread) (d spread, n int64) {
	if s == nil || s == before {
		return d, 0
	}
	if d = *s; before != nil {
		for i := range d {
			d[i] -= before[i]
		}
	}
	for _, c := range d {
		n += int64(c)
	}
	return d, n
}

// from is the time that the share q of n times is below, and the shortest time of the bucket
// that it is in.
func (s *spread) from(q float64, n int64) time.Duration {
	rank, seen := max(int64(q*float64(n)), 1), int64(0)
	for i, c := range s {
		if seen += int64(c); seen >= rank {
			return s.edge(i)
		}
	}
	return 0
}

// A slowSample is what was counted of the servers until a second.
type slowSample struct {
	second time.Time
	of     map[serverKey]*serverTimes
	size   int64
	// late is how late the recorder woke up, and others has the servers that were late; nil
	// until somebody asks.
	late   time.Duration
	others map[serverKey]bool
}

// timesSize is about how many bytes serverTimes takes, with its place.
const timesSize = 200

type serverTimes struct {
	// count has how many times of each family there are; spreads of what was not counted are nil.
	count           [msg.NumFamilies]uint64
	spread          [msg.NumFamilies]*spread
	requests, bytes int64
}

// A past is how long the requests of a server usually take: a spread that forgets.
type past struct {
	spread [msg.NumFamilies]*spread
	halved time.Time
}

// A slowness is a slow server.
type slowness struct {
	api.Slow
	by   judgement
	seen time.Time // last
	// own is when it was last found by its family, which may have been another one at seen.
	own time.Time
	// over is when it was quick again. It is kept until no sample has what was slow, which is
	// not for its past.
	over time.Time
}

// A slowWatch finds slow servers. It belongs to the recorder's Run, but for what is found,
// which is published.
type slowWatch struct {
	samples []slowSample // the oldest first
	size    int64        // of all, about
	past    map[serverKey]*past
	found   map[serverKey]*slowness
}

// add takes the times until a second, looks which servers are slow, and reports whether one has
// begun to be, or is no longer. pools are nil if nothing has happened since the last second. late is how late the
// recorder woke up, and memory is its.
func (w *slowWatch) add(second time.Time, late time.Duration, pools []PoolLatency, of map[serverKey]counts, memory int64) (changed bool) {
	var last *slowSample
	if n := len(w.samples); n > 0 {
		last = &w.samples[n-1]
	}
	next := slowSample{second: second, late: late, of: make(map[serverKey]*serverTimes)}
	if pools == nil && last != nil {
		next.of = last.of
	}
	for i := range pools {
		for j := range pools[i].Servers {
			s := &pools[i].Servers[j]
			key := serverKey{pools[i].Name, s.Name}
			var before *serverTimes
			if last != nil {
				before = last.of[key]
			}
			t := timesOf(s, before, of[key])
			next.of[key] = t
			next.size += t.size(before)
		}
	}
	w.samples = append(w.samples, next)
	w.size += next.size
	gone := 0
	for far := second.Add(-longestSpan); w.samples[gone].second.Before(far) || w.size > max(memory/4, slowMemory); gone++ {
		w.size -= w.samples[gone].size
		if gone == len(w.samples)-1 { // there are too many servers
			*w = slowWatch{}
			return false
		}
	}
	w.age(w.samples[:gone+1], second)
	w.samples = slices.Delete(w.samples, 0, gone)
	return w.look(second)
}

// timesOf are the times of a server. What has not changed is shared with the sample before. If
// a reload has taken the server out and put it back, it begins anew.
func timesOf(s *ServerLatency, before *serverTimes, c counts) *serverTimes {
	t := &serverTimes{requests: c.requests, bytes: c.requestBytes + c.responseBytes}
	for f := range s.Families {
		h := &s.Families[f]
		if f == int(msg.Scripts) || h.Count() == 0 {
			continue
		}
		t.count[f] = h.Count()
		if before != nil && before.count[f] == t.count[f] {
			t.spread[f] = before.spread[f]
			continue
		}
		t.spread[f] = spreadOf(h)
	}
	return t
}

// size is about how many bytes it takes, with its place, but for what it shares.
func (t *serverTimes) size(before *serverTimes) int64 {
	size := int64(timesSize)
	for f, one := range t.spread {
		if one != nil && (before == nil || before.spread[f] != one) {
			size += int64(4 * len(one))
		}
	}
	return size
}

// grown reports whether nothing has begun anew between two samples.
func (t *serverTimes) grown(before *serverTimes) bool {
	for f := range t.count {
		if t.count[f] < before.count[f] {
			return false
		}
	}
	return t.requests >= before.requests
}

// age adds what the samples have that are about to go, to the past of the servers. The last one
// stays. A server that is slow now keeps its past.
func (w *slowWatch) age(gone []slowSample, now time.Time) {
	if w.past == nil {
		w.past, w.found = make(map[serverKey]*past), make(map[serverKey]*slowness)
	}
	if len(gone) < 2 {
		return
	}
	first, last := gone[0].of, gone[len(gone)-1].of
	for key := range w.past {
		if last[key] == nil {
			delete(w.past, key)
		}
	}
	for key, t := range last {
		p := w.past[key]
		if p == nil {
			p = &past{halved: now}
			w.past[key] = p
		}
		if slow := w.found[key]; slow != nil {
			if slow.Before && slow.over.IsZero() && now.Sub(slow.Since) >= oldFor {
				*p = past{halved: now}
			}
			continue
		}
		before := first[key]
		if before == nil || !t.grown(before) {
			continue
		}
		p.add(t, before, now)
	}
}

func (p *past) add(t, before *serverTimes, now time.Time) {
	half := now.Sub(p.halved) >= oldHalf
	if half {
		p.halved = now
	}
	for f := range t.spread {
		d, n := t.spread[f].since(before.spread[f])
		if n == 0 && !half || t.spread[f] == nil {
			continue
		}
		if p.spread[f] == nil {
			p.spread[f] = new(spread)
		}
		for i := range d {
			p.spread[f][i] += d[i]
			if half {
				p.spread[f][i] /= 2
			}
		}
	}
}

// look finds the servers that are slow now, and reports whether one has begun to be, or is no
// longer.
func (w *slowWatch) look(now time.Time) (changed bool) {
	pools := make(map[string][]serverKey)
	for key := range w.samples[len(w.samples)-1].of {
		pools[key.pool] = append(pools[key.pool], key)
	}
	for _, keys := range pools {
		for key, slow := range w.slowOf(keys) {
			if w.isQuick(key, slow.by, now) {
				continue
			}
			old := w.found[key]
			if old != nil && old.over.IsZero() && w.keeps(key, old, slow, now) {
				old.seen = now
				continue
			}
			slow.seen, slow.own, slow.Since = now, now, now.Add(-time.Duration(slow.Window)*time.Second)
			if first, last := w.signs(key, slow); !last.IsZero() {
				slow.Since, slow.Last = first, last
			}
			if old != nil && old.over.IsZero() {
				slow.follows(old)
			} else {
				changed = true
			}
			w.found[key] = slow
		}
	}
	for key, slow := range w.found {
		if _, last := w.signs(key, slow); slow.over.IsZero() && last.After(slow.Last) {
			later := *slow // others read what was published
			later.Last = last
			slow, w.found[key] = &later, &later
		}
		switch {
		case slow.over.IsZero() && w.goesOn(key, slow.by):
			slow.seen, slow.own = now, now
		case slow.over.IsZero() && (now.Sub(slow.seen) >= slowStays || w.isQuick(key, slow.by, now)):
			slow.over, changed = now, true
		case !slow.over.IsZero() && now.Sub(slow.over) >= longestSpan:
			delete(w.found, key)
		}
	}
	return changed
}

// slowOf are the slow servers of a pool: by the shortest span that shows it.
func (w *slowWatch) slowOf(keys []serverKey) map[serverKey]*slowness {
	found := make(map[serverKey]*slowness)
	last := len(w.samples) - 1
	for _, span := range slowSpans {
		if span > last {
			break
		}
		s := w.spanOf(keys, last-span, last)
		for i, key := range keys {
			if _, has := found[key]; has || w.hasOld(key, last-span) {
				continue
			}
			if v, ok := w.worst(key, s.most(i, w.past[key]), last-span, last); ok {
				found[key] = s.say(i, v)
			} else if v := s.slowest(i); span == slowSpans[len(slowSpans)-1] && v.slow && w.badTail(keys, i, v, badTail, last-span, last) {
				found[key] = s.say(i, v)
			}
		}
	}
	if last < 2*tailSpan {
		return withoutHost(found, len(keys))
	}
	first, second := w.spanOf(keys, last-2*tailSpan, last-tailSpan), w.spanOf(keys, last-tailSpan, last)
	for i, key := range keys {
		if was, has := found[key]; has && was.Way != api.SlowTail || w.hasOld(key, last-2*tailSpan) || !first.slowest(i).slow {
			continue
		}
		if v := second.slowest(i); v.slow && w.badTail(keys, i, v, 2*tailSpan, last-2*tailSpan, last) {
			found[key] = second.say(i, v)
		}
	}
	return withoutHost(found, len(keys))
}

// withoutHost leaves out servers with a slow tail, if these are two or more, and half of the pool's.
func withoutHost(found map[serverKey]*slowness, servers int) map[serverKey]*slowness {
	tails := 0
	for _, slow := range found {
		if slow.Way == api.SlowTail {
			tails++
		}
	}
	if tails >= 2 && 2*tails >= servers {
		maps.DeleteFunc(found, func(_ serverKey, slow *slowness) bool { return slow.Way == api.SlowTail })
	}
	return found
}

// A slowSpan is what the servers of a pool did in a span of time.
type slowSpan struct {
	long    time.Duration
	servers []spanTimes
	// half and tail are the times of half, or the slowest hundredth, of each server's requests,
	// by family, in ascending order; tail is of servers with tailOf requests or more. requests
	// are those of all servers.
	half, tail [msg.NumFamilies][]time.Duration
	requests   [msg.NumFamilies]int64
}

type spanTimes struct {
	spread [msg.NumFamilies]spread
	n      [msg.NumFamilies]int64
	// more is how much longer its requests may take, for their size.
	more time.Duration
}

func (w *slowWatch) spanOf(keys []serverKey, from, to int) *slowSpan {
	since, until := &w.samples[from], &w.samples[to]
	s := &slowSpan{long: until.second.Sub(since.second), servers: make([]spanTimes, len(keys))}
	for i, key := range keys {
		now, before := until.of[key], since.of[key]
		if now == nil || before == nil || now == before || !now.grown(before) {
			continue
		}
		one := &s.servers[i]
		for f := range now.spread {
			d, n := now.spread[f].since(before.spread[f])
			one.spread[f], one.n[f] = d, n
			if n > 0 {
				s.requests[f] += n
				s.half[f] = append(s.half[f], d.from(.5, n))
			}
			if n >= tailOf {
				s.tail[f] = append(s.tail[f], d.from(.99, n))
			}
		}
		if n := now.requests - before.requests; n > 0 {
			one.more = time.Duration(max(now.bytes-before.bytes, 0)/n) * slowPerByte
		}
	}
	for f := range msg.NumFamilies {
		slices.Sort(s.half[f])
		slices.Sort(s.tail[f])
	}
	return s
}

// A judgement is about the requests of a family at a server.
type judgement struct {
	judged, slow bool
	before       bool // compared with its own before
	family       int
	n            int64
	takes, usual time.Duration
	limit        time.Duration // of what is slow
	long         time.Duration // of the span
	way          string
}

// judge compares the requests of a family at a server with those of others, and without others
// with its own past. q is the share of its requests that are quicker than the time compared.
func (s *slowSpan) judge(i, f int, q float64, floor time.Duration, own *past) judgement {
	one := &s.servers[i]
	v := judgement{family: f, n: one.n[f], long: s.long}
	if v.n == 0 {
		return v
	}
	v.takes = one.spread[f].from(q, v.n)
	times, half := time.Duration(slowTimes), one.spread[f].from(.5, v.n)
	switch {
	case s.requests[f]-v.n >= othersOf:
		v.usual = others(s.half[f], half)
	case own == nil || own.spread[f] == nil:
		return v
	default:
		_, n := own.spread[f].since(nil)
		if n < oldOf {
			return v
		}
		v.usual, times, floor, v.before = own.spread[f].from(.5, n), oldTimes, max(floor, slowOld), true
	}
	v.judged = true
	v.limit = max(floor+one.more, times*v.usual)
	v.slow = v.takes >= v.limit
	return v
}

// others is the median of times without one of them; of two in the middle it is the lesser one.
func others(times []time.Duration, own time.Duration) time.Duration {
	return nthOther(times, own, (len(times)-2)/2)
}

// upperOthers is the same, but of two that are in the middle it is the greater one: chance makes the
// slowest requests of a single server quick.
func upperOthers(times []time.Duration, own time.Duration) time.Duration {
	return nthOther(times, own, (len(times)-1)/2)
}

// nthOther is the n-th of times, which are in order, without one of them.
func nthOther(times []time.Duration, own time.Duration, n int) time.Duration {
	if at, _ := slices.BinarySearch(times, own); n >= at {
		n++
	}
	return times[n]
}

// most judges all requests of a server: it is slow if most of those that can be judged are, or if
// its reads or its writes are, of which there are more than a few that take very long: quick
// requests do not make up for those. found are the families that are slow, none if it is not.
func (s *slowSpan) most(i int, own *past) (found []judgement) {
	judged, slow, is := int64(0), int64(0), false
	for f := range msg.NumFamilies {
		v, way := judgement{}, api.SlowHalf
		switch n := s.servers[i].n[f]; {
		case n >= manyOf:
			v = s.judge(i, f, .5, slowMany, own)
		case n >= halfOf:
			v = s.judge(i, f, .5, slowHalf, own)
		default:
			v, way = s.judge(i, f, 0, slowAll, own), api.SlowAll
			v.judged = v.judged && (n >= allOf || n >= allOfLong && v.takes >= allLong)
			if n >= fewOf && !v.slow {
				v, way = s.judge(i, f, .5, slowFew, own), api.SlowHalf
			}
		}
		v.way = way
		if !v.judged {
			continue
		}
		judged += v.n
		if !v.slow {
			continue
		}
		is = is || v.n >= allOf && (f == int(msg.Reads) || f == int(msg.Writes))
		slow += v.n
		found = append(found, v)
	}
	if !is && slow*2 <= judged {
		return nil
	}
	return found
}

// slowest judges the slowest hundredth of a server's requests.
func (s *slowSpan) slowest(i int) judgement {
	one := &s.servers[i]
	for f := range msg.NumFamilies {
		if one.n[f] < tailOf || len(s.tail[f]) < 2 {
			continue
		}
		v := judgement{way: api.SlowTail, long: s.long, family: f, n: one.n[f], takes: one.spread[f].from(.99, one.n[f])}
		v.usual = upperOthers(s.tail[f], v.takes)
		v.limit = max(slowTail+one.more, slowTimes*v.usual)
		if v.takes >= v.limit && !s.othersAreLate(i, v) {
			v.slow = true
			return v
		}
	}
	return judgement{}
}

// say is a judgement in the API's type. The family is named if there were others.
func (s *slowSpan) say(i int, v judgement) *slowness {
	slow := api.Slow{
		Way: v.way, Window: s.long.Seconds(), Count: v.n, Before: v.before,
		Takes: api.Seconds(v.takes.Seconds()), Usual: api.Seconds(v.usual.Seconds()),
	}
	for f, n := range s.servers[i].n {
		if n > 0 && f != v.family && (v.family == int(msg.Reads) || v.family == int(msg.Writes)) {
			slow.Family = msg.Family(v.family).String()
		}
	}
	return &slowness{Slow: slow, by: v}
}

// shown are the servers that are slow, for everybody.
func (w *slowWatch) shown() map[serverKey]*api.Slow {
	shown := make(map[serverKey]*api.Slow, len(w.found))
	for key, slow := range w.found {
		if slow.over.IsZero() {
			shown[key] = &slow.Slow
		}
	}
	return shown
}

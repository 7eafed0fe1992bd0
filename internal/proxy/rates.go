package proxy

import (
	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// The limits of a pool (block `limits`) hold for all loops together. A loop takes tokens from
// the buckets that all share in advance, a thousandth of a second's at a time, and tells others
// of its requests in flight now and then. So a request takes from what its own loop has:
//
//	client ─► consume ─► admit ─┬─ tokens ─► parser ─► ...
//	             ▲              └─ none ──► waiting, first come first served; not read from
//	             └── resume ◄── pump, by a timer ◄─┘   after max_wait: an error
//
// What a request and its reply bring in bytes is known when they have come or gone, and is
// charged then (rates_bytes.go). Clients without a login use nothing up: they have bounds of their own, and
// could keep all others out.

// A rates are the limits of a pool on one loop. It belongs to the loop.
type rates struct {
	pool   *ServerPool
	shared *topology.Rates
	conf   config.Limits
	// requestsOf and bytesOf are what the buckets give, requestStep and byteStep how many tokens
	// are taken at a time.
	requestsOf, bytesOf   topology.Rate
	requestStep, byteStep int64
	// requests and bytes are the tokens that the loop has.
	requests, bytes int64
	// inFlight is how many requests are in flight, told what others know of them, and tellAt by
	// how many they must change to be told.
	inFlight, told, tellAt int64
	// lack is the limit that was reached last; OK: there is room.
	lack msg.Reason
	// waiting are those that wait, from first on.
	waiting []waiter
	first   int
	// turnOf is the client whose turn it is, and turnLeft how many requests it may take.
	turnOf   *client
	turnLeft int
	// pumping: those that wait go on. capped: no more tokens are taken until that is over.
	pumping, capped bool
	// paid: the late request in hand has paid, as any other that is not late.
	paid bool
	// user is whose limits they are, and most how many clients it may have; empty: they are
	// the pool's. users are those of its users, by name; nil: none has any.
	user  string
	most  int64
	users map[string]*rates
}

// A waiter is a client that waits, and since when its request has been there.
type waiter struct {
	c     *client
	since int64
}

const (
	// ratesTick is the least time between two looks at clients that wait.
	ratesTick = int64(1e6)
	// ratesTurn is how many requests a client may take in its turn while others wait.
	ratesTurn = 16
	// ratesSteps: a loop takes as many tokens at a time as come in a second divided by it.
	ratesSteps = 1000
	// ratesBurst: the same for the burst if none is set.
	ratesBurst = 10
	// ratesGrain: a loop tells others of its requests in flight when they have changed by the
	// limit divided by it.
	ratesGrain = 64
)

// ratesOf are the pool's limits as its configuration says, nil if there are none. was are those
// from before, or nil.
func ratesOf(p *ServerPool, was *rates) *rates {
	if !p.conf.Limits.On() && len(p.conf.UserLimits) == 0 {
		if was != nil {
			was.end()
			was.setUsers()
		}
		return nil
	}
	r := was
	if r == nil {
		r = &rates{pool: p, shared: p.topo.Rates()}
		for c := p.clients.first; c != nil; c = c.next {
			c.counted = 0
		}
	}
	r.set(p.conf.Limits)
	r.setUsers()
	return r
}

// set sets the limits.
func (r *rates) set(l config.Limits) {
	p := r.pool
	r.conf = l
	r.requestsOf = topology.Rate{PerSecond: max(1, l.Requests), Burst: burst(l.Requests, l.RequestBurst)}
	r.bytesOf = topology.Rate{PerSecond: max(1, l.Bytes), Burst: burst(l.Bytes, l.ByteBurst)}
	r.requestStep, r.byteStep = max(1, l.Requests/ratesSteps), max(1, l.Bytes/ratesSteps)
	r.requests, r.bytes = 0, 0
	r.tellAt = max(1, l.InFlight/ratesGrain)
	p.ctx.nextRates = soonest(p.ctx.nextRates, p.ctx.loop.Now())
}

func burst(rate, set int64) int64 {
	if set > 0 {
		return set
	}
	return max(1, rate/ratesBurst)
}

// admit reports whether the client's next request may be taken, and counts it. If not, the client
// waits. A request that has waited too long is admitted, and refused.
func (r *rates) admit(c *client) bool {
	if c.overdue != msg.OK {
		return true
	}
	r.count(c)
	u := limitsOf(c)
	if u != nil && !u.lets(c) {
		return false
	}
	if c.overdue == msg.OK && !r.lets(c) {
		if u != nil {
			u.requests++
		}
		return false
	}
	if c.overdue == msg.OK {
		c.counted++ // it is counted before it is in flight
		r.change(1)
		if u != nil {
			u.change(1)
		}
	}
	return true
}

// lets is admit for these limits, without the counting.
func (r *rates) lets(c *client) bool {
	now := r.pool.ctx.loop.Now()
	mine := r.turnOf == c && r.turnLeft > 0
	if (mine || r.empty()) && r.room(now) {
		r.requests--
		r.turnLeft--
		return true
	}
	since := c.cameAt(now)
	if now-since >= int64(r.conf.MaxWait) {
		if r.lack == msg.OK { // others have used up what there was
			r.lack = r.some()
		}
		c.overdue = r.why(r.lack)
		return true
	}
	r.hold(c, since)
	return false
}

// why is the reason that a client is told for a limit.
func (r *rates) why(limit msg.Reason) msg.Reason {
	if r.user == "" {
		return limit
	}
	switch limit {
	case msg.RequestRate:
		return msg.UserRequestRate
	case msg.ByteRate:
		return msg.UserByteRate
	default:
		return msg.UserInFlightLimit
	}
}

// some is a limit that there is.
func (r *rates) some() msg.Reason {
	switch {
	case r.conf.Requests > 0:
		return msg.RequestRate
	case r.conf.Bytes > 0:
		return msg.ByteRate
	}
	return msg.InFlightLimit
}

// refund takes back what was counted for a request that will be taken again.
func (r *rates) refund(c *client) {
	r.requests++
	if u := limitsOf(c); u != nil {
		u.requests++
	}
	r.count(c)
}

// room reports whether there is room for one more request.
func (r *rates) room(now int64) bool {
	if r.conf.Requests > 0 && r.requests <= 0 {
		if r.capped {
			r.lack = msg.RequestRate
			return false
		}
		if r.requests += r.shared.Requests.Take(now, r.requestStep, r.requestsOf); r.requests <= 0 {
			r.lack = msg.RequestRate
			return false
		}
	}
	if r.conf.Bytes > 0 && r.bytes <= 0 {
		if r.bytes += r.shared.Bytes.Take(now, r.byteStep, r.bytesOf); r.bytes <= 0 {
			r.lack = msg.ByteRate
			return false
		}
	}
	if r.conf.InFlight > 0 && !r.hasPlace() {
		r.lack = msg.InFlightLimit
		return false
	}
	r.lack = msg.OK
	return true
}

// hasPlace reports whether one more request may be in flight. While clients of several loops
// wait, each of these loops has a share.
func (r *rates) hasPlace() bool {
	if r.shared.InFlight.Value()+r.inFlight-r.told >= r.conf.InFlight {
		return false
	}
	loops := r.shared.Waiting.Value()
	return loops < 2 || r.inFlight < max(1, r.conf.InFlight/loops)
}

// count counts what the client has in flight, in place of what was counted for it.
func (r *rates) count(c *client) { r.countAs(c, c.inFlight()) }

func (r *rates) countAs(c *client, n int) {
	more := int64(n) - int64(c.counted)
	if more == 0 {
		return
	}
	c.counted = int32(n)
	r.change(more)
	if u := limitsOf(c); u != nil {
		u.change(more)
	}
}

// change counts requests that are in flight now, or with a negative number no more.
func (r *rates) change(more int64) {
	r.inFlight += more
	r.tell()
	if more < 0 && r.lack == msg.InFlightLimit && !r.empty() {
		r.pool.ctx.nextRates = soonest(r.pool.ctx.nextRates, r.pool.ctx.loop.Now())
	}
}

// tell tells the other loops of the requests in flight, if they have changed by enough.
func (r *rates) tell() {
	if d := r.inFlight - r.told; r.conf.InFlight > 0 && (d >= r.tellAt || d <= -r.tellAt) {
		r.shared.InFlight.Add(d)
		r.told = r.inFlight
	}
}

func (r *rates) empty() bool { return r.first == len(r.waiting) }

// hold has the client wait.
func (r *rates) hold(c *client, since int64) {
	p := r.pool
	now := p.ctx.loop.Now()
	c.waits |= waitsForRate
	if r.empty() {
		r.shared.Waiting.Add(1)
	}
	r.waiting = append(r.waiting, waiter{c, since})
	r.shared.Held.Add(1)
	r.shared.Waits.Add(1)
	p.stats.Values[stats.LimitWaits]++
	if r.shared.Begins(now) {
		why := r.lack
		if why == msg.OK {
			why = r.some()
		}
		why = r.why(why)
		whose := "requests wait: "
		if r.user != "" {
			whose = "requests of user '" + r.user + "' wait: "
		}
		p.ctx.identity.Events().Add(p.event(events.LimitReached, why, whose+why.String()))
	}
	if !r.pumping { // else pump says when
		p.ctx.nextRates = soonest(p.ctx.nextRates, r.next(now))
	}
}

// next is when those that wait are looked at again.
func (r *rates) next(now int64) int64 {
	at := now + ratesTick
	switch r.lack {
	case msg.RequestRate:
		at = max(at, r.shared.Requests.Next(now, r.requestsOf))
	case msg.ByteRate:
		at = max(at, r.shared.Bytes.Next(now, r.bytesOf))
	default:
	}
	// Others may have waited too long before that.
	return min(at, now+max(ratesTick, int64(r.conf.MaxWait)/8))
}

// pump lets those that wait go on, as far as there is room, and refuses those that have waited too
// long. It returns when to do so again; 0: nobody waits.
func (r *rates) pump(now int64) (next int64) {
	turn := &r.pool.ctx.turn
	took := false
	r.pumping = true
	others := r.shared.Waiting.Value() - 1
	if others > 0 && r.conf.Requests > 0 && r.requests <= 0 {
		// A loop takes its share of what there is.
		share := r.shared.Requests.Available(now, r.requestsOf) / (others + 1)
		r.requests += r.shared.Requests.Take(now, max(1, share), r.requestsOf)
		r.capped = true
	}
	for n := len(r.waiting) - r.first; n > 0 && turn.resumesMore(); n-- {
		w := r.waiting[r.first]
		late := now-w.since >= int64(r.conf.MaxWait)
		if w.c.state == clientOpen && !late && !r.room(now) {
			break
		}
		if !r.free() {
			continue
		}
		if !late {
			took = true
			r.turnOf, r.turnLeft = w.c, ratesTurn
		}
		w.c.resume()
		r.turnOf = nil
	}
	r.capped, r.pumping = false, false
	if r.empty() {
		r.waiting, r.first = r.waiting[:0], 0
		return 0
	}
	if !turn.resumesMore() {
		return now
	}
	next = r.next(now)
	if took && others > 0 {
		// It is the turn of the other loops.
		next = max(next, now+(others+1)*max(ratesTick, int64(float64(r.requestStep)*1e9/float64(r.requestsOf.PerSecond))))
	}
	return next
}

// free takes the first of those that wait off the queue, and reports whether it is still there.
func (r *rates) free() bool {
	c := r.waiting[r.first].c
	r.pop()
	if c.state != clientOpen {
		return false
	}
	c.waits &^= waitsForRate
	return true
}

func (r *rates) pop() {
	r.waiting[r.first] = waiter{}
	r.shared.Held.Add(-1)
	r.first++
	if r.empty() {
		r.shared.Waiting.Add(-1)
	}
	if r.first > 1024 && r.first > len(r.waiting)/2 {
		n := copy(r.waiting, r.waiting[r.first:])
		clear(r.waiting[n:])
		r.waiting, r.first = r.waiting[:n], 0
	}
}

// end lets all go on: there are no limits any more.
func (r *rates) end() {
	for !r.empty() {
		c := r.waiting[r.first].c
		if r.free() {
			c.resumeIfRoom()
		}
	}
	r.shared.InFlight.Add(-r.told)
	r.told = 0
}

// pumpRates lets clients go on that waited for limits, and sets when to look again.
func (t *timers) pumpRates(now int64) {
	t.nextRates = 0
	next := int64(0)
	for _, pools := range [][]*ServerPool{t.ctx.pools, t.ctx.leaving.pools} {
		for _, p := range pools {
			if p.rates != nil {
				next = soonest(next, p.rates.pumpAll(now))
			}
		}
	}
	t.nextRates = soonest(t.nextRates, next)
}

package config

import "time"

// Limits are how much the clients of a pool may do together, in all event loops.
type Limits struct {
	// Requests and Bytes are how many a second; 0: any number. Burst are how many at once.
	Requests, RequestBurst int64
	Bytes, ByteBurst       int64
	// InFlight is how many requests may be in flight; 0: any number.
	InFlight int64
	// MaxWait is how long a request may wait.
	MaxWait time.Duration
}

// On reports whether there is a limit.
func (l *Limits) On() bool { return l.Requests > 0 || l.Bytes > 0 || l.InFlight > 0 }

// limitKeys are the keys of a block "limits".
var limitKeys = []key[Limits]{
	{
		name: "requests_per_second", kind: kindNumber, limits: limits{0, 1 << 30}, def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "How many requests the pool takes from its clients in a second, in all event loops together. A client whose request " +
			"would be one too many waits: it is not read from. Those that wait take turns. A request that has waited for `max_wait` gets an " +
			"error that names the limit, even if nuthatch would answer it itself. A refused `MULTI` or `SELECT` has the requests behind it refused, too.",
		set: func(l *Limits, v value) { l.Requests = v.number },
	},
	{
		name: "request_burst", kind: kindNumber, limits: limits{0, 1 << 30}, def: "0", defNote: "as many as in a tenth of a second, at least one", origin: fromNuthatch,
		help: "How many requests may come at once, after a while with fewer than `requests_per_second`.",
		set:  func(l *Limits, v value) { l.RequestBurst = v.number },
	},
	{
		name: "bytes_per_second", kind: kindSize, limits: limits{0, tb}, def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "How many bytes of requests and replies the pool exchanges with its clients in a second. Requests wait as they do for " +
			"`requests_per_second`. What is under way is never cut: a large request is counted as it comes, a reply when it has gone, and " +
			"the next requests wait longer. A request that is refused since it has waited too long is not counted, nor is its error: however " +
			"often clients try again, as many are served as the limit has room for.",
		set: func(l *Limits, v value) { l.Bytes = v.number },
	},
	{
		name: "byte_burst", kind: kindSize, limits: limits{0, tb}, def: "0", defNote: "as many as in a tenth of a second", origin: fromNuthatch,
		help: "How many bytes may be exchanged at once, after a while with fewer than `bytes_per_second`.",
		set:  func(l *Limits, v value) { l.ByteBurst = v.number },
	},
	{
		name: "in_flight", kind: kindNumber, limits: limits{0, 1 << 30}, def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "How many requests of the pool's clients may be in flight: taken, and not answered. Commands that block count, too. " +
			"Requests wait as they do for `requests_per_second`. Event loops tell each other about every 64th of the number, so with several " +
			"loops there may be a few more.",
		set: func(l *Limits, v value) { l.InFlight = v.number },
	},
	{
		name: "max_wait", kind: kindDuration, limits: durations(time.Millisecond, time.Hour), def: "1s", origin: fromNuthatch,
		help: "How long a request may wait for the limits of this block, from when it came.",
		set:  func(l *Limits, v value) { l.MaxWait = v.duration() },
	},
}

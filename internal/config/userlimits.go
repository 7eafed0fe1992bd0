package config

import "time"

// A UserLimit is how much the clients of one user may do together, in all event loops.
type UserLimit struct {
	Name string
	// Clients is how many clients there may be; 0: any number.
	Clients int64
	Limits
}

// userLimitKeys are the keys of a user in the block "user_limits".
var userLimitKeys = []key[UserLimit]{
	{
		name: "clients", kind: kindNumber, limits: limits{0, 1 << 30}, def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "How many clients may be this user at one time. One more is closed, with an error, when it logs in.",
		set:  func(l *UserLimit, v value) { l.Clients = v.number },
	},
	{
		name: "requests_per_second", kind: kindNumber, limits: limits{0, 1 << 30}, def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "How many requests are taken from the user's clients in a second. What is over it waits as for `limits`.",
		set:  func(l *UserLimit, v value) { l.Requests = v.number },
	},
	{
		name: "request_burst", kind: kindNumber, limits: limits{0, 1 << 30}, def: "0", defNote: "as many as in a tenth of a second, at least one", origin: fromNuthatch,
		help: "How many of them may come at once.",
		set:  func(l *UserLimit, v value) { l.RequestBurst = v.number },
	},
	{
		name: "bytes_per_second", kind: kindSize, limits: limits{0, tb}, def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "How many bytes of requests and replies are exchanged with the user's clients in a second.",
		set:  func(l *UserLimit, v value) { l.Bytes = v.number },
	},
	{
		name: "byte_burst", kind: kindSize, limits: limits{0, tb}, def: "0", defNote: "as many as in a tenth of a second", origin: fromNuthatch,
		help: "How many of them may be exchanged at once.",
		set:  func(l *UserLimit, v value) { l.ByteBurst = v.number },
	},
	{
		name: "in_flight", kind: kindNumber, limits: limits{0, 1 << 30}, def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "How many requests of the user's clients may be in flight.",
		set:  func(l *UserLimit, v value) { l.InFlight = v.number },
	},
	{
		name: "max_wait", kind: kindDuration, limits: durations(time.Millisecond, time.Hour), def: "1s", origin: fromNuthatch,
		help: "How long a request may wait for the user's limits, from when it came.",
		set:  func(l *UserLimit, v value) { l.MaxWait = v.duration() },
	},
}

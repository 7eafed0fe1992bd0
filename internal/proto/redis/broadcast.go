package redis

import (
	"time"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// maxWait bounds how long a WAIT may hold up a server connection, which it
// shares with other clients.
const maxWait = time.Second

// Why requests for every server are refused.
const (
	keysOff        = "the pool's allow_keys is off; use SCAN"
	waitNotInteger = "timeout is not an integer or out of range"
	waitNegative   = "timeout is negative"
)

// A broadcaster looks at requests that are to go to every server.
type broadcaster struct {
	// Static after construction.
	allowKeys bool
	// maxWait is the longest timeout of a WAIT, in milliseconds.
	maxWait int64
	loading *loading // the protocol's

	// rewritten is scratch for a request that is sent in other words than it came.
	rewritten []byte
}

// Prepare implements proxy.Preparer: it looks at a request that is to go to every
// server. It refuses what the pool does not allow, bounds how long a WAIT waits,
// remembers scripts, and sends what ends a script past it.
func (b *broadcaster) Prepare(req *msg.Request) (ok bool) {
	switch cmd := &commands[req.Type]; {
	case cmd.name == "keys" && !b.allowKeys:
		req.Error = keysOff
	case cmd.merge == mergeMin && len(req.Args) == cmd.arity:
		b.prepareWait(req)
	case cmd.merge == mergeLoad:
		b.loading.note(req)
	case cmd.merge == mergeOneOK: // it ends what a server is doing
		req.Aside = true
	case cmd.name == "script|flush":
		b.loading.flush()
	}
	return req.Error == ""
}

// prepareWait bounds the timeout of a WAIT, its last word: nothing else travels
// on the connection before the answer. 0 is no limit to Redis, and the bound
// here.
func (b *broadcaster) prepareWait(req *msg.Request) {
	last := len(req.Args) - 1
	millis, ok := number(req, last)
	switch {
	case !ok:
		req.Error = waitNotInteger
	case millis < 0:
		req.Error = waitNegative
	case millis == 0 || millis > b.maxWait:
		b.rewriteLast(req, b.maxWait)
	}
}

// rewriteLast puts a number in place of a request's last word.
func (b *broadcaster) rewriteLast(req *msg.Request, n int64) {
	end := req.Args[len(req.Args)-2].End() + 2
	b.rewritten = appendNumber(req.View.Gather(0, end, b.rewritten[:0]), int(n))
	req.View = mbuf.Flat(b.rewritten)
}

// waitBound is the most milliseconds that a WAIT may wait in a pool with the
// given timeout: half of that, so that the wait alone never fails the connection.
func waitBound(timeout time.Duration) int64 {
	bound := maxWait
	if timeout > 0 {
		bound = min(bound, timeout/2)
	}
	return max(1, bound.Milliseconds())
}

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

// Prepare implements proxy.Preparer: it looks at a request that is to go to every
// server. It refuses what the pool does not allow, bounds how long a WAIT waits,
// remembers scripts, and sends what ends a script past it.
func (p *Protocol) Prepare(req *msg.Request) (ok bool) {
	switch cmd := &commands[req.Type]; {
	case cmd.name == "keys" && !p.allowKeys:
		req.Error = keysOff
	case cmd.merge == mergeMin && len(req.Args) == cmd.arity:
		p.prepareWait(req)
	case cmd.merge == mergeLoad:
		p.loading.note(req)
	case cmd.merge == mergeOneOK: // it ends what a server is doing
		req.Aside = true
	case cmd.name == "script|flush":
		p.loading.flush()
	}
	return req.Error == ""
}

// prepareWait bounds the timeout of a WAIT, its last word: nothing else travels
// on the connection before the answer. 0 is no limit to Redis, and the bound
// here.
func (p *Protocol) prepareWait(req *msg.Request) {
	last := len(req.Args) - 1
	millis, ok := number(req, last)
	switch {
	case !ok:
		req.Error = waitNotInteger
	case millis < 0:
		req.Error = waitNegative
	case millis == 0 || millis > p.maxWait:
		p.rewriteLast(req, p.maxWait)
	}
}

// rewriteLast puts a number in place of a request's last word.
func (p *Protocol) rewriteLast(req *msg.Request, n int64) {
	end := req.Args[len(req.Args)-2].End() + 2
	var head []byte
	head, p.scratch = req.View.Bytes(0, end, p.scratch)
	b := p.rewritten[:0]
	b = append(b, head...)
	b = appendNumber(b, int(n))
	p.rewritten = b
	req.View = mbuf.Flat(b)
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

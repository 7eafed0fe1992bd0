package redis

import (
	"strconv"
	"time"

	"nuthatch/internal/msg"
)

// CLIENT PAUSE and CLIENT UNPAUSE. Servers are not told: they would stop to answer the proxy,
// which would take them for dead. The proxy itself has the requests of the pool's clients
// wait, as `nuthatch ctl pause` does.

// maxPause is how long a pool may be paused.
const maxPause = time.Hour

const (
	// Redis's words.
	pauseTimeout  = "timeout is not an integer or out of range"
	pauseNegative = "timeout is negative"
	pauseMode     = "CLIENT PAUSE mode must be WRITE or ALL"
	// And ours.
	pauseLong   = "a pool is paused for an hour at the most"
	pauseWrites = "a pool is paused for reads and writes alike; leave WRITE out"
	noPause     = "nothing can be paused here"
)

// reportPause is Report for CLIENT PAUSE and CLIENT UNPAUSE.
func (r *reporter) reportPause(req *msg.Request, cmd *command, s *msg.Session) (find func(reply func([]byte)), ok bool) {
	if req.Error != "" || r.pause == nil {
		return nil, false
	}
	by := "CLIENT UNPAUSE"
	act := r.resume
	if !r.mayAdminister(s) {
		req.Error = noAdmin
	} else if cmd.name == "client|pause" {
		var limit time.Duration
		limit, req.Error = r.pauseLimit(req)
		by = "CLIENT PAUSE"
		act = func(by string) error { return r.pause(limit, by) }
	}
	by += " of client " + strconv.FormatUint(s.ID, 10)
	return func(reply func([]byte)) {
		if err := act(by); err != nil {
			reply([]byte("-ERR " + plain([]byte(err.Error()), maxShown) + "\r\n"))
			return
		}
		reply([]byte("+OK\r\n"))
	}, req.Error == ""
}

// whyNoPause is why CLIENT PAUSE is refused where nothing can be done outside the loops.
func (r *reporter) whyNoPause(s *msg.Session) string {
	if !r.mayAdminister(s) {
		return noAdmin
	}
	return noPause
}

// pauseLimit is for how long a CLIENT PAUSE asks, or why it is refused.
func (r *reporter) pauseLimit(req *msg.Request) (limit time.Duration, fault string) {
	ms, isNumber := number(req, 2)
	switch {
	case len(req.Args) > 4:
		return 0, syntaxError
	case len(req.Args) == 4 && r.words.is(req, 3, "write"):
		return 0, pauseWrites
	case len(req.Args) == 4 && !r.words.is(req, 3, "all"):
		return 0, pauseMode
	case !isNumber:
		return 0, pauseTimeout
	case ms < 0:
		return 0, pauseNegative
	case ms > maxPause.Milliseconds():
		return 0, pauseLong
	}
	return time.Duration(ms) * time.Millisecond, ""
}

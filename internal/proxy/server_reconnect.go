package proxy

import (
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// maxDoublings bounds how often a pause is doubled, so that it does not
// overflow.
const maxDoublings = 30

// A reconnect says when a loop may connect again to a server that it could not connect
// to, or whose connection ended without an answer.
//
// Pauses grow exponentially with "full jitter" (Brooker, Exponential Backoff And
// Jitter, AWS Architecture Blog, 2015): each is a random part of its bound, so
// that loops and proxies that lost a server at once do not come back at once.
type reconnect struct {
	// attempts is how many attempts in a row failed.
	attempts int
	// until is when the next attempt may be made. why is why the last one failed.
	until int64
	why   msg.Reason
	// failed is why the last attempt failed; msg.OK: it did not, or is under way for the first
	// time.
	failed msg.Reason
	// answers is what the server's count of responses was at the last attempt.
	answers int64
}

// mayDial returns msg.OK if the server may be connected to now, or the reason why not.
func (s *Server) mayDial(now int64) msg.Reason {
	r := &s.reconnect
	if now < r.until {
		return r.why
	}
	r.answers = s.stats[stats.Responses]
	return msg.OK
}

// away is why the server is known to be away without being asked; msg.OK: it is not. It fails its
// health checks, or it is not up for another reason, or the last attempt to connect to it failed.
// In the last two cases the first answers on a connection show that it is back: those to the proof.
func (s *Server) away(conn *serverConn) msg.Reason {
	why := s.reconnect.failed
	if !s.health.IsUp() {
		why = s.health.State().Reason
		if s.health.FailsChecks() {
			return why
		}
	}
	if conn.proof.proven {
		return msg.OK
	}
	return why
}

// pauseDialling sets the pause before the next attempt to connect. There is none if the
// server has answered since the last attempt, or had nothing to answer (idle).
func (s *Server) pauseDialling(why msg.Reason, idle bool) {
	conf, r, ctx := s.pool.conf, &s.reconnect, s.pool.ctx
	if conf.ReconnectBackoff == 0 {
		return
	}
	if idle || s.stats[stats.Responses] != r.answers {
		r.attempts, r.until = 0, 0
		return
	}
	bound := conf.ReconnectBackoffMax
	if d := conf.ReconnectBackoff << min(r.attempts, maxDoublings); d > 0 && d < bound {
		bound = d
	}
	r.attempts++
	r.why = why
	r.until = ctx.loop.Now() + int64(ctx.rnd.Uint64()%uint64(bound)) + 1
	if r.attempts == 1 {
		ctx.log.Notice("cannot connect to server: the proxy now waits before each further attempt",
			append(s.attrs(), durationAttr("at_most", conf.ReconnectBackoffMax))...)
	}
}

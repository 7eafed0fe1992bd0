package proxy

import (
	"log/slog"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// The log lines about a server that fails:
//
//	Warn     server s1 (10.0.0.1:6379) fails: Connection refused       once, by the loop that finds it
//	Warn     server s1 (10.0.0.1:6379) fails otherwise now: ...        by the daemon, once for each other cause
//	Notice   server s1 (10.0.0.1:6379) is tried again                  once in a minute at the most
//	Warn     server s1 (10.0.0.1:6379) still fails: ...                once in a minute, by the daemon, with counts
//	Warn     server s1 (10.0.0.1:6379) answers again                   once, by the loop that finds it
//
// Lines about single connections and requests are on level Info meanwhile: every
// request to a dead server may cause one.

// troublePeriod is the time, in nanoseconds, between two lines about a state that
// lasts.
const troublePeriod = int64(time.Minute)

// logFails writes that the server has failed, why, and what follows.
func (s *Server) logFails(why msg.Reason) {
	conf := s.pool.conf
	s.triedPace = pace{}
	attrs := append(s.attrs(), reasonAttr(why))
	kind, follows := events.ServerFails, "; requests are still sent to it"
	switch {
	case why == msg.LoginRefused && conf.ServerUser != "":
		follows = "; no request is sent to it without that login, which is tried again each second"
	case why == msg.LoginRefused && conf.LoginKey() != "" && s.pool.passer == nil:
		follows += ", and the login is tried again each second"
	case why == msg.LoginRefused:
	case !conf.AutoEjectHosts:
		follows = "; each request for it is still tried"
	case conf.Eject == config.EjectFail:
		kind, follows = events.ServerEjected, "; ejected: its requests fail until it answers"
	default:
		kind, follows = events.ServerEjected, "; ejected: the other servers get its keys"
	}
	if conf.AutoEjectHosts && why != msg.LoginRefused {
		if conf.HealthCheck.Interval > 0 {
			attrs = append(attrs, slog.Int("until_checks_succeed", conf.HealthCheck.Rise))
		} else {
			attrs = append(attrs, durationAttr("retry_after", conf.ServerRetryTimeout))
		}
	}
	waited := s.health.Unanswered()
	cause := topology.Cause(conf, why, s.stats[stats.Responses] == 0, waited)
	if why == msg.Timedout && waited > 0 {
		attrs = append(attrs, slog.Int64("unanswered", waited))
	}
	text := topology.Subject(s.conf) + " fails: " + cause + follows
	s.health.Told(cause)
	s.pool.ctx.log.Warn(text, append(attrs, slog.String("cause", cause))...)
	s.pool.ctx.identity.Events().Add(s.event(kind, why, text))
}

// event makes an event about the server, with the present time. why is msg.OK if there
// is no reason.
func (s *Server) event(kind events.Kind, why msg.Reason, text string) events.Event {
	e := s.pool.event(kind, why, text)
	e.Server = s.conf.StatsName()
	return e
}

// event makes an event about the pool, with the present time.
func (p *ServerPool) event(kind events.Kind, why msg.Reason, text string) events.Event {
	loop := p.ctx.loop
	e := events.Event{Time: time.UnixMicro(loop.WallMicros(loop.Now())), Kind: kind, Pool: p.conf.Name, Text: text}
	if why != msg.OK {
		e.Reason = why.Name()
	}
	return e
}

// logWell writes that the server is up again, by what that shows, and after how long.
func (s *Server) logWell(by string) {
	after := s.health.Trouble().Round(time.Millisecond)
	if after > 10*time.Second {
		after = after.Round(time.Second)
	}
	text := topology.Subject(s.conf) + " " + by
	s.pool.ctx.log.Warn(text, append(s.attrs(), durationAttr("after", after))...)
	e := s.event(events.ServerAnswers, msg.OK, text+" after "+after.String())
	e.For = s.health.Trouble()
	s.pool.ctx.identity.Events().Add(e)
}

// logTried writes that the failed server gets a request again.
func (s *Server) logTried() {
	now := s.pool.ctx.loop.Now()
	if missed, ok := s.triedPace.mayLogAfter(now, troublePeriod); ok {
		text := topology.Subject(s.conf) + " is tried again"
		s.pool.ctx.log.Notice(text, append(s.attrs(), slog.Int("left_out", missed))...)
		s.pool.ctx.identity.Events().AddChange(s.event(events.ServerTried, msg.OK, text))
	}
}

// countTried counts and logs that an ejected server is on the ring again, to be tried.
func (p *ServerPool) countTried(h *topology.Health) {
	s := p.serverOf(h)
	if s == nil {
		return // it is about to be one of the pool's
	}
	s.stats[stats.Returns]++
	s.logTried()
}

// mayLog reports whether a line about one connection to the server may be written, on
// which level, and how many such lines were left out before it. While the server is
// known to fail, such lines are on level Info.
func (s *Server) mayLog(level logging.Level, p *pace) (at logging.Level, missed int, ok bool) {
	ctx := s.pool.ctx
	if level >= logging.Info || !s.health.IsUp() {
		return logging.Info, 0, ctx.log.Enabled(logging.Info)
	}
	if !ctx.log.Enabled(level) {
		return level, 0, false
	}
	missed, ok = p.mayLog(ctx.loop.Now())
	return level, missed, ok
}

// attrs names the server connection in a log line.
func (c *serverConn) attrs() []slog.Attr {
	return []slog.Attr{
		slog.String("pool", c.pool.conf.Name),
		slog.String("server", c.server.conf.Text),
		slog.String("name", c.server.conf.StatsName()),
		slog.Int("fd", c.ShownFD()),
	}
}

// reasonAttr tells why something happened to a connection to a server.
func reasonAttr(why msg.Reason) slog.Attr {
	if why == msg.ServerEOF {
		return slog.String("reason", "eof") // clients read nutcracker's word for it
	}
	return slog.String("reason", why.String())
}

// attrs names the server in a log line.
func (s *Server) attrs() []slog.Attr {
	return []slog.Attr{
		slog.String("pool", s.pool.conf.Name), slog.String("server", s.conf.Text), slog.String("name", s.conf.StatsName()),
	}
}

func (c *serverConn) logClose(why msg.Reason) {
	level := logging.Warn
	switch {
	case isEnd(why) && c.Open() && c.queue.Len() == 0:
		level = logging.Notice // a server may close what is idle
	case why == msg.OK:
		level = logging.Info
	}
	if level, missed, ok := c.server.mayLog(level, &c.server.closePace); ok {
		reason := why.String()
		if why == msg.ServerEOF {
			reason = "eof"
		}
		if why == msg.OK {
			reason = "idle"
		}
		attrs := c.attrs()
		if fault := c.Fault(); fault != nil {
			attrs = append(attrs, slog.String("fault", fault.Error()))
		}
		c.pool.ctx.log.Log(level, "closed server connection", append(attrs,
			slog.String("reason", reason),
			slog.Int("outstanding", c.queue.Len()),
			slog.Int("left_out", missed))...)
	}
}

func (c *serverConn) logBadReply(err *msg.ProtocolError) {
	if level, missed, ok := c.server.mayLog(logging.Err, &c.server.badReplyPace); ok {
		c.pool.ctx.log.Log(level, "server sent an invalid reply", append(c.attrs(),
			slog.String("reason", err.Msg),
			slog.Int("left_out", missed))...)
	}
}

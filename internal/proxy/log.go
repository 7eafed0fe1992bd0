package proxy

import (
	"log/slog"
	"syscall"
	"time"

	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/socket"
	"nuthatch/internal/stats"
)

// A closeReason is why a client connection ends. The zero value is no reason:
// the client asked for it.
type closeReason struct {
	errno    syscall.Errno
	protocol *msg.ProtocolError
	eof      bool
	// killed and dismissed: somebody ended the connection, or had the client
	// leave.
	killed, dismissed bool
}

var (
	byEOF  = closeReason{eof: true}
	byKill = closeReason{killed: true}
)

// isError reports whether the reason is a fault of the client or its
// connection. Anything else counts as an end of file, a quit included.
func (r closeReason) isError() bool { return r.errno != 0 || r.protocol != nil }

// reason is the close reason in the statistics.
func (r closeReason) reason() msg.Reason {
	switch {
	case r.errno != 0:
		return reasonOf(r.errno)
	case r.protocol != nil:
		return msg.NotProtocol
	case r.eof:
		return msg.ClientEOF
	case r.killed:
		return msg.Killed
	case r.dismissed:
		return msg.Dismissed
	default:
		return msg.Asked
	}
}

func (r closeReason) String() string {
	switch {
	case r.errno != 0:
		return r.errno.Error()
	case r.protocol != nil:
		return r.protocol.Msg
	case r.eof:
		return "eof"
	case r.killed:
		return "killed"
	case r.dismissed:
		return "told to leave"
	default:
		return "quit"
	}
}

func durationAttr(key string, d time.Duration) slog.Attr {
	return slog.String(key, d.String())
}

// attrs names the client in a log line. It asks the kernel for the peer, so it
// is for lines that are written.
func (c *client) attrs() []slog.Attr {
	return []slog.Attr{
		slog.String("pool", c.pool.conf.Name),
		slog.Uint64("client", c.session.ID),
		slog.Int("fd", c.FD()),
		slog.String("peer", socket.PeerName(c.FD())),
	}
}

func (c *client) logClose() {
	level := logging.Info
	if c.lastErr.protocol != nil {
		level = logging.Warn
	}
	if log := c.pool.ctx.log; log.Enabled(level) {
		log.Log(level, "closed client", append(c.attrs(),
			slog.String("reason", c.lastErr.String()),
			slog.Int("outstanding", c.outq.Len()))...)
	}
}

// attrs names the server connection in a log line.
func (c *serverConn) attrs() []slog.Attr {
	return []slog.Attr{
		slog.String("pool", c.pool.conf.Name),
		slog.String("server", c.server.conf.Text),
		slog.Int("fd", c.FD()),
	}
}

// attrs names the server in a log line.
func (s *Server) attrs() []slog.Attr {
	return []slog.Attr{slog.String("pool", s.pool.conf.Name), slog.String("server", s.conf.Text)}
}

func (c *serverConn) logClose(why msg.Reason) {
	level := logging.Warn
	switch {
	case why == msg.ServerEOF && c.queue.Len() == 0:
		level = logging.Notice // a server may close what is idle
	case why == msg.OK:
		level = logging.Info
	}
	if log := c.pool.ctx.log; log.Enabled(level) {
		reason := why.String()
		if why == msg.ServerEOF {
			reason = "eof"
		}
		if why == msg.OK {
			reason = "idle"
		}
		log.Log(level, "closed server connection", append(c.attrs(),
			slog.String("reason", reason),
			slog.Int("outstanding", c.queue.Len()))...)
	}
}

func (c *serverConn) logBadReply(err *msg.ProtocolError) {
	if log := c.pool.ctx.log; log.Enabled(logging.Err) {
		log.Log(logging.Err, "server sent what is no reply", append(c.attrs(),
			slog.String("fault", err.Msg))...)
	}
}

// logBack counts and tells that a server that was ejected is on the ring again.
func (p *ServerPool) logBack(server int) {
	p.stats.Servers[server][stats.Returns]++
	p.ctx.log.Warn("server is back on the ring", slog.String("pool", p.conf.Name),
		slog.String("server", p.conf.Servers[server].Text))
}

func (p *ServerPool) logRefused(fd int, limit int64) {
	if log := p.ctx.log; log.Enabled(logging.Warn) {
		log.Warn("client refused: client_connections reached",
			slog.String("pool", p.conf.Name),
			slog.String("peer", socket.PeerName(fd)),
			slog.Int64("client_connections", limit))
	}
}

func (ctx *Context) logAcceptError(fd int, err syscall.Errno) {
	if log := ctx.log; log.Enabled(logging.Err) {
		log.Log(logging.Err, "cannot accept clients", slog.String("listen", socket.LocalName(fd)),
			slog.String("reason", err.Error()), durationAttr("pause", time.Duration(acceptPause)))
	}
}

package proxy

import (
	"log/slog"

	"nuthatch/internal/msg"
)

// busy refuses a request for a server that has as many as it may on c. So a
// slow or missing server does not fill the memory, whatever the timeout is and
// however many clients there are.
func (s *Server) busy(c *serverConn) msg.Reason {
	ctx := s.pool.ctx
	if missed, ok := s.busyPace.pass(ctx.loop.Now()); ok {
		ctx.log.Warn("server busy: requests are refused", append(c.attrs(),
			slog.Int("queued", c.queue.Len()), slog.Int("unsent_bytes", c.Out().Len()), slog.Int("not_logged", missed))...)
	}
	return msg.ServerBusy
}

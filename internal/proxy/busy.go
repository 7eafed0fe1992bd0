package proxy

import (
	"log/slog"
	"time"

	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// tellEvery is how often, in nanoseconds, the log is told of something that may
// happen with every request.
const tellEvery = int64(time.Second)

// busy refuses a request for a server that has as many as it may on c. A server
// that is slow or gone is thus no place where memory goes, whatever the timeout
// is and however many clients there are.
func (s *Server) busy(c *serverConn) msg.Reason {
	ctx := s.pool.ctx
	s.reasons[stats.ServerFailedRequests][msg.ServerBusy]++
	if now := ctx.loop.Now(); s.busyTold == 0 || now-s.busyTold >= tellEvery {
		s.busyTold = now
		ctx.log.Warn("server busy: requests are refused", append(c.attrs(),
			slog.Int("queued", c.queue.Len()), slog.Int("unsent_bytes", c.Out().Len()))...)
	}
	return msg.ServerBusy
}

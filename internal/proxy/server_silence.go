package proxy

import "nuthatch/internal/stats"

// A server that hangs accepts connections and requests, and says nothing. Without a timeout
// nothing fails. So statistics have for how long a request waits and nothing has come:
//
//	request sent ──────────────────────────────► now
//	        last bytes of the server ├──────────┤ silence
//
// A private connection does not count. A command that blocks may wait there for as long as it
// likes.

// noteSilence sets how long the pool's servers are silent at time now.
func noteSilence(p *ServerPool, now int64) {
	for _, s := range p.servers {
		longest := int64(0)
		if s.stats[stats.InQueue]+s.stats[stats.OutQueue] > 0 {
			for _, lane := range s.lanes {
				for _, c := range lane {
					if c != nil {
						longest = max(longest, silenceOf(c, now))
					}
				}
			}
		}
		s.stats[stats.Silent] = longest
	}
}

// silenceOf is how long nothing has come on the connection while a request waits there; 0 if
// none does, or if the proxy itself does not read.
func silenceOf(c *serverConn, now int64) int64 {
	if c.held || c.starved || c.awaits() {
		return 0
	}
	for m := range c.queue.All() {
		since := m.Sent
		if since == 0 {
			since = m.Start
		}
		if since != 0 { // else it is a part of the handshake that is not sent yet
			return max(0, now-max(since, c.heard))
		}
	}
	return 0
}

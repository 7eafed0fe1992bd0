package topology

import (
	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// The circuit breaker of a server whose keys stay with it when it is ejected
// (eject: fail). Its three states are Health's:
//
//	closed     up        requests pass
//	open       ejected   requests fail at once
//	half-open  probing   one request has passed, and its answer is awaited
//
// A lost probe, whose client has gone, blocks nothing: after each server_retry_timeout
// one more request may pass.

// Passes reports whether requests go to the server: neither an operator nor its
// own failures prevent it.
func (h *Health) Passes() bool { return h.service.Load() == 0 && h.retryAt.Load() == 0 }

// Admit decides whether a request for a server that is not up may pass at time now. The
// reason says why not. isProbe: the answer will show whether the server is well again.
func (t *Topology) Admit(h *Health, now int64) (why msg.Reason, isProbe bool) {
	if h.Service() == Refused {
		return msg.Disabled, false
	}
	at := h.retryAt.Load()
	if at == 0 || t.conf.Eject != config.EjectFail {
		return msg.OK, false
	}
	if at > now || !h.retryAt.CompareAndSwap(at, now+int64(t.conf.ServerRetryTimeout)) {
		return msg.CircuitOpen, false
	}
	h.failures.Add(1)
	h.become(Probing, msg.OK, now)
	return msg.OK, true
}

// KeepsRequests reports whether requests for the server's keys go to it, and not to
// other servers in its place.
func (t *Topology) KeepsRequests(h *Health) bool {
	return h.Service() != OffTheRing && (h.retryAt.Load() == 0 || t.conf.Eject == config.EjectFail)
}

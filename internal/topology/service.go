package topology

// A Service says whether an operator has taken a server out of service, and how.
type Service int32

const (
	// InService means that the server gets its requests.
	InService Service = iota
	// OffTheRing means that the other servers get its requests, as if it were ejected.
	OffTheRing
	// Refused means that its requests get an error.
	Refused
)

// String is the service in words.
func (s Service) String() string {
	switch s {
	case InService:
		return "in service"
	case OffTheRing:
		return "off the ring"
	case Refused:
		return "refused"
	}
	return "unknown"
}

// Service is the server's service. It may be called from any goroutine.
func (h *Health) Service() Service { return Service(h.service.Load()) }

// SetService takes the server out of service, or puts it back, at time now.
// It may be called from any goroutine.
func (t *Topology) SetService(h *Health, s Service, now int64) {
	if t.conf.Cluster.On && s == OffTheRing {
		s = Refused // no other server has its slots
	}
	if was := h.service.Swap(int32(s)); was != int32(s) {
		h.serviceSince.Store(now)
	}
	t.rebuild(now, nil)
}

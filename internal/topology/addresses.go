package topology

import (
	"slices"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// SetAddrs publishes the server's addresses, nil if they are unknown. It may be called
// from any goroutine.
func (h *Health) SetAddrs(addrs []unix.Sockaddr) {
	if len(addrs) == 0 {
		h.addrs.Store(nil)
		return
	}
	same := func(a, b unix.Sockaddr) bool { return Contains([]unix.Sockaddr{a}, b) }
	if !slices.EqualFunc(h.Addrs(), addrs, same) { // a reload finds them again
		h.addrs.Store(&addrs)
	}
}

// Unresolved notes at time now that the server's name has never been resolved: every request for
// it will fail. It reports whether nothing was known against the server before. It may be called
// from any goroutine.
func (h *Health) Unresolved(now int64) bool {
	c := h.condition.Load()
	return (c == nil || c.state == Up) && h.condition.CompareAndSwap(c, &condition{state: Failing, since: beganToFail(h, now), found: now, why: msg.Unresolved})
}

// Resolved notes at time now that the server's name is resolved, and reports whether nothing
// else was known against it. It may be called from any goroutine.
func (h *Health) Resolved(now int64) bool {
	c := h.condition.Load()
	if c == nil || c.state != Failing || c.why != msg.Unresolved {
		return false
	}
	return h.become(Up, msg.OK, now) == Failing
}

// Moved notes at time now that the server has other addresses, so that it may be another
// machine. What is known against the old one does not count: an ejected server is tried
// at once. It may be called from any goroutine.
func (t *Topology) Moved(h *Health, now int64) {
	at := h.retryAt.Load()
	h.IsThere()
	switch {
	case at == 0:
	case t.conf.Eject == config.EjectFail:
		h.retryAt.CompareAndSwap(at, now) // the next request passes
	case h.tried(at, now):
		t.rebuild(now, nil)
	}
}

// Depose notes at time now that another node was promoted in the place of the server, or of the
// one at its former addresses. It may be called from any goroutine.
func (h *Health) Depose(now int64) { h.deposedAt.Store(now) }

// DeposedAt is when that was last noted; 0: never. It may be called from any goroutine.
func (h *Health) DeposedAt() int64 { return h.deposedAt.Load() }

// PublishedAddrs points to the server's addresses as they were published last. If the
// pointer has changed, so have the addresses. It is nil if they are unknown.
func (h *Health) PublishedAddrs() *[]unix.Sockaddr { return h.addrs.Load() }

// Addrs are the server's addresses, none if they are unknown. They must not be changed.
// It may be called from any goroutine.
func (h *Health) Addrs() []unix.Sockaddr {
	if addrs := h.addrs.Load(); addrs != nil {
		return *addrs
	}
	return nil
}

// HasAddr reports whether that is one of the server's addresses. It may be called
// from any goroutine.
func (h *Health) HasAddr(addr unix.Sockaddr) bool { return Contains(h.Addrs(), addr) }

// Contains reports whether addr is among addrs.
func Contains(addrs []unix.Sockaddr, addr unix.Sockaddr) bool {
	return slices.ContainsFunc(addrs, func(a unix.Sockaddr) bool { return SameAddr(a, addr) })
}

// SameAddr reports whether two addresses are the same.
func SameAddr(a, addr unix.Sockaddr) bool {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		b, ok := addr.(*unix.SockaddrInet4)
		return ok && a.Port == b.Port && a.Addr == b.Addr
	case *unix.SockaddrInet6:
		b, ok := addr.(*unix.SockaddrInet6)
		return ok && a.Port == b.Port && a.ZoneId == b.ZoneId && a.Addr == b.Addr
	case *unix.SockaddrUnix:
		b, ok := addr.(*unix.SockaddrUnix)
		return ok && a.Name == b.Name
	default:
		return false
	}
}

// OnUnreachable sets f, which is called, on any goroutine, when a server is first
// found unreachable after a call of WasUnreachable. f must not wait.
func (t *Topology) OnUnreachable(f func()) { t.onUnreachable.Store(&f) }

// Unreachable notes that no address of the server could be connected to, that the
// server has failed, or that it takes no writes. In all three cases its name may have
// other addresses by now. It may be called from any goroutine.
func (t *Topology) Unreachable(h *Health) {
	if h.unreachable.Load() || h.unreachable.Swap(true) {
		return // f was called already
	}
	if f := t.onUnreachable.Load(); f != nil {
		(*f)()
	}
}

// WasUnreachable reports whether that was noted since the last call.
func (h *Health) WasUnreachable() bool { return h.unreachable.Swap(false) }

package topology

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Addrs are the server's addresses as they were published last, which are other ones if
// the pointer is another; nil if they are unknown.
func (h *Health) Addrs() *[]unix.Sockaddr { return h.addrs.Load() }

// SetAddrs publishes the addresses of the i-th server, nil if they are unknown.
// It may be called from any goroutine.
func (t *Topology) SetAddrs(i int, addrs []unix.Sockaddr) {
	if len(addrs) == 0 {
		t.health[i].addrs.Store(nil)
		return
	}
	t.health[i].addrs.Store(&addrs)
}

// Addrs are the addresses of the i-th server, none if they are unknown. They are
// not to be changed. It may be called from any goroutine.
func (t *Topology) Addrs(i int) []unix.Sockaddr {
	if addrs := t.health[i].addrs.Load(); addrs != nil {
		return *addrs
	}
	return nil
}

// HasAddr reports whether that is one of the i-th server's addresses. It may be called
// from any goroutine.
func (t *Topology) HasAddr(i int, addr unix.Sockaddr) bool { return Contains(t.Addrs(i), addr) }

// Contains reports whether addr is among addrs.
func Contains(addrs []unix.Sockaddr, addr unix.Sockaddr) bool {
	return slices.ContainsFunc(addrs, func(a unix.Sockaddr) bool {
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
	})
}

// OnUnreachable has f called when a server is found to be unreachable for the first
// time since WasUnreachable was called, on any goroutine. It must not wait.
func (t *Topology) OnUnreachable(f func()) { t.onUnreachable.Store(&f) }

// Unreachable notes that the i-th server could not be connected to at any of its
// addresses, or has failed, or is not what it was: its name may stand for others by
// now. It may be called from any goroutine.
func (t *Topology) Unreachable(i int) { t.Doubt(t.health[i]) }

// Doubt is Unreachable for the server of which that is known.
func (t *Topology) Doubt(h *Health) {
	if h.unreachable.Load() || h.unreachable.Swap(true) {
		return // somebody has been told
	}
	if f := t.onUnreachable.Load(); f != nil {
		(*f)()
	}
}

// WasUnreachable reports whether that was noted since the last call.
func (t *Topology) WasUnreachable(i int) bool { return t.health[i].unreachable.Swap(false) }

package proxy

import (
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A presence is when a client was last active: when it sent something, and when it
// read its replies. All times are the loop's, in nanoseconds. It belongs to the loop.
type presence struct {
	// since is when the client came.
	since int64
	// active is when the client last sent something, or took some of its replies.
	active int64
	// unreadSince is since when the client has had replies to read without reading any;
	// 0 if it has none.
	unreadSince int64
	// slowSince is since when the client has had more to read than
	// client_output_soft_limit; 0 if it has not. It moves on each time the client has
	// read that much. slowTook is what the client has read since.
	slowSince, slowTook int64
	// leaveBy is when a client that is to leave is closed at the latest; 0 for all
	// other clients.
	leaveBy int64
}

// came begins the presence.
func (v *presence) came(now int64) { v.since, v.active = now, now }

// noteActivity notes that the client does something.
func (v *presence) noteActivity(now int64) { v.active = now }

// idleSince reports whether the client has been idle since time t. n bytes of replies
// wait for it. If they came in this turn, they have not been offered to it yet, and it
// is not idle.
func (v *presence) idleSince(t int64, n int) bool {
	return v.active < t && (n == 0 || v.unreadSince != 0)
}

// unreadFor is how long the client has had replies to read without reading any.
func (v *presence) unreadFor(now int64) time.Duration {
	if v.unreadSince == 0 {
		return 0
	}
	return time.Duration(now - v.unreadSince)
}

// took notes that the kernel took n bytes of the client's replies, and that left bytes
// are left. soft is how many may be left; 0: any number. It returns 1 if the client has
// become slow, and -1 if it no longer is.
func (v *presence) took(n int, left, soft, now int64) (slow int) {
	switch {
	case left == 0:
		v.unreadSince = 0
	case n > 0 || v.unreadSince == 0:
		v.unreadSince = now
	}
	switch {
	case soft == 0 || left <= soft:
		if v.slowSince != 0 {
			v.slowSince = 0
			return -1
		}
	case v.slowSince == 0:
		v.slowSince, v.slowTook = now, 0
		return 1
	default:
		if v.slowTook += int64(n); v.slowTook >= soft {
			v.slowSince, v.slowTook = now, 0
		}
	}
	return 0
}

// isSlow reports whether the client has more to read than it may.
func (v *presence) isSlow() bool { return v.slowSince != 0 }

// slowBefore reports whether it has been slow since before time t.
func (v *presence) slowBefore(t int64) bool { return v.slowSince != 0 && v.slowSince < t }

// age is how long ago the client came, and silent how long ago it was last active, in
// seconds.
func (v *presence) age(now int64) int64    { return (now - v.since) / int64(time.Second) }
func (v *presence) silent(now int64) int64 { return (now - v.active) / int64(time.Second) }

// addresses are the addresses of a connection's two ends. Their names are looked up when
// they are first needed.
type addresses struct {
	addr, localAddr string
	// via is the load balancer that has told addr; empty: there is none.
	via string
	// ip is the address of the client's end, as it was when it was accepted; not valid if
	// that is no IP address. It is known of clients with a stage, or from load balancers.
	ip netip.Addr
}

// addressesOf returns those of the client, for which the kernel is asked once.
func addressesOf(c *client) *addresses {
	if c.addrs == nil {
		c.addrs = &addresses{}
	}
	if c.addrs.addr == "" {
		c.addrs.addr, c.addrs.localAddr = asWord(c.PeerName()), c.LocalName()
	}
	return c.addrs
}

// asWord is an address with '?' for what would end it, or its line, where clients are listed.
// The path of a unix socket may have any bytes, and whoever connects chooses it.
func asWord(addr string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, addr)
}

package proxy

// timers are the times at which a context must look for overdue things again, in the
// loop's nanoseconds. These are found by a walk, so a request sets no timer. A time may
// be too early, but never too late.
type timers struct {
	ctx *Context

	// nextDeadline is never later than the first deadline of any message; 0 if
	// there is none.
	nextDeadline int64
	// nextCheck is when to check for clients that are idle, or slow to read, for too
	// long; 0: there are none.
	nextCheck int64
	// nextExpiry is never later than the first moment when a client's request has
	// taken too long; 0 if there is none.
	nextExpiry int64
	// nextIdle is when to look for unused connections to servers; 0: never.
	nextIdle int64
	// nextSweep is when to look for lanes without clients; 0: there are none.
	nextSweep int64
	// nextUnused is when to look for private connections that are unused for too long;
	// 0: there are none.
	nextUnused int64
	// recalls are the waits at servers for which CLIENT UNBLOCK is to be repeated, at
	// time nextRecall; 0: there are none.
	recalls    []*leg
	nextRecall int64
	// relistens are the clients that try again to listen where they should, at
	// nextRelisten; 0: there are none.
	relistens    []*subscriber
	nextRelisten int64
	// nextPing is when connections on which clients listen are looked at; 0: never.
	nextPing int64
	// nextRelease is when what is published goes on at the latest; 0: it does not wait.
	nextRelease int64
	// nextNewcomer is when connections whose PROXY header has not come are looked at; 0: there
	// are none.
	nextNewcomer int64
	// nextLogin is when clients that have not logged in are looked at; 0: never.
	nextLogin int64
	// nextRates is when clients that wait for limits are looked at; 0: there are none.
	nextRates int64
	// trackers is how many clients are told when keys change. trackings are those of them
	// that need connections, which they get at nextTracking; 0: there are none.
	trackers int
	// nextDetour is when requests that nodes of a cluster have not carried out are looked at;
	// 0: none wait.
	nextDetour int64
	// nextSearch is when requests that wait for private connections are looked at; 0: none wait.
	nextSearch   int64
	trackings    []*tracking
	nextTracking int64
}

// fireTimers does what is due at time now.
func (t *timers) fireTimers(now int64) {
	if t.nextDeadline != 0 && now >= t.nextDeadline {
		t.expire(now)
	}
	if t.nextExpiry != 0 && now >= t.nextExpiry {
		t.expireRequests(now)
	}
	if t.nextIdle != 0 && now >= t.nextIdle {
		t.closeIdleServers(now)
	}
	if t.nextSweep != 0 && now >= t.nextSweep {
		t.sweepLanes(now)
	}
	if t.nextUnused != 0 && now >= t.nextUnused {
		t.closeUnused(now)
	}
	if t.nextRecall != 0 && now >= t.nextRecall {
		t.retryUnblocks()
	}
	if t.nextRelisten != 0 && now >= t.nextRelisten {
		t.relistenAgain()
	}
	if t.nextPing != 0 && now >= t.nextPing {
		t.pingFeeds()
	}
	if t.nextRelease != 0 && now >= t.nextRelease {
		t.releaseOverdue(now)
	}
	if t.nextTracking != 0 && now >= t.nextTracking {
		t.restoreTrackings()
	}
	if t.nextDetour != 0 && now >= t.nextDetour {
		t.goOnDetours()
	}
	if t.nextSearch != 0 && now >= t.nextSearch {
		t.goOnSearches(now)
	}
	if t.nextRates != 0 && now >= t.nextRates {
		t.pumpRates(now)
	}
	if t.nextLogin != 0 && now >= t.nextLogin {
		t.checkLogins(now)
	}
	if t.nextNewcomer != 0 && now >= t.nextNewcomer {
		t.checkNewcomers(now)
	}
	if t.nextCheck != 0 && now >= t.nextCheck {
		t.checkClients(now)
	}
}

// nextTimer is when to look next; 0: never.
func (t *timers) nextTimer() int64 {
	return soonest(t.nextDeadline, t.nextExpiry, t.nextCheck, t.nextIdle, t.nextSweep, t.nextUnused, t.nextRecall,
		t.nextRelisten, t.nextPing, t.nextRelease, t.nextTracking, t.nextNewcomer, t.nextLogin, t.nextRates, t.nextDetour, t.nextSearch)
}

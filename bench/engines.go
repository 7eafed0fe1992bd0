package main

// One build on its two engines, measured in turn.
const (
	onEpoll = "epoll"
	onRing  = "io_uring"
)

// enginesTarget is the largest ratio of nuthatch on io_uring to nuthatch on epoll, in CPU time
// per request: it is to cost no load more.
const enginesTarget = 1.00

// engineKinds are the two.
func engineKinds() []proxyKind {
	on := func(engine string) proxyKind {
		return ownBuild(engine, anything, func(servers) string { return "  engine: " + engine + "\n" })
	}
	return []proxyKind{on(onEpoll), on(onRing)}
}

// enginesTable compares nuthatch on io_uring to nuthatch on epoll.
func (f findings) enginesTable() table {
	return f.configuredTable(enginesTarget, [2]string{onRing, onEpoll})
}

package daemon

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/emulate"
	"nuthatch/internal/events"
	"nuthatch/internal/peers"
	"nuthatch/internal/proxy"
	"nuthatch/internal/sentinelport"
	"nuthatch/internal/socket"
)

// A pool that looks like a Redis Cluster to its clients, or is found by clients of Sentinel, with
// other proxies: see packages emulate, peers and sentinelport.
//
//	start, reload ─ Look ─► Board ─► protocols of the loops
//	a peer comes, or goes ─► Board, and clients of Sentinel are told
//	a drain ─► Board, without this proxy ─ the peers see it ─► clients are sent elsewhere ─► the drain goes on

const (
	// noticeTime is how long peers have to see that this proxy leaves: they ask about once a
	// second.
	noticeTime = peers.Interval + peers.Interval/2
	// sendTime is how long clients are sent to other proxies, before they are asked to leave.
	sendTime = time.Second
)

// An emulation is what a pool's clients are told of the cluster that the pool looks like.
type emulation struct {
	board   *emulate.Board
	watcher *peers.Watcher // nil: the pool has no peers
	cluster bool           // the pool looks like a cluster

	mu      sync.Mutex
	options emulate.Options
	since   time.Time // of the map in force
	// port answers as a Sentinel; nil: there is none.
	port *sentinelport.Port
}

// newEmulation returns what a pool's clients are told; nil: the pool looks like one server.
func newEmulation(p *config.Pool) *emulation {
	if !p.Emulate.On() {
		return nil
	}
	at, sentinel := p.Announced(), p.AnnouncedSentinel()
	e := &emulation{board: new(emulate.Board), cluster: p.Emulate.Cluster, since: time.Now(), options: emulate.Options{
		Self: emulate.Address{Host: at.Host, Port: at.Port}, Secure: p.AnnouncesTLS(), Pool: p.Name,
		Sentinel: emulate.Address{Host: sentinel.Host, Port: sentinel.Port},
	}}
	e.board.Publish(emulate.New(e.options))
	return e
}

// boards are what a pool's clients are told of the cluster that it looks like, and what other
// proxies are told that ask who this one is; nil: nothing. e may be nil.
func (e *emulation) boards() (cluster, peers *emulate.Board) {
	switch {
	case e == nil:
		return nil, nil
	case e.cluster:
		return e.board, e.board
	}
	return nil, e.board
}

// tellOn has a port tell its clients of changes from now on.
func (e *emulation) tellOn(port *sentinelport.Port) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.port = port
	port.Wake()
}

// publish has these proxies live beside this one, and others answer as Sentinels there.
func (e *emulation) publish(living, sentinels []emulate.Address) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.options.Peers, e.options.Sentinels = living, sentinels
	e.change()
}

// change puts a map in force. The caller holds the lock.
func (e *emulation) change() *emulate.Map {
	m := emulate.New(e.options)
	e.board.Publish(m)
	e.since = time.Now()
	if e.port != nil {
		e.port.Wake()
	}
	return m
}

// leave has the others have all slots, and reports whether there are any.
func (e *emulation) leave() bool {
	if e == nil || e.watcher == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.options.Leaving = true
	return e.change().Leaves
}

// A membership has the process be one of the proxies that look like clusters together.
type membership struct{ *core }

// prepare prepares the watching of the peers of g's pools. old is the generation before, or
// nil. It asks them once, and returns when they have answered, or have not for about a second.
func (in membership) prepare(g, old *generation) {
	var asking sync.WaitGroup
	for i := range g.conf.Pools {
		p, e := &g.conf.Pools[i], g.emulations[i]
		if e == nil || len(p.Emulate.Peers) == 0 {
			continue
		}
		e.watcher = peers.New(peers.Options{
			Pool: p.Name, Self: e.options.Self, Peers: p.Emulate.Peers, Refresh: g.conf.Process.ResolveInterval,
			Lookup: g.resolver.namesOf, Secure: g.peerTLS(i), Publish: e.publish,
			Tell: func(seen peers.Seen) { in.tell(p.Name, &seen) },
		})
		if old != nil {
			if at := old.pool(p.Name); at >= 0 && old.emulations[at] != nil && old.emulations[at].watcher != nil {
				e.watcher.Continue(old.emulations[at].watcher)
				continue
			}
		}
		asking.Go(func() { e.watcher.Look(in.life.asked) })
	}
	asking.Wait()
}

// Emulated implements admin.Instance.
func (v *view) Emulated(pool string) *api.Emulated {
	g := v.current.Load()
	i := g.pool(pool)
	if i < 0 || g.emulations[i] == nil {
		return nil
	}
	e := g.emulations[i]
	e.mu.Lock()
	about := &api.Emulated{Cluster: e.cluster, Since: e.since, Peers: []api.Peer{}, Sentinel: g.aboutSentinel(i)}
	e.mu.Unlock()
	m := e.board.Map()
	about.Leaving = m.Leaves
	for j, n := range m.Nodes {
		about.Nodes = append(about.Nodes, api.EmulatedNode{Address: n.String(), ID: n.ID, First: n.First, Last: n.Last, Self: j == m.Self})
	}
	all := e.watcher.Seen()
	for j := range all {
		seen := &all[j]
		one := api.Peer{Address: seen.Asked, Name: seen.Entry, State: seen.State.String(), Problem: seen.Problem, Since: seen.Since}
		if seen.At != (emulate.Address{}) {
			one.Announced = seen.At.String()
		}
		if seen.Sentinel != (emulate.Address{}) {
			one.Sentinel = seen.Sentinel.String()
		}
		about.Peers = append(about.Peers, one)
	}
	return about
}

// startWatching has the peers of g's pools watched.
func (g *generation) startWatching() {
	for _, e := range g.emulations {
		if e != nil && e.watcher != nil {
			e.watcher.Start()
		}
	}
}

// stopWatching ends that.
func (g *generation) stopWatching() {
	for _, e := range g.emulations {
		if e != nil {
			e.watcher.Stop()
		}
	}
}

// namesOf are the addresses of a host, as text.
func (r *resolver) namesOf(ctx context.Context, host string, port int) ([]string, error) {
	found, err := r.lookup(ctx, host, port)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(found))
	for i, sa := range found {
		names[i] = socket.Name(sa)
	}
	return names, nil
}

// peerTLS is how the i-th pool speaks TLS with its peers; nil: it does not. They are asked who
// they are, and told nothing: so it does not matter who signed their certificates, and clients see
// to that themselves. The pool's own certificate is shown to peers that want one.
func (g *generation) peerTLS(i int) func(net.Conn, config.Address) net.Conn {
	p := &g.conf.Pools[i]
	if !p.AnnouncesTLS() {
		return nil
	}
	end, name := g.tls.pools[i].Clients, ""
	if names := p.TLS.ServerNames(); len(names) > 0 {
		name = names[0]
	}
	return func(conn net.Conn, at config.Address) net.Conn {
		c := &tls.Config{
			InsecureSkipVerify: true, //nolint:gosec // as above
			MinVersion:         tls.VersionTLS12, Certificates: end.Config().Certificates, ServerName: name,
		}
		if name == "" && !isNumeric(at.Host) {
			c.ServerName = at.Host
		}
		return tls.Client(conn, c)
	}
}

// tell logs a change, and adds its event.
func (in membership) tell(pool string, seen *peers.Seen) {
	attrs := []slog.Attr{slog.String("pool", pool), slog.String("peer", seen.Asked)}
	e := events.Event{Pool: pool}
	switch seen.State {
	case peers.Lives:
		e.Kind, e.Text = events.PeerLives, "the proxy "+seen.At.String()+" lives, and has its part of the clients"
		in.log.Notice("peer lives, and has its part of the clients", append(attrs, slog.String("announces", seen.At.String()))...)
	case peers.Leaves:
		e.Kind, e.Text = events.PeerGone, "the proxy "+seen.At.String()+" is about to end, and gets no clients any more"
		in.log.Notice("peer is about to end, and gets no clients any more", attrs...)
	case peers.Silent:
		e.Kind, e.Text = events.PeerGone, "the peer "+seen.Asked+" does not answer, and gets no clients: "+seen.Problem
		in.log.Warn("peer does not answer, and gets no clients", append(attrs, slog.String("reason", seen.Problem))...)
	case peers.Stranger:
		e.Kind, e.Text = events.PeerGone, "the peer "+seen.Asked+" is no proxy with this pool, and gets no clients: "+seen.Problem
		in.log.Warn("peer is no proxy with this pool, and gets no clients", append(attrs, slog.String("reason", seen.Problem))...)
	case peers.Unknown, peers.Self:
		return
	}
	in.journal.addEvent(e)
}

// leave has other proxies have the slots of this one, which is about to end. It returns
// when they have seen it, and clients were sent there, unless there are none. It takes delay at
// the least.
func (in membership) leave(g *generation, delay time.Duration) (stopped bool) {
	left := false
	for _, e := range g.emulations {
		left = e.leave() || left
	}
	wait := func(d time.Duration) bool {
		select {
		case <-time.After(d):
			return true
		case <-in.life.stopping:
			return false
		}
	}
	if !left {
		return !wait(delay)
	}
	if !wait(max(delay-sendTime, noticeTime)) {
		return true
	}
	for i, e := range g.emulations {
		if e == nil || e.watcher == nil || !e.cluster { // others do not know MOVED
			continue
		}
		e.board.SendOff()
		// If the loops have ended, that is as good.
		_ = in.loops.onAll(func(ctx *proxy.Context) { proxy.SendElsewhere(ctx, g.topo[i]) })
	}
	return !wait(sendTime)
}

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/eventloop"
	"nuthatch/internal/proxy"
	"nuthatch/internal/socket"
)

// A listener is a listening socket of a pool. A pool may have two.
type listener struct {
	addr   config.Address
	socket *eventloop.ListenSocket
	once   sync.Once // closes socket
	// accept is the accepting loop's, which alone may touch it.
	accept *proxy.Listener
}

// listeners open and close the pools' listening sockets. The generation says which there
// are. A caller holds lockGeneration's lock, or is the start.
type listeners struct {
	*core
	ports *ports
}

// openAll gives g its listeners: those that old has at the same addresses, and
// new ones, which do not accept yet. The error names all that could not be
// opened; then none of the new ones is left open.
func (s *listeners) openAll(g, old *generation) error {
	var opened []*listener
	var faults []error
	for _, at := range g.conf.Listeners() {
		p := &g.conf.Pools[at.Pool]
		l := old.listenerAt(at.Address)
		if l == nil {
			var err error
			if l, err = s.open(at.Address, p); err != nil {
				faults = append(faults, fmt.Errorf("pool '%s': listen on '%s': %w", p.Name, at, s.ports.takenBy(err, at.Address)))
				continue
			}
			opened = append(opened, l)
		}
		g.listeners = append(g.listeners, l)
	}
	if len(faults) == 0 {
		return nil
	}
	g.listeners = nil
	s.close(opened)
	return errors.Join(faults...)
}

// open opens a pool's listening socket at an address and enters it into the first
// loop, which accepts for all.
func (s *listeners) open(at config.Address, p *config.Pool) (*listener, error) {
	spec := socket.ListenSpec{
		Path: at.Path, Mode: at.Mode,
		Host: at.Host, Port: at.Port,
		Backlog: p.Backlog, ReusePort: p.ReusePort,
	}
	opened, err := s.opts.inherited.listenOn(context.Background(), spec)
	if err != nil {
		return nil, err
	}
	l := &listener{addr: at, socket: opened}
	var refused error
	ended := s.loops.onFirst(func(ctx *proxy.Context) {
		l.accept, refused = ctx.Listen(opened, s.loops.contexts)
	})
	if err := errors.Join(ended, refused); err != nil {
		s.closeSocket(l)
		return nil, err
	}
	return l, nil
}

// serve has the listeners of g accept for their pools. It runs on the accepting loop.
func (g *generation) serve() {
	for i, at := range g.conf.Listeners() {
		g.listeners[i].accept.Serve(g.topo[at.Pool], at.TLS)
	}
}

// poolAt is the pool of the i-th listener.
func (g *generation) poolAt(i int) *config.Pool { return &g.conf.Pools[g.conf.Listeners()[i].Pool] }

// stopAccepting makes the accepting loop accept nothing more from list. The sockets
// stay open.
func (s *listeners) stopAccepting(list []*listener) {
	// If the loops have ended, that is as good.
	_ = s.loops.onFirst(func(*proxy.Context) {
		for _, l := range list {
			l.accept.Close()
		}
	})
}

// acceptRest accepts the clients that wait in the kernel, at most as many as could wait
// when it began.
func (s *listeners) acceptRest(l *listener, most int) {
	for more := true; more && most > 0; {
		var n int
		if s.loops.onFirst(func(*proxy.Context) { n, more = l.accept.AcceptSome(most) }) != nil {
			return // that the loops have ended is as good
		}
		most -= n
	}
}

// close closes listening sockets and removes their paths. No loop
// accepts from them when it returns; nil is none.
func (s *listeners) close(list []*listener) {
	if len(list) == 0 {
		return
	}
	s.stopAccepting(list)
	// The second turn begins when the first, in which an event of a listener may
	// have been waiting, is over.
	_ = s.loops.onFirst(func(*proxy.Context) {})
	for _, l := range list {
		s.closeSocket(l)
	}
}

// closeSocket closes the socket and removes its path. A second call does nothing.
func (s *listeners) closeSocket(l *listener) {
	l.once.Do(func() {
		l.socket.Close()
		if l.addr.Path == "" || s.leavesPaths() {
			return
		}
		if err := unix.Unlink(l.addr.Path); err != nil && !errors.Is(err, unix.ENOENT) {
			s.log.Warn("cannot remove the listening socket", pathAttr(l.addr.Path), errAttr(err))
		}
	})
}

// applyBacklogs changes the backlogs of listeners that stay.
func (s *listeners) applyBacklogs(old, g *generation) {
	for i, l := range g.listeners {
		j := slices.Index(old.listeners, l)
		if j >= 0 && old.poolAt(j).Backlog != g.poolAt(i).Backlog {
			s.setBacklog(l, g.poolAt(i))
		}
	}
}

// takeBackBacklogs undoes what a failed new program may have done to the
// sockets, which both share.
func (s *listeners) takeBackBacklogs(g *generation) {
	for i, l := range g.listeners {
		s.setBacklog(l, g.poolAt(i))
	}
}

func (s *listeners) setBacklog(l *listener, p *config.Pool) {
	if err := l.socket.SetBacklog(p.Backlog); err != nil {
		s.log.Warn("cannot change the backlog", slog.String("pool", p.Name), errAttr(err))
	}
}

// files adds copies of the sockets of g. They are the caller's, also with an error.
func (s *listeners) files(g *generation, files []*os.File) ([]*os.File, error) {
	for _, l := range g.listeners {
		f, err := l.socket.File()
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	return files, nil
}

package daemon

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"

	"github.com/coreos/go-systemd/v22/activation"

	"nuthatch/internal/eventloop"
	"nuthatch/internal/logging"
	"nuthatch/internal/socket"
)

// inherited are listening sockets that the process got at its start, from the
// old program (see Upgrade) or from systemd. They are found by their addresses.
// A nil *inherited has none.
type inherited struct {
	sockets map[string]*eventloop.ListenSocket // by address
	// from is the program that hands the sockets over; nil if it was systemd.
	from *predecessor
	// keys has the keys of session tickets that it hands over, nil if it does not.
	keys *os.File
}

// inherit finds the sockets that the process was started with.
func inherit() (*inherited, error) {
	in := &inherited{sockets: make(map[string]*eventloop.ListenSocket), from: findPredecessor()}
	if in.from != nil {
		files, err := in.from.takeSockets()
		err = errors.Join(err, in.add(files))
		return in, err
	}
	// Its variables are removed.
	err := in.add(activation.Files(true))
	return in, err
}

// add keeps sockets, and the file of keys, which are ours from now on. A second socket at
// the same address is closed.
func (in *inherited) add(files []*os.File) error {
	var faults []error
	for _, f := range files {
		if info, err := f.Stat(); in.from != nil && in.keys == nil && err == nil && info.Mode().IsRegular() {
			in.keys = f
			continue
		}
		s, err := eventloop.InheritSocket(f)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		name := s.Name()
		if _, twice := in.sockets[name]; twice {
			s.Close()
			continue
		}
		in.sockets[name] = s
	}
	return errors.Join(faults...)
}

// handedOver reports whether another program hands sockets over.
func (in *inherited) handedOver() bool { return in != nil && in.from != nil }

// awaitTurn returns when the proxy may serve: at once, or when the old program allows
// it.
func (in *inherited) awaitTurn() error {
	if !in.handedOver() {
		return nil
	}
	return in.from.announce()
}

// take returns the socket bound to an address, or nil.
func (in *inherited) take(name string) *eventloop.ListenSocket {
	if in == nil {
		return nil
	}
	s := in.sockets[name]
	delete(in.sockets, name)
	return s
}

// listenOn opens a listening socket for an event loop, or takes the one that was
// inherited.
func (in *inherited) listenOn(ctx context.Context, spec socket.ListenSpec) (*eventloop.ListenSocket, error) {
	name, err := spec.Name(ctx)
	if err != nil {
		return nil, err
	}
	s := in.take(name)
	if s == nil {
		if err := makeSocketDir(spec.Path); err != nil {
			return nil, err
		}
		return eventloop.OpenSocket(ctx, spec)
	}
	if err := s.Prepare(spec.Backlog); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// listen is net.Listen, and implements admin.Listen.
func (in *inherited) listen(network, address string) (net.Listener, error) {
	if s := in.take(address); s != nil {
		return netListener(s)
	}
	return net.Listen(network, address)
}

// netListener is the socket as package net has it.
func netListener(s *eventloop.ListenSocket) (net.Listener, error) {
	defer s.Close() // FileListener has its own
	f, err := s.File()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return net.FileListener(f)
}

// closeRest closes the sockets that no listener took. Those of systemd go on listening,
// since it has them too: clients that connect there wait, so the log tells.
func (in *inherited) closeRest(log *logging.Logger) {
	if in == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(in.sockets)) {
		in.sockets[name].Close()
		delete(in.sockets, name)
		if in.from == nil {
			log.Warn("systemd listens at an address that the configuration does not have: clients that connect there wait for ever",
				slog.String("addr", name))
		}
	}
}

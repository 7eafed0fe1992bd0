package daemon

import (
	"context"
	"net"
	"os"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"

	"nuthatch/internal/socket"
)

// inherited are listening sockets that the process got at its start, from the
// old program (see Upgrade) or from systemd. They are found by their addresses.
// A nil *inherited has none.
type inherited struct {
	fds map[string]int // by address
	// from is the program that hands the sockets over; nil if it was systemd.
	from *predecessor
}

// inherit finds the sockets that the process was started with.
func inherit() (*inherited, error) {
	in := &inherited{fds: make(map[string]int), from: findPredecessor()}
	if in.from != nil {
		fds, err := in.from.takeSockets()
		for _, fd := range fds {
			in.add(fd)
		}
		return in, err
	}
	// Its descriptors are close-on-exec, and its variables are removed.
	for _, f := range activation.Files(true) {
		// The file closes its own descriptor when it is collected.
		if fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0); err == nil {
			in.add(fd)
		}
		f.Close()
	}
	return in, nil
}

// add keeps a socket, which is ours from now on. A second one at the same address
// is closed.
func (in *inherited) add(fd int) {
	syscall.CloseOnExec(fd)
	name := socket.LocalName(fd)
	if _, twice := in.fds[name]; twice {
		unix.Close(fd)
		return
	}
	in.fds[name] = fd
}

// handedOver reports whether another program hands sockets over.
func (in *inherited) handedOver() bool { return in != nil && in.from != nil }

// ready returns when the proxy may serve: at once, or when the old program lets
// it.
func (in *inherited) ready() error {
	if !in.handedOver() {
		return nil
	}
	return in.from.ready()
}

// take returns the socket bound to an address, and whether there is one.
func (in *inherited) take(name string) (fd int, ok bool) {
	if in == nil {
		return -1, false
	}
	fd, ok = in.fds[name]
	delete(in.fds, name)
	return fd, ok
}

// listenOn opens a listening socket for an event loop, or takes the one that was
// inherited.
func (in *inherited) listenOn(ctx context.Context, spec socket.ListenSpec) (int, error) {
	name, err := spec.Name(ctx)
	if err != nil {
		return -1, err
	}
	fd, ok := in.take(name)
	if !ok {
		return socket.Listen(ctx, spec)
	}
	if err := socket.Adopt(fd, spec.Backlog); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// listen is net.Listen, and implements admin.Listen.
func (in *inherited) listen(network, address string) (net.Listener, error) {
	fd, ok := in.take(address)
	if !ok {
		return net.Listen(network, address)
	}
	f := os.NewFile(uintptr(fd), address)
	defer f.Close() // FileListener has its own
	return net.FileListener(f)
}

// closeRest closes the sockets that no listener took.
func (in *inherited) closeRest() {
	if in == nil {
		return
	}
	for name, fd := range in.fds {
		unix.Close(fd)
		delete(in.fds, name)
	}
}

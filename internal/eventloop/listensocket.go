package eventloop

import (
	"context"
	"os"

	"golang.org/x/sys/unix"

	"nuthatch/internal/socket"
)

// A ListenSocket is a listening socket. A loop accepts from it (Loop.Listen), and copies
// of it go to other processes (File). It belongs to whoever opened it, and is open until
// Close. All but Close may be called from any goroutine.
type ListenSocket struct {
	fd int
	of sockets // the kernel's, or a Network's: those have only a name
}

// OpenSocket opens a listening socket.
func OpenSocket(ctx context.Context, spec socket.ListenSpec) (*ListenSocket, error) {
	fd, err := socket.Listen(ctx, spec)
	if err != nil {
		return nil, err
	}
	return &ListenSocket{fd, kernelSockets{}}, nil
}

// InheritSocket is a listening socket that the process was given. Prepare has to follow
// before a loop gets it. The file is closed.
func InheritSocket(f *os.File) (*ListenSocket, error) {
	defer f.Close() // it would close its own descriptor when it is collected
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	return &ListenSocket{fd, kernelSockets{}}, nil
}

// Prepare makes an inherited socket as OpenSocket makes them.
func (s *ListenSocket) Prepare(backlog int) error { return socket.Adopt(s.fd, backlog) }

// Name is the address that it listens on.
func (s *ListenSocket) Name() string { return s.of.localName(s.fd) }

// SetBacklog changes how many connections may wait to be accepted.
func (s *ListenSocket) SetBacklog(n int) error { return unix.Listen(s.fd, n) }

// File returns a copy for another process, or for package net.
func (s *ListenSocket) File() (*os.File, error) { return socket.File(s.fd) }

// Close closes it. No loop may have it: after Listener.Close its turn must have ended.
func (s *ListenSocket) Close() { s.of.discard(s.fd) }

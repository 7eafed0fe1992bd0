package proxy

import (
	"errors"
	"syscall"

	"nuthatch/internal/msg"
)

// reasonOf is the reason for an error of the operating system.
func reasonOf(err error) msg.Reason {
	if errors.Is(err, errUnresolved) {
		return msg.Unresolved
	}
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return msg.OtherError
	}
	switch errno {
	case syscall.ECONNREFUSED, syscall.EAGAIN: // EAGAIN: a unix socket's backlog is full
		return msg.ConnRefused
	case syscall.ETIMEDOUT:
		return msg.Timedout
	case syscall.ECONNRESET:
		return msg.ConnReset
	case syscall.EHOSTUNREACH:
		return msg.HostUnreachable
	case syscall.ENETUNREACH:
		return msg.NetUnreachable
	case syscall.EHOSTDOWN:
		return msg.HostDown
	case syscall.EPIPE:
		return msg.BrokenPipe
	case syscall.EMFILE, syscall.ENFILE:
		return msg.NoDescriptors
	case syscall.ENOENT:
		return msg.SocketMissing
	case syscall.EACCES, syscall.EPERM:
		return msg.AccessDenied
	default:
		return msg.OtherError
	}
}

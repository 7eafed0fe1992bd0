package topology_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// An error has one reason, whether it comes from a socket of the loop's or, wrapped, from
// a health check.
func TestReasonOf(t *testing.T) {
	for err, want := range map[error]msg.Reason{
		topology.ErrUnresolved:   msg.Unresolved,
		io.EOF:                   msg.ServerEOF,
		os.ErrDeadlineExceeded:   msg.Timedout,
		syscall.ECONNREFUSED:     msg.ConnRefused,
		syscall.EAGAIN:           msg.ConnRefused,
		syscall.ETIMEDOUT:        msg.Timedout,
		syscall.ECONNRESET:       msg.ConnReset,
		syscall.EHOSTUNREACH:     msg.HostUnreachable,
		syscall.ENETUNREACH:      msg.NetUnreachable,
		syscall.EHOSTDOWN:        msg.HostDown,
		syscall.EPIPE:            msg.BrokenPipe,
		syscall.ENFILE:           msg.NoDescriptors,
		syscall.ENOENT:           msg.SocketMissing,
		syscall.EPERM:            msg.AccessDenied,
		syscall.EINVAL:           msg.OtherError,
		errors.New("some other"): msg.OtherError,
	} {
		for _, err := range []error{err, &net.OpError{Op: "dial", Err: err}, fmt.Errorf("in a check: %w", err)} {
			if got := topology.ReasonOf(err); got != want {
				t.Errorf("%v: %v, want %v", err, got, want)
			}
		}
	}
}

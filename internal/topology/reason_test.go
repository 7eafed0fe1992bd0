package topology_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/topology"
)

// An error has one reason, whether it comes from a socket of the loop's or, wrapped, from
// a health check.
func TestReasonOf(t *testing.T) {
	for err, want := range map[error]msg.Reason{
		topology.ErrUnresolved: msg.Unresolved,
		io.EOF:                 msg.ServerEOF,
		os.ErrDeadlineExceeded: msg.Timedout,
		syscall.ECONNREFUSED:   msg.ConnRefused,
		syscall.EAGAIN:         msg.ConnRefused,
		syscall.ETIMEDOUT:      msg.Timedout,
		syscall.ECONNRESET:     msg.ConnReset,
		syscall.EHOSTUNREACH:   msg.HostUnreachable,
		syscall.ENETUNREACH:    msg.NetUnreachable,
		syscall.EHOSTDOWN:      msg.HostDown,
		syscall.EPIPE:          msg.BrokenPipe,
		syscall.ENFILE:         msg.NoDescriptors,
		syscall.ENOENT:         msg.SocketMissing,
		syscall.EPERM:          msg.AccessDenied,
		syscall.EPROTO:         msg.TLSFailed,
		tls.AlertError(40):     msg.TLSFailed,
		syscall.EINVAL:         msg.OtherError,

		errors.New("tls: server selected unsupported protocol version 301"):                                           msg.TLSFailed,
		tls.RecordHeaderError{Msg: "first record does not look like one"}:                                             msg.TLSFailed,
		&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: new(x509.Certificate), Host: "other"}}: msg.TLSFailed,

		silence{}: msg.TLSUnanswered,

		errors.New("some other"): msg.OtherError,
	} {
		for _, err := range []error{err, &net.OpError{Op: "dial", Err: err}, fmt.Errorf("in a check: %w", err)} {
			if got := topology.ReasonOf(err); got != want {
				t.Errorf("%v: %v, want %v", err, got, want)
			}
		}
	}
}

// silence is the fault of a handshake that nobody has answered.
type silence struct{}

func (silence) Error() string    { return "no answer" }
func (silence) Unanswered() bool { return true }

// The log says of a server that fails which it is, and why, so that nobody has to know
// what clients are told.
func TestTextsOfAFailingServer(t *testing.T) {
	conf, err := config.Parse("test.yml", []byte("alpha:\n  listen: 127.0.0.1:22121\n  servers:\n  - 10.0.0.1:6379:1 s1\n  - 10.0.0.2:6379:1\n"))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"server s1 (10.0.0.1:6379)", "server 10.0.0.2:6379"} {
		if got := topology.Subject(&conf.Pools[0].Servers[i]); got != want {
			t.Errorf("it is called %q, want %q", got, want)
		}
	}
	for why, want := range map[msg.Reason]string{
		msg.ServerEOF:   "it closed the connection",
		msg.Unresolved:  "its name cannot be resolved",
		msg.ConnRefused: msg.ConnRefused.String(),
	} {
		if got := topology.Cause(&conf.Pools[0], why, false, 0); got != want {
			t.Errorf("it fails because %q, want %q", got, want)
		}
	}
	for why, want := range map[msg.Reason]string{
		msg.OK:           "",
		msg.ServerEOF:    "it accepts connections and closes them without an answer; does it want TLS (server_tls)?",
		msg.ConnReset:    "it accepts connections and closes them without an answer; does it want TLS (server_tls)?",
		msg.BadReply:     "its reply does not fit the request; is it a Redis server, or does it want TLS (server_tls)?",
		msg.LoginRefused: "it wants a password, and the pool has none (server_password or redis_auth)",
		msg.ConnRefused:  msg.ConnRefused.String(),
	} {
		if got := topology.Cause(&conf.Pools[0], why, true, 0); got != want {
			t.Errorf("it fails and is mute because %q, want %q", got, want)
		}
	}
	for keys, want := range map[config.Login]string{
		{}:                             "(redis_auth)",
		{Password: "p"}:                "(server_password)",
		{User: "proxy", Password: "p"}: "(server_user and server_password)",
	} {
		p := config.Pool{RedisAuth: "a", ServerUser: keys.User, ServerPassword: keys.Password}
		if got := topology.Cause(&p, msg.LoginRefused, true, 0); got != "it refuses the pool's password "+want {
			t.Errorf("with %v it fails because %q, want %q", keys, got, want)
		}
	}
	conf.Pools[0].ServerTLS.Verify = config.VerifyNone
	if got, want := topology.Cause(&conf.Pools[0], msg.TLSUnanswered, true, 0), "it accepts connections, and does not answer the TLS handshake; does it speak TLS at this port (server_tls)?"; got != want {
		t.Errorf("a server that is silent fails because %q, want %q", got, want)
	}
	if got, want := topology.Cause(&conf.Pools[0], msg.BadReply, true, 0), "its reply does not fit the request; is it a Redis server?"; got != want {
		t.Errorf("with TLS it fails because %q, want %q", got, want)
	}
}

// TestUnansweredRequests: a server that accepts connections and does not answer is told from one
// that cannot be reached, until it answers.
func TestUnansweredRequests(t *testing.T) {
	p := &config.Pool{ServerFailureLimit: 1}
	h := new(topology.Health)
	topo := topology.New(p)
	cause := func() string { return topology.Cause(p, msg.Timedout, true, h.Unanswered()) }
	if got := cause(); got != "Connection timed out" {
		t.Errorf("nothing is known: %q", got)
	}
	h.LeavesWaiting(2)
	h.LeavesWaiting(3)
	if got := cause(); h.Unanswered() != 5 || got != "Connection timed out: it accepts connections and does not answer; does it hang?" {
		t.Errorf("%d: %q", h.Unanswered(), got)
	}
	topo.Failed(h, msg.Timedout, 1, 1)
	topo.Answered(h, 2)
	if h.Unanswered() != 0 || !h.IsUp() {
		t.Errorf("it has answered: %d", h.Unanswered())
	}
}

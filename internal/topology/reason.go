package topology

import (
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"syscall"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// ErrUnresolved means that a server has no addresses, or none any more.
var ErrUnresolved = errors.New("the server's name is not resolved")

// ReasonOf is the reason for an error of a connection, or of an attempt to connect.
func ReasonOf(err error) msg.Reason {
	var errno syscall.Errno
	var timeout interface{ Timeout() bool }
	var silent interface{ Unanswered() bool }
	switch {
	case errors.Is(err, ErrUnresolved):
		return msg.Unresolved
	case errors.Is(err, io.EOF):
		return msg.ServerEOF
	case errors.As(err, &silent) && silent.Unanswered():
		return msg.TLSUnanswered
	case errors.As(err, &errno):
		return reasonOfErrno(errno)
	case errors.As(err, &timeout) && timeout.Timeout():
		return msg.Timedout
	case isTLS(err):
		return msg.TLSFailed
	}
	return msg.OtherError
}

// isTLS reports whether an error is TLS's: of a connection beside the event loops, which
// speaks TLS itself.
func isTLS(err error) bool {
	var alert tls.AlertError
	var record tls.RecordHeaderError
	var unverified *tls.CertificateVerificationError
	// Most of what crypto/tls finds has no type.
	return errors.As(err, &alert) || errors.As(err, &record) || errors.As(err, &unverified) || strings.Contains(err.Error(), "tls: ")
}

// reasonOfErrno is the reason for an error of the operating system.
func reasonOfErrno(errno syscall.Errno) msg.Reason {
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
	case syscall.EPROTO: // a fault of the stage
		return msg.TLSFailed
	case syscall.EACCES, syscall.EPERM:
		return msg.AccessDenied
	default:
		return msg.OtherError
	}
}

// Cause says in words why a server of the pool fails, for the log, the API and the page: the
// text that clients get, or a clearer one. mute: the server has answered nothing, at least
// not since it fails. unanswered: so many requests have waited in vain on connections that it
// had accepted.
func Cause(p *config.Pool, why msg.Reason, mute bool, unanswered int64) string {
	text, question := why.String(), ""
	switch why {
	case msg.OK:
		return ""
	case msg.Timedout:
		if unanswered > 0 {
			text += ": it accepts connections and does not answer; does it hang?"
		}
		return text
	case msg.ServerEOF, msg.ConnReset, msg.BrokenPipe:
		if why == msg.ServerEOF {
			text = "it closed the connection"
		}
		if mute {
			text = "it accepts connections and closes them without an answer"
		}
	case msg.LoginRefused:
		text = "it refuses the pool's password"
		if key := p.LoginKey(); key != "" {
			text += " (" + key + ")"
		} else {
			text = "it wants a password, and the pool has none (server_password or redis_auth)"
		}
	case msg.TLSUnanswered:
		return "it accepts connections, and does not answer the TLS handshake; does it speak TLS at this port (server_tls)?"
	case msg.Unresolved:
		text = "its name cannot be resolved"
	case msg.BadReply:
		text = "its reply does not fit the request"
		if mute {
			question = "is it a " + [...]string{config.Memcached: "Redis", config.Redis: "Memcached"}[p.Protocol] + " server"
		}
	default:
		return text
	}
	if mute && !p.ServerTLS.On() && why != msg.LoginRefused && why != msg.Unresolved {
		if question != "" {
			question += ", or "
		}
		question += "does it want TLS (server_tls)"
	}
	if question != "" {
		text += "; " + question + "?"
	}
	return text
}

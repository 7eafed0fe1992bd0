package redisclient

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// A Fault is what is wrong with a server that was asked, or with what several say.
type Fault struct {
	// Where is the server's address, or what the fault is about.
	Where string `json:"where"`
	// What is wrong there.
	What string `json:"what"`
	// Minor: requests are served nevertheless.
	Minor bool `json:"minor"`
}

// NoPassword reports whether a server has refused a login since it wants none.
func NoPassword(err error) bool {
	return err != nil && strings.Contains(err.Error(), "without any password configured")
}

// Why says why a server has not answered. secure: it was asked with TLS.
func Why(err error, secure bool) string {
	var header tls.RecordHeaderError
	var late net.Error
	text := strings.TrimPrefix(err.Error(), "ERR ")
	switch {
	case errors.As(err, &header):
		return "it does not speak TLS: " + text
	case errors.Is(err, errHandshake):
		return "it does not answer in time, not even the TLS handshake: perhaps it hangs, or does not speak TLS"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: " + text
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &late) && late.Timeout():
		return "it does not answer in time"
	case secure && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		return "it closes the connection: perhaps it speaks no TLS, or wants a certificate"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "it closes the connection: perhaps it wants TLS"
	case strings.HasPrefix(text, "NOAUTH"):
		return "it wants a password: " + text
	case strings.HasPrefix(text, "WRONGPASS"), strings.Contains(text, "invalid password"):
		return "it refuses the login: " + text
	case strings.HasPrefix(text, "NOPERM"):
		return "its user may not ask: " + text
	case strings.HasPrefix(text, "unknown command"):
		return "it does not know the command: " + text
	}
	return text
}

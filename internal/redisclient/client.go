// Package redisclient makes clients of servers that are asked about others, off the data
// path: sentinels, and the nodes of a cluster.
package redisclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"nuthatch/internal/config"
)

// quiet takes what the client library would log.
type quiet struct{}

// Printf implements the library's logger.
func (quiet) Printf(context.Context, string, ...any) {}

func init() { redis.SetLogger(quiet{}) }

// Options say whom a client asks, and how.
type Options struct {
	// Addr is the server's address, and Login is what it is told.
	Addr  config.Address
	Login config.Login
	// Secure is how it is connected to with TLS; nil: without. It is asked for each
	// connection, since the files may have changed.
	Secure func(config.Address) *tls.Config
	// Dial makes a connection; nil: one to Addr is made, as Secure says.
	Dial func(context.Context) (net.Conn, error)
	// Time is how long a connection, a question and an answer may take each.
	Time time.Duration
	// Connections is how many there may be at a time.
	Connections int
}

// New makes a client. Nothing is connected yet. It says nothing but its login and what it is
// asked to: it neither names the library nor asks to be told of maintenance.
func New(o Options) *redis.Client {
	r := &redis.Options{
		Addr: o.Addr.String(), Protocol: 2, Username: o.Login.User, Password: o.Login.Password.Reveal(),
		DialTimeout: o.Time, ReadTimeout: o.Time, WriteTimeout: o.Time, ContextTimeoutEnabled: true,
		DialerRetries: 1, MaxRetries: -1, PoolSize: o.Connections,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if o.Secure != nil {
		r.Dialer = func(ctx context.Context, network, at string) (net.Conn, error) {
			return dialSecured(ctx, network, at, o)
		}
	}
	if o.Dial != nil {
		r.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) { return o.Dial(ctx) }
	}
	return redis.NewClient(r)
}

// dialSecured makes a connection with TLS.
func dialSecured(ctx context.Context, network, at string, o Options) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Time)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, at)
	if err != nil {
		return nil, err
	}
	secured := tls.Client(conn, o.Secure(o.Addr))
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", errHandshake, err)
		}
		return nil, err
	}
	return secured, nil
}

// errHandshake: the handshake of TLS has not come to its end in time.
var errHandshake = errors.New("no TLS handshake in time")

// Ask sends the questions of a pipeline. An error means that they were not answered: there
// is no connection, or the login was refused. What the server refuses is with each question.
func Ask(ctx context.Context, questions redis.Pipeliner) error {
	asked, err := questions.Exec(ctx)
	var answer redis.Error
	if err == nil || !errors.As(err, &answer) {
		return err
	}
	if slices.ContainsFunc(asked, func(q redis.Cmder) bool { return q.Err() != nil }) {
		return nil
	}
	return err // of a refused login the library tells only here
}

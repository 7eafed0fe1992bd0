package check

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"nuthatch/internal/cluster"
	"nuthatch/internal/config"
	"nuthatch/internal/proto/redis"
	"nuthatch/internal/redisclient"
	"nuthatch/internal/sentinel"
	"nuthatch/internal/tlsstage"
)

// ErrNothing means that a pool's servers are where the configuration says.
var ErrNothing = errors.New("the pool is no cluster, and has no sentinels: there is nothing to verify (--against-nutcracker compares the placement of keys)")

// examineTime bounds all questions of an examination.
const examineTime = time.Minute

// An Examination is what was found of a pool whose servers are a cluster, or known by
// sentinels. One of Cluster and Sentinel is set.
type Examination struct {
	Pool     string             `json:"pool"`
	Cluster  *cluster.Examined  `json:"cluster,omitempty"`
	Sentinel *sentinel.Examined `json:"sentinel,omitempty"`
}

// Faults are what is wrong.
func (e *Examination) Faults() []redisclient.Fault {
	if e.Cluster != nil {
		return e.Cluster.Faults
	}
	return e.Sentinel.Faults
}

// Fit reports whether the servers can be used as they are.
func (e *Examination) Fit() bool {
	for _, f := range e.Faults() {
		if !f.Minor {
			return false
		}
	}
	return true
}

// CanExamine reports whether the pool has what Examine looks at.
func CanExamine(p *config.Pool) bool { return p.Cluster.On || p.UsesSentinel() }

// Examine asks a pool's cluster, or its sentinels, as a proxy would. An error means that
// there is no result.
func Examine(ctx context.Context, p *config.Pool) (*Examination, error) {
	ctx, cancel := context.WithTimeout(ctx, examineTime)
	defer cancel()
	e := &Examination{Pool: p.Name}
	servers, err := secure("server_tls", &p.ServerTLS)
	switch {
	case err != nil:
		return nil, err
	case p.Cluster.On:
		o := cluster.Options{Login: p.ServerLogin(), Secure: configFor(servers)}
		for i := range p.Servers {
			o.Seeds = append(o.Seeds, p.Servers[i].Address)
		}
		e.Cluster = o.Examine(ctx)
		return e, ctx.Err()
	case !CanExamine(p):
		return nil, ErrNothing
	}
	sentinels, err := secure("sentinel_tls", &p.Sentinel.TLS)
	if err != nil {
		return nil, err
	}
	o := sentinel.Options{Sentinels: p.Sentinel.Addresses, Login: p.Sentinel.Login(), Secure: configFor(sentinels)}
	var names []string
	var first config.Address
	known := make(map[string]bool)
	for i := range p.Servers {
		a := p.Servers[i].Address
		if a.Network != config.NetworkSentinel || known[a.Host] {
			continue
		}
		if len(names) == 0 {
			first = a
		}
		known[a.Host] = true
		names = append(names, a.Host)
	}
	e.Sentinel = o.Examine(ctx, names, func(ctx context.Context, addr string) (string, error) {
		return roleOf(ctx, addr, p, func(conn net.Conn) net.Conn { return servers.Secure(conn, first) })
	})
	return e, ctx.Err()
}

// secure is how servers are connected to with TLS, nil: without. key is where that is
// configured.
func secure(key string, c *config.ServerTLS) (*tlsstage.End, error) {
	if !c.On() {
		return nil, nil
	}
	end, err := tlsstage.ForServers(c, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return end, nil
}

func configFor(end *tlsstage.End) func(config.Address) *tls.Config {
	if end == nil {
		return nil
	}
	return end.ConfigFor
}

// roleOf asks a server of the pool what it is, as the pool's connections do.
func roleOf(ctx context.Context, addr string, p *config.Pool, secure func(net.Conn) net.Conn) (string, error) {
	w, err := dial(ctx, p, addr, p.ServerLogin().Words(), secure)
	if redisclient.NoPassword(err) {
		w, err = dial(ctx, p, addr, nil, secure)
	}
	if err != nil {
		return "", err
	}
	defer w.conn.Close()
	if err := w.conn.SetDeadline(time.Now().Add(ioTimeout)); err != nil {
		return "", err
	}
	role, err := redis.AskRole(w.conn, config.Login{})
	return role.String(), err
}

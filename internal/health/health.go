// Package health checks the servers of the pools, each on a connection of its
// own and outside the event loops.
//
//	checker (one per server) ── PING, or version ──► server (those of a cluster come and go)
//	   │
//	   └─► Topology.Checked ─► the server's Health, and the ring
//
// A server's state is in its Health and outlives a reload. The checkers do not:
// each configuration has its own.
package health

import (
	"bufio"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/proto/memcache"
	"nuthatch/internal/proto/redis"
	"nuthatch/internal/socket"
	"nuthatch/internal/tlsstage"
	"nuthatch/internal/topology"
)

// maxAnswer is the longest line, in bytes, that an answer to a check may have.
const maxAnswer = 512

// Told is called with the result of a check: the server, the reason if the check
// failed (else msg.OK), and what that changed. It is called on any goroutine, and
// must not wait.
type Told func(t *topology.Topology, server *topology.Health, why msg.Reason, changed topology.Verdict)

// Checks are the checks of one configuration.
type Checks struct {
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// Start begins the checks that the pools of conf ask for. now is the loops' time. ends
// are how the pools speak TLS with their servers, nil for those that do not.
func Start(conf *config.Config, topo []*topology.Topology, ends []*tlsstage.End, now func() int64, told Told) *Checks {
	ctx, cancel := context.WithCancel(context.Background())
	c := &Checks{cancel: cancel}
	for i := range conf.Pools {
		p := &conf.Pools[i]
		if p.HealthCheck.Interval == 0 {
			continue
		}
		if p.Cluster.On || p.ReadsReplicas() && p.UsesSentinel() {
			f := &following{conf: p, topo: topo[i], end: ends[i], now: now, told: told, checkers: make(map[*topology.Health]*followed)}
			c.running.Go(func() { f.run(ctx) })
			continue
		}
		snap := topo[i].Snapshot()
		for j, s := range snap.Servers {
			k := newChecker(p, topo[i], s)
			k.secure = func(conn net.Conn) net.Conn { return ends[i].Secure(conn, snap.Server(j).Address) }
			c.running.Go(func() { k.run(ctx, now, told) })
		}
	}
	return c
}

// Stop ends the checks, and returns when none is under way. Checks that were
// never begun may be nil.
func (c *Checks) Stop() {
	if c == nil {
		return
	}
	c.cancel()
	c.running.Wait()
}

// A checker asks one server.
type checker struct {
	// static after construction
	conf   config.HealthCheck
	topo   *topology.Topology
	server *topology.Health
	// secure makes a connection one with TLS, if that is how the pool speaks to its servers.
	secure func(net.Conn) net.Conn
	asked  [][]byte
	pong   func(line []byte) msg.Reason
	// login are the words of AUTH, if that is the first that is asked.
	login []string

	// owned by run
	//
	// conn is kept from one check to the next, nil if there is none, and in reads
	// from it.
	conn net.Conn
	addr socket.Addr // what conn is connected to
	in   *bufio.Reader
	// next is which of the server's addresses is tried next.
	next int
}

func newChecker(p *config.Pool, t *topology.Topology, server *topology.Health) *checker {
	k := &checker{conf: p.HealthCheck, topo: t, server: server, secure: func(conn net.Conn) net.Conn { return conn }}
	switch p.Protocol {
	case config.Redis:
		k.asked, k.pong, k.login = redis.Ping(p.ServerLogin()), redis.Pong, p.ServerLogin().Words()
		if p.Passes() && p.ServerLogin().Password == "" {
			k.pong = redis.PongToAnybody
		}
	case config.Memcached:
		k.asked, k.pong = memcache.Ping(), memcache.Pong
	}
	return k
}

// run checks the server until ctx ends. The interval varies by a tenth, so that
// many checkers, and many proxies, do not check at the same time.
func (k *checker) run(ctx context.Context, now func() int64, told Told) {
	defer k.close()
	for {
		began := now()
		why := k.check(ctx)
		if ctx.Err() != nil {
			return
		}
		at := now()
		k.server.NoteCheck(topology.Check{At: at, Took: time.Duration(at - began), Why: why})
		told(k.topo, k.server, why, k.topo.Checked(k.server, why, at))
		tenth := k.conf.Interval / 10
		pause := time.NewTimer(k.conf.Interval - tenth + rand.N(2*tenth+1))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
	}
}

// check asks the server once. A kept connection that has ended meanwhile is no
// failure, since the server may close idle ones: the check uses another one.
func (k *checker) check(ctx context.Context) msg.Reason {
	ctx, cancel := context.WithTimeout(ctx, k.conf.Timeout)
	defer cancel()
	if k.conn != nil && !k.server.HasAddr(k.addr) {
		k.close() // the name has another address by now
	}
	if k.conn != nil && k.login != nil && k.server.State().Reason == msg.LoginRefused {
		k.close() // its login may be older than that
	}
	if k.conn != nil {
		why, err := k.ask(ctx, k.asked[len(k.asked)-1:])
		if err == nil || ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return k.settle(why, err)
		}
		k.close()
	}
	if err := k.dial(ctx); err != nil {
		return k.settle(msg.OK, err)
	}
	return k.settle(k.ask(ctx, k.asked))
}

// settle closes the connection if the check has failed.
func (k *checker) settle(why msg.Reason, err error) msg.Reason {
	if err != nil {
		why = topology.ReasonOf(err)
	}
	if why != msg.OK {
		k.close()
	}
	return why
}

// dial connects to the server, at its next address if the last one failed.
func (k *checker) dial(ctx context.Context) error {
	addrs := k.server.Addrs()
	if len(addrs) == 0 {
		return topology.ErrUnresolved
	}
	k.addr = addrs[k.next%len(addrs)]
	addr := socket.NetAddr(k.addr)
	var d net.Dialer
	conn, err := d.DialContext(ctx, addr.Network(), addr.String())
	if err != nil {
		k.next++
		k.topo.Unreachable(k.server)
		return err
	}
	conn = k.secure(conn)
	k.conn, k.in = conn, bufio.NewReaderSize(conn, maxAnswer)
	return nil
}

// ask sends the check and judges the last answer.
func (k *checker) ask(ctx context.Context, asked [][]byte) (msg.Reason, error) {
	deadline, _ := ctx.Deadline()
	if err := k.conn.SetDeadline(deadline); err != nil {
		return msg.OK, err
	}
	conn := k.conn
	// The end of ctx ends the wait for the answer.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var line []byte
	for i, part := range asked {
		if _, err := conn.Write(part); err != nil {
			return msg.OK, err
		}
		var err error
		line, err = k.in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return msg.BadReply, nil
		}
		if err != nil {
			return msg.OK, err
		}
		if i < len(asked)-1 && redis.RefusesUser(k.login, line) {
			return msg.LoginRefused, nil
		}
	}
	if k.in.Buffered() > 0 {
		return msg.BadReply, nil // more than the answer
	}
	return k.pong(line), nil
}

func (k *checker) close() {
	if k.conn == nil {
		return
	}
	// It is given up, whatever is left of it.
	_ = k.conn.Close()
	k.conn, k.in = nil, nil
}

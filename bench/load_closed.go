package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// closedLoop is a load whose clients each wait for the reply before they send
// their next request. It is one thread with epoll, as redis-benchmark is, so
// that it leaves as much of its core as it can to the servers.
type closedLoop struct {
	requests [][]byte // used in turn; each is small enough to be written at once
	// reply is what every request gets. Its length and its ends are checked: what
	// lies between may differ, because several servers' shares of a reply come
	// in an order that is the proxy's business.
	reply []byte
}

// checkedEnds is how many bytes at a reply's start and end must be as expected.
const checkedEnds = 5

func (l closedLoop) check(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("no reply"))
	defer cancel()
	_, err := l.loop(ctx, addr, 1, 1)
	return err
}

func (l closedLoop) run(ctx context.Context, addr string, n int) (loadResult, error) {
	return l.loop(ctx, addr, clients, n)
}

// loopState is a running loop; one goroutine owns it.
type loopState struct {
	closedLoop
	epoll   int
	clients map[int32]*loopClient // by descriptor
	buf     []byte
	next    int // index into requests
	left    int // requests that are still to be sent
	waiting int // clients that wait for a reply
}

type loopClient struct {
	fd   int
	got  int               // bytes of the current reply
	head [checkedEnds]byte // its first bytes
	tail [checkedEnds]byte // the latest bytes
}

// loop makes n requests over a number of connections.
func (l closedLoop) loop(ctx context.Context, addr string, conns, n int) (loadResult, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return loadResult{}, fmt.Errorf("epoll: %w", err)
	}
	s := &loopState{
		closedLoop: l, epoll: epoll, clients: map[int32]*loopClient{},
		buf: make([]byte, 256<<10), left: n,
	}
	defer s.close()
	for range conns {
		if err := s.connect(addr); err != nil {
			return loadResult{}, err
		}
	}
	start := time.Now()
	for _, c := range s.clients {
		if err := s.send(c); err != nil {
			return loadResult{}, err
		}
	}
	if err := s.serve(ctx); err != nil {
		return loadResult{}, err
	}
	return loadResult{requests: n, rate: float64(n) / time.Since(start).Seconds()}, nil
}

func (s *loopState) close() {
	for _, c := range s.clients {
		_ = unix.Close(c.fd) // nothing is left to be lost
	}
	_ = unix.Close(s.epoll)
}

func (s *loopState) connect(addr string) error {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	s.clients[int32(fd)] = &loopClient{fd: fd} // so that close knows it
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}); err != nil {
		return fmt.Errorf("connect to %s: %w", addr, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("nonblock: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("nodelay: %w", err)
	}
	if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// send writes a client's next request, if there is one left.
func (s *loopState) send(c *loopClient) error {
	if s.left == 0 {
		return nil
	}
	request := s.requests[s.next]
	s.next = (s.next + 1) % len(s.requests)
	n, err := unix.Write(c.fd, request)
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if n < len(request) {
		return fmt.Errorf("only %d of a request's %d bytes could be written at once", n, len(request))
	}
	c.got = 0
	s.left--
	s.waiting++
	return nil
}

// serve answers each reply with the next request until none is awaited.
func (s *loopState) serve(ctx context.Context) error {
	const pause = 100 // ms between looks at the context
	events := make([]unix.EpollEvent, len(s.clients))
	for s.waiting > 0 {
		if ctx.Err() != nil {
			return fmt.Errorf("%d replies are missing: %w", s.waiting, context.Cause(ctx))
		}
		n, err := unix.EpollWait(s.epoll, events, pause)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("epoll: %w", err)
		}
		for _, e := range events[:max(n, 0)] {
			if err := s.receive(s.clients[e.Fd]); err != nil {
				return err
			}
		}
	}
	return nil
}

// receive reads what there is of a reply, and goes on when it is complete.
func (s *loopState) receive(c *loopClient) error {
	n, err := unix.Read(c.fd, s.buf)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return fmt.Errorf("read: %w", err)
	case n == 0:
		return errors.New("the proxy closed the connection")
	}
	if err := c.take(s.buf[:n], s.reply); err != nil {
		return err
	}
	if c.got < len(s.reply) {
		return nil
	}
	s.waiting--
	return s.send(c)
}

// take adds bytes to the reply and complains as soon as it cannot become the
// wanted one.
func (c *loopClient) take(b, want []byte) error {
	if c.got < checkedEnds {
		copy(c.head[c.got:], b)
	}
	if len(b) >= checkedEnds {
		copy(c.tail[:], b[len(b)-checkedEnds:])
	} else {
		copy(c.tail[:], c.tail[len(b):])
		copy(c.tail[checkedEnds-len(b):], b)
	}
	c.got += len(b)
	seen := min(c.got, checkedEnds)
	if c.got > len(want) || !bytes.Equal(c.head[:seen], want[:seen]) ||
		c.got == len(want) && !bytes.HasSuffix(want, c.tail[checkedEnds-seen:]) {
		return fmt.Errorf("the reply is %d bytes, the latest %s, and should be %d, %s",
			c.got, abridged(b), len(want), abridged(want))
	}
	return nil
}

// abridged quotes the start of what may be long.
func abridged(b []byte) string {
	const shown = 80
	if len(b) > shown {
		return fmt.Sprintf("%q...", b[:shown])
	}
	return fmt.Sprintf("%q", b)
}

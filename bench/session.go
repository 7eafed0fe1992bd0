package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// session is a number of connected clients and what they ask for. It is one
// thread with epoll, as redis-benchmark is, so that it leaves as much of its
// core as it can to the servers. One goroutine uses it at a time.
//
//	closed loop: a client sends when it has its reply      load_closed.go
//	open loop:   a client sends when the time has come     load_open.go
type session struct {
	exchanges []exchange // used in turn
	next      int        // index into exchanges

	epoll   int
	clients []*loadClient
	events  []unix.EpollEvent
	buf     []byte

	// Of the running load.
	start    time.Time
	waiting  int // replies that are awaited
	requests int // answered
	latency  *hdrhistogram.Histogram
}

// loadClient is one connection.
type loadClient struct {
	fd      int
	out     []byte            // what the socket had no room for
	pending []pending         // in order
	none    []pending         // pending's memory from its start, empty
	then    *exchange         // what it writes next; nil: whatever comes
	got     int               // bytes of the first pending reply
	head    [checkedEnds]byte // its first bytes
	tail    [checkedEnds]byte // the latest bytes
}

// pending is an exchange whose reply is awaited.
type pending struct {
	*exchange
	since time.Duration // after the load's start
}

// loadResult is what a load saw.
type loadResult struct {
	requests int
	elapsed  time.Duration
	latency  *hdrhistogram.Histogram // of exchanges, in nanoseconds
	cpu      time.Duration           // that the load itself used
}

// rate is in requests per second.
func (r loadResult) rate() float64 { return float64(r.requests) / r.elapsed.Seconds() }

// checkedEnds is how many bytes at a reply's start and end must be as expected.
const checkedEnds = 5

// clientsPerSource is how many clients share a source address: each has a port
// of its own, of about 28,000 that the kernel gives out.
const clientsPerSource = 20_000

// newHistogram takes latencies from a microsecond to ten minutes, to three
// digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(time.Microsecond), int64(10*time.Minute), 3)
}

// openSession connects clients, spread over the addresses, and lets each send one
// request, so that a proxy's work for a new client is done.
func openSession(ctx context.Context, exchanges []exchange, clients int, addrs ...string) (*session, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	s := &session{
		exchanges: exchanges, epoll: epoll,
		events: make([]unix.EpollEvent, min(clients, 1024)+1), buf: make([]byte, 256<<10),
	}
	for i := range clients {
		if err := s.connect(addrs[i%len(addrs)]); err != nil {
			s.close()
			return nil, fmt.Errorf("client %d: %w", i+1, err)
		}
	}
	if _, err := s.closedLoop(ctx, 0); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// close resets the connections: thousands in TIME_WAIT would leave too few
// ports for what comes next.
func (s *session) close() {
	for _, c := range s.clients {
		_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) // costs ports, no more
		_ = unix.Close(c.fd)                                                                     // nothing is left to be lost
	}
	_ = unix.Close(s.epoll)
}

func (s *session) connect(addr string) error {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	i := len(s.clients)
	s.clients = append(s.clients, &loadClient{fd: fd}) // so that close knows it
	if source := i / clientsPerSource; source > 0 {
		if err := bindSource(fd, byte(1+source)); err != nil {
			return err
		}
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}); err != nil {
		return fmt.Errorf("connect to %s: %w", addr, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("nonblock: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("nodelay: %w", err)
	}
	return s.watch(unix.EPOLL_CTL_ADD, i, unix.EPOLLIN)
}

// bindSource gives a socket the source address 127.0.0.last, with a port that
// is chosen when it connects.
func bindSource(fd int, last byte) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return fmt.Errorf("bind without a port: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, last}}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}

// watch tells epoll what to report of the i-th client.
func (s *session) watch(op, i int, events uint32) error {
	if err := unix.EpollCtl(s.epoll, op, s.clients[i].fd, &unix.EpollEvent{Events: events, Fd: int32(i)}); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// begin prepares for a new load.
func (s *session) begin() {
	s.start, s.waiting, s.requests, s.latency = time.Now(), 0, 0, newHistogram()
}

// send lets the i-th client write the next exchange. The reply's latency counts
// from since.
func (s *session) send(i int, since time.Duration) error {
	c := s.clients[i]
	e := c.then
	if e == nil {
		e = &s.exchanges[s.next]
		s.next = (s.next + 1) % len(s.exchanges)
	}
	c.then = e.then
	c.pending = append(c.pending, pending{e, since})
	if len(c.pending) == 1 {
		c.none = c.pending[:0]
	}
	s.waiting++
	if len(c.out) > 0 {
		c.out = append(c.out, e.request...)
		return nil
	}
	n, err := write(c.fd, e.request)
	if err != nil || n == len(e.request) {
		return err
	}
	c.out = e.request[n:len(e.request):len(e.request)] // an append copies it
	return s.watch(unix.EPOLL_CTL_MOD, i, unix.EPOLLIN|unix.EPOLLOUT)
}

// write writes what there is room for.
func write(fd int, b []byte) (int, error) {
	n, err := unix.Write(fd, b)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("write: %w", err)
	}
	return n, nil
}

// goOn writes more of what the socket had no room for.
func (s *session) goOn(i int) error {
	c := s.clients[i]
	n, err := write(c.fd, c.out)
	if err != nil {
		return err
	}
	if c.out = c.out[n:]; len(c.out) > 0 {
		return nil
	}
	c.out = nil
	return s.watch(unix.EPOLL_CTL_MOD, i, unix.EPOLLIN)
}

// handle does what an event asks for, and calls answered for each reply that is
// complete.
func (s *session) handle(e unix.EpollEvent, answered func(i int) error) error {
	i := int(e.Fd)
	if e.Events&unix.EPOLLOUT != 0 {
		if err := s.goOn(i); err != nil {
			return err
		}
	}
	if e.Events&^uint32(unix.EPOLLOUT) == 0 {
		return nil
	}
	return s.receive(i, answered)
}

// receive reads once.
func (s *session) receive(i int, answered func(i int) error) error {
	c := s.clients[i]
	n, err := unix.Read(c.fd, s.buf)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return fmt.Errorf("read: %w", err)
	case n == 0:
		return errors.New("the proxy closed the connection")
	}
	for b := s.buf[:n]; len(b) > 0; {
		if len(c.pending) == 0 {
			return fmt.Errorf("a reply that nobody asked for: %s", abridged(b))
		}
		taken, done, err := c.take(b)
		if err != nil {
			return err
		}
		b = b[taken:]
		if !done {
			continue
		}
		if err := s.finish(c); err != nil {
			return err
		}
		if err := answered(i); err != nil {
			return err
		}
	}
	return nil
}

// finish records the first pending exchange of a client as done.
func (s *session) finish(c *loadClient) error {
	p := c.pending[0]
	if c.pending = c.pending[1:]; len(c.pending) == 0 {
		c.pending = c.none
	}
	c.got = 0
	s.waiting--
	s.requests += p.requests
	if err := s.latency.RecordValue(int64(time.Since(s.start) - p.since)); err != nil {
		return fmt.Errorf("latency: %w", err)
	}
	return nil
}

// take adds bytes to the first pending reply, as many as belong to it, and
// complains as soon as it cannot become the wanted one.
func (c *loadClient) take(b []byte) (n int, done bool, err error) {
	want := c.pending[0].reply
	b = b[:min(len(b), len(want)-c.got)]
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
	done = c.got == len(want)
	seen := min(c.got, checkedEnds)
	if !bytes.Equal(c.head[:seen], want[:seen]) || done && !bytes.HasSuffix(want, c.tail[checkedEnds-seen:]) {
		return 0, false, fmt.Errorf("after %d of the reply's %d bytes: %s, want %s", c.got, len(want), abridged(b), abridged(want))
	}
	return len(b), done, nil
}

// abridged quotes the start of what may be long.
func abridged(b []byte) string {
	const shown = 80
	if len(b) > shown {
		return fmt.Sprintf("%q...", b[:shown])
	}
	return fmt.Sprintf("%q", b)
}

package admin

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// A crowd is the connections of an admin listener, which are bounded. One more replaces
// the one that has been idle for longest, so that idle connections keep nobody out. If
// all are busy, it waits.
type crowd struct {
	mu sync.Mutex
	// conns has for each connection its place among the idle, nil if it is not idle.
	conns map[net.Conn]*list.Element
	// idle are the idle connections, the longest idle first.
	idle list.List
	// change gets a signal for each change.
	change *sync.Cond
	closed bool
}

func newCrowd() *crowd {
	c := &crowd{conns: make(map[net.Conn]*list.Element)}
	c.change = sync.NewCond(&c.mu)
	return c
}

// join makes room for a connection, and reports whether there is any: there is none
// when the listener is closed.
func (c *crowd) join(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.conns) >= MaxHTTPConns && !c.closed {
		first := c.idle.Front()
		if first == nil {
			c.change.Wait()
			continue
		}
		victim := c.idle.Remove(first).(net.Conn)
		delete(c.conns, victim)
		_ = victim.Close() // it is gone whatever that says
	}
	if c.closed {
		return false
	}
	c.conns[conn] = c.idle.PushBack(conn)
	return true
}

// note implements http.Server's ConnState.
func (c *crowd) note(conn net.Conn, s http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	place, there := c.conns[conn]
	if !there {
		return // it had to make room
	}
	if place != nil {
		c.idle.Remove(place)
	}
	switch s {
	case http.StateNew, http.StateIdle:
		c.conns[conn] = c.idle.PushBack(conn)
	case http.StateActive:
		c.conns[conn] = nil
	case http.StateHijacked, http.StateClosed:
		delete(c.conns, conn)
	}
	c.change.Broadcast()
}

// close refuses all later connections.
func (c *crowd) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.change.Broadcast()
}

// A crowdListener accepts for a crowd.
type crowdListener struct {
	net.Listener
	crowd *crowd
}

// Accept implements net.Listener.
func (l crowdListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if !l.crowd.join(conn) {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	return conn, nil
}

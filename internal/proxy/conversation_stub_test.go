package proxy_test

import (
	"errors"

	"golang.org/x/sys/unix"
)

// A stub is a server of a conversation. It does nothing of itself.
type stub struct {
	talk  *conversation
	index int
	fd    int // listens; -1: connections are refused
	addr  unix.Sockaddr
	conns []*stubConn
	// last is, by client, the last write that it was asked for.
	last map[int]lastWrite
}

// A lastWrite is the number of a client's write, and the connection that it came on.
type lastWrite struct {
	seq  int
	conn *stubConn
}

// A stubConn is a connection that a stub has accepted.
type stubConn struct {
	stub *stub
	fd   int
	in   []byte
	// todo are the requests that it has not answered, out what it has to say.
	todo [][]string
	out  []byte
	// ended: the proxy has closed. closed: the stub has.
	ended, closed bool
	// spoilt: it has said what no server says, and nobody is to hear any more of
	// it.
	spoilt bool
	// raw: it has said that with bytes that may be anything. What it was asked
	// may be answered by them.
	raw bool
}

// up listens.
func (s *stub) up() {
	if s.fd < 0 {
		s.fd = listenUnix(s.talk.t, s.addr)
	}
}

// down listens no more, and breaks every connection.
func (s *stub) down() {
	s.talk.upset = true
	if s.fd >= 0 {
		unix.Close(s.fd) // those that it had not accepted are reset
		s.fd = -1
	}
	for _, conn := range s.conns {
		conn.close()
	}
}

// conn is the i-th of the stub's connections, nil if there are none.
func (s *stub) conn(i int) *stubConn {
	if len(s.conns) == 0 {
		return nil
	}
	return s.conns[i%len(s.conns)]
}

// read accepts the connections that wait, and reads all that was sent on all.
func (s *stub) read() {
	for s.fd >= 0 {
		fd, _, err := unix.Accept4(s.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			break
		}
		s.talk.moved++
		s.conns = append(s.conns, &stubConn{stub: s, fd: fd})
	}
	for _, conn := range s.conns {
		conn.read()
	}
}

// open is how many connections the proxy has to it.
func (s *stub) open() int {
	s.read()
	n := 0
	for _, conn := range s.conns {
		if !conn.ended && !conn.closed {
			n++
		}
	}
	return n
}

func (k *stubConn) read() {
	c := k.stub.talk
	buf := make([]byte, 32<<10)
	for !k.ended && !k.closed {
		n, err := unix.Read(k.fd, buf)
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		c.moved++
		if err != nil || n == 0 {
			k.ended = true
			break
		}
		k.in = append(k.in, buf[:n]...)
	}
	for len(k.in) > 0 {
		args, n, err := c.lang.parse(k.in)
		if err != nil {
			c.t.Fatalf("server %d was sent %.100q: %v", k.stub.index, k.in, err)
		}
		if n == 0 {
			return
		}
		k.in = k.in[n:]
		k.todo = append(k.todo, args)
		k.note(args)
	}
}

// note checks what is known of the keys of a request: a write comes once, and what
// one client sent comes behind none of its later writes. Connections are read in the
// order of their coming, so that what was sent on an old one is known before. When
// connections are replaced an old one may still bring what its client has been told
// to have failed.
func (k *stubConn) note(args []string) {
	s, c := k.stub, k.stub.talk
	for _, arg := range args {
		key := c.sent[arg]
		if key == nil {
			continue
		}
		key.arrived++
		key.anything = key.anything || k.raw
		if key.write && key.arrived > 1 {
			c.t.Errorf("server %d was asked for the write %.100q, which a server has had before", s.index, args)
		}
		if last := s.last[key.party]; key.seq < last.seq && (last.conn == k || !c.renewed) {
			c.t.Errorf("server %d was asked for %.100q, behind a later write of that client", s.index, args)
		}
		if key.write {
			s.last[key.party] = lastWrite{key.seq, k}
		}
	}
}

// answer makes up the replies to n requests.
func (k *stubConn) answer(n int) {
	for range min(n, len(k.todo)) {
		reply := k.stub.talk.lang.answer(k.stub, k, k.todo[0])
		if k.spoilt && !k.raw {
			reply = k.stub.talk.lang.stray()
		}
		k.out = append(k.out, reply...)
		k.todo = k.todo[1:]
	}
}

// refuse answers one request with an error.
func (k *stubConn) refuse() {
	if len(k.todo) > 0 {
		k.stub.talk.upset = true
		k.out = append(k.out, k.stub.talk.lang.failure()...)
		k.todo = k.todo[1:]
	}
}

// say sends n bytes of what the stub has to say.
func (k *stubConn) say(n int) {
	for n = min(n, len(k.out)); n > 0 && !k.closed; {
		sent, err := unix.SendmsgN(k.fd, k.out[:n], nil, nil, unix.MSG_NOSIGNAL)
		if err != nil {
			if !errors.Is(err, unix.EAGAIN) {
				k.out = k.out[:0]
			}
			return
		}
		k.stub.talk.moved += sent
		k.out = k.out[sent:]
		n -= sent
	}
}

// stray says something that nobody asked for, if nobody asked for anything.
func (k *stubConn) stray() {
	if len(k.todo) == 0 && len(k.in) == 0 && len(k.out) == 0 {
		k.spoil(k.stub.talk.lang.stray())
	}
}

// nonsense says what is no reply.
func (k *stubConn) nonsense(i byte) { k.spoil(k.stub.talk.lang.nonsense(i)) }

func (k *stubConn) spoil(s string) {
	k.spoilt, k.stub.talk.upset = true, true
	k.out = append(k.out, s...)
	k.say(len(k.out))
}

// mutter says bytes of no meaning, which may be anything.
func (k *stubConn) mutter(b []byte) {
	k.raw = true
	for _, args := range k.todo {
		for _, arg := range args {
			if key := k.stub.talk.sent[arg]; key != nil {
				key.anything = true
			}
		}
	}
	k.spoil(string(b))
}

// stop says no more.
func (k *stubConn) stop() {
	if !k.closed {
		k.stub.talk.upset = true
		k.say(len(k.out))
		_ = unix.Shutdown(k.fd, unix.SHUT_WR)
	}
}

// close breaks the connection: with what the stub has not read, that is a reset.
func (k *stubConn) close() {
	if !k.closed {
		k.stub.talk.upset = true
		k.closed = true
		unix.Close(k.fd)
		k.stub.talk.moved++
	}
}

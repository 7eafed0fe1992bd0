package proxy_test

import (
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/topology"
)

// A stub is a server of a conversation. It does nothing of itself.
type stub struct {
	talk  *conversation
	index int
	// place is the server's index in the configuration, which changes with names;
	// renamed is how often its own has.
	place, renamed int
	port           port // nil: connections are refused
	// former are the ports at the addresses that it had before, and still answers at.
	former []port
	addr   unix.Sockaddr
	conns  []*stubConn
	// last is, by client, the last write that it was asked for.
	last map[int]lastWrite
}

// A lastWrite is the number of a client's write, and the connection that it came on.
type lastWrite struct {
	seq  int
	conn *stubConn
}

// An asked is a request as a server was sent it, and what is known of its keys.
type asked struct {
	args []string
	keys []*sentKey
}

// A stubConn is a connection that a stub has accepted.
type stubConn struct {
	stub *stub
	end  end
	in   []byte
	// todo are the requests that it has not answered, out what it has to say.
	todo []asked
	out  []byte
	// multi are the commands of the transaction that is begun, each with its reply; nil:
	// none is.
	multi []string
	// refused: a command of it was refused.
	refused bool
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
	if s.port == nil {
		s.port = s.talk.world.serve(s.talk.t, s.addr)
	}
}

// down listens no more, and breaks every connection.
func (s *stub) down() {
	s.talk.upset = true
	if s.port != nil {
		s.port.close() // those that it had not accepted are reset
		s.port = nil
	}
	for _, p := range s.former {
		p.close()
	}
	s.former = nil
	for _, conn := range s.conns {
		conn.close()
	}
}

// move gives the stub another address, and has the loops follow. It answers at the old
// one too. promoted: that is known to be another node, which was promoted.
func (s *stub) move(promoted bool) {
	c := s.talk
	c.renewed = true
	if s.port != nil {
		s.former, s.port = append(s.former, s.port), nil
	}
	s.addr = &unix.SockaddrUnix{Name: abstract()}
	s.up()
	server, moving := c.topo.Servers()[s.place], new(topology.Moving)
	server.SetAddrs([]unix.Sockaddr{s.addr})
	if promoted {
		server.Depose(int64(c.now))
	}
	for _, ctx := range c.loops {
		ctx.FollowAddrs(c.topo, server, int64(c.now+time.Second), moving)
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
	for _, p := range append(slices.Clone(s.former), s.port) {
		for p != nil {
			end, ok := p.accept()
			if !ok {
				break
			}
			s.talk.moved++
			s.conns = append(s.conns, &stubConn{stub: s, end: end})
		}
	}
	for _, conn := range s.conns {
		conn.read()
	}
	for _, conn := range s.conns {
		conn.take()
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
	buf := c.buf[:]
	for !k.ended && !k.closed {
		n, err := k.end.Read(buf)
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
}

// take finds the requests in what was read.
func (k *stubConn) take() {
	c := k.stub.talk
	for len(k.in) > 0 {
		args, n, err := c.lang.parse(k.in)
		if err != nil {
			c.t.Fatalf("server %d was sent %.100q: %v", k.stub.index, k.in, err)
		}
		if n == 0 {
			return
		}
		k.in = k.in[n:]
		a := asked{args: args}
		for _, arg := range args {
			if key := c.sent[arg]; key != nil && args[0] != "WATCH" {
				a.keys = append(a.keys, key)
			}
		}
		k.note(a)
		k.todo = append(k.todo, a)
	}
}

// note checks what is known of the keys of a request: a write comes once, and what
// one client sent is carried out in its order, on whatever connections it comes. So
// it stands behind no later write of that client, and comes on no connection as long
// as an earlier request is still to be carried out on another.
func (k *stubConn) note(a asked) {
	s, c := k.stub, k.stub.talk
	for _, key := range a.keys {
		key.arrived++
		key.anything = key.anything || k.raw
		if key.write && key.arrived > 1 {
			c.t.Errorf("server %d was asked for the write %.100q, which a server has had before", s.index, a.args)
		}
		if last := s.last[key.party]; key.seq < last.seq && (last.conn == k || !c.renewed || k.awaited(key)) {
			c.t.Errorf("server %d was asked for %.100q, behind a later write of that client", s.index, a.args)
		}
		if key.write {
			s.last[key.party] = lastWrite{key.seq, k}
		}
		for _, other := range s.conns {
			if first := other.before(key); other != k && first != nil {
				c.t.Errorf("server %d was asked for %.100q, and has yet to answer %.100q of that client on another connection",
					s.index, a.args, first)
			}
		}
	}
}

// before is a request of the same client that was sent before key's, on this
// connection, and waits for its reply; nil if there is none.
func (k *stubConn) before(key *sentKey) []string {
	for _, a := range k.todo {
		for _, was := range a.keys {
			if was.party == key.party && was.seq < key.seq && k.awaited(was) {
				return a.args
			}
		}
	}
	return nil
}

// awaited reports whether the client of a key, which was sent on this connection,
// waits for its reply. It has been told of a failure if the connection has ended, or
// said nonsense, or the time for a request is over.
func (k *stubConn) awaited(key *sentKey) bool {
	c := k.stub.talk
	limit := c.pool.RequestTimeout
	return !k.ended && !k.closed && !k.spoilt && (limit == 0 || c.now < key.asked+limit)
}

// answer makes up the replies to n requests.
func (k *stubConn) answer(n int) {
	for range min(n, len(k.todo)) {
		reply := k.stub.talk.lang.answer(k.stub, k, k.todo[0].args)
		if k.spoilt && !k.raw {
			reply = k.stub.talk.lang.stray()
		}
		k.out = append(k.out, reply...)
		k.todo = k.todo[1:]
	}
}

// refuse answers one request with an error. The end of a transaction that is refused
// ends it all the same, as redis-server has it. No server refuses to end a subscription.
func (k *stubConn) refuse() {
	if len(k.todo) > 0 && !strings.Contains(strings.ToLower(k.todo[0].args[0]), "unsub") {
		if name := k.todo[0].args[0]; name == "EXEC" || name == "DISCARD" {
			k.multi = nil
		}
		k.refused = k.refused || k.multi != nil
		k.stub.talk.upset = true
		k.out = append(k.out, k.stub.talk.lang.failure()...)
		k.todo = k.todo[1:]
	}
}

// say sends n bytes of what the stub has to say.
func (k *stubConn) say(n int) {
	for n = min(n, len(k.out)); n > 0 && !k.closed; {
		sent, err := k.end.Write(k.out[:n])
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
	e, staged := k.end.(stagedEnd)
	if len(k.todo) == 0 && len(k.in) == 0 && len(k.out) == 0 && (!staged || e.Ready()) {
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
	for _, a := range k.todo {
		for _, key := range a.keys {
			key.anything = true
		}
	}
	k.spoil(string(b))
}

// stop says no more.
func (k *stubConn) stop() {
	if !k.closed {
		k.stub.talk.upset = true
		k.say(len(k.out))
		k.end.CloseWrite()
	}
}

// close breaks the connection: with what the stub has not read, that is a reset.
func (k *stubConn) close() {
	if !k.closed {
		k.stub.talk.upset = true
		k.closed = true
		k.end.Close()
		k.stub.talk.moved++
	}
}

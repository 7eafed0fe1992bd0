package sentinelport

import (
	"bufio"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"nuthatch/internal/emulate"
	"nuthatch/internal/glob"
)

const (
	// maxOut is how many bytes of answers are kept while more requests are there.
	maxOut = 16 << 10
	// maxChannels is how many channels and patterns a client may listen to, and maxChannel how
	// long the name of one may be.
	maxChannels, maxChannel = 64, 256
	// switched is the channel on which clients are told of another proxy.
	switched = "+switch-master"
)

// A conn is a client's connection.
type conn struct {
	// static after construction
	port   *Port
	socket net.Conn
	ip     string // of the client
	id     int64
	wake   chan struct{} // one token: the map may have changed
	done   chan struct{} // closed by end
	once   sync.Once

	// owned by the goroutine that reads
	in       *bufio.Reader
	loggedIn bool
	name     string
	leaving  bool // it has said QUIT

	mu sync.Mutex
	// wire is the socket, or TLS over it.
	wire net.Conn
	out  reply
	// channels and patterns are what it listens to.
	channels, patterns []string
	// told is the proxy that it was told of last, if it listens.
	told emulate.Address
	// watched: a goroutine tells it of changes.
	watched bool
}

func newConn(p *Port, socket net.Conn, s *scope, ip string, id int64) *conn {
	return &conn{
		port: p, socket: socket, ip: ip, id: id, loggedIn: s.Open,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// end closes the connection. A second call does nothing.
func (c *conn) end() {
	c.once.Do(func() {
		close(c.done)
		_ = c.socket.Close() // it is given up
	})
}

// wakeUp has the client told of a change, if it listens.
func (c *conn) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default: // it is to look anyway
	}
}

// serve answers requests until the client leaves. s held when it came.
func (c *conn) serve(s *scope) {
	defer c.port.forget(c)
	defer c.end()
	wire, err := s.secure(c.socket)
	if err != nil {
		return
	}
	c.mu.Lock()
	c.wire, c.in = wire, bufio.NewReaderSize(wire, readSize)
	c.mu.Unlock()
	if !c.loggedIn && s.LoginTime > 0 && c.socket.SetReadDeadline(time.Now().Add(s.LoginTime)) != nil {
		return
	}
	defer c.listenToNothing()
	for !c.leaving {
		words, err := readRequest(c.in)
		if err != nil {
			if errors.Is(err, errProtocol) {
				c.mu.Lock()
				c.out.fail("ERR " + err.Error())
				_ = c.flush() // it ends anyway
				c.mu.Unlock()
			}
			return
		}
		if err := c.answer(words); err != nil {
			return
		}
	}
}

// answer answers a request. Answers are sent when no more requests are there.
func (c *conn) answer(words [][]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(words) > 0 {
		c.carryOut(c.port.settings.Load(), words)
	}
	if c.in.Buffered() > 0 && len(c.out.bytes) < maxOut && !c.leaving {
		return nil
	}
	return c.flush()
}

// flush sends what there is to be sent. The caller holds the lock.
func (c *conn) flush() error {
	if len(c.out.bytes) == 0 {
		return nil
	}
	err := c.socket.SetWriteDeadline(time.Now().Add(writeTime))
	if err == nil {
		_, err = c.wire.Write(c.out.bytes)
	}
	c.out.bytes = c.out.bytes[:0]
	return err
}

// loggedInNow notes that the client has logged in.
func (c *conn) loggedInNow() {
	c.loggedIn = true
	_ = c.socket.SetReadDeadline(time.Time{}) // if it has ended, the next read tells
}

// proxy is the proxy that the client is to use.
func (c *conn) proxy(s *scope) emulate.Address { return s.Board.Map().ProxyFor(c.ip) }

// listens is how many channels and patterns it listens to.
func (c *conn) listens() int { return len(c.channels) + len(c.patterns) }

// listen begins to tell the client of changes, unless it is told already. The caller holds the
// lock.
func (c *conn) listen(s *scope) {
	if c.listens() == 1 {
		c.told = c.proxy(s)
		c.port.count(func(n *Counts) { n.Subscribers++ })
	}
	if !c.watched {
		c.watched = true
		c.port.running.Go(c.watch)
	}
}

// listenToNothing ends all subscriptions.
func (c *conn) listenToNothing() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listens() > 0 {
		c.channels, c.patterns = nil, nil
		c.port.count(func(n *Counts) { n.Subscribers-- })
	}
}

// watch tells the client of changes until the connection ends.
func (c *conn) watch() {
	for {
		select {
		case <-c.done:
			return
		case <-c.wake:
			if c.tell() != nil {
				c.end()
				return
			}
		}
	}
}

// tell tells the client which proxy to use, if it is another one than before.
func (c *conn) tell() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.port.settings.Load()
	if c.listens() == 0 {
		return nil
	}
	was, now := c.told, c.proxy(s)
	if was == now {
		return nil
	}
	c.told = now
	text := s.Name + " " + was.Host + " " + strconv.Itoa(was.Port) + " " + now.Host + " " + strconv.Itoa(now.Port)
	told := false
	for _, channel := range c.channels {
		if channel == switched {
			c.out.push(3)
			c.out.bulks("message", switched, text)
			told = true
		}
	}
	for _, pattern := range c.patterns {
		if glob.Match(pattern, switched) {
			c.out.push(4)
			c.out.bulks("pmessage", pattern, switched, text)
			told = true
		}
	}
	if told {
		c.port.count(func(n *Counts) { n.Switches++ })
	}
	return c.flush()
}

package tlsstage

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// A memConn is what crypto/tls takes for the network. During the handshake, which has a
// goroutine of its own, it waits in a pipe for bytes. After that it belongs to the
// loop. If nothing has come, it says so and does not wait.
type memConn struct {
	pipe *pipe // nil behind the handshake
	// rest is what came during the handshake and was not used. src is what comes now.
	rest, src []byte
	write     func(b []byte) (int, error)
	frames    frames
}

// errNothing is a temporary error for crypto/tls: it keeps the part of a record that it
// has read.
var errNothing net.Error = nothing{}

type nothing struct{}

func (nothing) Error() string   { return "there is nothing more for now" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

// Read implements net.Conn.
func (m *memConn) Read(b []byte) (n int, err error) {
	switch {
	case m.pipe != nil:
		n, err = m.pipe.read(b)
	case len(m.rest) > 0:
		n = copy(b, m.rest)
		if m.rest = m.rest[n:]; len(m.rest) == 0 {
			m.rest = nil
		}
	case len(m.src) > 0:
		n = copy(b, m.src)
		m.src = m.src[n:]
	default:
		return 0, errNothing
	}
	m.frames.see(b[:n])
	return n, err
}

// Write implements net.Conn.
func (m *memConn) Write(b []byte) (int, error) {
	if m.pipe != nil {
		return m.pipe.write(b)
	}
	return m.write(b)
}

// The rest of net.Conn is not used.
func (*memConn) Close() error                     { return nil }
func (*memConn) LocalAddr() net.Addr              { return nowhere{} }
func (*memConn) RemoteAddr() net.Addr             { return nowhere{} }
func (*memConn) SetDeadline(time.Time) error      { return nil }
func (*memConn) SetReadDeadline(time.Time) error  { return nil }
func (*memConn) SetWriteDeadline(time.Time) error { return nil }

type nowhere struct{}

func (nowhere) Network() string { return "memory" }
func (nowhere) String() string  { return "memory" }

const (
	recordHeader = 5
	versionAt    = 2 // the lower byte of its version
	// Types of records: of a handshake, before encrypted ones, and encrypted with TLS 1.3.
	recordContent      = 22
	recordCipherChange = 20
	recordData         = 23
)

// frames finds where records begin and end in what crypto/tls has taken.
type frames struct {
	header [recordHeader]byte
	have   int // of the header
	body   int // to come
	// size is the length of the record, as far as it is known. largest is the longest
	// so far.
	size, largest int
}

// see notes bytes that were taken.
func (f *frames) see(b []byte) {
	for len(b) > 0 {
		if f.body > 0 {
			n := min(f.body, len(b))
			f.body -= n
			b = b[n:]
			if f.body == 0 {
				f.have, f.size = 0, 0
			}
			continue
		}
		n := copy(f.header[f.have:], b)
		f.have += n
		b = b[n:]
		if f.have == recordHeader {
			f.body = int(f.header[3])<<8 + int(f.header[4])
			f.size = recordHeader + f.body
			f.largest = max(f.largest, f.size)
			if f.body == 0 {
				f.have, f.size = 0, 0
			}
		}
	}
}

// partial is how many bytes of an incomplete record have come.
func (f *frames) partial() int {
	if f.size > 0 {
		return f.size - f.body
	}
	return f.have
}

// A pipe stands between the loop and the goroutine of a handshake.
type pipe struct {
	// tell has the loop take what was written. It must be called without mu.
	tell func()
	// wait and proceed are called around a wait for more, without mu.
	wait, proceed func()

	// The loop's: hello is how far the client's first message has come, fed how many bytes
	// were fed in all, turn the client's handshake, once it has begun or waits.
	hello hello
	fed   int
	turn  *handshake

	mu      sync.Mutex
	come    sync.Cond
	in, out []byte
	told    bool
	err     error
}

func newPipe() *pipe {
	p := &pipe{}
	p.come.L = &p.mu
	return p
}

// maxPipe is how many bytes may wait for a handshake.
const maxPipe = 64 << 10

// feed gives the handshake bytes, and returns how many it took.
func (p *pipe) feed(b []byte) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n = min(len(b), maxPipe-len(p.in))
	p.in = append(p.in, b[:n]...)
	p.fed += n
	p.come.Signal()
	return n
}

// fail ends the handshake.
func (p *pipe) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
	p.come.Signal()
}

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.in) == 0 && p.err == nil {
		p.mu.Unlock()
		p.wait()
		p.mu.Lock()
		for len(p.in) == 0 && p.err == nil {
			p.come.Wait()
		}
		p.mu.Unlock()
		p.proceed()
		p.mu.Lock()
	}
	if p.err != nil && (len(p.in) == 0 || !errors.Is(p.err, io.EOF)) {
		return 0, p.err
	}
	n := copy(b, p.in)
	p.in = p.in[n:]
	return n, nil
}

func (p *pipe) write(b []byte) (int, error) {
	p.mu.Lock()
	if p.err != nil && !errors.Is(p.err, io.EOF) {
		defer p.mu.Unlock()
		return 0, p.err
	}
	p.out = append(p.out, b...)
	told := p.told
	p.told = true
	p.mu.Unlock()
	if !told {
		p.tell()
	}
	return len(b), nil
}

// take returns what was written, and what waits to be read, which may have no reader
// any more.
func (p *pipe) take() (out []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out, p.out, p.told = p.out, nil, false
	return out
}

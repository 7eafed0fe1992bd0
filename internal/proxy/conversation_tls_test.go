package proxy_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"
	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/proxy"
	"nuthatch/internal/testkit"
	"nuthatch/internal/tlsstage"
)

// A secured is a world in whose connections all speak TLS. It must be made in a bubble of
// synctest: handshakes have goroutines, and a turn is over when they wait.
type secured struct {
	world
	pool  *tlsstage.Pool
	conf  *tls.Config // of whoever is not the proxy
	moved func()
	ports []*securedPort
	// meeting are the ends whose handshakes are not over.
	meeting []*securedEnd
}

// inTLS makes such a world of another.
func inTLS(t testing.TB, of world, a *testkit.Authority, cert, key string) *secured {
	t.Helper()
	var clients config.TLS
	clients.Cert, clients.Key = cert, key
	servers := config.ServerTLS{CA: a.CA, ServerName: "localhost"} // nodes of a cluster are at other addresses
	shown, err := tlsstage.ForClients(&clients, new(tlsstage.Tickets), nil)
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := tlsstage.ForServers(&servers, nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(clients.Cert, clients.Key)
	if err != nil {
		t.Fatal(err)
	}
	s := &secured{
		world: of, pool: &tlsstage.Pool{Handshakes: tlsstage.NewHandshakes(1), Clients: shown, Servers: trusted, PlainReply: "no TLS"},
		conf: &tls.Config{RootCAs: a.Roots(), ServerName: "localhost", Certificates: []tls.Certificate{pair}},
	}
	s.pool.Handshakes.Set(100, 0)
	return s
}

func (s *secured) stages() proxy.Stages { return s.pool }

// settle has handshakes go on, and returns when all goroutines wait, and whether
// anything has moved.
func (s *secured) settle() (moved bool) {
	synctest.Wait()
	for _, p := range s.ports {
		for {
			raw, ok := p.port.accept()
			if !ok {
				break
			}
			p.waiting = append(p.waiting, newSecuredEnd(s, raw, tls.Server))
			moved = true
		}
	}
	s.meeting = slices.DeleteFunc(s.meeting, func(e *securedEnd) bool {
		before := e.came
		_ = e.meet() // whoever reads or writes hears of it
		moved = moved || e.came != before
		return e.pipe.met
	})
	return moved
}

func (s *secured) serve(t testing.TB, sa unix.Sockaddr) port {
	p := &securedPort{port: s.world.serve(t, sa), world: s}
	s.ports = append(s.ports, p)
	return p
}

func (s *secured) dial(t testing.TB, sa unix.Sockaddr) end {
	return newSecuredEnd(s, s.world.dial(t, sa), tls.Client)
}

// A securedPort accepts as connections come, so that their handshakes go on.
type securedPort struct {
	port
	world   *secured
	waiting []*securedEnd
}

func (p *securedPort) accept() (end, bool) {
	if len(p.waiting) == 0 {
		return nil, false
	}
	e := p.waiting[0]
	p.waiting = p.waiting[1:]
	return e, true
}

func (p *securedPort) close() {
	p.world.ports = slices.DeleteFunc(p.world.ports, func(q *securedPort) bool { return q == p })
	for _, e := range p.waiting {
		e.Close()
	}
	p.port.close()
}

// A securedEnd is the test's end of a connection with TLS. Its handshake has a goroutine.
type securedEnd struct {
	world *secured
	raw   end
	conn  *tls.Conn
	pipe  securedPipe
	// came is how many bytes have come.
	came int
	// over: nothing more comes. stopping: the socket is to end behind what waits.
	over, stopping bool
	fault          error
}

func newSecuredEnd(s *secured, raw end, with func(net.Conn, *tls.Config) *tls.Conn) *securedEnd {
	e := &securedEnd{world: s, raw: raw}
	e.pipe.come.L = &e.pipe.mu
	e.conn = with(&e.pipe, s.conf)
	go func() {
		err := e.conn.Handshake()
		e.pipe.mu.Lock()
		defer e.pipe.mu.Unlock()
		e.pipe.met, e.pipe.fault = true, err
	}()
	synctest.Wait()
	e.Flush()
	s.meeting = append(s.meeting, e)
	return e
}

// Flush writes what there is room for, and reports whether that is all.
func (e *securedEnd) Flush() bool {
	for len(e.pipe.out) > 0 && e.fault == nil {
		n, err := e.raw.Write(e.pipe.out)
		if errors.Is(err, unix.EAGAIN) || n <= 0 && err == nil {
			break
		}
		if err != nil {
			e.fault = err
			break
		}
		e.pipe.out = e.pipe.out[n:]
	}
	done := len(e.pipe.out) == 0 || e.fault != nil
	if done && e.stopping {
		e.stopping = false
		e.raw.CloseWrite()
	}
	return done
}

// Ready reports whether what is written goes out.
func (e *securedEnd) Ready() bool { return e.pipe.met && len(e.pipe.out) == 0 }

// fill reads what has come, n bytes at the most.
func (e *securedEnd) fill(n int) error {
	b := make([]byte, min(max(n, 1), 32<<10))
	n, err := e.raw.Read(b)
	if err != nil {
		return err
	}
	e.world.moved()
	e.came += max(n, 1)
	if n == 0 {
		e.over = true
	}
	e.pipe.feed(b[:n])
	synctest.Wait()
	e.Flush()
	return nil
}

// meet goes on with the handshake, and returns EAGAIN as long as it is not over.
func (e *securedEnd) meet() error {
	for !e.pipe.met {
		if e.over {
			e.pipe.end()
			synctest.Wait()
			continue
		}
		if err := e.fill(32 << 10); err != nil {
			return err
		}
	}
	e.Flush()
	return e.pipe.fault
}

// Write implements end. As long as something waits it takes no more.
func (e *securedEnd) Write(b []byte) (int, error) {
	if err := e.meet(); err != nil {
		if errors.Is(err, unix.EAGAIN) {
			return 0, err
		}
		return 0, unix.EPIPE
	}
	if !e.Flush() {
		return 0, unix.EAGAIN
	}
	n, err := e.conn.Write(b[:min(len(b), 16<<10)])
	e.Flush()
	if e.fault != nil {
		return 0, e.fault
	}
	return n, err
}

// Read implements end.
func (e *securedEnd) Read(b []byte) (int, error) {
	if err := e.meet(); err != nil {
		if errors.Is(err, unix.EAGAIN) {
			return 0, err
		}
		return 0, unix.ECONNRESET
	}
	for {
		n, err := e.conn.Read(b)
		e.Flush()
		switch {
		case n > 0:
			return n, nil
		case errors.Is(err, io.EOF):
			return 0, nil
		case !errors.Is(err, errNothingYet):
			return 0, unix.ECONNRESET
		case e.over:
			return 0, nil
		}
		if err := e.fill(len(b)); err != nil {
			return 0, err
		}
	}
}

// CloseWrite implements end.
func (e *securedEnd) CloseWrite() {
	if e.pipe.met && e.pipe.fault == nil {
		_ = e.conn.CloseWrite()
	}
	e.stopping = true
	e.Flush()
}

// Close implements end.
func (e *securedEnd) Close() {
	e.raw.Close()
	e.pipe.end()
}

// A securedPipe is what crypto/tls takes for the network. In the handshake a read waits.
type securedPipe struct {
	net.Conn // for what is not used
	mu       sync.Mutex
	come     sync.Cond
	in, out  []byte
	met      bool
	ended    bool
	fault    error
}

var errNothingYet net.Error = nothingYetError{}

type nothingYetError struct{}

func (nothingYetError) Error() string   { return "nothing yet" }
func (nothingYetError) Timeout() bool   { return true }
func (nothingYetError) Temporary() bool { return true }

func (p *securedPipe) feed(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.in = append(p.in, b...)
	p.come.Signal()
}

func (p *securedPipe) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.come.Signal()
}

// Read implements net.Conn.
func (p *securedPipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.in) == 0 && !p.ended && !p.met {
		p.come.Wait()
	}
	if len(p.in) == 0 {
		if p.met {
			return 0, errNothingYet
		}
		return 0, io.EOF
	}
	n := copy(b, p.in)
	p.in = p.in[n:]
	return n, nil
}

// Write implements net.Conn.
func (p *securedPipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = append(p.out, b...)
	return len(b), nil
}

func (*securedPipe) SetDeadline(time.Time) error      { return nil }
func (*securedPipe) SetWriteDeadline(time.Time) error { return nil }

// Conversations go on with TLS on all connections as without.
func TestConversationsInTLS(t *testing.T) {
	a := testkit.NewAuthority(t)
	cert, key := a.Pair("conversation")
	many := uint64(100)
	if testing.Short() {
		many = 20
	}
	for name, of := range map[string]func() world{
		"fake":        func() world { return network(false) },
		"completions": func() world { return network(true) },
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range many {
				synctest.Test(t, func(t *testing.T) {
					playIn(t, inTLS(t, of(), a, cert, key), improvised(seed+5000))
				})
				if t.Failed() {
					t.Fatalf("seed %d", seed+5000)
				}
			}
		})
	}
}

// Stories go as they are told, too, but for those in which it matters how many bytes go
// over the wire.
func TestTranscriptsInTLS(t *testing.T) {
	a := testkit.NewAuthority(t)
	cert, key := a.Pair("conversation")
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), poolWire) {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			tell(t, path, func(net fake) world { return inTLS(t, net, a, cert, key) })
		})
	})
}

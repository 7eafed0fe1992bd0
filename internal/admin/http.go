package admin

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/logging"
	"nuthatch/internal/socket"
)

// MaxHTTPConns is how many connections of an admin listener there are at a time. One
// more replaces an idle one.
const MaxHTTPConns = 64

// The bounds of a connection to the admin listener.
const (
	// maxHTTPHeader and maxHTTPBody are the most bytes of one request.
	maxHTTPHeader = 32 << 10
	maxHTTPBody   = 4 << 20
	// httpHeaderTimeout is how long the header of a request may take to come,
	// httpReadTimeout the whole request, httpWriteTimeout the request and its
	// answer, httpIdleTimeout the next request.
	httpHeaderTimeout = 5 * time.Second
	httpReadTimeout   = 10 * time.Second
	httpWriteTimeout  = 90 * time.Second
	httpIdleTimeout   = 30 * time.Second
	// httpCloseTimeout is how long requests under way may take when the listener
	// is closed for another one.
	httpCloseTimeout = 90 * time.Second
	// httpLinger is how long they may take when the process ends. The answer to
	// the drain or the upgrade is among them.
	httpLinger = 500 * time.Millisecond
	// httpLeavePoll is how often the listener checks whether they are answered.
	httpLeavePoll = 2 * time.Millisecond
)

// HTTPOptions are the parts of the admin listener.
type HTTPOptions struct {
	Instance Instance
	// Recorder has the counters of some seconds ago.
	Recorder *Recorder
	// An action must have one of Tokens. Reading must have one of them, or one of ReadTokens,
	// which are for reading alone: on loopback if there are any of the latter, elsewhere if
	// there are any. Both are called for each request.
	// A nil ReadTokens has none.
	Tokens, ReadTokens func() []config.Secret
	// Insecure reports whether actions need no token on TCP. ActionSocket is the path
	// of a unix socket that accepts them, empty if there is none. Both are called for
	// each request that needs them.
	Insecure     func() bool
	ActionSocket func() string
	// Secure has a connection on TCP speak TLS, if that is asked for; nil: it never is.
	Secure func(net.Conn) net.Conn
	// Page is what GET / and everything below /page/ answers with; nil if there is
	// no page. It needs no token.
	Page   http.Handler
	Logger *logging.Logger
	// Budget is the memory of answers, if other listeners use it too.
	Budget *Budget
	// Name is what the log calls the listener; empty: the admin listener.
	Name string
}

// HTTPPort is the admin listener. It runs in goroutines of its own.
type HTTPPort struct {
	// static after construction
	addr     config.Address
	name     string // of what it is, for the log
	listener net.Listener
	secure   func(net.Conn) net.Conn
	server   http.Server
	logger   *logging.Logger

	crowd *crowd

	serving sync.WaitGroup
	// accepting is closed when no more connections are accepted.
	accepting chan struct{}
	leaving   sync.Once

	mu sync.Mutex
	// started: Serve has begun, and closed: it never will.
	started, closed bool
	// busy are the connections with a request that is not answered, or that is
	// expected.
	busy map[net.Conn]struct{}
}

// NewHTTP makes the admin listener of a socket that listens at addr. The
// HTTPPort owns the socket from now on. Serve begins to serve.
func NewHTTP(listener net.Listener, addr config.Address, o HTTPOptions) *HTTPPort {
	h := &HTTPPort{
		addr: addr, name: cmp.Or(o.Name, "admin listener"), listener: listener, secure: o.Secure, logger: o.Logger, crowd: newCrowd(),
		accepting: make(chan struct{}), busy: make(map[net.Conn]struct{}),
	}
	h.server = http.Server{
		Handler:           newHandler(addr, o),
		MaxHeaderBytes:    maxHTTPHeader,
		ReadHeaderTimeout: httpHeaderTimeout,
		ReadTimeout:       httpReadTimeout,
		WriteTimeout:      httpWriteTimeout,
		IdleTimeout:       httpIdleTimeout,
		ConnState:         h.note,
		ErrorLog:          slog.NewLogLogger(o.Logger.Slog().Handler(), slog.LevelDebug),
	}
	return h
}

// Serve begins to serve.
func (h *HTTPPort) Serve() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.started = true
	h.logger.Notice(h.name+" is listening", slog.String("addr", h.listener.Addr().String()))
	h.serving.Go(func() {
		defer close(h.accepting)
		err := h.server.Serve(crowdListener{securing{identifying{h.listener}, h.secure}, h.crowd})
		if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			h.logger.Error(h.name+" failed", slog.String("error", err.Error()))
		}
	})
}

// note implements http.Server's ConnState.
func (h *HTTPPort) note(c net.Conn, s http.ConnState) {
	h.crowd.note(c, s)
	h.mu.Lock()
	defer h.mu.Unlock()
	if s == http.StateNew || s == http.StateActive {
		h.busy[c] = struct{}{}
	} else {
		delete(h.busy, c)
	}
}

// Addr is the address that it listens on.
func (h *HTTPPort) Addr() net.Addr { return h.listener.Addr() }

// Place is the address that it was opened for.
func (h *HTTPPort) Place() config.Address { return h.addr }

// File returns a copy of the listening socket for another process.
func (h *HTTPPort) File() (*os.File, error) { return fileOf(h.listener) }

// fileOf returns a copy of a listening socket.
func fileOf(l net.Listener) (*os.File, error) {
	c, ok := l.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("admin: a %T has no file", l)
	}
	return socket.FileOf(c)
}

// OwnPath says whether Close removes a unix socket's path. It does not before
// OwnPath(true).
func (h *HTTPPort) OwnPath(own bool) {
	if l, ok := h.listener.(*net.UnixListener); ok {
		l.SetUnlinkOnClose(own)
	}
}

// Leave stops listening and returns at once: requests under way are answered.
func (h *HTTPPort) Leave() {
	h.leaving.Do(h.stopListening) // before it returns: the address may be asked for again
	h.serving.Go(func() { h.stop(httpCloseTimeout) })
}

// Close stops listening, waits a moment for requests under way, closes all
// connections, and returns when none is left.
func (h *HTTPPort) Close() {
	h.mu.Lock()
	h.closed = true
	started := h.started
	h.mu.Unlock()
	if !started {
		_ = h.listener.Close() // nobody has ever used it
		return
	}
	h.stop(httpLinger)
	_ = h.server.Close() // of connections that nobody is interested in any more
	h.serving.Wait()
}

// stop stops listening, and returns when all requests are answered or the time
// is over. http.Server.Shutdown could drop a request on a connection that was
// just accepted.
func (h *HTTPPort) stop(patience time.Duration) {
	h.leaving.Do(h.stopListening)
	<-h.accepting
	over := time.After(patience)
	tick := time.NewTicker(httpLeavePoll)
	defer tick.Stop()
	for h.isBusy() {
		select {
		case <-tick.C:
		case <-over:
			return
		}
	}
}

func (h *HTTPPort) stopListening() {
	h.server.SetKeepAlivesEnabled(false)
	_ = h.listener.Close() // the descriptor is gone whatever it says
	h.crowd.close()
}

func (h *HTTPPort) isBusy() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.busy) > 0
}

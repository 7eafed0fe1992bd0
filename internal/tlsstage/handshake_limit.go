package tlsstage

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Handshakes bounds the handshakes: how many with clients are under way, how many wait
// behind them, and on how many processors they compute at once. A handshake that waits
// for its peer takes no processor. One with a server waits behind none with a client: a
// flood of clients must not make servers look dead.
type Handshakes struct {
	timeout atomic.Int64
	most    atomic.Int64
	// clients and servers have a place for each handshake that may compute at once.
	clients, servers processors

	mu       sync.Mutex
	underWay int
	waiting  []*stage
}

// maxWaiting is how many handshakes may wait.
const maxWaiting = 1 << 16

// NewHandshakes returns bounds for a process with so many event loops.
func NewHandshakes(loops int) *Handshakes {
	places := max(1, runtime.GOMAXPROCS(0)-loops)
	return &Handshakes{clients: make(processors, places), servers: make(processors, places)}
}

// processors are places for handshakes that compute.
type processors chan struct{}

func (p processors) enter() { p <- struct{}{} }
func (p processors) leave() { <-p }

// Set bounds how many clients' handshakes are under way, and how long each may take; 0:
// for ever.
func (h *Handshakes) Set(most int, timeout time.Duration) {
	h.most.Store(int64(most))
	h.timeout.Store(int64(timeout))
}

// Timeout is how long a handshake may take.
func (h *Handshakes) Timeout() time.Duration { return time.Duration(h.timeout.Load()) }

// UnderWay is how many clients' handshakes are under way, and how many wait.
func (h *Handshakes) UnderWay() (underWay, waiting int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.underWay, len(h.waiting)
}

// begin begins a handshake, or has it wait. It returns false if too many wait.
func (h *Handshakes) begin(s *stage) bool {
	p := h.placesOf(s)
	s.mem.pipe.wait, s.mem.pipe.proceed = p.leave, p.enter
	if s.client {
		go h.run(s)
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.underWay < int(h.most.Load()):
		h.underWay++
		go h.serve(s)
	case len(h.waiting) < maxWaiting:
		h.waiting = append(h.waiting, s)
	default:
		return false
	}
	return true
}

// serve does handshakes of clients while any wait.
func (h *Handshakes) serve(s *stage) {
	for s != nil {
		h.run(s)
		s = h.next()
	}
}

// next is the handshake that has waited longest, nil if none has.
func (h *Handshakes) next() *stage {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) == 0 || h.underWay > int(h.most.Load()) {
		h.underWay--
		return nil
	}
	s := h.waiting[0]
	h.waiting[0] = nil
	if h.waiting = h.waiting[1:]; len(h.waiting) == 0 {
		h.waiting = nil
	}
	return s
}

// placesOf are the places for a handshake like that of s.
func (h *Handshakes) placesOf(s *stage) processors {
	if s.client {
		return h.servers
	}
	return h.clients
}

func (h *Handshakes) run(s *stage) {
	p := h.placesOf(s)
	p.enter()
	defer p.leave()
	s.run()
}

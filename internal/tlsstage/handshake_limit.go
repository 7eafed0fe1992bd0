package tlsstage

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Handshakes bounds the handshakes: how many with clients are under way, how many wait
// behind them, and on how many processors they compute at once. A handshake that waits
// for its peer takes no processor, so a slow peer holds up nobody. Handshakes with
// servers do not wait behind those with clients.
type Handshakes struct {
	timeout atomic.Int64
	most    atomic.Int64
	// processors has a place for each handshake that may compute at once.
	processors chan struct{}

	mu       sync.Mutex
	underWay int
	waiting  []*stage
}

// maxWaiting is how many handshakes may wait.
const maxWaiting = 1 << 16

// NewHandshakes returns bounds for a process with so many event loops.
func NewHandshakes(loops int) *Handshakes {
	return &Handshakes{processors: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-loops))}
}

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
	s.mem.pipe.wait, s.mem.pipe.proceed = h.leave, h.enter
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

func (h *Handshakes) run(s *stage) {
	h.enter()
	defer h.leave()
	s.run()
}

func (h *Handshakes) enter() { h.processors <- struct{}{} }
func (h *Handshakes) leave() { <-h.processors }

package tlsstage

import (
	"cmp"
	"container/list"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Handshakes bounds the handshakes: how many with clients are under way, how many wait
// behind them, and on how many processors they compute at once.
//
//	client's first message ─► place ─┬─► computes ─► waits for its client ─► computes ─► over
//	      (whole)               ▲    │                    │
//	                            │    └ none ─► queue      └ too long, and others are in the queue:
//	                            └──────────────┘            it ends, and the next one has its place
//
// A handshake that waits for its peer takes no processor. One with a server waits behind
// none with a client: a flood of clients must not make servers look dead.
type Handshakes struct {
	timeout atomic.Int64
	most    atomic.Int64
	// clients and servers have a place for each handshake that may compute at once.
	clients, servers processors
	// room is how many handshakes may wait.
	room int

	mu       sync.Mutex
	underWay map[*handshake]struct{}
	waiting  list.List // of *handshake
	// watched: relieve will run.
	watched bool
}

// A handshake is one with a client.
type handshake struct {
	stage *stage
	// since is when it began to wait for its client, 0: it does not. waited is how long it
	// has waited before.
	since, waited atomic.Int64
	// gaveWay: it was ended, for others that wait. place is that in the queue; nil: it is in none.
	gaveWay bool
	place   *list.Element
}

// maxWaiting is how many handshakes may wait.
const maxWaiting = 1 << 16

// NewHandshakes returns bounds for a process with so many event loops.
func NewHandshakes(loops int) *Handshakes {
	places := max(1, runtime.GOMAXPROCS(0)-loops)
	return &Handshakes{
		clients: make(processors, places), servers: make(processors, places), room: maxWaiting,
		underWay: make(map[*handshake]struct{}),
	}
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

// patience is how long a handshake may wait for its client in all, while others wait for its
// place.
func (h *Handshakes) patience() time.Duration {
	if t := h.Timeout(); t > 0 {
		return t / 10
	}
	return time.Second
}

// UnderWay is how many clients' handshakes are under way, and how many wait.
func (h *Handshakes) UnderWay() (underWay, waiting int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.underWay), h.waiting.Len()
}

// begin begins a handshake, or has it wait. It returns false if too many wait.
func (h *Handshakes) begin(s *stage) bool {
	pipe, on := s.mem.pipe, h.placesOf(s)
	if s.client {
		pipe.wait, pipe.proceed = on.leave, on.enter
		go run(s, on)
		return true
	}
	k := &handshake{stage: s}
	pipe.turn = k
	pipe.wait = func() {
		on.leave()
		k.since.Store(now())
	}
	pipe.proceed = func() {
		k.waited.Add(now() - k.since.Swap(0))
		on.enter()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case len(h.underWay) < int(h.most.Load()):
		h.underWay[k] = struct{}{}
		go h.serve(k)
	case h.waiting.Len() < h.room:
		k.place = h.waiting.PushBack(k)
		h.watch()
	default:
		return false
	}
	return true
}

// serve does handshakes of clients while any wait.
func (h *Handshakes) serve(k *handshake) {
	for k != nil {
		run(k.stage, h.clients)
		k = h.next(k)
	}
}

// next is the handshake that has waited longest, in the place of one that is over; nil: none
// waits, or there are fewer places now.
func (h *Handshakes) next(over *handshake) *handshake {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.underWay, over)
	first := h.waiting.Front()
	if first == nil || len(h.underWay) >= int(h.most.Load()) {
		return nil
	}
	k := first.Value.(*handshake)
	h.waiting.Remove(first)
	k.place = nil
	h.underWay[k] = struct{}{}
	return k
}

// forget takes a handshake out of the queue, and reports whether it was there. k may be nil.
func (h *Handshakes) forget(k *handshake) bool {
	if k == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if k.place == nil {
		return false
	}
	h.waiting.Remove(k.place)
	k.place = nil
	return true
}

// placesOf are the places for a handshake like that of s.
func (h *Handshakes) placesOf(s *stage) processors {
	if s.client {
		return h.servers
	}
	return h.clients
}

// run does a handshake on a processor.
func run(s *stage, on processors) {
	on.enter()
	defer on.leave()
	s.run()
}

// relieveTicks is how often it is looked, within their patience, at handshakes that wait for
// their clients.
const relieveTicks = 4

// watch has relieve run. It is called with mu.
func (h *Handshakes) watch() {
	if !h.watched {
		h.watched = true
		time.AfterFunc(max(h.patience()/relieveTicks, time.Millisecond), h.relieve)
	}
}

// relieve ends handshakes that have waited too long for their clients, those that have waited
// longest first, for as many as wait for their places.
func (h *Handshakes) relieve() {
	for _, k := range h.late(now()) {
		k.stage.wire.Post(k.stage.giveWay)
	}
}

// late are the handshakes that are to end.
func (h *Handshakes) late(now int64) []*handshake {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watched = false
	if h.waiting.Len() == 0 {
		return nil
	}
	h.watch()
	type idle struct {
		of   *handshake
		time int64
	}
	var all []idle
	for k := range h.underWay {
		since := k.since.Load()
		if t := k.waited.Load() + now - since; since > 0 && t >= int64(h.patience()) && !k.gaveWay {
			all = append(all, idle{k, t})
		}
	}
	slices.SortFunc(all, func(a, b idle) int { return cmp.Compare(b.time, a.time) })
	var ends []*handshake
	for _, i := range all[:min(len(all), h.waiting.Len())] {
		i.of.gaveWay = true
		ends = append(ends, i.of)
	}
	return ends
}

// start is when the process began.
var start = time.Now()

// now is how long ago that was, and more than 0.
func now() int64 { return int64(time.Since(start)) + 1 }

package daemon

import (
	"context"
	"sync"
	"sync/atomic"

	"nuthatch/internal/admin"
)

// A lifetime is the state of an Instance between its start and its end:
//
//	starting ─► serving ─┬─► draining ─► stopping ─► ended
//	                     └─► replaced ─► stopping ─► ended      an upgrade
//
// A later request never undoes an earlier one. Its methods may be called from any
// goroutine.
type lifetime struct {
	// asked is done when an end has been asked for, in any way. askEnd ends it.
	asked  context.Context
	askEnd context.CancelFunc

	// serving: the start has succeeded.
	serving atomic.Bool
	// draining: the end has been asked for, and the proxy is not ready any more.
	draining atomic.Bool
	// replaced: another program has the listening sockets and the pid file.
	replaced atomic.Bool
	// fate is held while it is decided that the proxy ends, or that another program
	// takes over.
	fate sync.Mutex

	// stopping is closed when the loops are about to end, ended when all has.
	stopping, ended chan struct{}
}

// begin begins the lifetime. It must be called first.
func (l *lifetime) begin() {
	l.asked, l.askEnd = context.WithCancel(context.Background())
	l.stopping, l.ended = make(chan struct{}), make(chan struct{})
}

// ending reports whether an end has been asked for. No change begins after that.
func (l *lifetime) ending() bool { return l.draining.Load() || l.asked.Err() != nil }

// ready reports whether the proxy accepts new clients and is not about to stop.
func (l *lifetime) ready() bool {
	select {
	case <-l.stopping:
		return false
	default:
		return !l.draining.Load()
	}
}

// drain decides that the proxy drains, and reports false if it does so already.
func (l *lifetime) drain() bool {
	l.fate.Lock()
	defer l.fate.Unlock()
	if !l.draining.CompareAndSwap(false, true) {
		return false
	}
	l.askEnd()
	return true
}

// stop decides that the proxy ends at once. It is called once.
func (l *lifetime) stop() {
	l.fate.Lock()
	l.askEnd()
	l.fate.Unlock()
	close(l.stopping)
}

// replace lets another program take over by calling give, unless this one is to end.
// The error is give's, or admin.ErrEnding.
func (l *lifetime) replace(give func() error) error {
	l.fate.Lock()
	defer l.fate.Unlock()
	if l.ending() {
		return admin.ErrEnding
	}
	if err := give(); err != nil {
		return err
	}
	l.replaced.Store(true)
	l.draining.Store(true)
	return nil
}

package daemon

import (
	"errors"
	"slices"
	"sync"

	"nuthatch/internal/admin"
	"nuthatch/internal/proxy"
)

// loops are the event loops: a context each, on a thread of its own. The first accepts.
// Its methods may be called from any goroutine.
type loops struct {
	// static after the start
	//
	// contexts and ended are indexed by the loops' IDs. ended is closed when a loop has
	// ended.
	contexts []*proxy.Context
	ended    []chan struct{}

	running sync.WaitGroup

	mu  sync.Mutex
	err error // why a loop ended of itself
}

// start runs one more loop. failed is called if it ends by itself.
func (l *loops) start(ctx *proxy.Context, failed func(error)) {
	l.contexts = append(l.contexts, ctx)
	ended := make(chan struct{})
	l.ended = append(l.ended, ended)
	l.running.Go(func() {
		err := ctx.Loop().Run()
		if err != nil {
			l.mu.Lock()
			l.err = errors.Join(l.err, err)
			l.mu.Unlock()
		}
		close(ended)
		if err != nil {
			failed(err)
		}
	})
}

// onFirst runs f on the accepting loop and waits for it. An error means that the
// instance ends, and that f has not run and never will.
func (l *loops) onFirst(f func(*proxy.Context)) error {
	return l.await(l.contexts[0], begin(l.contexts[0], f))
}

// onAll runs f on every loop, the accepting one last, and waits for all. An
// error means that the instance ends, and that f no longer runs on any loop.
func (l *loops) onAll(f func(*proxy.Context)) error {
	done := make([]<-chan struct{}, len(l.contexts))
	for i, ctx := range slices.Backward(l.contexts) {
		done[i] = begin(ctx, f)
	}
	var err error
	for i, ctx := range l.contexts {
		if ended := l.await(ctx, done[i]); err == nil {
			err = ended
		}
	}
	return err
}

// begin runs f on a loop. The channel is closed when f has run.
func begin(ctx *proxy.Context, f func(*proxy.Context)) <-chan struct{} {
	done := make(chan struct{})
	// A loop that accepts no function has ended. await finds that out.
	_ = ctx.Loop().Post(func() {
		defer close(done)
		f(ctx)
	})
	return done
}

// await waits for what begin began.
func (l *loops) await(ctx *proxy.Context, done <-chan struct{}) error {
	ended := l.ended[ctx.ID()]
	select {
	case <-done:
		return nil
	case <-ended:
	}
	select {
	case <-done: // it was among the last things that the loop did
		return nil
	default:
		return errors.Join(admin.ErrEnding, l.failure())
	}
}

// turn returns when every loop has had a turn.
func (l *loops) turn() error { return l.onAll(func(*proxy.Context) {}) }

// clients is how many clients there are.
func (l *loops) clients() int {
	n := 0
	for _, ctx := range l.contexts {
		n += ctx.Clients()
	}
	return n
}

// stop ends the loops, and returns when none runs.
func (l *loops) stop() {
	for _, ctx := range l.contexts {
		ctx.Loop().Stop()
	}
	l.running.Wait()
}

// failure is why loops have ended by themselves; nil if none has.
func (l *loops) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

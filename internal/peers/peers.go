// Package peers finds out which other proxies with a pool live. Those that do share the slots of
// the cluster that the pool looks like, and are told to clients of Sentinel: see package emulate.
//
//	peers, and names of them ─ look-up, again and again ─► peer ─ a question a second ─► its card
//	                                                                                       │
//	   Publish ◄─ the addresses of those that live, if they have changed ◄──────── settle ◄┘
//
// A peer is asked whether it lives, and never told anything. What it says of itself counts, and
// nothing that it says of others.
package peers

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/emulate"
)

const (
	// Interval is about how often each peer is asked.
	Interval = time.Second
	// askTime is how long a peer may take to answer.
	askTime = time.Second
	// lookAgain is how often names are looked up at the least.
	lookAgain = 5 * time.Second
	// lookTime bounds a look-up.
	lookTime = 5 * time.Second
	// patience is how many questions in a row may stay unanswered. A peer that refuses
	// connections is gone at once.
	patience = 2
	// most is how many addresses may be asked.
	most = 1024
)

// A State is what is known of a peer.
type State uint8

const (
	// Unknown says that it has not been asked yet.
	Unknown State = iota
	// Lives says that it answers, and has its part of the slots.
	Lives
	// Leaves says that it answers, and is about to end.
	Leaves
	// Silent says that it does not answer.
	Silent
	// Stranger says that what answers is no proxy with this pool.
	Stranger
	// Self says that it is this proxy.
	Self
)

// String is the state as statistics have it.
func (s State) String() string {
	return [...]string{"unknown", "lives", "leaves", "silent", "stranger", "self"}[s]
}

// Options are what a Watcher needs. Its functions are called on any goroutine.
type Options struct {
	// Pool is the name of the pool, Self is where its clients reach this proxy.
	Pool string
	Self emulate.Address
	// Peers are where others are asked; names may have many addresses.
	Peers []config.Address
	// Refresh is how often names are looked up.
	Refresh time.Duration
	// Lookup finds the addresses of a host, "ip:port" each: at least one, or an error.
	Lookup func(ctx context.Context, host string, port int) ([]string, error)
	// Secure is how peers are spoken to with TLS; nil: without.
	Secure func(net.Conn, config.Address) net.Conn
	// Publish has these proxies live beside this one, and sentinels are where they answer as
	// Sentinels. Both are sorted.
	Publish func(living, sentinels []emulate.Address)
	// Tell tells of changes.
	Tell func(Seen)
}

// A Seen is what is known of one peer.
type Seen struct {
	// Asked is the address where it is asked, Entry what the configuration calls it.
	Asked, Entry string
	// At is where clients reach it; the zero Address: it has not said.
	At emulate.Address
	// Sentinel is where it answers as a Sentinel; the zero Address: nowhere.
	Sentinel emulate.Address
	State    State
	// Problem is why it does not live; empty: it does.
	Problem string
	// Since is since when it is in that state.
	Since time.Time
}

// A Watcher watches the peers of one pool.
type Watcher struct {
	Options
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	started bool
	peers   map[string]*peer // by the address where each is asked
	// unresolved are the names whose last look-up failed.
	unresolved map[string]Seen
	// published are the addresses that live, and publishedSentinels those of their Sentinels,
	// as they were published last.
	published, publishedSentinels []emulate.Address
	// looked is when names were looked up last.
	looked time.Time
}

// New returns a watcher. Nothing is asked yet.
func New(o Options) *Watcher {
	if o.Refresh == 0 || o.Refresh > lookAgain {
		o.Refresh = lookAgain
	}
	return &Watcher{Options: o, peers: make(map[string]*peer), unresolved: make(map[string]Seen)}
}

// Continue has the watcher begin with what another one knew. It comes before Look and Start.
func (w *Watcher) Continue(other *Watcher) {
	other.mu.Lock()
	defer other.mu.Unlock()
	for _, a := range other.peers {
		if i := slices.IndexFunc(w.Peers, func(p config.Address) bool { return p.String() == a.seen.Entry }); i >= 0 && a.seen.State != Self {
			w.peers[a.seen.Asked] = &peer{entry: w.Peers[i], seen: a.seen}
		}
	}
	w.published, w.publishedSentinels = w.living()
	w.Publish(w.published, w.publishedSentinels)
}

// Look asks all peers once, before Start, and returns when all have answered, at the latest after
// a little more than a second. Whoever does not answer is told of only if it does not after Start,
// either: it may be this proxy, which does not listen yet.
func (w *Watcher) Look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askTime+askTime/2)
	defer cancel()
	w.round(ctx).Wait()
}

// Start begins to watch.
func (w *Watcher) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	w.mu.Lock()
	w.started = true
	w.mu.Unlock()
	w.done.Go(func() {
		for {
			w.round(ctx)
			wait := Interval - Interval/10 + rand.N(Interval/5)
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
	})
}

// Stop ends the watching, and returns when it has ended. w may be nil, or not started.
func (w *Watcher) Stop() {
	if w == nil {
		return
	}
	if w.cancel != nil {
		w.cancel()
	}
	w.done.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.peers {
		p.drop()
	}
}

// Seen is what is known of the peers, in the order of their addresses.
func (w *Watcher) Seen() []Seen {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Seen
	for _, p := range w.peers {
		all = append(all, p.seen)
	}
	for name := range w.unresolved {
		all = append(all, w.unresolved[name])
	}
	slices.SortFunc(all, func(a, b Seen) int { return strings.Compare(a.Asked, b.Asked) })
	return all
}

// round looks names up, if it is time, and asks all peers that are not being asked.
func (w *Watcher) round(ctx context.Context) *sync.WaitGroup {
	if time.Since(w.looked) >= w.Refresh { // only one goroutine has rounds at a time
		w.looked = time.Now()
		w.lookUp(ctx)
	}
	var asked sync.WaitGroup
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.peers {
		if p.asking || p.seen.State == Self {
			continue
		}
		p.asking = true
		asked.Add(1)
		w.done.Go(func() {
			defer asked.Done()
			card, err := w.ask(ctx, p)
			w.heard(ctx, p, card, err)
		})
	}
	return &asked
}

// lookUp finds out where the peers are asked. A name that cannot be looked up keeps the addresses
// that it had.
func (w *Watcher) lookUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	found := make([][]string, len(w.Peers))
	errs := make([]error, len(w.Peers))
	var looking sync.WaitGroup
	for i, a := range w.Peers {
		looking.Go(func() { found[i], errs[i] = w.Lookup(ctx, a.Host, a.Port) })
	}
	looking.Wait()
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	there := make(map[string]bool)
	for i, a := range w.Peers {
		entry := a.String()
		if errs[i] == nil {
			delete(w.unresolved, entry)
		} else {
			name, was := w.unresolved[entry]
			if !was {
				name = Seen{Asked: entry, Entry: entry, State: Silent, Since: time.Now()}
			}
			name.Problem = errs[i].Error()
			w.unresolved[entry] = name
			for at, p := range w.peers {
				there[at] = there[at] || p.seen.Entry == entry
			}
			continue
		}
		for _, at := range found[i] {
			if len(there) == most {
				break
			}
			there[at] = true
			if w.peers[at] == nil {
				w.peers[at] = &peer{entry: a, seen: Seen{Asked: at, Entry: entry, Since: time.Now()}}
				if at == w.Self.String() { // it need not listen yet
					w.peers[at].seen.State, w.peers[at].seen.At = Self, w.Self
				}
			}
		}
	}
	for at, p := range w.peers {
		if !there[at] {
			delete(w.peers, at)
			p.gone = true
			if !p.asking {
				p.drop()
			}
			if p.seen.State == Lives {
				p.seen.State, p.seen.Problem = Silent, "its name no longer has this address"
				w.Tell(p.seen)
			}
		}
	}
	w.settle()
}

// heard notes what a peer has answered.
func (w *Watcher) heard(ctx context.Context, p *peer, card emulate.Card, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.asking = false
	if p.gone || ctx.Err() != nil && err != nil {
		p.drop()
		return
	}
	now := p.seen
	var stranger strangerError
	switch {
	case err == nil && card.At == w.Self:
		now.State, now.Problem = Self, ""
		p.drop()
	case err == nil && !card.IsOf(w.Pool):
		now.State, now.Problem = Stranger, "its pool has another name"
	case err == nil && card.Leaving:
		now.State, now.Problem = Leaves, "it is about to end"
	case err == nil:
		now.State, now.Problem = Lives, ""
	case errors.As(err, &stranger):
		now.State, now.Problem = Stranger, err.Error()
	case p.missed < patience && now.State == Lives && !isRefused(err):
		p.missed++
		return
	default:
		now.State, now.Problem = Silent, why(err, w.Secure != nil)
	}
	if err == nil {
		p.missed, now.At, now.Sentinel = 0, card.At, card.Sentinel
	}
	before, untold := p.seen, p.untold
	p.untold = false
	if now.State == before.State && now.At == before.At {
		p.seen = now
		if untold {
			w.Tell(now)
		}
		if now.Sentinel != before.Sentinel {
			w.settle()
		}
		return
	}
	now.Since = time.Now()
	p.seen = now
	w.settle()
	switch {
	case before.State == Leaves && now.State == Silent: // it has said so
	case now.State == Silent && !w.started:
		p.untold = true
	default:
		w.Tell(now)
	}
}

// living are the addresses of the peers that live, and those where they answer as Sentinels.
func (w *Watcher) living() (all, sentinels []emulate.Address) {
	for _, p := range w.peers {
		if p.seen.State != Lives {
			continue
		}
		all = append(all, p.seen.At)
		if p.seen.Sentinel != (emulate.Address{}) {
			sentinels = append(sentinels, p.seen.Sentinel)
		}
	}
	slices.SortFunc(all, emulate.Compare)
	slices.SortFunc(sentinels, emulate.Compare)
	return slices.Compact(all), slices.Compact(sentinels)
}

// settle publishes which peers live, if that has changed.
func (w *Watcher) settle() {
	all, sentinels := w.living()
	if !slices.Equal(all, w.published) || !slices.Equal(sentinels, w.publishedSentinels) {
		w.published, w.publishedSentinels = all, sentinels
		w.Publish(all, sentinels)
	}
}

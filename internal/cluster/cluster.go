// Package cluster finds the nodes of a Redis Cluster, and which of them has which slots.
//
//	MOVED, CLUSTERDOWN, a lost connection ─► Wake ─┐
//	every Refresh ─────────────────────────────────┼─► look: ask a few nodes
//	a map that is not settled, again soon ─────────┘        │
//	                                              answers ─► merge ─► Publish
//	the end of a SCAN ─► WakeWhole: ask all primaries ────────┘
//
// A node is asked with CLUSTER NODES, which has the config epochs, and CLUSTER SHARDS, which
// has the addresses that redirects use. Older servers have only the first. Servers that
// refuse both are asked with CLUSTER SLOTS. CLUSTER INFO says whether it refuses requests.
//
// Nodes may be behind, or belong to another cluster. If nobody says anything better, the
// last map stays.
package cluster

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"nuthatch/internal/config"
)

const (
	// atOnce is how many nodes are asked at the same time, and atStart how many seeds before
	// anything is known.
	atOnce, atStart = 3, 16
	// laggards is how long the others may take once one node has answered.
	laggards = 100 * time.Millisecond
	// soon is the first pause between two looks that somebody has asked for. It doubles up
	// to later, or up to seldom if nothing is wrong but that slots move.
	soon, later, seldom = 250 * time.Millisecond, 500 * time.Millisecond, 5 * time.Second
	// urgent is how long a cluster is looked at often after somebody has missed a node.
	urgent = 15 * time.Second
	// patience is how long a cluster is looked at often that is not settled.
	patience = time.Minute
	// calm is after how long without a wish the pause is soon again.
	calm = 10 * time.Second
	// share is how much of the time looks may take, as a divisor.
	share = 10
	// away is the pause after a look that nobody has answered: all nodes are away, and clients wait
	// for the first one that comes back. awayMost is the pause if such a look takes long, as it does
	// when nodes hang: to wait costs nothing.
	away, awayMost = time.Second, 3 * time.Second
)

// Options are what a Watcher needs. Its functions are called on any goroutine.
type Options struct {
	// Seeds are the nodes that are asked first, and when no other node answers. Login is
	// what nodes are told. Secure is how they are connected to with TLS; nil: without.
	Seeds  []config.Address
	Login  config.Login
	Secure func(config.Address) *tls.Config
	// Refresh is how often the cluster is asked at the least.
	Refresh time.Duration
	// Wanted takes why somebody has asked for a map since its last call, and the address of
	// the node that knows more, if any. urgent: a node is missed.
	Wanted func() (why []string, from string, urgent bool)
	// Urgent reports whether a node is missed, and takes nothing.
	Urgent func() bool
	// Publish has the map be in force. It is called by one goroutine at a time.
	Publish func(*Map)
	// Tell tells of changes.
	Tell func(Change)

	// askTime is how long a node may take to answer, and laggards how long the others may take
	// once one has answered. Zero: as the constants of these names say.
	askTime, laggards time.Duration
}

// A Change is what has changed.
type Change struct {
	// Seed is the address of a seed that has a problem, or none any more. If it is empty,
	// the change is about the cluster.
	Seed string
	// Problem is what is wrong; empty: nothing any more.
	Problem string
	// Several: the problem is, or was, that the seeds belong to several clusters. Refuses: it is,
	// or was, that nodes refuse requests.
	Several, Refuses bool
}

// A SeedStatus is what is known of a seed.
type SeedStatus struct {
	Address string
	// Problem is why it is of no use; empty: nothing is wrong, or it was not asked yet.
	Problem string
	// Asked is when it was asked last; zero: never.
	Asked time.Time
	// member: it belongs to the map's cluster. stranger marks the other cluster that it belongs
	// to; empty: none. Neither is so before it has answered.
	member   bool
	stranger string
}

// Foreign reports whether the seed belongs to another cluster than the map's.
func (s *SeedStatus) Foreign() bool { return s.stranger != "" }

// A Status is what is known of the cluster.
type Status struct {
	// Map is the last map, nil: there is none.
	Map *Map
	// Looked is when the cluster was asked last, and Why is why. Answered is when a map
	// came of it last; zero: never.
	Looked, Answered time.Time
	Why              string
	// Problem is what is wrong; empty: nothing. Since is since when it is so.
	Problem string
	Since   time.Time
	// Several: the map is whole, and the problem is that the seeds belong to several clusters.
	// Refuses: it is whole, and the problem is that nodes refuse requests (cluster_state:fail).
	Several, Refuses bool
	// Looks is how often the cluster was asked, by why.
	Looks map[string]int64
	Seeds []SeedStatus
	// silent: no node has answered the last look.
	silent bool
}

// trouble is what is wrong, as it was told.
func (s *Status) trouble() Change {
	return Change{Problem: s.Problem, Several: s.Several, Refuses: s.Refuses}
}

// settled reports whether every slot has a primary that works, and nodes do not refuse requests.
func (s *Status) settled() bool { return !s.Refuses && s.Map.Settled() }

// A Watcher watches one cluster.
type Watcher struct {
	Options
	woken chan struct{}
	// wokenWhole has all nodes asked, whose answers come in whole.
	wokenWhole chan struct{}
	whole      chan wholeAnswers
	cancel     context.CancelFunc
	done       sync.WaitGroup

	mu     sync.Mutex
	status Status
	// until is how long the cluster is looked at often, since a node is missed.
	until time.Time

	// owned by whoever looks
	//
	// turn is which seed is asked next.
	turn int
	// took is how long the last look took.
	took time.Duration
}

// New returns a watcher. Nothing is asked yet.
func New(o Options) *Watcher {
	w := &Watcher{Options: o, woken: make(chan struct{}, 1), wokenWhole: make(chan struct{}, 1), whole: make(chan wholeAnswers)}
	w.status.Looks = make(map[string]int64)
	for _, s := range o.Seeds {
		w.status.Seeds = append(w.status.Seeds, SeedStatus{Address: s.String()})
	}
	return w
}

// Continue has the watcher begin with what another one knew.
func (w *Watcher) Continue(other *Watcher) {
	s := other.Status()
	w.mu.Lock()
	defer w.mu.Unlock()
	seeds := w.status.Seeds
	w.status = s
	w.status.Seeds = seeds
}

// Status is what is known of the cluster.
func (w *Watcher) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.status
	s.Seeds = slices.Clone(s.Seeds)
	s.Looks = maps.Clone(s.Looks)
	return s
}

// Hurry has the watcher look as often as another one, which may have missed a node shortly before.
// It must be called before Start.
func (w *Watcher) Hurry(other *Watcher) {
	other.mu.Lock()
	until := other.until
	other.mu.Unlock()
	w.mu.Lock()
	w.until = until
	w.mu.Unlock()
}

// Wake has the cluster asked soon. It does not wait.
func (w *Watcher) Wake() {
	select {
	case w.woken <- struct{}{}:
	default: // it is in there already
	}
}

// Start begins to watch.
func (w *Watcher) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	w.done.Go(func() { w.run(ctx) })
	w.done.Go(func() { w.runWhole(ctx) })
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
}

// A pace says when the cluster is asked next.
type pace struct {
	// pause is the pause after a look that somebody has asked for. wished is when that was.
	pause  time.Duration
	wished time.Time
	// until is how long the cluster is looked at often. unsettled is since when its map is
	// not settled; zero: it is.
	until, unsettled time.Time
}

// next is how long to wait, and how long at the least, after a look at time now that has taken that
// long. silent: no node has answered it.
func (p *pace) next(now time.Time, settled, silent bool, refresh, took time.Duration) (most, least time.Duration) {
	least = max(p.pause, share*took)
	switch {
	case settled:
		p.unsettled = time.Time{}
	case p.unsettled.IsZero():
		p.unsettled = now
	}
	most = refresh
	switch {
	case now.Before(p.until), !settled && now.Sub(p.unsettled) < patience:
		most = min(later, refresh)
	case !settled:
		most = min(seldom, refresh)
	}
	if silent {
		least = min(least, awayMost)
		most = min(most, max(away, least))
	}
	return max(most, least), least
}

// wish notes at time now that somebody has asked for a map.
func (p *pace) wish(now time.Time, missed bool) {
	limit := seldom
	if missed {
		limit, p.until = later, now.Add(urgent)
	}
	if now.Sub(p.wished) > calm {
		p.pause = 0
	}
	p.wished = now
	p.pause = min(max(2*p.pause, soon), limit)
}

// jitter varies a time by a fifth, so that many proxies do not ask at the same time.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d - d/10 + rand.N(d/5+1)
}

// run looks every Refresh, and soon when somebody asks for it.
func (w *Watcher) run(ctx context.Context) {
	w.mu.Lock()
	p := pace{until: w.until}
	w.mu.Unlock()
	why, from := []string{"refresh"}, ""
	if !w.Status().Looked.IsZero() { // before the start
		why, from = w.wishes(&p) // nobody was woken for these
	}
	for {
		if len(why) > 0 {
			w.look(ctx, why, from)
		}
		looked := time.Now()
		status := w.Status()
		most, least := p.next(looked, status.settled(), status.silent, w.Refresh, w.took)
		if !w.await(ctx, looked, jitter(most), jitter(least)) {
			return
		}
		if why, from = w.wishes(&p); len(why) == 0 {
			why = []string{"refresh"}
			p.pause = min(p.pause, later)
		}
	}
}

// wishes takes what somebody has asked for, and sets the pace by it.
func (w *Watcher) wishes(p *pace) (why []string, from string) {
	why, from, missed := w.Wanted()
	if len(why) == 0 {
		return nil, ""
	}
	p.wish(time.Now(), missed)
	if slices.Contains(why, whyScan) {
		p.pause = min(p.pause, scanning)
	}
	w.mu.Lock()
	w.until = p.until
	w.mu.Unlock()
	return why, from
}

// await waits until it is time to look again: most after the last look, or least if somebody asks
// for it. If a node is missed, the pause is no longer than it is while one is missed: slots that
// have moved shortly before do not delay that. It reports false if ctx has ended.
func (w *Watcher) await(ctx context.Context, looked time.Time, most, least time.Duration) bool {
	for wait := most; time.Since(looked) < wait; {
		timer := time.NewTimer(wait - time.Since(looked))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
		case answers := <-w.whole:
			timer.Stop()
			w.takeWhole(ctx, answers)
		case <-w.woken:
			timer.Stop()
			if wait = min(wait, least); w.Urgent() {
				wait = min(wait, max(later, share*w.took))
			}
		}
	}
	return ctx.Err() == nil
}

// Look asks the cluster once, before Start.
func (w *Watcher) Look(ctx context.Context) { w.look(ctx, []string{"start"}, "") }

// look asks the cluster, and publishes what has come of it.
func (w *Watcher) look(ctx context.Context, why []string, from string) {
	began := time.Now()
	known := w.Status().Map
	var answers []*answer
	var failed string
	size := atOnce
	if known == nil {
		size = atStart
	}
	for batch := range slices.Chunk(w.whom(known, from), size) {
		more, problem := w.askAll(ctx, batch, known.hosts())
		answers = append(answers, more...)
		if problem != "" {
			failed = problem
		}
		if len(answers) > 0 && known != nil || ctx.Err() != nil {
			break
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	m, problem := merge(known, answers)
	if len(answers) == 0 {
		problem = "no node answers; the last one that was asked: " + failed
	}
	w.took = time.Since(began)
	where := w.noteStrangers(cmp.Or(m, known), answers)
	refused := refusal(ofOneCluster(cmp.Or(m, known), answers))
	c := Change{Problem: cmp.Or(problem, refused, where)}
	if problem == "" {
		c.Refuses, c.Several = refused != "", refused == "" && where != ""
	}
	w.mu.Lock()
	w.status.silent = len(answers) == 0
	w.mu.Unlock()
	w.note(m, c, began, why)
	if m != nil {
		w.Publish(m)
	}
}

// whom are the nodes to ask, in their order: the one that knows more, two others, a seed,
// and then all that there are. Before anything is known, all seeds are asked.
func (w *Watcher) whom(known *Map, from string) []config.Address {
	var all []config.Address
	there := make(map[config.Address]bool)
	add := func(a config.Address) {
		if !there[a] {
			there[a] = true
			all = append(all, a)
		}
	}
	if known != nil {
		var fine, failing []config.Address
		for _, at := range rand.Perm(len(known.Nodes)) {
			n := &known.Nodes[at]
			a := config.Address{Network: config.NetworkTCP, Host: n.Host, Port: n.Port}
			switch {
			case a.String() == from:
				add(a)
			case n.Failing:
				failing = append(failing, a)
			case n.Replica:
				fine = append(fine, a)
			default:
				fine = slices.Insert(fine, 0, a)
			}
		}
		for len(fine) > 0 && len(all) < atOnce-1 {
			add(fine[0])
			fine = fine[1:]
		}
		if len(w.Seeds) > 0 {
			w.turn++
			add(w.Seeds[w.turn%len(w.Seeds)])
		}
		for _, a := range slices.Concat(fine, failing) {
			add(a)
		}
	}
	for _, a := range w.Seeds {
		add(a)
	}
	return all
}

// askAll asks some nodes at the same time. When one has answered, it does not wait long for
// the others. problem is why one of them did not answer.
func (w *Watcher) askAll(ctx context.Context, addrs []config.Address, hosts map[string]string) (answers []*answer, problem string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type said struct {
		*answer
		problem string
	}
	results := make(chan said, len(addrs))
	for _, addr := range addrs {
		w.done.Go(func() {
			a, err := w.ask(ctx, addr, hosts)
			s := said{answer: a}
			if err != nil {
				s.problem = addr.String() + ": " + w.why(err)
			}
			if !errors.Is(ctx.Err(), context.Canceled) {
				w.noteSeed(addr.String(), err)
			}
			results <- s
		})
	}
	var late <-chan time.Time
	for range addrs {
		select {
		case s := <-results:
			if s.answer == nil {
				problem = s.problem
				continue
			}
			answers = append(answers, s.answer)
			if late == nil {
				late = time.After(cmp.Or(w.laggards, laggards))
			}
		case <-late:
			return answers, problem
		}
	}
	return answers, problem
}

// noteSeed notes how a question to a seed went, and tells of a change.
func (w *Watcher) noteSeed(addr string, err error) {
	w.mu.Lock()
	i := slices.IndexFunc(w.status.Seeds, func(s SeedStatus) bool { return s.Address == addr })
	if i < 0 {
		w.mu.Unlock()
		return
	}
	s := &w.status.Seeds[i]
	was, is := s.Problem, ""
	if err != nil {
		is = w.why(err)
	}
	s.Problem, s.Asked = is, time.Now()
	w.mu.Unlock()
	if (was == "") != (is == "") {
		w.Tell(Change{Seed: addr, Problem: is})
	}
}

// note notes what came of a look: a map, nil: none, and a problem, which is told of once.
func (w *Watcher) note(m *Map, c Change, at time.Time, why []string) {
	w.mu.Lock()
	s := &w.status
	s.Looked, s.Why = at, strings.Join(why, ", ")
	for _, reason := range why {
		s.Looks[reason]++
	}
	if m != nil {
		s.Map, s.Answered = m, at
	}
	if (s.Problem == "") != (c.Problem == "") {
		s.Since = at
	}
	was := s.trouble()
	s.Problem, s.Several, s.Refuses = c.Problem, c.Several, c.Refuses
	w.mu.Unlock()
	switch {
	case (was.Problem == "") != (c.Problem == ""):
		c.Several, c.Refuses = c.Several || was.Several, c.Refuses || was.Refuses
		w.Tell(c)
	case was.Several != c.Several, was.Refuses != c.Refuses:
		w.Tell(c)
	}
}

// Package sentinel finds the primaries of a pool's servers, with the help of the
// sentinels that watch them.
//
//	sentinel ─ +switch-master ... ─► hint ─┐
//	READONLY, a lost connection ───► Wake ─┼─► look: ask all sentinels
//	every Poll ────────────────────────────┘        │
//	                                       candidates, the newest epoch first
//	                                                │ ROLE: is it a primary?
//	                                             Publish
//
// A sentinel that is out of date, or that names what is no primary, changes nothing, nor does
// one that stands alone while the others' primary says that it is one. If no sentinel answers,
// the last place stays.
package sentinel

import (
	"context"
	"crypto/tls"
	"slices"
	"sync"
	"time"

	"nuthatch/internal/config"
)

const (
	// laggards is how long the others may take once most sentinels have answered.
	laggards = 50 * time.Millisecond
	// soon and later are the pauses between looks while a primary is looked for, the first
	// and the longest. urgent is how long it is looked for without pause after somebody has
	// asked.
	soon, later = 50 * time.Millisecond, time.Second
	urgent      = 15 * time.Second
	// roleTime is how long a server may take to say what it is.
	roleTime = time.Second
	// lasting is how long a primary must be sought for that to be told.
	lasting = time.Second
	// doubt is how long sentinels must say nothing but what is out of date to be believed.
	// They tell each other of a failover within seconds.
	doubt = 10 * time.Second
)

// Options are what a Watcher needs. Its functions are called on any goroutine.
type Options struct {
	// Sentinels are their addresses, Login is what they are told. Secure is how they are
	// connected to with TLS; nil: without.
	Sentinels []config.Address
	Login     config.Login
	Secure    func(config.Address) *tls.Config
	// Poll is how often they are asked at the least. Doubt is how long they must say nothing
	// but what is out of date to be believed; 0: ten seconds.
	Poll, Doubt time.Duration
	// IsPrimary asks a server whether it is a primary. It is also true if the server does
	// not say.
	IsPrimary func(ctx context.Context, addr string) (bool, error)
	// Publish has the primary of that name be at the place.
	Publish func(name string, to Place)
	// Missed reports whether somebody has missed the primary of that name since the last
	// call.
	Missed func(name string) bool
	// Tell tells of changes.
	Tell func(Change)
}

// A Change is what has changed: where a primary is, or whether a sentinel can be asked.
type Change struct {
	// Primary is the name of the primary that is elsewhere (From, To), or cannot be found
	// (Problem).
	Primary  string
	From, To Place
	// Sentinel is the address of one that has a problem, or none any more. With Primary: it is
	// not believed about that one.
	Sentinel string
	// Problem is what is wrong; empty: nothing any more.
	Problem string
}

// A Status is what is known of one sentinel.
type Status struct {
	Address string
	// Subscribed: it tells of changes by itself.
	Subscribed bool
	// Problem is why it cannot be asked; empty: it answers.
	Problem string
	// Since is since when that is so, zero: since the start. Asked is when it was asked last.
	Since, Asked time.Time
	// Said is where it last said that primaries are, by their names.
	Said map[string]Place
}

// Why sentinels were asked.
const (
	// AtStart is the first look.
	AtStart = "start"
	// ByTime is a look since Poll is over, or while a primary is looked for.
	ByTime = "time"
	// Missed is a look since somebody has missed a primary.
	Missed = "missed"
	// Told is a look since a sentinel has told of a change.
	Told = "told"
)

// A Watcher watches the primaries of one pool.
type Watcher struct {
	Options
	names  []string
	peers  []*peer
	woken  chan string // why
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu    sync.Mutex
	known map[string]Place
	// moved is when primaries that had been known were found elsewhere last.
	moved map[string]time.Time
	// lost has the names of primaries that cannot be found.
	lost map[string]trouble
	// distrusted has, by primaries' names, sentinels that are not believed. alone has the names of
	// primaries whose place only one sentinel has named, and since when.
	distrusted map[string]doubted
	alone      map[string]time.Time
	// asked is when all sentinels were asked last, and why.
	asked time.Time
	why   string

	// owned by whoever looks
	//
	// outdated has the names of which all answers are out of date, and since when.
	outdated map[string]time.Time
}

// A trouble is why a primary cannot be found, and since when.
type trouble struct {
	since   time.Time
	problem string
	told    bool
}

// New returns a watcher of the primaries of these names. Nothing is asked yet.
func New(o Options, names []string) *Watcher {
	w := &Watcher{
		Options: o, names: names, woken: make(chan string, 1), known: make(map[string]Place), moved: make(map[string]time.Time),
		lost: make(map[string]trouble), distrusted: make(map[string]doubted), alone: make(map[string]time.Time), outdated: make(map[string]time.Time),
	}
	if w.Doubt == 0 {
		w.Doubt = doubt
	}
	for _, addr := range o.Sentinels {
		w.peers = append(w.peers, newPeer(addr, o.Login, o.Secure))
	}
	return w
}

// Continue has the watcher begin with what another one knew.
func (w *Watcher) Continue(other *Watcher) {
	other.mu.Lock()
	defer other.mu.Unlock()
	for _, name := range w.names {
		if p, ok := other.known[name]; ok {
			w.known[name] = p
		}
		if at, ok := other.moved[name]; ok {
			w.moved[name] = at
		}
		if at, ok := other.alone[name]; ok {
			w.alone[name] = at
		}
		if d, ok := other.distrusted[name]; ok {
			w.distrusted[name] = d
		}
	}
}

// Sentinels are the states of the sentinels.
func (w *Watcher) Sentinels() []Status {
	all := make([]Status, len(w.peers))
	for i, p := range w.peers {
		p.mu.Lock()
		all[i] = p.status
		p.mu.Unlock()
	}
	return all
}

// Problem is why the primary of that name cannot be found; empty: nothing is wrong.
func (w *Watcher) Problem(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost[name].problem
}

// Place is where the primary of that name is.
func (w *Watcher) Place(name string) Place {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.known[name]
}

// Moved is when the primary of that name was found at another address than before; zero: never.
func (w *Watcher) Moved(name string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.moved[name]
}

// Asked is when all sentinels were asked last, and why.
func (w *Watcher) Asked() (at time.Time, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked, w.why
}

// Names are those of the primaries.
func (w *Watcher) Names() []string { return w.names }

// Wake has the sentinels asked at once, since a primary is missed. It does not wait.
func (w *Watcher) Wake() { w.wake(Missed) }

func (w *Watcher) wake(why string) {
	select {
	case w.woken <- why:
	default: // it is in there already
	}
}

// Start begins to watch.
func (w *Watcher) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	for _, p := range w.peers {
		w.done.Go(func() { p.listen(ctx, func() { w.wake(Told) }) })
	}
	w.done.Go(func() { w.run(ctx) })
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
	for _, p := range w.peers {
		_ = p.client.Close() // it is given up
	}
}

// run looks every Poll, and again and again for a while when somebody asks.
func (w *Watcher) run(ctx context.Context) {
	var until time.Time // when the search that somebody has asked for ends
	pause, why := soon, AtStart
	for {
		settled := w.look(ctx, why)
		why = ByTime
		wait := w.Poll
		if now := time.Now(); !settled || now.Before(until) {
			wait = min(pause, w.Poll)
			pause = min(2*pause, later)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			if w.missed() {
				until, pause, why = time.Now().Add(urgent), soon, Missed
			}
		case why = <-w.woken:
			timer.Stop()
			w.missed()
			until, pause = time.Now().Add(urgent), soon
		}
	}
}

// missed reports whether somebody has missed one of the primaries.
func (w *Watcher) missed() (was bool) {
	for _, name := range w.names {
		was = w.Missed(name) || was
	}
	return was
}

// Look asks all sentinels once, and publishes what has changed. It reports whether all
// primaries are where the newest answer says.
func (w *Watcher) Look(ctx context.Context) (settled bool) { return w.look(ctx, AtStart) }

func (w *Watcher) look(ctx context.Context, why string) (settled bool) {
	w.mu.Lock()
	w.asked, w.why = time.Now(), why
	w.mu.Unlock()
	answers := w.askAll(ctx)
	if ctx.Err() != nil {
		return true
	}
	settled = true
	for i, name := range w.names {
		settled = w.settle(ctx, name, answers[i]) && settled
	}
	return settled
}

// said is what one sentinel has said of all names.
type said struct {
	by     int
	places []opined
	err    error
}

// askAll asks all sentinels at the same time. It has the answers of each name. When most have
// answered, it does not wait long for the others.
func (w *Watcher) askAll(ctx context.Context) [][]answer {
	results := make(chan said, len(w.peers))
	asked := 0
	for i, p := range w.peers {
		if !p.begin() {
			continue
		}
		asked++
		w.done.Go(func() {
			places, unknown, err := p.ask(ctx, w.names)
			problem := err
			if err == nil {
				problem = unknown
			}
			if ctx.Err() != nil {
				problem = nil
			}
			p.keep(w.names, places)
			if change, changed := p.end(time.Now(), problem); changed {
				w.Tell(change)
			}
			results <- said{i, places, err}
		})
	}
	answers := make([][]answer, len(w.names))
	var late <-chan time.Time
	for heard, good := 0, 0; heard < asked; heard++ {
		select {
		case s := <-results:
			if s.err != nil {
				continue
			}
			if good++; good > len(w.peers)/2 && late == nil {
				late = time.After(laggards)
			}
			for i, place := range s.places {
				if place.Addr != "" {
					answers[i] = append(answers[i], answer{place.Place, s.by, place.down})
				}
			}
		case <-late:
			return answers
		}
	}
	return answers
}

// settle finds out where the primary of that name is, by these answers, and publishes it.
func (w *Watcher) settle(ctx context.Context, name string, answers []answer) (settled bool) {
	known := w.Place(name)
	past := w.remembered(name, answers)
	answers = clipped(answers, past)
	doubts := false
	if s := w.suspect(name, known, answers, past); s != nil {
		settled, doubts = w.contradict(ctx, name, known, s)
	}
	if !doubts {
		w.trust(name)
		settled = w.choose(ctx, name, known, answers)
	}
	at := w.Place(name).Addr
	w.count(name, at, answers, at != known.Addr)
	return settled
}

// choose takes the newest of the answers that is right, and publishes it.
func (w *Watcher) choose(ctx context.Context, name string, known Place, answers []answer) (settled bool) {
	all := candidates(known, answers, len(w.peers))
	if w.doubts(name, known, answers) {
		all = nil
	}
	problem := ""
	switch {
	case len(answers) == 0:
		problem = "no sentinel says where it is"
	case len(all) == 0:
		problem = "the sentinels that answer are out of date"
	}
	for _, c := range all {
		if c.Addr == known.Addr {
			w.found(name, c.Place, problem) // its epoch may be newer
			return problem == ""
		}
		why, _ := w.isNone(ctx, c.Addr)
		if why == "" {
			w.found(name, c.Place, "")
			return true
		}
		if problem == "" {
			problem = why
		}
	}
	if known.Addr == "" && len(all) > 0 {
		w.found(name, all[0].Place, problem) // it may be one by the time that it is used
		return false
	}
	w.note(name, known, problem)
	return false
}

// doubts reports whether the answers are out of date, and not for long yet: the sentinel that
// knows of the last failover has not answered, and the others do not know of it. The old
// primary may be there again, without its data. It must be called at each look.
func (w *Watcher) doubts(name string, known Place, answers []answer) bool {
	if len(answers) == 0 || slices.ContainsFunc(answers, func(a answer) bool { return a.Epoch >= known.Epoch }) {
		delete(w.outdated, name)
		return false
	}
	since, was := w.outdated[name]
	if !was {
		since = time.Now()
		w.outdated[name] = since
	}
	return time.Since(since) < w.Doubt
}

// isNone says why what is at that address is no primary; empty: it is one, or may be. answers: it
// has said so itself.
func (w *Watcher) isNone(ctx context.Context, addr string) (why string, answers bool) {
	ctx, cancel := context.WithTimeout(ctx, roleTime)
	defer cancel()
	is, err := w.IsPrimary(ctx, addr)
	switch {
	case err != nil:
		return addr + ", which sentinels name, cannot be asked whether it is a primary: " + err.Error(), false
	case !is:
		return addr + ", which sentinels name, is no primary", true
	}
	return "", true
}

// found publishes where the primary of that name is. problem is what is wrong nevertheless;
// empty: nothing.
func (w *Watcher) found(name string, to Place, problem string) {
	w.mu.Lock()
	from := w.known[name]
	w.known[name] = to
	if from.Addr != "" && from.Addr != to.Addr {
		w.moved[name] = time.Now()
	}
	w.mu.Unlock()
	if from.Addr != to.Addr {
		w.Publish(name, to)
		if from.Addr != "" {
			w.Tell(Change{Primary: name, From: from, To: to})
		}
	}
	w.note(name, to, problem)
}

// note notes what is wrong with the primary of that name, which is still sought at known;
// no problem: nothing. A problem is told of once it lasts.
func (w *Watcher) note(name string, known Place, problem string) {
	now := time.Now()
	w.mu.Lock()
	was, lost := w.lost[name]
	is := trouble{since: now, problem: problem}
	if lost {
		is.since, is.told = was.since, was.told
	}
	tell := problem != "" && !is.told && now.Sub(is.since) >= lasting || problem == "" && was.told
	is.told = is.told || tell
	if w.lost[name] = is; problem == "" {
		delete(w.lost, name)
	}
	w.mu.Unlock()
	if tell {
		w.Tell(Change{Primary: name, From: known, To: known, Problem: problem})
	}
}

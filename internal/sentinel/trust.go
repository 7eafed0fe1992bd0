package sentinel

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	// recently is for how long what a sentinel has said still speaks against another one, if it
	// does not answer now.
	recently = 5 * time.Second
	// secondVoice is how long a second sentinel may take to say what one says, while nuthatch
	// alone cannot reach the old primary, as a part of Doubt: half a second. They tell each other
	// within a tenth of that.
	secondVoice = 20
)

// A doubted is a sentinel that is not believed about a primary.
type doubted struct {
	sentinel string // its address
	says     string // where it says that the primary is
	since    time.Time
	problem  string
	told     bool
	// lies: for Doubt the primary of the others has answered that it is one.
	lies bool
	// held is since when nothing but its word is left; zero: that is not so.
	held time.Time
}

// clipped leaves a sentinel that alone has the newest epoch the epoch that others name its address
// by: a number that nobody else knows must not make them look out of date. past are answers that
// were given shortly before.
func clipped(answers, past []answer) []answer {
	all := slices.Concat(answers, past)
	at := loneOf(all)
	if at < 0 || at >= len(answers) {
		return answers
	}
	epoch := int64(-1)
	for i, a := range all {
		if i != at && a.Addr == all[at].Addr {
			epoch = max(epoch, a.Epoch)
		}
	}
	if epoch >= 0 {
		all[at].Epoch = epoch
	}
	return all[:len(answers)]
}

// loneOf is which answer has an epoch that is newer than those of all others; -1: none has, or
// there are no others.
func loneOf(answers []answer) int {
	at, alone := -1, false
	for i, a := range answers {
		switch {
		case at < 0 || a.Epoch > answers[at].Epoch:
			at, alone = i, len(answers) > 1
		case a.Epoch == answers[at].Epoch:
			alone = false
		}
	}
	if !alone {
		return -1
	}
	return at
}

// A suspicion is that one sentinel alone names a newer place than all others: it may be the first
// to know of a failover, or it may make things up.
type suspicion struct {
	lone   answer
	others []answer
	// expected: all others have taken the primary that they name for down. So they expect a
	// failover.
	expected bool
}

// suspect returns the suspicion about the primary of that name, by these answers and others that
// were given shortly before; nil: there is none.
func (w *Watcher) suspect(name string, known Place, answers, past []answer) *suspicion {
	all := slices.Concat(answers, past)
	at := loneOf(all)
	if at < 0 {
		return nil
	}
	s := &suspicion{lone: all[at], others: slices.Delete(slices.Clone(all), at, at+1)}
	s.expected = !slices.ContainsFunc(s.others, func(a answer) bool { return !a.down })
	switch alone := w.sinceAlone(name); {
	case s.lone.Epoch > known.Epoch:
		return s
	case s.lone.Place == known && !alone.IsZero() && time.Since(alone) >= w.Doubt && !s.expected:
		return s // it was believed, and nobody else has come to say so
	}
	return nil
}

// remembered is what sentinels that have not answered now have said of that name shortly before.
func (w *Watcher) remembered(name string, answers []answer) (all []answer) {
	for i, p := range w.peers {
		if slices.ContainsFunc(answers, func(a answer) bool { return a.by == i }) {
			continue
		}
		p.mu.Lock()
		said, has := p.last[name]
		if has && time.Since(p.heard) < recently {
			all = append(all, answer{said.Place, i, said.down})
		}
		p.mu.Unlock()
	}
	return all
}

// contradict keeps the primary of that name where the others say, if the server there still says
// that it is a primary. If it is none, the one sentinel's word is enough, and done is false, but for
//
//	a word that was not believed for long    it makes things up, and a failover will be known to
//	                                         the others, too: they get Doubt to make one
//	a primary that nuthatch cannot reach,    it gets secondVoice
//	and the others can
func (w *Watcher) contradict(ctx context.Context, name string, known Place, s *suspicion) (settled, done bool) {
	d := w.doubtOf(name, s)
	if s.expected && !d.lies {
		return false, false
	}
	why, reached := "", s.expected
	for _, c := range candidates(known, s.others, len(w.peers)) {
		none, answers := w.isNone(ctx, c.Addr)
		if none == "" {
			w.found(name, c.Place, "")
			d.held, d.lies = time.Time{}, time.Since(d.since) >= w.Doubt
			d.problem = fmt.Sprintf("it alone says that %s is at %s, by the config epoch %d; others say %s, which is still a primary",
				name, s.lone.Addr, s.lone.Epoch, c.Addr)
			w.doubt(name, d)
			return d.lies, true
		}
		why, reached = cmp.Or(why, none), reached || answers
	}
	if known.Addr == "" || known == s.lone.Place || why == "" {
		return false, false
	}
	if reached && d.held.IsZero() {
		d.held = time.Now()
	}
	switch {
	case d.lies && (d.held.IsZero() || time.Since(d.held) < w.Doubt):
	case !d.lies && !reached && time.Since(d.since) < w.Doubt/secondVoice:
	default:
		return false, false
	}
	d.problem = fmt.Sprintf("it alone says that %s is at %s, by the config epoch %d", name, s.lone.Addr, s.lone.Epoch)
	w.doubt(name, d)
	w.note(name, known, why)
	return false, true
}

// doubtOf is the doubt about what a sentinel says of the primary of that name, which may be new.
func (w *Watcher) doubtOf(name string, s *suspicion) doubted {
	by := w.peers[s.lone.by].addr.String()
	w.mu.Lock()
	defer w.mu.Unlock()
	if d, is := w.distrusted[name]; is && d.sentinel == by && d.says == s.lone.Addr {
		return d
	}
	return doubted{sentinel: by, says: s.lone.Addr, since: time.Now()}
}

// doubt notes that a sentinel is not believed, and tells of it once that lasts.
func (w *Watcher) doubt(name string, d doubted) {
	tell := !d.told && time.Since(d.since) >= lasting
	d.told = d.told || tell
	w.mu.Lock()
	was := w.distrusted[name]
	w.distrusted[name] = d
	w.mu.Unlock()
	if was.told && was.sentinel != d.sentinel {
		w.Tell(Change{Primary: name, Sentinel: was.sentinel})
	}
	if tell {
		w.Tell(Change{Primary: name, Sentinel: d.sentinel, Problem: d.problem})
	}
}

// trust notes that no sentinel is doubted about that name any more.
func (w *Watcher) trust(name string) {
	w.mu.Lock()
	was := w.distrusted[name]
	delete(w.distrusted, name)
	w.mu.Unlock()
	if was.told {
		w.Tell(Change{Primary: name, Sentinel: was.sentinel})
	}
}

// Doubted is the address of the sentinel that is not believed about the primary of that name, and
// why; empty: all are.
func (w *Watcher) Doubted(name string) (addr, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d := w.distrusted[name]; d.told {
		return d.sentinel, d.problem
	}
	return "", ""
}

// sinceAlone is since when the place that is in use is one that a single sentinel has named; zero:
// others have, too.
func (w *Watcher) sinceAlone(name string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.alone[name]
}

// count counts who names the place that is in use. moved: it was not in use before.
func (w *Watcher) count(name, at string, answers []answer, moved bool) {
	n := 0
	for _, a := range answers {
		if a.Addr == at {
			n++
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case n > 1:
		delete(w.alone, name)
	case moved:
		w.alone[name] = time.Now()
	}
}

package top

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/ctl"
)

// A witness is a primary that sentinels know, or a sentinel.
type witness struct {
	pool, name, kind string
	state            string // of knownStates
	at               string // of a sentinel: where it says that the primary is
	epoch            float64
	changed, asked   time.Duration // how long ago; 0: not since the start
	tells            string
	words            []string // what has no column
	place            int
}

// The states of a primary: it is found or lost. Those of a sentinel: it answers, is not believed, or is
// of no use.
const (
	isFound     = "found"
	isLost      = "lost"
	doesAnswer  = "answers"
	isDoubted   = "doubted"
	isOfNoUse   = "no use"
	primaryKind = "primary"
)

// toneOfWitness is the tone of a state: one sentinel that does not answer takes nothing away yet.
func toneOfWitness(state string) tone {
	switch state {
	case isFound, doesAnswer:
		return good
	case isLost:
		return ill
	}
	return odd
}

var witnessColumns = []column[witness]{
	{"PRIMARY, SENTINEL", 0, 0, nil, func(w *witness) string { return w.name }},
	{"POOL", 11, 88, nil, func(w *witness) string { return w.pool }},
	{"KIND", 8, 60, func(w *witness) float64 { return float64(-w.place) }, func(w *witness) string { return w.kind }},
	{"STATE", 9, 0, nil, func(w *witness) string {
		if toneOfWitness(w.state) == good {
			return mark(up) + " " + w.state
		}
		return "! " + w.state
	}},
	{"PRIMARY AT", 21, 72, nil, func(w *witness) string { return orDash(w.at) }},
	{"EPOCH", 6, 80, func(w *witness) float64 { return w.epoch }, func(w *witness) string { return count(w.epoch) }},
	{"CHANGED", 10, 0, func(w *witness) float64 { return w.changed.Seconds() }, func(w *witness) string { return ago(w.changed) }},
	{"ASKED", 10, 100, func(w *witness) float64 { return w.asked.Seconds() }, func(w *witness) string { return ago(w.asked) }},
	{"TELLS", 5, 110, nil, func(w *witness) string { return w.tells }},
}

// byWitness is the column that they are sorted by at first: primaries, then sentinels, by pool.
const byWitness = 2

func newSentinelSheet() *sheet {
	s := newSheet(headsOf(witnessColumns), byWitness, "no pool has sentinels")
	s.heads[byWitness].left, s.marked = true, byWitness+1
	return s
}

func ago(d time.Duration) string {
	if d == 0 {
		return dash
	}
	return span(d) + " ago"
}

// agoOf is how long ago that was; 0: never.
func agoOf(at *time.Time, now time.Time) time.Duration {
	if at == nil {
		return 0
	}
	return max(now.Sub(*at), time.Millisecond)
}

// sentinelEntries are the lines of the primaries and the sentinels of pools.
func sentinelEntries(pools []api.Pool, now time.Time) (list []entry) {
	for i := range pools {
		p := &pools[i]
		if p.Sentinels == nil {
			continue
		}
		for j := range p.Sentinels.Primaries {
			list = append(list, primaryWitness(p, j, now).entry(len(list)))
		}
		for j := range p.Sentinels.Sentinels {
			list = append(list, sentinelWitness(p, j, now).entry(len(list)))
		}
	}
	return list
}

func primaryWitness(p *api.Pool, i int, now time.Time) *witness {
	of := &p.Sentinels.Primaries[i]
	w := &witness{pool: plain(p.Name), name: ctl.Plain(of.Name), kind: primaryKind, state: isFound, at: plain(of.Address), epoch: unknown, tells: dash}
	if of.Address != "" {
		w.epoch = float64(of.Epoch)
	}
	w.changed, w.asked = agoOf(of.Switched, now), agoOf(p.Sentinels.Asked, now)
	if w.changed > 0 {
		w.words = append(w.words, "its last failover was "+ago(w.changed))
	} else {
		w.words = append(w.words, "it has not moved since the start")
	}
	if of.Problem != "" {
		w.state, w.words = isLost, append(w.words, ctl.Plain(of.Problem))
	}
	answer := 0
	for j := range p.Sentinels.Sentinels {
		if p.Sentinels.Sentinels[j].Problem == "" {
			answer++
		}
	}
	w.words = append(w.words, fmt.Sprintf("%d of %d sentinels answer", answer, len(p.Sentinels.Sentinels)))
	return w
}

func sentinelWitness(p *api.Pool, i int, now time.Time) *witness {
	of := &p.Sentinels.Sentinels[i]
	w := &witness{pool: plain(p.Name), name: plain(of.Address), kind: "sentinel", state: doesAnswer, epoch: unknown, tells: "no"}
	if of.Subscribed {
		w.tells = "yes"
	}
	w.changed, w.asked = agoOf(of.Since, now), agoOf(of.Asked, now)
	for _, name := range slices.Sorted(maps.Keys(of.Said)) {
		said := of.Said[name]
		w.words = append(w.words, fmt.Sprintf("%s at %s (%d)", plain(name), plain(said.Address), said.Epoch))
		if len(of.Said) == 1 {
			w.at, w.epoch = plain(said.Address), float64(said.Epoch)
		}
	}
	if len(of.Said) > 1 {
		w.at = fmt.Sprintf("%d primaries", len(of.Said))
	}
	for _, name := range slices.Sorted(maps.Keys(of.Doubted)) {
		w.state, w.words = isDoubted, append(w.words, "not believed: "+ctl.Plain(of.Doubted[name]))
	}
	if of.Problem != "" {
		w.state, w.words = isOfNoUse, append(w.words, ctl.Plain(of.Problem))
	}
	return w
}

// entry is its line, at that place of all.
func (w *witness) entry(place int) entry {
	w.place = place
	words := append([]string{w.pool + "/" + w.name, w.kind}, w.words...)
	return entry{
		id: w.pool + "\n" + w.kind + "\n" + w.name, pool: w.pool, values: valuesOf(witnessColumns, w), tone: toneOfWitness(w.state),
		words: strings.ToLower(strings.Join(append(words, w.at, w.state), " ")), detail: strings.Join(words, "  "),
	}
}

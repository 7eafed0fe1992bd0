package top

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The states of servers, the worst first; they sort in this order. An unknown
// one is worse than all.
var states = []string{"ejected", "failing", "probing", "disabled", up}

const up = "up"

// marks are the shapes of states, so that colour is not the only difference.
var marks = map[string]string{"ejected": "✗", "failing": "!", "probing": "◐", "disabled": "‖", up: "●"}

func mark(state string) string {
	if m := marks[state]; m != "" {
		return m
	}
	return "?"
}

// toneOf is the tone of a state.
func toneOf(state string) tone {
	switch state {
	case up:
		return good
	case "probing", "failing":
		return odd
	case "disabled":
		return idle
	}
	return ill
}

// serverColumns are those of servers. The first gets the remaining width.
var serverColumns = []column[row]{
	{"SERVER", 0, 0, nil, func(r *row) string { return r.name }},
	{"POOL", 11, 72, nil, func(r *row) string { return r.pool }},
	{"STATE", 10, 0, func(r *row) float64 { return float64(-slices.Index(states, r.state)) }, func(r *row) string { return mark(r.state) + " " + r.state }},
	{"SINCE", 7, 100, func(r *row) float64 { return r.since.Seconds() }, since},
	{"REQ/S", 7, 0, func(r *row) float64 { return r.requests }, func(r *row) string { return rate(r.requests) }},
	{"P50", 7, 88, func(r *row) float64 { return r.p50 }, func(r *row) string { return delay(r.p50) }},
	{"P99", 7, 0, func(r *row) float64 { return r.p99 }, func(r *row) string { return delay(r.p99) }},
	{"FAIL/S", 7, 0, func(r *row) float64 { return r.failed }, func(r *row) string { return rate(r.failed) }},
	{"QUEUED", 7, 60, func(r *row) float64 { return r.queued }, func(r *row) string { return count(r.queued) }},
	{"CONNS", 6, 80, func(r *row) float64 { return r.connections }, func(r *row) string { return count(r.connections) }},
	{"BYTES/S", 8, 110, func(r *row) float64 { return r.bytes }, func(r *row) string { return size(r.bytes) }},
	{"KEYS", 5, 120, func(r *row) float64 { return r.share }, func(r *row) string { return percent(r.share) }},
	{"ROLE", 8, 150, nil, func(r *row) string { return r.role }},
	{"LAG", 8, 166, func(r *row) float64 { return r.lag }, func(r *row) string { return size(r.lag) }},
	{"SLOTS", 6, 158, func(r *row) float64 { return r.slots }, func(r *row) string { return count(r.slots) }},
	{"EPOCH", 6, 174, func(r *row) float64 { return r.epoch }, func(r *row) string { return count(r.epoch) }},
	{"SWITCHED", 10, 186, func(r *row) float64 { return r.switched.Seconds() }, switched},
}

// byState is the column that servers are sorted by at first.
const byState = 2

func newServerSheet() *sheet {
	s := newSheet(headsOf(serverColumns), byState, "no server")
	s.heads[byState].left, s.marked = true, byState
	return s
}

// since tells how long a server that is not up is so.
func since(r *row) string {
	if r.state == up || r.since == 0 {
		return ""
	}
	return span(r.since)
}

// switched tells how long ago a primary that Sentinel knows was found elsewhere.
func switched(r *row) string {
	if r.switched == 0 {
		return dash
	}
	return span(r.switched) + " ago"
}

// serverEntries are the lines of servers, by pool and name.
func serverEntries(servers []row) []entry {
	list := make([]entry, len(servers))
	for i := range servers {
		r := &servers[i]
		list[i] = entry{
			id: r.pool + "\n" + r.name, pool: r.pool, values: valuesOf(serverColumns, r), detail: serverDetail(r), tone: toneOf(r.state),
			words: strings.ToLower(r.pool + " " + r.name + " " + r.address + " " + r.state + " " + r.reason),
		}
	}
	slices.SortStableFunc(list, func(a, b entry) int {
		return cmp.Or(strings.Compare(a.pool, b.pool), strings.Compare(a.values[0].text, b.values[0].text))
	})
	return list
}

// serverDetail has what has no column of a server.
func serverDetail(r *row) string {
	words := []string{r.pool + "/" + r.name}
	if r.address != r.name {
		words = append(words, r.address)
	}
	state := r.state
	if since := since(r); since != "" {
		state += " for " + since
	}
	words = append(words, state)
	if r.reason != "" && r.state != up {
		words = append(words, r.reason)
	}
	if r.inCluster {
		words = append(words, fmt.Sprintf("%s of its cluster, %.0f slots", r.role, r.slots))
	}
	if r.primary != "" {
		known := r.primary
		if r.epoch >= 0 {
			known += fmt.Sprintf(" by epoch %.0f", r.epoch)
		}
		if r.switched > 0 {
			known += ", switched " + switched(r)
		}
		words = append(words, known)
	}
	if r.lost != "" {
		words = append(words, r.lost)
	}
	if r.replica != "" {
		words = append(words, r.replica)
	}
	if len(r.redirects) > 0 {
		words = append(words, "redirects "+strings.Join(r.redirects, ", "))
	}
	if len(r.errors) > 0 {
		words = append(words, "error replies "+strings.Join(r.errors, ", "))
	}
	return strings.Join(words, "  ")
}

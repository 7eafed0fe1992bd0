package top

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// The states that the proxy tells, the worst first; they sort in this order. One
// that is not among them is worse than all.
var states = []string{"ejected", "failing", "probing", "disabled", up}

const up = "up"

// marks are shapes of states, so that colour is not all that tells them apart.
var marks = map[string]string{"ejected": "✗", "failing": "!", "probing": "◐", "disabled": "‖", up: "●"}

func mark(state string) string {
	if m := marks[state]; m != "" {
		return m
	}
	return "?"
}

// A column is one of the table of servers.
type column struct {
	title string
	width int
	// from is the width of the screen from which on it is shown.
	from int
	// number is what a column of numbers is sorted by, downwards at first; if it is
	// nil, text is.
	number func(*row) float64
	text   func(*row) string
}

// columns are those of servers. The first takes what room is left.
var columns = []column{
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
}

// byState is the column that servers are sorted by at first.
const byState = 2

// since tells how long a server that is not up is so.
func since(r *row) string {
	if r.state == up || r.since == 0 {
		return ""
	}
	return span(r.since)
}

// shown are the columns for a screen of that width, by their place in columns.
func shown(width int) []int {
	var list []int
	for i := range columns {
		if columns[i].from <= width {
			list = append(list, i)
		}
	}
	return list
}

// order sorts rows by a column; up turns it around. What cannot be told comes
// last either way, and rows that are alike come by pool and name.
func order(rows []row, by int, reversed bool) {
	c := &columns[by]
	sign := 1
	if reversed {
		sign = -1
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		if n := sign * compare(c, &a, &b); n != 0 && !lacks(c, &a) && !lacks(c, &b) {
			return n
		}
		if n := cmp.Compare(rank(lacks(c, &a)), rank(lacks(c, &b))); n != 0 {
			return n
		}
		return cmp.Or(strings.Compare(a.pool, b.pool), strings.Compare(a.name, b.name))
	})
}

func compare(c *column, a, b *row) int {
	if c.number == nil {
		return strings.Compare(c.text(a), c.text(b))
	}
	return cmp.Compare(c.number(b), c.number(a))
}

func lacks(c *column, r *row) bool { return c.number != nil && math.IsNaN(c.number(r)) }

func rank(last bool) int {
	if last {
		return 1
	}
	return 0
}

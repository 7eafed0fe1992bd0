package top

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// A column is one of a table whose lines are made of Rs.
type column[R any] struct {
	title string
	width int
	// from is the width of the screen from which on it is shown.
	from int
	// number is what a column of numbers is sorted by, downwards at first; if it is
	// nil, text is.
	number func(*R) float64
	text   func(*R) string
}

// A head is a column without what fills it.
type head struct {
	title       string
	width, from int
	numeric     bool
	left        bool // its text begins at the left edge
}

// A tone is how serious a line is.
type tone int

const (
	calm tone = iota
	good
	idle
	odd
	ill
)

// A value is what stands in a cell, and what a column of numbers is sorted by.
type value struct {
	text   string
	number float64
}

// An entry is a line of a table.
type entry struct {
	id     string // tells it from the others, and is the same in the next answer
	pool   string
	values []value // by column
	words  string  // what the filter looks in, in small letters
	detail string  // what is told of it when the cursor is on it
	tone   tone
}

// A sheet is a table to sort, to filter and to move in.
type sheet struct {
	heads  []head
	first  int    // the column that it is sorted by at first
	marked int    // the column that shows the tone of a line that is well; -1 is none
	none   string // what stands there if no line does

	of    question // what was answered last
	all   []entry  // of that answer, in an order of their own
	total int      // how many there are, if more than were told

	filter   string
	sortBy   int
	reversed bool
	selected string  // id of the line that the cursor is on
	top      int     // the place of the first line in sight
	rows     []entry // those that are shown, in order
}

// headsOf are the heads of columns.
func headsOf[R any](columns []column[R]) []head {
	heads := make([]head, len(columns))
	for i := range columns {
		c := &columns[i]
		heads[i] = head{title: c.title, width: c.width, from: c.from, numeric: c.number != nil, left: c.number == nil}
	}
	return heads
}

// newSheet returns an empty table that is sorted by a column at first.
func newSheet(heads []head, first int, none string) *sheet {
	return &sheet{heads: heads, first: first, sortBy: first, marked: -1, none: none}
}

// valuesOf fills a line's cells.
func valuesOf[R any](columns []column[R], r *R) []value {
	list := make([]value, len(columns))
	for i := range columns {
		list[i].text = columns[i].text(r)
		if columns[i].number != nil {
			list[i].number = columns[i].number(r)
		}
	}
	return list
}

// arrange chooses and sorts the lines of a pool, or of all if it is empty, and
// keeps the cursor on its line and in sight.
func (s *sheet) arrange(pool string, room int) {
	s.rows = s.rows[:0]
	want := strings.ToLower(s.filter)
	for i := range s.all {
		e := &s.all[i]
		if (pool == "" || e.pool == pool) && strings.Contains(e.words, want) {
			s.rows = append(s.rows, *e)
		}
	}
	order(s.rows, s.sortBy, s.heads[s.sortBy].numeric, s.reversed)
	s.look(room)
}

// order sorts lines by a column; reversed turns it around. Unknown values come
// last in both orders, and equal lines keep their order.
func order(rows []entry, by int, numeric, reversed bool) {
	sign := 1
	if reversed {
		sign = -1
	}
	slices.SortStableFunc(rows, func(a, b entry) int {
		x, y := &a.values[by], &b.values[by]
		if !numeric {
			return sign * strings.Compare(x.text, y.text)
		}
		if math.IsNaN(x.number) || math.IsNaN(y.number) {
			return cmp.Compare(y.number, x.number) // NaN is less than all
		}
		return sign * cmp.Compare(y.number, x.number)
	})
}

// shown are the columns for a screen of that width, by their place.
func (s *sheet) shown(width int) []int {
	var list []int
	for i := range s.heads {
		if s.heads[i].from <= width {
			list = append(list, i)
		}
	}
	return list
}

// cursor is the place of the selected line; the first, if it is not shown.
func (s *sheet) cursor() int {
	return max(0, slices.IndexFunc(s.rows, func(e entry) bool { return e.id == s.selected }))
}

// move puts the cursor on another line.
func (s *sheet) move(to, room int) {
	if len(s.rows) == 0 {
		return
	}
	s.selected = s.rows[min(max(to, 0), len(s.rows)-1)].id
	s.look(room)
}

// look scrolls until the cursor is visible.
func (s *sheet) look(room int) {
	at := s.cursor()
	s.top = min(s.top, max(0, len(s.rows)-room))
	s.top = max(min(s.top, at), at-room+1)
}

// lines are the head and as many lines as there is room for, or why there is none.
func (s *sheet) lines(k *inks, width, room int, wanted question) []string {
	list := s.shown(width)
	cells := make([]cell, len(list))
	for i, at := range list {
		h := &s.heads[at]
		cells[i] = cell{text: h.title, width: h.width, left: h.left}
		if at != s.sortBy {
			continue
		}
		arrow := "▼"
		if h.numeric == s.reversed {
			arrow = "▲"
		}
		cells[i].text += arrow
	}
	lines := []string{k.head.Render(line(width, cells))}
	if len(s.rows) == 0 {
		none := s.none
		switch {
		case s.of != wanted:
			none = "no answer yet"
		case s.filter != "":
			none = "nothing matches"
		}
		return append(lines, k.soft.Render(none))
	}
	at := s.cursor()
	for i := s.top; i < min(s.top+room, len(s.rows)); i++ {
		lines = append(lines, s.line(k, &s.rows[i], list, width, i == at))
	}
	return lines
}

func (s *sheet) line(k *inks, e *entry, list []int, width int, here bool) string {
	cells := make([]cell, len(list))
	for i, at := range list {
		h := &s.heads[at]
		cells[i] = cell{text: e.values[at].text, width: h.width, left: h.left}
		if at == s.marked && e.tone == good && !here {
			cells[i].ink = &k.good
		}
	}
	text := line(width, cells)
	switch {
	case here:
		return k.cursor.Render(text)
	case e.tone != calm && e.tone != good:
		return k.in(e.tone).Render(text)
	}
	return text
}

package history

import (
	"encoding/gob"
	"fmt"
	"io"
	"slices"
)

// The form in which one program hands its history over to the next. Fields are added and
// never change their meaning: the next program may be a later release.

// A document is a whole history, and what goes with it (Beside).
type document struct {
	Fine, Coarse tape
	Spans        []Span
	Events       []Event
	Failing      []Failing
}

// Beside is what is handed over with a history: what was counted between records, what has
// happened, the oldest first, and which servers are not up. An earlier release has none of it, or
// not all.
type Beside struct {
	Spans   []Span
	Events  []Event
	Failing []Failing
}

// Failing is a server that is not up, since a time in nanoseconds since the epoch.
type Failing struct {
	Subject
	Since int64
}

// An Event is something that has happened, at a time in nanoseconds since the epoch, and lasted
// For nanoseconds. Its kind goes by its name: each release has its own.
type Event struct {
	Time, For                            int64
	Kind, Pool, Server, Reason, Text, By string
}

// A Span is what was counted from one record, from which a window can begin, to the next one.
type Span struct {
	// At is when the record was made, and Second when it was due, in nanoseconds since the epoch.
	At, Second int64
	// CPU is how long each loop has run, in seconds.
	CPU []float64
	// Counted are the pools and servers for which something was counted.
	Counted []Counted
}

// Counted is what was counted for a pool or a server. Whoever makes it knows what each number
// is: numbers are only added behind the others.
type Counted struct {
	Subject
	Numbers []int64
	// Errors are error replies by their first word, and Reasons failed requests by reason.
	Errors, Reasons []Named
	// Times are how many requests took about how long.
	Times []Time
}

// Named is how many there are of something.
type Named struct {
	Name string
	N    int64
}

// A Time is how many times took about so long, in nanoseconds.
type Time struct {
	Took int64
	N    uint64
}

// A tape is the rounds of one kind, the oldest first.
type tape struct {
	Columns  []string
	Subjects [][]Subject
	At       []int64
	// Of is, for each round, the place of its subjects among Subjects.
	Of     []int
	Values [][]float32
}

// HandOver writes the history, and what goes with it, for Merge, in a form for this purpose alone.
func (s *Store) HandOver(w io.Writer, with Beside) error {
	s.mu.Lock()
	d := document{taped(&s.fine, FineColumns), taped(&s.coarse, CoarseColumns), with.Spans, with.Events, with.Failing}
	s.mu.Unlock()
	return gob.NewEncoder(w).Encode(&d)
}

// taped copies the list of rounds. What they have is immutable.
func taped(t *track, columns []string) tape {
	p := tape{Columns: columns}
	var last *subjects
	for i := range t.rounds {
		r := &t.rounds[i]
		if r.of != last {
			last = r.of
			p.Subjects = append(p.Subjects, r.of.list)
		}
		p.At = append(p.At, r.at)
		p.Of = append(p.Of, len(p.Subjects)-1)
		p.Values = append(p.Values, r.values)
	}
	return p
}

// maxDocument is how many bytes of a document are read for each byte that the store may
// have.
const maxDocument = 4

// Merge reads what HandOver has written, and puts it before what the store has: rounds that
// are not older than its own are left out. It returns how many rounds it took, and what came with them.
func (s *Store) Merge(r io.Reader) (taken int, with Beside, err error) {
	_, limit := s.Memory()
	if limit == 0 {
		return 0, Beside{}, nil
	}
	var d document
	if err := gob.NewDecoder(io.LimitReader(r, maxDocument*limit)).Decode(&d); err != nil {
		return 0, Beside{}, fmt.Errorf("history: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.prepend(&s.fine, &d.Fine, FineColumns) + s.prepend(&s.coarse, &d.Coarse, CoarseColumns), Beside{d.Spans, d.Events, d.Failing}, nil
}

// prepend puts the rounds of a tape before those of a track.
func (s *Store) prepend(t *track, p *tape, columns []string) int {
	n := min(len(p.At), len(p.Of), len(p.Values))
	from := make([]int, len(columns)) // where the tape has each column
	for i, c := range columns {
		from[i] = slices.Index(p.Columns, c)
	}
	newer := t.rounds
	t.rounds = nil
	shared := make([]*subjects, len(p.Subjects))
	for i, list := range p.Subjects {
		shared[i] = &subjects{list: list}
	}
	taken := 0
	for i := range n {
		if len(newer) > 0 && p.At[i] >= newer[0].at || len(t.rounds) > 0 && p.At[i] < t.rounds[len(t.rounds)-1].at {
			continue
		}
		if p.Of[i] < 0 || p.Of[i] >= len(shared) || len(p.Values[i]) != len(shared[p.Of[i]].list)*len(p.Columns) {
			continue
		}
		s.append(t, round{p.At[i], shared[p.Of[i]], rearranged(p.Values[i], len(p.Columns), from)})
		taken++
	}
	t.rounds = append(t.rounds, newer...)
	s.trim(0)
	return taken
}

// rearranged are rows of other columns: from tells where each column is in the old rows.
func rearranged(values []float32, columns int, from []int) []float32 {
	same := columns == len(from)
	for i, c := range from {
		same = same && i == c
	}
	if same {
		return values
	}
	rows := 0
	if columns > 0 {
		rows = len(values) / columns
	}
	out := make([]float32, 0, rows*len(from))
	for row := range rows {
		for _, c := range from {
			v := unknown
			if c >= 0 {
				v = values[row*columns+c]
			}
			out = append(out, v)
		}
	}
	return out
}

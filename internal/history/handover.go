package history

import (
	"encoding/gob"
	"fmt"
	"io"
	"slices"
)

// The form in which one program hands its history over to the next. Fields are added and
// never change their meaning: the next program may be a later release.

// A document is a whole history.
type document struct{ Fine, Coarse tape }

// A tape is the rounds of one kind, the oldest first.
type tape struct {
	Columns  []string
	Subjects [][]Subject
	At       []int64
	// Of is, for each round, the place of its subjects among Subjects.
	Of     []int
	Values [][]float32
}

// WriteTo writes the history for Merge, in a form for this purpose alone.
func (s *Store) WriteTo(w io.Writer) (int64, error) {
	s.mu.Lock()
	d := document{taped(&s.fine, FineColumns), taped(&s.coarse, CoarseColumns)}
	s.mu.Unlock()
	counted := &counter{w: w}
	err := gob.NewEncoder(counted).Encode(&d)
	return counted.n, err
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
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

// Merge reads what WriteTo has written, and puts it before what the store has: rounds that
// are not older than its own are left out. It returns how many rounds it took.
func (s *Store) Merge(r io.Reader) (int, error) {
	_, limit := s.Memory()
	if limit == 0 {
		return 0, nil
	}
	var d document
	if err := gob.NewDecoder(io.LimitReader(r, maxDocument*limit)).Decode(&d); err != nil {
		return 0, fmt.Errorf("history: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.prepend(&s.fine, &d.Fine, FineColumns) + s.prepend(&s.coarse, &d.Coarse, CoarseColumns), nil
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

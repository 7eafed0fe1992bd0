// Package history keeps what the process, its pools and its servers did in the last hour:
// rates, times and states, in rounds.
//
//	fine     a round a second      process │ pool │ pool ...
//	coarse   a round in ten        server │ server │ server ...
//
// A round has a row of numbers for each subject. Rounds share the list of subjects until
// it changes. All rounds together have a bound in bytes: the oldest goes first.
package history

import (
	"math"
	"slices"
	"sync"
	"time"
)

const (
	// Kept is how far back rounds are kept.
	Kept = time.Hour
	// FineStep is the time between two rounds of the process and the pools.
	FineStep = time.Second
	// CoarseStep is that of the servers.
	CoarseStep = 10 * time.Second
)

// roundSize is about what a round takes besides its values, and subjectSize what a
// subject takes besides its names, in bytes.
const (
	roundSize   = 64
	subjectSize = 96
)

// unknown is a value that is not known.
var unknown = float32(math.NaN())

// A Subject is what a row is about: a server, a pool (no Server), or the process (neither).
type Subject struct{ Pool, Server string }

// The columns of the rows. A value that is not known is NaN. The times are in seconds.
var (
	// FineColumns are of the process and of each pool. Only the process has memory and
	// busy.
	FineColumns = []string{"requests", "failed", "p50", "p99", "p999", "clients", "received", "sent", "memory", "busy"}
	// CoarseColumns are of each server.
	CoarseColumns = []string{"requests", "failed", "errors", "p50", "p99", "queue", "up"}
)

// subjects are the subjects of rounds, shared by all that have the same ones.
type subjects struct {
	list []Subject
	// rounds is how many rounds share it.
	rounds int
}

func (s *subjects) size() int64 {
	n := int64(0)
	for _, one := range s.list {
		n += int64(subjectSize + len(one.Pool) + len(one.Server))
	}
	return n
}

// place is the row of a subject; -1: there is none.
func (s *subjects) place(of Subject) int { return slices.Index(s.list, of) }

// A round is one moment. It is immutable.
type round struct {
	at     int64 // in milliseconds since the epoch
	of     *subjects
	values []float32 // row by row
}

func (r *round) size() int64 { return roundSize + 4*int64(cap(r.values)) }

// A track is the rounds of one kind, the oldest first.
type track struct {
	columns int
	rounds  []round
}

// A Store is the history of a process. The zero value keeps nothing. Its methods may be
// called from any goroutine.
type Store struct {
	mu           sync.Mutex
	fine, coarse track
	limit, used  int64
}

// New returns a store of at most so many bytes; 0: it keeps nothing.
func New(limit int64) *Store {
	return &Store{fine: track{columns: len(FineColumns)}, coarse: track{columns: len(CoarseColumns)}, limit: limit}
}

// SetLimit bounds the store to so many bytes; 0: it keeps nothing.
func (s *Store) SetLimit(limit int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
	s.trim(0)
}

// Memory is how many bytes the rounds take, and how many they may.
func (s *Store) Memory() (used, limit int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used, s.limit
}

// AddFine adds a round of the process and the pools: a row of FineColumns for each
// subject. The store owns both slices from now on.
func (s *Store) AddFine(at time.Time, of []Subject, values []float32) { s.add(&s.fine, at, of, values) }

// AddCoarse adds a round of the servers: a row of CoarseColumns for each subject. The store
// owns both slices from now on.
func (s *Store) AddCoarse(at time.Time, of []Subject, values []float32) {
	s.add(&s.coarse, at, of, values)
}

func (s *Store) add(t *track, at time.Time, of []Subject, values []float32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limit == 0 || len(of)*t.columns != len(values) {
		return
	}
	shared := &subjects{list: of}
	if n := len(t.rounds); n > 0 && slices.Equal(t.rounds[n-1].of.list, of) {
		shared = t.rounds[n-1].of
	}
	s.append(t, round{at: at.UnixMilli(), of: shared, values: values})
	s.trim(at.Add(-Kept).UnixMilli())
}

// append adds a round behind all others of its track.
func (s *Store) append(t *track, r round) {
	if r.of.rounds == 0 {
		s.used += r.of.size()
	}
	r.of.rounds++
	s.used += r.size()
	t.rounds = append(t.rounds, r)
}

// trim drops what is older than a time, and the oldest until the rest is within the bound.
func (s *Store) trim(before int64) {
	for {
		oldest := &s.fine
		if len(s.fine.rounds) == 0 || len(s.coarse.rounds) > 0 && s.coarse.rounds[0].at < s.fine.rounds[0].at {
			oldest = &s.coarse
		}
		if len(oldest.rounds) == 0 || oldest.rounds[0].at >= before && s.used <= s.limit {
			return
		}
		r := &oldest.rounds[0]
		s.used -= r.size()
		if r.of.rounds--; r.of.rounds == 0 {
			s.used -= r.of.size()
		}
		*r = round{}
		oldest.rounds = oldest.rounds[1:]
	}
}

// A Series is what is known of one subject, the oldest first.
type Series struct {
	Columns []string
	// At are the times, in milliseconds since the epoch.
	At []int64
	// Values are by column, then by time.
	Values [][]float32
}

// Of is the history of a subject since a time. A round that does not have it has no place
// in it.
func (s *Store) Of(of Subject, since time.Time) Series {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, columns := &s.fine, FineColumns
	if of.Server != "" {
		t, columns = &s.coarse, CoarseColumns
	}
	found := Series{Columns: columns, Values: make([][]float32, len(columns))}
	from := since.UnixMilli()
	first, _ := slices.BinarySearchFunc(t.rounds, from, func(r round, at int64) int { return int(r.at - at) })
	var last *subjects
	row := -1
	for i := first; i < len(t.rounds); i++ {
		r := &t.rounds[i]
		if r.of != last {
			last, row = r.of, r.of.place(of)
		}
		if row < 0 {
			continue
		}
		found.At = append(found.At, r.at)
		for c := range columns {
			found.Values[c] = append(found.Values[c], r.values[row*len(columns)+c])
		}
	}
	return found
}

// Column is one column of all subjects of a pool's servers since a time: a list of values
// for each, in the order of at. What is not known is NaN.
func (s *Store) Column(pool, column string, since time.Time) (at []int64, of map[string][]float32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := slices.Index(CoarseColumns, column)
	if c < 0 {
		return nil, nil
	}
	of = make(map[string][]float32)
	from := since.UnixMilli()
	for i := range s.coarse.rounds {
		r := &s.coarse.rounds[i]
		if r.at < from {
			continue
		}
		at = append(at, r.at)
		for row, one := range r.of.list {
			if one.Pool != pool {
				continue
			}
			values := of[one.Server]
			for len(values) < len(at)-1 {
				values = append(values, unknown)
			}
			of[one.Server] = append(values, r.values[row*len(CoarseColumns)+c])
		}
	}
	for name, values := range of {
		for len(values) < len(at) {
			values = append(values, unknown)
		}
		of[name] = values
	}
	return at, of
}

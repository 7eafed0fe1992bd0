package history

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"
)

var start = time.UnixMilli(1_700_000_000_000)

// second is a round of the process and some pools; each value tells its row and column.
func second(s *Store, n int, pools ...string) {
	of := []Subject{{}}
	for _, p := range pools {
		of = append(of, Subject{Pool: p})
	}
	values := make([]float32, len(of)*len(FineColumns))
	for i := range values {
		values[i] = float32(n)
	}
	s.AddFine(start.Add(time.Duration(n)*time.Second), of, values)
}

// TestSeries: a subject's values in order, by column, since a time; rounds without it have no
// place.
func TestSeries(t *testing.T) {
	s := New(1 << 20)
	second(s, 1, "a")
	second(s, 2, "b")
	second(s, 3, "a", "b")
	second(s, 4, "a", "b")
	for _, tt := range []struct {
		of    Subject
		since int
		want  []float32
	}{
		{Subject{}, 0, []float32{1, 2, 3, 4}},
		{Subject{}, 3, []float32{3, 4}},
		{Subject{Pool: "a"}, 0, []float32{1, 3, 4}},
		{Subject{Pool: "b"}, 2, []float32{2, 3, 4}},
		{Subject{Pool: "none"}, 0, nil},
	} {
		got := s.Of(tt.of, start.Add(time.Duration(tt.since)*time.Second))
		if !slices.Equal(got.Columns, FineColumns) || len(got.At) != len(tt.want) {
			t.Errorf("%v since %d: %+v", tt.of, tt.since, got)
		}
		for c := range got.Values {
			if !slices.Equal(got.Values[c], tt.want) {
				t.Errorf("%v since %d: %s is %v, want %v", tt.of, tt.since, got.Columns[c], got.Values[c], tt.want)
			}
		}
	}
}

// TestColumn: one value of all servers of a pool; a server that came later has none before.
func TestColumn(t *testing.T) {
	s := New(1 << 20)
	row := func(v float32) []float32 { return slices.Repeat([]float32{v}, len(CoarseColumns)) }
	s.AddCoarse(start, []Subject{{"a", "one"}, {"b", "other"}}, append(row(1), row(9)...))
	s.AddCoarse(start.Add(CoarseStep), []Subject{{"a", "one"}, {"a", "two"}}, append(row(2), row(3)...))
	s.AddCoarse(start.Add(2*CoarseStep), []Subject{{"a", "two"}}, row(4))
	at, of := s.Column("a", "queue", start)
	if len(at) != 3 || len(of) != 2 || fmt.Sprint(of["one"], of["two"]) != "[1 2 NaN] [NaN 3 4]" {
		t.Errorf("%v %v", at, of)
	}
	if at, of := s.Column("a", "no such", start); at != nil || of != nil {
		t.Errorf("an unknown column: %v %v", at, of)
	}
	if one := s.Of(Subject{"a", "one"}, start); len(one.At) != 2 || one.Values[0][1] != 2 {
		t.Errorf("%+v", one)
	}
}

// TestBound: the memory is kept to, the oldest goes first, whichever kind it is; and nothing
// is older than an hour.
func TestBound(t *testing.T) {
	s := New(20_000)
	for n := range 300 {
		second(s, n, "a", "b")
		if n%10 == 0 {
			of := []Subject{{"a", "one"}, {"b", "two"}}
			s.AddCoarse(start.Add(time.Duration(n)*time.Second), of, make([]float32, len(of)*len(CoarseColumns)))
		}
		if used, limit := s.Memory(); used > limit || limit != 20_000 {
			t.Fatalf("%d of %d bytes after %d rounds", used, limit, n)
		}
	}
	fine, coarse := s.Of(Subject{}, start), s.Of(Subject{"a", "one"}, start)
	if len(fine.At) < 50 || fine.At[len(fine.At)-1] != start.Add(299*time.Second).UnixMilli() {
		t.Errorf("%d seconds are kept, the last is %v", len(fine.At), fine.At[len(fine.At)-1])
	}
	if len(coarse.At) < 5 || fine.At[0]-coarse.At[0] > CoarseStep.Milliseconds() || coarse.At[0]-fine.At[0] > CoarseStep.Milliseconds() {
		t.Errorf("seconds reach back to %d, ten seconds to %d", fine.At[0], coarse.At[0])
	}
	s.SetLimit(0)
	if used, _ := s.Memory(); used != 0 {
		t.Errorf("an empty store takes %d bytes", used)
	}
	second(s, 301)
	if got := s.Of(Subject{}, start); len(got.At) != 0 {
		t.Error("a store without memory keeps rounds")
	}

	s = New(1 << 30)
	second(s, 0)
	second(s, 10)
	second(s, 3605)
	if got := s.Of(Subject{}, start); len(got.At) != 2 {
		t.Errorf("%d rounds within an hour, want 2", len(got.At))
	}
}

// TestHandOver: what one store has stands before what the other has seen itself, once.
func TestHandOver(t *testing.T) {
	old, next := New(1<<20), New(1<<20)
	for n := range 10 {
		second(old, n, "a")
	}
	old.AddCoarse(start, []Subject{{"a", "one"}}, []float32{1, 2, 3, 4, 5, 6, float32(math.NaN())})
	second(next, 7, "a", "new")
	second(next, 8, "a", "new")
	var b bytes.Buffer
	spans := []Span{{At: 5, Counted: []Counted{{Subject: Subject{"a", "one"}, Numbers: []int64{1, 2}, Errors: []Named{{"OOM", 3}}, Times: []Time{{4, 5}}}}}}
	with := Beside{spans, []Event{{Time: 7, For: 8, Kind: "paused", Pool: "a", Text: "it is"}}, []Failing{{Subject{"a", "one"}, 9}}}
	if err := old.HandOver(&b, with); err != nil {
		t.Fatal(err)
	}
	text := b.Bytes()
	if n, came, err := next.Merge(bytes.NewReader(text)); n != 8 || err != nil || !reflect.DeepEqual(came, with) {
		t.Errorf("%d rounds, %v; want 7 seconds and 1 of servers; with %+v", n, err, came)
	}
	if got := next.Of(Subject{Pool: "a"}, start); !slices.Equal(got.Values[0], []float32{0, 1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("%v", got.Values[0])
	}
	if got := next.Of(Subject{Pool: "new"}, start); len(got.At) != 2 {
		t.Errorf("the new pool has %d values", len(got.At))
	}
	if got := next.Of(Subject{"a", "one"}, start); len(got.At) != 1 || got.Values[5][0] != 6 || got.Values[6][0] == got.Values[6][0] {
		t.Errorf("%+v", got)
	}
	second(next, 9, "a")
	if used, _ := next.Memory(); used <= 0 {
		t.Errorf("%d bytes", used)
	}

	// What ends half way, or is nothing, changes nothing.
	for _, n := range []int{0, 1, len(text) / 2, len(text) - 1} {
		fresh := New(1 << 20)
		if taken, came, err := fresh.Merge(bytes.NewReader(text[:n])); taken != 0 || came.Spans != nil || err == nil || n == 0 && !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes: %d rounds, %v", n, taken, err)
		}
	}
	// A store with less memory keeps the latest.
	small := New(2000)
	if _, _, err := small.Merge(bytes.NewReader(append(slices.Clip(text), make([]byte, 10)...))); err == nil {
		got := small.Of(Subject{}, start)
		if used, _ := small.Memory(); used > 2000 || len(got.At) > 0 && got.Values[0][len(got.At)-1] != 9 {
			t.Errorf("%d bytes, %v", used, got.Values[0])
		}
	}
}

// TestHandOverOfAnEarlierRelease: it has neither spans nor events.
func TestHandOverOfAnEarlierRelease(t *testing.T) {
	old, next := New(1<<20), New(1<<20)
	second(old, 0, "a")
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(struct{ Fine, Coarse tape }{taped(&old.fine, FineColumns), taped(&old.coarse, CoarseColumns)}); err != nil {
		t.Fatal(err)
	}
	if n, with, err := next.Merge(&b); n != 1 || with.Spans != nil || with.Events != nil || err != nil {
		t.Errorf("%d rounds, %v, %v", n, with, err)
	}
}

// TestOtherColumns: a release that has other columns hands them over by their names.
func TestOtherColumns(t *testing.T) {
	s := New(1 << 20)
	p := tape{
		Columns: []string{"gone", "failed"}, Subjects: [][]Subject{{{}, {Pool: "a"}}}, At: []int64{start.UnixMilli(), 5, start.UnixMilli() + 1},
		Of: []int{0, 0, 7}, Values: [][]float32{{1, 2, 3, 4}, {1, 2, 3, 4}, {1, 2, 3, 4}},
	}
	s.mu.Lock()
	taken := s.prepend(&s.fine, &p, FineColumns)
	s.mu.Unlock()
	got := s.Of(Subject{Pool: "a"}, start)
	if taken != 1 || got.Values[1][0] != 4 || got.Values[0][0] == got.Values[0][0] {
		t.Errorf("%d rounds: %+v", taken, got)
	}
}

package stats

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
)

var twoPools = Layout{
	{Name: "alpha", Servers: []string{"127.0.0.1:6379", "named"}},
	{Name: "beta", Servers: []string{"127.0.0.1:6380"}},
}

func TestSumMergesByKind(t *testing.T) {
	a, b := NewShard(twoPools), NewShard(twoPools)
	a.TotalConnections, b.TotalConnections = 7, 5
	a.CurrConnections, b.CurrConnections = 2, 1
	a.Pools[0].Values[Fragments] = 10
	b.Pools[0].Values[Fragments] = 3
	a.Pools[0].Servers[1][ServerConnections] = 2
	b.Pools[0].Servers[1][ServerConnections] = 4
	a.Pools[1].Vectors[FailedRequests][3] = 2
	b.Pools[1].Vectors[FailedRequests][3] = 4
	a.Pools[0].Reasons[1][ClosedConnections][5] = 6
	b.Pools[0].Reasons[1][ClosedConnections][5] = 1
	a.Values[Turns], b.Values[Turns] = 11, 12
	a.Pools[1].Servers[0][ServerEjectedAt] = 1_700_000_000_000_000
	b.Pools[1].Servers[0][ServerEjectedAt] = 1_600_000_000_000_000

	s := Sum(twoPools, []*Shard{a, b})
	for _, c := range []struct {
		what      string
		got, want int64
	}{
		{"total connections", s.TotalConnections, 12},
		{"current connections", s.CurrConnections, 3},
		{"counter", s.Pools[0].Values[Fragments], 13},
		{"gauge", s.Pools[0].Servers[1].Values[ServerConnections], 6},
		{"timestamp", s.Pools[1].Servers[0].Values[ServerEjectedAt], 1_700_000_000_000_000},
		{"pool's vector", s.Pools[1].Vectors[FailedRequests][3], 6},
		{"server's vector", s.Pools[0].Servers[1].Vectors[ClosedConnections][5], 7},
		{"another reason", s.Pools[0].Servers[1].Vectors[ClosedConnections][4], 0},
		{"first loop's", s.Loops[0][Turns], 11},
		{"second loop's", s.Loops[1][Turns], 12},
		{"untouched", s.Pools[0].Servers[0].Values[Requests], 0},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %d, want %d", c.what, c.got, c.want)
		}
	}
}

func TestSumMatchesShardsOfAnotherLayoutByName(t *testing.T) {
	old := NewShard(twoPools)
	old.Pools[0].Servers[0][Requests] = 100 // "127.0.0.1:6379", gone from the new layout
	old.Pools[0].Servers[1][Requests] = 5   // "named"
	old.Pools[1].Values[ClientEOF] = 100    // "beta", gone
	layout := Layout{
		{Name: "gamma", Servers: []string{"named"}},
		{Name: "alpha", Servers: []string{"new", "named"}},
	}
	fresh := NewShard(layout)
	fresh.Pools[1].Servers[1][Requests] = 2

	s := Sum(layout, []*Shard{old, fresh})
	got := []int64{
		s.Pools[0].Servers[0].Values[Requests],
		s.Pools[1].Servers[0].Values[Requests],
		s.Pools[1].Servers[1].Values[Requests],
	}
	if want := []int64{0, 0, 7}; !reflect.DeepEqual(got, want) {
		t.Errorf("requests of gamma/named, alpha/new, alpha/named: got %v, want %v", got, want)
	}
	if got := s.Pools[0].Values[ClientEOF]; got != 0 {
		t.Errorf("gamma has %d client_eof, which belong to beta", got)
	}
}

func TestCopyIsIndependent(t *testing.T) {
	s, dst := NewShard(twoPools), NewShard(twoPools)
	s.Pools[1].Servers[0][Responses] = 9
	s.CurrConnections = 3
	s.Copy(dst)
	s.Pools[1].Servers[0][Responses] = 10
	s.CurrConnections = 4
	if got := dst.Pools[1].Servers[0][Responses]; got != 9 {
		t.Errorf("the copy's responses: got %d, want 9", got)
	}
	if dst.CurrConnections != 3 {
		t.Errorf("the copy's connections: got %d, want 3", dst.CurrConnections)
	}
	if n := testing.AllocsPerRun(100, func() { s.Copy(dst) }); n != 0 {
		t.Errorf("Copy into a shard of the same layout allocates %v times", n)
	}
}

func TestCopyTakesOverAnotherShape(t *testing.T) {
	s := NewShard(Layout{{Name: "alpha", Servers: []string{"a", "b", "c"}}})
	s.Pools[0].Servers[2][Requests] = 4
	dst := NewShard(twoPools)
	s.Copy(dst)
	if len(dst.Pools) != 1 || len(dst.Pools[0].Servers) != 3 || dst.Pools[0].Servers[2][Requests] != 4 {
		t.Errorf("the copy has %d pools: %+v", len(dst.Pools), dst.Pools)
	}
	if got := Sum(s.layout, []*Shard{dst}).Pools[0].Servers[2].Values[Requests]; got != 4 {
		t.Errorf("summed under the new layout: got %d, want 4", got)
	}
}

// Run with -race this shows that a copy handed over a channel is all the
// synchronisation that readers need.
func TestShardsAreReadThroughTheirOwners(t *testing.T) {
	const loops, turns = 4, 1000
	type loop struct {
		post  chan *Shard // the reader asks
		done  chan *Shard // the loop has copied
		added chan struct{}
	}
	all := make([]loop, loops)
	var wg sync.WaitGroup
	for i := range all {
		l := loop{make(chan *Shard), make(chan *Shard), make(chan struct{})}
		all[i] = l
		wg.Go(func() {
			s := NewShard(twoPools)
			for range turns {
				s.Pools[0].Values[ClientConnections]++
				select {
				case dst := <-l.post:
					s.Copy(dst)
					l.done <- dst
				default:
				}
			}
			close(l.added)
			for dst := range l.post {
				s.Copy(dst)
				l.done <- dst
			}
		})
	}
	copies := make([]*Shard, loops)
	read := func() int64 {
		for i, l := range all {
			copies[i] = NewShard(twoPools)
			l.post <- copies[i]
			<-l.done
		}
		return Sum(twoPools, copies).Pools[0].Values[ClientConnections]
	}
	if got := read(); got < 0 || got > loops*turns {
		t.Errorf("a sum under way is %d, beyond 0..%d", got, loops*turns)
	}
	for _, l := range all {
		<-l.added
	}
	if got := read(); got != loops*turns {
		t.Errorf("sum of all loops: got %d, want %d", got, loops*turns)
	}
	for _, l := range all {
		close(l.post)
	}
	wg.Wait()
}

// allFields are the rows of all tables, by level.
func allFields() map[string][]Field {
	return map[string][]Field{
		"pool": append(PoolFields[:], PoolVectors[:]...), "server": append(ServerFields[:], ServerVectors[:]...),
		"loop": LoopFields[:],
	}
}

func TestFieldTablesAreComplete(t *testing.T) {
	prom := map[string]bool{}
	for level, fields := range allFields() {
		seen := map[string]bool{}
		for i, f := range fields {
			if f.Name == "" || f.Help == "" || strings.ContainsAny(f.Help, "\"\n") {
				t.Errorf("row %d of %s is not usable: %+v", i, level, f)
			}
			if seen[f.Name] {
				t.Errorf("%q names two statistics of a %s", f.Name, level)
			}
			seen[f.Name] = true
			if prom[f.Prom] {
				t.Errorf("%q names two statistics in Prometheus", f.Prom)
			}
			prom[f.Prom] = true
			checkPrometheusName(t, f)
		}
	}
}

// checkPrometheusName holds a name against Prometheus's conventions.
func checkPrometheusName(t *testing.T, f Field) {
	t.Helper()
	base, total := strings.CutSuffix(f.Prom, "_total")
	if total != (f.Kind == Counter) {
		t.Errorf("%s is a %s named %q", f.Name, f.Kind, f.Prom)
	}
	unit := map[Unit]string{Bytes: "_bytes", Nanoseconds: "_seconds", Microseconds: "_seconds"}[f.Unit]
	if !strings.HasPrefix(base, "nuthatch_") || !strings.HasSuffix(base, unit) {
		t.Errorf("%s counts %q and is named %q", f.Name, f.Unit, f.Prom)
	}
}

func TestUnits(t *testing.T) {
	for _, c := range []struct {
		u    Unit
		text string
		want float64
	}{{Things, "", 1500}, {Bytes, "bytes", 1500}, {Nanoseconds, "nanoseconds", 1.5e-6}, {Microseconds, "microseconds", 1.5e-3}, {99, "unknown", 1500}} {
		if c.u.String() != c.text || c.u.Base(1500) != c.want {
			t.Errorf("unit %d: %q, 1500 is %v, want %q and %v", c.u, c.u, c.u.Base(1500), c.text, c.want)
		}
	}
}

func TestKindStrings(t *testing.T) {
	for k, want := range map[Kind]string{Counter: "counter", Gauge: "gauge", Timestamp: "timestamp", 99: "unknown"} {
		if got := k.String(); got != want {
			t.Errorf("Kind(%d): got %q, want %q", uint8(k), got, want)
		}
	}
}

func TestDocumentIsValidJSONWhateverTheNames(t *testing.T) {
	odd := "q\"\\\x01\x7f<&>é\xff"
	want := "q\"\\\x01\x7f<&>é\uFFFD"
	for _, layout := range []Layout{
		nil,
		{{Name: odd}},
		{{Name: odd, Servers: []string{odd}}, {Name: "b", Servers: []string{"x", "y"}}},
	} {
		t.Run(fmt.Sprint(len(layout)), func(t *testing.T) {
			s := Sum(layout, []*Shard{NewShard(layout)})
			s.Source = odd
			doc := s.AppendJSON(nil)
			var m map[string]any
			if err := json.Unmarshal(doc, &m); err != nil {
				t.Fatalf("%v in %s", err, doc)
			}
			if m["source"] != want {
				t.Errorf("source: got %q, want %q", m["source"], want)
			}
			if len(layout) > 0 && m[want] == nil {
				t.Errorf("pool %q is missing in %s", want, doc)
			}
			if !strings.HasSuffix(string(doc), "}\n") {
				t.Errorf("the document ends with %q", doc[len(doc)-2:])
			}
		})
	}
}

func TestAppendJSONAppends(t *testing.T) {
	s := Sum(twoPools, nil)
	got := s.AppendJSON([]byte("before"))
	if want := "before" + string(s.AppendJSON(nil)); string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

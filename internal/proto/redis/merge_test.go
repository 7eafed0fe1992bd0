package redis

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// A part is a fragment's reply, or why there is none.
type part struct {
	reply string
	err   msg.Reason
}

// split makes the message of a request that was split; the first chunk of each
// reply ends behind cut bytes, if cut is not 0.
// The servers are s1, s2 and so on.
func split(p *mbuf.Pool, name string, parts []part, seq []uint16, cut int) *msg.Msg {
	m := &msg.Msg{Type: rowOf(name).id, Nkeys: int32(len(seq)), Seq: seq}
	for i, part := range parts {
		f := &msg.Msg{Err: part.err, Parent: m, Via: wayTo(fmt.Sprintf("s%d", i+1))}
		if n := min(cut, len(part.reply)); n > 0 {
			chain := chainOf(p, []byte(part.reply), n)
			f.Reply, *chain = *chain, mbuf.Chain{}
		} else {
			f.Reply.AppendString(p, part.reply)
		}
		m.Frags = append(m.Frags, f)
	}
	countKeys(m)
	return m
}

// A wayTo is the way to a server of that name.
type wayTo string

func (w wayTo) ServerName() string { return string(w) }
func (w wayTo) ReadyAt() int64     { return 0 }

// countKeys tells each fragment how many of the keys are its.
func countKeys(m *msg.Msg) {
	for _, f := range m.Seq {
		m.Frags[f].Nkeys++
	}
}

// replies makes parts of replies.
func replies(texts ...string) []part {
	var parts []part
	for _, s := range texts {
		parts = append(parts, part{reply: s})
	}
	return parts
}

func TestMerge(t *testing.T) {
	broken := part{err: msg.ConnRefused}
	tests := []struct {
		name, command string
		parts         []part
		seq           []uint16
		want          string
		failed        bool
	}{
		{
			"elements in the order of the keys", "mget",
			replies("*2\r\n$1\r\na\r\n$2\r\ncc\r\n", "*1\r\n$-1\r\n", "*1\r\n$0\r\n\r\n"),
			[]uint16{0, 1, 0, 2},
			"*4\r\n$1\r\na\r\n$-1\r\n$2\r\ncc\r\n$0\r\n\r\n", false,
		},
		{
			"elements of any kind", "mget",
			replies("*2\r\n:5\r\n*2\r\n$1\r\nx\r\n*1\r\n+y\r\n", "*3\r\n-ERR z\r\n|1\r\n+k\r\n:1\r\n+v\r\n%1\r\n+k\r\n$2\r\nvv\r\n"),
			[]uint16{1, 0, 1, 0, 1},
			"*5\r\n-ERR z\r\n:5\r\n|1\r\n+k\r\n:1\r\n+v\r\n*2\r\n$1\r\nx\r\n*1\r\n+y\r\n%1\r\n+k\r\n$2\r\nvv\r\n", false,
		},
		{"sum", "del", replies(":2\r\n", ":0\r\n", ":40\r\n"), []uint16{2, 1, 0}, ":42\r\n", false},
		{"sum", "unlink", replies(":1\r\n", ":1\r\n"), []uint16{0, 1}, ":2\r\n", false},
		{"sum", "exists", replies(":1\r\n", ":3\r\n"), []uint16{0, 1}, ":4\r\n", false},
		{"sum", "touch", replies(":1\r\n", ":0\r\n"), []uint16{0, 1}, ":1\r\n", false},
		{"ok", "mset", replies("+OK\r\n", "+OK\r\n"), []uint16{0, 1}, "+OK\r\n", false},

		{"a server's error", "mget", replies("*1\r\n$-1\r\n", "-LOADING a b\r\n"), []uint16{0, 1}, "-LOADING a b\r\n", false},
		{"the first key's server's error", "del", replies("-A\r\n", ":1\r\n", "-B\r\n"), []uint16{1, 2, 0}, "-B\r\n", false},
		{"a server's error", "mset", replies("+OK\r\n", "-OOM x\r\n"), []uint16{0, 1}, "-OOM x\r\n", false},
		{"a server's error", "mget", replies("!3\r\nabc\r\n", "*1\r\n$-1\r\n"), []uint16{1, 0}, "!3\r\nabc\r\n", false},

		{"a failure", "mget", []part{{reply: "*1\r\n$-1\r\n"}, broken}, []uint16{0, 1}, "-ERR Connection refused\r\n", true},
		{"the first failure", "del", []part{{reply: ":1\r\n"}, {err: msg.Timedout}, broken}, []uint16{0, 2, 1}, "-ERR Connection timed out\r\n", true},
		{"a failure before an error", "mset", []part{{reply: "-OOM x\r\n"}, broken}, []uint16{0, 1}, "-ERR Connection refused\r\n", true},

		{"no array", "mget", replies("*1\r\n$-1\r\n", "+QUEUED\r\n"), []uint16{0, 1}, "-ERR Invalid argument\r\n", true},
		{"too few elements", "mget", replies("*1\r\n$-1\r\n", "*1\r\n$-1\r\n"), []uint16{0, 1, 1}, "-ERR Invalid argument\r\n", true},
		{"too many elements", "mget", replies("*2\r\n$-1\r\n$-1\r\n", "*1\r\n$-1\r\n"), []uint16{0, 1}, "-ERR Invalid argument\r\n", true},
		{"a null array", "mget", replies("*-1\r\n", "*1\r\n$-1\r\n"), []uint16{0, 1}, "-ERR Invalid argument\r\n", true},
		{"no number", "del", replies(":1\r\n", "+OK\r\n"), []uint16{0, 1}, "-ERR Invalid argument\r\n", true},
		{"no status", "mset", replies("+OK\r\n", ":1\r\n"), []uint16{0, 1}, "-ERR Invalid argument\r\n", true},
	}
	for _, tt := range tests {
		t.Run(tt.command+" "+tt.name, func(t *testing.T) {
			longest := 0
			for _, p := range tt.parts {
				longest = max(longest, len(p.reply))
			}
			for cut := range longest {
				var pool mbuf.Pool
				p := New(Options{})
				m := split(&pool, tt.command, tt.parts, tt.seq, cut)
				var out mbuf.Chain
				failed := p.Merge(m, &pool, &out)
				if got := string(out.AppendTo(nil)); got != tt.want || failed != tt.failed {
					t.Errorf("cut at %d: %q, failed %t, want %q, %t", cut, got, failed, tt.want, tt.failed)
				}
				out.Release(&pool)
				if pool.Live() != 0 {
					t.Errorf("cut at %d: %d chunks are still in use", cut, pool.Live())
				}
			}
		})
	}
}

// TestMergeAtRandom interleaves values of all sizes, from empty ones to some that
// fill several chunks.
func TestMergeAtRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var pool mbuf.Pool
	p := New(Options{})
	for range 200 {
		nfrags, nkeys := 1+rnd.IntN(5), 1+rnd.IntN(60)
		want := fmt.Sprintf("*%d\r\n", nkeys)
		counts, bodies := make([]int, nfrags), make([]string, nfrags)
		var seq []uint16
		for range nkeys {
			f := rnd.IntN(nfrags)
			element := "$-1\r\n"
			if n := rnd.IntN(1 << rnd.IntN(19)); n > 0 {
				element = fmt.Sprintf("$%d\r\n%s\r\n", n-1, strings.Repeat(string(rune('a'+f)), n-1))
			}
			want += element
			bodies[f] += element
			counts[f]++
			seq = append(seq, uint16(f))
		}
		var parts []part
		for f := range nfrags {
			parts = append(parts, part{reply: fmt.Sprintf("*%d\r\n%s", counts[f], bodies[f])})
		}
		m := split(&pool, "mget", parts, seq, rnd.IntN(2)*(1+rnd.IntN(mbuf.SmallSize)))
		var out mbuf.Chain
		if p.Merge(m, &pool, &out) {
			t.Fatal("the merge failed")
		}
		if got := string(out.AppendTo(nil)); got != want {
			t.Fatalf("%d keys over %d fragments: %d bytes differ from the %d wanted", nkeys, nfrags, len(got), len(want))
		}
		out.Release(&pool)
	}
	if pool.Live() != 0 {
		t.Errorf("%d chunks are still in use", pool.Live())
	}
}

// TestMergeSharesLargeValues: large values are not copied.
func TestMergeSharesLargeValues(t *testing.T) {
	var pool mbuf.Pool
	value := fmt.Sprintf("$%d\r\n%s\r\n", 1<<20, strings.Repeat("v", 1<<20))
	m := split(&pool, "mget", replies("*1\r\n"+value, "*1\r\n"+value), []uint16{1, 0}, 0)
	before := pool.InUse()
	var out mbuf.Chain
	New(Options{}).Merge(m, &pool, &out)
	if more := pool.InUse() - before; more > 64<<10 {
		t.Errorf("merging 2 MB took %d bytes more", more)
	}
	if got, want := string(out.AppendTo(nil)), "*2\r\n"+value+value; got != want {
		t.Errorf("%d bytes differ from the %d wanted", len(got), len(want))
	}
	out.Release(&pool)
	if pool.Live() != 0 {
		t.Errorf("%d chunks are still in use", pool.Live())
	}
}

// mgetParts is the message of an MGET of n keys over three servers.
func mgetParts(n int, value string) (fill func(*mbuf.Pool) *msg.Msg) {
	bodies, counts := [3]string{}, [3]int{}
	m := &msg.Msg{Type: lookup([]byte("mget")).id, Nkeys: int32(n)}
	var builders [3]strings.Builder
	rnd := rand.New(rand.NewPCG(3, 4))
	for range n {
		f := rnd.IntN(3)
		fmt.Fprintf(&builders[f], "$%d\r\n%s\r\n", len(value), value)
		counts[f]++
		m.Seq = append(m.Seq, uint16(f))
	}
	for f := range bodies {
		bodies[f] = fmt.Sprintf("*%d\r\n%s", counts[f], builders[f].String())
		m.Frags = append(m.Frags, &msg.Msg{})
	}
	countKeys(m)
	return func(p *mbuf.Pool) *msg.Msg {
		for f := range bodies {
			m.Frags[f].Reply.AppendString(p, bodies[f])
		}
		return m
	}
}

func TestMergeDoesNotAllocate(t *testing.T) {
	var pool mbuf.Pool
	var out mbuf.Chain
	p := New(Options{})
	fill := mgetParts(100, strings.Repeat("v", 60))
	if allocs := testing.AllocsPerRun(100, func() {
		p.Merge(fill(&pool), &pool, &out)
		out.Release(&pool)
	}); allocs != 0 {
		t.Errorf("merging an MGET of 100 keys allocates %v times", allocs)
	}
}

// TestFragments splits requests and puts the pieces together again.
func TestFragments(t *testing.T) {
	tests := []struct {
		request string
		pick    []int
		want    string
	}{
		{string(resp("MGET", "a", "bb", "ccc")), []int{0, 2}, string(resp("mget", "a", "ccc"))},
		{string(resp("mSET", "a", "1", "b", strings.Repeat("v", 9000), "", "")), []int{1, 2}, string(resp("mset", "b", strings.Repeat("v", 9000), "", ""))},
		{string(resp("DEL", "a", "b")), []int{1}, string(resp("del", "b"))},
		{string(resp("UNLINK", "a", "b")), []int{0}, string(resp("unlink", "a"))},
		{string(resp("EXISTS", "a", "a")), []int{0, 1}, string(resp("exists", "a", "a"))},
		{string(resp("TOUCH", "a", "b")), []int{0}, string(resp("touch", "a"))},
		{"mset a 'b c' \"d\\n\" e\r\n", []int{1}, string(resp("mset", "d\n", "e"))},
	}
	for _, tt := range tests {
		t.Run(tt.want[:20], func(t *testing.T) {
			for cut := range min(len(tt.request), mbuf.SmallSize) {
				var pool mbuf.Pool
				p := New(Options{})
				parser := p.NewRequestParser()
				if n, done, err := parser.Parse([]byte(tt.request)); n != len(tt.request) || !done || err != nil {
					t.Fatal(n, done, err)
				}
				in := chainOf(&pool, []byte(tt.request), cut+1)
				r := parser.FinishChain(in)
				if r.Treatment != msg.Fragment {
					t.Fatalf("treatment %d, want Fragment", r.Treatment)
				}
				var out mbuf.Chain
				p.FragmentHead(r, len(tt.pick), &pool, &out)
				// The keys that are not picked are dealt to nobody.
				dealt := make([]uint16, r.Nkeys)
				for _, i := range tt.pick {
					dealt[i] = 1
				}
				p.FragmentKeys(r, 0, dealt, &pool, []*mbuf.Chain{nil, &out})
				p.FragmentTail(r, &pool, &out)
				if got := string(out.AppendTo(nil)); got != tt.want {
					t.Errorf("cut at %d: %.100q, want %.100q", cut+1, got, tt.want)
				}
				out.Release(&pool)
				in.Release(&pool)
			}
		})
	}
}

package redis

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// inSlices merges as Merge does, a key at a time, with another request merged at once
// between any two.
func inSlices(t *testing.T, p *Protocol, m *msg.Msg, pool *mbuf.Pool, out *mbuf.Chain) (failed bool) {
	t.Helper()
	for range 10_000 {
		done, failed := p.MergeSome(m, 1, pool, out)
		if done {
			return failed
		}
		var other mbuf.Chain
		p.Merge(split(pool, "mget", replies("*1\r\n$1\r\na\r\n", "*1\r\n$1\r\nb\r\n"), []uint16{1, 0}, 0), pool, &other)
		if got := string(other.AppendTo(nil)); got != "*2\r\n$1\r\nb\r\n$1\r\na\r\n" {
			t.Fatalf("a request merged between two slices gets %q", got)
		}
		other.Release(pool)
	}
	t.Fatal("merging does not end")
	return false
}

// Replies that are merged in slices come out as if they were merged at once.
func TestMergeSome(t *testing.T) {
	p := New(Options{})
	for _, tt := range mergeAllTests {
		t.Run(tt.command+" "+tt.name, func(t *testing.T) {
			var pool mbuf.Pool
			var out mbuf.Chain
			if tt.command == "randomkey" || tt.command == "script|load" {
				return // picked at random, or remembered
			}
			failed := inSlices(t, p, split(&pool, tt.command, tt.parts, nil, 3), &pool, &out)
			if got := string(out.AppendTo(nil)); got != tt.want || failed != tt.failed {
				t.Errorf("%q, failed %t, want %q, %t", got, failed, tt.want, tt.failed)
			}
			out.Release(&pool)
			if pool.Live() != 0 {
				t.Errorf("%d chunks are still in use", pool.Live())
			}
		})
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		bodies := make([]string, 3)
		counts := make([]int, 3)
		var seq []uint16
		n := 1 + rnd.IntN(50)
		for range n {
			f := rnd.IntN(3)
			seq = append(seq, uint16(f))
			counts[f]++
			bodies[f] += bulkOf(strings.Repeat("v", rnd.IntN(60)*rnd.IntN(100)))
		}
		var texts []string
		for f, body := range bodies {
			texts = append(texts, fmt.Sprintf("*%d\r\n%s", counts[f], body))
		}
		var pool mbuf.Pool
		var once, some mbuf.Chain
		p.Merge(split(&pool, "mget", replies(texts...), seq, 100), &pool, &once)
		inSlices(t, p, split(&pool, "mget", replies(texts...), seq, 100), &pool, &some)
		if !sameBytes(&once, &some) {
			t.Fatalf("%d keys are merged to %d bytes in slices, to %d at once", n, some.Len(), once.Len())
		}
		once.Release(&pool)
		some.Release(&pool)
	}
}

// A request whose merging is given up leaves nothing behind, and the next one is
// merged from its beginning.
func TestMergeStop(t *testing.T) {
	p := New(Options{})
	var pool mbuf.Pool
	for _, tt := range []struct {
		command string
		seq     []uint16
		parts   []part
	}{
		{"mget", []uint16{0, 1, 0}, replies("*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*1\r\n$1\r\nc\r\n")},
		{"pubsub|numsub", nil, replies("*4\r\n+a\r\n:1\r\n+b\r\n:2\r\n", "*4\r\n+a\r\n:1\r\n+b\r\n:2\r\n")},
	} {
		var out mbuf.Chain
		m := split(&pool, tt.command, tt.parts, tt.seq, 0)
		for range 2 {
			if done, _ := p.MergeSome(m, 1, &pool, &out); done {
				t.Fatalf("%s is merged in one slice of one key", tt.command)
			}
		}
		p.MergeStop(&pool)
		out.Release(&pool)
		for _, f := range m.Frags {
			f.Reply.Release(&pool)
		}
		if pool.Live() != 0 {
			t.Errorf("%s: %d chunks are still in use", tt.command, pool.Live())
		}
	}
	var out mbuf.Chain
	inSlices(t, p, split(&pool, "del", replies(":1\r\n", ":2\r\n"), []uint16{0, 1, 1}, 0), &pool, &out)
	if got := string(out.AppendTo(nil)); got != ":3\r\n" {
		t.Errorf("the next request gets %q", got)
	}
	out.Release(&pool)
}

// A request whose words are found in slices is the request that is found at once,
// whatever other requests are parsed meanwhile.
func TestReady(t *testing.T) {
	many := func(n int, first ...string) []string {
		for i := range n {
			first = append(first, strings.Repeat("k", i%50))
		}
		return first
	}
	for _, data := range [][]byte{
		resp(many(500, "MGET")...),
		resp(many(401, "MSET")...),
		resp(many(300, "ZUNIONSTORE", "dest", "300")...),
		resp(many(300, "EVAL", "return 1", "17")...),
		resp(many(100, "SORT", "key", "STORE", "other", "GET")...),
		resp(many(100, "UNHEARDOF")...),
		resp(many(40, "XREAD", "STREAMS")...),
		resp("GET", "key"),
		[]byte("MGET " + strings.Repeat("a 'b c' ", 200) + "\r\n"),
		[]byte("PING\r\n"),
	} {
		for _, step := range []int{1, 7, 1000} {
			var pool mbuf.Pool
			p := New(Options{})
			once := chainOf(&pool, data, 100)
			at := p.NewRequestParser()
			parseChain(t, at, once)
			want := at.FinishChain(once)
			wanted, text := *want, words(want)
			wanted.Args = slices.Clone(want.Args)
			at.Forget()

			some := p.NewRequestParser()
			parseChain(t, some, once)
			n := some.Words()
			view := mbuf.Whole(once)
			read := 0
			for ready := false; !ready; {
				var more int
				more, ready = some.Ready(&view, step)
				if read += more; more > step+1 {
					t.Fatalf("a slice of %d words has %d", step, more)
				}
				parseAll(t, p.NewRequestParser(), resp("MGET", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"))
			}
			if read != n {
				t.Errorf("%.20q: %d words in slices, %d in all", data, read, n)
			}
			got := some.FinishChain(once)
			if !slices.Equal(got.Args, wanted.Args) || !slices.Equal(words(got), text) || got.Type != wanted.Type ||
				got.Treatment != wanted.Treatment || got.FirstKey != wanted.FirstKey || got.Nkeys != wanted.Nkeys || got.Error != wanted.Error {
				t.Errorf("%.20q, %d words a slice: %+v, want %+v", data, step, got, wanted)
			}
			some.Forget()
			once.Release(&pool)
		}
	}
}

// A request that is read again, since it waited, has its words where no other request is
// written, and so has the next one.
func TestReadyAgain(t *testing.T) {
	var pool mbuf.Pool
	p := New(Options{})
	small := resp("MGET", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j")
	request := []string{"MGET"}
	for i := range 100 {
		request = append(request, strings.Repeat("k", i%50))
	}
	for range 3 {
		data := chainOf(&pool, resp(request...), 100)
		some := p.NewRequestParser()
		for again := range 3 {
			parseChain(t, some, data)
			view := mbuf.Whole(data)
			for ready := false; !ready; {
				_, ready = some.Ready(&view, 7)
				parseAll(t, p.NewRequestParser(), small)
			}
			got := some.FinishChain(data)
			parseAll(t, p.NewRequestParser(), small)
			if !slices.Equal(words(got), request) {
				t.Fatalf("when it was read %d times it is %.200q", again+1, words(got))
			}
		}
		some.Forget()
		data.Release(&pool)
	}
}

// parseChain has the parser read the request in the chain, chunk by chunk.
func parseChain(t *testing.T, p msg.RequestParser, c *mbuf.Chain) {
	t.Helper()
	for k := c.Head(); k != nil; k = k.Next() {
		if n, done, err := p.Parse(k.Bytes()); n != k.Len() || done != (k.Next() == nil) || err != nil {
			t.Fatal(n, done, err)
		}
	}
}

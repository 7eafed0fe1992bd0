package memcache_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/proto/memcache"
)

func value(key, body string) string {
	return fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\n", key, len(body), body)
}

// part is one fragment: what its server replied, or why it did not.
type part struct {
	reply string
	err   msg.Reason
}

// parentOf makes a request of fragments whose replies came byte by byte, so that
// they lie across chunks.
func parentOf(p *mbuf.Pool, seq []uint16, parts ...part) *msg.Msg {
	parent := &msg.Msg{Seq: seq, Nkeys: int32(len(seq))}
	for _, part := range parts {
		f := &msg.Msg{Parent: parent, Err: part.err, Done: true}
		for i := range len(part.reply) {
			f.Reply.AppendString(p, part.reply[i:i+1])
		}
		parent.Frags = append(parent.Frags, f)
	}
	return parent
}

var mergeTests = []struct {
	name   string
	seq    []uint16
	parts  []part
	want   string
	failed bool
}{
	{
		"all found",
		[]uint16{0, 1, 0, 1},
		[]part{{reply: value("a", "1") + value("c", "3") + "END\r\n"}, {reply: value("b", "2") + value("d", "4") + "END\r\n"}},
		value("a", "1") + value("b", "2") + value("c", "3") + value("d", "4") + "END\r\n", false,
	},
	{
		"a miss moves the next value up",
		[]uint16{0, 1, 0, 1},
		[]part{{reply: value("c", "3") + "END\r\n"}, {reply: value("b", "2") + value("d", "4") + "END\r\n"}},
		value("c", "3") + value("b", "2") + value("d", "4") + "END\r\n", false,
	},
	{"nothing found", []uint16{0, 1}, []part{{reply: "END\r\n"}, {reply: "END\r\n"}}, "END\r\n", false},
	{
		"one key twice",
		[]uint16{0, 0, 1},
		[]part{{reply: value("a", "1") + value("a", "1") + "END\r\n"}, {reply: "END\r\n"}},
		value("a", "1") + value("a", "1") + "END\r\n", false,
	},
	{
		"with unique",
		[]uint16{1, 0},
		[]part{{reply: "VALUE a 1 2 99\r\nxy\r\nEND\r\n"}, {reply: "VALUE b 1 0 98\r\n\r\nEND\r\n"}},
		"VALUE b 1 0 98\r\n\r\nVALUE a 1 2 99\r\nxy\r\nEND\r\n", false,
	},
	{
		"values that look like replies",
		[]uint16{0, 1, 0},
		[]part{{reply: value("a", "END\r\n") + value("c", "VALUE x 0 1\r\n") + "END\r\n"}, {reply: value("b", "\nEND\r\n") + "END\r\n"}},
		value("a", "END\r\n") + value("b", "\nEND\r\n") + value("c", "VALUE x 0 1\r\n") + "END\r\n", false,
	},
	{
		"more values than keys",
		[]uint16{0, 1},
		[]part{{reply: value("a", "1") + value("x", "?") + "END\r\n"}, {reply: value("b", "2") + "END\r\n"}},
		value("a", "1") + value("b", "2") + "END\r\n", false,
	},
	{
		"one failed",
		[]uint16{0, 1},
		[]part{{reply: value("a", "1") + "END\r\n"}, {err: msg.Timedout}},
		"SERVER_ERROR Connection timed out\r\n", true,
	},
	{
		"the first failure counts",
		[]uint16{0, 1, 2},
		[]part{{reply: "SERVER_ERROR busy\r\n"}, {err: msg.ConnRefused}, {err: msg.Timedout}},
		"SERVER_ERROR Connection refused\r\n", true,
	},
	{
		"a server's own error",
		[]uint16{0, 1},
		[]part{{reply: value("a", "1") + "END\r\n"}, {reply: "CLIENT_ERROR invalid exptime argument\r\n"}},
		"CLIENT_ERROR invalid exptime argument\r\n", false,
	},
	{
		"an error behind values",
		[]uint16{0, 1, 0},
		[]part{{reply: value("a", "1") + value("c", "3") + "SERVER_ERROR out of memory in the END\r\n"}, {reply: value("b", "2") + "END\r\n"}},
		"SERVER_ERROR out of memory in the END\r\n", false,
	},
	{
		"a bare error",
		[]uint16{0, 1},
		[]part{{reply: "ERROR\r\n"}, {reply: "END\r\n"}},
		"ERROR\r\n", false,
	},
	{
		"a reply to something else",
		[]uint16{0, 1},
		[]part{{reply: "STORED\r\n"}, {reply: "END\r\n"}},
		"SERVER_ERROR Invalid argument\r\n", true,
	},
}

func TestMerge(t *testing.T) {
	for _, tt := range mergeTests {
		t.Run(tt.name, func(t *testing.T) {
			var p mbuf.Pool
			var out mbuf.Chain
			out.AppendString(&p, "before ")
			parent := parentOf(&p, tt.seq, tt.parts...)
			failed := memcache.New(memcache.Options{}).Merge(parent, &p, &out)
			for i, f := range parent.Frags {
				if f.Reply.Len() != 0 {
					t.Errorf("fragment %d still holds %d bytes", i, f.Reply.Len())
				}
			}
			if got := flatten(&p, &out); got != "before "+tt.want || failed != tt.failed {
				t.Errorf("got %q, failed %v; want %q, failed %v", got, failed, "before "+tt.want, tt.failed)
			}
			if p.Live() != 0 {
				t.Errorf("%d chunks are lost", p.Live())
			}
		})
	}
}

// TestMergeAcrossChunks moves the border between two chunks through all of a
// reply: values, heads of values, line ends, END.
func TestMergeAcrossChunks(t *testing.T) {
	proto := memcache.New(memcache.Options{})
	for n := mbuf.SmallSize - 80; n < mbuf.SmallSize; n++ {
		var p mbuf.Pool
		var out mbuf.Chain
		first := value("first", strings.Repeat("x", n))
		parent := parentOf(
			&p, []uint16{0, 1, 0, 0},
			part{reply: first + value("c", "three") + value("d", "") + "END\r\n"},
			part{reply: value("b", "two") + "END\r\n"},
		)
		if proto.Merge(parent, &p, &out) {
			t.Fatalf("a first value of %d bytes: failed", n)
		}
		want := first + value("b", "two") + value("c", "three") + value("d", "") + "END\r\n"
		if got := flatten(&p, &out); got != want {
			t.Fatalf("a first value of %d bytes: got %q, want %q", n, got, want)
		}
		if p.Live() != 0 {
			t.Fatalf("a first value of %d bytes: %d chunks are lost", n, p.Live())
		}
	}
}

// TestMergeValues compares merges of values of all lengths, some of them missing,
// received in pieces, and some that seem to be like the one before, with what a simpler way gives.
func TestMergeValues(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	proto := memcache.New(memcache.Options{})
	lengths := []int{0, 1, 3, 30, 40, 41, 42, 43, 44, 45, 46, 100, 1000, mbuf.ShareMin - 30, mbuf.ShareMin, 3 * mbuf.ShareMin}
	for round := range 300 {
		var p mbuf.Pool
		var out mbuf.Chain
		parent := &msg.Msg{}
		replies := make([][]string, 1+rnd.IntN(4))
		for i := range 1 + rnd.IntN(60) {
			f := rnd.IntN(len(replies))
			parent.Seq = append(parent.Seq, uint16(f))
			switch rnd.IntN(10) {
			case 0:
			case 1:
				replies[f] = append(replies[f], value(strings.Repeat("a", 20), "abc"), trap(20, 1+rnd.IntN(11)))
				parent.Seq = append(parent.Seq, uint16(f))
			default:
				key := strings.Repeat("k", 1+rnd.IntN(30)) + strconv.Itoa(i)
				replies[f] = append(replies[f], value(key, strings.Repeat("v", lengths[rnd.IntN(len(lengths))])))
			}
		}
		for _, values := range replies {
			f := &msg.Msg{}
			for all := strings.Join(values, "") + "END\r\n"; all != ""; {
				n := 1 + rnd.IntN(len(all))
				var piece mbuf.Chain
				piece.AppendString(&p, all[:n])
				f.Reply.Splice(&p, &piece)
				all = all[n:]
			}
			parent.Frags = append(parent.Frags, f)
		}
		want := ""
		for _, f := range parent.Seq {
			if len(replies[f]) > 0 {
				want += replies[f][0]
				replies[f] = replies[f][1:]
			}
		}
		failed := proto.Merge(parent, &p, &out)
		if got := flatten(&p, &out); got != want+"END\r\n" || failed {
			t.Fatalf("round %d: failed %v, got %q, want %q", round, failed, got, want+"END\r\n")
		}
		if p.Live() != 0 {
			t.Fatalf("round %d: %d chunks are lost", round, p.Live())
		}
	}
}

// TestMergeMovesLargeValues holds that large values are not copied.
func TestMergeMovesLargeValues(t *testing.T) {
	var p mbuf.Pool
	var out mbuf.Chain
	big := value("a", strings.Repeat("x", 1<<20))
	parent := &msg.Msg{Seq: []uint16{0, 1, 0}}
	for _, reply := range []string{big + big + "END\r\n", big + "END\r\n"} {
		f := &msg.Msg{}
		f.Reply.AppendString(&p, reply)
		parent.Frags = append(parent.Frags, f)
	}
	before := p.InUse()
	memcache.New(memcache.Options{}).Merge(parent, &p, &out)
	if more := p.InUse() - before; more > mbuf.LargeSize*2 {
		t.Errorf("merging three values of 1 MiB took %d bytes more", more)
	}
	if got := flatten(&p, &out); got != big+big+big+"END\r\n" {
		t.Errorf("got %d bytes, want %d", len(got), 3*len(big)+5)
	}
	if p.Live() != 0 {
		t.Errorf("%d chunks are lost", p.Live())
	}
}

// TestFragments holds what sub-requests look like, whether the request lies in
// one piece or along a chain.
func TestFragments(t *testing.T) {
	for _, tt := range []struct {
		in   string
		keys []int
		want string
	}{
		{"get a bb ccc\r\n", []int{0, 2}, "get a ccc\r\n"},
		{"gets  a   bb\n", []int{1}, "gets bb\r\n"},
		{"gat  60 a bb\r\n", []int{1}, "gat 60 bb\r\n"},
		{"gats -1 a bb \r\n", []int{0, 1}, "gats -1 a bb\r\n"},
	} {
		proto := memcache.New(memcache.Options{})
		for _, split := range []bool{false, true} {
			var p mbuf.Pool
			var stored, out mbuf.Chain
			parser := proto.NewRequestParser()
			for _, b := range bytewise(tt.in) {
				if _, _, err := parser.Parse(b); err != nil {
					t.Fatal(err)
				}
				stored.Append(&p, b)
			}
			finish := func() *msg.Request { return parser.Finish([]byte(tt.in)) }
			if split {
				finish = func() *msg.Request { return parser.FinishChain(&stored) }
			}
			req := finish()
			proto.FragmentHead(req, len(tt.keys), &p, &out)
			// The keys that are not wanted are dealt to nobody.
			dealt := make([]uint16, req.Nkeys)
			for _, i := range tt.keys {
				dealt[i] = 1
			}
			proto.FragmentKeys(req, 0, dealt, &p, []*mbuf.Chain{nil, &out})
			proto.FragmentTail(req, &p, &out)
			if got := flatten(&p, &out); got != tt.want {
				t.Errorf("%q, keys %v: %q, want %q", tt.in, tt.keys, got, tt.want)
			}
		}
	}
}

func TestLocalReplies(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		session  msg.Session
	}{
		{"bogus\r\n", "ERROR\r\n", msg.Session{Authenticated: true}},
		{"slabs\r\n", "SERVER_ERROR 'slabs' is not supported by nuthatch. It administers one server: send it there.\r\n", msg.Session{Authenticated: true}},
		{"stats\r\n", "STAT pid 17\r\nSTAT version 1 beta\r\nEND\r\n", msg.Session{Authenticated: true}},
		{"mn\r\n", "MN\r\n", msg.Session{Authenticated: true}},
		{"mg a q q\r\n", "CLIENT_ERROR duplicate flag\r\n", msg.Session{Authenticated: true}},
		{"flush_all noreply\r\n", "", msg.Session{Authenticated: true}},
		{"quit\r\n", "", msg.Session{Authenticated: true}},
		{"get a\r\n", "CLIENT_ERROR unauthenticated\r\n", msg.Session{}},
	} {
		var p mbuf.Pool
		var out mbuf.Chain
		proto := memcache.New(memcache.Options{Facts: func(tell func(name, value string)) {
			tell("pid", "17")
			tell("version", "1 beta")
		}})
		req := parseOnce(t, proto.NewRequestParser(), []byte(tt.in))
		proto.Local(req, &tt.session, &p, &out)
		if got := flatten(&p, &out); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.in, got, tt.want)
		}
	}
}

// merger merges the same replies again and again.
type merger struct {
	proto   *memcache.Protocol
	pool    mbuf.Pool
	out     mbuf.Chain
	parent  msg.Msg
	replies [][]byte
}

// newMerger makes a request of n keys, 32 bytes each, dealt to servers in turn.
func newMerger(n, servers int) *merger {
	m := &merger{proto: memcache.New(memcache.Options{}), replies: make([][]byte, servers)}
	for i := range n {
		s := i % servers
		m.parent.Seq = append(m.parent.Seq, uint16(s))
		m.replies[s] = append(m.replies[s], value(fmt.Sprintf("memtier-%07d", i), strings.Repeat("x", 32))...)
	}
	for s := range servers {
		m.parent.Frags = append(m.parent.Frags, &msg.Msg{})
		m.replies[s] = append(m.replies[s], "END\r\n"...)
	}
	return m
}

func (m *merger) merge() int {
	for i, f := range m.parent.Frags {
		f.Reply.Append(&m.pool, m.replies[i])
	}
	m.proto.Merge(&m.parent, &m.pool, &m.out)
	n := m.out.Len()
	m.out.Release(&m.pool)
	return n
}

func TestMergeDoesNotAllocate(t *testing.T) {
	m := newMerger(100, 3)
	m.merge()
	if got := testing.AllocsPerRun(100, func() { m.merge() }); got != 0 {
		t.Errorf("%v allocations per merge of 100 keys, want 0", got)
	}
}

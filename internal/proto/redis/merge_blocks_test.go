package redis

import (
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// The reply to a transaction of several servers has an element for each command. Where a
// server carried out nothing of its part, it has an error.
func TestMergeBlocks(t *testing.T) {
	for _, tt := range []struct {
		name   string
		parts  []part
		seq    []uint16
		want   string
		failed bool
	}{
		{
			"elements in the order of commands",
			replies("*2\r\n+OK\r\n*-1\r\n", "*1\r\n-ERR no\r\n", "*1\r\n%1\r\n+k\r\n:1\r\n"),
			[]uint16{1, 0, 2, 0},
			"*4\r\n-ERR no\r\n+OK\r\n%1\r\n+k\r\n:1\r\n*-1\r\n", false,
		},
		{
			"elements of which a server has none",
			[]part{{reply: "-EXECABORT no\r\n"}, {reply: "*1\r\n:1\r\n"}, refused},
			[]uint16{0, 1, 2, 0},
			"*4\r\n-EXECABORT no\r\n:1\r\n-ERR Connection refused\r\n-EXECABORT no\r\n", false,
		},
		{"no elements", replies("-EXECABORT a\r\n", "-EXECABORT b\r\n"), []uint16{1, 0}, "-EXECABORT b\r\n", false},
		{"no elements for a reason", []part{{reply: "-EXECABORT a\r\n"}, refused}, []uint16{1, 0}, "-ERR Connection refused\r\n", true},
		{"another number of elements", replies("*2\r\n:1\r\n:2\r\n", "*1\r\n:1\r\n"), []uint16{1, 0}, badReply, true},
	} {
		for cut := range 12 {
			var pool mbuf.Pool
			m := split(&pool, "exec", tt.parts, tt.seq, cut)
			var out mbuf.Chain
			failed := New(Options{}).Merge(m, &pool, &out)
			if got := string(out.AppendTo(nil)); got != tt.want || failed != tt.failed {
				t.Errorf("%s, cut at %d: %q, failed %t, want %q, %t", tt.name, cut, got, failed, tt.want, tt.failed)
			}
		}
	}
}

// A part that was sent and lost says that nobody knows what became of it.
func TestMergeBlocksUnknown(t *testing.T) {
	var pool mbuf.Pool
	var msgs msg.Pool
	for _, other := range []string{"*1\r\n:1\r\n", "-EXECABORT no\r\n"} {
		m := split(&pool, "exec", []part{{reply: other}, {err: msg.ConnReset}}, []uint16{0, 1}, 0)
		msgs.SetBlock(m, 2, false)
		msgs.SetBlock(m.Frags[1], 1, false)
		m.Frags[1].Sent = 1
		var out mbuf.Chain
		failed := New(Options{}).Merge(m, &pool, &out)
		want := "-ERR Connection reset by peer; it is not known whether the transaction was carried out\r\n"
		if other[0] == '*' {
			want = "*2\r\n:1\r\n" + want
		}
		if got := string(out.AppendTo(nil)); got != want || failed != (other[0] == '-') {
			t.Errorf("beside %q: %q, failed %t", other, got, failed)
		}
	}
}

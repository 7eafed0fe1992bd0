package redis

import (
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// The word that an error begins with is found wherever the reply is cut.
func TestErrorPrefix(t *testing.T) {
	p := New(Options{})
	for _, tt := range []struct {
		reply, prefix string
		isError       bool
		refuses       bool
	}{
		{"-OOM command not allowed when used memory > 'maxmemory'.\r\n", "OOM", true, false},
		{"-ERR\r\n", "ERR", true, false},
		{"-NOAUTH Authentication required.\r\n", "NOAUTH", true, true},
		{"-WRONGPASS invalid username-password pair\r\n", "WRONGPASS", true, true},
		{"!21\r\nSYNTAX invalid syntax\r\n", "SYNTAX", true, false},
		{"-\r\n", "", true, false},
		{"-ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 x\r\n", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456", true, false},
		{"+OK\r\n", "", false, false},
		{"$3\r\n-OO\r\n", "", false, false},
	} {
		for cut := range len(tt.reply) {
			var pool mbuf.Pool
			var chain mbuf.Chain
			var buf [64]byte
			r := msg.Reply{Flat: []byte(tt.reply)}
			if cut > 0 {
				chain.Append(&pool, []byte(tt.reply[:cut]))
				chain.Append(&pool, []byte(tt.reply[cut:]))
				r = msg.Reply{Chain: &chain}
			}
			got, refuses := p.ErrorPrefix(r, buf[:0])
			if (got != nil) != tt.isError || string(got) != tt.prefix || refuses != tt.refuses {
				t.Errorf("%q, cut at %d: %q, %v, %v", tt.reply, cut, got, got != nil, refuses)
			}
			chain.Release(&pool)
		}
	}
	var buf [64]byte
	oom := msg.Reply{Flat: []byte("-OOM no\r\n")}
	if n := testing.AllocsPerRun(10, func() { p.ErrorPrefix(oom, buf[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

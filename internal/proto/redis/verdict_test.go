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
		refuses       msg.Reason
	}{
		{"-OOM command not allowed when used memory > 'maxmemory'.\r\n", "OOM", true, msg.OK},
		{"-ERR\r\n", "ERR", true, msg.OK},
		{"-NOAUTH Authentication required.\r\n", "NOAUTH", true, msg.LoginRefused},
		{"-WRONGPASS invalid username-password pair\r\n", "WRONGPASS", true, msg.LoginRefused},
		{"!21\r\nSYNTAX invalid syntax\r\n", "SYNTAX", true, msg.OK},
		{"-\r\n", "", true, msg.OK},
		{"-ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 x\r\n", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456", true, msg.OK},
		{"-ERR max number of clients reached\r\n", "ERR", true, msg.NoDescriptors},
		{"-ERR max number of clients + cluster connections reached\r\n", "ERR", true, msg.NoDescriptors},
		{"-READONLY You can't write against a read only replica.\r\n", "READONLY", true, msg.ReadOnly},
		{"-ERR max number of keys\r\n", "ERR", true, msg.OK},
		{"-DENIED Redis is running in protected mode because protected mode is enabled\r\n", "DENIED", true, msg.AccessDenied},
		{"+OK\r\n", "", false, msg.OK},
		{"$3\r\n-OO\r\n", "", false, msg.OK},
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

// Of an array with an element for each key the size of each is known, wherever the
// reply is cut; of any other reply none is.
func TestSizeOfKey(t *testing.T) {
	p := New(Options{})
	mget := rowOf("MGET").id
	const reply = "*5\r\n$3\r\nabc\r\n$-1\r\n_\r\n$0\r\n\r\n$10\r\n0123456789\r\n"
	want := []int{9, 5, 3, 6, 17, 0, 0}
	for cut := range len(reply) {
		var pool mbuf.Pool
		var chain mbuf.Chain
		r := msg.Reply{Flat: []byte(reply)}
		if cut > 0 {
			chain.Append(&pool, []byte(reply[:cut]))
			chain.Append(&pool, []byte(reply[cut:]))
			r = msg.Reply{Chain: &chain}
		}
		for i, n := range want {
			if got := p.SizeOfKey(mget, r, i, nil); got != n {
				t.Errorf("cut at %d: element %d has %d bytes, want %d", cut, i, got, n)
			}
		}
		chain.Release(&pool)
	}
	for _, other := range []string{"-ERR no\r\n", "*1\r\n*1\r\n:1\r\n", "*2\r\n$5\r\nab", "*x\r\n", "*", ""} {
		if got := p.SizeOfKey(mget, msg.Reply{Flat: []byte(other)}, 1, nil); got != 0 {
			t.Errorf("of %q element 1 has %d bytes", other, got)
		}
	}
	if got := p.SizeOfKey(rowOf("HGETALL").id, msg.Reply{Flat: []byte(reply)}, 0, nil); got != 0 {
		t.Errorf("of a command without an element for each key: %d", got)
	}
}

func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		command, yes, no string
	}{
		{"get", "+-:$*_#,(!=~%|", ">"},
		{"mget", "*-!|", "+:$_~%"},
		{"mset", "+-!|", ":$*_"},
		{"del", ":-!|", "+$*_"},
		{"dbsize", ":-!|", "+$*_"},
		{"wait", ":*-!|", "+$_"},
		{"keys", "*~%_$-!|", "+:"},
		{"scan", "*-!|", "+:$_"},
		{"randomkey", "$_-+", ""},
		{"script|load", "$-", "+:*"},
		{"script|exists", "*-", "+:$"},
		{"pubsub|numsub", "*-", "+:$"},
		{"flushall", "+-", ":$*"},
		{"function|stats", "*%-", "+:$"},
	} {
		p := New(Options{})
		for _, c := range tt.yes {
			if p.Verdict(rowOf(tt.command).id, msg.Reply{Flat: []byte{byte(c)}}) != msg.Answers {
				t.Errorf("%s cannot be answered with %c", tt.command, c)
			}
		}
		for _, c := range tt.no {
			if p.Verdict(rowOf(tt.command).id, msg.Reply{Flat: []byte{byte(c)}}) != msg.OutOfStep {
				t.Errorf("%s can be answered with %c", tt.command, c)
			}
		}
	}
}

package memcache_test

import (
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/proto/memcache"
)

// TestVerdict holds which replies can answer which command, flat and in a chain.
// That all replies of a real memcached can is shown by every test that has one.
func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		line, reply string
		answers     bool
	}{
		{"get a\r\n", "END\r\n", true},
		{"get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n", true},
		{"get a\r\n", "SERVER_ERROR out of memory\r\n", true},
		{"get a\r\n", "STORED\r\n", false},
		{"get a\r\n", "VA 1\r\nx\r\n", false},
		{"get a\r\n", "EN\r\n", false},
		{"get a\r\n", "1\r\n", false},
		{"incr a 1\r\n", "12\r\n", true},
		{"incr a 1\r\n", "NOT_FOUND\r\n", true},
		{"incr a 1\r\n", "END\r\n", false},
		{"delete a\r\n", "DELETED\r\n", true},
		{"delete a\r\n", "TOUCHED\r\n", false},
		{"set a 0 0 1\r\nx\r\n", "NOT_STORED\r\n", true},
		{"set a 0 0 1\r\nx\r\n", "CLIENT_ERROR bad data chunk\r\n", true},
		{"set a 0 0 1\r\nx\r\n", "HD\r\n", false},
		{"mg a v\r\n", "VA 1\r\nx\r\n", true},
		{"mg a v\r\n", "END\r\n", false},
		{"me a\r\n", "ME a exp=-1\r\n", true},
		{"stats items\r\n", "RESET\r\n", true},
	} {
		proto := memcache.New(memcache.Options{})
		p := proto.NewRequestParser()
		if _, done, err := p.Parse([]byte(tt.line)); !done || err != nil {
			t.Fatalf("%q: done %t, %v", tt.line, done, err)
		}
		req := p.Finish([]byte(tt.line))
		if got := proto.Verdict(req.Type, msg.Reply{Flat: []byte(tt.reply)}); (got == msg.Answers) != tt.answers {
			t.Errorf("%q to %q: %s", tt.reply, tt.line, got)
		}
		var pool mbuf.Pool
		var c mbuf.Chain
		c.AppendString(&pool, tt.reply)
		reply := msg.Reply{Chain: &c}
		if got := proto.Verdict(req.Type, reply); (got == msg.Answers) != tt.answers {
			t.Errorf("%q, in a chain, to %q: %s", tt.reply, tt.line, got)
		}
		if n := testing.AllocsPerRun(10, func() { proto.Verdict(req.Type, reply) }); n > 0 {
			t.Errorf("%q: %v allocations", tt.line, n)
		}
	}
}

// Of the values of several keys the size of each is found by its key.
func TestSizeOfKey(t *testing.T) {
	p := memcache.New(memcache.Options{})
	long := strings.Repeat("k", 200)
	reply := "VALUE user:12 0 2\r\nxx\r\nVALUE user:1 7 3 9\r\nabc\r\nVALUE " + long + " 0 0\r\n\r\nEND\r\n"
	for cut := range len(reply) {
		var pool mbuf.Pool
		var chain mbuf.Chain
		r := msg.Reply{Flat: []byte(reply)}
		if cut > 0 {
			chain.Append(&pool, []byte(reply[:cut]))
			chain.Append(&pool, []byte(reply[cut:]))
			r = msg.Reply{Chain: &chain}
		}
		for key, want := range map[string]int{"user:12": 23, "user:1": 25, "user:": 0, long[:msg.NoteKey]: 214} {
			if got := p.SizeOfKey(0, r, 5, []byte(key)); got != want {
				t.Errorf("cut at %d: %s has %d bytes, want %d", cut, key, got, want)
			}
			name := []byte(key)
			if n := testing.AllocsPerRun(10, func() { p.SizeOfKey(0, r, 5, name) }); n > 0 {
				t.Errorf("cut at %d: %s: %v allocations", cut, key, n)
			}
		}
		chain.Release(&pool)
	}
	for _, other := range []string{"END\r\n", "SERVER_ERROR x\r\n", "VALUE a\r\n", "VALUE a 0 x\r\n", "VALUE a 0 -5\r\n", "VALUE"} {
		if got := p.SizeOfKey(0, msg.Reply{Flat: []byte(other)}, 0, []byte("a")); got != 0 {
			t.Errorf("of %q: %d", other, got)
		}
	}
}

package memcache_test

import (
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/proto/memcache"
)

// The fuzz targets of this file say what servers might, sound or not, to all that
// reads it.

// splitRequests are those whose replies are merged.
var splitRequests = []string{
	"get a b c d\r\n", "gets a b c d\r\n", "gat 0 a b c d\r\n", "bget a b\r\n", "stats\r\n", "stats items\r\n", "verbosity 1\r\n", "flush_all\r\n",
}

// FuzzMerge: whatever servers say, as long as it is whole replies that fit, merging
// makes exactly one reply of it and keeps no memory, wherever the bytes lie.
func FuzzMerge(f *testing.F) {
	for i, replies := range replyTests {
		for kind := range splitRequests {
			f.Add(strings.Join(replies, ""), uint8(kind), uint16(i), uint8(i))
		}
	}
	f.Add("STAT a 1\r\nVALUE a 0 3\r\nx\ry\r\nEND\r\nVALUE a 0 5\r\n\nEND\r\nSERVER_ERROR x\r\n", uint8(4), uint16(1), uint8(0))
	f.Fuzz(func(t *testing.T, said string, kind uint8, cut uint16, settings uint8) {
		proto := memcache.New(memcache.Options{AllowFlush: true})
		request := splitRequests[int(kind)%len(splitRequests)]
		req := parseOnce(t, proto.NewRequestParser(), []byte(request))
		replies, _ := feedReplies(t, []byte(said))
		var pool mbuf.Pool
		var out mbuf.Chain
		parent := &msg.Msg{Type: req.Type}
		for _, reply := range replies {
			verdict := proto.Verdict(req.Type, msg.Reply{Flat: []byte(reply)})
			chain := chained(&pool, reply, int(cut)%mbuf.SmallSize)
			if got := proto.Verdict(req.Type, msg.Reply{Chain: &chain}); got != verdict {
				t.Errorf("%q to %q: %s flat, %s in pieces", reply, request, verdict, got)
			}
			if verdict != msg.Answers || len(parent.Frags) == 8 {
				chain.Release(&pool)
				continue
			}
			parent.Frags = append(parent.Frags, &msg.Msg{Parent: parent, Reply: chain, Via: named("s")})
		}
		if settings&1 != 0 {
			parent.Frags = append(parent.Frags, &msg.Msg{Parent: parent, Err: msg.ConnRefused, Via: named("s")})
		}
		if len(parent.Frags) == 0 {
			return
		}
		if req.Treatment == msg.Fragment {
			for i := range 2 * len(parent.Frags) {
				parent.Seq = append(parent.Seq, uint16(i%len(parent.Frags)))
			}
			parent.Nkeys = int32(len(parent.Seq))
		}
		proto.Merge(parent, &pool, &out)
		merged := flatten(&pool, &out)
		if got, err := feedReplies(t, []byte(merged)); err != nil || len(got) != 1 || got[0] != merged {
			t.Errorf("%q of %q made %q, which is not one reply: %v", request, replies, merged, err)
		}
		if pool.Live() != 0 {
			t.Errorf("%q of %q: %d chunks are lost", request, replies, pool.Live())
		}
	})
}

// FuzzPong: a server is well only if it tells its version.
func FuzzPong(f *testing.F) {
	f.Add([]byte("VERSION 1.6.18\r\n"))
	f.Add([]byte("ERROR Too many open connections\r\n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		if got, want := memcache.Pong(line) == msg.OK, strings.HasPrefix(string(line), "VERSION "); got != want {
			t.Errorf("%q: well is %t, want %t", line, got, want)
		}
	})
}

package compat

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// blocking are conversations with commands that wait. A server by itself says what they
// are answered, byte for byte.
var blocking = []group{
	{"what is there", `
		RPUSH l a b c d e f g
		BLPOP l 0
		BRPOP nosuch l 0
		BLMOVE l m LEFT RIGHT 0
		BRPOPLPUSH l m 0
		BLMPOP 0 2 nosuch l LEFT COUNT 2
		LRANGE l 0 -1
		LRANGE m 0 -1
		ZADD z 1 a 2 b 3 c 4 d
		BZPOPMIN z 0
		BZPOPMAX nosuch z 0
		BZMPOP 0 1 z MIN COUNT 5
		DEL l m z`},
	{"what does not come", `
		BLPOP nosuch 0.01
		BRPOP nosuch nosuch2 0.01
		BLMOVE nosuch d LEFT RIGHT 0.01
		BRPOPLPUSH nosuch d 0.01
		BLMPOP 0.01 1 nosuch LEFT
		BZPOPMIN nosuch 0.01
		BZPOPMAX nosuch 0.01
		BZMPOP 0.01 1 nosuch MIN
		XREAD BLOCK 10 STREAMS nosuch 0
		PING`},
	{"times that are none", `
		BLPOP nosuch x
		BLPOP nosuch -1
		BLPOP nosuch nan
		BLPOP nosuch inf
		BLPOP nosuch 1e300
		BLPOP nosuch 99999999999999999999
		BLMOVE nosuch d LEFT RIGHT -0.5
		BLMPOP x 1 nosuch LEFT
		BZPOPMIN nosuch ""
		BZMPOP -1 1 nosuch MIN
		XREAD BLOCK x STREAMS nosuch 0
		XREAD BLOCK -1 STREAMS nosuch 0
		XREAD BLOCK 1.5 STREAMS nosuch 0`},
	{"words that are none", `
		BLPOP nosuch
		BLMOVE a b LEFT
		BLMOVE a b UP DOWN 0
		BLMPOP 0 0 a LEFT
		BLMPOP 0 2 a LEFT
		BLMPOP 0 1 a UP
		BZMPOP 0 x a MIN
		BRPOPLPUSH a b c d
		XREAD BLOCK 10 STREAMS a
		XREAD BLOCK 10 COUNT
		XREADGROUP GROUP g c BLOCK 10 STREAMS a >`},
	{"keys of other kinds", `
		SET s x
		BLPOP s 0
		BRPOP nosuch s 0
		BZPOPMIN s 0
		BLMOVE s d LEFT RIGHT 0
		RPUSH l a
		BLMOVE l s LEFT RIGHT 0
		XREAD BLOCK 0 STREAMS s 0
		DEL s l`},
	{"streams", `
		XADD s 1-1 f v
		XREAD BLOCK 0 STREAMS s 0
		XREAD COUNT 1 BLOCK 10 STREAMS s 1-1
		XGROUP CREATE s g 0
		XREADGROUP GROUP g c BLOCK 0 STREAMS s >
		XREADGROUP GROUP g c BLOCK 10 STREAMS s >
		XREADGROUP GROUP g c BLOCK 0 STREAMS s 0
		XREADGROUP GROUP nosuch c BLOCK 10 STREAMS s >
		DEL s`},
	{"between others", `
		SET a 1
		RPUSH l x
		GET a
		BLPOP l 0
		INCR a
		BLPOP l 0.01
		INCR a
		SELECT 1
		RPUSH l y
		BLPOP l 0
		SELECT 0
		BLPOP l 0.01
		DEL a`},
	{"with what is watched", `
		WATCH a
		RPUSH l x
		BLPOP l 0
		MULTI
		BLPOP l 0
		SET a 1
		EXEC
		WATCH l
		RPUSH l x
		BLPOP l 0
		MULTI
		GET a
		EXEC
		DEL a`},
	{"nobody waits", `
		CLIENT UNBLOCK 9999
		CLIENT UNBLOCK x
		CLIENT UNBLOCK -1
		CLIENT UNBLOCK 0
		CLIENT UNBLOCK 9999 timeout
		CLIENT UNBLOCK 9999 ERROR
		CLIENT UNBLOCK 9999 x
		CLIENT UNBLOCK x y
		CLIENT UNBLOCK 1 ERROR x
		CLIENT unblock
		CLIENT UNBLOCK 99999999999999999999`},
}

// blockingPieces are what generated conversations consist of.
var blockingPieces = strings.Fields(`RPUSH_l_a_b RPUSH_l_c BLPOP_l_0.01 BLPOP_l_m_0.01 BRPOP_m_l_0.01 BLMOVE_l_m_LEFT_RIGHT_0.01 GET_s SET_s_1 DEL_l_m
	ZADD_z_1_a BZPOPMIN_z_0.01 XADD_x_*_f_v XREAD_BLOCK_10_STREAMS_x_$ MULTI EXEC DISCARD WATCH_l WATCH_s UNWATCH LLEN_l PING RESET BLPOP_l_x LPOP_l`)

// TestBlockingLikeRedis: what a client hears of commands that wait is what it would hear of
// the server by itself, in either protocol, however its bytes are cut.
func TestBlockingLikeRedis(t *testing.T) {
	t.Parallel()
	p := newDuo(t)
	for _, hello := range []string{"", "3"} {
		for _, g := range blocking {
			t.Run(g.name+" RESP"+hello, func(t *testing.T) { p.same(t, hello, g.commands()) })
		}
		rnd := rand.New(rand.NewPCG(17, 2))
		for range 5 {
			var lines []string
			for range 5 + rnd.IntN(20) {
				piece := blockingPieces[rnd.IntN(len(blockingPieces))]
				if strings.HasPrefix(piece, "XADD") {
					piece = fmt.Sprintf("XADD_x_%d-1_f_v", 1+len(lines))
				}
				lines = append(lines, strings.ReplaceAll(piece, "_", " "))
			}
			p.same(t, hello, append(lines, "MULTI", "DISCARD", "DISCARD"))
		}
	}
}

// A duo is a server, and nuthatch before another.
type duo struct {
	plain, behind *testkit.Server
	nuthatch      *testkit.Proxy
}

func newDuo(t *testing.T) duo {
	t.Helper()
	p := duo{plain: testkit.StartRedis(t), behind: testkit.StartRedis(t)}
	p.nuthatch = testkit.StartNuthatch(t, testkit.Pool{
		Protocol: testkit.Redis, Servers: []string{p.behind.Entry("s1")},
	}.String()+"  databases: 16\n", testkit.Threads(1))
	return p
}

// same compares what both say, in the version of RESP that HELLO asks for.
func (p duo) same(t *testing.T, hello string, lines []string) {
	t.Helper()
	if hello != "" {
		lines = append([]string{"DEL nosuch"}, lines...)
	}
	for _, split := range []testkit.Splitter{nil, everyByte, testkit.RandomSplit(1, 20)} {
		for _, server := range []*testkit.Server{p.plain, p.behind} {
			server.Dial().Do("FLUSHALL")
		}
		transcript := commands(lines...)
		if hello == "" {
			testkit.Diff(t, testkit.Redis, p.plain, p.nuthatch, transcript, split)
			continue
		}
		// What HELLO says itself differs: of the server, its version, the client's id.
		transcript = append([][]byte{testkit.RESP("HELLO", hello)}, transcript...)
		a := testkit.Play(t, testkit.Redis, p.plain.Addr(), transcript, split)
		b := testkit.Play(t, testkit.Redis, p.nuthatch.Addr(), transcript, split)
		if len(a.Replies) > 0 && len(b.Replies) > 0 {
			a.Replies[0], b.Replies[0] = "", ""
		}
		testkit.Compare(t, testkit.Redis, p.plain.Name(), p.nuthatch.Name(), transcript, a, b)
	}
}

package compat

import (
	"math/rand/v2"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// tracking are conversations of a client that is told when keys change (s) and of another
// (p). A server by itself says what s hears, byte for byte, and in which order.
var tracking = []group{
	{"what was read", `
		s CLIENT TRACKING ON
		s GET a
		p SET a 1
		p SET a 2
		s GET a
		p SET a 3
		p SET b 1
		s MGET a b c
		p MSET a 1 b 2 c 3
		s CLIENT TRACKING OFF
		s GET a
		p SET a 4`},
	{"its own writes", `
		s CLIENT TRACKING ON
		s GET a
		s SET a 1
		s GET a
		s INCR a
		s APPEND a 1
		s GET a
		s DEL a
		s SET a 1
		s MGET a b
		s MSET a 1 b 2`},
	{"not its own writes", `
		s CLIENT TRACKING ON NOLOOP
		s GET a
		s SET a 1
		p SET a 2
		s GET a
		p SET a 3
		s SET a 4`},
	{"what it asks for", `
		s CLIENT TRACKING ON OPTIN
		s GET a
		p SET a 1
		s CLIENT CACHING YES
		s GET a
		p SET a 2
		s CLIENT CACHING YES
		s CLIENT ID
		s GET a
		p SET a 3
		s CLIENT CACHING YES
		s PING
		s GET a
		p SET a 4
		s CLIENT CACHING YES
		s SET b 1
		s GET b
		p SET b 2
		s CLIENT CACHING NO
		s CLIENT CACHING maybe`},
	{"all but what it says", `
		s CLIENT TRACKING ON OPTOUT
		s GET a
		p SET a 1
		s CLIENT CACHING NO
		s GET a
		p SET a 2
		s GET a
		p SET a 3
		s CLIENT CACHING NO
		s PING
		s GET a
		p SET a 4
		s CLIENT CACHING YES`},
	{"in transactions", `
		s CLIENT TRACKING ON OPTIN
		s CLIENT CACHING YES
		s MULTI
		s PTTL a
		s GET a
		s EXEC
		p SET a 1
		s MULTI
		s GET a
		s EXEC
		p SET a 2
		s CLIENT CACHING YES
		s MULTI
		s GET a
		s DISCARD
		s GET a
		p SET a 3
		s CLIENT CACHING YES
		s MULTI
		s GET a
		s SET a 4
		s EXEC
		p SET a 5`},
	{"in transactions, always", `
		s CLIENT TRACKING ON
		s MULTI
		s GET a
		s GET b
		s EXEC
		p SET a 1
		p SET b 1
		s WATCH a
		s GET a
		p SET a 2
		s MULTI
		s GET a
		s EXEC
		s GET a
		p SET a 3`},
	{"everything", `
		s CLIENT TRACKING ON BCAST
		p SET a 1
		p SET b 2
		p MSET c 1 d 2
		s SET a 2
		p DEL a b c d nosuch
		s CLIENT TRACKING OFF
		p SET a 1`},
	{"prefixes", `
		s CLIENT TRACKING ON BCAST PREFIX user: PREFIX order: NOLOOP
		p SET user:1 x
		p SET other:1 x
		p SET order:1 x
		s SET user:1 y
		p MSET user:1 z order:1 z other:1 z
		s CLIENT TRACKING ON BCAST PREFIX more
		p SET more:1 x
		s CLIENT TRACKINGINFO
		s CLIENT TRACKING ON BCAST PREFIX user
		s CLIENT TRACKING ON BCAST PREFIX x PREFIX xy
		s CLIENT TRACKING ON BCAST PREFIX user:12
		s CLIENT TRACKING ON
		s CLIENT TRACKING OFF
		s CLIENT TRACKINGINFO`},
	{"words", `
		s CLIENT TRACKING
		s CLIENT TRACKING maybe
		s CLIENT TRACKING ON frobnicate
		s CLIENT TRACKING ON PREFIX
		s CLIENT TRACKING ON PREFIX a
		s CLIENT TRACKING ON OPTIN OPTOUT
		s CLIENT TRACKING ON BCAST OPTIN
		s CLIENT TRACKING ON BCAST OPTOUT
		s CLIENT TRACKING ON OPTIN
		s CLIENT TRACKING ON OPTOUT
		s CLIENT TRACKING ON BCAST
		s CLIENT TRACKING ON OPTIN NOLOOP
		s CLIENT TRACKINGINFO
		s CLIENT CACHING YES
		s CLIENT TRACKINGINFO
		s CLIENT TRACKING OFF x
		s CLIENT TRACKING OFF
		s CLIENT TRACKING OFF
		s CLIENT CACHING YES
		s CLIENT CACHING
		s CLIENT TRACKINGINFO
		s CLIENT GETREDIR
		s CLIENT TRACKING ON OPTOUT
		s CLIENT CACHING NO
		s CLIENT TRACKINGINFO
		s CLIENT GETREDIR`},
	{"other commands", `
		s CLIENT TRACKING ON
		s HGETALL h
		p HSET h f v
		s LRANGE l 0 -1
		s SISMEMBER st x
		s ZRANGE z 0 -1
		s EXISTS a b
		p RPUSH l x
		p SADD st x
		p ZADD z 1 x
		p SET b 1
		s EVAL "return redis.call('get',KEYS[1])" 1 a
		p SET a 1
		s SETNX a 2
		s GETSET a 3
		p SET a 4
		s TYPE a
		p EXPIRE a 100
		s OBJECT ENCODING a
		p PERSIST a
		s XREAD BLOCK 10 STREAMS x 0
		p XADD x 1-1 f v
		s KEYS nosuch*
		p SET a 5`},
	{"flushed", `
		s CLIENT TRACKING ON
		s GET a
		p FLUSHALL
		s GET a
		s FLUSHALL`},
	{"as new", `
		s CLIENT TRACKING ON
		s GET a
		s RESET
		s HELLO 3
		p SET a 1
		s CLIENT TRACKINGINFO
		s GET a
		p SET a 2`},
	{"silent", `
		s CLIENT TRACKING ON
		s GET a
		s SELECT 1
		s GET a
		p SET a 1
		s SELECT 0
		p SET a 2`},
}

// trackingPieces are what generated conversations consist of.
var trackingPieces = strings.Split(`s CLIENT TRACKING ON|s CLIENT TRACKING OFF|s CLIENT TRACKING ON OPTIN|s CLIENT TRACKING ON OPTOUT NOLOOP|s CLIENT TRACKING ON BCAST|
s CLIENT TRACKING ON BCAST PREFIX a PREFIX b|s CLIENT TRACKING ON NOLOOP|s CLIENT CACHING YES|s CLIENT CACHING NO|s GET a|s GET b|s MGET a b c|s SET a 1|s SET c 2|s INCR n|s GET n|
s MULTI|s EXEC|s DISCARD|s WATCH a|s UNWATCH|s PING|s CLIENT TRACKINGINFO|s SELECT 1|s SELECT 0|s BLPOP l 0.01|s HGETALL h|p SET a 2|p SET b 3|p MSET a 1 b 2 c 3|p DEL a b|
p HSET h f v|p INCR n|p RPUSH l x|s LRANGE l 0 -1|s XREAD BLOCK 10 STREAMS x 0|s CLIENT ID`, "|")

// A couple is a client that is told when keys change, and another, at one server or behind
// one proxy.
type couple struct{ s, p *testkit.Client }

func newCouple(t *testing.T, at string) couple {
	t.Helper()
	w := couple{testkit.Dial(t, testkit.Redis, at), testkit.Dial(t, testkit.Redis, at)}
	w.p.Do("FLUSHALL")
	w.s.Do("HELLO", "3")
	return w
}

// says has one of the two say something, and returns what s hears: pushes, the reply, and
// all pushes that are on their way behind it. A DEL of nothing comes back behind those.
func (w couple) says(line string) (heard []string) {
	who, words := line[:1], commands(line[2:])[0]
	answered := func() (reply string) {
		for {
			reply = w.s.Reply()
			if reply[0] != '>' {
				return reply
			}
			heard = append(heard, reply)
		}
	}
	if who == "p" {
		w.p.Send(words)
		heard = append(heard, w.p.Reply())
	} else {
		w.s.Send(words)
		reply := answered()
		if strings.HasPrefix(line, "s HELLO") || strings.HasPrefix(line, "s CLIENT ID") {
			reply = reply[:1]
		}
		heard = append(heard, reply)
	}
	w.s.Send(testkit.RESP("DEL", "barrier"))
	answered()
	return heard
}

// TestTrackingLikeRedis: what a client that is told when keys change hears is what it would
// hear of the server by itself.
func TestTrackingLikeRedis(t *testing.T) {
	t.Parallel()
	plain, behind := testkit.StartRedis(t), testkit.StartRedis(t)
	nuthatch := testkit.StartNuthatch(t, testkit.Pool{
		Protocol: testkit.Redis, Servers: []string{behind.Entry("s1")},
	}.String()+"  databases: 16\n  allow_flush: true\n  allow_keys: true\n", testkit.Threads(2))
	same := func(t *testing.T, lines []string) {
		t.Helper()
		a, b := newCouple(t, plain.Addr()), newCouple(t, nuthatch.Addr())
		for i, line := range lines {
			want, got := strings.Join(a.says(line), ""), strings.Join(b.says(line), "")
			if want != got {
				t.Fatalf("line %d, %s: s hears\n%q, and of the server itself\n%q\n%s", i, line, got, want, strings.Join(lines[:i+1], "\n"))
			}
		}
	}
	for _, g := range tracking {
		t.Run(g.name, func(t *testing.T) { same(t, g.commands()) })
	}
	rnd := rand.New(rand.NewPCG(17, 4))
	for range 40 {
		lines := []string{"s CLIENT TRACKING ON"}
		if rnd.IntN(2) == 0 {
			lines = nil
		}
		collects := false
		for range 5 + rnd.IntN(30) {
			piece := strings.TrimSpace(trackingPieces[rnd.IntN(len(trackingPieces))])
			if collects && (strings.Contains(piece, "CLIENT") || strings.Contains(piece, "SELECT") || piece[0] == 'p') {
				continue // the proxy refuses it in a transaction, where no DEL goes to the server
			}
			collects = piece == "s MULTI" || collects && piece != "s EXEC" && piece != "s DISCARD"
			lines = append(lines, piece)
		}
		same(t, append(lines, "s MULTI", "s DISCARD"))
	}
}

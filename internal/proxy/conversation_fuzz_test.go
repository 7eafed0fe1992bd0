package proxy_test

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/msg"
	"nuthatch/internal/proxy"
)

// A variant is a configuration that conversations are held with.
type variant struct {
	lines string
	auth  string
	// cuts: clients may lose their connections by it, or be refused.
	cuts bool
	// memory is what the loops may hold, in bytes; 0 is no bound.
	memory int64
}

const ejects = "  auto_eject_hosts: true\n  server_failure_limit: 2\n  server_retry_timeout: 2000\n"

var (
	redisVariants = []variant{
		{lines: "  timeout: 400\n"},
		{}, // without a timeout
		{lines: "  timeout: 400\n" + ejects},
		{lines: "  timeout: 400\n  client_max_pipeline: 3\n  client_max_queued: 16kb\n"},
		{lines: "  timeout: 400\n  databases: 4\n  server_connections: 2\n  preconnect: true\n"},
		{lines: "  timeout: 400\n  redis_auth: secret\n  redis_db: 2\n", auth: "secret"},
		{lines: "  timeout: 400\n  distribution: modula\n  partial_results: nulls\n"},
		{lines: "  timeout: 400\n  eject: fail\n" + ejects + "  databases: 2\n"},
		{lines: "  timeout: 400\n  health_check: {interval: 1s, timeout: 500ms}\n  reconnect_backoff: 200ms\n" + ejects},
		{lines: "  timeout: 400\n  health_check: {interval: 300ms, timeout: 1s, rise: 1, fall: 1}\n  eject: fail\n  redis_auth: s\n" + ejects, auth: "s"},
		{lines: "  timeout: 400\n  server_max_queued: 4\n  server_max_queued_bytes: 2kb\n  reconnect_backoff: 1s\n", cuts: true},
		{lines: "  timeout: 400\n  client_output_limit: 20kb\n  client_idle_timeout: 2s\n  max_keys: 3\n", cuts: true},
		{lines: "  timeout: 400\n  request_timeout: 150ms\n  connect_timeout: 100ms\n  server_idle_timeout: 1s\n  client_max_pipeline: 20\n"},
		{lines: "  request_timeout: 300ms\n  databases: 2\n  server_connections: 2\n" + ejects},
		{lines: "  timeout: 400\n  retry: idempotent\n  redis_db: 2\n"},
		{lines: "  retry: idempotent\n  request_timeout: 150ms\n  server_connections: 2\n  reconnect_backoff: 50ms\n"},
		{lines: "  timeout: 400\n  retry: unsent\n  redis_auth: s\n  server_max_queued: 9\n" + ejects, auth: "s", cuts: true},
		{lines: "  timeout: 400\n", cuts: true, memory: 400 << 10},
		{lines: "  timeout: 400\n  client_max_queued: 64kb\n", cuts: true, memory: 2 << 20},
		{lines: "  timeout: 400\n  retry: unsent\n"},
		{lines: "  timeout: 400\n  retry: idempotent\n  server_connections: 2\n  databases: 2\n"},
		{lines: "  retry: idempotent\n  request_timeout: 300ms\n  reconnect_backoff: 100ms\n" + ejects},
		{lines: "  client_output_soft_limit: 4kb\n  client_output_soft_time: 200ms\n  client_connections: 5\n", cuts: true},
	}
	memcacheVariants = []variant{
		{lines: "  timeout: 400\n"},
		{lines: "  distribution: modula\n"},
		{lines: "  timeout: 400\n" + ejects},
		{lines: "  timeout: 400\n  client_max_pipeline: 3\n  client_max_queued: 16kb\n  server_connections: 2\n"},
		{lines: "  timeout: 400\n  eject: fail\n" + ejects},
		{lines: "  timeout: 400\n  health_check: {interval: 1s, timeout: 500ms}\n  reconnect_backoff: 200ms\n" + ejects},
		{lines: "  timeout: 400\n  server_max_queued: 4\n  server_max_queued_bytes: 2kb\n", cuts: true},
		{lines: "  timeout: 400\n  request_timeout: 150ms\n  connect_timeout: 100ms\n  server_idle_timeout: 1s\n"},
		{lines: "  request_timeout: 300ms\n  server_connections: 2\n"},
		{lines: "  timeout: 400\n  retry: idempotent\n  eject: fail\n" + ejects},
		{lines: "  timeout: 400\n", cuts: true, memory: 400 << 10},
		{lines: "  timeout: 400\n  client_output_limit: 20kb\n  client_idle_timeout: 2s\n", cuts: true},
	}
)

// budgets are what a turn does of what is done in slices. With the default one, no
// request of a conversation is large enough for that; with the least, all are that
// have two words.
var budgets = []proxy.Amount{{}, {Keys: 16, Clients: 4, Bytes: 2000}, {Keys: 4, Clients: 1, Bytes: 200}}

// A script is the bytes that a conversation is made of. At its end it is zeros.
type script []byte

func (s *script) next() byte {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return b
}

func (s *script) some(n byte) []byte {
	k := min(int(n), len(*s))
	b := (*s)[:k]
	*s = (*s)[k:]
	return b
}

// maxEvents bounds a conversation.
const maxEvents = 400

// play holds the conversation that a script tells, in a world of that name.
func play(t testing.TB, in string, s script) {
	playIn(t, worlds[in](), s)
}

func playIn(t testing.TB, in world, s script) {
	head := s.next()
	var lang dialect = text{}
	v := memcacheVariants[int(head>>3)%len(memcacheVariants)]
	if head&1 == 0 {
		v = redisVariants[int(head>>3)%len(redisVariants)]
		v.lines += "  redis: true\n"
		lang = resp{password: v.auth}
	}
	c := converseIn(t, in, v.lines, lang, 1+int(head>>1&1))
	c.cuts, c.upset = v.cuts, v.cuts
	if v.memory > 0 {
		c.limitMemory(v.memory)
	}
	if b := budgets[int(head>>3)%len(budgets)]; b != (proxy.Amount{}) {
		c.sliced = true
		for _, ctx := range c.loops {
			ctx.SetBudget(b)
		}
	}
	c.join()
	for n := 0; n < maxEvents && len(s) > 0; n++ {
		c.event(&s)
	}
	c.end(head&4 == 0)
}

// limitMemory limits what the loops hold beside their engines.
func (c *conversation) limitMemory(most int64) {
	engines := int64(0)
	for _, ctx := range c.loops {
		engines += int64(ctx.Loop().Ahead())
	}
	c.identity.Limits().SetMemory(engines+most/2, engines+most)
}

// event is one event of a script: what, by whom, and how much. Unless what has
// its highest bit set the loops have their turn.
func (c *conversation) event(s *script) {
	what, who, amount := s.next(), s.next(), s.next()
	if what&0x40 == 0 {
		c.partyEvent(s, c.parties[int(who)%len(c.parties)], what&0x3f, amount)
	} else {
		c.stubEvent(s, c.stubs[int(who)%len(c.stubs)], int(who)/len(c.stubs), what&0x3f, amount)
	}
	if what&0x80 == 0 {
		c.turn()
	}
}

// maxParties bounds the clients of a conversation.
const maxParties = 12

// partyEvent is something that a client does.
func (c *conversation) partyEvent(s *script, p *party, what, amount byte) {
	switch {
	case (what < 32 || what == 58) && (p.half || p.closed || p.quits):
	case what < 16:
		c.lang.ask(p, what|amount&1<<4, amount)
		p.say(len(p.out))
	case what < 32:
		c.lang.ask(p, what&15|amount&1<<4, amount)
	case what < 38:
		p.say(int(amount))
	case what < 40:
		p.say(len(p.out))
	case what < 44:
		p.hear(1 + int(amount)*int(amount))
	case what < 48:
		p.hear(1 << 20)
	case what < 52:
		if len(c.parties) < maxParties {
			c.join()
		}
	case what < 54:
		p.stop()
	case what < 56:
		p.close()
	case what < 58:
		p.mutter(s.some(amount))
		p.say(len(p.out))
	case what < 59:
		// Requests for several servers before and behind one that waits to be understood.
		for _, kind := range []byte{3, 2, 14, 3, 2} {
			c.lang.ask(p, kind, amount|1)
		}
		p.say(len(p.out))
	case what < 62:
		c.order(amount, amount>>3)
	default:
		c.pass(time.Duration(amount) * time.Duration(amount) * time.Millisecond)
	}
}

// stubEvent is something that a server, or its i-th connection, does.
func (c *conversation) stubEvent(sc *script, s *stub, i int, what, amount byte) {
	s.read()
	conn := s.conn(i)
	switch {
	case what < 4:
		s.up()
		c.topo.Servers()[s.place].SetAddrs([]unix.Sockaddr{s.addr})
		return
	case what < 6:
		s.down()
		return
	case what < 7:
		c.upset = true
		c.topo.Servers()[s.place].SetAddrs(nil)
		return
	case what < 12:
		for _, conn := range s.conns {
			conn.answer(len(conn.todo))
			conn.say(len(conn.out))
		}
		return
	case what >= 60:
		c.upset = true
		c.check(s.place, []msg.Reason{msg.OK, msg.ConnRefused}[amount&1])
		return
	}
	if conn == nil {
		return
	}
	switch {
	case what < 30:
		conn.answer(1 + int(amount))
		conn.say(len(conn.out))
	case what < 36:
		conn.answer(1)
		conn.say(int(amount))
	case what < 42:
		conn.say(int(amount))
	case what < 44:
		conn.refuse()
		conn.say(len(conn.out))
	case what < 46:
		conn.stop()
	case what < 48:
		conn.close()
	case what < 50:
		conn.stray()
	case what < 52:
		conn.nonsense(amount)
	case what < 54:
		conn.mutter(sc.some(amount))
	case what < 60:
		conn.answer(1 + int(amount))
	}
}

// Moments that chance would seldom meet.
func TestConversationMoments(t *testing.T) {
	for name, moment := range map[string]func(c *conversation, p *party){
		// A reply comes when the next request has been taken and not yet sent.
		"a stray reply before the request is sent": func(c *conversation, p *party) {
			p.say(len(p.out))
			c.stubs[0].conns[0].stray()
			c.turn()
		},
		// What is left of a reply has no place on the next connection.
		"a connection cut in the middle of a reply": func(c *conversation, p *party) {
			p.say(len(p.out))
			c.calm()
			c.stubs[0].read()
			k := c.stubs[0].conns[0]
			k.answer(1)
			k.say(len(k.out) - 4)
			c.turn()
			k.close()
		},
	} {
		for in, lang := range worldsAndDialects() {
			t.Run(fmt.Sprintf("%s, %s, %T", name, in, lang), func(t *testing.T) {
				lines := "  timeout: 400\n"
				if lang == (resp{}) {
					lines += "  redis: true\n"
				}
				c := converseIn(t, worlds[in](), lines, lang, 1)
				p := c.join()
				for range 20 { // enough for every server to get one
					lang.ask(p, 0, 100)
				}
				c.finish(true)
				for range 20 {
					lang.ask(p, 0, 100)
				}
				moment(c, p)
				c.end(true)
			})
		}
	}
}

// worldsAndDialects are all pairs of a world's name and a dialect.
func worldsAndDialects() iter.Seq2[string, dialect] {
	return func(yield func(string, dialect) bool) {
		for in := range worlds {
			for _, lang := range []dialect{resp{}, text{}} {
				if !yield(in, lang) {
					return
				}
			}
		}
	}
}

// FuzzConversation: whatever clients and servers say and do, in whatever order,
// and whatever time passes meanwhile, every client gets the replies to its own
// requests, in their order, or errors; no write is sent twice; and at the end
// nothing is left.
func FuzzConversation(f *testing.F) {
	for seed := range uint64(64) {
		f.Add(improvised(seed), seed%2 == 0)
	}
	f.Fuzz(func(t *testing.T, b []byte, completions bool) {
		in := map[bool]string{false: "fake", true: "completions"}[completions]
		play(t, in, b)
		play(t, scrambledLike[in], b)
	})
}

// improvised is a script made up at random.
func improvised(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	b := make([]byte, 1+3*r.IntN(200))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	b[0] = byte(seed)<<3 | byte(r.Uint32()&7)
	return b
}

// Conversations in which a server was replaced between two slices of a request.
func TestConversationsThatFailedOnce(t *testing.T) {
	for _, seed := range []uint64{550329, 572642, 572828} {
		for in := range worlds {
			t.Run(fmt.Sprint(in, seed), func(t *testing.T) { play(t, in, improvised(seed)) })
		}
	}
}

// Many conversations, made up at random; on the kernel, which is slower, fewer, and under
// the race detector, which finds nothing more in the next thousand.
func TestConversations(t *testing.T) {
	for in, many := range map[string]uint64{
		"fake": 2000, "completions": 2000, "epoll": 100, "io_uring": 100,
		"scrambled": 500, "scrambled completions": 500, "scrambled epoll": 50, "scrambled io_uring": 50,
	} {
		if testing.Short() {
			many = min(many, 200)
		}
		t.Run(in, func(t *testing.T) {
			for seed := range many {
				play(t, in, improvised(seed+1000))
				if t.Failed() {
					t.Fatalf("seed %d", seed+1000)
				}
			}
		})
	}
}

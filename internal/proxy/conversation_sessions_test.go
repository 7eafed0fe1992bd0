package proxy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/proxy"
)

// Clients that say whatever belongs to sessions in whatever order: transactions that are
// begun twice or never ended, times that are none, waits of which nobody hears the end.
// Each request gets one reply. Beside them is a client that says ordinary things, and must
// have the right replies.

// sessionVariants are configurations of such conversations.
var sessionVariants = []variant{
	{lines: "  timeout: 400\n"},
	{lines: "  timeout: 400\n  transactions: per_server\n"},
	{lines: "  request_timeout: 150ms\n  private_connections: 2\n  private_idle_timeout: 300ms\n"},
	{lines: "  timeout: 400\n  transactions: per_server\n  request_timeout: 300ms\n  server_connections: 2\n  databases: 4\n"},
	{lines: "  timeout: 400\n  max_transaction_commands: 3\n  max_transaction_size: 16kb\n  client_idle_timeout: 3s\n"},
	{lines: "  timeout: 400\n  transactions: refuse\n"},
	{lines: "  timeout: 400\n  private_connections: 0\n"},
	{lines: "  timeout: 400\n  retry: idempotent\n  client_max_pipeline: 3\n" + ejects},
	{lines: "  timeout: 400\n  distribution: random\n  transactions: per_server\n"},
	{lines: "  timeout: 400\n  transactions: per_server\n", memory: 300 << 10},
	{lines: "  timeout: 400\n  redis_auth: secret\n  redis_db: 2\n  databases: 4\n", auth: "secret"},
}

// times are what may be said to be a time.
var times = []string{"0", "0.001", "1", "0.4", "nan", "-1", "inf", "1e308", "1e-308", "9223372036854775807", "99999999999999999999", "", "x", "-0", "0x10"}

// sessionWords are requests; K is a key, T a time, I the id of a client, N a number.
var sessionWords = []string{
	"MULTI", "MULTI", "MULTI", "MULTI x", "EXEC", "EXEC", "EXEC", "EXEC x", "DISCARD", "DISCARD x",
	"WATCH K", "WATCH K", "WATCH K K", "WATCH", "UNWATCH", "UNWATCH x", "RESET",
	"SET K v", "SET K v", "GET K", "INCR K", "MGET K K", "MSET K v K v", "DEL K K K", "PING", "ECHO x", "TIME", "nosuch K",
	"BLPOP K T", "BLPOP K K T", "BRPOP K 0", "BLMOVE K K LEFT RIGHT T", "BLMPOP T 1 K LEFT", "BZMPOP T 2 K K MIN", "BZPOPMIN K T",
	"XREAD BLOCK T STREAMS K 0", "XREAD COUNT 1 BLOCK T STREAMS K K 0 0", "XREADGROUP GROUP g c BLOCK T STREAMS K >", "XREAD BLOCK T STREAMS",
	"WAIT N T", "WAIT N 0", "WAIT T T", "WAITAOF N N T", "WAIT N T x",
	"CLIENT UNBLOCK I", "CLIENT UNBLOCK I ERROR", "CLIENT UNBLOCK I TIMEOUT", "CLIENT UNBLOCK I x", "CLIENT LIST", "CLIENT KILL ID I", "CLIENT KILL TYPE normal",
	"SELECT N", "SELECT T", "HELLO 3", "HELLO 2", "EVAL s 1 K", "FLUSHALL", "CLIENT REPLY ON", "CLIENT ID",
}

// babble has p say one of them, and expect one reply.
func (p *party) babble(s *script) {
	var words []string
	for w := range strings.FieldsSeq(sessionWords[int(s.next())%len(sessionWords)]) {
		switch w {
		case "K":
			w = fmt.Sprintf("key:%d", s.next()%16)
		case "T":
			w = times[int(s.next())%len(times)]
		case "I":
			w = fmt.Sprint(1 + s.next()%maxParties)
		case "N":
			w = fmt.Sprint(s.next() % 4)
		}
		words = append(words, w)
	}
	p.loose = true
	p.request(command(words...), func(string) bool { return true })
}

// crowd has p watch very many keys, or queue very much.
func (p *party) crowd(s *script, times int) {
	words := []string{[]string{"WATCH", "DEL", "MGET"}[s.next()%3]}
	for i := range times * (1 + int(s.next())) {
		words = append(words, fmt.Sprint("key:", i))
	}
	p.loose = true
	p.request(command(words...), func(string) bool { return true })
}

// rambling is the dialect of servers that are asked such things.
type rambling struct{ resp }

// blocks tells whether a server has yet to answer such a request in its own time.
func (rambling) blocks(args []string) bool {
	return slices.Contains([]string{"BLPOP", "BRPOP", "BLMOVE", "BLMPOP", "BZMPOP", "BZPOPMIN", "XREAD", "XREADGROUP", "WAIT", "WAITAOF"}, args[0])
}

// answer implements dialect.
func (d rambling) answer(s *stub, conn *stubConn, args []string) string {
	name := strings.ToUpper(args[0])
	switch {
	case name == "EXEC":
		return d.exec(conn)
	case name == "MULTI" || name == "DISCARD" || conn.multi != nil:
		conn.refused = conn.refused && conn.multi != nil
		reply, _ := d.answerMulti(s, conn, name, args)
		return reply
	case name == "CLIENT" && args[1] == "UNBLOCK":
		return d.unblock(s, args)
	}
	return d.alone(s, conn, args)
}

// answerMulti answers what begins, ends or is in a transaction.
func (d rambling) answerMulti(s *stub, conn *stubConn, name string, args []string) (reply string, ok bool) {
	if conn.multi == nil || name == "MULTI" || name == "DISCARD" {
		return d.resp.answerMulti(s, conn, name, args)
	}
	conn.multi = append(conn.multi, d.alone(s, conn, args))
	return "+QUEUED\r\n", true
}

// alone answers what is in no transaction.
func (d rambling) alone(s *stub, conn *stubConn, args []string) string {
	switch args[0] {
	case "WAIT", "PUBLISH":
		return ":1\r\n"
	case "WAITAOF":
		return "*2\r\n:1\r\n:1\r\n"
	case "EVAL":
		return ":1\r\n"
	case "TIME":
		return "*2\r\n" + bulk("1") + bulk("2")
	case "ECHO":
		return bulk(args[1])
	case "UNWATCH", "WATCH", "FLUSHALL":
		return "+OK\r\n"
	case "GET":
		return bulk(valueOf(args[1]))
	}
	if d.blocks(args) && s.talk.sent[args[1]] == nil {
		return "*-1\r\n"
	}
	was := conn.multi
	conn.multi = nil
	defer func() { conn.multi = was }()
	return d.resp.answer(s, conn, args)
}

// unblock ends what waits at the head of a connection.
func (d rambling) unblock(s *stub, args []string) string {
	k := s.conns[number(args[2])-1]
	if len(k.todo) == 0 || k.multi != nil || !d.blocks(k.todo[0].args) || k.closed || k.spoilt {
		return ":0\r\n"
	}
	reply := "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"
	if args[3] == "TIMEOUT" {
		reply = d.alone(s, k, k.todo[0].args)
	}
	for _, key := range k.todo[0].keys {
		key.arrived-- // it may come again
	}
	k.todo = k.todo[1:]
	k.out = append(k.out, reply...)
	return ":1\r\n"
}

// exec answers EXEC. A command that was refused has taken the whole transaction with it.
func (rambling) exec(conn *stubConn) string {
	all, refused := conn.multi, conn.refused
	conn.multi, conn.refused = nil, false
	switch {
	case all == nil:
		return "-ERR EXEC without MULTI\r\n"
	case refused:
		return "-EXECABORT Transaction discarded because of previous errors.\r\n"
	}
	return fmt.Sprintf("*%d\r\n", len(all)) + strings.Join(all, "")
}

// playSessions holds the conversation of sessions that a script tells.
func playSessions(t testing.TB, in string, s script) {
	head := s.next()
	v := sessionVariants[int(head>>1)%len(sessionVariants)]
	lang := rambling{resp{password: v.auth}}
	c := converseIn(t, worlds[in](), v.lines+"  redis: true\n", lang, 1+int(head&1))
	c.cuts, c.upset, c.blocks = true, true, true
	if v.memory > 0 {
		c.limitMemory(v.memory)
	}
	many := 8
	if b := budgets[int(head>>1)%len(budgets)]; b != (proxy.Amount{}) {
		many = 1 // each of the keys takes a turn
		for _, ctx := range c.loops {
			ctx.SetBudget(b)
		}
	}
	c.join()
	c.join()
	for n := 0; n < maxEvents && len(s) > 0; n++ {
		what, who := s.next(), s.next()
		p := c.parties[int(who)%len(c.parties)]
		if what&1 == 0 || p.half || p.closed || p.quits {
			b := script{what, who, s.next()}
			c.event(&b)
			continue
		}
		switch {
		case p.id == 0: // the ordinary one
			lang.ask(p, what>>1%9, s.next())
		case what > 250:
			p.crowd(&s, many)
		default:
			if v.auth != "" && p.seq == 0 {
				p.seq++
				p.request(command("AUTH", v.auth), func(string) bool { return true })
			}
			p.babble(&s)
		}
		p.say(len(p.out))
		if what&2 == 0 {
			c.turn()
		}
	}
	c.end(true)
}

// FuzzSessions: whatever clients say about transactions and waits, in whatever order, and
// wherever they vanish, each request gets one reply, others get theirs, and nothing is left.
func FuzzSessions(f *testing.F) {
	for seed := range uint64(64) {
		f.Add(improvised(seed), seed%2 == 0)
	}
	f.Fuzz(func(t *testing.T, b []byte, completions bool) {
		in := map[bool]string{false: "fake", true: "completions"}[completions]
		playSessions(t, in, b)
		playSessions(t, scrambledLike[in], b)
	})
}

// Many conversations of sessions, made up at random.
func TestSessionConversations(t *testing.T) {
	for in, many := range map[string]uint64{"fake": 500, "completions": 300, "epoll": 50, "io_uring": 50, "scrambled": 100} {
		if testing.Short() {
			many = min(many, 50)
		}
		t.Run(in, func(t *testing.T) {
			for seed := range many {
				r := rand.New(rand.NewPCG(seed, 8))
				b := make([]byte, 1+3*r.IntN(300))
				for i := range b {
					b[i] = byte(r.Uint32())
				}
				playSessions(t, in, b)
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

// No client that collects, watches or waits outlives client_idle_timeout, but who waits at a
// server does.
func TestSessionsEndIdle(t *testing.T) {
	c := converse(t, "  redis: true\n  client_idle_timeout: 1s\n", rambling{}, 1)
	c.cuts, c.blocks = true, true
	collects, watches, waits := c.join(), c.join(), c.join()
	whatever := func(string) bool { return true }
	collects.request(command("MULTI")+command("SET", "a", "b"), nil)
	watches.request(command("WATCH", "a"), whatever)
	waits.request(command("BLPOP", "a", "0"), whatever)
	for range 12 {
		for _, p := range []*party{collects, watches, waits} {
			p.say(len(p.out))
		}
		c.calm()
		for _, s := range c.stubs {
			s.read()
			for _, conn := range s.conns {
				if len(conn.todo) > 0 && conn.todo[0].args[0] != "BLPOP" {
					conn.answer(1)
					conn.say(len(conn.out))
				}
			}
		}
		c.calm()
		c.pass(600 * time.Millisecond)
	}
	for _, p := range []*party{collects, watches, waits} {
		p.hear(1 << 20)
	}
	if !collects.ended || !watches.ended || waits.ended {
		t.Errorf("who collects has ended: %t, who watches: %t, who waits: %t", collects.ended, watches.ended, waits.ended)
	}
	c.end(true)
}

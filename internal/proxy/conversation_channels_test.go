package proxy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/proxy"
)

// Clients that listen, in whatever order they begin and end that, wherever their bytes are
// split, while servers end and say something. What each of them hears must be right: an answer to
// each request, and each message once, in the order of its channel, and only of channels to
// which it listens then. When all is well again each hears every message of its channels.

// channelVariants are configurations of such conversations. Each is held with own
// connections and with shared ones.
var channelVariants = []string{
	"  timeout: 400\n  pubsub: {max_subscriptions: 40, connections: %s}\n",
	"  timeout: 400\n  pubsub: {publish: owner, on_loss: resubscribe, connections: %s}\n",
	"  timeout: 400\n  pubsub: {on_loss: resubscribe, ping: 1s, connections: %s}\n",
	"  timeout: 400\n  request_timeout: 150ms\n  private_connections: 3\n  pubsub: {publish: owner, connections: %s}\n",
	"  timeout: 400\n  databases: 4\n  private_idle_timeout: 0\n  pubsub: {ping: 300ms, output_limit: 4kb, connections: %s}\n",
}

// channelWords are requests; C is a channel, P a pattern, K a key.
var channelWords = []string{
	"SUBSCRIBE C", "SUBSCRIBE C", "SUBSCRIBE C C C", "SUBSCRIBE", "PSUBSCRIBE P", "PSUBSCRIBE P P", "SSUBSCRIBE C", "SSUBSCRIBE C C",
	"UNSUBSCRIBE", "UNSUBSCRIBE C", "UNSUBSCRIBE C C", "PUNSUBSCRIBE", "PUNSUBSCRIBE P", "SUNSUBSCRIBE", "SUNSUBSCRIBE C",
	"RESET", "QUIT", "HELLO 3", "HELLO 2", "HELLO 3", "PING", "PING x", "GET K", "SET K v", "MGET K K", "MULTI", "EXEC", "WATCH K", "BLPOP K 0.1",
	"CLIENT TRACKING ON", "CLIENT TRACKING ON BCAST", "CLIENT TRACKING ON OPTIN", "CLIENT TRACKING OFF", "CLIENT CACHING YES",
	"SUBSCRIBE __redis__:invalidate", "PSUBSCRIBE __key*", "SUBSCRIBE __keyevent@0__:del", "PUBSUB NUMPAT",
}

// An ear is what a client of such a conversation has asked, and heard.
type ear struct {
	*party
	asked []string // requests that wait for an answer, as words
	// listens are the channels that it was told it listens to: "kind name".
	listens map[string]bool
	// last is the number of the last message by channel and way.
	last map[string]int
	// left is how many answers the request at hand brings yet; 0: it has none so far.
	left int
	seq  int
}

// listeningStubs is the dialect of servers with channels.
type listeningStubs struct {
	rambling
	// on are the channels of each connection, and speaks3 and tracks what else it was told.
	on      map[*stubConn]map[string]bool
	speaks3 map[*stubConn]bool
	tracks  map[*stubConn]bool
	// said is the number of the last message.
	said int
}

// verbs are the commands about channels, by kind.
var verbs = map[string]string{
	"subscribe": "", "psubscribe": "p", "ssubscribe": "s",
	"unsubscribe": "", "punsubscribe": "p", "sunsubscribe": "s",
}

// frame implements dialect: a push is like an array.
func (d *listeningStubs) frame(b []byte) (int, error) {
	if len(b) > 0 && b[0] == '>' {
		b = append([]byte("*"), b[1:]...)
	}
	return d.rambling.frame(b)
}

// answer implements dialect.
func (d *listeningStubs) answer(s *stub, conn *stubConn, args []string) string {
	verb := strings.ToLower(args[0])
	kind, listens := verbs[verb]
	switch {
	case verb == "hello" && len(args) > 1 && args[1] == "3":
		d.speaks3[conn] = true
	case verb == "client" && args[1] == "TRACKING":
		d.tracks[conn] = args[2] == "ON"
		return "+OK\r\n"
	case verb == "client" && args[1] == "CACHING":
		return "+OK\r\n"
	case verb == "ping" && len(d.on[conn]) > 0:
		return "*2\r\n" + bulk("pong") + bulk("")
	case verb == "publish" && conn.multi == nil:
		return ":0\r\n"
	case verb == "pubsub":
		return ":0\r\n"
	}
	if !listens {
		return d.rambling.answer(s, conn, args)
	}
	if d.on[conn] == nil {
		d.on[conn] = map[string]bool{}
	}
	reply := ""
	for _, name := range args[1:] {
		if d.on[conn][kind+" "+name] = true; strings.Contains(verb, "unsub") {
			delete(d.on[conn], kind+" "+name)
		}
		reply += "*3\r\n" + bulk(verb) + bulk(name) + fmt.Sprintf(":%d\r\n", len(d.on[conn]))
	}
	return reply
}

// publish has servers say the next message on a channel: all of them, or one.
func (d *listeningStubs) publish(c *conversation, channel string, owner bool, large bool) {
	d.said++
	text := fmt.Sprint(d.said)
	if large {
		text += strings.Repeat(" ", 5000)
	}
	s := c.stubs
	if owner {
		i := c.topo.Snapshot().HomeOwner([]byte(channel))
		s = slices.DeleteFunc(slices.Clone(s), func(x *stub) bool { return x.place != i })
	}
	for _, stub := range s {
		for _, conn := range stub.conns {
			if conn.closed || conn.ended || conn.spoilt {
				continue
			}
			for _, on := range []string{" " + channel, "p " + channel[:1] + "*"} {
				if !d.on[conn][on] {
					continue
				}
				if on[0] == 'p' {
					conn.out = append(conn.out, "*4\r\n"+bulk("pmessage")+bulk(on[2:])+bulk(channel)+bulk(text)...)
				} else {
					conn.out = append(conn.out, "*3\r\n"+bulk("message")+bulk(channel)+bulk(text)...)
				}
			}
		}
	}
}

// invalidate has a server tell of a key on all connections where it may.
func (d *listeningStubs) invalidate(s *stub, key string) {
	for _, conn := range s.conns {
		if d.tracks[conn] && d.speaks3[conn] && !conn.closed && !conn.ended {
			conn.out = append(conn.out, ">2\r\n"+bulk("invalidate")+"*1\r\n"+bulk(key)...)
		}
	}
}

// ask has the client say something.
func (e *ear) ask(s *script) {
	var words []string
	for w := range strings.FieldsSeq(channelWords[int(s.next())%len(channelWords)]) {
		switch w {
		case "C":
			w = string("abc"[s.next()%3]) + fmt.Sprint(s.next()%4)
		case "P":
			w = string("abc"[s.next()%3]) + "*"
		case "K":
			w = fmt.Sprintf("key:%d", s.next()%8)
		}
		words = append(words, w)
	}
	e.tell(words)
}

func (e *ear) tell(words []string) {
	e.seq++
	e.quits = e.quits || words[0] == "QUIT"
	e.out = append(e.out, command(words...)...)
	e.asked = append(e.asked, strings.Join(words, " "))
}

// understandAll judges what the client has heard.
func (e *ear) understandAll() {
	t := e.talk.t
	for len(e.in) > 0 {
		n, err := e.talk.lang.frame(e.in)
		if err != nil {
			t.Fatalf("client %d: %v", e.id, err)
		}
		if n == 0 {
			return
		}
		frame := string(e.in[:n])
		e.in = e.in[n:]
		e.frame(frame)
	}
}

// words are the elements of a frame: of an array of strings and numbers.
func wordsOf(frame string) []string {
	var words []string
	lines := strings.Split(frame, "\r\n")
	for i := 1; i < len(lines)-1; i++ {
		if strings.HasPrefix(lines[i], "$") && lines[i] != "$-1" {
			i++
		}
		words = append(words, lines[i])
	}
	return words
}

func (e *ear) frame(frame string) {
	t := e.talk.t
	if words := wordsOf(frame); len(words) > 0 && (frame[0] == '*' || frame[0] == '>') {
		switch verb := words[0]; verb {
		case "message", "pmessage", "smessage":
			e.message(verb, words)
			return
		case "invalidate":
			return
		case "subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe":
			e.listen(verb, words)
			return
		}
	}
	if len(e.asked) == 0 {
		t.Fatalf("client %d: got %.100q, that nobody asked for", e.id, frame)
	}
	request := strings.Fields(e.asked[0])
	if e.left != 0 {
		t.Fatalf("client %d: got %.100q among the answers to %q", e.id, frame, e.asked[0])
	}
	if _, about := verbs[strings.ToLower(request[0])]; about && frame[0] != '-' {
		t.Fatalf("client %d: %q got %.100q", e.id, e.asked[0], frame)
	}
	if request[0] == "RESET" && frame == "+RESET\r\n" {
		clear(e.listens)
	}
	e.asked = e.asked[1:]
}

// listen judges an answer about a channel.
func (e *ear) listen(verb string, words []string) {
	t := e.talk.t
	if len(e.asked) == 0 {
		t.Fatalf("client %d: got %q, that nobody asked for", e.id, words)
	}
	request := strings.Fields(e.asked[0])
	if !strings.EqualFold(request[0], verb) {
		t.Fatalf("client %d: %q got %q", e.id, e.asked[0], words)
	}
	kind := verbs[verb]
	if e.left == 0 {
		if e.left = len(request) - 1; e.left == 0 {
			for on := range e.listens {
				if strings.HasPrefix(on, kind+" ") {
					e.left++
				}
			}
			e.left = max(1, e.left)
		}
	}
	on := kind + " " + words[1]
	if strings.Contains(verb, "unsub") {
		delete(e.listens, on)
	} else {
		e.listens[on] = true
	}
	count := 0
	for other := range e.listens {
		if (other[0] == 's') == (kind == "s") {
			count++
		}
	}
	if words[2] != ":"+strconv.Itoa(count) {
		t.Fatalf("client %d: %q got %q, want the count %d", e.id, e.asked[0], words, count)
	}
	if e.left--; e.left == 0 {
		e.asked = e.asked[1:]
	}
}

// message judges a message.
func (e *ear) message(verb string, words []string) {
	t := e.talk.t
	kind := strings.TrimSuffix(verb, "message")
	if !e.listens[kind+" "+words[1]] {
		t.Fatalf("client %d: got %q, and does not listen to that", e.id, words)
	}
	way := strings.Join(words[:len(words)-1], " ")
	n := number(strings.TrimSpace(words[len(words)-1]))
	if n <= e.last[way] && !e.talk.renewed { // while listeners move, servers may say it twice
		t.Fatalf("client %d: got %.60q behind the message %d", e.id, words, e.last[way])
	}
	e.last[way] = n
}

// act is something that a client does. It reports false if it does nothing.
func (e *ear) act(kind, amount byte, s *script) bool {
	mute := e.half || e.closed || e.quits
	switch {
	case kind < 10 && !mute:
		e.ask(s)
		e.say(int(amount))
	case kind == 10 && !mute && amount > 200: // more than it may
		words := []string{"SUBSCRIBE"}
		for i := range 41 + int(amount) {
			words = append(words, fmt.Sprint("d", i))
		}
		e.tell(words)
		e.say(len(e.out))
	case kind < 13:
		e.say(len(e.out))
	case kind < 15 && !e.closed:
		e.hear(1 + int(amount)*4)
		e.understandAll()
	default:
		return false
	}
	return true
}

// playChannels holds the conversation about channels that a script tells.
func playChannels(t testing.TB, in string, s script) {
	head := s.next()
	lines := channelVariants[int(head>>2)%len(channelVariants)]
	how := []string{"own", "shared"}[head>>1&1]
	d := &listeningStubs{on: map[*stubConn]map[string]bool{}, speaks3: map[*stubConn]bool{}, tracks: map[*stubConn]bool{}}
	c := converseIn(t, worlds[in](), fmt.Sprintf(lines, how)+"  redis: true\n", d, 1+int(head&1))
	c.cuts, c.upset, c.blocks = true, true, true
	owner := strings.Contains(lines, "publish: owner")
	if b := budgets[int(head>>3)%len(budgets)]; b != (proxy.Amount{}) {
		for _, ctx := range c.loops {
			ctx.SetBudget(b)
		}
	}
	var ears []*ear
	join := func() {
		ears = append(ears, &ear{party: c.join(), listens: map[string]bool{}, last: map[string]int{}})
	}
	join()
	join()
	for n := 0; n < maxEvents && len(s) > 0; n++ {
		what, who, amount := s.next(), s.next(), s.next()
		e := ears[int(who)%len(ears)]
		stub := c.stubs[int(who)%len(c.stubs)]
		switch kind := what & 31; {
		case kind < 15 && e.act(kind, amount, &s):
		case kind == 15 && len(ears) < maxParties:
			join()
		case kind == 16 && amount > 128:
			e.close()
		case kind == 16:
			e.stop()
		case kind < 21:
			d.publish(c, string("abc"[who%3])+fmt.Sprint(amount%4), owner, amount > 240)
		case kind == 21:
			d.invalidate(stub, fmt.Sprintf("key:%d", amount%8))
		case kind == 22 && amount > 200:
			stub.down()
		case kind == 22 && amount > 150:
			c.order([]byte{3, 6, 7}[amount%3], amount&^24)
		case kind == 22:
			c.pass(time.Duration(amount) * time.Millisecond)
		case kind > 22:
			if conn := stubEventFor(stub, int(who)/len(c.stubs), kind, amount); conn != nil {
				conn.say(len(conn.out))
			}
		}
		if what&128 == 0 {
			c.turn()
		}
	}
	c.hearAll(ears)
	for _, e := range ears {
		if !e.closed && !e.ended && !e.half && len(e.out) == 0 && len(e.asked) > 0 {
			t.Fatalf("client %d waits for the answer to %q", e.id, e.asked)
		}
	}
	d.reachAll(c, ears, owner)
	c.end(true)
}

// hearAll has all be said and heard that there is. A connection that the proxy makes is seen
// only in the next round.
func (c *conversation) hearAll(ears []*ear) {
	for quiet := 0; quiet < 3; quiet++ {
		before := c.moved
		c.finish(true)
		for _, e := range ears {
			if !e.closed {
				e.hear(1 << 20)
				e.understandAll()
			}
		}
		if c.moved != before {
			quiet = 0
		}
	}
}

// reachAll fails unless a message on each channel reaches every client that listens to it.
func (d *listeningStubs) reachAll(c *conversation, ears []*ear, owner bool) {
	for range 6 { // what failed is tried again
		c.pass(300 * time.Millisecond)
		c.calm()
		c.hearAll(ears)
	}
	said := map[string]int{}
	for i := range 12 {
		name := string("abc"[i%3]) + fmt.Sprint(i/3)
		d.publish(c, name, owner, false)
		said[name] = d.said
		c.hearAll(ears)
	}
	for _, e := range ears {
		if e.closed || e.ended || e.half || e.quits || len(e.asked) > 0 || len(e.out) > 0 {
			continue
		}
		for on := range e.listens {
			kind, name, _ := strings.Cut(on, " ")
			for channel, n := range said {
				way := "message " + channel
				switch {
				case kind == "p" && name == channel[:1]+"*":
					way = "pmessage " + name + " " + channel
				case kind != "" || name != channel:
					continue
				}
				if e.last[way] != n {
					c.t.Errorf("client %d heard the message %d last by %q, want %d", e.id, e.last[way], way, n)
				}
			}
		}
	}
}

// stubEventFor is something that a connection of a stub does. Those that may say more are
// returned.
func stubEventFor(s *stub, i int, kind, amount byte) *stubConn {
	s.read()
	if kind < 26 {
		s.up()
		for _, conn := range s.conns {
			conn.answer(len(conn.todo))
			conn.say(len(conn.out))
		}
		return nil
	}
	conn := s.conn(i)
	switch {
	case conn == nil:
	case kind == 26 && amount > 200:
		conn.close()
	case kind == 26 && amount > 150:
		conn.stop()
	case kind == 27:
		conn.refuse()
	case kind < 30:
		conn.answer(1)
		conn.say(int(amount))
		return nil
	}
	return conn
}

// FuzzChannels: whatever clients say about channels, in whatever order, and wherever they or
// servers vanish, what they hear is right, and nothing is left.
func FuzzChannels(f *testing.F) {
	for seed := range uint64(64) {
		f.Add(improvised(seed), seed%2 == 0)
	}
	f.Fuzz(func(t *testing.T, b []byte, completions bool) {
		in := map[bool]string{false: "fake", true: "completions"}[completions]
		playChannels(t, in, b)
		playChannels(t, scrambledLike[in], b)
	})
}

// Many conversations about channels, made up at random.
func TestChannelConversations(t *testing.T) {
	for in, many := range map[string]uint64{"fake": 600, "completions": 300, "epoll": 50, "io_uring": 50, "scrambled": 100} {
		if testing.Short() {
			many = min(many, 50)
		}
		t.Run(in, func(t *testing.T) {
			for seed := range many {
				r := rand.New(rand.NewPCG(seed, 9))
				b := make([]byte, 1+4*r.IntN(300))
				for i := range b {
					b[i] = byte(r.Uint32())
				}
				playChannels(t, in, b)
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

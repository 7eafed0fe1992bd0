package proxy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/acl"
	"nuthatch/internal/config"
	"nuthatch/internal/eventloop"
	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/proto/redis"
	"nuthatch/internal/proxy"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// A conversation is clients and servers that talk through event loops which the
// test runs by hand, turn by turn, with a time of its own:
//
//	party ... party ◄── its world ──► Context, Context ◄── its world ──► stub ... stub
//
// The world is the kernel with unix sockets, or the fake network of eventloop. Nothing runs but what the test calls, so the same events bring the same
// conversation. Every key names the client that sent it and the request that it
// was in, and every value its key, so that a reply shows whose it is.
type conversation struct {
	world    world
	measures proxy.Measures
	t        testing.TB
	lang     dialect
	// lines are the pool's configuration, as a text; pool is it as it was read.
	lines string
	pool  *config.Pool
	topo  *topology.Topology
	// identity is what the loops share.
	identity *proxy.Identity
	// learned is what the servers have told of themselves.
	learned *redis.Learned
	// users are the pool's, nil if it has none of its own, and denials what they were denied.
	users   *acl.Users
	denials *acl.Log
	loops   []*proxy.Context
	now     time.Duration
	listens *eventloop.ListenSocket
	addr    unix.Sockaddr
	// parties are the clients, gone ones included.
	parties []*party
	stubs   []*stub
	// sent are the keys that clients sent, each of them once.
	sent map[string]*sentKey
	// upset: something was done that may cost a request its reply.
	upset bool
	// sliced: requests are sent in slices. replaced: a server has got another name, so that
	// it is another server.
	sliced, replaced bool
	// blocks: a request waits until a server answers it.
	blocks bool
	// renewed: connections to servers were replaced.
	renewed bool
	// cuts: clients may lose their connections.
	cuts    bool
	reports []func() // what was to be done outside the loops
	// wild: a client sent bytes that nobody has an expectation of.
	wild  bool
	moved int // bytes, connections and ends so far, to tell progress by
	// buf is where is read.
	buf [32 << 10]byte
}

// A sentKey is what the test knows of a key.
type sentKey struct {
	party, seq int
	write      bool
	asked      time.Duration // when the client had it to say
	arrived    int           // how often a server has read it
	anything   bool          // its server said something else than it should
}

// A dialect is a protocol as the two ends of a conversation speak it.
type dialect interface {
	// frame returns the length of the first reply in b; 0 if it is not whole.
	frame(b []byte) (int, error)
	isError(reply string) bool
	// ask has p send a request of the given kind.
	ask(p *party, kind, size byte)
	// parse returns the first request in b and its length; 0 if it is not whole.
	parse(b []byte) (args []string, n int, err error)
	// answer is what a server replies.
	answer(s *stub, conn *stubConn, args []string) string
	// stray is a reply that nobody asked for, nonsense is none at all, and
	// failure an error of the server's own.
	stray() string
	nonsense(i byte) string
	failure() string
}

// parsed are the configurations of conversations, by their texts.
var parsed = map[string]*config.Config{}

// listenLine is only what a configuration must have: the test listens.
const listenLine = "  listen: /nuthatch-conversation.sock\n"

// converse starts a conversation with a pool of that configuration, whose servers
// are stubs, on n loops.
func converse(t testing.TB, lines string, lang dialect, loops int) *conversation {
	t.Helper()
	return converseIn(t, worlds["fake"](), lines, lang, loops)
}

// converseIn is converse in a world.
func converseIn(t testing.TB, in world, lines string, lang dialect, loops int) *conversation {
	t.Helper()
	c := &conversation{
		world: in, t: t, lang: lang, lines: lines, now: time.Second, sent: map[string]*sentKey{}, learned: new(redis.Learned), denials: new(acl.Log), measures: allMeasures(),
	}
	switch s := in.(type) {
	case *scrambled:
		s.moved = func() { c.moved++ }
	case *secured:
		s.moved = func() { c.moved++ }
	}
	for i := range 3 {
		s := &stub{talk: c, index: i, addr: &unix.SockaddrUnix{Name: abstract()}, last: map[int]lastWrite{}}
		s.up()
		c.stubs = append(c.stubs, s)
	}
	c.pool = c.read(lines)
	c.topo = topology.New(c.pool)
	c.topo.SlowLog().Resize(128)
	c.publish()
	c.addr = &unix.SockaddrUnix{Name: abstract()}
	c.listens = in.listen(t, c.addr)
	c.identity = new(proxy.Identity)
	epoch := time.Unix(1e9, 0)
	for id := range loops {
		ctx, err := proxy.NewContext(proxy.Options{
			ID: id, Epoch: epoch, Log: logging.Discard(), Shard: stats.NewShard(c.layout()), Identity: c.identity, Measures: c.measures,
			Pools: c.poolOptions(), NewLoop: in.newLoop(), Outside: c.outside,
		})
		if err != nil {
			t.Fatal(err)
		}
		c.loops = append(c.loops, ctx)
	}
	c.turn()
	for _, ctx := range c.loops {
		ctx.Preconnect()
	}
	ln, err := c.loops[0].Listen(c.listens, c.loops)
	if err != nil {
		t.Fatal(err)
	}
	ln.Serve(c.topo, true)
	return c
}

// read reads a pool's configuration.
func (c *conversation) read(lines string) *config.Pool {
	c.t.Helper()
	lines, process, _ := strings.Cut(lines, "  nuthatch:")
	text := "pool:\n" + listenLine + lines + c.servers()
	if process != "" {
		text += "nuthatch:" + process
	}
	conf := parsed[text]
	if conf == nil {
		var err error
		if conf, err = config.Parse("conversation.yml", []byte(text)); err != nil {
			c.t.Fatal(err)
		}
		parsed[text] = conf
	}
	if p := &conf.Pools[0]; p.HasUsers() {
		users, err := redis.NewUsers("conversation.yml", p, nil, c.users)
		if err != nil {
			c.t.Fatal(err)
		}
		c.users = users
	} else {
		c.users = nil
	}
	return &conf.Pools[0]
}

// poolOptions are one loop's.
func (c *conversation) poolOptions() []proxy.PoolOptions {
	return []proxy.PoolOptions{{Config: c.pool, Topology: c.topo, Protocol: protocolOf(c.pool, c.learned, c.users, c.denials), Stages: c.world.stages()}}
}

func (c *conversation) layout() stats.Layout {
	layout := stats.Layout{{Name: c.pool.Name}}
	for i := range c.pool.Servers {
		layout[0].Servers = append(layout[0].Servers, c.pool.Servers[i].StatsName())
	}
	return layout
}

// turn runs one turn of every loop and reports whether any had something to do.
func (c *conversation) turn() bool {
	busy := false
	for _, ctx := range c.loops {
		n, err := ctx.Loop().Step(int64(c.now))
		if err != nil {
			c.t.Fatal(err)
		}
		busy = busy || n > 0
	}
	if s, ok := c.world.(*secured); ok {
		busy = s.settle() || busy
	}
	return busy
}

// manyTurns is far more turns than what any event needs.
const manyTurns = 10_000

// calm runs turns until no loop has anything to do.
func (c *conversation) calm() {
	c.t.Helper()
	for i := 0; c.turn(); i++ {
		if i == manyTurns {
			c.t.Fatalf("the loops have something to do for ever")
		}
	}
}

// pass lets time go by.
func (c *conversation) pass(d time.Duration) {
	if d > 0 {
		c.upset = true
		c.now += d
	}
}

// check has a health check of the i-th server find that.
func (c *conversation) check(i int, why msg.Reason) {
	if c.pool.HealthCheck.Interval > 0 {
		changed := c.topo.Checked(c.topo.Servers()[i], why, int64(c.now))
		c.loops[0].Checked(c.topo, c.topo.Servers()[i], why, changed)
	}
}

// heal makes every server one that can be reached.
func (c *conversation) heal() {
	c.resume()
	c.publish()
	for _, s := range c.stubs {
		s.up()
		if c.topo.Servers()[s.place].Service() != topology.InService {
			c.topo.SetService(c.topo.Servers()[s.place], topology.InService, int64(c.now)) // it makes the ring anew
		}
		for _, conn := range s.conns {
			if conn.spoilt {
				conn.close()
			}
		}
	}
}

// patientRounds is for how many timeouts in a row nothing may happen before nothing
// is taken to happen any more.
const patientRounds = 10

// finish has everybody say what they have to say, and hear what there is to hear.
// With answering the servers answer all that they are asked; without, nobody hears
// from them, and the timeout ends what waits.
func (c *conversation) finish(answering bool) {
	c.t.Helper()
	c.heal()
	idle := 0
	for rounds := 0; idle < patientRounds; rounds++ {
		if rounds == manyTurns {
			c.t.Fatal("the conversation does not end")
		}
		before := c.moved
		for _, p := range c.parties {
			p.say(len(p.out))
			p.hear(1 << 20)
		}
		for _, s := range c.stubs {
			s.read()
			for _, conn := range s.conns {
				if answering {
					conn.answer(len(conn.todo))
					conn.say(len(conn.out))
				}
			}
		}
		c.calm()
		switch {
		case c.moved != before:
			idle = 0
		case c.settled():
			return
		default:
			idle++
			c.pass(c.pool.Timeout + time.Millisecond)
		}
	}
}

// recovery is how long after the last trouble all is well again.
const recovery = 40 * time.Second

// healed has a client that comes after all trouble ask every server: it must be
// served.
func (c *conversation) healed() {
	c.t.Helper()
	for _, p := range c.parties {
		p.close()
	}
	for range 8 { // as often as a health check must have its answer, and more
		c.pass(recovery / 8)
		for i := range c.stubs {
			c.check(i, msg.OK)
		}
		c.finish(true)
	}
	c.upset, c.cuts, c.replaced = false, false, false
	p := c.join()
	for i := range 2 * len(c.stubs) {
		c.lang.ask(p, 0, byte(i))
		c.finish(true)
		c.lang.ask(p, 3, 0)
		c.finish(true)
	}
	p.judge()
	p.close()
	if c.upset {
		c.t.Error("after the trouble time must pass before a client is served")
	}
}

// settled reports whether everybody has heard what they waited for, and whether, if
// all have gone, what they left behind has gone too.
func (c *conversation) settled() bool {
	gone := true
	for _, p := range c.parties {
		if p.waits() {
			return false
		}
		gone = gone && p.closed
	}
	msgs, chunks := c.live()
	return !gone || msgs == 0 && chunks == 0
}

// live is what is in use on all loops.
func (c *conversation) live() (msgs, chunks int) {
	for _, ctx := range c.loops {
		m, k := ctx.Live()
		msgs, chunks = msgs+m, chunks+k
	}
	return msgs, chunks
}

// end finishes the conversation, judges it, and ends what it held.
func (c *conversation) end(answering bool) {
	c.t.Helper()
	if c.pool.Timeout == 0 || c.blocks {
		answering = true
	}
	c.finish(answering)
	for _, p := range c.parties {
		p.judge()
	}
	for _, p := range c.parties {
		p.close()
	}
	c.finish(answering)
	c.healed()
	c.finish(true)
	if m, k := c.live(); m != 0 || k != 0 {
		c.t.Errorf("at the end %d messages and %d chunks are in use", m, k)
	}
	c.checkGauges()
	for _, ctx := range c.loops {
		ctx.Loop().Stop()
		if err := ctx.Loop().Run(); err != nil {
			c.t.Error(err)
		}
	}
	for _, s := range c.stubs {
		s.down()
	}
	c.listens.Close()
}

// A party is a client of a conversation.
type party struct {
	talk *conversation
	id   int
	end  end
	// out is what it has to say, in what it has heard and not understood.
	out, in []byte
	expects []expectation
	seq     int
	// quits: it has asked for the end of its connection.
	quits bool
	// lost: it said something that may cost it its connection.
	lost bool
	// loose: any reply is right, as long as there is one to each request.
	loose bool
	// half: it says no more. ended: the proxy has closed. closed: it has.
	half, ended, closed bool
}

// An expectation is what a client waits for.
type expectation struct {
	request string
	right   func(reply string) bool
	keys    []string
}

// join adds a client.
func (c *conversation) join() *party {
	p := &party{talk: c, id: len(c.parties), end: c.world.dial(c.t, c.addr)}
	c.parties = append(c.parties, p)
	c.moved++
	return p
}

// key is a new key of p's, for a value of about that size.
func (p *party) key(size int, write bool) string {
	key := fmt.Sprintf("k%d.%d.%d", p.id, p.seq, size)
	p.seq++
	if p.lost {
		return key // whatever stands before it may make it mean anything
	}
	p.talk.sent[key] = &sentKey{party: p.id, seq: p.seq, write: write, asked: p.talk.now}
	return key
}

// valueOf is the only value that a key has.
func valueOf(key string) string {
	var id, seq, size int
	if n, _ := fmt.Sscanf(key, "k%d.%d.%d", &id, &seq, &size); n != 3 {
		return "none"
	}
	return key + "=" + strings.Repeat("v", size)
}

// request has p say s, and expect a reply that is right or an error.
func (p *party) request(s string, right func(string) bool, keys ...string) {
	p.out = append(p.out, s...)
	if right != nil && !p.lost {
		p.expects = append(p.expects, expectation{request: s, right: right, keys: keys})
	}
}

// mutter has p say bytes of no meaning.
func (p *party) mutter(b []byte) {
	p.out = append(p.out, b...)
	p.lost, p.talk.wild, p.talk.upset = true, true, true
}

// say sends n bytes of what p has to say.
func (p *party) say(n int) {
	for n = min(n, len(p.out)); n > 0 && !p.half && !p.closed; {
		sent, err := p.end.Write(p.out[:n])
		if err != nil {
			if !errors.Is(err, unix.EAGAIN) {
				p.out = p.out[:0] // the proxy has closed
			}
			return
		}
		p.talk.moved += sent
		p.out = p.out[sent:]
		n -= sent
	}
}

// hear receives up to n bytes and compares what is whole of them.
func (p *party) hear(n int) {
	buf := p.talk.buf[:]
	for n > 0 && !p.ended && !p.closed {
		got, err := p.end.Read(buf[:min(n, len(buf))])
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		p.talk.moved++
		if err != nil || got == 0 {
			p.ended = true
			break
		}
		p.in = append(p.in, buf[:got]...)
		n -= got
	}
	p.understand()
}

func (p *party) understand() {
	c := p.talk
	for len(p.in) > 0 && len(p.expects) > 0 {
		n, err := c.lang.frame(p.in)
		if err != nil {
			c.t.Fatalf("client %d: after %.60q: %v", p.id, p.expects[0].request, err)
		}
		if n == 0 {
			return
		}
		reply := string(p.in[:n])
		p.in = p.in[n:]
		e := p.expects[0]
		p.expects = p.expects[1:]
		if !p.loose && !c.accepts(e, reply) {
			c.t.Fatalf("client %d: %.60q got %.100q", p.id, e.request, reply)
		}
	}
	if len(p.expects) == 0 && len(p.in) > 0 && !p.lost && !c.cuts {
		c.t.Fatalf("client %d: got %.100q, that nobody asked for", p.id, p.in)
	}
}

func (c *conversation) accepts(e expectation, reply string) bool {
	if e.right(reply) || c.upset && c.lang.isError(reply) {
		return true
	}
	if c.mayBeCutOff() && c.lang.isError(reply) && strings.Contains(reply, msg.ServerRemoved.String()) {
		return true
	}
	for _, s := range c.stubs {
		s.read() // what went to a server that said anything at all
	}
	for _, key := range e.keys {
		if c.sent[key].anything {
			return true
		}
	}
	return false
}

// waits reports whether p has something to say or to hear.
func (p *party) waits() bool {
	if p.closed || p.ended || p.lost {
		return false
	}
	return len(p.expects) > 0 || p.half || p.quits
}

// judge fails unless p has heard all it waited for.
func (p *party) judge() {
	if p.closed || p.lost {
		return
	}
	p.talk.t.Helper()
	switch {
	case p.ended && (p.talk.wild || p.talk.cuts):
	case p.ended && !p.half && !p.quits:
		p.talk.t.Errorf("client %d lost its connection", p.id)
	case p.ended && p.half && len(p.expects) > 0 && strings.Contains(p.expects[0].request, "BLPOP"): // it would not take an element
	case len(p.expects) > 0:
		p.talk.t.Errorf("client %d waits for %d replies, of %.60q first", p.id, len(p.expects), p.expects[0].request)
	case (p.half || p.quits) && !p.ended && len(p.out) == 0:
		p.talk.t.Errorf("client %d has said its last, and its connection does not end", p.id)
	}
}

// stop says that p says no more.
func (p *party) stop() {
	if !p.half && !p.closed {
		p.say(len(p.out))
		if len(p.out) > 0 {
			p.lost = true // its last request is not whole
		}
		p.half = true
		p.end.CloseWrite()
	}
}

// close closes p's end: with what it has not read, that is a reset.
func (p *party) close() {
	if !p.closed {
		p.closed, p.in = true, nil
		p.end.Close()
		p.talk.moved++
	}
}

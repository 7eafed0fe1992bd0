package proxy_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"golang.org/x/sys/unix"

	"nuthatch/internal/eventloop"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// TestTranscripts plays the stories of testdata/*.txt: what clients and servers say,
// and what each of them then hears. What was heard is rewritten by
//
//	go test ./internal/proxy -run TestTranscripts -rewrite
//
// A story is told in steps, each a line, what it brings along, `----`, and what was
// seen. Names of clients are free; servers are a, b and c.
//
//	pool                     the pool's configuration; a last line `nuthatch: ...` is the process's; `wire`: see below
//	client ann says          a line a request; part=N: only N bytes, the rest by `client ann goes-on`
//	client ann hears         all that has come
//	client ann stops | closes
//	server a hears           the requests that have come, by connection
//	server a answers         a line a reply, to connection conn=N, 1 if it is left out; part=N, `goes-on` likewise
//	server a closes          connection conn=N
//	server a dies | returns
//	server a counts          how many of its refusals, such as MOVED, clients got
//	server a errs            its error replies by prefix, as the statistics have them
//	server a moves           its name has another address, and its new connections are made there; `promoted`: another node was promoted
//	time 400ms               passes
//	reload                   the pool's configuration from now on
//	reconnect | drain | pause | resume | off a | on a
//	memory soft=N hard=N     in KB, what the loops may hold together
//	window N                 how many bytes a socket holds that nobody has read
//	turns 1                  of the loop; `still` at the end of a step has it take none
//	slots a=N-N b=N-N ...    of a cluster: which servers have which; `home`: a third each; fails=a, gone=a: a node fails, or has left
//	replicas a=(b,c)         b and c are replicas of a, and may be read from; in a cluster a has all slots
//	stands b lags zone=z     what a replica has said of itself, as in the API, and where it is
//	waiting                  how many clients wait for a server, as the statistics have it
//	left                     what is in use
//
// A word such as b:2 is the second key of server b; "v"*1000 is a thousand times v. Replies are written as
// +OK, -ERR text, :1, "text", nil, [ ... ], { ... }, > [ ... ] (a push); `raw "..."`
// stands for bytes as they are.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		tell(t, path, func(net fake) world { return net })
	})
}

// poolWire is in a story in which it matters how many bytes go over the wire.
const poolWire = "\npool wire\n"

// Stories go as they are told with a stage on all connections, too. Those in which it
// matters how many bytes go over the wire say so: `pool wire`.
func TestTranscriptsScrambled(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), poolWire) {
			tell(t, path, func(net fake) world { return &scrambled{world: net, early: true} })
		}
	})
}

// The end of who waits is seen if it is the last word of a stage, and the socket stays open.
func TestBlockedEndsInStages(t *testing.T) {
	tell(t, "testdata/transcripts/block_end.txt", func(net fake) world { return &scrambled{world: net, early: true, silent: true} })
}

// tell plays the story of that file in a world on a network.
func tell(t *testing.T, path string, on func(fake) world) {
	t.Helper()
	s := &story{t: t, on: on, clients: map[string]*party{}, rest: map[end][]byte{}}
	datadriven.RunTest(t, path, s.step)
	s.end()
}

// A story is a transcript that is played.
type story struct {
	t    *testing.T
	on   func(fake) world
	talk *conversation
	net  *eventloop.Network
	// clients are the parties, by name.
	clients map[string]*party
	// rest is what somebody has begun to say.
	rest map[end][]byte
	// keys are the keys of servers as they are written in the story, by what they are.
	keys map[string]string
}

// step plays one step and returns what was seen.
func (s *story) step(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	who, what := word(d, 0), word(d, 1)
	seen := ""
	switch d.Cmd {
	case "pool":
		s.begin(d)
	case "client":
		seen = s.client(d, who, what)
	case "server":
		seen = s.server(d, s.talk.stubs[strings.Index("abc", who)], what)
	case "time":
		by, err := time.ParseDuration(who)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		s.talk.now += by
	case "turns":
		for range number(who) {
			s.talk.turn()
		}
		return ""
	case "wants":
		why, _ := s.talk.topo.Wanted()
		return fmt.Sprintf("%v\n", why)
	case "waiting":
		return fmt.Sprintf("%d\n", s.talk.value(stats.ServerWaiting))
	case "left":
		msgs, chunks := s.talk.live()
		return fmt.Sprintf("%d messages, %d chunks\n", msgs, chunks)
	default:
		s.order(d, who)
	}
	if !d.HasArg("still") {
		s.talk.calm()
	}
	return seen
}

// word is the i-th word behind the step's first.
func word(d *datadriven.TestData, i int) string {
	if i < len(d.CmdArgs) {
		return d.CmdArgs[i].Key
	}
	return ""
}

// arg is a number that the step names; fallback if it does not.
func arg(t *testing.T, d *datadriven.TestData, name string, fallback int) int {
	if d.HasArg(name) {
		d.ScanArgs(t, name, &fallback)
	}
	return fallback
}

// begin makes the pool.
func (s *story) begin(d *datadriven.TestData) {
	s.net = eventloop.NewNetwork()
	s.net.Completions = d.HasArg("completions")
	var lang dialect = text{}
	if strings.Contains(d.Input, "redis: true") {
		lang = resp{}
	}
	s.talk = converseIn(s.t, s.on(fake{s.net}), indented(d.Input), lang, arg(s.t, d, "loops", 1))
	s.talk.cuts = true
	s.keys = map[string]string{}
}

// indented is a pool's configuration as it stands in a file.
func indented(lines string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(lines, "\n"), "\n", "\n  ") + "\n"
}

// order does what an operator does.
func (s *story) order(d *datadriven.TestData, who string) {
	c := s.talk
	switch d.Cmd {
	case "reload":
		c.lines = indented(d.Input)
		c.reload(false)
	case "reconnect":
		c.reconnect(time.Second)
	case "drain":
		for _, ctx := range c.loops {
			ctx.Drain(int64(c.now + time.Second))
		}
	case "pause":
		for _, ctx := range c.loops {
			ctx.Pause(c.topo)
		}
	case "resume":
		c.resume()
	case "off":
		c.topo.SetService(c.topo.Servers()[c.stubs[strings.Index("abc", who)].place], topology.OffTheRing, int64(c.now))
	case "slots":
		s.slots(d)
	case "looked":
		c.topo.PublishScans(topology.ScanLog{Known: 1, Looked: int64(c.now)}, int64(c.now))
	case "replicas":
		s.replicas(d)
	case "stands":
		s.stands(d)
	case "on":
		c.topo.SetService(c.topo.Servers()[c.stubs[strings.Index("abc", who)].place], topology.InService, int64(c.now))
	case "memory":
		c.identity.Limits().SetMemory(int64(arg(s.t, d, "soft", 0))<<10, int64(arg(s.t, d, "hard", 0))<<10)
	case "window":
		s.net.Window = number(who)
	default:
		d.Fatalf(s.t, "nobody knows how to %s", d.Cmd)
	}
}

// client has a client do something. One that is new joins first.
func (s *story) client(d *datadriven.TestData, name, what string) string {
	p := s.clients[name]
	if p == nil {
		p = s.talk.join()
		s.clients[name] = p
		s.talk.calm()
	}
	switch what {
	case "says":
		var out []byte
		for line := range strings.Lines(d.Input) {
			out = append(out, s.request(strings.TrimRight(line, "\n"))...)
		}
		s.say(p.end, out, arg(s.t, d, "part", len(out)))
	case "goes-on":
		s.say(p.end, s.rest[p.end], arg(s.t, d, "part", len(s.rest[p.end])))
	case "hears":
		in, ended := s.heard(p.end, arg(s.t, d, "bytes", 1<<30))
		if d.HasArg("length") {
			return fmt.Sprintf("(%t)\n", len(in) > 0)
		}
		return s.shown(in, ended)
	case "stops":
		p.end.CloseWrite()
		p.half = true
	case "closes":
		p.close()
	default:
		d.Fatalf(s.t, "a client does not %s", what)
	}
	return ""
}

// server has a server do something.
func (s *story) server(d *datadriven.TestData, stub *stub, what string) string {
	stub.read()
	n := arg(s.t, d, "conn", 1)
	if n > len(stub.conns) && slices.Contains([]string{"answers", "goes-on", "closes"}, what) {
		d.Fatalf(s.t, "there are %d connections", len(stub.conns))
	}
	switch what {
	case "hears":
		if !d.HasArg("still") { // a stage may not be ready before we have read
			s.talk.calm()
			stub.read()
		}
		return s.asked(stub)
	case "answers":
		k := stub.conns[n-1]
		var out []byte
		for line := range strings.Lines(d.Input) {
			out = append(out, s.reply(strings.TrimRight(line, "\n"))...)
		}
		s.say(k.end, out, arg(s.t, d, "part", len(out)))
	case "goes-on":
		k := stub.conns[n-1]
		s.say(k.end, s.rest[k.end], arg(s.t, d, "part", len(s.rest[k.end])))
	case "closes":
		stub.conns[n-1].close()
	case "dies":
		stub.down()
	case "returns":
		stub.up()
	case "counts":
		s.talk.calm()
		return strconv.FormatInt(s.talk.sum().Pools[0].Servers[stub.place].Values[stats.RefusalsPassed], 10) + "\n"
	case "errs":
		s.talk.calm()
		return s.talk.errorReplies(stub.place)
	case "moves":
		stub.move(d.HasArg("promoted"))
	default:
		d.Fatalf(s.t, "a server does not %s", what)
	}
	return ""
}

// errorReplies are how many of its error replies a server's statistics have, by prefix.
func (c *conversation) errorReplies(place int) string {
	of := c.sum().Pools[0].Servers[place].ErrorReplies(c.identity.Errors().Names())
	var b strings.Builder
	for _, prefix := range slices.Sorted(maps.Keys(of)) {
		fmt.Fprintf(&b, "%s %d\n", prefix, of[prefix])
	}
	return b.String()
}

// say sends the first n bytes of out, turn by turn as there is room. The rest is kept.
func (s *story) say(e end, out []byte, n int) {
	s.rest[e] = out[n:]
	for out = out[:n]; len(out) > 0; {
		sent, err := e.Write(out)
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			return // the proxy has closed
		}
		out = out[sent:]
		if sent == 0 && !s.talk.turn() {
			s.rest[e] = append(out, s.rest[e]...) // it is not read from
			return
		}
	}
	if e, ok := e.(stagedEnd); ok {
		for !e.Flush() && s.talk.turn() {
			continue
		}
	}
}

// heard is what has come, at most n bytes; ended says how it goes on.
func (s *story) heard(e end, n int) (in []byte, ended string) {
	buf := make([]byte, 64<<10)
	for n > 0 {
		got, err := e.Read(buf[:min(n, len(buf))])
		switch {
		case errors.Is(err, unix.EAGAIN):
			if !s.talk.turn() {
				return in, ""
			}
		case err != nil:
			return in, "(reset)\n"
		case got == 0:
			return in, "(end)\n"
		}
		in = append(in, buf[:max(got, 0)]...)
		n -= max(got, 0)
	}
	return in, ""
}

// asked are the requests that a server has not been shown to have had.
func (s *story) asked(stub *stub) string {
	var b strings.Builder
	for i, k := range stub.conns {
		for _, a := range k.todo {
			fmt.Fprintf(&b, "%d: %s\n", i+1, s.named(strings.Join(short(a.args), " ")))
		}
		k.todo = nil
		if k.ended && !k.closed {
			fmt.Fprintf(&b, "%d: (end)\n", i+1)
			k.close()
		}
	}
	return cmp.Or(b.String(), "(nothing)\n")
}

// end fails if anything is left once everybody has gone.
func (s *story) end() {
	if s.talk == nil {
		return
	}
	for _, p := range s.talk.parties {
		p.close()
	}
	s.talk.calm()
	for _, stub := range s.talk.stubs {
		stub.down()
	}
	s.talk.calm()
	if msgs, chunks := s.talk.live(); msgs != 0 || chunks != 0 {
		s.t.Errorf("at the end %d messages and %d chunks are in use", msgs, chunks)
	}
	s.talk.stop()
}

var keyWord = regexp.MustCompile(`^[abc]:[0-9]+$`)

// key is the key that a word such as b:2 stands for; any other word is itself.
func (s *story) key(w string) string {
	if !keyWord.MatchString(w) {
		return w
	}
	key := s.talk.keyLike("key:%d", strings.Index("abc", w[:1]), number(w[2:])-1)
	s.keys[key] = w
	return key
}

// named has keys written as the story does.
func (s *story) named(text string) string {
	for key, w := range s.keys {
		text = regexp.MustCompile(`\b`+regexp.QuoteMeta(key)+`\b`).ReplaceAllLiteralString(text, w)
	}
	return text
}

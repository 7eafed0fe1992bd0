package memcache_test

import (
	"bytes"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/proto/memcache"
	"nuthatch/internal/testkit"
)

// The tests of this file ask a real memcached.

// marker is a request with a reply of its own, which no other request has: what
// came before it is all that the requests before it were answered.
const (
	marker      = "mn\r\n"
	markerReply = "MN\r\n"
)

type server struct {
	t    testing.TB
	conn net.Conn
}

func dial(t testing.TB, s *testkit.Server) *server {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &server{t: t, conn: conn}
}

// ask sends b and returns all that is answered.
func (s *server) ask(b []byte) string {
	s.t.Helper()
	if err := s.conn.SetDeadline(time.Now().Add(testkit.Patience)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.conn.Write(append(b, marker...)); err != nil {
		s.t.Fatal(err)
	}
	var got []byte
	buf := make([]byte, 64<<10)
	for !bytes.HasSuffix(got, []byte(markerReply)) {
		n, err := s.conn.Read(buf)
		if err != nil {
			s.t.Fatalf("%.200q: answered %.200q, then %v", b, got, err)
		}
		got = append(got, buf[:n]...)
	}
	return strings.TrimSuffix(string(got), markerReply)
}

// pool is a proxy without any network to its client, which goes by this package
// alone. A key's last byte chooses its server.
type pool struct {
	t       testing.TB
	proto   *memcache.Protocol
	bufs    mbuf.Pool
	servers []*server
}

// play answers a client's bytes.
func (p *pool) play(in []byte) string {
	p.t.Helper()
	var out mbuf.Chain
	parser := p.proto.NewRequestParser()
	for len(in) > 0 {
		n, done, err := parser.Parse(in)
		if err != nil || !done {
			break
		}
		req := parser.Finish(in[:n])
		if req.Treatment == msg.Quit {
			break
		}
		p.request(req, in[:n], &out)
		in = in[n:]
		in = in[min(len(in), req.Skip):]
	}
	return flatten(&p.bufs, &out)
}

func (p *pool) request(req *msg.Request, raw []byte, out *mbuf.Chain) {
	p.t.Helper()
	switch req.Treatment {
	case msg.Forward:
		cut := append(bytes.Clone(raw[:req.Omit.Off]), raw[req.Omit.End():]...)
		reply := p.oneReply(p.owner(req, 0), cut)
		if !req.NoReply && (!req.Quiet || !p.proto.Silent(req.Type, msg.Reply{Flat: []byte(reply)})) {
			out.AppendString(&p.bufs, reply)
		}
	case msg.Broadcast:
		cut := append(bytes.Clone(raw[:req.Omit.Off]), raw[req.Omit.End():]...)
		parent := &msg.Msg{Type: req.Type}
		for s := range p.servers {
			f := &msg.Msg{Via: named("")}
			f.Reply.AppendString(&p.bufs, p.oneReply(s, cut))
			parent.Frags = append(parent.Frags, f)
		}
		var merged mbuf.Chain
		p.proto.Merge(parent, &p.bufs, &merged)
		if !req.NoReply {
			out.Splice(&p.bufs, &merged)
		}
		merged.Release(&p.bufs)
	case msg.Fragment:
		p.proto.Merge(p.split(req), &p.bufs, out)
	case msg.Watch, msg.Block, msg.Subscribe, msg.Publish, msg.Track, msg.Monitor, msg.Confirm, msg.One, msg.Learn, msg.Local, msg.Gather, msg.Report, msg.Quit, msg.Ignore:
		p.proto.Local(req, &msg.Session{Authenticated: true}, &p.bufs, out)
	}
}

func (p *pool) owner(req *msg.Request, i int) int {
	key := text(req, req.Key(i))
	return int(key[len(key)-1]) % len(p.servers)
}

// oneReply asks a server and holds that the answer is one reply, and that the
// reply before it is not lost.
func (p *pool) oneReply(s int, request []byte) string {
	p.t.Helper()
	reply, ok := strings.CutPrefix(p.servers[s].ask(append([]byte("me ?\r\n"), request...)), "EN\r\n")
	if !ok {
		p.t.Fatalf("%.300q costs the request before it its reply", request)
	}
	n, done, err := p.proto.NewReplyParser().Parse([]byte(reply))
	if err != nil || !done || n != len(reply) {
		p.t.Fatalf("out of step: %.300q is answered %.300q: a reply of %d bytes, done %v, error %v", request, reply, n, done, err)
	}
	return reply
}

func (p *pool) split(req *msg.Request) *msg.Msg {
	p.t.Helper()
	parent := &msg.Msg{Nkeys: int32(req.Nkeys)}
	for s := range p.servers {
		var sub mbuf.Chain
		frag := &msg.Msg{}
		parent.Frags = append(parent.Frags, frag)
		p.proto.FragmentHead(req, req.Nkeys, &p.bufs, &sub)
		outs := make([]*mbuf.Chain, len(p.servers))
		outs[s] = &sub // the others' keys are dealt to nobody
		dealt := make([]uint16, req.Nkeys)
		for i := range dealt {
			dealt[i] = uint16(p.owner(req, i))
		}
		p.proto.FragmentKeys(req, 0, dealt, &p.bufs, outs)
		p.proto.FragmentTail(req, &p.bufs, &sub)
		line := []byte(flatten(&p.bufs, &sub))
		if !bytes.Contains(bytes.TrimSpace(line), []byte(" ")) {
			frag.Reply.AppendString(&p.bufs, "END\r\n") // none of the keys
			continue
		}
		frag.Reply.AppendString(&p.bufs, p.oneReply(s, line))
	}
	for i := range req.Nkeys {
		parent.Seq = append(parent.Seq, uint16(p.owner(req, i)))
	}
	return parent
}

func newPool(t testing.TB, servers int) *pool {
	t.Helper()
	p := &pool{t: t, proto: memcache.New(memcache.Options{MaxRequestSize: 4 << 20, AllowFlush: true})}
	for range servers {
		p.servers = append(p.servers, dial(t, testkit.StartMemcached(t)))
	}
	return p
}

// TestAsMemcached holds that clients see what they would see of memcached, or
// the differences that are meant.
func TestAsMemcached(t *testing.T) {
	direct, p := dial(t, testkit.StartMemcached(t)), newPool(t, 1)
	big := strings.Repeat("x", 2_000_000)
	for _, tt := range []struct {
		in string
		// differs is what nuthatch answers in place of what memcached does.
		differs string
	}{
		{in: "set a 0 0 1\r\nx\r\nadd b 0 0 1\r\ny\r\nget a\r\ngets a b c\r\n"},
		{in: "add a 0 0 1\r\nx\r\nreplace c 0 0 1\r\nz\r\nappend a 0 0 1\r\n!\r\nprepend a 5 0 1\r\n>\r\nget a\r\n"},
		{in: "cas a 0 0 1 1\r\nx\r\ncas c 0 0 1 1\r\nx\r\ncas b 0 0 1 2\r\ny\r\n"},
		{in: "set n 0 0 2\r\n10\r\nincr n 5\r\ndecr n 7\r\nincr n x\r\nincr a 1\r\nincr q 1\r\nget n\r\n"},
		{in: "touch a 0\r\ntouch q 0\r\ntouch a x\r\ngat 0 a\r\ngats 0 a b\r\ngat x a b\r\ngat x a\r\n"},
		{in: "delete b\r\ndelete b\r\ndelete a 0\r\ndelete a 1\r\ndelete a x\r\ndelete noreply\r\ndelete a noreply x\r\n"},
		{in: "set a 0 0 1 noreply\r\nx\r\nadd a 0 0 1 noreply\r\ny\r\nincr a 1 noreply\r\ntouch a 0 noreply\r\ndelete q noreply\r\nget a\r\n"},
		{in: "incr a noreply\r\ntouch a noreply\r\ndelete a 1 noreply\r\nincr a x noreply\r\nget a\r\n"},
		{in: "set a 0 0 0\r\n\r\nset b 0 0 6\r\nEND\r\n!\r\nget a b\r\n"},
		{in: "set a\tb\x01 0 0 1\r\nx\r\nget a\tb\x01\r\n"},
		{in: "set " + key250 + " 0 0 1\r\nx\r\nget " + key250 + "\r\n"},
		{in: "get " + key251 + "\r\n"},
		{in: "get a " + key251 + "\r\n"},
		{in: "gat 0 " + key251 + "\r\n"},
		{in: "delete " + key251 + "\r\ntouch " + key251 + " 0\r\nincr " + key251 + " 1\r\ndelete " + key251 + " noreply\r\n"},
		{in: "\r\n\n  \r\nget\r\nget \r\nGET a\r\nbogus\r\nbogus noreply\r\nx\r\nset\r\nincr a\r\ntouch a\r\ndelete a 0 0 0\r\nincr a 1 2 3\r\n"},
		{in: "  get  a   b \nset  a  0  0  1 \nx\r\nset a 0 0 1 noreply \r\nx\r\nget a\r\n"},
		{in: "set a 0 0 1\r\nxyz\r\nget a\r\nset a 0 0 1 noreply\r\nxyzzz\r\nget a\r\n"},
		{in: "set a 0 0 5\r\nx\r\nget a\r\nset a 0 0 1\r\nx\nget a\r\n\r\n"},
		{in: "set a 0 -1 1\r\nx\r\nget a\r\nset a 4294967295 2147483648 1\r\nx\r\n"},
		{in: "set a 0 0 -1\r\nget b\r\nset a 0 0 1x\r\nget b\r\nset a 0 0\r\nset a 0 0 99999999999999999999\r\n"},
		{in: "set a 0 0 2000000\r\n" + big + "\r\nget a\r\nset a 0 0 2000000 noreply\r\n" + big + "\r\nget a\r\n"},
		{in: "get" + strings.Repeat(" a bb", 1000) + "\r\n"},
		{in: "version\r\nversion x\r\n"},
		{in: "ma q\r\nverbosity 0\r\nverbosity 0 noreply\r\nverbosity x\r\n"},
		{in: "flush_all\r\nflush_all noreply\r\nflush_all -1\r\nflush_all x\r\nflush_all x noreply\r\nflush_all 1 2 3\r\n"},
		{in: "stats nonsense\r\nstats detail\r\nstats cachedump\r\n"},
		{in: "stats\r\n", differs: "END\r\n"},
		{in: "slabs automove 1\r\n", differs: "SERVER_ERROR 'slabs' is not supported by nuthatch. It administers one server: send it there.\r\n"},
		// A quiet ma that creates is silent at later releases than 1.6.18.
		{in: "ma new q N60\r\nma new v\r\n", differs: "VA 1\r\n1\r\n"},
		{in: "gat 0\r\n", differs: "ERROR\r\n"},
		// memcached drops the replies that it has not sent yet when a get fails.
		{in: "delete q\r\nget " + key251 + "\r\n", differs: "NOT_FOUND\r\n" + badFormat + "\r\n"},
		// It takes the value of a request that it refused for commands.
		{in: "set " + key251 + " 0 0 5\r\nget x\r\nget q\r\n", differs: badFormat + "\r\nEND\r\n"},
		{in: "set a -1 0 5\r\nget x\r\nget q\r\n", differs: badFormat + "\r\nEND\r\n"},
		{in: "set a 0 x 5 noreply\r\nget x\r\nget q\r\n", differs: "END\r\n"},
		{in: "cas a 0 0 5 -1\r\nget x\r\nget q\r\n", differs: badFormat + "\r\nEND\r\n"},
		// It knows of no value behind a line that has too few words.
		{in: "cas a 0 0 5\r\nget x\r\nget q\r\ncas foo 0 0 6 \r\nbarva2\r\nset a 0 0 5 6 7\r\nget x\r\n"},
		{in: "stats reset\r\n", differs: "SERVER_ERROR 'stats' is not supported by nuthatch. It changes servers that other clients share: send it there.\r\n"},
		{in: "set a 0 0 2147483647\r\nget q\r\n"},
		{in: "set a 0 0 3000000000\r\nget q\r\n"},
		{in: "set a 0 0 9223372036854775805\r\nget q\r\n"},
		// It cuts numbers off, and lines at a NUL.
		{in: "set a 4294967296 0 1\r\nx\r\n", differs: badFormat + "\r\n"},
		{in: "set a 0 0 +1\r\nx\r\n", differs: badFormat + "\r\nERROR\r\n"},
		{in: "get q\x00q\r\n", differs: badFormat + "\r\n"},
		{in: "get q\rq\r\n", differs: badFormat + "\r\n"},
	} {
		theirs, ours := direct.ask([]byte(tt.in)), p.play([]byte(tt.in))
		want := theirs
		if tt.differs != "" {
			want = tt.differs
			if theirs == want {
				t.Errorf("%.100q: memcached answers this itself", tt.in)
			}
		}
		if ours != want {
			t.Errorf("%.100q:\n     got %.500q\n    want %.500q\nmemcached %.500q", tt.in, ours, want, theirs)
		}
	}
}

// TestSplitGets holds that a get of many keys over several servers brings what
// one server brings, each server's misses aside.
func TestSplitGets(t *testing.T) {
	direct, p := dial(t, testkit.StartMemcached(t)), newPool(t, 3)
	set := []byte("set a 1 0 1\r\nA\r\nset b 2 0 0\r\n\r\nset c 3 0 3\r\nCCC\r\nset d 4 0 5\r\nD\r\nDD\r\n")
	if theirs, ours := direct.ask(set), p.play(set); ours != theirs {
		t.Fatalf("set: got %q, want %q", ours, theirs)
	}
	for _, in := range []string{"get a b c d\r\n", "get d c b a\r\n", "get a a b b\r\n", "gat 100 c a b\r\n", "get x y z\r\n", "get a b x y z\r\n"} {
		if theirs, ours := direct.ask([]byte(in)), p.play([]byte(in)); ours != theirs {
			t.Errorf("%q: got %q, want %q", in, ours, theirs)
		}
	}
	// "x" and "a" have different owners, "x" and "d" the same: d moves up.
	p = &pool{t: t, proto: p.proto, servers: p.servers[:2]}
	p.play(set)
	want := value("d", "D\r\nDD") + value("a", "A") + "END\r\n"
	want = strings.Replace(strings.Replace(want, "d 0", "d 4", 1), "a 0", "a 1", 1)
	if got := p.play([]byte("get x a d\r\n")); got != want {
		t.Errorf("a miss before a hit on the same server: got %q, want %q", got, want)
	}
}

// TestEveryForwardedRequestGetsOneReply sends memcached what is left of odd
// requests: whatever it makes of them, it must answer once.
func TestEveryForwardedRequestGetsOneReply(t *testing.T) {
	p := newPool(t, 1)
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(words []string) string { return words[r.IntN(len(words))] }
	commands := strings.Fields("get gets gat gats set add replace append prepend cas delete incr decr touch version ms ms mg md ma me mn bget bogus flush_all verbosity stats")
	words := append(strings.Fields("a b 0 0 0 1 1 1 2 5 7 -1 +1 01 1x x noreply noreply 4294967295 4294967296 2147483648 9223372036854775807 18446744073709551615 18446744073709551616 0x1 1.5 1e3"),
		key250, key251, "q", "q", "k", "v", "b", "c", "N60", "Ox", "MA", "I", "C1", "servers", "items", "detail", "dump", "on", "sizes", "settings", "conns", "reset", "a\tb", "a\x01", "a\x00b", "\x00", "a\rb", "\r", "", "\x0b1", "\t1", "1\t", "noreply\t", "\xff")
	ends := []string{"\r\n", "\r\n", "\r\n", "\n", " \r\n", "\r\r\n"}
	bodies := []string{"", "\r\n", "x\r\n", "xy\r\n", "hello\r\n", "get a\r\n", "noreply\r\n", "\n\r\n"}
	for range 5000 {
		in := pick(commands)
		for range r.IntN(7) {
			in += " " + pick(words)
		}
		p.play([]byte(in + pick(ends) + pick(bodies)))
	}
}

// TestNothingSilencesTheServer sends every command with up to five words of those
// that could make memcached say nothing, in every order.
func TestNothingSilencesTheServer(t *testing.T) {
	p := newPool(t, 1)
	words := []string{"1", "noreply", "q"}
	for name := range strings.FieldsSeq("get gat set cas delete incr touch mg ms md ma me mn version flush_all verbosity stats") {
		lines := []string{name}
		for range 5 {
			for _, line := range lines {
				p.play([]byte(line + "\r\nx\r\n"))
			}
			longer := make([]string, 0, len(words)*len(lines))
			for _, line := range lines {
				for _, word := range words {
					longer = append(longer, line+" "+word)
				}
			}
			lines = longer
		}
	}
}

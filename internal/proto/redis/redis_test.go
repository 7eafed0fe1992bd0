package redis

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"nuthatch/internal/config"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/testkit"
)

// The tests of this file compare with the real redis-server.

// A conversation is a client's connection to a proxy without servers: whatever
// is not answered locally is answered with the name of its treatment.
type conversation struct {
	t       testing.TB
	proto   *Protocol
	parser  msg.RequestParser
	session msg.Session
	pool    mbuf.Pool
	out     mbuf.Chain
}

func converse(t testing.TB, o Options) *conversation {
	p := New(o)
	return &conversation{t: t, proto: p, parser: p.NewRequestParser(), session: msg.Session{
		ID: 7, Authenticated: o.Auth == "", Lane: msg.DefaultLane, WallMicros: 2_000_000_000_000_017,
	}}
}

// say returns the answers to data, and whether the connection ends behind them.
// Requests must be whole.
func (c *conversation) say(data []byte) (answer string, closed bool) {
	for len(data) > 0 && !closed {
		if !c.session.Authenticated {
			c.parser.Restrict()
		}
		n, done, err := c.parser.Parse(data)
		if err != nil {
			c.out.AppendString(&c.pool, err.Reply)
			closed = true
			break
		}
		if !done {
			break
		}
		closed = c.answer(c.parser.Finish(data[:n]))
		data = data[n:]
	}
	answer = string(c.out.AppendTo(nil))
	c.out.Release(&c.pool)
	if c.pool.Live() != 0 {
		c.t.Errorf("%d chunks are still in use", c.pool.Live())
	}
	return answer, closed
}

func (c *conversation) answer(r *msg.Request) (closed bool) {
	if r.Treatment == msg.Ignore {
		return false
	}
	if c.session.Bars&msg.Collecting != 0 {
		switch c.proto.Collect(r, &c.session) {
		case msg.Queued:
			c.session.Collected++
		case msg.Unlearnt:
			c.session.Bars |= msg.Aborted
		case msg.Executes:
			c.session.EndMulti()
			c.out.AppendString(&c.pool, "*executed\r\n")
			return false
		case msg.Apart, msg.Unqueued:
		}
		c.proto.Local(r, &c.session, &c.pool, &c.out)
		return r.Treatment == msg.Quit
	}
	if r.Treatment == msg.Track && c.proto.Allows(r, &c.session) {
		if wants, _, ok := c.proto.Tracking(r, &c.session); ok {
			c.session.SetTracking(wants)
		}
	}
	if r.Treatment == msg.Broadcast && c.proto.Allows(r, &c.session) {
		if c.proto.Prepare(r, &c.session) {
			c.out.AppendString(&c.pool, "+broadcast\r\n")
		} else {
			c.proto.Local(r, &c.session, &c.pool, &c.out)
		}
		return false
	}
	if r.ToServers() && c.proto.Allows(r, &c.session) {
		c.out.AppendString(&c.pool, []string{msg.Forward: "+forwarded\r\n", msg.Fragment: "+fragmented\r\n", msg.Watch: "+watched\r\n", msg.Block: "+blocked\r\n"}[r.Treatment])
		return false
	}
	c.proto.Local(r, &c.session, &c.pool, &c.out)
	return r.Treatment == msg.Quit
}

// sentinel is a request whose answer shows that a connection is still good.
var sentinel, sentinelAnswer = string(resp("ECHO", "still here")), "$10\r\nstill here\r\n"

// TestAgainstRedis sends bytes to redis-server and to the parser and its local
// answers: both say the same and both close, or not.
func TestAgainstRedis(t *testing.T) {
	server := testkit.StartRedis(t)
	learned := new(Learned)
	learned.SetSurvey(NewSurvey([]*Said{interviewServer(t, server.Addr(), "")}, 0))
	long := strings.Repeat("x", 300)
	for _, data := range []string{
		// Requests that are none, and counts and lengths that are.
		"*0\r\n", "*-1\r\n", "*-7\r\n", "\r\n", "\n", "  \r\n",
		"*\r\n", "*a\r\n", "*1a\r\n", "*+1\r\n", "* 1\r\n", "*01\r\n", "*-0\r\n", "*2147483648\r\n", "*99999999999999999999\r\n",
		"*1\r\n4\r\nPING\r\n", "*1\r\n\r\n", "*1\r\n\x01\r\n", "*1\r\n\xff\r\n",
		"*1\r\n$-1\r\n", "*1\r\n$a\r\n", "*1\r\n$\r\n", "*1\r\n$01\r\n", "*1\r\n$536870913\r\n", "*1\r\n$99999999999999999999\r\n",

		// Inline requests.
		"PING\r\n", "ping\n", " PING  \r\n", "\"PING\"\r\n", "PING \"a\r\n", "PING 'a\r\n", "PING \"a\"b\r\n", "PING a\"b\"c\r\n", "PING a\"b\"\r\n",
		"PING \"a\\x41\\n\\r\\t\\b\\a\\q\\\\\\\"'\"\r\n", "PING 'a\\'b\\n\"'\r\n", "PING \"\"\r\n", "PING ''\r\n", "PING \"\\x4\"\r\n", "PING \"\\xzz\"\r\n",
		"PING a\r\r\n", "PING a\rb\r\n", "PING\ta\r\n", "\x0bPING\x0c\r\n", "PING \"\\\r\n", "PING \"\\\"\r\n", "PING '\\'\r\n", "PING '\\\\'\r\n",

		// Unknown commands.
		"foo\r\n", "foo a b\r\n", string(resp("")), string(resp("", "a")), string(resp("foo", "a", "x\ry")), string(resp("f\r\n\x00'", "a")),
		string(resp("foo", long)), string(resp("foo", long[:127], "b")), string(resp("foo", long[:124], "b", "c")), string(resp("foo", long[:100], long[:100], "ccc")),
		string(resp(long)), string(resp(long, "a")), string(resp("foo", "a\x00b", "c")), string(resp("ge\x14", "a")), string(resp("sort\x7fro", "a")),

		// Wrong numbers of words.
		"GET\r\n", "set a\r\n", "MSET a\r\n", "MGET\r\n", "DEL\r\n", "ECHO\r\n", "ECHO a b\r\n", "PING a b\r\n",
		"SELECT\r\n", "SELECT 1 2\r\n", "AUTH\r\n", "AUTH a b c\r\n", "CLIENT\r\n", "CONFIG\r\n", "CONFIG GET\r\n", "RENAME a\r\n", "EVAL a\r\n", "ZUNIONSTORE a 1\r\n",
		"CLIENT SETNAME\r\n", "CLIENT GETNAME a\r\n", "CLIENT ID a\r\n",
		"OBJECT\r\n", "OBJECT ENCODING\r\n", "XGROUP CREATE a\r\n", "XINFO\r\n", "READONLY a\r\n",

		// Subcommands.
		"OBJECT nosuch\r\n", "xinfo nosuch a b\r\n", "CLIENT nosuch\r\n", string(resp("COMMAND", "no\r\nsuch")), string(resp("COMMAND", "")), string(resp("OBJECT", long)),
		"COMMAND GETKEYS SORT a STORE d\r\n", "COMMAND GETKEYS OBJECT FREQ a\r\n", "COMMAND GETKEYS nosuch a\r\n", "COMMAND GETKEYS GET a b\r\n", "COMMAND GETKEYS PING a\r\n",
		"COMMAND GETKEYS ZUNION x a\r\n", "COMMAND GETKEYS XREAD BLOCK 0 STREAMS a b 0 0\r\n", "COMMAND GETKEYS EVAL s 0\r\n", "COMMAND GETKEYSANDFLAGS ZUNIONSTORE d 2 a b\r\n",
		"COMMAND GETKEYSANDFLAGS GET a\r\n", "COMMAND LIST FILTERBY PATTERN xlen*\r\n", "COMMAND LIST FILTERBY MODULE x\r\n", "COMMAND LIST FILTERBY x y\r\n", "COMMAND LIST x\r\n",
		"COMMAND LIST FILTERBY ACLCAT geo x\r\n", "COMMAND DOCS nosuch\r\n", "READONLY\r\n", "ASKING\r\n", "RESET\r\n",

		"CONFIG|GET x\r\n", "OBJECT|ENCODING a\r\n", "client|id\r\n", "GET|x y\r\n", "CONFIG GET|x y\r\n", "OBJECT ENCODING|x y\r\n",

		// What ends no transaction.
		"EXEC\r\n", "DISCARD\r\n", "EXEC x\r\n", "DISCARD x\r\n", "MULTI x\r\nEXEC\r\n",

		// What is answered.
		"PING\r\n", "PING hi\r\n", string(resp("ECHO", "a\r\nb")), "SELECT 0\r\n", "SELECT 99\r\n", "SELECT -1\r\n", "SELECT a\r\n", "SELECT +0\r\n",
		"QUIT\r\n", "QUIT 1\r\n", "POST / HTTP/1.1\r\n", "Host: x\r\n", "AUTH default x\r\n", "AUTH nobody x\r\n",
		"HELLO a\r\n", "HELLO 2 FOO\r\n", "HELLO 2 AUTH a\r\n", "HELLO 2 AUTH a b\r\n", "HELLO 2 SETNAME \"a b\"\r\n",
		"CLIENT GETNAME\r\n", "CLIENT SETNAME a\r\nCLIENT GETNAME\r\nCLIENT SETNAME \"\"\r\nCLIENT GETNAME\r\n", "CLIENT SETNAME \"a b\"\r\n",
		"CLIENT NO-EVICT off\r\n", "CLIENT REPLY ON\r\n", "HELLO 2 SETNAME me AUTH default y\r\nCLIENT GETNAME\r\n",
		"CONFIG GET save\r\n", "CONFIG GET appendonl?\r\n", "CONFIG GET maxmemory-policy\r\n", "CONFIG GET hz\r\n", "CONFIG GET nosuch\r\n", "COMMAND INFO nosuch\r\n",
	} {
		c := converse(t, Options{Learned: learned})
		got, closed := c.say([]byte(data))
		if strings.Contains(data, "HELLO 2 SETNAME me") { // the connection's own number and name
			_, got, _ = strings.Cut(got, "modules\r\n")
		}
		want, wantClosed := redisSays(t, server, data)
		if strings.Contains(data, "HELLO 2 SETNAME me") {
			_, want, _ = strings.Cut(want, "modules\r\n")
		}
		if got != want || closed != wantClosed {
			t.Errorf("%.90q\n\tanswer  %.200q, closed %t\n\tredis's %.200q, closed %t", data, got, closed, want, wantClosed)
		}
	}
}

// redisSays returns redis-server's answers to data, and whether it closes.
func redisSays(t *testing.T, server *testkit.Server, data string) (answers string, closed bool) {
	t.Helper()
	c := server.Dial()
	defer c.Close()
	c.Send([]byte(data + sentinel))
	for {
		b, err := c.TryReply()
		if err != nil {
			return answers + string(b), true
		}
		if string(b) == sentinelAnswer {
			return answers, false
		}
		answers += string(b)
	}
}

// TestLongLinesAgainstRedis: lines without an end are refused after 64 KB.
func TestLongLinesAgainstRedis(t *testing.T) {
	server := testkit.StartRedis(t)
	for _, prefix := range []string{"*", "*1\r\n$", ""} {
		data := prefix + strings.Repeat("1", maxLine+1)
		client := server.Dial()
		client.Send([]byte(data))
		want := client.ExpectEnd()
		if got, closed := converse(t, Options{}).say([]byte(data)); got != want || !closed {
			t.Errorf("%q and a long line: %q, closed %t, want %q", prefix, got, closed, want)
		}
	}
}

// TestStricterThanRedis: Redis looks at neither of the bytes that end a line.
func TestStricterThanRedis(t *testing.T) {
	for data, want := range map[string]string{
		"*1\rX$4\r\nPING\r\n":   "-ERR Protocol error: invalid multibulk length\r\n",
		"*1\r\n$4\rXPING\r\n":   "-ERR Protocol error: invalid bulk length\r\n",
		"*1\r\n$4\r\nPINGxx":    "-ERR Protocol error: expected \"\\r\\n\" behind a bulk\r\n",
		"*1\r\n$4\r\nPING\rx":   "-ERR Protocol error: expected \"\\r\\n\" behind a bulk\r\n",
		"*1\r\n$4\r\nPING\n\n":  "-ERR Protocol error: expected \"\\r\\n\" behind a bulk\r\n",
		"*1\r\n$4\r\nPING\r\n*": "+PONG\r\n",
	} {
		got, closed := converse(t, Options{}).say([]byte(data))
		if got != want || closed != strings.HasPrefix(want, "-") {
			t.Errorf("%q: %q, closed %t, want %q", data, got, closed, want)
		}
	}
}

// decode turns a reply into strings, ints and slices.
func decode(t *testing.T, s string) (v any, rest string) {
	t.Helper()
	text, rest, _ := strings.Cut(s, "\r\n")
	n, err := strconv.Atoi(text[1:])
	switch {
	case text[0] == '+' || text[0] == '-':
		return text[1:], rest
	case err != nil:
		t.Fatalf("no number in %q", text)
	case text[0] == ':':
		return n, rest
	case text[0] == '$' && n >= 0:
		return rest[:n], rest[n+2:]
	case text[0] == '*' && n >= 0:
		items := make([]any, n)
		for i := range items {
			items[i], rest = decode(t, rest)
		}
		return items, rest
	}
	return nil, rest
}

// TestKeysAgainstRedis asks redis-server which words of a request are keys.
func TestKeysAgainstRedis(t *testing.T) {
	client := testkit.StartRedis(t).Dial()
	for _, text := range []string{
		"get a", "mget a b c", "mset a 1 b 2", "msetnx a 1 b 2", "del a b", "rename a b", "copy a b REPLACE", "bitop and d a b", "bitop not d a",
		"object encoding a", "memory usage a samples 5", "xgroup create a g $", "xinfo stream a", "xinfo stream a full",
		"eval s 2 a b c", "evalsha s 1 a", "eval_ro s 1 a b", "fcall f 3 a b c", "fcall_ro f 1 a",
		"zunion 2 a b weights 1 2", "zinter 1 a withscores", "zdiff 2 a b", "zintercard 2 a b limit 5", "sintercard 1 a", "lmpop 2 a b left", "zmpop 1 a min",
		"zunionstore d 2 a b weights 1 2", "zinterstore d 1 a", "zdiffstore d 3 a b c", "zrangestore d a 0 -1", "geosearchstore d a frommember m byradius 1 m",
		"sort a", "sort a limit 0 5 by w_* get # desc alpha", "sort a store d", "sort a limit 0 store by store get store STORE d",
		"georadius a 1 2 3 m", "georadius a 1 2 3 m store d", "georadius a 1 2 3 m count 5 asc StoreDist d", "georadiusbymember a m 1 km store d",
		"xread streams a b 0 0", "xread count 5 streams a 0", "xreadgroup group g c count 1 noack streams a b > >", "xreadgroup group streams c streams a 0",
		"pfcount a b", "pfmerge d a b", "sdiffstore d a b", "lmove a b left right", "rpoplpush a b", "lcs a b", "smove a b c", "move a 1",
	} {
		parser := New(Options{Databases: 16}).NewRequestParser()
		data := resp(strings.Fields(text)...)
		if n, done, err := parser.Parse(data); n != len(data) || !done || err != nil {
			t.Fatal(n, done, err)
		}
		r := parser.Finish(data)
		if !r.ByKeys() {
			t.Errorf("%s: treatment %d, %s", text, r.Treatment, r.Error)
			continue
		}
		var got []string
		for i := range r.Nkeys {
			k := r.Key(i)
			got = append(got, string(data[k.Off:k.End()]))
		}
		keys, _ := decode(t, client.Do(append([]string{"COMMAND", "GETKEYS"}, strings.Fields(text)...)...))
		var want []string
		for _, k := range keys.([]any) {
			want = append(want, k.(string))
		}
		slices.Sort(got) // Redis lists a destination first, or last
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: keys %q, redis says %q", text, got, want)
		}
	}
}

// TestGoRedisConnects: go-redis asks for RESP3 by default, and falls back.
func TestGoRedisConnects(t *testing.T) {
	for _, o := range []goredis.Options{
		{}, {Protocol: 2}, {ClientName: "me"}, {Password: "pw"}, {Password: "pw", Protocol: 2}, {Username: "default", Password: "pw", ClientName: "me"},
	} {
		t.Run(fmt.Sprintf("protocol %d, user %q, name %q", o.Protocol, o.Username, o.ClientName), func(t *testing.T) {
			o.Addr = serve(t, Options{Auth: config.Secret(o.Password), Version: "1.2.3", Learned: asRedis7()})
			client := goredis.NewClient(&o)
			defer func() { _ = client.Close() }()
			if got, err := client.Ping(t.Context()).Result(); err != nil || got != "PONG" {
				t.Errorf("PING: %q, %v", got, err)
			}
			if got, err := client.Echo(t.Context(), "hi").Result(); err != nil || got != "hi" {
				t.Errorf("ECHO: %q, %v", got, err)
			}
			if got, err := client.ConfigGet(t.Context(), "sav*").Result(); err != nil || len(got) != 1 {
				t.Errorf("CONFIG GET: %v, %v", got, err)
			}
			if got, err := client.Command(t.Context()).Result(); err != nil || got["mset"].StepCount != 2 {
				t.Errorf("COMMAND: %+v, %v", got["mset"], err)
			}
			if got, err := client.ClientGetName(t.Context()).Result(); o.ClientName != "" && got != o.ClientName {
				t.Errorf("CLIENT GETNAME: %q, %v", got, err)
			}
		})
	}
}

// serve answers clients on a loopback port until the test ends.
func serve(t *testing.T, o Options) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go attend(converse(t, o), conn)
		}
	}()
	return listener.Addr().String()
}

// attend answers one client. Its requests, and those it sends at once, come in
// one read.
func attend(c *conversation, conn net.Conn) {
	defer func() { _ = conn.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		answer, closed := c.say(buf[:n])
		if _, err := conn.Write([]byte(answer)); err != nil || closed {
			return
		}
	}
}

package redis

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
	"nuthatch/internal/testkit"
)

// inMulti is the error for a command behind a MULTI that was refused.
func inMulti(name string) string {
	return "-ERR '" + name + "' is not carried out: MULTI was refused, and with it all that follows up to EXEC or DISCARD\r\n"
}

// behindSelect is the error for a command behind a SELECT that failed; asked is empty if that named no
// database, and in is the one that the client is in.
func behindSelect(name, asked string, in int) string {
	failed := "this connection's SELECT failed"
	if asked != "" {
		failed = "this connection asked for database '" + asked + "' and did not get it"
	}
	return fmt.Sprintf("-ERR '%s' is not carried out: %s; SELECT %d, which it is in, or another one that it may use\r\n", name, failed, in)
}

const noMulti = "-ERR 'MULTI' is not supported by nuthatch: the pool has transactions: refuse\r\n"

// barredTalks are what follows a MULTI, or a SELECT, that the client did not get.
var barredTalks = []struct {
	name    string
	options Options
	talk    []exchange
}{
	{
		"a refused MULTI",
		Options{AllowFlush: true, AllowKeys: true, Transactions: config.TransactionsRefuse},
		[]exchange{
			{"MULTI", noMulti},
			{"INCR a", inMulti("INCR")},
			{"MGET a b", inMulti("MGET")},
			{"PUBLISH a b", inMulti("PUBLISH")},
			{"EVAL s 1 a", inMulti("EVAL")},
			{"FLUSHALL", inMulti("FLUSHALL")},
			{"SCAN 0", inMulti("SCAN")},
			{"nosuch a", inMulti("nosuch")},
			{"GET", inMulti("GET")},
			{"PING", inMulti("PING")},
			{"SELECT 7", inMulti("SELECT")},
			{"CLIENT SETNAME me", inMulti("CLIENT SETNAME")},
			{"CLIENT LIST", inMulti("CLIENT LIST")},
			{"CLIENT REPLY OFF", inMulti("CLIENT REPLY")},
			{"HELLO 2 SETNAME me", inMulti("HELLO")},
			{"HELLO 3", inMulti("HELLO")},
			{"AUTH default x", inMulti("AUTH")},
			{"INFO", inMulti("INFO")},
			{"MULTI", noMulti},
			{"WATCH a", inMulti("WATCH")},
			{"SUBSCRIBE a", inMulti("SUBSCRIBE")},
			{"EXEC", execAborted},
			{"EXEC", "-ERR EXEC without MULTI\r\n"},
			{"CLIENT GETNAME", "$-1\r\n"},
			{"INCR a", "+forwarded\r\n"},
		},
	},
	{
		"the ends of a refused MULTI",
		Options{Transactions: config.TransactionsRefuse},
		[]exchange{
			{"DISCARD", "-ERR DISCARD without MULTI\r\n"},
			{"multi", strings.Replace(noMulti, "MULTI", "multi", 1)},
			{"DISCARD x", "-ERR wrong number of arguments for 'discard' command\r\n"},
			{"GET a", inMulti("GET")},
			{"discard", "+OK\r\n"},
			{"GET a", "+forwarded\r\n"},
			{"MULTI", noMulti},
			{"RESET", "+RESET\r\n"},
			{"GET a", "+forwarded\r\n"},
			{"EXEC", "-ERR EXEC without MULTI\r\n"},
			{"MULTI", noMulti},
			{"EXEC x", "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n"},
			{"GET a", "+forwarded\r\n"},
			{"MULTI x", "-ERR wrong number of arguments for 'multi' command\r\n"},
			{"GET a", "+forwarded\r\n"},
			{"EXEC x", "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n"},
			// A client that ignores that WATCH is refused says MULTI next.
			{"WATCH a", strings.Replace(noMulti, "MULTI", "WATCH", 1)},
			{"GET a", "+forwarded\r\n"},
			{"MULTI", noMulti},
			{"SET a b", inMulti("SET")},
			{"EXEC", execAborted},
			{"UNWATCH", "+OK\r\n"},
		},
	},
	{
		"a failed SELECT",
		Options{AllowKeys: true},
		[]exchange{
			{"SELECT 5", "-ERR DB index is out of range\r\n"},
			{"SET a b", behindSelect("SET", "5", 0)},
			{"MGET a b", behindSelect("MGET", "5", 0)},
			{"KEYS *", behindSelect("KEYS", "5", 0)},
			{"SCAN 0", behindSelect("SCAN", "5", 0)},
			{"DBSIZE", behindSelect("DBSIZE", "5", 0)},
			{"PUBLISH a b", behindSelect("PUBLISH", "5", 0)},
			{"OBJECT ENCODING a", behindSelect("OBJECT ENCODING", "5", 0)},
			{"EVAL s 1 a", behindSelect("EVAL", "5", 0)},
			{"nosuch a", behindSelect("nosuch", "5", 0)},
			{"PING", "+PONG\r\n"},
			{"ECHO a", "$1\r\na\r\n"},
			{"CLIENT SETNAME me", "+OK\r\n"},
			{"CLIENT GETNAME", "$2\r\nme\r\n"},
			{"AUTH default x", "+OK\r\n"},
			{"CLIENT ID", ":7\r\n"},
			{"GET", "-ERR wrong number of arguments for 'get' command\r\n"},
			{"MULTI", "+OK\r\n"},
			{"SET a b", behindSelect("SET", "5", 0)},
			{"EXEC", execAborted},
			{"SET a b", behindSelect("SET", "5", 0)},
			{"SELECT 0", "+OK\r\n"},
			{"SET a b", "+forwarded\r\n"},
		},
	},
	{
		"the ways in which a SELECT fails, and RESET",
		Options{DB: 3, Databases: 8},
		[]exchange{
			{"SELECT 8", "-ERR DB index is out of range\r\n"},
			{"SET a b", behindSelect("SET", "8", 3)},
			{"SELECT 7", "+OK\r\n"},
			{"SET a b", "+forwarded\r\n"},
			{"SELECT -1", "-ERR DB index is out of range\r\n"},
			{"SET a b", behindSelect("SET", "-1", 7)},
			{"RESET", "+RESET\r\n"},
			{"SET a b", "+forwarded\r\n"},
			{"SELECT app", "-ERR value is not an integer or out of range\r\n"},
			{"SET a b", behindSelect("SET", "", 3)},
			{"SELECT 3", "+OK\r\n"},
			{"SELECT", "-ERR wrong number of arguments for 'select' command\r\n"},
			{"SET a b", behindSelect("SET", "", 3)},
			{"SELECT 3", "+OK\r\n"},
			{"SELECT 1 2", "-ERR wrong number of arguments for 'select' command\r\n"},
			{"SET a b", behindSelect("SET", "1", 3)},
			{"SELECT 99999999999999999999", "-ERR value is not an integer or out of range\r\n"},
			{"SET a b", behindSelect("SET", "", 3)},
		},
	},
	{
		"failed_select: ignore",
		Options{FailedSelect: config.FailedSelectIgnore},
		[]exchange{
			{"SELECT 5", "-ERR DB index is out of range\r\n"},
			{"SET a b", "+forwarded\r\n"},
		},
	},
	{
		"a SELECT before the login",
		Options{Auth: "pw", Databases: 8},
		[]exchange{
			{"SELECT 0", "-NOAUTH Authentication required\r\n"},
			{"AUTH pw", "+OK\r\n"},
			{"SET a b", "+forwarded\r\n"}, // it is where it wants to be
			{"RESET", "+RESET\r\n"},
			{"SELECT 5", "-NOAUTH Authentication required\r\n"},
			{"SET a b", "-NOAUTH Authentication required\r\n"},
			{"AUTH pw", "+OK\r\n"},
			{"SET a b", behindSelect("SET", "5", 0)},
			{"SELECT 5", "+OK\r\n"},
			{"SET a b", "+forwarded\r\n"},
		},
	},
	{
		"RESET and MULTI before the login",
		Options{Auth: "pw", Transactions: config.TransactionsRefuse},
		[]exchange{
			{"RESET", "+RESET\r\n"},
			{"MULTI", "-NOAUTH Authentication required\r\n"},
			{"AUTH pw", "+OK\r\n"},
			{"SET a b", "+forwarded\r\n"},
			{"MULTI", noMulti},
			{"RESET", "+RESET\r\n"},
			{"SET a b", "-NOAUTH Authentication required\r\n"},
		},
	},
	{
		"a HELLO that is refused",
		Options{Auth: "pw"},
		[]exchange{
			{`HELLO 2 AUTH default pw SETNAME "a b"`, "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"},
			{"GET a", "-NOAUTH Authentication required\r\n"},
			{"HELLO 2 AUTH default pw FOO", "-ERR Syntax error in HELLO option 'FOO'\r\n"},
			{"GET a", "-NOAUTH Authentication required\r\n"},
			{`HELLO 2 SETNAME "a b" FOO`, "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"},
			{"HELLO 9 AUTH default pw", helloNoProto},
			{"HELLO 3 AUTH default pw", helloNoRESP3},
			{"HELLO x AUTH default pw", "-ERR Protocol version is not an integer or out of range\r\n"},
			{"GET a", "-NOAUTH Authentication required\r\n"},
			{"HELLO 2 AUTH default no SETNAME me", authWrong},
			{"AUTH pw", "+OK\r\n"},
			{"CLIENT GETNAME", "$-1\r\n"},
			{"HELLO 2 AUTH default no SETNAME me", authWrong},
			{"CLIENT GETNAME", "$-1\r\n"},
			{"GET a", "+forwarded\r\n"},
			{"AUTH default no", authWrong}, // logs out, in both forms
			{"GET a", "-NOAUTH Authentication required\r\n"},
			{"AUTH default pw", "+OK\r\n"},
			{"GET a", "+forwarded\r\n"},
			{"AUTH no", authInvalid},
			{"GET a", "-NOAUTH Authentication required\r\n"},
		},
	},
}

func TestBarred(t *testing.T) {
	for _, tt := range barredTalks {
		t.Run(tt.name, func(t *testing.T) {
			// One by one, and all in one piece.
			c, all, want := converse(t, tt.options), "", ""
			for _, x := range tt.talk {
				if got, closed := c.say([]byte(x.say + "\r\n")); got != x.want || closed {
					t.Errorf("%.90s: %q, closed %t, want %q", x.say, got, closed, x.want)
				}
				all += x.say + "\r\n"
				want += x.want
			}
			if got, _ := converse(t, tt.options).say([]byte(all)); got != want {
				t.Errorf("in one piece: %q, want %q", got, want)
			}
		})
	}
}

// TestQuitInMulti: a client may leave at any time.
func TestQuitInMulti(t *testing.T) {
	if got, closed := converse(t, Options{Transactions: config.TransactionsRefuse}).say([]byte("MULTI\r\nSELECT 9\r\nQUIT\r\nGET a\r\n")); got != noMulti+inMulti("SELECT")+"+OK\r\n" || !closed {
		t.Errorf("%q, closed %t", got, closed)
	}
}

// TestBarsAreNotLearnt: what is not carried out is not asked about, either.
func TestBarsAreNotLearnt(t *testing.T) {
	p := New(Options{})
	for _, s := range []msg.Session{
		{Authenticated: true, Bars: msg.RefusedMulti}, {Authenticated: true, Bars: msg.FailedSelect}, {Authenticated: true, Bars: msg.LostDatabase}, {},
	} {
		if r := parseOne(t, p, "nosuch a"); r.Treatment != msg.Learn || p.Allows(r, &s) {
			t.Errorf("%+v: treatment %d, allowed %t", s, r.Treatment, p.Allows(r, &s))
		}
	}
}

// TestAdopt: what a reload makes of a session.
func TestAdopt(t *testing.T) {
	const lost = "-ERR 'GET' is not carried out: the pool no longer has database 5, which this connection is in; SELECT another one\r\n"
	for _, tt := range []struct {
		name         string
		before       Options
		say          string
		after        Options
		db           int // on the servers
		shown        int
		get, select0 string
	}{
		{"nothing was chosen", Options{Databases: 16}, "PING", Options{DB: 2, Databases: 16}, 2, 2, "+forwarded\r\n", "+OK\r\n"},
		{"a database was chosen", Options{Databases: 16}, "SELECT 5", Options{DB: 2, Databases: 16}, 5, 5, "+forwarded\r\n", "+OK\r\n"},
		{"what was the pool's own was chosen", Options{Databases: 16}, "SELECT 0", Options{DB: 2, Databases: 16}, 0, 0, "+forwarded\r\n", "+OK\r\n"},
		{"the one database, as 0", Options{DB: 5}, "SELECT 0", Options{DB: 2}, 2, 0, "+forwarded\r\n", "+OK\r\n"},
		{"the one database, by its number", Options{DB: 5}, "SELECT 5", Options{DB: 2}, 5, 5, lost, "+OK\r\n"},
		{"fewer databases", Options{Databases: 16}, "SELECT 5", Options{Databases: 5}, 5, 5, lost, "+OK\r\n"},
		{"one database", Options{Databases: 16}, "SELECT 5", Options{}, 5, 5, lost, "+OK\r\n"},
		{"one database, the one that was chosen", Options{Databases: 16}, "SELECT 5", Options{DB: 5}, 5, 0, "+forwarded\r\n", "+OK\r\n"},
		{"more databases", Options{DB: 5}, "SELECT 0", Options{DB: 5, Databases: 16}, 5, 5, "+forwarded\r\n", "+OK\r\n"},
		{"failed_select: refuse", Options{FailedSelect: config.FailedSelectIgnore}, "SELECT 5", Options{}, 0, 0, behindSelect("GET", "5", 0), "+OK\r\n"},
		{"failed_select: ignore", Options{}, "SELECT 5", Options{FailedSelect: config.FailedSelectIgnore}, 0, 0, "+forwarded\r\n", "+OK\r\n"},
		{"the password is gone", Options{Auth: "pw"}, "PING", Options{}, 0, 0, "+forwarded\r\n", "+OK\r\n"},
		{"a password, for one who needed none", Options{}, "PING", Options{Auth: "pw"}, 0, 0, "+forwarded\r\n", "+OK\r\n"},
		{"another password", Options{Auth: "pw"}, "AUTH pw", Options{Auth: "other"}, 0, 0, "+forwarded\r\n", "+OK\r\n"},
		{"another password, before the login", Options{Auth: "pw"}, "PING", Options{Auth: "other"}, 0, 0, noAuth, noAuth},
		{"a refused MULTI", Options{Transactions: config.TransactionsRefuse}, "MULTI", Options{DB: 1}, 1, 0, inMulti("GET"), inMulti("SELECT")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := converse(t, tt.before)
			c.say([]byte(tt.say + "\r\n"))
			c.proto = New(tt.after)
			c.parser = c.proto.NewRequestParser()
			c.proto.Adopt(&c.session)
			if lane := c.proto.Resolve(c.session.Lane); lane != (msg.Lane{RESP: 2, DB: tt.db}) {
				t.Errorf("it is served on %+v, want database %d", lane, tt.db)
			}
			if n := c.proto.databases.shown(c.session.Lane); n != tt.shown {
				t.Errorf("CLIENT LIST shows database %d, want %d", n, tt.shown)
			}
			for _, x := range []exchange{{"GET a", tt.get}, {"SELECT 0", tt.select0}} {
				if got, _ := c.say([]byte(x.say + "\r\n")); got != x.want {
					t.Errorf("%s: %q, want %q", x.say, got, x.want)
				}
			}
			if got, _ := c.say([]byte("GET a\r\n")); tt.select0 == "+OK\r\n" && got != "+forwarded\r\n" {
				t.Errorf("after SELECT: %q", got)
			}
		})
	}
}

// TestRequestBegunBeforeReload: a request that had begun to come is judged by what
// is in force when it is whole.
func TestRequestBegunBeforeReload(t *testing.T) {
	for _, tt := range []struct {
		request       string
		before, after Options
		want          msg.Treatment
	}{
		{"FLUSHALL", Options{AllowFlush: true}, Options{}, msg.Local},
		{"FLUSHALL", Options{}, Options{AllowFlush: true}, msg.Broadcast},
		{"MOVE a 5", Options{Databases: 16}, Options{Databases: 5}, msg.Local},
		{"nosuch a", Options{RefuseUnknown: true}, Options{}, msg.Learn},
	} {
		data := resp(strings.Fields(tt.request)...)
		for i := 1; i < len(data); i++ {
			parser := New(tt.before).NewRequestParser()
			if _, done, err := parser.Parse(data[:i]); done || err != nil {
				t.Fatal(done, err)
			}
			parser.Adopt(New(tt.after).NewRequestParser())
			if _, done, err := parser.Parse(data[i:]); !done || err != nil {
				t.Fatal(done, err)
			}
			if r := parser.Finish(data); r.Treatment != tt.want {
				t.Errorf("%s, of which %d bytes had come: treatment %d, want %d", tt.request, i, r.Treatment, tt.want)
			}
		}
	}
}

// TestLargerRequestsAfterReload: also the words of a request that is read twice are
// found where a reload allows it more bytes than when it began, or than any before.
func TestLargerRequestsAfterReload(t *testing.T) {
	words := make([]string, 5000)
	for i := range words {
		words[i] = "a word of some length"
	}
	small, large := resp(words[:100]...), resp(words...)
	before, after := New(Options{MaxRequestSize: 4 << 10}), New(Options{})
	parser := before.NewRequestParser()
	for _, data := range [][]byte{small, large} {
		half := len(small) / 2
		if _, done, err := parser.Parse(data[:half]); done || err != nil {
			t.Fatal(done, err)
		}
		if len(data) == len(large) {
			parser.Adopt(after.NewRequestParser())
		}
		if _, done, err := parser.Parse(data[half:]); !done || err != nil {
			t.Fatal(done, err)
		}
		r := parser.Finish(data)
		if last := r.Args[len(r.Args)-1]; last.End()+2 != len(data) {
			t.Errorf("%d words are found, and the last ends at %d of %d bytes", len(r.Args), last.End(), len(data))
		}
		parser.Forget()
	}
}

// TestRestrictInline: the bounds before the login hold for words in a line, too, and for one
// request.
func TestRestrictInline(t *testing.T) {
	long := strings.Repeat("x", maxBulkBeforeAuth)
	for _, tt := range []struct{ line, want string }{
		{"AUTH" + strings.Repeat(" a", 9), ""},
		{"AUTH" + strings.Repeat(" a", 10), "unauthenticated multibulk length"},
		{strings.Repeat(" ''", 11), "unauthenticated multibulk length"},
		{strings.Repeat("a ", 32_000), "unauthenticated multibulk length"},
		{"AUTH " + long, ""},
		{"AUTH " + long + "x", "unauthenticated bulk length"},
		{"AUTH \"" + long + "\"", ""},
		{"AUTH '" + long + "x' 'y", "unauthenticated bulk length"},
		{"AUTH " + long + " " + long + " " + long, ""},
	} {
		data := []byte(tt.line + "\r\n")
		p := New(Options{}).NewRequestParser()
		for _, limited := range []bool{true, false} {
			if limited {
				p.Restrict()
			}
			_, done, err := p.Parse(data)
			said := ""
			if err != nil {
				said = err.Msg
			}
			switch {
			case limited && ((said == "") != (tt.want == "") || !strings.Contains(said, tt.want)):
				t.Errorf("%.30q, %d bytes: %q, want %q", tt.line, len(tt.line), said, tt.want)
			case !limited && !strings.Contains(tt.line, "'y") && (err != nil || !done):
				t.Errorf("%.30q, %d bytes, after the login: %q", tt.line, len(tt.line), said)
			}
			if err != nil {
				p = New(Options{}).NewRequestParser()
				continue
			}
			p.Finish(data)
		}
	}
}

// TestBeforeLoginAgainstRedis: what a client that has not logged in may send, as
// for redis-server.
func TestBeforeLoginAgainstRedis(t *testing.T) {
	server := testkit.StartRedis(t, "--requirepass", "pw")
	more := strings.Repeat("x", maxBulkBeforeAuth+1)
	for _, data := range []string{
		"*11\r\n", "*2147483647\r\n", "*2147483648\r\n", "*010\r\n", "*1000000\r\n$3\r\nGET\r\n",
		"*2\r\n$4\r\nAUTH\r\n$16385\r\n", "*2\r\n$4\r\nAUTH\r\n$016385\r\n", "*2\r\n$4\r\nAUTH\r\n$536870913\r\n", "*2\r\n$50000000\r\n",
		"*2\r\n$4\r\nAUTH\r\n$99999999999999999999\r\n", "*9\r\n$4\r\nAUTH\r\n$16385\r\n",
		string(resp("AUTH", more)), string(resp(more)), string(resp("RESET")) + string(resp("AUTH", more)),
		string(resp("AUTH", "pw")) + string(resp("ECHO", more[:9])) + string(resp("RESET")) + string(resp("AUTH", more)),
		string(resp("AUTH", "pw")) + string(resp("PING", more)) + string(resp("QUIT")),
	} {
		want, wantClosed := redisSays(t, server, data)
		got, closed := converse(t, Options{Auth: "pw"}).say([]byte(data))
		if got != want || closed != wantClosed {
			t.Errorf("%.60q, %d bytes\n\tanswer  %.200q, closed %t\n\tredis's %.200q, closed %t", data, len(data), got, closed, want, wantClosed)
		}
	}
}

// TestRestrictEverySplit: the bounds hold however the bytes come, and for one
// request.
func TestRestrictEverySplit(t *testing.T) {
	large, small := resp("SET", "a", strings.Repeat("x", 20_000)), resp("AUTH", "pw")
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"words", []byte("*11\r\n$1\r\na\r\n"), "unauthenticated multibulk length"},
		{"a long word", []byte("*2\r\n$4\r\nAUTH\r\n$16385\r\nxxxx"), "unauthenticated bulk length"},
		{"words in a line", []byte("AUTH 2 3 4 5 6 7 8 9 10 11\r\n"), "unauthenticated multibulk length"},
	} {
		for i := 1; i < len(tt.data); i++ {
			p := New(Options{}).NewRequestParser()
			p.Restrict()
			_, _, err := p.Parse(tt.data[:i])
			if err == nil {
				_, _, err = p.Parse(tt.data[i:])
			}
			if err == nil || !strings.Contains(err.Msg, tt.want) {
				t.Errorf("%s, split at %d: %v", tt.name, i, err)
			}
		}
	}
	p := New(Options{}).NewRequestParser()
	p.Restrict()
	if n, done, err := p.Parse(small); n != len(small) || !done || err != nil {
		t.Fatal(n, done, err)
	}
	p.Finish(small)
	if n, done, err := p.Parse(large); n != len(large) || !done || err != nil {
		t.Error("the request behind it is restricted, too: ", n, done, err)
	}
}

package redis

import (
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

func inside(name, why string) string {
	return "-ERR '" + name + "' is not supported by nuthatch: " + why + "\r\n"
}

// TestQueueing holds what may be part of a transaction, in a pool of one server and in one
// of several.
func TestQueueing(t *testing.T) {
	for _, tt := range []struct{ say, one, several string }{
		{"GET a", queued, queued},
		{"MGET a b", queued, queued},
		{"DEL a b", queued, queued},
		{"PING", queued, queued},
		{"ECHO a", queued, queued},
		{"TIME", queued, queued},
		{"UNWATCH", queued, queued},
		{"PUBLISH a b", queued, queued},
		{"SPUBLISH a b", queued, queued},
		{"EVAL s 1 a", queued, queued},
		{"EVAL s 0", queued, inside("EVAL", namesNoKey)},
		{"BLPOP a b 0", queued, queued},
		{"XREAD BLOCK 0 STREAMS a 0", queued, queued},
		{"SELECT 0", queued, queued},
		{"SELECT 1", inside("SELECT", otherInside), inside("SELECT", otherInside)},
		{"SELECT x", inside("SELECT", otherInside), inside("SELECT", otherInside)},
		{"DBSIZE", queued, inside("DBSIZE", everyServer)},
		{"SCAN 0", queued, inside("SCAN", everyServer)},
		{"SCRIPT LOAD s", queued, inside("SCRIPT LOAD", everyServer)},
		{"WAIT 0 0", queued, inside("WAIT", everyServer)},
		{"KEYS *", inside("KEYS", keysOff), inside("KEYS", everyServer)},
		{"FLUSHALL", inside("FLUSHALL", noFlush), inside("FLUSHALL", noFlush)},
		{"GET", "-ERR wrong number of arguments for 'get' command\r\n", "-ERR wrong number of arguments for 'get' command\r\n"},
		{"GET a b", "-ERR wrong number of arguments for 'get' command\r\n", "-ERR wrong number of arguments for 'get' command\r\n"},
		{"BLPOP a", "-ERR wrong number of arguments for 'blpop' command\r\n", "-ERR wrong number of arguments for 'blpop' command\r\n"},
		{"SUBSCRIBE a", inside("SUBSCRIBE", listensInside), inside("SUBSCRIBE", listensInside)},
		{"MONITOR", inside("MONITOR", noMonitor), inside("MONITOR", noMonitor)},
		{"CLIENT TRACKING ON", inside("CLIENT TRACKING", answeredHere), inside("CLIENT TRACKING", answeredHere)},
		{"CLIENT CACHING YES", inside("CLIENT CACHING", answeredHere), inside("CLIENT CACHING", answeredHere)},
		{"HELLO 3", inside("HELLO", answeredHere), inside("HELLO", answeredHere)},
		{"HELLO", inside("HELLO", answeredHere), inside("HELLO", answeredHere)},
		{"AUTH a", inside("AUTH", answeredHere), inside("AUTH", answeredHere)},
		{"CLIENT REPLY OFF", inside("CLIENT REPLY", answeredHere), inside("CLIENT REPLY", answeredHere)},
		{"CLIENT SETNAME a", inside("CLIENT SETNAME", answeredHere), inside("CLIENT SETNAME", answeredHere)},
		{"CLIENT LIST", inside("CLIENT LIST", answeredHere), inside("CLIENT LIST", answeredHere)},
		{"INFO", inside("INFO", answeredHere), inside("INFO", answeredHere)},
		{"SLOWLOG GET", inside("SLOWLOG GET", answeredHere), inside("SLOWLOG GET", answeredHere)},
		{"SHUTDOWN", inside("SHUTDOWN", sharedServer), inside("SHUTDOWN", sharedServer)},
	} {
		for servers, want := range map[int]string{1: tt.one, 3: tt.several} {
			c := converse(t, Options{Servers: servers})
			c.say([]byte("MULTI\r\nSET a b\r\n"))
			if got, _ := c.say([]byte(tt.say + "\r\n")); got != want {
				t.Errorf("%s, %d servers: %q, want %q", tt.say, servers, got, want)
			}
			end := "*executed\r\n"
			if want != queued {
				end = execAborted
			}
			if got, _ := c.say([]byte("EXEC\r\n")); got != end {
				t.Errorf("EXEC behind %s, %d servers: %q, want %q", tt.say, servers, got, end)
			}
			if got, _ := c.say([]byte("GET a\r\n")); got != "+forwarded\r\n" {
				t.Errorf("behind the EXEC behind %s, %d servers: %q", tt.say, servers, got)
			}
		}
	}
}

// TestMultiBehindWatch: a transaction that was to depend on WATCH is not carried out without.
func TestMultiBehindWatch(t *testing.T) {
	const refused = "-ERR 'MULTI' is not carried out: WATCH was refused before it, and with it all that follows up to EXEC or DISCARD\r\n"
	const watch = "+watched\r\n"
	for _, talk := range [][]exchange{
		{{"WATCH a", watch}, {"GET a", "+forwarded\r\n"}, {"MULTI", refused}, {"SET a b", inMulti("SET")}, {"EXEC", execAborted}, {"MULTI", "+OK\r\n"}},
		{{"WATCH a", watch}, {"MULTI", refused}, {"DISCARD", "+OK\r\n"}, {"MULTI", "+OK\r\n"}},
		{{"WATCH a", watch}, {"UNWATCH", "+OK\r\n"}, {"MULTI", "+OK\r\n"}},
		{{"WATCH a", watch}, {"RESET", "+RESET\r\n"}, {"MULTI", "+OK\r\n"}},
		{{"WATCH a", watch}, {"EXEC", "-ERR EXEC without MULTI\r\n"}, {"MULTI", refused}},
	} {
		c := converse(t, Options{})
		for _, x := range talk {
			if got, _ := c.say([]byte(x.say + "\r\n")); got != x.want {
				t.Errorf("%v: %s: %q, want %q", talk, x.say, got, x.want)
			}
			if x.want == watch { // there was no connection for it
				c.session.Bars |= msg.RefusedWatch
			}
		}
	}
}

// TestSelectInside: a SELECT of the database where the client is goes to the server by the
// number that the server knows.
func TestSelectInside(t *testing.T) {
	p := New(Options{DB: 7})
	s := msg.Session{Authenticated: true, Bars: msg.Collecting, Lane: msg.DefaultLane}
	req := parseOne(t, p, "SELECT 0")
	if what := p.Collect(req, &s); what != msg.Queued || req.Instead != "$1\r\n7\r\n" {
		t.Errorf("%d, %q", what, req.Instead)
	}
}

// The replies that say QUEUED are counted as long as they are whole, and no others but the
// first, which says that the transaction has begun.
func TestCountAhead(t *testing.T) {
	for _, tt := range []struct {
		data  string
		most  int
		first bool
		want  int
	}{
		{queued + queued + "*2\r\n:1\r\n", 2, false, 2},
		{queued + queued, 1, false, 1},
		{queued + queued, 0, false, 0},
		{queued + queued[:8], 2, false, 1},
		{queued + "-ERR no\r\n" + queued, 3, false, 1},
		{done + queued, 2, false, 0},
		{"+QUEUED!\n", 1, false, 0},
		{"", 5, false, 0},
		{done + queued + queued, 3, true, 3},
		{done + queued + queued, 2, true, 2},
		{done + queued, 0, true, 0},
		{done + "-ERR no\r\n", 2, true, 1},
		{done[:4], 2, true, 0},
		{queued + queued, 2, true, 0},
		{"-ERR no\r\n" + queued, 2, true, 0},
	} {
		n, size := New(Options{}).CountAhead([]byte(tt.data), tt.most, tt.first)
		want := tt.want * len(queued)
		if tt.first && tt.want > 0 {
			want += len(done) - len(queued)
		}
		if n != tt.want || size != want {
			t.Errorf("of %q, at most %d: %d in %d bytes, want %d in %d", tt.data, tt.most, n, size, tt.want, want)
		}
	}
}

// MULTI and EXEC are known by their bytes in the form that clients send, in any case of letters, and
// in no other.
func TestPlainTransactions(t *testing.T) {
	p := New(Options{Transactions: config.TransactionsAtomic})
	for _, tt := range []struct {
		data         string
		begins, ends bool
	}{
		{"*1\r\n$5\r\nMULTI\r\n", true, false},
		{"*1\r\n$5\r\nmulti\r\n*1\r\n", true, false},
		{"*1\r\n$5\r\nMuLtI\r\n", true, false},
		{"*1\r\n$5\r\nMULTI\r", false, false},
		{"*1\r\n$5\r\nMULTJ\r\n", false, false},
		{"*1\r\n$5\r\nMULTI-*", false, false},
		{"*2\r\n$5\r\nMULTI\r\n$1\r\na\r\n", false, false},
		{"MULTI\r\n", false, false},
		{"*1\r\n$4\r\nEXEC\r\n", false, true},
		{"*1\r\n$4\r\nexec\r\n*1\r\n", false, true},
		{"*1\r\n$4\r\nEXEC", false, false},
		{"*1\r\n$4\r\nEXED\r\n", false, false},
		{"*1\r\n$4\r\nEXEC*\n", false, false},
		{"*1\r\n$4\r\n\x05xec\r\n", false, false},
		{"", false, false},
	} {
		if n := p.BeginsPlain([]byte(tt.data)); n != 0 != tt.begins || n != 0 && n != multiSize {
			t.Errorf("%q begins with a MULTI of %d bytes", tt.data, n)
		}
		req, n := p.ExecutesPlain([]byte(tt.data))
		if n != 0 != tt.ends || n != 0 && n != execSize || (req != nil) != tt.ends || req != nil && commands[req.Type].name != "exec" {
			t.Errorf("%q begins with an EXEC of %d bytes", tt.data, n)
		}
	}
	if name := commands[p.Begins()].name; name != "multi" {
		t.Errorf("a transaction begins with %s", name)
	}
	p = New(Options{Transactions: config.TransactionsRefuse})
	if n := p.BeginsPlain([]byte("*1\r\n$5\r\nMULTI\r\n")); n != 0 {
		t.Errorf("a transaction is begun that is refused: %d", n)
	}
}

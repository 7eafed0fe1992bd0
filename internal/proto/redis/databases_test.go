package redis

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/testkit"
)

// sent is what a server gets of a request that is forwarded.
func sent(data string, r *msg.Request) string {
	return data[:r.Omit.Off] + r.Instead + data[r.Omit.End():]
}

// parseBytes is the request that data is.
func parseBytes(t *testing.T, parser msg.RequestParser, data string) *msg.Request {
	t.Helper()
	if n, done, err := parser.Parse([]byte(data)); n != len(data) || !done || err != nil {
		t.Fatalf("%q: %d bytes, %t, %v", data, n, done, err)
	}
	return parser.Finish([]byte(data))
}

// TestDatabasesAreHeld: COPY and MOVE stay in the pool's databases, and servers get
// the numbers that they know them by.
func TestDatabasesAreHeld(t *testing.T) {
	zero, third, four := Options{}, Options{DB: 13}, Options{DB: 1, Databases: 4}
	for _, tt := range []struct {
		options Options
		request string
		sent    string // empty: nothing
		fault   string
	}{
		{zero, "MOVE a 0", "MOVE a 0", ""},
		{zero, "MOVE a 1", "", badDatabase},
		{third, "MOVE a 0", "MOVE a 13", ""},
		{third, "move a 13", "move a 13", ""},
		{third, "MOVE a 1", "", badDatabase},
		{third, "MOVE a -1", "", badDatabase},
		{third, "MOVE a x", "", notInteger},
		{third, "MOVE a 2147483648", "", notInt32},
		{third, "MOVE a 0 1", "", wrongArity},
		{four, "MOVE a 0", "MOVE a 0", ""},
		{four, "MOVE a 3", "MOVE a 3", ""},
		{four, "MOVE a 4", "", badDatabase},

		{zero, "COPY a b", "COPY a b", ""},
		{third, "COPY a b REPLACE", "COPY a b REPLACE", ""},
		{third, "COPY a b DB 0", "COPY a b DB 13", ""},
		{third, "COPY a b db 0 replace", "COPY a b db 13 replace", ""},
		{third, "COPY a b REPLACE dB 0", "COPY a b REPLACE dB 13", ""},
		{third, "COPY a b DB 0 DB 0 DB 13", "COPY a b DB 0 DB 0 DB 13", ""},
		{third, "COPY a b DB 13 DB 0 REPLACE", "COPY a b DB 13 DB 13 REPLACE", ""},
		{third, "COPY a b DB 0 DB 5", "", badDatabase},
		{third, "COPY a b DB 5 DB 0", "", badDatabase},
		{third, "COPY a b REPLACE REPLACE DB 5 REPLACE", "", badDatabase},
		{third, "COPY a b DB", "", syntaxError},
		{third, "COPY a b DB DB", "", notInteger},
		{third, "COPY a b NEWER DB 5", "", syntaxError},
		{third, "COPY a b DB 0 NEWER", "", syntaxError},
		{third, "COPY a b DB 5 NEWER", "", badDatabase},
		{third, "COPY DB 0 DB 0", "COPY DB 0 DB 13", ""},
		{four, "COPY a b DB 3 REPLACE", "COPY a b DB 3 REPLACE", ""},
		{four, "COPY a b DB 0", "COPY a b DB 0", ""},
		{four, "COPY a b DB 4", "", badDatabase},
		{four, "COPY a b DB 99999999999", "", notInt32},
	} {
		parser := New(tt.options).NewRequestParser()
		for _, data := range []string{string(resp(strings.Fields(tt.request)...)), tt.request + "\r\n"} {
			r := parseBytes(t, parser, data)
			view := string(r.View.FlatBytes())
			if tt.fault != "" {
				if r.Treatment != msg.Local || r.Error != tt.fault || r.Nkeys != 0 {
					t.Errorf("%q: treatment %d, %q, %d keys, want %q", tt.request, r.Treatment, r.Error, r.Nkeys, tt.fault)
				}
				continue
			}
			if got, want := sent(view, r), string(resp(strings.Fields(tt.sent)...)); r.Treatment != msg.Forward || got != want {
				t.Errorf("%q: treatment %d, %q is sent, want %q", tt.request, r.Treatment, got, want)
			}
			// The next request has nothing of it.
			if r := parseBytes(t, parser, "GET a\r\n"); r.Omit.Len != 0 || r.Instead != "" {
				t.Errorf("%q leaves %v and %q behind", tt.request, r.Omit, r.Instead)
			}
		}
	}
}

// TestDatabasesInChunks: the number is replaced wherever the request lies.
func TestDatabasesInChunks(t *testing.T) {
	data := resp("COPY", "a", "b", "REPLACE", "DB", "0")
	for i := 1; i < len(data); i++ {
		var pool mbuf.Pool
		parser := New(Options{DB: 7}).NewRequestParser()
		if _, done, err := parser.Parse(data[:i]); done || err != nil {
			t.Fatal(done, err)
		}
		if _, done, err := parser.Parse(data[i:]); !done || err != nil {
			t.Fatal(done, err)
		}
		in := chainOf(&pool, data, i)
		r := parser.FinishChain(in)
		if got, want := sent(string(data), r), string(resp("COPY", "a", "b", "REPLACE", "DB", "7")); got != want {
			t.Errorf("cut at %d: %q, want %q", i, got, want)
		}
		in.Release(&pool)
	}
}

// TestDatabaseErrorsAgainstRedis: the errors are redis-server's, for numbers of all
// kinds, in one pool that has as many databases.
func TestDatabaseErrorsAgainstRedis(t *testing.T) {
	server := testkit.StartRedis(t)
	numbers := []string{
		"16", "-1", "x", "''", "99999999999", "2147483647", "2147483648", "-2147483648", "-2147483649", "9223372036854775807", "9223372036854775808",
		"+1", "01", "-0", "1.0", "0x1", "' 1'", "1e1", "DB", "REPLACE",
	}
	var requests []string
	for _, n := range numbers {
		requests = append(requests, "SELECT "+n, "MOVE missing "+n, "COPY missing b DB "+n, "COPY missing b REPLACE DB "+n+" DB 1",
			"COPY missing b DB 1 DB "+n+" REPLACE", "COPY missing b DB "+n+" FOO", "COPY missing b FOO DB "+n)
	}
	requests = append(requests, "COPY missing b DB", "COPY missing b REPLACE DB", "COPY missing", "COPY", "MOVE missing", "MOVE missing 1 2", "COPY missing b FOO")
	for _, request := range requests {
		want, _ := redisSays(t, server, request+"\r\n")
		if want == ":0\r\n" {
			want = "+forwarded\r\n" // there is no such key
		}
		if got, _ := converse(t, Options{Databases: 16}).say([]byte(request + "\r\n")); got != want {
			t.Errorf("%s: %q, redis-server %q", request, got, want)
		}
	}
}

// TestLanesOfDatabases: those who mean one database share its connections, if they are
// one user.
func TestLanesOfDatabases(t *testing.T) {
	p := New(Options{DB: 3, Databases: 8})
	for _, tt := range []struct{ session, want msg.Lane }{
		{msg.DefaultLane, msg.Lane{RESP: 2, DB: 3}},
		{msg.Lane{RESP: 2, DB: 3}, msg.Lane{RESP: 2, DB: 3}},
		{msg.Lane{DB: 3}, msg.Lane{RESP: 2, DB: 3}},
		{msg.Lane{RESP: 3, DB: msg.OwnDB}, msg.Lane{RESP: 3, DB: 3}},
		{msg.Lane{RESP: 3, DB: 0}, msg.Lane{RESP: 3, DB: 0}},
		{msg.Lane{User: 7, DB: msg.OwnDB}, msg.Lane{RESP: 2, User: 7, DB: 3}},
	} {
		if got := p.Resolve(tt.session); got != tt.want || p.Resolve(got) != got {
			t.Errorf("%+v is served by %+v, want %+v", tt.session, got, tt.want)
		}
	}
	for _, db := range []int{0, 3} {
		var pool mbuf.Pool
		var out mbuf.Chain
		p.Handshake(msg.Lane{RESP: 2, DB: db}, &pool, &out)
		want := ""
		if db > 0 {
			want = string(resp("SELECT", fmt.Sprint(db)))
		}
		if got := string(out.AppendTo(nil)); got != want {
			t.Errorf("database %d: %q, want %q", db, got, want)
		}
		out.Release(&pool)
	}
}

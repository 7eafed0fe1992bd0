package redis

import (
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// TestTracking: what a client may ask to be told, and what is refused.
func TestTracking(t *testing.T) {
	const refused = "-ERR 'CLIENT TRACKING' is not supported by nuthatch: "
	long := strings.Repeat("p", maxPrefixBytes/2)
	for _, tt := range []struct{ say, want string }{
		{"HELLO 3\r\nCLIENT TRACKING ON\r\nCLIENT GETREDIR\r\n", "+OK\r\n:0\r\n"},
		{"CLIENT TRACKING ON\r\n", refused + trackingRESP2 + "\r\n"},
		{"CLIENT TRACKING ON REDIRECT 1\r\n", refused + trackingOthers + "\r\n"},
		{"HELLO 3\r\nCLIENT TRACKING ON REDIRECT 1\r\n", refused + trackingOthers + "\r\n"},
		{"CLIENT TRACKING ON PREFIX a\r\n", "-ERR " + prefixAlone + "\r\n"},
		{"CLIENT TRACKING OFF\r\nCLIENT GETREDIR\r\n", "+OK\r\n:-1\r\n"},
		{"HELLO 3\r\nCLIENT TRACKING ON\r\nHELLO 2\r\nCLIENT GETREDIR\r\n", ":-1\r\n"},
		{"HELLO 3\r\nCLIENT TRACKING ON\r\nRESET\r\nCLIENT GETREDIR\r\n", "+OK\r\n+RESET\r\n:-1\r\n"},
		{
			"HELLO 3\r\nCLIENT TRACKING ON BCAST PREFIX b PREFIX a\r\nCLIENT TRACKING ON BCAST\r\nCLIENT TRACKINGINFO\r\n",
			"+OK\r\n+OK\r\n%3\r\n$5\r\nflags\r\n~2\r\n$2\r\non\r\n$5\r\nbcast\r\n$8\r\nredirect\r\n:0\r\n$8\r\nprefixes\r\n*3\r\n$0\r\n\r\n$1\r\na\r\n$1\r\nb\r\n",
		},
		{
			"HELLO 3\r\nCLIENT TRACKING ON BCAST\r\nCLIENT TRACKING ON BCAST\r\nCLIENT TRACKINGINFO\r\n",
			"+OK\r\n+OK\r\n%3\r\n$5\r\nflags\r\n~2\r\n$2\r\non\r\n$5\r\nbcast\r\n$8\r\nredirect\r\n:0\r\n$8\r\nprefixes\r\n*1\r\n$0\r\n\r\n",
		},
		{"CLIENT TRACKING ON BCAST" + strings.Repeat(" PREFIX x", maxPrefixes+1) + "\r\n", "-ERR " + tooManyPrefixes + "\r\n"},
		{string(resp("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "a"+long, "PREFIX", "b"+long)), "-ERR " + tooManyPrefixes + "\r\n"},
	} {
		learned := new(Learned)
		learned.setRESP3(able)
		c := converse(t, Options{Tracking: true, Learned: learned})
		got, _ := c.say([]byte(tt.say))
		if !strings.HasSuffix(got, tt.want) {
			t.Errorf("%.80q: %q, want %q", tt.say, got, tt.want)
		}
	}
}

// TestTracks: which requests a server has to note the keys of.
func TestTracks(t *testing.T) {
	for _, tt := range []struct {
		say                     string
		plain, optIn, said, not bool
	}{
		{"GET a", true, false, true, false},
		{"MGET a b", true, false, true, false},
		{"SET a b", false, false, false, false},
		{"EVAL s 1 a", true, false, true, false},
		{"EVAL s 0", false, false, false, false},
		{"XREAD BLOCK 0 STREAMS a 0", true, false, true, false},
		{"BLPOP a 0", false, false, false, false},
		{"WATCH a", false, false, false, false},
		{"PING", false, false, false, false},
		{"DBSIZE", false, false, false, false},
	} {
		c := converse(t, Options{})
		n, done, err := c.parser.Parse([]byte(tt.say + "\r\n"))
		if n == 0 || !done || err != nil {
			t.Fatal(tt.say)
		}
		req := c.parser.Finish(nil)
		for _, of := range []struct {
			wants msg.Tracking
			want  bool
		}{
			{msg.Tracking{}, tt.plain},
			{msg.Tracking{OptIn: true}, tt.optIn},
			{msg.Tracking{OptIn: true, Caching: true}, tt.said},
			{msg.Tracking{OptOut: true}, tt.plain},
			{msg.Tracking{OptOut: true, Caching: true}, tt.not},
			{msg.Tracking{Broadcast: true}, false},
		} {
			var s msg.Session
			s.SetTracking(&of.wants)
			if got := c.proto.Tracks(req, &s); got != of.want {
				t.Errorf("%s, %+v: %t", tt.say, of.wants, got)
			}
		}
	}
}

// TestInvalidated: what a push says, in one piece and in many.
func TestInvalidated(t *testing.T) {
	p := New(Options{})
	for text, want := range map[string]int{
		">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n":                           1,
		">2\r\n$10\r\ninvalidate\r\n*12\r\n" + strings.Repeat("$1\r\na\r\n", 12): 12,
		">2\r\n$10\r\ninvalidate\r\n*0\r\n":                                      0,
		">2\r\n$10\r\ninvalidate\r\n_\r\n":                                       msg.AllInvalid,
		">2\r\n$10\r\ninvalidate\r\n*-1\r\n":                                     -2,
		">2\r\n$10\r\ninvalidate\r\n:1\r\n":                                      -2,
		">2\r\n$7\r\nmessage\r\n*1\r\n$1\r\na\r\n":                               -2,
		">3\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n$1\r\nb\r\n":                -2,
		">0\r\n": -2,
	} {
		check := func(r msg.Reply) {
			t.Helper()
			n, ok := p.Invalidated(r)
			if !ok {
				n = -2
			}
			if n != want {
				t.Errorf("%q: %d, want %d", text, n, want)
			}
		}
		check(msg.Reply{Flat: []byte(text)})
		var pool mbuf.Pool
		var chain mbuf.Chain
		chain.AppendString(&pool, text)
		check(msg.Reply{Chain: &chain})
		chain.Release(&pool)
	}
}

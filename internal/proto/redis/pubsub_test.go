package redis

import (
	"fmt"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// A server tells only one connection of a channel of its own, so nobody may listen to one,
// whatever with. To publish there is no matter of the proxy's.
func TestRedisChannelsAreRefused(t *testing.T) {
	p := New(Options{})
	for _, tt := range []struct {
		words []string
		ok    bool
	}{
		{[]string{"SUBSCRIBE", "__redis__:invalidate"}, false},
		{[]string{"SUBSCRIBE", "a", "__redis__:x"}, false},
		{[]string{"PSUBSCRIBE", "__redis__:*"}, false},
		{[]string{"SSUBSCRIBE", "__redis__:x"}, false},
		{[]string{"PSUBSCRIBE", "__redis*", "a"}, true},
		{[]string{"PUNSUBSCRIBE", "__redis__:*"}, true},
	} {
		req := parseWords(t, p, tt.words...)
		if _, ok := p.Subscription(req); ok != tt.ok || ok != (req.Error == "") {
			t.Errorf("%q: %v, %q", tt.words, ok, req.Error)
		}
	}
}

// A pattern may match such a channel. Its messages reach nobody all the same, those of others do.
func TestRedisChannelsReachNoPattern(t *testing.T) {
	p := New(Options{})
	pool := new(mbuf.Pool)
	for channel, reaches := range map[string]bool{
		"__redis__:invalidate": false,
		"__redis__:wait":       false,
		"__redis__:":           false,
		"__redis__":            true,
		"__redis_":             true,
		"a":                    true,
		"":                     true,
		"a\n__redis__:":        true,
	} {
		message := fmt.Sprintf("*4\r\n$8\r\npmessage\r\n$8\r\n__redis*\r\n$%d\r\n%s\r\n$1\r\nx\r\n", len(channel), channel)
		for kind, want := range map[string]string{"2": "*", "3": ">"} {
			session := msg.Session{Lane: msg.DefaultLane}
			if kind == "3" {
				session.Lane.RESP = 3
			}
			want += message[1:]
			if !reaches {
				want = ""
			}
			var out mbuf.Chain
			p.AppendMessage(msg.Patterns, msg.Reply{Flat: []byte(">" + message[1:])}, "", &session, pool, &out)
			if got := string(out.AppendTo(nil)); got != want {
				t.Errorf("a message of %q, in RESP%s: %q, want %q", channel, kind, got, want)
			}
			out.Release(pool)
		}
	}
}

package redis

import "testing"

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

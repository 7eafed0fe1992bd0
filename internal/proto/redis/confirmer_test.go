package redis

import (
	"strings"
	"testing"
	"time"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// What a WAIT asks for, what says as much, and what is sent if it begins anew with a second
// less.
func TestConfirmer(t *testing.T) {
	for _, tt := range []struct {
		say      string
		enough   string
		less     []string
		patience time.Duration
		shorter  string
	}{
		{"WAIT 2 5000", ":2\r\n", []string{":1\r\n", "-ERR x\r\n", "*1\r\n:2\r\n:3\r\n", "+2\r\n", ""}, 5 * time.Second, "WAIT 2 4000"},
		{"wait 0 0", ":0\r\n", []string{"*2\r\n:0\r\n:0\r\n"}, 0, ""},
		{"WAIT x 1", "", []string{":7\r\n"}, time.Millisecond, ""},
		{"WAIT 1 x", ":1\r\n", []string{":0\r\n"}, 0, ""},
		{"WAIT 1 -5", ":1\r\n", nil, 0, ""},
		{"WAIT 1 nan", ":1\r\n", nil, 0, ""},
		{"WAIT 1 99999999999999999999", ":1\r\n", nil, 0, ""},
		{"WAIT 1 2000 x", "", []string{":1\r\n"}, 2 * time.Second, "WAIT 1 1000 x"},
		{"WAITAOF 1 2 2000", "*2\r\n:1\r\n:2\r\n", []string{"*2\r\n:0\r\n:2\r\n", "*2\r\n:1\r\n:1\r\n", "*1\r\n:1\r\n", ":9\r\n"}, 2 * time.Second, "WAITAOF 1 2 1000"},
	} {
		p := New(Options{})
		req := parseWords(t, p, strings.Fields(tt.say)...)
		if req.Treatment != msg.Confirm || req.Nkeys != 0 {
			t.Fatalf("%s: treatment %d, %d keys", tt.say, req.Treatment, req.Nkeys)
		}
		if tt.enough != "" && !p.Confirms(req, []byte(tt.enough)) {
			t.Errorf("%s: %q is too little", tt.say, tt.enough)
		}
		for _, r := range tt.less {
			if p.Confirms(req, []byte(r)) {
				t.Errorf("%s: %q is enough", tt.say, r)
			}
		}
		if got := time.Duration(p.Patience(req)); got != tt.patience {
			t.Errorf("%s waits for %v, want %v", tt.say, got, tt.patience)
		}
		if tt.shorter == "" {
			continue
		}
		var pool mbuf.Pool
		var out mbuf.Chain
		p.AppendShorter(req, int64(tt.patience-time.Second), &pool, &out)
		if got, want := string(out.AppendTo(nil)), string(resp(strings.Fields(tt.shorter)...)); got != want {
			t.Errorf("%s: %q, want %q", tt.say, got, want)
		}
	}
}

package redis

import (
	"strings"
	"testing"

	"nuthatch/internal/msg"
)

func TestPrepare(t *testing.T) {
	long := strings.Repeat("*", 1<<17)
	for _, tt := range []struct {
		options Options
		request []string
		sent    []string
		fault   string
	}{
		{Options{AllowKeys: true}, []string{"KEYS", "a*"}, []string{"KEYS", "a*"}, ""},
		{Options{AllowKeys: true}, []string{"KEYS", long}, []string{"KEYS", long}, ""},
		{Options{}, []string{"KEYS", "a*"}, nil, keysOff},
		{Options{}, []string{"DBSIZE"}, []string{"DBSIZE"}, ""},
	} {
		p := New(tt.options)
		req := parseWords(t, p, tt.request...)
		ok := p.Prepare(req, &msg.Session{})
		if tt.fault != "" {
			if ok || req.Error != tt.fault {
				t.Errorf("%.40q: to be sent %t, %q, want %q", tt.request, ok, req.Error, tt.fault)
			}
			continue
		}
		if got, want := string(req.View.FlatBytes()), string(resp(tt.sent...)); !ok || req.Treatment != msg.Broadcast || got != want {
			t.Errorf("%.40q: to be sent %t, treatment %d, %q is sent, want %q", tt.request, ok, req.Treatment, got, want)
		}
	}
}

package redis

import (
	"strings"
	"testing"
	"time"

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
		{Options{}, []string{"WAIT", "2", "999"}, []string{"WAIT", "2", "999"}, ""},
		{Options{}, []string{"WAIT", "2", "0"}, []string{"WAIT", "2", "1000"}, ""},
		{Options{}, []string{"wait", "", "9223372036854775807"}, []string{"wait", "", "1000"}, ""},
		{Options{Timeout: time.Second}, []string{"WAIT", "2", "501"}, []string{"WAIT", "2", "500"}, ""},
		{Options{Timeout: time.Second}, []string{"WAIT", "2", "500"}, []string{"WAIT", "2", "500"}, ""},
		{Options{Timeout: time.Millisecond}, []string{"WAIT", "2", "500"}, []string{"WAIT", "2", "1"}, ""},
		{Options{}, []string{"WAIT", "2", "-1"}, nil, waitNegative},
		{Options{}, []string{"WAIT", "2", "9223372036854775808"}, nil, waitNotInteger},
		{Options{}, []string{"WAIT", "2", "010"}, nil, waitNotInteger},
		{Options{}, []string{"WAIT", "2", ""}, nil, waitNotInteger},
		{Options{}, []string{"WAIT", "1", "2", "x"}, []string{"WAIT", "1", "2", "x"}, ""}, // the servers refuse it
		{Options{}, []string{"WAITAOF", "1", "2", "0"}, []string{"WAITAOF", "1", "2", "1000"}, ""},
		{Options{}, []string{"WAITAOF", "1", "2", "-1"}, nil, waitNegative},
	} {
		p := New(tt.options)
		req := parseWords(t, p, tt.request...)
		ok := p.Prepare(req)
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

package integration

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// TestScriptKill: a script that runs for ever is ended by a client whose requests
// share its connection, whatever the database is; and so is a function.
func TestScriptKill(t *testing.T) {
	for _, lines := range [][]string{nil, {"redis_db: 3"}, {"redis_auth: secret", "databases: 4"}} {
		password := ""
		if len(lines) == 2 {
			password = "secret"
		}
		server := testkit.StartRedis(t)
		admin := server.Dial()
		admin.Do("CONFIG", "SET", "busy-reply-threshold", "10")
		admin.Do("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('forever', function() while true do end end)")
		if password != "" {
			admin.Do("CONFIG", "SET", "requirepass", password)
		}
		pool := testkit.Pool{Protocol: testkit.Redis, Servers: testkit.Names(server), Lines: lines}
		proxy := testkit.StartNuthatch(t, pool.String(), testkit.Threads(1))
		busy, killer, waits := proxy.Dial(testkit.Redis), proxy.Dial(testkit.Redis), proxy.Dial(testkit.Redis)
		for _, c := range []*testkit.Client{busy, killer, waits} {
			if password != "" {
				c.Do("AUTH", password)
			}
		}
		for _, tt := range [][2]string{{`EVAL "while true do end" 0`, "SCRIPT KILL"}, {"FCALL forever 0", "FUNCTION KILL"}} {
			kill := strings.Fields(tt[1])
			if got := killer.Do(kill...); !strings.HasPrefix(got, "-NOTBUSY") {
				t.Errorf("%q, %s where nothing runs: %q", lines, tt[1], got)
			}
			busy.Send(testkit.RESP(testkit.Command(tt[0])...))
			testkit.Await(t, "a busy server", func() error {
				if got := admin.Do("PING"); !strings.HasPrefix(got, "-BUSY") {
					return fmt.Errorf("it says %q", got)
				}
				return nil
			})
			waits.Send(testkit.RESP("SET", "a", "b"))
			if got := killer.Do(kill...); got != "+OK\r\n" {
				t.Errorf("%q, %s: %q", lines, tt[1], got)
			}
			if got := busy.Reply(); !strings.HasPrefix(got, "-ERR ") || !strings.Contains(got, "killed") {
				t.Errorf("%q, %s: %q", lines, tt[0], got)
			}
			if got := waits.Reply(); got != "+OK\r\n" {
				t.Errorf("%q: what waited got %q", lines, got)
			}
		}
	}
}

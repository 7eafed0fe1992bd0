package daemon

import (
	"strings"
	"testing"

	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
)

// What the admin listener shows of failed logins names users alone: another name may be a
// password, by a slip. In a pool without users no client empties the log, unless all may
// administer. Requests without a login are counted alone, as in Redis.
func TestDenialsOfStrangers(t *testing.T) {
	server := testkit.StartRedis(t)
	listen := testkit.FreeAddr(t)
	text := func(lines ...string) string {
		return pool("alpha", listen, testkit.Names(server), append(lines, "redis_auth: sesame")...)
	}
	s := startStage(t, text())
	c := testkit.Dial(t, testkit.Redis, listen)
	for _, words := range [][]string{{"PING"}, {"HELLO", "2"}, {"GET", "a"}, {"EXEC"}, {"NOSUCH", "a"}} {
		if got := c.Do(words...); !strings.HasPrefix(got, "-NOAUTH ") {
			t.Errorf("%q without a login: %q", words, got)
		}
	}
	counted := s.Snapshot().Pools[0].Values
	if n, pings := counted[stats.DeniedStrangers], counted[stats.DeniedPings]; n != 4 || pings != 1 || len(s.Denials("alpha")) != 0 {
		t.Errorf("%d requests and %d PING without a login are counted, want 4 and 1, and none in the log of denials: %+v", n, pings, s.Denials("alpha"))
	}
	c.Do("AUTH", "s3cret", "x")
	c.Do("AUTH", "default", "wrong")
	got := s.Denials("alpha")
	if len(got) != 2 || got[0].User != "default" || got[1].User != "" || got[1].Reason != "auth" {
		t.Errorf("%+v", got)
	}
	c.Do("AUTH", "sesame")
	const refused = "-ERR 'ACL LOG' is not supported by nuthatch: the pool's allow_admin is off\r\n"
	if got := c.Do("ACL", "LOG", "RESET"); got != refused || len(s.Denials("alpha")) != 2 {
		t.Errorf("ACL LOG RESET: %q, want %q", got, refused)
	}
	s.mustReload(text("allow_admin: true"))
	if got := c.Do("ACL", "LOG", "RESET"); got != "+OK\r\n" || len(s.Denials("alpha")) != 0 {
		t.Errorf("ACL LOG RESET with allow_admin: %q", got)
	}
}

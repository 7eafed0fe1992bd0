package integration

import (
	"crypto/sha1" //nolint:gosec // It is how Redis names a script; nothing is kept secret by it.
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// TestKeylessScripts: over several servers a script without keys is refused, or, if
// the pool says so, run by one of them: by the same one whether it comes as its text
// or as its SHA1, on any connection.
func TestKeylessScripts(t *testing.T) {
	refusing := redisStage(t).proxy.Dial(testkit.Redis)
	for _, call := range [][]string{{"EVAL", "return 7", "0"}, {"EVALSHA", strings.Repeat("0", 40), "0"}, {"FCALL_RO", "f", "0"}} {
		if got := refusing.Do(call...); !strings.Contains(got, "' is not supported by nuthatch: it names no key, and the pool has several servers") {
			t.Errorf("%q: %q", call, got)
		}
	}

	st := redisStage(t, "keyless_scripts: any")
	c, other := st.proxy.Dial(testkit.Redis), st.proxy.Dial(testkit.Redis)
	for i, s := range st.servers {
		s.Dial().Do("SET", "name of the server", fmt.Sprint("server ", i))
	}
	used := map[string]bool{}
	for i := range 20 {
		text := fmt.Sprintf("-- %d\nreturn redis.call('get', 'name of the server')", i)
		sum := sha1.Sum([]byte(text)) //nolint:gosec // See the import.
		where := c.Do("EVAL", text, "0")
		used[where] = true
		for _, call := range [][]string{{"EVALSHA", hex.EncodeToString(sum[:]), "0"}, {"evalsha_ro", strings.ToUpper(hex.EncodeToString(sum[:])), "0"}} {
			if got := other.Do(call...); got != where {
				t.Errorf("script %d ran at %q, and by its SHA1 %q", i, where, got)
			}
		}
	}
	if len(used) != len(st.servers) {
		t.Errorf("20 scripts ran on %d servers of %d", len(used), len(st.servers))
	}

	// What was loaded on all servers is run by one.
	loaded := c.Do("SCRIPT", "LOAD", "return 'loaded'")
	if got := other.Do("EVALSHA", strings.Split(loaded, "\r\n")[1], "0"); got != "$6\r\nloaded\r\n" {
		t.Errorf("a loaded script: %q", got)
	}
	c.Do("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('Seven', function() return 7 end)")
	if got := other.Do("FCALL", "seven", "0"); got != ":7\r\n" {
		t.Errorf("a function: %q", got)
	}
}

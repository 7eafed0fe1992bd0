package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// TestMutedReplies: what a client does not want to hear is dropped, in its turn,
// and nothing of it is kept, however large it is and whoever made it.
func TestMutedReplies(t *testing.T) {
	one, two := testkit.StartRedis(t), testkit.StartRedis(t)
	r := startRig(t, fmt.Sprintf("p:\n  listen: %%s\n  redis: true\n  servers:\n  - %s:1\n  - %s:1\n", one.Addr(), two.Addr()))
	u := r.dial()
	keys := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	for _, key := range keys {
		u.send(command("SET", key, strings.Repeat("v", 300_000)))
		u.expect("+OK\r\n")
	}
	mget := command(append([]string{"MGET"}, keys...)...)
	for _, each := range []string{command("GET", "a"), mget, command("CLIENT", "LIST"), command("KEYS", "*"), command("NO.SUCH", "a"), command("PING")} {
		u.send(command("CLIENT", "REPLY", "OFF") + strings.Repeat(each+mget, 5) + command("CLIENT", "REPLY", "ON") + command("STRLEN", "b"))
		u.expect("+OK\r\n:300000\r\n")
		u.send(command("STRLEN", "a") + command("CLIENT", "REPLY", "SKIP") + each + command("STRLEN", "b"))
		u.expect(":300000\r\n:300000\r\n")
	}
	r.awaitIdle()
	// What is left of a muted client is dropped with it.
	u.send(command("CLIENT", "REPLY", "OFF") + strings.Repeat(mget, 20))
	u.Close()
	r.awaitIdle()
}

package integration

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// silent are noreply requests that are well formed: whatever memcached says to
// them, an error among it, is nobody's business.
var silent = map[string]string{
	"stored":                store("set {key} 0 0 5 noreply", "other"),
	"not stored":            store("add {key} 0 0 5 noreply", "other"),
	"replace of nothing":    store("replace none 0 0 5 noreply", "other"),
	"append to nothing":     store("append none 0 0 5 noreply", "other"),
	"cas of nothing":        store("cas none 0 0 5 1 noreply", "other"),
	"cas with an old value": store("cas {key} 0 0 5 18446744073709551615 noreply", "other"),
	"too large":             store("set big 0 0 1048577 noreply", strings.Repeat("x", 1048577)),
	"much too large":        store("set big 0 0 9000000 noreply", strings.Repeat("x", 9000000)),
	"incr of text":          "incr {key} 1 noreply\r\n",
	"incr of nothing":       "incr none 1 noreply\r\n",
	"delete of nothing":     "delete none noreply\r\n",
	"touch of nothing":      "touch none 100 noreply\r\n",
}

// malformed are noreply requests that the client got wrong. It may be told, and
// may lose its connection.
var malformed = map[string]string{
	"incr by text":              "incr {key} many noreply\r\n",
	"a key that is too long":    store("set "+strings.Repeat("k", 251)+" 0 0 1 noreply", "x"),
	"negative length":           "set {key} 0 0 -1 noreply\r\n",
	"flags in words":            store("set {key} many 0 1 noreply", "x"),
	"a data block too long":     store("set {key} 0 0 3 noreply", "abcdefgh"),
	"a data block without end":  "set {key} 0 0 3 noreply\r\nabcget x\r\n",
	"a data block of two lines": store("set {key} 0 0 3 noreply", "a\r\nbc"),
}

// Whatever noreply hides, the gets that follow on the same connection, and those
// of another client on the same server connection, get their own values: or the
// offender is told and loses its connection, and only it.
func TestNoreplyKeepsStep(t *testing.T) {
	t.Parallel()
	s := memcacheStage(t)
	for name, request := range silent {
		t.Run(name, func(t *testing.T) { noreplyKeepsStep(t, s.proxy, request, false) })
	}
	for name, request := range malformed {
		t.Run(name, func(t *testing.T) { noreplyKeepsStep(t, s.proxy, request, true) })
	}
}

func noreplyKeepsStep(t *testing.T, proxy *testkit.Proxy, request string, mayFail bool) {
	t.Helper()
	other := proxy.Dial(testkit.Memcache)
	c := proxy.Dial(testkit.Memcache)
	keys := spread(30)
	for _, key := range keys {
		c.Send([]byte(store(fmt.Sprintf("set %s 0 0 %d", key, len(key)), key)))
		c.Expect("STORED\r\n")
	}
	var blob, othersBlob strings.Builder
	for _, key := range keys {
		blob.WriteString(strings.ReplaceAll(request, "{key}", "target") + "get " + key + "\r\n")
		othersBlob.WriteString("get " + key + "\r\n")
		if len(request) > 1<<20 {
			request = "get none\r\n" // once is enough
		}
	}
	other.Send([]byte(othersBlob.String()))
	c.Send([]byte(blob.String()))
	expectGets(t, c, keys, mayFail)
	for _, key := range keys {
		other.Expect(value(key))
	}
	other.Send([]byte("get " + keys[0] + "\r\n"))
	other.Expect(value(keys[0]))
}

func value(key string) string {
	return fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\nEND\r\n", key, len(key), key)
}

// expectGets reads the replies to gets of keys, in order, and the misses of "get
// none" between them. If it mayFail, errors may come between them too, and the
// end at any point after an error.
func expectGets(t *testing.T, c *testkit.Client, keys []string, mayFail bool) {
	t.Helper()
	failed := false
	for at := 0; at < len(keys); {
		reply, err := c.TryReply()
		switch {
		case err != nil && failed:
			return
		case err != nil:
			t.Fatalf("get %s: %v", keys[at], err)
		case mayFail && strings.Contains(string(reply), "ERROR"):
			failed = true
		case string(reply) == value(keys[at]):
			at++
		case string(reply) != "END\r\n":
			t.Fatalf("get %s gets %.100q", keys[at], reply)
		}
	}
}

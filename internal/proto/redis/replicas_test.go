package redis

import (
	"slices"
	"strings"
	"testing"
)

// Replicas get nothing that Redis says may write, and nothing whose answer is good at one
// server only.
func TestReplicasOnlyRead(t *testing.T) {
	n := 0
	for i := range commands {
		c := &commands[i]
		if !commandFacts[i].Replicas {
			continue
		}
		n++
		flags := strings.Fields(c.facts.flags)
		if slices.Contains(flags, "write") || c.mayWrite || !c.isNewer() && !slices.Contains(flags, "readonly") {
			t.Errorf("%s goes to replicas, and is %v", c.name, flags)
		}
	}
	for _, name := range []string{
		"eval", "evalsha", "evalsha_ro", "fcall", "sort", "getex", "getdel", "spop", "georadius", "bitfield", "xreadgroup", "object|freq",
		"touch", "hscan", "sscan", "zscan", "watch", "publish", "set", "expire", "script|load", "function|load", "flushall", "subscribe", "blpop",
	} {
		i := slices.IndexFunc(commands, func(c command) bool { return c.name == name })
		if i < 0 || commandFacts[i].Replicas {
			t.Errorf("%s is unknown, or goes to replicas", name)
		}
	}
	if n < 50 {
		t.Errorf("only %d commands go to replicas", n)
	}
}

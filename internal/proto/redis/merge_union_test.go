package redis

import (
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// Channels that several servers name are named once, in the order in which they are found,
// unless there are very many.
func TestChannelsAreNamedOnce(t *testing.T) {
	const a, b = "*2\r\n$1\r\na\r\n$4\r\nlong\r\n", "*3\r\n$4\r\nlong\r\n$0\r\n\r\n$1\r\nb\r\n"
	merge := func(replies ...string) (string, bool) {
		c := converse(t, Options{Servers: len(replies)})
		parent := &msg.Msg{Type: lookup([]byte("pubsub")).id + 2}
		for commands[parent.Type].name != "pubsub|channels" {
			parent.Type--
		}
		var out mbuf.Chain
		for _, r := range replies {
			f := &msg.Msg{Type: parent.Type, Done: true}
			f.Reply.AppendString(&c.pool, r)
			parent.Frags = append(parent.Frags, f)
		}
		failed := c.proto.Merge(parent, &c.pool, &out)
		return string(out.AppendTo(nil)), !failed
	}
	if got, ok := merge(a, b, "*0\r\n", a); !ok || got != "*4\r\n$1\r\na\r\n$4\r\nlong\r\n$0\r\n\r\n$1\r\nb\r\n" {
		t.Errorf("merged %q, %v", got, ok)
	}
	large := "*1\r\n$1000000\r\n" + strings.Repeat("x", 1000000) + "\r\n"
	if got, ok := merge(large, large); !ok || len(got) != 2*len(large)-len("*1\r\n") {
		t.Errorf("%d bytes, %v", len(got), ok)
	}
}

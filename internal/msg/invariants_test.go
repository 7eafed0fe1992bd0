//go:build invariants

package msg

import (
	"testing"

	"nuthatch/internal/mbuf"
)

// TestPutCatches: with invariants on, a message that is given back while
// somebody still needs it is caught.
func TestPutCatches(t *testing.T) {
	var bufs mbuf.Pool
	tests := []struct {
		name  string
		spoil func(m *Msg)
	}{
		{"a reply", func(m *Msg) { m.Reply.AppendString(&bufs, "+OK\r\n") }},
		{"an empty chunk", func(m *Msg) { m.Reply.Reserve(&bufs, 1) }},
		{"a client's queue", func(m *Msg) { var q ClientQueue; q.Push(m); q.Push(&Msg{}) }},
		{"a server's queue", func(m *Msg) { var q ServerQueue; q.Push(m); q.Push(&Msg{}) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("not caught")
				}
			}()
			var p Pool
			m := p.Get()
			tt.spoil(m)
			p.Put(m)
		})
	}
}

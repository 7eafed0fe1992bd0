package tlsstage_test

import (
	"crypto/tls"
	"runtime"
	"strings"
	"testing"
)

// heapInUse is what is alive in the heap, in bytes.
func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what has finalizers goes with the second one
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A visitor is a connection that says something and then is idle.
type visitor interface{ Write(b []byte) (int, error) }

// visit has n of them come, say hello and the text, and returns what each of them takes,
// and what it is counted for.
func (h *hall) visit(n int, text string, come func() (visitor, *guest)) (takes, counts int64) {
	h.t.Helper()
	before, counted := heapInUse(), h.loop.Ahead()
	for range n {
		v, g := come()
		for _, said := range []string{"hello", text} {
			g.data = nil
			if _, err := v.Write([]byte(said)); err != nil {
				h.t.Fatal(err)
			}
			h.until("what is said", func() bool { return len(g.data) == len(said) })
		}
		g.data = nil
	}
	takes, counts = (heapInUse()-before)/int64(n), int64(h.loop.Ahead()-counted)/int64(n)
	runtime.KeepAlive(h)
	return takes, counts
}

// mostTaken is the most that an idle connection may take, in bytes, behind requests of a size.
var mostTaken = map[int]int64{5: 10 << 10, 4 << 10: 14 << 10, 16 << 10: 28 << 10}

// What an idle connection is counted for is about what it takes: behind a full handshake
// and a resumed one, and behind small requests and large ones. The network of the test
// takes something too, which connections without TLS tell.
func TestHeldIsTaken(t *testing.T) {
	const many = 300
	for _, resumes := range []bool{false, true} {
		versions(t, func(t *testing.T, h *hall) {
			h.client.DynamicRecordSizingDisabled = true
			if resumes {
				h.client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			}
			plain := func() (visitor, *guest) { return h.callWith(nil) }
			secured := func() (visitor, *guest) {
				c, g := h.call()
				conn := tls.Client(c, h.client)
				if err := conn.Handshake(); err != nil {
					t.Fatal(err)
				}
				if resumes { // a ticket is taken with what is read
					h.until("the handshake", func() bool { return g.made })
					g.Out().AppendString(h.loop.Bufs(), "hello")
					g.Flush()
					if _, err := conn.Read(make([]byte, 5)); err != nil {
						t.Fatal(err)
					}
				}
				return conn, g
			}
			h.visit(2, "first", secured)
			h.visit(2, "first", plain)
			for _, size := range []int{5, 4 << 10, 16 << 10} {
				text := strings.Repeat("v", size)
				without, _ := h.visit(many, text, plain)
				takes, counts := h.visit(many, text, secured)
				takes -= without
				t.Logf("resumed: %t, requests of %d bytes: a connection takes %d bytes, and is counted for %d", resumes, size, takes, counts)
				if most := mostTaken[size]; takes > most {
					t.Errorf("a connection takes %d bytes, more than %d", takes, most)
				}
				if counts < takes*7/10 || counts > takes*2 {
					t.Errorf("a connection takes %d bytes, and is counted for %d", takes, counts)
				}
			}
		})
	}
}

package redis

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// resp is a request in RESP.
func resp(words ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.Bytes()
}

// mgetOf is an MGET of n keys of 16 bytes.
func mgetOf(n int) []byte {
	words := []string{"MGET"}
	for i := range n {
		words = append(words, fmt.Sprintf("key:%012d", i))
	}
	return resp(words...)
}

// parseAll parses all requests in data.
func parseAll(tb testing.TB, p msg.RequestParser, data []byte) {
	for requests := 0; len(data) > 0; requests++ {
		n, done, err := p.Parse(data)
		if err != nil || !done {
			tb.Fatalf("request %d: done %t, error %v", requests, done, err)
		}
		if r := p.Finish(mbuf.Flat(data[:n])); r.Treatment > msg.Fragment {
			tb.Fatalf("request %d: treatment %d", requests, r.Treatment)
		}
		data = data[n:]
	}
}

func BenchmarkParseRequest(b *testing.B) {
	key := "key:000000000001"
	for _, bm := range []struct {
		name string
		data []byte
	}{
		{"GET", resp("GET", key)},
		{"SET", resp("SET", key, strings.Repeat("v", 32))},
		{"MGET100", mgetOf(100)},
		{"GETx100", bytes.Repeat(resp("GET", key), 100)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			p := New(Options{}).NewRequestParser()
			b.SetBytes(int64(len(bm.data)))
			b.ReportAllocs()
			for b.Loop() {
				parseAll(b, p, bm.data)
			}
		})
	}
}

func BenchmarkParseReply(b *testing.B) {
	for _, bm := range []struct{ name, data string }{
		{"status", "+OK\r\n"},
		{"bulk", "$32\r\n" + strings.Repeat("v", 32) + "\r\n"},
		{"integer", ":1234567\r\n"},
		{"array100", "*100\r\n" + strings.Repeat("$16\r\nvvvvvvvvvvvvvvvv\r\n", 100)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			p := New(Options{}).NewReplyParser()
			data := []byte(bm.data)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, done, err := p.Parse(data); !done || err != nil {
					b.Fatal(done, err)
				}
				p.Reset()
			}
		})
	}
}

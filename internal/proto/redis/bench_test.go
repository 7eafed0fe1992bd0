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
		if r := p.Finish(data[:n]); !r.ByKeys() {
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

// manyKeys are the numbers of keys that splitting and merging are measured at:
// the cost of a key must not depend on them.
var manyKeys = []int{100, 1000, 10_000, 100_000}

// perKey reports what a benchmark's turn costs for each of n keys.
func perKey(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/key")
}

// manyOf is a request of n keys, each with a value of 32 bytes if it is MSET.
func manyOf(command string, n int) []byte {
	words := []string{command}
	for i := range n {
		words = append(words, fmt.Sprintf("key:%012d", i))
		if command == "MSET" {
			words = append(words, strings.Repeat("v", 32))
		}
	}
	return resp(words...)
}

// readSize is how much of a request the parser is given at once.
const readSize = 64 << 10

// parseReads parses a request as it comes from a client, in reads: one that takes
// more than one is gathered in a chain.
func parseReads(tb testing.TB, parser msg.RequestParser, data []byte, pool *mbuf.Pool, gathered *mbuf.Chain) *msg.Request {
	tb.Helper()
	for rest := data; len(rest) > 0; {
		read := rest[:min(readSize, len(rest))]
		rest = rest[len(read):]
		if taken, done, err := parser.Parse(read); taken != len(read) || done != (len(rest) == 0) || err != nil {
			tb.Fatal(taken, done, err)
		}
		if len(data) > readSize {
			gathered.Append(pool, read)
		}
	}
	if len(data) > readSize {
		return parser.FinishChain(gathered)
	}
	return parser.Finish(data)
}

// BenchmarkSplit parses a request of many keys and writes it out again as three
// requests, the keys dealt in turn.
func BenchmarkSplit(b *testing.B) {
	const servers = 3
	for _, command := range []string{"MGET", "MSET", "DEL"} {
		for _, n := range manyKeys {
			b.Run(fmt.Sprintf("%s%d", command, n), func(b *testing.B) {
				var pool mbuf.Pool
				var outs [servers]mbuf.Chain
				var gathered mbuf.Chain
				p := New(Options{})
				parser := p.NewRequestParser()
				data := manyOf(command, n)
				dealt := make([]uint16, n)
				chains := make([]*mbuf.Chain, servers)
				for i := range dealt {
					dealt[i] = uint16(i % servers)
				}
				for s := range outs {
					chains[s] = &outs[s]
				}
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					r := parseReads(b, parser, data, &pool, &gathered)
					for s := range outs {
						p.FragmentHead(r, (n+servers-1-s)/servers, &pool, &outs[s])
					}
					p.FragmentKeys(r, 0, dealt, &pool, chains)
					for s := range outs {
						p.FragmentTail(r, &pool, &outs[s])
						outs[s].Release(&pool)
					}
					gathered.Release(&pool)
					parser.Forget()
				}
				perKey(b, n)
			})
		}
	}
}

// sameParts is the message of a command of n keys whose three servers' replies
// are all the same.
func sameParts(command string, n int, reply string) (fill func(*mbuf.Pool) *msg.Msg) {
	m := &msg.Msg{Type: lookup([]byte(command)).id, Nkeys: int32(n)}
	for i := range n {
		m.Seq = append(m.Seq, uint16(i%3))
	}
	for range 3 {
		m.Frags = append(m.Frags, &msg.Msg{})
	}
	countKeys(m)
	return func(p *mbuf.Pool) *msg.Msg {
		for _, f := range m.Frags {
			f.Reply.AppendString(p, reply)
		}
		return m
	}
}

// BenchmarkMerge makes one reply of three.
func BenchmarkMerge(b *testing.B) {
	for _, bm := range []struct {
		command string
		fill    func(n int) func(*mbuf.Pool) *msg.Msg
	}{
		{"MGET", func(n int) func(*mbuf.Pool) *msg.Msg { return mgetParts(n, strings.Repeat("v", 32)) }},
		{"MSET", func(n int) func(*mbuf.Pool) *msg.Msg { return sameParts("mset", n, "+OK\r\n") }},
		{"DEL", func(n int) func(*mbuf.Pool) *msg.Msg { return sameParts("del", n, ":1234\r\n") }},
	} {
		for _, n := range manyKeys {
			b.Run(fmt.Sprintf("%s%d", bm.command, n), func(b *testing.B) {
				var pool mbuf.Pool
				var out mbuf.Chain
				p := New(Options{})
				fill := bm.fill(n)
				b.ReportAllocs()
				for b.Loop() {
					if p.Merge(fill(&pool), &pool, &out) {
						b.Fatalf("%.100q", out.AppendTo(nil))
					}
					out.Release(&pool)
				}
				perKey(b, n)
			})
		}
	}
}

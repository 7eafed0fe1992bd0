package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/proxy"
)

// keySize is the length of a key in an MGET of manyGets, its head and line ends
// included.
const keySize = len("$12\r\nkey:00000000\r\n")

// manyServer answers MGETs of keys of that length, each with a value for each key.
func manyServer(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			in, out := bufio.NewReaderSize(c, 256<<10), bufio.NewWriterSize(c, 256<<10)
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
				if _, err := in.Discard(len("$4\r\nmget\r\n") + (n-1)*keySize); err != nil {
					return
				}
				fmt.Fprintf(out, "*%d\r\n", n-1)
				for range n - 1 {
					_, _ = out.WriteString("$5\r\nvalue\r\n")
				}
				if out.Flush() != nil {
					return
				}
			}
		}()
	}
}

// mgetOf is an MGET of n keys.
func mgetOf(n int) []byte {
	b := fmt.Appendf(nil, "*%d\r\n$4\r\nMGET\r\n", n+1)
	for i := range n {
		b = fmt.Appendf(b, "$12\r\nkey:%08d\r\n", i)
	}
	return b
}

// BenchmarkSlices sends MGETs through a loop with three servers: what they cost it
// for each key, and how long its longest turn was, in processor time.
func BenchmarkSlices(b *testing.B) {
	for _, n := range []int{100, 10_000, 200_000, 1_000_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			text := "nuthatch: {threads: 1}\nalpha:\n  listen: %s\n  redis: true\n  client_max_queued: 1gb\n  servers:\n"
			for i := range 3 {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { l.Close() })
				go manyServer(l)
				text += fmt.Sprintf("  - %s:1 s%d\n", l.Addr(), i)
			}
			r := startRig(b, text)
			u := r.dial()
			request := mgetOf(n)
			got := make([]byte, len(fmt.Sprintf("*%d\r\n", n))+n*len("$5\r\nvalue\r\n"))
			round := func() {
				go func() {
					if _, err := u.Write(request); err != nil {
						b.Error(err)
					}
				}()
				if _, err := io.ReadFull(u, got); err != nil {
					b.Fatal(err)
				}
			}
			round()
			r.on(0, func(ctx *proxy.Context) {
				ctx.Loop().TimeTurns(true)
				ctx.Loop().LongestTurn(true)
			})
			before := r.loopTime()
			for b.Loop() {
				round()
			}
			b.ReportMetric(float64(r.loopTime()-before)/float64(b.N)/float64(n), "loop-ns/key")
			r.on(0, func(ctx *proxy.Context) {
				b.ReportMetric(float64(ctx.Loop().LongestTurn(true))/float64(time.Millisecond), "longest-turn-ms")
			})
		})
	}
}

package proxy_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// blockServer answers transactions of n commands, the first one an empty one.
func blockServer(l net.Listener, n int) {
	block := []byte("+OK\r\n" + strings.Repeat("+QUEUED\r\n", n) + fmt.Sprintf("*%d\r\n", n) + strings.Repeat("+OK\r\n", n))
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			in, out := make([]byte, 256<<10), []byte("+OK\r\n*0\r\n")
			kept := 0
			for proof := 1; ; proof = 0 {
				got, err := c.Read(in[kept:])
				if err != nil {
					return
				}
				all := in[:kept+got]
				whole := bytes.LastIndex(all, []byte("EXEC\r\n")) + len("EXEC\r\n")
				if whole < len("EXEC\r\n") {
					kept = len(all)
					continue
				}
				for range bytes.Count(all[:whole], []byte("EXEC\r\n")) - proof {
					out = append(out, block...)
				}
				if _, err := c.Write(out); err != nil {
					return
				}
				out, kept = out[:0], copy(in, all[whole:])
			}
		}()
	}
}

// BenchmarkTransaction is the whole way of transactions of 5 commands, each sent at once,
// alone and 16 of them in flight. See BenchmarkForward.
func BenchmarkTransaction(b *testing.B) {
	const n, clients = 5, 32
	for _, depth := range []int{1, 16} {
		b.Run(fmt.Sprintf("pipeline=%d", depth), func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { l.Close() })
			go blockServer(l, n)
			r := startRig(b, "nuthatch: {threads: 1}\nalpha:\n  listen: %s\n  redis: true\n  timeout: 5000\n  servers:\n  - "+
				l.Addr().String()+":1 s1\n")
			one := command("MULTI") + strings.Repeat(command("SET", "some:key:0001", "abc"), n) + command("EXEC")
			reply := "+OK\r\n" + strings.Repeat("+QUEUED\r\n", n) + fmt.Sprintf("*%d\r\n", n) + strings.Repeat("+OK\r\n", n)
			request, got := []byte(strings.Repeat(one, depth)), make([]byte, len(reply)*depth)
			users := make([]io.ReadWriter, clients)
			for i := range users {
				users[i] = r.dial()
			}
			done := 0
			round := func() {
				for _, u := range users {
					if _, err := u.Write(request); err != nil {
						b.Fatal(err)
					}
				}
				for _, u := range users {
					if _, err := io.ReadFull(u, got); err != nil {
						b.Fatal(err)
					}
				}
			}
			round()
			before := r.loopTime()
			for b.Loop() {
				round()
				done += clients * depth
			}
			b.ReportMetric(float64(r.loopTime()-before)/float64(done), "loop-ns/transaction")
		})
	}
}
